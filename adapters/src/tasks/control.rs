//! [`Control`]: how a task is asked to finish, and ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;

use futures_util::future::AbortHandle;
use futures_util::task::AtomicWaker;

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

/// How a task is asked to end.
#[derive(Clone)]
pub(super) enum Control {
    Connection(AbortHandle, Arc<Finishing>),
    Stream(Arc<dyn Stop>),
    /// It is not asked to finish: it does when what it works for has ended.
    Handler(AbortHandle),
}

impl Control {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Control::Connection(..) => Kind::Connection,
            Control::Stream(_) => Kind::Stream,
            Control::Handler(_) => Kind::Handler,
        }
    }

    pub(super) fn is_aborted(&self) -> bool {
        match self {
            Control::Connection(abort, _) | Control::Handler(abort) => abort.is_aborted(),
            Control::Stream(_) => false,
        }
    }

    /// Asks what all have been asked already.
    pub(super) fn catch_up(self, finishing: bool, aborting: bool) {
        if aborting {
            self.abort();
        } else if finishing {
            self.finish();
        }
    }

    pub(super) fn finish(self) {
        match self {
            Control::Connection(_, finishing) => finishing.ask(),
            Control::Stream(stream) => stream.finish(),
            Control::Handler(_) => {}
        }
    }

    pub(super) fn abort(self) {
        match self {
            Control::Connection(abort, _) | Control::Handler(abort) => abort.abort(),
            Control::Stream(stream) => stream.abort(),
        }
    }
}

/// How a connection between requests is asked to finish.
#[derive(Debug, Default)]
pub(crate) struct Finishing {
    asked: AtomicBool,
    waker: AtomicWaker,
}

impl Finishing {
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it has been asked to; wakes when it is.
    pub(crate) fn poll_asked(&self, cx: &mut Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.asked.load(Ordering::Acquire)
    }
}

/// A stream that comes to its end when it is told so; its task then does.
pub(crate) trait Stop: Send + Sync {
    /// Sends what waits, within its deadline.
    fn finish(&self);

    /// Ends at once.
    fn abort(&self);
}
