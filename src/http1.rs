//! HTTP/1.1 as pure state machines: bytes in, heads and bodies out, and the other way round.
//!
//! [`Connection`] is the server's side of one socket; [`ResponseReader`] and [`RequestBuilder`] are the client's.
//! None of them reads a clock or a socket. The subset of RFC 9112 is small and strict, because what two
//! parties could read differently is how requests are smuggled.
//!
//! # What is understood
//! - Request lines with a target in origin form, in absolute form (`http` and `https`; its authority is
//!   preferred to `Host`), or `*` with `OPTIONS` (§3.2). Targets are visible ASCII without `"`, `#`, `<` and `>`,
//!   and without a backtick in the path; they are never decoded or normalised.
//! - HTTP/1.1, and any later 1.x as 1.1. HTTP/1.0, one request a connection.
//! - Bodies by `Content-Length` or by `Transfer-Encoding: chunked` (§6, §7); in responses also up to the end of
//!   the connection. Chunk extensions and trailers are bounded and discarded.
//! - Kept connections, pipelining (one request is shown at a time, §9.3.2), `Expect: 100-continue`, and the
//!   lingering close of §9.6.
//! - At most two empty lines before a request line (§2.2).
//!
//! # What is refused
//! | what | status |
//! |---|---|
//! | a CR or LF that is not half of a CRLF; a control byte other than HTAB; folded lines; a space before a colon; a name that is no token | 400 |
//! | no `Host` in HTTP/1.1, more than one in any version, or one that is no `host[:port]` | 400 |
//! | `Content-Length` together with `Transfer-Encoding`; a repeated or listed length; a length that is not all digits | 400 |
//! | a `Transfer-Encoding` in HTTP/1.0, given twice, with parameters, or with `chunked` twice or not last | 400 |
//! | a transfer coding other than `chunked`, and `CONNECT` | 501 |
//! | a version other than 1.x; the preface of HTTP/2 as malformed | 505; 400 |
//! | a head, a target, a number of headers, or a body above its limit | 431, 414, 431, 413 |
//! | a head or a body that does not arrive in time | 408 |
//!
//! After any of these the connection answers by itself, says `Connection: close`, and reads nothing behind the
//! fault as a request.
//!
//! # What is left out
//! `CONNECT`, upgrades, transfer codings other than `chunked`, trailers as data, zone identifiers and future
//! address forms in `Host`, and HTTP/0.9. Routing (`403`, `404`, `405`, `415`, …) is not decided here.

mod body;
mod characters;
mod config;
mod connection;
mod encode;
mod error;
mod fields;
mod head;
mod response;
mod scan;

pub use body::{BodyDecoder, BodyLength, BodyPart};
pub use config::{ConnectionConfig, ConnectionConfigBuilder};
pub use connection::{CommandError, Connection, ConnectionClose, ConnectionWake, Handover, Step};
#[cfg(feature = "mcp")]
pub(crate) use encode::encode_stream_head;
pub use encode::{Behind, HeaderError, RequestBuilder, Response, reason_phrase, stream_head};
pub use error::HttpError;
pub(crate) use head::parse_authority;
pub use head::{HeadLimits, RequestHead, Version};
pub use response::{ResponseEvent, ResponseHead, ResponseReader};
