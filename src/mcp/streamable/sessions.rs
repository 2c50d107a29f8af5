//! The lives of sessions and of the channels in them: each has one way in and one way out.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::answer::Exchange;
use super::answer::State;
use super::channel::{Blocked, Channel, Log, Phase, Purpose};
use super::head::Reply;
use super::inbox::Inbox;
use super::refusal::{INVALID_REQUEST, busy, gap, invalid, no_session, refuse};
use super::timers::Due;
use super::{CallId, ExchangeId, GapAnswer, Outlet, SecondGet, Streamable, StreamableEnd, StreamableEvent};
use crate::http1::Response;
use crate::mcp::{Principal, Revision, SessionId};
use crate::{EventId, ReplayError, Tick};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) principal: Principal,
    /// What its client and the application have agreed on.
    pub(super) revision: Option<Revision>,
    /// The `initialize` request, until it is answered.
    pub(super) opening: Option<CallId>,
    pub(super) inbox: Inbox,
    pub(super) calls: BTreeSet<CallId>,
    pub(super) exchanges: BTreeSet<ExchangeId>,
    /// Ids of requests of the server, as they stand in them, whose responses somebody waits for.
    pub(super) expected: BTreeSet<Box<str>>,
    /// The channel of its own stream.
    pub(super) own: u64,
    /// Its channels by the numbers in their event ids. These begin at a random one, so that nobody guesses those of
    /// a session that is not theirs.
    streams: BTreeMap<u64, u64>,
    base: u64,
    seen: Tick,
    /// It has ended, and responses still say the rest.
    is_over: bool,
}

impl Session {
    pub(super) fn is_alive(&self) -> bool {
        !self.is_over
    }
}

impl Streamable {
    /// Opens a session named by random bytes.
    pub(super) fn open_session(
        &mut self,
        principal: Principal,
        revision: Revision,
        random: [u8; 24],
    ) -> Result<SessionId, Response> {
        let (mut name, mut base) = ([0; 16], [0; 8]);
        name.copy_from_slice(&random[..16]);
        base.copy_from_slice(&random[16..]);
        let id = SessionId::from_random(name);
        // Only where the random bytes repeat: then the client comes again.
        if self.sessions.contains_key(&id) {
            return Err(busy(None, "no session id was free"));
        }
        if self.sessions.len() >= self.config.limits.max_sessions.get() {
            self.displace().ok_or_else(|| busy(None, "too many sessions"))?;
        }
        let session = Session {
            principal: principal.clone(),
            revision: Some(revision),
            opening: None,
            inbox: Inbox::default(),
            calls: BTreeSet::new(),
            exchanges: BTreeSet::new(),
            expected: BTreeSet::new(),
            own: 0,
            streams: BTreeMap::new(),
            base: u64::from_be_bytes(base),
            seen: self.now,
            is_over: false,
        };
        self.sessions.insert(id.clone(), session);
        let own = self.open_channel(Some(&id), revision, Purpose::Own, Phase::Speaking);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.own = own;
        }
        self.touch(&id);
        self.tell(StreamableEvent::Opened { session: id.clone(), principal });
        Ok(id)
    }

    /// Ends the session that has been idle longest, if it was for long enough.
    fn displace(&mut self) -> Option<()> {
        let idle_at_least = self.config.limits.idle_at_least;
        let idle = self.sessions.iter().filter(|(_, session)| {
            session.exchanges.is_empty()
                && session.calls.is_empty()
                && session.seen + idle_at_least <= self.now
        });
        let longest = idle.min_by_key(|(_, session)| session.seen).map(|(id, _)| id.clone())?;
        self.end(&longest, StreamableEnd::Displaced);
        Some(())
    }

    /// The session is in use.
    pub(super) fn touch(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.seen = self.now;
        if session.exchanges.is_empty() {
            self.timers.set(Due::Idle(id.clone()), self.now + self.config.limits.idle_for);
        } else {
            self.timers.clear(&Due::Idle(id.clone()));
        }
    }

    /// Ends a session: nothing is accepted for it any more, what waits is answered, and streams say the rest.
    pub(super) fn end(&mut self, id: &SessionId, end: StreamableEnd) {
        let Some(session) = self.sessions.get_mut(id).filter(|session| session.is_alive()) else { return };
        session.is_over = true;
        let (calls, exchanges) = (core::mem::take(&mut session.calls), session.exchanges.clone());
        let inbox = core::mem::take(&mut session.inbox);
        let channels: Vec<u64> = session.streams.values().copied().collect();
        self.timers.clear(&Due::Idle(id.clone()));
        for call in calls {
            self.calls.remove(&call);
        }
        for exchange in exchanges {
            let Some(open) = self.exchanges.get_mut(&exchange) else { continue };
            match open.state {
                State::Waiting => self.answer_whole(exchange, no_session()),
                State::Whole(_) => {}
                State::Stream | State::Streaming => self.tell(StreamableEvent::Fill(exchange)),
            }
        }
        for channel in channels {
            match self.channels.get_mut(&channel) {
                Some(found) if found.attached.is_some() && !found.is_held() => {
                    found.phase = Phase::Done;
                    found.calls.clear();
                    found.successor = None;
                }
                Some(_) | None => self.drop_channel(channel),
            }
        }
        self.tell(StreamableEvent::Ended { session: id.clone(), end, unread: inbox.unread() });
        self.remove_if_over(id);
    }

    /// The one way out of the table.
    fn remove_if_over(&mut self, id: &SessionId) {
        if self.sessions.get(id).is_some_and(|session| session.is_over && session.exchanges.is_empty())
            && let Some(session) = self.sessions.remove(id)
        {
            for channel in session.streams.into_values() {
                self.drop_channel(channel);
            }
            self.timers.clear(&Due::Idle(id.clone()));
        }
    }

    pub(super) fn open_channel(
        &mut self,
        session: Option<&SessionId>,
        revision: Revision,
        purpose: Purpose,
        phase: Phase,
    ) -> u64 {
        let channel = self.number();
        let mut number = 0;
        if let Some(session) = session.and_then(|id| self.sessions.get_mut(id)) {
            number = session.base.wrapping_add(channel);
            session.streams.insert(number, channel);
        }
        let log = Log::new(revision, number, &self.config.limits);
        let session = session.cloned();
        let opened = Channel {
            session,
            revision,
            purpose,
            phase,
            log,
            attached: None,
            successor: None,
            calls: BTreeSet::new(),
            blocked: Blocked::default(),
            poll: None,
        };
        self.channels.insert(channel, opened);
        channel
    }

    /// Forgets a channel, and the requests that nobody can answer in it any more.
    pub(super) fn drop_channel(&mut self, channel: u64) {
        let Some(dropped) = self.channels.remove(&channel) else { return };
        for call in dropped.calls {
            self.drop_call(call);
        }
        self.subscriptions.remove(&channel);
        self.timers.clear(&Due::Age(channel));
        if let Some(session) = dropped.session.and_then(|id| self.sessions.get_mut(&id)) {
            session.streams.retain(|_, held| *held != channel);
        }
    }

    pub(super) fn drop_call(&mut self, call: CallId) {
        let Some(dropped) = self.calls.remove(&call) else { return };
        if let Some(channel) = self.channels.get_mut(&dropped.channel) {
            channel.calls.remove(&call);
        }
        match dropped.session {
            Some(id) => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.calls.remove(&call);
                }
            }
            None => self.stateless_calls -= 1,
        }
    }

    pub(super) fn drop_exchange(&mut self, exchange: ExchangeId) {
        let Some(dropped) = self.exchanges.remove(&exchange) else { return };
        self.timers.clear(&Due::Stream(exchange));
        self.timers.clear(&Due::Poll(exchange));
        self.timers.clear(&Due::Held(exchange));
        let Some(id) = dropped.session else { return };
        if let Some(session) = self.sessions.get_mut(&id) {
            session.exchanges.remove(&exchange);
        }
        if self.sessions.get(&id).is_some_and(Session::is_alive) {
            self.touch(&id);
        }
        self.remove_if_over(&id);
    }

    /// What is kept is bounded: the oldest channels that are complete and that no response reads go first.
    pub(super) fn limit_kept(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let is_kept = |channel: &&u64| {
            self.channels.get(channel).is_some_and(|channel| channel.is_done() && channel.attached.is_none())
        };
        let kept: BTreeSet<u64> = session.streams.values().filter(is_kept).copied().collect();
        let excess = kept.len().saturating_sub(self.config.limits.max_kept.get());
        for channel in kept.into_iter().take(excess) {
            self.drop_channel(channel);
        }
    }

    /// Time has passed over what a channel keeps.
    pub(super) fn expire(&mut self, id: u64) {
        let limits = &self.config.limits;
        let Some(channel) = self.channels.get_mut(&id) else { return };
        let is_read = channel.attached.is_some();
        let events = channel.log.expire(self.now, limits.replay_for, is_read);
        let told = channel.session.clone().filter(|_| events > 0);
        let room = channel.unblock(limits);
        let is_over = channel.is_done() && channel.log.is_empty() && !is_read;
        if let Some(session) = told {
            self.tell(StreamableEvent::Expired { session, events });
        }
        if room {
            self.tell_room(id);
        }
        if is_over { self.drop_channel(id) } else { self.arm_age(id) }
    }

    /// Sets the deadline of what a channel keeps. What is over it is waited for by a response.
    pub(super) fn arm_age(&mut self, id: u64) {
        let born = self.channels.get(&id).and_then(|channel| channel.log.oldest_born());
        let replay_for = self.config.limits.replay_for;
        match born.map(|born| born + replay_for) {
            Some(at) if at > self.now => self.timers.set(Due::Age(id), at),
            Some(_) => self.timers.set(Due::Age(id), self.now + replay_for),
            None => self.timers.clear(&Due::Age(id)),
        }
    }

    /// There is room in a channel again.
    pub(super) fn tell_room(&mut self, id: u64) {
        let Some(channel) = self.channels.get(&id) else { return };
        let outlets: Vec<Outlet> = match (&channel.purpose, &channel.session) {
            (Purpose::Own, Some(session)) => [Outlet::Session(session.clone())].into(),
            _ => channel.calls.iter().map(|call| Outlet::Call(*call)).collect(),
        };
        for outlet in outlets {
            self.tell(StreamableEvent::Room(outlet));
        }
    }

    /// A `GET`: the session's own stream, or any of its streams behind the event that the client saw last.
    pub(super) fn open_get(
        &mut self,
        id: &SessionId,
        revision: Revision,
        reply: Reply,
        last: Option<&[u8]>,
    ) -> Result<ExchangeId, Response> {
        let Some(session) = self.sessions.get(id) else { return Err(no_session()) };
        let own = session.own;
        let (channel, primes) = match last {
            None => {
                let taken = self.channels.get(&own).is_some_and(|channel| channel.attached.is_some());
                if taken && self.config.second_get == SecondGet::Refused {
                    let why = "the session has a stream already";
                    return Err(refuse(409, None, INVALID_REQUEST, why, None));
                }
                (Some(own), revision.rules().primes)
            }
            Some(last) => match self.resume(id, last) {
                Ok(channel) => (Some(channel), false),
                Err((channel, error)) => match (self.config.gaps, error) {
                    (GapAnswer::Refuse, Some(error)) => return Err(gap(error)),
                    (GapAnswer::Refuse, None) => {
                        return Err(invalid("Last-Event-ID is none that was given out"));
                    }
                    (GapAnswer::Empty, _) => (None, false),
                    (GapAnswer::Reset, _) => {
                        let channel = channel.unwrap_or(own);
                        if let Some(channel) = self.channels.get_mut(&channel) {
                            channel.log.reset();
                        }
                        (Some(channel), revision.rules().primes)
                    }
                },
            },
        };
        let exchange = ExchangeId(self.number());
        let state = State::Stream;
        let opened = Exchange { channel, session: Some(id.clone()), revision, reply, state, primes };
        self.exchanges.insert(exchange, opened);
        if let Some(session) = self.sessions.get_mut(id) {
            session.exchanges.insert(exchange);
        }
        self.touch(id);
        if let Some(channel) = channel {
            self.attach(channel, exchange, last.is_none());
        }
        Ok(exchange)
    }

    /// The newest response wins; the older one learns of it when it is filled. Where the client does not say what it
    /// saw last, what the older one's socket took is what it is believed to have, and so waited for.
    fn attach(&mut self, number: u64, exchange: ExchangeId, goes_on: bool) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.poll = None;
        let is_streaming =
            |id: &ExchangeId| matches!(self.exchanges.get(id).map(|e| &e.state), Some(State::Streaming));
        let older = channel.attached;
        let displaced = if goes_on && older.as_ref().is_some_and(is_streaming) {
            let displaced = channel.successor.replace(exchange);
            if let Some(waits) = self.exchanges.get_mut(&exchange) {
                waits.state = State::Waiting;
            }
            displaced
        } else {
            channel.attached = Some(exchange);
            if goes_on {
                channel.log.rewind();
            }
            channel.successor.take()
        };
        // One that waited in vain opens, and ends.
        if let Some(displaced) = displaced {
            self.open_late(displaced);
        }
        self.wake(older);
    }

    /// The response before this one's is over, and what its socket took is known.
    pub(super) fn succeed(&mut self, number: u64) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Some(successor) = channel.successor.take() else { return };
        channel.attached = Some(successor);
        channel.log.rewind();
        self.open_late(successor);
    }

    fn open_late(&mut self, id: ExchangeId) {
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.state = State::Stream;
            self.tell(StreamableEvent::Answer(id));
        }
    }

    /// Sets a channel of the session behind the event that its client saw last. Otherwise why not, and the channel
    /// that it was of.
    fn resume(&mut self, id: &SessionId, last: &[u8]) -> Result<u64, (Option<u64>, Option<ReplayError>)> {
        let last = core::str::from_utf8(last)
            .ok()
            .and_then(|last| last.parse::<EventId>().ok())
            .ok_or((None, None))?;
        let unknown = (None, Some(ReplayError::OtherStream));
        let channel = self.sessions.get(id).and_then(|session| session.streams.get(&last.stream)).copied();
        let channel = channel.ok_or(unknown)?;
        let found = self.channels.get_mut(&channel).filter(|channel| !channel.is_held()).ok_or(unknown)?;
        found.log.resume(last).map(|()| channel).map_err(|error| (Some(channel), Some(error)))
    }
}
