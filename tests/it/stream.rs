//! The event stream: bytes, clocks, limits and closes, on a virtual clock.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::{
    Close, CloseReason, Disconnect, EventError, EventId, EventStream, Frame, Framing, HalfClose, KeepAlive,
    LineEnd, Manner, PushError, SpinGuard, Step, StreamConfig, StreamConfigBuilder, Tick, Wake,
};

#[test]
fn what_is_pushed_comes_out_in_order_whatever_the_socket_takes() {
    let frames: Vec<_> = ["one", "two\nlines", "", "four"].iter().map(|text| Frame::message(text)).collect();
    let expected: Vec<u8> = frames.iter().flat_map(|frame| frame.as_bytes().to_vec()).collect();
    for step in 1..=expected.len() {
        let mut stream = open(StreamConfig::builder());
        for frame in &frames {
            stream.push(at(0), frame.clone()).unwrap();
        }
        let mut wire = Vec::new();
        while offered(&stream) > 0 {
            wire.extend(take(&mut stream, 1, step));
        }
        assert_eq!(wire, expected, "{step} bytes at a time");
    }
}

#[test]
fn in_chunks_each_frame_is_one_chunk_and_the_end_is_told() {
    let config = Arc::new(StreamConfig::default());
    let mut stream = EventStream::with_head(at(0), config, Box::from(*b"HEAD\r\n\r\n"), Framing::Chunked);
    stream.push_with_id(at(0), EventId { stream: 0xab, seq: 12 }, Frame::message("x")).unwrap();
    stream.finish(at(0));
    assert_eq!(take(&mut stream, 1, 1000), b"HEAD\r\n\r\n13\r\nid: ab.12\ndata: x\n\n\r\n0\r\n\r\n");
    let close = closed(&stream);
    assert_eq!((close.reason, close.manner, close.undelivered), (CloseReason::Finished, Manner::Finish, 0));
    assert_eq!(close.last_delivered, Some(EventId { stream: 0xab, seq: 12 }));
}

#[test]
fn the_largest_id_fits() {
    let config = Arc::new(StreamConfig::contextforge());
    let mut stream = EventStream::with_head(at(0), config, Box::default(), Framing::Chunked);
    stream.push_with_id(at(0), EventId { stream: u64::MAX, seq: u64::MAX }, Frame::message("x")).unwrap();
    let wire = take(&mut stream, 1, 1000);
    assert_eq!(wire, b"34\r\nid: ffffffffffffffff.18446744073709551615\r\ndata: x\n\n\r\n");
}

#[test]
fn s10_the_first_keep_alive_follows_the_opening_however_little_may_wait() {
    let config = StreamConfigBuilder::contextforge().max_queued(NonZeroUsize::MIN, NonZeroUsize::MIN);
    let mut stream = open(config);
    stream.push_opening(at(0), Frame::message("endpoint")).unwrap();
    let opening = [&b"data: endpoint\n\n"[..], b"event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n"];
    assert_eq!([take(&mut stream, 0, 1_000), take(&mut stream, 0, 1_000)].concat(), opening.concat());
}

#[test]
fn small_frames_lie_together_and_a_large_one_is_sent_from_where_it_is() {
    let limit = |n: usize| NonZeroUsize::new(n).unwrap();
    let mut stream = open(StreamConfig::builder().max_queued(limit(1_000), limit(1 << 20)));
    for _ in 0..200 {
        stream.push(at(0), Frame::message(&"x".repeat(990))).unwrap();
    }
    let lens: Vec<_> = pieces(&stream).iter().map(|piece| piece.len()).collect();
    assert!(lens.len() <= 5 && lens.iter().all(|len| *len < 66 << 10), "{lens:?}");
    let large = Frame::message(&"x".repeat(2_000));
    stream.push(at(0), large.clone()).unwrap();
    assert_eq!(pieces(&stream).last().unwrap().as_ptr(), large.as_bytes().as_ptr());
}

#[test]
fn hurt_08_stalled_client_is_closed_at_the_deadline_and_not_before() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(250))));
    stream.push(at(0), Frame::message("x")).unwrap();
    assert_eq!(stream.deadline(), Some((at(250), Wake::Stall)));
    stream.handle_timeout(Tick::from_micros(249_999));
    assert!(stream.closed().is_none());
    stream.handle_timeout(Tick::from_micros(250_000));
    let close = closed(&stream);
    assert_eq!(close.reason, CloseReason::Stalled { for_: ms(250) });
    assert_eq!((close.manner, close.at, close.undelivered), (Manner::Abort, at(250), 1));
}

#[test]
fn of_what_is_due_at_once_the_graver_is_named() {
    let builder = StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100)));
    let builder = builder.max_lifetime(Some(ms(100))).stall_after(Some(ms(60))).lag_after(Some(ms(60)));
    let mut stream = open(builder);
    assert_eq!(stream.deadline(), Some((at(100), Wake::Lifetime)), "and the silence ends then");
    stream.push(at(10), Frame::message("x")).unwrap();
    assert_eq!(stream.deadline(), Some((at(70), Wake::Stall)), "and the lag");
    stream.handle_timeout(at(70));
    assert_eq!(closed(&stream).reason, CloseReason::Stalled { for_: ms(60) });
}

#[test]
fn idle_then_push_counts_the_stall_from_the_push() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(250))));
    stream.push(at(200), Frame::message("x")).unwrap();
    assert_eq!(stream.deadline(), Some((at(450), Wake::Stall)));
    assert!(!take(&mut stream, 300, 100).is_empty());
    stream.push(at(10_000), Frame::message("y")).unwrap();
    assert_eq!(stream.deadline(), Some((at(10_250), Wake::Stall)));
}

#[test]
fn every_byte_taken_restarts_the_stall_clock_but_not_the_lag_clock() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(100))).lag_after(Some(ms(450))));
    stream.push(at(0), Frame::message("slow reader")).unwrap();
    for tick in [90, 180, 270, 360] {
        stream.handle_timeout(at(tick));
        assert_eq!(take(&mut stream, tick, 1).len(), 1);
    }
    assert_eq!(stream.deadline(), Some((at(450), Wake::Lag)), "earlier than the stall at 460");
    stream.handle_timeout(at(449));
    assert!(stream.closed().is_none());
    stream.handle_timeout(at(450));
    assert_eq!(closed(&stream).reason, CloseReason::Lagged { behind: ms(450) });
}

#[test]
fn a_producer_that_queues_before_the_drivers_first_look_does_not_stall_the_stream() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(100))));
    for tick in [0, 150, 300] {
        stream.push(at(tick), Frame::message("x")).unwrap();
    }
    assert!(stream.closed().is_none(), "commands fire no clock");
    take(&mut stream, 400, 1000);
    assert!(stream.closed().is_none(), "the driver offered, and all was taken: the fact comes first");
}

#[test]
fn a_late_deadline_closes_with_the_time_it_really_took() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(100))));
    stream.push(at(0), Frame::message("x")).unwrap();
    stream.handle_timeout(at(175));
    assert_eq!(closed(&stream).reason, CloseReason::Stalled { for_: ms(175) });
}

#[test]
fn s14_silence_brings_a_keep_alive_and_each_frame_starts_the_interval_anew() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))));
    assert_eq!(stream.deadline(), Some((at(100), Wake::KeepAlive)));
    stream.push(at(60), Frame::message("x")).unwrap();
    take(&mut stream, 60, 100);
    stream.handle_timeout(at(159));
    assert_eq!(offered(&stream), 0);
    stream.handle_timeout(at(160));
    assert_eq!(take(&mut stream, 160, 100), b":\n\n");
    assert_eq!(stream.deadline(), Some((at(260), Wake::KeepAlive)));
}

#[test]
fn s14_the_comment_ends_its_lines_as_the_stream_does() {
    for (line_end, wire) in [(LineEnd::Lf, &b":\n\n"[..]), (LineEnd::CrLf, b":\r\n\r\n")] {
        let config = StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))).line_end(line_end);
        let mut stream = open(config);
        stream.handle_timeout(at(100));
        assert_eq!(take(&mut stream, 100, 100), wire, "{line_end:?}");
    }
}

#[test]
fn s10_a_keep_alive_stands_behind_the_opening_only_where_it_is_asked_for() {
    for (at_start, wire) in [(true, "data: first\n\n:\n\n"), (false, "data: first\n\n")] {
        let mut stream = open(StreamConfig::builder().keep_alive_at_start(at_start));
        stream.push_opening(at(0), Frame::message("first")).unwrap();
        assert_eq!(take(&mut stream, 0, 100), wire.as_bytes());
    }
}

#[test]
fn s14_hurt_09_a_keep_alive_that_is_not_taken_is_a_stall() {
    let config = StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))).stall_after(Some(ms(50)));
    let mut stream = open(config);
    stream.handle_timeout(at(100));
    assert_eq!(stream.deadline(), Some((at(150), Wake::Stall)));
    stream.handle_timeout(at(150));
    let close = closed(&stream);
    assert_eq!((close.reason, close.undelivered), (CloseReason::Stalled { for_: ms(50) }, 0));
}

#[test]
fn s14_a_message_in_the_place_of_a_waiting_keep_alive_does_not_start_the_stall_anew() {
    for finish in [false, true] {
        let config =
            StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))).stall_after(Some(ms(50)));
        let config = Arc::new(config.build().unwrap());
        let mut stream = EventStream::with_head(at(0), config, Box::default(), Framing::Chunked);
        stream.handle_timeout(at(100));
        if finish {
            stream.finish(at(149));
        } else {
            stream.push(at(149), Frame::message("x")).unwrap();
        }
        assert_eq!(stream.deadline(), Some((at(150), Wake::Stall)), "bytes wait since 100");
    }
}

#[test]
fn s15_without_keep_alives_there_is_no_deadline() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Off));
    assert_eq!(stream.deadline(), None);
    stream.handle_timeout(at(1_000_000_000));
    assert_eq!(offered(&stream), 0);
}

#[test]
fn s15_switching_keep_alives_off_and_on_takes_effect_with_the_next_wait() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))));
    stream.handle_timeout(at(100));
    assert_eq!(offered(&stream), 3);
    stream.set_keep_alive(at(100), false);
    assert_eq!((offered(&stream), stream.deadline()), (0, None));
    stream.set_keep_alive(at(200), true);
    assert_eq!(stream.deadline(), Some((at(100), Wake::KeepAlive)), "the silence goes on since 0");
}

#[test]
fn s16_a_message_in_the_moment_of_the_keep_alive_is_sent_and_the_keep_alive_is_not() {
    let config = || StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100)));
    let mut message_first = open(config());
    message_first.push(at(100), Frame::message("x")).unwrap();
    message_first.handle_timeout(at(100));
    let mut tick_first = open(config());
    tick_first.handle_timeout(at(100));
    tick_first.push(at(100), Frame::message("x")).unwrap();
    for mut stream in [message_first, tick_first] {
        assert_eq!(take(&mut stream, 100, 1000), b"data: x\n\n");
        assert_eq!(offered(&stream), 0);
    }
}

#[test]
fn a_keep_alive_of_which_a_byte_is_out_is_finished_before_the_message() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))));
    stream.handle_timeout(at(100));
    assert_eq!(take(&mut stream, 100, 1), b":");
    stream.push(at(101), Frame::message("x")).unwrap();
    assert_eq!(take(&mut stream, 102, 100), b"\n\ndata: x\n\n");
}

#[test]
fn a_jump_of_the_clock_brings_one_keep_alive_and_no_burst() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))));
    stream.handle_timeout(at(3_600_000));
    assert_eq!(take(&mut stream, 3_600_000, 100), b":\n\n");
    assert_eq!(stream.deadline(), Some((at(3_600_100), Wake::KeepAlive)));
}

#[test]
fn time_that_goes_back_changes_nothing() {
    let mut stream = open(StreamConfig::builder().stall_after(Some(ms(100))));
    stream.push(at(50), Frame::message("x")).unwrap();
    stream.handle_timeout(at(10));
    assert_eq!(stream.deadline(), Some((at(150), Wake::Stall)));
    take(&mut stream, 20, 1);
    assert_eq!(stream.deadline(), Some((at(150), Wake::Stall)), "internal time stood still");
}

#[test]
fn s7_s8_a_full_queue_and_a_closed_stream_hand_the_frame_back() {
    let two = NonZeroUsize::new(2).unwrap();
    let mut stream = open(StreamConfig::builder().max_queued(two, NonZeroUsize::new(1000).unwrap()));
    let frame = Frame::message("x");
    assert_eq!(stream.room().frames, 2);
    stream.push(at(0), frame.clone()).unwrap();
    stream.push(at(0), frame.clone()).unwrap();
    assert_eq!(stream.push(at(0), frame.clone()), Err(PushError::Full(frame.clone())));
    take(&mut stream, 1, frame.as_bytes().len() - 1);
    assert_eq!(stream.push(at(1), frame.clone()), Err(PushError::Full(frame.clone())), "not taken whole");
    take(&mut stream, 1, 1);
    stream.push(at(1), frame.clone()).unwrap();
    stream.abort(at(2));
    let error = stream.push(at(2), frame.clone()).unwrap_err();
    assert_eq!(error, PushError::Closed(frame.clone()));
    assert_eq!(error.into_frame(), frame);
}

#[test]
fn the_queue_is_bounded_in_bytes_but_takes_any_one_frame() {
    let bytes = NonZeroUsize::new(100).unwrap();
    let mut stream = open(StreamConfig::builder().max_queued(NonZeroUsize::MAX, bytes));
    let large = Frame::message(&"x".repeat(200));
    stream.push(at(0), large.clone()).unwrap();
    assert!(!stream.has_room(1));
    assert_eq!(stream.push(at(0), Frame::message("x")), Err(PushError::Full(Frame::message("x"))));
    take(&mut stream, 1, 1000);
    stream.push(at(1), Frame::message(&"x".repeat(92))).unwrap();
    assert_eq!(stream.room().bytes, 0, "exactly full");
    assert_eq!(stream.push(at(1), large.clone()), Err(PushError::Full(large)));
}

#[test]
fn s5_s6_s29_the_first_close_stands_for_ever() {
    let mut stream = open(StreamConfig::builder());
    assert!(stream.is_open());
    stream.push(at(0), Frame::message("x")).unwrap();
    stream.handle_disconnect(at(1), Disconnect::Reset);
    let first = closed(&stream);
    assert_eq!((first.reason, first.undelivered), (CloseReason::Disconnected(Disconnect::Reset), 1));
    stream.abort(at(2));
    stream.finish(at(3));
    stream.handle_disconnect(at(4), Disconnect::Eof);
    stream.handle_timeout(at(1_000_000));
    stream.handle_wrote(at(1_000_000), 10);
    stream.handle_fault(at(1_000_000));
    stream.handle_abandoned(at(1_000_000));
    assert_eq!(closed(&stream), first);
    assert_eq!(stream.deadline(), None);
}

#[test]
fn s20_s21_a_disconnect_closes_at_once_whatever_is_queued() {
    for how in [Disconnect::Eof, Disconnect::Reset, Disconnect::TimedOut, Disconnect::Io] {
        let mut stream = open(StreamConfig::builder());
        for _ in 0..3 {
            stream.push(at(0), Frame::message("x")).unwrap();
        }
        take(&mut stream, 1, 12);
        stream.handle_disconnect(at(2), how);
        let close = closed(&stream);
        assert_eq!((close.reason, close.at, close.undelivered), (CloseReason::Disconnected(how), at(2), 2));
    }
}

#[test]
fn a_half_close_can_be_configured_to_go_on() {
    let mut stream = open(StreamConfig::builder().half_close(HalfClose::GoesOn));
    stream.handle_disconnect(at(1), Disconnect::Eof);
    let Step::Run { read, .. } = stream.poll() else { panic!("closed") };
    assert_eq!(read, 0, "reading at its end would spin");
    stream.push(at(2), Frame::message("x")).unwrap();
    stream.handle_disconnect(at(3), Disconnect::Reset);
    assert_eq!(closed(&stream).reason, CloseReason::Disconnected(Disconnect::Reset));
}

#[test]
fn bytes_behind_the_request_are_read_up_to_a_limit_and_dropped() {
    let mut stream = open(StreamConfig::builder());
    let read = |stream: &EventStream| match stream.poll() {
        Step::Run { read, .. } => read,
        Step::Closed(_) => panic!("closed"),
    };
    assert_eq!(read(&stream), 4096);
    stream.handle_input(at(1), 4000);
    assert_eq!(read(&stream), 96);
    stream.handle_input(at(2), 1_000_000);
    assert_eq!(read(&stream), 0);
}

#[test]
fn s22_a_dropped_driver_abandons_the_stream() {
    let mut stream = open(StreamConfig::builder());
    stream.push(at(0), Frame::message("x")).unwrap();
    stream.handle_abandoned(at(1));
    assert_eq!((closed(&stream).reason, closed(&stream).undelivered), (CloseReason::Abandoned, 1));
}

#[test]
fn s23_three_faults_in_a_row_close_and_a_success_forgives() {
    let mut stream = open(StreamConfig::builder());
    stream.handle_fault(at(0));
    stream.handle_fault(at(0));
    stream.push(at(0), Frame::message("x")).unwrap();
    stream.handle_fault(at(1));
    stream.handle_fault(at(1));
    assert!(stream.closed().is_none());
    assert_eq!(offered(&stream), 9, "no error frame is sent");
    stream.handle_fault(at(1));
    assert_eq!(closed(&stream).reason, CloseReason::FaultLimit { faults: 3 });
}

#[test]
fn s23_the_number_of_faults_is_configurable() {
    let mut stream = open(StreamConfig::builder().max_faults(NonZeroU32::MIN));
    stream.handle_fault(at(0));
    assert_eq!(closed(&stream).reason, CloseReason::FaultLimit { faults: 1 });
}

#[test]
fn s24_by_default_a_burst_of_messages_is_never_taken_for_a_spin() {
    let mut stream = open(StreamConfig::builder());
    for n in 0..200 {
        stream.push(at(n), Frame::message("token")).unwrap();
        take(&mut stream, n, 100);
    }
    assert!(stream.closed().is_none());
}

#[test]
fn s24_s26_in_the_preset_the_tenth_rapid_frame_is_still_sent_and_then_it_closes() {
    let mut stream = EventStream::new(at(0), Arc::new(StreamConfig::contextforge()));
    for n in 0..25 {
        stream.push(at(1), Frame::message(&n.to_string())).unwrap();
    }
    let mut wire = Vec::new();
    while offered(&stream) > 0 {
        wire.extend(take(&mut stream, 1, 1000));
    }
    assert!(wire.ends_with(b"data: 9\n\n"), "{}", wire.escape_ascii());
    let close = closed(&stream);
    assert_eq!((close.reason, close.undelivered), (CloseReason::RapidFrames { frames: 10 }, 15));
}

#[test]
fn s24_in_the_preset_a_gap_of_100_ms_starts_the_count_anew() {
    let mut stream = EventStream::new(at(0), Arc::new(StreamConfig::contextforge()));
    let mut now = 0;
    for n in 0..40 {
        now += if n % 9 == 8 { 100 } else { 99 };
        stream.push(at(now), Frame::message("x")).unwrap();
        take(&mut stream, now, 1000);
    }
    assert!(stream.closed().is_none());
    stream.push(at(now + 99), Frame::message("x")).unwrap();
}

#[test]
fn s25_the_window_closes_by_itself_where_the_frames_are_many_and_close() {
    let guard = |most| SpinGuard::EveryFrame {
        gap: ms(1),
        in_a_row: NonZeroU32::MAX,
        window: NonZeroU32::new(most).map(|most| (ms(1000), most)),
    };
    let run = |most: u32, gap: u64| {
        let mut stream = open(StreamConfig::builder().spin_guard(guard(most)));
        let mut sent = 0_u64;
        while stream.is_open() && sent < 300 {
            sent += 1;
            stream.push(at(gap * sent), Frame::message("x")).unwrap();
            take(&mut stream, gap * sent, 100);
        }
        sent
    };
    assert_eq!(run(50, 9), 51, "more than 50 within a second, each less than 10 ms after the other");
    assert_eq!(run(50, 10), 300, "10 ms apart is not rapid");
    assert_eq!(run(0, 9), 300, "0 switches the window off");
}

#[test]
fn s25_a_frame_that_is_as_old_as_the_window_is_long_still_counts() {
    let run = |within: Duration| {
        let guard = SpinGuard::EveryFrame {
            gap: ms(1),
            in_a_row: NonZeroU32::MAX,
            window: NonZeroU32::new(2).map(|most| (within, most)),
        };
        let mut stream = open(StreamConfig::builder().spin_guard(guard));
        for tick in [8, 16, 24] {
            stream.push(at(tick), Frame::message("x")).unwrap();
            take(&mut stream, tick, 100);
        }
        stream.closed().map(|close| close.reason)
    };
    assert_eq!(run(Duration::from_micros(15_999)), None, "the first of the three is out of the window");
    assert_eq!(run(ms(16)), Some(CloseReason::RapidFrames { frames: 3 }));
}

#[test]
fn s27_time_with_nothing_to_send_is_no_stall_and_the_clock_can_be_off() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Off).stall_after(Some(ms(100))));
    stream.handle_timeout(at(10_000));
    assert!(stream.is_open());
    let mut stream = open(StreamConfig::builder().stall_after(None).lag_after(None));
    stream.push(at(0), Frame::message("x")).unwrap();
    assert_eq!(stream.deadline(), None);
}

#[test]
fn s30_hurt_24_finish_drains_and_past_its_deadline_drops_the_rest_and_counts_it() {
    let mut stream = open(StreamConfig::builder().drain_within(ms(500)));
    for _ in 0..3 {
        stream.push(at(0), Frame::message("x")).unwrap();
    }
    stream.finish(at(100));
    assert!(!stream.is_open());
    assert_eq!(stream.push(at(100), Frame::priming()), Err(PushError::Closed(Frame::priming())));
    take(&mut stream, 200, 10);
    assert_eq!(stream.deadline(), Some((at(600), Wake::Drain)));
    stream.handle_timeout(at(599));
    assert!(stream.closed().is_none());
    stream.handle_timeout(at(600));
    let close = closed(&stream);
    assert_eq!(
        (close.reason, close.manner, close.undelivered),
        (CloseReason::DrainTimedOut, Manner::Abort, 2)
    );
}

#[test]
fn finishing_an_idle_stream_closes_it_at_once_and_a_staged_keep_alive_is_not_waited_for() {
    let mut stream = open(StreamConfig::builder().keep_alive(KeepAlive::Comment(ms(100))));
    stream.handle_timeout(at(100));
    stream.finish(at(101));
    assert_eq!((closed(&stream).reason, closed(&stream).manner), (CloseReason::Finished, Manner::Finish));
}

#[test]
fn s31_writes_that_take_nothing_are_bounded_while_open_and_while_closing() {
    for finish in [false, true] {
        let mut stream = open(StreamConfig::builder());
        stream.push(at(0), Frame::message("x")).unwrap();
        if finish {
            stream.finish(at(0));
        }
        for _ in 0..99 {
            stream.handle_wrote(at(1), 0);
        }
        assert!(stream.closed().is_none());
        stream.handle_wrote(at(1), 1);
        for _ in 0..99 {
            stream.handle_wrote(at(1), 0);
        }
        assert!(stream.closed().is_none(), "a byte taken starts the count anew");
        stream.handle_wrote(at(1), 0);
        assert_eq!(closed(&stream).reason, CloseReason::Spinning { empty_writes: 100 });
    }
}

#[test]
fn the_longest_lifetime_finishes_in_good_order() {
    let config = StreamConfig::builder().keep_alive(KeepAlive::Off).max_lifetime(Some(ms(1000)));
    let mut stream = open(config.drain_within(ms(200)));
    assert_eq!(stream.deadline(), Some((at(1000), Wake::Lifetime)));
    stream.push(at(999), Frame::message("last")).unwrap();
    stream.handle_timeout(at(1000));
    assert_eq!(stream.deadline(), Some((at(1200), Wake::Drain)));
    take(&mut stream, 1100, 100);
    assert_eq!((closed(&stream).reason, closed(&stream).manner), (CloseReason::Expired, Manner::Finish));
}

#[test]
fn hurt_01_early_and_repeated_timeouts_change_nothing() {
    let mut stream = open(StreamConfig::builder());
    stream.push(at(0), Frame::message("x")).unwrap();
    let before = (offered(&stream), stream.deadline());
    for tick in 0..1000 {
        stream.handle_timeout(at(tick % 7));
    }
    assert_eq!((offered(&stream), stream.deadline()), before);
}

#[test]
fn a_closed_stream_keeps_its_configuration_and_none_of_its_bytes() {
    let config = Arc::new(StreamConfig::default());
    let mut stream = EventStream::new(at(0), Arc::clone(&config));
    stream.push(at(0), Frame::message("x")).unwrap();
    assert!(format!("{stream:?}").contains("waiting_bytes: 9,"), "{stream:?}");
    stream.abort(at(1));
    assert!(format!("{stream:?}").contains("waiting_bytes: 0,"), "{stream:?}");
    assert!(Arc::ptr_eq(stream.config(), &config));
}

#[test]
fn an_idle_stream_is_small() {
    let size = size_of::<EventStream>();
    assert!(size <= 320, "{size} bytes");
}

#[test]
fn an_event_that_is_encoded_in_place_is_refused_by_a_stream_that_is_ending_or_over() {
    let mut stream = EventStream::new(at(0), Arc::new(StreamConfig::default()));
    stream.push_event(at(0), Frame::builder().data("first")).unwrap();
    for _ in ["draining", "closed"] {
        stream.finish(at(1));
        let refused = stream.push_event(at(1), Frame::builder().data("second"));
        assert_eq!(refused, Err(EventError::Closed));
        // The first is what there is to say.
        stream.handle_wrote(at(1), b"data: first\n\n".len());
    }
    assert_eq!(
        stream.closed().map(|close| (close.reason, close.undelivered)),
        Some((CloseReason::Finished, 0))
    );
}

// ---- helpers ----

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(tick: u64) -> Tick {
    Tick::ZERO + ms(tick)
}

fn open(config: StreamConfigBuilder) -> EventStream {
    EventStream::new(at(0), Arc::new(config.build().unwrap()))
}

fn pieces(stream: &EventStream) -> Vec<&[u8]> {
    match stream.poll() {
        Step::Run { bytes, .. } => bytes.pieces().collect(),
        Step::Closed(_) => Vec::new(),
    }
}

fn offered(stream: &EventStream) -> usize {
    match stream.poll() {
        Step::Run { bytes, .. } => {
            assert_eq!(bytes.len(), bytes.pieces().map(<[u8]>::len).sum::<usize>());
            let len = bytes.len();
            assert_eq!(bytes.is_empty(), len == 0);
            len
        }
        Step::Closed(_) => 0,
    }
}

/// The socket takes up to `n` bytes.
fn take(stream: &mut EventStream, now: u64, n: usize) -> Vec<u8> {
    let Step::Run { bytes, .. } = stream.poll() else { return Vec::new() };
    let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
    taken.truncate(n);
    stream.handle_wrote(at(now), taken.len());
    taken
}

fn closed(stream: &EventStream) -> Close {
    match stream.poll() {
        Step::Closed(close) => *close,
        Step::Run { .. } => panic!("still open: {stream:?}"),
    }
}
