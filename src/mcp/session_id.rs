//! [`SessionId`]: a session's name, as it stands in URLs and headers.

use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

/// The longest id, in characters.
const MAX_LEN: usize = 128;

/// A session's id: 1 to 128 characters of `A-Z a-z 0-9 _ -`. It can't hold anything else.
///
/// ```
/// use sansio_sse::mcp::{SessionId, SessionIdError};
///
/// let id = SessionId::from_random([0xa5; 16]);
/// assert_eq!(id.as_str(), "a5a5a5a5-a5a5-45a5-a5a5-a5a5a5a5a5a5");
/// assert_eq!(SessionId::parse("abc\n"), Err(SessionIdError::Character { at: 3 }));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// A random UUID of version 4 (RFC 9562 §5.4) made from 16 random bytes, in its form of 36 characters. The
    /// bytes must come from the operating system's generator: who knows an id may speak in its session.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> SessionId {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
        SessionId(Arc::from(&*uuid.hyphenated().encode_lower(&mut text)))
    }

    /// Reads an id that a client sent.
    ///
    /// # Errors
    /// [`SessionIdError`] that names what is wrong with it.
    pub fn parse(text: &str) -> Result<SessionId, SessionIdError> {
        if text.is_empty() {
            return Err(SessionIdError::Empty);
        }
        if let Some(at) = text.bytes().position(|b| !(b.is_ascii_alphanumeric() || b == b'_' || b == b'-')) {
            return Err(SessionIdError::Character { at });
        }
        if text.len() > MAX_LEN {
            return Err(SessionIdError::TooLong { len: text.len() });
        }
        Ok(SessionId(Arc::from(text)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

impl FromStr for SessionId {
    type Err = SessionIdError;

    fn from_str(text: &str) -> Result<SessionId, SessionIdError> {
        SessionId::parse(text)
    }
}

/// Text that is no session id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionIdError {
    /// Nothing at all.
    Empty,
    /// A character that is not allowed.
    Character {
        /// Where, in bytes.
        at: usize,
    },
    /// More than 128 characters.
    TooLong {
        /// How many.
        len: usize,
    },
}

impl fmt::Display for SessionIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionIdError::Empty => f.write_str("the session id is empty"),
            SessionIdError::Character { at } => {
                write!(f, "the session id holds a bad character at byte {at}: A-Z a-z 0-9 _ - are allowed")
            }
            SessionIdError::TooLong { len } => {
                write!(f, "the session id has {len} characters: {MAX_LEN} are allowed")
            }
        }
    }
}

impl core::error::Error for SessionIdError {}
