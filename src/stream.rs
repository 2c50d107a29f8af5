//! [`EventStream`]: one `text/event-stream` response, from its head to its close.
//!
//! Commands ([`push`](EventStream::push), [`finish`](EventStream::finish), …) say what the application
//! wants; facts (`handle_*`) say what happened; [`poll`](EventStream::poll) says what the driver must do now.
//! Commands never fire a clock: a producer that queues for a while before the driver's first look does not
//! stall the stream by it. In a fact, the fact itself comes first and the clocks after it.

mod account;
mod close;
mod error;
mod queue;
mod spin;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

pub use self::close::{Close, CloseReason, Disconnect, Manner};
pub use self::error::{EventError, PushError};
pub use self::queue::{Framing, Transmit};

use self::account::Kind;
use self::queue::Queue;
use self::spin::FrameClock;
use crate::topic::{Read, Run, Topic};
use crate::{Batch, EventId, Frame, FrameBuilder, HalfClose, ReplayError, SpinGuard, StreamConfig, Tick};

/// A stream takes no more from its topic while so many bytes wait, or so many pieces.
const FILL: usize = 64 * 1024;
const FILL_PARTS: usize = 32;

/// How many bytes behind the request are read, and dropped, to see the client's FIN. Past that reading ends:
/// a client that goes on talking behind its request is only noticed by what it takes.
const READ_BEHIND: u16 = 4096;

/// One `text/event-stream` response as a state machine (HTML §9.2).
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use sansio_sse::{CloseReason, EventStream, Frame, Step, StreamConfig, Tick};
///
/// let at = |ms: u64| Tick::ZERO + Duration::from_millis(ms);
/// let mut stream = EventStream::new(at(0), Arc::new(StreamConfig::default()));
/// stream.push(at(1), Frame::message("hello"))?;
///
/// // The socket takes a part of what is offered; the rest is offered again.
/// let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
/// assert_eq!(bytes.len(), 13);
/// stream.handle_wrote(at(2), 6);
/// let Step::Run { bytes, wake_at, .. } = stream.poll() else { panic!("open") };
/// assert_eq!(bytes.pieces().collect::<Vec<_>>(), [b"hello\n\n"]);
///
/// // Nobody takes it: 30 s after the last byte that was taken, the stream closes.
/// assert_eq!(wake_at, Some(at(30_002)));
/// stream.handle_timeout(at(30_002));
/// let Step::Closed(close) = stream.poll() else { panic!("closed") };
/// assert_eq!(close.reason, CloseReason::Stalled { for_: Duration::from_secs(30) });
/// assert_eq!(close.undelivered, 1);
/// # Ok::<(), sansio_sse::PushError>(())
/// ```
pub struct EventStream {
    config: Arc<StreamConfig>,
    life: Life,
    now: Tick,
    opened: Tick,
    /// The last byte taken, or the moment in which bytes began to wait.
    progress: Tick,
    /// The last byte taken, or the opening: silence is counted from here.
    spoke: Tick,
    queue: Queue,
    /// The topic's next frame for this stream, if it follows one, and since when it does.
    following: Option<(u64, Tick)>,
    last_delivered: Option<EventId>,
    frame_clock: Option<Box<FrameClock>>,
    faults: u32,
    empty_writes: u32,
    read_behind: u16,
    keep_alive: bool,
}

#[derive(Debug)]
enum Life {
    Open,
    Draining {
        until: Tick,
        reason: CloseReason,
    },
    /// In a box: most of its life, a stream has none.
    Closed(Box<Close>),
}

/// What the driver must do.
#[derive(Debug)]
#[must_use]
pub enum Step<'a> {
    /// Write `bytes`, read, and call [`handle_timeout`](EventStream::handle_timeout) at `wake_at` at the
    /// latest, even while the write is pending.
    Run {
        /// What to write; may be empty.
        bytes: Transmit<'a>,
        /// How many bytes may be read from the peer now, to be told with
        /// [`handle_input`](EventStream::handle_input) and dropped. At 0, do not read.
        read: usize,
        /// The next deadline, if there is one.
        wake_at: Option<Tick>,
    },
    /// It is over. This never changes again.
    Closed(&'a Close),
}

/// Why a deadline exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wake {
    /// A keep-alive is due: [`keep_alive`](crate::StreamConfigBuilder::keep_alive).
    KeepAlive,
    /// The peer takes nothing: [`stall_after`](crate::StreamConfigBuilder::stall_after).
    Stall,
    /// The peer is too slow: [`lag_after`](crate::StreamConfigBuilder::lag_after).
    Lag,
    /// Finishing takes too long: [`drain_within`](crate::StreamConfigBuilder::drain_within).
    Drain,
    /// The stream is old: [`max_lifetime`](crate::StreamConfigBuilder::max_lifetime).
    Lifetime,
}

/// How much a stream still accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Frames.
    pub frames: usize,
    /// Bytes, envelopes included. An empty queue takes one frame of any size all the same.
    pub bytes: usize,
}

impl EventStream {
    /// A stream without a head and without chunks, for use under another HTTP server.
    #[must_use]
    pub fn new(now: Tick, config: Arc<StreamConfig>) -> EventStream {
        EventStream::with_head(now, config, Box::default(), Framing::Raw)
    }

    /// A stream whose first bytes are the response's head, and whose frames stand in `framing`.
    #[must_use]
    pub fn with_head(now: Tick, config: Arc<StreamConfig>, head: Box<[u8]>, framing: Framing) -> EventStream {
        let mut queue = Queue::new(framing, config.line_end());
        if !head.is_empty() {
            queue.push_head(now, head);
        }
        let frame_clock = match config.spin_guard() {
            SpinGuard::EmptyWrites => None,
            SpinGuard::EveryFrame { .. } => Some(Box::new(FrameClock::new(now))),
        };
        EventStream {
            config,
            life: Life::Open,
            now,
            opened: now,
            progress: now,
            spoke: now,
            queue,
            following: None,
            last_delivered: None,
            frame_clock,
            faults: 0,
            empty_writes: 0,
            read_behind: READ_BEHIND,
            keep_alive: true,
        }
    }

    /// Queues a frame without an id.
    ///
    /// # Errors
    /// [`PushError`] with the frame, if the queue is full or the stream no longer open.
    pub fn push(&mut self, now: Tick, frame: Frame) -> Result<(), PushError> {
        self.enqueue(now, Kind::Event(None), frame)
    }

    /// Queues a frame with an `id:` line of this stream in front of it.
    ///
    /// # Errors
    /// [`PushError`] with the frame, if the queue is full or the stream no longer open.
    pub fn push_with_id(&mut self, now: Tick, id: EventId, frame: Frame) -> Result<(), PushError> {
        self.enqueue(now, Kind::Event(Some(id)), frame)
    }

    /// Queues a frame that belongs to the stream's opening, which no guard counts as a rapid one; and behind
    /// it the keep-alive at the start, where the configuration asks for one.
    ///
    /// # Errors
    /// [`PushError`] with the frame, if the queue is full or the stream no longer open.
    pub fn push_opening(&mut self, now: Tick, frame: Frame) -> Result<(), PushError> {
        self.enqueue(now, Kind::Opening, frame)?;
        // It belongs to the frame in front of it, which there was room for.
        if let Some(frame) = self.config.keep_alive_frame().filter(|_| self.config.keep_alive_at_start()) {
            let frame = frame.clone();
            self.append(Kind::Opening, &frame);
        }
        Ok(())
    }

    /// Queues an event that no other stream sends: it is encoded where it waits, and costs no allocation of its own.
    ///
    /// # Errors
    /// [`EventError`], if a field can't stand in an event, the queue is full, or the stream is no longer open.
    pub fn push_event(&mut self, now: Tick, event: FrameBuilder<'_>) -> Result<(), EventError> {
        self.clock(now);
        let event = event.measure().map_err(EventError::Field)?;
        match self.life {
            Life::Open => {}
            Life::Draining { .. } | Life::Closed(_) => return Err(EventError::Closed),
        }
        if !self.has_room(event.len()) {
            return Err(EventError::Full);
        }
        self.faults = 0;
        self.bytes_wait();
        self.queue.drop_unbegun_keep_alive();
        self.queue.push_event(self.now, &event);
        Ok(())
    }

    /// Queues events from the front of a batch, as many as there is room for; gives back how many. The others stay in
    /// it. Where the framing has chunks, they share one.
    ///
    /// # Errors
    /// [`EventError::Full`] if there is no room for one, or [`EventError::Closed`]; the batch is as it was.
    pub fn push_batch(&mut self, now: Tick, batch: &mut Batch) -> Result<usize, EventError> {
        self.clock(now);
        match self.life {
            Life::Open => {}
            Life::Draining { .. } | Life::Closed(_) => return Err(EventError::Closed),
        }
        let events = self.room_for(batch);
        if events == 0 {
            return if batch.is_empty() { Ok(0) } else { Err(EventError::Full) };
        }
        self.faults = 0;
        self.bytes_wait();
        self.queue.drop_unbegun_keep_alive();
        self.queue.push_batch(self.now, batch, events);
        Ok(events)
    }

    /// How many events of a batch are accepted now.
    fn room_for(&self, batch: &Batch) -> usize {
        let room = self.room();
        // An empty queue takes one of any size.
        let at_least = usize::from(self.queue.accepted() == 0).min(batch.events());
        batch.within(room.bytes).max(at_least).min(room.frames)
    }

    fn enqueue(&mut self, now: Tick, kind: Kind, frame: Frame) -> Result<(), PushError> {
        self.clock(now);
        match self.life {
            Life::Open => {}
            Life::Draining { .. } | Life::Closed(_) => return Err(PushError::Closed(frame)),
        }
        if !self.has_room(frame.as_bytes().len()) {
            return Err(PushError::Full(frame));
        }
        self.faults = 0;
        self.append(kind, &frame);
        Ok(())
    }

    /// Queues what a response before this one has said already, whatever room there is.
    #[cfg(feature = "mcp")]
    pub(crate) fn push_replayed(&mut self, now: Tick, id: EventId, frame: Frame) {
        self.clock(now);
        self.append(Kind::Event(Some(id)), &frame);
    }

    fn append(&mut self, kind: Kind, frame: &Frame) {
        self.bytes_wait();
        self.queue.drop_unbegun_keep_alive();
        self.queue.push_frame(self.now, kind, frame);
    }

    /// Sends what `topic` publishes from now on, or, `after` an event that a client has seen last, what follows it.
    /// It takes the place of a topic that it followed before.
    ///
    /// The driver moves the frames with [`fill`](Self::fill).
    ///
    /// # Errors
    /// [`ReplayError`] if what follows `after` can't be said again; the stream is as it was.
    pub fn follow(&mut self, now: Tick, topic: &Topic, after: Option<EventId>) -> Result<(), ReplayError> {
        self.clock(now);
        let next = topic.next_after(after)?;
        if self.is_open() {
            self.following = Some((next, self.now));
        }
        Ok(())
    }

    /// The number of the next frame that it takes from a topic, and since when it follows one.
    #[cfg(feature = "sim")]
    pub(crate) fn following(&self) -> Option<(u64, Tick)> {
        self.following
    }

    /// Follows a topic from that frame on, as if it had since then.
    #[cfg(feature = "sim")]
    pub(crate) fn follow_from(&mut self, next: u64, since: Tick) {
        self.following = Some((next, since));
    }

    /// Queues what the topic that it follows has for it, as far as one write is likely to take it. Says whether
    /// that was all: then there is nothing to be had before the topic publishes again.
    ///
    /// A stream that has fallen off the end of the topic's log closes as [`CloseReason::Lagged`], and its client
    /// comes back with the id that it saw last. One whose topic has finished, finishes; and one that is finishing
    /// ends behind what the topic has for it now.
    pub fn fill(&mut self, now: Tick, topic: &mut Topic) -> bool {
        self.clock(now);
        while let Some((next, since)) = self.following {
            if self.queue.len() >= FILL || self.queue.parts() >= FILL_PARTS {
                return false;
            }
            match topic.read(next) {
                Read::Run(run, frame) => self.take(run, frame, since),
                Read::Gap { oldest } => self.close(CloseReason::Lagged { behind: self.now.since(oldest) }),
                Read::Nothing if self.is_open() => break,
                Read::Nothing | Read::Finished => {
                    self.following = None;
                    self.drain(CloseReason::Finished);
                    self.end_queue();
                }
            }
        }
        true
    }

    fn take(&mut self, run: Arc<Run>, frame: usize, since: Tick) {
        self.bytes_wait();
        self.queue.drop_unbegun_keep_alive();
        self.following = Some((run.end_seq(), since));
        self.queue.push_run(run, frame, since);
    }

    /// Takes one frame from a topic, and nothing follows from that.
    #[cfg(feature = "sim")]
    pub(crate) fn take_one(&mut self, now: Tick, topic: &mut Topic) {
        self.clock(now);
        if let Read::Run(run, frame) = topic.read(topic.last_id().seq) {
            self.take(run, frame, Tick::ZERO);
        }
    }

    /// Ends the stream once all that is queued is taken, within
    /// [`drain_within`](crate::StreamConfigBuilder::drain_within). Nothing more is accepted.
    pub fn finish(&mut self, now: Tick) {
        self.clock(now);
        self.drain(CloseReason::Finished);
    }

    /// Nobody will send to the stream any more: it finishes, unless it follows a topic.
    pub fn let_go(&mut self, now: Tick) {
        if self.following.is_none() {
            self.finish(now);
        }
    }

    /// Ends the stream at once. What is queued is lost, and the peer sees a cut response.
    pub fn abort(&mut self, now: Tick) {
        self.clock(now);
        self.close(CloseReason::Aborted);
    }

    /// Switches this stream's keep-alives off or on again; the next silence is the first that it governs.
    /// On is only as much as the configuration has.
    pub fn set_keep_alive(&mut self, now: Tick, on: bool) {
        self.clock(now);
        self.keep_alive = on;
        if !on {
            self.queue.drop_unbegun_keep_alive();
        }
    }

    /// The peer's socket took the first `n` of the bytes offered; 0 if it said that it was ready, and took none.
    ///
    /// More than was offered counts as all of it.
    pub fn handle_wrote(&mut self, now: Tick, n: usize) {
        self.clock(now);
        if n == 0 && !self.queue.is_empty() {
            self.empty_writes += 1;
            if self.empty_writes >= self.config.max_empty_writes() {
                self.close(CloseReason::Spinning { empty_writes: self.empty_writes });
            }
        } else if n > 0 {
            self.empty_writes = 0;
            self.progress = self.now;
            self.spoke = self.now;
            self.took(n);
        }
        self.fire();
    }

    fn took(&mut self, n: usize) {
        let taken = self.queue.advance(n);
        self.last_delivered = taken.id.or(self.last_delivered);
        for _ in 0..taken.counted {
            let Some(clock) = &mut self.frame_clock else { break };
            if let Some(reason) = clock.count(self.now, self.config.spin_guard()) {
                self.close(reason);
            }
        }
        self.close_if_drained();
    }

    /// The peer sent `n` bytes behind its request; they mean nothing to a stream, and are dropped.
    pub fn handle_input(&mut self, now: Tick, n: usize) {
        self.clock(now);
        self.read_behind = self.read_behind.saturating_sub(u16::try_from(n).unwrap_or(u16::MAX));
        self.fire();
    }

    /// The connection is gone, or half of it: see [`half_close`](crate::StreamConfigBuilder::half_close).
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.clock(now);
        match (how, self.config.half_close()) {
            (Disconnect::Eof, HalfClose::GoesOn) => self.read_behind = 0,
            (Disconnect::Eof | Disconnect::Reset | Disconnect::TimedOut | Disconnect::Io, _) => {
                self.close(CloseReason::Disconnected(how))
            }
        }
        self.fire();
    }

    /// The application failed to make a frame: nothing is sent for it, and after
    /// [`max_faults`](crate::StreamConfigBuilder::max_faults) in a row the stream closes.
    pub fn handle_fault(&mut self, now: Tick) {
        self.clock(now);
        self.faults += 1;
        if self.faults >= self.config.max_faults() {
            self.close(CloseReason::FaultLimit { faults: self.faults });
        }
        self.fire();
    }

    /// Time has come to `now`. Early or repeated calls change nothing.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.clock(now);
        self.fire();
    }

    /// The driver goes away, and the connection with it.
    pub fn handle_abandoned(&mut self, now: Tick) {
        self.clock(now);
        self.close(CloseReason::Abandoned);
    }

    /// A newer response takes this one's place: it ends at once, and what it had left to say is the other's.
    pub fn supersede(&mut self, now: Tick) {
        self.clock(now);
        self.close(CloseReason::Superseded);
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn closed(&self) -> Option<&Close> {
        match &self.life {
            Life::Open | Life::Draining { .. } => None,
            Life::Closed(close) => Some(close),
        }
    }

    /// Why it is ending, or has ended.
    #[cfg(feature = "mcp")]
    pub(crate) fn ending(&self) -> Option<CloseReason> {
        match &self.life {
            Life::Open => None,
            Life::Draining { reason, .. } => Some(*reason),
            Life::Closed(close) => Some(close.reason),
        }
    }

    /// The id of the last frame that the socket took whole, of those that were pushed with one.
    #[cfg(feature = "mcp")]
    pub(crate) fn last_delivered(&self) -> Option<EventId> {
        self.last_delivered
    }

    /// Accepted frames that no peer has taken whole.
    #[cfg(feature = "sim")]
    pub(crate) fn queued(&self) -> usize {
        self.queue.accepted()
    }

    /// The time as it knows it.
    #[cfg(feature = "sim")]
    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    /// What the driver must do now. Asking changes nothing.
    pub fn poll(&self) -> Step<'_> {
        match &self.life {
            Life::Open | Life::Draining { .. } => Step::Run {
                bytes: match self.frame_clock {
                    None => Transmit::all(&self.queue),
                    Some(_) => Transmit::first(&self.queue),
                },
                read: usize::from(self.read_behind),
                wake_at: self.deadline().map(|(at, _)| at),
            },
            Life::Closed(close) => Step::Closed(close),
        }
    }

    /// The next deadline and why there is one.
    #[must_use]
    pub fn deadline(&self) -> Option<(Tick, Wake)> {
        let mut next = match &self.life {
            Life::Open => self.config.max_lifetime().map(|lifetime| (self.opened + lifetime, Wake::Lifetime)),
            Life::Draining { until, .. } => Some((*until, Wake::Drain)),
            Life::Closed(_) => return None,
        };
        let mut also = |since: Tick, after: Option<Duration>, wake| {
            if let Some(after) = after {
                let at = since + after;
                if next.is_none_or(|(next, _)| at < next) {
                    next = Some((at, wake));
                }
            }
        };
        match self.queue.oldest() {
            Some(oldest) => {
                also(self.progress, self.config.stall_after(), Wake::Stall);
                also(oldest, self.config.lag_after(), Wake::Lag);
            }
            None if self.keep_alive => also(self.spoke, self.config.keep_alive().every(), Wake::KeepAlive),
            None => {}
        }
        next
    }

    /// What is still accepted; nothing once it is finishing.
    #[must_use]
    pub fn room(&self) -> Room {
        match self.life {
            Life::Open => Room {
                frames: self.config.max_frames().saturating_sub(self.queue.accepted()),
                bytes: self.config.max_bytes().saturating_sub(self.queue.len()),
            },
            Life::Draining { .. } | Life::Closed(_) => Room { frames: 0, bytes: 0 },
        }
    }

    /// Whether a frame of `len` bytes is accepted now.
    #[must_use]
    pub fn has_room(&self, len: usize) -> bool {
        let room = self.room();
        room.frames > 0 && (len <= room.bytes || self.queue.accepted() == 0)
    }

    /// Whether frames are still accepted, room provided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.life, Life::Open)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Arc<StreamConfig> {
        &self.config
    }

    /// Internal time never goes back, whatever the driver's clock does.
    fn clock(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    /// The stall clock starts when bytes begin to wait. To be called before a waiting keep-alive is taken back:
    /// what comes in its place waits as long as it did.
    fn bytes_wait(&mut self) {
        if self.queue.is_empty() {
            self.progress = self.now;
        }
    }

    /// The list that [`deadline`](Self::deadline) reports is the list that fires.
    fn fire(&mut self) {
        while let Some((at, wake)) = self.deadline().filter(|(at, _)| *at <= self.now) {
            match wake {
                Wake::KeepAlive => self.stage_keep_alive(),
                Wake::Stall => {
                    self.close(CloseReason::Stalled { for_: self.waited(self.config.stall_after(), at) })
                }
                Wake::Lag => {
                    self.close(CloseReason::Lagged { behind: self.waited(self.config.lag_after(), at) })
                }
                Wake::Drain => self.close(match self.life {
                    // That its time was up stays the cause: a session may go on in another response.
                    Life::Draining { reason: CloseReason::Expired, .. } => CloseReason::Expired,
                    Life::Draining { .. } | Life::Open | Life::Closed(_) => CloseReason::DrainTimedOut,
                }),
                Wake::Lifetime => self.drain(CloseReason::Expired),
            }
        }
    }

    /// How long it really was until a deadline that may have been served late.
    fn waited(&self, after: Option<Duration>, at: Tick) -> Duration {
        after.unwrap_or_default().saturating_add(self.now.since(at))
    }

    fn stage_keep_alive(&mut self) {
        // A keep-alive waits by itself: it is only due into an empty queue.
        if let Some(frame) = self.config.keep_alive_frame() {
            let frame = frame.clone();
            self.bytes_wait();
            self.queue.push_frame(self.now, Kind::KeepAlive, &frame);
        }
    }

    /// Nothing more is accepted. What a topic has for the stream still is.
    fn drain(&mut self, reason: CloseReason) {
        match self.life {
            Life::Open => {
                self.life = Life::Draining { until: self.now + self.config.drain_within(), reason };
                if self.following.is_none() {
                    self.end_queue();
                }
            }
            Life::Draining { .. } | Life::Closed(_) => {}
        }
    }

    /// All that is ever sent is in the queue.
    fn end_queue(&mut self) {
        self.bytes_wait();
        self.queue.drop_unbegun_keep_alive();
        self.queue.push_terminator(self.now);
        self.close_if_drained();
    }

    fn close_if_drained(&mut self) {
        match self.life {
            Life::Draining { reason, .. } if self.queue.is_empty() && self.following.is_none() => {
                self.end(reason, Manner::Finish);
            }
            Life::Draining { .. } | Life::Open | Life::Closed(_) => {}
        }
    }

    fn close(&mut self, reason: CloseReason) {
        self.end(reason, Manner::Abort);
    }

    /// The one way into the closed state.
    fn end(&mut self, reason: CloseReason, manner: Manner) {
        match self.life {
            Life::Open | Life::Draining { .. } => {
                self.life = Life::Closed(Box::new(Close {
                    reason,
                    manner,
                    at: self.now,
                    undelivered: self.queue.accepted(),
                    last_delivered: self.last_delivered,
                }));
                self.following = None;
                self.queue.clear();
            }
            Life::Closed(_) => {}
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("life", &self.life)
            .field("waiting_bytes", &self.queue.len())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
