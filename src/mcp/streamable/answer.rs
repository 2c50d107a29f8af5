//! The answers to requests: how they are had, filled, and how they end.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::channel::{Phase, Purpose};
use super::head::Reply;
use super::refusal::{busy, status_of};
use super::timers::Due;
use super::{AnswerMode, ExchangeId, Streamable, StreamableConfig, StreamableEnd, StreamableEvent};
use crate::http1::Response;
use crate::mcp::message::batch::array;
use crate::mcp::{Message, Revision, SessionId};
use crate::{Close, EventStream, Frame, Retry, Tick};

/// An answer that is there.
#[derive(Debug)]
pub enum Answer {
    /// One whole response; the exchange is over with it.
    Response(Response),
    /// A stream, its head and what there is to say already in it. [Fill](Streamable::fill) it whenever an event
    /// says so, and give its close [back](Streamable::handle_closed).
    Stream(Box<EventStream>),
}

/// What filling a stream came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Filled {
    /// More waits than the stream has room for, or somebody waits for room: fill it again after the next write.
    pub again: bool,
}

/// A request of HTTP that is not over.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) channel: Option<u64>,
    pub(super) session: Option<SessionId>,
    pub(super) revision: Revision,
    pub(super) reply: Reply,
    pub(super) state: State,
    /// Its stream begins with an id.
    pub(super) primes: bool,
}

#[derive(Debug)]
pub(super) enum State {
    /// For the application, or for room.
    Waiting,
    Whole(Response),
    /// A stream, which the driver has yet to take.
    Stream,
    /// The driver has the stream.
    Streaming,
}

impl Streamable {
    /// The answer of an exchange, once it is there; it is had once.
    pub fn answer(&mut self, now: Tick, id: ExchangeId) -> Option<Answer> {
        self.clock(now);
        let exchange = self.exchanges.get_mut(&id)?;
        match core::mem::replace(&mut exchange.state, State::Streaming) {
            State::Waiting => exchange.state = State::Waiting,
            State::Streaming => {}
            State::Whole(response) => {
                let response = exchange.reply.finish(response);
                self.drop_exchange(id);
                return Some(Answer::Response(response));
            }
            State::Stream => return Some(Answer::Stream(Box::new(self.begin_stream(id)?))),
        }
        None
    }

    fn begin_stream(&mut self, id: ExchangeId) -> Option<EventStream> {
        let exchange = self.exchanges.get(&id)?;
        let (head, framing) = exchange.reply.stream_head();
        let config = &self.config.stream;
        let mut stream = EventStream::with_head(self.now, Arc::clone(config), head, framing);
        let polls = self.config.poll_after.filter(|_| exchange.revision.rules().primes);
        let channel = exchange.channel.and_then(|channel| self.channels.get_mut(&channel));
        if let Some(channel) = channel.filter(|channel| exchange.primes && channel.attached == Some(id))
            && let Some(first) = channel.log.prime(self.now)
        {
            // 2025-11-25, Sending Messages: an id and no data, so that the client can come back from here.
            let frame = Frame::builder().data("").line_end(config.line_end());
            let frame = match config.retry() {
                Retry::First(after) | Retry::Every(after) => frame.retry(after),
                Retry::Never => frame,
            };
            // An empty queue takes any frame, and these fields are constants.
            let _ = frame.build().map(|frame| stream.push_with_id(self.now, first, frame));
        }
        if let Some(after) = polls {
            self.timers.set(Due::Poll(id), self.now + after);
        }
        let _ = self.fill(self.now, id, &mut stream);
        Some(stream)
    }

    /// Moves what is to be said into the stream of an exchange, as far as it has room; finishes it, where all is
    /// said or the client is to come again; and lets go of it, where a newer response has its place.
    pub fn fill(&mut self, now: Tick, id: ExchangeId, stream: &mut EventStream) -> Filled {
        self.clock(now);
        let now = self.now;
        let channel = self.exchanges.get(&id).and_then(|exchange| exchange.channel);
        let Some((number, channel)) = channel.and_then(|id| Some((id, self.channels.get_mut(&id)?))) else {
            stream.finish(now);
            return Filled { again: false };
        };
        if channel.attached != Some(id) || channel.successor.is_some() {
            stream.supersede(now);
            if channel.attached == Some(id) {
                channel.log.saw(stream.last_delivered());
                self.succeed(number);
            }
            return Filled { again: false };
        }
        if channel.log.fill(now, stream).is_err() {
            // Not reached: nothing is forgotten that a response has yet to read.
            stream.abort(now);
        }
        if let Some(retry) = channel.poll {
            // 2025-11-25, Sending Messages: `retry` before the server ends a response early.
            if stream.push(now, Frame::retry(retry)).is_ok() {
                channel.poll = None;
                stream.finish(now);
            }
        } else if channel.is_done() && channel.log.is_drained() {
            stream.finish(now);
        }
        let room = channel.unblock(&self.config.limits);
        let waits = !channel.log.is_drained() || channel.blocked.is_any() || channel.poll.is_some();
        let again = stream.is_open() && waits;
        if room {
            self.tell_room(number);
        }
        Filled { again }
    }

    /// The response of an exchange has ended, and its client is gone or has all of it. Where the revision has it so,
    /// this cancels what it was the response to; otherwise it is kept for a client that comes back.
    pub fn handle_closed(&mut self, now: Tick, id: ExchangeId, close: &Close) {
        self.clock(now);
        let channel = self.exchanges.get(&id).and_then(|exchange| exchange.channel);
        let channel = channel.and_then(|channel| self.channels.get_mut(&channel));
        if let Some(channel) = channel.filter(|channel| channel.attached == Some(id)) {
            channel.log.saw(close.last_delivered);
        }
        self.leave(id);
    }

    /// The client of an exchange is gone before it had its answer. A POST that was held back is forgotten.
    pub fn handle_gone(&mut self, now: Tick, id: ExchangeId) {
        self.clock(now);
        let is_held = self.withdraw(id);
        let channel = self.exchanges.get(&id).and_then(|exchange| exchange.channel);
        if let Some(channel) = channel.filter(|_| is_held) {
            self.drop_channel(channel);
        }
        let session = self.exchanges.get(&id).and_then(|exchange| exchange.session.clone());
        self.leave(id);
        // Nobody knows of a session whose id was never told.
        if let Some(session) = session
            && let Some(opening) = self.sessions.get(&session).and_then(|session| session.opening)
            && self.calls.get(&opening).is_none_or(|call| Some(call.channel) == channel)
        {
            self.end(&session, StreamableEnd::NeverBegun);
        }
    }

    /// An exchange is over, answered or not.
    fn leave(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let (number, session) = (exchange.channel, exchange.session.clone());
        let channel = number.and_then(|number| Some((number, self.channels.get_mut(&number)?)));
        let channel = channel.map(|(number, channel)| {
            channel.successor.take_if(|successor| *successor == id);
            (number, channel)
        });
        if let Some((number, channel)) = channel.filter(|(_, channel)| channel.attached == Some(id)) {
            channel.attached = None;
            channel.poll = None;
            let has_waiters = core::mem::take(&mut channel.blocked).is_any();
            let calls: Vec<_> = channel.calls.iter().copied().collect();
            let (ends, is_over) =
                (channel.revision.rules().end_cancels, channel.is_done() && channel.log.is_empty());
            let has_successor = channel.successor.is_some();
            if has_waiters {
                // Who waits for room waits for a client that may never come.
                self.tell_room(number);
            }
            if ends {
                for call in calls {
                    self.tell(StreamableEvent::Cancelled(call));
                }
                self.drop_channel(number);
            } else if has_successor {
                self.succeed(number);
            } else if is_over {
                self.drop_channel(number);
            }
        }
        self.drop_exchange(id);
        if let Some(session) = session {
            self.limit_kept(&session);
        }
    }

    /// The body of an exchange has its place in an inbox.
    pub(super) fn begin(&mut self, id: ExchangeId) {
        self.timers.clear(&Due::Held(id));
        let Some(exchange) = self.exchanges.get(&id) else { return };
        let revision = exchange.revision;
        let Some(channel) = exchange.channel else { return self.answer_whole(id, Response::accepted()) };
        match (self.config.answers, self.config.stream_after) {
            // Where errors have a status of their own, the stream waits for the first word.
            (AnswerMode::Stream, _) if !revision.is_stateless() => self.speak(channel),
            (AnswerMode::Auto | AnswerMode::Stream, Some(after)) => {
                self.timers.set(Due::Stream(id), self.now + after);
            }
            (AnswerMode::Auto | AnswerMode::Stream, None) | (AnswerMode::Json, _) => {}
        }
    }

    pub(super) fn answer_whole(&mut self, id: ExchangeId, response: Response) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.state = State::Whole(response);
        self.timers.clear(&Due::Stream(id));
        self.timers.clear(&Due::Held(id));
        self.tell(StreamableEvent::Answer(id));
    }

    /// The answer becomes a stream.
    pub(super) fn speak(&mut self, number: u64) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Phase::Held(collected) = core::mem::replace(&mut channel.phase, Phase::Speaking) else { return };
        if channel.calls.is_empty() {
            channel.phase = Phase::Done;
        }
        let attached = channel.attached;
        for message in &collected {
            // They were accepted when there was no stream for them, and none of them may be lost.
            let frame = frame_of(&self.config, message);
            self.append_frame(number, frame, true);
        }
        if let Some(id) = attached
            && let Some(exchange) = self.exchanges.get_mut(&id)
        {
            exchange.state = State::Stream;
            self.timers.clear(&Due::Stream(id));
            self.tell(StreamableEvent::Answer(id));
        }
    }

    /// All that is asked for in a POST is answered, and nothing else was said.
    pub(super) fn answer_held(&mut self, number: u64) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let Phase::Held(collected) = &channel.phase else { return };
        let Some(id) = channel.attached else { return self.drop_channel(number) };
        let status = match collected.as_slice() {
            [only] if channel.revision.is_stateless() => status_of(only.error_code()),
            _ => 200,
        };
        if self.config.answers == AnswerMode::Stream && status == 200 {
            return self.speak(number);
        }
        let body = match (&channel.purpose, collected.as_slice()) {
            (Purpose::Answer { batch: true }, all) => array(all),
            (_, all) => all.first().map(|only| only.as_str().as_bytes().to_vec()).unwrap_or_default(),
        };
        self.answer_whole(id, Response::json(status, body));
        self.drop_channel(number);
    }

    /// Says something in a channel that is a stream; `past` its limits, where nothing may be lost.
    pub(super) fn append_frame(&mut self, number: u64, frame: Frame, past: bool) {
        let Some(channel) = self.channels.get_mut(&number) else { return };
        let was_empty = channel.log.is_empty();
        channel.log.append(self.now, frame, past);
        let attached = channel.attached;
        if was_empty {
            self.arm_age(number);
        }
        self.wake(attached);
    }

    /// The driver of a stream is to look at it again.
    pub(super) fn wake(&mut self, id: Option<ExchangeId>) {
        let streams = |id: &ExchangeId| {
            matches!(self.exchanges.get(id), Some(Exchange { state: State::Streaming, .. }))
        };
        if let Some(id) = id.filter(streams) {
            self.tell(StreamableEvent::Fill(id));
        }
    }

    /// A POST no longer waits for room.
    fn withdraw(&mut self, id: ExchangeId) -> bool {
        let Some(exchange) = self.exchanges.get(&id) else { return false };
        let session = exchange.session.clone();
        let inbox = match &session {
            Some(session) => self.sessions.get_mut(session).map(|session| &mut session.inbox),
            None => Some(&mut self.stateless),
        };
        let was_held = inbox.is_some_and(|inbox| inbox.withdraw(id));
        if was_held {
            self.admit_held(session.as_ref());
        }
        was_held
    }

    /// The queue stayed full for too long.
    pub(super) fn give_up_held(&mut self, id: ExchangeId) {
        if self.withdraw(id) {
            let channel = self.exchanges.get_mut(&id).and_then(|exchange| exchange.channel.take());
            channel.into_iter().for_each(|channel| self.drop_channel(channel));
            self.answer_whole(id, busy(None, "the application's queue stayed full"));
        }
    }

    /// A request takes its time: from here on its answer is a stream.
    pub(super) fn stream_at_last(&mut self, id: ExchangeId) {
        if let Some(channel) = self.exchanges.get(&id).and_then(|exchange| exchange.channel) {
            self.speak(channel);
        }
    }

    /// A response has lasted: the client is to come again.
    pub(super) fn poll_at_last(&mut self, id: ExchangeId) {
        let retry = self.config.poll_retry;
        let channel = self.exchanges.get(&id).and_then(|exchange| exchange.channel);
        if let Some(channel) = channel.and_then(|channel| self.channels.get_mut(&channel))
            && channel.attached == Some(id)
        {
            channel.poll = Some(retry);
            self.wake(Some(id));
        }
    }
}

/// The event of a message.
pub(super) fn frame_of(config: &StreamableConfig, message: &Message) -> Frame {
    // Not refused: the type is a constant.
    let frame = config.stream.frame("message", message.as_str(), false).build();
    frame.unwrap_or_else(|_| Frame::message(message.as_str()))
}
