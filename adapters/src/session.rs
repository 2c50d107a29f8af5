//! [`Session`]: an MCP session as the application sees it, a stream and a sink of messages.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::Sink;
use sansio_sse::Close;
use sansio_sse::mcp::{Message, Principal, SendError, SessionEnd, SessionId, SessionStream};

use crate::registry::Registry;
use crate::shared::Shared;

/// One session: messages from the client come out of it, messages to the client go into it.
///
/// As a stream it ends when the session does. Dropping it ends the session: what was sent before still goes out.
#[derive(Debug)]
pub struct Session {
    registry: Arc<Registry>,
    sender: SessionSender,
    principal: Principal,
    /// A message that the sink has taken while somebody else took the room for it.
    stashed: Option<Message>,
}

/// Sends messages to one session's client; clones send to the same one.
#[derive(Clone, Debug)]
pub struct SessionSender {
    id: SessionId,
    stream: Arc<Shared<SessionStream>>,
}

impl Session {
    pub(crate) fn new(
        registry: Arc<Registry>,
        id: SessionId,
        stream: Arc<Shared<SessionStream>>,
        principal: Principal,
    ) -> Session {
        registry.join(id.clone(), Arc::clone(&stream), principal.clone());
        Session { registry, sender: SessionSender { id, stream }, principal, stashed: None }
    }

    /// Whose session it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.sender.id
    }

    /// A sender for this session, to be used beside it.
    #[must_use]
    pub fn sender(&self) -> SessionSender {
        self.sender.clone()
    }

    /// The next message from the client, or `None` once the session has ended.
    pub async fn receive(&mut self) -> Option<Message> {
        poll_fn(|cx| self.registry.poll_take(cx, &self.sender.id)).await
    }

    /// Waits for the session's end: while something else is waited for that may never come. Messages that are
    /// there to be received do not matter to it.
    pub async fn ended(&self) {
        poll_fn(|cx| self.registry.poll_end(cx, &self.sender.id)).await;
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<SessionEnd> {
        self.registry.end_of(&self.sender.id)
    }

    /// Puts the stashed message into the stream.
    fn poll_unstash(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        let Some(message) = self.stashed.take() else { return Poll::Ready(Ok(())) };
        let stashed = &mut self.stashed;
        self.sender.stream.poll_with(cx, |stream, now| match stream.send(now, message) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(SendError::Full(message)) => {
                *stashed = Some(message);
                Poll::Pending
            }
            Err(SendError::Closed(message)) => Poll::Ready(Err(SessionClosed { message: Some(message) })),
        })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.registry.leave(&self.sender.id);
    }
}

impl SessionSender {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`SendError`] with the message, if there is no room for it or the session is over.
    pub fn try_send(&self, message: Message) -> Result<(), SendError> {
        self.stream.send(|stream, now| stream.send(now, message))
    }

    /// Sends a message, and waits for room for it where there is none.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the message, if the session is over.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        let mut message = Some(message);
        poll_fn(|cx| {
            self.stream.poll_send(cx, |stream, now| match message.take().map(|m| stream.send(now, m)) {
                Some(Err(SendError::Full(back))) => {
                    message = Some(back);
                    Poll::Pending
                }
                Some(result) => Poll::Ready(result),
                None => Poll::Pending,
            })
        })
        .await
    }

    /// The application failed to make a message: nothing is sent for it, and too many in a row end the session.
    pub fn fault(&self) {
        self.stream.command(SessionStream::handle_fault);
    }

    /// Waits for the end of the current response.
    pub async fn closed(&self) -> Close {
        poll_fn(|cx| self.stream.poll_closed(cx)).await
    }
}

impl Stream for Session {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.registry.poll_take(cx, &self.sender.id)
    }
}

impl Sink<Message> for Session {
    type Error = SessionClosed;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        if self.poll_unstash(cx)?.is_pending() {
            return Poll::Pending;
        }
        self.sender.stream.poll_with(cx, |stream, _| match (stream.is_open(), stream.has_room()) {
            (false, _) => Poll::Ready(Err(SessionClosed { message: None })),
            (true, true) => Poll::Ready(Ok(())),
            (true, false) => Poll::Pending,
        })
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SessionClosed> {
        match self.sender.try_send(message) {
            Ok(()) => Ok(()),
            Err(SendError::Full(message)) => {
                self.stashed = Some(message);
                Ok(())
            }
            Err(SendError::Closed(message)) => Err(SessionClosed { message: Some(message) }),
        }
    }

    /// Ready once everything is in the stream's own queue, which the driver empties by itself.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        self.poll_unstash(cx)
    }

    /// Finishes the stream, and is ready once all of it is taken or it has ended otherwise.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        if self.poll_unstash(cx)?.is_pending() {
            return Poll::Pending;
        }
        self.registry.finish(&self.sender.id, &self.sender.stream);
        self.sender.stream.poll_closed(cx).map(|_| Ok(()))
    }
}

/// The session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClosed {
    /// The message that was to be sent, where there was one.
    pub message: Option<Message>,
}

impl fmt::Display for SessionClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the session is closed")
    }
}

impl std::error::Error for SessionClosed {}
