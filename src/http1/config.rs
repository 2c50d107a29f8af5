//! [`ConnectionConfig`]: the limits and deadlines of a server's connection, checked once and then shared.

use core::time::Duration;

use super::HeadLimits;
use crate::ConfigError;

/// The limits and deadlines of a [`Connection`](super::Connection), valid by construction.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::http1::ConnectionConfig;
///
/// let refused = ConnectionConfig::builder().head_within(Duration::ZERO).build().unwrap_err();
/// assert_eq!(refused.to_string(), "head_within is 0ns: 1ms to 86400s is allowed");
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
    ///
    /// # Errors
    /// [`ConfigError`], which names the first setting that is out of its range.
    pub fn build(self) -> Result<ConnectionConfig, ConfigError> {
        let config = self.0;
        let head = config.head;
        ConfigError::check("head_bytes", head.head_bytes, 64, MIB)?;
        ConfigError::check("target_bytes", head.target_bytes, 16, head.head_bytes)?;
        ConfigError::check("headers", head.headers, 1, 4096)?;
        ConfigError::check("body_bytes", config.body_bytes, 0, 1024 * MIB)?;
        ConfigError::check("read_ahead", config.read_ahead, 1, MIB)?;
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

fn check_time(setting: &'static str, value: Duration) -> Result<(), ConfigError> {
    ConfigError::check(setting, value, SHORTEST, LONGEST)
}
