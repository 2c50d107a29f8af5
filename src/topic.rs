//! [`Topic`]: one log of frames that any number of streams send from.
//!
//! A frame is encoded once, for all. What is published between two looks of the streams lies in one piece, and goes
//! into each socket as it is: a stream holds a place in the log, and no frames of its own. Replay and live delivery
//! are the same reading of the same log, so there is no seam between them.

mod run;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::num::NonZeroUsize;

pub(crate) use self::run::Run;
use crate::{EventId, Frame, LineEnd, ReplayError, Tick, envelope};

/// A run grows no further than this, in bytes, or than the log's limits divided by [`SHARE`]: it goes as a whole.
const RUN: usize = 64 * 1024;
const SHARE: usize = 8;

/// The limits of a [`Topic`], and how its id lines end. Make one with `TopicConfig::default()` and change what is to
/// differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Frames held at the most. Default 16,384.
    pub max_frames: NonZeroUsize,
    /// Their bytes on the wire at the most. Default 4 MiB. The newest frame is held however large it is.
    pub max_bytes: NonZeroUsize,
    /// How the id line in front of a frame ends. Default [`LineEnd::Lf`].
    pub line_end: LineEnd,
}

impl Default for TopicConfig {
    fn default() -> TopicConfig {
        let n = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        TopicConfig { max_frames: n(16_384), max_bytes: n(4 << 20), line_end: LineEnd::Lf }
    }
}

/// A bounded log of frames, numbered from 1, that streams [follow](crate::EventStream::follow).
///
/// What no longer fits goes from its old end, an eighth of the limits at a time at the most. A stream that had yet to
/// send some of it closes as [`Lagged`](crate::CloseReason::Lagged); the log waits for nobody.
///
/// ```
/// use sansio_sse::{EventId, EventStream, Frame, Step, Tick, Topic};
///
/// let now = Tick::ZERO;
/// let mut topic = Topic::new(0x2a, Default::default());
/// topic.publish(now, &Frame::message("before"));
///
/// let mut stream = EventStream::new(now, Default::default());
/// stream.follow(now, &topic, None)?;
/// let id = topic.publish(now, &Frame::message("hello"));
/// assert_eq!(id, EventId { stream: 0x2a, seq: 2 });
///
/// assert!(stream.fill(now, &mut topic), "that was all");
/// let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
/// assert_eq!(bytes.pieces().collect::<Vec<_>>(), [b"id: 2a.2\ndata: hello\n\n"]);
/// # Ok::<(), sansio_sse::ReplayError>(())
/// ```
#[derive(Debug)]
pub struct Topic {
    id: u64,
    config: TopicConfig,
    now: Tick,
    /// What streams have looked at, or might: each is shared, and held as long as somebody sends from it.
    runs: VecDeque<Arc<Run>>,
    /// What was published since.
    tail: Run,
    frames: usize,
    bytes: usize,
    finished: bool,
}

/// What a topic has for a stream.
pub(crate) enum Read {
    /// The frames of a run from this one on.
    Run(Arc<Run>, usize),
    /// Nothing yet.
    Nothing,
    /// Nothing more.
    Finished,
    /// The frame is gone; the oldest one that is not was published then.
    Gap { oldest: Tick },
}

impl Topic {
    /// An empty log. `id` is its part in its events' ids. Where clients may come back to another run of the program,
    /// let it be random: a place in the log of the run before must not look like one in this one's.
    #[must_use]
    pub fn new(id: u64, config: TopicConfig) -> Topic {
        Topic {
            id,
            config,
            now: Tick::ZERO,
            runs: VecDeque::new(),
            tail: Run::new(id, 1),
            frames: 0,
            bytes: 0,
            finished: false,
        }
    }

    /// Appends a frame; the oldest ones go where the limits ask for it. Gives back the id that clients see.
    pub fn publish(&mut self, now: Tick, frame: &Frame) -> EventId {
        self.now = self.now.max(now);
        let share = |limit: NonZeroUsize| (limit.get() / SHARE).max(1);
        let len = self.tail.as_bytes().len() + frame.as_bytes().len() + envelope::MAX_LEN;
        if self.tail.frames() >= share(self.config.max_frames) || len > share(self.config.max_bytes).min(RUN)
        {
            self.seal();
        }
        let before = self.tail.as_bytes().len();
        let id = self.tail.push(self.now, frame, self.config.line_end);
        self.frames += 1;
        self.bytes += self.tail.as_bytes().len() - before;
        while self.frames > self.config.max_frames.get() || self.bytes > self.config.max_bytes.get() {
            // The newest frame stays.
            let Some(oldest) = self.runs.front().filter(|run| run.end_seq() <= id.seq) else { break };
            self.frames -= oldest.frames();
            self.bytes -= oldest.as_bytes().len();
            self.runs.pop_front();
        }
        id
    }

    /// Nothing more will be published: streams that follow finish once they have sent all.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Its part in its events' ids.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The id of the last frame published; `seq` is 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> EventId {
        EventId { stream: self.id, seq: self.tail.end_seq() - 1 }
    }

    /// The id of the oldest frame held; that of the next one if there is none.
    #[must_use]
    pub fn oldest_id(&self) -> EventId {
        EventId { stream: self.id, seq: self.oldest().first_seq() }
    }

    /// Frames held.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Their bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the frame behind `last`, or of the next one to be published.
    pub(crate) fn next_after(&self, last: Option<EventId>) -> Result<u64, ReplayError> {
        let Some(last) = last else { return Ok(self.tail.end_seq()) };
        if last.stream != self.id {
            return Err(ReplayError::OtherStream);
        }
        if last.seq >= self.tail.end_seq() {
            return Err(ReplayError::NotIssued);
        }
        let oldest = self.oldest_id();
        if last.seq + 1 < oldest.seq {
            return Err(ReplayError::Gap { oldest });
        }
        Ok(last.seq + 1)
    }

    /// What follows from the frame numbered `next` on, as far as it lies in one piece.
    pub(crate) fn read(&mut self, next: u64) -> Read {
        if next >= self.tail.end_seq() {
            return if self.finished { Read::Finished } else { Read::Nothing };
        }
        if next >= self.tail.first_seq() {
            self.seal();
        }
        // Nearly all streams are at the end.
        let last = self.runs.len().saturating_sub(1);
        let place = match self.runs.back() {
            Some(run) if run.first_seq() <= next => last,
            Some(_) | None => self.runs.partition_point(|run| run.end_seq() <= next),
        };
        match self.runs.get(place) {
            Some(run) if run.first_seq() <= next => {
                let frame = usize::try_from(next - run.first_seq()).unwrap_or(usize::MAX);
                Read::Run(Arc::clone(run), frame)
            }
            Some(_) | None => Read::Gap { oldest: self.oldest().at(0) },
        }
    }

    /// A log in which nothing has been published, and much is gone: its next frame is the one with this id.
    #[cfg(feature = "sim")]
    pub(crate) fn from(next: EventId, config: TopicConfig) -> Topic {
        Topic { tail: Run::new(next.stream, next.seq), ..Topic::new(next.stream, config) }
    }

    /// Whether nothing more will be published.
    #[cfg(feature = "sim")]
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The frames held from this number on, without their ids, and when each was published.
    #[cfg(feature = "sim")]
    pub(crate) fn following(&self, seq: u64) -> impl Iterator<Item = (EventId, Tick, &[u8])> {
        let runs = self.runs.iter().map(AsRef::as_ref).chain([&self.tail]);
        let frames = runs.flat_map(|run| (0..run.frames()).map(move |frame| (run, frame)));
        frames.filter(move |(run, frame)| run.id(*frame).seq >= seq).map(|(run, frame)| {
            let payload = run.payload(frame);
            let id = payload.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
            (run.id(frame), run.at(frame), &payload[id..])
        })
    }

    fn oldest(&self) -> &Run {
        self.runs.front().map_or(&self.tail, |run| run)
    }

    /// What was published is shared from now on, and the next frame begins another run.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let next = Run::new(self.id, self.tail.end_seq());
            let mut run = core::mem::replace(&mut self.tail, next);
            run.shrink();
            self.runs.push_back(Arc::new(run));
        }
    }
}
