//! The journal: what it holds, and where a reader may take up.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::{EventId, EventStream, Frame, Journal, ReplayError, Step, StreamConfig, Tick};

#[test]
fn frames_are_numbered_from_1_and_the_last_id_is_0_before_the_first() {
    let mut journal = journal(10, 1000);
    assert_eq!(journal.last_id(), id(0));
    for seq in 1..=3 {
        assert_eq!(journal.append(frame(1)), id(seq));
        assert_eq!(journal.last_id(), id(seq));
    }
}

#[test]
fn the_oldest_go_where_frames_or_bytes_pass_the_limit_and_the_newest_stays_whatever_its_size() {
    // A frame of 9 bytes each.
    for (frames, bytes, sizes, oldest) in [
        (3, 1000, &[1, 1, 1][..], 1),
        (3, 1000, &[1, 1, 1, 1], 2),
        (1, 1000, &[1, 1, 1, 1], 4),
        (100, 27, &[1, 1, 1], 1),
        (100, 26, &[1, 1, 1], 2),
        (100, 27, &[1, 1, 1, 2], 3),
        (100, 27, &[1, 1, 500], 3),
        (100, 27, &[500, 1, 1], 2),
        (1, 1, &[500], 1),
    ] {
        let mut journal = journal(frames, bytes);
        for size in sizes {
            journal.append(frame(*size));
        }
        let held = (0..sizes.len() as u64).find(|seq| journal.resume(id(*seq)).is_ok());
        assert_eq!(held, Some(oldest - 1), "{frames} {bytes} {sizes:?}");
    }
}

#[test]
fn a_reader_may_take_up_behind_any_event_that_is_not_followed_by_a_gap() {
    let mut journal = journal(3, 1000);
    for _ in 0..5 {
        journal.append(frame(1));
    }
    let gap = Err(ReplayError::Gap { oldest: id(3) });
    for (last, expected) in [
        (id(0), gap),
        (id(1), gap),
        (id(2), Ok(3)),
        (id(3), Ok(2)),
        (id(4), Ok(1)),
        (id(5), Ok(0)),
        (id(6), Err(ReplayError::NotIssued)),
        (id(u64::MAX), Err(ReplayError::NotIssued)),
        (EventId { stream: 8, seq: 3 }, Err(ReplayError::OtherStream)),
    ] {
        let filled = journal.resume(last).and_then(|mut cursor| {
            let mut stream = stream(100);
            cursor.fill(Tick::ZERO, &journal, &mut stream)
        });
        assert_eq!(filled, expected, "{last}");
    }
    let said = [ReplayError::OtherStream, ReplayError::NotIssued, ReplayError::Gap { oldest: id(3) }];
    assert_eq!(
        said.map(|error| error.to_string()),
        [
            "the event id belongs to another stream",
            "the event id was never given out",
            "events are missing: the oldest one held is 7.3"
        ]
    );
}

#[test]
fn replay_then_live_has_no_seam_whatever_room_the_stream_has() {
    for room in 1..6 {
        let mut journal = journal(100, 1_000_000);
        for _ in 0..4 {
            journal.append(frame(1));
        }
        let (mut stream, mut cursor) = (stream(room), journal.resume(id(1)).unwrap());
        let mut wire = String::new();
        for _ in 0..20 {
            let moved = cursor.fill(Tick::ZERO, &journal, &mut stream).unwrap();
            assert!(moved <= room);
            wire += &take(&mut stream);
            if journal.last_id().seq < 9 {
                journal.append(frame(1));
            }
        }
        let expected: String = (2..=9).map(|seq| format!("id: 7.{seq}\ndata: x\n\n")).collect();
        assert_eq!(wire, expected, "{room}");
        assert_eq!(cursor, journal.tail());
    }
}

#[test]
fn a_reader_that_was_overtaken_is_told_and_nothing_is_moved() {
    let mut journal = journal(2, 1000);
    let mut cursor = journal.tail();
    for _ in 0..3 {
        journal.append(frame(1));
    }
    let mut stream = stream(10);
    assert_eq!(cursor.fill(Tick::ZERO, &journal, &mut stream), Err(ReplayError::Gap { oldest: id(2) }));
    assert_eq!(take(&mut stream), "");
}

#[test]
fn there_is_room_as_long_as_nothing_unread_has_to_go() {
    let mut journal = journal(3, 100);
    let reader = journal.tail();
    assert!(journal.has_room(5000, &reader), "all is read");
    journal.append(frame(1));
    assert!(journal.has_room(91, &reader) && !journal.has_room(92, &reader));
    journal.append(frame(1));
    journal.append(frame(1));
    assert!(!journal.has_room(1, &reader), "three are unread");
    let behind_one = journal.resume(id(1)).unwrap();
    assert!(journal.has_room(82, &behind_one) && !journal.has_room(83, &behind_one));
    assert!(journal.has_room(5000, &journal.tail()));
}

#[test]
fn a_closed_stream_takes_nothing_and_the_cursor_stays() {
    let mut journal = journal(10, 1000);
    journal.append(frame(1));
    let (mut stream, mut cursor) = (stream(10), journal.resume(id(0)).unwrap());
    stream.abort(Tick::ZERO);
    assert_eq!(cursor.fill(Tick::ZERO, &journal, &mut stream), Ok(0));
    assert_eq!(cursor, journal.resume(id(0)).unwrap());
}

// ---- helpers ----

fn id(seq: u64) -> EventId {
    EventId { stream: 7, seq }
}

/// A frame of `n` + 8 bytes.
fn frame(n: usize) -> Frame {
    Frame::message(&"x".repeat(n))
}

fn size(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN)
}

fn journal(frames: usize, bytes: usize) -> Journal {
    Journal::new(7, size(frames), size(bytes))
}

fn stream(frames: usize) -> EventStream {
    let config = StreamConfig::builder().max_queued(size(frames), size(1 << 20)).build();
    let config = config.unwrap_or_default();
    EventStream::new(Tick::ZERO, Arc::new(config))
}

fn take(stream: &mut EventStream) -> String {
    let Step::Run { bytes, .. } = stream.poll() else { return String::new() };
    let taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
    stream.handle_wrote(Tick::ZERO + Duration::from_millis(1), taken.len());
    String::from_utf8_lossy(&taken).into_owned()
}
