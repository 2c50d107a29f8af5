//! What a connection does for an endpoint of Streamable HTTP: it brings heads and bodies, waits for the answer, and
//! lets a stream have the socket.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::EventStream;
use sansio_sse::http1::{RequestHead, Response};
use sansio_sse::mcp::{Answer, BodyDecision, ExchangeId, HeadDecision, Incoming, Post, Principal, SessionId};
use tracing::Instrument;

use super::http::Http;
use crate::alarms::ServerTimer;
use crate::mcp::{Answering, Call, Endpoint, McpSession};
use crate::runtime::{Runtime, Timer};
use crate::shared::Socket;
use crate::state::{Place, State};
use crate::tasks::GoOn;

/// What becomes of a request, seen from its head or its body.
pub(super) enum Next {
    Respond(Response),
    ReceiveBody(Post),
    Wait(ExchangeId),
    Stream(ExchangeId, Box<EventStream>),
    /// Nobody is there to be answered.
    Gone,
}

impl Next {
    /// Waits for an answer, if that is what is next.
    pub(super) async fn settled<Io, T>(self, endpoint: &Endpoint, http: &mut Http<Io, T>) -> Next
    where
        Io: AsyncRead + AsyncWrite + Unpin,
        T: Timer,
    {
        let Next::Wait(id) = self else { return self };
        match answer(endpoint, http, id).await {
            Some(Answer::Response(response)) => Next::Respond(response),
            Some(Answer::Stream(stream)) => Next::Stream(id, stream),
            None => Next::Gone,
        }
    }
}

pub(super) fn head(endpoint: &Endpoint, head: &RequestHead, principal: Principal) -> Next {
    match endpoint.with(|machine, now| machine.handle_head(now, head, principal)) {
        HeadDecision::Answer(response) => Next::Respond(response),
        HeadDecision::ReceiveBody(post) => Next::ReceiveBody(post),
        HeadDecision::Exchange(id) => Next::Wait(id),
    }
}

pub(super) fn body<R: Runtime>(
    state: &Arc<State>,
    endpoint: &Arc<Endpoint>,
    post: Post,
    body: &[u8],
) -> Next {
    let mut random = [0; 24];
    if let Err(error) = getrandom::fill(&mut random) {
        tracing::error!(%error, "no randomness from the operating system");
        return Next::Respond(Response::busy("no randomness"));
    }
    let posted = endpoint.post(post, body, random);
    if let Some(session) = posted.opened {
        start_session::<R>(state, endpoint, session);
    }
    for incoming in posted.stateless {
        start_call::<R>(state, endpoint, incoming);
    }
    match posted.decision {
        BodyDecision::Answer(response) => Next::Respond(response),
        BodyDecision::Exchange(id) => Next::Wait(id),
    }
}

fn start_session<R: Runtime>(state: &Arc<State>, endpoint: &Arc<Endpoint>, id: SessionId) {
    let span = tracing::info_span!("session", %id);
    let session = McpSession::new(Arc::clone(endpoint), id);
    let Some(on_session) = &endpoint.application.on_session else { return };
    let handler = on_session(session).instrument(span);
    state.tasks.spawn_handler::<R>(handler);
}

fn start_call<R: Runtime>(state: &Arc<State>, endpoint: &Arc<Endpoint>, incoming: Incoming) {
    match (Call::new(endpoint, incoming), &endpoint.application.on_call) {
        (Ok(call), Some(on_call)) => {
            let handler = on_call(call);
            state.tasks.spawn_handler::<R>(handler);
        }
        (Ok(_unanswered), None) => {}
        // The revision has none that a server must act on.
        (Err(message), _) => tracing::debug!(method = message.method(), "a message without a session"),
    }
}

/// Waits for an answer; `None` if the client has gone meanwhile.
async fn answer<Io, T>(endpoint: &Endpoint, http: &mut Http<Io, T>, id: ExchangeId) -> Option<Answer>
where
    Io: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    let mut waiting = Waiting { endpoint, id: Some(id) };
    let answer = poll_fn(|cx| match endpoint.poll_answer(cx, id) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => http.poll_gone(cx).map(|()| None),
    })
    .await;
    waiting.id.take_if(|_| answer.is_some());
    answer
}

/// Lets a stream have the socket.
pub(super) fn run<Io: Socket + 'static>(
    state: &Arc<State>,
    endpoint: &Arc<Endpoint>,
    mut http: Http<Io, ServerTimer>,
    id: ExchangeId,
    stream: EventStream,
    place: Place,
) -> Option<GoOn> {
    let Some(handover) = http.hand_over() else {
        endpoint.gone(id);
        return None;
    };
    let timer = http.alarm.into_timer();
    let answering = Answering::new(state.clock, Arc::clone(endpoint), id, stream, http.io, timer, &handover);
    let stop = answering.stop();
    Some(Box::new(|listed| listed.drive(stop, answering.map(move |()| drop(place)))))
}

/// Somebody waits for an answer.
struct Waiting<'a> {
    endpoint: &'a Endpoint,
    id: Option<ExchangeId>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.endpoint.gone(id);
        }
    }
}
