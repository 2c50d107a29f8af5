//! [`Message`]: one JSON-RPC 2.0 message, checked and classified, its tokens as they came.

pub(crate) mod batch;
mod compact;
mod compose;
pub(crate) mod members;

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

pub use self::batch::Body;
use self::compact::compact;

/// One JSON-RPC 2.0 message: a request, a notification or a response.
///
/// It is the JSON text itself, in one line: white space between tokens is gone, and every token is there byte
/// for byte as it came. Numbers and strings are never rebuilt, so nothing is lost that this crate does not know.
/// A clone costs one reference count.
///
/// ```
/// use sansio_sse::mcp::{Message, MessageKind};
///
/// let message = Message::parse(b"{ \"jsonrpc\": \"2.0\",\n \"id\": 1.0e0, \"method\": \"ping\" }");
/// assert!(message.is_err(), "an id is a string or a whole number");
///
/// let message = Message::parse(b"{ \"jsonrpc\": \"2.0\",\n \"id\": 7, \"method\": \"ping\" }")?;
/// assert_eq!(message.as_str(), r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#);
/// assert_eq!((message.kind(), message.id(), message.method()), (MessageKind::Request, Some("7"), Some("ping")));
/// # Ok::<(), sansio_sse::mcp::MessageError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    text: Arc<str>,
    kind: MessageKind,
    id: Option<Arc<str>>,
    method: Option<Arc<str>>,
}

/// What a message is (JSON-RPC 2.0 §4, §4.1, §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Has a method and an id, and wants a response.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has an id, and a result or an error.
    Response,
}

impl Message {
    /// Reads and checks a message.
    ///
    /// Refused are: anything but one object (batches too), nesting past 128 levels, a top-level key that comes
    /// twice, and a key that some reader could take for one that the protocol knows: `Method`, or `method` with a
    /// control character behind it.
    ///
    /// # Errors
    /// [`MessageError`], with the code of the JSON-RPC error that it deserves.
    pub fn parse(bytes: &[u8]) -> Result<Message, MessageError> {
        let text = core::str::from_utf8(bytes).map_err(|e| MessageError::NotUtf8 { at: e.valid_up_to() })?;
        let text = compact(text)?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let envelope =
            match Envelope::deserialize(&mut json).and_then(|envelope| json.end().map(|()| envelope)) {
                Ok(envelope) => envelope,
                // A message of ours, and not of the parser's, is about the envelope, not about the JSON.
                Err(error) if error.is_data() => {
                    // That the envelope is wrong is only said of text that is JSON to its end.
                    serde_json::from_str::<IgnoredAny>(&text).map_err(MessageError::not_json)?;
                    return Err(MessageError::NotMessage { why: why(&error) });
                }
                Err(error) => return Err(MessageError::not_json(error)),
            };
        let (kind, id, method) = envelope.classify()?;
        Ok(Message { text: Arc::from(text.as_ref()), kind, id, method })
    }

    /// The JSON, in one line.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no message is empty")]
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The id, as its JSON token: a string keeps its quotes.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The method, decoded.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        self.method.as_deref()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 200;
        let mut end = self.text.len().min(SHOWN);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        write!(f, "Message({} bytes, {})", self.text.len(), &self.text[..end])
    }
}

impl FromStr for Message {
    type Err = MessageError;

    fn from_str(text: &str) -> Result<Message, MessageError> {
        Message::parse(text.as_bytes())
    }
}

/// The members that the protocol knows.
#[derive(Default)]
struct Envelope<'a> {
    version: Option<Cow<'a, str>>,
    id: Option<&'a RawValue>,
    method: Option<Cow<'a, str>>,
    params: Option<&'a RawValue>,
    result: bool,
    error: Option<&'a RawValue>,
}

const KNOWN: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// A string, borrowed where it has no escapes.
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Characters;
        impl<'de> Visitor<'de> for Characters {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        deserializer.deserialize_str(Characters)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC message is one object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                let mut seen = [false; KNOWN.len()];
                // A tree: keys that are chosen to collide gain nothing, and it is no larger than the message.
                let mut others = BTreeSet::new();
                while let Some(Text(key)) = map.next_key()? {
                    let Some(known) = KNOWN.iter().position(|known| *known == key) else {
                        if is_deceptive(&key) {
                            return Err(A::Error::custom("a key is too like one that the protocol knows"));
                        }
                        if !others.insert(key) {
                            return Err(A::Error::custom("a key comes twice"));
                        }
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if core::mem::replace(&mut seen[known], true) {
                        return Err(A::Error::custom("a key comes twice"));
                    }
                    match known {
                        0 => envelope.version = Some(map.next_value::<Text<'_>>()?.0),
                        1 => envelope.id = Some(map.next_value()?),
                        2 => envelope.method = Some(map.next_value::<Text<'_>>()?.0),
                        3 => envelope.params = Some(map.next_value()?),
                        4 => envelope.result = map.next_value::<IgnoredAny>().map(|_| true)?,
                        _ => envelope.error = Some(map.next_value()?),
                    }
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Whether a reader that folds case, as Unicode has it (`ſ` to `s`), and drops control characters or ends at the
/// first would take this key for a known one.
fn is_deceptive(key: &str) -> bool {
    let ended = key.split(char::is_control).next().unwrap_or_default();
    let is_known = |key: &str| {
        let shown = key.chars().filter(|c| !c.is_control() && !c.is_whitespace());
        let folded: String =
            shown.flat_map(char::to_lowercase).flat_map(char::to_uppercase).take(16).collect();
        KNOWN.iter().any(|known| known.eq_ignore_ascii_case(&folded))
    };
    is_known(ended) || is_known(key)
}

type Classified = (MessageKind, Option<Arc<str>>, Option<Arc<str>>);

impl Envelope<'_> {
    fn classify(self) -> Result<Classified, MessageError> {
        const BAD_ID: &str = "id must be a string or a whole number";
        let refuse = |why| Err(MessageError::NotMessage { why });
        if self.version.as_deref() != Some("2.0") {
            return refuse("jsonrpc must be \"2.0\"");
        }
        if self.params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
            return refuse("params must be an object or an array");
        }
        if self.error.is_some_and(|error| !error.get().starts_with('{')) {
            return refuse("error must be an object");
        }
        let id = self.id.map(RawValue::get);
        let is_id = |id: &str| id.starts_with('"') || !id.contains(|c: char| !c.is_ascii_digit() && c != '-');
        let kind = match (&self.method, id, self.result, self.error.is_some()) {
            (Some(_), _, true, _) | (Some(_), _, _, true) => return refuse("a method and a result or error"),
            (Some(_), None, false, false) => MessageKind::Notification,
            (Some(_), Some(id), false, false) if is_id(id) => MessageKind::Request,
            (None, Some("null"), false, true) => MessageKind::Response,
            (None, Some(id), true, false) | (None, Some(id), false, true) if is_id(id) => {
                MessageKind::Response
            }
            (Some(_), Some(_), false, false) => return refuse(BAD_ID),
            (None, Some(id), _, _) if !is_id(id) => return refuse(BAD_ID),
            (None, _, true, true) => return refuse("both a result and an error"),
            (None, None, _, _) => return refuse("neither a method nor an id"),
            (None, Some(_), _, _) => return refuse("an id, but no method, result or error"),
        };
        Ok((kind, id.map(Arc::from), self.method.as_deref().map(Arc::from)))
    }
}

/// What our own visitor said, as static text.
fn why(error: &serde_json::Error) -> &'static str {
    const SAID: [&str; 3] = [
        "a JSON-RPC message is one object",
        "a key is too like one that the protocol knows",
        "a key comes twice",
    ];
    let text = alloc::string::ToString::to_string(error);
    SAID.into_iter().find(|said| text.contains(said)).unwrap_or("jsonrpc and method must be strings")
}

/// Bytes that are no JSON-RPC message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageError {
    /// Not UTF-8 (RFC 8259 §8.1).
    NotUtf8 {
        /// The first bad byte.
        at: usize,
    },
    /// Not JSON (RFC 8259).
    NotJson {
        /// Where it stopped being JSON: the column of the text without its white space.
        at: usize,
    },
    /// More than 128 levels of arrays and objects.
    TooDeep,
    /// JSON, but not one JSON-RPC 2.0 message.
    NotMessage {
        /// What is wrong.
        why: &'static str,
    },
}

impl MessageError {
    fn not_json(error: serde_json::Error) -> MessageError {
        MessageError::NotJson { at: error.column() }
    }

    /// The code of the JSON-RPC error (JSON-RPC 2.0 §5.1).
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            MessageError::NotUtf8 { .. } | MessageError::NotJson { .. } | MessageError::TooDeep => -32700,
            MessageError::NotMessage { .. } => -32600,
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            MessageError::NotJson { at } => write!(f, "not JSON at column {at}"),
            MessageError::TooDeep => f.write_str("nested too deeply: 128 levels are allowed"),
            MessageError::NotMessage { why } => write!(f, "not a JSON-RPC 2.0 message: {why}"),
        }
    }
}

impl core::error::Error for MessageError {}

/// The body of an answer to a message that could not be read: a JSON-RPC error whose id is null.
#[must_use]
pub fn error_body(error: &MessageError) -> String {
    let text = alloc::format!("{error}").replace('"', "'");
    alloc::format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{},"message":"{text}"}}}}"#, error.code())
}
