//! What we send: [`Response`], [`RequestBuilder`], the head of a stream, and the envelope of a chunk.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::characters::is_token;
use super::head::{has_target_characters, is_authority};
use super::scan::text_len;
use super::{HttpError, RequestHead, Version};
use crate::decimal::{self, DECIMAL_LEN};

/// Why a header, or another part of a head that we were to send, was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// A name that is no token.
    Name {
        /// The name given.
        name: String,
    },
    /// A value with a CR, LF, NUL or another control byte except HTAB.
    Value {
        /// The header's name.
        name: String,
        /// Where in the value.
        at: usize,
    },
    /// A header that the encoder writes by itself: `Host` in requests, `Connection`, `Content-Length`,
    /// `Transfer-Encoding`.
    Reserved {
        /// The name given.
        name: String,
    },
    /// A method that is no token, or `CONNECT`.
    Method,
    /// A target that is not in origin form, or has a byte that no server would take.
    Target,
    /// An authority that is no `host[:port]`.
    Authority,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name } => write!(f, "header name {name:?} is no token"),
            Self::Value { name, at } => write!(f, "value of header {name} has a control byte at {at}"),
            Self::Reserved { name } => write!(f, "header {name} is written by the encoder itself"),
            Self::Method => f.write_str("method is no token, or is CONNECT"),
            Self::Target => f.write_str("target is no path in visible ASCII"),
            Self::Authority => f.write_str("authority is no host or host:port"),
        }
    }
}

impl core::error::Error for HeaderError {}

/// One whole response, checked so that no value can end its line early.
///
/// ```
/// use sansio_sse::http1::{HeaderError, Response};
///
/// let refused = Response::text(404, "no such session\n").header("X-Id", "7\r\nSet-Cookie: a=b");
/// assert_eq!(refused, Err(HeaderError::Value { name: "X-Id".into(), at: 1 }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    /// Header lines as they go onto the wire, each with its CRLF.
    lines: Vec<u8>,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// A response without a body. A status outside 200–599 becomes 500: final responses have no other.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        let status = if matches!(status, 200..=599) { status } else { 500 };
        Self { status, lines: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// A response with a body of this media type.
    ///
    /// 204 and 304 have no body by definition; there it is not sent.
    pub fn new(
        status: u16,
        media_type: &str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Result<Self, HeaderError> {
        let mut response = Self::empty(status).header("Content-Type", media_type)?;
        response.body = body.into();
        Ok(response)
    }

    /// A response in `text/plain; charset=utf-8`.
    #[must_use]
    pub fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        let body = match body.into() {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self::typed(status, "text/plain; charset=utf-8", body)
    }

    /// A response in `application/json`; `body` is sent as it is.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::typed(status, "application/json", body.into())
    }

    fn typed(status: u16, media_type: &str, body: Cow<'static, [u8]>) -> Self {
        let mut response = Self::empty(status);
        write_line(&mut response.lines, "Content-Type", media_type.as_bytes());
        response.body = body;
        response
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        push_line(&mut self.lines, name, value.as_ref())?;
        Ok(self)
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Writes head and body as the answer to a request; a `HEAD` request gets the head alone (RFC 9110 §9.3.2).
    pub(super) fn write(&self, out: &mut Vec<u8>, to_head: bool, close: bool) {
        // RFC 9110 §8.6, §15.3.5, §15.4.5: these have neither a body nor a length.
        let bodiless = matches!(self.status, 204 | 304);
        out.reserve(128 + self.lines.len() + self.body.len());
        write_status_line(out, self.status);
        out.extend_from_slice(&self.lines);
        if !bodiless {
            write_content_length(out, self.body.len());
        }
        if close {
            write_line(out, "Connection", b"close");
        }
        out.extend_from_slice(b"\r\n");
        if !bodiless && !to_head {
            out.extend_from_slice(&self.body);
        }
    }
}

/// The answer to a message that could not be understood.
pub(super) fn write_refusal(out: &mut Vec<u8>, error: HttpError, head: Option<&RequestHead>) {
    let to_head = head.is_some_and(|head| head.method() == "HEAD");
    let text = alloc::format!("{error}\n");
    Response::text(error.status(), text).write(out, to_head, true);
}

/// The interim response that asks for the body.
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What the head of a stream says of its connection, in HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// `keep-alive`: proxies in front keep the connection open for the stream, and its client opens a new one behind
    /// it. For a stream that is meant to last.
    KeepAlive,
    /// `close`, as RFC 9112 §9.6 wants it said. For a stream that ends while its client goes on: one that keeps the
    /// connection for its next request would lose that.
    Close,
}

/// The head of a response of status 200 whose body is a stream: chunked for HTTP/1.1, up to the end of the
/// connection for HTTP/1.0. Ours is closed behind the stream; whether the head says so is `behind`'s to choose.
///
/// ```
/// use sansio_sse::http1::{Behind, Version, stream_head};
///
/// let head = stream_head(Version::Http10, Behind::KeepAlive, &[("Content-Type", "text/event-stream")])?;
/// assert_eq!(head, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n");
/// # Ok::<(), sansio_sse::http1::HeaderError>(())
/// ```
///
/// # Errors
/// [`HeaderError`] if a name or a value can't stand in a header.
pub fn stream_head(
    version: Version,
    behind: Behind,
    headers: &[(&str, &str)],
) -> Result<Vec<u8>, HeaderError> {
    headers.iter().try_for_each(|(name, value)| check_line(name, value.as_bytes()))?;
    Ok(encode_stream_head(version, behind, headers))
}

/// As [`stream_head`], of headers that are known to be good.
pub(crate) fn encode_stream_head(version: Version, behind: Behind, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_status_line(&mut out, 200);
    for (name, value) in headers {
        write_line(&mut out, name, value.as_bytes());
    }
    match version {
        Version::Http10 => write_line(&mut out, "Connection", b"close"),
        Version::Http11 => {
            let connection: &[u8] = match behind {
                Behind::KeepAlive => b"keep-alive",
                Behind::Close => b"close",
            };
            write_line(&mut out, "Connection", connection);
            write_line(&mut out, "Transfer-Encoding", b"chunked");
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// A request of the client's side, checked.
///
/// ```
/// use sansio_sse::http1::RequestBuilder;
///
/// let request = RequestBuilder::new("GET", "/sse", "localhost:8080")?.header("Accept", "text/event-stream")?;
/// assert_eq!(
///     request.encode(),
///     b"GET /sse HTTP/1.1\r\nHost: localhost:8080\r\nAccept: text/event-stream\r\n\r\n",
/// );
/// # Ok::<(), sansio_sse::http1::HeaderError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBuilder {
    /// The head so far, without the lines that depend on the body.
    head: Vec<u8>,
    body: Option<Cow<'static, [u8]>>,
    close: bool,
}

impl RequestBuilder {
    /// A request for `target`, a path with an optional query, at `authority`, a `host[:port]`.
    pub fn new(method: &str, target: &str, authority: &str) -> Result<Self, HeaderError> {
        if !is_token(method.as_bytes()) || method == "CONNECT" {
            return Err(HeaderError::Method);
        }
        if !target.starts_with('/') || !has_target_characters(target.as_bytes()) {
            return Err(HeaderError::Target);
        }
        if !is_authority(authority.as_bytes()) {
            return Err(HeaderError::Authority);
        }
        let mut head = Vec::with_capacity(256);
        for part in [method, " ", target, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        write_line(&mut head, "Host", authority.as_bytes());
        Ok(Self { head, body: None, close: false })
    }

    /// Adds a header line.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, HeaderError> {
        if name.eq_ignore_ascii_case("host") {
            return Err(HeaderError::Reserved { name: name.into() });
        }
        push_line(&mut self.head, name, value.as_ref())?;
        Ok(self)
    }

    /// Gives the request a body, sent with its length even if it is empty. Its media type is a header of yours.
    #[must_use]
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Says that the connection closes after the response.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.head.clone();
        if let Some(body) = &self.body {
            write_content_length(&mut out, body.len());
        }
        if self.close {
            write_line(&mut out, "Connection", b"close");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }
}

fn write_content_length(out: &mut Vec<u8>, n: usize) {
    write_line(out, "Content-Length", decimal::format(&mut [0; DECIMAL_LEN], n as u64));
}

fn write_status_line(out: &mut Vec<u8>, status: u16) {
    let (mut status_code, reason) = ([0; DECIMAL_LEN], reason_phrase(status));
    let status_code = decimal::format(&mut status_code, status.into());
    for part in [b"HTTP/1.1 ", status_code, b" ", reason.as_bytes(), b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn write_line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

/// Writes a line whose parts come from the caller.
fn push_line(out: &mut Vec<u8>, name: &str, value: &[u8]) -> Result<(), HeaderError> {
    check_line(name, value)?;
    write_line(out, name, value);
    Ok(())
}

/// Whether this can stand in a head, and is not the encoder's to write.
fn check_line(name: &str, value: &[u8]) -> Result<(), HeaderError> {
    if !is_token(name.as_bytes()) {
        return Err(HeaderError::Name { name: name.into() });
    }
    let reserved = ["connection", "content-length", "transfer-encoding"];
    if reserved.iter().any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(HeaderError::Reserved { name: name.into() });
    }
    match text_len(value) {
        len if len == value.len() => Ok(()),
        at => Err(HeaderError::Value { name: name.into(), at }),
    }
}

/// The customary reason phrase of a status; empty for one that we do not know (RFC 9112 §4 allows that).
#[must_use]
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
