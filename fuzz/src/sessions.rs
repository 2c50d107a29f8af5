//! The table of sessions under arbitrary operations, against what can be known of it from outside.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::mcp::{
    Attachment, Message, PostError, PostId, PostOutcome, Posted, Resumption, SessionEnd, SessionEvent,
    SessionId, SessionLimits, Sessions,
};
use sansio_sse::{Close, CloseReason, Manner, Tick};

const HOLD: u64 = 100;
const DETACHED: u64 = 300;

/// What is known of a session that lives.
#[derive(Default)]
struct Known {
    /// Numbers of the messages that were answered with 202 and not taken yet.
    accepted: VecDeque<u64>,
    /// Those that wait, oldest first: the POST, the number, the deadline.
    held: VecDeque<(PostId, u64, u64)>,
    /// The attachment that speaks for it, by its place among all that were given out.
    speaks: usize,
    detached_until: Option<u64>,
    finishing: bool,
}

struct Run {
    sessions: Sessions,
    known: BTreeMap<u8, Known>,
    /// Attachments that are out: whose, their place, themselves.
    out: Vec<(u8, usize, Attachment)>,
    given: usize,
    /// Messages made so far; each has its number.
    messages: u64,
    clock: u64,
}

/// What was accepted is taken in order or counted as unread, each held POST is answered once, each session ends once.
///
/// Two bytes are one operation: what, with the session in its upper bits, and how much.
pub fn sessions(data: &[u8]) {
    let limits = SessionLimits {
        max_sessions: NonZeroUsize::new(2).unwrap(),
        max_messages: NonZeroUsize::new(3).unwrap(),
        max_bytes: NonZeroUsize::new(200).unwrap(),
        max_held: NonZeroUsize::new(2).unwrap(),
        hold_for: Duration::from_micros(HOLD),
        detached_for: Duration::from_micros(DETACHED),
    };
    let mut run = Run {
        sessions: Sessions::new(limits, Resumption::ServerClosed),
        known: BTreeMap::new(),
        out: Vec::new(),
        given: 0,
        messages: 0,
        clock: 0,
    };
    for operation in data.chunks_exact(2) {
        run.apply(operation[0] & 15, (operation[0] >> 4) % 3, operation[1]);
        run.listen();
    }
    for key in 0..3 {
        run.sessions.end(run.now(), &id(key));
        run.listen();
    }
    assert!(run.known.is_empty() && run.sessions.is_empty() && run.sessions.deadline().is_none());
}

impl Run {
    fn now(&self) -> Tick {
        Tick::from_micros(self.clock)
    }

    fn apply(&mut self, what: u8, key: u8, amount: u8) {
        let now = self.now();
        match what {
            0 | 1 => {
                let room = self.known.len() < 2 && !self.known.contains_key(&key);
                let opened = self.sessions.open(now, id(key), u64::from(key));
                assert_eq!(opened.is_ok(), room);
                if let Ok(attachment) = opened {
                    self.known.insert(key, Known { speaks: self.given, ..Known::default() });
                    self.give(key, attachment);
                }
            }
            2..=5 => self.post(key, amount),
            6 | 7 => {
                let expected = self.known.get_mut(&key).and_then(|known| known.accepted.pop_front());
                let taken = self.sessions.take(now, &id(key));
                assert_eq!(taken.map(|message| message.id().unwrap().parse().unwrap()), expected, "in order");
            }
            8 => {
                let Some(known) = self.known.get_mut(&key) else { return };
                let at = usize::from(amount) % (known.held.len() + 1);
                let Some((post, ..)) = known.held.remove(at) else { return };
                self.sessions.withdraw(now, &id(key), post);
            }
            9 => {
                let attachment = self.sessions.attach(now, &id(key));
                assert_eq!(attachment.is_some(), self.known.contains_key(&key));
                if let Some(attachment) = attachment {
                    let known = self.known.get_mut(&key).unwrap();
                    (known.speaks, known.detached_until) = (self.given, None);
                    self.give(key, attachment);
                }
            }
            10 | 11 => {
                if self.out.is_empty() {
                    return;
                }
                let (key, place, attachment) = self.out.remove(usize::from(amount) % self.out.len());
                let kept = what == 10;
                let reason = if kept { CloseReason::Expired } else { CloseReason::Finished };
                let (manner, undelivered, last_delivered) = (Manner::Abort, 0, None);
                let close = Close { reason, manner, at: Tick::ZERO, undelivered, last_delivered };
                self.sessions.handle_closed(now, attachment, close);
                // An end shows as an event.
                if let Some(known) = self.known.get_mut(&key).filter(|known| known.speaks == place) {
                    known.detached_until = kept.then_some(self.clock + DETACHED);
                }
            }
            12 => self.sessions.end(now, &id(key)),
            13 => {
                self.sessions.finish(now, &id(key));
                if let Some(known) = self.known.get_mut(&key) {
                    known.finishing = true;
                }
                assert!(!self.sessions.accepts(&id(key)));
            }
            14 if amount == 255 => self.sessions.end_detached(now),
            14 => {
                self.clock += u64::from(amount);
                self.sessions.handle_timeout(self.now());
                assert!(self.sessions.deadline().is_none_or(|due| due > self.now()), "what is due is done");
            }
            // Time passes, and the driver looks late.
            _ => self.clock += u64::from(amount),
        }
    }

    fn give(&mut self, key: u8, attachment: Attachment) {
        self.out.push((key, self.given, attachment));
        self.given += 1;
    }

    fn post(&mut self, key: u8, pad: u8) {
        self.messages += 1;
        let number = self.messages;
        let method = "x".repeat(usize::from(pad) % 64);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}"}}"#);
        let posted = self.sessions.post(self.now(), &id(key), Message::parse(text.as_bytes()).unwrap());
        let Some(known) = self.known.get_mut(&key).filter(|known| !known.finishing) else {
            return assert_eq!(posted, Err(PostError::Unknown));
        };
        match posted {
            Ok(Posted::Accepted) => {
                assert!(known.held.is_empty(), "it would overtake");
                known.accepted.push_back(number);
                assert_eq!(self.sessions.poll_event(), Some(SessionEvent::Readable(id(key))));
            }
            Ok(Posted::Held(post)) => known.held.push_back((post, number, self.clock + HOLD)),
            Err(error) => assert_eq!((error, known.held.len()), (PostError::QueueFull, 2)),
        }
        assert!(known.accepted.len() <= 3 && known.held.len() <= 2);
    }

    /// Takes the POST out of those that are known to wait.
    fn answered(&mut self, post: PostId) -> (&mut Known, u64, u64) {
        let known = self.known.values_mut().find(|known| known.held.iter().any(|held| held.0 == post));
        let known = known.expect("an answer to a POST that waits for one");
        let at = known.held.iter().position(|held| held.0 == post).unwrap();
        let (_, number, until) = known.held.remove(at).unwrap();
        (known, number, until)
    }

    fn listen(&mut self) {
        while let Some(event) = self.sessions.poll_event() {
            match event {
                SessionEvent::Readable(of) => assert!(!self.known[&key_of(&of)].accepted.is_empty()),
                SessionEvent::Post(post, PostOutcome::Accepted) => {
                    let (known, number, _) = self.answered(post);
                    assert!(known.held.iter().all(|held| held.1 > number), "in order");
                    known.accepted.push_back(number);
                }
                SessionEvent::Post(post, PostOutcome::QueueFull) => {
                    let (_, _, until) = self.answered(post);
                    assert!(until <= self.clock, "not before its time");
                }
                // Its session is finishing, or its end comes behind this.
                SessionEvent::Post(post, PostOutcome::Ended) => drop(self.answered(post)),
                SessionEvent::Ended { id: of, end, unread } => {
                    let known = self.known.remove(&key_of(&of)).expect("one end for each");
                    assert!(known.held.is_empty(), "each was answered");
                    assert_eq!(unread, known.accepted.len(), "accepted = taken + unread");
                    match end {
                        SessionEnd::NotResumed { last } => {
                            assert_eq!(last.reason, CloseReason::Expired);
                            assert!(known.detached_until.unwrap() <= self.clock, "not before its time");
                        }
                        SessionEnd::Closed(close) => assert_eq!(close.reason, CloseReason::Finished),
                        SessionEnd::ServerStopped { .. } => assert!(known.detached_until.is_some()),
                        _ => assert_eq!(end, SessionEnd::ByApplication),
                    }
                }
            }
        }
        for key in 0..3 {
            let known = self.known.get(&key);
            assert_eq!(self.sessions.contains(&id(key)), known.is_some());
            assert_eq!(self.sessions.accepts(&id(key)), known.is_some_and(|known| !known.finishing));
            assert!(known.is_none_or(|known| !known.finishing || known.held.is_empty()), "each was answered");
        }
        let held = self.known.values().flat_map(|known| known.held.iter().map(|held| held.2));
        let due = held.chain(self.known.values().filter_map(|known| known.detached_until)).min();
        assert_eq!(
            self.sessions.deadline(),
            due.map(Tick::from_micros),
            "all that time can change is reported"
        );
    }
}

fn id(key: u8) -> SessionId {
    SessionId::parse(&key.to_string()).unwrap()
}

fn key_of(id: &SessionId) -> u8 {
    id.as_str().parse().unwrap()
}
