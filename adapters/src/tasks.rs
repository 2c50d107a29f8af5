//! [`Tasks`]: every task that a server has started, how to ask each to finish, and how to end it.

mod chain;
mod control;

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable, Aborted};
use slab::Slab;

pub(crate) use self::chain::Chain;
use self::control::Control;
pub(crate) use self::control::{Finishing, Kind, Stop};
use crate::runtime::Runtime;

/// The tasks that have a socket.
pub(crate) const CONNECTED: [Kind; 2] = [Kind::Connection, Kind::Stream];

#[derive(Default)]
pub(crate) struct Tasks {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    live: Slab<Control>,
    /// How many of each kind there are among them.
    counts: [usize; 3],
    finishing: bool,
    closed: bool,
    waiting: Vec<Waker>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({} live)", self.lock().live.len())
    }
}

/// A task's place on the list: however it ends, it leaves the list with this.
pub(crate) struct Listed {
    tasks: Arc<Tasks>,
    id: usize,
}

impl Listed {
    /// What a connection's task goes on with when a stream has its socket.
    pub(crate) fn drive(
        self,
        stream: Arc<dyn Stop>,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> Chain {
        self.tasks.change(self.id, Control::Stream(stream));
        Chain::new(AssertUnwindSafe(driver).catch_unwind().map(move |end| {
            if end.is_err() {
                tracing::error!("a stream's driver has panicked; its connection is closed");
            }
            drop(self);
            None
        }))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut inner = self.tasks.lock();
        let gone = inner.live.try_remove(self.id);
        if let Some(task) = &gone {
            inner.counts[task.kind() as usize] -= 1;
        }
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        drop(gone);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the application's code in a task of its own. A panic ends that task alone; its `Drop`s still run.
    pub(crate) fn spawn_handler<R: Runtime>(
        self: &Arc<Self>,
        handler: impl Future<Output = ()> + Send + 'static,
    ) {
        let (abort, registration) = AbortHandle::new_pair();
        let listed = self.enter(Control::Handler(abort));
        let handler = AssertUnwindSafe(handler).catch_unwind();
        // No `async` block: it would hold the future twice.
        R::spawn(Abortable::new(handler, registration).map(move |end| {
            if let Ok(Err(_panic)) = end {
                tracing::error!("a handler has panicked; its session or stream ends");
            }
            drop(listed);
        }));
    }

    /// Serves a connection in a task of its own. What reads its requests is large, and goes where a stream goes on
    /// with the socket.
    pub(crate) fn spawn_connection<R: Runtime>(
        self: &Arc<Self>,
        finishing: Arc<Finishing>,
        connection: impl Future<Output = Option<GoOn>> + Send + 'static,
    ) {
        let (abort, registration) = AbortHandle::new_pair();
        let listed = self.enter(Control::Connection(abort, finishing));
        let connection = AssertUnwindSafe(connection).catch_unwind();
        R::spawn(Chain::new(Abortable::new(connection, registration).map(move |end| match end {
            Ok(Ok(go_on)) => go_on.map(|go_on| go_on(listed)),
            Ok(Err(_panic)) => {
                tracing::error!("a connection's task has panicked; it is closed");
                None
            }
            Err(Aborted) => None,
        })));
    }

    /// Puts a task on the list, and asks it at once what all have been asked already.
    fn enter(self: &Arc<Self>, control: Control) -> Listed {
        let mut inner = self.lock();
        inner.counts[control.kind() as usize] += 1;
        let id = inner.live.insert(control.clone());
        let (finishing, closed) = (inner.finishing, inner.closed);
        drop(inner);
        control.catch_up(finishing, closed);
        Listed { tasks: Arc::clone(self), id }
    }

    /// A task goes on as one of another kind: what it has been asked, it has been asked as that.
    fn change(&self, id: usize, control: Control) {
        let mut inner = self.lock();
        let Some(place) = inner.live.get_mut(id) else { return };
        let before = std::mem::replace(place, control.clone());
        inner.counts[before.kind() as usize] -= 1;
        inner.counts[control.kind() as usize] += 1;
        let (finishing, closed) = (inner.finishing, inner.closed);
        drop(inner);
        control.catch_up(finishing, closed || before.is_aborted());
    }

    /// Whether all have been asked to finish.
    pub(crate) fn is_finishing(&self) -> bool {
        self.lock().finishing
    }

    /// Asks all to finish.
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        inner.finishing = true;
        let all: Vec<_> = inner.live.iter().map(|(_, control)| control.clone()).collect();
        drop(inner);
        all.into_iter().for_each(Control::finish);
    }

    /// Ends all at once: their futures are dropped. Handlers last, so that what they say as they are dropped reaches
    /// no client as if that were the end of its stream.
    pub(crate) fn abort(&self) {
        let inner = self.lock();
        let all = inner.live.iter().map(|(_, control)| control.clone());
        let (handlers, others): (Vec<_>, Vec<_>) = all.partition(|control| control.kind() == Kind::Handler);
        drop(inner);
        others.into_iter().chain(handlers).for_each(Control::abort);
    }

    /// Ends all at once, and from now on each that is started as well.
    fn close(&self) {
        self.lock().closed = true;
        self.abort();
    }

    /// How many of a kind are live.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.lock().counts[kind as usize]
    }

    /// Waits until none of these kinds is live.
    pub(crate) async fn gone(&self, kinds: &[Kind]) {
        poll_fn(|cx| {
            let mut inner = self.lock();
            if kinds.iter().all(|kind| inner.counts[*kind as usize] == 0) {
                return Poll::Ready(());
            }
            inner.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// How a connection's task goes on.
pub(crate) type GoOn = Box<dyn FnOnce(Listed) -> Chain + Send>;

/// Ends all tasks when it is dropped, and lets no more be started.
#[derive(Debug)]
pub(crate) struct CloseOnDrop(pub(crate) Arc<Tasks>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
