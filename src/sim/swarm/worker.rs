//! [`Worker`]: the part of a drawn world's application that answers requests at `/mcp`, sooner or later.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Tick;
use crate::mcp::{CallId, Incoming, Message};
use crate::sim::{Outbox, Rng, earliest};

/// How often there is news for subscriptions.
const NEWS: Duration = Duration::from_millis(400);

/// What it is working on, and what it says meanwhile.
#[derive(Debug)]
pub(super) struct Worker {
    rng: Rng,
    works: Vec<Work>,
    refuses: u64,
    number: u64,
    /// When there is news, once a client without a session has come.
    news: Option<Tick>,
    /// How often each request reached it.
    pub(super) got: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct Work {
    call: CallId,
    answer: Message,
    in_session: bool,
    steps: u64,
    next: Tick,
    every: Duration,
}

impl Worker {
    pub(super) fn new(mut rng: Rng) -> Worker {
        let refuses = if rng.one_in(6) { 4 } else { 0 };
        Worker { rng, works: Vec::new(), refuses, number: 0, news: None, got: BTreeMap::new() }
    }

    pub(super) fn handle_incoming(&mut self, now: Tick, incoming: &Incoming, silent: bool, out: &mut Outbox) {
        let (Some(call), Some(id)) = (incoming.call, incoming.message.id()) else { return };
        let session = incoming.session.as_ref().map_or("none", |session| session.as_str());
        if !id.starts_with('"') {
            // A stranger may say the same twice.
            *self.got.entry(format!("{session} {id}")).or_default() += 1;
        }
        let opens = incoming.message.method() == Some("initialize");
        let in_session = incoming.session.is_some();
        if !in_session {
            self.news = self.news.or(Some(now + NEWS));
        }
        let answer = if opens && self.refuses > 0 && !silent && self.rng.one_in(self.refuses) {
            incoming.message.respond_error(-32603, "not today", None)
        } else if opens {
            incoming.message.respond(format!(r#"{{"protocolVersion":"{}"}}"#, incoming.revision))
        } else if self.rng.one_in(10) {
            let codes: &[i32] = if in_session { &[-32601, -32602] } else { &[-32601, -32602, -32021] };
            incoming.message.respond_error(self.rng.pick(codes).unwrap_or(-32602), "no", None)
        } else {
            let padding = "r".repeat(usize::try_from(self.rng.below(150)).unwrap_or(0));
            incoming.message.respond(format!(r#"{{"r":"{padding}"}}"#))
        };
        let Ok(answer) = answer else { return };
        let kind = self.rng.below(8);
        if silent || kind < if opens { 2 } else { 3 } {
            return out.respond(call, answer);
        }
        let most = if opens { 3_000_000 } else { 500_000 };
        let every = Duration::from_micros(self.rng.between(5_000, most));
        let steps = if opens { 0 } else { self.rng.below(6) };
        let mut work = Work { call, answer, in_session, steps, next: now + every, every };
        if kind == 3 && !opens {
            while work.steps > 0 {
                self.step(&mut work, out);
            }
            return out.respond(call, work.answer);
        }
        self.works.push(work);
    }

    /// Says one thing more on the way to an answer.
    fn step(&mut self, work: &mut Work, out: &mut Outbox) {
        work.steps -= 1;
        self.number += 1;
        let number = self.number;
        let said = match self.rng.below(8) {
            0 if work.in_session => Message::request(number, "ping", "{}"),
            1 => {
                let retry = Duration::from_micros(self.rng.between(1_000, 300_000));
                return out.poll_later(work.call, self.rng.one_in(2).then_some(retry));
            }
            _ => {
                let padding = "y".repeat(usize::try_from(self.rng.below(100)).unwrap_or(0));
                Message::notification("notifications/progress", format!(r#"[{number},"{padding}"]"#))
            }
        };
        if let Ok(said) = said {
            out.send_for(work.call, said);
        }
    }

    /// Nobody wants the response any more: one time in three it comes all the same.
    pub(super) fn handle_unwanted(&mut self, call: CallId, out: &mut Outbox) {
        let Some(at) = self.works.iter().position(|work| work.call == call) else { return };
        let work = self.works.swap_remove(at);
        if self.rng.one_in(3) { out.respond(call, work.answer) } else { out.let_go(call) }
    }

    /// When it goes on; in silence there is no news.
    pub(super) fn deadline(&self, silent: bool) -> Option<Tick> {
        let works = self.works.iter().map(|work| work.next).min();
        earliest([works, self.news.filter(|_| !silent)])
    }

    /// Goes on with what is due; with everything, where it is to come to an end.
    pub(super) fn handle_timeout(&mut self, now: Tick, silent: bool, out: &mut Outbox) {
        if self.news.is_some_and(|at| at <= now && !silent) {
            self.news = Some(now + NEWS);
            for list in ["tools", "prompts"] {
                let news = Message::notification(&format!("notifications/{list}/list_changed"), "{}");
                if let Ok(news) = news {
                    out.notify(news);
                }
            }
        }
        for mut work in core::mem::take(&mut self.works) {
            if silent || (work.next <= now && work.steps == 0) {
                out.respond(work.call, work.answer);
                continue;
            }
            if work.next <= now {
                self.step(&mut work, out);
                work.next = now + work.every;
            }
            self.works.push(work);
        }
    }
}
