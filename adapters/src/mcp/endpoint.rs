//! [`Endpoint`]: the machine of an endpoint of Streamable HTTP behind its lock, and those whom its events wake.
//!
//! The lock of a response's stream may be held when this one is taken, never the other way round; and nobody is woken
//! and no stream is locked under it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;
use sansio_sse::Tick;
use sansio_sse::http1::{RequestHead, Response};
use sansio_sse::mcp::{
    Answer, BodyDecision, CallId, ExchangeId, Incoming, Message, NotSent, Outlet, Post, SessionId,
    Streamable, StreamableEnd, StreamableEvent,
};

use super::Mcp;
use crate::runtime::Clock;

#[derive(Debug)]
pub(crate) struct Endpoint {
    clock: Clock,
    pub(crate) application: Mcp,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) machine: Streamable,
    sessions: HashMap<SessionId, Application>,
    /// Who waits for room somewhere, or for the end of it.
    waiting: HashMap<Outlet, Vec<Waker>>,
    /// Connections that wait for their answer.
    answers: HashMap<ExchangeId, Waker>,
    /// Responses that are streams.
    streams: HashMap<ExchangeId, Arc<Signal>>,
    /// Who serves the deadlines, and the one it knows of.
    keeper: Option<(Waker, Option<Tick>)>,
    /// The last id of a request of the server.
    asked: u64,
}

/// What the application holds of a session. It outlives the session until the application lets go.
#[derive(Debug, Default)]
struct Application {
    reader: Option<Waker>,
    end: Option<StreamableEnd>,
    calls: BTreeSet<CallId>,
    /// Requests of the server, by id.
    asks: BTreeMap<String, Ask>,
}

#[derive(Debug)]
enum Ask {
    Waiting(Option<Waker>),
    Answered(Message),
}

/// Tells the driver of a response that there is something for it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_set: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn wake_by(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn take(&self) -> bool {
        self.is_set.swap(false, Ordering::AcqRel)
    }
}

/// What is to be done once the lock is given back.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Effects {
    wake: Vec<Waker>,
    fill: Vec<Arc<Signal>>,
    opened: Vec<SessionId>,
}

impl Effects {
    /// No stream and no endpoint may be locked.
    pub(crate) fn go(self) {
        self.fill.iter().for_each(|signal| signal.set());
        self.wake.into_iter().for_each(Waker::wake);
    }
}

/// What a POST came to.
pub(crate) struct Posted {
    pub(crate) decision: BodyDecision,
    /// The session that it opened.
    pub(crate) opened: Option<SessionId>,
    /// What it brought without a session.
    pub(crate) stateless: Vec<Incoming>,
}

impl Inner {
    /// Hands the machine's events to whom they concern.
    fn settle(&mut self) -> Effects {
        let mut effects = Effects::default();
        while let Some(event) = self.machine.poll_event() {
            match event {
                StreamableEvent::Opened { session, principal } => {
                    tracing::info!(%session, ?principal, "session opened");
                    self.sessions.insert(session.clone(), Application::default());
                    effects.opened.push(session);
                }
                StreamableEvent::Readable(session) => {
                    let application = session.and_then(|id| self.sessions.get_mut(&id));
                    effects.wake.extend(application.and_then(|application| application.reader.take()));
                }
                StreamableEvent::Answer(id) => effects.wake.extend(self.answers.remove(&id)),
                StreamableEvent::Fill(id) => effects.fill.extend(self.streams.get(&id).cloned()),
                StreamableEvent::Room(outlet) => effects.wake.extend(self.stop_waiting(&outlet)),
                StreamableEvent::Cancelled(call) | StreamableEvent::Unwanted(call) => {
                    effects.wake.extend(self.stop_waiting(&Outlet::Call(call)));
                }
                StreamableEvent::Responded { session, response } => {
                    effects.wake.extend(self.responded(&session, response));
                }
                StreamableEvent::Subscribed { filter, .. } => tracing::debug!(?filter, "subscribed"),
                StreamableEvent::Expired { session, events } => {
                    tracing::info!(%session, events, "events became too old before any client had them");
                }
                StreamableEvent::Ended { session, end, unread } => {
                    tracing::info!(%session, reason = %end, unread, "session ended");
                    effects.wake.extend(self.ended(&session, end));
                }
            }
        }
        if let Some(at) = self.machine.deadline()
            && self.keeper.as_ref().is_some_and(|(_, known)| known.is_none_or(|known| at < known))
        {
            effects.wake.extend(self.keeper.take().map(|(waker, _)| waker));
        }
        effects
    }

    fn stop_waiting(&mut self, outlet: &Outlet) -> Vec<Waker> {
        self.waiting.remove(outlet).unwrap_or_default()
    }

    fn responded(&mut self, session: &SessionId, response: Message) -> Option<Waker> {
        let asks = self.sessions.get_mut(session).map(|application| &mut application.asks);
        let ask = asks.and_then(|asks| asks.get_mut(response.id()?))?;
        match std::mem::replace(ask, Ask::Answered(response)) {
            Ask::Waiting(waker) => waker,
            Ask::Answered(_) => None,
        }
    }

    fn ended(&mut self, session: &SessionId, end: StreamableEnd) -> Vec<Waker> {
        let mut wake = self.stop_waiting(&Outlet::Session(session.clone()));
        let Some(application) = self.sessions.get_mut(session) else { return wake };
        application.end = Some(end);
        wake.extend(application.reader.take());
        for ask in application.asks.values_mut() {
            if let Ask::Waiting(waker) = ask {
                wake.extend(waker.take());
            }
        }
        for call in std::mem::take(&mut application.calls) {
            wake.extend(self.stop_waiting(&Outlet::Call(call)));
        }
        wake
    }

    fn wait(&mut self, outlet: &Outlet, waker: &Waker) {
        let waiting = self.waiting.entry(outlet.clone()).or_default();
        if !waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }

    /// Whether the session lives; the application hears of its end in this way once it has taken all there is.
    fn is_over(&self, session: &SessionId) -> bool {
        self.sessions.get(session).is_none_or(|application| application.end.is_some())
    }
}

impl Endpoint {
    pub(crate) fn new(clock: Clock, machine: Streamable, application: Mcp) -> Endpoint {
        let inner = Inner {
            machine,
            sessions: HashMap::new(),
            waiting: HashMap::new(),
            answers: HashMap::new(),
            streams: HashMap::new(),
            keeper: None,
            asked: 0,
        };
        Endpoint { clock, application, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells the machine something; the effects are for when no lock is held.
    pub(crate) fn tell<R>(&self, tell: impl FnOnce(&mut Inner, Tick) -> R) -> (R, Effects) {
        let now = self.clock.now();
        let mut inner = self.lock();
        let result = tell(&mut inner, now);
        let effects = inner.settle();
        (result, effects)
    }

    /// The same, where no lock is held.
    fn run<R>(&self, tell: impl FnOnce(&mut Inner, Tick) -> R) -> R {
        let (result, effects) = self.tell(tell);
        effects.go();
        result
    }

    /// Asks or tells the machine something, where no lock is held.
    pub(crate) fn with<R>(&self, tell: impl FnOnce(&mut Streamable, Tick) -> R) -> R {
        self.run(|inner, now| tell(&mut inner.machine, now))
    }

    pub(crate) fn sessions(&self) -> usize {
        self.lock().machine.sessions().count()
    }

    /// The next deadline of the machine; wakes again when there may be an earlier one.
    pub(crate) fn poll_deadline(&self, cx: &mut Context<'_>) -> Option<Tick> {
        let mut inner = self.lock();
        let deadline = inner.machine.deadline();
        inner.keeper = Some((cx.waker().clone(), deadline));
        deadline
    }

    // Connections.

    /// What comes before any question of who asks.
    pub(crate) fn admit(&self, head: &RequestHead) -> Option<Response> {
        self.lock().machine.admit(head)
    }

    /// A POST's body is there. What it brings without a session is taken at once: each request has a task of its own.
    pub(crate) fn post(&self, post: Post, body: &[u8], random: [u8; 24]) -> Posted {
        let ((decision, stateless), mut effects) = self.tell(|inner, now| {
            let decision = inner.machine.handle_body(now, post, body, random);
            let stateless = std::iter::from_fn(|| inner.machine.take(now, None)).collect();
            (decision, stateless)
        });
        let opened = effects.opened.pop();
        effects.go();
        Posted { decision, opened, stateless }
    }

    /// The answer of an exchange, once it is there.
    pub(crate) fn poll_answer(&self, cx: &mut Context<'_>, id: ExchangeId) -> Poll<Answer> {
        self.run(|inner, now| match inner.machine.answer(now, id) {
            Some(answer) => {
                inner.answers.remove(&id);
                Poll::Ready(answer)
            }
            None => {
                inner.answers.insert(id, cx.waker().clone());
                Poll::Pending
            }
        })
    }

    /// The client of an exchange is gone before it had its answer.
    pub(crate) fn gone(&self, id: ExchangeId) {
        self.run(|inner, now| {
            inner.answers.remove(&id);
            inner.machine.handle_gone(now, id);
        });
    }

    /// A response is a stream, whose driver is told of what there is for it.
    pub(crate) fn join(&self, id: ExchangeId) -> Arc<Signal> {
        let signal = Arc::new(Signal::default());
        self.lock().streams.insert(id, Arc::clone(&signal));
        signal
    }

    pub(crate) fn leave(&self, id: ExchangeId, close: &sansio_sse::Close) {
        self.run(|inner, now| {
            inner.streams.remove(&id);
            inner.machine.handle_closed(now, id, close);
        });
    }

    // The application.

    /// What a session's client said next, or `None` at its end.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>, session: &SessionId) -> Poll<Option<Incoming>> {
        self.run(|inner, now| {
            let incoming = inner.machine.take(now, Some(session));
            let is_over = inner.is_over(session);
            let Some(application) = inner.sessions.get_mut(session) else { return Poll::Ready(None) };
            match incoming {
                Some(incoming) => {
                    application.calls.extend(incoming.call);
                    Poll::Ready(Some(incoming))
                }
                None if is_over => Poll::Ready(None),
                None => {
                    application.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    pub(super) fn poll_end(&self, cx: &mut Context<'_>, session: &SessionId) -> Poll<()> {
        let mut inner = self.lock();
        if inner.is_over(session) {
            return Poll::Ready(());
        }
        inner.wait(&Outlet::Session(session.clone()), cx.waker());
        Poll::Pending
    }

    pub(super) fn end_of(&self, session: &SessionId) -> Option<StreamableEnd> {
        self.lock().sessions.get(session).and_then(|application| application.end)
    }

    /// The application lets go of a session.
    pub(super) fn end_session(&self, session: &SessionId) {
        let (gone, waiting) = self.run(|inner, now| {
            inner.machine.end_session(now, session);
            (inner.sessions.remove(session), inner.stop_waiting(&Outlet::Session(session.clone())))
        });
        drop(gone);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Says something until there is room for it.
    pub(super) fn poll_say(
        &self,
        cx: &mut Context<'_>,
        outlet: &Outlet,
        message: &mut Option<Message>,
        say: impl FnOnce(&mut Streamable, Tick, Message) -> Result<(), NotSent>,
    ) -> Poll<Result<(), NotSent>> {
        self.run(|inner, now| match message.take().map(|message| say(&mut inner.machine, now, message)) {
            Some(Err(NotSent::Full(back))) => {
                *message = Some(back);
                inner.wait(outlet, cx.waker());
                Poll::Pending
            }
            Some(result) => Poll::Ready(result),
            None => Poll::Pending,
        })
    }

    /// Says a message of an application that knows messages alone, if there is room for it where it goes.
    pub(super) fn relay(&self, session: &SessionId, message: Message) -> Result<(), NotSent> {
        let (said, _, waiting) = self.run(|inner, now| {
            inner.relay(session, message, |machine, message| machine.relay(now, session, message))
        });
        waiting.into_iter().for_each(Waker::wake);
        said
    }

    /// The same, until there is room for it; not where nobody reads, since the application has one mouth.
    pub(super) fn poll_relay(
        &self,
        cx: &mut Context<'_>,
        session: &SessionId,
        message: &mut Option<Message>,
    ) -> Poll<Result<(), NotSent>> {
        let Some(said) = message.take() else { return Poll::Pending };
        let (said, waiting) = self.run(|inner, now| {
            let relay = |machine: &mut Streamable, said| machine.relay_or_drop(now, session, said);
            let (said, outlet, waiting) = inner.relay(session, said, relay);
            let said = match (said, outlet) {
                (Err(NotSent::Full(back)), Some(outlet)) => {
                    *message = Some(back);
                    inner.wait(&outlet, cx.waker());
                    Poll::Pending
                }
                (said, _) => Poll::Ready(said),
            };
            (said, waiting)
        });
        waiting.into_iter().for_each(Waker::wake);
        said.map_ok(|dropped| {
            if let Some(dropped) = dropped {
                tracing::warn!(%session, bytes = dropped.len(), "nobody reads, and no room is left: dropped");
            }
        })
    }

    /// An application that knows messages alone has learnt that a request is cancelled.
    pub(super) fn cancelled(&self, call: CallId, session: &SessionId) {
        let waiting = self.run(|inner, now| {
            inner.machine.relay_cancelled(now, call);
            inner.forget_if_over(call, session)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Ready once nobody wants a response to a request any more.
    pub(super) fn poll_unwanted(&self, cx: &mut Context<'_>, call: CallId) -> Poll<()> {
        let mut inner = self.lock();
        if !inner.machine.is_wanted(call) {
            return Poll::Ready(());
        }
        inner.wait(&Outlet::Call(call), cx.waker());
        Poll::Pending
    }

    /// The application has lost a request.
    pub(super) fn abandon(&self, call: CallId, session: Option<&SessionId>) {
        let waiting = self.run(|inner, now| {
            inner.machine.abandon(now, call);
            inner.forget(call, session)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A request is answered.
    pub(super) fn answered(&self, call: CallId, session: Option<&SessionId>) {
        let waiting = self.lock().forget(call, session);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The id of a new request of the server, to which somebody waits for the response.
    pub(super) fn expect(&self, session: &SessionId) -> u64 {
        let mut inner = self.lock();
        inner.asked += 1;
        let (number, id) = (inner.asked, inner.asked.to_string());
        inner.machine.expect(session, &id);
        if let Some(application) = inner.sessions.get_mut(session) {
            application.asks.insert(id, Ask::Waiting(None));
        }
        number
    }

    /// The response to a request of the server; `None` once there can't be one.
    pub(super) fn poll_response(
        &self,
        cx: &mut Context<'_>,
        session: &SessionId,
        number: u64,
        outlet: &Outlet,
    ) -> Poll<Option<Message>> {
        let mut inner = self.lock();
        let is_over = inner.is_over(session)
            || matches!(outlet, Outlet::Call(call) if inner.machine.request(*call).is_none());
        let asks = inner.sessions.get_mut(session).map(|application| &mut application.asks);
        match asks.and_then(|asks| asks.get_mut(&number.to_string())) {
            Some(Ask::Answered(response)) => Poll::Ready(Some(response.clone())),
            Some(Ask::Waiting(waker)) if !is_over => {
                *waker = Some(cx.waker().clone());
                inner.wait(outlet, cx.waker());
                Poll::Pending
            }
            Some(Ask::Waiting(_)) | None => Poll::Ready(None),
        }
    }

    pub(super) fn expect_no_more(&self, session: &SessionId, number: u64) {
        let mut inner = self.lock();
        let id = number.to_string();
        inner.machine.expect_no_more(session, &id);
        let asks = inner.sessions.get_mut(session).map(|application| &mut application.asks);
        let gone = asks.and_then(|asks| asks.remove(&id));
        drop(inner);
        drop(gone);
    }
}

impl Inner {
    /// Lets the machine say a message of an application that knows messages alone; besides, where it goes, and who waits
    /// in vain once it is said.
    fn relay<R>(
        &mut self,
        session: &SessionId,
        message: Message,
        relay: impl FnOnce(&mut Streamable, Message) -> R,
    ) -> (R, Option<Outlet>, Vec<Waker>) {
        let outlet = self.machine.outlet(session, &message);
        let said = relay(&mut self.machine, message);
        let waiting = match outlet {
            Some(Outlet::Call(call)) => self.forget_if_over(call, session),
            _ => Vec::new(),
        };
        (said, outlet, waiting)
    }

    fn forget_if_over(&mut self, call: CallId, session: &SessionId) -> Vec<Waker> {
        match self.machine.request(call) {
            Some(_) => Vec::new(),
            None => self.forget(call, Some(session)),
        }
    }

    /// A request is over: whoever asked the client something on its stream has waited in vain.
    fn forget(&mut self, call: CallId, session: Option<&SessionId>) -> Vec<Waker> {
        if let Some(application) = session.and_then(|session| self.sessions.get_mut(session)) {
            application.calls.remove(&call);
        }
        self.stop_waiting(&Outlet::Call(call))
    }
}

/// An endpoint of Streamable HTTP, for what concerns no single client of it.
#[derive(Clone, Debug)]
pub struct McpEndpoint {
    pub(crate) endpoint: Arc<Endpoint>,
}

impl McpEndpoint {
    /// Says a notification to every subscription that the endpoint serves and that wants it, and gives back to how
    /// many: see [`StreamableConfig::subscriptions`](sansio_sse::mcp::StreamableConfig::subscriptions).
    #[must_use = "0 says that nobody wanted it"]
    pub fn publish(&self, notification: &Message) -> usize {
        self.endpoint.with(|machine, now| machine.publish(now, notification))
    }

    /// Sessions that are alive.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.endpoint.sessions()
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use sansio_sse::AccessRules;
    use sansio_sse::http1::RequestHead;
    use sansio_sse::mcp::{HeadDecision, Principal, SessionId, Streamable, StreamableConfig};

    use super::{Clock, Endpoint, Mcp};

    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
        "capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;

    /// POSTs, and gives back the session that it opened.
    fn post(endpoint: &Endpoint, session: Option<&SessionId>, body: &str) -> Option<SessionId> {
        let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        let accept = "Accept: application/json, text/event-stream";
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{accept}\r\n{session}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let head = RequestHead::parse(Default::default(), &mut head.as_bytes()).unwrap().unwrap();
        match endpoint.with(|machine, now| machine.handle_head(now, &head, Principal::anonymous())) {
            HeadDecision::ReceiveBody(post) => endpoint.post(post, body.as_bytes(), [7; 24]).opened,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_kept_of_a_request_that_an_application_of_messages_has_done_with() {
        let machine = Streamable::new(AccessRules::loopback(), StreamableConfig::default());
        let endpoint = Endpoint::new(Clock::start(), machine, Mcp::default());
        let session = post(&endpoint, None, INITIALIZE).expect("a session");
        let kept = || endpoint.lock().sessions[&session].calls.len();
        let cx = &mut Context::from_waker(Waker::noop());
        let mut taken = || match endpoint.poll_take(cx, &session) {
            Poll::Ready(Some(incoming)) => incoming,
            other => panic!("{other:?}"),
        };
        let result =
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;
        endpoint.relay(&session, taken().message.respond(result).unwrap()).unwrap();
        assert_eq!(kept(), 0, "it is answered");
        post(&endpoint, Some(&session), r#"{"jsonrpc":"2.0","id":1,"method":"work"}"#);
        let work = taken();
        assert_eq!(kept(), 1);
        endpoint.cancelled(work.call.unwrap(), &session);
        assert_eq!(kept(), 0, "it is cancelled");
        assert!(endpoint.relay(&session, work.message.respond("1").unwrap()).is_err(), "too late");
    }
}
