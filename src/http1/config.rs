//! [`ConnectionConfig`]: the limits and deadlines of a server's connection, checked once and then shared.

use core::fmt;
use core::time::Duration;

use super::HeadLimits;

/// The limits and deadlines of a [`Connection`](super::Connection), valid by construction.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::http1::{ConfigError, ConnectionConfig};
///
/// let refused = ConnectionConfig::builder().head_within(Duration::ZERO).build();
/// assert!(matches!(refused, Err(ConfigError::Duration { setting: "head_within", .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionConfig {
    pub(super) head: HeadLimits,
    pub(super) head_within: Duration,
    pub(super) idle_for: Duration,
    pub(super) body_bytes: usize,
    pub(super) body_within: Duration,
    pub(super) respond_stall: Duration,
    pub(super) linger_within: Duration,
    pub(super) read_ahead: usize,
}

impl ConnectionConfig {
    /// A builder with the defaults.
    pub fn builder() -> ConnectionConfigBuilder {
        ConnectionConfigBuilder(Self::default())
    }
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            head_within: Duration::from_secs(10),
            idle_for: Duration::from_secs(60),
            body_bytes: 4 * 1024 * 1024,
            body_within: Duration::from_secs(30),
            respond_stall: Duration::from_secs(30),
            linger_within: Duration::from_secs(2),
            read_ahead: 4 * 1024,
        }
    }
}

/// Builds a [`ConnectionConfig`]. All durations are from 1 ms to 24 h.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConnectionConfigBuilder(ConnectionConfig);

impl ConnectionConfigBuilder {
    /// Limits the size of heads: 64 bytes to 1 MiB; a target of 16 bytes up to the head's; 1 to 4096 headers.
    pub fn head(mut self, limits: HeadLimits) -> Self {
        self.0.head = limits;
        self
    }

    /// Refuses a head that is not complete within this time, with 408, or silently if not a byte of it came.
    ///
    /// Default 10 s. One deadline for the whole head, which no byte resets: it counts from the accept, and on a
    /// kept connection from the first byte of the next head.
    pub fn head_within(mut self, within: Duration) -> Self {
        self.0.head_within = within;
        self
    }

    /// Closes a kept connection on which no next request began for this long.
    ///
    /// Default 60 s, counted from the last byte of the last response. Empty lines begin no request. The first
    /// request is waited for by [`head_within`](Self::head_within) alone.
    pub fn idle_for(mut self, idle: Duration) -> Self {
        self.0.idle_for = idle;
        self
    }

    /// Limits the bytes of a body without its framing: 0 to 1 GiB, default 4 MiB; beyond it 413.
    pub fn body_bytes(mut self, bytes: usize) -> Self {
        self.0.body_bytes = bytes;
        self
    }

    /// Refuses a body that is not complete within this time, with 408.
    ///
    /// Default 30 s, counted from [`receive_body`](super::Connection::receive_body); no byte resets it.
    pub fn body_within(mut self, within: Duration) -> Self {
        self.0.body_within = within;
        self
    }

    /// Closes the connection once the peer has taken no byte for this long while bytes waited.
    ///
    /// Default 30 s. It starts anew with every byte taken; a peer that trickles is not caught by it.
    pub fn respond_stall(mut self, stall: Duration) -> Self {
        self.0.respond_stall = stall;
        self
    }

    /// Waits so long for the peer to close after a response that said `Connection: close`.
    ///
    /// Default 2 s. What arrives meanwhile is discarded, so that no reset destroys the response on its way.
    pub fn linger_within(mut self, within: Duration) -> Self {
        self.0.linger_within = within;
        self
    }

    /// Limits the bytes kept that came behind a request before it is answered: 1 byte to 1 MiB.
    ///
    /// Default 4 KiB. At the limit reading pauses. It is also how much is read at once while a head is awaited.
    pub fn read_ahead(mut self, bytes: usize) -> Self {
        self.0.read_ahead = bytes;
        self
    }

    /// Checks all values against their ranges.
    pub fn build(self) -> Result<ConnectionConfig, ConfigError> {
        let config = self.0;
        let head = config.head;
        check("head_bytes", head.head_bytes, 64, MIB)?;
        check("target_bytes", head.target_bytes, 16, head.head_bytes)?;
        check("headers", head.headers, 1, 4096)?;
        check("body_bytes", config.body_bytes, 0, 1024 * MIB)?;
        check("read_ahead", config.read_ahead, 1, MIB)?;
        check_time("head_within", config.head_within)?;
        check_time("idle_for", config.idle_for)?;
        check_time("body_within", config.body_within)?;
        check_time("respond_stall", config.respond_stall)?;
        check_time("linger_within", config.linger_within)?;
        Ok(config)
    }
}

const MIB: usize = 1024 * 1024;
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

fn check(setting: &'static str, value: usize, min: usize, max: usize) -> Result<(), ConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(ConfigError::Size { setting, value, min, max }) }
}

fn check_time(setting: &'static str, value: Duration) -> Result<(), ConfigError> {
    if (SHORTEST..=LONGEST).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::Duration { setting, value, min: SHORTEST, max: LONGEST })
    }
}

/// A setting outside its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A size or a count.
    Size {
        /// The setting's name.
        setting: &'static str,
        /// The value given.
        value: usize,
        /// The smallest allowed.
        min: usize,
        /// The largest allowed.
        max: usize,
    },
    /// A duration.
    Duration {
        /// The setting's name.
        setting: &'static str,
        /// The value given.
        value: Duration,
        /// The shortest allowed.
        min: Duration,
        /// The longest allowed.
        max: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { setting, value, min, max } => {
                write!(f, "{setting} is {value}, allowed is {min} to {max}")
            }
            Self::Duration { setting, value, min, max } => {
                write!(f, "{setting} is {value:?}, allowed is {min:?} to {max:?}")
            }
        }
    }
}

impl core::error::Error for ConfigError {}
