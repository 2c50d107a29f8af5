//! The demo over HTTP+SSE (2024-11-05): everything of a session goes over its one stream.

use std::collections::HashMap;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use sansio_sse::mcp::{Message, MessageKind, Principal, Revision};
use sansio_sse_adapters::{Session, SessionSender};
use serde_json::{Map, Value};

use super::Demo;
use super::call::{Call, Conversation, Peer};
use super::methods::{refuse, respond};
use super::questions::Questions;

/// The revisions whose `initialize` is answered as asked.
const REVISIONS: [Revision; 4] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25];

/// Calls that may run at once in a session; more wait in the session's queue.
const MAX_CALLS: usize = 64;

/// What a session waits for.
enum Next {
    /// A call is over, by its id.
    Done(String),
    Message(Option<Message>),
}

/// The client of a session.
struct Client {
    sender: SessionSender,
    questions: Questions,
}

impl Peer for Client {
    async fn say(&self, message: Message) {
        // After the session's end there is nobody left to tell.
        drop(self.sender.send(message).await);
    }

    async fn announce(&self, notification: Message) {
        self.say(notification).await;
    }

    async fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        self.questions.ask(self, method, params).await
    }

    fn poll_later(&self, _: Duration) -> bool {
        false
    }
}

/// Serves a session: calls run side by side, and each answer goes out when it is there.
pub(super) async fn serve(demo: &Demo, mut session: Session) {
    let client = Client { sender: session.sender(), questions: Questions::default() };
    let conversation = Conversation::default();
    let mut calls = FuturesUnordered::new();
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(Some(done)) = calls.poll_next_unpin(cx) {
                return Poll::Ready(Next::Done(done));
            }
            // At the limit, too, what comes is heard where calls wait for an answer that is in it.
            if calls.len() >= MAX_CALLS && !client.questions.are_open() {
                return Poll::Pending;
            }
            session.poll_next_unpin(cx).map(Next::Message)
        });
        let message = match next.await {
            Next::Message(Some(message)) => message,
            Next::Message(None) => return,
            Next::Done(id) => {
                running.remove(&id);
                continue;
            }
        };
        match (message.kind(), message.id(), message.method()) {
            (MessageKind::Request, Some(id), Some(_)) if calls.len() >= MAX_CALLS => {
                if let Some(refusal) = refuse(id) {
                    client.say(refusal).await;
                }
            }
            (MessageKind::Request, Some(id), Some(_)) => {
                let (abort, registration) = AbortHandle::new_pair();
                let id = id.to_owned();
                running.insert(id.clone(), abort);
                let (client, conversation) = (&client, &conversation);
                calls.push(async move {
                    // A call that was cancelled is not answered.
                    let _ = Abortable::new(answer(demo, client, conversation, &message), registration).await;
                    id
                });
            }
            (MessageKind::Notification, _, Some("notifications/cancelled")) => {
                let params = serde_json::from_str::<Value>(message.as_str()).unwrap_or_default();
                if let Some(abort) = running.get(&params["params"]["requestId"].to_string()) {
                    abort.abort();
                }
            }
            (MessageKind::Response, ..) => client.questions.handle_response(&message),
            _ => {}
        }
    }
}

async fn answer(demo: &Demo, client: &Client, conversation: &Conversation, request: &Message) {
    let Ok(value) = serde_json::from_str::<Value>(request.as_str()) else { return };
    let (Some(id), Some(method)) = (request.id(), request.method()) else { return };
    let asked = value["params"]["protocolVersion"].as_str().and_then(|asked| asked.parse().ok());
    let revision = asked.filter(|asked| REVISIONS.contains(asked)).unwrap_or(Revision::V2024_11_05);
    let mut call = Call {
        demo,
        peer: client,
        session: Some(conversation),
        revision,
        principal: &Principal::anonymous(),
        method,
        params: &value["params"],
        mirrored: &[],
        answers: Map::new(),
        is_sealed: false,
    };
    match respond(&mut call, id).await {
        Some(response) => client.say(response).await,
        None => client.sender.fault(),
    }
}
