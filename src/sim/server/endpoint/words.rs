//! What the application of `/mcp` takes and says, and what waits for room.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::ToString;
use core::time::Duration;

use super::{Account, Endpoint, Word};
use crate::Tick;
use crate::mcp::{CallId, Incoming, Message, MessageKind, NotSent, Outlet, SessionId, StreamableEnd};
use crate::sim::Law;
use crate::sim::server::book::Broken;

impl Endpoint {
    pub(in crate::sim::server) fn is_readable(&mut self, session: Option<SessionId>) {
        if !self.readable.contains(&session) {
            self.readable.push_back(session);
        }
    }

    /// What the application takes next, if it is not busy.
    pub(in crate::sim::server) fn take(&mut self, now: Tick) -> Option<Incoming> {
        while self.machine.now().max(now) >= self.busy_until {
            let session = self.readable.pop_front()?;
            let Some(incoming) = self.machine.take(now, session.as_ref()) else { continue };
            let clock = self.sync();
            self.collect(None);
            self.readable.push_back(session);
            self.busy_until = clock + self.busy_for;
            match (incoming.call, &incoming.session) {
                (Some(call), session) => self.book.took(session.as_ref(), &incoming.message, call),
                (None, Some(session)) => self.accounts.entry(session.clone()).or_default().taken += 1,
                (None, None) => {}
            }
            return Some(incoming);
        }
        None
    }

    /// I2: nobody hears twice of a response, nor of one that was not asked for.
    pub(in crate::sim::server) fn responded(
        &mut self,
        session: &SessionId,
        response: &Message,
    ) -> Result<(), Broken> {
        let account = self.accounts.entry(session.clone()).or_default();
        account.taken += 1;
        if !account.expected.remove(response.id().unwrap_or_default()) {
            return Err((Law::I2, format!("{session}: {response} was not asked for, or came before")));
        }
        self.happened("response to the server");
        Ok(())
    }

    pub(in crate::sim::server) fn respond(
        &mut self,
        now: Tick,
        call: CallId,
        message: Message,
    ) -> Result<(), Broken> {
        self.say(now, Outlet::Call(call), Word::Respond(call, message))
    }

    pub(in crate::sim::server) fn send_for(
        &mut self,
        now: Tick,
        call: CallId,
        message: Message,
    ) -> Result<(), Broken> {
        self.say(now, Outlet::Call(call), Word::SendFor(call, message))
    }

    pub(in crate::sim::server) fn send(
        &mut self,
        now: Tick,
        session: &SessionId,
        message: Message,
    ) -> Result<(), Broken> {
        match (self.machine.outlet(session, &message), message.kind()) {
            (Some(Outlet::Call(call)), MessageKind::Response) => self.respond(now, call, message),
            (Some(Outlet::Call(call)), _) => self.send_for(now, call, message),
            (Some(outlet), _) => self.say(now, outlet, Word::Send(session.clone(), message)),
            (None, _) => Ok(()),
        }
    }

    fn say(&mut self, now: Tick, outlet: Outlet, word: Word) -> Result<(), Broken> {
        let queue = self.waiting.entry(outlet.clone()).or_default();
        queue.push_back(word);
        if queue.len() == 1 { self.say_waiting(now, &outlet) } else { Ok(()) }
    }

    /// Says what waits, as far as there is room.
    pub(in crate::sim::server) fn say_waiting(&mut self, now: Tick, outlet: &Outlet) -> Result<(), Broken> {
        while let Some(word) = self.waiting.get_mut(outlet).and_then(VecDeque::pop_front) {
            let (talk, said, message) = match word.clone() {
                Word::Respond(call, message) => {
                    let talk = self.book.of_call(call).map(|(talk, _)| talk);
                    (talk, self.machine.respond(now, call, message.clone()), message)
                }
                Word::SendFor(call, message) => {
                    let talk = self.book.of_call(call).map(|(talk, talk_)| (talk, talk_.session.clone()));
                    self.expect(talk.as_ref().and_then(|(_, session)| session.as_ref()), &message);
                    let talk = talk.map(|(talk, _)| talk);
                    (talk, self.machine.send_for(now, call, message.clone()), message)
                }
                Word::Send(session, message) => {
                    self.expect(Some(&session), &message);
                    let talk = self.book.of_session(&session).map(|(talk, _)| talk);
                    (talk, self.machine.send(now, &session, message.clone()), message)
                }
            };
            self.sync();
            match (said, talk) {
                (Ok(()), Some(talk)) => self.book.said(talk, message)?,
                (Ok(()), None) => return Err((Law::I12, format!("{message} was said, and nobody asked"))),
                (Err(NotSent::Full(_)), Some(talk)) => {
                    self.book.full(talk, &message)?;
                    self.happened("said: no room");
                    self.waiting.entry(outlet.clone()).or_default().push_front(word);
                    return Ok(());
                }
                (Err(NotSent::Gone(_)), _) => self.happened("said: nobody hears it"),
                (Err(NotSent::Unfit { .. } | NotSent::Full(_)), _) => self.happened("said: not fit"),
            }
        }
        self.waiting.remove(outlet);
        Ok(())
    }

    /// Waits for the response to a request of the server.
    fn expect(&mut self, session: Option<&SessionId>, message: &Message) {
        if let (Some(session), MessageKind::Request, Some(id)) = (session, message.kind(), message.id()) {
            self.machine.expect(session, id);
            self.accounts.entry(session.clone()).or_default().expected.insert(id.to_string());
        }
    }

    pub(in crate::sim::server) fn notify(&mut self, now: Tick, news: &Message) -> Result<(), Broken> {
        let heard = self.machine.publish(now, news);
        self.sync();
        self.book.published(news, heard)
    }

    pub(in crate::sim::server) fn poll_later(&mut self, now: Tick, call: CallId, retry: Option<Duration>) {
        if self.machine.poll_later(now, call, retry) {
            self.happened("answer: to be polled");
            let retry = retry.unwrap_or(self.machine.config().poll_retry).max(Duration::from_millis(1));
            if let Some((_, talk)) = self.book.of_call(call) {
                talk.poll = Some(retry);
            }
        }
    }

    pub(in crate::sim::server) fn let_go(&mut self, now: Tick, call: CallId) {
        self.waiting.remove(&Outlet::Call(call));
        if self.machine.request(call).is_some() {
            self.book.let_go(call);
            self.machine.let_go(now, call);
            self.happened("request: let go");
        }
    }

    /// I2: what a session's client was told to be accepted was taken, or is told to be unread.
    pub(in crate::sim::server) fn ended(
        &mut self,
        session: &SessionId,
        end: StreamableEnd,
        unread: usize,
    ) -> Result<(), Broken> {
        self.waiting.remove(&Outlet::Session(session.clone()));
        self.happened(match end {
            StreamableEnd::ByClient => "session: ended by its client",
            StreamableEnd::ByApplication => "session: ended by the application",
            StreamableEnd::Refused => "session: refused",
            StreamableEnd::NeverBegun => "session: never begun",
            StreamableEnd::Idle => "session: idle",
            StreamableEnd::Displaced => "session: displaced",
            StreamableEnd::ServerStopped => "session: ended by the server",
        });
        if !self.over.insert(session.clone()) {
            return Err((Law::I13, format!("{session} ended twice")));
        }
        let Account { accepted, taken, .. } = self.accounts.remove(session).unwrap_or_default();
        if accepted > taken + unread {
            let what = format!("{session}: {accepted} accepted, {taken} taken, {unread} unread");
            return Err((Law::I2, what));
        }
        Ok(())
    }
}
