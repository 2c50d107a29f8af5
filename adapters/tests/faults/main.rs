//! Real faults on real sockets, on every runtime. Each test is alone in the process while it runs, so that
//! descriptors, memory and processor time can be counted: all of it is back where it was when the test is over.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod applications;
mod baseline;
#[expect(dead_code, unused_imports, unused_macros, reason = "the other tests need more of it")]
#[path = "../it/support.rs"]
mod support;

mod crowds;
mod driver;
mod memory;
mod readers;
mod requests;
mod shutdown;
