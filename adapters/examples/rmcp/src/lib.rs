//! An rmcp service over HTTP+SSE and Streamable HTTP, on smol or tokio.
//!
//! rmcp runs a service over any transport that says what the client said and takes what it is told. A session of ours
//! is a stream and a sink of just that: [`Wire`] is all that lies between. A request without a session (2026-07-28) is
//! a session that says one thing, and ends with one.

pub mod client;
mod stateless;
mod tools;
mod wire;

use async_compat::Compat;
use futures_util::{Sink, Stream, StreamExt};
use rmcp::ServiceExt;
use sansio_sse::ConfigError;
use sansio_sse::mcp::{HttpSse, Message, StreamableConfig};
use sansio_sse_adapters::{Mcp, Service, SessionClosed};

pub use tools::Tools;
pub use wire::Wire;

/// The tools, over HTTP+SSE at `/sse` and over Streamable HTTP at `/mcp`.
///
/// rmcp spawns tasks on tokio. [`Compat`] is where it finds one: the server's own, or, on smol, one that async-compat
/// keeps for it. The server's sockets and timers stay on the server's runtime.
///
/// # Errors
/// [`ConfigError`], were a setting out of its range.
pub fn service() -> Result<Service, ConfigError> {
    let mcp = Mcp::messages(|session| Compat::new(serve(session)))
        .stateless(|call| Compat::new(stateless::answer(call)));
    Service::builder()
        .http_sse("/sse", HttpSse::default(), |session| Compat::new(serve(session)))
        .mcp("/mcp", StreamableConfig::default(), mcp)
        .build()
}

/// Runs the tools for one session, to its end.
async fn serve<S>(session: S)
where
    S: Stream<Item = Message> + Sink<Message, Error = SessionClosed> + Send + 'static,
{
    let (said, heard) = session.split();
    match Tools.serve(Wire::new(heard, said)).await {
        Ok(running) => drop(running.waiting().await),
        Err(error) => tracing::debug!(%error, "the session was never initialized"),
    }
}
