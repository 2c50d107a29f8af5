//! [`MessageSession`]: a session of Streamable HTTP as one stream and sink of messages.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::Sink;
use sansio_sse::mcp::{Message, NotSent, Principal, SessionId, StreamableEnd};

use super::{Endpoint, McpSession};
use crate::SessionClosed;

/// A session as one stream and sink of messages, for applications that know nothing of requests and streams.
///
/// All that the client says comes out of it, cancellations and responses as well; a request ends when its cancellation
/// comes out, since who obeys it says nothing more. What goes into it is sorted by
/// [`outlet`](sansio_sse::mcp::Streamable::outlet): a response goes to its request, by its id; progress to the request
/// whose token it names; what tells of changed lists and resources to the session's own stream. Anything
/// else goes to the stream of the one request that is being worked on, since many clients listen there and nowhere
/// else; while there are several or none, to the session's own stream. A response to a request that is no longer
/// worked on is dropped. So is, with a warning, what finds no room on a stream that nobody reads: its application speaks
/// with one mouth, and all other requests would wait for a client that may never come.
///
/// As a stream it ends when the session does. Dropping it ends the session: what was said before still goes out.
pub struct MessageSession {
    session: McpSession,
    sender: MessageSender,
    /// A message that the sink has taken while there was no room for it.
    stashed: Option<Message>,
}

/// Sends messages to one session's client, as [`MessageSession`] does; clones send to the same one.
#[derive(Clone, Debug)]
pub struct MessageSender {
    endpoint: Arc<Endpoint>,
    id: SessionId,
}

impl MessageSession {
    pub(super) fn new(session: McpSession) -> MessageSession {
        let sender = MessageSender { endpoint: Arc::clone(session.shared()), id: session.id().clone() };
        MessageSession { session, sender, stashed: None }
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.sender.id
    }

    /// Whose session it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        self.session.principal()
    }

    /// A sender for this session, to be used beside it.
    #[must_use]
    pub fn sender(&self) -> MessageSender {
        self.sender.clone()
    }

    /// The next message from the client, or `None` once the session has ended.
    pub async fn receive(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Some(incoming) = std::task::ready!(self.session.poll_take(cx)) else { return Poll::Ready(None) };
        if let Some(call) = incoming.cancels {
            self.sender.endpoint.cancelled(call, self.id());
        }
        Poll::Ready(Some(incoming.message))
    }

    /// Waits for the session's end: while something else is waited for that may never come.
    pub async fn ended(&self) {
        self.session.ended().await;
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<StreamableEnd> {
        self.session.end()
    }

    /// Puts the stashed message into its stream.
    fn poll_unstash(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        if self.stashed.is_none() {
            return Poll::Ready(Ok(()));
        }
        self.sender.poll_send(cx, &mut self.stashed)
    }
}

impl MessageSender {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Sends a message, and waits for room for it where there is none.
    ///
    /// # Errors
    /// [`SessionClosed`] with the message, if the session is over.
    pub async fn send(&self, message: Message) -> Result<(), SessionClosed> {
        let mut message = Some(message);
        poll_fn(|cx| self.poll_send(cx, &mut message)).await
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), SessionClosed>> {
        let said = std::task::ready!(self.endpoint.poll_relay(cx, &self.id, message));
        Poll::Ready(self.outcome(said).map_err(|message| SessionClosed { message: Some(message) }))
    }

    /// Sends a message, if there is room for it. One that nobody waits for is dropped, as by [`send`](Self::send).
    ///
    /// # Errors
    /// [`NotSent::Full`], or [`NotSent::Gone`] once the session is over, with the message.
    pub fn try_send(&self, message: Message) -> Result<(), NotSent> {
        match self.endpoint.relay(&self.id, message) {
            Err(NotSent::Full(message)) => Err(NotSent::Full(message)),
            said => self.outcome(said).map_err(NotSent::Gone),
        }
    }

    /// Only the session's end is the application's concern.
    fn outcome(&self, said: Result<(), NotSent>) -> Result<(), Message> {
        let Err(error) = said else { return Ok(()) };
        if self.endpoint.with(|machine, _| machine.principal(&self.id).is_none()) {
            return Err(error.into_message());
        }
        tracing::debug!(session = %self.id, %error, "a message is dropped");
        Ok(())
    }
}

impl fmt::Debug for MessageSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageSession").field("id", self.id()).finish_non_exhaustive()
    }
}

impl Stream for MessageSession {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.poll_message(cx)
    }
}

impl Sink<Message> for MessageSession {
    type Error = SessionClosed;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        std::task::ready!(self.poll_unstash(cx))?;
        let is_over = self.sender.endpoint.with(|machine, _| machine.principal(&self.sender.id).is_none());
        Poll::Ready(if is_over { Err(SessionClosed { message: None }) } else { Ok(()) })
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SessionClosed> {
        match self.sender.try_send(message) {
            Ok(()) => Ok(()),
            Err(NotSent::Full(message)) => {
                self.stashed = Some(message);
                Ok(())
            }
            Err(closed) => Err(SessionClosed { message: Some(closed.into_message()) }),
        }
    }

    /// Ready once everything is in its stream, which the endpoint empties by itself.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        self.poll_unstash(cx)
    }

    /// Ends the session. What was said before still goes out.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SessionClosed>> {
        std::task::ready!(self.poll_unstash(cx))?;
        let sender = &self.sender;
        sender.endpoint.with(|machine, now| machine.end_session(now, &sender.id));
        Poll::Ready(Ok(()))
    }
}
