//! What a [`Connection`](super::Connection) tells: its steps, its deadlines' reasons, and how it ended.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::http1::{HttpError, RequestHead};
use crate::{Disconnect, Tick};

/// What the driver is to do now.
///
/// `read` is how many bytes it may read at most; 0 means not to read. While it is not 0, keep a read pending: it
/// is how the end of the peer is noticed.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step<'a> {
    /// Write `bytes` if any, read, and call `handle_timeout` at `wake_at` at the latest.
    Run {
        /// Bytes for the peer; tell of them by `handle_wrote`.
        bytes: &'a [u8],
        /// How many bytes may be read.
        read: usize,
        /// When to call `handle_timeout`.
        wake_at: Option<Tick>,
    },
    /// A head is complete: `receive_body`, `respond` or `hand_over`. No deadline runs meanwhile.
    Head {
        /// The head.
        head: &'a Arc<RequestHead>,
        /// How many bytes may be read.
        read: usize,
    },
    /// A request is complete: `respond` or `hand_over`, now or later. No deadline runs meanwhile.
    Request {
        /// The head.
        head: &'a Arc<RequestHead>,
        /// The whole body.
        body: &'a [u8],
        /// How many bytes may be read.
        read: usize,
    },
    /// Close the sending side, go on reading, and call `handle_timeout` at `wake_at` (RFC 9112 §9.6).
    Linger {
        /// How many bytes may be read; they are discarded.
        read: usize,
        /// When to call `handle_timeout`.
        wake_at: Tick,
    },
    /// Over: drop the socket, or see to the stream that took it. Never changes again.
    Closed(ConnectionClose),
}

/// Why a connection has a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionWake {
    /// The head is to be complete.
    Head,
    /// The next request is to begin.
    Idle,
    /// The body is to be complete.
    Body,
    /// The peer is to take a byte.
    Stall,
    /// The peer is to close.
    Linger,
}

/// How a connection ended. The first reason stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionClose {
    /// The last response said that it closes, and the peer took it.
    Answered,
    /// `finish` was asked for, and nothing was left to answer.
    Finished,
    /// The peer closed between two requests.
    PeerClosed,
    /// The peer closed within a head or a body.
    Truncated,
    /// No request began in time.
    Idle,
    /// The peer took no byte of a response for too long.
    Stalled,
    /// What the peer sent was refused; the refusal was answered as far as the peer took it.
    Refused(HttpError),
    /// The connection broke.
    Disconnected(Disconnect),
    /// A stream took the socket over.
    HandedOver,
}

/// What a stream gets that takes a socket over.
#[derive(Debug, PartialEq, Eq)]
pub struct Handover {
    /// The request.
    pub head: Arc<RequestHead>,
    /// Its body, as far as it was received by `receive_body`.
    pub body: Vec<u8>,
    /// How many bytes behind the request, or of an unread body, were read and dropped.
    pub read_behind: usize,
    /// Whether the peer has closed its sending side already.
    pub eof: bool,
}

/// Why a command did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CommandError {
    /// The last step did not ask for it.
    OutOfPhase,
    /// A `HEAD` request is answered without a body, so not by a stream.
    NoBody,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfPhase => "the connection did not ask for this now",
            Self::NoBody => "a HEAD request cannot be answered by a stream",
        })
    }
}

impl core::error::Error for CommandError {}
