//! [`Op`] and [`Trace`]: what a stream was told, in a form that pastes in as a table test.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

use super::{Violation, Watched};
use crate::{
    Close, Disconnect, EventId, Frame, Framing, HalfClose, KeepAlive, LineEnd, Retry, SpinGuard, Step,
    StreamConfig, Tick, Topic, TopicConfig,
};

/// How a stream was made, in plain numbers; all times in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Whether it began as [`StreamConfig::contextforge`]: its frames and line ends.
    pub contextforge: bool,
    /// Whether its frames stand in chunks.
    pub chunked: bool,
    /// When it was made.
    pub opened: u64,
    /// Bytes of the response's head.
    pub head: usize,
    /// The keep-alive's interval.
    pub keep_alive: Option<u64>,
    /// See [`stall_after`](crate::StreamConfigBuilder::stall_after).
    pub stall_after: Option<u64>,
    /// See [`lag_after`](crate::StreamConfigBuilder::lag_after).
    pub lag_after: Option<u64>,
    /// See [`drain_within`](crate::StreamConfigBuilder::drain_within).
    pub drain_within: u64,
    /// See [`max_lifetime`](crate::StreamConfigBuilder::max_lifetime).
    pub max_lifetime: Option<u64>,
    /// Frames that may wait.
    pub max_frames: usize,
    /// Bytes that may wait.
    pub max_bytes: usize,
    /// See [`max_faults`](crate::StreamConfigBuilder::max_faults).
    pub max_faults: u32,
    /// See [`max_empty_writes`](crate::StreamConfigBuilder::max_empty_writes).
    pub max_empty_writes: u32,
    /// [`SpinGuard::EveryFrame`], if it is on: its gap, and how many in a row close.
    pub rapid: Option<(u64, u32)>,
    /// Its window, and how many frames are borne in it.
    pub rapid_window: Option<(u64, u32)>,
    /// Whether a client that closes its sending side goes on reading.
    pub half_close_goes_on: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup::of(&StreamConfig::default(), 0, Framing::Raw)
    }
}

impl Setup {
    /// Of a stream with this configuration.
    #[must_use]
    pub fn of(config: &StreamConfig, head: usize, framing: Framing) -> Setup {
        let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let (rapid, rapid_window) = match config.spin_guard() {
            SpinGuard::EmptyWrites => (None, None),
            SpinGuard::EveryFrame { gap, in_a_row, window } => {
                (Some((us(gap), in_a_row.get())), window.map(|(within, most)| (us(within), most.get())))
            }
        };
        Setup {
            contextforge: config.line_end() == LineEnd::CrLf,
            chunked: framing == Framing::Chunked,
            opened: 0,
            head,
            keep_alive: config.keep_alive().every().map(us),
            stall_after: config.stall_after().map(us),
            lag_after: config.lag_after().map(us),
            drain_within: us(config.drain_within()),
            max_lifetime: config.max_lifetime().map(us),
            max_frames: config.max_frames(),
            max_bytes: config.max_bytes(),
            max_faults: config.max_faults(),
            max_empty_writes: config.max_empty_writes(),
            rapid,
            rapid_window,
            half_close_goes_on: config.half_close() == HalfClose::GoesOn,
        }
    }

    /// The configuration; a zero where there must be none becomes the least that is allowed.
    #[must_use]
    pub fn config(&self) -> StreamConfig {
        let us = |us: u64| Duration::from_micros(us.max(1));
        let frames = |n: usize| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        let count = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let builder = if self.contextforge {
            crate::StreamConfigBuilder::contextforge()
        } else {
            StreamConfig::builder()
        };
        let keep_alive = match self.keep_alive {
            None => KeepAlive::Off,
            Some(every) if self.contextforge => {
                KeepAlive::contextforge(us(every), Retry::Every(Duration::from_secs(5)))
            }
            Some(every) => KeepAlive::Comment(us(every)),
        };
        let guard = self.rapid.map_or(SpinGuard::EmptyWrites, |(gap, in_a_row)| {
            let window = self.rapid_window.map(|(within, most)| (us(within), count(most)));
            SpinGuard::EveryFrame { gap: us(gap), in_a_row: count(in_a_row), window }
        });
        builder
            .keep_alive(keep_alive)
            .stall_after(self.stall_after.map(us))
            .lag_after(self.lag_after.map(us))
            .drain_within(us(self.drain_within))
            .max_lifetime(self.max_lifetime.map(us))
            .max_queued(frames(self.max_frames), frames(self.max_bytes))
            .max_faults(count(self.max_faults))
            .max_empty_writes(count(self.max_empty_writes))
            .spin_guard(guard)
            .half_close(if self.half_close_goes_on { HalfClose::GoesOn } else { HalfClose::Disconnects })
            .build()
            .unwrap_or_default()
    }

    /// The stream, watched.
    #[must_use]
    pub fn stream(&self) -> Watched {
        let framing = if self.chunked { Framing::Chunked } else { Framing::Raw };
        let opened = Tick::from_micros(self.opened);
        Watched::new(opened, Arc::new(self.config()), &vec![b'h'; self.head], framing)
    }
}

/// One thing that a stream is told. Frames are known by their size: what they say makes no difference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// A frame is pushed.
    Push {
        /// Bytes of the frame, without its id and its envelope.
        size: usize,
        /// Its id.
        id: Option<EventId>,
    },
    /// The application puts an event into its batch, of which the stream learns nothing.
    Batched {
        /// Bytes of the event.
        size: usize,
    },
    /// The stream takes from the batch what it has room for.
    PushBatch,
    /// A frame is queued whatever room there is: said again, or of the opening.
    PushFree {
        /// Bytes of the frame.
        size: usize,
        /// Its id.
        id: Option<EventId>,
    },
    /// The frame that opens the stream.
    Opening {
        /// Bytes of the frame.
        size: usize,
    },
    /// It follows a topic.
    Follow,
    /// It looks at its topic, or is asked for something that it refuses: it learns the time, and no more.
    Looked,
    /// It has come to the end of the topic.
    CaughtUp {
        /// For good.
        finished: bool,
    },
    /// A frame is taken from a topic.
    Took {
        /// Bytes of the frame, without its id and its envelope.
        size: usize,
        /// Its id.
        id: EventId,
        /// Since when it waits for this stream, in microseconds.
        at: u64,
    },
    /// What is next in the topic is gone.
    FellOff {
        /// When the oldest frame there was published, in microseconds.
        oldest: u64,
    },
    /// The peer takes bytes: at most so many of those that are offered.
    Wrote {
        /// How many.
        n: usize,
    },
    /// The clock is looked at.
    Timeout,
    /// Bytes came from the peer.
    Input {
        /// How many.
        n: usize,
    },
    /// The connection is gone.
    Disconnected {
        /// How.
        how: Disconnect,
    },
    /// The application failed.
    Fault,
    /// Keep-alives are switched.
    KeepAlive {
        /// On or off.
        on: bool,
    },
    /// The application finishes.
    Finish,
    /// The application aborts.
    Abort,
    /// The driver is dropped.
    Abandon,
    /// A newer response takes over.
    Supersede,
}

/// All that one stream was told, with the time of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// How it was made.
    pub setup: Setup,
    /// When, in microseconds, and what.
    pub ops: Vec<(u64, Op)>,
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#[test]\nfn found_by_simulation() {{")?;
        writeln!(f, "    use sansio_sse::sim::{{Op::*, Setup, replay}};")?;
        writeln!(f, "    #[allow(unused_imports)]\n    use sansio_sse::{{Disconnect::*, EventId}};")?;
        writeln!(f, "    let setup = {:?};\n    let ops = [", self.setup)?;
        for entry in &self.ops {
            writeln!(f, "        {entry:?},")?;
        }
        writeln!(f, "    ];\n    replay(&setup, &ops).unwrap();\n}}")
    }
}

/// Tells a stream all of this, and holds it against the laws at every step.
///
/// ```
/// use sansio_sse::CloseReason;
/// use sansio_sse::sim::{Op, Setup, replay};
///
/// let setup = Setup { stall_after: Some(250_000), ..Setup::default() };
/// let open = [(0, Op::Push { size: 20, id: None }), (249_999, Op::Timeout)];
/// assert_eq!(replay(&setup, &open)?, None);
///
/// let stalled = [(0, Op::Push { size: 20, id: None }), (250_000, Op::Timeout)];
/// let close = replay(&setup, &stalled)?.ok_or("still open")?;
/// assert!(matches!(close.reason, CloseReason::Stalled { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first [`Violation`].
pub fn replay(setup: &Setup, ops: &[(u64, Op)]) -> Result<Option<Close>, Violation> {
    let mut stream = setup.stream();
    for (at, op) in ops {
        stream.apply(Tick::from_micros(*at), *op);
    }
    match stream.violation() {
        Some(violation) => Err(violation.clone()),
        None => Ok(stream.closed().copied()),
    }
}

impl Watched {
    /// Tells the stream one thing.
    pub fn apply(&mut self, now: Tick, op: Op) {
        match op {
            Op::Push { size, id } | Op::PushFree { size, id } => {
                let _ = self.push(now, id, frame_of(size));
            }
            Op::Batched { size } => {
                let _ = self.batch(Frame::builder().data(&data_of(size)));
            }
            Op::PushBatch => {
                let _ = self.push_batch(now);
            }
            Op::Opening { size } => {
                let _ = self.push_opening(now, frame_of(size));
            }
            Op::Follow => {
                let topic = Topic::new(1, self.topic_config());
                let _ = self.follow(now, &topic, None);
            }
            Op::Looked => self.take_one(now, &mut Topic::new(1, self.topic_config())),
            Op::CaughtUp { finished } => {
                let mut topic = Topic::new(1, self.topic_config());
                if finished {
                    topic.finish();
                }
                self.follow_from(1, Tick::ZERO);
                self.fill_from(now, &mut topic);
            }
            Op::Took { size, id, at } => {
                let mut topic = Topic::from(id, self.topic_config());
                topic.publish(Tick::from_micros(at), &frame_of(size));
                self.take_one(now, &mut topic);
            }
            Op::FellOff { oldest } => {
                let mut topic = Topic::from(EventId { stream: 1, seq: 2 }, self.topic_config());
                topic.publish(Tick::from_micros(oldest), &frame_of(8));
                self.follow_from(1, Tick::ZERO);
                self.fill_from(now, &mut topic);
            }
            Op::Wrote { n } => {
                if let Step::Run { bytes, .. } = self.poll() {
                    let taken: Vec<u8> = bytes.pieces().flatten().copied().take(n).collect();
                    self.handle_wrote(now, &taken);
                }
            }
            Op::Timeout => self.handle_timeout(now),
            Op::Input { n } => self.handle_input(now, n),
            Op::Disconnected { how } => self.handle_disconnect(now, how),
            Op::Fault => self.handle_fault(now),
            Op::KeepAlive { on } => self.set_keep_alive(now, on),
            Op::Finish => self.finish(now),
            Op::Abort => self.abort(now),
            Op::Abandon => self.handle_abandoned(now),
            Op::Supersede => self.supersede(now),
        }
    }
}

impl Watched {
    fn topic_config(&self) -> TopicConfig {
        TopicConfig { line_end: self.stream().config().line_end(), ..TopicConfig::default() }
    }
}

/// A frame of so many bytes, or of the fewest that there are.
fn frame_of(size: usize) -> Frame {
    Frame::message(&data_of(size))
}

/// The data of such a frame.
fn data_of(size: usize) -> String {
    let bare = Frame::message("").as_bytes().len();
    core::iter::repeat_n('x', size.saturating_sub(bare)).collect()
}
