//! [`ResponseReader`]: the client's reading side, one response at a time.

use core::fmt;

use super::fields::Fields;
use super::head::parse_version;
use super::scan::{HeadScan, RawHead};
use super::{BodyDecoder, BodyLength, BodyPart, HeadLimits, HttpError, Version};

/// Interim (1xx) responses skipped before the final one.
const INTERIM: u8 = 8;

/// The head of one final response.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseHead {
    fields: Fields,
    status: u16,
    version: Version,
}

impl ResponseHead {
    fn from_raw(raw: RawHead) -> Result<Self, HttpError> {
        let end = raw.bytes.iter().position(|&b| b == b'\r').unwrap_or(raw.bytes.len());
        let (version, status) = parse_status_line(&raw.bytes[..end])?;
        Ok(Self { fields: Fields::parse(raw, end + 2)?, status, version })
    }

    /// The status, from 200 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The version of the response.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The value of the first header with this name, in any letter case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name)
    }

    /// The values of all headers with this name, in order.
    pub fn headers_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.named(name)
    }

    /// All headers in order, names as sent.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// Whether the server lets the connection be kept. One that ends the body cannot be kept all the same:
    /// see [`ResponseReader::keeps_connection`].
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.version == Version::Http11 && !self.fields.lists("connection", "close")
    }
}

/// Shows no header values, since logs are no place for credentials.
impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("headers", &self.fields.len())
            .finish()
    }
}

/// What a [`ResponseReader`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseEvent<'a> {
    /// The head of the final response; interim ones are skipped.
    Head(ResponseHead),
    /// The next bytes of the body, never empty, without framing.
    Body(&'a [u8]),
    /// The response is complete. Comes once.
    End,
}

/// Reads one response, as strictly as requests are read; holds none of the body.
///
/// ```
/// use sansio_sse::http1::{HeadLimits, ResponseEvent, ResponseReader};
///
/// let mut reader = ResponseReader::new(HeadLimits::default(), u64::MAX, "GET");
/// let mut input = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n:hi\n\r\n"[..];
/// assert!(matches!(reader.read(&mut input)?, Some(ResponseEvent::Head(head)) if head.status() == 200));
/// assert_eq!(reader.read(&mut input)?, Some(ResponseEvent::Body(b":hi\n")));
/// assert_eq!(reader.read(&mut input)?, None);
/// assert!(reader.handle_eof().is_err(), "the last chunk is missing");
/// # Ok::<(), sansio_sse::http1::HttpError>(())
/// ```
#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    limits: HeadLimits,
    body_bytes: u64,
    to_head: bool,
    interim: u8,
    keeps: bool,
}

#[derive(Debug)]
enum State {
    Head(HeadScan),
    Body(BodyDecoder),
    Done,
    Failed(HttpError),
}

impl ResponseReader {
    /// A reader for the response to a request of `method`; `body_bytes` limits its body, `u64::MAX` does not.
    #[must_use]
    pub fn new(limits: HeadLimits, body_bytes: u64, method: &str) -> Self {
        let state = State::Head(HeadScan::response(limits));
        Self { state, limits, body_bytes, to_head: method == "HEAD", interim: 0, keeps: false }
    }

    /// Takes bytes from the front of `input`; `None` means that all were taken, or that the response is over.
    ///
    /// After an error, every call gives the same one. Bytes behind the end are left in `input`.
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<ResponseEvent<'a>>, HttpError> {
        let result = self.advance(input);
        if let Err(error) = result {
            self.state = State::Failed(error);
        }
        result
    }

    fn advance<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<ResponseEvent<'a>>, HttpError> {
        loop {
            match &mut self.state {
                State::Head(scan) => {
                    let Some(raw) = scan.feed(input)? else { return Ok(None) };
                    let head = ResponseHead::from_raw(raw)?;
                    if head.status >= 200 {
                        let body = self.frame(&head)?;
                        self.state = State::Body(body);
                        return Ok(Some(ResponseEvent::Head(head)));
                    }
                    // RFC 9110 §15.2: interim responses may be ignored. 101 answers an upgrade, and none was asked.
                    self.interim += 1;
                    if head.status == 101 || self.interim > INTERIM {
                        return Err(HttpError::Interim);
                    }
                    self.state = State::Head(HeadScan::response(self.limits));
                }
                State::Body(body) => match body.decode(input)? {
                    BodyPart::Data(data) => return Ok(Some(ResponseEvent::Body(data))),
                    BodyPart::More => return Ok(None),
                    BodyPart::End => {
                        self.state = State::Done;
                        return Ok(Some(ResponseEvent::End));
                    }
                },
                State::Done => return Ok(None),
                State::Failed(error) => return Err(*error),
            }
        }
    }

    /// RFC 9112 §6.3: what frames the body of a response.
    fn frame(&mut self, head: &ResponseHead) -> Result<BodyDecoder, HttpError> {
        let declared = head.fields.framing(head.version)?;
        self.keeps = head.keep_alive();
        if self.to_head || matches!(head.status, 204 | 304) {
            return BodyDecoder::new(BodyLength::None, self.body_bytes);
        }
        match declared {
            BodyLength::None => {
                self.keeps = false;
                Ok(BodyDecoder::until_close(self.body_bytes))
            }
            length @ (BodyLength::Length(_) | BodyLength::Chunked) => {
                BodyDecoder::new(length, self.body_bytes)
            }
        }
    }

    /// Tells that the connection ended. `Ok` if the response is complete thereby or was before.
    pub fn handle_eof(&mut self) -> Result<(), HttpError> {
        let result = match &mut self.state {
            State::Head(_) => Err(HttpError::Truncated),
            State::Body(body) => body.handle_eof(),
            State::Done => Ok(()),
            State::Failed(error) => Err(*error),
        };
        self.state = match result {
            Ok(()) => State::Done,
            Err(error) => State::Failed(error),
        };
        result
    }

    /// Changes the limit of the body, for those who decide by the head; bytes already read count.
    pub fn limit_body(&mut self, bytes: u64) {
        self.body_bytes = bytes;
        if let State::Body(body) = &mut self.state {
            body.set_limit(bytes);
        }
    }

    /// Whether the response is over and the connection can carry another request.
    #[must_use]
    pub fn keeps_connection(&self) -> bool {
        self.keeps && matches!(self.state, State::Done)
    }
}

/// RFC 9112 §4; the second space may be missing where there is no reason, as many servers have it.
fn parse_status_line(line: &[u8]) -> Result<(Version, u16), HttpError> {
    let mut parts = line.splitn(3, |&b| b == b' ');
    let (Some(version), Some(status)) = (parts.next(), parts.next()) else {
        return Err(HttpError::StatusLine);
    };
    let version = parse_version(version).ok_or(HttpError::StatusLine)??;
    let &[a @ b'1'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] = status else {
        return Err(HttpError::StatusLine);
    };
    let digit = |d: u8| u16::from(d - b'0');
    Ok((version, digit(a) * 100 + digit(b) * 10 + digit(c)))
}
