//! [`McpSession`]: a session of Streamable HTTP as the application sees it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::FutureExt;
use futures_util::stream::FuturesUnordered;
use sansio_sse::mcp::{Incoming, Message, MessageKind, Outlet, Principal, SessionId, StreamableEnd};

use super::{Call, Endpoint, McpEndpoint, McpSender, MessageSession};

/// One session: what its client says comes out of it, each request with all that is needed to answer it.
///
/// As a stream it ends when the session does. Dropping it ends the session: what was said before still goes out.
pub struct McpSession {
    endpoint: Arc<Endpoint>,
    id: SessionId,
    principal: Principal,
}

/// What a session's client said.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// Something that wants a response; the first is `initialize`.
    Request(Call),
    /// Something that wants none. Of cancellations, the request itself [tells](Call::cancelled).
    Notification(Message),
}

impl McpSession {
    pub(crate) fn new(endpoint: Arc<Endpoint>, id: SessionId) -> McpSession {
        let principal = endpoint.with(|machine, _| machine.principal(&id).cloned()).unwrap_or_default();
        McpSession { endpoint, id, principal }
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }

    /// Whose session it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Says things on the session's own stream, which belong to no request.
    #[must_use]
    pub fn sender(&self) -> McpSender {
        let (id, endpoint) = (self.id.clone(), Arc::clone(&self.endpoint));
        McpSender { endpoint, outlet: Outlet::Session(id.clone()), session: Some(id) }
    }

    /// The endpoint that it is at.
    #[must_use]
    pub fn endpoint(&self) -> McpEndpoint {
        McpEndpoint { endpoint: Arc::clone(&self.endpoint) }
    }

    /// What the client said next, or `None` once the session has ended.
    pub async fn receive(&mut self) -> Option<Received> {
        poll_fn(|cx| self.poll_received(cx)).await
    }

    fn poll_received(&self, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        loop {
            let Some(incoming) = std::task::ready!(self.poll_take(cx)) else { return Poll::Ready(None) };
            let message = match Call::new(&self.endpoint, incoming) {
                Ok(call) => return Poll::Ready(Some(Received::Request(call))),
                Err(message) => message,
            };
            match message.kind() {
                // The endpoint has told the request of it.
                MessageKind::Notification if message.method() == Some("notifications/cancelled") => {}
                MessageKind::Notification => return Poll::Ready(Some(Received::Notification(message))),
                MessageKind::Request | MessageKind::Response => {
                    tracing::debug!(session = %self.id, "a response that nobody waits for");
                }
            }
        }
    }

    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.endpoint.poll_take(cx, &self.id)
    }

    pub(super) fn shared(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Waits for the session's end: while something else is waited for that may never come.
    pub async fn ended(&self) {
        poll_fn(|cx| self.endpoint.poll_end(cx, &self.id)).await;
    }

    /// Why the session ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<StreamableEnd> {
        self.endpoint.end_of(&self.id)
    }

    /// Runs `on_call` for each request until the session ends, all of them side by side in this task. One that panics
    /// is answered with an error, like one that is dropped unanswered.
    pub async fn serve<F, Fut>(self, on_call: F)
    where
        F: Fn(Call) -> Fut,
        Fut: Future<Output = ()>,
    {
        let mut calls = FuturesUnordered::new();
        poll_fn(|cx| {
            loop {
                match self.poll_received(cx) {
                    Poll::Ready(Some(Received::Request(call))) => {
                        let handler = AssertUnwindSafe(async { on_call(call).await });
                        calls.push(handler.catch_unwind());
                    }
                    Poll::Ready(Some(Received::Notification(_))) => {}
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(end)) = pin!(&mut calls).poll_next(cx) {
                if end.is_err() {
                    tracing::error!(session = %self.id, "the application has panicked over a request");
                }
            }
            Poll::Pending
        })
        .await;
        // What still runs hears of the end by itself; it has no session to answer in.
        while let Some(_end) = poll_fn(|cx| pin!(&mut calls).poll_next(cx)).await {}
    }

    /// The session as one stream and sink of messages.
    #[must_use]
    pub fn into_messages(self) -> MessageSession {
        MessageSession::new(self)
    }
}

impl fmt::Debug for McpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpSession")
            .field("id", &self.id)
            .field("principal", &self.principal)
            .finish_non_exhaustive()
    }
}

impl Stream for McpSession {
    type Item = Received;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        self.poll_received(cx)
    }
}

impl Drop for McpSession {
    fn drop(&mut self) {
        self.endpoint.end_session(&self.id);
    }
}
