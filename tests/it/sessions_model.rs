//! The table of sessions against a model of its promises: nothing accepted is lost, doubled or reordered, every
//! held POST is answered once, every session ends once.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::mcp::{
    Attachment, Message, PostError, PostId, PostOutcome, Posted, Resumption, SessionEnd, SessionEvent,
    SessionId, SessionLimits, Sessions,
};
use sansio_sse::{Close, CloseReason, Manner, Tick};

const KEYS: u8 = 3;
const HOLD: u64 = 100;
const DETACHED: u64 = 300;

#[derive(Clone, Debug)]
enum Op {
    Open(u8),
    Post(u8, usize),
    Take(u8),
    /// Withdraws the n-th POST of all that were ever held.
    Withdraw(usize),
    Attach(u8),
    /// The n-th attachment that is out comes back; `true` if in a way that keeps the session.
    Closed(usize, bool),
    End(u8),
    Wait(u64),
    /// Time passes, and the driver looks late.
    Sleep(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0..KEYS;
    prop_oneof![
        3 => key.clone().prop_map(Op::Open),
        9 => (key.clone(), 0..60_usize).prop_map(|(key, pad)| Op::Post(key, pad)),
        6 => key.clone().prop_map(Op::Take),
        1 => (0..8_usize).prop_map(Op::Withdraw),
        1 => key.clone().prop_map(Op::Attach),
        2 => (0..4_usize, any::<bool>()).prop_map(|(nth, kept)| Op::Closed(nth, kept)),
        1 => key.prop_map(Op::End),
        3 => (0..150_u64).prop_map(Op::Wait),
        1 => (0..150_u64).prop_map(Op::Sleep),
    ]
}

/// What is known of one session from outside, and nothing of how the table does it.
#[derive(Default)]
struct Model {
    /// Numbers of the messages that were answered with 202 and not taken yet.
    accepted: VecDeque<u64>,
    /// Those that wait, oldest first: the POST, the number, the deadline.
    held: VecDeque<(PostId, u64, u64)>,
    /// The attachment that speaks for the session, by its place among all that were given out.
    speaks: usize,
    detached_until: Option<u64>,
}

struct Run {
    sessions: Sessions,
    models: BTreeMap<u8, Model>,
    out: Vec<(u8, usize, Attachment)>,
    held: Vec<(u8, PostId)>,
    given: usize,
    number: u64,
    clock: u64,
    /// Of each key: sessions opened, and sessions that ended.
    opened: [usize; KEYS as usize],
    ended: [usize; KEYS as usize],
}

impl Run {
    fn new() -> Run {
        let limits = SessionLimits {
            max_sessions: NonZeroUsize::new(2).unwrap(),
            max_messages: NonZeroUsize::new(3).unwrap(),
            max_bytes: NonZeroUsize::new(200).unwrap(),
            max_held: NonZeroUsize::new(2).unwrap(),
            hold_for: Duration::from_micros(HOLD),
            detached_for: Duration::from_micros(DETACHED),
        };
        Run {
            sessions: Sessions::new(limits, Resumption::ServerClosed),
            models: BTreeMap::new(),
            out: Vec::new(),
            held: Vec::new(),
            given: 0,
            number: 0,
            clock: 0,
            opened: [0; 3],
            ended: [0; 3],
        }
    }

    fn now(&self) -> Tick {
        Tick::from_micros(self.clock)
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now();
        match *op {
            Op::Open(key) => {
                let room = self.models.len() < 2 && !self.models.contains_key(&key);
                let opened = self.sessions.open(now, id(key), u64::from(key));
                assert_eq!(opened.is_ok(), room);
                if let Ok(attachment) = opened {
                    self.opened[usize::from(key)] += 1;
                    self.models.insert(key, Model { speaks: self.given, ..Model::default() });
                    self.give(key, attachment);
                }
            }
            Op::Post(key, pad) => self.post(key, pad),
            Op::Take(key) => {
                let expected = self.models.get_mut(&key).and_then(|model| model.accepted.pop_front());
                assert_eq!(self.sessions.take(now, &id(key)).map(number_of), expected, "in order");
            }
            Op::Withdraw(nth) => {
                let Some(&(key, post)) = self.held.get(nth) else { return };
                self.sessions.withdraw(now, &id(key), post);
                if let Some(model) = self.models.get_mut(&key) {
                    model.held.retain(|(held, _, _)| *held != post);
                }
            }
            Op::Attach(key) => {
                let attachment = self.sessions.attach(now, &id(key));
                assert_eq!(attachment.is_some(), self.models.contains_key(&key));
                if let Some(attachment) = attachment {
                    let model = self.models.get_mut(&key).unwrap();
                    (model.speaks, model.detached_until) = (self.given, None);
                    self.give(key, attachment);
                }
            }
            Op::Closed(nth, kept) => {
                if nth >= self.out.len() {
                    return;
                }
                let (key, place, attachment) = self.out.remove(nth);
                let reason = if kept { CloseReason::Expired } else { CloseReason::Finished };
                self.sessions.handle_closed(now, attachment, close(reason));
                if let Some(model) = self.models.get_mut(&key).filter(|model| model.speaks == place) {
                    // The end of the others shows as an event.
                    model.detached_until = kept.then_some(self.clock + DETACHED);
                }
            }
            Op::End(key) => self.sessions.end(now, &id(key)),
            Op::Wait(us) => {
                self.clock += us;
                self.sessions.handle_timeout(self.now());
                let due = self.sessions.deadline();
                assert!(due.is_none_or(|due| due > self.now()), "what is due is done");
            }
            Op::Sleep(us) => self.clock += us,
        }
        self.events();
    }

    fn give(&mut self, key: u8, attachment: Attachment) {
        self.out.push((key, self.given, attachment));
        self.given += 1;
    }

    fn post(&mut self, key: u8, pad: usize) {
        self.number += 1;
        let posted = self.sessions.post(self.now(), &id(key), message(self.number, pad));
        let Some(model) = self.models.get_mut(&key) else {
            assert_eq!(posted, Err(PostError::Unknown));
            return;
        };
        match posted {
            Ok(Posted::Accepted) => {
                assert!(model.held.is_empty(), "it would overtake");
                model.accepted.push_back(self.number);
                assert_eq!(self.sessions.poll_event(), Some(SessionEvent::Readable(id(key))));
            }
            Ok(Posted::Held(post)) => {
                model.held.push_back((post, self.number, self.clock + HOLD));
                self.held.push((key, post));
            }
            Err(error) => assert_eq!((error, model.held.len()), (PostError::QueueFull, 2)),
        }
        assert!(model.accepted.len() <= 3 && model.held.len() <= 2);
    }

    fn events(&mut self) {
        while let Some(event) = self.sessions.poll_event() {
            match event {
                SessionEvent::Readable(of) => {
                    let model = self.models.get(&key_of(&of)).unwrap();
                    assert!(!model.accepted.is_empty());
                }
                SessionEvent::Post(post, PostOutcome::Accepted) => {
                    let model = self.models.values_mut().find(|model| model.held.iter().any(|h| h.0 == post));
                    let model = model.unwrap();
                    let (first, number, _) = model.held.pop_front().unwrap();
                    assert_eq!(first, post, "in order");
                    model.accepted.push_back(number);
                }
                SessionEvent::Post(post, PostOutcome::QueueFull) => {
                    let model = self.models.values_mut().find(|model| model.held.iter().any(|h| h.0 == post));
                    let model = model.unwrap();
                    let at = model.held.iter().position(|held| held.0 == post).unwrap();
                    let (_, _, until) = model.held.remove(at).unwrap();
                    assert!(until <= self.clock, "not before its time");
                }
                SessionEvent::Post(post, PostOutcome::Ended) => {
                    // Its session's end comes behind it.
                    let model = self.models.values_mut().find(|model| model.held.iter().any(|h| h.0 == post));
                    assert_eq!(model.unwrap().held.pop_front().map(|held| held.0), Some(post));
                }
                SessionEvent::Ended { id: of, end, unread } => {
                    let key = key_of(&of);
                    let model = self.models.remove(&key).unwrap();
                    assert!(model.held.is_empty(), "each was answered");
                    assert_eq!(unread, model.accepted.len(), "accepted = taken + unread");
                    match end {
                        SessionEnd::NotResumed { last } => {
                            assert_eq!(last.reason, CloseReason::Expired);
                            assert!(model.detached_until.unwrap() <= self.clock, "not before its time");
                        }
                        SessionEnd::Closed(close) => assert_eq!(close.reason, CloseReason::Finished),
                        _ => assert_eq!(end, SessionEnd::ByApplication),
                    }
                    self.ended[usize::from(key)] += 1;
                }
            }
        }
        let alive = (0..KEYS).filter(|key| self.sessions.contains(&id(*key)));
        assert_eq!(alive.collect::<Vec<_>>(), self.models.keys().copied().collect::<Vec<_>>());
        let held = self.models.values().flat_map(|model| model.held.iter().map(|held| held.2));
        let due = held.chain(self.models.values().filter_map(|model| model.detached_until)).min();
        assert_eq!(
            self.sessions.deadline(),
            due.map(Tick::from_micros),
            "all that time can change is reported"
        );
    }
}

proptest! {
    #[test]
    fn accepted_is_taken_plus_unread_whatever_happens(ops in prop::collection::vec(op(), 0..120)) {
        let mut run = Run::new();
        for op in &ops {
            run.apply(op);
        }
        for key in 0..KEYS {
            run.apply(&Op::End(key));
        }
        prop_assert_eq!(run.opened, run.ended);
        prop_assert_eq!((run.sessions.len(), run.sessions.deadline()), (0, None));
    }
}

// ---- helpers ----

fn id(key: u8) -> SessionId {
    SessionId::parse(&key.to_string()).unwrap()
}

fn key_of(id: &SessionId) -> u8 {
    id.as_str().parse().unwrap()
}

fn message(number: u64, pad: usize) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":{number},"method":"{}"}}"#, "x".repeat(pad));
    Message::parse(text.as_bytes()).unwrap()
}

fn number_of(message: Message) -> u64 {
    message.id().unwrap().parse().unwrap()
}

fn close(reason: CloseReason) -> Close {
    Close { reason, manner: Manner::Abort, at: Tick::ZERO, undelivered: 0, last_delivered: None }
}
