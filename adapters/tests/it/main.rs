//! The adapters over real sockets: each test runs on every runtime that is built in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

mod closing;
mod driver;
mod everywhere;
mod loopback;
mod memory;
mod refusals;
mod resume;
mod streamable;
mod topics;
