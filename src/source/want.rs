//! What an [`EventSource`](crate::EventSource) wants of its driver, and how it ends.

use core::fmt;
use core::time::Duration;

use crate::{Disconnect, LastEventId, Tick, TooLarge};

/// What the driver must do now. A projection of the state: asking again changes nothing.
///
/// ```
/// use std::sync::Arc;
/// use sansio_sse::{EventSource, SourceConfig, Tick, Want};
///
/// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
/// assert!(matches!(source.poll(), Want::Connect(attempt) if attempt.redirect.is_none()));
/// # Ok::<(), sansio_sse::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Want<'a> {
    /// Make one request, or go on with the one that is under way. Then tell
    /// [`handle_response`](crate::EventSource::handle_response) or
    /// [`handle_disconnect`](crate::EventSource::handle_disconnect).
    Connect(Connect<'a>),
    /// The response is open: give its bytes to [`handle_bytes`](crate::EventSource::handle_bytes).
    Run {
        /// When to call [`handle_timeout`](crate::EventSource::handle_timeout) at the latest.
        wake_at: Option<Tick>,
    },
    /// Drop the connection, if there still is one, and hold none.
    Wait {
        /// When to call [`handle_timeout`](crate::EventSource::handle_timeout); the next attempt follows.
        until: Tick,
        /// Why the last connection is gone, for logs.
        lost: Lost,
    },
    /// Over for good: drop the connection. Never changes again.
    Closed(&'a SourceClose),
}

/// One attempt to connect: a `GET`, with what it must carry.
///
/// ```
/// use sansio_sse::{Connect, LastEventId};
///
/// let id = LastEventId::new("41")?;
/// let attempt = Connect { last_event_id: Some(&id), redirect: None, give_up_at: None };
/// assert_eq!(attempt.headers().last(), Some(("Last-Event-ID", "41")));
/// # Ok::<(), sansio_sse::LastEventIdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect<'a> {
    /// The id to resume after.
    pub last_event_id: Option<&'a LastEventId>,
    /// The `Location` to follow, as received: resolve it against the address that gave it. `None` means the
    /// source's own address, which every new attempt starts from. The body of the redirect is not read.
    ///
    /// Whether it may be followed (another origin, plain HTTP, a private network) is for the driver to judge,
    /// which must not send credentials of one origin to another. To refuse it, call
    /// [`close`](crate::EventSource::close).
    pub redirect: Option<&'a str>,
    /// When to call [`handle_timeout`](crate::EventSource::handle_timeout) at the latest.
    pub give_up_at: Option<Tick>,
}

impl<'a> Connect<'a> {
    /// The header lines that this request must carry (HTML §9.2.2 and §9.2.3), besides the driver's own.
    ///
    /// The bytes of each value are its UTF-8; no value has a CR, LF or NUL.
    ///
    /// ```
    /// let attempt = sansio_sse::Connect { last_event_id: None, redirect: None, give_up_at: None };
    /// let headers: Vec<_> = attempt.headers().collect();
    /// assert_eq!(headers, [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")]);
    /// ```
    pub fn headers(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        [("Accept", "text/event-stream"), ("Cache-Control", "no-cache")]
            .into_iter()
            .chain(self.last_event_id.map(|id| ("Last-Event-ID", id.as_str())))
    }
}

/// Of a response head, what decides whether the stream opens.
///
/// ```
/// let head = sansio_sse::ResponseFacts { status: 200, content_type: Some("text/event-stream"), location: None };
/// assert_eq!(head.status, 200);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseFacts<'a> {
    /// The status code of the final response, not of a 1xx one.
    pub status: u16,
    /// The `Content-Type`, if there is exactly one.
    pub content_type: Option<&'a str>,
    /// The `Location`, if there is one.
    pub location: Option<&'a str>,
}

/// Why a response does not open the stream, now or later (HTML §9.2.3: the connection fails).
///
/// ```
/// assert_eq!(sansio_sse::Refused::Status(404).to_string(), "the response has status 404");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// Neither 200 nor a redirect. With 204 a server ends a stream for good.
    Status(u16),
    /// The body is not `text/event-stream`.
    MediaType,
    /// A redirect has no `Location`, or one with a CR, LF or NUL.
    Location,
    /// One redirect more than the configuration allows.
    TooManyRedirects {
        /// The most that are followed.
        limit: u8,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the response has status {status}"),
            Self::MediaType => f.write_str("the response is not text/event-stream"),
            Self::Location => f.write_str("the redirect has no usable location"),
            Self::TooManyRedirects { limit } => write!(f, "more than {limit} redirects"),
        }
    }
}

impl core::error::Error for Refused {}

/// Why the source has no connection while it waits.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::Lost;
///
/// assert_eq!(Lost::Silent { for_: Duration::from_secs(9) }.to_string(), "no byte for 9s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// The driver said so; [`Disconnect::Eof`] is the ordinary end of a response.
    Disconnected(Disconnect),
    /// No response head came in time.
    ConnectTimedOut {
        /// The configured time.
        after: Duration,
    },
    /// The response was open, and no byte came.
    Silent {
        /// The configured time.
        for_: Duration,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(Disconnect::Eof) => f.write_str("the response ended"),
            Self::Disconnected(Disconnect::Reset) => f.write_str("the connection was reset"),
            Self::Disconnected(Disconnect::TimedOut) => f.write_str("the server vanished"),
            Self::Disconnected(Disconnect::Io) => f.write_str("the connection failed"),
            Self::ConnectTimedOut { after } => write!(f, "no response for {after:?}"),
            Self::Silent { for_ } => write!(f, "no byte for {for_:?}"),
        }
    }
}

/// What a deadline of an [`EventSource`](crate::EventSource) is for.
///
/// ```
/// assert_ne!(sansio_sse::SourceWake::Silence, sansio_sse::SourceWake::Reconnect);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceWake {
    /// The attempt has taken too long.
    ConnectTimeout,
    /// The open response has been silent too long.
    Silence,
    /// The wait before the next attempt is over.
    Reconnect,
}

/// How a source ended.
///
/// ```
/// use sansio_sse::{SourceClose, SourceCloseReason, Tick};
///
/// let close = SourceClose { reason: SourceCloseReason::Closed, at: Tick::ZERO };
/// assert_eq!(close.reason.to_string(), "closed by the application");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourceClose {
    /// The first reason; later ones do not count.
    pub reason: SourceCloseReason,
    /// When.
    pub at: Tick,
}

/// Why a source ended.
///
/// ```
/// use sansio_sse::{Refused, SourceCloseReason};
///
/// let reason = SourceCloseReason::Refused(Refused::Status(204));
/// assert_eq!(reason.to_string(), "the response has status 204");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceCloseReason {
    /// [`EventSource::close`](crate::EventSource::close) was called.
    Closed,
    /// A response that means "do not come back".
    Refused(Refused),
    /// An event passed a limit. A reconnect would meet it again.
    TooLarge(TooLarge),
    /// The configured number of reconnects in a row brought nothing.
    GaveUp {
        /// How many there were.
        reconnects: u32,
        /// What ended the last one.
        lost: Lost,
    },
}

impl fmt::Display for SourceCloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the application"),
            Self::Refused(refused) => refused.fmt(f),
            Self::TooLarge(too_large) => too_large.fmt(f),
            Self::GaveUp { reconnects, lost } => write!(f, "gave up after {reconnects} reconnects: {lost}"),
        }
    }
}
