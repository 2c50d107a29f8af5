//! [`Alarms`]: the timers of all of a server's connections, in one.
//!
//! A runtime's own timer for each stream would be a fifth of what an idle stream costs. Deadlines that are close to
//! each other are rounded to the same tick ([`Alarm`](crate::runtime::Alarm)), so there are few ticks; who waits for
//! one is a waker in its list.

use std::collections::BTreeMap;
use std::collections::btree_map::OccupiedEntry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use sansio_sse::Tick;

use crate::runtime::{Clock, Timer};

/// Who is to be woken when; somebody keeps it, by [`poll_deadline`](Alarms::poll_deadline) and [`fire`](Alarms::fire).
#[derive(Debug)]
pub(crate) struct Alarms {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    due: BTreeMap<Tick, Due>,
    /// Who keeps it, and the deadline that it knows of.
    keeper: Option<(Waker, Option<Tick>)>,
}

/// Those who wait for one tick.
#[derive(Debug, Default)]
struct Due {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Alarms {
    pub(crate) fn new(clock: Clock) -> Arc<Alarms> {
        Arc::new(Alarms { clock, inner: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A timer that is not set.
    pub(crate) fn timer(self: &Arc<Self>) -> ServerTimer {
        ServerTimer { alarms: Arc::clone(self), at: None, place: None }
    }

    /// The next tick that somebody waits for; wakes again when there is an earlier one.
    pub(crate) fn poll_deadline(&self, cx: &mut Context<'_>) -> Option<Tick> {
        let mut inner = self.lock();
        let deadline = inner.due.keys().next().copied();
        inner.keeper = Some((cx.waker().clone(), deadline));
        deadline
    }

    /// Time has come to `now`: wakes those who waited for it.
    pub(crate) fn fire(&self, now: Tick) {
        loop {
            let mut inner = self.lock();
            let first = inner.due.first_entry().filter(|first| *first.key() <= now);
            let Some(first) = first.map(OccupiedEntry::remove) else { return };
            drop(inner);
            first.wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    fn wait(&self, at: Tick, waker: &Waker) -> usize {
        let mut inner = self.lock();
        let due = inner.due.entry(at).or_default();
        let place = due.free.pop().unwrap_or_else(|| {
            due.wakers.push(None);
            due.wakers.len() - 1
        });
        due.wakers[place] = Some(waker.clone());
        let earlier = inner.keeper.take_if(|(_, known)| known.is_none_or(|known| at < known));
        drop(inner);
        if let Some((keeper, _)) = earlier {
            keeper.wake();
        }
        place
    }

    /// Nobody waits at that place any more; it may have fired already.
    fn leave(&self, at: Tick, place: usize) {
        let mut inner = self.lock();
        let Some(due) = inner.due.get_mut(&at) else { return };
        let gone = due.wakers.get_mut(place).and_then(Option::take);
        due.free.push(place);
        if due.free.len() == due.wakers.len() {
            inner.due.remove(&at);
        }
        drop(inner);
        drop(gone);
    }
}

/// One connection's part of [`Alarms`].
#[derive(Debug)]
pub(crate) struct ServerTimer {
    alarms: Arc<Alarms>,
    at: Option<Tick>,
    place: Option<usize>,
}

impl ServerTimer {
    fn leave(&mut self) {
        if let (Some(at), Some(place)) = (self.at, self.place.take()) {
            self.alarms.leave(at, place);
        }
    }
}

impl Timer for ServerTimer {
    fn set(&mut self, at: Instant) {
        self.leave();
        self.at = Some(self.alarms.clock.tick(at));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        if at <= self.alarms.clock.now() {
            self.leave();
            self.at = None;
            return Poll::Ready(());
        }
        if self.place.is_none() {
            self.place = Some(self.alarms.wait(at, cx.waker()));
        }
        Poll::Pending
    }
}

impl Drop for ServerTimer {
    fn drop(&mut self) {
        self.leave();
    }
}
