//! [`Server`]: accepts connections and serves them, until it is asked to stop.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, abortable};
use sansio_sse::mcp::{Sessions, Streamable};
use sansio_sse::{AcceptError, AcceptStep};

use crate::McpEndpoint;
use crate::connection;
use crate::runtime::{Alarm, Clock, Runtime};
use crate::service::Service;
use crate::state::State;
use crate::tasks::{CONNECTED, CloseOnDrop, Finishing, Kind};

/// A stream that does not drain closes by itself; this is how much later it is dropped, if it should not have.
const DRAIN_SLACK: Duration = Duration::from_secs(1);

/// Connections accepted before the rest of the task has a turn.
const ACCEPTS: u32 = 32;

/// A server on the runtime `R`.
#[derive(Debug)]
pub struct Server<R: Runtime> {
    listener: R::Listener,
    addr: SocketAddr,
    state: Arc<State>,
}

/// Looks at a server from beside it.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    state: Arc<State>,
}

impl ServerHandle {
    /// Sessions that are alive.
    #[must_use]
    pub fn sessions(&self) -> usize {
        let streamable = self.state.endpoints.iter().map(|endpoint| endpoint.sessions());
        self.state.registry.with(|sessions, _| sessions.len()) + streamable.sum::<usize>()
    }

    /// The endpoints of Streamable HTTP, in the order in which the service was given them.
    pub fn mcp(&self) -> impl Iterator<Item = McpEndpoint> {
        self.state.endpoints.iter().map(|endpoint| McpEndpoint { endpoint: Arc::clone(endpoint) })
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        CONNECTED.iter().map(|kind| self.state.tasks.count(*kind)).sum()
    }

    /// Event streams among them, those of sessions included.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.state.tasks.count(Kind::Stream)
    }

    /// Handlers of the application that run.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.state.tasks.count(Kind::Handler)
    }

    /// Waits until no connection is open and no handler runs.
    pub async fn gone(&self) {
        self.state.tasks.gone(&CONNECTED).await;
        self.state.tasks.gone(&[Kind::Handler]).await;
    }

    /// Ends every task at once, for a second signal: nothing is drained.
    pub fn abort(&self) {
        self.state.tasks.abort();
    }
}

impl<R: Runtime> Server<R> {
    /// Listens on `addr`.
    ///
    /// # Errors
    /// What the operating system says: most often that the address is in use.
    pub async fn bind(addr: SocketAddr, service: Service) -> io::Result<Server<R>> {
        Server::on(R::bind(addr).await?, service)
    }

    /// Serves on a socket that listens already.
    ///
    /// # Errors
    /// What the operating system says when it is asked for the socket's address.
    pub fn on(listener: R::Listener, service: Service) -> io::Result<Server<R>> {
        let addr = R::local_addr(&listener)?;
        if let Err(error) = R::prepare(&listener, service.give_up_after()) {
            tracing::debug!(%error, "no limit on unacknowledged bytes");
        }
        Ok(Server { listener, addr, state: State::new(service) })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// A handle to look at it from beside.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { state: Arc::clone(&self.state) }
    }

    /// Serves until `shutdown` is ready. Then it listens no more, finishes every stream within its drain
    /// deadline, lets requests that have begun be answered, and waits for the application's handlers.
    ///
    /// Dropping the future ends everything at once: connections are cut, and handlers dropped.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Server { listener, state, .. } = self;
        let _tasks = CloseOnDrop(Arc::clone(&state.tasks));
        let _keeper = keep_deadlines::<R>(Arc::clone(&state));
        {
            let mut shutdown = pin!(shutdown);
            let mut accepting = pin!(accept_loop::<R>(&listener, &state));
            poll_fn(|cx| {
                let _: Poll<()> = accepting.as_mut().poll(cx);
                shutdown.as_mut().poll(cx)
            })
            .await;
        }
        drop(listener);

        let handle = ServerHandle { state: Arc::clone(&state) };
        tracing::info!(sessions = handle.sessions(), "shutting down");
        state.endpoints.iter().for_each(|endpoint| endpoint.with(Streamable::finish));
        state.tasks.finish();
        let drain = state.service.longest_drain() + DRAIN_SLACK;
        within::<R>(state.clock, drain, state.tasks.gone(&CONNECTED)).await;
        state.registry.with(Sessions::end_detached);
        state.endpoints.iter().for_each(|endpoint| endpoint.with(Streamable::end_all));
        let handlers = state.service.handlers_within;
        within::<R>(state.clock, handlers, state.tasks.gone(&[Kind::Handler])).await;
    }
}

/// Waits for `future`, but not longer than `limit`.
async fn within<R: Runtime>(clock: Clock, limit: Duration, future: impl Future<Output = ()>) {
    let until = clock.now() + limit;
    let mut alarm = Alarm::new(R::timer());
    let mut future = pin!(future);
    poll_fn(|cx| {
        if future.as_mut().poll(cx).is_ready() || clock.now() >= until {
            return Poll::Ready(());
        }
        while alarm.poll(cx, clock, Some(until)).is_ready() {
            if clock.now() >= until {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    })
    .await;
}

/// Serves the deadlines of the table of sessions, of endpoints, and of all connections, in a task of its own: so that
/// the listener isn't asked each time that one of thousands of streams is due.
fn keep_deadlines<R: Runtime>(state: Arc<State>) -> StopOnDrop {
    let mut alarm = Alarm::new(R::timer());
    let (keeper, stop) = abortable(poll_fn::<(), _>(move |cx| {
        loop {
            let sessions = state.registry.poll_deadline(cx);
            let alarms = state.alarms.poll_deadline(cx);
            let answers = state.endpoints.iter().filter_map(|endpoint| endpoint.poll_deadline(cx)).min();
            let deadline = [sessions, alarms, answers].into_iter().flatten().min();
            let now = state.clock.now();
            if deadline.is_some_and(|at| at <= now) {
                state.registry.with(Sessions::handle_timeout);
                state.endpoints.iter().for_each(|endpoint| endpoint.with(Streamable::handle_timeout));
                state.alarms.fire(now);
            } else if alarm.poll(cx, state.clock, deadline).is_pending() {
                return Poll::Pending;
            }
        }
    }));
    R::spawn(keeper.map(drop));
    StopOnDrop(stop)
}

/// Ends a task when it is dropped.
struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Never ends: whether and when to accept is the acceptor's decision, and no error ends it.
async fn accept_loop<R: Runtime>(listener: &R::Listener, state: &Arc<State>) {
    for turn in (1..=ACCEPTS).cycle() {
        rest::<R>(state).await;
        if turn == ACCEPTS {
            give_way().await;
        }
        match R::accept(listener).await {
            Ok((io, peer)) => {
                let (admission, place) = state.enter();
                let (tasks, finishing) = (Arc::clone(&state.tasks), Arc::<Finishing>::default());
                let state = Arc::clone(state);
                let connection =
                    connection::serve::<R>(state, Arc::clone(&finishing), io, peer, admission, place);
                tasks.spawn_connection::<R>(finishing, connection);
            }
            Err(error) => {
                let what = match error.kind() {
                    io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::Interrupted
                    | io::ErrorKind::NotConnected
                    | io::ErrorKind::InvalidInput => AcceptError::Connection,
                    _ => AcceptError::Exhausted,
                };
                tracing::warn!(%error, "accept failed");
                state.acceptor(|acceptor, now| acceptor.handle_error(now, what));
            }
        }
    }
}

/// Lets the rest of the task have a turn: a flood of connections must not keep the clock from being looked at.
async fn give_way() {
    let mut given = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits until the acceptor wants to accept.
async fn rest<R: Runtime>(state: &State) {
    let mut alarm = Alarm::new(R::timer());
    poll_fn(|cx| {
        loop {
            let step = state.acceptor(|acceptor, now| acceptor.poll(now));
            let wake_at = match step {
                AcceptStep::Accept => return Poll::Ready(()),
                AcceptStep::Wait(until) => Some(until),
                AcceptStep::Full => None,
            };
            state.wake_when_left(cx.waker());
            // A place that became free between the two looks has woken nobody: look once more.
            if state.acceptor(|acceptor, now| acceptor.poll(now)) == step
                && alarm.poll(cx, state.clock, wake_at).is_pending()
            {
                return Poll::Pending;
            }
        }
    })
    .await;
}
