//! [`McpSender`]: says things to a client, on the stream of a request or on a session's own.

use std::fmt::{self, Display};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Context;

use sansio_sse::Tick;
use sansio_sse::mcp::{Message, MessageError, NotSent, Outlet, SessionId, Streamable, Unfit};

use super::Endpoint;

/// Says things to a client, in one place: on the stream of the request that it is of, or on a session's own stream,
/// where they wait for a client that has none open. Clones say them in the same place.
///
/// What belongs to a request is best said there: many clients listen nowhere else.
#[derive(Clone, Debug)]
pub struct McpSender {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) outlet: Outlet,
    pub(super) session: Option<SessionId>,
}

/// Why something was not said, or not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsaid {
    /// What was given makes no message.
    NoMessage(MessageError),
    /// It can't be said there: the message is handed back.
    NotSent(NotSent),
    /// It was said, and there will be no response: the request that it was asked for, or the session, is over.
    Unanswered,
}

impl Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsaid::NoMessage(error) => error.fmt(f),
            Unsaid::NotSent(error) => error.fmt(f),
            Unsaid::Unanswered => f.write_str("nobody is there to respond any more"),
        }
    }
}

impl std::error::Error for Unsaid {}

impl From<MessageError> for Unsaid {
    fn from(error: MessageError) -> Unsaid {
        Unsaid::NoMessage(error)
    }
}

impl From<NotSent> for Unsaid {
    fn from(error: NotSent) -> Unsaid {
        Unsaid::NotSent(error)
    }
}

impl McpSender {
    /// The session, where there is one.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// Sends a notification, with the JSON text of its params; waits for room.
    ///
    /// # Errors
    /// [`Unsaid`].
    pub async fn notify(&self, method: &str, params: impl Display) -> Result<(), Unsaid> {
        let message = Message::notification(method, params)?;
        Ok(self.send(message).await?)
    }

    /// Sends a request to the client, with the JSON text of its params, and waits for the response, which may be an
    /// error. Only sessions have such requests (2026-07-28 has none).
    ///
    /// Dropped, nobody waits any more; the client is not told, which `notifications/cancelled` is for.
    ///
    /// # Errors
    /// [`Unsaid`]; [`Unsaid::Unanswered`] once the session is over, or the request on whose stream it was asked.
    pub async fn ask(&self, method: &str, params: impl Display) -> Result<Message, Unsaid> {
        let params = params.to_string();
        let Some(session) = self.session.clone() else {
            let message = Message::request(0, method, params)?;
            return Err(NotSent::Unfit { message, why: Unfit::Request }.into());
        };
        let asking = Asking { number: self.endpoint.expect(&session), endpoint: &self.endpoint, session };
        self.send(Message::request(asking.number, method, params)?).await?;
        let response =
            poll_fn(|cx| asking.endpoint.poll_response(cx, &asking.session, asking.number, &self.outlet));
        response.await.ok_or(Unsaid::Unanswered)
    }

    /// Sends a message that is a notification or a request; waits for room. Who sends a request in this way finds the
    /// response among what the session's client says.
    ///
    /// # Errors
    /// [`NotSent`] with the message; never [`NotSent::Full`].
    pub async fn send(&self, message: Message) -> Result<(), NotSent> {
        let mut message = Some(message);
        poll_fn(|cx: &mut Context<'_>| {
            self.endpoint.poll_say(cx, &self.outlet, &mut message, |machine, now, message| {
                say(machine, now, &self.outlet, message)
            })
        })
        .await
    }

    /// Sends a message that is a notification or a request, if there is room for it.
    ///
    /// # Errors
    /// [`NotSent`] with the message.
    pub fn try_send(&self, message: Message) -> Result<(), NotSent> {
        self.endpoint.with(|machine, now| say(machine, now, &self.outlet, message))
    }
}

pub(super) fn say(
    machine: &mut Streamable,
    now: Tick,
    outlet: &Outlet,
    message: Message,
) -> Result<(), NotSent> {
    match outlet {
        Outlet::Call(call) => machine.send_for(now, *call, message),
        Outlet::Session(session) => machine.send(now, session, message),
    }
}

/// Somebody waits for a response.
struct Asking<'a> {
    endpoint: &'a Endpoint,
    session: SessionId,
    number: u64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.endpoint.expect_no_more(&self.session, self.number);
    }
}
