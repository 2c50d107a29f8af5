//! [`Peer`]: a session of either transport, as the bridge sees it.

use std::future::Future;

use sansio_sse::mcp::Message;
use sansio_sse_adapters::{MessageSender, MessageSession, Session, SessionSender};

/// A session: messages from its client, and a way to say some.
pub(crate) trait Peer: Send {
    type Sender: Say;

    fn sender(&self) -> Self::Sender;

    fn receive(&mut self) -> impl Future<Output = Option<Message>> + Send;

    /// Waits for the session's end.
    fn ended(&self) -> impl Future<Output = ()> + Send;

    /// Why it ended, once it has.
    fn reason(&self) -> Option<String>;
}

/// Says messages to a session's client.
pub(crate) trait Say: Send + Sync {
    /// `false` once the session is over.
    fn say(&self, message: Message) -> impl Future<Output = bool> + Send;

    /// There was something to say, and it makes no message.
    fn fault(&self);
}

impl Peer for Session {
    type Sender = SessionSender;

    fn sender(&self) -> SessionSender {
        Session::sender(self)
    }

    fn receive(&mut self) -> impl Future<Output = Option<Message>> + Send {
        Session::receive(self)
    }

    fn ended(&self) -> impl Future<Output = ()> + Send {
        Session::ended(self)
    }

    fn reason(&self) -> Option<String> {
        self.end().map(|end| end.to_string())
    }
}

impl Say for SessionSender {
    async fn say(&self, message: Message) -> bool {
        self.send(message).await.is_ok()
    }

    fn fault(&self) {
        SessionSender::fault(self);
    }
}

impl Peer for MessageSession {
    type Sender = MessageSender;

    fn sender(&self) -> MessageSender {
        MessageSession::sender(self)
    }

    fn receive(&mut self) -> impl Future<Output = Option<Message>> + Send {
        MessageSession::receive(self)
    }

    fn ended(&self) -> impl Future<Output = ()> + Send {
        MessageSession::ended(self)
    }

    fn reason(&self) -> Option<String> {
        self.end().map(|end| end.to_string())
    }
}

impl Say for MessageSender {
    async fn say(&self, message: Message) -> bool {
        self.send(message).await.is_ok()
    }

    /// One request may wait for ever for what was lost; no stream is at fault for it.
    fn fault(&self) {}
}
