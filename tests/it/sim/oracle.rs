//! The oracle bites: a stream that is told one thing, while its oracle is told another, breaks the law that it should.

use std::sync::Arc;
use std::time::Duration;

use sansio_sse::sim::{Law, Op, Oracle, Setup, Watched, replay};
use sansio_sse::{
    CloseReason, Disconnect, EventId, EventStream, Frame, Framing, Step, Tick, Topic, TopicConfig,
};

/// A stream and its oracle, each to be told what one likes.
struct Two {
    stream: EventStream,
    oracle: Oracle,
}

impl Two {
    fn of(setup: Setup) -> Two {
        let config = Arc::new(setup.config());
        let stream = EventStream::new(at(0), Arc::clone(&config));
        Two { stream, oracle: Oracle::new(at(0), config, b"", Framing::Raw) }
    }

    /// With one frame that both know of.
    fn pushed(setup: Setup) -> Two {
        let mut two = Two::of(setup);
        two.stream.push(at(0), hello()).unwrap();
        two.oracle.push(at(0), None, hello().as_bytes(), true);
        two
    }
}

type Lie = fn(&mut Two);

/// Sees that each of these breaks its law, in these words, and that the first one stays.
fn breaks(setup: Setup, make: fn(Setup) -> Two, lies: &[(Law, &str, Lie)]) {
    for (law, words, lie) in lies {
        let mut two = make(setup);
        two.oracle.check(&two.stream.poll());
        assert_eq!(two.oracle.violation(), None, "{words}");
        lie(&mut two);
        two.oracle.check(&two.stream.poll());
        let found = two.oracle.violation().expect(words).clone();
        assert_eq!((found.law, found.what.contains(words)), (*law, true), "{words}: {found}");
        two.stream.abort(at(9));
        two.oracle.handle_wrote(at(9), b"something else");
        two.oracle.check(&two.stream.poll());
        assert_eq!(two.oracle.violation(), Some(&found), "the first one stays");
    }
}

fn quiet() -> Setup {
    Setup { keep_alive: Some(5_000_000), stall_after: None, lag_after: None, ..Setup::default() }
}

#[test]
fn i1_i2_i3_i8_what_was_accepted_offered_and_taken() {
    let small = Setup { max_frames: 1, ..quiet() };
    breaks(
        small,
        Two::pushed,
        &[
            (Law::I8, "accepted: true; open: true, 1 frames", |two| {
                two.oracle.push(at(1), None, hello().as_bytes(), true);
            }),
            (Law::I1, "instead of \"data: hello", |two| {
                two.stream.handle_wrote(at(1), 11);
                two.oracle.handle_wrote(at(1), b"data: jello");
            }),
            (Law::I2, "more than was accepted", |two| {
                two.stream.handle_wrote(at(1), hello().as_bytes().len());
                two.oracle.handle_wrote(at(1), b"data: hello\n\n!");
            }),
        ],
    );
    breaks(
        quiet(),
        Two::of,
        &[
            (Law::I2, "accepted: false; open: true, 0 frames", |two| {
                two.oracle.push(at(1), None, hello().as_bytes(), false);
            }),
            (Law::I8, "accepted: true; open: false", |two| {
                two.oracle.abort(at(1));
                two.oracle.push(at(1), None, hello().as_bytes(), true);
            }),
            (Law::I1, "13 bytes offered, but 0", |two| two.stream.push(at(0), hello()).unwrap()),
            (Law::I8, "bytes to be read, but 4096", |two| two.stream.handle_input(at(0), 100)),
            (Law::I3, "1.1 was taken from the topic after the end", |two| {
                two.oracle.took(at(1), EventId { stream: 1, seq: 1 }, at(0), hello().as_bytes());
            }),
        ],
    );
}

#[test]
fn i3_to_i7_i9_i13_when_it_closes_and_what_its_deadline_is() {
    let clocks = Setup { stall_after: Some(1_000_000), max_lifetime: Some(60_000_000), ..quiet() };
    breaks(
        clocks,
        Two::pushed,
        &[
            (Law::I3, "closed without a cause", |two| two.stream.abort(at(0))),
            (Law::I7, "closed without a cause: Close { reason: Stalled", |two| {
                two.stream.handle_timeout(at(1));
            }),
            (Law::I5, "runs on, but Close { reason: Stalled", |two| two.oracle.handle_timeout(at(1))),
            (Law::I3, "runs on, but Close { reason: Aborted", |two| two.oracle.abort(at(0))),
            (Law::I13, "runs on, but Close { reason: Abandoned", |two| two.oracle.handle_abandoned(at(0))),
            // Of two closes:
            (Law::I2, "undelivered: 1", |two| {
                two.stream.abort(at(0));
                two.oracle.handle_wrote(at(0), hello().as_bytes());
                two.oracle.abort(at(0));
            }),
            (Law::I3, "reason: Superseded", |two| {
                two.stream.supersede(at(0));
                two.oracle.abort(at(0));
            }),
            (Law::I9, "reason: Aborted", |two| {
                two.stream.abort(at(1));
                two.oracle.abort(at(2));
            }),
        ],
    );
    breaks(
        quiet(),
        Two::of,
        &[
            (Law::I4, "closed without a cause: Close { reason: Finished", |two| two.stream.finish(at(0))),
            (Law::I13, "runs on, but Close { reason: Finished", |two| two.oracle.finish(at(0))),
            (Law::I4, "manner: Abort", |two| {
                two.stream.finish(at(0));
                two.oracle.abort(at(0));
            }),
            (Law::I5, "the deadline is None, but Some(", |two| two.stream.set_keep_alive(at(0), false)),
            // The same, and what was told last could not change anything.
            (Law::I6, "the deadline is None, but Some(", |two| {
                two.stream.set_keep_alive(at(0), false);
                two.oracle.handle_timeout(at(1));
            }),
            (Law::I9, "the deadline is None, but Some(", |two| {
                two.stream.set_keep_alive(at(0), false);
                two.oracle.handle_input(at(2), 0);
                two.oracle.handle_input(at(1), 0);
            }),
        ],
    );
}

/// I7: how late a stall may be is a matter of the driver, and it needs somebody who refuses.
#[test]
fn i7_a_stall_is_late_by_no_more_than_the_driver_and_never_beside_a_peer_that_takes_all() {
    let setup = Setup { stall_after: Some(1_000_000), ..quiet() };
    for (refused, after, what) in [
        (true, 4, None),
        (true, 5, Some("3s late; the driver is late by 2s")),
        (false, 4, Some("the peer had refused nothing")),
    ] {
        let mut stream = setup.stream().driven(Duration::from_secs(2));
        stream.push(at(1), None, hello()).unwrap();
        if refused {
            stream.handle_refused();
        }
        stream.handle_timeout(at(after));
        let found = stream.violation().map(|found| (found.law, found.what.clone()));
        assert_eq!(found.is_some(), what.is_some());
        assert!(
            found.is_none_or(|(law, said)| law == Law::I7 && what.is_some_and(|what| said.contains(what)))
        );
    }
}

/// What a stream hears of a topic is in its trace, too: the trace comes to the same end.
#[test]
fn i12_i14_a_stream_that_falls_off_its_topic_or_comes_to_its_end_has_a_trace_that_does_so_too() {
    let config = || TopicConfig { max_frames: 2.try_into().unwrap(), ..TopicConfig::default() };
    let closed = |stream: &Watched| {
        assert_eq!(stream.violation(), None);
        let trace = stream.oracle().trace();
        let close = stream.closed().copied();
        assert_eq!(replay(&trace.setup, &trace.ops), Ok(close), "{trace}");
        close.map(|close| (close.reason, close.undelivered))
    };
    // One frame is taken; of the next three the topic holds two.
    let mut topic = Topic::new(1, config());
    let mut stream = quiet().stream();
    stream.follow(at(0), &topic, None).unwrap();
    for second in 1..=4 {
        topic.publish(at(second), &hello());
        if second == 1 {
            assert!(stream.fill_from(at(1), &mut topic));
        }
    }
    assert_eq!(closed(&stream), None);
    assert!(stream.fill_from(at(5), &mut topic));
    let lagged = CloseReason::Lagged { behind: Duration::from_secs(2) };
    assert_eq!(closed(&stream), Some((lagged, 1)), "since the oldest that is held was published");
    assert!(stream.fill_from(at(6), &mut topic), "it follows no more");

    // A topic that has finished, with one frame in front of the end.
    let mut topic = Topic::new(1, config());
    let mut stream = quiet().stream();
    stream.follow(at(0), &topic, None).unwrap();
    topic.publish(at(1), &hello());
    topic.finish();
    assert!(stream.fill_from(at(2), &mut topic));
    assert_eq!(closed(&stream), None, "the frame is still to be taken");
    stream.handle_wrote(at(3), b"id: 1.1\ndata: hello\n\n");
    assert_eq!(closed(&stream), Some((CloseReason::Finished, 0)));
}

/// The opening is refused by a stream that is over; its oracle learns the time by it, and nothing else.
#[test]
fn i3_a_stream_that_is_over_takes_no_opening() {
    let mut stream = quiet().stream();
    stream.abort(at(1));
    assert!(stream.push_opening(at(2), hello()).is_err());
    assert_eq!((stream.violation(), stream.oracle().counts()), (None, (0, 0)));
}

/// The text of a trace is a test, and stands at the end of this file as one.
#[test]
fn a_trace_pastes_in_as_a_test() {
    let mut stream = Setup { chunked: true, head: 17, ..quiet() }.stream();
    for (second, op) in [
        (0, Op::Push { size: 12, id: None }),
        (1, Op::Wrote { n: 20 }),
        (2, Op::Push { size: 40, id: Some(EventId { stream: 7, seq: 1 }) }),
        (3, Op::Disconnected { how: Disconnect::Reset }),
    ] {
        stream.apply(at(second), op);
    }
    let text = stream.oracle().trace().to_string();
    assert!(include_str!("oracle.rs").contains(&text), "{text}");
    assert!(matches!(stream.poll(), Step::Closed(_)));
}

#[test]
fn a_violation_says_which_law_when_what_and_how() {
    let mut stream = quiet().stream();
    stream.push(at(0), None, hello()).unwrap();
    stream.handle_wrote(at(2), b"jello");
    let found = stream.violation().unwrap();
    let trace = stream.oracle().trace();
    let said = "I1 at 2.000000s: the peer got \"jello\" instead of \"data:\"";
    assert_eq!(found.to_string(), format!("{said}\n{trace}"));
    // Frames of a trace are honest ones: it tells what was told, and the fault was the driver's.
    assert_eq!(replay(&trace.setup, &trace.ops), Ok(None));
}

// ---- helpers ----

fn at(seconds: u64) -> Tick {
    super::at(seconds)
}

fn hello() -> Frame {
    Frame::message("hello")
}

#[rustfmt::skip]
#[test]
fn found_by_simulation() {
    use sansio_sse::sim::{Op::*, Setup, replay};
    #[allow(unused_imports)]
    use sansio_sse::{Disconnect::*, EventId};
    let setup = Setup { contextforge: false, chunked: true, opened: 0, head: 17, keep_alive: Some(5000000), stall_after: None, lag_after: None, drain_within: 5000000, max_lifetime: None, max_frames: 256, max_bytes: 1048576, max_faults: 3, max_empty_writes: 100, rapid: None, rapid_window: None, half_close_goes_on: false };
    let ops = [
        (0, Push { size: 12, id: None }),
        (1000000, Wrote { n: 20 }),
        (2000000, Push { size: 40, id: Some(EventId { stream: 7, seq: 1 }) }),
        (3000000, Disconnected { how: Reset }),
    ];
    replay(&setup, &ops).unwrap();
}
