//! One integration binary for the core, a module a topic.

mod frame;
mod stream;
