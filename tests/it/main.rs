//! One integration binary for the core, a module a topic.

mod acceptor;
#[cfg(feature = "mcp")]
mod access;
mod config;
mod frame;
#[cfg(feature = "http1")]
mod http1;
#[cfg(feature = "mcp")]
mod http_sse;
mod journal;
#[cfg(feature = "mcp")]
mod message;
mod props;
#[cfg(feature = "mcp")]
mod resume;
#[cfg(feature = "mcp")]
mod route;
#[cfg(feature = "mcp")]
mod session_id;
#[cfg(feature = "mcp")]
mod sessions;
#[cfg(feature = "mcp")]
mod sessions_model;
mod stream;
