//! What belongs to what: responses that somebody waits for, cancellations, and messages of an application that knows
//! no requests.

use sansio_sse::mcp::{
    AnswerMode, Message, NotSent, Outlet, Principal, SessionId, StreamableConfig, StreamableEvent,
    StreamableLimits,
};

use super::bench::{Bench, json, note, request, response, said};

const V06: &str = "2025-06-18";

fn id(session: &str) -> SessionId {
    SessionId::parse(session).unwrap()
}

#[test]
fn a_response_that_is_expected_is_told_and_needs_no_room() {
    let one = core::num::NonZeroUsize::MIN;
    let limits = StreamableLimits { max_messages: one, max_held: one, ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V06);
    bench.endpoint.expect(&id(&session), "7");
    // The queue is full, and so is what waits for room in it.
    assert_eq!(bench.post(&session, V06, note(1).as_str()).whole().status, 202);
    bench.post(&session, V06, note(2).as_str()).exchange();
    assert_eq!(bench.post(&session, V06, note(3).as_str()).whole().status, 503);
    bench.drain();
    assert_eq!(bench.post(&session, V06, &response(7)).whole().status, 202);
    let told = StreamableEvent::Responded { session: id(&session), response: json(&response(7)) };
    assert_eq!(bench.drain(), [told]);
    // The second one is like any other that nobody waits for.
    assert_eq!(bench.post(&session, V06, &response(7)).whole().status, 503);
    assert_eq!(bench.take(&session).message, note(1));
}

#[test]
fn a_response_of_another_id_or_session_or_too_late_is_taken_like_any_message() {
    let mut bench = Bench::new(StreamableConfig::default());
    let (session, other) = (bench.open(V06), bench.open(V06));
    bench.endpoint.expect(&id(&session), "7");
    bench.endpoint.expect(&id(&session), "\"8\"");
    bench.endpoint.expect(&id(&session), "9");
    bench.endpoint.expect_no_more(&id(&session), "9");
    for (session, n) in [(&session, 8), (&other, 7), (&session, 9)] {
        assert_eq!(bench.post(session, V06, &response(n)).whole().status, 202);
        assert_eq!(bench.take(session).message, json(&response(n)));
    }
}

#[test]
fn a_batch_of_responses_is_parted() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-03-26");
    bench.endpoint.expect(&id(&session), "1");
    let batch = format!("[{},{}]", response(1), response(2));
    assert_eq!(bench.post(&session, "2025-03-26", &batch).whole().status, 202);
    let events = bench.drain();
    assert!(matches!(events[0], StreamableEvent::Responded { .. }), "{events:?}");
    assert_eq!(bench.take(&session).message, json(&response(2)));
    assert_eq!(bench.try_take(&session), None);
}

#[test]
fn a_cancellation_is_told_when_it_comes_and_once() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V06);
    let (_, call) = bench.call(&session, V06, 1);
    assert!(bench.endpoint.is_wanted(call));
    bench.drain();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    for told in [1, 0] {
        bench.post(&session, V06, cancel).whole();
        let events = bench.drain();
        assert_eq!(events.iter().filter(|e| **e == StreamableEvent::Unwanted(call)).count(), told);
        assert!(!bench.endpoint.is_wanted(call));
        assert_eq!(bench.take(&session).cancels, Some(call), "it comes in its turn, too");
    }
    // It can still be answered.
    bench.respond(call, &response(1));
    assert!(!bench.endpoint.is_wanted(call));
}

#[test]
fn a_message_goes_to_its_request_or_to_the_only_one_or_to_the_session() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V06);
    let own = Outlet::Session(id(&session));
    let news = json(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    let asks = json(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}"#);
    let progress = |token: &str| {
        json(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token}}}}}"#
        ))
    };
    let with_token = |n: u32, token: &str| {
        let params = format!(r#"{{"_meta":{{"progressToken":{token}}}}}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{params}}}"#)
    };
    let outlet = |bench: &Bench, message: &Message| bench.endpoint.outlet(&id(&session), message);

    // None is open.
    assert_eq!(outlet(&bench, &asks), Some(own.clone()));
    assert_eq!(outlet(&bench, &json(&response(1))), None);
    // One that nobody has taken is not worked on.
    bench.post(&session, V06, &with_token(1, "7")).exchange();
    assert_eq!(outlet(&bench, &asks), Some(own.clone()));
    let first = Outlet::Call(bench.take(&session).call.unwrap());
    for message in [&asks, &progress("7"), &json(&response(1)), &note(1)] {
        assert_eq!(outlet(&bench, message), Some(first.clone()), "{message}");
    }
    for message in [&news, &progress("\"7\""), &progress("8")] {
        assert_eq!(outlet(&bench, message), Some(own.clone()), "{message}");
    }
    assert_eq!(outlet(&bench, &json(&response(2))), None);
    // Between two, only their names tell.
    bench.post(&session, V06, &with_token(2, "8")).exchange();
    let second = Outlet::Call(bench.take(&session).call.unwrap());
    assert_eq!(outlet(&bench, &asks), Some(own.clone()));
    assert_eq!(outlet(&bench, &progress("8")), Some(second.clone()));
    assert_eq!(outlet(&bench, &json(&response(2))), Some(second));
    let other = id(&bench.open(V06));
    assert_eq!(bench.endpoint.outlet(&other, &asks), Some(Outlet::Session(other.clone())));
    bench.delete(&session);
    assert_eq!(bench.endpoint.outlet(&id(&session), &asks), None);
}

#[test]
fn what_is_relayed_is_said_there() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V06);
    let exchange = bench.post(&session, V06, &request(1)).exchange();
    bench.take(&session);
    for message in [note(1), json(&response(1))] {
        bench.endpoint.relay(bench.now, &id(&session), message).unwrap();
        bench.run();
    }
    let late = json(&response(1));
    assert_eq!(bench.endpoint.relay(bench.now, &id(&session), late.clone()), Err(NotSent::Gone(late)));
    assert_eq!(said(&bench.body(exchange)), ["1", "id=1"]);
}

#[test]
fn what_no_stream_is_for_goes_to_the_session() {
    let mut bench = Bench::new(StreamableConfig { answers: AnswerMode::Json, ..StreamableConfig::default() });
    let session = bench.open(V06);
    let (exchange, _) = bench.call(&session, V06, 1);
    let own = Some(Outlet::Session(id(&session)));
    assert_eq!(bench.endpoint.outlet(&id(&session), &note(1)), own);
    // Nor is there one for a client that left before it was told of one.
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V06);
    let (left, call) = bench.call(&session, V06, 1);
    assert_eq!(bench.endpoint.outlet(&id(&session), &note(1)), Some(Outlet::Call(call)));
    bench.gone(left);
    assert_eq!(bench.endpoint.outlet(&id(&session), &note(1)), Some(Outlet::Session(id(&session))));
    let _ = exchange;
}

#[test]
fn who_waits_for_room_learns_that_nobody_reads_any_more() {
    let limits =
        StreamableLimits { replay_frames: core::num::NonZeroUsize::MIN, ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V06);
    let own = Outlet::Session(id(&session));
    assert!(!bench.endpoint.is_heard(&own));
    let stream = bench.get(&session, V06, "").exchange();
    assert!(bench.endpoint.is_heard(&own));
    bench.send(&session, 1);
    let full = bench.endpoint.send(bench.now, &id(&session), note(2));
    assert_eq!(full, Err(NotSent::Full(note(2))));
    bench.drain();
    bench.cut(stream);
    assert_eq!(bench.drain(), [StreamableEvent::Room(own.clone())]);
    assert!(!bench.endpoint.is_heard(&own));
}

#[test]
fn what_finds_no_room_where_nobody_reads_is_dropped_and_a_request_whose_response_is_ends() {
    // Room for one event.
    let replay_bytes = core::num::NonZeroUsize::new(100).unwrap();
    let limits = StreamableLimits { replay_bytes, ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
    let session = bench.open(V06);
    let name = id(&session);
    bench.send(&session, 1);
    assert_eq!(bench.endpoint.relay_or_drop(bench.now, &name, note(2)), Ok(Some(note(2))), "nobody reads");
    let own = bench.get(&session, V06, "").exchange();
    assert_eq!(bench.endpoint.relay_or_drop(bench.now, &name, note(3)), Err(NotSent::Full(note(3))));
    assert_eq!(said(&bench.body(own)), ["1"]);
    assert_eq!(bench.endpoint.relay_or_drop(bench.now, &name, note(3)), Ok(None));
    bench.run();
    assert_eq!(said(&bench.body(own)), ["3"]);

    let (exchange, call) = bench.call(&session, V06, 1);
    bench.say(call, 4);
    bench.cut(exchange);
    let answer = json(&response(1));
    let dropped = bench.endpoint.relay_or_drop(bench.now, &name, answer.clone());
    assert_eq!(dropped, Ok(Some(answer.clone())));
    assert_eq!(bench.endpoint.request(call), None, "it is over");
    assert_eq!(
        bench.endpoint.relay_or_drop(bench.now, &name, answer.clone()),
        Err(NotSent::Gone(answer)),
        "nobody waits for it"
    );
}

#[test]
fn an_application_of_messages_sends_no_response_to_what_is_cancelled_but_for_initialize() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V06);
    let (exchange, call) = bench.call(&session, V06, 1);
    bench.endpoint.relay_cancelled(bench.now, call);
    bench.run();
    assert_eq!(bench.endpoint.request(call), None);
    assert!(said(&bench.body(exchange)).is_empty());
    assert!(bench.closed(exchange).is_some(), "its stream ends");

    let (_, session, call) = bench.opening(&Principal::anonymous(), V06);
    bench.endpoint.relay_cancelled(bench.now, call);
    assert!(bench.endpoint.request(call).is_some(), "it can't be");
    assert!(bench.endpoint.sessions().any(|id| *id == session));
}

#[test]
fn a_client_is_told_that_the_application_has_lost_its_request_unless_it_wants_no_answer() {
    for cancels in [false, true] {
        let mut bench = Bench::new(StreamableConfig::default());
        let session = bench.open(V06);
        let (exchange, call) = bench.call(&session, V06, 1);
        if cancels {
            let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
            bench.post(&session, V06, cancel);
        }
        bench.endpoint.abandon(bench.now, call);
        bench.run();
        assert_eq!(bench.endpoint.request(call), None);
        if cancels {
            assert!(said(&bench.body(exchange)).is_empty(), "its stream ends without a word");
        } else {
            assert_eq!(bench.whole(exchange).unwrap().outcome(), "200 -32603");
        }
    }
}
