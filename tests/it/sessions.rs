//! The table of sessions: who is in it, what waits there, and that each leaves it once.

use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::mcp::{
    Attachment, HttpSse, Message, OpenError, PostError, PostId, PostOutcome, Posted, Resumption, SessionEnd,
    SessionEvent, SessionId, SessionLimits, Sessions,
};
use sansio_sse::{Close, CloseReason, Disconnect, EventId, Manner, Tick};

#[test]
fn s17_the_made_up_first_message_comes_only_on_request() {
    for (on_request, first) in
        [(false, None), (true, Some(r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#))]
    {
        let config = HttpSse { initialize_placeholder: on_request, ..HttpSse::default() };
        let mut sessions = table(SessionLimits::default(), Resumption::Off).with_greeting(config.greeting());
        let _attachment = sessions.open(at(0), id(1), 1).unwrap();
        assert_eq!(sessions.post(at(0), &id(1), message(1)), Ok(Posted::Accepted));
        let taken = first.map(|_| sessions.take(at(0), &id(1)).unwrap());
        assert_eq!(taken.as_ref().map(Message::as_str), first);
        assert_eq!(sessions.take(at(0), &id(1)), Some(message(1)), "then what the client sent");
    }
}

#[test]
fn hurt_20_a_session_that_is_finishing_accepts_nothing_that_nobody_would_answer() {
    let mut sessions =
        table(SessionLimits { max_messages: NonZeroUsize::MIN, ..SessionLimits::default() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    assert_eq!(sessions.post(at(0), &id(1), message(1)), Ok(Posted::Accepted));
    let Ok(Posted::Held(held)) = sessions.post(at(0), &id(1), message(2)) else { panic!("not held") };
    assert!(sessions.accepts(&id(1)) && !sessions.accepts(&id(2)));
    sessions.finish(at(1), &id(1));
    assert!(sessions.contains(&id(1)) && !sessions.accepts(&id(1)));
    assert_eq!(sessions.post(at(1), &id(1), message(3)), Err(PostError::Unknown));
    let events: Vec<_> = std::iter::from_fn(|| sessions.poll_event()).collect();
    assert!(events.contains(&SessionEvent::Post(held, PostOutcome::Ended)), "{events:?}");
    assert_eq!(sessions.take(at(1), &id(1)), Some(message(1)), "what was accepted is there");
    assert_eq!(sessions.take(at(1), &id(1)), None);
    assert_eq!(sessions.deadline(), None);
}

#[test]
fn the_limits_are_as_documented_and_their_durations_are_checked() {
    let limits = SessionLimits::default();
    let sizes = [limits.max_sessions, limits.max_messages, limits.max_bytes, limits.max_held];
    assert_eq!(sizes.map(NonZeroUsize::get), [1000, 256, 1 << 20, 16]);
    assert_eq!((limits.hold_for, limits.detached_for), (secs(10), secs(300)));
    assert_eq!(limits.check(), Ok(()));
    for (limits, setting) in [
        (SessionLimits { hold_for: Duration::ZERO, ..limits.clone() }, "hold_for"),
        (SessionLimits { detached_for: Duration::ZERO, ..limits.clone() }, "detached_for"),
    ] {
        let error = limits.check().unwrap_err();
        assert_eq!((error.setting(), error.value(), error.allowed()), (setting, "0ns", "more than zero"));
    }
}

#[test]
fn s1_a_used_id_or_stream_number_is_refused_and_the_session_that_has_it_is_as_it_was() {
    let mut sessions = table(small(), Resumption::Off);
    let first = sessions.open(at(0), id(1), 1).unwrap();
    assert_eq!(sessions.post(at(0), &id(1), message(1)), Ok(Posted::Accepted));
    assert_eq!(sessions.open(at(0), id(1), 2), Err(OpenError::Used));
    assert_eq!(sessions.open(at(0), id(2), 1), Err(OpenError::Used));
    assert_eq!((sessions.len(), sessions.contains(&id(1)), sessions.contains(&id(2))), (1, true, false));
    assert_eq!(sessions.take(at(0), &id(1)), Some(message(1)));
    sessions.handle_closed(at(1), first, closed(CloseReason::Finished));
    let again = sessions.open(at(1), id(1), 1).map(|attachment| attachment.id().clone());
    assert_eq!(again, Ok(id(1)), "a session that is over holds no id");
}

#[test]
fn hurt_07_check_26_there_are_only_so_many_sessions() {
    let limits = SessionLimits { max_sessions: n(3), ..small() };
    let mut sessions = table(limits, Resumption::Off);
    assert!(sessions.is_empty());
    for k in 1..=3 {
        drop(sessions.open(at(0), id(k), u64::from(k)).unwrap());
    }
    assert!(!sessions.is_empty());
    assert_eq!(sessions.open(at(0), id(4), 4), Err(OpenError::TooMany));
    assert_eq!(sessions.open(at(0), id(3), 3), Err(OpenError::TooMany));
    sessions.end(at(0), &id(2));
    assert!(sessions.open(at(0), id(4), 4).is_ok());
    assert_eq!(sessions.len(), 3);
}

#[test]
fn messages_reach_the_application_in_the_order_of_the_posts() {
    let mut sessions = table(SessionLimits { max_messages: n(10), ..small() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    for k in 0..10 {
        assert_eq!(sessions.post(at(0), &id(1), message(k)), Ok(Posted::Accepted));
        assert_eq!(sessions.poll_event(), Some(SessionEvent::Readable(id(1))));
    }
    assert_eq!(taken(&mut sessions, 0, 1), (0..10).collect::<Vec<_>>());
    assert_eq!(sessions.take(at(0), &id(1)), None);
    assert_eq!(sessions.poll_event(), None);
}

#[test]
fn an_empty_queue_takes_a_message_of_any_size_and_then_no_more_than_its_bytes() {
    let len = message(1).len();
    let mut sessions = table(SessionLimits { max_bytes: n(2 * len), ..small() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    let large = large(1000);
    assert_eq!(sessions.post(at(0), &id(1), large.clone()), Ok(Posted::Accepted));
    assert!(matches!(sessions.post(at(0), &id(1), message(1)), Ok(Posted::Held(_))));
    assert_eq!(sessions.take(at(0), &id(1)), Some(large));
    assert_eq!(sessions.post(at(0), &id(1), message(2)), Ok(Posted::Accepted), "exactly full");
    assert!(matches!(sessions.post(at(0), &id(1), message(3)), Ok(Posted::Held(_))));
}

#[test]
fn hurt_20_a_post_is_answered_only_when_its_place_is_certain() {
    let mut sessions = table(small(), Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    assert_eq!(sessions.post(at(0), &id(1), message(0)), Ok(Posted::Accepted));
    assert_eq!(sessions.post(at(0), &id(1), message(1)), Ok(Posted::Accepted));
    let held: Vec<PostId> = (2..5).map(|k| hold(&mut sessions, 0, 1, k)).collect();
    assert_eq!(sessions.post(at(0), &id(1), message(5)), Err(PostError::QueueFull), "three places to wait");
    drain(&mut sessions);
    for (k, post) in held.into_iter().enumerate() {
        assert_eq!(sessions.take(at(1), &id(1)), Some(message(k)));
        let events = [SessionEvent::Post(post, PostOutcome::Accepted), SessionEvent::Readable(id(1))];
        assert_eq!(drain(&mut sessions), events, "one place free, one POST admitted, in order");
    }
    assert_eq!(taken(&mut sessions, 1, 1), [3, 4]);
    assert_eq!(sessions.deadline(), None);
}

#[test]
fn a_post_never_overtakes_one_that_is_held_back() {
    let len = message(1).len();
    let mut sessions = table(SessionLimits { max_bytes: n(3 * len), ..small() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    let large = large(2 * len);
    assert_eq!(sessions.post(at(0), &id(1), message(0)), Ok(Posted::Accepted));
    let first = match sessions.post(at(0), &id(1), large.clone()) {
        Ok(Posted::Held(post)) => post,
        other => panic!("{other:?}"),
    };
    let second = hold(&mut sessions, 0, 1, 1);
    drain(&mut sessions);
    assert_eq!(sessions.take(at(0), &id(1)), Some(message(0)));
    assert_eq!(
        drain(&mut sessions),
        [SessionEvent::Post(first, PostOutcome::Accepted), SessionEvent::Readable(id(1))]
    );
    assert_eq!(sessions.take(at(0), &id(1)), Some(large));
    assert_eq!(drain(&mut sessions)[0], SessionEvent::Post(second, PostOutcome::Accepted));
}

#[test]
fn a_held_post_is_given_up_at_ten_seconds_and_not_before() {
    let mut sessions = table(small(), Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    fill(&mut sessions, 1);
    let first = hold(&mut sessions, 5, 1, 10);
    let second = hold(&mut sessions, 6, 1, 11);
    drain(&mut sessions);
    assert_eq!(sessions.deadline(), Some(at(10_005)));
    sessions.handle_timeout(Tick::from_micros(10_004_999));
    assert_eq!(drain(&mut sessions), []);
    sessions.handle_timeout(Tick::from_micros(10_005_000));
    assert_eq!(drain(&mut sessions), [SessionEvent::Post(first, PostOutcome::QueueFull)]);
    assert_eq!(sessions.deadline(), Some(at(10_006)));
    assert_eq!(taken(&mut sessions, 10_005, 1), [0, 1, 11], "what was given up is never delivered");
    assert_eq!(drain(&mut sessions)[0], SessionEvent::Post(second, PostOutcome::Accepted));
    sessions.handle_timeout(at(20_000));
    assert_eq!(drain(&mut sessions), []);
}

#[test]
fn a_post_that_is_given_up_is_told_before_those_that_move_up_for_it() {
    let len = message(10).len();
    let mut sessions = table(SessionLimits { max_bytes: n(2 * len), ..small() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    assert_eq!(sessions.post(at(0), &id(1), message(10)), Ok(Posted::Accepted));
    let Ok(Posted::Held(first)) = sessions.post(at(0), &id(1), large(2 * len)) else { panic!("not held") };
    let second = hold(&mut sessions, 1, 1, 11);
    drain(&mut sessions);
    sessions.handle_timeout(at(10_000));
    let refused = SessionEvent::Post(first, PostOutcome::QueueFull);
    let admitted = SessionEvent::Post(second, PostOutcome::Accepted);
    assert_eq!(drain(&mut sessions), [refused, admitted, SessionEvent::Readable(id(1))]);
}

#[test]
fn a_post_that_is_taken_up_in_the_moment_of_its_deadline_is_decided_once() {
    for take_first in [false, true] {
        let mut sessions = table(small(), Resumption::Off);
        let _attachment = sessions.open(at(0), id(1), 1).unwrap();
        fill(&mut sessions, 1);
        let post = hold(&mut sessions, 0, 1, 2);
        drain(&mut sessions);
        if take_first {
            assert_eq!(sessions.take(at(10_000), &id(1)), Some(message(0)));
        }
        sessions.handle_timeout(at(10_000));
        let expected = if take_first { PostOutcome::Accepted } else { PostOutcome::QueueFull };
        assert_eq!(drain(&mut sessions)[0], SessionEvent::Post(post, expected));
        let left: &[usize] = if take_first { &[1, 2] } else { &[0, 1] };
        assert_eq!(taken(&mut sessions, 10_000, 1), left);
        assert_eq!(drain(&mut sessions), []);
    }
}

#[test]
fn a_post_whose_client_went_away_is_forgotten_and_those_behind_it_move_up() {
    let len = message(10).len();
    let mut sessions = table(SessionLimits { max_bytes: n(2 * len), ..small() }, Resumption::Off);
    let _attachment = sessions.open(at(0), id(1), 1).unwrap();
    assert_eq!(sessions.post(at(0), &id(1), message(10)), Ok(Posted::Accepted));
    let Ok(Posted::Held(first)) = sessions.post(at(0), &id(1), large(2 * len)) else { panic!("not held") };
    let second = hold(&mut sessions, 0, 1, 11);
    drain(&mut sessions);
    sessions.withdraw(at(1), &id(1), first);
    let events = [SessionEvent::Post(second, PostOutcome::Accepted), SessionEvent::Readable(id(1))];
    assert_eq!(drain(&mut sessions), events, "nothing is said of the one that left");
    assert_eq!(sessions.deadline(), None);
    sessions.withdraw(at(1), &id(1), first);
    sessions.withdraw(at(1), &id(1), second);
    sessions.withdraw(at(1), &id(9), second);
    assert_eq!(taken(&mut sessions, 1, 1), [10, 11], "what is decided stays decided");
    assert_eq!(drain(&mut sessions), []);
}

#[test]
fn hurt_04_hurt_05_the_end_answers_every_held_post_and_counts_the_unread() {
    let mut sessions = table(small(), Resumption::Off);
    let attachment = sessions.open(at(0), id(1), 1).unwrap();
    fill(&mut sessions, 1);
    let held = [hold(&mut sessions, 0, 1, 10), hold(&mut sessions, 1, 1, 11)];
    drain(&mut sessions);
    let close = closed(CloseReason::Disconnected(Disconnect::Reset));
    sessions.handle_closed(at(2), attachment, close);
    assert_eq!(
        drain(&mut sessions),
        [
            SessionEvent::Post(held[0], PostOutcome::Ended),
            SessionEvent::Post(held[1], PostOutcome::Ended),
            SessionEvent::Ended { id: id(1), end: SessionEnd::Closed(close), unread: 2 },
        ]
    );
    assert_eq!(sessions.post(at(2), &id(1), message(9)), Err(PostError::Unknown));
    assert_eq!((sessions.take(at(2), &id(1)), sessions.find(event(1))), (None, None));
    assert_eq!((sessions.len(), sessions.deadline()), (0, None));
}

#[test]
fn hurt_04_however_a_session_ends_it_is_told_once() {
    let (gone, kept) = (closed(CloseReason::Finished), closed(CloseReason::Expired));
    for (mask, resumption) in
        (0..64).flat_map(|mask| [Resumption::Off, Resumption::Always].map(|r| (mask, r)))
    {
        let mut sessions = table(small(), resumption);
        let mut attachment = Some(sessions.open(at(0), id(1), 1).unwrap());
        let steps: [&Step<'_>; 6] = [
            &|sessions, held| held.take().into_iter().for_each(|a| sessions.handle_closed(at(1), a, kept)),
            &|sessions, held| *held = sessions.attach(at(2), &id(1)).or(held.take()),
            &|sessions, held| held.take().into_iter().for_each(|a| sessions.handle_closed(at(3), a, gone)),
            &|sessions, _| sessions.end(at(4), &id(1)),
            &|sessions, _| sessions.handle_timeout(at(400_000)),
            &|sessions, held| {
                held.take().into_iter().for_each(|a| sessions.handle_closed(at(500_000), a, kept))
            },
        ];
        for (bit, step) in steps.into_iter().enumerate() {
            if mask & (1 << bit) != 0 {
                step(&mut sessions, &mut attachment);
            }
        }
        sessions.end(at(900_000), &id(1));
        sessions.end(at(900_000), &id(1));
        sessions.handle_timeout(at(9_000_000));
        let ended = drain(&mut sessions).into_iter().filter(|e| matches!(e, SessionEvent::Ended { .. }));
        assert_eq!(ended.count(), 1, "{mask:06b} {resumption:?}");
        assert_eq!((sessions.len(), sessions.deadline()), (0, None), "{mask:06b} {resumption:?}");
    }
}

#[test]
fn hurt_06_check_11_a_detached_session_lives_for_five_minutes_and_not_longer() {
    let close = closed(CloseReason::Stalled { for_: secs(30) });
    let mut sessions = table(small(), Resumption::ServerClosed);
    let attachment = sessions.open(at(0), id(1), 1).unwrap();
    sessions.handle_closed(at(1000), attachment, close);
    assert_eq!((sessions.deadline(), drain(&mut sessions)), (Some(at(301_000)), vec![]));
    assert_eq!(sessions.post(at(2000), &id(1), message(1)), Ok(Posted::Accepted), "it is alive");
    drain(&mut sessions);
    sessions.handle_timeout(Tick::from_micros(300_999_999));
    assert!(sessions.contains(&id(1)));
    sessions.handle_timeout(Tick::from_micros(301_000_000));
    let end = SessionEnd::NotResumed { last: close };
    assert_eq!(drain(&mut sessions), [SessionEvent::Ended { id: id(1), end, unread: 1 }]);
    assert_eq!(end.to_string(), "stalled: no byte taken for 30s, and not resumed in time");
    assert_eq!((sessions.len(), sessions.deadline()), (0, None));
}

#[test]
fn a_server_that_stops_ends_what_waits_for_its_client_and_nothing_else() {
    let close = closed(CloseReason::Expired);
    let mut sessions = table(small(), Resumption::Always);
    let detached = sessions.open(at(0), id(1), 1).unwrap();
    let _attached = sessions.open(at(0), id(2), 2).unwrap();
    sessions.handle_closed(at(1), detached, close);
    sessions.end_detached(at(2));
    let end = SessionEnd::ServerStopped { last: close };
    assert_eq!(drain(&mut sessions), [SessionEvent::Ended { id: id(1), end, unread: 0 }]);
    assert_eq!(end.to_string(), "longest lifetime reached, and the server stopped");
    assert_eq!(
        (sessions.contains(&id(1)), sessions.contains(&id(2)), sessions.deadline()),
        (false, true, None)
    );
}

#[test]
fn hurt_11_hurt_17_a_session_that_is_taken_up_in_time_goes_on() {
    let mut sessions = table(small(), Resumption::Always);
    let first = sessions.open(at(0), id(1), 0xab).unwrap();
    sessions.handle_closed(at(0), first, closed(CloseReason::Disconnected(Disconnect::Eof)));
    assert_eq!(sessions.find(event(0xab)), Some(&id(1)));
    let second = sessions.attach(Tick::from_micros(299_999_999), &id(1)).unwrap();
    assert_eq!((second.id(), sessions.deadline()), (&id(1), None));
    sessions.handle_timeout(at(1_000_000));
    assert!(sessions.contains(&id(1)));
    sessions.handle_closed(at(1_000_000), second, closed(CloseReason::Expired));
    assert_eq!(sessions.deadline(), Some(at(1_300_000)), "each time anew");
    sessions.handle_timeout(at(1_300_000));
    assert_eq!(sessions.attach(at(1_300_000), &id(1)), None);
    assert_eq!(sessions.find(event(0xab)), None);
}

#[test]
fn hurt_12_the_newest_response_wins_and_the_end_of_an_older_one_changes_nothing() {
    for reason in
        [CloseReason::Superseded, CloseReason::Finished, CloseReason::Expired, CloseReason::Abandoned]
    {
        let mut sessions = table(small(), Resumption::Always);
        let first = sessions.open(at(0), id(1), 1).unwrap();
        let second = sessions.attach(at(1), &id(1)).unwrap();
        let third = sessions.attach(at(2), &id(1)).unwrap();
        assert!(first != second && second != third);
        sessions.handle_closed(at(3), first, closed(reason));
        sessions.handle_closed(at(3), second, closed(reason));
        assert_eq!(
            (sessions.len(), sessions.deadline(), drain(&mut sessions)),
            (1, None, vec![]),
            "{reason}"
        );
        sessions.handle_closed(at(4), third, closed(CloseReason::Finished));
        assert_eq!(drain(&mut sessions).len(), 1);
    }
}

#[test]
fn a_stale_attachment_of_a_dead_session_does_not_end_its_successor_even_of_the_same_id() {
    for successor in [1, 2] {
        let mut sessions = table(small(), Resumption::Off);
        let first = sessions.open(at(0), id(1), 1).unwrap();
        sessions.end(at(1), &id(1));
        let _successor = sessions.open(at(2), id(successor), 2).unwrap();
        sessions.handle_closed(at(3), first, closed(CloseReason::Finished));
        assert!(sessions.contains(&id(successor)));
        assert_eq!(drain(&mut sessions).len(), 1);
    }
}

#[test]
fn hurt_13_hurt_15_check_24_sessions_do_not_touch_each_other() {
    let mut sessions = table(small(), Resumption::Off);
    let one = sessions.open(at(0), id(1), 1).unwrap();
    let _two = sessions.open(at(0), id(2), 2).unwrap();
    fill(&mut sessions, 1);
    let _held = hold(&mut sessions, 0, 1, 9);
    assert_eq!(sessions.post(at(0), &id(2), message(0)), Ok(Posted::Accepted), "one is full, two is not");
    assert_eq!(sessions.post(at(0), &id(3), message(8)), Err(PostError::Unknown));
    sessions.handle_closed(at(1), one, closed(CloseReason::Aborted));
    assert_eq!(taken(&mut sessions, 1, 2), [0], "its own, though both clients used that id");
    assert!(sessions.contains(&id(2)) && !sessions.contains(&id(1)));
}

#[test]
fn time_that_goes_back_neither_ends_nor_prolongs() {
    let mut sessions = table(small(), Resumption::Always);
    let attachment = sessions.open(at(1000), id(1), 1).unwrap();
    sessions.handle_closed(at(0), attachment, closed(CloseReason::Expired));
    assert_eq!(sessions.deadline(), Some(at(301_000)));
    for _ in 0..10 {
        sessions.handle_timeout(at(0));
        sessions.handle_timeout(at(300_999));
    }
    assert_eq!((sessions.deadline(), sessions.len()), (Some(at(301_000)), 1));
}

// ---- helpers ----

/// A step of a session's life: the table, and the attachment that is out.
type Step<'a> = dyn Fn(&mut Sessions, &mut Option<Attachment>) + 'a;

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn at(ms: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(ms)
}

/// Two messages, three held POSTs.
fn small() -> SessionLimits {
    SessionLimits { max_messages: n(2), max_held: n(3), ..SessionLimits::default() }
}

fn table(limits: SessionLimits, resumption: Resumption) -> Sessions {
    Sessions::new(limits, resumption)
}

fn id(k: u8) -> SessionId {
    SessionId::from_random([k; 16])
}

fn event(stream: u64) -> EventId {
    EventId { stream, seq: 1 }
}

fn message(k: usize) -> Message {
    Message::parse(format!(r#"{{"jsonrpc":"2.0","id":{k},"method":"m"}}"#).as_bytes()).unwrap()
}

/// A message with a method of this many characters.
fn large(len: usize) -> Message {
    Message::parse(format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{}"}}"#, "x".repeat(len)).as_bytes())
        .unwrap()
}

fn closed(reason: CloseReason) -> Close {
    Close { reason, manner: Manner::Abort, at: at(0), undelivered: 0, last_delivered: None }
}

fn fill(sessions: &mut Sessions, k: u8) {
    for m in 0..2 {
        assert_eq!(sessions.post(at(0), &id(k), message(m)), Ok(Posted::Accepted));
    }
}

fn hold(sessions: &mut Sessions, now: u64, k: u8, m: usize) -> PostId {
    match sessions.post(at(now), &id(k), message(m)) {
        Ok(Posted::Held(post)) => post,
        other => panic!("not held: {other:?}"),
    }
}

/// The ids of the messages that the application gets.
fn taken(sessions: &mut Sessions, now: u64, k: u8) -> Vec<usize> {
    std::iter::from_fn(|| sessions.take(at(now), &id(k)))
        .map(|message| message.id().unwrap().parse().unwrap())
        .collect()
}

fn drain(sessions: &mut Sessions) -> Vec<SessionEvent> {
    std::iter::from_fn(|| sessions.poll_event()).collect()
}
