//! [`Call`]: a request of a client, to be answered once.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sansio_sse::mcp::{CallId, Incoming, Message, NotSent, Outlet, Principal, Revision, SessionId};

use super::{Endpoint, McpEndpoint, McpSender, Unsaid};

/// A request of a client, with all that belongs to it: what was asked, who asks, what is to be said before the
/// response, and the response.
///
/// Dropped without one, the client is told that there was no answer (error −32603), unless it wants none any more.
#[derive(Debug)]
pub struct Call {
    id: CallId,
    incoming: Incoming,
    sender: McpSender,
    is_answered: bool,
}

impl Call {
    /// The request, or the message that is none.
    pub(crate) fn new(endpoint: &Arc<Endpoint>, incoming: Incoming) -> Result<Call, Message> {
        let Some(id) = incoming.call else { return Err(incoming.message) };
        let (endpoint, outlet) = (Arc::clone(endpoint), Outlet::Call(id));
        let sender = McpSender { endpoint, outlet, session: incoming.session.clone() };
        Ok(Call { id, incoming, sender, is_answered: false })
    }

    /// The request.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.incoming.message
    }

    /// Its method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.incoming.message.method().unwrap_or_default()
    }

    /// Who asks.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.incoming.principal
    }

    /// The revision of the protocol that it is of. That of an `initialize` request is what would be agreed on, unless
    /// its response says otherwise.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.incoming.revision
    }

    /// The session that it is in, if it is in one.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.incoming.session.as_ref()
    }

    /// The headers that repeat arguments: see [`Incoming::mirrored`].
    #[must_use]
    pub fn mirrored(&self) -> &[(String, Option<String>)] {
        &self.incoming.mirrored
    }

    /// Says things in front of the response, on its stream; may be kept, and used beside it.
    #[must_use]
    pub fn sender(&self) -> McpSender {
        self.sender.clone()
    }

    /// Says things on the session's own stream, which belong to no request; none without a session.
    #[must_use]
    pub fn session_sender(&self) -> Option<McpSender> {
        let session = self.incoming.session.clone()?;
        let (endpoint, outlet) = (Arc::clone(&self.sender.endpoint), Outlet::Session(session.clone()));
        Some(McpSender { endpoint, outlet, session: Some(session) })
    }

    /// The endpoint that it came to.
    #[must_use]
    pub fn endpoint(&self) -> McpEndpoint {
        McpEndpoint { endpoint: Arc::clone(&self.sender.endpoint) }
    }

    /// Sends a notification in front of the response: see [`McpSender::notify`].
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn notify(&self, method: &str, params: impl Display) -> Result<(), Unsaid> {
        self.sender.notify(method, params).await
    }

    /// Asks the client something in front of the response, and waits for what it says: see [`McpSender::ask`].
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn ask(&self, method: &str, params: impl Display) -> Result<Message, Unsaid> {
        self.sender.ask(method, params).await
    }

    /// Responds with the JSON text of a result; waits for room.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn result(self, result: impl Display) -> Result<(), Unsaid> {
        let response = self.message().respond(result)?;
        Ok(self.respond(response).await?)
    }

    /// Responds with an error: a code, and a text for people.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn error(self, code: i32, text: &str) -> Result<(), Unsaid> {
        let response = self.message().respond_error(code, text, None)?;
        Ok(self.respond(response).await?)
    }

    /// Responds; waits for room.
    ///
    /// # Errors
    /// [`NotSent`] with the response; never [`NotSent::Full`].
    pub async fn respond(mut self, response: Message) -> Result<(), NotSent> {
        let (id, mut response) = (self.id, Some(response));
        let said = poll_fn(|cx| {
            let McpSender { endpoint, outlet, .. } = &self.sender;
            endpoint.poll_say(cx, outlet, &mut response, |machine, now, response| {
                machine.respond(now, id, response)
            })
        })
        .await;
        if said.is_ok() {
            self.is_answered = true;
            self.sender.endpoint.answered(id, self.incoming.session.as_ref());
        }
        said
    }

    /// Waits until nobody wants a response any more: the client has cancelled the request, or its session is over.
    /// Cancelled by a notification, it can still be answered, and is best [let go](Self::let_go).
    pub async fn cancelled(&self) {
        poll_fn(|cx| self.sender.endpoint.poll_unwanted(cx, self.id)).await;
    }

    /// Does some work for as long as somebody wants a response; `None` where nobody does any more.
    ///
    /// ```no_run
    /// # async fn calculate() -> String { String::new() }
    /// # async fn serve(call: sansio_sse_adapters::Call) {
    /// if let Some(result) = call.unless_cancelled(calculate()).await {
    ///     let _ = call.result(result).await;
    /// }
    /// # }
    /// ```
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut cancelled) = (pin!(work), pin!(self.cancelled()));
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => cancelled.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Ends the present response early: the client comes again, after `retry` or as configured, and finds what was
    /// said since (2025-11-25, Sending Messages). `false` where its revision has no such thing, or nobody reads.
    pub fn poll_later(&self, retry: Option<Duration>) -> bool {
        self.sender.endpoint.with(|machine, now| machine.poll_later(now, self.id, retry))
    }

    /// Lets the request go without a response, as is due to one that its client has cancelled.
    pub fn let_go(mut self) {
        self.is_answered = true;
        let McpSender { endpoint, session, .. } = &self.sender;
        endpoint.with(|machine, now| machine.let_go(now, self.id));
        endpoint.answered(self.id, session.as_ref());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_answered {
            self.sender.endpoint.abandon(self.id, self.sender.session.as_ref());
        }
    }
}
