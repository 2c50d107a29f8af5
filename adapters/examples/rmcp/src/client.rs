//! rmcp's client over Streamable HTTP, to try a server with. What the server lists decides what is called.

mod http;
mod listener;
mod offer;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures_util::future::{try_join, try_join_all};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, JsonObject, ProtocolVersion,
    ServerResult,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, PeerRequestOptions, RequestHandle, RoleClient, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::sync::Barrier;

use http::Watched;
use listener::Listener;
use offer::{Echo, Offer, Progress};

/// What did not hold.
pub type Failure = Box<dyn Error + Send + Sync>;

/// How long a step may take.
const STEP: Duration = Duration::from_secs(10);

/// How long the first may take, for which many a server starts a process.
const START: Duration = Duration::from_secs(30);

/// Calls at once in one session.
const AT_ONCE: usize = 8;

/// With a session.
const INITIALIZE: ClientLifecycleMode = ClientLifecycleMode::Initialize;

/// What was done with a server, and seen of it: as text, one line.
#[derive(Debug, Default)]
pub struct Tally {
    opened: AtomicUsize,
    deleted: AtomicUsize,
    /// Clients that need no session.
    stateless: AtomicUsize,
    calls: AtomicUsize,
    /// Steps that were told before their call's result.
    progress: AtomicUsize,
    /// Responses that were broken off and fetched to their end.
    resumed: AtomicUsize,
    /// Changes that were told on a session's own stream.
    announced: AtomicUsize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = [
            ("sessions", &self.opened),
            ("deleted", &self.deleted),
            ("stateless", &self.stateless),
            ("calls", &self.calls),
            ("progress", &self.progress),
            ("resumed", &self.resumed),
            ("announced", &self.announced),
        ];
        let said = counters.map(|(what, counter)| format!("{what} {}", counter.load(Relaxed)));
        f.write_str(&said.join(", "))
    }
}

/// Opens one session that tries all that the server offers, then one client that needs none where the server knows of
/// 2026-07-28, then `sessions` at once. All sessions are closed.
///
/// # Errors
/// What did not hold first, and in which step.
pub fn try_out(url: &str, sessions: usize) -> Result<Arc<Tally>, Failure> {
    // rmcp's client hands each notification to a task of its own. They stay in order, and in front of the task that
    // waits for the response, where there is one thread and each waits for its turn.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (url, tally) = (url.to_owned(), Arc::<Tally>::default());
    let tried = Arc::clone(&tally);
    runtime.block_on(runtime.spawn(async move {
        alone(&url, &tried, INITIALIZE).await?;
        alone(&url, &tried, newest()).await?;
        together(&url, &tried, sessions).await
    }))??;
    Ok(tally)
}

/// All that the server offers to one client.
async fn alone(url: &str, tally: &Arc<Tally>, lifecycle: ClientLifecycleMode) -> Result<(), Failure> {
    let client = Client::connect(url, tally, lifecycle).await?;
    let offer = client.offer().await?;
    client.echo_at_once(&offer.echo, 0).await?;
    for progress in &offer.progress {
        step(progress.tool, try_join(client.follow(progress), client.follow(progress))).await?;
    }
    if offer.reconnection && client.has_session {
        step("test_reconnection", client.come_again()).await?;
    }
    if offer.tool_change && client.has_session {
        step("test_trigger_tool_change", client.hear_of_change()).await?;
    }
    client.close().await
}

/// Sessions that are all open before the first call; each gets its own answers.
async fn together(url: &str, tally: &Arc<Tally>, sessions: usize) -> Result<(), Failure> {
    let everyone = Barrier::new(sessions);
    let one = async |session: usize| {
        let client = Client::connect(url, tally, INITIALIZE).await?;
        let offer = client.offer().await?;
        within(START, "wait for the other sessions", async { Ok::<_, Failure>(everyone.wait().await) })
            .await?;
        client.echo_at_once(&offer.echo, session).await?;
        client.close().await
    };
    try_join_all((1..=sessions).map(one)).await?;
    let [opened, deleted] = [&tally.opened, &tally.deleted].map(|counter| counter.load(Relaxed));
    ensure(opened == deleted, || format!("{deleted} of {opened} sessions were deleted"))
}

/// Without one, if the server knows of that.
fn newest() -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    ClientLifecycleMode::Auto { preferred_versions, legacy_version: None }
}

/// A client, in a session of its own if it has one.
struct Client {
    has_session: bool,
    running: RunningService<RoleClient, Listener>,
    tally: Arc<Tally>,
}

impl Client {
    async fn connect(
        url: &str,
        tally: &Arc<Tally>,
        lifecycle: ClientLifecycleMode,
    ) -> Result<Client, Failure> {
        let http = Watched::new(Arc::clone(tally))?;
        let config = StreamableHttpClientTransportConfig::with_uri(url).reinit_on_expired_session(false);
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let running = Listener::default().serve_with_lifecycle(transport, lifecycle);
        let running = within(START, "initialize", running).await?;
        let server = running.peer_info().ok_or("the server has not said who it is")?;
        let has_session = server.protocol_version.has_initialize();
        let counter = if has_session { &tally.opened } else { &tally.stateless };
        counter.fetch_add(1, Relaxed);
        Ok(Client { has_session, running, tally: Arc::clone(tally) })
    }

    async fn offer(&self) -> Result<Offer, Failure> {
        let tools = step("list tools", self.running.list_all_tools()).await?;
        Offer::of(&tools).ok_or_else(|| "none of the tools says again what it is told".into())
    }

    /// Several calls at once: each gets its own answer.
    async fn echo_at_once(&self, echo: &Echo, session: usize) -> Result<(), Failure> {
        let calls = (0..AT_ONCE).map(async |call| {
            let text = echo.text(session, call);
            let answer = self.call(&echo.tool, echo.arguments(&text)).await?;
            ensure(answer.contains(&text), || format!("{text:?} is not in the answer {answer:?}"))
        });
        step(&format!("{} at once", echo.tool), try_join_all(calls)).await.map(drop)
    }

    /// A call with a progress token: everything that is told under it is there before the result.
    async fn follow(&self, progress: &Progress) -> Result<(), Failure> {
        let call = self.begin(progress.tool, progress.arguments()).await?;
        let token = call.progress_token.clone();
        finish(call).await?;
        let told = self.running.service().told(&token);
        self.tally.progress.fetch_add(told.len(), Relaxed);
        let ascends = told.is_sorted_by(|earlier, later| earlier < later);
        ensure(ascends && told.len() == progress.steps, || {
            format!("{told:?} was told before the result, and not {} steps", progress.steps)
        })
    }

    /// A call whose response the server breaks off: the client fetches the rest.
    async fn come_again(&self) -> Result<(), Failure> {
        let before = self.tally.resumed.load(Relaxed);
        self.call("test_reconnection", JsonObject::new()).await?;
        let resumed = self.tally.resumed.load(Relaxed) - before;
        ensure(resumed > 0, || "the answer came, but the response was never resumed".to_owned())
    }

    /// A call that changes the list of tools, which is told on the session's own stream.
    async fn hear_of_change(&self) -> Result<(), Failure> {
        self.call("test_trigger_tool_change", JsonObject::new()).await?;
        self.running.service().tools_changed().await;
        self.tally.announced.fetch_add(1, Relaxed);
        Ok(())
    }

    async fn call(&self, tool: &str, arguments: JsonObject) -> Result<String, Failure> {
        finish(self.begin(tool, arguments).await?).await
    }

    async fn begin(&self, tool: &str, arguments: JsonObject) -> Result<RequestHandle<RoleClient>, Failure> {
        self.tally.calls.fetch_add(1, Relaxed);
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        Ok(self.running.send_cancellable_request(request, PeerRequestOptions::no_options()).await?)
    }

    /// rmcp sends the `DELETE` before this is done.
    async fn close(self) -> Result<(), Failure> {
        step("close", self.running.cancel()).await.map(drop)
    }
}

/// The text of the answer.
async fn finish(call: RequestHandle<RoleClient>) -> Result<String, Failure> {
    let ServerResult::CallToolResult(CallToolResult { content, is_error, .. }) =
        call.await_response().await?
    else {
        return Err("the response is not one to a call of a tool".into());
    };
    let text = content.first().and_then(|content| content.as_text()).map(|text| text.text.clone());
    let text = text.ok_or("the answer is no text")?;
    ensure(is_error != Some(true), || format!("the tool failed: {text}"))?;
    Ok(text)
}

/// A step, which has its time.
async fn step<T, E: Into<Failure>>(
    name: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    within(STEP, name, work).await
}

/// Bounds what is waited for, and says of a failure where it was.
async fn within<T, E: Into<Failure>>(
    limit: Duration,
    name: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|error| format!("{name}: {}", error.into()).into()),
        Err(_) => Err(format!("{name}: not done after {} s", limit.as_secs()).into()),
    }
}

fn ensure(holds: bool, why_not: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(why_not().into()) }
}
