//! [`EventSender`]: what an application holds of a plain event stream.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use sansio_sse::{
    Batch, Close, EventError, EventId, EventStream, Frame, FrameBuilder, PushError, ReplayError,
};

use crate::Topic;
use crate::shared::Shared;
use crate::sync::Counted;

/// Sends frames to one event stream. Clones send to the same one; when the last is dropped, the stream finishes,
/// unless it follows a [`Topic`].
#[derive(Clone, Debug)]
pub struct EventSender {
    held: Counted<Held>,
}

#[derive(Debug)]
struct Held(Arc<Shared<EventStream>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.command(EventStream::let_go);
    }
}

impl EventSender {
    pub(crate) fn new(shared: Arc<Shared<EventStream>>) -> EventSender {
        EventSender { held: Counted::new(Held(shared)) }
    }

    fn shared(&self) -> &Shared<EventStream> {
        &self.held.0
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// [`PushError`] with the frame, if there is no room for it or the stream is over.
    pub fn send(&self, frame: Frame) -> Result<(), PushError> {
        self.shared().send(|stream, now| stream.push(now, frame))
    }

    /// Sends a frame with an id in front of it.
    ///
    /// # Errors
    /// [`PushError`] with the frame, if there is no room for it or the stream is over.
    pub fn send_with_id(&self, id: EventId, frame: Frame) -> Result<(), PushError> {
        self.shared().send(|stream, now| stream.push_with_id(now, id, frame))
    }

    /// Sends a frame, and waits for room for it where there is none.
    ///
    /// # Errors
    /// [`PushError::Closed`] with the frame, if the stream is over.
    pub async fn send_wait(&self, frame: Frame) -> Result<(), PushError> {
        let mut frame = Some(frame);
        poll_fn(|cx| {
            self.shared().poll_send(cx, |stream, now| {
                match frame.take().map(|frame| stream.push(now, frame)) {
                    Some(Err(PushError::Full(back))) => {
                        frame = Some(back);
                        Poll::Pending
                    }
                    Some(result) => Poll::Ready(result),
                    None => Poll::Pending,
                }
            })
        })
        .await
    }

    /// Sends an event that no other stream sends: it is encoded where it waits.
    ///
    /// # Errors
    /// [`EventError`], if a field can't stand in an event, there is no room for it, or the stream is over.
    pub fn emit(&self, event: FrameBuilder<'_>) -> Result<(), EventError> {
        self.shared().send(|stream, now| stream.push_event(now, event))
    }

    /// Sends an event that no other stream sends, and waits for room for it where there is none.
    ///
    /// # Errors
    /// [`EventError::Field`] or [`EventError::Closed`].
    pub async fn emit_wait(&self, event: FrameBuilder<'_>) -> Result<(), EventError> {
        poll_fn(|cx| {
            self.shared().poll_send(cx, |stream, now| match stream.push_event(now, event) {
                Err(EventError::Full) => Poll::Pending,
                result => Poll::Ready(result),
            })
        })
        .await
    }

    /// Sends events from the front of a batch, as many as there is room for; gives back how many. The others stay in
    /// it.
    ///
    /// # Errors
    /// [`EventError::Full`] if there is no room for one, or [`EventError::Closed`]; the batch is as it was.
    pub fn emit_batch(&self, batch: &mut Batch) -> Result<usize, EventError> {
        self.shared().send(|stream, now| stream.push_batch(now, batch))
    }

    /// Sends all events of a batch, and waits for room where there is none. Dropped before its end, it has sent those
    /// that are no longer in the batch.
    ///
    /// # Errors
    /// [`EventError::Closed`], if the stream is over.
    pub async fn emit_batch_wait(&self, batch: &mut Batch) -> Result<(), EventError> {
        poll_fn(|cx| {
            self.shared().poll_send(cx, |stream, now| match stream.push_batch(now, batch) {
                Ok(_) if batch.is_empty() => Poll::Ready(Ok(())),
                Ok(_) | Err(EventError::Full) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            })
        })
        .await
    }

    /// From now on, sends what `topic` publishes; or, `after` an event that the client has seen last, what follows
    /// that one. The stream then needs no sender: it goes on until its client leaves, or the topic is dropped.
    ///
    /// # Errors
    /// [`ReplayError`] if what follows `after` can't be said again; nothing has changed.
    pub fn follow(&self, topic: &Topic, after: Option<EventId>) -> Result<(), ReplayError> {
        self.shared().follow(topic.log(), after)
    }

    /// The application failed to make a frame: see [`EventStream::handle_fault`].
    pub fn fault(&self) {
        self.shared().command(EventStream::handle_fault);
    }

    /// Switches keep-alives off or on again: see [`EventStream::set_keep_alive`].
    pub fn set_keep_alive(&self, on: bool) {
        self.shared().command(|stream, now| stream.set_keep_alive(now, on));
    }

    /// Ends the stream once all that was sent is taken.
    pub fn finish(&self) {
        self.shared().command(EventStream::finish);
    }

    /// Ends the stream at once.
    pub fn abort(&self) {
        self.shared().command(EventStream::abort);
    }

    /// Waits for the stream's end.
    pub async fn closed(&self) -> Close {
        poll_fn(|cx| self.shared().poll_closed(cx)).await
    }

    /// Whether frames are still accepted, room provided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.shared().with(EventStream::is_open)
    }
}
