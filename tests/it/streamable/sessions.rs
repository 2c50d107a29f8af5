//! The lives of sessions: how they begin, what they bear, and that each ends once.

use std::time::Duration;

use sansio_sse::CloseReason;
use sansio_sse::mcp::{
    AnswerMode, NotSent, Principal, Revision, Revisions, SecondGet, StreamableConfig, StreamableEnd,
    StreamableEvent, StreamableLimits,
};

use super::bench::{Bench, Got, initialize, json, note, request, response, said};

const V11: &str = "2025-11-25";

#[test]
fn check_07_a_session_is_named_by_random_bytes_in_the_answer_to_initialize() {
    let mut bench = Bench::new(StreamableConfig::default());
    let exchange = bench.post("", "", &initialize(V11)).exchange();
    let events = bench.drain();
    let [StreamableEvent::Opened { session, .. }, StreamableEvent::Readable(readable)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(Some(session), readable.as_ref());
    let call = bench.take(session.as_str()).call.unwrap();
    bench.respond(call, r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#);
    let whole = bench.whole(exchange).unwrap();
    let id = whole.header("Mcp-Session-Id").unwrap();
    assert_eq!(id, session.as_str());
    assert!(id.len() >= 32 && id.bytes().all(|b| (0x21..=0x7e).contains(&b)));
    assert_eq!(
        bench.post(id, V11, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).whole().status,
        202
    );
}

#[test]
fn a_session_that_the_application_refuses_never_was() {
    let mut bench = Bench::new(StreamableConfig::default());
    let exchange = bench.post("", "", &initialize(V11)).exchange();
    let session = bench.endpoint.sessions().next().unwrap().clone();
    let call = bench.take(session.as_str()).call.unwrap();
    bench.drain();
    bench.respond(call, r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"no"}}"#);
    let whole = bench.whole(exchange).unwrap();
    assert_eq!((whole.outcome().as_str(), whole.header("Mcp-Session-Id")), ("200 -32602", None));
    let end = StreamableEnd::Refused;
    assert_eq!(bench.drain(), [StreamableEvent::Ended { session: session.clone(), end, unread: 0 }]);
    assert_eq!(bench.post(session.as_str(), "", &request(1)).whole().status, 404);
    assert_eq!(bench.endpoint.load(), (0, 0, 0));
}

#[test]
fn a_client_that_leaves_before_it_knows_of_its_session_leaves_none_behind() {
    let mut bench = Bench::new(StreamableConfig::default());
    let exchange = bench.post("", "", &initialize(V11)).exchange();
    bench.gone(exchange);
    let events = bench.drain();
    assert!(matches!(
        events.last(),
        Some(StreamableEvent::Ended { end: StreamableEnd::NeverBegun, unread: 1, .. })
    ));
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

#[test]
fn check_09_a_session_is_needed_and_named() {
    let mut bench = Bench::new(StreamableConfig::default());
    for version in ["", "2025-03-26", "2025-06-18", V11] {
        assert_eq!(bench.post("", version, &request(1)).whole().outcome(), "400 -32600");
        assert_eq!(bench.post("", version, note(1).as_str()).whole().outcome(), "400 -32600");
        assert_eq!(bench.get("", version, "").whole().outcome(), "400 -32600");
    }
    assert_eq!(bench.delete("").outcome(), "400 -32600");
    let session = bench.open(V11);
    assert_eq!(
        bench.post(&session, V11, &initialize(V11)).whole().outcome(),
        "400 -32600",
        "it is initialized"
    );
    assert!(matches!(bench.post(&session, "", &request(1)), Got::Exchange(_)));
}

#[test]
fn check_12_a_session_speaks_what_was_agreed_on_and_its_headers_name_what_is_spoken() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    for version in ["", V11, "2025-06-18", "2024-11-05"] {
        bench.post(&session, version, &request(1)).exchange();
        assert_eq!(bench.take(&session).revision, Revision::V2025_11_25, "{version}");
    }
    for version in ["2000-01-01", "2099-01-01", "invalid", "2025-11-25x"] {
        for session in [session.as_str(), ""] {
            let whole = bench.post(session, version, &request(7)).whole();
            assert_eq!(whole.outcome(), "400 -32022", "{version}");
            assert!(whole.body.starts_with(r#"{"jsonrpc":"2.0","id":7,"#), "{}", whole.body);
            let listed = r#""supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"]"#;
            assert!(whole.body.contains(listed), "{}", whole.body);
        }
        assert_eq!(bench.get(&session, version, "").whole().outcome(), "400 -32022");
    }
    // Where no stateless revision is spoken, no error is of one: clients of both eras fall back by that.
    let revisions = Revisions::all().without(Revision::V2026_07_28);
    let mut bench = Bench::new(StreamableConfig { revisions, ..StreamableConfig::default() });
    assert_eq!(bench.post("", "2026-07-28", &request(7)).whole().outcome(), "400 -32600");
    let stateless = Revisions::none().with(Revision::V2026_07_28);
    let mut bench = Bench::new(StreamableConfig { revisions: stateless, ..StreamableConfig::default() });
    assert_eq!(bench.post("", "", &initialize(V11)).whole().outcome(), "400 -32022");
    assert_eq!(bench.post("", "", &request(1)).whole().outcome(), "400 -32020");
    assert_eq!(bench.get("", "", "").whole().status, 405);
    assert_eq!(bench.delete("").status, 405);
}

#[test]
fn check_12_a_revision_that_is_not_spoken_or_has_no_sessions_is_none_that_was_agreed_on() {
    let revisions = Revisions::all().without(Revision::V2025_06_18);
    for agreed in ["2025-06-18", "2026-07-28", "2099-01-01"] {
        let mut bench = Bench::new(StreamableConfig { revisions, ..StreamableConfig::default() });
        bench.post("", "", &initialize(V11)).exchange();
        let session = bench.endpoint.sessions().next().unwrap().to_string();
        let call = bench.take(&session).call.unwrap();
        let response = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{agreed}"}}}}"#);
        bench.respond(call, &response);
        bench.post(&session, V11, &request(1)).exchange();
        assert_eq!(bench.take(&session).revision, Revision::V2025_11_25, "{agreed}: the header tells");
    }
}

#[test]
fn check_10_what_was_said_before_the_end_is_read_and_what_nobody_reads_goes_at_once() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-06-18");
    let (streaming, call) = bench.call(&session, "2025-06-18", 1);
    bench.say(call, 0);
    bench.read(streaming);
    let (waiting, _) = bench.call(&session, "2025-06-18", 2);
    for n in 1..4 {
        bench.endpoint.send_for(bench.now, call, note(n)).unwrap();
    }
    bench.endpoint.end_session(bench.now, &session.parse().unwrap());
    assert_eq!(bench.endpoint.load(), (0, 2, 1), "two answers are due, and one has a stream");
    bench.run();
    assert_eq!(said(&bench.body(streaming)), ["1", "2", "3"]);
    assert!(bench.closed(streaming).is_some());
    assert_eq!(bench.whole(waiting).unwrap().status, 404);
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

#[test]
fn check_10_delete_ends_it_and_all_that_was_open() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let own = bench.get(&session, V11, "").exchange();
    let (streaming, call) = bench.call(&session, V11, 1);
    bench.say(call, 1);
    let (waiting, other) = bench.call(&session, V11, 2);
    bench.post(&session, V11, note(9).as_str()).whole();
    bench.drain();
    assert_eq!(bench.delete(&session).status, 204);
    let end = StreamableEnd::ByClient;
    assert_eq!(bench.drain(), [StreamableEvent::Ended { session: session.parse().unwrap(), end, unread: 1 }]);
    assert_eq!(bench.whole(waiting).unwrap().status, 404);
    for exchange in [own, streaming] {
        bench.read(exchange);
        assert!(bench.closed(exchange).is_some());
    }
    for (call, id) in [(call, 1), (other, 2)] {
        let response = json(&response(id));
        assert_eq!(bench.endpoint.respond(bench.now, call, response.clone()), Err(NotSent::Gone(response)));
    }
    assert_eq!(
        bench.endpoint.send(bench.now, &session.parse().unwrap(), note(1)),
        Err(NotSent::Gone(note(1)))
    );
    for status in [
        bench.post(&session, V11, &request(3)).whole().status,
        bench.get(&session, V11, "").whole().status,
        bench.delete(&session).status,
    ] {
        assert_eq!(status, 404);
    }
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

#[test]
fn hurt_04_hurt_06_check_11_a_session_that_nobody_uses_ends_at_half_an_hour_and_not_before() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let own = bench.get(&session, V11, "").exchange();
    bench.read(own);
    bench.wait(10_000_000);
    assert_eq!(bench.endpoint.sessions().count(), 1, "it has a stream open");
    bench.cut(own);
    bench.wait(1_799_999);
    assert_eq!((bench.endpoint.sessions().count(), bench.drain()), (1, vec![]));
    bench.wait(1);
    let end = StreamableEnd::Idle;
    assert_eq!(bench.drain(), [StreamableEvent::Ended { session: session.parse().unwrap(), end, unread: 0 }]);
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

#[test]
fn check_26_at_the_limit_the_longest_idle_session_makes_room_if_it_is_idle() {
    let limits = StreamableLimits { max_sessions: 2.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let (first, second) = (bench.open(V11), bench.open(V11));
    bench.wait(59_999);
    let whole = bench.post("", "", &initialize(V11)).whole();
    assert_eq!((whole.status, whole.header("Retry-After")), (503, Some("5")));
    bench.wait(1);
    bench.post(&first, V11, note(1).as_str()).whole();
    let third = bench.open(V11);
    let alive = |bench: &Bench, id: &str| bench.endpoint.sessions().any(|session| session.as_str() == id);
    assert_eq!([&first, &second, &third].map(|id| alive(&bench, id)), [true, false, true]);
    // One that is open, or worked for, is never displaced.
    let own = bench.get(&first, V11, "").exchange();
    let (gone, _) = bench.call(&third, V11, 1);
    bench.gone(gone);
    bench.wait(600_000);
    bench.read(own);
    assert_eq!(bench.post("", "", &initialize(V11)).whole().status, 503);
}

#[test]
fn hurt_20_a_post_is_accepted_only_when_its_place_is_certain() {
    let n = |n: usize| n.try_into().unwrap();
    let limits = StreamableLimits { max_messages: n(2), max_held: n(2), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V11);
    for k in 0..2 {
        assert_eq!(bench.post(&session, V11, note(k).as_str()).whole().status, 202);
    }
    let held = bench.post(&session, V11, note(2).as_str()).exchange();
    let asked = bench.post(&session, V11, &request(3)).exchange();
    assert_eq!(bench.post(&session, V11, note(4).as_str()).whole().status, 503);
    assert_eq!(bench.whole(held), None);
    assert_eq!(bench.take(&session).message, note(0));
    assert_eq!(bench.whole(held).unwrap().status, 202);
    assert_eq!(bench.take(&session).message, note(1));
    assert_eq!(bench.take(&session).message, note(2));
    let call = bench.take(&session).call.unwrap();
    bench.respond(call, &response(3));
    assert_eq!(bench.whole(asked).unwrap().status, 200);
}

#[test]
fn a_held_post_is_given_up_at_ten_seconds_or_forgotten_with_its_client() {
    let n = |n: usize| n.try_into().unwrap();
    let limits = StreamableLimits { max_messages: n(1), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V11);
    bench.post(&session, V11, note(0).as_str()).whole();
    let asked = bench.post(&session, V11, &request(1)).exchange();
    let left = bench.post(&session, V11, &request(2)).exchange();
    bench.wait(9_999);
    bench.gone(left);
    assert_eq!(bench.whole(asked), None);
    bench.wait(1);
    assert_eq!(bench.whole(asked).unwrap().status, 503);
    assert_eq!(bench.take(&session).message, note(0));
    assert_eq!(bench.try_take(&session), None, "what was given up is never delivered");
    assert_eq!(bench.endpoint.load(), (0, 0, 1));
}

#[test]
fn a_session_that_is_being_opened_outlives_a_post_that_found_no_room() {
    let limits = StreamableLimits { max_messages: 1.try_into().unwrap(), ..StreamableLimits::default() };
    let answers = AnswerMode::Json;
    let mut bench = Bench::new(StreamableConfig { limits, answers, ..StreamableConfig::default() });
    let opening = bench.post("", "", &initialize(V11)).exchange();
    let session = bench.endpoint.sessions().next().unwrap().to_string();
    let held = bench.post(&session, V11, note(1).as_str()).exchange();
    bench.wait(10_000);
    assert_eq!((bench.whole(held).unwrap().status, bench.endpoint.sessions().count()), (503, 1));
    let call = bench.take(&session).call.unwrap();
    bench.respond(call, r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#);
    assert_eq!(bench.whole(opening).unwrap().header("Mcp-Session-Id"), Some(session.as_str()));
}

#[test]
fn who_leaves_while_a_post_is_held_takes_no_other_along() {
    let limits = StreamableLimits { max_messages: 1.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V11);
    bench.post(&session, V11, note(0).as_str()).whole();
    let left = bench.post(&session, V11, &request(1)).exchange();
    bench.post(&session, V11, &request(2)).exchange();
    bench.gone(left);
    assert_eq!(bench.take(&session).message, note(0));
    assert_eq!(bench.take(&session).message, json(&request(2)));
    assert_eq!(bench.try_take(&session), None);
}

#[test]
fn hurt_20_the_queue_is_bounded_to_the_byte_and_who_is_held_is_not_overtaken() {
    let n = |n: usize| n.try_into().unwrap();
    let one = note(0).as_str().len();
    for (short, fit) in [(0, 3), (1, 2)] {
        let limits =
            StreamableLimits { max_bytes: n(3 * one - short), max_held: n(1), ..StreamableLimits::default() };
        let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
        let session = bench.open(V11);
        for k in 0..fit {
            assert_eq!(bench.post(&session, V11, note(k).as_str()).whole().status, 202, "{k}");
        }
        for _ in 0..3 {
            let held = bench.post(&session, V11, note(fit).as_str()).exchange();
            bench.take(&session);
            assert_eq!(bench.whole(held).unwrap().status, 202);
        }
        bench.take(&session);
        // There is room for a small one, and a large one is before it.
        bench.post(&session, V11, &large(one + 1)).exchange();
        assert_eq!(bench.post(&session, V11, note(9).as_str()).whole().status, 503);
    }
}

#[test]
fn requests_of_a_session_are_bounded() {
    let limits = StreamableLimits { max_requests: 2.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let (session, other) = (bench.open(V11), bench.open(V11));
    let (_, first) = bench.call(&session, V11, 1);
    bench.call(&session, V11, 2);
    let whole = bench.post(&session, V11, &request(3)).whole();
    assert_eq!((whole.status, whole.body.contains(r#""id":3"#)), (503, true));
    bench.call(&other, V11, 1);
    bench.respond(first, &response(1));
    bench.call(&session, V11, 3);
}

#[test]
fn hurt_12_hurt_11_a_second_get_takes_over_or_is_refused_as_configured() {
    for second_get in [SecondGet::Replaces, SecondGet::Refused] {
        let mut bench = Bench::new(StreamableConfig { second_get, ..StreamableConfig::default() });
        let session = bench.open(V11);
        let first = bench.get(&session, V11, "").exchange();
        bench.send(&session, 1);
        assert_eq!(said(&bench.body(first)), ["", "1"]);
        match (second_get, bench.get(&session, V11, "")) {
            (SecondGet::Replaces, Got::Exchange(second)) => {
                assert!(bench.closed(first).is_some(), "the older one is let go");
                bench.send(&session, 2);
                assert_eq!(said(&bench.body(second)), ["", "2"], "and nothing is said twice");
            }
            (SecondGet::Refused, Got::Whole(whole)) => {
                assert_eq!(whole.status, 409);
                bench.send(&session, 2);
                assert_eq!(said(&bench.body(first)), ["2"]);
            }
            (_, got) => panic!("{got:?}"),
        }
    }
}

#[test]
fn hurt_05_hurt_07_a_client_that_only_ever_opens_streams_pins_one() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    for _ in 0..1_000 {
        bench.get(&session, V11, "").exchange();
    }
    let (calls, exchanges, channels) = bench.endpoint.load();
    assert!(calls == 0 && exchanges <= 2 && channels == 1, "{exchanges} exchanges");
    assert_eq!(bench.delete(&session).status, 204);
}

#[test]
fn hurt_13_clients_do_not_share_anything() {
    let mut bench = Bench::new(StreamableConfig::default());
    let (alice, bob) = (bench.open(V11), bench.open("2025-03-26"));
    let (exchange, call) = bench.call(&alice, V11, 1);
    assert_eq!(bench.delete(&bob).status, 204);
    assert_eq!(bench.post("11111111-1111-4111-8111-111111111111", V11, &request(1)).whole().status, 404);
    bench.respond(call, &response(1));
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
}

#[test]
fn hurt_24_a_server_that_stops_takes_nothing_new_and_lets_what_runs_be_answered() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let own = bench.get(&session, V11, "").exchange();
    let (exchange, call) = bench.call(&session, V11, 1);
    bench.send(&session, 1);
    bench.endpoint.finish(bench.now);
    bench.run();
    assert_eq!(said(&bench.body(own)), ["", "1"], "what was said still goes out");
    assert!(bench.closed(own).is_some());
    assert_eq!(bench.post("", "", &initialize(V11)).whole().status, 503);
    assert_eq!(bench.post(&session, V11, &request(2)).whole().status, 503);
    assert_eq!(bench.get(&session, V11, "").whole().status, 503);
    assert_eq!(bench.post(&session, V11, &response(9)).whole().status, 202, "it may be waited for");
    bench.respond(call, &response(1));
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
    bench.endpoint.end_all(bench.now);
    let end = StreamableEnd::ServerStopped;
    let session = session.parse().unwrap();
    assert_eq!(bench.drain().last(), Some(&StreamableEvent::Ended { session, end, unread: 1 }));
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

#[test]
fn settings_out_of_their_range_are_named() {
    let default = StreamableConfig::default;
    let limits = StreamableLimits::default;
    let zero = Duration::ZERO;
    for (config, setting) in [
        (StreamableConfig { stream_after: Some(zero), ..default() }, "stream_after"),
        (StreamableConfig { poll_after: Some(zero), ..default() }, "poll_after"),
        (StreamableConfig { poll_retry: Duration::from_micros(999), ..default() }, "poll_retry"),
        (
            StreamableConfig { limits: StreamableLimits { idle_for: zero, ..limits() }, ..default() },
            "idle_for",
        ),
        (
            StreamableConfig { limits: StreamableLimits { idle_at_least: zero, ..limits() }, ..default() },
            "idle_at_least",
        ),
        (
            StreamableConfig { limits: StreamableLimits { hold_for: zero, ..limits() }, ..default() },
            "hold_for",
        ),
        (
            StreamableConfig { limits: StreamableLimits { replay_for: zero, ..limits() }, ..default() },
            "replay_for",
        ),
        (StreamableConfig { revisions: Revisions::none(), ..default() }, "revisions"),
        (
            StreamableConfig { revisions: Revisions::none().with(Revision::V2024_11_05), ..default() },
            "revisions",
        ),
    ] {
        assert_eq!(config.check().unwrap_err().setting(), setting);
    }
    assert_eq!(default().check(), Ok(()));
    let least = StreamableConfig { poll_retry: Duration::from_millis(1), ..default() };
    assert_eq!(least.check(), Ok(()), "a client's time has milliseconds");
}

#[test]
fn a_session_that_ends_while_a_get_waits_for_its_turn_answers_both() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let first = bench.get(&session, V11, "").exchange();
    bench.send(&session, 1);
    // The driver of the first is not asked in between.
    let lines = format!("Mcp-Session-Id: {session}\r\n");
    let second = bench.ask_late("GET /mcp", &lines);
    bench.endpoint.end_session(bench.now, &session.parse().unwrap());
    bench.run();
    assert_eq!(said(&bench.body(first)), ["", "1"], "what was said goes out");
    assert!(bench.closed(first).is_some());
    assert_eq!(bench.whole(second).unwrap().status, 404);
    assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
}

/// The older transport's revision has no sessions like these: what comes closest is spoken, batches and all.
#[test]
fn a_session_that_agrees_on_2024_11_05_speaks_2025_03_26() {
    for (agreed, has_batches) in [("2024-11-05", true), ("2025-03-26", true), ("2025-06-18", false)] {
        let mut bench = Bench::new(StreamableConfig::default());
        let (_, session, call) = bench.opening(&Principal::anonymous(), agreed);
        let text = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{agreed}"}}}}"#);
        bench.respond(call, &text);
        let batch = format!("[{},{}]", request(1), request(2));
        let got = bench.post(session.as_str(), "", &batch);
        assert_eq!(matches!(got, Got::Exchange(_)), has_batches, "{agreed}");
    }
}

#[test]
fn a_session_whose_initialize_is_let_go_of_is_refused() {
    let mut bench = Bench::new(StreamableConfig::default());
    let (exchange, session, call) = bench.opening(&Principal::anonymous(), V11);
    bench.drain();
    bench.endpoint.let_go(bench.now, call);
    let end = StreamableEnd::Refused;
    assert_eq!(bench.drain(), [StreamableEvent::Ended { session: session.clone(), end, unread: 0 }]);
    let text = bench.read(exchange);
    assert!(!text.contains("Mcp-Session-Id"), "nobody is told of a session that is over: {text}");
    assert_eq!(said(&text), [""], "a stream that ends without a word");
    assert!(bench.closed(exchange).is_some());
    assert_eq!((bench.endpoint.sessions().count(), bench.endpoint.load()), (0, (0, 0, 0)));
    assert_eq!(bench.get(session.as_str(), V11, "").whole().status, 404);
}

/// Three streams are asked for, and the first is still being written: the second never has a word to say.
#[test]
fn hurt_12_a_get_that_waits_and_is_displaced_opens_and_ends_at_once() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let first = bench.get(&session, V11, "").exchange();
    let headers = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: {V11}\r\n");
    let headers = headers + "Accept: text/event-stream\r\n";
    let [second, third] = [(); 2].map(|()| bench.ask_late("GET /mcp", &headers));
    bench.run();
    bench.send(&session, 1);
    for (exchange, close) in [(first, true), (second, true), (third, false)] {
        let reason = bench.closed(exchange).map(|close| close.reason);
        assert_eq!(reason, close.then_some(CloseReason::Superseded), "{exchange:?}");
    }
    assert_eq!(said(&bench.body(third)), ["", "1"]);
}

// ---- helpers ----

/// A notification of that many bytes more than an empty one.
fn large(more: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"n","params":["{}"]}}"#, "x".repeat(more))
}
