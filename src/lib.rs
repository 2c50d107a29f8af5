//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

#[cfg(feature = "http1")]
pub mod http1;
mod stream;
mod tick;

pub use stream::Disconnect;
pub use tick::Tick;
