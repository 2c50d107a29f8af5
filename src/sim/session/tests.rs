//! What a session's stream refuses without need, or forgets, is noticed.

use super::*;
use crate::mcp::Resumption;

const NUMBER: u64 = 7;

/// A session with one thing said in it, which nobody has taken.
fn live() -> Live {
    let config = Arc::new(HttpSse { resumption: Resumption::Always, ..HttpSse::default() });
    let id = SessionId::from_random([1; 16]);
    let mut live = Live::open(Tick::ZERO, config, &id, NUMBER, Box::default(), Framing::Raw, None);
    live.send(Tick::ZERO, Message::notification("notifications/note", "[]").unwrap());
    assert_eq!(live.violation(), None);
    live
}

#[test]
fn i2_i12_i13_refusals_without_need_are_violations_with_a_trace() {
    type Lie = fn(&mut Live);
    let lies: [(Law, &str, Lie); 3] = [
        (Law::I2, "refused with 1 frames and", |live| {
            let frame = live.sent[0].clone();
            live.refused(Tick::ZERO, &frame);
        }),
        (Law::I12, "7.0 is asked for, and nothing behind 0 was taken", |live| {
            live.refused_to_replay(Tick::ZERO, EventId { stream: NUMBER, seq: 0 }, ReplayError::NotIssued);
        }),
        (Law::I13, "response 3 was replaced and has no close", |live| live.check_close(Tick::ZERO, 3)),
    ];
    for (law, words, lie) in lies {
        let mut live = live();
        lie(&mut live);
        let found = live.violation().unwrap();
        assert!(found.law == law && found.what.contains(words), "{found}");
        assert!(found.trace.contains("replay(&setup, &ops)"), "{found}");
    }
}

#[test]
fn i2_i12_refusals_that_are_due_are_none() {
    let mut live = live();
    for last in [EventId { stream: NUMBER, seq: 2 }, EventId { stream: 8, seq: 0 }] {
        assert!(live.reattach(Tick::ZERO, last, Box::default(), Framing::Raw).is_err());
    }
    let most = live.config.stream.queue_limits().0.get();
    while !live.is_waiting() {
        assert!(live.sent.len() <= most);
        live.send(Tick::ZERO, Message::notification("notifications/note", "[]").unwrap());
    }
    assert_eq!(live.violation(), None);
}
