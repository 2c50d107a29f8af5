//! [`Server`]: accepts connections and serves them, until it is asked to stop.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use sansio_sse::mcp::Sessions;
use sansio_sse::{AcceptError, AcceptStep, Acceptor, Tick};

use crate::connection;
use crate::registry::Registry;
use crate::runtime::{Alarm, Clock, Runtime};
use crate::service::Service;
use crate::tasks::{Kind, Tasks};

/// What the connections of a server have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) service: Service,
    pub(crate) registry: Arc<Registry>,
    pub(crate) tasks: Arc<Tasks>,
    gate: Mutex<Gate>,
}

#[derive(Debug)]
struct Gate {
    acceptor: Acceptor,
    waker: Option<Waker>,
}

/// A server on the runtime `R`.
#[derive(Debug)]
pub struct Server<R: Runtime> {
    listener: R::Listener,
    addr: SocketAddr,
    shared: Arc<Shared>,
}

/// Looks at a server from beside it.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    /// Sessions that are alive.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.shared.registry.with(|sessions, _| sessions.len())
    }

    /// Connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.tasks.count(Kind::Connection)
    }

    /// Handlers of the application that run.
    #[must_use]
    pub fn handlers(&self) -> usize {
        self.shared.tasks.count(Kind::Handler)
    }

    /// Waits until no connection is open and no handler runs.
    pub async fn gone(&self) {
        self.shared.tasks.gone(Kind::Connection).await;
        self.shared.tasks.gone(Kind::Handler).await;
    }

    /// Ends every task at once, for a second signal: nothing is drained.
    pub fn abort(&self) {
        self.shared.tasks.abort();
    }
}

impl<R: Runtime> Server<R> {
    /// Listens on `addr`.
    ///
    /// # Errors
    /// What the operating system says: most often that the address is in use.
    pub async fn bind(addr: SocketAddr, service: Service) -> io::Result<Server<R>> {
        let listener = R::bind(addr).await?;
        let addr = R::local_addr(&listener)?;
        let clock = Clock::start();
        let sessions = Sessions::new(service.limits.clone(), service.http_sse.resumption);
        let gate = Gate { acceptor: Acceptor::new(service.max_connections), waker: None };
        let shared = Shared {
            clock,
            registry: Arc::new(Registry::new(clock, sessions)),
            tasks: Arc::default(),
            gate: Mutex::new(gate),
            service,
        };
        Ok(Server { listener, addr, shared: Arc::new(shared) })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// A handle to look at it from beside.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Serves until `shutdown` is ready. Then it accepts no more, finishes every stream within its drain
    /// deadline, lets requests that have begun be answered, and waits for the application's handlers.
    ///
    /// Dropping the future ends every connection and handler at once.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) {
        let Server { listener, shared, .. } = self;
        let _over = Over(Arc::clone(&shared.tasks));
        let mut keeper = Keeper::new(Arc::clone(&shared), R::timer());
        {
            let mut shutdown = pin!(shutdown);
            let mut accepting = pin!(accept_loop::<R>(&listener, &shared));
            poll_fn(|cx| {
                keeper.poll(cx);
                let _: Poll<()> = accepting.as_mut().poll(cx);
                shutdown.as_mut().poll(cx)
            })
            .await;
        }
        // Whoever comes now is to learn at once that nobody will answer.
        drop(listener);

        tracing::info!(sessions = shared.registry.with(|sessions, _| sessions.len()), "shutting down");
        shared.tasks.finish();
        let drain = shared.service.stream.drain_within().max(shared.service.http_sse.stream.drain_within());
        let slack = Duration::from_secs(1);
        within::<R>(shared.clock, drain + slack, &mut keeper, shared.tasks.gone(Kind::Connection)).await;
        // A session that its client has left would keep its handler waiting for one that can't come back.
        shared.registry.end_all();
        let handlers = shared.service.handlers_within;
        within::<R>(shared.clock, handlers, &mut keeper, shared.tasks.gone(Kind::Handler)).await;
    }
}

/// However a server's future ends, no task of it goes on: nobody serves the deadlines of its sessions any more.
struct Over(Arc<Tasks>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Waits for `future`, but not longer than `limit`.
async fn within<R: Runtime>(
    clock: Clock,
    limit: Duration,
    keeper: &mut Keeper<R::Timer>,
    future: impl Future<Output = ()>,
) {
    let until = clock.now() + limit;
    let mut alarm = Alarm::new(R::timer());
    let mut future = pin!(future);
    poll_fn(|cx| {
        keeper.poll(cx);
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

/// Serves the deadlines of the table of sessions.
struct Keeper<T> {
    shared: Arc<Shared>,
    alarm: Alarm<T>,
}

impl<T: crate::runtime::Timer> Keeper<T> {
    fn new(shared: Arc<Shared>, timer: T) -> Keeper<T> {
        Keeper { shared, alarm: Alarm::new(timer) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        loop {
            let deadline = self.shared.registry.poll_deadline(cx);
            if deadline.is_some_and(|at| at <= self.shared.clock.now()) {
                self.shared.registry.with(Sessions::handle_timeout);
            } else if self.alarm.poll(cx, self.shared.clock, deadline).is_pending() {
                return;
            }
        }
    }
}

/// Never ends: whether and when to accept is the acceptor's decision, and no error ends it.
async fn accept_loop<R: Runtime>(listener: &R::Listener, shared: &Arc<Shared>) {
    loop {
        rest::<R>(shared).await;
        match R::accept(listener).await {
            Ok((io, peer)) => {
                let admission = shared.gate(|acceptor, _| acceptor.handle_accepted());
                let place = Place(Arc::clone(shared));
                shared.tasks.spawn::<R, _>(Kind::Connection, |id| {
                    let shared = Arc::clone(shared);
                    async move {
                        connection::serve::<R>(&shared, id, io, peer, admission).await;
                        drop(place);
                    }
                });
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
                shared.gate(|acceptor, now| acceptor.handle_error(now, what));
            }
        }
    }
}

/// Waits until the acceptor wants to accept.
async fn rest<R: Runtime>(shared: &Shared) {
    let mut alarm = Alarm::new(R::timer());
    poll_fn(|cx| {
        loop {
            let step = shared.gate(|acceptor, now| acceptor.poll(now));
            let wake_at = match step {
                AcceptStep::Accept => return Poll::Ready(()),
                AcceptStep::Wait(until) => Some(until),
                AcceptStep::Full => None,
            };
            shared.gate.lock().unwrap_or_else(PoisonError::into_inner).waker = Some(cx.waker().clone());
            // A place that became free between the two looks has woken nobody: look once more.
            if shared.gate(|acceptor, now| acceptor.poll(now)) == step
                && alarm.poll(cx, shared.clock, wake_at).is_pending()
            {
                return Poll::Pending;
            }
        }
    })
    .await;
}

impl Shared {
    fn gate<X>(&self, tell: impl FnOnce(&mut Acceptor, Tick) -> X) -> X {
        let now = self.clock.now();
        tell(&mut self.gate.lock().unwrap_or_else(PoisonError::into_inner).acceptor, now)
    }
}

/// A connection's place among those that are open.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut gate = self.0.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.acceptor.handle_closed();
        let waker = gate.waker.take();
        drop(gate);
        waker.into_iter().for_each(Waker::wake);
    }
}
