//! The one list of deadlines, which both reports and fires.

use alloc::collections::{BTreeMap, BTreeSet};

use super::ExchangeId;
use crate::Tick;
use crate::mcp::SessionId;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A session that nobody uses ends.
    Idle(SessionId),
    /// A POST that waits for room is given up.
    Held(ExchangeId),
    /// A request that takes its time is answered by a stream.
    Stream(ExchangeId),
    /// A response that lasts ends, and the client polls.
    Poll(ExchangeId),
    /// What a channel keeps has become old.
    Age(u64),
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Tick, Due)>,
    at: BTreeMap<Due, Tick>,
}

impl Timers {
    pub(super) fn set(&mut self, due: Due, at: Tick) {
        self.clear(&due);
        self.at.insert(due.clone(), at);
        self.order.insert((at, due));
    }

    pub(super) fn clear(&mut self, due: &Due) {
        if let Some((due, at)) = self.at.remove_entry(due) {
            self.order.remove(&(at, due));
        }
    }

    pub(super) fn first(&self) -> Option<Tick> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The first that is due.
    pub(super) fn pop(&mut self, now: Tick) -> Option<Due> {
        let (_, due) = self.order.first().filter(|(at, _)| *at <= now)?;
        let due = due.clone();
        self.clear(&due);
        Some(due)
    }
}
