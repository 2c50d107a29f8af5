//! The endpoint of Streamable HTTP, driven as an adapter drives it, with time and bytes in the tests' hands.

mod access;
mod answers;
mod bench;
mod model;
mod relation;
mod replay;
mod sessions;
mod stateless;
