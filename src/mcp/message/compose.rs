//! Messages of one's own making: responses, errors, notifications and requests, from JSON texts.

use core::fmt::Display;

use super::members::quoted;
use super::{Message, MessageError};

impl Message {
    /// The response to this request, with the JSON text of its result. The id goes back as the token that it came as.
    ///
    /// ```
    /// use sansio_sse::mcp::Message;
    ///
    /// let request: Message = r#"{"jsonrpc":"2.0","id":"7","method":"ping"}"#.parse()?;
    /// assert_eq!(request.respond("{}")?.as_str(), r#"{"jsonrpc":"2.0","id":"7","result":{}}"#);
    /// assert!(request.respond("no JSON").is_err());
    /// # Ok::<(), sansio_sse::mcp::MessageError>(())
    /// ```
    ///
    /// # Errors
    /// [`MessageError`] if `result` is no JSON.
    pub fn respond(&self, result: impl Display) -> Result<Message, MessageError> {
        let id = self.id().unwrap_or("null");
        alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).parse()
    }

    /// The error that this request is answered with: a code, a text for people, and the JSON text of what else there
    /// is to know.
    ///
    /// # Errors
    /// [`MessageError`] if `data` is no JSON.
    pub fn respond_error(
        &self,
        code: i32,
        text: &str,
        data: Option<&dyn Display>,
    ) -> Result<Message, MessageError> {
        let (id, text) = (self.id().unwrap_or("null"), quoted(text));
        let data = data.map(|data| alloc::format!(r#","data":{data}"#)).unwrap_or_default();
        let error = alloc::format!(r#"{{"code":{code},"message":{text}{data}}}"#);
        alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).parse()
    }

    /// A notification with the JSON text of its params, an object.
    ///
    /// # Errors
    /// [`MessageError`] if `params` is no JSON, or neither an object nor an array.
    pub fn notification(method: &str, params: impl Display) -> Result<Message, MessageError> {
        let method = quoted(method);
        alloc::format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#).parse()
    }

    /// A request with the JSON text of its params, an object.
    ///
    /// # Errors
    /// [`MessageError`] if `params` is no JSON, or neither an object nor an array.
    pub fn request(id: u64, method: &str, params: impl Display) -> Result<Message, MessageError> {
        let method = quoted(method);
        alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#).parse()
    }
}
