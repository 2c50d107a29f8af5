//! [`Acceptor`]: when a listener takes connections, and when it had better not.

use core::num::NonZeroUsize;
use core::time::Duration;

use crate::Tick;

const SHORTEST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Connections past the limit that are still let in, to be told that the server is busy.
const BUSY_PLACES: usize = 32;

/// What an `accept` that failed means for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// The one connection was gone before it was taken (`ECONNABORTED` and the like): the next may be fine.
    Connection,
    /// Something has run out, file descriptors most often (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), or is not
    /// understood: at once again would spin.
    Exhausted,
}

/// How a new connection is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// Serve it.
    Serve,
    /// There are too many: answer its first request with a 503.
    Busy,
}

/// What the listener's driver must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AcceptStep {
    /// Accept.
    Accept,
    /// Don't accept before this tick.
    Wait(Tick),
    /// Don't accept before a connection has closed.
    Full,
}

/// The decisions of an accept loop: how many connections, and how long to rest after an error. No error ends it.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use sansio_sse::{AcceptError, AcceptStep, Acceptor, Admission, Tick};
///
/// let mut acceptor = Acceptor::new(NonZeroUsize::MIN);
/// assert_eq!(acceptor.handle_accepted(), Admission::Serve);
/// assert_eq!(acceptor.handle_accepted(), Admission::Busy, "one connection is allowed");
///
/// acceptor.handle_error(Tick::ZERO, AcceptError::Exhausted);
/// let rested = Tick::ZERO + Duration::from_millis(50);
/// assert_eq!(acceptor.poll(Tick::ZERO), AcceptStep::Wait(rested));
/// assert_eq!(acceptor.poll(rested), AcceptStep::Accept);
/// ```
#[derive(Debug)]
pub struct Acceptor {
    max: usize,
    open: usize,
    backoff: Duration,
    not_before: Tick,
}

impl Acceptor {
    /// Serves at most `max` connections at once.
    #[must_use]
    pub fn new(max: NonZeroUsize) -> Acceptor {
        Acceptor { max: max.get(), open: 0, backoff: SHORTEST_BACKOFF, not_before: Tick::ZERO }
    }

    /// A connection was accepted.
    pub fn handle_accepted(&mut self) -> Admission {
        self.open += 1;
        self.backoff = SHORTEST_BACKOFF;
        if self.open <= self.max { Admission::Serve } else { Admission::Busy }
    }

    /// A connection that was accepted is gone.
    pub fn handle_closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Accepting failed. Each failure in a row rests twice as long as the one before, from 50 ms to 1 s.
    pub fn handle_error(&mut self, now: Tick, error: AcceptError) {
        match error {
            AcceptError::Connection => {}
            AcceptError::Exhausted => {
                self.not_before = self.not_before.max(now + self.backoff);
                self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
            }
        }
    }

    /// What to do at `now`.
    pub fn poll(&self, now: Tick) -> AcceptStep {
        if self.open >= self.max.saturating_add(BUSY_PLACES) {
            AcceptStep::Full
        } else if now < self.not_before {
            AcceptStep::Wait(self.not_before)
        } else {
            AcceptStep::Accept
        }
    }

    /// Connections that are open, those told to be busy included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }
}
