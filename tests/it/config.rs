//! Stream settings: their defaults, their ranges, the preset's values.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use sansio_sse::{HalfClose, KeepAlive, LineEnd, Retry, SpinGuard, StreamConfig, StreamConfigBuilder};

#[test]
fn s32_the_defaults_are_as_documented() {
    let config = StreamConfig::default();
    assert_eq!(config.keep_alive(), &KeepAlive::Comment(secs(15)));
    assert!(!config.keep_alive_at_start());
    assert_eq!(config.stall_after(), Some(secs(30)));
    assert_eq!(config.lag_after(), Some(secs(120)));
    assert_eq!(config.drain_within(), secs(5));
    assert_eq!(config.max_lifetime(), None);
    assert_eq!((config.max_frames(), config.max_bytes()), (256, 1024 * 1024));
    assert_eq!(config.max_faults(), 3);
    assert_eq!(config.max_empty_writes(), 100);
    assert_eq!(config.spin_guard(), SpinGuard::EmptyWrites);
    assert_eq!(config.half_close(), HalfClose::Disconnects);
    assert_eq!(config.line_end(), LineEnd::Lf);
    assert_eq!(config.retry(), Retry::First(secs(5)));
    assert_eq!(StreamConfig::builder().build().unwrap(), config);
}

#[test]
fn s12_s32_the_presets_values_are_the_origins() {
    let config = StreamConfig::contextforge();
    assert!(matches!(config.keep_alive(), KeepAlive::Frame { every, .. } if *every == secs(30)));
    assert!(config.keep_alive_at_start());
    assert_eq!(config.stall_after(), Some(secs(30)), "the send time-out");
    assert_eq!(config.lag_after(), None);
    assert_eq!(config.drain_within(), secs(5), "the clean-up time-out");
    assert_eq!(config.max_empty_writes(), 100, "the clean-up iterations");
    assert_eq!(config.max_faults(), 3);
    let guard = SpinGuard::EveryFrame {
        gap: Duration::from_millis(100),
        in_a_row: NonZeroU32::new(10).unwrap(),
        window: NonZeroU32::new(50).map(|most| (Duration::from_millis(1000), most)),
    };
    assert_eq!(config.spin_guard(), guard);
    assert_eq!(config.retry(), Retry::Every(Duration::from_millis(5000)));
    assert_eq!(config.line_end(), LineEnd::CrLf);
    assert_eq!((config.max_frames(), config.max_bytes()), (256, 1 << 20), "bounded, unlike the origin's");
    assert_eq!(StreamConfigBuilder::contextforge().build().unwrap(), config);
}

#[test]
fn s32_each_setting_out_of_its_range_is_named_with_its_value_and_the_range() {
    let spin = |gap, window| SpinGuard::EveryFrame {
        gap,
        in_a_row: NonZeroU32::MIN,
        window: Some((window, NonZeroU32::MIN)),
    };
    let (zero, one) = (Duration::ZERO, Duration::from_nanos(1));
    let event = |every| KeepAlive::contextforge(every, Retry::Never);
    for (builder, setting, value, allowed) in [
        (new().keep_alive(KeepAlive::Comment(zero)), "keep_alive", "0ns", "more than zero"),
        (new().keep_alive(event(zero)), "keep_alive", "0ns", "more than zero"),
        (new().stall_after(Some(zero)), "stall_after", "0ns", "more than zero"),
        (new().lag_after(Some(zero)), "lag_after", "0ns", "more than zero"),
        (new().drain_within(zero), "drain_within", "0ns", "more than zero"),
        (new().max_lifetime(Some(zero)), "max_lifetime", "0ns", "more than zero"),
        (new().retry(Retry::First(zero)), "retry", "0ns", "1 ms or more"),
        (new().retry(Retry::Every(Duration::from_micros(999))), "retry", "999µs", "1 ms or more"),
        (new().spin_guard(spin(zero, one)), "spin_guard.gap", "0ns", "more than zero"),
        (new().spin_guard(spin(one, zero)), "spin_guard.window", "0ns", "more than zero"),
    ] {
        let error = builder.build().unwrap_err();
        assert_eq!((error.setting(), error.value(), error.allowed()), (setting, value, allowed));
        assert_eq!(error.to_string(), format!("{setting} is {value}: {allowed} is allowed"));
    }
}

#[test]
fn s32_the_shortest_and_the_longest_values_are_allowed() {
    let (one, longest) = (Duration::from_nanos(1), Duration::MAX);
    for short_or_long in [one, longest] {
        let guard = SpinGuard::EveryFrame {
            gap: short_or_long,
            in_a_row: NonZeroU32::MIN,
            window: Some((short_or_long, NonZeroU32::MAX)),
        };
        let config = new()
            .keep_alive(KeepAlive::Comment(short_or_long))
            .stall_after(Some(short_or_long))
            .lag_after(Some(short_or_long))
            .drain_within(short_or_long)
            .max_lifetime(Some(short_or_long))
            .retry(Retry::Every(short_or_long.max(Duration::from_millis(1))))
            .max_queued(NonZeroUsize::MIN, NonZeroUsize::MIN)
            .max_faults(NonZeroU32::MIN)
            .max_empty_writes(NonZeroU32::MIN)
            .spin_guard(guard)
            .build()
            .unwrap();
        assert_eq!(config.queue_limits(), (NonZeroUsize::MIN, NonZeroUsize::MIN));
        assert_eq!(config.drain_within(), short_or_long);
    }
    let off = new().keep_alive(KeepAlive::Off).stall_after(None).lag_after(None).retry(Retry::Never).build();
    assert_eq!(off.unwrap().keep_alive(), &KeepAlive::Off);
}

#[test]
fn s12_the_reconnection_time_stands_in_the_frames_that_are_to_carry_it() {
    let frame = |retry: Retry, first: bool| {
        let config = new().retry(retry).build().unwrap();
        config.frame("message", "{}", first).build().unwrap().as_bytes().to_vec()
    };
    let (with, without) =
        (&b"event: message\ndata: {}\nretry: 1500\n\n"[..], &b"event: message\ndata: {}\n\n"[..]);
    let after = Duration::from_micros(1_500_999);
    for (retry, first, expected) in [
        (Retry::Never, true, without),
        (Retry::Never, false, without),
        (Retry::First(after), true, with),
        (Retry::First(after), false, without),
        (Retry::Every(after), true, with),
        (Retry::Every(after), false, with),
    ] {
        assert_eq!(frame(retry, first), expected, "{retry:?}, first: {first}");
    }
}

#[test]
fn s10_s12_the_presets_keep_alive_carries_retry_and_can_go_without() {
    for (retry, wire) in [
        (Retry::Every(secs(5)), &b"event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n"[..]),
        (Retry::First(secs(5)), b"event: keepalive\r\ndata: {}\r\n\r\n"),
        (Retry::Never, b"event: keepalive\r\ndata: {}\r\n\r\n"),
    ] {
        let KeepAlive::Frame { frame, every } = KeepAlive::contextforge(secs(30), retry) else {
            unreachable!("the origin's keep-alive is a frame")
        };
        assert_eq!((frame.as_bytes(), every), (wire, secs(30)));
    }
}

// ---- helpers ----

fn new() -> StreamConfigBuilder {
    StreamConfig::builder()
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}
