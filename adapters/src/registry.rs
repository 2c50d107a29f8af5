//! [`Registry`]: the table of sessions behind its lock, and those whom its events wake.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use sansio_sse::mcp::{
    Attachment, Message, PostId, PostOutcome, Principal, SessionEnd, SessionEvent, SessionId, SessionStream,
    Sessions,
};
use sansio_sse::{Close, Tick};

use crate::runtime::Clock;
use crate::shared::Shared;

#[derive(Debug)]
pub(crate) struct Registry {
    clock: Clock,
    inner: Mutex<Inner>,
    /// Held while a response takes up a session.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    sessions: Sessions,
    applications: HashMap<SessionId, Application>,
    posts: HashMap<PostId, Post>,
    /// Who serves the deadlines, and the one it knows of.
    keeper: Option<(Waker, Option<Tick>)>,
}

/// What the application holds of a session. It outlives the session until the application lets go.
#[derive(Debug)]
struct Application {
    stream: Arc<Shared<SessionStream>>,
    principal: Principal,
    reader: Option<Waker>,
    end: Option<SessionEnd>,
}

/// Somebody waits to answer a POST.
#[derive(Debug)]
enum Post {
    Waiting(Waker),
    Decided(PostOutcome),
}

impl Registry {
    pub(crate) fn new(clock: Clock, sessions: Sessions) -> Registry {
        let inner = Inner { sessions, applications: HashMap::new(), posts: HashMap::new(), keeper: None };
        Registry { clock, inner: Mutex::new(inner), turn: Mutex::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks or tells the table something, and hands its events to whom they concern.
    pub(crate) fn with<R>(&self, tell: impl FnOnce(&mut Sessions, Tick) -> R) -> R {
        let now = self.clock.now();
        let mut wake = Vec::new();
        let mut over = Vec::new();
        let mut inner = self.lock();
        let result = tell(&mut inner.sessions, now);
        while let Some(event) = inner.sessions.poll_event() {
            match event {
                SessionEvent::Readable(id) => {
                    wake.extend(inner.applications.get_mut(&id).and_then(|app| app.reader.take()));
                }
                SessionEvent::Post(post, outcome) => {
                    if let Some(Post::Waiting(waker)) = inner.posts.insert(post, Post::Decided(outcome)) {
                        wake.push(waker);
                    }
                }
                SessionEvent::Ended { id, end, unread } => {
                    tracing::info!(session = %id, reason = %end, unread, "session ended");
                    if let Some(app) = inner.applications.get_mut(&id) {
                        app.end = Some(end);
                        wake.extend(app.reader.take());
                        over.push((Arc::clone(&app.stream), end));
                    }
                }
            }
        }
        if let Some(at) = inner.sessions.deadline()
            && inner.keeper.as_ref().is_some_and(|(_, known)| known.is_none_or(|known| at < known))
        {
            wake.extend(inner.keeper.take().map(|(waker, _)| waker));
        }
        drop(inner);
        for (stream, end) in over {
            stream.command(|stream, now| stream.handle_ended(now, &end));
        }
        wake.into_iter().for_each(Waker::wake);
        result
    }

    /// The next deadline of the table; wakes again when there may be an earlier one.
    pub(crate) fn poll_deadline(&self, cx: &mut Context<'_>) -> Option<Tick> {
        let mut inner = self.lock();
        let deadline = inner.sessions.deadline();
        inner.keeper = Some((cx.waker().clone(), deadline));
        deadline
    }

    /// One response at a time takes up a session: its stream and the table are told one after the other, and must
    /// agree which response is the newest.
    pub(crate) fn take_up(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, id: SessionId, stream: Arc<Shared<SessionStream>>, principal: Principal) {
        self.lock().applications.insert(id, Application { stream, principal, reader: None, end: None });
    }

    /// The application lets go.
    pub(crate) fn leave(&self, id: &SessionId) {
        self.with(|sessions, now| sessions.end(now, id));
        self.lock().applications.remove(id);
    }

    pub(crate) fn stream(&self, id: &SessionId) -> Option<Arc<Shared<SessionStream>>> {
        self.lock().applications.get(id).map(|app| Arc::clone(&app.stream))
    }

    /// Whether it is their session. To all others it is as if there were none.
    pub(crate) fn is_of(&self, id: &SessionId, principal: &Principal) -> bool {
        self.lock().applications.get(id).is_some_and(|app| app.principal == *principal)
    }

    pub(crate) fn end_of(&self, id: &SessionId) -> Option<SessionEnd> {
        self.lock().applications.get(id).and_then(|app| app.end)
    }

    /// The next message of a session, or `None` at its end.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, id: &SessionId) -> Poll<Option<Message>> {
        if let Some(message) = self.with(|sessions, now| sessions.take(now, id)) {
            return Poll::Ready(Some(message));
        }
        let mut inner = self.lock();
        // One may have come in between the two locks: then its event found no reader to wake.
        let now = self.clock.now();
        if let Some(message) = inner.sessions.take(now, id) {
            drop(inner);
            self.with(|_, _| ());
            return Poll::Ready(Some(message));
        }
        match inner.applications.get_mut(id) {
            Some(app) if app.end.is_none() => {
                app.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(None),
        }
    }

    /// Finishes a session's stream. The table is told first, so that no message is accepted that nobody answers.
    pub(crate) fn finish(&self, id: &SessionId, stream: &Shared<SessionStream>) {
        self.with(|sessions, now| sessions.finish(now, id));
        stream.command(SessionStream::finish);
    }

    /// Why a session ended, once it has.
    pub(crate) fn poll_end(&self, cx: &mut Context<'_>, id: &SessionId) -> Poll<Option<SessionEnd>> {
        match self.lock().applications.get_mut(id) {
            Some(app) if app.end.is_none() => {
                app.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(app) => Poll::Ready(app.end),
            None => Poll::Ready(None),
        }
    }

    /// Waits for the decision about a POST that was held back. Dropping the future withdraws it.
    pub(crate) async fn outcome(&self, id: &SessionId, post: PostId) -> PostOutcome {
        let withdrawn = Withdraw { registry: self, id, post };
        let outcome = poll_fn(|cx| {
            let mut inner = self.lock();
            match inner.posts.remove(&post) {
                Some(Post::Decided(outcome)) => Poll::Ready(outcome),
                Some(Post::Waiting(_)) | None => {
                    inner.posts.insert(post, Post::Waiting(cx.waker().clone()));
                    Poll::Pending
                }
            }
        })
        .await;
        drop(withdrawn);
        outcome
    }
}

struct Withdraw<'a> {
    registry: &'a Registry,
    id: &'a SessionId,
    post: PostId,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.registry.with(|sessions, now| sessions.withdraw(now, self.id, self.post));
        self.registry.lock().posts.remove(&self.post);
    }
}

/// A response that speaks for a session. However the response's task ends, the table learns of it.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) registry: Arc<Registry>,
    pub(crate) stream: Arc<Shared<SessionStream>>,
    pub(crate) generation: u32,
    pub(crate) attachment: Option<Attachment>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        let generation = self.generation;
        let close = self.stream.command(|stream, now| {
            if stream.close_of(generation).is_none() {
                stream.handle_abandoned(now);
            }
            stream.close_of(generation)
        });
        if let (Some(attachment), Some(close)) = (self.attachment.take(), close) {
            log_close(attachment.id(), &close);
            self.registry.with(|sessions, now| sessions.handle_closed(now, attachment, close));
        }
    }
}

fn log_close(id: &SessionId, close: &Close) {
    tracing::info!(session = %id, reason = %close.reason, undelivered = close.undelivered, "response ended");
}
