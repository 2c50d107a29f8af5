//! [`RequestHead`]: one request line and its header lines, parsed once and strictly.

use core::fmt;
use core::net::Ipv6Addr;

use super::characters::{NAME, PATH, QUERY, is_token};
use super::fields::{Fields, Span};
use super::scan::{HeadScan, RawHead};
use super::{BodyLength, HttpError};
use crate::EventId;

/// How large a head may be. [`ConnectionConfig`](super::ConnectionConfig) checks the values that it is given.
///
/// ```
/// use sansio_sse::http1::{HeadLimits, HttpError, RequestHead};
///
/// let limits = HeadLimits { headers: 1, ..HeadLimits::default() };
/// let head = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n";
/// assert_eq!(RequestHead::parse(limits, &mut &head[..]), Err(HttpError::TooManyHeaders { limit: 1 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes from the first byte of the first line through the empty line. Default 16 KiB; beyond it 431.
    pub head_bytes: usize,
    /// Bytes of a request's target. Default 8 KiB; beyond it 414.
    pub target_bytes: usize,
    /// Header lines. Default 100; beyond it 431.
    pub headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head_bytes: 16 * 1024, target_bytes: 8 * 1024, headers: 100 }
    }
}

/// The version of a message. A later 1.x counts as 1.1 (RFC 9110 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0: the connection closes after one response, and nothing is chunked.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// The head of one request, owned, in one allocation for its bytes and one for their places.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    fields: Fields,
    method: Span,
    target: Span,
    version: Version,
    authority: Option<Span>,
    path: Span,
    query: Option<Span>,
    body: BodyLength,
}

impl RequestHead {
    /// Parses the head at the front of `input` and leaves what is behind it; `None` means that it is incomplete.
    ///
    /// For tests and for those who have all bytes at hand: it begins anew each time. [`Connection`](super::Connection)
    /// resumes where it was.
    pub fn parse(limits: HeadLimits, input: &mut &[u8]) -> Result<Option<Self>, HttpError> {
        let mut rest = *input;
        let raw = HeadScan::request(limits).feed(&mut rest)?;
        let head = raw.map(Self::from_raw).transpose()?;
        if head.is_some() {
            *input = rest;
        }
        Ok(head)
    }

    pub(super) fn from_raw(raw: RawHead) -> Result<Self, HttpError> {
        let end = raw.bytes.iter().position(|&b| b == b'\r').unwrap_or(raw.bytes.len());
        let line = RequestLine::parse(&raw.bytes[..end])?;
        let fields = Fields::parse(raw, end + 2)?;

        let host = find_host(&fields, line.version)?;
        let body = fields.framing(line.version)?;
        Ok(Self {
            method: line.method,
            target: line.target,
            version: line.version,
            authority: line.authority.or(host),
            path: line.path,
            query: line.query,
            body,
            fields,
        })
    }

    /// The method, as sent: methods are case-sensitive.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.text(&self.fields.bytes)
    }

    /// The whole target, as sent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.target.text(&self.fields.bytes)
    }

    /// The path of the target without its query, not decoded; `/` for a URI without one, `*` for `OPTIONS *`.
    #[must_use]
    pub fn path(&self) -> &str {
        match self.path.text(&self.fields.bytes) {
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?` of the target, not decoded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.map(|query| query.text(&self.fields.bytes))
    }

    /// The version of the request.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The `host[:port]` that the request is for, as sent: that of an absolute target, else that of `Host`.
    ///
    /// `None` only for HTTP/1.0 without `Host`. Compare hosts without regard to letter case (RFC 9110 §4.2.3).
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.map(|authority| authority.text(&self.fields.bytes))
    }

    /// The value of the first header with this name, in any letter case, without the white space around it.
    ///
    /// Values may hold bytes above 0x7F. Where a second one would matter, see [`headers_named`](Self::headers_named).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name)
    }

    /// The event that the client saw last, if it sent an id that a stream of ours may have given out
    /// (HTML §9.2.4, `Last-Event-ID`).
    #[must_use]
    pub fn last_event_id(&self) -> Option<EventId> {
        core::str::from_utf8(self.header("last-event-id")?).ok()?.parse().ok()
    }

    /// The values of all headers with this name, in order.
    pub fn headers_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.named(name)
    }

    /// All headers in order, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// Whether the client lets the connection be kept: HTTP/1.1 without `Connection: close`.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.version == Version::Http11 && !self.fields.lists("connection", "close")
    }

    /// Whether the client waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        let has_body = !matches!(self.body, BodyLength::None | BodyLength::Length(0));
        has_body && self.version == Version::Http11 && self.fields.lists("expect", "100-continue")
    }

    /// The length that the head declares for the body.
    #[must_use]
    pub fn body(&self) -> BodyLength {
        self.body
    }
}

/// Shows no header values, since logs are no place for credentials.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("version", &self.version)
            .field("headers", &self.fields.len())
            .field("body", &self.body)
            .finish()
    }
}

/// RFC 9112 §3.2: one `Host` and a valid one, even where the target has an authority of its own.
fn find_host(fields: &Fields, version: Version) -> Result<Option<Span>, HttpError> {
    let mut hosts = fields.named("host");
    match (hosts.next(), hosts.next(), version) {
        (Some(_), Some(_), _) => Err(HttpError::HostRepeated),
        (Some(host), None, _) if is_authority(host) => Ok(Some(Span::of(host, &fields.bytes))),
        (Some(_), None, _) => Err(HttpError::HostMalformed),
        (None, _, Version::Http10) => Ok(None),
        (None, _, Version::Http11) => Err(HttpError::HostMissing),
    }
}

struct RequestLine {
    method: Span,
    target: Span,
    version: Version,
    authority: Option<Span>,
    path: Span,
    query: Option<Span>,
}

impl RequestLine {
    /// RFC 9112 §3: three parts, one space between them. White space is never read leniently.
    fn parse(line: &[u8]) -> Result<Self, HttpError> {
        let mut parts = line.split(|&b| b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HttpError::RequestLine);
        };
        if !is_token(method) || target.is_empty() {
            return Err(HttpError::RequestLine);
        }
        if line == b"PRI * HTTP/2.0" {
            return Err(HttpError::Http2);
        }
        let version = parse_version(version).ok_or(HttpError::RequestLine)??;
        if method == b"CONNECT" {
            return Err(HttpError::Connect);
        }
        let (authority, path) = parse_target(method, target)?;
        let mut halves = path.splitn(2, |&b| b == b'?');
        let path = halves.next().unwrap_or_default();
        Ok(Self {
            method: Span::of(method, line),
            target: Span::of(target, line),
            version,
            authority: authority.map(|authority| Span::of(authority, line)),
            path: Span::of(path, line),
            query: halves.next().map(|query| Span::of(query, line)),
        })
    }
}

/// `HTTP/d.d`; `None` if it is something else.
pub(super) fn parse_version(version: &[u8]) -> Option<Result<Version, HttpError>> {
    match version.strip_prefix(b"HTTP/")? {
        b"1.0" => Some(Ok(Version::Http10)),
        [b'1', b'.', minor] if minor.is_ascii_digit() => Some(Ok(Version::Http11)),
        [major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some(Err(HttpError::Version))
        }
        _ => None,
    }
}

/// The authority of a target, if it has one, and its path with the query (RFC 9112 §3.2).
fn parse_target<'a>(method: &[u8], target: &'a [u8]) -> Result<(Option<&'a [u8]>, &'a [u8]), HttpError> {
    if !has_target_characters(target) {
        return Err(HttpError::Target);
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok((None, target));
    }
    let rest = strip_scheme(target, b"http://").or_else(|| strip_scheme(target, b"https://"));
    let rest = rest.ok_or(HttpError::Target)?;
    let end = rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(HttpError::HostMalformed);
    }
    Ok((Some(authority), path))
}

/// Whether a target has nothing in it that no server would take.
pub(super) fn has_target_characters(target: &[u8]) -> bool {
    let path = target.split(|&b| b == b'?').next().unwrap_or_default();
    PATH.has_all(path) && QUERY.has_all(&target[path.len()..])
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether [`parse_authority`] takes it.
pub(super) fn is_authority(authority: &[u8]) -> bool {
    parse_authority(authority).is_some()
}

/// RFC 3986 §3.2: `host[:port]` with a host that is not empty, and no user information. An empty port is as good as
/// none (§3.2.3).
pub(crate) fn parse_authority(authority: &[u8]) -> Option<(&str, Option<u16>)> {
    let authority = core::str::from_utf8(authority).ok()?;
    let host_len = match authority.strip_prefix('[') {
        Some(rest) => {
            let address = &rest[..rest.find(']')?];
            address.parse::<Ipv6Addr>().ok()?;
            address.len() + "[]".len()
        }
        None => authority.bytes().position(|b| b == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(host_len);
    if !host.starts_with('[') && !is_reg_name(host.as_bytes()) {
        return None;
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) | None => return None,
    };
    Some((host, port))
}

/// What is escaped is two hexadecimal digits behind a percent sign.
fn is_reg_name(host: &[u8]) -> bool {
    let mut parts = host.split(|&b| b == b'%');
    !host.is_empty()
        && parts.next().is_some_and(|name| NAME.has_all(name))
        && parts.all(|part| match part {
            [a, b, name @ ..] => a.is_ascii_hexdigit() && b.is_ascii_hexdigit() && NAME.has_all(name),
            _ => false,
        })
}
