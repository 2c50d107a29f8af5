//! [`Topic`]: publishes once to any number of event streams.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};

use sansio_sse::{EventId, Frame, TopicConfig};

use crate::runtime::Clock;
use crate::sync::{Counted, Mutex, MutexGuard};

/// Publishes frames to the streams that [follow](crate::EventSender::follow) it. Clones publish to the same ones; when
/// the last is dropped, those streams finish.
///
/// Publishing never waits: the frame is encoded into one log, and the streams that have sent all of it are woken, once
/// a turn. What the log holds is bounded; a stream that falls off its end is closed as lagged, and its client comes
/// back with `Last-Event-ID`.
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
    held: Counted<Held>,
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
        let inner = Inner { topic, parked: Parked::default(), due: VecDeque::new() };
        Topic { held: Counted::new(Held(Arc::new(Log { clock: Clock::start(), inner: Mutex::new(inner) }))) }
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

/// A stream that follows a topic.
pub(crate) trait Follower: Send + Sync {
    /// Sends what there is for it, as far as its socket takes it.
    fn pump(self: Arc<Self>);

    /// Wakes its driver; false if it has none any more.
    fn wake(&self) -> bool;
}

/// The log behind its lock, and the streams that have sent all of it.
///
/// A driver that is woken for its own stream's sake serves others as well: so a message to thousands wakes some
/// hundreds of tasks.
pub(crate) struct Log {
    clock: Clock,
    inner: Mutex<Inner>,
}

struct Inner {
    topic: sansio_sse::Topic,
    parked: Parked,
    /// Those for whom there is something. As long as there are any, one of their drivers is awake.
    due: VecDeque<Arc<dyn Follower>>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().topic.fmt(f)
    }
}

/// How many streams a driver serves when it is woken.
const SHARE: usize = 16;

impl Log {
    /// No code of an application runs under the lock, and no stream is locked under it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the log, for a stream that is about to follow it.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&sansio_sse::Topic) -> R) -> R {
        look(&self.lock().topic)
    }

    /// Tells the log something. Those who have sent all of it are due.
    fn command<R>(&self, tell: impl FnOnce(&mut sansio_sse::Topic) -> R) -> R {
        let mut inner = self.lock();
        let Inner { topic, parked, due } = &mut *inner;
        let result = tell(topic);
        if parked.is_empty() {
            return result;
        }
        let first = due.len();
        due.extend(parked.take());
        let woken: Vec<_> = due.iter().skip(first).step_by(SHARE).map(Arc::clone).collect();
        drop(inner);
        let awake = woken.iter().filter(|follower| follower.wake()).count();
        if awake == 0 {
            self.pass_on();
        }
        result
    }

    /// Lets a stream take what there is for it. If it says that this was all, it is parked, to be due when there is
    /// more.
    pub(crate) fn fill<F: Follower + 'static>(
        &self,
        seat: &mut Option<Seat>,
        follower: impl FnOnce() -> Arc<F>,
        fill: impl FnOnce(&mut sansio_sse::Topic) -> bool,
    ) -> bool {
        let mut inner = self.lock();
        let all = fill(&mut inner.topic);
        if all {
            inner.parked.park(seat, follower);
        }
        all
    }

    /// Serves some of those who are due, the longest first.
    pub(crate) fn help(&self) {
        let mut inner = self.lock();
        if inner.due.is_empty() {
            return;
        }
        let some = inner.due.len().min(SHARE);
        let batch: Vec<_> = inner.due.drain(..some).collect();
        drop(inner);
        batch.into_iter().for_each(Follower::pump);
        self.pass_on();
    }

    /// Wakes somebody, if there is still something to do.
    fn pass_on(&self) {
        loop {
            let Some(next) = self.lock().due.front().map(Arc::clone) else { return };
            if next.wake() {
                return;
            }
            self.lock().due.retain(|due| !Arc::ptr_eq(due, &next));
        }
    }

    /// The stream is over.
    pub(crate) fn leave(&self, seat: Option<Seat>) {
        let gone = seat.and_then(|seat| self.lock().parked.leave(seat));
        drop(gone);
        self.pass_on(); // Its driver may have been the one that was woken.
    }
}

/// Where a stream is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    turn: u64,
    place: usize,
}

/// Streams that become due all at once. A seat is good for one turn, so that this touches none of them.
#[derive(Default)]
struct Parked {
    turn: u64,
    seats: Vec<Option<Arc<dyn Follower>>>,
    free: Vec<usize>,
}

impl Parked {
    fn is_empty(&self) -> bool {
        self.seats.len() == self.free.len()
    }

    fn park<F: Follower + 'static>(&mut self, seat: &mut Option<Seat>, follower: impl FnOnce() -> Arc<F>) {
        if seat.is_some_and(|seat| seat.turn == self.turn) {
            return;
        }
        let follower: Arc<dyn Follower> = follower();
        let place = match self.free.pop() {
            Some(place) => {
                self.seats[place] = Some(follower);
                place
            }
            None => {
                self.seats.push(Some(follower));
                self.seats.len() - 1
            }
        };
        *seat = Some(Seat { turn: self.turn, place });
    }

    fn leave(&mut self, seat: Seat) -> Option<Arc<dyn Follower>> {
        if seat.turn != self.turn {
            return None;
        }
        self.free.push(seat.place);
        self.seats.get_mut(seat.place)?.take()
    }

    fn take(&mut self) -> impl Iterator<Item = Arc<dyn Follower>> {
        self.turn += 1;
        self.free.clear();
        self.seats.drain(..).flatten()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::{Arc, mpsc};

    use sansio_sse::Frame;

    use super::{Follower, SHARE, Topic};

    /// A stream that only says when it is served.
    struct Named {
        name: usize,
        served: mpsc::Sender<usize>,
    }

    impl Follower for Named {
        fn pump(self: Arc<Self>) {
            let _ = self.served.send(self.name);
        }

        fn wake(&self) -> bool {
            true
        }
    }

    #[test]
    fn who_has_been_due_for_longest_is_served_first() {
        let topic = Topic::with_id(1, Default::default());
        let (served, order) = mpsc::channel();
        let turns = 3 * SHARE;
        for names in [0..turns, turns..2 * turns] {
            for name in names {
                let named = || Arc::new(Named { name, served: served.clone() });
                assert!(topic.log().fill(&mut None, named, |_| true));
            }
            topic.publish(&Frame::message("to all that have none"));
        }
        for _ in 0..6 {
            topic.log().help();
        }
        assert_eq!(order.try_iter().collect::<Vec<_>>(), (0..2 * turns).collect::<Vec<_>>());
    }
}
