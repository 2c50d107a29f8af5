//! The laws of an event stream, over random runs, against a model that knows only what was asked and what the
//! socket took. The model does its own sums: when a stall, a lag, a keep-alive is due.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::{
    Close, CloseReason, Disconnect, EventId, EventStream, Frame, Framing, KeepAlive, LineEnd, Manner,
    PushError, Retry, SpinGuard, Step, StreamConfig, StreamConfigBuilder, Tick,
};

const STALL: u64 = 500;
const LAG: u64 = 1_200;
const QUIET: u64 = 300;
const DRAIN: u64 = 400;
const LIFETIME: u64 = 6_000;
const FRAMES: usize = 5;
const BYTES: usize = 300;
const HEAD: &[u8] = b"HEAD\r\n\r\n";

#[derive(Clone, Debug)]
enum Op {
    Push(String),
    PushWithId(String),
    /// The socket takes so many bytes of what is offered.
    Take(usize),
    Timeout,
    /// The driver serves the deadline that is reported, or looks a microsecond before it.
    Serve(u64),
    /// The clock goes on, or back.
    Clock(i64),
    Input(usize),
    Fault,
    KeepAlive(bool),
    Disconnect,
    Finish,
    Abort,
    Abandon,
}

fn op() -> impl Strategy<Value = Op> {
    let text =
        prop::sample::select(vec!["", "x", "two\nlines", "a longer text that takes more room than the rest"]);
    let text = text.prop_map(String::from);
    prop_oneof![
        10 => text.clone().prop_map(Op::Push),
        6 => text.prop_map(Op::PushWithId),
        14 => prop_oneof![Just(usize::MAX), 0..40_usize, Just(1)].prop_map(Op::Take),
        6 => Just(Op::Timeout),
        4 => (0..2_u64).prop_map(Op::Serve),
        12 => prop_oneof![0..250_i64, Just(0), -400..0_i64, Just(1_000)].prop_map(Op::Clock),
        1 => (0..3_000_usize).prop_map(Op::Input),
        1 => Just(Op::Fault),
        1 => any::<bool>().prop_map(Op::KeepAlive),
        1 => prop_oneof![3 => Just(Op::Finish), 1 => Just(Op::Disconnect), 1 => Just(Op::Abort), 1 => Just(Op::Abandon)],
    ]
}

/// Two kinds of configuration: the default's and the preset's, with shorter clocks.
fn config(preset: bool) -> StreamConfigBuilder {
    let builder = if preset {
        let guard = SpinGuard::EveryFrame {
            gap: us(20),
            in_a_row: NonZeroU32::new(6).unwrap(),
            window: NonZeroU32::new(4).map(|most| (us(200), most)),
        };
        let keep_alive = KeepAlive::contextforge(us(QUIET), Retry::Every(Duration::from_secs(5)));
        StreamConfigBuilder::contextforge().keep_alive(keep_alive).spin_guard(guard)
    } else {
        StreamConfig::builder().keep_alive(KeepAlive::Comment(us(QUIET)))
    };
    builder
        .stall_after(Some(us(STALL)))
        .lag_after(Some(us(LAG)))
        .drain_within(us(DRAIN))
        .max_lifetime(Some(us(LIFETIME)))
        .max_queued(NonZeroUsize::new(FRAMES).unwrap(), NonZeroUsize::new(BYTES).unwrap())
        .max_empty_writes(NonZeroU32::new(4).unwrap())
}

/// An accepted frame in its envelope.
struct Accepted {
    wire: Vec<u8>,
    id: Option<EventId>,
    at: u64,
}

struct Model {
    stream: EventStream,
    framing: Framing,
    preset: bool,
    /// What the driver says that it is, and the latest that it ever said.
    clock: u64,
    latest: u64,
    /// All that the socket took.
    wire: Vec<u8>,
    waiting: VecDeque<Accepted>,
    /// Bytes taken of the first that waits, or of a keep-alive in front of it.
    partial: Vec<u8>,
    head_left: usize,
    accepted: usize,
    delivered: usize,
    last_delivered: Option<EventId>,
    next_id: u64,
    finishing: bool,
    close: Option<Close>,
    /// When the last byte was taken, or bytes began to wait.
    progress: u64,
    /// When the last byte was taken, and how long before the write that is under way that was.
    spoke: u64,
    quiet: u64,
    keep_alives: bool,
}

impl Model {
    fn new(framing: Framing, preset: bool) -> Model {
        let config = Arc::new(config(preset).build().unwrap());
        Model {
            stream: EventStream::with_head(Tick::ZERO, config, Box::from(HEAD), framing),
            framing,
            preset,
            clock: 0,
            latest: 0,
            wire: Vec::new(),
            waiting: VecDeque::new(),
            partial: Vec::new(),
            head_left: HEAD.len(),
            accepted: 0,
            delivered: 0,
            last_delivered: None,
            next_id: 1,
            finishing: false,
            close: None,
            progress: 0,
            spoke: 0,
            quiet: 0,
            keep_alives: true,
        }
    }

    fn now(&self) -> Tick {
        Tick::from_micros(self.clock)
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now();
        let offered = self.offered();
        match op {
            Op::Push(text) => self.push(text, None),
            Op::PushWithId(text) => {
                let id = EventId { stream: 0xc, seq: self.next_id };
                self.next_id += 1;
                self.push(text, Some(id));
            }
            Op::Take(most) => self.take(*most),
            Op::Timeout => {
                self.stream.handle_timeout(now);
                // I5
                let due = self.stream.deadline();
                assert!(due.is_none_or(|(at, _)| at.as_micros() > self.latest), "{due:?} at {}", self.latest);
            }
            Op::Serve(early) => {
                let Some((at, _)) = self.stream.deadline() else { return };
                self.clock = at.as_micros().saturating_sub(*early);
                return self.apply(&Op::Timeout);
            }
            Op::Clock(step) => {
                self.clock = self.clock.saturating_add_signed(*step);
                return;
            }
            Op::Input(n) => self.stream.handle_input(now, *n),
            Op::Fault => self.stream.handle_fault(now),
            Op::KeepAlive(on) => {
                self.stream.set_keep_alive(now, *on);
                self.keep_alives = *on;
            }
            Op::Disconnect => self.stream.handle_disconnect(now, Disconnect::Reset),
            Op::Finish => {
                self.stream.finish(now);
                self.finishing = true;
            }
            Op::Abort => self.stream.abort(now),
            Op::Abandon => self.stream.handle_abandoned(now),
        }
        self.latest = self.latest.max(self.clock);
        if offered == 0 && self.offered() > 0 {
            self.progress = self.latest;
        }
        self.closes(op);
        self.deadlines();
    }

    fn offered(&self) -> usize {
        match self.stream.poll() {
            Step::Run { bytes, .. } => bytes.len(),
            Step::Closed(_) => 0,
        }
    }

    fn push(&mut self, text: &str, id: Option<EventId>) {
        let frame = Frame::message(text);
        let pushed = match id {
            Some(id) => self.stream.push_with_id(self.now(), id, frame.clone()),
            None => self.stream.push(self.now(), frame.clone()),
        };
        match pushed {
            Ok(()) => {
                assert!(self.close.is_none() && !self.finishing);
                let line_end = if self.preset { "\r\n" } else { "\n" };
                let id_line = id.map(|id| format!("id: {id}{line_end}")).unwrap_or_default();
                let body = [id_line.as_bytes(), frame.as_bytes()].concat();
                let at = self.latest.max(self.clock);
                self.waiting.push_back(Accepted { wire: self.chunk(&body), id, at });
                self.accepted += 1;
                assert!(self.waiting.len() <= FRAMES, "bounded in frames");
            }
            Err(PushError::Full(back)) => {
                assert_eq!(back, frame, "it comes back");
                let bytes: usize = self.waiting.iter().map(|one| one.wire.len()).sum();
                let full = self.waiting.len() == FRAMES || bytes + HEAD.len() + 100 > BYTES;
                assert!(full && !self.waiting.is_empty(), "refused without need");
            }
            Err(PushError::Closed(back)) => {
                assert_eq!(back, frame);
                // Its longest life may have ended it, and the close comes when it is drained.
                assert!(self.close.is_some() || self.finishing || self.latest >= LIFETIME);
                self.finishing = true;
            }
        }
    }

    fn chunk(&self, body: &[u8]) -> Vec<u8> {
        match self.framing {
            Framing::Raw => body.to_vec(),
            Framing::Chunked => [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat(),
        }
    }

    fn keep_alive(&self) -> Vec<u8> {
        self.chunk(if self.preset {
            b"event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n"
        } else {
            b":\n\n"
        })
    }

    fn take(&mut self, most: usize) {
        let Step::Run { bytes, .. } = self.stream.poll() else { return };
        let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
        assert_eq!(bytes.len(), taken.len());
        taken.truncate(most);
        if !taken.is_empty() {
            let now = self.latest.max(self.clock);
            if self.partial.is_empty() {
                self.quiet = now - self.spoke;
            }
            (self.progress, self.spoke) = (now, now);
        }
        self.wire.extend(&taken);
        for byte in &taken {
            self.taken(*byte);
        }
        self.stream.handle_wrote(self.now(), taken.len());
    }

    /// I1: the head, then whole frames in their order; between two of them there may be a keep-alive.
    fn taken(&mut self, byte: u8) {
        if self.head_left > 0 {
            assert_eq!(byte, HEAD[HEAD.len() - self.head_left]);
            self.head_left -= 1;
            return;
        }
        self.partial.push(byte);
        let keep_alive = self.keep_alive();
        if let Some(first) = self.waiting.front().filter(|first| first.wire.starts_with(&self.partial)) {
            if first.wire.len() == self.partial.len() {
                let first = self.waiting.pop_front().unwrap();
                self.delivered += 1;
                self.last_delivered = first.id.or(self.last_delivered);
                self.partial.clear();
            }
        } else if keep_alive.starts_with(&self.partial) {
            if keep_alive.len() == self.partial.len() {
                assert!(self.quiet >= QUIET, "after {} of silence", self.quiet);
                self.partial.clear();
            }
        } else {
            let end = b"0\r\n\r\n".starts_with(&self.partial[..]) && self.framing == Framing::Chunked;
            let ending = self.finishing || self.latest.max(self.clock) >= LIFETIME;
            assert!(end && self.waiting.is_empty() && ending, "{}", self.wire.escape_ascii());
        }
    }

    /// I2, I3, I4.
    fn closes(&mut self, op: &Op) {
        let Some(close) = self.stream.closed().copied() else {
            assert!(!matches!(op, Op::Disconnect | Op::Abort | Op::Abandon));
            return;
        };
        if let Some(first) = self.close {
            assert_eq!(close, first, "the first close stands");
        }
        self.close = Some(close);
        assert_eq!((self.offered(), self.stream.deadline()), (0, None));
        assert_eq!(self.delivered + close.undelivered, self.accepted, "{:?}", close.reason);
        assert_eq!(close.last_delivered, self.last_delivered);
        assert!(close.at.as_micros() <= self.latest);
        match close.manner {
            Manner::Finish => {
                assert!(matches!(close.reason, CloseReason::Finished | CloseReason::Expired));
                assert!(close.undelivered == 0 && self.head_left == 0);
                let whole = self.framing == Framing::Raw || self.wire.ends_with(b"0\r\n\r\n");
                assert!(whole, "{}", self.wire.escape_ascii());
            }
            Manner::Abort => {
                let early = |since: u64, after: u64| close.at.as_micros() < since + after;
                match close.reason {
                    CloseReason::Stalled { for_ } => {
                        assert!(
                            for_ >= us(STALL) && !early(self.progress, STALL),
                            "{close:?} {}",
                            self.progress
                        );
                    }
                    CloseReason::Lagged { behind } => {
                        let oldest =
                            self.waiting.front().filter(|_| self.head_left == 0 && self.partial.is_empty());
                        assert!(behind >= us(LAG) && !early(oldest.map_or(0, |oldest| oldest.at), LAG));
                    }
                    CloseReason::RapidFrames { .. } => assert!(self.preset),
                    CloseReason::Spinning { empty_writes } => assert_eq!(empty_writes, 4),
                    CloseReason::FaultLimit { faults } => assert_eq!(faults, 3),
                    _ => {}
                }
            }
        }
    }

    /// What is reported is never later than what the model knows to be due.
    fn deadlines(&self) {
        if self.close.is_some() {
            return;
        }
        let reported = self.stream.deadline().map(|(at, _)| at.as_micros());
        if self.offered() == 0 {
            let due = reported.is_some_and(|at| at <= self.spoke + QUIET);
            assert!(due || !self.keep_alives, "{reported:?} {}", self.spoke);
            return;
        }
        assert!(reported.is_some_and(|at| at <= self.progress + STALL), "{reported:?} {}", self.progress);
        if let Some(first) = self.waiting.front().filter(|_| self.head_left == 0) {
            // A keep-alive in front of it is younger only by what the queue was empty.
            assert!(reported.is_some_and(|at| at <= first.at + LAG), "{reported:?}");
        }
    }
}

fn framing() -> impl Strategy<Value = Framing> {
    prop::sample::select(vec![Framing::Raw, Framing::Chunked])
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..70)
}

proptest! {
    #[test]
    fn i1_to_i5_i9_what_is_taken_is_what_was_accepted_and_the_close_accounts_for_the_rest(
        framing in framing(), preset in any::<bool>(), ops in ops(),
    ) {
        let mut model = Model::new(framing, preset);
        for op in &ops {
            model.apply(op);
        }
        // However it stands, it ends: nobody takes anything any more.
        model.apply(&Op::Finish);
        model.apply(&Op::Clock(1_000_000));
        model.apply(&Op::Timeout);
        prop_assert!(model.close.is_some());
    }

    /// I6: looking, and timeouts that are early or come again, change nothing.
    #[test]
    fn i6_spurious_timeouts_change_nothing(framing in framing(), preset in any::<bool>(), ops in ops()) {
        let (mut plain, mut noisy) = (Model::new(framing, preset), Model::new(framing, preset));
        for op in &ops {
            plain.apply(op);
            noisy.apply(op);
            // Only what is due at a moment that both have seen: a timeout at the same tick follows in both.
            plain.apply(&Op::Timeout);
            noisy.apply(&Op::Timeout);
            for back in [0, 7, 0, 300] {
                noisy.stream.handle_timeout(Tick::from_micros(noisy.clock.saturating_sub(back)));
                prop_assert_eq!(noisy.stream.deadline(), plain.stream.deadline());
            }
            prop_assert_eq!(noisy.offered(), plain.offered());
        }
        prop_assert_eq!(noisy.wire, plain.wire);
        prop_assert_eq!(noisy.close, plain.close);
    }

    /// I9: a clock that goes back is one that stood still.
    #[test]
    fn i9_time_that_goes_back_is_time_that_stands_still(framing in framing(), preset in any::<bool>(), ops in ops()) {
        let (mut plain, mut wild) = (Model::new(framing, preset), Model::new(framing, preset));
        for op in &ops {
            if let Op::Serve(_) = op {
                continue; // Clocks that differ are not set anew.
            }
            if let Op::Clock(step) = op {
                wild.clock = wild.clock.saturating_add_signed(*step);
                plain.clock = plain.clock.max(wild.clock);
                continue;
            }
            wild.apply(op);
            plain.clock = plain.clock.min(wild.latest.max(wild.clock)).max(plain.latest);
            plain.apply(op);
            prop_assert_eq!(wild.stream.deadline(), plain.stream.deadline());
        }
        prop_assert_eq!(wild.wire, plain.wire);
        prop_assert_eq!(wild.close, plain.close);
    }

    /// I10: into how many writes the bytes are cut does not show, on the wire or in the close.
    #[test]
    fn i10_splits_of_the_writes_do_not_show(
        framing in framing(),
        texts in prop::collection::vec("[a-c\n]{0,20}", 1..FRAMES),
        cuts in prop::collection::vec(1..30_usize, 1..20),
        line_end in prop::sample::select(vec![LineEnd::Lf, LineEnd::CrLf]),
    ) {
        let run = |sizes: &mut dyn Iterator<Item = usize>| {
            let config = Arc::new(StreamConfig::builder().line_end(line_end).build().unwrap());
            let mut stream = EventStream::with_head(Tick::ZERO, config, Box::from(HEAD), framing);
            for (seq, text) in (1..).zip(&texts) {
                stream.push_with_id(Tick::ZERO, EventId { stream: 1, seq }, Frame::message(text)).unwrap();
            }
            stream.finish(Tick::ZERO);
            let mut wire = Vec::new();
            while let Step::Run { bytes, .. } = stream.poll() {
                let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
                taken.truncate(sizes.next().unwrap());
                stream.handle_wrote(Tick::ZERO, taken.len());
                wire.extend(taken);
            }
            (wire, *stream.closed().unwrap())
        };
        let whole = run(&mut std::iter::repeat(usize::MAX));
        prop_assert_eq!(whole.1.undelivered, 0);
        prop_assert_eq!(&run(&mut cuts.iter().copied().cycle()), &whole);
        prop_assert_eq!(&run(&mut std::iter::repeat(1)), &whole);
    }
}

// ---- helpers ----

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}
