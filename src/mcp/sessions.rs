//! [`Sessions`]: the one owner of every session's life, and of what clients have sent into it.
//!
//! A session enters the table attached to a response, and [`Attachment`] is the proof of it: giving that back,
//! with the response's close, is what ends or detaches the session. A detached session has a deadline. So every
//! session has a way out, and leaves exactly one [`SessionEvent::Ended`] behind.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroUsize;
use core::time::Duration;

use super::{Message, Resumption, SessionId};
use crate::{Close, CloseReason, ConfigError, EventId, Tick};

/// The limits of a [`Sessions`] table. Make one with `SessionLimits::default()` and change what is to differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions at once. Default 1,000.
    pub max_sessions: NonZeroUsize,
    /// Messages from the client that wait for the application, a session. Default 256.
    pub max_messages: NonZeroUsize,
    /// Their bytes. Default 1 MiB. An empty queue takes one message of any size.
    pub max_bytes: NonZeroUsize,
    /// POSTs whose answer is held back while the queue is full, a session. Default 16.
    pub max_held: NonZeroUsize,
    /// How long an answer is held back before it becomes a 503. Default 10 s.
    pub hold_for: Duration,
    /// How long a session lives without a response to speak on. Default 5 min.
    pub detached_for: Duration,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        let n = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        SessionLimits {
            max_sessions: n(1_000),
            max_messages: n(256),
            max_bytes: n(1 << 20),
            max_held: n(16),
            hold_for: Duration::from_secs(10),
            detached_for: Duration::from_secs(300),
        }
    }
}

impl SessionLimits {
    /// Checks the durations: each must be longer than zero.
    ///
    /// # Errors
    /// [`ConfigError`] that names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        for (setting, value) in [("hold_for", self.hold_for), ("detached_for", self.detached_for)] {
            if value.is_zero() {
                return Err(ConfigError::new(setting, alloc::format!("{value:?}"), "more than zero"));
            }
        }
        Ok(())
    }
}

/// Proof that a response speaks for a session. It is not `Clone`, and goes back to the table with the response's
/// [`Close`]: see [`Sessions::handle_closed`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "give it back with `Sessions::handle_closed` when the response has ended"]
pub struct Attachment {
    id: SessionId,
    number: u64,
}

impl Attachment {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        &self.id
    }
}

/// A POST whose answer is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PostId(u64);

/// What became of a message that a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Posted {
    /// Its place in the application's queue is certain: 202.
    Accepted,
    /// The queue is full. Hold the answer back: a [`SessionEvent::Post`] tells how it goes on.
    Held(PostId),
}

/// What became of a POST that was held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// Its message is in the application's queue: 202.
    Accepted,
    /// The queue stayed full: 503. The message was not, and will not be, given to the application.
    QueueFull,
    /// The session ended: 404.
    Ended,
}

/// Why a message was refused at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostError {
    /// No such session, or it has ended or is about to: 404.
    Unknown,
    /// The application's queue is full, and so are the places of those who wait for it: 503.
    QueueFull,
}

/// Why no session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// There are as many as allowed: 503.
    TooMany,
    /// The id, or the number of its stream, is in use: come again with other random bytes.
    Used,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionEnd {
    /// Its response ended in a way that ends the session.
    Closed(Close),
    /// No response took it up in time.
    NotResumed {
        /// How the last one had ended.
        last: Close,
    },
    /// The application let go of it.
    ByApplication,
    /// The server stopped while no response spoke for it.
    ServerStopped {
        /// How the last one had ended.
        last: Close,
    },
}

impl fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionEnd::Closed(close) => close.reason.fmt(f),
            SessionEnd::NotResumed { last } => write!(f, "{}, and not resumed in time", last.reason),
            SessionEnd::ByApplication => f.write_str("ended by the application"),
            SessionEnd::ServerStopped { last } => write!(f, "{}, and the server stopped", last.reason),
        }
    }
}

/// What the driver is told, in order, by [`Sessions::poll_event`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// There is a message for the application to [`take`](Sessions::take).
    Readable(SessionId),
    /// A POST that was held back can be answered.
    Post(PostId, PostOutcome),
    /// A session is over; once for each. `unread` messages never reached the application.
    Ended {
        /// Which.
        id: SessionId,
        /// Why.
        end: SessionEnd,
        /// Messages that a client was told to be accepted and nobody took.
        unread: usize,
    },
}

#[derive(Debug)]
enum Life {
    Attached,
    Detached { until: Tick, last: Close },
}

#[derive(Debug)]
struct Held {
    post: PostId,
    until: Tick,
    message: Message,
}

#[derive(Debug)]
struct Session {
    stream: u64,
    /// The number of the newest attachment, the only one that speaks for the session.
    attachment: u64,
    life: Life,
    inbox: VecDeque<Message>,
    bytes: usize,
    held: VecDeque<Held>,
    /// Its stream is finishing: what the client still says could not be answered.
    finishing: bool,
}

impl Session {
    fn has_room(&self, len: usize, limits: &SessionLimits) -> bool {
        self.inbox.is_empty()
            || (self.inbox.len() < limits.max_messages.get() && self.bytes + len <= limits.max_bytes.get())
    }

    fn accept(&mut self, message: Message) {
        self.bytes += message.len();
        self.inbox.push_back(message);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Detached(SessionId),
    Post(SessionId, PostId),
}

/// The table of sessions.
///
/// ```
/// use std::time::Duration;
/// use sansio_sse::mcp::{Posted, Message, PostError, Resumption, SessionId, SessionLimits, Sessions};
/// use sansio_sse::Tick;
///
/// let mut sessions = Sessions::new(SessionLimits::default(), Resumption::Off);
/// let id = SessionId::from_random([7; 16]);
/// let attachment = sessions.open(Tick::ZERO, id.clone(), 1).unwrap();
///
/// let ping = Message::parse(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).unwrap();
/// assert_eq!(sessions.post(Tick::ZERO, &id, ping.clone()), Ok(Posted::Accepted));
/// assert_eq!(sessions.take(Tick::ZERO, &id), Some(ping.clone()));
///
/// sessions.end(Tick::ZERO, &id);
/// assert_eq!(sessions.post(Tick::ZERO, &id, ping), Err(PostError::Unknown));
/// # drop(attachment);
/// ```
#[derive(Debug)]
pub struct Sessions {
    limits: SessionLimits,
    resumption: Resumption,
    now: Tick,
    table: BTreeMap<SessionId, Session>,
    streams: BTreeMap<u64, SessionId>,
    due: BTreeSet<(Tick, Due)>,
    events: VecDeque<SessionEvent>,
    /// Attachments given out: each has a number of its own over all sessions, since an id may come again.
    attachments: u64,
    posts: u64,
    /// What every session's inbox begins with.
    greeting: Option<Message>,
}

impl Sessions {
    /// An empty table.
    #[must_use]
    pub fn new(limits: SessionLimits, resumption: Resumption) -> Sessions {
        Sessions {
            limits,
            resumption,
            now: Tick::ZERO,
            table: BTreeMap::new(),
            streams: BTreeMap::new(),
            due: BTreeSet::new(),
            events: VecDeque::new(),
            attachments: 0,
            posts: 0,
            greeting: None,
        }
    }

    /// Lets the application read this message first in every session, as if the client had sent it: for those
    /// that were written against ContextForge's transport, which makes up an `initialize` request.
    #[must_use]
    pub fn with_greeting(mut self, greeting: Option<Message>) -> Sessions {
        self.greeting = greeting;
        self
    }

    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Whether the session is alive.
    #[must_use]
    pub fn contains(&self, id: &SessionId) -> bool {
        self.table.contains_key(id)
    }

    /// Whether the session takes messages: it is alive, and its stream is not finishing.
    #[must_use]
    pub fn accepts(&self, id: &SessionId) -> bool {
        self.table.get(id).is_some_and(|session| !session.finishing)
    }

    /// Opens a session, attached to the response that is about to begin. `stream` is its number in event ids.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has changed.
    pub fn open(&mut self, now: Tick, id: SessionId, stream: u64) -> Result<Attachment, OpenError> {
        self.clock(now);
        if self.table.len() >= self.limits.max_sessions.get() {
            return Err(OpenError::TooMany);
        }
        if self.table.contains_key(&id) || self.streams.contains_key(&stream) {
            return Err(OpenError::Used);
        }
        self.attachments += 1;
        let number = self.attachments;
        let mut session = Session {
            stream,
            attachment: number,
            life: Life::Attached,
            inbox: VecDeque::new(),
            bytes: 0,
            held: VecDeque::new(),
            finishing: false,
        };
        if let Some(greeting) = &self.greeting {
            session.accept(greeting.clone());
        }
        self.table.insert(id.clone(), session);
        self.streams.insert(stream, id.clone());
        Ok(Attachment { id, number })
    }

    /// Which session gave out the event id `last`, if it is alive.
    #[must_use]
    pub fn find(&self, last: EventId) -> Option<&SessionId> {
        self.streams.get(&last.stream)
    }

    /// Attaches the session to a new response. The newest one wins: what becomes of an older one that still runs
    /// no longer matters to the session. `None` if there is no such session.
    pub fn attach(&mut self, now: Tick, id: &SessionId) -> Option<Attachment> {
        self.clock(now);
        let session = self.table.get_mut(id)?;
        if let Life::Detached { until, .. } = session.life {
            self.due.remove(&(until, Due::Detached(id.clone())));
        }
        session.life = Life::Attached;
        self.attachments += 1;
        session.attachment = self.attachments;
        Some(Attachment { id: id.clone(), number: session.attachment })
    }

    /// A response has ended. The session ends with it, or waits to be taken up again, by the rule of
    /// [`Resumption`]; after a newer response has taken over, nothing changes.
    pub fn handle_closed(&mut self, now: Tick, attachment: Attachment, close: Close) {
        self.clock(now);
        let Some(session) = self.table.get_mut(&attachment.id) else { return };
        // A newer response may have superseded this one before the table was told of it.
        if session.attachment != attachment.number || close.reason == CloseReason::Superseded {
            return;
        }
        if self.resumption.keeps(close.reason) {
            let until = self.now + self.limits.detached_for;
            session.life = Life::Detached { until, last: close };
            self.due.insert((until, Due::Detached(attachment.id)));
        } else {
            self.remove(&attachment.id, SessionEnd::Closed(close));
        }
    }

    /// The application lets go of the session. Unknown ones are no error: closing twice does nothing.
    pub fn end(&mut self, now: Tick, id: &SessionId) {
        self.clock(now);
        self.remove(id, SessionEnd::ByApplication);
    }

    /// The session's stream is finishing: no more messages are taken, since none of them would be answered. Those
    /// that were accepted can still be [taken](Self::take); those held back are refused.
    pub fn finish(&mut self, now: Tick, id: &SessionId) {
        self.clock(now);
        let Some(session) = self.table.get_mut(id) else { return };
        session.finishing = true;
        for held in session.held.drain(..) {
            self.due.remove(&(held.until, Due::Post(id.clone(), held.post)));
            self.events.push_back(SessionEvent::Post(held.post, PostOutcome::Ended));
        }
    }

    /// The server stops: sessions that wait for a response to speak on will not get one. Those that have one end
    /// with it.
    pub fn end_detached(&mut self, now: Tick) {
        self.clock(now);
        let detached = self.table.iter().filter_map(|(id, session)| match session.life {
            Life::Attached => None,
            Life::Detached { last, .. } => Some((id.clone(), last)),
        });
        for (id, last) in detached.collect::<Vec<_>>() {
            self.remove(&id, SessionEnd::ServerStopped { last });
        }
    }

    /// A client sent a message. Messages reach the application in the order of these calls.
    ///
    /// # Errors
    /// [`PostError`]; the message will not reach the application.
    pub fn post(&mut self, now: Tick, id: &SessionId, message: Message) -> Result<Posted, PostError> {
        self.clock(now);
        let session =
            self.table.get_mut(id).filter(|session| !session.finishing).ok_or(PostError::Unknown)?;
        if session.held.is_empty() && session.has_room(message.len(), &self.limits) {
            session.accept(message);
            self.events.push_back(SessionEvent::Readable(id.clone()));
            return Ok(Posted::Accepted);
        }
        if session.held.len() >= self.limits.max_held.get() {
            return Err(PostError::QueueFull);
        }
        self.posts += 1;
        let (post, until) = (PostId(self.posts), self.now + self.limits.hold_for);
        session.held.push_back(Held { post, until, message });
        self.due.insert((until, Due::Post(id.clone(), post)));
        Ok(Posted::Held(post))
    }

    /// The client of a held POST went away before it was answered: its message is forgotten. Nothing happens if
    /// it was decided in the meantime.
    pub fn withdraw(&mut self, now: Tick, id: &SessionId, post: PostId) {
        self.clock(now);
        self.unhold(id, post);
    }

    /// The application takes the next message of a session. Those that were held back move up.
    pub fn take(&mut self, now: Tick, id: &SessionId) -> Option<Message> {
        self.clock(now);
        let session = self.table.get_mut(id)?;
        let message = session.inbox.pop_front()?;
        session.bytes -= message.len();
        self.admit(id);
        Some(message)
    }

    /// The next deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Time has come to `now`. Early or repeated calls change nothing.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.clock(now);
        while self.due.first().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, due)) = self.due.pop_first()
        {
            match due {
                Due::Post(id, post) => {
                    self.events.push_back(SessionEvent::Post(post, PostOutcome::QueueFull));
                    self.unhold(&id, post);
                }
                Due::Detached(id) => {
                    let life = self.table.get(&id).map(|session| &session.life);
                    if let Some(&Life::Detached { last, .. }) = life {
                        self.remove(&id, SessionEnd::NotResumed { last });
                    }
                }
            }
        }
    }

    /// What happened, one event a call. Ask until there is none, after every command and fact.
    pub fn poll_event(&mut self) -> Option<SessionEvent> {
        self.events.pop_front()
    }

    fn clock(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    /// Moves POSTs that were held back into the room that there is.
    fn admit(&mut self, id: &SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        while session.held.front().is_some_and(|held| session.has_room(held.message.len(), &self.limits)) {
            let Some(Held { post, until, message }) = session.held.pop_front() else { break };
            session.accept(message);
            self.due.remove(&(until, Due::Post(id.clone(), post)));
            self.events.push_back(SessionEvent::Post(post, PostOutcome::Accepted));
            self.events.push_back(SessionEvent::Readable(id.clone()));
        }
    }

    fn unhold(&mut self, id: &SessionId, post: PostId) {
        let Some(session) = self.table.get_mut(id) else { return };
        if let Some(at) = session.held.iter().position(|held| held.post == post)
            && let Some(held) = session.held.remove(at)
        {
            self.due.remove(&(held.until, Due::Post(id.clone(), post)));
        }
        self.admit(id);
    }

    /// The one way out of the table.
    fn remove(&mut self, id: &SessionId, end: SessionEnd) {
        let Some(session) = self.table.remove(id) else { return };
        self.streams.remove(&session.stream);
        if let Life::Detached { until, .. } = session.life {
            self.due.remove(&(until, Due::Detached(id.clone())));
        }
        for held in session.held {
            self.due.remove(&(held.until, Due::Post(id.clone(), held.post)));
            self.events.push_back(SessionEvent::Post(held.post, PostOutcome::Ended));
        }
        self.events.push_back(SessionEvent::Ended { id: id.clone(), end, unread: session.inbox.len() });
    }
}
