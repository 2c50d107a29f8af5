//! [`StreamableConfig`]: how the endpoint of Streamable HTTP answers, and what it bears.

use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;

use crate::mcp::Revisions;
use crate::{ConfigError, StreamConfig};

/// How requests are answered, where the specification leaves both open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerMode {
    /// By one JSON object where the response is all that there is to say within
    /// [`stream_after`](StreamableConfig::stream_after); else by a stream.
    #[default]
    Auto,
    /// Always by one JSON object, but for subscriptions. What belongs to a request has no stream to go on then.
    Json,
    /// Always by a stream, but for errors that have a status of their own.
    Stream,
}

/// What becomes of a `GET` while the session has a `GET` stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondGet {
    /// It takes the older one's place: a client that comes again has lost the older one, which the server learns last.
    #[default]
    Replaces,
    /// 409. A `GET` with `Last-Event-ID` takes up its stream all the same: its client has seen the older one.
    Refused,
}

/// How a `Last-Event-ID` is answered that can't be resumed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GapAnswer {
    /// 400 with a JSON-RPC error, which names the oldest event that is held.
    #[default]
    Refuse,
    /// A stream that ends at once, without a word.
    Empty,
    /// The stream goes on with the oldest event that is held; where it is unknown, with the session's own stream.
    Reset,
}

/// Which subscriptions the endpoint serves by itself (2026-07-28, Subscriptions). It acknowledges what of a
/// filter is offered, and [`publish`](super::Streamable::publish) does the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// `notifications/tools/list_changed`.
    pub tools: bool,
    /// `notifications/prompts/list_changed`.
    pub prompts: bool,
    /// `notifications/resources/list_changed`.
    pub resources: bool,
    /// `notifications/resources/updated`, by URI.
    pub resource_updates: bool,
}

impl Offer {
    /// All of them.
    #[must_use]
    pub const fn all() -> Offer {
        Offer { tools: true, prompts: true, resources: true, resource_updates: true }
    }
}

/// The settings of a [`Streamable`](super::Streamable). Make one with `default()` and change what is to differ.
#[derive(Clone, Debug)]
pub struct StreamableConfig {
    /// The revisions that are spoken. Default: all.
    pub revisions: Revisions,
    /// The settings of its streams.
    pub stream: Arc<StreamConfig>,
    /// How requests are answered.
    pub answers: AnswerMode,
    /// How long a request may take until its answer becomes a stream, so that keep-alives and, where a stream begins
    /// with an id, resumption are there for it. Default 2 s; `None`: only by what is said.
    pub stream_after: Option<Duration>,
    /// How long a response lasts until it ends early, so that the client polls, in revisions that have it. Default
    /// `None`: as long as it takes.
    pub poll_after: Option<Duration>,
    /// After how long such a client comes again. Default 1 s; in whole milliseconds, one or more.
    pub poll_retry: Duration,
    /// What becomes of a second `GET`.
    pub second_get: SecondGet,
    /// How a `Last-Event-ID` is answered that can't be resumed from.
    pub gaps: GapAnswer,
    /// Which subscriptions are served here. Default `None`: they reach the application as any request does.
    pub subscriptions: Option<Offer>,
    /// What is borne.
    pub limits: StreamableLimits,
}

impl Default for StreamableConfig {
    fn default() -> StreamableConfig {
        StreamableConfig {
            revisions: Revisions::default(),
            stream: Arc::default(),
            answers: AnswerMode::Auto,
            stream_after: Some(Duration::from_secs(2)),
            poll_after: None,
            poll_retry: Duration::from_secs(1),
            second_get: SecondGet::Replaces,
            gaps: GapAnswer::Refuse,
            subscriptions: None,
            limits: StreamableLimits::default(),
        }
    }
}

/// The limits of a [`Streamable`](super::Streamable).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamableLimits {
    /// Sessions at once. Default 1,000. At the limit, the session that has been idle longest makes room for a new
    /// one, if it was for [`idle_at_least`](Self::idle_at_least); else the new one is refused with 503.
    pub max_sessions: NonZeroUsize,
    /// How long a session is left alone at least. Default 60 s.
    pub idle_at_least: Duration,
    /// How long a session lives without a request and an open response. Default 30 min.
    pub idle_for: Duration,
    /// Requests of one session that are being worked on. Default 64.
    pub max_requests: NonZeroUsize,
    /// Requests without a session that are being worked on, subscriptions included. Default 1,000.
    pub max_stateless: NonZeroUsize,
    /// Streams of one session that are kept for clients that lost them. Default 64; over it the oldest one that is
    /// complete goes.
    pub max_kept: NonZeroUsize,
    /// Messages that wait for the application: of one session, and of all without one. Default 256.
    pub max_messages: NonZeroUsize,
    /// Their bytes. Default 1 MiB. An empty queue takes one body of any size.
    pub max_bytes: NonZeroUsize,
    /// POSTs that are held back while that queue is full. Default 16.
    pub max_held: NonZeroUsize,
    /// How long. Default 10 s; then 503.
    pub hold_for: Duration,
    /// Events that one stream keeps, for clients that lost their connection, and for slow ones. Default 256.
    pub replay_frames: NonZeroUsize,
    /// Their bytes. Default 1 MiB.
    pub replay_bytes: NonZeroUsize,
    /// Their age. Default 5 min.
    pub replay_for: Duration,
    /// Messages of one batch. Default 50.
    pub max_batch: NonZeroUsize,
    /// Resources in one subscription's filter. Default 1,000.
    pub max_resources: NonZeroUsize,
}

impl Default for StreamableLimits {
    fn default() -> StreamableLimits {
        let n = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        StreamableLimits {
            max_sessions: n(1_000),
            idle_at_least: Duration::from_secs(60),
            idle_for: Duration::from_secs(1_800),
            max_requests: n(64),
            max_stateless: n(1_000),
            max_kept: n(64),
            max_messages: n(256),
            max_bytes: n(1 << 20),
            max_held: n(16),
            hold_for: Duration::from_secs(10),
            replay_frames: n(256),
            replay_bytes: n(1 << 20),
            replay_for: Duration::from_secs(300),
            max_batch: n(50),
            max_resources: n(1_000),
        }
    }
}

impl StreamableConfig {
    /// Checks the settings.
    ///
    /// ```
    /// use std::time::Duration;
    /// use sansio_sse::mcp::StreamableConfig;
    ///
    /// let config = StreamableConfig { poll_after: Some(Duration::ZERO), ..StreamableConfig::default() };
    /// assert_eq!(config.check().unwrap_err().to_string(), "poll_after is 0ns: more than zero is allowed");
    /// ```
    ///
    /// # Errors
    /// [`ConfigError`] that names the first setting that is out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        for (setting, value) in [
            ("stream_after", self.stream_after.unwrap_or(Duration::MAX)),
            ("poll_after", self.poll_after.unwrap_or(Duration::MAX)),
            ("idle_at_least", limits.idle_at_least),
            ("idle_for", limits.idle_for),
            ("hold_for", limits.hold_for),
            ("replay_for", limits.replay_for),
        ] {
            if value.is_zero() {
                return Err(ConfigError::new(setting, alloc::format!("{value:?}"), "more than zero"));
            }
        }
        if self.poll_retry < Duration::from_millis(1) {
            return Err(ConfigError::new(
                "poll_retry",
                alloc::format!("{:?}", self.poll_retry),
                "1 ms or more",
            ));
        }
        let speaks = self.revisions.newest_first().any(|revision| !revision.rules().endpoint_event);
        if !speaks {
            let revisions = alloc::format!("{:?}", self.revisions);
            return Err(ConfigError::new("revisions", revisions, "one or more of Streamable HTTP"));
        }
        Ok(())
    }
}
