//! [`McpClient`]: a well-behaved client of Streamable HTTP, in any of its revisions, as a pure program.

mod action;
mod lane;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use self::action::Running;
pub use self::lane::{Fate, HeardEvent, Lane};
use super::{Conn, End, Program, Rng, Wish, earliest};
use crate::http1::ResponseEvent;
use crate::mcp::{Message, Revision, SessionId};
use crate::{Disconnect, Tick};

/// What an [`McpClient`] does.
#[derive(Clone, Debug)]
pub struct McpConfig {
    /// The revision that it speaks.
    pub revision: Revision,
    /// What it says in `Authorization`.
    pub name: Option<String>,
    /// When it comes.
    pub comes: Tick,
    /// When it hangs up for good, if it does.
    pub leaves: Option<Tick>,
    /// Its requests, by id and method, in order. No two in a world should have the same id.
    pub asks: VecDeque<(u64, String)>,
    /// The id of its first `initialize`; each further one is one more.
    pub first_id: u64,
    /// How long it waits between two requests.
    pub pause: Duration,
    /// How many of them it has open at once.
    pub at_once: usize,
    /// Whether it opens a stream by `GET`.
    pub listens: bool,
    /// After how long it opens another beside it.
    pub listens_again: Option<Duration>,
    /// When it ends its session by `DELETE`.
    pub deletes: Option<Tick>,
    /// One request in so many is cancelled; 0 for none.
    pub cancels: u64,
    /// One time in so many it forgets some of what it heard, and comes again for it; 0 for never.
    pub goes_back: u64,
    /// How long it waits for a byte.
    pub patience: Duration,
    /// After how long it comes again, where no server has said so, and at the most.
    pub retry: Duration,
    /// The seed of its luck.
    pub seed: u64,
}

impl Default for McpConfig {
    fn default() -> McpConfig {
        McpConfig {
            revision: Revision::V2025_11_25,
            name: None,
            comes: Tick::ZERO,
            leaves: None,
            asks: VecDeque::new(),
            first_id: 1_000_000,
            pause: Duration::from_millis(10),
            at_once: 4,
            listens: true,
            listens_again: None,
            deletes: None,
            cancels: 0,
            goes_back: 0,
            patience: Duration::from_secs(60),
            retry: Duration::from_secs(1),
            seed: 1,
        }
    }
}

/// Opens a session, asks, listens, and comes back with `Last-Event-ID` for what it lost; and remembers all that it
/// heard, each in its place.
#[derive(Debug)]
pub struct McpClient {
    config: McpConfig,
    rng: Rng,
    /// Counts the sessions that it wanted.
    era: u32,
    session: Option<SessionId>,
    phase: Phase,
    lanes: Vec<Lane>,
    /// What it is going to do, and when.
    actions: BTreeMap<(Tick, u64), Action>,
    planned: u64,
    ready: VecDeque<Action>,
    conns: BTreeMap<Conn, Running>,
    next_ask: Tick,
    statuses: BTreeMap<u16, u64>,
    told_gone: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It will want a session then.
    Away(Tick),
    Opening,
    Open,
    Gone,
}

/// One thing to do, each with a connection of its own but for a cancellation.
#[derive(Clone, Debug)]
enum Action {
    /// Makes the request of a lane: `initialize`, or any other.
    Ask(usize),
    /// Comes again for what a lane has missed.
    Resume(usize),
    /// Opens the stream of a lane by `GET`.
    Listen(usize),
    /// POSTs a notification or a response, in its era.
    Say(u32, String),
    Delete(u32),
    Cancel(usize),
}

impl McpClient {
    /// A client that does this.
    #[must_use]
    pub fn new(config: McpConfig) -> McpClient {
        McpClient {
            rng: Rng::new(config.seed),
            era: 0,
            session: None,
            phase: Phase::Away(config.comes),
            lanes: Vec::new(),
            actions: BTreeMap::new(),
            planned: 0,
            ready: VecDeque::new(),
            conns: BTreeMap::new(),
            next_ask: config.comes,
            statuses: BTreeMap::new(),
            told_gone: 0,
            config,
        }
    }

    /// What it heard, place by place.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The session that it is in.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// How often it was answered with which status.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        self.statuses.iter().map(|(status, times)| (*status, *times))
    }

    /// How often it was told that what it missed is gone.
    #[must_use]
    pub fn told_gone(&self) -> u64 {
        self.told_gone
    }

    /// Gives it one thing more to ask.
    pub fn ask(&mut self, id: u64, method: &str) {
        self.config.asks.push_back((id, method.to_string()));
    }

    /// Whether it hung up for good.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Gone
    }

    /// From now on it does nothing that it need not.
    pub fn calm_down(&mut self) {
        (self.config.deletes, self.config.cancels, self.config.goes_back) = (None, 0, 0);
        self.actions.retain(|_, action| !matches!(action, Action::Delete(_) | Action::Cancel(_)));
    }

    /// Hangs up for good.
    pub fn leave(&mut self) {
        self.phase = Phase::Gone;
        self.actions.clear();
        self.ready.clear();
        self.conns.clear();
        for lane in &mut self.lanes {
            lane.conn = None;
        }
    }

    fn plan(&mut self, at: Tick, action: Action) {
        self.planned += 1;
        self.actions.insert((at, self.planned), action);
    }

    /// Takes up what is due.
    fn look(&mut self, now: Tick) {
        if self.config.leaves.is_some_and(|at| at <= now) && self.phase != Phase::Gone {
            return self.leave();
        }
        if let Phase::Away(at) = self.phase
            && at <= now
        {
            self.era += 1;
            self.session = None;
            if self.config.revision.is_stateless() {
                self.phase = Phase::Open;
            } else {
                self.phase = Phase::Opening;
                let id = self.config.first_id + u64::from(self.era);
                let lane = self.open_lane(id, "initialize");
                self.ready.push_back(Action::Ask(lane));
                self.may_cancel(now, lane);
            }
        }
        while let Some(first) = self.actions.first_entry().filter(|first| first.key().0 <= now) {
            let action = first.remove();
            match action {
                Action::Cancel(lane) => self.cancel(now, lane),
                action if self.is_current(&action) => self.ready.push_back(action),
                _ => {}
            }
        }
        if self.can_ask()
            && self.next_ask <= now
            && let Some((id, method)) = self.config.asks.pop_front()
        {
            let lane = self.open_lane(id, &method);
            self.ready.push_back(Action::Ask(lane));
            self.next_ask = now + self.config.pause;
            self.may_cancel(now, lane);
        }
        if self.can_delete() && self.config.deletes.take_if(|at| *at <= now).is_some() {
            self.ready.push_back(Action::Delete(self.era));
        }
    }

    fn may_cancel(&mut self, now: Tick, lane: usize) {
        if self.config.cancels > 0 && self.rng.one_in(self.config.cancels) {
            let after = Duration::from_micros(self.rng.below(1_500_000));
            self.plan(now + after, Action::Cancel(lane));
        }
    }

    fn can_ask(&self) -> bool {
        // A subscription is in nobody's way.
        let is_ask = |lane: &Lane| lane.request.is_some() && lane.method != "subscriptions/listen";
        let open = |lane: &&Lane| lane.era == self.era && is_ask(lane) && lane.fate == Fate::Open;
        self.phase == Phase::Open
            && !self.config.asks.is_empty()
            && self.lanes.iter().filter(open).count() < self.config.at_once
    }

    fn can_delete(&self) -> bool {
        self.phase == Phase::Open && !self.config.revision.is_stateless()
    }

    fn open_lane(&mut self, id: u64, method: &str) -> usize {
        let mut lane = Lane::new(self.era, self.session.clone(), Some(format!("{id}")));
        lane.body = action::body_of(self.config.revision, id, method);
        lane.method = method.to_string();
        self.lanes.push(lane);
        self.lanes.len() - 1
    }

    /// The session is there.
    fn opened(&mut self, now: Tick) {
        if self.phase != Phase::Opening {
            return;
        }
        self.phase = Phase::Open;
        self.next_ask = now;
        let text = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.ready.push_back(Action::Say(self.era, text.to_string()));
        if self.config.listens {
            self.listen(now);
            if let Some(after) = self.config.listens_again {
                self.lanes.push(Lane::new(self.era, self.session.clone(), None));
                self.plan(now + after, Action::Listen(self.lanes.len() - 1));
            }
        }
    }

    fn listen(&mut self, now: Tick) {
        self.lanes.push(Lane::new(self.era, self.session.clone(), None));
        self.plan(now, Action::Listen(self.lanes.len() - 1));
    }

    /// The session is over: what was asked in it will not be answered.
    fn session_over(&mut self, now: Tick, era: u32) {
        if era != self.era
            || matches!(self.phase, Phase::Gone | Phase::Away(_))
            || self.config.revision.is_stateless()
        {
            return;
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.era == era && lane.fate == Fate::Open) {
            lane.fate = Fate::GivenUp;
        }
        self.phase = Phase::Away(now + self.config.retry);
    }

    /// It does not want the response any more: it closes, or says so, as its revision has it. Sometimes it does both,
    /// and who wanted a session just hangs up.
    fn cancel(&mut self, now: Tick, at: usize) {
        let hangs_up = self.config.revision.rules().end_cancels || self.rng.one_in(2);
        let lane = &mut self.lanes[at];
        if lane.fate != Fate::Open {
            return;
        }
        lane.fate = Fate::GivenUp;
        let (era, opens) = (lane.era, lane.method == "initialize");
        if (hangs_up || opens)
            && let Some(conn) = lane.conn.take()
        {
            self.conns.remove(&conn);
        }
        if opens {
            self.session_over(now, era);
        } else if let Some(id) = lane.request.as_ref().filter(|_| !self.config.revision.is_stateless()) {
            let params = format!(r#"{{"requestId":{id}}}"#);
            if let Ok(message) = Message::notification("notifications/cancelled", params) {
                self.plan(now, Action::Say(era, message.as_str().to_string()));
            }
        }
    }
}

impl Program for McpClient {
    fn connects(&mut self, now: Tick) -> Option<usize> {
        self.look(now);
        (!self.ready.is_empty()).then_some(0)
    }

    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        if let Some(action) = self.ready.pop_front() {
            self.begin(now, conn, action);
        }
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        match self.conns.get(&conn) {
            Some(running) if !running.over => {
                offer.extend_from_slice(&running.out);
                Wish { read: usize::MAX, wake_at: Some(running.drop_at), end: End::Open }
            }
            Some(_) | None => Wish { read: 0, wake_at: None, end: End::Drop },
        }
    }

    fn handle_wrote(&mut self, _: Tick, conn: Conn, taken: &[u8]) {
        if let Some(running) = self.conns.get_mut(&conn) {
            running.out.drain(..taken.len());
        }
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        let mut input = bytes;
        while let Some(running) = self.conns.get_mut(&conn).filter(|running| !running.over) {
            running.drop_at = now + self.config.patience;
            match running.reader.read(&mut input) {
                Ok(Some(ResponseEvent::Head(head))) => self.read_head(now, conn, &head),
                Ok(Some(ResponseEvent::Body(part))) => {
                    let part = part.to_vec();
                    self.read_body(now, conn, &part);
                }
                Ok(Some(ResponseEvent::End)) => self.lost(now, conn, true),
                Ok(None) => return,
                Err(_) => self.lost(now, conn, false),
            }
        }
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, _: Disconnect) {
        self.lost(now, conn, false);
    }

    fn handle_closed(&mut self, _: Tick, conn: Conn) {
        self.conns.remove(&conn);
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        match conn {
            Some(conn) if self.conns.get(&conn).is_some_and(|running| running.drop_at <= now) => {
                self.lost(now, conn, false);
            }
            Some(_) => {}
            None => self.look(now),
        }
    }

    fn deadline(&self) -> Option<Tick> {
        let comes = match self.phase {
            Phase::Gone => return None,
            Phase::Away(at) => Some(at),
            Phase::Opening | Phase::Open => None,
        };
        let action = self.actions.first_key_value().map(|((at, _), _)| *at);
        let asks = self.can_ask().then_some(self.next_ask);
        let deletes = self.config.deletes.filter(|_| self.can_delete());
        earliest([comes, action, asks, deletes, self.config.leaves])
    }
}
