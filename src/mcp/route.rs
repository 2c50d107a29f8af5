//! [`Routes`]: what a request asks for, decided from its head alone.
//!
//! Who may ask is decided first, for every method and path; then the path, the method, and what the head must
//! say. Nothing here knows which sessions exist.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::response::{refuse, status_of};
use super::{HttpSse, SessionId, streamable};
use crate::access::AccessRules;
use crate::http1::{Behind, RequestHead, Response, Version, encode_stream_head};
use crate::{EventId, Framing, media_type};

/// The paths of a server, and who may ask for them.
///
/// ```
/// use sansio_sse::http1::{HeadLimits, RequestHead};
/// use sansio_sse::mcp::{HttpSse, Route, Routes};
/// use sansio_sse::AccessRules;
///
/// let routes = Routes::new(AccessRules::loopback()).http_sse("/sse", &HttpSse::default()).events("/events");
/// let head = |raw: &str| RequestHead::parse(HeadLimits::default(), &mut raw.as_bytes()).unwrap().unwrap();
///
/// let get = head("GET /sse HTTP/1.1\r\nHost: localhost:4444\r\n\r\n");
/// assert_eq!(routes.route(&get), Route::OpenSession { last: None });
///
/// let rebound = head("GET /sse HTTP/1.1\r\nHost: evil.example\r\n\r\n");
/// let Route::Answer(refusal) = routes.route(&rebound) else { panic!("let in") };
/// assert_eq!(refusal.status(), 403);
/// ```
#[derive(Clone, Debug)]
pub struct Routes {
    access: AccessRules,
    paths: Vec<(String, Endpoint)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Session,
    Message,
    Events(usize),
    Request(usize, &'static str),
    Streamable(usize),
}

impl Endpoint {
    /// For `Allow` (RFC 9110 §10.2.1).
    fn methods(self) -> &'static str {
        match self {
            Endpoint::Session | Endpoint::Events(_) => "GET",
            Endpoint::Message => "POST",
            Endpoint::Request(_, method) => method,
            Endpoint::Streamable(_) => "GET, POST, DELETE",
        }
    }
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Route {
    /// Open a session of HTTP+SSE, or take up the one whose event the client saw last.
    OpenSession {
        /// `Last-Event-ID`, if the client sent one.
        last: Option<EventId>,
    },
    /// A message for this session: if there is one, receive the body and read it as one.
    Message(SessionId),
    /// Open a plain event stream: the one registered at this place, from 0.
    Events(usize),
    /// A request for the application, registered at this place, from 0: receive the body, and let it answer.
    Request(usize),
    /// A request to the endpoint of Streamable HTTP that is registered at this place, from 0. Who may ask is checked;
    /// all else is for [`Streamable`](super::Streamable) to decide.
    Streamable(usize),
    /// Answer with this, and nothing else.
    Answer(Response),
}

/// What a response of events is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A session of HTTP+SSE.
    Session,
    /// A plain event stream.
    Events,
}

impl Routes {
    /// No paths yet; `access` says who may ask.
    #[must_use]
    pub fn new(access: AccessRules) -> Routes {
        Routes { access, paths: Vec::new() }
    }

    /// Adds HTTP+SSE: sessions at `GET path`, messages at `POST` of the message path. Under a public prefix both
    /// are known with it as well, so that it does not matter whether the proxy in front takes it off.
    #[must_use]
    pub fn http_sse(mut self, path: &str, config: &HttpSse) -> Routes {
        let prefix = config.base.path();
        for (path, endpoint) in [(path, Endpoint::Session), (config.message_path.as_str(), Endpoint::Message)]
        {
            self.paths.push((path.to_string(), endpoint));
            if !prefix.is_empty() {
                self.paths.push((alloc::format!("{prefix}{path}"), endpoint));
            }
        }
        self
    }

    /// Adds a plain event stream at `GET path`. The first is [`Route::Events`]`(0)`, and so on.
    #[must_use]
    pub fn events(mut self, path: &str) -> Routes {
        let place = self.paths.iter().filter(|(_, endpoint)| matches!(endpoint, Endpoint::Events(_))).count();
        self.paths.push((path.to_string(), Endpoint::Events(place)));
        self
    }

    /// Adds requests that the application answers: `method path`. The first is [`Route::Request`]`(0)`, and so on.
    #[must_use]
    pub fn request(mut self, method: &'static str, path: &str) -> Routes {
        let place =
            self.paths.iter().filter(|(_, endpoint)| matches!(endpoint, Endpoint::Request(..))).count();
        self.paths.push((path.to_string(), Endpoint::Request(place, method)));
        self
    }

    /// Adds an endpoint of Streamable HTTP, at each of these paths. The first endpoint is [`Route::Streamable`]`(0)`,
    /// and so on.
    #[must_use]
    pub fn streamable<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Routes {
        let places = self.paths.iter().filter_map(|(_, endpoint)| match endpoint {
            Endpoint::Streamable(place) => Some(place + 1),
            _ => None,
        });
        let place = places.max().unwrap_or(0);
        self.paths.extend(paths.into_iter().map(|path| (path.to_string(), Endpoint::Streamable(place))));
        self
    }

    /// Decides about a request.
    pub fn route(&self, head: &RequestHead) -> Route {
        self.decide(head).unwrap_or_else(|refusal| Route::Answer(self.with_cors(head, refusal)))
    }

    fn decide(&self, head: &RequestHead) -> Result<Route, Response> {
        let asked = head.path();
        let endpoint = self.paths.iter().find(|(path, _)| path == asked).map(|(_, endpoint)| *endpoint);
        self.access.check(head.authority(), head.headers_named("origin")).map_err(
            |error| match endpoint {
                Some(Endpoint::Streamable(_)) => streamable::not_let_in(&error),
                _ => refuse(status_of(&error), &error.to_string()),
            },
        )?;
        let endpoint = match endpoint {
            Some(Endpoint::Streamable(place)) => return Ok(Route::Streamable(place)),
            // RFC 9110 §9.3.8: an echo of the request would tell a page the credentials that it may not see.
            _ if head.method() == "TRACE" => {
                return Err(refuse(405, "TRACE is not allowed").with("Allow", "GET, POST"));
            }
            None => return Err(refuse(404, "no such path")),
            Some(endpoint) => endpoint,
        };
        if head.method() == "OPTIONS" && self.cors_origin(head).is_some() {
            return Err(Response::empty(204)
                .with("Access-Control-Allow-Methods", endpoint.methods())
                .with(
                    "Access-Control-Allow-Headers",
                    "Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version",
                )
                .with("Access-Control-Max-Age", "600"));
        }
        if head.method() != endpoint.methods() {
            let what = alloc::format!("{} is not allowed here", head.method());
            return Err(refuse(405, &what).with("Allow", endpoint.methods()));
        }
        match endpoint {
            Endpoint::Session => {
                accepts_events(head)?;
                Ok(Route::OpenSession { last: last_seen(head)? })
            }
            Endpoint::Events(place) => {
                accepts_events(head)?;
                Ok(Route::Events(place))
            }
            Endpoint::Message => message_route(head).map(Route::Message),
            Endpoint::Request(place, _) => Ok(Route::Request(place)),
            Endpoint::Streamable(place) => Ok(Route::Streamable(place)),
        }
    }

    /// The headers that let the page of an allowed origin read an answer; none where no origin is configured.
    #[must_use]
    pub fn with_cors(&self, head: &RequestHead, response: Response) -> Response {
        match self.cors_origin(head) {
            Some(origin) => response.with("Access-Control-Allow-Origin", &origin).with("Vary", "Origin"),
            None => response,
        }
    }

    /// The head of a response of events: chunked, or up to the end of the connection for HTTP/1.0. It is never to
    /// be stored, nor held back by a proxy, nor compressed, whatever the client accepts.
    #[must_use]
    pub fn stream_head(&self, head: &RequestHead, kind: StreamKind) -> (Box<[u8]>, Framing) {
        let mut headers = Vec::from([
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-cache"),
            ("X-Accel-Buffering", "no"),
        ]);
        if kind == StreamKind::Session {
            // The endpoint event names the session: its URL stays out of `Referer`.
            headers.extend([("X-MCP-SSE", "true"), ("Referrer-Policy", "no-referrer")]);
        }
        let origin = self.cors_origin(head);
        if let Some(origin) = &origin {
            headers.extend([("Access-Control-Allow-Origin", origin.as_str()), ("Vary", "Origin")]);
        }
        let framing = match head.version() {
            Version::Http11 => Framing::Chunked,
            Version::Http10 => Framing::Raw,
        };
        // All are constants, but for an origin that has been parsed.
        (encode_stream_head(head.version(), Behind::KeepAlive, &headers).into_boxed_slice(), framing)
    }

    /// The request's origin, if it is one that was configured.
    #[must_use]
    pub fn cors_origin(&self, head: &RequestHead) -> Option<String> {
        let origin = core::str::from_utf8(head.header("origin")?).ok()?;
        self.access.cors_origin(origin).then(|| origin.to_string())
    }
}

fn accepts_events(head: &RequestHead) -> Result<(), Response> {
    if media_type::accepts_event_stream(head.headers_named("accept")) {
        return Ok(());
    }
    Err(refuse(406, "only text/event-stream is served here"))
}

/// HTML §9.2.4 sends the id as UTF-8; an empty one is never sent, and means none. One that was never given out here
/// is of a session that is over.
fn last_seen(head: &RequestHead) -> Result<Option<EventId>, Response> {
    let Some(last) = head.header("last-event-id").filter(|last| !last.is_empty()) else { return Ok(None) };
    let last = core::str::from_utf8(last).ok().and_then(|text| text.parse().ok());
    last.map(Some).ok_or_else(Response::session_over)
}

fn message_route(head: &RequestHead) -> Result<SessionId, Response> {
    let mut ids =
        head.query().unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("session_id="));
    let id = ids.next().ok_or_else(|| refuse(400, "session_id is missing"))?;
    if ids.next().is_some() {
        return Err(refuse(400, "session_id is given twice"));
    }
    let id = SessionId::parse(id).map_err(|error| refuse(400, &error.to_string()))?;
    // RFC 9110 §15.5.16. It also keeps out what a page may send to any site without asking: forms and text.
    if !head.header("content-type").is_some_and(media_type::is_json) {
        return Err(refuse(415, "only application/json is accepted"));
    }
    if head.header("content-encoding").is_some() {
        return Err(refuse(415, "no content coding is accepted"));
    }
    Ok(id)
}
