//! [`Service`]: what a server serves: its paths, its limits, and the application behind them.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{ConnectionConfig, RequestHead, Response};
use sansio_sse::mcp::{
    HttpSse, Principal, Refusal, RequestFacts, Routes, SessionLimits, Streamable, StreamableConfig,
};
use sansio_sse::{AccessRules, ConfigError, StreamConfig};

use crate::{EventSender, Mcp, Session};

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
type OnSession = Box<dyn Fn(Session) -> BoxFuture + Send + Sync>;
type OnRequest = Box<dyn Fn(Request) -> Pin<Box<dyn Future<Output = Response> + Send>> + Send + Sync>;
type Authenticate = Box<dyn Fn(Asking) -> Verdict + Send + Sync>;
type Verdict = Pin<Box<dyn Future<Output = Result<Principal, Refusal>> + Send>>;
type OnEvents = Box<dyn Fn(EventSender, RequestHead) -> BoxFuture + Send + Sync>;

/// A request that the application answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Its head.
    pub head: RequestHead,
    /// Its body, whole.
    pub body: Vec<u8>,
    /// Who asks, as the [authentication hook](ServiceBuilder::authenticate) has it.
    pub principal: Principal,
}

/// What an [authentication hook](ServiceBuilder::authenticate) decides by.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asking {
    /// The request's head, with its `Authorization`.
    pub head: RequestHead,
    /// Where it comes from.
    pub peer: SocketAddr,
}

impl Asking {
    /// The same, for a hook of the core's shape: see [`Authenticate`](sansio_sse::mcp::Authenticate).
    #[must_use]
    pub fn facts(&self) -> RequestFacts<'_> {
        RequestFacts { head: &self.head, peer: Some(self.peer) }
    }
}

/// What a server serves; make one with [`Service::builder`].
pub struct Service {
    pub(crate) routes: Routes,
    pub(crate) connection: Arc<ConnectionConfig>,
    pub(crate) stream: Arc<StreamConfig>,
    pub(crate) http_sse: Arc<HttpSse>,
    pub(crate) limits: SessionLimits,
    pub(crate) max_connections: NonZeroUsize,
    pub(crate) handlers_within: Duration,
    pub(crate) on_session: Option<OnSession>,
    pub(crate) on_events: Vec<OnEvents>,
    pub(crate) on_request: Vec<OnRequest>,
    pub(crate) authenticate: Option<Authenticate>,
    /// Endpoints of Streamable HTTP, until a server takes them; and the settings of their streams.
    pub(crate) endpoints: Vec<(Streamable, Mcp)>,
    answers: Vec<Arc<StreamConfig>>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("routes", &self.routes)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Service {
    /// A builder: no paths yet, all limits on, loopback names only.
    pub fn builder() -> ServiceBuilder {
        ServiceBuilder::default()
    }

    /// The settings of the streams that are served.
    fn streams(&self) -> impl Iterator<Item = &StreamConfig> {
        let sessions = self.on_session.is_some().then_some(&self.http_sse.stream);
        let events = (!self.on_events.is_empty()).then_some(&self.stream);
        sessions.into_iter().chain(events).chain(&self.answers).map(AsRef::as_ref)
    }

    /// How long the operating system bears a peer that acknowledges nothing: twice as long as any stream bears one
    /// that takes nothing, so that a peer that is there is left to the stream's own clocks. `None` is for ever.
    pub(crate) fn give_up_after(&self) -> Option<Duration> {
        let stalls: Option<Vec<_>> = self.streams().map(StreamConfig::stall_after).collect();
        stalls?.into_iter().max().map(|longest| longest.saturating_mul(2))
    }

    /// How long any stream may take to finish.
    pub(crate) fn longest_drain(&self) -> Duration {
        self.streams().map(StreamConfig::drain_within).max().unwrap_or_default()
    }
}

/// Collects the parts of a [`Service`].
#[must_use]
pub struct ServiceBuilder {
    access: AccessRules,
    connection: ConnectionConfig,
    stream: StreamConfig,
    limits: SessionLimits,
    max_connections: NonZeroUsize,
    handlers_within: Duration,
    http_sse: Option<(String, HttpSse, OnSession)>,
    events: Vec<(String, OnEvents)>,
    requests: Vec<(&'static str, String, OnRequest)>,
    authenticate: Option<Authenticate>,
    mcp: Vec<(String, StreamableConfig, Mcp)>,
}

impl Default for ServiceBuilder {
    fn default() -> ServiceBuilder {
        ServiceBuilder {
            access: AccessRules::loopback(),
            connection: ConnectionConfig::default(),
            stream: StreamConfig::default(),
            limits: SessionLimits::default(),
            max_connections: NonZeroUsize::new(10_000).unwrap_or(NonZeroUsize::MIN),
            handlers_within: Duration::from_secs(15),
            http_sse: None,
            events: Vec::new(),
            requests: Vec::new(),
            authenticate: None,
            mcp: Vec::new(),
        }
    }
}

impl fmt::Debug for ServiceBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl ServiceBuilder {
    /// Who may ask, by `Host` and `Origin`. Default: loopback names, and pages of the server itself.
    pub fn access(mut self, access: AccessRules) -> Self {
        self.access = access;
        self
    }

    /// The limits and deadlines of requests.
    pub fn connection(mut self, config: ConnectionConfig) -> Self {
        self.connection = config;
        self
    }

    /// The settings of plain event streams. Sessions have their own in [`HttpSse`].
    pub fn stream(mut self, config: StreamConfig) -> Self {
        self.stream = config;
        self
    }

    /// The limits of sessions.
    pub fn sessions(mut self, limits: SessionLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Connections at once. Default 10,000; those past it are told with a 503.
    pub fn max_connections(mut self, connections: NonZeroUsize) -> Self {
        self.max_connections = connections;
        self
    }

    /// How long a shutdown waits for the application's handlers after the last connection. Default 15 s.
    pub fn handlers_within(mut self, within: Duration) -> Self {
        self.handlers_within = within;
        self
    }

    /// Serves MCP over HTTP+SSE: sessions at `GET path`. `on_session` runs for each session, in a task of its
    /// own; when it returns or panics, the session ends.
    pub fn http_sse<F, Fut>(mut self, path: impl Into<String>, config: HttpSse, on_session: F) -> Self
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.http_sse = Some((path.into(), config, Box::new(move |session| Box::pin(on_session(session)))));
        self
    }

    /// Serves MCP over Streamable HTTP: all that it has at `path`, in the revisions of `config` that `application` has
    /// a part for. Under the public prefix of [`http_sse`](Self::http_sse) it is known as well.
    pub fn mcp(mut self, path: impl Into<String>, config: StreamableConfig, application: Mcp) -> Self {
        self.mcp.push((path.into(), config, application));
        self
    }

    /// Asks `authenticate` who asks, for every request that `Host` and `Origin` let in, but for a page's CORS
    /// preflight. Sessions then belong to whom opened them: to anybody else there is no such session. A
    /// hook that panics lets nobody in.
    ///
    /// ```
    /// use sansio_sse::mcp::{Principal, Refusal};
    /// use sansio_sse_adapters::Service;
    ///
    /// let service = Service::builder().authenticate(|asking| async move {
    ///     match asking.head.header("authorization") {
    ///         Some(b"Bearer secret") => Ok(Principal::named("alice")),
    ///         _ => Err(Refusal::unauthorized("Bearer").unwrap_or(Refusal::forbidden())),
    ///     }
    /// });
    /// # assert!(service.build().is_ok());
    /// ```
    pub fn authenticate<F, Fut>(mut self, authenticate: F) -> Self
    where
        F: Fn(Asking) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Principal, Refusal>> + Send + 'static,
    {
        self.authenticate = Some(Box::new(move |asking| Box::pin(authenticate(asking))));
        self
    }

    /// Serves plain event streams at `GET path`. `on_events` runs for each stream, in a task of its own; the
    /// stream finishes when the last sender is dropped.
    pub fn events<F, Fut>(mut self, path: impl Into<String>, on_events: F) -> Self
    where
        F: Fn(EventSender, RequestHead) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler: OnEvents = Box::new(move |sender, head| Box::pin(on_events(sender, head)));
        self.events.push((path.into(), handler));
        self
    }

    /// Answers `method path`, for what a service has to say besides its streams. `on_request` runs in the
    /// connection's task; it is dropped when the connection breaks, and answered for with a 500 when it panics.
    ///
    /// ```
    /// use sansio_sse::http1::Response;
    /// use sansio_sse_adapters::Service;
    ///
    /// let service = Service::builder().request("GET", "/health", |_| async { Response::text(200, "well\n") });
    /// # assert!(service.build().is_ok());
    /// ```
    pub fn request<F, Fut>(mut self, method: &'static str, path: impl Into<String>, on_request: F) -> Self
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Response> + Send + 'static,
    {
        let handler: OnRequest = Box::new(move |request| Box::pin(on_request(request)));
        self.requests.push((method, path.into(), handler));
        self
    }

    /// Checks the parts.
    ///
    /// # Errors
    /// [`ConfigError`], which names the setting that is out of its range.
    pub fn build(self) -> Result<Service, ConfigError> {
        self.limits.check()?;
        let mut routes = Routes::new(self.access.clone());
        let (http_sse, on_session) = match self.http_sse {
            Some((path, config, on_session)) => {
                check_path("path", &path)?;
                check_path("message_path", &config.message_path)?;
                routes = routes.http_sse(&path, &config);
                (config, Some(on_session))
            }
            None => (HttpSse::default(), None),
        };
        let mut on_events = Vec::new();
        for (path, handler) in self.events {
            check_path("events", &path)?;
            routes = routes.events(&path);
            on_events.push(handler);
        }
        let mut on_request = Vec::new();
        for (method, path, handler) in self.requests {
            check_path("request", &path)?;
            routes = routes.request(method, &path);
            on_request.push(handler);
        }
        let (mut endpoints, mut answers) = (Vec::new(), Vec::new());
        for (path, mut config, application) in self.mcp {
            check_path("mcp", &path)?;
            config.revisions = application.spoken(config.revisions);
            config.check()?;
            let prefixed = format!("{}{path}", http_sse.base.path());
            routes = routes.streamable([path.as_str(), prefixed.as_str()]);
            answers.push(Arc::clone(&config.stream));
            endpoints.push((Streamable::new(self.access.clone(), config), application));
        }
        Ok(Service {
            routes,
            authenticate: self.authenticate,
            endpoints,
            answers,
            connection: Arc::new(self.connection),
            stream: Arc::new(self.stream),
            http_sse: Arc::new(http_sse),
            limits: self.limits,
            max_connections: self.max_connections,
            handlers_within: self.handlers_within,
            on_session,
            on_events,
            on_request,
        })
    }
}

fn check_path(setting: &'static str, path: &str) -> Result<(), ConfigError> {
    let plain = path.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#'));
    if path.starts_with('/') && plain {
        return Ok(());
    }
    Err(ConfigError::new(setting, format!("{path:?}"), "a path that begins with a slash, in visible ASCII"))
}
