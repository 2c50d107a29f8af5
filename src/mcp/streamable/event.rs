//! What a [`Streamable`](super::Streamable) names and tells: [`StreamableEvent`], [`StreamableEnd`] and the ids.

use core::fmt;

use super::Filter;
use crate::mcp::{Message, Principal, SessionId};

/// A request of HTTP whose answer was not there at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub(super) u64);

/// A request of a client that the application works on. No two have the same, over all clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub(super) u64);

/// Where something can be said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outlet {
    /// On the stream of a request.
    Call(CallId),
    /// On a session's own stream.
    Session(SessionId),
}

/// What a driver is told, in order, by [`poll_event`](super::Streamable::poll_event).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamableEvent {
    /// A client has opened a session; its `initialize` request is the first that can be taken.
    Opened {
        /// Which.
        session: SessionId,
        /// Whose.
        principal: Principal,
    },
    /// There is something for the application to take: of this session, or of no session.
    Readable(Option<SessionId>),
    /// The [answer](super::Streamable::answer) of an exchange is there.
    Answer(ExchangeId),
    /// The stream of an exchange is to be [filled](super::Streamable::fill), which may also end it.
    Fill(ExchangeId),
    /// Where something was refused for want of room, there is some again; or nobody reads there any more.
    Room(Outlet),
    /// The client closed the response to a request, which cancels it: nothing can be said to it any more
    /// (2026-07-28, Cancellation).
    Cancelled(CallId),
    /// The client asks to cancel a request, by a notification that comes to the application in its turn. It can still
    /// be answered, and is best [let go](super::Streamable::let_go).
    Unwanted(CallId),
    /// The client responded to a request of the server that was [expected](super::Streamable::expect).
    Responded {
        /// In which session.
        session: SessionId,
        /// Its response, or error.
        response: Message,
    },
    /// A subscription began, which is served here. It ends as a [`Cancelled`](Self::Cancelled), or with the server.
    Subscribed {
        /// The request for it.
        call: CallId,
        /// What it hears of.
        filter: Filter,
    },
    /// Events became too old before any client had them.
    Expired {
        /// On whose stream.
        session: SessionId,
        /// How many.
        events: usize,
    },
    /// A session is over; once for each. `unread` messages never reached the application.
    Ended {
        /// Which.
        session: SessionId,
        /// Why.
        end: StreamableEnd,
        /// Messages that a client was told to be accepted and nobody took.
        unread: usize,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamableEnd {
    /// The client asked for it, by `DELETE`.
    ByClient,
    /// The application ended it.
    ByApplication,
    /// The application refused to initialize it.
    Refused,
    /// The client left before it learned of its session.
    NeverBegun,
    /// Nobody used it.
    Idle,
    /// Nobody used it for a while, and its place was needed.
    Displaced,
    /// The server stopped.
    ServerStopped,
}

impl fmt::Display for StreamableEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamableEnd::ByClient => "ended by the client",
            StreamableEnd::ByApplication => "ended by the application",
            StreamableEnd::Refused => "not initialized: the application answered with an error",
            StreamableEnd::NeverBegun => "not begun: the client left before it had an answer",
            StreamableEnd::Idle => "idle for too long",
            StreamableEnd::Displaced => "idle, and its place was needed",
            StreamableEnd::ServerStopped => "the server stopped",
        })
    }
}
