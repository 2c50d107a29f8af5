//! [`Live`]: a session's stream, held against the laws from response to response.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Law, Oracle, Violation};
use crate::mcp::{HttpSse, Message, SendError, SessionEnd, SessionId, SessionStream};
use crate::{Close, Disconnect, EventId, Frame, Framing, ReplayError, Step, Tick};

/// A [`SessionStream`], the oracle of its current response, and a naive memory of all that it ever said.
#[derive(Debug)]
pub(super) struct Live {
    stream: SessionStream,
    oracle: Oracle,
    config: Arc<HttpSse>,
    endpoint: String,
    number: u64,
    late_by: Option<Duration>,
    /// Frames by their number from 1, as they were accepted.
    sent: Vec<Frame>,
    /// The event behind which the current response began.
    from: u64,
    /// What the application has said and there was no room for.
    waiting: VecDeque<Message>,
    /// Frames of the responses before this one.
    before: (usize, usize),
    /// Of how many responses the close was given back.
    given_back: u32,
    violation: Option<Violation>,
}

impl Live {
    pub(super) fn open(
        now: Tick,
        config: Arc<HttpSse>,
        id: &SessionId,
        number: u64,
        head: Box<[u8]>,
        framing: Framing,
        late_by: Option<Duration>,
    ) -> Live {
        let endpoint = config.endpoint(id);
        let first = config.remembers().then_some(EventId { stream: number, seq: 0 });
        let oracle = oracle_of(now, &config, &endpoint, first, &head, framing, late_by);
        let stream = SessionStream::open(now, Arc::clone(&config), id, number, head, framing);
        let mut live = Live {
            stream,
            oracle,
            config,
            endpoint,
            number,
            late_by,
            sent: Vec::new(),
            from: 0,
            waiting: VecDeque::new(),
            before: (0, 0),
            given_back: 0,
            violation: None,
        };
        live.check();
        live
    }

    /// Takes the session up behind `last`.
    pub(super) fn reattach(
        &mut self,
        now: Tick,
        last: EventId,
        head: Box<[u8]>,
        framing: Framing,
    ) -> Result<(), ReplayError> {
        let generation = self.generation();
        let taken_up = self.stream.reattach(now, last, head.clone(), framing);
        if let Err(error) = taken_up {
            self.refused_to_replay(now, last, error);
            return Err(error);
        }
        self.oracle.supersede(now);
        self.check_close(now, generation);
        let counts = self.oracle.counts();
        self.before = (self.before.0 + counts.0, self.before.1 + counts.1);
        self.note();
        let mut oracle =
            oracle_of(now, &self.config, &self.endpoint, Some(last), &head, framing, self.late_by);
        for (seq, frame) in (1..).zip(&self.sent).filter(|(seq, _)| *seq > last.seq) {
            oracle.push_free(now, Some(EventId { stream: self.number, seq }), frame.as_bytes());
        }
        if !self.stream.is_open() {
            oracle.finish(now);
        }
        self.oracle = oracle;
        self.from = last.seq;
        self.check();
        Ok(())
    }

    /// I12: what a peer has not taken can be said again.
    fn refused_to_replay(&mut self, now: Tick, last: EventId, error: ReplayError) {
        let taken = self.taken();
        if self.gave_out(last) && last.seq >= taken {
            let what = format!("{error}: {last} is asked for, and nothing behind {taken} was taken");
            self.broke(now, Law::I12, what);
        }
    }

    /// Whether this is the id of one of its events.
    pub(super) fn gave_out(&self, id: EventId) -> bool {
        self.config.remembers() && id.stream == self.number && id.seq <= self.sent.len() as u64
    }

    /// The number of the last event that a peer took whole.
    fn taken(&self) -> u64 {
        self.oracle.last_delivered().map_or(self.from, |id| id.seq)
    }

    pub(super) fn send(&mut self, now: Tick, message: Message) {
        self.waiting.push_back(message);
        self.send_waiting(now);
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn send_waiting(&mut self, now: Tick) {
        while let Some(message) = self.waiting.pop_front() {
            let Ok(frame) = self.config.stream.frame("message", message.as_str(), false).build() else {
                return;
            };
            let to_response = self.oracle.is_open();
            match self.stream.send(now, message) {
                Ok(()) => {
                    self.sent.push(frame.clone());
                    let seq = self.sent.len() as u64;
                    let id = self.config.remembers().then_some(EventId { stream: self.number, seq });
                    if to_response {
                        self.oracle.push(now, id, frame.as_bytes(), true);
                    }
                    self.check();
                }
                Err(SendError::Full(message)) => {
                    self.waiting.push_front(message);
                    return self.refused(now, &frame);
                }
                Err(SendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    /// I2: refused only where something that nobody has taken fills the room.
    fn refused(&mut self, now: Tick, frame: &Frame) {
        let taken = usize::try_from(self.taken()).unwrap_or(usize::MAX);
        let unread = self.sent.get(taken..).unwrap_or_default();
        let bytes: usize = unread.iter().map(|frame| frame.as_bytes().len()).sum();
        let (frames, most) = self.config.stream.queue_limits();
        // Beside what is in the journal, the response's own queue holds envelopes, ids and the opening.
        let enveloped = bytes + 64 * (unread.len() + 4) + self.endpoint.len() + 256;
        if unread.len() + 2 < frames.get() && enveloped + frame.as_bytes().len() <= most.get() {
            let what = format!("refused with {} frames and {bytes} bytes unread", unread.len());
            self.broke(now, Law::I2, what);
        }
    }

    /// Whether the application has said more than there is room for.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn generation(&self) -> u32 {
        self.stream.generation()
    }

    pub(super) fn close_of(&self, generation: u32) -> Option<Close> {
        self.stream.close_of(generation)
    }

    pub(super) fn poll(&self) -> Step<'_> {
        self.stream.poll()
    }

    /// Whether its current response is over.
    pub(super) fn is_over(&self) -> bool {
        self.close_of(self.generation()).is_some()
    }

    /// Whether a response of it is over whose close was not given back.
    pub(super) fn owes_a_close(&self) -> bool {
        self.given_back < self.generation() + u32::from(self.is_over())
    }

    /// The close of a response, if it is over: to be given back.
    pub(super) fn give_back(&mut self, generation: u32) -> Option<Close> {
        let close = self.close_of(generation)?;
        self.given_back += 1;
        Some(close)
    }

    /// Frames accepted by its responses, and taken whole.
    pub(super) fn frames(&self) -> (usize, usize) {
        let counts = self.oracle.counts();
        (self.before.0 + counts.0, self.before.1 + counts.1)
    }

    pub(super) fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref().or_else(|| self.oracle.violation())
    }

    pub(super) fn finish(&mut self, now: Tick) {
        self.stream.finish(now);
        self.oracle.finish(now);
        self.check();
    }

    pub(super) fn abort(&mut self, now: Tick) {
        self.stream.abort(now);
        self.oracle.abort(now);
        self.check();
    }

    pub(super) fn handle_ended(&mut self, now: Tick, end: &SessionEnd) {
        self.stream.handle_ended(now, end);
        match end {
            SessionEnd::ByApplication => self.oracle.finish(now),
            _ => self.oracle.abort(now),
        }
        self.check();
    }

    pub(super) fn handle_fault(&mut self, now: Tick) {
        self.stream.handle_fault(now);
        self.oracle.handle_fault(now);
        self.check();
    }

    pub(super) fn handle_wrote(&mut self, now: Tick, taken: &[u8]) {
        self.stream.handle_wrote(now, taken.len());
        self.oracle.handle_wrote(now, taken);
        self.check();
    }

    pub(super) fn handle_refused(&mut self) {
        self.oracle.handle_refused();
    }

    pub(super) fn handle_input(&mut self, now: Tick, n: usize) {
        self.stream.handle_input(now, n);
        self.oracle.handle_input(now, n);
        self.check();
    }

    pub(super) fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.stream.handle_disconnect(now, how);
        self.oracle.handle_disconnect(now, how);
        self.check();
    }

    pub(super) fn handle_timeout(&mut self, now: Tick) {
        self.stream.handle_timeout(now);
        self.oracle.handle_timeout(now);
        self.check();
    }

    pub(super) fn handle_abandoned(&mut self, now: Tick) {
        self.stream.handle_abandoned(now);
        self.oracle.handle_abandoned(now);
        self.check();
    }

    fn check(&mut self) {
        self.oracle.check(&self.stream.poll());
    }

    /// I13: a response that another one has replaced is told of its end all the same.
    fn check_close(&mut self, now: Tick, generation: u32) {
        match self.stream.close_of(generation) {
            Some(close) => self.oracle.check(&Step::Closed(&close)),
            None => self.broke(now, Law::I13, format!("response {generation} was replaced and has no close")),
        }
    }

    fn note(&mut self) {
        if self.violation.is_none() {
            self.violation = self.oracle.violation().cloned();
        }
    }

    fn broke(&mut self, at: Tick, law: Law, what: String) {
        let trace = self.oracle.trace().to_string();
        self.violation.get_or_insert(Violation { law, at, what, trace });
    }
}

fn oracle_of(
    now: Tick,
    config: &HttpSse,
    endpoint: &str,
    after: Option<EventId>,
    head: &[u8],
    framing: Framing,
    late_by: Option<Duration>,
) -> Oracle {
    let mut oracle = Oracle::new(now, Arc::clone(&config.stream), head, framing);
    if let Some(late_by) = late_by {
        oracle = oracle.driven(late_by);
    }
    let id = after.map(|id| format!("{id}"));
    let mut frame = config.stream.frame("endpoint", endpoint, true);
    if let Some(id) = &id {
        frame = frame.id(id);
    }
    if let Ok(frame) = frame.build() {
        oracle.push_opening(now, frame.as_bytes());
    }
    oracle
}

#[cfg(test)]
mod tests;
