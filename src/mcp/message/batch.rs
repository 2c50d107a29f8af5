//! [`Body`]: what one POST carries: a message, or in 2025-03-26 a batch of them.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::compact::compact;
use super::members::elements;
use super::{Message, MessageError};

/// What one POST carries (2025-03-26, Transports: an array of requests and notifications, or one of responses;
/// later revisions know single messages only).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One message.
    One(Message),
    /// An array of messages; never empty.
    Batch(Vec<Message>),
}

impl Body {
    /// Reads a body. A batch is one array of messages, each of which [`Message::parse`] would take.
    ///
    /// ```
    /// use sansio_sse::mcp::Body;
    ///
    /// let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    /// assert!(matches!(Body::parse(ping, 10), Ok(Body::One(_))));
    /// let Ok(Body::Batch(two)) = Body::parse(&[b"[", &ping[..], b",", ping, b"]"].concat(), 2) else { panic!() };
    /// assert_eq!(two.len(), 2);
    /// assert!(Body::parse(b"[]", 10).is_err());
    /// ```
    ///
    /// # Errors
    /// [`MessageError`]: of the first message that is none, or because the batch is empty or has more than `most`.
    pub fn parse(bytes: &[u8], most: usize) -> Result<Body, MessageError> {
        if bytes.trim_ascii_start().first() != Some(&b'[') {
            return Message::parse(bytes).map(Body::One);
        }
        let text = core::str::from_utf8(bytes).map_err(|e| MessageError::NotUtf8 { at: e.valid_up_to() })?;
        let text = compact(text)?;
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(MessageError::not_json)?;
        let why = "a batch is empty or has too many messages";
        let found = elements(&text, most).filter(|found| !found.is_empty());
        let found = found.ok_or(MessageError::NotMessage { why })?;
        found
            .into_iter()
            .map(|message| Message::parse(message.as_bytes()))
            .collect::<Result<_, _>>()
            .map(Body::Batch)
    }

    /// Its messages, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        match self {
            Body::One(message) => core::slice::from_ref(message),
            Body::Batch(messages) => messages,
        }
    }

    /// Whether it is an array.
    #[must_use]
    pub fn is_batch(&self) -> bool {
        matches!(self, Body::Batch(_))
    }
}

/// Messages as one JSON array.
pub(crate) fn array(messages: &[Message]) -> Vec<u8> {
    let texts: Vec<&str> = messages.iter().map(Message::as_str).collect();
    [b"[", texts.join(",").as_bytes(), b"]"].concat()
}

impl From<Message> for Body {
    fn from(message: Message) -> Body {
        Body::One(message)
    }
}

impl core::fmt::Display for Body {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Body::One(message) => f.write_str(message.as_str()),
            Body::Batch(messages) => {
                let texts: Vec<_> = messages.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", texts.join(","))
            }
        }
    }
}
