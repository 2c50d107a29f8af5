//! [`Client`]: a well-behaved client of event streams and of MCP over HTTP+SSE, as a pure program.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Conn, End, Program, Wish, earliest};
use crate::http1::{HeadLimits, RequestBuilder, ResponseEvent, ResponseReader};
use crate::mcp::SessionId;
use crate::{Disconnect, Event, EventSource, ResponseFacts, SourceConfig, Tick, Want};

/// What a [`Client`] does.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// What it reads: `/sse` or `/events`.
    pub path: String,
    /// When it comes.
    pub comes: Tick,
    /// When it hangs up for good, if it does.
    pub leaves: Option<Tick>,
    /// The messages that it POSTs in its session, in order, each once it has been answered about the one before.
    pub posts: VecDeque<String>,
    /// How long it waits between two of them.
    pub pause: Duration,
    /// It comes again, as a new client, when it is told that its session is over.
    pub comes_again: bool,
    /// The seed of its reconnection times.
    pub seed: u64,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            path: String::from("/sse"),
            comes: Tick::ZERO,
            leaves: None,
            posts: VecDeque::new(),
            pause: Duration::from_millis(10),
            comes_again: true,
            seed: 1,
        }
    }
}

/// What a client heard in one session, or of one plain stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The session; `None` for a plain stream.
    pub session: Option<SessionId>,
    /// The events behind the opening, in order, over all responses of it.
    pub events: Vec<Event>,
}

/// Reads a stream with an [`EventSource`], comes back when the connection is lost, POSTs what it has to say, and
/// remembers all that it heard.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    source_config: Arc<SourceConfig>,
    source: Option<EventSource>,
    stream: Option<Exchange>,
    post: Option<(Exchange, String)>,
    /// What it is about to connect for.
    connecting: Option<For>,
    conns: BTreeMap<Conn, For>,
    endpoint: Option<String>,
    next_post: Tick,
    heard: Vec<Heard>,
    statuses: BTreeMap<u16, u64>,
    accepted: Vec<String>,
    gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Stream,
    Post,
}

/// One request and its response.
#[derive(Debug)]
struct Exchange {
    conn: Option<Conn>,
    out: Vec<u8>,
    reader: ResponseReader,
    over: bool,
}

impl Exchange {
    fn new(request: &RequestBuilder, method: &str) -> Exchange {
        let reader = ResponseReader::new(HeadLimits::default(), u64::MAX, method);
        Exchange { conn: None, out: request.encode(), reader, over: false }
    }
}

impl Client {
    /// A client that does this.
    #[must_use]
    pub fn new(config: ClientConfig, source: Arc<SourceConfig>) -> Client {
        Client {
            next_post: config.comes,
            config,
            source_config: source,
            source: None,
            stream: None,
            post: None,
            connecting: None,
            conns: BTreeMap::new(),
            endpoint: None,
            heard: Vec::new(),
            statuses: BTreeMap::new(),
            accepted: Vec::new(),
            gone: false,
        }
    }

    /// What it heard, by session.
    #[must_use]
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// The messages that were answered with 202.
    #[must_use]
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// How often it was answered with which status.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        self.statuses.iter().map(|(status, times)| (*status, *times))
    }

    /// Whether it has said all that it had to say.
    #[must_use]
    pub fn has_said_all(&self) -> bool {
        self.config.posts.is_empty() && self.post.is_none()
    }

    /// Whether a response is open to it now.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.source.as_ref().is_some_and(|source| matches!(source.poll(), Want::Run { .. }))
    }

    /// Gives it one thing more to say.
    pub fn say(&mut self, message: String) {
        self.config.posts.push_back(message);
    }

    /// Whether it hung up for good.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.gone
    }

    /// Hangs up for good.
    pub fn leave(&mut self, now: Tick) {
        self.gone = true;
        if let Some(source) = &mut self.source {
            source.close(now);
        }
        (self.stream, self.post, self.connecting) = (None, None, None);
        self.conns.clear();
    }

    fn lost(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        match self.conns.remove(&conn) {
            Some(For::Stream) => {
                self.stream = None;
                if let Some(source) = &mut self.source {
                    source.handle_disconnect(now, how);
                }
            }
            Some(For::Post) => {
                // Whether the message came through is not known; it is not said twice.
                self.post = None;
                self.next_post = now + self.config.pause;
            }
            None => {}
        }
    }

    /// Takes up what the source and the posts want.
    fn look(&mut self, now: Tick) {
        if self.gone || now < self.config.comes {
            return;
        }
        if self.config.leaves.is_some_and(|at| at <= now) {
            return self.leave(now);
        }
        let over = self.source.as_ref().is_some_and(|source| matches!(source.poll(), Want::Closed(_)));
        if over && self.config.comes_again || self.source.is_none() {
            self.source = Some(EventSource::new(now, Arc::clone(&self.source_config), self.config.seed));
            self.heard.push(Heard::default());
            self.endpoint = None;
        }
        if let Some(source) = &self.source {
            match source.poll() {
                Want::Connect(attempt) if self.stream.is_none() => {
                    let request = RequestBuilder::new("GET", &self.config.path, "localhost");
                    let request = attempt
                        .headers()
                        .try_fold(request, |request, (name, value)| {
                            Ok::<_, crate::http1::HeaderError>(
                                request.and_then(|request| request.header(name, value)),
                            )
                        })
                        .and_then(|request| request);
                    if let Ok(request) = request {
                        self.stream = Some(Exchange::new(&request, "GET"));
                        self.connecting = Some(For::Stream);
                    }
                }
                Want::Wait { .. } | Want::Closed(_) => self.drop_stream(),
                Want::Connect(_) | Want::Run { .. } => {}
            }
        }
        if self.connecting.is_none()
            && self.post.is_none()
            && self.next_post <= now
            && let Some(endpoint) = &self.endpoint
            && let Some(body) = self.config.posts.pop_front()
        {
            let request = RequestBuilder::new("POST", endpoint, "localhost")
                .and_then(|request| request.header("Content-Type", "application/json"))
                .map(|request| request.body(body.clone().into_bytes()).close());
            if let Ok(request) = request {
                self.post = Some((Exchange::new(&request, "POST"), body));
                self.connecting = Some(For::Post);
            }
        }
    }

    fn drop_stream(&mut self) {
        if let Some(conn) = self.stream.take().and_then(|stream| stream.conn) {
            self.conns.remove(&conn);
        }
    }

    fn exchange_mut(&mut self, conn: Conn) -> Option<&mut Exchange> {
        match self.conns.get(&conn)? {
            For::Stream => self.stream.as_mut(),
            For::Post => self.post.as_mut().map(|(exchange, _)| exchange),
        }
    }

    fn read_stream(&mut self, now: Tick, bytes: &[u8]) -> Result<(), ()> {
        let mut input = bytes;
        let (Some(exchange), Some(source)) = (&mut self.stream, &mut self.source) else { return Ok(()) };
        loop {
            match exchange.reader.read(&mut input) {
                Ok(Some(ResponseEvent::Head(head))) => {
                    *self.statuses.entry(head.status()).or_default() += 1;
                    let text = |name| head.header(name).and_then(|value| core::str::from_utf8(value).ok());
                    let facts = ResponseFacts {
                        status: head.status(),
                        content_type: text("content-type"),
                        location: text("location"),
                    };
                    // 503 means "come again": a browser would not, a client of MCP does.
                    if head.status() == 503 {
                        return Err(());
                    }
                    let _ = source.handle_response(now, &facts);
                }
                Ok(Some(ResponseEvent::Body(mut body))) => {
                    while let Some(event) = source.handle_bytes(now, &mut body) {
                        let event = event.to_event();
                        hear(&mut self.heard, &mut self.endpoint, event);
                    }
                }
                Ok(Some(ResponseEvent::End)) => exchange.over = true,
                Ok(None) => return if exchange.over { Err(()) } else { Ok(()) },
                Err(_) => return Err(()),
            }
        }
    }

    fn read_post(&mut self, now: Tick, bytes: &[u8]) -> Result<(), ()> {
        let mut input = bytes;
        let Some((exchange, message)) = &mut self.post else { return Ok(()) };
        loop {
            match exchange.reader.read(&mut input) {
                Ok(Some(ResponseEvent::Head(head))) => {
                    *self.statuses.entry(head.status()).or_default() += 1;
                    match head.status() {
                        202 => self.accepted.push(message.clone()),
                        // Not accepted, and will not be: it may be said again.
                        503 => self.config.posts.push_front(message.clone()),
                        _ => {}
                    }
                }
                Ok(Some(ResponseEvent::Body(_))) => {}
                Ok(Some(ResponseEvent::End)) => {
                    exchange.over = true;
                    self.next_post = now + self.config.pause;
                    return Ok(());
                }
                Ok(None) => return Ok(()),
                Err(_) => return Err(()),
            }
        }
    }
}

/// The first event of every response of a session says where to POST, and so whether it is another session than
/// before; all others are the application's.
fn hear(heard: &mut Vec<Heard>, endpoint: &mut Option<String>, event: Event) {
    if event.event_type == "endpoint" {
        let session = event.data.split_once("session_id=").and_then(|(_, id)| SessionId::parse(id).ok());
        *endpoint = Some(event.data);
        match heard.last_mut() {
            Some(last) if last.session == session => {}
            Some(last) if last.session.is_none() && last.events.is_empty() => last.session = session,
            Some(_) | None => heard.push(Heard { session, ..Heard::default() }),
        }
    } else if event.event_type != "keepalive"
        && let Some(last) = heard.last_mut()
    {
        last.events.push(event);
    }
}

impl Program for Client {
    fn connects(&mut self, now: Tick) -> Option<usize> {
        self.look(now);
        self.connecting.map(|_| 0)
    }

    fn handle_connected(&mut self, _: Tick, conn: Conn) {
        let Some(purpose) = self.connecting.take() else { return };
        self.conns.insert(conn, purpose);
        if let Some(exchange) = self.exchange_mut(conn) {
            exchange.conn = Some(conn);
        }
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        let purpose = self.conns.get(&conn);
        let exchange = match purpose {
            Some(For::Stream) => self.stream.as_ref(),
            Some(For::Post) => self.post.as_ref().map(|(exchange, _)| exchange),
            None => None,
        };
        let Some(exchange) = exchange.filter(|exchange| !exchange.over || !exchange.out.is_empty()) else {
            return Wish { read: 0, wake_at: None, end: End::Drop };
        };
        offer.extend_from_slice(&exchange.out);
        let wake_at = match (purpose, self.source.as_ref().map(EventSource::poll)) {
            (Some(For::Stream), Some(Want::Run { wake_at })) => wake_at,
            (Some(For::Stream), Some(Want::Connect(attempt))) => attempt.give_up_at,
            _ => None,
        };
        Wish { read: usize::MAX, wake_at, end: End::Open }
    }

    fn handle_wrote(&mut self, _: Tick, conn: Conn, taken: &[u8]) {
        if let Some(exchange) = self.exchange_mut(conn) {
            exchange.out.drain(..taken.len());
        }
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        let read = match self.conns.get(&conn) {
            Some(For::Stream) => self.read_stream(now, bytes),
            Some(For::Post) => self.read_post(now, bytes),
            None => Ok(()),
        };
        if read.is_err() {
            self.lost(now, conn, Disconnect::Eof);
        }
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        self.lost(now, conn, how);
    }

    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        self.lost(now, conn, Disconnect::Reset);
    }

    fn handle_timeout(&mut self, now: Tick, _: Option<Conn>) {
        if let Some(source) = &mut self.source {
            source.handle_timeout(now);
        }
        self.look(now);
    }

    fn deadline(&self) -> Option<Tick> {
        if self.gone {
            return None;
        }
        if self.source.is_none() {
            return Some(self.config.comes);
        }
        let source = self.source.as_ref().and_then(EventSource::deadline).map(|(at, _)| at);
        let posts = self.endpoint.is_some() && self.post.is_none() && !self.config.posts.is_empty();
        let post = (posts && self.connecting.is_none()).then_some(self.next_post);
        earliest([source, self.config.leaves, post])
    }
}

/// A JSON-RPC request of this number and method, in one line.
#[must_use]
pub fn request(number: u64, method: &str, params: &str) -> String {
    let method = method.to_string();
    format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{params}}}"#)
}
