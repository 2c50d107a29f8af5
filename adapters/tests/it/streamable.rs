//! Streamable HTTP over sockets.

mod access;
mod answers;
mod applications;
mod client;
mod ends;
mod everywhere;
mod resuming;
mod stateless;
