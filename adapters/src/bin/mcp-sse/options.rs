//! The command line and the environment, and what they make of the configuration.
#![allow(rustdoc::broken_intra_doc_links, reason = "the help texts are no Markdown")]

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use sansio_sse::http1::{ConnectionConfig, HeadLimits};
use sansio_sse::mcp::{HttpSse, PublicBase, Resumption, SessionLimits, StreamableConfig, StreamableLimits};
use sansio_sse::{AccessRules, KeepAlive, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};

/// Puts a stdio MCP server on the network, over Streamable HTTP and HTTP+SSE.
#[derive(Debug, Parser)]
#[command(name = "mcp-sse", version, about, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

const EXIT_CODES: &str = "\
Without a command line, `mcp-sse` serves the demo.

Exit codes: 0 stopped as asked, 1 could not start, 2 wrong usage, 130 stopped at once by a second signal.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a stdio MCP server, or the demo
    Serve(Box<ServeOptions>),
}

/// The options alone, for a start without a command line.
#[derive(Debug, Parser)]
struct Alone {
    #[command(flatten)]
    options: ServeOptions,
}

impl ServeOptions {
    /// The demo, with what the environment says.
    pub(crate) fn from_environment() -> ServeOptions {
        Alone::parse_from(["mcp-sse"]).options
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeName {
    Smol,
    Tokio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Bytes that every known client bears, and limits that close slow and dead clients only
    Default,
    /// The exact bytes, limits and decisions of ContextForge's SSE transport
    Contextforge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Resume {
    Off,
    ServerClosed,
    Always,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stateless {
    /// One child process for all of them, started by the first
    Shared,
    /// Only clients with sessions are served
    Off,
}

const EXAMPLES: &str = "\
Examples:
  mcp-sse serve                                      the demo, on http://127.0.0.1:4444/mcp and /sse
  mcp-sse serve -- npx -y @modelcontextprotocol/server-everything stdio
  mcp-sse serve --listen 0.0.0.0:8080 --allow-host mcp.example -- python3 my_server.py";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeOptions {
    /// Where to listen; port 0 chooses a free one. Anything but loopback needs --allow-host
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4444")]
    pub(crate) listen: SocketAddr,

    /// What drives the sockets; tokio needs the feature of that name
    #[arg(long, value_enum, default_value = "smol")]
    pub(crate) runtime: RuntimeName,

    /// The public URL in front of /message that clients are told; without it they get an absolute path
    #[arg(long, value_name = "URL", conflicts_with = "prefix")]
    base_url: Option<String>,

    /// The public path in front of /sse and /message, as a proxy publishes it
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,

    /// Where Streamable HTTP is served, beside HTTP+SSE at /sse
    #[arg(long, value_name = "PATH", default_value = "/mcp")]
    pub(crate) mcp_path: String,

    /// Serve HTTP+SSE only
    #[arg(long, conflicts_with = "mcp_path")]
    pub(crate) no_mcp: bool,

    /// Whether clients of 2026-07-28, which has no sessions, share one more child process; else they are refused
    #[arg(long, value_enum, default_value = "shared")]
    pub(crate) stateless: Stateless,

    /// Let in the pages of this origin, and answer their CORS questions [repeatable]
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// Let in requests for this host[:port] beside localhost, 127.0.0.1 and [::1]; * lets in any [repeatable]
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// Which bytes and decisions to begin with; the settings below change them one by one
    #[arg(long, value_enum, default_value = "default")]
    preset: Preset,

    #[command(flatten)]
    stream: StreamOptions,

    #[command(flatten)]
    limits: LimitOptions,

    /// Logs for people or for machines, to standard error
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) log_format: LogFormat,

    /// What to log: error, warn, info, debug, trace, or a tracing filter
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "info")]
    pub(crate) log: String,

    /// Print the settings and exit
    #[arg(long)]
    pub(crate) print_config: bool,

    /// The stdio MCP server to run, once for each session; without one, the demo is served
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Settings that also have the origin's names in the environment. 0 switches off what says so.
#[derive(Debug, Args)]
#[command(next_help_heading = "Stream")]
struct StreamOptions {
    /// The reconnection time that clients are told, in ms
    #[arg(long, value_name = "MS", env = "SSE_RETRY_TIMEOUT")]
    retry: Option<u64>,

    /// Whether silent streams get keep-alives
    #[arg(long, value_name = "BOOL", env = "SSE_KEEPALIVE_ENABLED", value_parser = clap::builder::BoolishValueParser::new())]
    keep_alive: Option<bool>,

    /// After how many seconds of silence a keep-alive goes out [default: 15; contextforge: 30]
    #[arg(long, value_name = "SECS", env = "SSE_KEEPALIVE_INTERVAL")]
    keep_alive_interval: Option<Seconds>,

    /// Close a stream when its client takes no byte for so many seconds while bytes wait; 0 = off [default: 30]
    #[arg(long, value_name = "SECS", env = "SSE_SEND_TIMEOUT")]
    send_timeout: Option<Seconds>,

    /// Close a stream when its oldest message has waited for so many seconds; 0 = off [default: 120]
    #[arg(long, value_name = "SECS")]
    lag_timeout: Option<Seconds>,

    /// Finish a stream at this age, in seconds; 0 = never [default: 0]
    #[arg(long, value_name = "SECS")]
    max_lifetime: Option<Seconds>,

    /// How many seconds a stream has to send the rest when it is finished [default: 5]
    #[arg(long, value_name = "SECS", env = "SSE_TASK_GROUP_CLEANUP_TIMEOUT")]
    drain_timeout: Option<Seconds>,

    /// The window of the rapid-yield guard, in ms (preset contextforge only) [default: 1000]
    #[arg(long, value_name = "MS", env = "SSE_RAPID_YIELD_WINDOW_MS")]
    rapid_yield_window_ms: Option<NonZeroU32>,

    /// How many yields the window bears; 0 = off (preset contextforge only) [default: 50]
    #[arg(long, value_name = "N", env = "SSE_RAPID_YIELD_MAX")]
    rapid_yield_max: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct LimitOptions {
    /// Connections at once
    #[arg(long, value_name = "N", default_value = "10000")]
    pub(crate) max_connections: NonZeroUsize,

    /// Sessions at once
    #[arg(long, value_name = "N", default_value = "1000")]
    max_sessions: NonZeroUsize,

    /// Bytes of a request's head
    #[arg(long, value_name = "BYTES", default_value = "16384")]
    max_head_bytes: usize,

    /// Seconds for a whole head, from the connection's first moment
    #[arg(long, value_name = "SECS", default_value = "10")]
    head_timeout: Seconds,

    /// Bytes of a request's body
    #[arg(long, value_name = "BYTES", default_value = "4194304")]
    max_body_bytes: usize,

    /// Seconds for a whole body
    #[arg(long, value_name = "SECS", default_value = "30")]
    body_timeout: Seconds,

    /// Messages that wait in a session, each way
    #[arg(long, value_name = "N", default_value = "256")]
    max_queue_messages: NonZeroUsize,

    /// Bytes that wait in a session, each way; an empty queue takes any one message
    #[arg(long, value_name = "BYTES", default_value = "1048576")]
    max_queue_bytes: NonZeroUsize,

    /// Seconds that the answer to a POST is held back while its session's queue is full
    #[arg(long, value_name = "SECS", default_value = "10")]
    hold_timeout: Seconds,

    /// Which ends of a stream keep its session for a client that reconnects with Last-Event-ID
    #[arg(long, value_enum, default_value = "server-closed")]
    resume: Resume,

    /// Seconds that a session lives without a stream
    #[arg(long, value_name = "SECS", default_value = "300")]
    detached_timeout: Seconds,

    /// Bytes of one line that the command may write; longer ones are dropped with a warning
    #[arg(long, value_name = "BYTES", default_value = "16777216")]
    max_line_bytes: NonZeroUsize,
}

/// A number of seconds, fractions allowed.
#[derive(Clone, Copy, Debug)]
struct Seconds(Duration);

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seconds, String> {
        let seconds: f64 = text.parse().map_err(|_| "a number of seconds is allowed".to_owned())?;
        Duration::try_from_secs_f64(seconds)
            .map(Seconds)
            .map_err(|_| "0 or more seconds are allowed".to_owned())
    }
}

impl Seconds {
    fn or_off(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

/// What is served, all of it checked.
pub(crate) struct Settings {
    pub(crate) access: AccessRules,
    pub(crate) http_sse: HttpSse,
    pub(crate) streamable: StreamableConfig,
    pub(crate) connection: ConnectionConfig,
    pub(crate) sessions: SessionLimits,
    pub(crate) max_connections: NonZeroUsize,
    pub(crate) max_line_bytes: NonZeroUsize,
}

type Refused = Box<dyn Error>;

impl ServeOptions {
    /// The settings of a server that listens at `addr`.
    pub(crate) fn settings(&self, addr: SocketAddr) -> Result<Settings, Refused> {
        if !self.listen.ip().is_loopback() && self.allow_host.is_empty() {
            let why = format!(
                "--listen {} can be reached from other machines: say with --allow-host which names are asked for \
                 (--allow-host '*' lets in any), and see that something in front checks who asks",
                self.listen
            );
            return Err(why.into());
        }
        let connection = ConnectionConfig::builder()
            .head(HeadLimits { head_bytes: self.limits.max_head_bytes, ..HeadLimits::default() })
            .head_within(self.limits.head_timeout.0)
            .body_bytes(self.limits.max_body_bytes)
            .body_within(self.limits.body_timeout.0)
            .build()?;
        let sessions = SessionLimits {
            max_sessions: self.limits.max_sessions,
            max_messages: self.limits.max_queue_messages,
            max_bytes: self.limits.max_queue_bytes,
            hold_for: self.limits.hold_timeout.0,
            detached_for: self.limits.detached_timeout.0,
            ..SessionLimits::default()
        };
        sessions.check()?;
        Ok(Settings {
            access: self.access()?,
            http_sse: self.http_sse(addr)?,
            streamable: self.streamable()?,
            connection,
            sessions,
            max_connections: self.limits.max_connections,
            max_line_bytes: self.limits.max_line_bytes,
        })
    }

    fn access(&self) -> Result<AccessRules, Refused> {
        let mut access = AccessRules::loopback();
        for host in &self.allow_host {
            access = if host == "*" { access.any_host() } else { access.allow_host(host)? };
        }
        for origin in &self.allow_origin {
            access = access.allow_origin(origin)?;
        }
        Ok(access)
    }

    /// What every client of Streamable HTTP bears, whatever the preset: that is for HTTP+SSE.
    fn streamable(&self) -> Result<StreamableConfig, Refused> {
        let stream = self.stream.apply(Preset::Default)?;
        let (messages, bytes) = (self.limits.max_queue_messages, self.limits.max_queue_bytes);
        let limits = StreamableLimits {
            max_sessions: self.limits.max_sessions,
            max_messages: messages,
            max_bytes: bytes,
            hold_for: self.limits.hold_timeout.0,
            ..StreamableLimits::default()
        };
        let stream = stream.max_queued(messages, bytes).build()?.into();
        let config = StreamableConfig { stream, limits, ..StreamableConfig::default() };
        config.check()?;
        Ok(config)
    }

    fn http_sse(&self, addr: SocketAddr) -> Result<HttpSse, Refused> {
        let base = match (&self.base_url, &self.prefix) {
            (Some(url), _) => PublicBase::url(url)?,
            (None, Some(prefix)) => PublicBase::prefix(prefix)?,
            // The origin's endpoint is an absolute URL, of host and port where none is set.
            (None, None) => match self.preset {
                Preset::Default => PublicBase::default(),
                Preset::Contextforge => PublicBase::url(&format!("http://{addr}"))?,
            },
        };
        let stream = self.stream.apply(self.preset)?;
        let stream =
            stream.max_queued(self.limits.max_queue_messages, self.limits.max_queue_bytes).build()?;
        let http_sse = match self.preset {
            Preset::Default => HttpSse {
                base,
                resumption: match self.limits.resume {
                    Resume::Off => Resumption::Off,
                    Resume::ServerClosed => Resumption::ServerClosed,
                    Resume::Always => Resumption::Always,
                },
                ..HttpSse::default()
            },
            Preset::Contextforge => HttpSse::contextforge(base),
        };
        Ok(HttpSse { stream: stream.into(), ..http_sse })
    }
}

impl StreamOptions {
    fn apply(&self, preset: Preset) -> Result<StreamConfigBuilder, Refused> {
        let (begin, mut settings) = match preset {
            Preset::Default => (StreamConfig::default(), StreamConfig::builder()),
            Preset::Contextforge => (StreamConfig::contextforge(), StreamConfigBuilder::contextforge()),
        };
        let retry = match (self.retry, begin.retry()) {
            (None, retry) => retry,
            (Some(0), _) => return Err("--retry (SSE_RETRY_TIMEOUT) is 0: 1 ms or more is allowed".into()),
            (Some(ms), Retry::Every(_)) => Retry::Every(Duration::from_millis(ms)),
            (Some(ms), Retry::First(_) | Retry::Never) => Retry::First(Duration::from_millis(ms)),
        };
        settings = settings.retry(retry);
        let keep_alive = match (self.keep_alive, begin.keep_alive()) {
            (Some(false), _) | (_, KeepAlive::Off) => KeepAlive::Off,
            (_, KeepAlive::Comment(every)) => {
                KeepAlive::Comment(self.keep_alive_interval.map_or(*every, |s| s.0))
            }
            (_, KeepAlive::Frame { every, .. }) => {
                let every = self.keep_alive_interval.map_or(*every, |s| s.0);
                KeepAlive::contextforge(every, retry)
            }
        };
        settings = settings.keep_alive_at_start(begin.keep_alive_at_start() && keep_alive != KeepAlive::Off);
        settings = settings.keep_alive(keep_alive);
        if let Some(after) = self.send_timeout {
            settings = settings.stall_after(after.or_off());
        }
        if let Some(after) = self.lag_timeout {
            settings = settings.lag_after(after.or_off());
        }
        if let Some(lifetime) = self.max_lifetime {
            settings = settings.max_lifetime(lifetime.or_off());
        }
        if let Some(within) = self.drain_timeout {
            settings = settings.drain_within(within.0);
        }
        if let SpinGuard::EveryFrame { gap, in_a_row, window } = begin.spin_guard() {
            let (within, most) =
                window.map_or((Duration::from_secs(1), 50), |(within, most)| (within, most.get()));
            let within =
                self.rapid_yield_window_ms.map_or(within, |ms| Duration::from_millis(ms.get().into()));
            let most = NonZeroU32::new(self.rapid_yield_max.unwrap_or(most));
            settings = settings.spin_guard(SpinGuard::EveryFrame {
                gap,
                in_a_row,
                window: most.map(|most| (within, most)),
            });
        }
        Ok(settings)
    }
}

/// The settings in force, by the names of their options; 0 is off.
pub(crate) struct InForce<'a> {
    pub(crate) options: &'a ServeOptions,
    pub(crate) settings: &'a Settings,
}

impl fmt::Display for InForce<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (options, limits, stream) = (self.options, &self.options.limits, &self.settings.http_sse.stream);
        let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64().to_string();
        let name = |value: &dyn fmt::Debug| format!("{value:?}").to_lowercase();
        let command: Vec<_> = options.command.iter().map(|word| word.to_string_lossy()).collect();
        let retry = match stream.retry() {
            Retry::First(after) | Retry::Every(after) => after.as_millis(),
            Retry::Never => 0,
        };
        let (keep_alive, interval) = match stream.keep_alive() {
            KeepAlive::Off => (false, None),
            KeepAlive::Comment(every) | KeepAlive::Frame { every, .. } => (true, Some(*every)),
        };
        let (window, most) = match stream.spin_guard() {
            SpinGuard::EveryFrame { window: Some((within, most)), .. } => (within.as_millis(), most.get()),
            SpinGuard::EveryFrame { window: None, .. } | SpinGuard::EmptyWrites => (0, 0),
        };
        let resume = match self.settings.http_sse.resumption {
            Resumption::Off => "off",
            Resumption::ServerClosed => "server-closed",
            Resumption::Always => "always",
        };
        for (option, value) in [
            ("listen", options.listen.to_string()),
            ("runtime", name(&options.runtime)),
            ("public-base", self.settings.http_sse.base.as_str().to_owned()),
            ("mcp-path", if options.no_mcp { String::new() } else { options.mcp_path.clone() }),
            ("stateless", name(&options.stateless)),
            ("allow-origin", options.allow_origin.join(" ")),
            ("allow-host", options.allow_host.join(" ")),
            ("preset", name(&options.preset)),
            ("retry", retry.to_string()),
            ("keep-alive", keep_alive.to_string()),
            ("keep-alive-interval", seconds(interval)),
            ("send-timeout", seconds(stream.stall_after())),
            ("lag-timeout", seconds(stream.lag_after())),
            ("max-lifetime", seconds(stream.max_lifetime())),
            ("drain-timeout", seconds(Some(stream.drain_within()))),
            ("rapid-yield-window-ms", window.to_string()),
            ("rapid-yield-max", most.to_string()),
            ("max-connections", limits.max_connections.to_string()),
            ("max-sessions", limits.max_sessions.to_string()),
            ("max-head-bytes", limits.max_head_bytes.to_string()),
            ("head-timeout", seconds(Some(limits.head_timeout.0))),
            ("max-body-bytes", limits.max_body_bytes.to_string()),
            ("body-timeout", seconds(Some(limits.body_timeout.0))),
            ("max-queue-messages", limits.max_queue_messages.to_string()),
            ("max-queue-bytes", limits.max_queue_bytes.to_string()),
            ("hold-timeout", seconds(Some(limits.hold_timeout.0))),
            ("resume", resume.to_owned()),
            ("detached-timeout", seconds(Some(limits.detached_timeout.0))),
            ("max-line-bytes", limits.max_line_bytes.to_string()),
            ("log-format", name(&options.log_format)),
            ("log", options.log.clone()),
            ("command", command.join(" ")),
        ] {
            writeln!(f, "{option} = {value}")?;
        }
        Ok(())
    }
}
