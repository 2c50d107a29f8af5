//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

#[cfg(feature = "http1")]
mod access;
mod acceptor;
mod config;
mod decimal;
mod frame;
#[cfg(feature = "http1")]
pub mod http1;
mod id;
mod journal;
#[cfg(feature = "http1")]
mod media_type;
#[cfg(feature = "mcp")]
pub mod mcp;
mod stream;
mod tick;

#[cfg(feature = "http1")]
pub use access::{AccessError, AccessRules};
pub use acceptor::{AcceptError, AcceptStep, Acceptor, Admission};
pub use config::{ConfigError, HalfClose, KeepAlive, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};
pub use frame::{Field, FieldError, Frame, FrameBuilder, LineEnd};
pub use id::{EventId, EventIdError};
pub use journal::{Cursor, Journal, ReplayError};
pub use stream::{
    Close, CloseReason, Disconnect, EventStream, Framing, Manner, PushError, Room, Step, Transmit, Wake,
};
pub use tick::Tick;
