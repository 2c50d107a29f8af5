//! [`Application`]: what a user's program is in a simulation, and [`Outbox`]: how it speaks.

use alloc::vec::Vec;

use crate::mcp::{Message, SessionEnd, SessionId};
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
}

impl Outbox {
    /// Sends a message in a session. Where there is no room it waits, and the session's own messages with it.
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
    /// When it wants to be told the time.
    fn deadline(&self) -> Option<Tick> {
        None
    }
    /// Time has come to `now`.
    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        let _ = (now, out);
    }
}
