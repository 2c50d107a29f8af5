//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

mod decode;
mod last_event_id;
mod source;
mod stream;
mod tick;

pub use decode::{Decoded, Decoder, Event, EventRef, TooLarge};
pub use last_event_id::{LastEventId, LastEventIdError};
pub use source::{
    Connect, EventSource, Jitter, Lost, Refused, ResponseFacts, SourceClose, SourceCloseReason, SourceConfig,
    SourceConfigBuilder, SourceConfigError, SourceWake, Want,
};
pub use stream::Disconnect;
pub use tick::Tick;
