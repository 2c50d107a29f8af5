//! [`Tasks`]: every task that a server has started, how to ask each to finish, and how to end it.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};

use slab::Slab;

use crate::runtime::Runtime;

/// The tasks that have a socket.
pub(crate) const CONNECTED: [Kind; 2] = [Kind::Connection, Kind::Stream];

/// What a task is, to those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Reads requests of a connection, and answers them.
    Connection,
    /// Sends an event stream over one.
    Stream,
    /// Runs the application's code for a session or a stream.
    Handler,
}

#[derive(Default)]
pub(crate) struct Tasks {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    live: Slab<Task>,
    /// How many of each kind there are among them.
    counts: [usize; 3],
    finishing: bool,
    closed: bool,
    waiting: Vec<Waker>,
}

struct Task {
    kind: Kind,
    control: Control,
}

/// How a task is asked to end.
#[derive(Clone)]
enum Control {
    /// Like any future.
    Future { abort: AbortHandle, finish: Option<Arc<dyn Fn() + Send + Sync>> },
    /// As the stream that it drives.
    Stream(Arc<dyn Stop>),
}

impl Control {
    fn finish(self) {
        match self {
            Control::Future { finish, .. } => finish.iter().for_each(|finish| finish()),
            Control::Stream(stream) => stream.finish(),
        }
    }

    fn abort(self) {
        match self {
            Control::Future { abort, .. } => abort.abort(),
            Control::Stream(stream) => stream.abort(),
        }
    }
}

/// A stream that comes to its end when it is told so; its task then does.
pub(crate) trait Stop: Send + Sync {
    /// Sends what waits, within its deadline.
    fn finish(&self);

    /// Ends at once.
    fn abort(&self);
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({} live)", self.lock().live.len())
    }
}

/// A task's name, by which it says how it is asked to finish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskId(usize);

/// Takes the task off the list, however it ends.
struct Leave {
    tasks: Arc<Tasks>,
    id: usize,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut inner = self.tasks.lock();
        let gone = inner.live.try_remove(self.id);
        if let Some(task) = &gone {
            inner.counts[task.kind as usize] -= 1;
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

    /// Runs a future in a task of its own. A panic ends that task alone; its `Drop`s still run.
    pub(crate) fn spawn<R: Runtime, Fut>(self: &Arc<Self>, kind: Kind, make: impl FnOnce(TaskId) -> Fut)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (abort, registration) = AbortHandle::new_pair();
        let leave = self.enter(kind, Control::Future { abort, finish: None });
        let future = AssertUnwindSafe(make(TaskId(leave.id))).catch_unwind();
        // No `async` block: it would hold the future twice.
        R::spawn(Abortable::new(future, registration).map(move |end| {
            if let Ok(Err(_panic)) = end {
                tracing::error!("a task has panicked; its session or connection is closed");
            }
            drop(leave);
        }));
    }

    /// Runs the driver of a stream in a task of its own.
    pub(crate) fn spawn_stream<R: Runtime>(
        self: &Arc<Self>,
        stream: Arc<dyn Stop>,
        driver: impl Future<Output = ()> + Send + 'static,
    ) {
        let leave = self.enter(Kind::Stream, Control::Stream(stream));
        R::spawn(AssertUnwindSafe(driver).catch_unwind().map(move |end| {
            if end.is_err() {
                tracing::error!("a stream's driver has panicked; its connection is closed");
            }
            drop(leave);
        }));
    }

    /// Puts a task on the list, and asks it at once what all have been asked already.
    fn enter(self: &Arc<Self>, kind: Kind, control: Control) -> Leave {
        let mut inner = self.lock();
        inner.counts[kind as usize] += 1;
        let (finishing, closed) = (inner.finishing, inner.closed);
        let id = inner.live.insert(Task { kind, control: control.clone() });
        drop(inner);
        if closed {
            control.abort();
        } else if finishing {
            control.finish();
        }
        Leave { tasks: Arc::clone(self), id }
    }

    /// Says how the task is asked to finish from now on; asks at once if all have been asked already.
    pub(crate) fn on_finish(&self, id: TaskId, ask: impl Fn() + Send + Sync + 'static) {
        let mut inner = self.lock();
        if inner.finishing {
            drop(inner);
            ask();
        } else if let Some(Task { control: Control::Future { finish, .. }, .. }) = inner.live.get_mut(id.0) {
            *finish = Some(Arc::new(ask));
        }
    }

    /// Whether all have been asked to finish.
    pub(crate) fn is_finishing(&self) -> bool {
        self.lock().finishing
    }

    /// Asks all to finish.
    pub(crate) fn finish(&self) {
        let mut inner = self.lock();
        inner.finishing = true;
        let all: Vec<_> = inner.live.iter().map(|(_, task)| task.control.clone()).collect();
        drop(inner);
        all.into_iter().for_each(Control::finish);
    }

    /// Ends all at once: their futures are dropped. Handlers last, so that what they say as they are dropped reaches
    /// no client as if that were the end of its stream.
    pub(crate) fn abort(&self) {
        let inner = self.lock();
        let all = inner.live.iter().map(|(_, task)| (task.kind == Kind::Handler, task.control.clone()));
        let (handlers, others): (Vec<_>, Vec<_>) = all.partition(|(is_handler, _)| *is_handler);
        drop(inner);
        others.into_iter().chain(handlers).for_each(|(_, control)| control.abort());
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

/// Ends all tasks when it is dropped, and lets no more be started.
#[derive(Debug)]
pub(crate) struct CloseOnDrop(pub(crate) Arc<Tasks>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
