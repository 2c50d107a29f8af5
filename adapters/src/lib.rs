//! Drives [`sansio_sse`] over real sockets, on smol or tokio.
//!
//! Every decision is the core's; here bytes are moved, the clock is read, and wakers are woken.
//!
//! ```no_run
//! use sansio_sse_adapters::{Service, Server, SmolRuntime};
//! use sansio_sse::Frame;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::builder()
//!     .events("/events", |events, _request| async move {
//!         let _ = events.send_wait(Frame::message("hello")).await;
//!     })
//!     .build()?;
//! smol::block_on(async {
//!     let server = Server::<SmolRuntime>::bind("127.0.0.1:4444".parse()?, service).await?;
//!     server.run(std::future::pending()).await;
//!     Ok(())
//! })
//! # }
//! ```

mod alarms;
mod connection;
mod driver;
mod machine;
mod mcp;
mod registry;
mod runtime;
mod sender;
mod server;
mod service;
mod session;
mod shared;
mod state;
mod sync;
mod tasks;
mod topic;

pub use driver::{Driver, drive};
pub use machine::Machine;
pub use mcp::{
    Call, Mcp, McpEndpoint, McpSender, McpSession, MessageSender, MessageSession, Received, Unsaid,
};
pub use runtime::{Clock, Runtime, Timer};
pub use sender::EventSender;
pub use server::{Server, ServerHandle};
pub use service::{Asking, Request, Service, ServiceBuilder};
pub use session::{Session, SessionClosed, SessionSender};
pub use topic::Topic;

#[cfg(feature = "smol")]
pub use runtime::smol::{SmolIo, SmolRuntime, SmolTimer};
#[cfg(feature = "tokio")]
pub use runtime::tokio::{TokioIo, TokioRuntime, TokioTimer};

/// The README's programs are compiled with the tests.
#[cfg(all(doctest, feature = "smol", feature = "tokio"))]
#[doc = include_str!("../../README.md")]
struct Readme;
