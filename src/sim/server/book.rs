//! [`Book`]: a naive memory of what was said at `/mcp`, and where, that says what each response must carry.

mod carries;
mod subscriptions;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use crate::mcp::{CallId, ExchangeId, Filter, Message, MessageKind, Revision, SessionId, StreamableConfig};
use crate::sim::Law;
use crate::{EventId, Frame, Tick};

/// What was said in one place: to a request, or on a session's own stream.
#[derive(Debug)]
pub struct Talk {
    pub(super) session: Option<SessionId>,
    pub(super) revision: Revision,
    /// The ids of the requests that it is for; none for a session's own stream.
    asks: Vec<String>,
    /// Requests that are not answered yet.
    open: usize,
    /// Its number in event ids, once one was seen.
    number: Option<u64>,
    /// By its number from 1.
    log: Vec<Said>,
    /// How far sockets took it, or its client said that it had it.
    taken: u64,
    /// What its present response has yet to be told.
    next: u64,
    /// Where the next response goes on is not known to the event.
    is_vague: bool,
    /// The newest exchange that asked for it.
    latest: Option<ExchangeId>,
    /// The one whose socket tells how far it was taken.
    speaker: Option<ExchangeId>,
    /// Nothing more will be said.
    is_done: bool,
    /// The present response is to end, and the client to come again after so long.
    pub(super) poll: Option<Duration>,
}

#[derive(Debug)]
struct Said {
    frame: Frame,
    /// None for an event that is there for its id only.
    message: Option<Message>,
    at: Tick,
}

/// What an exchange is for.
#[derive(Clone, Copy, Debug)]
struct Speaks {
    /// None for a stream that ends without a word.
    talk: Option<usize>,
    /// The events that it may go on with, the first and the last of them; none where that is known once it begins.
    from: Option<(u64, u64)>,
    /// It may begin with an id that is there for that only.
    may_prime: bool,
}

/// A law, and how it is broken.
pub(super) type Broken = (Law, String);

/// What was said at an endpoint.
#[derive(Debug)]
pub(super) struct Book {
    config: StreamableConfig,
    talks: Vec<Talk>,
    own: BTreeMap<SessionId, usize>,
    calls: BTreeMap<CallId, usize>,
    exchanges: BTreeMap<ExchangeId, Speaks>,
    /// Requests that the application has yet to take, by session and id.
    untaken: BTreeMap<(Option<SessionId>, String), VecDeque<usize>>,
    by_request: BTreeMap<String, usize>,
    now: Tick,
    subscriptions: Vec<(usize, Filter)>,
    /// Responses that ended for their clients to poll.
    pub(super) ended_early: u64,
}

impl Talk {
    /// Its number in the ids of its events, once one was given out.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// What was said, in order; nothing in the place of an event that is there for its id only.
    pub fn said(&self) -> impl ExactSizeIterator<Item = Option<&Message>> {
        self.log.iter().map(|said| said.message.as_ref())
    }

    /// Whether all is said.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    fn kind(&self) -> &'static str {
        match (self.asks.is_empty(), self.is_done) {
            (true, _) => "own stream: resumed",
            (false, true) => "request: resumed when answered",
            (false, false) => "request: resumed at work",
        }
    }

    fn at(&self, seq: u64) -> Option<&Said> {
        self.log.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    fn end(&self) -> u64 {
        self.log.len() as u64 + 1
    }
}

impl Book {
    pub(super) fn new(config: StreamableConfig) -> Book {
        Book {
            config,
            talks: Vec::new(),
            own: BTreeMap::new(),
            calls: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            untaken: BTreeMap::new(),
            by_request: BTreeMap::new(),
            now: Tick::ZERO,
            subscriptions: Vec::new(),
            ended_early: 0,
        }
    }

    /// The endpoint's own time is this.
    pub(super) fn clock(&mut self, now: Tick) {
        self.now = now;
    }

    fn talk(&mut self, session: Option<SessionId>, revision: Revision, asks: Vec<String>) -> usize {
        self.talks.push(Talk {
            session,
            revision,
            open: asks.len(),
            asks,
            number: None,
            log: Vec::new(),
            taken: 0,
            next: 1,
            is_vague: false,
            latest: None,
            speaker: None,
            is_done: false,
            poll: None,
        });
        self.talks.len() - 1
    }

    // ---- what happened ----

    pub(super) fn opened(&mut self, session: &SessionId, revision: Revision) {
        let own = self.talk(Some(session.clone()), revision, Vec::new());
        self.own.insert(session.clone(), own);
    }

    pub(super) fn revision(&self, session: &SessionId) -> Option<Revision> {
        self.own.get(session).and_then(|own| self.talks.get(*own)).map(|own| own.revision)
    }

    /// A POST with these requests waits for its answer.
    pub(super) fn asked(
        &mut self,
        exchange: ExchangeId,
        session: Option<&SessionId>,
        revision: Revision,
        asks: Vec<String>,
    ) {
        let talk = (!asks.is_empty()).then(|| {
            let talk = self.talk(session.cloned(), revision, asks.clone());
            (self.talks[talk].latest, self.talks[talk].speaker) = (Some(exchange), Some(exchange));
            for ask in asks {
                self.by_request.insert(ask.clone(), talk);
                self.untaken.entry((session.cloned(), ask)).or_default().push_back(talk);
            }
            talk
        });
        let speaks = Speaks { talk, from: Some((1, 1)), may_prime: true };
        self.exchanges.insert(exchange, speaks);
    }

    /// A `GET` gets a stream; which kind of one. Where it can't be known what is held any more, `actual` is the number
    /// of the stream that it gets.
    pub(super) fn got(
        &mut self,
        exchange: ExchangeId,
        session: &SessionId,
        last: Option<&str>,
        actual: Option<u64>,
    ) -> &'static str {
        let own = self.own.get(session).copied();
        let Some(last) = last else {
            let takes_over = own.and_then(|own| self.talks.get(own)?.speaker).is_some();
            self.attach(exchange, own, None, true);
            return if takes_over { "own stream: taken over" } else { "own stream: opened" };
        };
        let id = last.parse::<EventId>().ok();
        let talk = id.and_then(|id| Some((self.find(session, id.stream)?, id.seq)));
        let issued = talk.filter(|(talk, seq)| *seq < self.talks[*talk].end());
        let held = issued.filter(|(talk, seq)| self.oldest_held(*talk) <= seq + 1);
        if let Some((number, seq)) = held.filter(|(talk, seq)| self.is_certain(*talk, *seq)) {
            self.talks[number].taken = seq;
            self.attach(exchange, Some(number), Some((seq + 1, seq + 1)), false);
            return self.talks[number].kind();
        }
        let Some(actual) = actual else {
            let empty = Speaks { talk: None, from: None, may_prime: false };
            self.exchanges.insert(exchange, empty);
            return "gap: an empty stream";
        };
        if let Some((number, seq)) = talk.filter(|(talk, _)| self.talks[*talk].number == Some(actual)) {
            let least = held.map_or(self.oldest_held(number), |_| seq + 1);
            let most = self.talks[number].end();
            self.talks[number].taken = self.talks[number].taken.min(seq);
            self.talks[number].is_vague = true;
            self.attach(exchange, Some(number), Some((least, most)), true);
            return if held.is_some() { self.talks[number].kind() } else { "gap: reset" };
        }
        if let Some(own) = own {
            self.talks[own].is_vague = true;
            let (least, most) = (self.oldest_held(own), self.talks[own].end());
            self.attach(exchange, Some(own), Some((least, most)), true);
        }
        "gap: reset to the own stream"
    }

    fn attach(
        &mut self,
        exchange: ExchangeId,
        talk: Option<usize>,
        from: Option<(u64, u64)>,
        may_prime: bool,
    ) {
        if let Some(found) = talk.and_then(|talk| self.talks.get_mut(talk)) {
            (found.poll, found.latest) = (None, Some(exchange));
            // Without an id it waits for what the older one's socket took.
            if from.is_some() {
                found.speaker = Some(exchange);
            }
        }
        self.exchanges.insert(exchange, Speaks { talk, from, may_prime });
    }

    /// I12: a `Last-Event-ID` is refused only where what follows it is gone, or it was never given out.
    pub(super) fn refused(&self, session: &SessionId, last: &str) -> Result<&'static str, Broken> {
        let Ok(id) = last.parse::<EventId>() else { return Ok("gap: an unreadable id refused") };
        let Some(talk) = self.find(session, id.stream) else { return Ok("gap: an id of no stream refused") };
        if id.seq >= self.talks[talk].end() {
            return Ok("gap: an id of the future refused");
        }
        if self.is_certain(talk, id.seq) {
            return Err((Law::I12, format!("{id} is told to be gone, and what follows it is held")));
        }
        Ok("gap: refused")
    }

    fn find(&self, session: &SessionId, number: u64) -> Option<usize> {
        let is_it = |talk: &Talk| talk.number == Some(number) && talk.session.as_ref() == Some(session);
        self.talks.iter().position(is_it)
    }

    /// The application took a request.
    pub(super) fn took(&mut self, session: Option<&SessionId>, message: &Message, call: CallId) {
        let key = (session.cloned(), message.id().unwrap_or_default().to_string());
        if let Some(talk) = self.untaken.get_mut(&key).and_then(VecDeque::pop_front) {
            self.calls.insert(call, talk);
        }
    }

    /// Requests of a POST that never reached the application.
    pub(super) fn withdrew(&mut self, exchange: ExchangeId) {
        let Some(talk) = self.exchanges.get(&exchange).and_then(|speaks| speaks.talk) else { return };
        for waiting in self.untaken.values_mut() {
            waiting.retain(|one| *one != talk);
        }
    }

    pub(super) fn of_call(&mut self, call: CallId) -> Option<(usize, &mut Talk)> {
        let talk = *self.calls.get(&call)?;
        Some((talk, self.talks.get_mut(talk)?))
    }

    pub(super) fn of_session(&self, session: &SessionId) -> Option<(usize, &Talk)> {
        let talk = *self.own.get(session)?;
        Some((talk, self.talks.get(talk)?))
    }

    pub(super) fn of_request(&self, id: &str) -> Option<&Talk> {
        self.by_request.get(id).and_then(|talk| self.talks.get(*talk))
    }

    /// Something was accepted there. I8: no more than may be kept for a client that does not read.
    pub(super) fn said(&mut self, talk: usize, message: Message) -> Result<(), Broken> {
        let frame = self.config.stream.frame("message", message.as_str(), false).build();
        let most = self.config.limits.replay_frames.get() + self.config.limits.max_batch.get() + 1;
        let replay_for = self.config.limits.replay_for;
        let (Ok(frame), Some(talk)) = (frame, self.talks.get_mut(talk)) else { return Ok(()) };
        let from = if talk.revision.rules().resumable { talk.taken } else { talk.next - 1 };
        let unread = talk.log.iter().skip(usize::try_from(from).unwrap_or(usize::MAX));
        let unread = unread.filter(|said| said.at + replay_for > self.now).count();
        if unread > most && !talk.is_vague {
            return Err((Law::I8, format!("{unread} events are kept that nobody has taken, and one more")));
        }
        if message.kind() == MessageKind::Response {
            talk.open = talk.open.saturating_sub(1);
            talk.is_done = talk.open == 0;
        }
        talk.log.push(Said { frame, message: Some(message), at: self.now });
        Ok(())
    }

    /// A request was let go of without a response, or nobody wants one.
    pub(super) fn let_go(&mut self, call: CallId) {
        if let Some((_, talk)) = self.of_call(call) {
            talk.open = talk.open.saturating_sub(1);
            talk.is_done = talk.open == 0;
        }
    }

    /// I2: refused only where what nobody has taken fills the room.
    pub(super) fn full(&self, talk: usize, message: &Message) -> Result<(), Broken> {
        let Some(talk) = self.talks.get(talk) else { return Ok(()) };
        let from = if talk.revision.rules().resumable { talk.taken } else { talk.next - 1 };
        let unread = talk.log.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
        let bytes: usize = unread.iter().map(|said| said.frame.as_bytes().len()).sum();
        let limits = &self.config.limits;
        let frame = self.config.stream.frame("message", message.as_str(), false).build();
        let len = frame.map_or(0, |frame| frame.as_bytes().len());
        if unread.len() < limits.replay_frames.get() && bytes + len <= limits.replay_bytes.get() {
            let what = format!("refused with {} frames and {bytes} bytes unread", unread.len());
            return Err((Law::I2, what));
        }
        Ok(())
    }

    /// A session is over: nothing more is said in it.
    pub(super) fn ended(&mut self, session: &SessionId) {
        for talk in self.talks.iter_mut().filter(|talk| talk.session.as_ref() == Some(session)) {
            talk.is_done = true;
        }
    }

    /// The server stops: sessions' own streams and subscriptions end.
    pub(super) fn finish(&mut self) {
        self.finish_subscriptions();
        for own in self.own.values() {
            self.talks[*own].is_done = true;
        }
    }

    // ---- what is held ----

    /// The number of the oldest event that may be held: what is older had to make room.
    fn oldest_held(&self, talk: usize) -> u64 {
        let limits = &self.config.limits;
        let most = limits.replay_frames.get() + limits.max_batch.get();
        let (talk, mut frames, mut bytes) = (&self.talks[talk], 0, 0);
        for said in talk.log.iter().rev() {
            bytes += said.frame.as_bytes().len();
            if frames > 0 && (frames == most || bytes > limits.replay_bytes.get()) {
                break;
            }
            frames += 1;
        }
        talk.end() - frames as u64
    }

    /// The number of the oldest event that must be held: it is not too old either.
    fn certainly_held(&self, talk: usize) -> u64 {
        let (mut seq, talk) = (self.oldest_held(talk), &self.talks[talk]);
        while talk.at(seq).is_some_and(|said| said.at + self.config.limits.replay_for <= self.now) {
            seq += 1;
        }
        seq
    }

    /// Whether a client that has seen this event must be able to go on.
    fn is_certain(&self, number: usize, seq: u64) -> bool {
        let talk = &self.talks[number];
        let is_kept = |one: &&Talk| one.session == talk.session && one.is_done && !one.asks.is_empty();
        let kept = self.talks.iter().filter(is_kept).count();
        (talk.asks.is_empty() || !talk.is_done || kept <= self.config.limits.max_kept.get())
            && (!talk.is_done || seq + 1 < talk.end())
            && self.certainly_held(number) <= seq + 1
    }
}
