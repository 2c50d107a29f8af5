//! [`Streamable`]: the one owner of what an endpoint of Streamable HTTP knows: its sessions, the requests that are
//! being worked on, and what was said to them, in the revisions 2025-03-26, 2025-06-18, 2025-11-25 and 2026-07-28.
//!
//! It is fed with facts and gives decisions. A driver tells it of each request's head
//! ([`handle_head`](Streamable::handle_head)) and body ([`handle_body`](Streamable::handle_body)); it answers at
//! once, or names an [`ExchangeId`] under which the answer can be [had](Streamable::answer) when an event says so:
//! a whole response, or a stream. The driver writes the stream, lets it be [filled](Streamable::fill), and tells how
//! it [ended](Streamable::handle_closed).
//!
//! The application [takes](Streamable::take) what clients said. A request comes with a [`CallId`], by which it is
//! [answered](Streamable::respond) and by which [more is said](Streamable::send_for) on its stream; whatever belongs
//! to no request is [sent](Streamable::send) on the session's own stream. Ids of JSON-RPC never route anything: two
//! clients may use the same ones.
//!
//! Each thing said is in exactly one channel: that of its request, or the session's own. Channels outlive the
//! responses that speak for them, where the revision has resumption; their events carry ids that name channel and
//! place, and `Last-Event-ID` goes on behind one of them, in its own channel only.

mod answer;
mod application;
mod body;
mod channel;
mod config;
mod event;
mod head;
mod inbox;
mod mirror;
mod refusal;
mod relation;
mod sessions;
mod subscription;
mod timers;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

pub use answer::{Answer, Filled};
pub use application::{Incoming, NotSent, Unfit};
pub use body::BodyDecision;
pub use config::{AnswerMode, GapAnswer, Offer, SecondGet, StreamableConfig, StreamableLimits};
pub use event::{CallId, ExchangeId, Outlet, StreamableEnd, StreamableEvent};
pub(super) use head::not_let_in;
pub use head::{HeadDecision, Post};
pub use mirror::decode_mirrored;
pub use subscription::Filter;

use self::answer::Exchange;
use self::channel::Channel;
use self::inbox::Inbox;
use self::sessions::Session;
use self::timers::{Due, Timers};
use super::{Message, Principal, SessionId};
use crate::{AccessRules, Tick};

/// An endpoint of Streamable HTTP.
///
/// ```
/// use sansio_sse::http1::{HeadLimits, RequestHead};
/// use sansio_sse::mcp::{Answer, BodyDecision, HeadDecision, Principal, Streamable, StreamableConfig};
/// use sansio_sse::{AccessRules, Tick};
///
/// let now = Tick::ZERO;
/// let mut endpoint = Streamable::new(AccessRules::loopback(), StreamableConfig::default());
/// let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
///             Accept: application/json, text/event-stream\r\n\r\n";
/// let head = RequestHead::parse(HeadLimits::default(), &mut head.as_bytes())?.unwrap();
/// let HeadDecision::ReceiveBody(post) = endpoint.handle_head(now, &head, Principal::anonymous()) else { panic!() };
///
/// // The random bytes become the id of the session that this opens.
/// let body = br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
/// let BodyDecision::Exchange(exchange) = endpoint.handle_body(now, post, body, [7; 24]) else { panic!() };
///
/// // The application reads it and answers.
/// let session = endpoint.sessions().next().unwrap().clone();
/// let asked = endpoint.take(now, Some(&session)).unwrap();
/// let response = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}"#.parse()?;
/// endpoint.respond(now, asked.call.unwrap(), response)?;
///
/// let Some(Answer::Response(response)) = endpoint.answer(now, exchange) else { panic!() };
/// assert_eq!(response.status(), 200);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The loop
/// A driver of one connection, without its socket: what comes in is in `http`, and what is due goes out through it
/// or through the stream that takes its place.
///
/// ```
/// use sansio_sse::http1::{CommandError, Connection, Step};
/// use sansio_sse::mcp::{Answer, BodyDecision, ExchangeId, HeadDecision, Post, Principal, Streamable, StreamableEvent};
/// use sansio_sse::{EventStream, Tick};
///
/// /// Where a connection is with its request: it has a head, or waits for its answer.
/// #[derive(Default)]
/// struct Asked { post: Option<Post>, exchange: Option<ExchangeId> }
///
/// /// To be called whenever bytes came, and on `StreamableEvent::Answer` of its exchange. Gives the stream, if it is
/// /// one: from then on `stream.poll()` says what to write, each `StreamableEvent::Fill` and each write after a
/// /// `Filled { again: true }` calls for `endpoint.fill(now, exchange, &mut stream)`, and its close for
/// /// `endpoint.handle_closed(now, exchange, close)`. Where the client goes before, call `endpoint.handle_gone`.
/// fn serve(
///     endpoint: &mut Streamable, http: &mut Connection, asked: &mut Asked, now: Tick, random: [u8; 24],
/// ) -> Result<Option<(ExchangeId, Box<EventStream>)>, CommandError> {
///     loop {
///         if let Some(exchange) = asked.exchange {
///             match endpoint.answer(now, exchange) {
///                 None => return Ok(None), // An event will tell.
///                 Some(Answer::Response(response)) => http.respond(now, &response)?,
///                 Some(Answer::Stream(mut stream)) => {
///                     let handover = http.hand_over(now)?;
///                     stream.handle_input(now, handover.read_behind);
///                     return Ok(Some((exchange, stream)));
///                 }
///             }
///             asked.exchange = None;
///         }
///         match http.poll() {
///             Step::Head { head, .. } => {
///                 // Here `endpoint.admit(head)` and then an authentication hook may answer first.
///                 match endpoint.handle_head(now, head, Principal::anonymous()) {
///                     HeadDecision::Answer(response) => http.respond(now, &response)?,
///                     HeadDecision::Exchange(exchange) => asked.exchange = Some(exchange),
///                     HeadDecision::ReceiveBody(post) => {
///                         asked.post = Some(post);
///                         http.receive_body(now)?;
///                     }
///                 }
///             }
///             Step::Request { body, .. } => {
///                 let Some(post) = asked.post.take() else { return Ok(None) };
///                 match endpoint.handle_body(now, post, body, random) {
///                     BodyDecision::Answer(response) => http.respond(now, &response)?,
///                     BodyDecision::Exchange(exchange) => asked.exchange = Some(exchange),
///                 }
///             }
///             Step::Run { .. } | Step::Linger { .. } | Step::Closed(_) => return Ok(None), // I/O.
///         }
///     }
/// }
/// # use std::sync::Arc;
/// # let mut endpoint = Streamable::new(sansio_sse::AccessRules::loopback(), Default::default());
/// # let mut http = Connection::new(Tick::ZERO, Arc::default());
/// # let mut asked = Asked::default();
/// # http.handle_bytes(Tick::ZERO, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
/// # assert!(serve(&mut endpoint, &mut http, &mut asked, Tick::ZERO, [0; 24])?.is_none());
/// # let Step::Run { bytes, .. } = http.poll() else { panic!() };
/// # assert!(bytes.starts_with(b"HTTP/1.1 400 "));
/// # Ok::<(), CommandError>(())
/// ```
#[derive(Debug)]
pub struct Streamable {
    config: StreamableConfig,
    access: AccessRules,
    now: Tick,
    sessions: BTreeMap<SessionId, Session>,
    /// What waits for the application and has no session.
    stateless: Inbox,
    channels: BTreeMap<u64, Channel>,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    calls: BTreeMap<CallId, Call>,
    /// The channels of subscriptions that are served here.
    subscriptions: BTreeSet<u64>,
    timers: Timers,
    events: VecDeque<StreamableEvent>,
    /// The last number that was given out, of whatever has one.
    numbers: u64,
    stateless_calls: usize,
    is_finishing: bool,
}

/// A request that is being worked on.
#[derive(Debug)]
struct Call {
    channel: u64,
    session: Option<SessionId>,
    request: Message,
    /// The application has it.
    is_taken: bool,
    /// Its client has asked to cancel it.
    is_unwanted: bool,
}

impl Streamable {
    /// An endpoint without sessions; `access` says which hosts and origins are let in. The settings are best
    /// [checked](StreamableConfig::check) before.
    #[must_use]
    pub fn new(access: AccessRules, config: StreamableConfig) -> Streamable {
        Streamable {
            config,
            access,
            now: Tick::ZERO,
            sessions: BTreeMap::new(),
            stateless: Inbox::default(),
            channels: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            calls: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            timers: Timers::default(),
            events: VecDeque::new(),
            numbers: 0,
            stateless_calls: 0,
            is_finishing: false,
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &StreamableConfig {
        &self.config
    }

    /// The sessions that are alive.
    pub fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        self.sessions.iter().filter(|(_, session)| session.is_alive()).map(|(id, _)| id)
    }

    /// Whose session it is, if it is alive.
    #[must_use]
    pub fn principal(&self, session: &SessionId) -> Option<&Principal> {
        self.sessions.get(session).filter(|session| session.is_alive()).map(|session| &session.principal)
    }

    /// Requests that are being worked on, exchanges that are open, and channels that are held: what takes memory.
    #[must_use]
    pub fn load(&self) -> (usize, usize, usize) {
        (self.calls.len(), self.exchanges.len(), self.channels.len())
    }

    /// The time as it knows it.
    #[cfg(feature = "sim")]
    pub(crate) fn now(&self) -> Tick {
        self.now
    }

    /// The number, in event ids, of the stream that an exchange is to go on with.
    #[cfg(feature = "sim")]
    pub(crate) fn stream_of(&self, exchange: ExchangeId) -> Option<u64> {
        self.channels.get(&self.exchanges.get(&exchange)?.channel?)?.log.number()
    }

    /// The next deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.timers.first()
    }

    /// Time has come to `now`. Early or repeated calls change nothing.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.clock(now);
        while let Some(due) = self.timers.pop(self.now) {
            match due {
                Due::Idle(session) => self.end(&session, StreamableEnd::Idle),
                Due::Held(exchange) => self.give_up_held(exchange),
                Due::Stream(exchange) => self.stream_at_last(exchange),
                Due::Poll(exchange) => self.poll_at_last(exchange),
                Due::Age(channel) => self.expire(channel),
            }
        }
    }

    /// What happened, one event a call. Ask until there is none, after every call that may change something.
    pub fn poll_event(&mut self) -> Option<StreamableEvent> {
        self.events.pop_front()
    }

    /// Internal time never goes back, whatever the driver's clock does.
    fn clock(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn tell(&mut self, event: StreamableEvent) {
        self.events.push_back(event);
    }
}
