//! [`Tasks`]: every task that a server has started, how to ask each to finish, and how to end it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};

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
    next: u64,
    live: BTreeMap<u64, Task>,
    /// How many of each kind there are among them.
    counts: [usize; 3],
    finishing: bool,
    closed: bool,
    waiting: Vec<Waker>,
}

struct Task {
    kind: Kind,
    abort: AbortHandle,
    finish: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tasks({} live)", self.lock().live.len())
    }
}

/// A task's name, by which it says how it is asked to finish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskId(u64);

/// Takes the task off the list, however it ends.
struct Leave {
    tasks: Arc<Tasks>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut inner = self.tasks.lock();
        let gone = inner.live.remove(&self.id);
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
        let id = {
            let mut inner = self.lock();
            let id = inner.next;
            inner.next += 1;
            if inner.closed {
                abort.abort();
            }
            inner.counts[kind as usize] += 1;
            inner.live.insert(id, Task { kind, abort, finish: None });
            id
        };
        let leave = Leave { tasks: Arc::clone(self), id };
        let future = Abortable::new(AssertUnwindSafe(make(TaskId(id))).catch_unwind(), registration);
        R::spawn(async move {
            if let Ok(Err(_panic)) = future.await {
                tracing::error!("a task has panicked; its session or connection is closed");
            }
            drop(leave);
        });
    }

    /// Says how the task is asked to finish from now on; asks at once if all have been asked already.
    pub(crate) fn on_finish(&self, id: TaskId, finish: impl FnOnce() + Send + 'static) {
        let mut inner = self.lock();
        if inner.finishing {
            drop(inner);
            finish();
        } else if let Some(task) = inner.live.get_mut(&id.0) {
            task.finish = Some(Box::new(finish));
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
        let asks: Vec<_> = inner.live.values_mut().filter_map(|task| task.finish.take()).collect();
        drop(inner);
        asks.into_iter().for_each(|ask| ask());
    }

    /// Ends all at once: their futures are dropped.
    pub(crate) fn abort(&self) {
        let inner = self.lock();
        let handles: Vec<_> = inner.live.values().map(|task| task.abort.clone()).collect();
        drop(inner);
        handles.iter().for_each(AbortHandle::abort);
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
