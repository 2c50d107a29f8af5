//! [`Batch`]: events for one stream, encoded before the stream is asked to take them.

use alloc::vec::Vec;
use core::mem;

use crate::{FieldError, FrameBuilder};

/// Events that one stream is to send, encoded back to back.
///
/// Who has many at once pays for the stream's account, and a driver's lock, once a batch instead of once an event.
/// [`EventStream::push_batch`](crate::EventStream::push_batch) takes from its front what there is room for; what a
/// stream has taken is gone from it, and an empty batch keeps its memory for the next events.
///
/// ```
/// use sansio_sse::{Batch, EventStream, Frame, Step, Tick};
///
/// let mut batch = Batch::default();
/// for text in ["one", "two"] {
///     batch.push(Frame::builder().data(text))?;
/// }
/// let mut stream = EventStream::new(Tick::ZERO, Default::default());
/// assert_eq!(stream.push_batch(Tick::ZERO, &mut batch), Ok(2));
/// assert!(batch.is_empty());
///
/// let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
/// assert_eq!(bytes.pieces().collect::<Vec<_>>(), [b"data: one\n\ndata: two\n\n"]);
/// # Ok::<(), sansio_sse::FieldError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events back to back.
    bytes: Vec<u8>,
    /// Where each event ends in them.
    ends: Vec<usize>,
    /// How many events a stream has taken.
    taken: usize,
}

impl Batch {
    /// Encodes an event behind the others.
    ///
    /// # Errors
    /// [`FieldError`], if a field can't stand in an event; the batch is as it was.
    pub fn push(&mut self, event: FrameBuilder<'_>) -> Result<(), FieldError> {
        let event = event.measure()?;
        self.bytes.reserve(event.len());
        event.write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// Events in it.
    #[must_use]
    pub fn events(&self) -> usize {
        self.ends.len() - self.taken
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() - self.end(0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events() == 0
    }

    /// Drops the events, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.taken = 0;
    }

    /// How many events from the front have at most that many bytes.
    pub(crate) fn within(&self, bytes: usize) -> usize {
        let begin = self.end(0);
        self.ends[self.taken..].partition_point(|end| end - begin <= bytes)
    }

    /// The first `events`, back to back.
    pub(crate) fn first(&self, events: usize) -> &[u8] {
        self.bytes.get(self.end(0)..self.end(events)).unwrap_or_default()
    }

    /// One event.
    #[cfg(feature = "sim")]
    pub(crate) fn event(&self, event: usize) -> &[u8] {
        self.bytes.get(self.end(event)..self.end(event + 1)).unwrap_or_default()
    }

    /// How long each of the first `events` is, in bytes.
    pub(crate) fn lens(&self, events: usize) -> impl ExactSizeIterator<Item = usize> {
        let (mut begin, ends) = (self.end(0), &self.ends[self.taken..self.taken + events]);
        ends.iter().map(move |end| end - mem::replace(&mut begin, *end))
    }

    /// Where the first `events` end in the bytes.
    fn end(&self, events: usize) -> usize {
        (self.taken + events).checked_sub(1).map_or(0, |last| self.ends[last])
    }

    /// The first `events` are taken. What they leave is given up once it is more than what is still there, so that a
    /// batch that is never empty does not grow for ever.
    pub(crate) fn advance(&mut self, events: usize) {
        self.taken += events;
        let begin = self.end(0);
        if begin > self.bytes() {
            self.bytes.drain(..begin);
            self.ends.drain(..self.taken);
            self.ends.iter_mut().for_each(|end| *end -= begin);
            self.taken = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frame;

    #[test]
    fn a_batch_that_is_never_empty_does_not_grow() {
        let mut batch = Batch::default();
        for n in 0..1_000 {
            let text = if n == 0 { "01234" } else { "01" };
            assert_eq!(batch.push(Frame::builder().data(text)), Ok(()));
            if n >= 5 {
                batch.advance(1);
            }
        }
        assert_eq!((batch.events(), batch.bytes()), (5, 50));
        assert!(batch.bytes.len() <= 2 * 50 && batch.ends.len() <= 12);
    }
}
