//! The laws of an event stream over random runs, held by the simulation's oracle: it knows only what the stream was
//! told and what the peer took, and does its own sums.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::sim::{Op, Setup, Watched};
use sansio_sse::{
    Disconnect, Event, EventId, EventSource, EventStream, Frame, Framing, Journal, LastEventId, LineEnd,
    ResponseFacts, SourceConfig, Step, StreamConfig, Tick,
};

/// Something that is told, and how long after the thing before, in microseconds; or before it.
type Told = (i64, Op);

fn setup() -> impl Strategy<Value = Setup> {
    let clocks = (
        prop::option::of(200..400_u64),
        prop::option::of(300..700_u64),
        prop::option::of(800..1_500_u64),
        200..600_u64,
        prop::option::of(2_000..8_000_u64),
    );
    let limits = (1..8_usize, 1..400_usize, 1..5_u32, 1..6_u32);
    let rapid = prop::option::of((1..40_u64, 2..8_u32));
    (any::<[bool; 3]>(), 0..20_usize, clocks, limits, rapid, prop::option::of((50..400_u64, 2..6_u32)))
        .prop_map(
            |([contextforge, chunked, half_close_goes_on], head, clocks, limits, rapid, rapid_window)| {
                Setup {
                    contextforge,
                    chunked,
                    opened: 0,
                    head,
                    keep_alive: clocks.0,
                    stall_after: clocks.1,
                    lag_after: clocks.2,
                    drain_within: clocks.3,
                    max_lifetime: clocks.4,
                    max_frames: limits.0,
                    max_bytes: limits.1,
                    max_faults: limits.2,
                    max_empty_writes: limits.3,
                    rapid,
                    rapid_window,
                    half_close_goes_on,
                }
            },
        )
}

fn op() -> impl Strategy<Value = Op> {
    let id = prop::option::of((any::<u64>(), any::<u64>()).prop_map(|(stream, seq)| EventId { stream, seq }));
    let how =
        prop::sample::select(vec![Disconnect::Eof, Disconnect::Reset, Disconnect::TimedOut, Disconnect::Io]);
    prop_oneof![
        16 => (8..60_usize, id).prop_map(|(size, id)| Op::Push { size, id }),
        4 => (8..60_usize).prop_map(|size| Op::Batched { size }),
        3 => Just(Op::PushBatch),
        14 => prop_oneof![Just(usize::MAX), 0..40_usize, Just(1)].prop_map(|n| Op::Wrote { n }),
        12 => Just(Op::Timeout),
        1 => (0..3_000_usize).prop_map(|n| Op::Input { n }),
        1 => Just(Op::Fault),
        1 => any::<bool>().prop_map(|on| Op::KeepAlive { on }),
        1 => prop_oneof![
            4 => Just(Op::Finish),
            2 => how.prop_map(|how| Op::Disconnected { how }),
            1 => Just(Op::Abort),
            1 => Just(Op::Abandon),
            1 => Just(Op::Supersede),
        ],
    ]
}

/// Times that go on, stand still, or go back.
fn told() -> impl Strategy<Value = Vec<Told>> {
    let step = prop_oneof![6 => 0..250_i64, 3 => Just(0), 1 => -400..0_i64, 1 => Just(1_000)];
    let one = (step, op()).prop_map(|(step, op)| match op {
        Op::Batched { .. } => (0, op), // The stream does not learn of it, nor of its time.
        _ => (step, op),
    });
    prop::collection::vec(one, 0..70)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: Some(Box::new(
        prop::test_runner::FileFailurePersistence::Direct("tests/proptest-regressions/props.txt"))), ..Default::default() })]

    /// Every law that one stream alone can break is looked at with every step.
    #[test]
    fn i1_to_i6_i8_i9_i13_whatever_it_is_told(setup in setup(), opening in any::<bool>(), told in told()) {
        let mut stream = setup.stream();
        if opening {
            stream.apply(Tick::ZERO, Op::Opening { size: 30 });
        }
        let end = tell(&mut stream, &told);
        prop_assert_eq!(stream.violation(), None);
        // However it stands, it ends: nobody takes anything any more.
        stream.finish(end);
        stream.handle_timeout(end + us(setup.drain_within));
        prop_assert!(stream.closed().is_some(), "I13");
        prop_assert_eq!(stream.violation(), None);
    }

    /// I5: the deadline that is reported is the one at which something happens, to the microsecond.
    #[test]
    fn i5_nothing_happens_before_its_deadline(setup in setup(), told in told()) {
        let mut stream = setup.stream();
        // What is due by now, nobody has looked at yet.
        let now = tell(&mut stream, &told);
        stream.handle_timeout(now);
        while let (Step::Run { .. }, Some((due, wake))) = (stream.poll(), stream.stream().deadline()) {
            let before = format!("{:?}", stream.stream());
            stream.handle_timeout(Tick::from_micros(due.as_micros() - 1));
            prop_assert_eq!(&before, &format!("{:?}", stream.stream()));
            stream.handle_timeout(due);
            prop_assert_ne!(&before, &format!("{:?}", stream.stream()), "{:?}", wake);
            stream.apply(due, Op::Wrote { n: usize::MAX });
            stream.finish(due);
        }
        prop_assert_eq!(stream.violation(), None);
    }

    /// I6: looking, and timeouts that are early or come again, change nothing.
    #[test]
    fn i6_spurious_timeouts_change_nothing(setup in setup(), told in told()) {
        let (mut plain, mut noisy) = (setup.stream(), setup.stream());
        let mut now = 0_u64;
        for (step, op) in told {
            now = now.saturating_add_signed(step);
            for stream in [&mut plain, &mut noisy] {
                stream.apply(at(now), op);
                stream.handle_timeout(at(now));
            }
            for back in [0, 7, 0, 300] {
                noisy.handle_timeout(at(now.saturating_sub(back)));
            }
            prop_assert_eq!(format!("{:?}", noisy.stream()), format!("{:?}", plain.stream()));
        }
        prop_assert_eq!(noisy.violation(), None);
    }

    /// I7: a driver that comes late finds what a punctual one has found, late by as much.
    #[test]
    fn i7_a_late_driver_delays_by_as_much_and_invents_nothing(setup in setup(), late in 0..2_000_u64) {
        let setup = Setup { rapid: None, ..setup };
        let mut stream = setup.stream().driven(us(late));
        stream.apply(Tick::ZERO, Op::Push { size: 20, id: None });
        // The driver was busy for as long; then it offers first, and looks at the clock after it.
        stream.apply(at(late), Op::Wrote { n: usize::MAX });
        prop_assert!(stream.closed().is_none(), "{:?}", stream.closed());
        prop_assert_eq!(stream.violation(), None);
        // And a stream that is refused closes by its clock, late by no more.
        stream.apply(at(late), Op::Push { size: 20, id: None });
        stream.handle_refused();
        let due = [setup.stall_after, setup.lag_after].into_iter().flatten().min().map(|after| late + after);
        let due = due.into_iter().chain(setup.max_lifetime.map(|after| after + setup.drain_within)).min();
        if let Some(due) = due {
            stream.handle_timeout(at(due + late));
            stream.handle_timeout(at(due + late + setup.drain_within));
            prop_assert!(stream.closed().is_some());
        }
        prop_assert_eq!(stream.violation(), None);
    }

    /// I8: what is held is bounded by what is configured, counted on what is offered.
    #[test]
    fn i8_no_more_waits_than_is_allowed(setup in setup(), sizes in prop::collection::vec(8..200_usize, 1..60)) {
        let mut stream = Setup { rapid: None, ..setup }.stream();
        let largest = sizes.iter().max().copied().unwrap_or(0);
        for size in sizes {
            stream.apply(Tick::ZERO, Op::Push { size, id: Some(EventId { stream: u64::MAX, seq: u64::MAX }) });
            let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
            let envelope = 70 * setup.max_frames;
            prop_assert!(bytes.len() <= setup.head + setup.max_bytes.max(largest) + envelope + 70);
        }
        prop_assert!(stream.oracle().counts().0 <= setup.max_frames);
        prop_assert_eq!(stream.violation(), None);
    }

    /// I9: a clock that goes back is one that stood still.
    #[test]
    fn i9_time_that_goes_back_is_time_that_stands_still(setup in setup(), told in told()) {
        let (mut plain, mut wild) = (setup.stream(), setup.stream());
        let (mut now, mut latest) = (0_u64, 0_u64);
        for (step, op) in told {
            now = now.saturating_add_signed(step);
            latest = latest.max(now);
            wild.apply(at(now), op);
            plain.apply(at(latest), op);
            prop_assert_eq!(format!("{:?}", wild.stream()), format!("{:?}", plain.stream()));
        }
        prop_assert_eq!(wild.closed(), plain.closed());
    }

    /// I10: into how many writes the bytes are cut does not show, on the wire or in the close.
    #[test]
    fn i10_splits_of_the_writes_do_not_show(
        setup in setup(),
        texts in prop::collection::vec("[a-c\n]{0,20}", 1..5),
        cuts in prop::collection::vec(1..30_usize, 1..20),
        line_end in prop::sample::select(vec![LineEnd::Lf, LineEnd::CrLf]),
    ) {
        let framing = if setup.chunked { Framing::Chunked } else { Framing::Raw };
        let run = |sizes: &mut dyn Iterator<Item = usize>| {
            let config = Arc::new(StreamConfig::builder().line_end(line_end).build().unwrap());
            let mut stream = EventStream::with_head(Tick::ZERO, config, Box::from(*b"HEAD\r\n\r\n"), framing);
            for (seq, text) in (1..).zip(&texts) {
                stream.push_with_id(Tick::ZERO, EventId { stream: 1, seq }, Frame::message(text)).unwrap();
            }
            stream.finish(Tick::ZERO);
            let mut wire = Vec::new();
            while let Step::Run { bytes, .. } = stream.poll() {
                let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
                taken.truncate(sizes.next().unwrap());
                stream.handle_wrote(Tick::ZERO, taken.len());
                wire.extend(taken);
            }
            (wire, *stream.closed().unwrap())
        };
        let whole = run(&mut std::iter::repeat(usize::MAX));
        prop_assert_eq!(whole.1.undelivered, 0);
        prop_assert_eq!(&run(&mut cuts.iter().copied().cycle()), &whole);
        prop_assert_eq!(&run(&mut std::iter::repeat(1)), &whole);
    }

    /// I11: every frame that can be built is read as the one event that it was made of.
    #[test]
    fn i11_what_is_decoded_is_what_was_encoded(
        event in "[^\r\n\0]{0,12}", data in "\\PC{0,20}([\r\n]\\PC{0,10}){0,3}", id in prop::option::of("[^\r\n\0]{1,12}"),
        line_end in prop::sample::select(vec![LineEnd::Lf, LineEnd::CrLf]),
    ) {
        let builder = Frame::builder().event(&event).data(&data).line_end(line_end);
        let builder = match &id { Some(id) => builder.id(id), None => builder };
        let frame = builder.build().unwrap();
        let events = read(frame.as_bytes());
        let data = data.replace("\r\n", "\n").replace('\r', "\n");
        let event_type = if event.is_empty() { "message" } else { &event };
        prop_assert_eq!(events.len(), 1);
        prop_assert_eq!((&*events[0].event_type, &*events[0].data), (event_type, &*data));
        prop_assert_eq!(events[0].last_event_id.as_ref().map(LastEventId::as_str), id.as_deref());
    }

    /// I12: from wherever a reader takes a journal up, it gets what follows, once and in order, or is told of a gap;
    /// what is appended meanwhile comes behind it.
    #[test]
    fn i12_replay_and_live_have_no_seam(
        before in 0..30_u64, after in 0..10_u64, from in 0..34_u64, keep in 1..20_usize, takes in 1..100_usize,
    ) {
        let mut journal = Journal::new(9, keep.try_into().unwrap(), std::num::NonZeroUsize::MAX);
        for seq in 1..=before {
            journal.append(Frame::message(&seq.to_string()));
        }
        let Ok(mut cursor) = journal.resume(EventId { stream: 9, seq: from }) else {
            let gone = from > before || before - from > keep as u64;
            prop_assert!(gone, "{} of {} with {} kept", from, before, keep);
            return Ok(());
        };
        let setup = Setup { max_frames: 3, ..Setup::default() };
        let (mut stream, mut wire) = (setup.stream(), Vec::new());
        let mut appended = before;
        loop {
            stream.fill(Tick::ZERO, &mut cursor, &journal).unwrap();
            let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
            let taken: Vec<u8> = bytes.pieces().flatten().copied().take(takes).collect();
            if taken.is_empty() && appended == before + after {
                break;
            }
            stream.handle_wrote(Tick::ZERO, &taken);
            wire.extend(taken);
            // Live, but never so fast that the reader falls off the end.
            if appended < before + after && cursor == journal.tail() {
                appended += 1;
                journal.append(Frame::message(&appended.to_string()));
            }
        }
        let seen: Vec<u64> = read(&wire).iter().map(|event| event.data.parse().unwrap()).collect();
        prop_assert_eq!(seen, (from + 1..=before + after).collect::<Vec<_>>());
        prop_assert_eq!(stream.violation(), None);
    }

    /// I14: what one subscriber does shows in no other's bytes, deadlines or close.
    #[test]
    fn i14_a_subscriber_that_stalls_changes_no_other(
        setup in setup(), published in prop::collection::vec((0..200_i64, 8..60_usize), 1..40),
    ) {
        let run = |neighbour_takes: usize| {
            let (mut one, mut neighbour) = (setup.stream(), setup.stream());
            let mut journal = Journal::new(1, 1_000.try_into().unwrap(), std::num::NonZeroUsize::MAX);
            let (mut a, mut b) = (journal.tail(), journal.tail());
            let (mut now, mut seen) = (0_u64, Vec::new());
            for (step, size) in &published {
                now = now.saturating_add_signed(*step);
                journal.append(Frame::message(&"x".repeat(*size)));
                for (stream, cursor, takes) in
                    [(&mut neighbour, &mut b, neighbour_takes), (&mut one, &mut a, usize::MAX)]
                {
                    let _ = stream.fill(at(now), cursor, &journal);
                    stream.apply(at(now), Op::Wrote { n: takes });
                    stream.handle_timeout(at(now));
                }
                seen.push(format!("{:?}", one.stream()));
            }
            (seen, one.closed().copied(), one.violation().cloned())
        };
        let beside_a_good_one = run(usize::MAX);
        prop_assert_eq!(&beside_a_good_one.2, &None);
        prop_assert_eq!(&run(0), &beside_a_good_one);
        prop_assert_eq!(&run(1), &beside_a_good_one);
    }
}

// ---- helpers ----

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

fn at(us: u64) -> Tick {
    Tick::from_micros(us)
}

/// Tells a stream all of it; gives back the latest time.
fn tell(stream: &mut Watched, told: &[Told]) -> Tick {
    let (mut now, mut latest) = (0_u64, 0);
    for (step, op) in told {
        now = now.saturating_add_signed(*step);
        latest = latest.max(now);
        stream.apply(at(now), *op);
    }
    at(latest)
}

/// The events that a client sees in these bytes.
fn read(mut bytes: &[u8]) -> Vec<Event> {
    let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::default()), 1);
    let head = ResponseFacts { status: 200, content_type: Some("text/event-stream"), location: None };
    source.handle_response(Tick::ZERO, &head).unwrap();
    let mut events = Vec::new();
    while let Some(event) = source.handle_bytes(Tick::ZERO, &mut bytes) {
        events.push(event.to_event());
    }
    events
}
