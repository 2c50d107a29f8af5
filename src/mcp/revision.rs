//! [`Revision`]: the protocol's revisions as data, and which of them a request is of.
//!
//! What differs between revisions stands in one table, [`Revision::rules`]; nothing else asks for a revision by its
//! name. Which revision a request is of is decided anew for each, by [`VersionFacts::decide`], from what it carries
//! and what its session has agreed on.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

/// A revision of the protocol, by its date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// HTTP+SSE.
    V2024_11_05,
    /// Streamable HTTP, with sessions, resumable streams and batches.
    V2025_03_26,
    /// Without batches, and with `MCP-Protocol-Version`.
    V2025_06_18,
    /// Streams begin with an id, and the server may let the client poll.
    V2025_11_25,
    /// Stateless: one request, one response, and its end cancels.
    V2026_07_28,
}

/// How a revision names the session that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionNaming {
    /// In the path that the endpoint event names.
    Path,
    /// In `Mcp-Session-Id`.
    Header,
    /// There are no sessions.
    None,
}

/// What a revision asks of the transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The stream begins with the endpoint event.
    pub endpoint_event: bool,
    /// How sessions are named.
    pub session: SessionNaming,
    /// `GET` opens a stream, and `DELETE` ends the session where it is named by a header.
    pub get_stream: bool,
    /// Events carry ids, and `Last-Event-ID` takes a stream up again.
    pub resumable: bool,
    /// A stream begins with an event that has an id and no data, and the server may end a response early, so that
    /// the client polls.
    pub primes: bool,
    /// A body may be an array of messages.
    pub batches: bool,
    /// The server may send requests to the client.
    pub server_requests: bool,
    /// The end of a response cancels what it was the response to.
    pub end_cancels: bool,
    /// Requests say in `_meta` what they are of, and headers mirror the body.
    pub request_metadata: bool,
    /// Methods of earlier revisions that this one does not have.
    pub removed: &'static [&'static str],
}

const HTTP_SSE: Rules = Rules {
    endpoint_event: true,
    session: SessionNaming::Path,
    get_stream: true,
    resumable: false,
    primes: false,
    batches: false,
    server_requests: true,
    end_cancels: false,
    request_metadata: false,
    removed: &[],
};
const FIRST: Rules = Rules {
    endpoint_event: false,
    session: SessionNaming::Header,
    resumable: true,
    batches: true,
    ..HTTP_SSE
};
const SECOND: Rules = Rules { batches: false, ..FIRST };
const THIRD: Rules = Rules { primes: true, ..SECOND };
const STATELESS: Rules = Rules {
    session: SessionNaming::None,
    get_stream: false,
    resumable: false,
    primes: false,
    server_requests: false,
    end_cancels: true,
    request_metadata: true,
    removed: &["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"],
    ..THIRD
};

impl Revision {
    /// All, the oldest first.
    pub const ALL: [Revision; 5] = [
        Revision::V2024_11_05,
        Revision::V2025_03_26,
        Revision::V2025_06_18,
        Revision::V2025_11_25,
        Revision::V2026_07_28,
    ];

    /// The date that names it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }

    /// What it asks of the transport.
    ///
    /// ```
    /// use sansio_sse::mcp::Revision;
    ///
    /// assert!(!Revision::V2025_11_25.rules().end_cancels, "a broken connection cancels nothing");
    /// assert!(Revision::V2026_07_28.rules().end_cancels, "it is how a client cancels");
    /// ```
    #[must_use]
    pub const fn rules(self) -> &'static Rules {
        match self {
            Revision::V2024_11_05 => &HTTP_SSE,
            Revision::V2025_03_26 => &FIRST,
            Revision::V2025_06_18 => &SECOND,
            Revision::V2025_11_25 => &THIRD,
            Revision::V2026_07_28 => &STATELESS,
        }
    }

    /// Whether it has no sessions and no `initialize`.
    #[must_use]
    pub const fn is_stateless(self) -> bool {
        self.rules().request_metadata
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevisionError;

impl fmt::Display for RevisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a revision of the protocol: dates such as 2025-11-25 are allowed")
    }
}

impl core::error::Error for RevisionError {}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Revision, RevisionError> {
        Revision::ALL.into_iter().find(|revision| revision.as_str() == text).ok_or(RevisionError)
    }
}

/// The revisions that a server speaks. Each can be switched off.
///
/// ```
/// use sansio_sse::mcp::{Revision, Revisions};
///
/// let revisions = Revisions::all().without(Revision::V2025_03_26);
/// assert!(!revisions.contains(Revision::V2025_03_26));
/// assert_eq!(revisions.newest_first().next(), Some(Revision::V2026_07_28));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Revisions(u8);

impl Revisions {
    /// All of them.
    #[must_use]
    pub const fn all() -> Revisions {
        Revisions((1 << Revision::ALL.len()) - 1)
    }

    /// None, to be joined [`with`](Self::with) some.
    #[must_use]
    pub const fn none() -> Revisions {
        Revisions(0)
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, revision: Revision) -> Revisions {
        Revisions(self.0 | 1 << revision as u8)
    }

    /// These but one.
    #[must_use]
    pub const fn without(self, revision: Revision) -> Revisions {
        Revisions(self.0 & !(1 << revision as u8))
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn contains(self, revision: Revision) -> bool {
        self.0 & (1 << revision as u8) != 0
    }

    /// They, in the order in which they are told to clients.
    pub fn newest_first(self) -> impl Iterator<Item = Revision> {
        Revision::ALL.into_iter().rev().filter(move |revision| self.contains(*revision))
    }

    /// The newest one with sessions over one endpoint.
    fn newest_with_sessions(self) -> Option<Revision> {
        self.newest_first().find(|revision| revision.rules().session == SessionNaming::Header)
    }

    fn stateless(self) -> bool {
        self.newest_first().any(Revision::is_stateless)
    }
}

impl Default for Revisions {
    fn default() -> Revisions {
        Revisions::all()
    }
}

impl fmt::Debug for Revisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.newest_first()).finish()
    }
}

/// What a body says about its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFacts<'a> {
    /// There is none: `GET` or `DELETE`.
    None,
    /// An `initialize` request, and the revision that it proposes.
    Initialize {
        /// `params.protocolVersion`.
        proposed: Option<&'a str>,
        /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
        meta: Option<&'a str>,
    },
    /// Another request.
    Request {
        /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
        meta: Option<&'a str>,
    },
    /// Notifications, responses, or a batch: the headers of such a body are all that says its revision.
    Other,
}

/// What a request to the endpoint of Streamable HTTP says about its revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionFacts<'a> {
    /// `MCP-Protocol-Version`.
    pub header: Option<&'a str>,
    /// What its body says.
    pub body: BodyFacts<'a>,
    /// The revision that the session named by the request has agreed on.
    pub session: Option<Revision>,
}

/// Why a request is of no revision that is spoken here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionError {
    /// It asks for one that is unknown or switched off.
    Unsupported {
        /// What it asks for, or the beginning of it.
        requested: String,
    },
    /// The header is missing where nothing else could say it.
    MissingHeader,
    /// The header and the body name different ones.
    Mismatch,
    /// The header names a stateless revision, and the body's `_meta` names none.
    MissingMeta,
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VersionError::Unsupported { requested } => {
                write!(f, "protocol version {requested:?} is not supported")
            }
            VersionError::MissingHeader => f.write_str("the MCP-Protocol-Version header is missing"),
            VersionError::Mismatch => {
                f.write_str("the MCP-Protocol-Version header and the version in _meta differ")
            }
            VersionError::MissingMeta => {
                f.write_str("params._meta names no io.modelcontextprotocol/protocolVersion")
            }
        }
    }
}

impl core::error::Error for VersionError {}

impl VersionFacts<'_> {
    /// Which revision the request is of (2026-07-28, Versioning: a request with `_meta` of that era is served
    /// without state, `initialize` and what follows it with a session; 2025-11-25, Lifecycle: a session speaks the
    /// revision that was agreed on; Transports: without one the header counts, and without that 2025-03-26).
    ///
    /// A request that names 2024-11-05 here comes from a client whose server agreed on that revision over this
    /// transport, as servers behind bridges do: it is served like 2025-03-26.
    ///
    /// # Errors
    /// [`VersionError`].
    pub fn decide(&self, spoken: Revisions) -> Result<Revision, VersionError> {
        let (meta, is_request) = match self.body {
            BodyFacts::Initialize { meta, .. } | BodyFacts::Request { meta } => (meta, true),
            BodyFacts::None | BodyFacts::Other => (None, false),
        };
        let is_legacy = |text: &str| text.parse().is_ok_and(|revision: Revision| !revision.is_stateless());
        let meta = meta.filter(|meta| !is_legacy(meta));
        let header_is_stateless =
            self.header.is_some_and(|header| header.parse().is_ok_and(Revision::is_stateless));
        if spoken.stateless() && is_request && (header_is_stateless || meta.is_some()) {
            return match (self.header, meta) {
                (None, _) => Err(VersionError::MissingHeader),
                (Some(_), None) => Err(VersionError::MissingMeta),
                (Some(header), Some(meta)) if header != meta => Err(VersionError::Mismatch),
                (Some(header), Some(_)) => Self::spoken(header, spoken),
            };
        }
        let named = self.header.map(|header| Self::spoken(header, spoken)).transpose()?;
        if let BodyFacts::Initialize { proposed, .. } = self.body {
            let agreed = proposed.and_then(|proposed| Self::spoken(proposed, spoken).ok());
            return agreed
                .filter(|revision| !revision.is_stateless())
                .or(spoken.newest_with_sessions())
                .ok_or_else(|| VersionError::Unsupported { requested: shown(proposed.unwrap_or("none")) });
        }
        // A session speaks what was agreed on, whatever of its era its client's headers name.
        let named = named.filter(|named| named.is_stateless() || self.session.is_none());
        match named.or(self.session) {
            Some(revision) => Ok(revision),
            None if spoken.newest_with_sessions().is_some() => {
                Self::spoken(Revision::V2025_03_26.as_str(), spoken)
            }
            // A server of stateless revisions only knows neither GET nor DELETE, and tells them so by its rules.
            None if self.body == BodyFacts::None && spoken.stateless() => Ok(Revision::V2026_07_28),
            None => Err(VersionError::MissingHeader),
        }
    }

    fn spoken(text: &str, spoken: Revisions) -> Result<Revision, VersionError> {
        let revision = text.parse().ok().filter(|revision| spoken.contains(*revision));
        match revision.ok_or_else(|| VersionError::Unsupported { requested: shown(text) })? {
            Revision::V2024_11_05 => Ok(Revision::V2025_03_26),
            revision => Ok(revision),
        }
    }
}

/// No more than a date and what may be taken for one.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
