//! [`Watched`]: an event stream that is held against the laws at every step.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Oracle, Violation};
use crate::{
    Batch, Close, Cursor, Disconnect, EventError, EventId, EventStream, FieldError, Frame, FrameBuilder,
    Framing, Journal, PushError, ReplayError, Step, StreamConfig, Tick, Topic,
};

/// An [`EventStream`] with its [`Oracle`]: the same methods, and whatever the stream says is compared.
///
/// ```
/// use std::sync::Arc;
/// use sansio_sse::sim::Watched;
/// use sansio_sse::{Frame, Framing, StreamConfig, Tick};
///
/// let mut stream = Watched::new(Tick::ZERO, Arc::new(StreamConfig::default()), b"", Framing::Raw);
/// stream.push(Tick::ZERO, None, Frame::message("hello"))?;
/// stream.handle_wrote(Tick::ZERO, b"data: hello\n\n");
/// assert_eq!(stream.violation(), None);
///
/// // A driver that says that the peer got something else:
/// stream.push(Tick::ZERO, None, Frame::message("hello"))?;
/// stream.handle_wrote(Tick::ZERO, b"data: jello\n\n");
/// assert!(stream.violation().is_some());
/// # Ok::<(), sansio_sse::PushError>(())
/// ```
#[derive(Debug)]
pub struct Watched {
    stream: EventStream,
    oracle: Oracle,
    batch: Batch,
}

impl Watched {
    /// A stream that is made now.
    #[must_use]
    pub fn new(now: Tick, config: Arc<StreamConfig>, head: &[u8], framing: Framing) -> Watched {
        let oracle = Oracle::new(now, Arc::clone(&config), head, framing);
        let stream = EventStream::with_head(now, config, Box::from(head), framing);
        let mut watched = Watched { stream, oracle, batch: Batch::default() };
        watched.check();
        watched
    }

    /// See [`Oracle::driven`].
    #[must_use]
    pub fn driven(mut self, late_by: core::time::Duration) -> Watched {
        self.oracle = self.oracle.driven(late_by);
        self
    }

    /// A stream that another machine has made, and all that it offers: the oracle knows of the head alone.
    pub(super) fn made(now: Tick, stream: EventStream) -> (Watched, Vec<u8>) {
        let offer = match stream.poll() {
            Step::Run { bytes, .. } => bytes.pieces().collect::<Vec<_>>().concat(),
            Step::Closed(_) => Vec::new(),
        };
        let end = offer.windows(4).position(|four| four == b"\r\n\r\n").map_or(offer.len(), |at| at + 4);
        let chunked = offer[..end].windows(7).any(|word| word == b"chunked");
        let framing = if chunked { Framing::Chunked } else { Framing::Raw };
        let oracle = Oracle::new(now, Arc::clone(stream.config()), &offer[..end], framing);
        (Watched { stream, oracle, batch: Batch::default() }, offer[end..].to_vec())
    }

    /// Lets another machine do something to the stream; besides, how many frames it has put into it.
    pub(super) fn lend<R>(&mut self, lend: impl FnOnce(&mut EventStream) -> R) -> (R, usize) {
        let before = self.stream.queued();
        let done = lend(&mut self.stream);
        (done, self.stream.queued().saturating_sub(before))
    }

    /// The oracle, to be told what another machine did.
    pub(super) fn oracle_mut(&mut self) -> &mut Oracle {
        &mut self.oracle
    }

    /// The oracle was told all; what the stream was asked in vain has told it the time.
    pub(super) fn compare(&mut self) {
        self.oracle.looked(self.stream.now());
        self.check();
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &EventStream {
        &self.stream
    }

    /// What the oracle knows.
    #[must_use]
    pub fn oracle(&self) -> &Oracle {
        &self.oracle
    }

    /// The first law that was broken.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.oracle.violation()
    }

    /// See [`EventStream::poll`].
    pub fn poll(&self) -> Step<'_> {
        self.stream.poll()
    }

    /// See [`EventStream::closed`].
    #[must_use]
    pub fn closed(&self) -> Option<&Close> {
        self.stream.closed()
    }

    /// See [`EventStream::push`] and [`EventStream::push_with_id`].
    ///
    /// # Errors
    /// [`PushError`] with the frame.
    pub fn push(&mut self, now: Tick, id: Option<EventId>, frame: Frame) -> Result<(), PushError> {
        let pushed = match id {
            Some(id) => self.stream.push_with_id(now, id, frame.clone()),
            None => self.stream.push(now, frame.clone()),
        };
        self.oracle.push(now, id, frame.as_bytes(), pushed.is_ok());
        self.check();
        pushed
    }

    /// Puts an event into the batch of the stream's application.
    ///
    /// # Errors
    /// See [`Batch::push`].
    pub fn batch(&mut self, event: FrameBuilder<'_>) -> Result<(), FieldError> {
        let before = self.batch.events();
        self.batch.push(event)?;
        self.oracle.batched(self.batch.event(before));
        Ok(())
    }

    /// See [`EventStream::push_batch`].
    ///
    /// # Errors
    /// [`EventError`].
    pub fn push_batch(&mut self, now: Tick) -> Result<usize, EventError> {
        let pushed = self.stream.push_batch(now, &mut self.batch);
        self.oracle.push_batch(now, pushed.unwrap_or(0));
        self.check();
        pushed
    }

    /// See [`Cursor::fill`].
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn fill(&mut self, now: Tick, cursor: &mut Cursor, journal: &Journal) -> Result<usize, ReplayError> {
        let first = cursor.next();
        let filled = cursor.fill(now, journal, &mut self.stream)?;
        for (id, frame) in journal.following(first).take(filled + 1) {
            self.oracle.push(now, Some(id), frame.as_bytes(), id.seq < cursor.next());
        }
        self.check();
        Ok(filled)
    }

    /// See [`EventStream::follow`].
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn follow(&mut self, now: Tick, topic: &Topic, after: Option<EventId>) -> Result<(), ReplayError> {
        let followed = self.stream.follow(now, topic, after);
        match followed {
            Ok(()) => self.oracle.follow(now),
            Err(_) => self.oracle.looked(now),
        }
        self.check();
        followed
    }

    /// Follows a topic from that frame on, as if it had since then.
    pub(super) fn follow_from(&mut self, next: u64, since: Tick) {
        self.stream.follow_from(next, since);
    }

    /// Takes the one frame that a topic has, or none, and nothing follows from that.
    pub(super) fn take_one(&mut self, now: Tick, topic: &mut Topic) {
        self.stream.take_one(now, topic);
        for (id, at, frame) in topic.following(0) {
            self.oracle.took(now, id, at, frame);
        }
        self.oracle.looked(now);
        self.check();
    }

    /// See [`EventStream::fill`].
    pub fn fill_from(&mut self, now: Tick, topic: &mut Topic) -> bool {
        let Some((first, since)) = self.stream.following() else { return true };
        let all = self.stream.fill(now, topic);
        let end = topic.last_id().seq + 1;
        let next = match self.stream.following() {
            Some((next, _)) => next,
            // It has fallen off, or come to the topic's end.
            None if first < topic.oldest_id().seq => first,
            None => end,
        };
        let taken = topic.following(first).take_while(|(id, ..)| id.seq < next);
        taken.for_each(|(id, published, frame)| self.oracle.took(now, id, published.max(since), frame));
        if all {
            match topic.following(next).next() {
                Some((id, oldest, _)) if id.seq > next => self.oracle.fell_off(now, oldest),
                Some(_) => self.oracle.left_behind(),
                None => self.oracle.caught_up(now, topic.is_finished()),
            }
        }
        self.oracle.looked(now);
        self.check();
        all
    }

    /// See [`EventStream::push_opening`]; for an empty queue.
    ///
    /// # Errors
    /// [`PushError`] with the frame.
    pub fn push_opening(&mut self, now: Tick, frame: Frame) -> Result<(), PushError> {
        let pushed = self.stream.push_opening(now, frame.clone());
        match pushed {
            Ok(()) => self.oracle.push_opening(now, frame.as_bytes()),
            Err(_) => self.oracle.looked(now),
        }
        self.check();
        pushed
    }

    /// See [`EventStream::finish`].
    pub fn finish(&mut self, now: Tick) {
        self.stream.finish(now);
        self.oracle.finish(now);
        self.check();
    }

    /// See [`EventStream::abort`].
    pub fn abort(&mut self, now: Tick) {
        self.stream.abort(now);
        self.oracle.abort(now);
        self.check();
    }

    /// See [`EventStream::set_keep_alive`].
    pub fn set_keep_alive(&mut self, now: Tick, on: bool) {
        self.stream.set_keep_alive(now, on);
        self.oracle.set_keep_alive(now, on);
        self.check();
    }

    /// See [`EventStream::handle_wrote`]; `taken` are the bytes that the peer took.
    pub fn handle_wrote(&mut self, now: Tick, taken: &[u8]) {
        self.stream.handle_wrote(now, taken.len());
        self.oracle.handle_wrote(now, taken);
        self.check();
    }

    /// The peer had no room for what was offered.
    pub fn handle_refused(&mut self) {
        self.oracle.handle_refused();
    }

    /// See [`EventStream::handle_input`].
    pub fn handle_input(&mut self, now: Tick, n: usize) {
        self.stream.handle_input(now, n);
        self.oracle.handle_input(now, n);
        self.check();
    }

    /// See [`EventStream::handle_disconnect`].
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.stream.handle_disconnect(now, how);
        self.oracle.handle_disconnect(now, how);
        self.check();
    }

    /// See [`EventStream::handle_fault`].
    pub fn handle_fault(&mut self, now: Tick) {
        self.stream.handle_fault(now);
        self.oracle.handle_fault(now);
        self.check();
    }

    /// See [`EventStream::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Tick) {
        self.stream.handle_timeout(now);
        self.oracle.handle_timeout(now);
        self.check();
    }

    /// See [`EventStream::handle_abandoned`].
    pub fn handle_abandoned(&mut self, now: Tick) {
        self.stream.handle_abandoned(now);
        self.oracle.handle_abandoned(now);
        self.check();
    }

    /// See [`EventStream::supersede`].
    pub fn supersede(&mut self, now: Tick) {
        self.stream.supersede(now);
        self.oracle.supersede(now);
        self.check();
    }

    fn check(&mut self) {
        self.oracle.check(&self.stream.poll());
    }
}
