//! The client's side of a stream: the platform's cases, and both sides of every bound.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use sansio_sse::{
    Connect, Disconnect, EventSource, Jitter, LastEventId, Lost, Refused, ResponseFacts, SourceClose,
    SourceCloseReason, SourceConfig, SourceConfigBuilder, SourceWake, Tick, TooLarge, Want,
};

use crate::cases;

const MS: Duration = Duration::from_millis(1);
const US: Duration = Duration::from_micros(1);
const OK: ResponseFacts<'_> =
    ResponseFacts { status: 200, content_type: Some("text/event-stream"), location: None };

#[test]
fn platform_session_cases_hold_for_every_cut() {
    for case in cases::of_kind("session") {
        let steps = case["steps"].as_array().unwrap();
        let bodies: Vec<_> = steps.iter().map(|step| cases::bytes(step, "body_base64")).collect();
        let longest = bodies.iter().map(Vec::len).max().unwrap();
        // Which cut of each body: whole, single bytes, or in two at every place.
        for cut in 0..longest + 3 {
            let mut source = source(exact().delay_between(MS, 10_000 * MS).retry(700 * MS));
            let mut now = Tick::ZERO;
            let mut events = Vec::new();
            for (step, body) in steps.iter().zip(&bodies) {
                if let Some(delay) = step["delay_before_ms"].as_u64() {
                    let Want::Wait { until, .. } = source.poll() else { panic!("{case}") };
                    assert_eq!(until.since(now), Duration::from_millis(delay), "{}", case["name"]);
                    now = until;
                    source.handle_timeout(now);
                }
                let header = connect(&source).headers().find(|(name, _)| *name == "Last-Event-ID");
                assert_eq!(
                    header.map(|(_, id)| id),
                    step["request_last_event_id"].as_str(),
                    "{}",
                    case["name"]
                );
                let head = ResponseFacts {
                    status: u16::try_from(step["status"].as_u64().unwrap()).unwrap(),
                    content_type: step["content_type"].as_str(),
                    location: step["location"].as_str(),
                };
                let answer = source.handle_response(now, &head);
                assert_eq!(answer.is_err(), head.status == 204);
                let cuts = cases::cuts(body);
                for piece in &cuts[cut.min(cuts.len() - 1)] {
                    let mut input = *piece;
                    while let Some(event) = source.handle_bytes(now, &mut input) {
                        let id = event.last_event_id.map_or("", LastEventId::as_str);
                        events.push((event.event_type.to_owned(), event.data.to_owned(), id.to_owned()));
                    }
                }
                if head.location.is_some() {
                    assert_eq!(connect(&source).redirect, head.location);
                } else {
                    source.handle_disconnect(now, Disconnect::Eof);
                }
            }
            assert_eq!(events, cases::events(&case), "{}", case["name"]);
            let ends = steps.last().unwrap()["status"] == 204;
            assert_eq!(matches!(source.poll(), Want::Closed(_)), ends, "{}", case["name"]);
        }
    }
}

#[test]
fn platform_response_cases_open_or_close_for_good() {
    for case in cases::of_kind("response") {
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        let head = ResponseFacts { status, content_type: case["content_type"].as_str(), location: None };
        let mut source = source(exact());
        let answer = source.handle_response(Tick::ZERO, &head);
        match case["expect"].as_str().unwrap() {
            "open" => assert!(matches!(source.poll(), Want::Run { .. }), "{case}"),
            "fail" => {
                let refused = if status == 200 { Refused::MediaType } else { Refused::Status(status) };
                assert_eq!(answer, Err(refused), "{case}");
                assert_eq!(closed(&source), SourceCloseReason::Refused(refused), "{case}");
                source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
                source.handle_timeout(Tick::from_micros(u64::MAX));
                assert_eq!(closed(&source), SourceCloseReason::Refused(refused), "{case}");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn platform_request_cases_are_among_the_headers() {
    let source = source(exact());
    for case in cases::of_kind("request") {
        let wanted = (case["header"].as_str().unwrap(), case["value"].as_str().unwrap());
        assert!(connect(&source).headers().any(|header| header == wanted), "{case}");
    }
}

#[test]
fn media_type_is_compared_in_any_case_and_without_parameters() {
    let table = [
        (Some("text/event-stream"), true),
        (Some("TEXT/Event-Stream"), true),
        (Some(" text/event-stream\t; charset=utf-8"), true),
        (Some("text/event-stream;a=b;c"), true),
        (Some("text/event-streams"), false),
        (Some("text/event-stream, text/html"), false),
        (Some("application/json; text/event-stream"), false),
        (Some(";text/event-stream"), false),
        (Some(""), false),
        (None, false),
    ];
    for (content_type, opens) in table {
        let mut source = source(exact());
        let answer = source.handle_response(Tick::ZERO, &ResponseFacts { content_type, ..OK });
        assert_eq!(answer.is_ok(), opens, "{content_type:?}");
    }
}

#[test]
fn only_the_five_redirects_are_followed() {
    for status in 100..600 {
        let mut source = source(exact());
        let head = ResponseFacts { status, content_type: None, location: Some("/b") };
        let answer = source.handle_response(Tick::ZERO, &head);
        let follows = [301, 302, 303, 307, 308].contains(&status);
        assert_eq!(answer.is_ok(), follows, "{status}");
        assert_eq!(matches!(source.poll(), Want::Connect(Connect { redirect: Some("/b"), .. })), follows);
    }
}

#[test]
fn redirects_are_followed_up_to_the_limit_and_not_once_more() {
    for limit in [0, 1, 20, 255] {
        let mut source = source(exact().max_redirects(limit));
        for n in 0..limit {
            let to = format!("/{n}");
            assert_eq!(source.handle_response(Tick::ZERO, &redirect(&to)), Ok(()));
            assert_eq!(connect(&source).redirect, Some(to.as_str()));
        }
        let refused = Refused::TooManyRedirects { limit };
        assert_eq!(source.handle_response(Tick::ZERO, &redirect("/one-more")), Err(refused));
        assert_eq!(closed(&source), SourceCloseReason::Refused(refused));
    }
}

#[test]
fn redirect_without_usable_location_closes() {
    for location in [None, Some(""), Some("/a\r\nX: y"), Some("/a\nb"), Some("/\0")] {
        let mut source = source(exact());
        let head = ResponseFacts { status: 307, content_type: None, location };
        assert_eq!(source.handle_response(Tick::ZERO, &head), Err(Refused::Location), "{location:?}");
    }
}

#[test]
fn each_attempt_starts_from_the_own_address_with_a_new_count_of_redirects() {
    let mut source = source(exact().max_redirects(1));
    for _ in 0..3 {
        assert_eq!(connect(&source).redirect, None);
        assert_eq!(source.handle_response(source_now(&source), &redirect("/b")), Ok(()));
        source.handle_disconnect(Tick::ZERO, Disconnect::Reset);
        let until = waiting(&source);
        source.handle_timeout(until);
    }
}

#[test]
fn redirects_do_not_prolong_the_attempt() {
    let mut source = source(exact().connect_within(Some(100 * MS)));
    source.handle_response(Tick::ZERO + 99 * MS, &redirect("/b")).unwrap();
    assert_eq!(connect(&source).give_up_at, Some(Tick::ZERO + 100 * MS));
}

#[test]
fn connect_times_out_at_the_deadline_and_not_before() {
    let mut source = source(exact().connect_within(Some(250 * MS)));
    let deadline = Tick::ZERO + 250 * MS;
    assert_eq!(source.deadline(), Some((deadline, SourceWake::ConnectTimeout)));
    source.handle_timeout(Tick::ZERO + (250 * MS - US));
    assert_eq!(connect(&source).give_up_at, Some(deadline));
    source.handle_timeout(deadline);
    let lost = Lost::ConnectTimedOut { after: 250 * MS };
    assert_eq!(source.poll(), Want::Wait { until: deadline + 3_000 * MS, lost });
}

#[test]
fn response_at_the_deadline_still_opens() {
    // Facts come first; only handle_timeout lets time act.
    let mut source = source(exact().connect_within(Some(250 * MS)));
    source.handle_response(Tick::ZERO + 300 * MS, &OK).unwrap();
    source.handle_timeout(Tick::ZERO + 300 * MS);
    assert!(matches!(source.poll(), Want::Run { .. }));
}

#[test]
fn silence_is_a_lost_connection_at_the_deadline_and_not_before() {
    let mut source = open(exact().silent_for(Some(250 * MS)));
    let deadline = Tick::ZERO + 250 * MS;
    assert_eq!(source.poll(), Want::Run { wake_at: Some(deadline) });
    source.handle_timeout(Tick::ZERO + (250 * MS - US));
    assert_eq!(source.poll(), Want::Run { wake_at: Some(deadline) });
    source.handle_timeout(deadline);
    let lost = Lost::Silent { for_: 250 * MS };
    assert_eq!(source.poll(), Want::Wait { until: deadline + 3_000 * MS, lost });
}

#[test]
fn every_byte_restarts_the_silence_and_no_bytes_do_not() {
    let mut source = open(exact().silent_for(Some(250 * MS)));
    let at = Tick::ZERO + 100 * MS;
    assert_eq!(source.handle_bytes(at, &mut &b""[..]), None);
    assert_eq!(source.poll(), Want::Run { wake_at: Some(Tick::ZERO + 250 * MS) });
    assert_eq!(source.handle_bytes(at, &mut &b":"[..]), None);
    assert_eq!(source.poll(), Want::Run { wake_at: Some(Tick::ZERO + 350 * MS) });
    // Bytes that come after the deadline, but before anyone asked, are no silence.
    assert_eq!(source.handle_bytes(Tick::ZERO + 400 * MS, &mut &b"\n"[..]), None);
    source.handle_timeout(Tick::ZERO + 400 * MS);
    assert_eq!(source.poll(), Want::Run { wake_at: Some(Tick::ZERO + 650 * MS) });
}

#[test]
fn without_deadlines_nothing_ever_wakes() {
    let mut source = source(exact().connect_within(None).silent_for(None));
    assert_eq!((connect(&source).give_up_at, source.deadline()), (None, None));
    source.handle_response(Tick::ZERO, &OK).unwrap();
    source.handle_timeout(Tick::from_micros(u64::MAX));
    assert_eq!(source.poll(), Want::Run { wake_at: None });
}

#[test]
fn reconnect_comes_at_the_deadline_and_not_before() {
    let mut source = open(exact());
    source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
    let until = Tick::ZERO + 3_000 * MS;
    source.handle_timeout(Tick::ZERO + (3_000 * MS - US));
    assert_eq!(source.poll(), Want::Wait { until, lost: Lost::Disconnected(Disconnect::Eof) });
    source.handle_timeout(until);
    assert_eq!(connect(&source).give_up_at, Some(until + 30_000 * MS));
}

#[test]
fn late_driver_never_skips_the_wait() {
    // However late, the wait shows, so that a driver sees that it must drop the old connection.
    let mut source = source(exact());
    let late = Tick::ZERO + Duration::from_secs(3_600);
    source.handle_timeout(late);
    assert!(waiting(&source) > late);
}

#[test]
fn failures_in_a_row_double_the_delay_up_to_the_maximum() {
    let mut source = source(exact().retry(100 * MS).delay_between(MS, 1_000 * MS));
    let mut now = Tick::ZERO;
    for delay in [100, 200, 400, 800, 1_000, 1_000] {
        source.handle_disconnect(now, Disconnect::Reset);
        assert_eq!(waiting(&source).since(now), delay * MS);
        now = waiting(&source);
        source.handle_timeout(now);
    }
}

#[test]
fn only_what_a_response_brings_ends_the_row_of_failures() {
    let table: [(&[u8], bool); 7] = [
        (b"", false),
        (b"\n\n\n", false),
        (b"data: unfinished\n", false),
        (b"id: 1\n\n", false),
        (b":\n", true),
        (b"retry: 100\n", true),
        (b"data\n\n", true),
    ];
    for (body, resets) in table {
        let mut source = source(exact().retry(100 * MS));
        for _ in 0..2 {
            source.handle_disconnect(Tick::ZERO, Disconnect::Io);
            let until = waiting(&source);
            source.handle_timeout(until);
        }
        let now = source_now(&source);
        source.handle_response(now, &OK).unwrap();
        while source.handle_bytes(now, &mut &body[..]).is_some_and(|_| false) {}
        source.handle_disconnect(now, Disconnect::Eof);
        let delay = if resets { 100 } else { 400 };
        assert_eq!(waiting(&source).since(now), delay * MS, "{body:?}");
    }
}

#[test]
fn retry_of_the_server_is_clamped_on_both_sides() {
    for (sent, used) in [("0", 100), ("99", 100), ("100", 100), ("101", 101), ("300000", 300_000)] {
        let mut source = open(exact());
        feed(&mut source, &format!("retry:{sent}\n"));
        source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
        assert_eq!(waiting(&source).since(Tick::ZERO), used * MS, "{sent}");
    }
    for sent in ["300001", "99999999999999999999999"] {
        let mut source = open(exact());
        feed(&mut source, &format!("retry:{sent}\n"));
        assert_eq!(source.reconnection_time(), 300_000 * MS);
    }
}

#[test]
fn retry_outlives_the_connection_that_sent_it() {
    let mut source = open(exact());
    feed(&mut source, "retry:500\n");
    for now in [Tick::ZERO, Tick::ZERO + 500 * MS] {
        feed(&mut source, ":\n");
        source.handle_disconnect(now, Disconnect::Eof);
        assert_eq!(waiting(&source).since(now), 500 * MS);
        let until = waiting(&source);
        source.handle_timeout(until);
        source.handle_response(until, &OK).unwrap();
    }
}

#[test]
fn hurt_18_seeded_id_stays_through_failures_and_responses_without_events() {
    let config = Arc::new(exact().build().unwrap());
    let id = LastEventId::new("token").unwrap();
    let mut source = EventSource::resume(Tick::ZERO, config, 1, id.clone());
    let mut now = Tick::ZERO;
    for body in [None, Some(""), Some("data: cut"), Some("id: 2\n"), None] {
        assert_eq!(connect(&source).last_event_id, Some(&id));
        if let Some(body) = body {
            source.handle_response(now, &OK).unwrap();
            feed(&mut source, body);
        }
        source.handle_disconnect(now, Disconnect::Reset);
        now = waiting(&source);
        source.handle_timeout(now);
    }
    assert_eq!(source.last_event_id(), Some(&id));
    source.handle_response(now, &OK).unwrap();
    feed(&mut source, "id\n\n");
    assert_eq!(source.last_event_id(), None);
}

#[test]
fn clock_that_goes_backwards_counts_as_standing_still() {
    let start = Tick::ZERO + 1_000 * MS;
    let config = Arc::new(exact().silent_for(Some(250 * MS)).build().unwrap());
    let mut source = EventSource::new(start, config, 1);
    source.handle_response(Tick::ZERO, &OK).unwrap();
    assert_eq!(source.poll(), Want::Run { wake_at: Some(start + 250 * MS) });
    let _ = source.handle_bytes(start + 100 * MS, &mut &b":"[..]);
    let _ = source.handle_bytes(start, &mut &b":"[..]);
    assert_eq!(source.poll(), Want::Run { wake_at: Some(start + 350 * MS) });
    source.handle_timeout(start + 349 * MS);
    source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
    assert_eq!(waiting(&source), start + 349 * MS + 3_000 * MS);
    source.close(Tick::ZERO);
    let at = start + 349 * MS;
    assert_eq!(source.poll(), Want::Closed(&SourceClose { reason: SourceCloseReason::Closed, at }));
}

#[test]
fn close_is_final_in_every_state_and_the_first_reason_stays() {
    let mut connecting = source(exact());
    let mut opened = open(exact());
    let mut waits = open(exact());
    waits.handle_disconnect(Tick::ZERO, Disconnect::Eof);
    for source in [&mut connecting, &mut opened, &mut waits] {
        source.close(Tick::ZERO + MS);
        for now in [Tick::ZERO + 2 * MS, Tick::from_micros(u64::MAX)] {
            assert_eq!(source.handle_response(now, &OK), Ok(()));
            assert_eq!(source.handle_response(now, &ResponseFacts { status: 404, ..OK }), Ok(()));
            let mut input = &b"data: 1\n\n"[..];
            assert_eq!(source.handle_bytes(now, &mut input), None);
            assert!(input.is_empty());
            source.handle_disconnect(now, Disconnect::Reset);
            source.handle_timeout(now);
            source.close(now);
            let close = SourceClose { reason: SourceCloseReason::Closed, at: Tick::ZERO + MS };
            assert_eq!(source.poll(), Want::Closed(&close));
            assert_eq!(source.deadline(), None);
        }
    }
}

#[test]
fn facts_about_a_lost_connection_change_nothing() {
    let mut source = open(exact());
    feed(&mut source, "id: 1\n\ndata: unfin");
    source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
    let until = waiting(&source);
    feed(&mut source, "ished\n\nid: 2\n\nretry: 1\n");
    source.handle_response(Tick::ZERO, &OK).unwrap();
    source.handle_disconnect(Tick::ZERO, Disconnect::Reset);
    assert_eq!(source.poll(), Want::Wait { until, lost: Lost::Disconnected(Disconnect::Eof) });
    assert_eq!(source.last_event_id().map(LastEventId::as_str), Some("1"));
    // And the next response starts afresh.
    source.handle_timeout(until);
    source.handle_response(until, &OK).unwrap();
    let event = source.handle_bytes(until, &mut &b"data: whole\n\n"[..]).unwrap();
    assert_eq!((event.data, event.last_event_id.map(LastEventId::as_str)), ("whole", Some("1")));
}

#[test]
fn too_large_an_event_closes_at_the_limit_and_not_before() {
    let limit = NonZeroUsize::new(10).unwrap();
    let mut source = open(exact().max_event(limit));
    assert!(source.handle_bytes(Tick::ZERO, &mut &b"data:12345\n\n"[..]).is_some());
    let mut input = &b"data:123456\n\ndata\n\n"[..];
    assert_eq!(source.handle_bytes(Tick::ZERO, &mut input), None);
    assert!(input.is_empty());
    assert_eq!(closed(&source), SourceCloseReason::TooLarge(TooLarge::Event { limit: 10 }));
}

#[test]
fn gives_up_after_so_many_reconnects_in_a_row_and_not_one_before() {
    let mut source = open(exact().max_failures(NonZeroU32::new(3)));
    feed(&mut source, "id: 9\ndata: 1\n\n");
    source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
    for _ in 0..3 {
        let until = waiting(&source);
        source.handle_timeout(until);
        assert!(matches!(source.poll(), Want::Connect(_)));
        source.handle_disconnect(until, Disconnect::Reset);
    }
    let lost = Lost::Disconnected(Disconnect::Reset);
    assert_eq!(closed(&source), SourceCloseReason::GaveUp { reconnects: 3, lost });
    assert_eq!(source.last_event_id().map(LastEventId::as_str), Some("9"), "kept for the application");
}

#[test]
fn jitter_of_clients_spreads_them_and_never_shortens_the_wait() {
    let builder = || exact().retry(1_000 * MS).jitter(Jitter::Percent(25));
    let config = Arc::new(builder().build().unwrap());
    let mut delays: Vec<_> = (0..1_000)
        .map(|seed| {
            let mut source = EventSource::new(Tick::ZERO, Arc::clone(&config), seed);
            source.handle_disconnect(Tick::ZERO, Disconnect::Reset);
            waiting(&source).since(Tick::ZERO)
        })
        .collect();
    delays.sort_unstable();
    assert!(delays[0] >= 1_000 * MS && delays[999] < 1_250 * MS);
    assert!(delays[499] > 1_100 * MS && delays[499] < 1_150 * MS, "median {:?}", delays[499]);
    delays.dedup();
    assert!(delays.len() > 990, "{} different delays", delays.len());
}

#[test]
fn jitter_of_one_client_differs_from_wait_to_wait() {
    let mut source = open(exact().jitter(Jitter::Percent(25)));
    let mut delays = Vec::new();
    let mut now = Tick::ZERO;
    for _ in 0..20 {
        feed(&mut source, ":\n");
        source.handle_disconnect(now, Disconnect::Eof);
        delays.push(waiting(&source).since(now));
        now = waiting(&source);
        source.handle_timeout(now);
        source.handle_response(now, &OK).unwrap();
    }
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays.len(), 20);
}

#[test]
fn the_defaults_are_as_documented() {
    let mut source = source(exact());
    assert_eq!(connect(&source).give_up_at, Some(Tick::ZERO + 30_000 * MS));
    let mut now = Tick::ZERO;
    for delay in [3, 6, 12, 24, 48, 96, 192, 300, 300] {
        source.handle_disconnect(now, Disconnect::Reset);
        assert_eq!(waiting(&source).since(now), Duration::from_secs(delay));
        now = waiting(&source);
        source.handle_timeout(now);
    }
    source.handle_response(now, &OK).unwrap();
    assert_eq!(source.deadline(), Some((now + Duration::from_secs(300), SourceWake::Silence)));
    for (retry, taken) in [("0", 100 * MS), ("300001", 300_000 * MS)] {
        feed(&mut source, &format!("retry: {retry}\n"));
        assert_eq!(source.reconnection_time(), taken);
    }
    let longest = "x".repeat(4_194_304 - "data:".len());
    feed(&mut source, &format!("data:{longest}\n\n"));
    assert!(matches!(source.poll(), Want::Run { .. }));
    feed(&mut source, &format!("data:{longest}x\n\n"));
    assert_eq!(closed(&source), SourceCloseReason::TooLarge(TooLarge::Event { limit: 4_194_304 }));
}

#[test]
fn settings_are_refused_outside_their_ranges_and_taken_at_their_ends() {
    let day = Duration::from_secs(86_400);
    let free = || SourceConfig::builder().delay_between(MS, day);
    type Set = fn(SourceConfigBuilder, Duration) -> SourceConfigBuilder;
    let settings: [(&str, Set); 5] = [
        ("retry", SourceConfigBuilder::retry),
        ("connect_within", |b, d| b.connect_within(Some(d))),
        ("silent_for", |b, d| b.silent_for(Some(d))),
        ("delay_between (min)", |b, d| {
            b.delay_between(d, Duration::from_secs(86_400)).retry(Duration::from_secs(86_400))
        }),
        ("delay_between (max)", |b, d| b.delay_between(MS, d).retry(MS)),
    ];
    for (name, set) in settings {
        for good in [MS, day] {
            assert!(set(free(), good).build().is_ok(), "{name} {good:?}");
        }
        for bad in [Duration::ZERO, MS - US, day + US, Duration::MAX] {
            let refused = set(free(), bad).build();
            let refused = refused.unwrap_err();
            assert_eq!((refused.setting(), refused.value()), (name, &*format!("{bad:?}")));
        }
    }
    for (percent, good) in [(0, false), (1, true), (100, true), (101, false)] {
        assert_eq!(free().jitter(Jitter::Percent(percent)).build().is_ok(), good, "{percent} %");
    }
}

#[derive(Clone, Debug)]
enum Op {
    Response(u16),
    Bytes(&'static [u8]),
    Disconnect,
    Timeout,
    Close,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    /// I3, I5, I6, I9, I15: under any operations at any times, what is closed stays so, no deadline is left in
    /// the past, time never goes backwards, and a repeated or early timeout changes nothing.
    #[test]
    fn source_keeps_its_laws_under_any_operations(ops in vec((op(), 0u64..40_000), 0..60), seed in any::<u64>()) {
        let config = Arc::new(SourceConfig::builder().delay_between(MS, 8_000 * MS).build().unwrap());
        let mut source = EventSource::new(Tick::ZERO, Arc::clone(&config), seed);
        let mut twin = EventSource::new(Tick::ZERO, config, seed);
        let mut latest = Tick::ZERO;
        let mut close = None;
        for (op, ms) in ops {
            let now = Tick::from_micros(ms * 1_000);
            latest = latest.max(now);
            apply(&mut source, &op, now);
            apply(&mut twin, &op, now);
            let timed_out = matches!(op, Op::Timeout);
            if timed_out {
                let at = source.deadline().map(|(at, _)| at);
                prop_assert!(at.is_none_or(|at| at > latest), "{at:?} at {latest}");
                source.handle_timeout(now);
                source.handle_timeout(Tick::ZERO);
            }
            prop_assert_eq!(source.poll(), twin.poll());
            if let Want::Wait { until, .. } = source.poll() {
                prop_assert!(until.since(latest) <= 10_000 * MS);
            }
            if let Want::Closed(now_closed) = source.poll() {
                prop_assert!(now_closed.at <= latest);
                prop_assert_eq!(now_closed, close.get_or_insert(*now_closed));
            } else {
                prop_assert_eq!(close, None);
            }
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => Just(Op::Response(200)),
        1 => Just(Op::Response(302)),
        3 => prop::sample::select(vec![&b"data\n\n"[..], b"retry: 1\n", b"retry: 99999\n", b":\n", b"da"]).prop_map(Op::Bytes),
        3 => Just(Op::Disconnect),
        6 => Just(Op::Timeout),
        1 => prop_oneof![Just(Op::Close), Just(Op::Response(204))],
    ]
}

fn apply(source: &mut EventSource, op: &Op, now: Tick) {
    match op {
        Op::Response(status) => {
            let _ =
                source.handle_response(now, &ResponseFacts { status: *status, location: Some("/b"), ..OK });
        }
        Op::Bytes(bytes) => {
            let mut input = *bytes;
            while source.handle_bytes(now, &mut input).is_some() {}
        }
        Op::Disconnect => source.handle_disconnect(now, Disconnect::Eof),
        Op::Timeout => source.handle_timeout(now),
        Op::Close => source.close(now),
    }
}

/// Defaults, but for the jitter.
fn exact() -> SourceConfigBuilder {
    SourceConfig::builder().jitter(Jitter::Off)
}

fn source(builder: SourceConfigBuilder) -> EventSource {
    EventSource::new(Tick::ZERO, Arc::new(builder.build().unwrap()), 1)
}

fn open(builder: SourceConfigBuilder) -> EventSource {
    let mut source = source(builder);
    source.handle_response(Tick::ZERO, &OK).unwrap();
    source
}

/// Feeds at the epoch, which counts as whatever time it is.
fn feed(source: &mut EventSource, body: &str) {
    let mut input = body.as_bytes();
    while source.handle_bytes(Tick::ZERO, &mut input).is_some() {}
}

fn redirect(to: &str) -> ResponseFacts<'_> {
    ResponseFacts { status: 302, content_type: None, location: Some(to) }
}

fn connect(source: &EventSource) -> Connect<'_> {
    let Want::Connect(connect) = source.poll() else { panic!("{source:?}") };
    connect
}

fn waiting(source: &EventSource) -> Tick {
    let Want::Wait { until, .. } = source.poll() else { panic!("{source:?}") };
    until
}

fn closed(source: &EventSource) -> SourceCloseReason {
    let Want::Closed(close) = source.poll() else { panic!("{source:?}") };
    close.reason
}

/// The present of a source that has just begun an attempt, of 30 s.
fn source_now(source: &EventSource) -> Tick {
    let at = connect(source).give_up_at.unwrap();
    Tick::from_micros(at.as_micros() - 30_000_000)
}
