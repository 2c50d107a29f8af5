//! [`Questions`]: what the server has asked the client of an HTTP+SSE session, until it answers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use sansio_sse::mcp::Message;
use serde_json::{Value, json};

use super::call::{Peer, message};

/// How long a client, and whoever sits in front of it, may think.
const PATIENCE: Duration = Duration::from_secs(300);

/// What is open in one session.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    last: u64,
    /// By their ids as they stand in messages.
    waiting: HashMap<String, oneshot::Sender<Value>>,
}

/// Forgets a question that nobody waits for any more.
struct Forget<'a>(&'a Questions, String);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.open().waiting.remove(&self.1);
    }
}

impl Questions {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is asked that has no answer yet.
    pub(super) fn are_open(&self) -> bool {
        !self.open().waiting.is_empty()
    }

    /// Asks, and waits for the result; or says why there is none.
    pub(super) async fn ask(&self, peer: &impl Peer, method: &str, params: &Value) -> Result<Value, String> {
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut open = self.open();
            open.last += 1;
            let id = json!(format!("demo-{}", open.last));
            open.waiting.insert(id.to_string(), answer);
            id
        };
        let _forget = Forget(self, id.to_string());
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let request = message(&request).ok_or("the question could not be made")?;
        peer.say(request).await;
        match select(answered, Timer::after(PATIENCE)).await {
            Either::Left((Ok(response), _)) => result(method, response),
            Either::Left((Err(_), _)) | Either::Right(_) => Err(format!("no answer to {method}")),
        }
    }

    /// A response came from the client. One that nobody waits for means nothing.
    pub(super) fn handle_response(&self, response: &Message) {
        let asked = response.id().and_then(|id| self.open().waiting.remove(id));
        if let (Some(asked), Ok(value)) = (asked, serde_json::from_str(response.as_str())) {
            // Whoever asked may have given up.
            let _ = asked.send(value);
        }
    }
}

/// The result in a response; or the error in it, in words.
pub(super) fn result(method: &str, mut response: Value) -> Result<Value, String> {
    match response.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(format!("the client answered {method} with {}", response["error"])),
    }
}
