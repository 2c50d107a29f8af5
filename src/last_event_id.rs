//! [`LastEventId`]: where a client was in a stream, as the server named it.

use alloc::string::String;
use core::fmt;

/// The id of the last event that a client saw: opaque to it, and sent back as `Last-Event-ID` when it reconnects.
///
/// Never empty (HTML §9.2.3 sends no header for an empty id; that is `None` here), at most
/// [`MAX_LEN`](Self::MAX_LEN) bytes, and free of CR, LF and NUL, so it cannot break out of a header line. It may
/// hold any other character; its bytes in the header are UTF-8.
///
/// ```
/// use sansio_sse::{LastEventId, LastEventIdError};
///
/// let id = LastEventId::new("7f3a.12")?;
/// assert_eq!(id.as_str(), "7f3a.12");
/// assert_eq!(LastEventId::new("1\r\nHost: evil"), Err(LastEventIdError::Forbidden { at: 1 }));
/// # Ok::<(), LastEventIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LastEventId(String);

impl LastEventId {
    /// The longest id, in bytes of UTF-8: 4096.
    ///
    /// The id travels in a request head, and servers commonly refuse heads of more than 8 KiB. A longer id would
    /// make every later request fail.
    ///
    /// ```
    /// use sansio_sse::{LastEventId, LastEventIdError};
    ///
    /// let longest = "x".repeat(LastEventId::MAX_LEN);
    /// assert!(LastEventId::new(&longest).is_ok());
    /// assert_eq!(LastEventId::new(&(longest + "x")), Err(LastEventIdError::TooLong { limit: 4096 }));
    /// ```
    pub const MAX_LEN: usize = 4096;

    /// Checks `id`, for example one that was stored to resume a stream in a later run of the program.
    ///
    /// # Errors
    /// [`LastEventIdError`] if `id` is empty, too long, or has a CR, LF or NUL.
    ///
    /// ```
    /// use sansio_sse::{LastEventId, LastEventIdError};
    ///
    /// assert_eq!(LastEventId::new(""), Err(LastEventIdError::Empty));
    /// ```
    pub fn new(id: &str) -> Result<LastEventId, LastEventIdError> {
        if id.is_empty() {
            return Err(LastEventIdError::Empty);
        }
        if id.len() > Self::MAX_LEN {
            return Err(LastEventIdError::TooLong { limit: Self::MAX_LEN });
        }
        match id.bytes().position(|b| matches!(b, b'\r' | b'\n' | 0)) {
            Some(at) => Err(LastEventIdError::Forbidden { at }),
            None => Ok(LastEventId(String::from(id))),
        }
    }

    /// The id as the server wrote it; the bytes of this string are the bytes of the header's value.
    ///
    /// ```
    /// let id = sansio_sse::LastEventId::new("…")?;
    /// assert_eq!(id.as_str().as_bytes(), [0xE2, 0x80, 0xA6]);
    /// # Ok::<(), sansio_sse::LastEventIdError>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The decoder's slot, which is empty until the first id. Never handed out while it is.
    pub(crate) const fn unset() -> LastEventId {
        LastEventId(String::new())
    }

    /// The text behind the slot; whoever writes to it keeps what the type promises, but for emptiness.
    pub(crate) fn slot(&mut self) -> &mut String {
        &mut self.0
    }

    /// `None` for the empty slot.
    pub(crate) fn if_set(&self) -> Option<&LastEventId> {
        if self.0.is_empty() { None } else { Some(self) }
    }
}

impl fmt::Debug for LastEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LastEventId({:?})", self.0)
    }
}

impl fmt::Display for LastEventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for LastEventId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a string cannot be a [`LastEventId`].
///
/// ```
/// use sansio_sse::LastEventIdError;
///
/// assert_eq!(LastEventIdError::Forbidden { at: 3 }.to_string(), "last event id has a CR, LF or NUL at byte 3");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastEventIdError {
    /// The empty id means "no id"; use `None`.
    Empty,
    /// More than [`LastEventId::MAX_LEN`] bytes.
    TooLong {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// A character that a header line, or the stream that the id came from, cannot carry.
    Forbidden {
        /// The byte offset of the CR, LF or NUL.
        at: usize,
    },
}

impl fmt::Display for LastEventIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("last event id is empty"),
            Self::TooLong { limit } => write!(f, "last event id is longer than {limit} bytes"),
            Self::Forbidden { at } => write!(f, "last event id has a CR, LF or NUL at byte {at}"),
        }
    }
}

impl core::error::Error for LastEventIdError {}
