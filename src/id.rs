//! [`EventId`]: the ids that a server gives to the events of its streams.

use core::fmt;
use core::str::FromStr;

/// Which stream, and which event of it, counted from 1.
///
/// On the wire it is `{stream in hex}.{seq}`: unique over all streams of a server that numbers its streams,
/// so that a replay can never cross from one stream into another.
///
/// ```
/// use sansio_sse::EventId;
///
/// let id = EventId { stream: 0x2a, seq: 7 };
/// assert_eq!(id.to_string(), "2a.7");
/// assert_eq!("2a.7".parse(), Ok(id));
/// assert!("2A.7".parse::<EventId>().is_err(), "there is one spelling only");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// The stream's number.
    pub stream: u64,
    /// The event's place in its stream.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.stream, self.seq)
    }
}

/// Text that no server of ours has given out as an event id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventIdError;

impl fmt::Display for EventIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an event id: lower-case hex, a dot and a decimal number are allowed, as in 2a.7")
    }
}

impl core::error::Error for EventIdError {}

impl FromStr for EventId {
    type Err = EventIdError;

    fn from_str(text: &str) -> Result<EventId, EventIdError> {
        let (stream, seq) = text.split_once('.').ok_or(EventIdError)?;
        let canonical = |t: &str, digits: fn(&u8) -> bool| {
            t.bytes().all(|b| digits(&b)) && (t == "0" || !t.starts_with('0'))
        };
        if !canonical(stream, |b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            || !canonical(seq, u8::is_ascii_digit)
        {
            return Err(EventIdError);
        }
        let stream = u64::from_str_radix(stream, 16).map_err(|_| EventIdError)?;
        Ok(EventId { stream, seq: seq.parse().map_err(|_| EventIdError)? })
    }
}
