//! [`Oracle`]: a second, naive opinion about one event stream, that says so when the stream differs.
//!
//! It keeps whole copies where the stream keeps counts, sums up its clocks from what happened instead of from
//! what was reported, and predicts all that can be seen: the bytes, the deadline, the close.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::trace::{Op, Setup, Trace};
use super::{Law, Violation};
use crate::{
    Close, CloseReason, Disconnect, EventId, Framing, HalfClose, LineEnd, Manner, SpinGuard, Step,
    StreamConfig, Tick, Wake,
};

/// What the window of the guard that counts every frame takes for rapid; see [`SpinGuard::EveryFrame`].
const WINDOW_GAP: Duration = Duration::from_millis(10);

/// Holds one event stream against the laws.
///
/// Tell it what the stream is told, by the methods of the same names, and then show it what the stream says by
/// [`check`](Self::check). The first violation stays. [`Watched`](super::Watched) does both.
#[derive(Clone, Debug)]
pub struct Oracle {
    config: Arc<StreamConfig>,
    framing: Framing,
    keep_alive_frame: Option<Vec<u8>>,
    now: Tick,
    opened: Tick,
    life: Life,
    waiting: VecDeque<Expected>,
    /// Bytes of the first that are gone.
    begun: usize,
    /// Bytes of all that wait.
    held: usize,
    /// What is in the application's batch.
    batch: VecDeque<Vec<u8>>,
    accepted: usize,
    delivered: usize,
    last_delivered: Option<EventId>,
    pending_since: Tick,
    spoke: Tick,
    keep_alive: bool,
    faults: u32,
    empty_writes: u32,
    read_behind: usize,
    /// It follows a topic, and has not come to the end of it.
    follows: bool,
    /// When every frame that the guard counts was taken whole.
    yields: Vec<Tick>,
    rapid: u32,
    driver: Option<Duration>,
    /// The peer took nothing when it was offered something, and nothing since.
    refused: bool,
    /// The clock of whoever told the last thing had gone back.
    went_back: bool,
    /// The last thing told was a timeout with nothing due.
    idle: bool,
    setup: Setup,
    ops: Vec<(u64, Op)>,
    violation: Option<Violation>,
}

#[derive(Clone, Copy, Debug)]
enum Life {
    Open,
    Finishing { until: Tick, reason: CloseReason },
    Closed(Close),
}

#[derive(Clone, Debug)]
struct Expected {
    bytes: Vec<u8>,
    kind: Kind,
    at: Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Head,
    Opening,
    Event(Option<EventId>),
    KeepAlive,
    Terminator,
}

impl Kind {
    fn is_accepted(self) -> bool {
        matches!(self, Kind::Opening | Kind::Event(_))
    }
}

impl Oracle {
    /// Of a stream that was made now, with these arguments.
    #[must_use]
    pub fn new(now: Tick, config: Arc<StreamConfig>, head: &[u8], framing: Framing) -> Oracle {
        let setup = Setup::of(&config, head.len(), framing);
        let keep_alive_frame = config.keep_alive_frame().map(|frame| frame.as_bytes().to_vec());
        let mut oracle = Oracle {
            config,
            framing,
            keep_alive_frame,
            now,
            opened: now,
            life: Life::Open,
            waiting: VecDeque::new(),
            begun: 0,
            held: 0,
            batch: VecDeque::new(),
            accepted: 0,
            delivered: 0,
            last_delivered: None,
            pending_since: now,
            spoke: now,
            keep_alive: true,
            faults: 0,
            empty_writes: 0,
            read_behind: 4_096,
            follows: false,
            yields: Vec::new(),
            rapid: 0,
            driver: None,
            refused: false,
            went_back: false,
            idle: false,
            setup: Setup { opened: now.as_micros(), ..setup },
            ops: Vec::new(),
            violation: None,
        };
        if !head.is_empty() {
            oracle.expect(Kind::Head, head.to_vec());
        }
        oracle
    }

    /// Says that a driver serves this stream that offers bytes before it looks at the clock, and serves deadlines
    /// at most so late: then I7 is held against it.
    #[must_use]
    pub fn driven(mut self, late_by: Duration) -> Oracle {
        self.driver = Some(late_by);
        self
    }

    /// The first law that was broken.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// What the stream was told so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        Trace { setup: self.setup, ops: self.ops.clone() }
    }

    /// Frames accepted, and frames that the peer took whole.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.accepted, self.delivered)
    }

    /// Whether frames are still accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    /// The id of the last frame that was taken whole, of those with one.
    #[must_use]
    pub fn last_delivered(&self) -> Option<EventId> {
        self.last_delivered
    }

    // ---- what the stream was told ----

    /// A frame was pushed; whether it was accepted.
    pub fn push(&mut self, now: Tick, id: Option<EventId>, frame: &[u8], accepted: bool) {
        self.told(now, Op::Push { size: frame.len(), id });
        let open = matches!(self.life, Life::Open);
        let held: usize = self.held;
        let frames = self.waiting.iter().filter(|one| one.kind.is_accepted()).count();
        let room = frames < self.config.max_frames()
            && (held + frame.len() <= self.config.max_bytes() || frames == 0);
        if accepted != (open && room) {
            let law = if accepted { Law::I8 } else { Law::I2 };
            self.broke(
                law,
                format!("accepted: {accepted}; open: {open}, {frames} frames and {held} bytes held"),
            );
        }
        if accepted {
            self.accept(Kind::Event(id), frame);
        }
    }

    /// The application put an event into its batch, of which the stream learns nothing.
    pub fn batched(&mut self, event: &[u8]) {
        self.ops.push((self.now.as_micros(), Op::Batched { size: event.len() }));
        self.batch.push_back(event.to_vec());
    }

    /// The batch was pushed; how many events were taken from it.
    pub fn push_batch(&mut self, now: Tick, taken: usize) {
        self.told(now, Op::PushBatch);
        let frames = self.waiting.iter().filter(|one| one.kind.is_accepted()).count();
        let mut bytes = self.held;
        let fits = |(nth, event): &(usize, &Vec<u8>)| {
            bytes += event.len();
            let alone = frames + nth == 0;
            frames + nth < self.config.max_frames() && (bytes <= self.config.max_bytes() || alone)
        };
        let fit = self.batch.iter().enumerate().take_while(fits).count();
        let fit = if matches!(self.life, Life::Open) { fit } else { 0 };
        if taken != fit {
            let law = if taken > fit { Law::I8 } else { Law::I2 };
            self.broke(law, format!("{taken} of a batch taken where {fit} fit, {frames} frames held"));
        }
        let events = self.batch.drain(..taken.min(self.batch.len())).collect();
        self.accept_together(events);
    }

    /// A frame was queued that is known to fit: a part of the opening, or one that is said again.
    pub fn push_free(&mut self, now: Tick, id: Option<EventId>, frame: &[u8]) {
        self.told(now, Op::PushFree { size: frame.len(), id });
        self.accept(if id.is_some() { Kind::Event(id) } else { Kind::Opening }, frame);
    }

    /// See [`EventStream::push_opening`](crate::EventStream::push_opening).
    pub fn push_opening(&mut self, now: Tick, frame: &[u8]) {
        self.told(now, Op::Opening { size: frame.len() });
        self.accept(Kind::Opening, frame);
        if let Some(frame) = self.keep_alive_frame.clone().filter(|_| self.config.keep_alive_at_start()) {
            self.accept(Kind::Opening, &frame);
        }
    }

    /// See [`EventStream::follow`](crate::EventStream::follow).
    pub fn follow(&mut self, now: Tick) {
        self.told(now, Op::Follow);
        self.follows |= matches!(self.life, Life::Open);
    }

    /// It was told the time, and nothing else.
    pub fn looked(&mut self, now: Tick) {
        if now > self.now {
            self.told(now, Op::Looked);
        }
    }

    /// All that the topic had was taken; whether there will never be more.
    pub fn caught_up(&mut self, now: Tick, finished: bool) {
        let finishing = matches!(self.life, Life::Finishing { .. });
        if self.follows && (finishing || finished) {
            self.told(now, Op::CaughtUp { finished });
            self.follows = false;
            if finishing {
                self.ends();
            } else {
                self.finishes(CloseReason::Finished);
            }
        }
    }

    /// A frame was taken from a topic, where it has waited for this stream since `at`.
    pub fn took(&mut self, now: Tick, id: EventId, at: Tick, frame: &[u8]) {
        self.told(now, Op::Took { size: frame.len(), id, at: at.as_micros() });
        if matches!(self.life, Life::Closed(_)) || !self.follows {
            self.broke(Law::I3, format!("{id} was taken from the topic after the end"));
        }
        let faults = self.faults;
        self.accept(Kind::Event(Some(id)), frame);
        self.faults = faults;
        if let Some(taken) = self.waiting.back_mut() {
            taken.at = at;
        }
    }

    /// What was next in the topic is gone; the oldest frame there was published at `oldest`.
    pub fn fell_off(&mut self, now: Tick, oldest: Tick) {
        self.told(now, Op::FellOff { oldest: oldest.as_micros() });
        let behind = self.now.since(oldest);
        self.closes(CloseReason::Lagged { behind }, Manner::Abort, None);
    }

    /// It took some frames from a topic, said that this was all, and there are more.
    pub(super) fn left_behind(&mut self) {
        self.broke(Law::I2, "not all was taken from the topic".to_string());
    }

    /// See [`EventStream::finish`](crate::EventStream::finish).
    pub fn finish(&mut self, now: Tick) {
        self.told(now, Op::Finish);
        self.finishes(CloseReason::Finished);
    }

    /// See [`EventStream::abort`](crate::EventStream::abort).
    pub fn abort(&mut self, now: Tick) {
        self.told(now, Op::Abort);
        self.closes(CloseReason::Aborted, Manner::Abort, None);
    }

    /// See [`EventStream::set_keep_alive`](crate::EventStream::set_keep_alive).
    pub fn set_keep_alive(&mut self, now: Tick, on: bool) {
        self.told(now, Op::KeepAlive { on });
        self.keep_alive = on;
        if !on {
            self.drop_unbegun_keep_alive();
        }
    }

    /// The peer took these bytes, the first of those that were offered; none of them, if it said that it was ready.
    pub fn handle_wrote(&mut self, now: Tick, taken: &[u8]) {
        self.told(now, Op::Wrote { n: taken.len() });
        if taken.is_empty() {
            if !self.waiting.is_empty() {
                self.empty_writes += 1;
                self.refused = true;
                if self.empty_writes >= self.config.max_empty_writes() {
                    let reason = CloseReason::Spinning { empty_writes: self.empty_writes };
                    self.closes(reason, Manner::Abort, None);
                }
            }
        } else {
            (self.empty_writes, self.refused) = (0, false);
            (self.pending_since, self.spoke) = (self.now, self.now);
            self.takes(taken);
        }
        self.time_passes();
    }

    /// The peer had no room for what was offered.
    pub fn handle_refused(&mut self) {
        self.refused |= !self.waiting.is_empty();
    }

    /// See [`EventStream::handle_input`](crate::EventStream::handle_input).
    pub fn handle_input(&mut self, now: Tick, n: usize) {
        self.told(now, Op::Input { n });
        self.read_behind = self.read_behind.saturating_sub(n);
        self.time_passes();
    }

    /// See [`EventStream::handle_disconnect`](crate::EventStream::handle_disconnect).
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.told(now, Op::Disconnected { how });
        if how == Disconnect::Eof && self.config.half_close() == HalfClose::GoesOn {
            self.read_behind = 0;
        } else {
            self.closes(CloseReason::Disconnected(how), Manner::Abort, None);
        }
        self.time_passes();
    }

    /// See [`EventStream::handle_fault`](crate::EventStream::handle_fault).
    pub fn handle_fault(&mut self, now: Tick) {
        self.told(now, Op::Fault);
        self.faults += 1;
        if self.faults >= self.config.max_faults() {
            self.closes(CloseReason::FaultLimit { faults: self.faults }, Manner::Abort, None);
        }
        self.time_passes();
    }

    /// See [`EventStream::handle_timeout`](crate::EventStream::handle_timeout).
    pub fn handle_timeout(&mut self, now: Tick) {
        self.told(now, Op::Timeout);
        self.time_passes();
    }

    /// See [`EventStream::handle_abandoned`](crate::EventStream::handle_abandoned).
    pub fn handle_abandoned(&mut self, now: Tick) {
        self.told(now, Op::Abandon);
        self.closes(CloseReason::Abandoned, Manner::Abort, None);
    }

    /// See [`EventStream::supersede`](crate::EventStream::supersede).
    pub fn supersede(&mut self, now: Tick) {
        self.told(now, Op::Supersede);
        self.closes(CloseReason::Superseded, Manner::Abort, None);
    }

    // ---- what the stream says ----

    /// Compares what the stream says now with what it must say.
    pub fn check(&mut self, step: &Step<'_>) {
        if self.violation.is_some() {
            return;
        }
        match (step, self.life) {
            (Step::Closed(close), Life::Closed(expected)) => {
                if **close != expected {
                    self.broke(law_of(close, &expected), format!("{close:?}, but {expected:?}"));
                }
            }
            (Step::Closed(close), Life::Open | Life::Finishing { .. }) => {
                let law = match close.reason {
                    CloseReason::Stalled { .. } | CloseReason::Lagged { .. } => Law::I7,
                    CloseReason::Finished => Law::I4,
                    _ => Law::I3,
                };
                self.broke(law, format!("closed without a cause: {close:?}"));
            }
            (Step::Run { .. }, Life::Closed(expected)) => {
                let law = match expected.reason {
                    CloseReason::Stalled { .. } | CloseReason::Lagged { .. } | CloseReason::Expired => {
                        Law::I5
                    }
                    CloseReason::Finished | CloseReason::DrainTimedOut | CloseReason::Abandoned => Law::I13,
                    _ => Law::I3,
                };
                self.broke(law, format!("runs on, but {expected:?}"));
            }
            (Step::Run { bytes, read, wake_at }, Life::Open | Life::Finishing { .. }) => {
                let offered = match self.config.spin_guard() {
                    SpinGuard::EmptyWrites => self.held,
                    SpinGuard::EveryFrame { .. } => {
                        self.waiting.front().map_or(0, |first| first.bytes.len() - self.begun)
                    }
                };
                if bytes.len() != offered {
                    self.broke(Law::I1, format!("{} bytes offered, but {offered}", bytes.len()));
                }
                if *read != self.read_behind {
                    self.broke(Law::I8, format!("{read} bytes to be read, but {}", self.read_behind));
                }
                let due = self.due();
                if *wake_at != due.map(|(at, _)| at) {
                    self.broke(Law::I5, format!("the deadline is {wake_at:?}, but {due:?}"));
                }
            }
        }
    }

    // ---- inside ----

    fn told(&mut self, now: Tick, op: Op) {
        self.ops.push((now.as_micros(), op));
        self.went_back = now < self.now;
        self.now = self.now.max(now);
        self.idle = op == Op::Timeout && self.due().is_none_or(|(at, _)| at > self.now);
    }

    fn broke(&mut self, law: Law, what: String) {
        // What a clock or an idle timeout has changed breaks their own law first.
        let law = match law {
            Law::I3 | Law::I5 if self.went_back => Law::I9,
            Law::I3 | Law::I5 if self.idle => Law::I6,
            _ => law,
        };
        if self.violation.is_none() {
            let trace = self.trace().to_string();
            self.violation = Some(Violation { law, at: self.now, what, trace });
        }
    }

    fn expect(&mut self, kind: Kind, bytes: Vec<u8>) {
        if self.waiting.is_empty() {
            self.pending_since = self.now;
        }
        self.held += bytes.len();
        self.waiting.push_back(Expected { bytes, kind, at: self.now });
    }

    fn accept(&mut self, kind: Kind, frame: &[u8]) {
        self.faults = 0;
        self.accepted += 1;
        let since = self.drop_unbegun_keep_alive();
        let bytes = self.envelope(kind, frame);
        self.expect(kind, bytes);
        // What takes the place of a keep-alive that nobody took has waited as long.
        if let Some(since) = since {
            self.pending_since = since;
        }
    }

    /// Events that share a chunk: what opens it belongs to the first, and what ends it to the last.
    fn accept_together(&mut self, mut events: Vec<Vec<u8>>) {
        let len: usize = events.iter().map(Vec::len).sum();
        if let (Framing::Chunked, Some(first)) = (self.framing, events.first_mut()) {
            first.splice(..0, format!("{len:x}\r\n").into_bytes());
        }
        if let (Framing::Chunked, Some(last)) = (self.framing, events.last_mut()) {
            last.extend(b"\r\n");
        }
        if events.is_empty() {
            return;
        }
        self.faults = 0;
        self.accepted += events.len();
        let since = self.drop_unbegun_keep_alive();
        events.into_iter().for_each(|event| self.expect(Kind::Event(None), event));
        if let Some(since) = since {
            self.pending_since = since;
        }
    }

    fn envelope(&self, kind: Kind, frame: &[u8]) -> Vec<u8> {
        let line_end = match self.config.line_end() {
            LineEnd::Lf => "\n",
            LineEnd::CrLf => "\r\n",
        };
        let id = match kind {
            Kind::Event(Some(id)) => format!("id: {id}{line_end}"),
            _ => String::new(),
        };
        match self.framing {
            Framing::Raw => [id.as_bytes(), frame].concat(),
            Framing::Chunked => {
                let size = format!("{:x}\r\n", id.len() + frame.len());
                [size.as_bytes(), id.as_bytes(), frame, b"\r\n"].concat()
            }
        }
    }

    fn drop_unbegun_keep_alive(&mut self) -> Option<Tick> {
        let unbegun =
            self.begun == 0 && self.waiting.front().is_some_and(|first| first.kind == Kind::KeepAlive);
        if !unbegun {
            return None;
        }
        self.held -= self.waiting.pop_front().map_or(0, |gone| gone.bytes.len());
        Some(self.pending_since)
    }

    /// I1, I2: byte by byte what was expected, in its order.
    fn takes(&mut self, mut taken: &[u8]) {
        while let Some(first) = self.waiting.front() {
            let rest = &first.bytes[self.begun..];
            let n = rest.len().min(taken.len());
            if rest[..n] != taken[..n] {
                let (rest, taken) = (rest[..n].escape_ascii(), taken[..n].escape_ascii());
                let what = format!("the peer got \"{taken}\" instead of \"{rest}\"");
                return self.broke(Law::I1, what);
            }
            let whole = n == rest.len();
            taken = &taken[n..];
            self.held -= n;
            self.begun += n;
            if !whole {
                break;
            }
            let kind = first.kind;
            self.waiting.pop_front();
            self.begun = 0;
            self.delivered += usize::from(kind.is_accepted());
            if let Kind::Event(id) = kind {
                self.last_delivered = id.or(self.last_delivered);
            }
            if matches!(kind, Kind::Event(_) | Kind::KeepAlive) {
                self.count_yield();
            }
        }
        if !taken.is_empty() && !matches!(self.life, Life::Closed(_)) {
            self.broke(Law::I2, String::from("the peer got more than was accepted"));
        }
        self.drains();
    }

    /// The origin's guard, from the whole history.
    fn count_yield(&mut self) {
        let SpinGuard::EveryFrame { gap, in_a_row, window } = self.config.spin_guard() else { return };
        let since = self.now.since(self.yields.last().copied().unwrap_or(self.opened));
        self.yields.push(self.now);
        self.rapid = if since < gap { self.rapid + 1 } else { 0 };
        let in_window = window.map_or((0, u32::MAX), |(within, most)| {
            let seen = self.yields.iter().rev().take_while(|at| self.now.since(**at) <= within).count();
            (u32::try_from(seen).unwrap_or(u32::MAX), most.get())
        });
        let frames = if in_window.0 > in_window.1 && since < WINDOW_GAP {
            in_window.0
        } else if self.rapid >= in_a_row.get() {
            self.rapid
        } else {
            return;
        };
        self.closes(CloseReason::RapidFrames { frames }, Manner::Abort, None);
    }

    fn finishes(&mut self, reason: CloseReason) {
        let Life::Open = self.life else { return };
        self.life = Life::Finishing { until: self.now + self.config.drain_within(), reason };
        if !self.follows {
            self.ends();
        }
    }

    /// Nothing more will be accepted, from a topic neither.
    fn ends(&mut self) {
        let since = self.drop_unbegun_keep_alive();
        if self.framing == Framing::Chunked {
            self.expect(Kind::Terminator, b"0\r\n\r\n".to_vec());
            self.pending_since = since.unwrap_or(self.pending_since);
        }
        self.drains();
    }

    fn drains(&mut self) {
        if let Life::Finishing { reason, .. } = self.life
            && self.waiting.is_empty()
            && !self.follows
        {
            self.closes(reason, Manner::Finish, None);
        }
    }

    fn closes(&mut self, reason: CloseReason, manner: Manner, due: Option<Tick>) {
        if let Life::Closed(_) = self.life {
            return;
        }
        let undelivered = self.waiting.iter().filter(|one| one.kind.is_accepted()).count();
        let last_delivered = self.last_delivered;
        let close = Close { reason, manner, at: self.now, undelivered, last_delivered };
        debug_assert_eq!(self.delivered + undelivered, self.accepted, "the oracle's own sum, of which I2 is");
        if let (Some(due), Some(late_by)) = (due, self.driver) {
            let late = self.now.since(due);
            if late > late_by {
                self.broke(Law::I7, format!("{reason:?} {late:?} late; the driver is late by {late_by:?}"));
            }
            if matches!(reason, CloseReason::Stalled { .. }) && !self.refused {
                self.broke(Law::I7, format!("{reason:?}, and the peer had refused nothing"));
            }
        }
        self.life = Life::Closed(close);
        self.waiting.clear();
        (self.begun, self.held) = (0, 0);
    }

    /// The earliest of all that time alone will change; of two at once, the one that comes first here.
    fn due(&self) -> Option<(Tick, Wake)> {
        let life = match self.life {
            Life::Open => self.config.max_lifetime().map(|after| (self.opened + after, Wake::Lifetime)),
            Life::Finishing { until, .. } => Some((until, Wake::Drain)),
            Life::Closed(_) => return None,
        };
        let (stall, lag, keep_alive) = match self.waiting.front() {
            Some(first) => (
                self.config.stall_after().map(|after| (self.pending_since + after, Wake::Stall)),
                self.config.lag_after().map(|after| (first.at + after, Wake::Lag)),
                None,
            ),
            None => {
                let every = self.config.keep_alive().every().filter(|_| self.keep_alive);
                (None, None, every.map(|every| (self.spoke + every, Wake::KeepAlive)))
            }
        };
        let mut due = life;
        for other in [stall, lag, keep_alive].iter().flatten() {
            if due.is_none_or(|(at, _)| other.0 < at) {
                due = Some(*other);
            }
        }
        due
    }

    fn time_passes(&mut self) {
        while let Some((at, wake)) = self.due().filter(|(at, _)| *at <= self.now) {
            let late = self.now.since(at);
            let reason = match wake {
                Wake::KeepAlive => {
                    let frame = self.keep_alive_frame.clone().unwrap_or_default();
                    let bytes = self.envelope(Kind::KeepAlive, &frame);
                    self.expect(Kind::KeepAlive, bytes);
                    continue;
                }
                Wake::Lifetime => {
                    self.finishes(CloseReason::Expired);
                    continue;
                }
                Wake::Stall => {
                    CloseReason::Stalled { for_: self.config.stall_after().unwrap_or_default() + late }
                }
                Wake::Lag => {
                    CloseReason::Lagged { behind: self.config.lag_after().unwrap_or_default() + late }
                }
                Wake::Drain => match self.life {
                    Life::Finishing { reason: CloseReason::Expired, .. } => CloseReason::Expired,
                    _ => CloseReason::DrainTimedOut,
                },
            };
            self.closes(reason, Manner::Abort, Some(at));
        }
    }
}

/// Which law a close breaks that is not the one expected.
fn law_of(close: &Close, expected: &Close) -> Law {
    if close.manner != expected.manner {
        Law::I4
    } else if close.undelivered != expected.undelivered || close.last_delivered != expected.last_delivered {
        Law::I2
    } else if close.reason != expected.reason {
        Law::I3
    } else {
        Law::I9
    }
}
