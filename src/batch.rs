//! [`Batch`]: events for one stream, encoded before the stream is asked to take them.

use alloc::vec::Vec;

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
    bytes: Vec<u8>,
    /// Of each event, in bytes.
    lens: Vec<usize>,
    /// Events that a stream has taken, and their bytes.
    taken: (usize, usize),
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
        self.lens.push(event.len());
        Ok(())
    }

    /// Events in it.
    #[must_use]
    pub fn events(&self) -> usize {
        self.lens.len() - self.taken.0
    }

    /// Their bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len() - self.taken.1
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events() == 0
    }

    /// Drops the events, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.lens.clear();
        self.taken = (0, 0);
    }

    /// Of each event, in bytes.
    pub(crate) fn lens(&self) -> &[usize] {
        &self.lens[self.taken.0..]
    }

    /// Of all events, back to back.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.taken.1..]
    }

    /// The first `events`, of `bytes` bytes, are taken.
    pub(crate) fn advance(&mut self, events: usize, bytes: usize) {
        self.taken = (self.taken.0 + events, self.taken.1 + bytes);
        if self.is_empty() {
            self.clear();
        }
    }
}
