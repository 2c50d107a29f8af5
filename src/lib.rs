//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

mod decode;
mod last_event_id;
mod stream;
mod tick;

pub use decode::{Decoded, Decoder, Event, EventRef, TooLarge};
pub use last_event_id::{LastEventId, LastEventIdError};
pub use stream::Disconnect;
pub use tick::Tick;
