//! HTTP+SSE, the transport of revision 2024-11-05: its settings, and the one stream that a session speaks on.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use super::{Message, SessionEnd, SessionId};
use crate::{
    Close, CloseReason, ConfigError, Disconnect, EventId, EventStream, Framing, Journal, PushError,
    ReplayError, Step, StreamConfig, Tick,
};

/// Which ends of a response keep the session, so that the client's next `GET` takes it up where it was.
///
/// HTTP+SSE has no resumption of its own. With it, every event carries an id, and a client that reconnects with
/// `Last-Event-ID` (as every `EventSource` does) comes back into its session instead of into a new one that it
/// never initialized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resumption {
    /// None: the session ends with its response, and events carry no ids.
    Off,
    /// The ends that were not the client's wish: stalled, lagged, vanished, longest lifetime reached. A client that
    /// hangs up ends its session at once.
    #[default]
    ServerClosed,
    /// Those, and every disconnect: for clients behind proxies that cut their streams. A session that its
    /// client has left is then only freed by the time limit.
    Always,
}

impl Resumption {
    /// Whether a session outlives a response that ended like this.
    #[must_use]
    pub fn keeps(self, reason: CloseReason) -> bool {
        let by_server = match reason {
            CloseReason::Disconnected(Disconnect::TimedOut)
            | CloseReason::Stalled { .. }
            | CloseReason::Lagged { .. }
            | CloseReason::Expired
            | CloseReason::Spinning { .. } => true,
            CloseReason::Disconnected(Disconnect::Eof | Disconnect::Reset | Disconnect::Io)
            | CloseReason::Abandoned => {
                return self == Resumption::Always;
            }
            CloseReason::Finished
            | CloseReason::Aborted
            | CloseReason::DrainTimedOut
            | CloseReason::RapidFrames { .. }
            | CloseReason::FaultLimit { .. }
            | CloseReason::Superseded => false,
        };
        by_server && self != Resumption::Off
    }
}

/// Where clients are told to POST: in front of `/message?session_id=…`.
///
/// An absolute path needs no knowledge of the public name, and is what clients that check the origin accept. It
/// is never made from request headers.
///
/// ```
/// use sansio_sse::mcp::PublicBase;
///
/// assert_eq!(PublicBase::prefix("/gateway")?.as_str(), "/gateway");
/// assert_eq!(PublicBase::url("https://mcp.example/gw/")?.as_str(), "https://mcp.example/gw");
/// assert!(PublicBase::url("https://mcp.example/\r\ndata: forged").is_err());
/// # Ok::<(), sansio_sse::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicBase(String);

impl PublicBase {
    /// An absolute URL, for clients that reach the server by another name than the one they asked.
    ///
    /// # Errors
    /// [`ConfigError`] unless it is `http://` or `https://`, a host, perhaps a port and a path, in visible
    /// ASCII and without user information, query or fragment.
    pub fn url(url: &str) -> Result<PublicBase, ConfigError> {
        let refused = || {
            ConfigError::new(
                "base_url",
                shown(url),
                "http(s)://host[:port][/path] without query, fragment and user",
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(refused)?;
        let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let authority = rest.split('/').next().unwrap_or_default();
        if !known
            || !is_plain(rest)
            || authority.contains('@')
            || crate::http1::parse_authority(authority.as_bytes()).is_none()
        {
            return Err(refused());
        }
        Ok(PublicBase(url.trim_end_matches('/').into()))
    }

    /// A path in front of the server's own, as a proxy publishes it. The empty one is the default.
    ///
    /// # Errors
    /// [`ConfigError`] unless it is empty or begins with one slash, in visible ASCII, without query and fragment.
    pub fn prefix(prefix: &str) -> Result<PublicBase, ConfigError> {
        let trimmed = prefix.trim_end_matches('/');
        let is_path = trimmed.starts_with('/') && !trimmed.starts_with("//") && is_plain(trimmed);
        if !trimmed.is_empty() && !is_path {
            return Err(ConfigError::new("prefix", shown(prefix), "a path that begins with one slash"));
        }
        Ok(PublicBase(trimmed.into()))
    }

    /// The text that is put in front.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path in it: of a URL, what follows the authority.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\' | b'"' | b'<' | b'>'))
}

fn shown(text: &str) -> String {
    alloc::format!("{text:?}")
}

/// What the sessions of an HTTP+SSE endpoint have in common.
#[derive(Clone, Debug)]
pub struct HttpSse {
    /// The settings of their streams.
    pub stream: Arc<StreamConfig>,
    /// Where clients are told to POST.
    pub base: PublicBase,
    /// The path behind it. Default `/message`.
    pub message_path: String,
    /// Which ends of a response keep the session.
    pub resumption: Resumption,
    /// Whether the application reads a made-up `initialize` request first, before what the client sends, as
    /// with ContextForge's transport. Default: no.
    pub initialize_placeholder: bool,
}

impl Default for HttpSse {
    fn default() -> HttpSse {
        HttpSse {
            stream: Arc::default(),
            base: PublicBase::default(),
            message_path: String::from("/message"),
            resumption: Resumption::default(),
            initialize_placeholder: false,
        }
    }
}

impl HttpSse {
    /// ContextForge's bytes and decisions: see [`StreamConfig::contextforge`]. Its endpoint is an absolute URL.
    #[must_use]
    pub fn contextforge(base: PublicBase) -> HttpSse {
        let stream = Arc::new(StreamConfig::contextforge());
        HttpSse { stream, base, resumption: Resumption::Off, ..HttpSse::default() }
    }

    /// Whether sessions keep what they said, and number it, for a response to come.
    pub(crate) fn remembers(&self) -> bool {
        self.resumption != Resumption::Off
    }

    /// What every session's application reads first: see [`Sessions::with_greeting`](super::Sessions).
    #[must_use]
    pub fn greeting(&self) -> Option<Message> {
        let placeholder = br#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#;
        if self.initialize_placeholder { Message::parse(placeholder).ok() } else { None }
    }

    /// The data of the endpoint event of a session.
    #[must_use]
    pub fn endpoint(&self, id: &SessionId) -> String {
        alloc::format!("{}{}?session_id={id}", self.base.as_str(), self.message_path)
    }
}

/// What a session sends: the endpoint event, then messages, and nothing else.
///
/// By its methods no frame can be sent but a [`Message`]: no second endpoint event, no block without data, no
/// event of another type; each of these ends the session of some client. It outlives its responses where the
/// session does.
#[derive(Debug)]
pub struct SessionStream {
    config: Arc<HttpSse>,
    endpoint: Box<str>,
    response: EventStream,
    log: Option<Log>,
    /// The application has finished or aborted it: no further response takes it up.
    let_go: bool,
    generation: u32,
    /// How the response before this one ended.
    before: Option<Close>,
}

/// The session's memory for the next response. It holds at least what no socket took whole, so that a client
/// misses nothing but what was lost on the way to it.
#[derive(Debug)]
struct Log {
    journal: Journal,
    /// The event behind which the current response began.
    from: EventId,
}

impl Log {
    /// Whether a frame can be appended without dropping what `response` has yet to deliver.
    fn has_room(&self, len: usize, response: &EventStream) -> bool {
        let delivered = response.last_delivered().unwrap_or(self.from);
        self.journal.resume(delivered).is_ok_and(|unread| self.journal.has_room(len, &unread))
    }
}

/// A message that was not accepted, handed back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The queue is full; there is room again once the client has taken something.
    Full(Message),
    /// The session's stream is over.
    Closed(Message),
}

impl SendError {
    /// The message.
    #[must_use]
    pub fn into_message(self) -> Message {
        match self {
            SendError::Full(message) | SendError::Closed(message) => message,
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full(_) => "the session's queue is full",
            SendError::Closed(_) => "the session is closed",
        })
    }
}

impl core::error::Error for SendError {}

impl SessionStream {
    /// The stream of a new session: `head` and the endpoint event wait to be written. `stream` is the
    /// session's number in event ids; it should be unguessable, since a client that reconnects shows it.
    #[must_use]
    pub fn open(
        now: Tick,
        config: Arc<HttpSse>,
        id: &SessionId,
        stream: u64,
        head: Box<[u8]>,
        framing: Framing,
    ) -> Self {
        let endpoint = config.endpoint(id).into_boxed_str();
        let log = config.remembers().then(|| {
            let (frames, bytes) = config.stream.queue_limits();
            let journal = Journal::new(stream, frames, bytes);
            let from = journal.last_id();
            Log { journal, from }
        });
        let after = log.as_ref().map(|log| log.from);
        let response = open_response(now, &config, &endpoint, after, head, framing);
        SessionStream { config, endpoint, response, log, let_go: false, generation: 0, before: None }
    }

    /// Takes the session up in a new response, behind the event `last`. The old response, if it still runs, is
    /// over without a word: its driver sees another stream in its place. Where the application has finished the
    /// stream already, the new response says the rest and finishes too.
    ///
    /// # Errors
    /// [`ReplayError`] if what follows `last` can't be said again; the session is as it was.
    pub fn reattach(
        &mut self,
        now: Tick,
        last: EventId,
        head: Box<[u8]>,
        framing: Framing,
    ) -> Result<(), ReplayError> {
        let Some(log) = &mut self.log else { return Err(ReplayError::OtherStream) };
        let mut cursor = log.journal.resume(last)?;
        let mut response = open_response(now, &self.config, &self.endpoint, Some(last), head, framing);
        cursor.fill_all(now, &log.journal, &mut response)?;
        log.from = last;
        self.response.supersede(now);
        self.before = self.response.closed().copied();
        self.response = response;
        self.generation = self.generation.wrapping_add(1);
        if self.let_go {
            self.response.finish(now);
        }
        Ok(())
    }

    /// Sends a message: an event `message`, its data the JSON in one line.
    ///
    /// # Errors
    /// [`SendError`] with the message, if there is no room for it or the stream is over.
    pub fn send(&mut self, now: Tick, message: Message) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Closed(message));
        }
        let Ok(frame) = self.config.stream.frame("message", message.as_str(), false).build() else {
            return Err(SendError::Closed(message)); // Not reached: the event's type is a constant.
        };
        if !self.has_room_for(frame.as_bytes().len()) {
            return Err(SendError::Full(message));
        }
        let pushed = match &mut self.log {
            None => self.response.push(now, frame),
            Some(log) => {
                let id = log.journal.append(frame.clone());
                // A response that is ending or over leaves it to the next one.
                if self.response.is_open() { self.response.push_with_id(now, id, frame) } else { Ok(()) }
            }
        };
        // It is open, and there is room; if that were wrong, the sender would have to know.
        pushed.map_err(|error| match error {
            PushError::Full(_) => SendError::Full(message),
            PushError::Closed(_) => SendError::Closed(message),
        })
    }

    /// Whether [`send`](Self::send) would take a message now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.has_room_for(1)
    }

    fn has_room_for(&self, len: usize) -> bool {
        (self.goes_on() || self.response.has_room(len))
            && self.log.as_ref().is_none_or(|log| log.has_room(len, &self.response))
    }

    /// Whether messages are still taken, room provided.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.response.is_open() || self.goes_on()
    }

    /// Whether the session outlives its response, which is ending or over.
    fn goes_on(&self) -> bool {
        let kept = |reason| self.config.resumption.keeps(reason);
        !self.let_go && self.response.ending().is_some_and(kept)
    }

    /// See [`EventStream::finish`].
    pub fn finish(&mut self, now: Tick) {
        self.let_go = true;
        self.response.finish(now);
    }

    /// See [`EventStream::abort`].
    pub fn abort(&mut self, now: Tick) {
        self.let_go = true;
        self.response.abort(now);
    }

    /// The session is over. Where it was the application's wish, what it said last still goes out; otherwise
    /// there is nobody to say it to.
    pub fn handle_ended(&mut self, now: Tick, end: &SessionEnd) {
        match end {
            SessionEnd::ByApplication => self.finish(now),
            SessionEnd::Closed(_) | SessionEnd::NotResumed { .. } | SessionEnd::ServerStopped { .. } => {
                self.abort(now)
            }
        }
    }

    /// See [`EventStream::handle_fault`].
    pub fn handle_fault(&mut self, now: Tick) {
        self.response.handle_fault(now);
    }

    /// See [`EventStream::handle_wrote`].
    pub fn handle_wrote(&mut self, now: Tick, n: usize) {
        self.response.handle_wrote(now, n);
    }

    /// See [`EventStream::handle_input`].
    pub fn handle_input(&mut self, now: Tick, n: usize) {
        self.response.handle_input(now, n);
    }

    /// See [`EventStream::handle_disconnect`].
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.response.handle_disconnect(now, how);
    }

    /// See [`EventStream::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Tick) {
        self.response.handle_timeout(now);
    }

    /// See [`EventStream::handle_abandoned`].
    pub fn handle_abandoned(&mut self, now: Tick) {
        self.response.handle_abandoned(now);
    }

    /// See [`EventStream::poll`]: of the current response.
    pub fn poll(&self) -> Step<'_> {
        self.response.poll()
    }

    /// The number of the current response, from 0.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How the response of that number ended, if it has.
    #[must_use]
    pub fn close_of(&self, generation: u32) -> Option<Close> {
        if generation == self.generation { self.response.closed().copied() } else { self.before }
    }
}

/// A response with the endpoint event as its first: type, id, data, retry, in one block.
fn open_response(
    now: Tick,
    config: &HttpSse,
    endpoint: &str,
    after: Option<EventId>,
    head: Box<[u8]>,
    framing: Framing,
) -> EventStream {
    let mut response = EventStream::with_head(now, Arc::clone(&config.stream), head, framing);
    let id = after.map(|id| alloc::format!("{id}"));
    let mut frame = config.stream.frame("endpoint", endpoint, true);
    if let Some(id) = &id {
        frame = frame.id(id);
    }
    // Neither fails: the fields are checked text, and an empty queue takes any frame.
    if let Ok(frame) = frame.build() {
        let _ = response.push_opening(now, frame);
    }
    response
}
