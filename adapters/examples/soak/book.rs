//! [`Book`]: what the server says of a stream, held against what its client has got of it.

use std::collections::{BTreeMap, HashMap};

use crate::ask::Ask;

/// How a stream ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the last chunk.
    Whole,
    /// In order, as far as TCP goes, but without the last chunk.
    Cut,
    /// With a reset.
    Broken,
    /// The client left, or was never answered.
    Left,
}

/// A stream as its client saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) ask: Ask,
    pub(crate) begun: bool,
    pub(crate) received: u64,
    pub(crate) end: End,
}

/// A stream as the server tells it.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) accepted: u64,
    pub(crate) undelivered: u64,
    pub(crate) reason: String,
}

/// The streams of which only one side has told the end yet, and the sums of all others.
#[derive(Debug, Default)]
pub(crate) struct Book {
    keys: u64,
    seen: HashMap<u64, Seen>,
    told: HashMap<u64, Told>,
    pub(crate) open: u64,
    pub(crate) received: u64,
    pub(crate) accepted: u64,
    pub(crate) undelivered: u64,
    /// Requests that were no streams, and were answered as they deserve.
    pub(crate) refused: u64,
    /// Streams of which all that the socket took is known to have come, to the message.
    pub(crate) exact: u64,
    pub(crate) reasons: BTreeMap<String, u64>,
    pub(crate) violations: Vec<String>,
}

impl Book {
    /// A key for a new stream.
    pub(crate) fn key(&mut self) -> u64 {
        self.keys += 1;
        self.open += 1;
        self.keys
    }

    pub(crate) fn violation(&mut self, what: String) {
        println!("VIOLATION: {what}");
        self.violations.push(what);
    }

    pub(crate) fn seen(&mut self, seen: Seen) {
        self.open -= 1;
        match self.told.remove(&seen.ask.key) {
            Some(told) => self.settle(&seen, &told),
            None => drop(self.seen.insert(seen.ask.key, seen)),
        }
    }

    pub(crate) fn told(&mut self, key: u64, told: Told) {
        *self.reasons.entry(told.reason.clone()).or_default() += 1;
        self.accepted += told.accepted;
        self.undelivered += told.undelivered;
        match self.seen.remove(&key) {
            Some(seen) => self.settle(&seen, &told),
            None => drop(self.told.insert(key, told)),
        }
    }

    /// Delivered + undelivered = accepted; and what was delivered is what came, wherever the client can know.
    fn settle(&mut self, seen: &Seen, told: &Told) {
        let Seen { ask, received, end, .. } = *seen;
        let delivered = told.accepted.checked_sub(told.undelivered);
        let holds = match end {
            End::Whole => {
                told.reason == "finished" && received == ask.messages && delivered == Some(ask.messages)
            }
            End::Cut => told.reason != "finished" && delivered == Some(received),
            // What the system held is lost.
            End::Broken | End::Left => delivered.is_some_and(|delivered| received <= delivered),
        };
        if !holds || (told.reason == "finished" && told.undelivered > 0) {
            self.violation(format!("{seen:?} and {told:?}"));
        }
        self.exact += u64::from(matches!(end, End::Whole | End::Cut));
    }

    /// All have left: no stream may be without its other half.
    pub(crate) fn close(&mut self) {
        let alone = self.seen.drain().filter(|(_, seen)| seen.begun).map(|(_, seen)| format!("{seen:?}"));
        let told = self.told.drain().map(|(key, told)| format!("stream {key}: {told:?}"));
        for what in alone.chain(told).collect::<Vec<_>>() {
            self.violation(format!("only one side tells of {what}"));
        }
    }
}
