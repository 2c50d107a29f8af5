//! [`Server`]: a whole MCP server as a pure program: HTTP, routes, sessions, streams, and an application.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::application::{Application, Outbox, Output};
use super::session::Live;
use super::{Conn, End, Law, Program, Rng, Violation, Watched, Wish};
use crate::http1::{Connection, ConnectionConfig, RequestHead, Response, Step as HttpStep};
use crate::mcp::{
    Attachment, HttpSse, Message, OpenError, PostId, PostOutcome, Posted, Route, Routes, SessionEvent,
    SessionId, SessionLimits, Sessions, StreamKind, read_message,
};
use crate::{
    AccessRules, Close, Disconnect, EventId, Frame, Framing, Manner, Step, StreamConfig, Tick, Topic,
    TopicConfig,
};

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
/// [publishes](Outbox::publish), from the event that `Last-Event-ID` names.
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
    violation: Option<Violation>,
}

/// What a connection is to the server.
#[derive(Debug)]
enum Peer {
    /// It asks: the session that its body is for, and the POST that waits for an answer.
    Http { machine: Box<Connection>, speaks_in: Option<SessionId>, held: Option<PostId> },
    /// It carries a response of a session; the attachment goes back with the response's close.
    Session { id: SessionId, generation: u32, attachment: Option<Attachment> },
    /// It carries a plain stream.
    Events { stream: Box<Watched> },
}

impl<A: Application> Server<A> {
    /// A server that draws its ids from `rng`.
    #[must_use]
    pub fn new(app: A, config: ServerConfig, mut rng: Rng) -> Server<A> {
        let http_sse = Arc::new(config.http_sse.clone());
        let (frames, bytes) = config.events.queue_limits();
        let line_end = config.events.line_end();
        let topic = Topic::new(rng.next(), TopicConfig { max_frames: frames, max_bytes: bytes, line_end });
        Server {
            app,
            routes: Routes::new(AccessRules::loopback()).http_sse("/sse", &http_sse).events("/events"),
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
        self.live.keys()
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

    /// Whether nothing is left of anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.peers.is_empty()
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
            }
        }
        self.keep_house(now);
    }

    // ---- requests ----

    /// Answers what the connection asks for, as far as it can be answered now.
    fn serve(&mut self, now: Tick, conn: Conn) {
        loop {
            let Some(Peer::Http { machine, speaks_in, held }) = self.peers.get_mut(&conn) else { return };
            match machine.poll() {
                HttpStep::Head { head, .. } => {
                    let head = head.clone();
                    match self.routes.route(&head) {
                        Route::Answer(response) => self.respond(now, conn, &response),
                        Route::Message(id) => {
                            if self.sessions.accepts(&id) {
                                *speaks_in = Some(id);
                                let _ = machine.receive_body(now);
                            } else {
                                self.respond(now, conn, &Response::unknown_session());
                            }
                        }
                        Route::OpenSession { last } => match self.open_session(now, conn, &head, last) {
                            Ok(()) => return,
                            Err(response) => self.respond(now, conn, &response),
                        },
                        Route::Events(_) => match self.open_events(now, conn, &head) {
                            Ok(()) => return,
                            Err(response) => self.respond(now, conn, &response),
                        },
                        // Not reached: none is registered.
                        Route::Request(_) | Route::Streamable(_) => {
                            self.respond(now, conn, &Response::empty(404));
                        }
                    }
                }
                HttpStep::Request { body, .. } if held.is_none() => {
                    let message = read_message(body);
                    let id = speaks_in.take();
                    match (message, id) {
                        (Ok(message), Some(id)) => self.post(now, conn, &id, message),
                        (Err(response), _) => self.respond(now, conn, &response),
                        (Ok(_), None) => self.respond(now, conn, &Response::unknown_session()),
                    }
                }
                _ => return,
            }
        }
    }

    fn respond(&mut self, now: Tick, conn: Conn, response: &Response) {
        if let Some(Peer::Http { machine, .. }) = self.peers.get_mut(&conn) {
            let _ = machine.respond(now, response);
        }
    }

    fn post(&mut self, now: Tick, conn: Conn, id: &SessionId, message: Message) {
        match self.sessions.post(now, id, message) {
            Ok(Posted::Accepted) => {
                self.account(id).0 += 1;
                self.respond(now, conn, &Response::accepted());
            }
            Ok(Posted::Held(post)) => {
                self.held.insert(post, conn);
                if let Some(Peer::Http { held, speaks_in, .. }) = self.peers.get_mut(&conn) {
                    (*held, *speaks_in) = (Some(post), Some(id.clone()));
                }
            }
            Err(error) => self.respond(now, conn, &Response::from(error)),
        }
    }

    fn account(&mut self, id: &SessionId) -> &mut (usize, usize) {
        self.accounts.entry(id.clone()).or_default()
    }

    fn open_session(
        &mut self,
        now: Tick,
        conn: Conn,
        head: &RequestHead,
        last: Option<EventId>,
    ) -> Result<(), Response> {
        if self.finishing {
            return Err(Response::busy("shutting down"));
        }
        let (response, framing) = self.routes.stream_head(head, StreamKind::Session);
        let attachment = match last {
            None => self.new_session(now, response, framing)?,
            Some(last) => {
                let Some(id) = self.sessions.find(last).cloned() else {
                    return Err(self.nobody(now, last));
                };
                let live = self.live.get_mut(&id).ok_or_else(Response::session_over)?;
                live.reattach(now, last, response, framing).map_err(|_| Response::session_over())?;
                self.sessions.attach(now, &id).ok_or_else(Response::session_over)?
            }
        };
        let id = attachment.id().clone();
        let generation = self.live.get(&id).map_or(0, Live::generation);
        let handover = match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.hand_over(now).ok(),
            _ => None,
        };
        self.peers.insert(conn, Peer::Session { id: id.clone(), generation, attachment: Some(attachment) });
        if let (Some(live), Some(handover)) = (self.live.get_mut(&id), handover) {
            live.handle_input(now, handover.read_behind);
            if handover.eof {
                live.handle_disconnect(now, Disconnect::Eof);
            }
        }
        Ok(())
    }

    /// Draws an id until one is free. This generator repeats itself now and then: a used id is refused.
    fn new_session(&mut self, now: Tick, head: Box<[u8]>, framing: Framing) -> Result<Attachment, Response> {
        loop {
            let used = self.live.keys().find(|id| self.sessions.contains(id)).cloned();
            let (id, number) = match used {
                Some(used) if self.rng.one_in(16) => (used, 0),
                Some(_) | None => (SessionId::from_random(self.rng.bytes()), self.rng.next()),
            };
            match self.sessions.open(now, id.clone(), number) {
                Ok(attachment) => {
                    let config = Arc::clone(&self.http_sse);
                    let live = Live::open(now, config, &id, number, head, framing, self.config.late_by);
                    self.live.insert(id.clone(), live);
                    self.ends.sessions += 1;
                    self.app.handle_opened(now, &id, &mut self.outbox);
                    return Ok(attachment);
                }
                Err(OpenError::TooMany) => return Err(Response::busy("too many sessions")),
                Err(OpenError::Used) => {}
            }
        }
    }

    /// I12: whoever comes back finds its session, unless that is over.
    fn nobody(&mut self, now: Tick, last: EventId) -> Response {
        if let Some((id, _)) =
            self.live.iter().find(|(id, live)| live.gave_out(last) && self.sessions.contains(id))
        {
            let what = format!("{last} finds nobody, and {id} is there");
            self.broke(now, Law::I12, what);
        }
        Response::session_over()
    }

    fn open_events(&mut self, now: Tick, conn: Conn, head: &RequestHead) -> Result<(), Response> {
        if self.finishing {
            return Err(Response::busy("shutting down"));
        }
        let last = head.header("last-event-id").filter(|last| !last.is_empty());
        let last = last.map(|_| head.last_event_id().ok_or_else(Response::session_over)).transpose()?;
        let (response, framing) = self.routes.stream_head(head, StreamKind::Events);
        let mut stream = Watched::new(now, Arc::clone(&self.config.events), &response, framing);
        stream.follow(now, &self.topic, last).map_err(|_| Response::session_over())?;
        let Some(Peer::Http { machine, .. }) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Ok(handover) = machine.hand_over(now) else { return Err(Response::busy("closing")) };
        if let Some(late_by) = self.config.late_by {
            stream = stream.driven(late_by);
        }
        stream.handle_input(now, handover.read_behind);
        if handover.eof {
            stream.handle_disconnect(now, Disconnect::Eof);
        }
        self.peers.insert(conn, Peer::Events { stream: Box::new(stream) });
        self.fill(now, conn);
        Ok(())
    }

    /// Moves what was published into a stream.
    fn fill(&mut self, now: Tick, conn: Conn) {
        if let Some(Peer::Events { stream, .. }) = self.peers.get_mut(&conn) {
            stream.fill_from(now, &mut self.topic);
        }
    }

    // ---- what follows from what happened ----

    /// Brings everything up to date: events of the table, what the application says, responses that are over.
    fn keep_house(&mut self, now: Tick) {
        loop {
            self.reap(now);
            let Some(event) = self.sessions.poll_event() else {
                if self.outbox.0.is_empty() {
                    break;
                }
                self.say(now);
                continue;
            };
            match event {
                SessionEvent::Readable(id) => self.read(now, &id),
                SessionEvent::Post(post, outcome) => {
                    if let Some(conn) = self.held.remove(&post) {
                        if let Some(Peer::Http { held, speaks_in, .. }) = self.peers.get_mut(&conn) {
                            *held = None;
                            let id = speaks_in.take();
                            if let (PostOutcome::Accepted, Some(id)) = (outcome, id) {
                                self.account(&id).0 += 1;
                            }
                        }
                        self.respond(now, conn, &Response::from(outcome));
                        self.serve(now, conn);
                    }
                }
                SessionEvent::Ended { id, end, unread } => {
                    let (accepted, taken) = self.accounts.remove(&id).unwrap_or_default();
                    if accepted != taken + unread {
                        let what = format!("{id}: {accepted} accepted, {taken} taken, {unread} unread");
                        self.broke(now, Law::I2, what);
                    }
                    self.app.handle_ended(now, &id, &end);
                    if let Some(live) = self.live.get_mut(&id) {
                        live.handle_ended(now, &end);
                    }
                }
            }
        }
        let ended: Vec<SessionId> = self
            .live
            .iter()
            .filter(|(id, live)| live.is_over() && !self.sessions.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            if let Some(live) = self.live.remove(&id) {
                self.count(live.frames());
                self.note(live.violation().cloned());
            }
        }
    }

    /// The application reads what came, for as long as it can say what it wants to.
    fn read(&mut self, now: Tick, id: &SessionId) {
        while self.live.get(id).is_some_and(|live| !live.is_waiting()) {
            let Some(message) = self.sessions.take(now, id) else { return };
            self.account(id).1 += 1;
            self.app.handle_message(now, id, &message, &mut self.outbox);
            self.say(now);
        }
    }

    fn say(&mut self, now: Tick) {
        for output in core::mem::take(&mut self.outbox.0) {
            match output {
                Output::Send(id, message) => {
                    self.said.entry(id.clone()).or_default().push(message.clone());
                    if let Some(live) = self.live.get_mut(&id) {
                        live.send(now, message);
                    }
                }
                Output::Fail(id) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.handle_fault(now);
                    }
                }
                Output::Finish(id) => {
                    self.sessions.end(now, &id);
                }
                Output::Abort(id) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.abort(now);
                    }
                }
                Output::Publish(frame) => {
                    self.topic.publish(now, &frame);
                    self.published.push(frame);
                    let streams: Vec<Conn> = self
                        .peers
                        .iter()
                        .filter(|(_, peer)| matches!(peer, Peer::Events { .. }))
                        .map(|(conn, _)| *conn)
                        .collect();
                    for conn in streams {
                        self.fill(now, conn);
                    }
                }
            }
        }
    }

    /// Gives the closes of responses to whom they concern, each once.
    fn reap(&mut self, now: Tick) {
        for peer in self.peers.values_mut() {
            if let Peer::Session { id, generation, attachment } = peer
                && let Some(close) = self.live.get(id).and_then(|live| live.close_of(*generation))
                && let Some(attachment) = attachment.take()
            {
                self.ends.closes.push(close);
                self.sessions.handle_closed(now, attachment, close);
            }
        }
    }

    fn count(&mut self, (accepted, delivered): (usize, usize)) {
        self.ends.frames.0 += accepted;
        self.ends.frames.1 += delivered;
    }

    fn note(&mut self, violation: Option<Violation>) {
        if self.violation.is_none() {
            self.violation = violation;
        }
    }

    fn broke(&mut self, at: Tick, law: Law, what: String) {
        self.note(Some(Violation { law, at, what, trace: String::new() }));
    }

    /// After a fact of one connection.
    fn follow_up(&mut self, now: Tick, conn: Conn) {
        self.serve(now, conn);
        if let Some(Peer::Session { id, .. }) = self.peers.get(&conn) {
            let id = id.clone();
            if let Some(live) = self.live.get_mut(&id) {
                live.send_waiting(now);
                self.note(self.live.get(&id).and_then(Live::violation).cloned());
            }
            self.read(now, &id);
        }
        self.fill(now, conn);
        self.keep_house(now);
        if let Some(Peer::Events { stream, .. }) = self.peers.get(&conn)
            && stream.violation().is_some()
        {
            self.note(stream.violation().cloned());
        }
    }

    fn forget(&mut self, now: Tick, conn: Conn) {
        match self.peers.remove(&conn) {
            Some(Peer::Http { held: Some(post), speaks_in: Some(id), .. }) => {
                self.held.remove(&post);
                self.sessions.withdraw(now, &id, post);
            }
            Some(Peer::Events { stream, .. }) => {
                self.ends.closes.extend(stream.closed().copied());
                self.count(stream.oracle().counts());
                self.note(stream.violation().cloned());
            }
            // Its close was given back with the event that made it.
            Some(Peer::Session { attachment: Some(attachment), .. }) => {
                let what = format!("the response of {} is gone without a close", attachment.id());
                self.broke(now, Law::I13, what);
            }
            Some(Peer::Http { .. } | Peer::Session { .. }) | None => {}
        }
    }
}

impl<A: Application> Program for Server<A> {
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        let mut machine = Connection::new(now, Arc::clone(&self.config.connection));
        if self.finishing {
            machine.finish(now);
        }
        self.peers.insert(conn, Peer::Http { machine: Box::new(machine), speaks_in: None, held: None });
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
            Some(Peer::Events { stream, .. }) => wish_of(&stream.poll(), offer),
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
            Some(Peer::Events { stream, .. }) => stream.handle_wrote(now, taken),
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
            Some(Peer::Events { stream, .. }) => stream.handle_refused(),
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
            Some(Peer::Events { stream, .. }) => stream.handle_input(now, bytes.len()),
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
            Some(Peer::Events { stream, .. }) => stream.handle_disconnect(now, how),
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
            Some(Peer::Events { stream, .. }) => stream.handle_abandoned(now),
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
            Some(Peer::Events { stream, .. }) => stream.handle_timeout(now),
            None => {}
        }
        self.follow_up(now, conn);
    }

    fn deadline(&self) -> Option<Tick> {
        [self.sessions.deadline(), self.app.deadline()].into_iter().flatten().min()
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
