//! A sans-IO Server-Sent Events engine.
#![no_std]

extern crate alloc;

mod acceptor;
mod config;
mod decimal;
mod frame;
mod id;
mod journal;
mod stream;
mod tick;

pub use acceptor::{AcceptError, AcceptStep, Acceptor, Admission};
pub use config::{ConfigError, HalfClose, KeepAlive, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};
pub use frame::{Field, FieldError, Frame, FrameBuilder, LineEnd};
pub use id::{EventId, EventIdError};
pub use journal::{Cursor, Journal, ReplayError};
pub use stream::{
    Close, CloseReason, Disconnect, EventStream, Framing, Manner, PushError, Room, Step, Transmit, Wake,
};
pub use tick::Tick;
