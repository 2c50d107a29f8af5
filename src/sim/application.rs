//! [`Application`]: what a user's program is in a simulation, and [`Outbox`]: how it speaks.

use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use crate::mcp::{CallId, Incoming, Message, SessionEnd, SessionId, StreamableEnd};
use crate::{Frame, Tick};

/// What an application says, in the order in which it says it.
#[derive(Debug, Default)]
pub struct Outbox(pub(super) Vec<Output>);

/// One thing that it says.
#[derive(Debug)]
pub(super) enum Output {
    Send(SessionId, Message),
    Fail(SessionId),
    Finish(SessionId),
    Abort(SessionId),
    Publish(Frame),
    Respond(CallId, Message),
    SendFor(CallId, Message),
    PollLater(CallId, Option<Duration>),
    LetGo(CallId),
    Notify(Message),
}

impl Outbox {
    /// Sends a message in a session. Where there is no room it waits, and the session's own messages with it. In a
    /// session of `/mcp` it goes where [`Streamable::outlet`](crate::mcp::Streamable::outlet) says.
    pub fn send(&mut self, session: &SessionId, message: Message) {
        self.0.push(Output::Send(session.clone(), message));
    }

    /// A message that could not be made.
    pub fn fail(&mut self, session: &SessionId) {
        self.0.push(Output::Fail(session.clone()));
    }

    /// Ends a session once all is said.
    pub fn finish(&mut self, session: &SessionId) {
        self.0.push(Output::Finish(session.clone()));
    }

    /// Ends a session's stream at once.
    pub fn abort(&mut self, session: &SessionId) {
        self.0.push(Output::Abort(session.clone()));
    }

    /// Sends a frame to everybody on `/events`.
    pub fn publish(&mut self, frame: Frame) {
        self.0.push(Output::Publish(frame));
    }

    /// Answers a request that came to `/mcp`, behind all that was said for it.
    pub fn respond(&mut self, call: CallId, response: Message) {
        self.0.push(Output::Respond(call, response));
    }

    /// Says something on the stream of a request that came to `/mcp`. Where there is no room it waits.
    pub fn send_for(&mut self, call: CallId, message: Message) {
        self.0.push(Output::SendFor(call, message));
    }

    /// Lets the client of a request come again for the rest: see
    /// [`Streamable::poll_later`](crate::mcp::Streamable::poll_later).
    pub fn poll_later(&mut self, call: CallId, retry: Option<Duration>) {
        self.0.push(Output::PollLater(call, retry));
    }

    /// Lets a request go without a response.
    pub fn let_go(&mut self, call: CallId) {
        self.0.push(Output::LetGo(call));
    }

    /// Says a notification to every subscription at `/mcp` that wants it.
    pub fn notify(&mut self, notification: Message) {
        self.0.push(Output::Notify(notification));
    }
}

/// What a server is for: a user's own program, with no socket and no clock in it.
pub trait Application {
    /// A session was opened.
    fn handle_opened(&mut self, now: Tick, session: &SessionId, out: &mut Outbox) {
        let _ = (now, session, out);
    }
    /// A client sent a message in it.
    fn handle_message(&mut self, now: Tick, session: &SessionId, message: &Message, out: &mut Outbox);
    /// It is over.
    fn handle_ended(&mut self, now: Tick, session: &SessionId, end: &SessionEnd) {
        let _ = (now, session, end);
    }
    /// A client said something at `/mcp`.
    ///
    /// What is not told here is as in a session of HTTP+SSE: `initialize` is answered with the revision that the
    /// client asked for, other messages of sessions are [handled](Self::handle_message) as such, and requests without
    /// a session are refused.
    fn handle_incoming(&mut self, now: Tick, incoming: &Incoming, out: &mut Outbox) {
        let answer = match (&incoming.session, incoming.call) {
            (Some(_), Some(_)) if incoming.message.method() == Some("initialize") => {
                let agreed = format!(r#"{{"protocolVersion":"{}"}}"#, incoming.revision);
                incoming.message.respond(agreed)
            }
            (Some(session), _) => return self.handle_message(now, session, &incoming.message, out),
            (None, _) => incoming.message.respond_error(-32601, "no such method", None),
        };
        if let (Some(call), Ok(answer)) = (incoming.call, answer) {
            out.respond(call, answer);
        }
    }
    /// A client responded to a request that was sent in a session of `/mcp`.
    fn handle_responded(&mut self, now: Tick, session: &SessionId, response: &Message, out: &mut Outbox) {
        let _ = (now, session, response, out);
    }
    /// Nobody wants the response to a request any more. Where the client only asked for that, it can still be given;
    /// what is not told here lets go of it.
    fn handle_unwanted(&mut self, now: Tick, call: CallId, out: &mut Outbox) {
        let _ = now;
        out.let_go(call);
    }
    /// A session of `/mcp` is over.
    fn handle_mcp_ended(&mut self, now: Tick, session: &SessionId, end: StreamableEnd) {
        let _ = (now, session, end);
    }
    /// When it wants to be told the time.
    fn deadline(&self) -> Option<Tick> {
        None
    }
    /// Time has come to `now`.
    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        let _ = (now, out);
    }
}
