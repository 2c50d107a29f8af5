//! The demo over Streamable HTTP: each request is a call of its own, in a session or without one.

use std::sync::Arc;
use std::time::Duration;

use sansio_sse::mcp::Message;
use sansio_sse_adapters::{Call as Request, McpSession};
use serde_json::{Map, Value};

use super::Demo;
use super::call::{Call, Conversation, Peer};
use super::methods::respond;
use super::questions::result;

impl Peer for Request {
    async fn say(&self, message: Message) {
        // A client that left needs no more words.
        drop(self.sender().send(message).await);
    }

    async fn announce(&self, notification: Message) {
        let heard = self.endpoint().publish(&notification);
        tracing::debug!(heard, "published");
        if let Some(session) = self.session_sender() {
            // Nobody may listen there, and the call goes on all the same.
            drop(session.try_send(notification));
        }
    }

    async fn ask(&self, method: &str, params: &Value) -> Result<Value, String> {
        let response = Request::ask(self, method, params).await.map_err(|error| error.to_string())?;
        let response = serde_json::from_str(response.as_str()).map_err(|error| error.to_string())?;
        result(method, response)
    }

    fn poll_later(&self, retry: Duration) -> bool {
        Request::poll_later(self, Some(retry))
    }
}

/// Serves a session.
pub(super) async fn serve(demo: Arc<Demo>, session: McpSession) {
    let conversation = Conversation::default();
    session.serve(|request| answer(&demo, Some(&conversation), request)).await;
}

/// Answers a request; one that is cancelled is let go.
pub(super) async fn answer(demo: &Demo, session: Option<&Conversation>, request: Request) {
    let Ok(value) = serde_json::from_str::<Value>(request.message().as_str()) else { return };
    let Some(id) = request.message().id() else { return };
    let mut call = Call {
        demo,
        peer: &request,
        session,
        revision: request.revision(),
        principal: request.principal(),
        method: request.method(),
        params: &value["params"],
        mirrored: request.mirrored(),
        answers: Map::new(),
        is_sealed: false,
    };
    match request.unless_cancelled(respond(&mut call, id)).await {
        Some(Some(response)) => drop(request.respond(response).await),
        // Dropped, it is answered with an error.
        Some(None) => {}
        None => request.let_go(),
    }
}
