//! One log, many streams: what each sends, what is kept, and who falls off.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::{
    CloseReason, Disconnect, EventId, EventStream, Frame, Framing, KeepAlive, LineEnd, PushError,
    ReplayError, SpinGuard, Step, StreamConfig, Tick, Topic, TopicConfig,
};

const TOPIC: u64 = 0x2a;

fn at(ms: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(ms)
}

fn id(seq: u64) -> EventId {
    EventId { stream: TOPIC, seq }
}

fn limits(frames: usize, bytes: usize) -> TopicConfig {
    let n = |n| NonZeroUsize::new(n).unwrap();
    TopicConfig { max_frames: n(frames), max_bytes: n(bytes), ..TopicConfig::default() }
}

fn frame(n: u64) -> Frame {
    Frame::message(&n.to_string())
}

fn expected(n: u64) -> String {
    format!("id: 2a.{n}\ndata: {n}\n\n")
}

fn publish(topic: &mut Topic, numbers: RangeInclusive<u64>, when: impl Fn(u64) -> u64) {
    for n in numbers {
        topic.publish(at(when(n)), &frame(n));
    }
}

fn stream(framing: Framing) -> EventStream {
    EventStream::with_head(at(0), Arc::new(StreamConfig::default()), Box::default(), framing)
}

fn offered(stream: &EventStream) -> Vec<u8> {
    match stream.poll() {
        Step::Run { bytes, .. } => {
            let all: Vec<u8> = bytes.pieces().flatten().copied().collect();
            assert_eq!(all.len(), bytes.len());
            all
        }
        Step::Closed(_) => Vec::new(),
    }
}

/// Lets the stream send all that the topic has for it.
fn drain(now: Tick, stream: &mut EventStream, topic: &mut Topic) -> Vec<u8> {
    let mut wire = Vec::new();
    loop {
        let all = stream.fill(now, topic);
        let bytes = offered(stream);
        stream.handle_wrote(now, bytes.len());
        wire.extend_from_slice(&bytes);
        if all && offered(stream).is_empty() {
            return wire;
        }
    }
}

#[test]
fn every_follower_sends_what_is_published_from_then_on() {
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut early = stream(Framing::Raw);
    early.follow(at(0), &topic, None).unwrap();
    topic.publish(at(1), &frame(1));
    let mut late = stream(Framing::Raw);
    late.follow(at(1), &topic, None).unwrap();
    topic.publish(at(2), &frame(2));
    assert_eq!(drain(at(3), &mut early, &mut topic), (expected(1) + &expected(2)).into_bytes());
    assert_eq!(drain(at(3), &mut late, &mut topic), expected(2).into_bytes());
    assert_eq!(drain(at(3), &mut late, &mut topic), b"", "each once");
}

#[test]
fn in_chunks_what_many_streams_send_is_one_piece() {
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut streams = [stream(Framing::Chunked), stream(Framing::Chunked)];
    streams.iter_mut().for_each(|stream| stream.follow(at(0), &topic, None).unwrap());
    publish(&mut topic, 1..=3, |_| 1);
    let pieces = streams.each_mut().map(|stream| {
        assert!(stream.fill(at(2), &mut topic));
        let Step::Run { bytes, .. } = stream.poll() else { panic!("open") };
        let [piece] = bytes.pieces().collect::<Vec<_>>()[..] else { panic!("one piece") };
        piece.as_ptr_range()
    });
    assert_eq!(pieces[0], pieces[1], "the same memory");
    let chunk = |n| format!("{:x}\r\n{}\r\n", expected(n).len(), expected(n));
    assert_eq!(offered(&streams[0]), [chunk(1), chunk(2), chunk(3)].concat().as_bytes());
}

#[test]
fn a_reader_takes_up_where_it_left() {
    let mut topic = Topic::new(TOPIC, limits(8, 1 << 20));
    publish(&mut topic, 1..=12, |n| n);
    assert_eq!((topic.oldest_id(), topic.last_id(), topic.frames()), (id(5), id(12), 8));
    for last in 4..=12 {
        let mut stream = stream(Framing::Raw);
        stream.follow(at(20), &topic, Some(id(last))).unwrap();
        let rest: String = (last + 1..=12).map(expected).collect();
        assert_eq!(drain(at(20), &mut stream, &mut topic), rest.into_bytes());
    }
    let refused = |last| stream(Framing::Raw).follow(at(20), &topic, Some(last)).unwrap_err();
    assert_eq!(refused(id(3)), ReplayError::Gap { oldest: id(5) });
    assert_eq!(refused(id(13)), ReplayError::NotIssued);
    assert_eq!(refused(id(u64::MAX)), ReplayError::NotIssued);
    assert_eq!(refused(EventId { stream: 1, seq: 12 }), ReplayError::OtherStream);
}

#[test]
fn in_chunks_a_reader_takes_up_in_the_middle_of_a_piece() {
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    publish(&mut topic, 1..=9, |n| n);
    let chunk = |n| format!("{:x}\r\n{}\r\n", expected(n).len(), expected(n));
    for last in 0..=9 {
        let mut stream = stream(Framing::Chunked);
        stream.follow(at(20), &topic, Some(id(last))).unwrap();
        let rest: String = (last + 1..=9).map(chunk).collect();
        assert_eq!(drain(at(20), &mut stream, &mut topic), rest.into_bytes(), "behind {last}");
        let mut lost = self::stream(Framing::Chunked);
        lost.follow(at(20), &topic, Some(id(last))).unwrap();
        assert!(lost.fill(at(20), &mut topic));
        lost.handle_disconnect(at(20), Disconnect::Reset);
        assert_eq!(lost.closed().map(|close| close.undelivered as u64), Some(9 - last));
    }
}

#[test]
fn who_falls_off_the_end_of_the_log_lags_and_comes_back() {
    let mut topic = Topic::new(TOPIC, limits(8, 1 << 20));
    let mut slow = stream(Framing::Raw);
    slow.follow(at(0), &topic, None).unwrap();
    topic.publish(at(1), &frame(1));
    assert_eq!(drain(at(1), &mut slow, &mut topic), expected(1).into_bytes());
    publish(&mut topic, 2..=20, |n| n);
    assert!(slow.fill(at(30), &mut topic));
    let close = *slow.closed().expect("closed");
    assert_eq!(close.reason, CloseReason::Lagged { behind: Duration::from_millis(30 - 13) });
    assert_eq!((close.undelivered, close.last_delivered), (0, Some(id(1))));
    // Told so in time, it would have found its place; so it does now, where the log still reaches.
    let mut again = stream(Framing::Raw);
    let gap = again.follow(at(31), &topic, close.last_delivered).unwrap_err();
    assert_eq!(gap, ReplayError::Gap { oldest: id(13) });
    again.follow(at(31), &topic, Some(id(12))).unwrap();
    assert_eq!(
        drain(at(31), &mut again, &mut topic),
        (13..=20).map(expected).collect::<String>().into_bytes()
    );
}

#[test]
fn a_stream_that_sends_from_a_run_keeps_it() {
    let mut topic = Topic::new(TOPIC, limits(8, 1 << 20));
    let mut slow = stream(Framing::Chunked);
    slow.follow(at(0), &topic, None).unwrap();
    topic.publish(at(1), &frame(1));
    assert!(slow.fill(at(1), &mut topic));
    let begun = offered(&slow);
    slow.handle_wrote(at(1), 3);
    publish(&mut topic, 2..=100, |n| n);
    assert_eq!(offered(&slow), begun[3..], "the rest of the frame, though the log has let go of it");
}

#[test]
fn lag_counts_from_the_publication_or_from_the_following_if_that_is_later() {
    let config = StreamConfig::builder().lag_after(Some(Duration::from_millis(100))).build().unwrap();
    let config = Arc::new(config);
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    topic.publish(at(0), &frame(1));
    let deadline = |followed, last| {
        let mut topic = Topic::new(TOPIC, TopicConfig::default());
        topic.publish(at(0), &frame(1));
        let mut stream = EventStream::with_head(at(0), Arc::clone(&config), Box::default(), Framing::Chunked);
        stream.follow(at(followed), &topic, last).unwrap();
        topic.publish(at(50), &frame(2));
        stream.fill(at(60), &mut topic);
        stream.deadline().expect("bytes wait").0
    };
    assert_eq!(deadline(10, None), at(150), "a frame waits from its publication");
    assert_eq!(deadline(55, Some(id(0))), at(155), "an old one from the moment in which it was asked for");
}

#[test]
fn followers_finish_with_their_topic() {
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut stream = stream(Framing::Chunked);
    stream.follow(at(0), &topic, None).unwrap();
    topic.publish(at(1), &frame(1));
    topic.finish();
    assert!(drain(at(2), &mut stream, &mut topic).ends_with(b"\r\n0\r\n\r\n"));
    let close = stream.closed().expect("closed");
    assert_eq!((close.reason, close.last_delivered), (CloseReason::Finished, Some(id(1))));
}

#[test]
fn limits_hold_and_the_newest_frame_stays() {
    let mut topic = Topic::new(TOPIC, limits(1_000, 100));
    let large = Frame::message(&"x".repeat(500));
    topic.publish(at(0), &large);
    assert_eq!(topic.frames(), 1, "though it is larger than the limit");
    topic.publish(at(0), &frame(2));
    assert_eq!((topic.frames(), topic.oldest_id()), (1, id(2)));
    for n in 3..100 {
        topic.publish(at(0), &frame(n));
        assert!(topic.bytes() <= 100 && topic.frames() > 1, "{} bytes", topic.bytes());
    }
}

#[test]
fn a_log_knows_its_name_and_what_it_holds_to_the_byte() {
    let chunk = |n: u64| format!("{:x}\r\n{}\r\n", expected(n).len(), expected(n)).len();
    let mut topic = Topic::new(TOPIC, limits(8, 1 << 20));
    assert_eq!((topic.id(), topic.frames(), topic.bytes()), (TOPIC, 0, 0));
    for n in 1..=30 {
        topic.publish(at(0), &frame(n));
        let held = topic.oldest_id().seq..=n;
        assert_eq!((topic.id(), topic.frames() as u64), (TOPIC, n + 1 - held.start()));
        assert_eq!(topic.bytes(), held.map(chunk).sum::<usize>(), "after {n}");
    }
}

#[test]
fn a_log_is_full_at_its_limit_in_bytes_and_not_before() {
    let mut measure = Topic::new(TOPIC, TopicConfig::default());
    publish(&mut measure, 1..=9, |_| 0);
    for (short, oldest) in [(0, 1), (1, 2)] {
        let mut topic = Topic::new(TOPIC, limits(1_000, measure.bytes() - short));
        publish(&mut topic, 1..=9, |_| 0);
        assert_eq!(topic.oldest_id(), id(oldest), "{short} bytes short");
    }
}

#[test]
fn about_an_eighth_of_the_limit_in_bytes_goes_at_a_time() {
    const BYTES: usize = 64 * 1024;
    let mut topic = Topic::new(TOPIC, limits(10_000, BYTES));
    let event = Frame::message(&"x".repeat(1_000));
    let mut gone = 0;
    for _ in 0..1_000 {
        let before = topic.frames();
        topic.publish(at(0), &event);
        if topic.frames() <= before {
            gone += 1;
            assert!(before - topic.frames() >= 6 && topic.bytes() > BYTES / 8 * 7 - 2_000, "{before} before");
        }
    }
    assert!(gone > 100, "{gone} times");
}

#[test]
fn a_piece_ends_where_the_longest_id_and_chunk_would_not_fit_any_more() {
    let longest = "ffffffffffffffff\r\nid: ffffffffffffffff.18446744073709551615\r\n\r\n".len();
    let chunk = format!("{:x}\r\n{}\r\n", expected(1).len(), expected(1)).len();
    let two = chunk + longest + frame(2).as_bytes().len();
    for (eighth, oldest) in [(two, 3), (two - 1, 2)] {
        let mut topic = Topic::new(TOPIC, limits(1_000, 8 * eighth));
        let mut n = 0;
        while topic.oldest_id() == id(1) {
            n += 1;
            topic.publish(at(0), &frame(n));
        }
        assert_eq!(topic.oldest_id(), id(oldest), "an eighth is {eighth} bytes");
    }
}

#[test]
fn a_stream_that_finishes_says_first_what_its_topic_has() {
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut stream = stream(Framing::Chunked);
    stream.follow(at(0), &topic, None).unwrap();
    publish(&mut topic, 1..=2, |_| 0);
    stream.finish(at(1));
    assert!(matches!(stream.push(at(1), frame(1)), Err(PushError::Closed(_))));
    assert!(stream.closed().is_none(), "the topic has something for it");
    let wire = drain(at(2), &mut stream, &mut topic);
    let chunk = |n| format!("{:x}\r\n{}\r\n", expected(n).len(), expected(n));
    assert_eq!(wire, (chunk(1) + &chunk(2) + "0\r\n\r\n").into_bytes());
    assert_eq!(stream.closed().expect("closed").reason, CloseReason::Finished);
    topic.publish(at(3), &frame(3));
    assert!(stream.fill(at(3), &mut topic));
    assert_eq!(offered(&stream), b"", "nothing behind its end");
}

#[test]
fn a_stream_takes_no_more_from_its_topic_than_one_write_is_likely_to_take() {
    // Looked at after each frame, the log gives each by itself.
    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut stream = stream(Framing::Chunked);
    stream.follow(at(0), &topic, None).unwrap();
    for n in 1..=40 {
        topic.publish(at(0), &frame(n));
        let was_all = stream.fill(at(0), &mut topic);
        assert_eq!((was_all, pieces(&stream)), (n < 32, usize::try_from(n.min(32)).unwrap()));
    }
    // And few large ones are as much.
    let mut stream = self::stream(Framing::Chunked);
    stream.follow(at(0), &topic, None).unwrap();
    for _ in 0..10 {
        topic.publish(at(0), &Frame::message(&"x".repeat(30_000)));
    }
    assert!(!stream.fill(at(0), &mut topic));
    assert!((64 << 10..128 << 10).contains(&offered_len(&stream)), "{}", offered_len(&stream));
}

#[test]
fn s24_the_guard_that_counts_every_frame_counts_those_of_a_topic() {
    let (gap, in_a_row) = (Duration::from_millis(10), 3.try_into().unwrap());
    let guard = SpinGuard::EveryFrame { gap, in_a_row, window: None };
    let config = Arc::new(StreamConfig::builder().spin_guard(guard).build().unwrap());
    for framing in [Framing::Raw, Framing::Chunked] {
        let mut topic = Topic::new(TOPIC, TopicConfig::default());
        let mut stream = EventStream::with_head(at(0), Arc::clone(&config), Box::default(), framing);
        stream.follow(at(0), &topic, None).unwrap();
        publish(&mut topic, 1..=5, |_| 1);
        stream.fill(at(1), &mut topic);
        for n in 1..=3 {
            assert!(stream.is_open(), "{framing:?}: three in a row are too many");
            let one = offered(&stream);
            let frame = expected(n);
            let chunk = format!("{:x}\r\n{frame}\r\n", frame.len());
            assert_eq!(
                one,
                if framing == Framing::Raw { frame } else { chunk }.into_bytes(),
                "one at a time"
            );
            stream.handle_wrote(at(1), one.len());
        }
        let reason = stream.closed().map(|close| close.reason);
        assert_eq!(reason, Some(CloseReason::RapidFrames { frames: 3 }), "{framing:?}");
    }
}

#[test]
fn a_stream_that_is_let_go_finishes_unless_it_follows_a_topic() {
    let mut alone = stream(Framing::Raw);
    alone.push(at(0), frame(1)).unwrap();
    alone.let_go(at(0));
    assert!(!alone.is_open());
    alone.handle_wrote(at(0), frame(1).as_bytes().len());
    assert_eq!(alone.closed().map(|close| close.reason), Some(CloseReason::Finished));

    let mut topic = Topic::new(TOPIC, TopicConfig::default());
    let mut follows = stream(Framing::Raw);
    follows.follow(at(0), &topic, None).unwrap();
    follows.let_go(at(0));
    publish(&mut topic, 1..=1, |_| 0);
    assert_eq!(drain(at(0), &mut follows, &mut topic), expected(1).into_bytes());
    assert!(follows.is_open());
}

#[test]
fn id_lines_end_as_configured() {
    let mut topic = Topic::new(TOPIC, TopicConfig { line_end: LineEnd::CrLf, ..TopicConfig::default() });
    let mut stream = stream(Framing::Raw);
    stream.follow(at(0), &topic, None).unwrap();
    topic.publish(at(0), &frame(1));
    stream.fill(at(0), &mut topic);
    assert!(offered(&stream).starts_with(b"id: 2a.1\r\ndata"));
}

#[derive(Clone, Debug)]
enum Op {
    Publish { len: usize },
    Push { stream: usize, len: usize },
    Fill { stream: usize },
    Wrote { stream: usize, per_mille: usize },
    Tick { ms: u64 },
    Come { stream: usize, back: u64 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let stream = 0..3_usize;
    let op = prop_oneof![
        4 => (0..2_000_usize).prop_map(|len| Op::Publish { len }),
        1 => (stream.clone(), 0..2_000_usize).prop_map(|(stream, len)| Op::Push { stream, len }),
        4 => stream.clone().prop_map(|stream| Op::Fill { stream }),
        4 => (stream.clone(), 0..=1_000_usize).prop_map(|(stream, per_mille)| Op::Wrote { stream, per_mille }),
        1 => (0..200_u64).prop_map(|ms| Op::Tick { ms }),
        1 => (stream, 0..12_u64).prop_map(|(stream, back)| Op::Come { stream, back }),
    ];
    prop::collection::vec(op, 1..120)
}

/// A reader: what its stream has written, and what it must have written.
struct Reader {
    stream: EventStream,
    framing: Framing,
    wire: Vec<u8>,
    /// What the frames accepted so far read as, in order.
    accepted: Vec<u8>,
    ends: Vec<(usize, Option<u64>)>,
    next: u64,
}

impl Reader {
    fn accept(&mut self, id: Option<u64>, body: &[u8]) {
        let line = id.map_or_else(String::new, |seq| format!("id: 2a.{seq}\n"));
        match self.framing {
            Framing::Raw => self.accepted.extend([line.as_bytes(), body].concat()),
            Framing::Chunked => {
                let size = format!("{:x}\r\n", line.len() + body.len());
                self.accepted.extend([size.as_bytes(), line.as_bytes(), body, b"\r\n"].concat());
            }
        }
        self.ends.push((self.accepted.len(), id));
    }
}

proptest! {
    /// I1, I2, I8, I12, I14 for followers, against a log that forgets nothing and streams that hold all they accept.
    #[test]
    fn followers_send_exactly_the_log(ops in ops(), frames in 1..20_usize, bytes in 1..8_000_usize) {
        let quiet = StreamConfig::builder().stall_after(None).lag_after(None).keep_alive(KeepAlive::Off);
        let config = quiet.build().unwrap();
        let config = Arc::new(config);
        let mut topic = Topic::new(TOPIC, limits(frames, bytes));
        let mut published: Vec<Frame> = Vec::new();
        let mut now = at(0);
        let reader = |now, framing, topic: &Topic, last: Option<u64>| -> Result<Reader, ReplayError> {
            let mut stream = EventStream::with_head(now, Arc::clone(&config), Box::default(), framing);
            stream.follow(now, topic, last.map(id))?;
            let next = last.map_or(topic.last_id().seq + 1, |last| last + 1);
            Ok(Reader { stream, framing, wire: Vec::new(), accepted: Vec::new(), ends: Vec::new(), next })
        };
        let framings = [Framing::Raw, Framing::Chunked, Framing::Chunked];
        let mut readers = framings.map(|framing| reader(now, framing, &topic, None).unwrap());
        for op in ops {
            match op {
                Op::Publish { len } => {
                    let frame = Frame::message(&"x".repeat(len));
                    published.push(frame.clone());
                    let given = topic.publish(now, &frame);
                    prop_assert_eq!(given, id(published.len() as u64));
                    prop_assert!(topic.frames() == 1 || (topic.frames() <= frames && topic.bytes() <= bytes));
                }
                Op::Push { stream, len } => {
                    let reader = &mut readers[stream];
                    let frame = Frame::message(&"y".repeat(len));
                    if reader.stream.push(now, frame.clone()).is_ok() {
                        reader.accept(None, frame.as_bytes());
                    }
                }
                Op::Fill { stream } => {
                    let reader = &mut readers[stream];
                    let waiting = reader.accepted.len() - reader.wire.len();
                    let was_open = reader.stream.is_open();
                    let all = reader.stream.fill(now, &mut topic);
                    let lost = reader.next < topic.oldest_id().seq;
                    if was_open && lost && waiting < 64 * 1024 {
                        let reason = reader.stream.closed().map(|close| close.reason);
                        let lagged = matches!(reason, Some(CloseReason::Lagged { .. }));
                        prop_assert!(lagged, "{:?}", reason);
                    } else if was_open {
                        let more = offered_len(&reader.stream) - waiting;
                        let before = reader.accepted.len();
                        while reader.accepted.len() < before + more {
                            let seq = reader.next;
                            reader.accept(Some(seq), published[usize::try_from(seq).unwrap() - 1].as_bytes());
                            reader.next += 1;
                        }
                        prop_assert_eq!(reader.accepted.len(), before + more, "whole frames");
                        prop_assert!(!all || reader.next == published.len() as u64 + 1);
                        prop_assert!(all || offered_len(&reader.stream) >= 64 * 1024 || pieces(&reader.stream) >= 32);
                    }
                }
                Op::Wrote { stream, per_mille } => {
                    let reader = &mut readers[stream];
                    let bytes = offered(&reader.stream);
                    let n = (bytes.len() * per_mille).div_ceil(1_000);
                    reader.wire.extend_from_slice(&bytes[..n]);
                    reader.stream.handle_wrote(now, n);
                }
                Op::Tick { ms } => {
                    now = now + Duration::from_millis(ms);
                    readers.iter_mut().for_each(|reader| reader.stream.handle_timeout(now));
                }
                Op::Come { stream, back } => {
                    let last = (published.len() as u64).saturating_sub(back);
                    let oldest = topic.oldest_id();
                    match reader(now, framings[stream], &topic, Some(last)) {
                        Ok(come) => {
                            prop_assert!(last + 1 >= oldest.seq);
                            readers[stream] = come;
                        }
                        Err(error) => {
                            prop_assert!(last + 1 < oldest.seq);
                            prop_assert_eq!(error, ReplayError::Gap { oldest });
                        }
                    }
                }
            }
            for reader in &mut readers {
                prop_assert!(reader.accepted.starts_with(&reader.wire));
                let taken: Vec<_> = reader.ends.iter().filter(|(end, _)| *end <= reader.wire.len()).collect();
                let last = taken.iter().filter_map(|(_, id)| *id).next_back();
                let undelivered = reader.ends.len() - taken.len();
                if let Some(close) = reader.stream.closed() {
                    prop_assert_eq!(close.last_delivered, last.map(id));
                    prop_assert_eq!(close.undelivered, undelivered);
                } else {
                    prop_assert_eq!(&offered(&reader.stream), &reader.accepted[reader.wire.len()..]);
                }
            }
        }
        // Each that still runs ends with all there is.
        for reader in readers.iter_mut().filter(|reader| reader.stream.is_open()) {
            while reader.stream.is_open() {
                let bytes = offered(&reader.stream);
                reader.stream.handle_wrote(now, bytes.len());
                if reader.stream.fill(now, &mut topic) && offered_len(&reader.stream) == 0 {
                    break;
                }
            }
            let fell_off = reader.stream.closed().map(|close| close.last_delivered.map_or(0, |id| id.seq));
            prop_assert!(fell_off.is_none_or(|last| last + 1 < topic.oldest_id().seq));
        }
    }
}

fn offered_len(stream: &EventStream) -> usize {
    offered(stream).len()
}

fn pieces(stream: &EventStream) -> usize {
    match stream.poll() {
        Step::Run { bytes, .. } => bytes.pieces().count(),
        Step::Closed(_) => 0,
    }
}
