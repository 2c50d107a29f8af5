//! [`Tick`]: the only notion of time in this crate.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

/// A point on the driver's monotonic clock, in whole microseconds since an epoch that the driver chose.
///
/// Nothing in this crate reads a clock: every input carries the `Tick` at which it happened. Zero is an
/// ordinary value. Sums saturate, so a deadline past the end of time is one that never comes.
///
/// ```
/// use core::time::Duration;
/// use sansio_sse::Tick;
///
/// let start = Tick::from_micros(10);
/// assert_eq!((start + Duration::from_millis(1)).since(start), Duration::from_millis(1));
/// assert_eq!(start.since(start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(u64);

impl Tick {
    /// The driver's epoch.
    pub const ZERO: Tick = Tick(0);

    /// The tick `us` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(us: u64) -> Tick {
        Tick(us)
    }

    /// Whole microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`, or zero if `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Tick) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Tick {
    type Output = Tick;

    /// Saturating; a part of a microsecond counts as a whole one, so that no deadline comes early.
    fn add(self, after: Duration) -> Tick {
        let part = u64::from(after.subsec_nanos().div_ceil(1_000));
        let us = after.as_secs().saturating_mul(1_000_000).saturating_add(part);
        Tick(self.0.saturating_add(us))
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
