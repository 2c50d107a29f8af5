//! How an event stream ends: [`Close`], its [`CloseReason`] and its [`Manner`].

use core::fmt;
use core::time::Duration;

use crate::{EventId, Tick};

/// The end of an [`EventStream`](crate::EventStream). There is exactly one, and it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why. The first cause wins.
    pub reason: CloseReason,
    /// What the driver owes the connection now.
    pub manner: Manner,
    /// When.
    pub at: Tick,
    /// How many accepted frames the socket did not take whole; keep-alives don't count.
    pub undelivered: usize,
    /// The id of the last frame that the socket took whole, of those that were pushed with one.
    pub last_delivered: Option<EventId>,
}

/// What is left to do for the connection of a closed stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manner {
    /// Everything was taken, the terminator too: shut the connection down in order.
    Finish,
    /// Drop the connection. A frame may be cut, and the peer must be able to tell.
    Abort,
}

/// Why an event stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application finished it, and all of it was taken.
    Finished,
    /// The application aborted it.
    Aborted,
    /// The peer is gone.
    Disconnected(Disconnect),
    /// The peer took no byte for this long while bytes were waiting.
    Stalled {
        /// Since the last byte was taken, or bytes began to wait.
        for_: Duration,
    },
    /// The oldest waiting frame waited for this long: the peer reads, but too slowly.
    Lagged {
        /// The frame's age.
        behind: Duration,
    },
    /// It was finishing, and the time for that ran out.
    DrainTimedOut,
    /// It reached the longest life that its configuration allows. With [`Manner::Abort`], the time for finishing
    /// ran out behind it.
    Expired,
    /// The driver reported this many writes in a row in which the socket took nothing.
    Spinning {
        /// Writes of zero bytes.
        empty_writes: u32,
    },
    /// The guard that counts every frame ([`SpinGuard::EveryFrame`](crate::SpinGuard)) closed it.
    RapidFrames {
        /// Frames in a row, or in the window, that came too fast.
        frames: u32,
    },
    /// The application failed this many times in a row to make a frame.
    FaultLimit {
        /// Failures in a row.
        faults: u32,
    },
    /// The driver was dropped before the stream had ended.
    Abandoned,
    /// A newer response took its place.
    Superseded,
}

/// How the driver learned that the peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// The peer closed its sending side (a FIN).
    Eof,
    /// The connection was reset, or a write met a closed pipe.
    Reset,
    /// The operating system gave the connection up: the peer acknowledged nothing for too long. It has not hung
    /// up, it has vanished, and may come back.
    TimedOut,
    /// Any other I/O error; the driver keeps the details.
    Io,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Finished => f.write_str("finished"),
            CloseReason::Aborted => f.write_str("aborted by the application"),
            CloseReason::Disconnected(how) => write!(f, "client disconnected ({how})"),
            CloseReason::Stalled { for_ } => write!(f, "stalled: no byte taken for {for_:?}"),
            CloseReason::Lagged { behind } => write!(f, "lagged: the oldest frame waited for {behind:?}"),
            CloseReason::DrainTimedOut => f.write_str("not drained in time"),
            CloseReason::Expired => f.write_str("longest lifetime reached"),
            CloseReason::Spinning { empty_writes } => {
                write!(f, "spinning: {empty_writes} writes took nothing")
            }
            CloseReason::RapidFrames { frames } => write!(f, "{frames} frames came too fast"),
            CloseReason::FaultLimit { faults } => write!(f, "{faults} failures in a row"),
            CloseReason::Abandoned => f.write_str("driver dropped"),
            CloseReason::Superseded => f.write_str("a newer response took its place"),
        }
    }
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disconnect::Eof => "end of input",
            Disconnect::Reset => "reset",
            Disconnect::TimedOut => "no acknowledgement",
            Disconnect::Io => "I/O error",
        })
    }
}
