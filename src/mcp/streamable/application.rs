//! The application's side: what it takes, how it answers, and what else it may say.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::answer::{State, frame_of};
use super::channel::{Phase, Purpose};
use super::subscription::{SUBSCRIPTION_ID, ended};
use super::{AnswerMode, CallId, Streamable, StreamableEnd};
use crate::Tick;
use crate::mcp::message::members::string;
use crate::mcp::{Message, MessageKind, Principal, Revision, SessionId};

/// Something that a client said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What.
    pub message: Message,
    /// By which a request is answered; none for what wants no response.
    pub call: Option<CallId>,
    /// In which session; none in revisions without.
    pub session: Option<SessionId>,
    /// Who.
    pub principal: Principal,
    /// In which revision.
    pub revision: Revision,
    /// The request that this notification asks to cancel, if it is still worked on.
    pub cancels: Option<CallId>,
    /// The headers that repeat arguments of a tool (2026-07-28, Custom Headers): name behind `Mcp-Param-`, in lower
    /// case, and value; none where it can't be decoded. Which there must be is in the tool's schema, and so
    /// for the application to check: a request that fails it deserves the error −32020.
    pub mirrored: Vec<(String, Option<String>)>,
}

/// A message that can't be said, handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// There is no room: an event tells when there is some again.
    Full(Message),
    /// The request is answered or cancelled, its client is gone and can't come back for it, or the session is over.
    Gone(Message),
    /// It can't be said there, ever.
    Unfit {
        /// What.
        message: Message,
        /// Why not.
        why: Unfit,
    },
}

/// Why a message can't be said where it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unfit {
    /// A request is answered by a response.
    NoResponse,
    /// The response has the id of another request.
    OtherId,
    /// Responses go to their requests.
    Response,
    /// The revision has no requests of the server.
    Request,
    /// The endpoint answers by whole responses only.
    NoStream,
    /// The endpoint serves the subscription by itself.
    Subscription,
}

impl NotSent {
    /// The message.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            NotSent::Full(message) | NotSent::Gone(message) | NotSent::Unfit { message, .. } => message,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unfit::NoResponse => "a request is answered by a response",
            Unfit::OtherId => "the response has the id of another request",
            Unfit::Response => "a response goes to its request only",
            Unfit::Request => "this revision has no requests of the server",
            Unfit::NoStream => "the endpoint answers by whole responses only",
            Unfit::Subscription => "the endpoint serves the subscription by itself",
        })
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::Full(_) => f.write_str("the stream has no room"),
            NotSent::Gone(_) => f.write_str("nobody is there to hear it"),
            NotSent::Unfit { why, .. } => why.fmt(f),
        }
    }
}

impl core::error::Error for NotSent {}

impl Streamable {
    /// The application takes what a client said next: in a session, or without one. POSTs that were held back move up.
    pub fn take(&mut self, now: Tick, session: Option<&SessionId>) -> Option<Incoming> {
        self.clock(now);
        let inbox = match session {
            Some(id) => &mut self.sessions.get_mut(id)?.inbox,
            None => &mut self.stateless,
        };
        let incoming = inbox.take()?;
        if let Some(call) = incoming.call.and_then(|call| self.calls.get_mut(&call)) {
            call.is_taken = true;
        }
        self.admit_held(session);
        Some(incoming)
    }

    /// The request, as long as it is worked on.
    #[must_use]
    pub fn request(&self, call: CallId) -> Option<&Message> {
        self.calls.get(&call).map(|call| &call.request)
    }

    /// Answers a request. It goes where the request came from, and nowhere else.
    ///
    /// # Errors
    /// [`NotSent`] with the response.
    pub fn respond(&mut self, now: Tick, id: CallId, response: Message) -> Result<(), NotSent> {
        self.clock(now);
        let Some(call) = self.calls.get(&id) else { return Err(NotSent::Gone(response)) };
        let (number, session) = (call.channel, call.session.clone());
        let why = match response.kind() {
            MessageKind::Response if response.id() == call.request.id() => None,
            MessageKind::Response => Some(Unfit::OtherId),
            MessageKind::Request | MessageKind::Notification => Some(Unfit::NoResponse),
        };
        let Some(channel) = self.channels.get_mut(&number) else { return Err(NotSent::Gone(response)) };
        let why = why.or(matches!(channel.purpose, Purpose::Subscription(_)).then_some(Unfit::Subscription));
        if let Some(why) = why {
            return Err(NotSent::Unfit { message: response, why });
        }
        let opened = session.filter(|id_| self.sessions.get(id_).is_some_and(|s| s.opening == Some(id)));
        match &mut channel.phase {
            Phase::Held(_) if channel.attached.is_none() => {
                self.drop_channel(number);
                return Err(NotSent::Gone(response));
            }
            Phase::Held(collected) => {
                collected.push(response.clone());
                self.drop_call(id);
                self.agree(opened.as_ref(), &response, number);
                if self.channels.get(&number).is_some_and(|channel| channel.calls.is_empty()) {
                    self.answer_held(number);
                }
            }
            Phase::Speaking => {
                let frame = frame_of(&self.config, &response);
                let len = frame.as_bytes().len();
                if !channel.log.has_room(len, true, &self.config.limits) {
                    channel.block(len, true);
                    let attached = channel.attached;
                    self.wake(attached);
                    return Err(NotSent::Full(response));
                }
                self.append_frame(number, frame, false);
                self.drop_call(id);
                self.agree(opened.as_ref(), &response, number);
                self.close_if_answered(number);
            }
            Phase::Done => return Err(NotSent::Gone(response)),
        }
        if let Some(session) = opened.filter(|_| response.is_error()) {
            self.end(&session, StreamableEnd::Refused);
        }
        Ok(())
    }

    /// The response to `initialize`: what was agreed on, or that there is no session.
    fn agree(&mut self, opened: Option<&SessionId>, response: &Message, number: u64) {
        let Some(session) = opened.and_then(|id| self.sessions.get_mut(id)) else { return };
        session.opening = None;
        let agreed = response.result(["protocolVersion"]).ok().and_then(|[agreed]| string(agreed?));
        let agreed = agreed.and_then(|agreed| agreed.parse().ok()).map(|revision| match revision {
            Revision::V2024_11_05 => Revision::V2025_03_26,
            revision => revision,
        });
        let spoken = self.config.revisions;
        session.revision =
            agreed.filter(|revision: &Revision| spoken.contains(*revision) && !revision.is_stateless());
        if response.is_error() {
            self.hide_session(number);
        }
    }

    /// The answer to `initialize`, if it has not begun, tells of no session: there is none.
    fn hide_session(&mut self, number: u64) {
        let exchange = self.channels.get(&number).and_then(|channel| channel.attached);
        if let Some(exchange) = exchange.and_then(|id| self.exchanges.get_mut(&id)) {
            exchange.reply.session = None;
        }
    }

    fn close_if_answered(&mut self, number: u64) {
        let Some(channel) = self.channels.get_mut(&number).filter(|channel| channel.calls.is_empty()) else {
            return;
        };
        channel.phase = Phase::Done;
        let (attached, session) = (channel.attached, channel.session.clone());
        if attached.is_none() && channel.log.is_empty() {
            self.drop_channel(number);
        }
        self.wake(attached);
        if let Some(session) = session {
            self.limit_kept(&session);
        }
    }

    /// Says something that belongs to a request, in front of its response: a notification, or, in revisions that
    /// have it, a request to the client. Its answer becomes a stream by it.
    ///
    /// # Errors
    /// [`NotSent`] with the message.
    pub fn send_for(&mut self, now: Tick, call: CallId, message: Message) -> Result<(), NotSent> {
        self.clock(now);
        let Some(number) = self.calls.get(&call).map(|call| call.channel) else {
            return Err(NotSent::Gone(message));
        };
        let Some(channel) = self.channels.get_mut(&number) else { return Err(NotSent::Gone(message)) };
        let why = match message.kind() {
            MessageKind::Response => Some(Unfit::Response),
            MessageKind::Request if !channel.revision.rules().server_requests => Some(Unfit::Request),
            MessageKind::Request | MessageKind::Notification => {
                if matches!(channel.purpose, Purpose::Subscription(_)) {
                    Some(Unfit::Subscription)
                } else {
                    (self.config.answers == AnswerMode::Json).then_some(Unfit::NoStream)
                }
            }
        };
        if let Some(why) = why {
            return Err(NotSent::Unfit { message, why });
        }
        if channel.is_held() && channel.attached.is_none() {
            return Err(NotSent::Gone(message));
        }
        // What is said already is in front of it, and takes room.
        self.speak(number);
        self.append_if_fits(number, message)
    }

    fn append_if_fits(&mut self, number: u64, message: Message) -> Result<(), NotSent> {
        let Some(channel) = self.channels.get_mut(&number) else { return Err(NotSent::Gone(message)) };
        let frame = frame_of(&self.config, &message);
        let len = frame.as_bytes().len();
        if !channel.log.has_room(len, false, &self.config.limits) {
            channel.block(len, false);
            let attached = channel.attached;
            self.wake(attached);
            return Err(NotSent::Full(message));
        }
        self.append_frame(number, frame, false);
        Ok(())
    }

    /// Says something that belongs to no request of the client, on the session's own stream; it waits there for a
    /// client that has none open.
    ///
    /// # Errors
    /// [`NotSent`] with the message.
    pub fn send(&mut self, now: Tick, session: &SessionId, message: Message) -> Result<(), NotSent> {
        self.clock(now);
        let own = self.sessions.get(session).filter(|session| session.is_alive()).map(|session| session.own);
        let channel = own.and_then(|own| Some((own, self.channels.get(&own)?)));
        let Some((own, _)) = channel.filter(|(_, channel)| !channel.is_done()) else {
            return Err(NotSent::Gone(message));
        };
        if message.kind() == MessageKind::Response {
            return Err(NotSent::Unfit { message, why: Unfit::Response });
        }
        self.append_if_fits(own, message)
    }

    /// Ends the present response to a request early: the client comes again, after `retry` or as configured, and
    /// finds what was said since (2025-11-25, Sending Messages). `false` where its revision has no such thing, or
    /// nobody reads it.
    pub fn poll_later(&mut self, now: Tick, call: CallId, retry: Option<Duration>) -> bool {
        self.clock(now);
        let retry = retry.unwrap_or(self.config.poll_retry).max(Duration::from_millis(1));
        let Some(number) = self.calls.get(&call).map(|call| call.channel) else { return false };
        let attached = self.channels.get(&number).and_then(|channel| channel.attached);
        let Some((id, exchange)) = attached.and_then(|id| Some((id, self.exchanges.get(&id)?))) else {
            return false;
        };
        if !exchange.revision.rules().primes || self.config.answers == AnswerMode::Json {
            return false;
        }
        // A POST that waits for room is with nobody who could ask for this.
        if matches!(exchange.state, State::Whole(_)) {
            return false;
        }
        self.speak(number);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.poll = Some(retry);
        }
        self.wake(Some(id));
        true
    }

    /// Lets a request go without a response, as is due to one that its client has cancelled: its stream ends.
    pub fn let_go(&mut self, now: Tick, id: CallId) {
        self.clock(now);
        let Some(call) = self.calls.get(&id) else { return };
        let (number, session) = (call.channel, call.session.clone());
        let opened =
            session.filter(|session| self.sessions.get(session).is_some_and(|s| s.opening == Some(id)));
        if opened.is_some() {
            self.hide_session(number);
        }
        self.speak(number);
        self.drop_call(id);
        self.close_if_answered(number);
        if let Some(session) = opened {
            self.end(&session, StreamableEnd::Refused);
        }
    }

    /// The application has lost a request. A client that still wants a response is told that there is none, by an
    /// internal error (JSON-RPC 2.0 §5.1); then, or where there is no room for that, it is [let go](Self::let_go).
    pub fn abandon(&mut self, now: Tick, id: CallId) {
        let wanted = self.calls.get(&id).filter(|call| !call.is_unwanted);
        let error = wanted
            .and_then(|call| call.request.respond_error(-32603, "the server gave no answer", None).ok());
        if let Some(error) = error {
            let _ = self.respond(now, id, error);
        }
        self.let_go(now, id);
    }

    /// Ends a session. Its open streams end once they have what was said.
    pub fn end_session(&mut self, now: Tick, session: &SessionId) {
        self.clock(now);
        self.end(session, StreamableEnd::ByApplication);
    }

    /// Says a notification to every subscription that is served here and wants it; gives back to how many. What waits
    /// already, word for word, is not said twice: all of these tell that something has changed.
    pub fn publish(&mut self, now: Tick, notification: &Message) -> usize {
        self.clock(now);
        let mut heard = 0;
        let channels: BTreeSet<u64> = self.subscriptions.clone();
        for number in channels {
            let Some(channel) = self.channels.get(&number).filter(|channel| !channel.is_done()) else {
                continue;
            };
            let Purpose::Subscription(filter) = &channel.purpose else { continue };
            let request =
                channel.calls.first().and_then(|call| self.calls.get(call)).map(|call| &call.request);
            let Some(id) = request.and_then(Message::id).filter(|_| filter.wants(notification)) else {
                continue;
            };
            let Some(tagged) = notification.with_meta(SUBSCRIPTION_ID, id) else { continue };
            let frame = frame_of(&self.config, &tagged);
            heard += 1;
            if !channel.log.has_waiting(&frame) {
                self.append_frame(number, frame, false);
            }
        }
        heard
    }

    /// The server is about to stop: no new request is taken, sessions' own streams and subscriptions end in good
    /// order, and what is being worked on can still be answered.
    pub fn finish(&mut self, now: Tick) {
        self.clock(now);
        self.is_finishing = true;
        for number in core::mem::take(&mut self.subscriptions) {
            let Some(channel) = self.channels.get(&number) else { continue };
            let Some(call) = channel.calls.first().copied() else { continue };
            let last = self.calls.get(&call).and_then(|call| ended(call.request.id()?));
            if let Some(last) = last {
                self.append_frame(number, frame_of(&self.config, &last), false);
            }
            self.drop_call(call);
            self.close_if_answered(number);
        }
        let own: Vec<u64> = self.sessions.values().map(|session| session.own).collect();
        for number in own {
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            channel.phase = Phase::Done;
            let attached = channel.attached;
            self.wake(attached);
        }
    }

    /// The server stops: all sessions end.
    pub fn end_all(&mut self, now: Tick) {
        self.clock(now);
        let all: Vec<SessionId> = self.sessions().cloned().collect();
        for session in all {
            self.end(&session, StreamableEnd::ServerStopped);
        }
    }
}
