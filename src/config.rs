//! [`StreamConfig`]: what an event stream may take, how long it waits, and how its lines look.

use alloc::format;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

use crate::{ConfigError, Frame, FrameBuilder, LineEnd};

const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn count(n: u32) -> NonZeroU32 {
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

/// What goes out when a stream has been silent for a while, so that nothing between takes it for dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// Nothing: a silent stream has no deadline.
    Off,
    /// The comment `:`, which no client sees, after this long without a frame.
    Comment(Duration),
    /// A frame of its own. Clients see it: the official Go client for MCP ends its session on one.
    Frame {
        /// What is sent.
        frame: Frame,
        /// After this long without a frame.
        every: Duration,
    },
}

impl KeepAlive {
    /// The keep-alive of ContextForge: an event `keepalive` with the data `{}`.
    #[must_use]
    pub fn contextforge(every: Duration, retry: Retry) -> KeepAlive {
        let retry = match retry {
            Retry::Every(after) => Some(after),
            Retry::First(_) | Retry::Never => None,
        };
        KeepAlive::Frame { frame: Frame::keep_alive_event(retry), every }
    }

    pub(crate) fn every(&self) -> Option<Duration> {
        match self {
            KeepAlive::Off => None,
            KeepAlive::Comment(every) | KeepAlive::Frame { every, .. } => Some(*every),
        }
    }
}

/// Which frames carry the reconnection time. It is only ever put into frames that carry data: a block with
/// nothing but `retry:` ends the session of some MCP clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// None.
    Never,
    /// The first frame of a stream.
    First(Duration),
    /// All of them.
    Every(Duration),
}

/// What a client that closes only its sending side (a FIN behind the request) means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfClose {
    /// It is gone: the stream closes at once. Browsers, the MCP clients and proxies all mean this.
    #[default]
    Disconnects,
    /// It goes on reading: the stream goes on until a write fails or a clock closes it.
    GoesOn,
}

/// What counts as a stream that spins.
///
/// Writes that take nothing are always counted, see
/// [`max_empty_writes`](StreamConfigBuilder::max_empty_writes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpinGuard {
    /// Only writes that made no progress. Honest traffic, however fast, never looks like a spin.
    EmptyWrites,
    /// Every frame as well, keep-alives included, as ContextForge counts them: it closes after `in_a_row`
    /// frames that each came less than `gap` after the one before; or, with a `window`, after a frame that
    /// came less than 10 ms after the one before and makes more than the window's number of frames within
    /// the window's time. One frame is written at a time under this guard. It is a limit on honest
    /// producers: ten messages in a second's burst close the stream, and the rest of the burst is lost.
    EveryFrame {
        /// Closer than this to the frame before is rapid.
        gap: Duration,
        /// So many rapid frames in a row close.
        in_a_row: NonZeroU32,
        /// How many frames within which time are borne.
        window: Option<(Duration, NonZeroU32)>,
    },
}

/// The settings of an [`EventStream`](crate::EventStream): checked once, then immutable; share it in an `Arc`.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::{KeepAlive, StreamConfig};
///
/// let config = StreamConfig::builder().keep_alive(KeepAlive::Comment(Duration::from_secs(20))).build()?;
/// assert_eq!(config.stall_after(), Some(Duration::from_secs(30)));
///
/// let refused = StreamConfig::builder().drain_within(Duration::ZERO).build().unwrap_err();
/// assert_eq!(refused.to_string(), "drain_within is 0ns: more than zero is allowed");
/// # Ok::<(), sansio_sse::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    settings: StreamConfigBuilder,
    keep_alive_frame: Option<Frame>,
}

impl Default for StreamConfig {
    fn default() -> StreamConfig {
        StreamConfigBuilder::default().finish()
    }
}

impl StreamConfig {
    /// A builder that holds the defaults.
    pub fn builder() -> StreamConfigBuilder {
        StreamConfigBuilder::default()
    }

    /// The exact bytes, limits and decisions of ContextForge's SSE transport, so that a gateway can swap one
    /// for the other: CRLF, `retry:` in every frame, a `keepalive` event at the start and after 30 s of
    /// silence, no lag clock, and the guard that counts every frame. The queue stays bounded.
    ///
    /// ```
    /// use sansio_sse::StreamConfig;
    ///
    /// let frame = StreamConfig::contextforge().frame("message", "{}", false).build()?;
    /// assert_eq!(frame.as_bytes(), b"event: message\r\ndata: {}\r\nretry: 5000\r\n\r\n");
    /// # Ok::<(), sansio_sse::FieldError>(())
    /// ```
    #[must_use]
    pub fn contextforge() -> StreamConfig {
        StreamConfigBuilder::contextforge().finish()
    }

    /// The fields of an event in this configuration's style: its line ends, and `retry:` where it is due;
    /// `first` is the first event of its stream.
    pub fn frame<'a>(&self, event: &'a str, data: &'a str, first: bool) -> FrameBuilder<'a> {
        let frame = Frame::builder().event(event).data(data).line_end(self.settings.line_end);
        match self.settings.retry {
            Retry::Every(after) => frame.retry(after),
            Retry::First(after) if first => frame.retry(after),
            Retry::First(_) | Retry::Never => frame,
        }
    }

    /// See [`StreamConfigBuilder::keep_alive`].
    #[must_use]
    pub fn keep_alive(&self) -> &KeepAlive {
        &self.settings.keep_alive
    }

    /// See [`StreamConfigBuilder::keep_alive_at_start`].
    #[must_use]
    pub fn keep_alive_at_start(&self) -> bool {
        self.settings.keep_alive_at_start
    }

    /// See [`StreamConfigBuilder::stall_after`].
    #[must_use]
    pub fn stall_after(&self) -> Option<Duration> {
        self.settings.stall_after
    }

    /// See [`StreamConfigBuilder::lag_after`].
    #[must_use]
    pub fn lag_after(&self) -> Option<Duration> {
        self.settings.lag_after
    }

    /// See [`StreamConfigBuilder::drain_within`].
    #[must_use]
    pub fn drain_within(&self) -> Duration {
        self.settings.drain_within
    }

    /// See [`StreamConfigBuilder::max_lifetime`].
    #[must_use]
    pub fn max_lifetime(&self) -> Option<Duration> {
        self.settings.max_lifetime
    }

    /// See [`StreamConfigBuilder::max_queued`]: frames.
    #[must_use]
    pub fn max_frames(&self) -> usize {
        self.settings.max_frames.get()
    }

    /// See [`StreamConfigBuilder::max_queued`]: bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.settings.max_bytes.get()
    }

    /// Both limits of the queue.
    #[must_use]
    pub fn queue_limits(&self) -> (NonZeroUsize, NonZeroUsize) {
        (self.settings.max_frames, self.settings.max_bytes)
    }

    /// See [`StreamConfigBuilder::max_faults`].
    #[must_use]
    pub fn max_faults(&self) -> u32 {
        self.settings.max_faults.get()
    }

    /// See [`StreamConfigBuilder::max_empty_writes`].
    #[must_use]
    pub fn max_empty_writes(&self) -> u32 {
        self.settings.max_empty_writes.get()
    }

    /// See [`StreamConfigBuilder::spin_guard`].
    #[must_use]
    pub fn spin_guard(&self) -> SpinGuard {
        self.settings.spin_guard
    }

    /// See [`StreamConfigBuilder::half_close`].
    #[must_use]
    pub fn half_close(&self) -> HalfClose {
        self.settings.half_close
    }

    /// See [`StreamConfigBuilder::line_end`].
    #[must_use]
    pub fn line_end(&self) -> LineEnd {
        self.settings.line_end
    }

    /// See [`StreamConfigBuilder::retry`].
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.settings.retry
    }

    pub(crate) fn keep_alive_frame(&self) -> Option<&Frame> {
        self.keep_alive_frame.as_ref()
    }
}

/// Collects the settings of a [`StreamConfig`]; [`build`](Self::build) checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct StreamConfigBuilder {
    keep_alive: KeepAlive,
    keep_alive_at_start: bool,
    stall_after: Option<Duration>,
    lag_after: Option<Duration>,
    drain_within: Duration,
    max_lifetime: Option<Duration>,
    max_frames: NonZeroUsize,
    max_bytes: NonZeroUsize,
    max_faults: NonZeroU32,
    max_empty_writes: NonZeroU32,
    spin_guard: SpinGuard,
    half_close: HalfClose,
    line_end: LineEnd,
    retry: Retry,
}

impl Default for StreamConfigBuilder {
    fn default() -> StreamConfigBuilder {
        StreamConfigBuilder {
            keep_alive: KeepAlive::Comment(secs(15)),
            keep_alive_at_start: false,
            stall_after: Some(secs(30)),
            lag_after: Some(secs(120)),
            drain_within: secs(5),
            max_lifetime: None,
            max_frames: size(256),
            max_bytes: size(1 << 20),
            max_faults: count(3),
            max_empty_writes: count(100),
            spin_guard: SpinGuard::EmptyWrites,
            half_close: HalfClose::Disconnects,
            line_end: LineEnd::Lf,
            retry: Retry::First(secs(5)),
        }
    }
}

impl StreamConfigBuilder {
    /// The settings of [`StreamConfig::contextforge`], to be changed one by one.
    pub fn contextforge() -> StreamConfigBuilder {
        let retry = Retry::Every(secs(5));
        StreamConfigBuilder {
            keep_alive: KeepAlive::contextforge(secs(30), retry),
            keep_alive_at_start: true,
            lag_after: None,
            spin_guard: SpinGuard::EveryFrame {
                gap: Duration::from_millis(100),
                in_a_row: count(10),
                window: Some((secs(1), count(50))),
            },
            line_end: LineEnd::CrLf,
            retry,
            ..StreamConfigBuilder::default()
        }
    }

    /// What is sent into silence, and after how much of it, counted from the last byte that was taken.
    ///
    /// Default: a comment after 15 s, well inside the 60 s at which the least patient proxies cut a silent
    /// connection; longer than zero. A keep-alive that is not taken runs into
    /// [`stall_after`](Self::stall_after) like every other byte: that is how a peer that vanished is noticed.
    pub fn keep_alive(mut self, keep_alive: KeepAlive) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Whether an MCP stream sends a keep-alive right behind its endpoint event. Default: no.
    pub fn keep_alive_at_start(mut self, at_start: bool) -> Self {
        self.keep_alive_at_start = at_start;
        self
    }

    /// Closes the stream once the peer has taken no byte for this long while bytes were waiting.
    ///
    /// Default 30 s; longer than zero; `None` switches the clock off. It starts when bytes begin to wait and
    /// starts anew with every byte taken, so an idle stream never stalls. A peer that trickles is caught by
    /// [`lag_after`](Self::lag_after) instead.
    pub fn stall_after(mut self, after: Option<Duration>) -> Self {
        self.stall_after = after;
        self
    }

    /// Closes the stream once its oldest waiting frame has waited for this long, even if bytes trickle out.
    ///
    /// Default 120 s; longer than zero; `None` switches the clock off. It is counted from the frame's push.
    pub fn lag_after(mut self, after: Option<Duration>) -> Self {
        self.lag_after = after;
        self
    }

    /// How long [`finish`](crate::EventStream::finish) waits for what is queued. Default 5 s; longer than zero.
    pub fn drain_within(mut self, within: Duration) -> Self {
        self.drain_within = within;
        self
    }

    /// Finishes the stream at this age, counted from its making. Default `None`: no limit; longer than zero.
    pub fn max_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.max_lifetime = lifetime;
        self
    }

    /// How much may wait. Default 256 frames and 1 MiB.
    ///
    /// An empty queue takes any one frame, so that a frame larger than `bytes` can be sent at all: what is held
    /// is at most `bytes`, or that one frame, and about 90 bytes a frame.
    pub fn max_queued(mut self, frames: NonZeroUsize, bytes: NonZeroUsize) -> Self {
        self.max_frames = frames;
        self.max_bytes = bytes;
        self
    }

    /// Closes the stream after so many failures in a row to make a frame. Default 3.
    pub fn max_faults(mut self, faults: NonZeroU32) -> Self {
        self.max_faults = faults;
        self
    }

    /// Closes the stream after so many writes in a row in which the socket said that it was ready and took
    /// nothing. Default 100.
    pub fn max_empty_writes(mut self, writes: NonZeroU32) -> Self {
        self.max_empty_writes = writes;
        self
    }

    /// What else counts as spinning. Default [`SpinGuard::EmptyWrites`].
    pub fn spin_guard(mut self, guard: SpinGuard) -> Self {
        self.spin_guard = guard;
        self
    }

    /// What a FIN from the client means. Default [`HalfClose::Disconnects`].
    pub fn half_close(mut self, half_close: HalfClose) -> Self {
        self.half_close = half_close;
        self
    }

    /// How lines end. Default LF.
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.line_end = line_end;
        self
    }

    /// Which frames tell the client its reconnection time. Default: the first one, 5 s; a whole number of
    /// milliseconds is sent, at least one.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`], which names the first setting that is out of its range.
    pub fn build(self) -> Result<StreamConfig, ConfigError> {
        let positive = |setting, value: Option<Duration>| match value {
            Some(Duration::ZERO) => {
                Err(ConfigError::new(setting, format!("{:?}", Duration::ZERO), "more than zero"))
            }
            Some(_) | None => Ok(()),
        };
        positive("keep_alive", self.keep_alive.every())?;
        positive("stall_after", self.stall_after)?;
        positive("lag_after", self.lag_after)?;
        positive("drain_within", Some(self.drain_within))?;
        positive("max_lifetime", self.max_lifetime)?;
        match self.retry {
            Retry::First(after) | Retry::Every(after) if after < Duration::from_millis(1) => {
                return Err(ConfigError::new("retry", format!("{after:?}"), "1 ms or more"));
            }
            Retry::First(_) | Retry::Every(_) | Retry::Never => {}
        }
        match self.spin_guard {
            SpinGuard::EveryFrame { gap, window, .. } => {
                positive("spin_guard.gap", Some(gap))?;
                positive("spin_guard.window", window.map(|(within, _)| within))?;
            }
            SpinGuard::EmptyWrites => {}
        }
        Ok(self.finish())
    }

    fn finish(self) -> StreamConfig {
        let keep_alive_frame = match &self.keep_alive {
            KeepAlive::Off => None,
            KeepAlive::Comment(_) => Some(Frame::bare_comment(self.line_end)),
            KeepAlive::Frame { frame, .. } => Some(frame.clone()),
        };
        StreamConfig { settings: self, keep_alive_frame }
    }
}
