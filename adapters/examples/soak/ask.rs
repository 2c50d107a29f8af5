//! [`Ask`]: what a client asks of its stream, in the query of its request.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

/// Where the streams are.
pub(crate) const PATH: &str = "/events";

/// A stream as its client wants it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Whose it is: no two streams of a run have the same.
    pub(crate) key: u64,
    /// How many messages there are; then the server finishes the stream.
    pub(crate) messages: u64,
    /// How long each message is.
    pub(crate) bytes: usize,
    pub(crate) pace: Pace,
}

/// When the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Never.
    Idle,
    /// Every so often, from one thread for all streams; a message for which there is no room is not sent.
    Steady,
    /// Every so often, from the stream's own task, which waits for room.
    Waits,
}

impl Ask {
    /// The `n`th message.
    pub(crate) fn message(&self, n: u64) -> String {
        format!("{}.{n} {:x<width$}", self.key, "", width = self.bytes)
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = match self.pace {
            Pace::Idle => "idle",
            Pace::Steady => "steady",
            Pace::Waits => "waits",
        };
        write!(f, "{}.{}.{}.{pace}", self.key, self.messages, self.bytes)
    }
}

impl FromStr for Ask {
    type Err = AskError;

    fn from_str(text: &str) -> Result<Ask, AskError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(AskError);
        Ok(Ask {
            key: next()?.parse()?,
            messages: next()?.parse()?,
            bytes: next()?.parse()?,
            pace: match next()? {
                "idle" => Pace::Idle,
                "steady" => Pace::Steady,
                "waits" => Pace::Waits,
                _ => return Err(AskError),
            },
        })
    }
}

/// The query is no [`Ask`].
#[derive(Debug)]
pub(crate) struct AskError;

impl From<ParseIntError> for AskError {
    fn from(_: ParseIntError) -> AskError {
        AskError
    }
}
