//! [`State`]: what the tasks of a server have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use sansio_sse::mcp::Sessions;
use sansio_sse::{Acceptor, Admission, Tick};

use crate::alarms::Alarms;
use crate::mcp::Endpoint;
use crate::registry::Registry;
use crate::runtime::Clock;
use crate::service::Service;
use crate::tasks::Tasks;

/// What is served, who is there, and what runs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Clock,
    pub(crate) service: Service,
    pub(crate) registry: Arc<Registry>,
    /// The endpoints of Streamable HTTP, in the order of the routes.
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) alarms: Arc<Alarms>,
    gate: Mutex<Gate>,
}

/// Where connections come in, and who waits for a place to become free.
#[derive(Debug)]
struct Gate {
    acceptor: Acceptor,
    waker: Option<Waker>,
}

impl State {
    pub(crate) fn new(mut service: Service) -> Arc<State> {
        let clock = Clock::start();
        let sessions = Sessions::new(service.limits.clone(), service.http_sse.resumption)
            .with_greeting(service.http_sse.greeting());
        let gate = Gate { acceptor: Acceptor::new(service.max_connections), waker: None };
        let registry = Arc::new(Registry::new(clock, sessions));
        let endpoints = service
            .endpoints
            .drain(..)
            .map(|(machine, application)| Arc::new(Endpoint::new(clock, machine, application)));
        let endpoints = endpoints.collect();
        Arc::new(State {
            clock,
            registry,
            endpoints,
            tasks: Arc::default(),
            alarms: Alarms::new(clock),
            gate: Mutex::new(gate),
            service,
        })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells the acceptor something.
    pub(crate) fn acceptor<R>(&self, tell: impl FnOnce(&mut Acceptor, Tick) -> R) -> R {
        let now = self.clock.now();
        tell(&mut self.gate().acceptor, now)
    }

    /// Counts a connection in, until its place is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> (Admission, Place) {
        (self.gate().acceptor.handle_accepted(), Place(Arc::clone(self)))
    }

    /// Wakes `waker` when a place becomes free.
    pub(crate) fn wake_when_left(&self, waker: &Waker) {
        self.gate().waker = Some(waker.clone());
    }
}

/// A connection's place among those that are open.
#[derive(Debug)]
pub(crate) struct Place(Arc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        let mut gate = self.0.gate();
        gate.acceptor.handle_closed();
        let waker = gate.waker.take();
        drop(gate);
        waker.into_iter().for_each(Waker::wake);
    }
}
