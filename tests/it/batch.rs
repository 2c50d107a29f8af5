//! Many events at once: a batch is what its events are one by one, but for the chunk that they share.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::{
    Batch, CloseReason, Disconnect, EventError, EventStream, Field, FieldError, Frame, Framing, SpinGuard,
    Step, StreamConfig, StreamConfigBuilder, Tick,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: Some(Box::new(
        prop::test_runner::FileFailurePersistence::Direct("tests/proptest-regressions/batch.txt"))), ..Default::default() })]

    /// I1, I2, I8: as many are taken as one by one, in their order, and a close counts them alike.
    #[test]
    fn a_batch_is_what_its_events_are(
        (frames, bytes) in (1..20_usize, 1..400_usize),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        let config = limits(frames, bytes);
        let mut one_by_one = open(Arc::clone(&config), Framing::Raw);
        let mut at_once = open(config, Framing::Raw);
        let (mut texts, mut batch) = (Vec::new(), Batch::default());
        for (step, now) in steps.into_iter().zip(1..) {
            match step {
                Do::Batch(more) => {
                    for text in more {
                        batch.push(Frame::builder().data(&text)).unwrap();
                        texts.push(text);
                    }
                    let events = texts.iter().map(|text| one_by_one.push_event(at(now), Frame::builder().data(text)));
                    let accepted = events.take_while(Result::is_ok).count();
                    let expected = if accepted == 0 && !texts.is_empty() { Err(EventError::Full) } else { Ok(accepted) };
                    prop_assert_eq!(at_once.push_batch(at(now), &mut batch), expected);
                    texts.drain(..accepted);
                }
                Do::Frame(len) => {
                    let frame = Frame::message(&"x".repeat(len));
                    prop_assert_eq!(one_by_one.push(at(now), frame.clone()), at_once.push(at(now), frame));
                }
                Do::Take(n) => {
                    for stream in [&mut one_by_one, &mut at_once] {
                        stream.handle_wrote(at(now), n);
                    }
                }
            }
            prop_assert_eq!((batch.events(), batch.bytes()), (texts.len(), batch_of(&texts).bytes()));
            prop_assert_eq!((offered(&one_by_one), one_by_one.room()), (offered(&at_once), at_once.room()));
            prop_assert_eq!(one_by_one.deadline(), at_once.deadline());
        }
        for stream in [&mut one_by_one, &mut at_once] {
            stream.handle_disconnect(at(30), Disconnect::Reset);
        }
        prop_assert_eq!(one_by_one.closed(), at_once.closed());
    }
}

#[derive(Clone, Debug)]
enum Do {
    /// Into the batch, and as much of it as there is room for into the stream.
    Batch(Vec<String>),
    /// A frame by itself, its data of that length.
    Frame(usize),
    /// The socket takes so many bytes.
    Take(usize),
}

fn step() -> impl Strategy<Value = Do> {
    prop_oneof![
        prop::collection::vec("[a-z\n]{0,20}", 0..8).prop_map(Do::Batch),
        (0..40_usize).prop_map(Do::Frame),
        (0..80_usize).prop_map(Do::Take),
    ]
}

#[test]
fn in_chunks_the_events_of_a_batch_share_one_and_each_counts_when_its_last_byte_is_out() {
    let mut stream = open(limits(10, 1000), Framing::Chunked);
    assert_eq!(stream.push_batch(at(0), &mut batch_of(&["a", "b", "c"])), Ok(3));
    assert_eq!(offered(&stream), b"1b\r\ndata: a\n\ndata: b\n\ndata: c\n\n\r\n");
    for (taken, undelivered) in [(0, 3), (12, 3), (13, 2), (21, 2), (22, 1), (31, 1), (32, 1), (33, 0)] {
        let mut stream = open(limits(10, 1000), Framing::Chunked);
        stream.push_batch(at(0), &mut batch_of(&["a", "b", "c"])).unwrap();
        stream.handle_wrote(at(0), taken);
        stream.handle_disconnect(at(0), Disconnect::Reset);
        assert_eq!(stream.closed().map(|close| close.undelivered), Some(undelivered), "{taken} taken");
    }
}

#[test]
fn each_event_of_several_batches_counts_when_its_last_byte_is_out() {
    let first = "13\r\ndata: a\n\ndata: bb\n\n\r\n9\r\ndata: c\n\n\r\n";
    let second = "20\r\ndata: ddd\n\ndata: e\n\ndata: ffff\n\n\r\n";
    let ends = [13, 25, first.len(), 54, 63, first.len() + second.len()];
    for step in [1, 7, 26, first.len(), 60] {
        let mut stream = open(limits(10, 1000), Framing::Chunked);
        stream.push_batch(at(0), &mut batch_of(&["a", "bb"])).unwrap();
        stream.push(at(0), Frame::message("c")).unwrap();
        stream.push_batch(at(0), &mut batch_of(&["ddd", "e", "ffff"])).unwrap();
        assert_eq!(offered(&stream), [first, second].concat().as_bytes());
        let mut taken = 0;
        while let left @ 1.. = offered(&stream).len() {
            // The first batch as the step has it, what follows byte by byte.
            let n = if taken < first.len() { step.min(left) } else { 1 };
            stream.handle_wrote(at(0), n);
            taken += n;
            let waiting = ends.iter().filter(|end| **end > taken).count();
            assert_eq!(stream.room().frames, 10 - waiting, "{taken} taken");
        }
    }
}

#[test]
fn what_has_no_room_stays_and_follows_later() {
    let mut stream = open(limits(2, 1000), Framing::Raw);
    let mut batch = batch_of(&["1", "2", "3"]);
    assert_eq!(stream.push_batch(at(0), &mut batch), Ok(2));
    assert_eq!(stream.push_batch(at(0), &mut batch), Err(EventError::Full));
    let first = offered(&stream);
    stream.handle_wrote(at(0), first.len());
    batch.push(Frame::builder().data("4")).unwrap();
    assert_eq!(stream.push_batch(at(0), &mut batch), Ok(2));
    assert_eq!([first, offered(&stream)].concat(), b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n");
    assert_eq!((batch.events(), batch.bytes(), batch.is_empty()), (0, 0, true));
    assert_eq!(stream.push_batch(at(0), &mut batch), Ok(0), "nothing is no reason to wait");

    batch.push(Frame::builder().data("late")).unwrap();
    stream.finish(at(0));
    assert_eq!(stream.push_batch(at(0), &mut batch), Err(EventError::Closed));
    assert_eq!(batch.events(), 1);
    batch.clear();
    assert!(batch.is_empty());
}

#[test]
fn a_field_that_cannot_stand_in_an_event_leaves_the_batch_as_it_was() {
    let mut batch = batch_of(&["fine"]);
    let refused = batch.push(Frame::builder().event("a\nb").data("x"));
    assert_eq!(refused, Err(FieldError::LineBreak { field: Field::Event, at: 1 }));
    assert_eq!((batch.events(), batch.bytes()), (1, b"data: fine\n\n".len()));
}

#[test]
fn a_keep_alive_that_nobody_took_gives_way_to_a_batch_and_its_stall_clock_goes_on() {
    let mut stream = open(Arc::new(StreamConfig::default()), Framing::Raw);
    stream.handle_timeout(at(15));
    assert_eq!(offered(&stream), b":\n\n");
    stream.push_batch(at(20), &mut batch_of(&["a"])).unwrap();
    assert_eq!(offered(&stream), b"data: a\n\n");
    assert_eq!(stream.deadline().map(|(due, _)| due), Some(at(45)));
}

#[test]
fn s24_the_guard_that_counts_every_frame_counts_every_event_of_a_batch() {
    let guard = SpinGuard::EveryFrame {
        gap: Duration::from_millis(10),
        in_a_row: NonZeroU32::new(4).unwrap(),
        window: None,
    };
    let config = StreamConfig::builder().spin_guard(guard).build().unwrap();
    let mut stream = open(Arc::new(config), Framing::Chunked);
    stream.push(at(1), Frame::message("alone")).unwrap();
    stream.push_batch(at(1), &mut batch_of(&["a", "b", "c", "d", "e"])).unwrap();
    for event in
        ["d\r\ndata: alone\n\n\r\n", "2d\r\ndata: a\n\n", "data: b\n\n", "data: c\n\n", "data: d\n\n"]
    {
        assert_eq!(offered(&stream), event.as_bytes());
        stream.handle_wrote(at(1), 1);
        assert_eq!(offered(&stream), &event.as_bytes()[1..]);
        stream.handle_wrote(at(1), event.len() - 1);
    }
    assert_eq!(stream.closed().map(|close| close.reason), Some(CloseReason::RapidFrames { frames: 4 }));
}

// ---- helpers ----

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn limits(frames: usize, bytes: usize) -> Arc<StreamConfig> {
    let (frames, bytes) = (NonZeroUsize::new(frames).unwrap(), NonZeroUsize::new(bytes).unwrap());
    let builder: StreamConfigBuilder = StreamConfig::builder();
    Arc::new(builder.max_queued(frames, bytes).build().unwrap())
}

fn open(config: Arc<StreamConfig>, framing: Framing) -> EventStream {
    EventStream::with_head(at(0), config, Box::default(), framing)
}

fn batch_of(texts: &[impl AsRef<str>]) -> Batch {
    let mut batch = Batch::default();
    for text in texts {
        batch.push(Frame::builder().data(text.as_ref())).unwrap();
    }
    batch
}

fn offered(stream: &EventStream) -> Vec<u8> {
    match stream.poll() {
        Step::Run { bytes, .. } => bytes.pieces().flatten().copied().collect(),
        Step::Closed(_) => Vec::new(),
    }
}
