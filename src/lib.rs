//! A sans-IO engine for Server-Sent Events (HTML §9.2): pure state machines that take clock ticks, messages and
//! disconnects, and give bytes, deadlines and close decisions.
//!
//! # Should I be using this?
//! To serve events, or an MCP server, from a smol or tokio program, take `sansio-sse-adapters`, which drives this
//! crate over real sockets. Take this crate itself to drive it from a loop of your own, to test what a stream does
//! at every timing, or for one of its parts: the encoder, the decoder, the client's reconnecting machine, the
//! strict HTTP/1.1.
//!
//! # How the machines are driven
//! One grammar holds everywhere. `handle_*` tells what happened; a plain verb says what the application wants;
//! `poll` says what the driver must do, and changes nothing; a noun is a getter. The first argument of whatever can
//! change something is `now`, a [`Tick`] of the driver's own clock: nothing here reads a clock, does I/O or draws
//! randomness. [`EventStream`] shows it in its example.
//!
//! # Parts
//! - [`Frame`]: an event, encoded once. [`Decoder`]: events out of bytes, in pieces of any size.
//! - [`EventStream`]: one response, its queue and its clocks, up to its one [`Close`]. [`StreamConfig`]: its
//!   settings.
//! - [`Batch`]: events for one stream, many at once. [`Topic`]: one log that any number of streams send from.
//! - [`Journal`]: what a client that reconnects is told again. [`EventSource`]: the client that does.
//! - [`http1`]: requests and responses, strictly. [`AccessRules`]: who may ask. [`Acceptor`]: when to accept.
//! - [`mcp`]: the Model Context Protocol over HTTP+SSE and over Streamable HTTP: messages, routes, sessions.
//!
//! # Features
//! `http1` and `mcp` (both default) add the modules of those names, and what they need. Without them the crate
//! depends on `memchr` alone. It is `no_std` with `alloc`; `simd` alone needs the standard library, to find out which
//! vector instructions the processor has, and decodes large events in half the time by them.
#![no_std]

extern crate alloc;

mod acceptor;
#[cfg(feature = "http1")]
mod access;
mod batch;
mod config;
mod config_error;
mod decimal;
mod decode;
mod envelope;
mod frame;
#[cfg(feature = "http1")]
pub mod http1;
mod id;
mod journal;
mod last_event_id;
mod line_end;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "mcp")]
mod media_type;
#[cfg(feature = "sim")]
pub mod sim;
mod source;
mod stream;
mod tick;
mod topic;
mod utf8;

pub use acceptor::{AcceptError, AcceptStep, Acceptor, Admission};
#[cfg(feature = "http1")]
pub use access::{AccessError, AccessRules};
pub use batch::Batch;
pub use config::{HalfClose, KeepAlive, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};
pub use config_error::ConfigError;
pub use decode::{Decoded, Decoder, Event, EventRef, Piece, TooLarge};
pub use frame::{Field, FieldError, Frame, FrameBuilder, LineEnd};
pub use id::{EventId, EventIdError};
pub use journal::{Cursor, Journal, ReplayError};
pub use last_event_id::{LastEventId, LastEventIdError};
pub use source::{
    Connect, EventSource, Jitter, Lost, Refused, ResponseFacts, SourceClose, SourceCloseReason, SourceConfig,
    SourceConfigBuilder, SourceWake, Want,
};
pub use stream::{
    Close, CloseReason, Disconnect, EventError, EventStream, Framing, Manner, PushError, Room, Step,
    Transmit, Wake,
};
pub use tick::Tick;
pub use topic::{Topic, TopicConfig};
