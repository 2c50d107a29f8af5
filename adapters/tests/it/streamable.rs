//! Streamable HTTP over sockets.

mod access;
mod answers;
mod applications;
mod client;
mod ends;
mod resuming;
mod stateless;
