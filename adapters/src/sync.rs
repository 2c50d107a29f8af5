//! What threads meet at around an event stream: std's, or loom's where its models run (`tests/loom.rs`).
//!
//! [`Counted`] is the pointer whose count matters: that of a stream's senders and of a topic's publishers, the last of
//! which finishes it.
//! All others are std's in either.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc as Counted, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc as Counted, Mutex, MutexGuard};
