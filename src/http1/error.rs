//! [`HttpError`]: every way in which a peer's message can be refused.

use core::fmt;

/// Why a message was refused: what was found and what would have been allowed.
///
/// Each is the peer's fault, and final: nothing behind it on the connection is read as a message. Positions
/// are counted from the first byte of the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HttpError {
    /// A CR without its LF, or an LF without its CR (RFC 9112 §2.2).
    BareLineEnd {
        /// Where in the head.
        at: usize,
    },
    /// A control byte other than HTAB.
    Control {
        /// The byte.
        byte: u8,
        /// Where in the head.
        at: usize,
    },
    /// More empty lines before a message than are skipped.
    EmptyLines,
    /// Not `method SP target SP version`.
    RequestLine,
    /// Not `version SP status SP [reason]`, or a status below 100 or above 599.
    StatusLine,
    /// The connection preface of HTTP/2.
    Http2,
    /// A version other than HTTP/1.x.
    Version,
    /// A target in none of the allowed forms, or with a byte that no target has.
    Target,
    /// `CONNECT`, which is not implemented.
    Connect,
    /// A header line that is no `token ":" value`; folded lines are among them.
    HeaderLine,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// An authority that is no `host[:port]`.
    HostMalformed,
    /// `Content-Length` and `Transfer-Encoding` in one head.
    BothLengths,
    /// A `Content-Length` that is repeated, or not all digits.
    ContentLength,
    /// A `Transfer-Encoding` that is repeated, malformed, in HTTP/1.0, or does not end in one `chunked`.
    TransferEncoding,
    /// A well-formed transfer coding other than `chunked`.
    UnknownCoding,
    /// The head has more bytes than allowed.
    HeadTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The target has more bytes than allowed.
    TargetTooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// The head has more header lines than allowed.
    TooManyHeaders {
        /// Lines allowed.
        limit: usize,
    },
    /// The body has more bytes than allowed.
    BodyTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// A chunk's size line that is not 1 to 16 hexadecimal digits and CRLF, extensions apart.
    ChunkSize,
    /// A chunk's data not followed by CRLF.
    ChunkEnd,
    /// Chunk extensions beyond the bound.
    ChunkExtensions {
        /// Bytes by which extensions may exceed the data.
        limit: usize,
    },
    /// A line behind the last chunk that is no header line.
    Trailer,
    /// Trailers beyond the bound.
    TrailersTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// The head was not complete in time.
    HeadTimedOut,
    /// The body was not complete in time.
    BodyTimedOut,
    /// The peer ended the connection inside a message.
    Truncated,
    /// More interim (1xx) responses than are skipped, or a switch of protocols that nobody asked for.
    Interim,
}

impl HttpError {
    /// The status that a server answers with; for a fault that only a response can have, 502.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::BareLineEnd { .. }
            | Self::Control { .. }
            | Self::EmptyLines
            | Self::RequestLine
            | Self::Http2
            | Self::Target
            | Self::HeaderLine
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostMalformed
            | Self::BothLengths
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::ChunkExtensions { .. }
            | Self::Trailer
            | Self::Truncated => 400,
            Self::HeadTimedOut | Self::BodyTimedOut => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::TargetTooLong { .. } => 414,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } | Self::TrailersTooLarge { .. } => 431,
            Self::Connect | Self::UnknownCoding => 501,
            Self::StatusLine | Self::Interim => 502,
            Self::Version => 505,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BareLineEnd { at } => {
                write!(f, "bare CR or LF at byte {at} of the head; lines end in CRLF")
            }
            Self::Control { byte, at } => write!(f, "control byte 0x{byte:02x} at byte {at} of the head"),
            Self::EmptyLines => f.write_str("more than two empty lines before a request"),
            Self::RequestLine => f.write_str("malformed request line; expected: method target version"),
            Self::StatusLine => f.write_str("malformed status line; expected: version status reason"),
            Self::Http2 => f.write_str("HTTP/2 preface; this port speaks HTTP/1.1"),
            Self::Version => f.write_str("unsupported version; this port speaks HTTP/1.1"),
            Self::Target => {
                f.write_str("malformed request target; expected a path or an http URI in visible ASCII")
            }
            Self::Connect => f.write_str("CONNECT is not implemented"),
            Self::HeaderLine => f.write_str("malformed header line; expected: name: value"),
            Self::HostMissing => f.write_str("no Host header"),
            Self::HostRepeated => f.write_str("more than one Host header"),
            Self::HostMalformed => f.write_str("malformed authority; expected: host or host:port"),
            Self::BothLengths => f.write_str("both Content-Length and Transfer-Encoding"),
            Self::ContentLength => f.write_str("malformed Content-Length; expected one number in digits"),
            Self::TransferEncoding => f.write_str("malformed Transfer-Encoding; expected: chunked"),
            Self::UnknownCoding => f.write_str("unknown transfer coding; only chunked is implemented"),
            Self::HeadTooLarge { limit } => write!(f, "head too large; {limit} bytes are allowed"),
            Self::TargetTooLong { limit } => write!(f, "request target too long; {limit} bytes are allowed"),
            Self::TooManyHeaders { limit } => write!(f, "too many headers; {limit} are allowed"),
            Self::BodyTooLarge { limit } => write!(f, "body too large; {limit} bytes are allowed"),
            Self::ChunkSize => f.write_str("malformed chunk size; expected 1 to 16 hexadecimal digits"),
            Self::ChunkEnd => f.write_str("chunk data not followed by CRLF"),
            Self::ChunkExtensions { limit } => {
                write!(f, "chunk extensions too large; {limit} bytes more than the data are allowed")
            }
            Self::Trailer => f.write_str("malformed trailer line"),
            Self::TrailersTooLarge { limit } => write!(f, "trailers too large; {limit} bytes are allowed"),
            Self::HeadTimedOut => f.write_str("the head did not arrive in time"),
            Self::BodyTimedOut => f.write_str("the body did not arrive in time"),
            Self::Truncated => f.write_str("the connection ended inside a message"),
            Self::Interim => f.write_str("unexpected interim response"),
        }
    }
}

impl core::error::Error for HttpError {}
