//! One connection: requests are read and answered, until one of them opens a stream, which then has the socket.
//!
//! Nothing is decided here: what a request asks for is the routes', what becomes of a message the table's, and
//! when to read, refuse and close the HTTP machine's.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use futures_util::task::AtomicWaker;
use sansio_sse::http1::{self, Handover, RequestHead, Response};
use sansio_sse::mcp::{
    Attachment, OpenError, Posted, Route, SessionId, SessionStream, StreamKind, read_message,
};
use sansio_sse::{Admission, Disconnect, EventId, EventStream, Tick};
use tracing::Instrument;

use crate::alarms::ServerTimer;
use crate::driver::{Driver, Machine};
use crate::registry::{Attached, Registry};
use crate::runtime::{Alarm, Clock, Runtime, Timer};
use crate::shared::{Shared, disconnect};
use crate::state::{Place, State};
use crate::tasks::{Kind, Stop, TaskId};
use crate::{EventSender, Request, Session};

/// Turns of work in one poll, before other tasks get theirs.
const BUDGET: usize = 32;

/// Bytes read at once.
const READ: usize = 8 * 1024;

/// Serves a connection to its end.
///
/// A stream goes on in a task of its own: what reads requests is far larger, and goes.
pub(crate) async fn serve<R: Runtime>(
    state: &Arc<State>,
    task: TaskId,
    io: R::Io,
    peer: SocketAddr,
    admission: Admission,
    place: Place,
) {
    let mut http = Http::new(io, state.alarms.timer(), state);
    let control = Arc::clone(&http.control);
    state.tasks.on_finish(task, move || control.finish());
    let mut wanted: Option<Wanted> = None;
    loop {
        match http.next().await {
            Point::Closed => return,
            Point::Head(head) => {
                let route = match admission {
                    Admission::Serve => state.service.routes.route(&head),
                    Admission::Busy => {
                        http.machine.finish(state.clock.now());
                        Route::Answer(Response::busy("too many connections"))
                    }
                };
                match route {
                    Route::Answer(response) => {
                        tracing::debug!(%peer, method = head.method(), path = head.path(), status = response.status(), "answered");
                        http.respond(&response);
                    }
                    Route::Message(id) => {
                        if state.registry.with(|sessions, _| sessions.accepts(&id)) {
                            wanted = Some(Wanted::Message(id));
                            http.receive_body();
                        } else {
                            http.respond(&state.service.routes.with_cors(&head, Response::unknown_session()));
                        }
                    }
                    Route::OpenSession { last } => match open_session::<R>(state, &mut http, &head, last) {
                        Ok(opened) => return run_session::<R>(state, http, opened, peer, place),
                        Err(response) => http.respond(&state.service.routes.with_cors(&head, response)),
                    },
                    Route::Events(events) => return run_events::<R>(state, http, &head, events, place),
                    Route::Request(request) => {
                        wanted = Some(Wanted::Request(request));
                        http.receive_body();
                    }
                }
            }
            Point::Request(head, body) => {
                let response = match wanted.take() {
                    Some(Wanted::Message(id)) => post(state, &mut http, &id, &body).await,
                    Some(Wanted::Request(request)) => answer(state, &mut http, request, &head, body).await,
                    None => None, // Not reached: bodies are only asked for with one of these.
                };
                let Some(response) = response else { return };
                tracing::debug!(%peer, method = head.method(), path = head.path(), status = response.status(), "answered");
                http.respond(&state.service.routes.with_cors(&head, response));
            }
        }
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
) -> Option<Response>
where
    Io: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    let handler = state.service.on_request.get(request)?;
    let request = Request { head: head.clone(), body };
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
    Request(usize),
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
            start_handler::<R>(state, id, &stream);
            (stream, 0, attachment)
        }
        Some(last) => {
            let id = registry
                .with(|sessions, _| sessions.find(last).cloned())
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

fn start_handler<R: Runtime>(state: &Arc<State>, id: SessionId, stream: &Arc<Shared<SessionStream>>) {
    let span = tracing::info_span!("session", %id);
    let session = Session::new(Arc::clone(&state.registry), id, Arc::clone(stream));
    let Some(on_session) = &state.service.on_session else { return };
    let handler = on_session(session).instrument(span);
    state.tasks.spawn::<R, _>(Kind::Handler, |_| handler);
}

fn run_session<R: Runtime>(
    state: &Arc<State>,
    http: Http<R::Io, ServerTimer>,
    opened: Opened,
    peer: SocketAddr,
    place: Place,
) {
    let Opened { attached, handover } = opened;
    let Some(id) = attached.attachment.as_ref().map(|attachment| attachment.id().clone()) else { return };
    let span = tracing::info_span!("session", %id, %peer);
    let speaking =
        Speaking { id, registry: Arc::clone(&state.registry), stream: Arc::clone(&attached.stream) };
    let driver = driver(http, Arc::clone(&attached.stream), attached.generation, &handover);
    let driver = driver.map(move |_| drop((attached, place))).instrument(span);
    state.tasks.spawn_stream::<R>(Arc::new(speaking), driver);
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
    head: &RequestHead,
    events: usize,
    place: Place,
) {
    let Some(on_events) = state.service.on_events.get(events) else { return };
    let Some(handover) = http.hand_over() else { return };
    let (response, framing) = state.service.routes.stream_head(head, StreamKind::Events);
    let config = Arc::clone(&state.service.stream);
    let stream = EventStream::with_head(state.clock.now(), config, response, framing);
    let stream = Shared::new(state.clock, stream);
    let stop: Arc<Shared<EventStream>> = Arc::clone(&stream);
    let driver = driver(http, Arc::clone(&stream), 0, &handover);
    // What it has to say at once goes out with the head; most have nothing to wait for, and need no task.
    let mut handler = on_events(EventSender::new(stream), *handover.head);
    let first = AssertUnwindSafe(&mut handler).catch_unwind().now_or_never();
    let driver = driver.map(move |close| {
        tracing::debug!(reason = %close.reason, undelivered = close.undelivered, "stream closed");
        drop(place);
    });
    state.tasks.spawn_stream::<R>(stop, driver);
    match first {
        None => state.tasks.spawn::<R, _>(Kind::Handler, |_| handler),
        Some(Ok(())) => {}
        Some(Err(_panic)) => tracing::error!("the application has panicked over a stream; it finishes"),
    }
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

/// Where the machine wants a decision.
enum Point {
    Head(Box<RequestHead>),
    Request(Box<RequestHead>, Vec<u8>),
    Closed,
}

/// How a connection between requests is asked to finish.
#[derive(Debug, Default)]
struct Control {
    finishing: AtomicBool,
    waker: AtomicWaker,
}

impl Control {
    fn finish(&self) {
        self.finishing.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The HTTP machine and its socket.
struct Http<Io, T> {
    machine: http1::Connection,
    io: Io,
    alarm: Alarm<T>,
    clock: Clock,
    control: Arc<Control>,
    write_closed: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin, T: Timer> Http<Io, T> {
    fn new(io: Io, timer: T, state: &State) -> Http<Io, T> {
        let machine = http1::Connection::new(state.clock.now(), Arc::clone(&state.service.connection));
        let (alarm, control) = (Alarm::new(timer), Arc::default());
        Http { machine, io, alarm, clock: state.clock, control, write_closed: false }
    }

    /// Moves bytes until the machine wants a decision.
    async fn next(&mut self) -> Point {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Point> {
        self.control.waker.register(cx.waker());
        if self.control.finishing.load(Ordering::Acquire) {
            self.machine.finish(self.clock.now());
        }
        for _ in 0..BUDGET {
            let (read, wake_at) = match self.machine.poll() {
                http1::Step::Head { head, .. } => return Poll::Ready(Point::Head(Box::new(head.clone()))),
                http1::Step::Request { head, body, .. } => {
                    return Poll::Ready(Point::Request(Box::new(head.clone()), body.to_vec()));
                }
                http1::Step::Closed(close) => {
                    tracing::trace!(?close, "connection closed");
                    return Poll::Ready(Point::Closed);
                }
                http1::Step::Linger { read, wake_at } => {
                    if !self.write_closed && Pin::new(&mut self.io).poll_close(cx).is_ready() {
                        self.write_closed = true;
                    }
                    (read, Some(wake_at))
                }
                http1::Step::Run { bytes, read, wake_at } => {
                    if !bytes.is_empty() {
                        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
                        if let Poll::Ready(wrote) = wrote {
                            let now = self.clock.now();
                            match wrote {
                                Ok(n) => self.machine.handle_wrote(now, n),
                                Err(error) => self.failed(now, &error),
                            }
                            continue;
                        }
                    }
                    (read, wake_at)
                }
            };
            if self.turn(cx, read, wake_at).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads, then looks at the clock; pending if there is nothing to do.
    fn turn(&mut self, cx: &mut Context<'_>, read: usize, wake_at: Option<Tick>) -> Poll<()> {
        if read > 0 {
            let mut buffer = [0; READ];
            let len = read.min(READ);
            if let Poll::Ready(got) = Pin::new(&mut self.io).poll_read(cx, &mut buffer[..len]) {
                let now = self.clock.now();
                match got {
                    Ok(0) => self.machine.handle_eof(now),
                    Ok(n) => self.machine.handle_bytes(now, &buffer[..n]),
                    Err(error) => self.failed(now, &error),
                }
                return Poll::Ready(());
            }
        }
        let now = self.clock.now();
        if wake_at.is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            return Poll::Ready(());
        }
        self.alarm.poll(cx, self.clock, wake_at)
    }

    /// While a decision is waited for: ready once the client is gone.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let read = match self.machine.poll() {
                http1::Step::Request { read, .. } | http1::Step::Head { read, .. } => read,
                http1::Step::Closed(_) => return Poll::Ready(()),
                http1::Step::Run { .. } | http1::Step::Linger { .. } => return Poll::Pending,
            };
            if read == 0 || self.turn(cx, read, None).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn failed(&mut self, now: Tick, error: &io::Error) {
        if let Some(how) = disconnect(error) {
            self.machine.handle_disconnect(now, how);
        }
    }

    // The machine is asked for each of these only where it waits for one, and says so otherwise; then it is
    // about to close.

    fn respond(&mut self, response: &Response) {
        if let Err(error) = self.machine.respond(self.clock.now(), response) {
            tracing::debug!(%error, "no response");
        }
    }

    fn receive_body(&mut self) {
        if let Err(error) = self.machine.receive_body(self.clock.now()) {
            tracing::debug!(%error, "no body");
        }
    }

    fn hand_over(&mut self) -> Option<Handover> {
        self.machine.hand_over(self.clock.now()).ok()
    }
}
