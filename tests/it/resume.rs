//! Sessions over several responses: replay and live delivery have no seam (I12).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::mcp::{HttpSse, Message, Resumption, SendError, SessionId, SessionStream};
use sansio_sse::{CloseReason, Disconnect, EventId, Framing, Manner, ReplayError, Step, StreamConfig, Tick};

#[test]
fn hurt_03_what_the_socket_never_took_is_kept_while_the_session_waits() {
    let mut run = Run::new(4);
    for _ in 0..3 {
        assert!(run.send());
    }
    run.stream.handle_disconnect(at(0), Disconnect::Reset);
    assert!(run.send(), "four are kept");
    assert!(!run.send(), "a fifth would drop the first, which the client was promised");
    run.reconnect().unwrap();
    run.read_all();
    assert_eq!(run.seen, [1, 2, 3, 4]);
}

#[test]
fn a_replay_stands_before_what_is_new_and_fills_the_queue() {
    let mut run = Run::new(4);
    run.read_all();
    for _ in 0..4 {
        assert!(run.send());
    }
    run.reconnect().unwrap();
    assert!(!run.send(), "what is to be said again fills the queue");
    run.read(usize::MAX);
    assert!(run.send());
    run.read_all();
    assert_eq!(run.seen, [1, 2, 3, 4, 5]);
}

#[test]
fn after_a_reconnect_room_is_counted_from_what_the_client_has() {
    let mut run = Run::new(4);
    for _ in 0..6 {
        run.read_all();
        assert!(run.send());
    }
    run.read_all();
    run.reconnect().unwrap();
    assert!(run.send() && run.send() && run.send(), "the endpoint has the fourth place");
    assert!(!run.send());
    run.read_all();
    assert_eq!(run.seen, (1..=9).collect::<Vec<_>>());
}

#[test]
fn a_stream_that_reached_its_longest_life_takes_messages_for_the_next_response() {
    let mut run = Run::new(8);
    run.read_all();
    assert!(run.send());
    run.stream.handle_timeout(at(60_000));
    assert!(run.stream.is_open(), "only the response is ending");
    assert!(run.send());
    run.read_all();
    assert_eq!(run.stream.close_of(0).unwrap().reason, CloseReason::Expired);
    assert!(run.send());
    run.reconnect().unwrap();
    run.read_all();
    assert_eq!(run.seen, [1, 2, 3]);
}

#[test]
fn a_client_that_comes_back_while_its_stream_finishes_gets_the_rest_and_no_open_stream() {
    let mut run = Run::new(4);
    assert!(run.send());
    run.stream.finish(at(0));
    run.reconnect().unwrap();
    assert!(!run.stream.is_open());
    run.read_all();
    assert_eq!(run.seen, [1]);
    assert_eq!(run.stream.close_of(1).unwrap().reason, CloseReason::Finished);
}

#[test]
fn a_client_too_slow_for_the_last_seconds_of_its_stream_comes_back_into_its_session() {
    let mut run = Run::new(8);
    assert!(run.send());
    run.stream.handle_timeout(at(60_000));
    assert!(run.send());
    run.stream.handle_timeout(at(65_000));
    let close = run.stream.close_of(0).unwrap();
    assert_eq!((close.reason, close.manner), (CloseReason::Expired, Manner::Abort));
    assert!(Resumption::ServerClosed.keeps(close.reason));
    run.reconnect().unwrap();
    run.read_all();
    assert_eq!(run.seen, [1, 2]);
}

#[test]
fn s30_finish_drains_what_a_replay_had_no_room_for_too() {
    let mut run = Run::new(4);
    run.read_all();
    for _ in 0..4 {
        assert!(run.send());
    }
    run.reconnect().unwrap();
    run.stream.finish(at(0));
    assert!(!run.send());
    run.read_all();
    assert_eq!(run.seen, [1, 2, 3, 4]);
    assert_eq!(run.stream.close_of(1).map(|close| close.reason), Some(CloseReason::Finished));
}

#[derive(Clone, Debug)]
enum Op {
    Send,
    /// The socket takes so many bytes, and the client reads them.
    Read(usize),
    /// The client comes back with its last id, while the old response runs or after it was cut.
    Reconnect {
        cut: bool,
    },
    /// As before, but some of what the socket took last never arrived.
    Lossy(usize),
}

fn op(lossy: u32) -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => Just(Op::Send),
        6 => prop_oneof![Just(usize::MAX), 0..160_usize].prop_map(Op::Read),
        2 => any::<bool>().prop_map(|cut| Op::Reconnect { cut }),
        lossy => (0..400_usize).prop_map(Op::Lossy),
    ]
}

proptest! {
    /// A client that gets all that its socket took never misses an event, wherever its responses are cut.
    #[test]
    fn hurt_11_hurt_17_a_client_that_comes_back_sees_each_event_once_in_order(
        ops in prop::collection::vec(op(0), 0..80),
        frames in 2..9_usize,
    ) {
        let mut run = Run::new(frames);
        for op in ops {
            match op {
                Op::Send => drop(run.send()),
                Op::Read(most) => run.read(most),
                Op::Lossy(_) => {}
                Op::Reconnect { cut } => {
                    if cut {
                        run.stream.handle_disconnect(at(0), Disconnect::Reset);
                    }
                    prop_assert_eq!(run.reconnect(), Ok(()));
                }
            }
        }
        run.reconnect().unwrap();
        run.read_all();
        prop_assert_eq!(run.seen, (1..=run.sent).collect::<Vec<_>>());
    }

    /// A client that lost bytes on the way sees each event once, in order, or is told that some are gone; and
    /// only where more than the limit came after what it has.
    #[test]
    fn hurt_19_what_is_gone_is_told_and_nothing_is_skipped(
        ops in prop::collection::vec(op(2), 0..80),
        frames in 2..9_usize,
    ) {
        let mut run = Run::new(frames);
        for op in ops {
            let lost = match op {
                Op::Send => { run.send(); continue }
                Op::Read(most) => { run.read(most); continue }
                Op::Reconnect { .. } => 0,
                Op::Lossy(lost) => lost,
            };
            run.stream.handle_disconnect(at(0), Disconnect::Reset);
            run.lose(lost);
            if let Err(error) = run.reconnect() {
                let behind = run.sent - run.last.seq;
                prop_assert!(behind > frames as u64, "{} behind: {}", behind, error);
                let oldest = EventId { stream: 0xab, seq: run.sent + 1 - frames as u64 };
                prop_assert_eq!(error, ReplayError::Gap { oldest });
                return Ok(());
            }
        }
        run.read_all();
        prop_assert_eq!(run.seen, (1..=run.sent).collect::<Vec<_>>());
    }
}

/// A server's stream and its client, which knows its last id from what it read.
struct Run {
    stream: SessionStream,
    sent: u64,
    /// What the client has of the current response.
    wire: String,
    last: EventId,
    /// The messages that the client saw, over all responses.
    seen: Vec<u64>,
}

impl Run {
    fn new(frames: usize) -> Run {
        let frames = NonZeroUsize::new(frames).unwrap();
        let config = StreamConfig::builder()
            .max_queued(frames, NonZeroUsize::new(1 << 20).unwrap())
            .max_lifetime(Some(Duration::from_secs(60)))
            .stall_after(None);
        let stream = Arc::new(config.build().unwrap());
        let config = Arc::new(HttpSse { stream, resumption: Resumption::Always, ..HttpSse::default() });
        let id = SessionId::parse("s").unwrap();
        let stream = SessionStream::open(at(0), config, &id, 0xab, Box::default(), Framing::Raw);
        let last = EventId { stream: 0xab, seq: 0 };
        Run { stream, sent: 0, wire: String::new(), last, seen: Vec::new() }
    }

    fn send(&mut self) -> bool {
        let number = self.sent + 1;
        let message: Message = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"m"}}"#).parse().unwrap();
        let room = self.stream.has_room();
        match self.stream.send(at(0), message) {
            Ok(()) => {
                assert!(room);
                self.sent = number;
                true
            }
            Err(SendError::Full(_) | SendError::Closed(_)) => false,
        }
    }

    fn read(&mut self, most: usize) {
        let Step::Run { bytes, .. } = self.stream.poll() else { return };
        let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
        taken.truncate(most);
        if !taken.is_empty() {
            self.stream.handle_wrote(at(0), taken.len());
            self.wire.push_str(std::str::from_utf8(&taken).unwrap());
        }
    }

    fn read_all(&mut self) {
        while matches!(self.stream.poll(), Step::Run { bytes, .. } if !bytes.is_empty()) {
            self.read(usize::MAX);
        }
        self.parse();
    }

    /// The last bytes never arrived.
    fn lose(&mut self, bytes: usize) {
        self.wire.truncate(self.wire.len().saturating_sub(bytes));
    }

    /// Whole blocks are events; what is behind them is dropped with its response (HTML §9.2.6).
    fn parse(&mut self) {
        let wire = std::mem::take(&mut self.wire);
        let whole = wire.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        for block in whole.split("\n\n").filter(|block| !block.is_empty()) {
            let field = |name| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            self.last = field("id: ").parse().unwrap();
            if field("event: ") == "message" {
                let message: Message = field("data: ").parse().unwrap();
                let number = message.id().unwrap().parse().unwrap();
                assert_eq!(self.last.seq, number, "the id belongs to its event");
                self.seen.push(number);
            }
        }
    }

    fn reconnect(&mut self) -> Result<(), ReplayError> {
        self.parse();
        self.stream.reattach(at(0), self.last, Box::default(), Framing::Raw)
    }
}

// ---- helpers ----

fn at(ms: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(ms)
}
