//! One integration binary for the core, a module a topic.

#[cfg(feature = "http1")]
mod http1;
