//! What is needed of a runtime: a listener, a timer, a way to spawn. And the clock: the one place where time is
//! read.

#[cfg(feature = "smol")]
pub(crate) mod smol;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncRead, AsyncWrite};
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};
use sansio_sse::Tick;

/// A timer that can be set again and again.
///
/// The clock decides what is due; a timer only wakes. Firing early is harmless.
pub trait Timer: Unpin + Send + 'static {
    /// Fires at `at`, and no longer at any time set before.
    fn set(&mut self, at: Instant);

    /// Ready once the time that was set has come; then pending until it is set again.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// An async runtime, as far as a server needs one.
pub trait Runtime: Send + Sync + 'static {
    /// A connection.
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A listening socket.
    type Listener: Send + Sync + 'static;
    /// A timer.
    type Timer: Timer;

    /// Listens on `addr`.
    ///
    /// # Errors
    /// What the operating system says: most often that the address is in use.
    fn bind(addr: SocketAddr) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// The address that was bound, with the port that was chosen for port 0.
    ///
    /// # Errors
    /// What the operating system says.
    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr>;

    /// The next connection.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;

    /// Sets what all connections need that the listener will accept: small writes go out at once; and, where asked
    /// for, the operating system gives up a connection whose peer has acknowledged nothing for this long while bytes
    /// were under way. The system takes bytes into a buffer of its own, and so hides for many minutes a peer that
    /// vanished without a word. On Linux that includes a peer that is there and reads nothing, while too few bytes
    /// wait for it to fill that buffer (tcp(7), `TCP_USER_TIMEOUT`).
    ///
    /// # Errors
    /// What the operating system says.
    fn prepare(listener: &Self::Listener, give_up_after: Option<Duration>) -> io::Result<()>;

    /// A timer that is not set.
    fn timer() -> Self::Timer;

    /// Runs a future to its end by itself.
    fn spawn(future: impl Future<Output = ()> + Send + 'static);
}

/// `TCP_NODELAY`, and `TCP_USER_TIMEOUT` (RFC 5482) where there is one. Accepted sockets inherit both: two calls less
/// for each connection.
#[cfg(any(feature = "smol", feature = "tokio"))]
fn prepare(listener: &socket2::Socket, give_up_after: Option<Duration>) -> io::Result<()> {
    listener.set_tcp_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    listener.set_tcp_user_timeout(give_up_after)?;
    let _ = give_up_after;
    Ok(())
}

/// The process's monotonic clock, as ticks. All of them agree.
#[derive(Clone, Copy, Debug)]
pub struct Clock(());

static EPOCH: LazyLock<Epoch> = LazyLock::new(Epoch::now);

impl Clock {
    /// The clock, which runs since it was first asked for.
    #[must_use]
    pub fn start() -> Clock {
        LazyLock::force(&EPOCH);
        Clock(())
    }

    /// The current tick.
    #[must_use]
    pub fn now(&self) -> Tick {
        tick(EPOCH.instant.elapsed())
    }

    /// A tick that is a few milliseconds old at the most, and costs a tenth where the system has such a clock: for
    /// what is counted in seconds, a message at a time.
    #[must_use]
    pub fn recent(&self) -> Tick {
        EPOCH.recent()
    }

    /// When `tick` is; `None` if it is past what the operating system can tell, and so never comes.
    #[must_use]
    pub fn instant(&self, tick: Tick) -> Option<Instant> {
        EPOCH.instant.checked_add(Duration::from_micros(tick.as_micros()))
    }
}

impl Clock {
    /// The tick of an instant; the first one for all before it.
    pub(crate) fn tick(self, instant: Instant) -> Tick {
        tick(instant.saturating_duration_since(EPOCH.instant))
    }
}

fn tick(since: Duration) -> Tick {
    Tick::from_micros(since.as_secs() * 1_000_000 + u64::from(since.subsec_micros()))
}

/// Tick zero, on the clocks of the system.
struct Epoch {
    #[cfg(target_os = "linux")]
    coarse: Duration,
    instant: Instant,
}

impl Epoch {
    fn now() -> Epoch {
        Epoch {
            #[cfg(target_os = "linux")]
            coarse: coarse(ClockId::Monotonic),
            instant: Instant::now(),
        }
    }

    #[cfg(target_os = "linux")]
    fn recent(&self) -> Tick {
        tick(coarse(ClockId::MonotonicCoarse).saturating_sub(self.coarse))
    }

    #[cfg(not(target_os = "linux"))]
    fn recent(&self) -> Tick {
        tick(self.instant.elapsed())
    }
}

/// The time of a clock of Linux's; both that are asked here count from the same moment.
#[cfg(target_os = "linux")]
fn coarse(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// How much later than asked a timer may fire: this fraction of the wait.
const SLACK: u64 = 128;

/// And in microseconds, at most: about 66 ms.
const MOST_SLACK: u64 = 1 << 16;

/// When to wake for a deadline at `at`: a little later, so that deadlines close to each other wake once. Thousands
/// of idle streams would else wake the process for each of their keep-alives.
fn coalesce(now: Tick, at: Tick) -> Tick {
    let wait = at.as_micros().saturating_sub(now.as_micros());
    match (wait / SLACK).min(MOST_SLACK) {
        0 => at,
        // Powers of two, so that waits of different lengths meet.
        slack => {
            Tick::from_micros(at.as_micros().checked_next_multiple_of(1 << slack.ilog2()).unwrap_or(u64::MAX))
        }
    }
}

/// A timer that is only set anew to an earlier time: a deadline that moves on with every write costs nothing.
#[derive(Debug)]
pub(crate) struct Alarm<T> {
    timer: T,
    armed: Option<Tick>,
}

impl<T: Timer> Alarm<T> {
    pub(crate) fn new(timer: T) -> Alarm<T> {
        Alarm { timer, armed: None }
    }

    /// The timer, for another use.
    pub(crate) fn into_timer(self) -> T {
        self.timer
    }

    /// Makes sure that the task is woken at `wake_at`, or within one part in 128 of the wait and 66 ms behind it.
    /// Ready when the timer has just fired: look at the clock again.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, clock: Clock, wake_at: Option<Tick>) -> Poll<()> {
        if let Some(at) = wake_at
            && self.armed.is_none_or(|armed| at < armed)
            && let Some(instant) = clock.instant(coalesce(clock.now(), at))
        {
            self.timer.set(instant);
            self.armed = Some(at);
        }
        if self.armed.is_some() && self.timer.poll(cx).is_ready() {
            self.armed = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_SLACK, SLACK, Tick, coalesce};

    #[test]
    fn timer_is_late_by_little_and_never_early() {
        let now = Tick::from_micros(1_234_567);
        for wait in (0..40).map(|bits| (1_u64 << bits) + 77) {
            let at = now.as_micros() + wait;
            let late = coalesce(now, Tick::from_micros(at)).as_micros() - at;
            assert!(late <= wait / SLACK && late < MOST_SLACK, "{late} us behind a wait of {wait} us");
        }
        for at in [0, 1, now.as_micros(), now.as_micros() + 127, u64::MAX] {
            let at = Tick::from_micros(at);
            assert_eq!(coalesce(now, at), at, "a deadline that is past, near, or never");
        }
    }

    #[test]
    fn keep_alives_of_one_moment_wake_once() {
        let wakes = (0..1_000).map(|n| {
            let now = n * 60; // 60 ms in all.
            coalesce(Tick::from_micros(now), Tick::from_micros(now + 15_000_000))
        });
        let mut wakes: Vec<_> = wakes.collect();
        wakes.dedup();
        assert!(wakes.len() <= 2, "{wakes:?}");
    }
}
