//! [`Shared`]: one child process for all clients that have no session (2026-07-28), as far as a server of an earlier
//! revision can serve them.
//!
//! The bridge initializes the child itself, as a client that can do nothing: so the child has no reason to ask
//! anything. Requests get numbers of their own, since the ids of different clients collide, and so do the tokens of
//! their progress. What a server keeps for its client between requests is then shared by all of them: who can't have
//! that switches this off.

mod translate;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use async_process::{Child, ChildStdin};
use futures_channel::oneshot;
use futures_util::AsyncWriteExt;
use futures_util::future::{Either, select};
use sansio_sse::mcp::{Message, MessageKind, Offer, Revision, Revisions};
use sansio_sse_adapters::{Call, McpEndpoint, McpSender};
use smol::channel::{Receiver, Sender, bounded};
use tracing::{info, warn};

use self::translate::{discovered, request_for, response_to};
use crate::bridge::{Bridge, Group, LOG_LINE, end, from_child, pass_log};
use crate::lines::Lines;
use crate::peer::Say;

/// How long the child may take to be initialized.
const INITIALIZE_WITHIN: Duration = Duration::from_secs(30);

/// Lines that wait for the child.
const LINES: usize = 64;

/// What can be subscribed to: resources one by one would need the child to keep who wants which.
pub(crate) const OFFER: Offer =
    Offer { tools: true, prompts: true, resources: true, resource_updates: false };

/// The methods that mean the same in both eras. All others need a session, or a client that can be asked.
const BRIDGED: [&str; 9] = [
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
];

/// The child, if it is there, and how to start it.
pub(crate) struct Shared {
    bridge: Arc<Bridge>,
    revisions: Revisions,
    child: smol::lock::Mutex<Option<Present>>,
}

/// A child, and what runs it: dropped, that kills it.
struct Present {
    child: Arc<Running>,
    task: smol::Task<()>,
}

/// A child that is initialized, or about to be.
struct Running {
    lines: Sender<String>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    number: AtomicU64,
    /// What it said to `initialize`.
    initialized: Mutex<Option<Message>>,
    endpoint: McpEndpoint,
}

/// A request that the child works on.
struct Waiting {
    told: oneshot::Sender<Message>,
    /// Where progress goes, and the token that its client knows it by.
    progress: Option<(McpSender, String)>,
}

impl Shared {
    pub(crate) fn new(bridge: Arc<Bridge>, revisions: Revisions) -> Shared {
        Shared { bridge, revisions, child: smol::lock::Mutex::new(None) }
    }

    /// Answers a request without a session.
    pub(crate) async fn answer(&self, call: Call) {
        let method = call.method().to_owned();
        // Whether somebody is still there to hear it matters to nobody here.
        let _ = if !BRIDGED.contains(&method.as_str()) {
            let why = "the server behind this bridge is of an earlier revision: this needs a session";
            call.error(-32601, why).await
        } else {
            match self.child(&call.endpoint()).await {
                Ok(child) if method == "server/discover" => match child.discovered(self.revisions) {
                    Some(result) => call.result(result).await,
                    None => call.error(-32603, "the server said nothing of itself that can be read").await,
                },
                Ok(child) => return child.serve(call).await,
                Err(why) => call.error(-32603, &why).await,
            }
        };
    }

    /// The child; started and initialized, if it is not there.
    async fn child(&self, endpoint: &McpEndpoint) -> Result<Arc<Running>, String> {
        let mut present = self.child.lock().await;
        if let Some(Present { child, .. }) = present.as_ref().filter(|present| present.child.is_there()) {
            return Ok(Arc::clone(child));
        }
        // What is left of an older one is killed.
        *present = None;
        let process = self.bridge.spawn().map_err(|error| {
            warn!(program = %self.bridge.program.display(), %error, "the command does not start");
            "the server does not start".to_owned()
        })?;
        info!(pid = process.id(), "child started, for clients without a session");
        let (lines, to_child) = bounded(LINES);
        let child = Arc::new(Running {
            lines,
            waiting: Mutex::default(),
            number: AtomicU64::new(0),
            initialized: Mutex::default(),
            endpoint: endpoint.clone(),
        });
        let dispatch = Dispatch(Arc::clone(&child));
        let task = smol::spawn(run(process, self.bridge.max_line_bytes, dispatch, to_child));
        *present = Some(Present { child: Arc::clone(&child), task });
        child.initialize().await.inspect_err(|why| {
            warn!(why, "no child for clients without a session");
            *present = None;
        })?;
        Ok(child)
    }

    /// Ends the child in good order, and waits for it.
    pub(crate) async fn end(&self) {
        if let Some(Present { child, task }) = self.child.lock().await.take() {
            child.lines.close();
            task.await;
        }
    }

    /// Kills the child.
    pub(crate) async fn kill(&self) {
        if let Some(Present { task, .. }) = self.child.lock().await.take() {
            task.cancel().await;
        }
    }
}

impl Running {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn initialized(&self) -> MutexGuard<'_, Option<Message>> {
        self.initialized.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is initialized and has not ended.
    fn is_there(&self) -> bool {
        !self.lines.is_closed() && self.initialized().is_some()
    }

    fn discovered(&self, revisions: Revisions) -> Option<String> {
        let initialized = self.initialized().clone();
        discovered(&initialized?, revisions)
    }

    async fn initialize(&self) -> Result<(), String> {
        let number = self.next();
        let (told, response) = oneshot::channel();
        self.waiting().insert(number, Waiting { told, progress: None });
        let version = env!("CARGO_PKG_VERSION");
        let params = format!(
            r#"{{"protocolVersion":"{}","capabilities":{{}},"clientInfo":{{"name":"mcp-sse","version":"{version}"}}}}"#,
            Revision::V2025_11_25
        );
        let request = Message::request(number, "initialize", params).map_err(|error| error.to_string())?;
        let ended = "the server ended before it was initialized".to_owned();
        self.lines.send(request.to_string()).await.map_err(|_| ended.clone())?;
        let response = match select(response, Timer::after(INITIALIZE_WITHIN)).await {
            Either::Left((response, _)) => response.map_err(|_| ended.clone())?,
            Either::Right(_) => return Err("the server was not initialized in time".to_owned()),
        };
        if discovered(&response, Revisions::none()).is_none() {
            return Err("the server refused to be initialized".to_owned());
        }
        *self.initialized() = Some(response);
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.lines.send(initialized.to_owned()).await.map_err(|_| ended)
    }

    /// Lets the child answer a request.
    async fn serve(&self, call: Call) {
        let number = self.next();
        let Some((request, token)) = request_for(number, call.message()) else {
            let _ = call.error(-32602, "params can't be read").await;
            return;
        };
        let (told, response) = oneshot::channel();
        let progress = token.map(|token| (call.sender(), token));
        self.waiting().insert(number, Waiting { told, progress });
        let answered = async {
            self.lines.send(request).await.ok()?;
            response.await.ok()
        };
        let answered = call.unless_cancelled(answered).await;
        let was_waiting = self.waiting().remove(&number).is_some();
        let _ = match answered {
            Some(Some(response)) => match response_to(call.message(), &response) {
                Some(response) => call.respond(response).await.map_err(Into::into),
                None => call.error(-32603, "the server's response can't be read").await,
            },
            Some(None) => call.error(-32603, "the server has ended").await,
            None => {
                if was_waiting {
                    let params = format!(r#"{{"requestId":{number}}}"#);
                    let cancelled = Message::notification("notifications/cancelled", params);
                    if let Ok(cancelled) = cancelled {
                        let _ = self.lines.send(cancelled.to_string()).await;
                    }
                }
                call.let_go();
                Ok(())
            }
        };
    }
}

/// Brings what the child says to whom it concerns.
struct Dispatch(Arc<Running>);

impl Say for Dispatch {
    async fn say(&self, message: Message) -> bool {
        let Dispatch(child) = self;
        let number = message.id().and_then(|id| id.parse::<u64>().ok());
        match (message.kind(), message.method()) {
            (MessageKind::Response, _) => {
                let waiting = number.and_then(|number| child.waiting().remove(&number));
                match waiting {
                    // Who waited may have left.
                    Some(waiting) => drop(waiting.told.send(message)),
                    None => tracing::debug!("a response that nobody waits for"),
                }
            }
            (MessageKind::Request, method) => {
                // It was told that its client can do nothing.
                let answer = match method {
                    Some("ping") => message.respond("{}"),
                    _ => message.respond_error(-32601, "the clients of this server can't be asked", None),
                };
                if let Ok(answer) = answer {
                    return child.lines.send(answer.to_string()).await.is_ok();
                }
            }
            (MessageKind::Notification, Some("notifications/progress")) => {
                let progress = translate::progress(&message, |number| {
                    let waiting = child.waiting();
                    waiting.get(&number).and_then(|waiting| waiting.progress.clone())
                });
                if let Some((sender, progress)) = progress {
                    // Progress that finds no room is soon followed by newer.
                    let _ = sender.try_send(progress);
                }
            }
            (MessageKind::Notification, Some(method)) if method.ends_with("/list_changed") => {
                let heard = child.endpoint.publish(&message);
                tracing::debug!(method, heard, "published");
            }
            // Logs and the like: whose request they belong to nobody knows.
            (MessageKind::Notification, method) => tracing::debug!(method, "said to nobody"),
        }
        true
    }

    fn fault(&self) {}
}

/// Runs the child to its end.
async fn run(mut process: Child, max_line_bytes: usize, dispatch: Dispatch, lines: Receiver<String>) {
    let group = Group::of(&process);
    let pid = process.id();
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (process.stdin.take(), process.stdout.take(), process.stderr.take())
    else {
        return; // Not reached: all three are pipes.
    };
    let mut log = pin!(pass_log(Lines::new(stderr, LOG_LINE)));
    {
        let from_child = pin!(from_child(Lines::new(stdout, max_line_bytes), &dispatch));
        let to_child = pin!(to_child(stdin, &lines));
        match select(select(from_child, to_child), log.as_mut()).await {
            Either::Left(_) => {}
            Either::Right((never, _)) => match never {},
        }
    }
    lines.close();
    // Who still waits is told that there is no answer.
    dispatch.0.waiting().clear();
    let status = match select(pin!(end(&mut process, &group)), log).await {
        Either::Left((status, _)) => status,
        Either::Right((never, _)) => match never {},
    };
    match status {
        Ok(status) => info!(pid, %status, "the child for clients without a session has ended"),
        Err(error) => warn!(pid, %error, "the child's end is not known"),
    }
}

async fn to_child(mut stdin: ChildStdin, lines: &Receiver<String>) {
    while let Ok(line) = lines.recv().await {
        if let Err(error) = stdin.write_all(format!("{line}\n").as_bytes()).await {
            warn!(%error, "the child reads no more");
            return;
        }
    }
}
