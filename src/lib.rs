//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

mod stream;
mod tick;

pub use stream::Disconnect;
pub use tick::Tick;
