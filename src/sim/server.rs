//! [`Server`]: a whole MCP server as a pure program: HTTP, routes, sessions, streams, and an application.

mod book;
mod endpoint;
mod entry;
mod house;
mod http;
mod streamable;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use self::book::Talk;
use self::endpoint::Endpoint;
use super::application::{Application, Outbox};
use super::session::Live;
use super::{Conn, End, Program, Rng, Violation, Watched, Wish, earliest};
use crate::http1::{Connection, ConnectionConfig, Step as HttpStep};
use crate::mcp::{
    Attachment, ExchangeId, GapAnswer, HttpSse, Message, Post, PostId, Routes, SessionId, SessionLimits,
    Sessions, StreamableConfig,
};
use crate::{AccessRules, Close, Disconnect, Frame, Manner, Step, StreamConfig, Tick, Topic, TopicConfig};

/// How a [`Server`] is set up.
#[derive(Clone, Debug, Default)]
pub struct ServerConfig {
    /// Sessions at `/sse` and `/message`.
    pub http_sse: HttpSse,
    /// Plain streams at `/events`.
    pub events: Arc<StreamConfig>,
    /// Connections between requests.
    pub connection: Arc<ConnectionConfig>,
    /// The session table.
    pub limits: SessionLimits,
    /// The endpoint of Streamable HTTP at `/mcp`; `None` for none.
    pub streamable: Option<StreamableConfig>,
    /// How long the application takes nothing more from `/mcp` after each message.
    pub busy_for: Duration,
    /// How late the server's driver serves deadlines at the most; `None` if it may be any time, then I7 is not
    /// looked at.
    pub late_by: Option<Duration>,
}

/// How many sessions and streams ended, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// The closes of all responses of events.
    pub closes: Vec<Close>,
    /// Sessions that were opened.
    pub sessions: usize,
    /// Frames accepted by all streams, and taken whole by their peers.
    pub frames: (usize, usize),
}

/// A server of MCP over HTTP+SSE and of plain event streams, made of this crate's machines as an adapter makes it,
/// with every stream held against the laws. What is given out to clients is counted, and must add up.
///
/// `GET /sse` opens a session, `POST /message` speaks in it, `GET /events` reads what the application
/// [publishes](Outbox::publish), from the event that `Last-Event-ID` names. Where it is configured, `/mcp` is an endpoint
/// of Streamable HTTP; who asks there is who the `Authorization` header names.
#[derive(Debug)]
pub struct Server<A> {
    /// The application.
    pub app: A,
    config: ServerConfig,
    http_sse: Arc<HttpSse>,
    routes: Routes,
    rng: Rng,
    sessions: Sessions,
    live: BTreeMap<SessionId, Live>,
    peers: BTreeMap<Conn, Peer>,
    topic: Topic,
    outbox: Outbox,
    finishing: bool,
    ends: Ends,
    /// Of each session: messages answered with 202, and messages that its application took.
    accounts: BTreeMap<SessionId, (usize, usize)>,
    /// What each session's application said.
    said: BTreeMap<SessionId, Vec<Message>>,
    published: Vec<Frame>,
    held: BTreeMap<PostId, Conn>,
    endpoint: Option<Box<Endpoint>>,
    violation: Option<Violation>,
}

/// What a connection is to the server.
#[derive(Debug)]
enum Peer {
    /// It asks: the session that its body is for, and the POST that waits for an answer.
    Http {
        machine: Box<Connection>,
        speaks_in: Option<SessionId>,
        held: Option<PostId>,
        /// What it has asked `/mcp` for.
        asked: Option<Asked>,
    },
    /// It carries a response of a session; the attachment goes back with the response's close.
    Session { id: SessionId, generation: u32, attachment: Option<Attachment> },
    /// It carries a plain stream.
    Events { stream: Box<Watched> },
    /// It carries an answer of `/mcp`; whether that is to be filled after the next write, and whether its close was
    /// given back.
    Answer { exchange: ExchangeId, stream: Box<Watched>, again: bool, is_told: bool },
}

/// A request to `/mcp`.
#[derive(Debug)]
enum Asked {
    /// Its body is awaited.
    Post(Post),
    /// Its answer is.
    Exchange(ExchangeId),
}

impl<A: Application> Server<A> {
    /// A server that draws its ids from `rng`.
    #[must_use]
    pub fn new(app: A, config: ServerConfig, mut rng: Rng) -> Server<A> {
        let http_sse = Arc::new(config.http_sse.clone());
        let (frames, bytes) = config.events.queue_limits();
        let line_end = config.events.line_end();
        let topic = Topic::new(rng.next(), TopicConfig { max_frames: frames, max_bytes: bytes, line_end });
        let routes = Routes::new(AccessRules::loopback()).http_sse("/sse", &http_sse).events("/events");
        let endpoint = config.streamable.clone();
        let endpoint = endpoint.map(|endpoint| Box::new(Endpoint::new(endpoint, config.busy_for)));
        Server {
            app,
            routes: if endpoint.is_some() { routes.streamable(["/mcp"]) } else { routes },
            endpoint,
            sessions: Sessions::new(config.limits.clone(), http_sse.resumption),
            http_sse,
            config,
            rng,
            live: BTreeMap::new(),
            peers: BTreeMap::new(),
            topic,
            outbox: Outbox::default(),
            finishing: false,
            ends: Ends::default(),
            accounts: BTreeMap::new(),
            said: BTreeMap::new(),
            published: Vec::new(),
            held: BTreeMap::new(),
            violation: None,
        }
    }

    /// The sessions that are alive.
    pub fn session_ids(&self) -> impl Iterator<Item = &SessionId> {
        let streamable = self.endpoint.iter().flat_map(|endpoint| endpoint.machine.sessions());
        self.live.keys().chain(streamable)
    }

    /// What was said at `/mcp` to the request of this id, as it stands in it. Ids are the clients' own: this is the
    /// last request that had it.
    #[must_use]
    pub fn said_to(&self, request: &str) -> Option<&Talk> {
        self.endpoint.as_ref()?.book.of_request(request)
    }

    /// What was said on the own stream of a session of `/mcp`.
    #[must_use]
    pub fn said_in(&self, session: &SessionId) -> Option<&Talk> {
        self.endpoint.as_ref()?.book.of_session(session).map(|(_, talk)| talk)
    }

    /// What the application said in a session, accepted or waiting.
    #[must_use]
    pub fn said(&self, session: &SessionId) -> &[Message] {
        self.said.get(session).map_or(&[], Vec::as_slice)
    }

    /// What the application published.
    #[must_use]
    pub fn published(&self) -> &[Frame] {
        &self.published
    }

    /// What has ended so far.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Whether a client of `/mcp` that has missed what is gone is not told so.
    pub(super) fn skips_gaps(&self) -> bool {
        self.config.streamable.as_ref().is_some_and(|config| config.gaps == GapAnswer::Reset)
    }

    /// How often what happened at `/mcp`, by the names in [`HAPPENINGS`](super::HAPPENINGS).
    pub fn happenings(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let happenings = self.endpoint.iter().flat_map(|endpoint| &endpoint.happenings);
        let early = self.endpoint.iter().map(|endpoint| ("answer: ended early", endpoint.book.ended_early));
        happenings.map(|(what, times)| (*what, *times)).chain(early)
    }

    /// Whether nothing is left of anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
            && self.peers.is_empty()
            && self.endpoint.as_ref().is_none_or(|endpoint| endpoint.is_empty())
    }

    /// Takes no more, says what is said, and closes.
    pub fn finish(&mut self, now: Tick) {
        self.finishing = true;
        self.sessions.end_detached(now);
        for peer in self.peers.values_mut() {
            match peer {
                Peer::Http { machine, .. } => machine.finish(now),
                Peer::Events { stream, .. } => {
                    stream.finish(now);
                    stream.fill_from(now, &mut self.topic);
                }
                Peer::Session { id, .. } => {
                    self.sessions.finish(now, id);
                    if let Some(live) = self.live.get_mut(id) {
                        live.finish(now);
                    }
                }
                // The endpoint sees to it.
                Peer::Answer { .. } => {}
            }
        }
        self.finish_endpoint(now);
        self.keep_house(now);
    }
}

impl<A: Application> Program for Server<A> {
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        let mut machine = Connection::new(now, Arc::clone(&self.config.connection));
        if self.finishing {
            machine.finish(now);
        }
        self.peers.insert(
            conn,
            Peer::Http { machine: Box::new(machine), speaks_in: None, held: None, asked: None },
        );
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        let over = Wish { read: 0, wake_at: None, end: End::Drop };
        match self.peers.get(&conn) {
            None => over,
            Some(Peer::Http { machine, .. }) => match machine.poll() {
                HttpStep::Run { bytes, read, wake_at } => {
                    offer.extend_from_slice(bytes);
                    Wish { read, wake_at, end: End::Open }
                }
                HttpStep::Head { read, .. } | HttpStep::Request { read, .. } => {
                    Wish { read, wake_at: None, end: End::Open }
                }
                HttpStep::Linger { read, wake_at } => Wish { read, wake_at: Some(wake_at), end: End::Shut },
                HttpStep::Closed(_) => over,
            },
            Some(Peer::Session { id, generation, .. }) => match self.live.get(id) {
                Some(live) if live.close_of(*generation).is_none() => wish_of(&live.poll(), offer),
                Some(_) | None => over,
            },
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => wish_of(&stream.poll(), offer),
        }
    }

    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.handle_wrote(now, taken.len()),
            Some(Peer::Session { id, .. }) => {
                if let Some(live) = self.live.get_mut(id) {
                    live.handle_wrote(now, taken);
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => stream.handle_wrote(now, taken),
            None => {}
        }
        self.follow_up(now, conn);
    }

    fn handle_refused(&mut self, conn: Conn) {
        match self.peers.get_mut(&conn) {
            Some(Peer::Session { id, .. }) => {
                if let Some(live) = self.live.get_mut(id) {
                    live.handle_refused();
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => stream.handle_refused(),
            Some(Peer::Http { .. }) | None => {}
        }
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.handle_bytes(now, bytes),
            Some(Peer::Session { id, .. }) => {
                if let Some(live) = self.live.get_mut(id) {
                    live.handle_input(now, bytes.len());
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => {
                stream.handle_input(now, bytes.len())
            }
            None => {}
        }
        self.follow_up(now, conn);
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.handle_disconnect(now, how),
            Some(Peer::Session { id, generation, .. }) => {
                if let Some(live) = self.live.get_mut(id).filter(|live| live.generation() == *generation) {
                    live.handle_disconnect(now, how);
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => stream.handle_disconnect(now, how),
            None => {}
        }
        self.follow_up(now, conn);
    }

    fn handle_dropped(&mut self, now: Tick, conn: Conn) {
        match self.peers.get_mut(&conn) {
            Some(Peer::Session { id, generation, .. }) => {
                if let Some(live) = self.live.get_mut(id).filter(|live| live.generation() == *generation) {
                    live.handle_abandoned(now);
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => stream.handle_abandoned(now),
            Some(Peer::Http { .. }) | None => {}
        }
        self.follow_up(now, conn);
    }

    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        self.forget(now, conn);
        self.keep_house(now);
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        let Some(conn) = conn else {
            self.sessions.handle_timeout(now);
            self.endpoint_timeout(now);
            self.app.handle_timeout(now, &mut self.outbox);
            return self.keep_house(now);
        };
        match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.handle_timeout(now),
            Some(Peer::Session { id, generation, .. }) => {
                if let Some(live) = self.live.get_mut(id).filter(|live| live.generation() == *generation) {
                    live.handle_timeout(now);
                }
            }
            Some(Peer::Events { stream } | Peer::Answer { stream, .. }) => stream.handle_timeout(now),
            None => {}
        }
        self.follow_up(now, conn);
    }

    fn deadline(&self) -> Option<Tick> {
        let endpoint = self.endpoint.as_ref().and_then(|endpoint| endpoint.deadline());
        earliest([self.sessions.deadline(), self.app.deadline(), endpoint])
    }

    fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }
}

fn wish_of(step: &Step<'_>, offer: &mut Vec<u8>) -> Wish {
    match step {
        Step::Run { bytes, read, wake_at } => {
            for piece in bytes.pieces() {
                offer.extend_from_slice(piece);
            }
            Wish { read: *read, wake_at: *wake_at, end: End::Open }
        }
        Step::Closed(Close { manner: Manner::Finish | Manner::Abort, .. }) => {
            Wish { read: 0, wake_at: None, end: End::Drop }
        }
    }
}

#[cfg(test)]
mod tests;
