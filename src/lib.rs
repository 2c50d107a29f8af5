//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

mod acceptor;
#[cfg(feature = "http1")]
mod access;
mod config;
mod decimal;
mod frame;
#[cfg(feature = "http1")]
pub mod http1;
mod id;
mod journal;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "http1")]
mod media_type;
mod stream;
mod tick;

pub use acceptor::{AcceptError, AcceptStep, Acceptor, Admission};
#[cfg(feature = "http1")]
pub use access::{AccessError, AccessRules};
pub use config::{ConfigError, HalfClose, KeepAlive, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};
pub use frame::{Field, FieldError, Frame, FrameBuilder, LineEnd};
pub use id::{EventId, EventIdError};
pub use journal::{Cursor, Journal, ReplayError};
pub use stream::{
    Close, CloseReason, Disconnect, EventStream, Framing, Manner, PushError, Room, Step, Transmit, Wake,
};
pub use tick::Tick;
