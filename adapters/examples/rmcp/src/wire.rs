//! [`Wire`]: messages of ours as rmcp's transport.

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use sansio_sse::mcp::{Message, MessageKind};
use sansio_sse_adapters::SessionClosed;
use tokio::sync::Mutex;

/// A stream of what a client says and a sink for what it is told, as rmcp's transport. Both sides speak JSON-RPC, and
/// each has a type of its own for it.
///
/// Of a pair of stream and sink, each mapped to its own types, rmcp makes a transport by itself. But that one can't
/// answer a request for which rmcp has no type, and whose client would wait for ever.
#[derive(Debug)]
pub struct Wire<Heard, Said> {
    heard: Heard,
    said: Arc<Mutex<Said>>,
}

impl<Heard, Said> Wire<Heard, Said>
where
    Said: Sink<Message, Error = SessionClosed> + Send + Unpin,
{
    /// A transport over a stream and a sink, which are dropped when rmcp has done.
    pub fn new(heard: Heard, said: Said) -> Wire<Heard, Said> {
        Wire { heard, said: Arc::new(Mutex::new(said)) }
    }

    fn say(&self, message: io::Result<Message>) -> impl Future<Output = io::Result<()>> + use<Heard, Said> {
        let said = Arc::clone(&self.said);
        async move { said.lock().await.send(message?).await.map_err(io::Error::other) }
    }
}

impl<Heard, Said> Transport<RoleServer> for Wire<Heard, Said>
where
    Heard: Stream<Item = Message> + Send + Unpin + 'static,
    Said: Sink<Message, Error = SessionClosed> + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let json = serde_json::to_vec(&message).map_err(io::Error::other);
        self.say(json.and_then(|json| Message::parse(&json).map_err(io::Error::other)))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let message = self.heard.next().await?;
            match serde_json::from_str(message.as_str()) {
                Ok(message) => return Some(message),
                // rmcp drops this future whenever it has something else to do: the refusal goes out by itself.
                Err(why) if message.kind() == MessageKind::Request => {
                    let refusal = message.respond_error(-32600, &why.to_string(), None);
                    tokio::spawn(self.say(refusal.map_err(io::Error::other)));
                }
                Err(why) => tracing::debug!(%why, "rmcp does not know such a message"),
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.said.lock().await.close().await.map_err(io::Error::other)
    }
}
