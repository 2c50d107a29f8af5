//! [`Mcp`]: the application behind an endpoint of Streamable HTTP, in one of the shapes that applications have.

mod answering;
mod call;
mod endpoint;
mod messages;
mod sender;
mod session;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sansio_sse::mcp::{Revision, Revisions};

pub(crate) use answering::Answering;
pub use call::Call;
pub(crate) use endpoint::Endpoint;
pub use endpoint::McpEndpoint;
pub use messages::{MessageSender, MessageSession};
pub use sender::{McpSender, Unsaid};
pub use session::{McpSession, Received};

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type OnSession = Box<dyn Fn(McpSession) -> BoxFuture + Send + Sync>;
type OnCall = Box<dyn Fn(Call) -> BoxFuture + Send + Sync>;

/// What serves an endpoint of Streamable HTTP: see [`ServiceBuilder::mcp`](crate::ServiceBuilder::mcp).
///
/// Revisions that it has no part for are not spoken: one of [`sessions`](Mcp::sessions) alone knows nothing of
/// 2026-07-28, and one of [`stateless`](Mcp::stateless) alone nothing of all before.
///
/// An application that needs no more than one request at a time, in whatever revision:
///
/// ```
/// use sansio_sse::mcp::StreamableConfig;
/// use sansio_sse_adapters::{Call, Mcp, Service};
///
/// async fn answer(call: Call) {
///     // Whether somebody is still there to hear it matters to few.
///     let _ = match call.method() {
///         "initialize" => call.result(r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"one","version":"1"}}"#).await,
///         "tools/list" => call.result(r#"{"tools":[]}"#).await,
///         "tools/call" => {
///             let _ = call.notify("notifications/message", r#"{"level":"info","data":"soon"}"#).await;
///             call.result(r#"{"content":[]}"#).await
///         }
///         _ => call.error(-32601, "no such method").await,
///     };
/// }
///
/// let service = Service::builder().mcp("/mcp", StreamableConfig::default(), Mcp::calls(answer)).build()?;
/// # Ok::<(), sansio_sse::ConfigError>(())
/// ```
#[derive(Default)]
#[must_use]
pub struct Mcp {
    pub(crate) on_session: Option<OnSession>,
    pub(crate) on_call: Option<OnCall>,
}

impl Mcp {
    /// Runs `on_call` for each request, in sessions and without: see [`McpSession::serve`].
    pub fn calls<F, Fut>(on_call: F) -> Mcp
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let on_call = Arc::new(on_call);
        let in_session = Arc::clone(&on_call);
        Mcp::sessions(move |session| {
            let on_call = Arc::clone(&in_session);
            async move { session.serve(|call| on_call(call)).await }
        })
        .stateless(move |call| on_call(call))
    }

    /// Runs `on_session` for each session, in a task of its own; when it returns or panics, the session ends.
    pub fn sessions<F, Fut>(on_session: F) -> Mcp
    where
        F: Fn(McpSession) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let on_session: OnSession = Box::new(move |session| Box::pin(on_session(session)));
        Mcp { on_session: Some(on_session), on_call: None }
    }

    /// Runs `on_session` for each session, as one stream and sink of messages: for applications that know nothing of
    /// requests and streams, such as those that were written for pipes or for HTTP+SSE.
    pub fn messages<F, Fut>(on_session: F) -> Mcp
    where
        F: Fn(MessageSession) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Mcp::sessions(move |session| on_session(session.into_messages()))
    }

    /// The revisions among these that it has a part for.
    pub(crate) fn spoken(&self, of: Revisions) -> Revisions {
        let is_served = |revision: &Revision| match revision.is_stateless() {
            true => self.on_call.is_some(),
            false => self.on_session.is_some(),
        };
        of.newest_first().filter(is_served).fold(Revisions::none(), Revisions::with)
    }

    /// Also serves requests without a session (2026-07-28): runs `on_call` for each, in a task of its own.
    pub fn stateless<F, Fut>(mut self, on_call: F) -> Mcp
    where
        F: Fn(Call) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.on_call = Some(Box::new(move |call| Box::pin(on_call(call))));
        self
    }
}

impl fmt::Debug for Mcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mcp")
            .field("sessions", &self.on_session.is_some())
            .field("stateless", &self.on_call.is_some())
            .finish()
    }
}
