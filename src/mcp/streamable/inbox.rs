//! [`Inbox`]: what clients said and the application has yet to take, and the POSTs that wait for room in it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{ExchangeId, Incoming, StreamableLimits};

#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: VecDeque<Incoming>,
    bytes: usize,
    held: VecDeque<(ExchangeId, Vec<Incoming>)>,
}

/// Where the messages of a POST are.
pub(super) enum Placed {
    /// In the queue.
    In,
    /// Nowhere yet.
    Held,
}

impl Inbox {
    /// The messages of one POST have their places together.
    fn has_room(&self, messages: &[Incoming], limits: &StreamableLimits) -> bool {
        let len = bytes(messages);
        self.queue.is_empty()
            || (self.queue.len() + messages.len() <= limits.max_messages.get()
                && self.bytes + len <= limits.max_bytes.get())
    }

    /// Whether one more POST would find a place, or wait for one.
    pub(super) fn bears(&self, messages: &[Incoming], limits: &StreamableLimits) -> bool {
        (self.held.is_empty() && self.has_room(messages, limits)) || self.held.len() < limits.max_held.get()
    }

    pub(super) fn place(
        &mut self,
        exchange: ExchangeId,
        messages: Vec<Incoming>,
        limits: &StreamableLimits,
    ) -> Placed {
        if self.held.is_empty() && self.has_room(&messages, limits) {
            self.accept(messages);
            return Placed::In;
        }
        self.held.push_back((exchange, messages));
        Placed::Held
    }

    fn accept(&mut self, messages: Vec<Incoming>) {
        self.bytes += bytes(&messages);
        self.queue.extend(messages);
    }

    pub(super) fn take(&mut self) -> Option<Incoming> {
        let incoming = self.queue.pop_front()?;
        self.bytes -= incoming.message.len();
        Some(incoming)
    }

    /// The next POST that has its place now.
    pub(super) fn admit(&mut self, limits: &StreamableLimits) -> Option<ExchangeId> {
        let (_, messages) = self.held.front()?;
        if !self.has_room(messages, limits) {
            return None;
        }
        let (exchange, messages) = self.held.pop_front()?;
        self.accept(messages);
        Some(exchange)
    }

    /// A POST no longer waits.
    pub(super) fn withdraw(&mut self, exchange: ExchangeId) -> bool {
        let before = self.held.len();
        self.held.retain(|(held, _)| *held != exchange);
        self.held.len() < before
    }

    pub(super) fn unread(&self) -> usize {
        self.queue.len()
    }
}

fn bytes(messages: &[Incoming]) -> usize {
    messages.iter().map(|incoming| incoming.message.len()).sum()
}
