//! Why something was not queued.

use core::fmt;

use crate::{FieldError, Frame};

/// A frame that was not accepted, handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushError {
    /// The queue is full: wait until the peer has taken something, or close the stream.
    Full(Frame),
    /// The stream is finishing or closed.
    Closed(Frame),
}

impl PushError {
    /// The frame.
    #[must_use]
    pub fn into_frame(self) -> Frame {
        match self {
            PushError::Full(frame) | PushError::Closed(frame) => frame,
        }
    }
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PushError::Full(_) => "the stream's queue is full",
            PushError::Closed(_) => "the stream is closed",
        })
    }
}

impl core::error::Error for PushError {}

/// Why an event was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventError {
    /// A field of it can't stand in an event.
    Field(FieldError),
    /// The queue is full: wait until the peer has taken something, or close the stream.
    Full,
    /// The stream is finishing or closed.
    Closed,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventError::Field(error) => error.fmt(f),
            EventError::Full => f.write_str("the stream's queue is full"),
            EventError::Closed => f.write_str("the stream is closed"),
        }
    }
}

impl core::error::Error for EventError {}
