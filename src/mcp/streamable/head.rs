//! What a request's head decides: who may ask, with which method, in which session, and for what kind of answer.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::mirror::Mirror;
use super::refusal::{INVALID_REQUEST, busy, invalid, method_not_allowed, no_session, refuse, version};
use super::{ExchangeId, Streamable, StreamableEnd};
use crate::http1::{Behind, RequestHead, Response, Version, encode_stream_head};
use crate::mcp::response::status_of;
use crate::mcp::{BodyFacts, Principal, Revision, SessionId, VersionFacts};
use crate::{AccessError, AccessRules, Framing, Tick, media_type};

/// What to do with a request, seen from its head.
#[derive(Debug)]
#[must_use]
pub enum HeadDecision {
    /// Answer with this, and nothing else.
    Answer(Response),
    /// Receive the body, and give it back with this: see [`Streamable::handle_body`].
    ReceiveBody(Post),
    /// A stream was asked for. It can be [had](Streamable::answer) at once, or when an event says so.
    Exchange(ExchangeId),
}

/// The head of a POST that is let in, as far as it matters. To drop it has no consequence.
#[derive(Debug)]
pub struct Post {
    pub(super) reply: Reply,
    pub(super) principal: Principal,
    pub(super) version: Option<String>,
    pub(super) session: Option<SessionId>,
    pub(super) mirror: Mirror,
}

/// What the head of an answer depends on.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    version: Version,
    cors: Option<String>,
    /// The session that the answer tells of.
    pub(super) session: Option<SessionId>,
}

impl Reply {
    fn of(head: &RequestHead, access: &AccessRules) -> Reply {
        let origin = head.header("origin").and_then(|origin| core::str::from_utf8(origin).ok());
        let cors = origin.filter(|origin| access.cors_origin(origin)).map(ToString::to_string);
        Reply { version: head.version(), cors, session: None }
    }

    fn headers(&self) -> Vec<(&'static str, &str)> {
        let mut headers = Vec::new();
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id", session.as_str()));
        }
        if let Some(origin) = &self.cors {
            headers.extend([
                ("Access-Control-Allow-Origin", origin.as_str()),
                ("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate"),
                ("Vary", "Origin"),
            ]);
        }
        headers
    }

    /// The response with the headers that are due.
    pub(super) fn finish(&self, response: Response) -> Response {
        self.headers().into_iter().fold(response, |response, (name, value)| response.with(name, value))
    }

    /// The head of a stream: never stored, nor held back by a proxy.
    pub(super) fn stream_head(&self) -> (Box<[u8]>, Framing) {
        let mut headers = Vec::from([
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-cache, no-transform"),
            ("X-Accel-Buffering", "no"),
        ]);
        headers.extend(self.headers());
        let framing = match self.version {
            Version::Http11 => Framing::Chunked,
            Version::Http10 => Framing::Raw,
        };
        // All are constants, but for an origin and an id that have been parsed.
        (encode_stream_head(self.version, Behind::Close, &headers).into_boxed_slice(), framing)
    }
}

const METHODS: &str = "GET, POST, DELETE";

/// The headers that a page may send.
const HEADERS: [&str; 9] = [
    "Accept",
    "Authorization",
    "Content-Type",
    "Last-Event-ID",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Mcp-Session-Id",
    "traceparent",
];

impl Streamable {
    /// Checks what comes before any question of who asks: `Host`, `Origin`, and a page's preflight. The answer that
    /// is due, if that is all there is to it.
    ///
    /// [`handle_head`](Self::handle_head) checks it again. Ask here first, where an authentication hook is to be
    /// asked in between.
    #[must_use]
    pub fn admit(&self, head: &RequestHead) -> Option<Response> {
        let checked = self.access.check(head.authority(), head.headers_named("origin"));
        if let Err(error) = checked {
            return Some(not_let_in(&error));
        }
        let reply = Reply::of(head, &self.access);
        let answer = match head.method() {
            "GET" | "POST" | "DELETE" => return None,
            "OPTIONS" if reply.cors.is_some() => preflight(head),
            _ => method_not_allowed(METHODS),
        };
        Some(reply.finish(answer))
    }

    /// The headers that let the page of an allowed origin read an answer that is not of this endpoint's making, such as
    /// that of an authentication hook; none where no origin is configured.
    #[must_use]
    pub fn with_cors(&self, head: &RequestHead, response: Response) -> Response {
        Reply::of(head, &self.access).finish(response)
    }

    /// A request's head is there, and `principal` is who sends it.
    pub fn handle_head(&mut self, now: Tick, head: &RequestHead, principal: Principal) -> HeadDecision {
        self.clock(now);
        if let Some(answer) = self.admit(head) {
            return HeadDecision::Answer(answer);
        }
        let reply = Reply::of(head, &self.access);
        let cors = reply.clone();
        self.decide(head, reply, principal).unwrap_or_else(|answer| HeadDecision::Answer(cors.finish(answer)))
    }

    fn decide(
        &mut self,
        head: &RequestHead,
        reply: Reply,
        principal: Principal,
    ) -> Result<HeadDecision, Response> {
        let version = once(head, "mcp-protocol-version")?;
        let is_stateless = version.as_deref().is_some_and(|version| {
            version.parse().is_ok_and(|r: Revision| r.is_stateless() && self.config.revisions.contains(r))
        });
        // A stateless revision knows no sessions: the header is some other's, and means nothing.
        let session = if is_stateless { None } else { once(head, "mcp-session-id")? };
        let session = session
            .map(|id| SessionId::parse(&id).map_err(|error| invalid(&error.to_string())))
            .transpose()?;
        if let Some(id) = &session {
            let found = self.sessions.get(id).filter(|session| session.is_alive());
            if found.is_none_or(|session| session.principal != principal) {
                return Err(no_session());
            }
        }
        if head.method() == "POST" {
            accepts(head, true)?;
            if !head.header("content-type").is_some_and(media_type::is_json) {
                return Err(refuse(415, None, INVALID_REQUEST, "only application/json is accepted", None));
            }
            if head.header("content-encoding").is_some() {
                return Err(refuse(415, None, INVALID_REQUEST, "no content coding is accepted", None));
            }
            let mirror = Mirror::of(head);
            return Ok(HeadDecision::ReceiveBody(Post { reply, principal, version, session, mirror }));
        }
        let agreed = session.as_ref().and_then(|id| self.sessions.get(id)?.revision);
        let facts = VersionFacts { header: version.as_deref(), body: BodyFacts::None, session: agreed };
        let spoken = self.config.revisions;
        let revision = facts.decide(spoken).map_err(|error| self::version(None, &error, spoken))?;
        if !revision.rules().get_stream {
            return Err(method_not_allowed("POST"));
        }
        let id = session.ok_or_else(|| invalid("the Mcp-Session-Id header is missing"))?;
        self.touch(&id);
        if head.method() == "DELETE" {
            self.end(&id, StreamableEnd::ByClient);
            return Ok(HeadDecision::Answer(reply.finish(Response::empty(204))));
        }
        accepts(head, false)?;
        if self.is_finishing {
            return Err(busy(None, "the server is stopping"));
        }
        let last = head.header("last-event-id").filter(|last| !last.is_empty());
        self.open_get(&id, revision, reply, last).map(HeadDecision::Exchange)
    }
}

/// The answer to who is not let in by `Host` and `Origin`.
pub(in crate::mcp) fn not_let_in(error: &AccessError) -> Response {
    refuse(status_of(error), None, INVALID_REQUEST, &error.to_string(), None)
}

/// The value of a header that may stand there once.
fn once(head: &RequestHead, name: &str) -> Result<Option<String>, Response> {
    let mut values = head.headers_named(name);
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(invalid(&alloc::format!("more than one {name} header")));
    }
    // Bytes that are no text name nothing that exists.
    Ok(first.map(|value| String::from_utf8_lossy(value).into_owned()))
}

/// 2025-03-26 and later, Sending Messages: the client bears both kinds of answer; Listening: a stream.
fn accepts(head: &RequestHead, json: bool) -> Result<(), Response> {
    let events = media_type::accepts_event_stream(head.headers_named("accept"));
    if events && (!json || media_type::accepts_json(head.headers_named("accept"))) {
        return Ok(());
    }
    let both = "application/json and text/event-stream must be acceptable";
    let why = if json { both } else { "text/event-stream must be acceptable" };
    Err(refuse(406, None, INVALID_REQUEST, why, None))
}

/// What the page of an allowed origin may send: what is known here, and the headers that mirror a tool's arguments.
fn preflight(head: &RequestHead) -> Response {
    let asked = head.header("access-control-request-headers").unwrap_or_default();
    let asked = core::str::from_utf8(asked).unwrap_or_default().split(',').map(str::trim);
    let is_mirror = |name: &&str| {
        name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("mcp-param-"))
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    let headers: Vec<&str> = HEADERS.into_iter().chain(asked.filter(is_mirror)).collect();
    Response::empty(204)
        .with("Access-Control-Allow-Methods", METHODS)
        .with("Access-Control-Allow-Headers", &headers.join(", "))
        .with("Access-Control-Max-Age", "600")
}
