//! How requests are answered: by a whole response or a stream, each thing said in one place.

use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{HeadLimits, RequestHead};
use sansio_sse::mcp::{
    Answer, AnswerMode, BodyDecision, ExchangeId, HeadDecision, NotSent, Principal, Streamable,
    StreamableConfig, StreamableEvent, StreamableLimits, Unfit,
};
use sansio_sse::{AccessRules, Disconnect, EventStream, Retry, Step, StreamConfig, Tick};

use super::bench::{Bench, events, json, note, request, response, said};

const V11: &str = "2025-11-25";

#[test]
fn a_request_with_nothing_to_say_but_its_response_is_answered_by_json() {
    for version in ["2025-03-26", "2025-06-18", V11] {
        let mut bench = Bench::new(StreamableConfig::default());
        let session = bench.open(version);
        let (exchange, call) = bench.call(&session, version, 1);
        assert_eq!(bench.whole(exchange), None);
        bench.respond(call, &response(1));
        let whole = bench.whole(exchange).unwrap();
        assert_eq!((whole.status, whole.body.as_str()), (200, response(1).as_str()));
        assert_eq!(
            (whole.header("Content-Type"), whole.header("Mcp-Session-Id")),
            (Some("application/json"), None)
        );
        assert_eq!(bench.endpoint.load(), (0, 0, 1), "nothing is left but the session's own stream");
    }
}

#[test]
fn as_soon_as_there_is_more_to_say_it_is_a_stream_that_the_response_ends() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-06-18");
    let (exchange, call) = bench.call(&session, "2025-06-18", 1);
    bench.say(call, 7);
    assert!(bench.is_stream(exchange));
    let text = bench.read(exchange);
    assert!(text.starts_with(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache, no-transform\r\n\
         X-Accel-Buffering: no\r\nConnection: close\r\n\r\nid: "
    ));
    assert_eq!(said(&text), ["7"]);
    assert_eq!(bench.closed(exchange), None);
    bench.respond(call, &response(1));
    assert_eq!(said(&bench.read(exchange)), ["id=1"]);
    assert!(bench.closed(exchange).is_some(), "the response ends it");
    assert_eq!(
        bench.endpoint.respond(bench.now, call, json(&response(1))),
        Err(NotSent::Gone(json(&response(1))))
    );
}

#[test]
fn a_streams_head_says_that_its_connection_ends_behind_it() {
    let mut endpoint = Streamable::new(AccessRules::loopback(), StreamableConfig::default());
    let lines = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: a\r\n\r\n";
    let head = RequestHead::parse(HeadLimits::default(), &mut lines.as_bytes()).unwrap().unwrap();
    let HeadDecision::ReceiveBody(post) = endpoint.handle_head(Tick::ZERO, &head, Principal::anonymous())
    else {
        panic!("{lines}")
    };
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let BodyDecision::Exchange(exchange) = endpoint.handle_body(Tick::ZERO, post, body.as_bytes(), [7; 24])
    else {
        panic!("{body}")
    };
    let call = endpoint.take(Tick::ZERO, None).unwrap().call.unwrap();
    let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
    endpoint.send_for(Tick::ZERO, call, json(progress)).unwrap();
    let Some(Answer::Stream(stream)) = endpoint.answer(Tick::ZERO, exchange) else { panic!("no stream") };
    let Step::Run { bytes, .. } = stream.poll() else { panic!("closed") };
    let head = String::from_utf8(bytes.pieces().flatten().copied().collect()).unwrap();
    // A client that keeps it for its next POST would lose that.
    assert!(head.contains("\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    assert!(!head.contains("keep-alive"), "{head}");
}

#[test]
fn check_22_a_stream_of_2025_11_25_begins_with_an_id_and_no_data() {
    for (version, primes) in [("2025-03-26", false), ("2025-06-18", false), (V11, true)] {
        let mut bench =
            Bench::new(StreamableConfig { answers: AnswerMode::Stream, ..StreamableConfig::default() });
        let session = bench.open(version);
        let (exchange, _) = bench.call(&session, version, 1);
        let body = bench.body(exchange);
        assert_eq!(events(&body).len(), usize::from(primes), "{version}: {body}");
        if primes {
            assert!(body.starts_with("id: ") && body.contains(".0\ndata: \nretry: 5000\n\n"), "{body}");
        }
        let own = bench.get(&session, version, "").exchange();
        assert_eq!(events(&bench.body(own)).len(), usize::from(primes), "{version}");
    }
}

#[test]
fn check_22_where_streams_have_no_retry_the_first_event_has_none_either() {
    let stream = StreamConfig::builder().retry(Retry::Never).build().unwrap();
    let config = StreamableConfig {
        answers: AnswerMode::Stream,
        stream: stream.into(),
        ..StreamableConfig::default()
    };
    let mut bench = Bench::new(config);
    let session = bench.open(V11);
    let (exchange, _) = bench.call(&session, V11, 1);
    let body = bench.body(exchange);
    assert!(body.starts_with("id: ") && body.ends_with(".0\ndata: \n\n"), "{body}");
}

#[test]
fn a_request_that_takes_its_time_becomes_a_stream_at_two_seconds_and_not_before() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let (exchange, call) = bench.call(&session, V11, 1);
    bench.wait(1_999);
    assert!(!bench.is_stream(exchange));
    bench.wait(1);
    assert!(bench.is_stream(exchange));
    bench.respond(call, &response(1));
    assert_eq!(said(&bench.body(exchange)), ["", "id=1"]);
}

#[test]
fn the_modes_without_a_choice_do_as_they_say() {
    let config = |answers| StreamableConfig { answers, ..StreamableConfig::default() };
    let mut bench = Bench::new(config(AnswerMode::Stream));
    let session = bench.open("2025-06-18");
    let (exchange, call) = bench.call(&session, "2025-06-18", 1);
    assert!(bench.is_stream(exchange), "at once");
    bench.respond(call, &response(1));
    assert_eq!(said(&bench.body(exchange)), ["id=1"]);

    let mut bench = Bench::new(config(AnswerMode::Json));
    let session = bench.open(V11);
    let (exchange, call) = bench.call(&session, V11, 1);
    let refused = bench.endpoint.send_for(bench.now, call, note(1));
    assert_eq!(refused, Err(NotSent::Unfit { message: note(1), why: Unfit::NoStream }));
    assert!(!bench.endpoint.poll_later(bench.now, call, None));
    bench.wait(60_000);
    bench.respond(call, &response(1));
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
}

#[test]
fn check_17_hurt_15_what_belongs_to_a_request_goes_on_its_stream_and_all_else_on_the_sessions_own() {
    let mut bench = Bench::new(StreamableConfig::default());
    let (alice, bob) = (bench.open(V11), bench.open(V11));
    // The same JSON-RPC ids everywhere.
    let calls =
        [(&alice, 1), (&alice, 2), (&bob, 1), (&bob, 2)].map(|(session, id)| bench.call(session, V11, id));
    let own = [&alice, &bob].map(|session| bench.get(session, V11, "").exchange());
    for (n, (_, call)) in (0..).zip(calls) {
        bench.say(call, n);
    }
    bench.send(&alice, 100);
    bench.send(&bob, 200);
    let asks = json(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}"#);
    bench.endpoint.send_for(bench.now, calls[2].1, asks).unwrap();
    for at in [3, 1, 0, 2] {
        bench.respond(calls[at].1, &response([1, 2, 1, 2][at]));
    }
    let bodies = calls.map(|(exchange, _)| said(&bench.body(exchange)));
    assert_eq!(bodies[0], ["", "0", "id=1"]);
    assert_eq!(bodies[1], ["", "1", "id=2"]);
    assert_eq!(bodies[2], ["", "2", "id=\"s\"", "id=1"]);
    assert_eq!(bodies[3], ["", "3", "id=2"]);
    assert_eq!(own.map(|own| said(&bench.body(own))), [vec!["", "100"], vec!["", "200"]]);
}

#[test]
fn check_18_what_does_not_belong_somewhere_cannot_be_said_there() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let (_, call) = bench.call(&session, V11, 1);
    let (other, id) = (json(&response(2)), session.parse().unwrap());
    for (got, why) in [
        (bench.endpoint.respond(bench.now, call, other.clone()), Unfit::OtherId),
        (bench.endpoint.respond(bench.now, call, note(1)), Unfit::NoResponse),
        (bench.endpoint.send_for(bench.now, call, other.clone()), Unfit::Response),
        (bench.endpoint.send(bench.now, &id, other), Unfit::Response),
    ] {
        let Err(NotSent::Unfit { why: said, .. }) = got else { panic!("{got:?}") };
        assert_eq!(said, why);
    }
    let nobody = "11111111-1111-4111-8111-111111111111".parse().unwrap();
    assert_eq!(bench.endpoint.send(bench.now, &nobody, note(1)), Err(NotSent::Gone(note(1))));
    bench.respond(call, &response(1));
}

#[test]
fn check_15_a_batch_is_of_2025_03_26_and_is_answered_whole() {
    let batch = format!("[{},{},{}]", request(1), note(0), request(2));
    for (version, served) in [("2025-03-26", true), ("", true), ("2025-06-18", false), (V11, false)] {
        let mut bench = Bench::new(StreamableConfig::default());
        let session = bench.open(if version.is_empty() { "2025-03-26" } else { version });
        let got = bench.post(&session, version, &batch);
        if !served {
            assert_eq!(got.whole().outcome(), "400 -32600", "{version}");
            continue;
        }
        let exchange = got.exchange();
        let taken = [0; 3].map(|_| bench.take(&session));
        assert_eq!(taken.each_ref().map(|incoming| incoming.call.is_some()), [true, false, true]);
        bench.respond(taken[2].call.unwrap(), &response(2));
        assert_eq!(bench.whole(exchange), None, "one is still asked for");
        bench.respond(taken[0].call.unwrap(), &response(1));
        assert_eq!(bench.whole(exchange).unwrap().body, format!("[{},{}]", response(2), response(1)));
    }
}

#[test]
fn a_batch_with_more_to_say_is_a_stream_with_all_its_responses() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-03-26");
    let exchange = bench.post(&session, "", &format!("[{},{}]", request(1), request(2))).exchange();
    let calls = [0; 2].map(|_| bench.take(&session).call.unwrap());
    bench.respond(calls[0], &response(1));
    bench.say(calls[1], 5);
    assert_eq!(said(&bench.body(exchange)), ["id=1", "5"]);
    assert_eq!(bench.closed(exchange), None);
    bench.respond(calls[1], &response(2));
    assert_eq!(said(&bench.body(exchange)), ["id=2"]);
    assert!(bench.closed(exchange).is_some());
}

#[test]
fn a_batch_of_what_cannot_be_together_is_refused_whole() {
    let limits = StreamableLimits { max_batch: 3.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open("2025-03-26");
    let one = request(1);
    for (body, outcome) in [
        ("[]".to_owned(), "400 -32600"),
        (format!("[{one},{one},{one},{one}]"), "400 -32600"),
        (format!("[{one},{}]", response(9)), "400 -32600"),
        (format!("[{one},1]"), "400 -32600"),
        (format!("[{one},[{one}]]"), "400 -32600"),
        (format!("[{one},"), "400 -32700"),
        (format!("[{}]", super::bench::initialize("2025-03-26")), "400 -32600"),
        (format!("[{},{}]", response(8), response(9)), "202"),
        (format!("[{}]", note(1)), "202"),
    ] {
        assert_eq!(bench.post(&session, "", &body).whole().outcome(), outcome, "{body}");
    }
    assert_eq!([0; 3].map(|_| bench.take(&session).call), [None; 3]);
    assert_eq!(bench.try_take(&session), None);
}

#[test]
fn hurt_03_hurt_20_a_full_stream_refuses_and_tells_when_there_is_room_and_its_response_has_a_place() {
    let limits = StreamableLimits { replay_frames: 3.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open("2025-06-18");
    let (exchange, call) = bench.call(&session, "2025-06-18", 1);
    let (_, other) = bench.call(&session, "2025-06-18", 2);
    (0..3).for_each(|n| bench.say(call, n));
    assert_eq!(bench.endpoint.send_for(bench.now, call, note(3)), Err(NotSent::Full(note(3))));
    bench.drain();
    bench.say(other, 0);
    bench.respond(call, &response(1));
    assert_eq!(bench.drain(), [], "no room is told of where none was made");
    assert_eq!(said(&bench.body(exchange)), ["0", "1", "2", "id=1"]);

    let (exchange, call) = bench.call(&session, "2025-06-18", 3);
    (0..3).for_each(|n| bench.say(call, n));
    assert_eq!(bench.endpoint.send_for(bench.now, call, note(3)), Err(NotSent::Full(note(3))));
    bench.run();
    bench.drain();
    bench.write(exchange, usize::MAX);
    let outlet = sansio_sse::mcp::Outlet::Call(call);
    assert_eq!(bench.drain(), [StreamableEvent::Room(outlet)]);
    bench.say(call, 3);
    assert_eq!(said(&bench.body(exchange)), ["0", "1", "2", "3"]);
}

#[test]
fn a_stream_is_filled_again_as_long_as_more_waits_than_it_has_room_for() {
    let two = 2.try_into().unwrap();
    let stream = StreamConfig::builder().max_queued(two, (1 << 20).try_into().unwrap()).build().unwrap();
    let config = StreamableConfig { stream: Arc::new(stream), ..StreamableConfig::default() };
    let mut bench = Bench::new(config);
    let session = bench.open("2025-06-18");
    let (own, mut stream) = late_stream(&mut bench, &session);
    for n in 0..5 {
        bench.endpoint.send(bench.now, &session.parse().unwrap(), note(n)).unwrap();
    }
    let rounds = [0; 4].map(|_| {
        let again = bench.endpoint.fill(bench.now, own, &mut stream).again;
        (again, said(&written(bench.now, &mut stream)).len())
    });
    assert_eq!(rounds, [(true, 2), (true, 2), (false, 1), (false, 0)]);
}

#[test]
fn hurt_12_a_newer_stream_begins_once_the_older_is_let_go_or_lost_and_never_for_who_has_left() {
    for how in ["filled", "lost", "left"] {
        let mut bench = Bench::new(StreamableConfig::default());
        let session = bench.open("2025-06-18");
        let (first, mut stream) = late_stream(&mut bench, &session);
        let second = bench.ask_late("GET /mcp", &format!("Mcp-Session-Id: {session}\r\n"));
        assert!(bench.endpoint.answer(bench.now, second).is_none(), "the older one has its socket yet");
        let (speaks, mut stream) = match how {
            "left" => {
                bench.endpoint.handle_gone(bench.now, second);
                let _ = bench.endpoint.fill(bench.now, first, &mut stream);
                (first, stream)
            }
            how => {
                if how == "filled" {
                    let _ = bench.endpoint.fill(bench.now, first, &mut stream);
                } else {
                    stream.handle_disconnect(bench.now, Disconnect::Reset);
                    bench.endpoint.handle_closed(bench.now, first, stream.closed().unwrap());
                }
                let Some(Answer::Stream(newer)) = bench.endpoint.answer(bench.now, second) else {
                    panic!("{how}: it waits for nobody");
                };
                (second, newer)
            }
        };
        bench.endpoint.send(bench.now, &session.parse().unwrap(), note(1)).unwrap();
        assert!(!bench.endpoint.fill(bench.now, speaks, &mut stream).again);
        assert_eq!(said(&written(bench.now, &mut stream)), ["1"], "{how}");
        assert!(stream.is_open());
    }
}

#[test]
fn a_request_that_is_let_go_leaves_nothing_behind() {
    for said_something in [false, true] {
        let mut bench = Bench::new(StreamableConfig::default());
        let session = bench.open(V11);
        let (exchange, call) = bench.call(&session, V11, 1);
        if said_something {
            bench.say(call, 1);
        }
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        assert_eq!(bench.post(&session, V11, cancel).whole().status, 202);
        assert_eq!(bench.take(&session).cancels, Some(call));
        bench.endpoint.let_go(bench.now, call);
        bench.run();
        assert_eq!(
            said(&bench.body(exchange)).len(),
            1 + usize::from(said_something),
            "the stream ends without it"
        );
        assert!(bench.closed(exchange).is_some());
        assert_eq!(bench.endpoint.request(call), None);
        assert_eq!(bench.post(&session, V11, cancel).whole().status, 202);
        assert_eq!(bench.take(&session).cancels, None, "it is over");
    }
}

#[test]
fn a_longest_response_ends_early_and_says_when_to_come_again() {
    let config = StreamableConfig {
        poll_after: Some(Duration::from_secs(30)),
        answers: AnswerMode::Stream,
        ..StreamableConfig::default()
    };
    for (version, polls) in [("2025-06-18", false), (V11, true)] {
        let mut bench = Bench::new(config.clone());
        let session = bench.open(version);
        let (exchange, call) = bench.call(&session, version, 1);
        bench.body(exchange);
        bench.wait(29_999);
        assert_eq!(bench.body(exchange), "");
        bench.wait(1);
        let body = bench.body(exchange);
        assert_eq!(
            (body.as_str(), bench.closed(exchange).is_some()),
            (if polls { "retry: 1000\n\n" } else { "" }, polls)
        );
        bench.respond(call, &response(1));
    }
}

// ---- helpers ----

/// A `GET` whose events the test sees to by itself.
fn late_stream(bench: &mut Bench, session: &str) -> (ExchangeId, Box<EventStream>) {
    let own = bench.ask_late("GET /mcp", &format!("Mcp-Session-Id: {session}\r\n"));
    match bench.endpoint.answer(bench.now, own) {
        Some(Answer::Stream(stream)) => (own, stream),
        answer => panic!("{answer:?}"),
    }
}

/// All that is offered; the socket takes it.
fn written(now: Tick, stream: &mut EventStream) -> String {
    let Step::Run { bytes, .. } = stream.poll() else { return String::new() };
    let all: Vec<u8> = bytes.pieces().flatten().copied().collect();
    stream.handle_wrote(now, all.len());
    String::from_utf8(all).unwrap()
}
