//! What belongs to what: responses to the requests of the server, and an application's messages to the requests of
//! its client.

use alloc::vec::Vec;

use super::{AnswerMode, Call, CallId, NotSent, Outlet, Streamable, StreamableEvent};
use crate::Tick;
use crate::mcp::{Message, MessageKind, SessionId};

/// What is news of the server, whichever request happens to be open.
const NEWS: [&str; 4] = [
    "notifications/tools/list_changed",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
];

impl Streamable {
    /// Somebody waits for the response to a request of the server, of this id as it stands in it: an event tells of
    /// the response, and it is not among what is [taken](Self::take). Said before the request is, it misses none.
    pub fn expect(&mut self, session: &SessionId, id: &str) {
        if let Some(session) = self.sessions.get_mut(session).filter(|session| session.is_alive()) {
            session.expected.insert(id.into());
        }
    }

    /// Nobody waits for that response any more.
    pub fn expect_no_more(&mut self, session: &SessionId, id: &str) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.expected.remove(id);
        }
    }

    /// Whether a request is worked on and its client has not asked to cancel it.
    #[must_use]
    pub fn is_wanted(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|call| !call.is_unwanted)
    }

    /// Where a message goes of an application that speaks in messages alone, as servers over pipes do; `None` where
    /// nobody waits for it.
    ///
    /// A response goes to its request, by its id; progress to the request whose token it names; what is
    /// news of the server to the session. Whatever else there is most likely belongs to the request that is being
    /// worked on, and goes to its stream if that is one only, since many clients listen there and nowhere else;
    /// between several nothing tells, and it goes to the session's own stream.
    #[must_use]
    pub fn outlet(&self, session: &SessionId, message: &Message) -> Option<Outlet> {
        let found = self.sessions.get(session).filter(|session| session.is_alive())?;
        let open = || {
            let calls = found.calls.iter().filter_map(|id| Some((*id, self.calls.get(id)?)));
            calls.filter(|(_, call)| call.is_taken)
        };
        if message.kind() == MessageKind::Response {
            return open()
                .find(|(_, call)| call.request.id() == message.id())
                .map(|(id, _)| Outlet::Call(id));
        }
        let token = message.params(["progressToken"]).ok().and_then(|[token]| token);
        let mut related = open().filter(|(_, call)| match token {
            Some(token) => call.request.meta(["progressToken"]).is_ok_and(|[asked]| asked == Some(token)),
            None => true,
        });
        let is_news = message.method().is_some_and(|method| NEWS.contains(&method));
        let only = related.next().filter(|_| !is_news && related.next().is_none());
        let outlet = only.filter(|(_, call)| self.can_speak(call)).map(|(id, _)| Outlet::Call(id));
        outlet.or_else(|| Some(Outlet::Session(session.clone())))
    }

    /// Says a message of such an application where it [goes](Self::outlet).
    ///
    /// # Errors
    /// [`NotSent`] with the message; [`NotSent::Gone`] for a response that nobody waits for.
    pub fn relay(&mut self, now: Tick, session: &SessionId, message: Message) -> Result<(), NotSent> {
        let outlet = self.outlet(session, &message);
        self.say(now, outlet.as_ref(), message)
    }

    fn say(&mut self, now: Tick, outlet: Option<&Outlet>, message: Message) -> Result<(), NotSent> {
        match (outlet, message.kind()) {
            (Some(Outlet::Call(call)), MessageKind::Response) => self.respond(now, *call, message),
            (Some(Outlet::Call(call)), _) => self.send_for(now, *call, message),
            (Some(Outlet::Session(session)), _) => self.send(now, session, message),
            (None, _) => Err(NotSent::Gone(message)),
        }
    }

    /// The same for an application that says nothing else while it waits for room: what finds none where nobody reads
    /// is dropped and given back, lest it wait for a client that may never come. A request whose response is dropped
    /// [ends](Self::let_go) without one.
    ///
    /// # Errors
    /// As [`relay`](Self::relay).
    pub fn relay_or_drop(
        &mut self,
        now: Tick,
        session: &SessionId,
        message: Message,
    ) -> Result<Option<Message>, NotSent> {
        let outlet = self.outlet(session, &message);
        match (self.say(now, outlet.as_ref(), message), outlet) {
            (Err(NotSent::Full(dropped)), Some(outlet)) if !self.is_heard(&outlet) => {
                if let (MessageKind::Response, Outlet::Call(call)) = (dropped.kind(), outlet) {
                    self.let_go(now, call);
                }
                Ok(Some(dropped))
            }
            (said, _) => said.map(|()| None),
        }
    }

    /// Such an application has learnt that a request is cancelled. As a server over a pipe it sends no response then,
    /// and cannot say that it won't: the request [ends](Self::let_go) here. Not `initialize`, which can't be cancelled
    /// (2025-11-25, Cancellation), and whose session would end with it.
    pub fn relay_cancelled(&mut self, now: Tick, call: CallId) {
        if self.request(call).is_some_and(|request| request.method() != Some("initialize")) {
            self.let_go(now, call);
        }
    }

    /// Whether a response is there that somebody may read what is said there from. While there is none, what is said
    /// waits, as far as there is room.
    #[must_use]
    pub fn is_heard(&self, outlet: &Outlet) -> bool {
        let channel = match outlet {
            Outlet::Call(call) => self.calls.get(call).map(|call| call.channel),
            Outlet::Session(session) => self.sessions.get(session).map(|session| session.own),
        };
        channel.and_then(|channel| self.channels.get(&channel)).is_some_and(|found| found.attached.is_some())
    }

    /// Whether there is a stream for what belongs to a request, or may be one.
    fn can_speak(&self, call: &Call) -> bool {
        let channel = self.channels.get(&call.channel);
        self.config.answers != AnswerMode::Json
            && channel.is_some_and(|channel| !channel.is_held() || channel.attached.is_some())
    }

    /// Parts responses that somebody waits for from all else.
    pub(super) fn split_expected<'a>(
        &self,
        session: Option<&SessionId>,
        messages: &'a [Message],
    ) -> (Vec<Message>, Vec<&'a Message>) {
        let expected = session.and_then(|id| self.sessions.get(id)).map(|session| &session.expected);
        let is_expected = |message: &Message| {
            let id = message.id().filter(|_| message.kind() == MessageKind::Response);
            id.is_some_and(|id| expected.is_some_and(|expected| expected.contains(id)))
        };
        let (expected, others): (Vec<&Message>, _) =
            messages.iter().partition(|message| is_expected(message));
        (expected.into_iter().cloned().collect(), others)
    }

    pub(super) fn tell_responses(&mut self, session: Option<&SessionId>, responses: Vec<Message>) {
        let Some(id) = session else { return };
        for response in responses {
            let expected = self.sessions.get_mut(id).map(|session| &mut session.expected);
            // A second response to the same request is for nobody.
            if expected.is_some_and(|expected| expected.remove(response.id().unwrap_or_default())) {
                self.tell(StreamableEvent::Responded { session: id.clone(), response });
            }
        }
    }

    pub(super) fn unwant(&mut self, call: CallId) {
        if let Some(found) = self.calls.get_mut(&call)
            && !core::mem::replace(&mut found.is_unwanted, true)
        {
            self.tell(StreamableEvent::Unwanted(call));
        }
    }
}
