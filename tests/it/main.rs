//! One integration binary for the core, a module a topic.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the message")]

mod cases;
mod decode;
mod frame;
#[cfg(feature = "http1")]
mod http1;
mod source;
mod stream;
