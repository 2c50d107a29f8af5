//! [`Topic`]: publishes once to any number of event streams.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use sansio_sse::{EventId, Frame, TopicConfig};

use crate::runtime::Clock;

/// Publishes frames to the streams that [follow](crate::EventSender::follow) it. Clones publish to the same ones; when
/// the last is dropped, those streams finish.
///
/// Publishing never waits, and costs the same whoever follows: the frame is encoded into one log, and the streams
/// that have sent all of it are woken, once a turn. What the log holds is bounded; a stream that falls off its end
/// is closed as lagged, and its client comes back with `Last-Event-ID`.
///
/// ```
/// use sansio_sse::Frame;
/// use sansio_sse_adapters::{Service, Topic};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let news = Topic::new(Default::default())?;
/// let followed = news.clone();
/// let service = Service::builder().events("/news", move |events, request| {
///     let _ = events.follow(&followed, request.last_event_id());
///     async {}
/// });
/// news.publish(&Frame::message("hello"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Topic {
    held: Arc<Held>,
}

struct Held(Arc<Log>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.command(sansio_sse::Topic::finish);
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.log().lock().topic.fmt(f)
    }
}

impl Topic {
    /// An empty topic with an id of its own, at random.
    ///
    /// # Errors
    /// What the operating system says when it has no randomness.
    pub fn new(config: TopicConfig) -> io::Result<Topic> {
        let mut id = [0; 8];
        getrandom::fill(&mut id)?;
        Ok(Topic::with_id(u64::from_le_bytes(id), config))
    }

    /// An empty topic with this id: see [`sansio_sse::Topic::new`].
    #[must_use]
    pub fn with_id(id: u64, config: TopicConfig) -> Topic {
        let topic = sansio_sse::Topic::new(id, config);
        let inner = Inner { topic, parked: Parked::default() };
        Topic { held: Arc::new(Held(Arc::new(Log { clock: Clock::start(), inner: Mutex::new(inner) }))) }
    }

    /// Publishes a frame. Gives back the id that clients see.
    pub fn publish(&self, frame: &Frame) -> EventId {
        let now = self.log().clock.recent();
        self.log().command(|topic| topic.publish(now, frame))
    }

    /// The id of the last frame published; its `seq` is 0 before the first.
    #[must_use]
    pub fn last_id(&self) -> EventId {
        self.log().lock().topic.last_id()
    }

    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.held.0
    }
}

/// The log behind its lock, and the drivers that have sent all of it.
pub(crate) struct Log {
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    topic: sansio_sse::Topic,
    parked: Parked,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().topic.fmt(f)
    }
}

impl Log {
    /// No code of an application runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the log, for a stream that is about to follow it.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&sansio_sse::Topic) -> R) -> R {
        look(&self.lock().topic)
    }

    /// Tells the log something, and wakes those who wait for it.
    fn command<R>(&self, tell: impl FnOnce(&mut sansio_sse::Topic) -> R) -> R {
        let mut inner = self.lock();
        let result = tell(&mut inner.topic);
        if inner.parked.is_empty() {
            return result;
        }
        let mut parked = inner.parked.take();
        drop(inner);
        parked.drain(..).flatten().for_each(Waker::wake);
        self.lock().parked.give_back(parked);
        result
    }

    /// Lets a stream take what there is for it. If it says that this was all, `waker` is woken when there is more.
    pub(crate) fn fill(
        &self,
        seat: &mut Option<Seat>,
        waker: &Waker,
        fill: impl FnOnce(&mut sansio_sse::Topic) -> bool,
    ) -> bool {
        let mut inner = self.lock();
        let all = fill(&mut inner.topic);
        if all {
            inner.parked.park(seat, waker);
        }
        all
    }

    /// The stream is over: its waker goes.
    pub(crate) fn leave(&self, seat: Seat) {
        let gone = self.lock().parked.leave(seat);
        drop(gone); // It may be the last of its task.
    }
}

/// Where a waker is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    turn: u64,
    place: usize,
}

/// Wakers, all woken at once. A seat is good for one turn, so that waking a thousand touches none of them.
#[derive(Default)]
struct Parked {
    turn: u64,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
    /// An empty one, for its memory.
    spare: Vec<Option<Waker>>,
}

impl Parked {
    fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    fn park(&mut self, seat: &mut Option<Seat>, waker: &Waker) {
        if let Some(Seat { turn, place }) = *seat
            && turn == self.turn
            && let Some(parked) = self.wakers.get_mut(place)
        {
            if !parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
                *parked = Some(waker.clone());
            }
            return;
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.wakers.push(None);
                self.wakers.len() - 1
            }
        };
        if let Some(parked) = self.wakers.get_mut(place) {
            *parked = Some(waker.clone());
        }
        *seat = Some(Seat { turn: self.turn, place });
    }

    fn leave(&mut self, seat: Seat) -> Option<Waker> {
        if seat.turn != self.turn {
            return None;
        }
        let gone = self.wakers.get_mut(seat.place)?.take();
        self.free.push(seat.place);
        gone
    }

    fn take(&mut self) -> Vec<Option<Waker>> {
        self.turn += 1;
        self.free.clear();
        std::mem::replace(&mut self.wakers, std::mem::take(&mut self.spare))
    }

    fn give_back(&mut self, empty: Vec<Option<Waker>>) {
        if empty.capacity() > self.spare.capacity() {
            self.spare = empty;
        }
    }
}
