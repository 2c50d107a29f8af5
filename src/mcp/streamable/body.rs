//! What a POST's body decides: which revision it is of, whether it may be said, and where it goes.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::answer::{Exchange, State, frame_of};
use super::channel::{Phase, Purpose};
use super::head::Post;
use super::inbox::Placed;
use super::refusal::{
    INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, busy, invalid, no_session, refuse, version,
};
use super::subscription::LISTEN;
use super::timers::Due;
use super::{Call, CallId, ExchangeId, Filter, Incoming, Streamable, StreamableEvent, mirror};
use crate::Tick;
use crate::http1::Response;
use crate::mcp::message::members::string;
use crate::mcp::{Body, BodyFacts, Message, MessageKind, Revision, SessionId, VersionFacts};

/// What to do with a POST, seen from its body.
#[derive(Debug)]
#[must_use]
pub enum BodyDecision {
    /// Answer with this, and nothing else.
    Answer(Response),
    /// Wait: an event tells when the answer can be [had](Streamable::answer). If the client goes away before, tell
    /// of it by [`Streamable::handle_gone`].
    Exchange(ExchangeId),
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

impl Streamable {
    /// A POST's body is there. `random` comes from the operating system's generator; it becomes the id of a session
    /// and its streams where the body opens one, and means nothing where it does not.
    pub fn handle_body(&mut self, now: Tick, post: Post, body: &[u8], random: [u8; 24]) -> BodyDecision {
        self.clock(now);
        let reply = post.reply.clone();
        self.post(post, body, random).unwrap_or_else(|answer| BodyDecision::Answer(reply.finish(answer)))
    }

    fn post(&mut self, post: Post, body: &[u8], random: [u8; 24]) -> Result<BodyDecision, Response> {
        let body = Body::parse(body, self.config.limits.max_batch.get());
        let body = body.map_err(|error| refuse(400, None, error.code(), &error.to_string(), None))?;
        // It may have ended while the body came.
        if post
            .session
            .as_ref()
            .is_some_and(|id| !self.sessions.get(id).is_some_and(super::Session::is_alive))
        {
            return Err(no_session());
        }
        let only = match &body {
            Body::One(message) => Some(message),
            Body::Batch(_) => None,
        };
        let id = only.and_then(request_id);
        let revision = self.revision_of(&post, only, id)?;
        if body.is_batch() && !revision.rules().batches {
            return Err(refuse(
                400,
                None,
                INVALID_REQUEST,
                "one message a POST: batches are of 2025-03-26",
                None,
            ));
        }
        if let (true, Some(message)) = (revision.is_stateless(), only) {
            return self.post_stateless(post, revision, message);
        }
        let is_initialize =
            |message: &&Message| message.method() == Some("initialize") && request_id(message).is_some();
        let opens = only.filter(is_initialize).is_some();
        let session = match (opens, &post.session) {
            (true, Some(_)) => {
                return Err(refuse(400, id, INVALID_REQUEST, "the session is initialized", None));
            }
            (true, None) if self.is_finishing => return Err(busy(id, "the server is stopping")),
            (true, None) => self.open_session(post.principal.clone(), revision, random)?,
            (false, None) => {
                let why = "the Mcp-Session-Id header is missing";
                return Err(refuse(400, id, INVALID_REQUEST, why, None));
            }
            (false, Some(_)) if body.messages().iter().any(|message| is_initialize(&message)) => {
                return Err(invalid("initialize is no part of a batch"));
            }
            (false, Some(id)) => id.clone(),
        };
        let is_response = |message: &Message| message.kind() == MessageKind::Response;
        if body.messages().iter().any(is_response) && !body.messages().iter().all(is_response) {
            return Err(invalid("a batch is of responses, or of requests and notifications"));
        }
        self.touch(&session);
        let decision = self.place(post, revision, Some(session.clone()), body);
        if opens && let Ok(BodyDecision::Exchange(exchange)) = &decision {
            // The answer tells of the session.
            let call = self.sessions.get(&session).and_then(|session| session.calls.first().copied());
            if let Some(opened) = self.sessions.get_mut(&session) {
                opened.opening = call;
            }
            if let Some(exchange) = self.exchanges.get_mut(exchange) {
                exchange.reply.session = Some(session);
            }
        }
        decision
    }

    fn revision_of(
        &self,
        post: &Post,
        only: Option<&Message>,
        id: Option<&str>,
    ) -> Result<Revision, Response> {
        let unclear =
            |_| refuse(400, id, INVALID_PARAMS, "a member of params is unclear, or comes twice", None);
        let (meta, proposed) = match only.filter(|message| request_id(message).is_some()) {
            Some(request) => {
                let [meta] = request.meta([VERSION]).map_err(unclear)?;
                let [proposed] = request.params(["protocolVersion"]).map_err(unclear)?;
                (meta.and_then(string), proposed.and_then(string))
            }
            None => (None, None),
        };
        let (meta, proposed) = (meta.as_deref(), proposed.as_deref());
        let body = match only {
            Some(request) if id.is_some() && request.method() == Some("initialize") => {
                BodyFacts::Initialize { proposed, meta }
            }
            Some(_) if id.is_some() => BodyFacts::Request { meta },
            Some(_) | None => BodyFacts::Other,
        };
        let session = post.session.as_ref().and_then(|id| self.sessions.get(id)?.revision);
        let spoken = self.config.revisions;
        let facts = VersionFacts { header: post.version.as_deref(), body, session };
        facts.decide(spoken).map_err(|error| version(id, &error, spoken))
    }

    /// A request or notification without a session.
    fn post_stateless(
        &mut self,
        post: Post,
        revision: Revision,
        message: &Message,
    ) -> Result<BodyDecision, Response> {
        let Some(id) = request_id(message) else {
            if message.kind() == MessageKind::Response {
                return Err(invalid("this revision has no requests of the server to respond to"));
            }
            return self.place(post, revision, None, message.clone().into());
        };
        post.mirror.check(message).map_err(|(code, why)| refuse(400, Some(id), code, why, None))?;
        if message.method().is_some_and(|method| revision.rules().removed.contains(&method)) {
            let why = "this method is of an earlier revision";
            return Err(refuse(404, Some(id), METHOD_NOT_FOUND, why, None));
        }
        let offer = self.config.subscriptions.filter(|_| message.method() == Some(LISTEN));
        let Some(offer) = offer else { return self.place(post, revision, None, message.clone().into()) };
        let most = self.config.limits.max_resources.get();
        let filter = Filter::of(message, offer, most);
        let filter = filter.map_err(|why| refuse(400, Some(id), INVALID_PARAMS, why, None))?;
        self.bears_calls(None, 1, Some(id))?;
        let purpose = Purpose::Subscription(filter.clone());
        let channel = self.open_channel(None, revision, purpose, Phase::Speaking);
        let call = self.open_call(channel, None, message.clone());
        let exchange = self.open_exchange(post, revision, None, Some(channel), State::Stream);
        self.subscriptions.insert(channel);
        if let Some(first) = filter.acknowledgement(id) {
            self.append_frame(channel, frame_of(&self.config, &first), false);
        }
        self.tell(StreamableEvent::Subscribed { call, filter });
        self.tell(StreamableEvent::Answer(exchange));
        Ok(BodyDecision::Exchange(exchange))
    }

    /// Whether so many requests more are borne.
    fn bears_calls(
        &self,
        session: Option<&SessionId>,
        more: usize,
        id: Option<&str>,
    ) -> Result<(), Response> {
        let limits = &self.config.limits;
        let (calls, most) = match session.and_then(|id| self.sessions.get(id)) {
            Some(session) => (session.calls.len(), limits.max_requests.get()),
            None => (self.stateless_calls, limits.max_stateless.get()),
        };
        if more > 0 && self.is_finishing {
            return Err(busy(id, "the server is stopping"));
        }
        if calls + more > most { Err(busy(id, "too many requests at once")) } else { Ok(()) }
    }

    /// Brings the messages of a body to the application, or lets them wait for room there.
    fn place(
        &mut self,
        post: Post,
        revision: Revision,
        session: Option<SessionId>,
        body: Body,
    ) -> Result<BodyDecision, Response> {
        let messages = body.messages();
        let requests = messages.iter().filter(|message| request_id(message).is_some()).count();
        let id = messages.first().and_then(request_id).filter(|_| !body.is_batch());
        self.bears_calls(session.as_ref(), requests, id)?;
        let (expected, others) = self.split_expected(session.as_ref(), messages);
        let mut incoming: Vec<Incoming> = Vec::with_capacity(others.len());
        for message in others {
            let cancels = self.cancelled_by(session.as_ref(), message);
            let (session, principal) = (session.clone(), post.principal.clone());
            let has_mirrors = revision.rules().request_metadata;
            let mirrored = if has_mirrors { mirror::decoded(&post.mirror.params) } else { Vec::new() };
            let message = message.clone();
            incoming.push(Incoming { message, call: None, session, principal, revision, cancels, mirrored });
        }
        let limits = &self.config.limits;
        let inbox = match &session {
            Some(id) => self.sessions.get(id).map(|session| &session.inbox),
            None => Some(&self.stateless),
        };
        // Who waits for a response must not have to make room for it.
        let is_for_inbox = !incoming.is_empty();
        if is_for_inbox && !inbox.is_some_and(|inbox| inbox.bears(&incoming, limits)) {
            return Err(busy(id, "the application's queue is full"));
        }
        self.tell_responses(session.as_ref(), expected);
        if !is_for_inbox {
            return Err(Response::accepted());
        }
        for call in incoming.iter().filter_map(|incoming| incoming.cancels) {
            self.unwant(call);
        }
        let channel = (requests > 0).then(|| {
            let purpose = Purpose::Answer { batch: body.is_batch() };
            self.open_channel(session.as_ref(), revision, purpose, Phase::Held(Vec::new()))
        });
        if let Some(channel) = channel {
            for incoming in incoming.iter_mut().filter(|incoming| request_id(&incoming.message).is_some()) {
                incoming.call = Some(self.open_call(channel, session.clone(), incoming.message.clone()));
            }
        }
        let exchange = self.open_exchange(post, revision, session.clone(), channel, State::Waiting);
        let limits = &self.config.limits;
        let inbox = match &session {
            Some(id) => self.sessions.get_mut(id).map(|session| &mut session.inbox),
            None => Some(&mut self.stateless),
        };
        match inbox.map(|inbox| inbox.place(exchange, incoming, limits)) {
            Some(Placed::In) => {
                self.tell(StreamableEvent::Readable(session));
                if channel.is_none() {
                    self.drop_exchange(exchange);
                    return Err(Response::accepted());
                }
                self.begin(exchange);
            }
            Some(Placed::Held) | None => {
                self.timers.set(Due::Held(exchange), self.now + self.config.limits.hold_for);
            }
        }
        Ok(BodyDecision::Exchange(exchange))
    }

    /// POSTs that were held back move into the room that there is.
    pub(super) fn admit_held(&mut self, session: Option<&SessionId>) {
        loop {
            let limits = &self.config.limits;
            let inbox = match session {
                Some(id) => self.sessions.get_mut(id).map(|session| &mut session.inbox),
                None => Some(&mut self.stateless),
            };
            let Some(exchange) = inbox.and_then(|inbox| inbox.admit(limits)) else { return };
            self.tell(StreamableEvent::Readable(session.cloned()));
            self.begin(exchange);
        }
    }

    fn open_call(&mut self, channel: u64, session: Option<SessionId>, request: Message) -> CallId {
        let call = CallId(self.number());
        match session.as_ref().and_then(|id| self.sessions.get_mut(id)) {
            Some(session) => {
                session.calls.insert(call);
            }
            None => self.stateless_calls += 1,
        }
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.calls.insert(call);
        }
        self.calls.insert(call, Call { channel, session, request, is_taken: false, is_unwanted: false });
        call
    }

    fn open_exchange(
        &mut self,
        post: Post,
        revision: Revision,
        session: Option<SessionId>,
        channel: Option<u64>,
        state: State,
    ) -> ExchangeId {
        let exchange = ExchangeId(self.number());
        if let Some(channel) = channel.and_then(|channel| self.channels.get_mut(&channel)) {
            channel.attached = Some(exchange);
        }
        if let Some(session) = session.as_ref().and_then(|id| self.sessions.get_mut(id)) {
            session.exchanges.insert(exchange);
        }
        let primes = revision.rules().primes;
        let opened =
            Exchange { channel, session: session.clone(), revision, reply: post.reply, state, primes };
        self.exchanges.insert(exchange, opened);
        if let Some(session) = session {
            self.touch(&session);
        }
        exchange
    }

    /// The request that a message asks to cancel, if the application works on it.
    fn cancelled_by(&self, session: Option<&SessionId>, message: &Message) -> Option<CallId> {
        if message.method() != Some("notifications/cancelled") {
            return None;
        }
        let [id] = message.params(["requestId"]).ok()?;
        let calls: &BTreeSet<CallId> = &self.sessions.get(session?)?.calls;
        calls
            .iter()
            .rev()
            .copied()
            .find(|call| self.calls.get(call).is_some_and(|call| call.request.id() == id))
    }
}

/// The id of a request, as it stands in it.
fn request_id(message: &Message) -> Option<&str> {
    message.id().filter(|_| message.kind() == MessageKind::Request)
}
