//! [`SourceConfig`]: the settings of an [`EventSource`](crate::EventSource), valid by construction.

use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

use super::Jitter;
use crate::ConfigError;

/// The shortest and the longest time that any setting takes.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of an [`EventSource`](crate::EventSource): checked when built, then immutable and meant to be
/// shared.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::SourceConfig;
///
/// let config = SourceConfig::builder().silent_for(Some(Duration::from_secs(45))).build();
/// assert!(config.is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceConfig {
    pub(super) max_event: NonZeroUsize,
    pub(super) retry: Duration,
    pub(super) min_delay: Duration,
    pub(super) max_delay: Duration,
    pub(super) jitter: Jitter,
    pub(super) max_failures: Option<NonZeroU32>,
    pub(super) max_redirects: u8,
    pub(super) connect_within: Option<Duration>,
    pub(super) silent_for: Option<Duration>,
}

impl SourceConfig {
    /// Starts from the defaults, which suit a client of one long-lived stream.
    ///
    /// ```
    /// assert!(sansio_sse::SourceConfig::builder().build().is_ok());
    /// ```
    pub fn builder() -> SourceConfigBuilder {
        SourceConfigBuilder(SourceConfig::default())
    }
}

impl Default for SourceConfig {
    fn default() -> SourceConfig {
        SourceConfig {
            max_event: const { NonZeroUsize::new(4 << 20).unwrap() },
            retry: Duration::from_secs(3),
            min_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(5 * 60),
            jitter: Jitter::Percent(25),
            max_failures: None,
            max_redirects: 20,
            connect_within: Some(Duration::from_secs(30)),
            silent_for: Some(Duration::from_secs(5 * 60)),
        }
    }
}

/// Builds a [`SourceConfig`]; every time is between 1 ms and 24 h.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::SourceConfig;
///
/// let refused = SourceConfig::builder().retry(Duration::from_millis(40)).build();
/// assert_eq!(refused.unwrap_err().to_string(), "retry is 40ms: 100ms to 300s is allowed");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SourceConfigBuilder(SourceConfig);

impl SourceConfigBuilder {
    /// Bounds the bytes that one event may hold; a larger one closes the source for good, because a reconnect
    /// would meet it again.
    ///
    /// Default 4 MiB. See [`Decoder`](crate::Decoder) for what counts.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    ///
    /// let builder = sansio_sse::SourceConfig::builder().max_event(NonZeroUsize::MIN);
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn max_event(mut self, bytes: NonZeroUsize) -> Self {
        self.0.max_event = bytes;
        self
    }

    /// The reconnection time until the server sends another with a `retry` field.
    ///
    /// Default 3 s; within [`delay_between`](Self::delay_between).
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// let builder = sansio_sse::SourceConfig::builder().retry(Duration::from_secs(301));
    /// assert!(builder.build().is_err(), "longer than the default maximum of five minutes");
    /// ```
    pub fn retry(mut self, first: Duration) -> Self {
        self.0.retry = first;
        self
    }

    /// Clamps every reconnection time, the server's too, and caps the growth over failures.
    ///
    /// Default 100 ms to 5 min, so that `retry: 0` cannot make the client spin and a huge one cannot silence it.
    /// [`jitter`](Self::jitter) comes on top.
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// let (short, long) = (Duration::from_secs(1), Duration::from_secs(9));
    /// assert!(sansio_sse::SourceConfig::builder().delay_between(short, long).build().is_ok());
    /// assert!(sansio_sse::SourceConfig::builder().delay_between(long, short).build().is_err());
    /// ```
    pub fn delay_between(mut self, min: Duration, max: Duration) -> Self {
        self.0.min_delay = min;
        self.0.max_delay = max;
        self
    }

    /// Spreads the reconnects of many clients. Default: up to 25 % more.
    ///
    /// ```
    /// use sansio_sse::{Jitter, SourceConfig};
    ///
    /// assert!(SourceConfig::builder().jitter(Jitter::Off).build().is_ok());
    /// assert!(SourceConfig::builder().jitter(Jitter::Percent(0)).build().is_err(), "say `Off`");
    /// ```
    pub fn jitter(mut self, jitter: Jitter) -> Self {
        self.0.jitter = jitter;
        self
    }

    /// Gives up after this many reconnects in a row of which none brought an event, a comment or a retry time.
    ///
    /// Default `None`: tries for ever, as a browser does. Does not count reconnects that bring something.
    ///
    /// ```
    /// use core::num::NonZeroU32;
    ///
    /// let builder = sansio_sse::SourceConfig::builder().max_failures(NonZeroU32::new(5));
    /// assert!(builder.build().is_ok());
    /// ```
    pub fn max_failures(mut self, reconnects: Option<NonZeroU32>) -> Self {
        self.0.max_failures = reconnects;
        self
    }

    /// Follows this many redirects in one attempt; one more closes the source. Default 20, as in Fetch §4.4.
    /// Zero follows none.
    ///
    /// ```
    /// assert!(sansio_sse::SourceConfig::builder().max_redirects(0).build().is_ok());
    /// ```
    pub fn max_redirects(mut self, redirects: u8) -> Self {
        self.0.max_redirects = redirects;
        self
    }

    /// Abandons an attempt that has not led to a response head in this time; it then counts as a lost connection.
    ///
    /// Default 30 s, measured from the start of the attempt over all its redirects. `None` leaves it to the driver.
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// let builder = sansio_sse::SourceConfig::builder().connect_within(Some(Duration::ZERO));
    /// assert!(builder.build().is_err());
    /// ```
    pub fn connect_within(mut self, after: Option<Duration>) -> Self {
        self.0.connect_within = after;
        self
    }

    /// Takes an open connection for lost once not a single byte has come for this long.
    ///
    /// Default 5 min, the time after which many proxies cut silent streams; servers that care send a comment far
    /// more often. Measured from the response head, then from the last byte. Does not catch a server that
    /// trickles bytes and never ends an event. `None` waits for ever.
    ///
    /// ```
    /// assert!(sansio_sse::SourceConfig::builder().silent_for(None).build().is_ok());
    /// ```
    pub fn silent_for(mut self, after: Option<Duration>) -> Self {
        self.0.silent_for = after;
        self
    }

    /// Checks the settings together.
    ///
    /// # Errors
    /// [`ConfigError`], for the first setting out of its range.
    ///
    /// ```
    /// use core::time::Duration;
    /// use sansio_sse::SourceConfig;
    ///
    /// let refused = SourceConfig::builder().silent_for(Some(Duration::ZERO)).build().unwrap_err();
    /// assert_eq!(refused.to_string(), "silent_for is 0ns: 1ms to 86400s is allowed");
    /// ```
    pub fn build(self) -> Result<SourceConfig, ConfigError> {
        let config = self.0;
        ConfigError::check("delay_between (max)", config.max_delay, SHORTEST, LONGEST)?;
        ConfigError::check("delay_between (min)", config.min_delay, SHORTEST, config.max_delay)?;
        ConfigError::check("retry", config.retry, config.min_delay, config.max_delay)?;
        if let Some(after) = config.connect_within {
            ConfigError::check("connect_within", after, SHORTEST, LONGEST)?;
        }
        if let Some(after) = config.silent_for {
            ConfigError::check("silent_for", after, SHORTEST, LONGEST)?;
        }
        match config.jitter {
            Jitter::Percent(percent) if !(1..=100).contains(&percent) => {
                Err(ConfigError::new("jitter", alloc::format!("{percent} %"), "1 to 100 % or off"))
            }
            Jitter::Percent(_) | Jitter::Off => Ok(config),
        }
    }
}
