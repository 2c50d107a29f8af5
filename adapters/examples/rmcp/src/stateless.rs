//! Requests without a session: each is a session of its own to rmcp.

use std::future::{pending, ready};

use futures_util::{Sink, StreamExt, sink, stream};
use rmcp::ServiceExt;
use sansio_sse::mcp::{Message, MessageKind};
use sansio_sse_adapters::{Call, McpSender, SessionClosed};
use tokio::sync::oneshot;

use crate::{Tools, Wire};

/// Runs the tools for one request. What still runs when nobody wants a response any more, rmcp cancels.
pub(crate) async fn answer(call: Call) {
    let (respond, response) = oneshot::channel();
    let heard = stream::once(ready(call.message().clone())).chain(stream::pending());
    let wire = Wire::new(heard, Box::pin(said_of_one(call.sender(), respond)));
    let running = async {
        let _running = Tools.serve(wire).await;
        pending::<()>().await;
    };
    let response = call.unless_cancelled(async {
        tokio::select! {
            response = response => response.ok(),
            () = running => None,
        }
    });
    match response.await {
        Some(Some(response)) => drop(call.respond(response).await),
        // Dropped, it is answered with an error.
        Some(None) => {}
        None => call.let_go(),
    }
}

/// What is told to a client that waits for one response: that one is given back, all else is sent in front of it.
fn said_of_one(
    client: McpSender,
    respond: oneshot::Sender<Message>,
) -> impl Sink<Message, Error = SessionClosed> + Send {
    sink::unfold((client, Some(respond)), |(client, mut respond), message: Message| async {
        match respond.take_if(|_| message.kind() == MessageKind::Response) {
            Some(respond) => drop(respond.send(message)),
            None => drop(client.send(message).await), // Who is gone needs nothing.
        }
        Ok((client, respond))
    })
}
