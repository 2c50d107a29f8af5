//! [`BodyDecoder`]: where a body ends, and its bytes without their framing.

use super::HttpError;
use super::characters::TOKEN;

/// Bytes by which all chunk extensions of a body may exceed its data.
const EXTENSION_BYTES: usize = 1024;
/// Bytes of all trailer lines.
const TRAILER_BYTES: usize = 4096;
/// Digits of a chunk's size: all of 64 bits, leading zeros included.
const SIZE_DIGITS: u8 = 16;

/// The length that a request's head declares for its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// Neither length header: a request has no body then.
    None,
    /// So many bytes, by `Content-Length`.
    Length(u64),
    /// Chunks, by `Transfer-Encoding: chunked`.
    Chunked,
}

/// One step through a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart<'a> {
    /// Bytes of the body, never empty.
    Data(&'a [u8]),
    /// All input was taken; the body goes on.
    More,
    /// The body is complete; what is left of the input is behind it.
    End,
}

/// Takes a body out of its framing, whatever the pieces it comes in. It holds none of the body's bytes.
///
/// Extensions of chunks are skipped and may exceed the data by 1 KiB, so a stream without end may go on having
/// them; trailers are skipped up to 4 KiB. All lines end in CRLF.
///
/// ```
/// use sansio_sse::http1::{BodyDecoder, BodyLength, BodyPart, HttpError};
///
/// let mut body = BodyDecoder::new(BodyLength::Chunked, 3)?;
/// let mut input = &b"2;a=b\r\n{}\r\n2\r\n{}\r\n"[..];
/// assert_eq!(body.decode(&mut input), Ok(BodyPart::Data(b"{}")));
/// assert_eq!(body.decode(&mut input), Err(HttpError::BodyTooLarge { limit: 3 }));
/// # Ok::<(), HttpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
    /// The size of the current chunk, once its line is read that far.
    chunk: u64,
    limit: u64,
    /// Data bytes so far.
    taken: u64,
    /// Bytes of extensions still allowed.
    extensions: usize,
    /// Bytes of trailers still allowed.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length { left: u64 },
    UntilClose,
    Size { size: u64, digits: u8 },
    Extension,
    SizeLf,
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    Done,
    Failed(HttpError),
}

impl BodyDecoder {
    /// A decoder for a body of `length`; an error at once if a declared length is above `limit`.
    pub fn new(length: BodyLength, limit: u64) -> Result<Self, HttpError> {
        let state = match length {
            BodyLength::None | BodyLength::Length(0) => State::Done,
            BodyLength::Length(left) if left > limit => return Err(HttpError::BodyTooLarge { limit }),
            BodyLength::Length(left) => State::Length { left },
            BodyLength::Chunked => State::Size { size: 0, digits: 0 },
        };
        Ok(Self::with(state, limit))
    }

    /// A decoder for a response's body that ends with the connection (RFC 9112 §6.3).
    #[must_use]
    pub fn until_close(limit: u64) -> Self {
        Self::with(State::UntilClose, limit)
    }

    fn with(state: State, limit: u64) -> Self {
        Self { state, chunk: 0, limit, taken: 0, extensions: EXTENSION_BYTES, trailers: TRAILER_BYTES }
    }

    /// Whether the body is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes known to belong to the body still: of its length or of the current chunk.
    #[must_use]
    pub fn expected(&self) -> u64 {
        match self.state {
            State::Length { left } | State::Data { left } => left,
            _ => 0,
        }
    }

    /// Takes bytes from the front of `input`. After an error, every call gives the same one.
    pub fn decode<'a>(&mut self, input: &mut &'a [u8]) -> Result<BodyPart<'a>, HttpError> {
        loop {
            match self.state {
                State::Done => return Ok(BodyPart::End),
                State::Failed(error) => return Err(error),
                _ if input.is_empty() => return Ok(BodyPart::More),
                State::Length { left } => {
                    let data = self.data(input, left)?;
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::Done } else { State::Length { left } };
                    return Ok(BodyPart::Data(data));
                }
                State::Data { left } => {
                    let data = self.data(input, left)?;
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                    return Ok(BodyPart::Data(data));
                }
                State::UntilClose => return self.data(input, u64::MAX).map(BodyPart::Data),
                _ => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(BodyPart::More) };
                    *input = rest;
                    match self.step(byte) {
                        Ok(next) => self.state = next,
                        Err(error) => return Err(self.fail(error)),
                    }
                }
            }
        }
    }

    /// Tells that the connection ended: fine only where that ends the body, or behind its end.
    pub fn handle_eof(&mut self) -> Result<(), HttpError> {
        match self.state {
            State::Done => Ok(()),
            State::UntilClose => {
                self.state = State::Done;
                Ok(())
            }
            State::Failed(error) => Err(error),
            _ => Err(self.fail(HttpError::Truncated)),
        }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    fn room(&self) -> u64 {
        self.limit.saturating_sub(self.taken)
    }

    /// Takes up to `left` bytes of data. The limit falls at the same byte whatever the split.
    fn data<'a>(&mut self, input: &mut &'a [u8], left: u64) -> Result<&'a [u8], HttpError> {
        if self.room() == 0 {
            return Err(self.fail(HttpError::BodyTooLarge { limit: self.limit }));
        }
        let n = usize::try_from(left.min(self.room())).unwrap_or(usize::MAX).min(input.len());
        let (data, rest) = input.split_at(n);
        *input = rest;
        self.taken = self.taken.saturating_add(n as u64);
        self.extensions = self.extensions.saturating_add(n).min(EXTENSION_BYTES);
        Ok(data)
    }

    fn fail(&mut self, error: HttpError) -> HttpError {
        self.state = State::Failed(error);
        error
    }

    /// One byte of framing (RFC 9112 §7.1).
    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS {
                    return Err(HttpError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Ok(State::Size { size: size << 4 | digit, digits: digits + 1 })
            }
            (State::Size { digits: 1.., size }, b'\r' | b';') => {
                // Refused by its announcement, before a byte of it.
                if size > self.room() {
                    return Err(HttpError::BodyTooLarge { limit: self.limit });
                }
                self.chunk = size;
                if byte == b';' { self.extension() } else { Ok(State::SizeLf) }
            }
            (State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Extension, b'\t' | 0x20..=0x7E | 0x80..) => self.extension(),
            (State::SizeLf, b'\n') => match self.chunk {
                0 => Ok(State::TrailerStart),
                left => Ok(State::Data { left }),
            },
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { size: 0, digits: 0 }),
            (State::DataCr | State::DataLf, _) => Err(HttpError::ChunkEnd),
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::EndLf, b'\n') => Ok(State::Done),
            (State::TrailerName, b':') => self.trailer(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if TOKEN.has(byte) => {
                self.trailer(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | 0x20..=0x7E | 0x80..) => self.trailer(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (
                State::TrailerStart
                | State::TrailerName
                | State::TrailerValue
                | State::TrailerLf
                | State::EndLf,
                _,
            ) => Err(HttpError::Trailer),
            _ => Err(HttpError::ChunkSize),
        }
    }

    fn extension(&mut self) -> Result<State, HttpError> {
        let left = self.extensions.checked_sub(1);
        self.extensions = left.ok_or(HttpError::ChunkExtensions { limit: EXTENSION_BYTES })?;
        Ok(State::Extension)
    }

    fn trailer(&mut self, next: State) -> Result<State, HttpError> {
        let left = self.trailers.checked_sub(1);
        self.trailers = left.ok_or(HttpError::TrailersTooLarge { limit: TRAILER_BYTES })?;
        Ok(next)
    }
}
