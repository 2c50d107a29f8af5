//! [`Journal`]: the last frames of one logical stream, and [`Cursor`]: a reader's place in it.
//!
//! A response ends; the stream that it carried may go on in the next response. The journal holds what the
//! next response may have to say again. Replay and live delivery are one path, [`Cursor::fill`], so that there
//! is no seam between them.

use alloc::collections::VecDeque;
use core::fmt;
use core::num::NonZeroUsize;

use crate::{EventId, EventStream, Frame, PushError, Tick};

/// A bounded log of frames, numbered from 1.
///
/// ```
/// use std::num::NonZeroUsize;
/// use sansio_sse::{EventId, Frame, Journal, ReplayError};
///
/// let two = NonZeroUsize::new(2).unwrap();
/// let mut journal = Journal::new(7, two, NonZeroUsize::MAX);
/// for text in ["a", "b", "c"] {
///     journal.append(Frame::message(text));
/// }
/// let oldest = EventId { stream: 7, seq: 2 };
/// assert!(journal.resume(EventId { stream: 7, seq: 1 }).is_ok(), "2 and 3 are still there");
/// assert_eq!(journal.resume(EventId { stream: 7, seq: 0 }), Err(ReplayError::Gap { oldest }));
/// ```
#[derive(Debug)]
pub struct Journal {
    stream: u64,
    /// The number of the first frame held.
    first: u64,
    frames: VecDeque<Frame>,
    bytes: usize,
    max_frames: usize,
    max_bytes: usize,
}

impl Journal {
    /// An empty journal of the stream numbered `stream`, that holds at most `max_frames` frames of
    /// `max_bytes` bytes together. The newest frame is always held, however large it is.
    #[must_use]
    pub fn new(stream: u64, max_frames: NonZeroUsize, max_bytes: NonZeroUsize) -> Journal {
        let (max_frames, max_bytes) = (max_frames.get(), max_bytes.get());
        Journal { stream, first: 1, frames: VecDeque::new(), bytes: 0, max_frames, max_bytes }
    }

    /// Appends a frame and numbers it; the oldest ones go where the limits ask for it.
    pub fn append(&mut self, frame: Frame) -> EventId {
        self.bytes = self.bytes.saturating_add(frame.as_bytes().len());
        self.frames.push_back(frame);
        while self.frames.len() > 1 && (self.frames.len() > self.max_frames || self.bytes > self.max_bytes) {
            self.drop_oldest();
        }
        EventId { stream: self.stream, seq: self.end() - 1 }
    }

    /// Appends a frame past the limits: nothing goes for it.
    #[cfg(feature = "mcp")]
    pub(crate) fn append_past(&mut self, frame: Frame) {
        self.bytes = self.bytes.saturating_add(frame.as_bytes().len());
        self.frames.push_back(frame);
    }

    /// Whether a frame of `len` bytes can be appended without dropping what `cursor` has yet to read.
    #[must_use]
    pub fn has_room(&self, len: usize, cursor: &Cursor) -> bool {
        let read = usize::try_from(cursor.next.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let unread = self.frames.iter().skip(read);
        let (frames, bytes) = unread.fold((0, 0), |(n, sum), frame| (n + 1, sum + frame.as_bytes().len()));
        frames == 0 || (frames < self.max_frames && bytes + len <= self.max_bytes)
    }

    /// The place behind the event `last`.
    ///
    /// # Errors
    /// [`ReplayError`] if `last` is of another stream, was never given out, or what follows it is gone.
    pub fn resume(&self, last: EventId) -> Result<Cursor, ReplayError> {
        if last.stream != self.stream {
            return Err(ReplayError::OtherStream);
        }
        if last.seq >= self.end() {
            return Err(ReplayError::NotIssued);
        }
        let cursor = Cursor { next: last.seq + 1 };
        self.check(&cursor)?;
        Ok(cursor)
    }

    /// The place behind everything appended so far.
    #[must_use]
    pub fn tail(&self) -> Cursor {
        Cursor { next: self.end() }
    }

    /// The id of the last frame appended; `seq` is 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> EventId {
        EventId { stream: self.stream, seq: self.end() - 1 }
    }

    /// The id of the oldest frame held.
    #[must_use]
    pub fn oldest(&self) -> Option<EventId> {
        (!self.frames.is_empty()).then_some(EventId { stream: self.stream, seq: self.first })
    }

    /// Drops the oldest frame, because of its age or for want of a reader. Numbers go on as they were.
    pub fn drop_oldest(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.as_bytes().len();
        self.first += 1;
        Some(frame)
    }

    /// The number that the next frame gets.
    fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn check(&self, cursor: &Cursor) -> Result<(), ReplayError> {
        if cursor.next < self.first {
            return Err(ReplayError::Gap { oldest: EventId { stream: self.stream, seq: self.first } });
        }
        Ok(())
    }

    /// The frames from this number on.
    #[cfg(feature = "sim")]
    pub(crate) fn following(&self, seq: u64) -> impl Iterator<Item = (EventId, &Frame)> {
        (seq..self.end()).filter_map(|seq| Some((EventId { stream: self.stream, seq }, self.get(seq)?)))
    }

    fn get(&self, seq: u64) -> Option<&Frame> {
        self.frames.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }
}

/// A reader's place in a [`Journal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    next: u64,
}

impl Cursor {
    /// The number of the frame that it reads next.
    #[cfg(feature = "sim")]
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Moves as many frames into `stream` as it has room for, each with its id; gives back how many.
    ///
    /// # Errors
    /// [`ReplayError::Gap`] if the journal has dropped frames that this cursor had yet to read.
    pub fn fill(
        &mut self,
        now: Tick,
        journal: &Journal,
        stream: &mut EventStream,
    ) -> Result<usize, ReplayError> {
        journal.check(self)?;
        let from = self.next;
        while let Some(frame) = journal.get(self.next) {
            let id = EventId { stream: journal.stream, seq: self.next };
            match stream.push_with_id(now, id, frame.clone()) {
                Ok(()) => self.next += 1,
                Err(PushError::Full(_) | PushError::Closed(_)) => break,
            }
        }
        Ok(usize::try_from(self.next - from).unwrap_or(usize::MAX))
    }

    /// Moves all that follows into `stream`, past the limits of its queue: what the journal holds is bounded by
    /// limits of its own, and the frames are shared.
    #[cfg(feature = "mcp")]
    pub(crate) fn fill_all(
        &mut self,
        now: Tick,
        journal: &Journal,
        stream: &mut EventStream,
    ) -> Result<(), ReplayError> {
        journal.check(self)?;
        while let Some(frame) = journal.get(self.next) {
            stream.push_replayed(now, EventId { stream: journal.stream, seq: self.next }, frame.clone());
            self.next += 1;
        }
        Ok(())
    }
}

/// Why a stream can't be taken up where a reader left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The id belongs to another stream.
    OtherStream,
    /// The id was never given out.
    NotIssued,
    /// Some of what follows the id is no longer held.
    Gap {
        /// The oldest event that is.
        oldest: EventId,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::OtherStream => f.write_str("the event id belongs to another stream"),
            ReplayError::NotIssued => f.write_str("the event id was never given out"),
            ReplayError::Gap { oldest } => write!(f, "events are missing: the oldest one held is {oldest}"),
        }
    }
}

impl core::error::Error for ReplayError {}
