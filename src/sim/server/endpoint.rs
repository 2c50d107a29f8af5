//! [`Endpoint`]: the machine of `/mcp`, what its application has yet to take and to say, and what must hold of it.

mod words;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::book::{Book, Broken};
use crate::http1::{RequestHead, Response};
use crate::mcp::{
    Answer, Body, BodyDecision, CallId, ExchangeId, HeadDecision, Message, MessageKind, Outlet, Post,
    Principal, Revision, SessionId, Streamable, StreamableConfig, StreamableEvent,
};
use crate::sim::{Conn, HAPPENINGS, Law, Watched, earliest};
use crate::{AccessRules, Close, Tick};

/// An endpoint of Streamable HTTP, and the naive opinion about it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) machine: Streamable,
    pub(super) book: Book,
    events: VecDeque<StreamableEvent>,
    /// Who waits for an answer, or has one that is a stream.
    conns: BTreeMap<ExchangeId, (Conn, Option<SessionId>)>,
    /// What the application has said and there was no room for.
    waiting: BTreeMap<Outlet, VecDeque<Word>>,
    readable: VecDeque<Option<SessionId>>,
    busy_for: Duration,
    busy_until: Tick,
    /// Every session that ever was, and whose it is.
    principals: BTreeMap<SessionId, Principal>,
    over: BTreeSet<SessionId>,
    accounts: BTreeMap<SessionId, Account>,
    /// Notifications and responses whose answer is not there yet.
    held: BTreeMap<ExchangeId, usize>,
    last_random: [u8; 24],
    pub(super) happenings: BTreeMap<&'static str, u64>,
    pub(super) stops: Option<Tick>,
}

/// Messages of a session that want no response.
#[derive(Debug, Default)]
struct Account {
    /// Answered with 202.
    accepted: usize,
    /// Taken by the application.
    taken: usize,
    /// Requests of the server that wait for a response.
    expected: BTreeSet<String>,
}

/// What is to be said.
#[derive(Clone, Debug)]
enum Word {
    Respond(CallId, Message),
    SendFor(CallId, Message),
    Send(SessionId, Message),
}

/// What becomes of a request.
pub(super) enum Next {
    Respond(Response),
    ReceiveBody(Post),
    Wait(ExchangeId),
}

/// An answer.
pub(super) enum Answered {
    Whole(Response),
    Stream(Box<Watched>),
}

impl Endpoint {
    pub(super) fn new(config: StreamableConfig, busy_for: Duration) -> Endpoint {
        Endpoint {
            machine: Streamable::new(AccessRules::loopback(), config.clone()),
            book: Book::new(config),
            events: VecDeque::new(),
            conns: BTreeMap::new(),
            waiting: BTreeMap::new(),
            readable: VecDeque::new(),
            busy_for,
            busy_until: Tick::ZERO,
            principals: BTreeMap::new(),
            over: BTreeSet::new(),
            accounts: BTreeMap::new(),
            held: BTreeMap::new(),
            last_random: [0; 24],
            happenings: BTreeMap::new(),
            stops: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.machine.load() == (0, 0, 0) && self.machine.sessions().next().is_none()
    }

    pub(super) fn has(&self, session: &SessionId) -> bool {
        self.principals.contains_key(session)
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let reads = (!self.readable.is_empty()).then_some(self.busy_until);
        earliest([self.machine.deadline(), reads, self.stops])
    }

    /// The book's time is the machine's.
    pub(super) fn sync(&mut self) -> Tick {
        self.book.clock(self.machine.now());
        self.machine.now()
    }

    pub(super) fn happened(&mut self, what: &'static str) {
        *self.happenings.entry(what).or_default() += 1;
    }

    // ---- requests ----

    pub(super) fn head(&mut self, now: Tick, conn: Conn, head: &RequestHead) -> Result<Next, Broken> {
        let (principal, session) = (principal_of(head), session_of(head));
        let is_at_work =
            session.as_ref().is_some_and(|id| self.conns.values().any(|(_, of)| of.as_ref() == Some(id)));
        let decision = self.machine.handle_head(now, head, principal.clone());
        self.sync();
        self.collect(None);
        if let (Some(id), false) = (&session, refuses(&decision)) {
            if self.over.contains(id) {
                return Err((Law::I3, format!("{} {id}: let in after its end", head.method())));
            }
            if self.principals.get(id).is_some_and(|owner| *owner != principal) {
                return Err((Law::I12, format!("{} {id}: let in, and somebody else's", head.method())));
            }
        }
        let last = head.header("last-event-id").and_then(|last| core::str::from_utf8(last).ok());
        let last = last.filter(|last| !last.is_empty());
        match decision {
            HeadDecision::Answer(response) => {
                self.note_answer(&response);
                if head.method() == "DELETE" && response.status() == 204 {
                    self.happened(if is_at_work {
                        "session: deleted at work"
                    } else {
                        "session: deleted in peace"
                    });
                }
                if let (Some(id), Some(last)) = (session, last)
                    && response.status() == 400
                    && says(&response, "Last-Event-ID")
                {
                    let how = self.book.refused(&id, last)?;
                    self.happened(how);
                }
                Ok(Next::Respond(response))
            }
            HeadDecision::ReceiveBody(post) => Ok(Next::ReceiveBody(post)),
            HeadDecision::Exchange(exchange) => {
                let Some(session) = session else {
                    return Err((Law::I12, format!("{exchange:?}: a stream of no session")));
                };
                let how = self.book.got(exchange, &session, last, self.machine.stream_of(exchange));
                self.happened(how);
                self.conns.insert(exchange, (conn, Some(session)));
                Ok(Next::Wait(exchange))
            }
        }
    }

    pub(super) fn body(
        &mut self,
        now: Tick,
        conn: Conn,
        post: Post,
        (head, body): (&RequestHead, &[u8]),
        random: [u8; 24],
        repeats: bool,
    ) -> Result<Next, Broken> {
        // This generator repeats itself now and then: the id of a session that is there is refused.
        let mut name = [0; 16];
        name.copy_from_slice(&self.last_random[..16]);
        let name = SessionId::from_random(name);
        let repeats = repeats && self.machine.sessions().any(|id| *id == name);
        let random = if repeats { self.last_random } else { random };
        self.last_random = random;
        let decision = self.machine.handle_body(now, post, body, random);
        self.sync();
        let parsed = Body::parse(body, self.machine.config().limits.max_batch.get()).ok();
        let messages = parsed.as_ref().map_or(&[][..], Body::messages);
        let opened = self.collect(messages.first());
        if parsed.as_ref().is_some_and(Body::is_batch) && matches!(decision, BodyDecision::Exchange(_)) {
            self.happened("answer: of a batch");
        }
        let session = opened.or_else(|| session_of(head));
        let is_request = |message: &&Message| message.kind() == MessageKind::Request;
        let asks: Vec<String> =
            messages.iter().filter(is_request).filter_map(Message::id).map(ToString::to_string).collect();
        let others = messages.len() - asks.len();
        match decision {
            BodyDecision::Answer(response) => {
                self.note_answer(&response);
                if let (Some(session), 202) = (&session, response.status()) {
                    self.accounts.entry(session.clone()).or_default().accepted += others;
                }
                Ok(Next::Respond(response))
            }
            BodyDecision::Exchange(exchange) => {
                let revision = session.as_ref().and_then(|id| self.book.revision(id));
                let revision = revision.unwrap_or(Revision::V2026_07_28);
                let session = session.filter(|_| !revision.is_stateless());
                self.book.asked(exchange, session.as_ref(), revision, asks);
                self.held.insert(exchange, others);
                self.conns.insert(exchange, (conn, session));
                for event in &self.events {
                    if let StreamableEvent::Subscribed { call, filter } = event {
                        self.book.subscribed(exchange, *call, filter)?;
                    }
                }
                Ok(Next::Wait(exchange))
            }
        }
    }

    /// Takes up what the machine tells; the session that was opened, if one was, by this message.
    pub(super) fn collect(&mut self, initialize: Option<&Message>) -> Option<SessionId> {
        let mut opened = None;
        while let Some(event) = self.machine.poll_event() {
            if let StreamableEvent::Opened { session, principal } = &event {
                self.principals.insert(session.clone(), principal.clone());
                let proposed = initialize.and_then(proposed_by).unwrap_or(Revision::V2025_11_25);
                self.book.opened(session, proposed);
                opened = Some(session.clone());
            }
            if let StreamableEvent::Ended { session, .. } = &event {
                self.book.ended(session);
            }
            self.events.push_back(event);
        }
        opened
    }

    pub(super) fn poll_event(&mut self) -> Option<StreamableEvent> {
        self.collect(None);
        self.events.pop_front()
    }

    /// I8: there are never more sessions than configured.
    pub(super) fn check_sessions(&self) -> Result<(), Broken> {
        let (sessions, most) = (self.machine.sessions().count(), self.machine.config().limits.max_sessions);
        if sessions > most.get() {
            return Err((Law::I8, format!("{sessions} sessions, and {most} are borne")));
        }
        Ok(())
    }

    pub(super) fn conn_of(&self, exchange: ExchangeId) -> Option<Conn> {
        self.conns.get(&exchange).map(|(conn, _)| *conn)
    }

    /// The answer of an exchange, if it is there.
    pub(super) fn answer(
        &mut self,
        now: Tick,
        exchange: ExchangeId,
        late_by: Option<Duration>,
    ) -> Result<Option<Answered>, Broken> {
        let answer = self.machine.answer(now, exchange);
        let clock = self.sync();
        match answer {
            None => Ok(None),
            Some(Answer::Response(response)) => {
                let session = self.conns.remove(&exchange).and_then(|(_, session)| session);
                let others = self.held.remove(&exchange).unwrap_or(0);
                if let (Some(session), 202) = (session, response.status()) {
                    self.accounts.entry(session).or_default().accepted += others;
                }
                match response.status() {
                    503 => self.book.withdrew(exchange),
                    404 if says(&response, "no such session") => {
                        self.happened("answer: the end of its session")
                    }
                    _ => {}
                }
                let is_refused = self.note_answer(&response);
                self.happened(match response.status() {
                    200 => "answer: one object",
                    400.. if !is_refused => "answer: an error by its status",
                    _ => "answer: one status",
                });
                self.book.whole(exchange, &response)?;
                Ok(Some(Answered::Whole(response)))
            }
            Some(Answer::Stream(stream)) => {
                self.happened("answer: a stream");
                let (mut watched, offer) = Watched::made(clock, *stream);
                if let Some(late_by) = late_by {
                    watched = watched.driven(late_by);
                }
                self.book.begin(clock, exchange, &mut watched, &offer)?;
                watched.compare();
                Ok(Some(Answered::Stream(Box::new(watched))))
            }
        }
    }

    /// Fills a stream; whether it is to be filled again.
    pub(super) fn fill(
        &mut self,
        now: Tick,
        exchange: ExchangeId,
        stream: &mut Watched,
    ) -> Result<bool, Broken> {
        let was_open = stream.stream().is_open();
        let (filled, more) = stream.lend(|stream| self.machine.fill(now, exchange, stream));
        let clock = self.sync();
        self.book.filled(clock, exchange, stream, more, (was_open, filled.again))?;
        stream.compare();
        Ok(filled.again)
    }

    /// A stream is over.
    pub(super) fn closed(&mut self, now: Tick, exchange: ExchangeId, stream: &Watched, close: &Close) {
        self.book.closed(exchange, stream);
        self.conns.remove(&exchange);
        self.machine.handle_closed(now, exchange, close);
    }

    /// The client of an exchange is gone before its answer was there.
    pub(super) fn gone(&mut self, now: Tick, exchange: ExchangeId) {
        self.conns.remove(&exchange);
        let calls = self.machine.load().0;
        self.machine.handle_gone(now, exchange);
        if self.machine.load().0 < calls && self.held.remove(&exchange).is_some() {
            self.book.withdrew(exchange);
        }
        self.happened("answer: its client left before");
    }

    /// Counts a refusal by its words; whether it is one of this endpoint's.
    pub(super) fn note_answer(&mut self, response: &Response) -> bool {
        let mut refusals = HAPPENINGS.iter().filter_map(|one| Some((*one, one.strip_prefix("refused: ")?)));
        if response.status() < 400 {
            return false;
        }
        let said = core::str::from_utf8(response.body()).unwrap_or_default();
        let Some((what, _)) = refusals.find(|(_, why)| said.contains(why)) else { return false };
        self.happened(what);
        true
    }
}

fn says(response: &Response, why: &str) -> bool {
    core::str::from_utf8(response.body()).is_ok_and(|body| body.contains(why))
}

/// Who asks, as the world's clients say it.
fn principal_of(head: &RequestHead) -> Principal {
    let name = head.header("authorization").and_then(|value| core::str::from_utf8(value).ok());
    name.map_or_else(Principal::anonymous, Principal::named)
}

/// The session that a request names, where its revision has any.
fn session_of(head: &RequestHead) -> Option<SessionId> {
    if head.header("mcp-protocol-version") == Some(Revision::V2026_07_28.as_str().as_bytes()) {
        return None;
    }
    let id = head.header("mcp-session-id").and_then(|id| core::str::from_utf8(id).ok())?;
    SessionId::parse(id).ok()
}

fn refuses(decision: &HeadDecision) -> bool {
    matches!(decision, HeadDecision::Answer(response) if response.status() >= 400)
}

/// The revision that an `initialize` request leads to.
fn proposed_by(initialize: &Message) -> Option<Revision> {
    let [proposed] = initialize.params(["protocolVersion"]).ok()?;
    let revision = proposed?.trim_matches('"').parse().ok()?;
    match revision {
        Revision::V2024_11_05 => Some(Revision::V2025_03_26),
        Revision::V2026_07_28 => None,
        revision => Some(revision),
    }
}

#[cfg(test)]
mod tests;
