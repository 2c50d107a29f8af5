//! What threads meet at around an event stream: std's, or loom's where its models run (`tests/loom.rs`).
//!
//! The pointers to a [`Shared`](crate::driver::Shared) are std's in either, since nothing depends on their count.
//! On that of a stream's senders it does: the last one finishes the stream.

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard};
