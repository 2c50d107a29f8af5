//! One connection: requests are read and answered, until one of them opens a stream, which then has the socket.
//!
//! Nothing is decided here: what a request asks for is the routes', what becomes of a message the table's, and
//! when to read, refuse and close the HTTP machine's.

mod authenticate;
mod http;
mod streamable;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::http1::{Handover, RequestHead, Response};
use sansio_sse::mcp::{
    Attachment, OpenError, Post, Posted, Principal, Route, SessionId, SessionStream, StreamKind, read_message,
};
use sansio_sse::{Admission, Disconnect, EventId, EventStream};
use tracing::Instrument;

use self::http::{Http, Point};
use self::streamable::Next;
use crate::alarms::ServerTimer;
use crate::driver::Driver;
use crate::machine::Machine;
use crate::mcp::Endpoint;
use crate::registry::{Attached, Registry};
use crate::runtime::{Runtime, Timer};
use crate::shared::{Shared, Socket};
use crate::state::{Place, State};
use crate::tasks::{Finishing, GoOn, Stop};
use crate::{EventSender, Request, Session};

/// Serves a connection until it closes, or a stream goes on with it.
pub(crate) async fn serve<R: Runtime>(
    state: Arc<State>,
    finishing: Arc<Finishing>,
    io: R::Io,
    peer: SocketAddr,
    admission: Admission,
    place: Place,
) -> Option<GoOn> {
    let state = &state;
    let mut http = Http::new(io, state.alarms.timer(), state, finishing);
    let mut wanted: Option<Wanted> = None;
    loop {
        match http.next().await {
            Point::Closed => return None,
            Point::Head(head) => {
                let route = match admission {
                    Admission::Serve => state.service.routes.route(&head),
                    Admission::Busy => {
                        http.machine.finish(state.clock.now());
                        Route::Answer(Response::busy("too many connections"))
                    }
                };
                let endpoint = endpoint(state, &route);
                let route = match endpoint.and_then(|endpoint| endpoint.admit(&head)) {
                    Some(response) => Route::Answer(response),
                    None => route,
                };
                if let Route::Answer(response) = route {
                    log(peer, &head, &response);
                    http.respond(&response);
                    continue;
                }
                let cors = |response| match endpoint {
                    Some(endpoint) => endpoint.with(|machine, _| machine.with_cors(&head, response)),
                    None => state.service.routes.with_cors(&head, response),
                };
                let principal = match authenticate::principal(state, &mut http, &head, peer).await {
                    Some(Ok(principal)) => principal,
                    Some(Err(refusal)) => {
                        http.respond(&cors(refusal));
                        continue;
                    }
                    None => return None,
                };
                match route {
                    Route::Answer(_) => {}
                    Route::Message(id) => {
                        let is_known = state.registry.with(|sessions, _| sessions.accepts(&id));
                        if is_known && state.registry.is_of(&id, &principal) {
                            wanted = Some(Wanted::Message(id));
                            http.receive_body();
                        } else {
                            http.respond(&cors(Response::unknown_session()));
                        }
                    }
                    Route::OpenSession { last } => {
                        match open_session::<R>(state, &mut http, &head, last, principal) {
                            Ok(opened) => return run_session(state, http, opened, peer, place),
                            Err(response) => http.respond(&cors(response)),
                        }
                    }
                    Route::Events(events) => {
                        return run_events::<R>(state, http, head, events, place);
                    }
                    Route::Request(request) => {
                        wanted = Some(Wanted::Request(request, principal));
                        http.receive_body();
                    }
                    Route::Streamable(_) => {
                        let endpoint = endpoint?; // It is there: the routes are of these.
                        let next = streamable::head(endpoint, &head, principal);
                        match next.settled(endpoint, &mut http).await {
                            Next::Respond(response) => {
                                log(peer, &head, &response);
                                http.respond(&response);
                            }
                            Next::ReceiveBody(post) => {
                                wanted = Some(Wanted::Post(Arc::clone(endpoint), post));
                                http.receive_body();
                            }
                            Next::Stream(id, stream) => {
                                return streamable::run(state, endpoint, http, id, *stream, place);
                            }
                            Next::Wait(_) | Next::Gone => return None,
                        }
                    }
                }
            }
            Point::Request(head, body) => {
                let response = match wanted.take() {
                    Some(Wanted::Message(id)) => post(state, &mut http, &id, &body).await,
                    Some(Wanted::Request(request, principal)) => {
                        answer(state, &mut http, request, &head, body, principal).await
                    }
                    Some(Wanted::Post(endpoint, post)) => {
                        let next = streamable::body::<R>(state, &endpoint, post, &body);
                        match next.settled(&endpoint, &mut http).await {
                            Next::Respond(response) => {
                                log(peer, &head, &response);
                                http.respond(&response);
                            }
                            Next::Stream(id, stream) => {
                                return streamable::run(state, &endpoint, http, id, *stream, place);
                            }
                            Next::ReceiveBody(_) | Next::Wait(_) | Next::Gone => return None,
                        }
                        continue;
                    }
                    None => None, // Not reached: bodies are only asked for with one of these.
                };
                let response = response?;
                log(peer, &head, &response);
                http.respond(&state.service.routes.with_cors(&head, response));
            }
        }
    }
}

fn log(peer: SocketAddr, head: &RequestHead, response: &Response) {
    tracing::debug!(%peer, method = head.method(), path = head.path(), status = response.status(), "answered");
}

/// The endpoint of Streamable HTTP that a request is for.
fn endpoint<'a>(state: &'a State, route: &Route) -> Option<&'a Arc<Endpoint>> {
    match route {
        Route::Streamable(place) => state.endpoints.get(*place),
        _ => None,
    }
}

/// Gives a message to its session and waits for its fate; `None` if the client has gone meanwhile.
async fn post<Io, T>(state: &State, http: &mut Http<Io, T>, id: &SessionId, body: &[u8]) -> Option<Response>
where
    Io: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    let message = match read_message(body) {
        Ok(message) => message,
        Err(response) => return Some(response),
    };
    match state.registry.with(|sessions, now| sessions.post(now, id, message)) {
        Ok(Posted::Accepted) => Some(Response::accepted()),
        Ok(Posted::Held(held)) => {
            let mut outcome = pin!(state.registry.outcome(id, held));
            poll_fn(|cx| match outcome.as_mut().poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(Response::from(outcome))),
                Poll::Pending => http.poll_gone(cx).map(|()| None),
            })
            .await
        }
        Err(error) => Some(Response::from(error)),
    }
}

/// Lets the application answer; `None` if the client has gone meanwhile.
async fn answer<Io, T>(
    state: &State,
    http: &mut Http<Io, T>,
    request: usize,
    head: &RequestHead,
    body: Vec<u8>,
    principal: Principal,
) -> Option<Response>
where
    Io: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    let handler = state.service.on_request.get(request)?;
    let request = Request { head: RequestHead::clone(head), body, principal };
    let mut answer = pin!(AssertUnwindSafe(async { handler(request).await }).catch_unwind());
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Some(response)),
        Poll::Ready(Err(_panic)) => {
            tracing::error!("the application has panicked over a request");
            Poll::Ready(Some(Response::text(500, "the application has failed\n")))
        }
        Poll::Pending => http.poll_gone(cx).map(|()| None),
    })
    .await
}

/// What a body was asked for.
enum Wanted {
    Message(SessionId),
    Request(usize, Principal),
    Post(Arc<Endpoint>, Post),
}

/// A response that is about to speak for a session.
struct Opened {
    attached: Attached,
    handover: Handover,
}

fn open_session<R: Runtime>(
    state: &Arc<State>,
    http: &mut Http<R::Io, ServerTimer>,
    head: &RequestHead,
    last: Option<EventId>,
    principal: Principal,
) -> Result<Opened, Response> {
    if state.tasks.is_finishing() {
        return Err(Response::busy("shutting down"));
    }
    let (response, framing) = state.service.routes.stream_head(head, StreamKind::Session);
    let registry = &state.registry;
    let (stream, generation, attachment) = match last {
        None => {
            let (id, number, attachment) = new_session(state)?;
            let config = Arc::clone(&state.service.http_sse);
            let now = state.clock.now();
            let stream = SessionStream::open(now, config, &id, number, response, framing);
            let stream = Shared::new(state.clock, stream);
            tracing::info!(session = %id, "session opened");
            start_handler::<R>(state, id, &stream, principal);
            (stream, 0, attachment)
        }
        Some(last) => {
            let id = registry
                .with(|sessions, _| sessions.find(last).cloned())
                .filter(|id| registry.is_of(id, &principal))
                .ok_or_else(Response::session_over)?;
            let stream = registry.stream(&id).ok_or_else(Response::session_over)?;
            let (generation, attachment) = {
                let _turn = registry.take_up();
                let taken_up = stream.command(|stream, now| {
                    stream.reattach(now, last, response, framing).map(|()| stream.generation())
                });
                let generation = taken_up.map_err(|_| Response::session_over())?;
                (generation, registry.with(|sessions, now| sessions.attach(now, &id)))
            };
            let Some(attachment) = attachment else {
                stream.command(SessionStream::abort); // It ended between the two.
                return Err(Response::session_over());
            };
            tracing::info!(session = %id, %last, "session taken up again");
            (stream, generation, attachment)
        }
    };
    let attached =
        Attached { registry: Arc::clone(registry), stream, generation, attachment: Some(attachment) };
    let handover = http.hand_over().ok_or_else(|| Response::busy("the connection is closing"))?;
    Ok(Opened { attached, handover })
}

/// Draws an id until one is free.
fn new_session(state: &State) -> Result<(SessionId, u64, Attachment), Response> {
    loop {
        let mut random = [0; 24];
        if let Err(error) = getrandom::fill(&mut random) {
            tracing::error!(%error, "no randomness from the operating system");
            return Err(Response::busy("no randomness"));
        }
        let (mut id, mut number) = ([0; 16], [0; 8]);
        id.copy_from_slice(&random[..16]);
        number.copy_from_slice(&random[16..]);
        let (id, number) = (SessionId::from_random(id), u64::from_le_bytes(number));
        match state.registry.with(|sessions, now| sessions.open(now, id.clone(), number)) {
            Ok(attachment) => return Ok((id, number, attachment)),
            Err(OpenError::TooMany) => return Err(Response::busy("too many sessions")),
            Err(OpenError::Used) => {}
        }
    }
}

fn start_handler<R: Runtime>(
    state: &Arc<State>,
    id: SessionId,
    stream: &Arc<Shared<SessionStream>>,
    principal: Principal,
) {
    let span = tracing::info_span!("session", %id);
    let session = Session::new(Arc::clone(&state.registry), id, Arc::clone(stream), principal);
    let Some(on_session) = &state.service.on_session else { return };
    let handler = on_session(session).instrument(span);
    state.tasks.spawn_handler::<R>(handler);
}

fn run_session<Io: Socket + 'static>(
    state: &Arc<State>,
    http: Http<Io, ServerTimer>,
    opened: Opened,
    peer: SocketAddr,
    place: Place,
) -> Option<GoOn> {
    let Opened { attached, handover } = opened;
    let id = attached.attachment.as_ref()?.id().clone();
    let span = tracing::info_span!("session", %id, %peer);
    let speaking =
        Speaking { id, registry: Arc::clone(&state.registry), stream: Arc::clone(&attached.stream) };
    let driver = driver(http, Arc::clone(&attached.stream), attached.generation, &handover);
    let driver = driver.map(move |_| drop((attached, place))).instrument(span);
    Some(Box::new(|listed| listed.drive(Arc::new(speaking), driver)))
}

/// A session that has a response to speak on.
struct Speaking {
    id: SessionId,
    registry: Arc<Registry>,
    stream: Arc<Shared<SessionStream>>,
}

impl Stop for Speaking {
    fn finish(&self) {
        self.registry.finish(&self.id, &self.stream);
    }

    fn abort(&self) {
        self.stream.command(SessionStream::abort);
    }
}

impl Stop for Shared<EventStream> {
    fn finish(&self) {
        self.command(EventStream::finish);
    }

    fn abort(&self) {
        self.command(EventStream::abort);
    }
}

fn run_events<R: Runtime>(
    state: &Arc<State>,
    mut http: Http<R::Io, ServerTimer>,
    head: Arc<RequestHead>,
    events: usize,
    place: Place,
) -> Option<GoOn> {
    let on_events = state.service.on_events.get(events)?;
    let handover = http.hand_over()?;
    let (response, framing) = state.service.routes.stream_head(&head, StreamKind::Events);
    let config = Arc::clone(&state.service.stream);
    let stream = EventStream::with_head(state.clock.now(), config, response, framing);
    let stream = Shared::new(state.clock, stream);
    let stop: Arc<Shared<EventStream>> = Arc::clone(&stream);
    let driver = driver(http, Arc::clone(&stream), 0, &handover);
    drop(handover);
    // What it has to say at once goes out with the head; most have nothing to wait for, and need no task.
    let mut handler = on_events(EventSender::new(stream), Arc::unwrap_or_clone(head));
    let first = AssertUnwindSafe(&mut handler).catch_unwind().now_or_never();
    let driver = driver.map(move |close| {
        tracing::debug!(reason = %close.reason, undelivered = close.undelivered, "stream closed");
        drop(place);
    });
    match first {
        None => state.tasks.spawn_handler::<R>(handler),
        Some(Ok(())) => {}
        Some(Err(_panic)) => tracing::error!("the application has panicked over a stream; it finishes"),
    }
    Some(Box::new(|listed| listed.drive(stop, driver)))
}

fn driver<M: Machine, Io, T>(
    http: Http<Io, T>,
    stream: Arc<Shared<M>>,
    generation: u32,
    handover: &Handover,
) -> Driver<M, T>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: Timer,
{
    stream.command(|stream, now| {
        if stream.generation() != generation {
            return; // Another response has taken over already.
        }
        stream.handle_input(now, handover.read_behind);
        if handover.eof {
            stream.handle_disconnect(now, Disconnect::Eof);
        }
    });
    Driver::new(stream, generation, http.io, http.alarm.into_timer())
}
