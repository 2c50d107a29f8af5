//! One `text/event-stream` response.

mod close;

pub use close::Disconnect;
