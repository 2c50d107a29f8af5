//! [`Chatter`]: the application of a drawn world.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::draw::Draw;
use super::worker::Worker;
use crate::mcp::{CallId, Incoming, Message, SessionEnd, SessionId, StreamableEnd};
use crate::sim::{Application, Fault, FaultCounts, Outbox, Rng, earliest};
use crate::{Frame, Tick};

/// An application that answers, and talks by itself: too much, not at all, or until it fails.
#[derive(Debug)]
pub(super) struct Chatter {
    rng: Rng,
    sessions: Vec<SessionId>,
    next: Tick,
    every: Duration,
    floods: u64,
    fails: u64,
    ends: u64,
    number: u64,
    /// It says nothing more by itself.
    pub(super) silent: bool,
    /// How often each request reached it.
    pub(super) got: BTreeMap<String, u32>,
    pub(super) faults: FaultCounts,
    /// Who works for `/mcp`.
    pub(super) worker: Worker,
}

impl Chatter {
    pub(super) fn new(draw: &mut Draw, length: Duration) -> Chatter {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Chatter {
            sessions: Vec::new(),
            next: Tick::ZERO + draw.ms(0, 1_000),
            every: draw.ms(100, ms / 6),
            floods: draw.maybe(3, 20),
            fails: draw.maybe(5, 6),
            ends: draw.maybe(4, 6),
            rng: draw.rng.fork(),
            number: 0,
            silent: false,
            got: BTreeMap::new(),
            faults: FaultCounts::default(),
            worker: Worker::new(Rng::new(ms)),
        }
    }

    /// Gives its worker luck of its own.
    pub(super) fn work(mut self, rng: Rng) -> Chatter {
        self.worker = Worker::new(rng);
        self
    }

    fn notification(&mut self) -> String {
        self.number += 1;
        let padding = "x".repeat(usize::try_from(self.rng.below(120)).unwrap_or(0));
        let number = self.number;
        format!(r#"{{"jsonrpc":"2.0","method":"tick","params":[{number},"{padding}"]}}"#)
    }

    fn talk(&mut self, session: &SessionId, out: &mut Outbox) {
        let mut times = 1;
        if self.floods > 0 && self.rng.one_in(self.floods) {
            self.faults.add(Fault::Flood);
            times = self.rng.between(10, 60);
        }
        for _ in 0..times {
            if let Ok(message) = Message::parse(self.notification().as_bytes()) {
                out.send(session, message);
            }
        }
    }
}

impl Application for Chatter {
    fn handle_opened(&mut self, _: Tick, session: &SessionId, _: &mut Outbox) {
        self.sessions.push(session.clone());
    }

    fn handle_message(&mut self, _: Tick, session: &SessionId, message: &Message, out: &mut Outbox) {
        if let Some(id) = message.id() {
            *self.got.entry(format!("{session} {id}")).or_default() += 1;
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"n":{}}}}}"#, self.number);
            if let Ok(answer) = Message::parse(answer.as_bytes()) {
                out.send(session, answer);
            }
        }
    }

    fn handle_ended(&mut self, _: Tick, session: &SessionId, _: &SessionEnd) {
        self.sessions.retain(|one| one != session);
    }

    fn handle_incoming(&mut self, now: Tick, incoming: &Incoming, out: &mut Outbox) {
        self.worker.handle_incoming(now, incoming, self.silent, out);
    }

    fn handle_unwanted(&mut self, _: Tick, call: CallId, out: &mut Outbox) {
        self.worker.handle_unwanted(call, out);
    }

    fn handle_mcp_ended(&mut self, _: Tick, session: &SessionId, _: StreamableEnd) {
        self.sessions.retain(|one| one != session);
    }

    fn deadline(&self) -> Option<Tick> {
        earliest([(!self.silent).then_some(self.next), self.worker.deadline(self.silent)])
    }

    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        self.worker.handle_timeout(now, self.silent, out);
        if self.silent || now < self.next {
            return;
        }
        self.next = now + self.every;
        if let Some(session) = self.rng.pick(&self.sessions) {
            if self.fails > 0 && self.rng.one_in(self.fails) {
                for _ in 0..self.rng.between(1, 4) {
                    self.faults.add(Fault::ApplicationFails);
                    out.fail(&session);
                }
            } else if self.ends > 0 && self.rng.one_in(self.ends) {
                if self.rng.one_in(2) {
                    out.finish(&session);
                } else {
                    self.faults.add(Fault::ApplicationAborts);
                    out.abort(&session);
                }
            } else {
                self.talk(&session, out);
            }
        }
        let text = self.notification();
        out.publish(Frame::message(&text));
    }
}
