//! One integration binary for the core, a module a topic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod acceptor;
#[cfg(feature = "mcp")]
mod access;
mod batch;
mod cases;
mod config;
mod decode;
mod frame;
#[cfg(feature = "http1")]
mod http1;
#[cfg(feature = "mcp")]
mod http_sse;
mod journal;
#[cfg(feature = "mcp")]
mod message;
#[cfg(feature = "sim")]
mod props;
#[cfg(feature = "mcp")]
mod resume;
#[cfg(feature = "mcp")]
mod revision;
#[cfg(feature = "mcp")]
mod route;
#[cfg(feature = "mcp")]
mod session_id;
#[cfg(feature = "mcp")]
mod sessions;
#[cfg(feature = "mcp")]
mod sessions_model;
#[cfg(feature = "sim")]
mod sim;
mod source;
mod stream;
#[cfg(feature = "mcp")]
mod streamable;
#[cfg(feature = "mcp")]
mod texts;
mod topic;
