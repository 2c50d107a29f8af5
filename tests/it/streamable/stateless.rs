//! 2026-07-28: no sessions, a stream a request, its end cancels, and headers that say what the body says.

use sansio_sse::mcp::{
    AnswerMode, CallId, ExchangeId, NotSent, Offer, Principal, StreamableConfig, StreamableEvent,
    StreamableLimits, Unfit, decode_mirrored,
};

use super::bench::{BOTH, Bench, Got, JSON, initialize, json, note, response, said};

const V: &str = "MCP-Protocol-Version: 2026-07-28\r\n";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

#[test]
fn a_request_is_answered_by_json_or_by_a_stream_without_ids_that_it_ends() {
    let mut bench = Bench::new(StreamableConfig::default());
    let (exchange, call) = call(&mut bench, "tools/list", "");
    bench.respond(call, &response(1));
    let whole = bench.whole(exchange).unwrap();
    assert_eq!((whole.status, whole.body.as_str()), (200, response(1).as_str()));
    assert_eq!(whole.header("Mcp-Session-Id"), None);

    let (exchange, call) = self::call(&mut bench, "tools/list", "");
    bench.say(call, 1);
    bench.respond(call, &response(1));
    let text = bench.read(exchange);
    assert!(text.contains("\r\nX-Accel-Buffering: no\r\n") && !text.contains("Mcp-Session-Id"), "{text}");
    assert!(!text.contains("\nid:") && !text.contains("retry"), "{text}");
    assert_eq!(said(&text), ["1", "id=1"]);
    assert!(bench.closed(exchange).is_some());
    assert_eq!(bench.endpoint.load(), (0, 0, 0), "nothing is kept");
    assert!(!bench.drain().iter().any(|event| matches!(event, StreamableEvent::Cancelled(_))));
}

#[test]
fn check_21_closing_the_response_cancels_and_nothing_is_said_after_it() {
    for how in ["waiting", "streaming"] {
        let mut bench = Bench::new(StreamableConfig::default());
        let (exchange, call) = call(&mut bench, "tools/list", "");
        bench.drain();
        if how == "streaming" {
            bench.say(call, 1);
            bench.read(exchange);
            bench.cut(exchange);
        } else {
            bench.gone(exchange);
        }
        assert_eq!(bench.drain(), [StreamableEvent::Cancelled(call)], "{how}");
        assert_eq!(bench.endpoint.send_for(bench.now, call, note(2)), Err(NotSent::Gone(note(2))));
        let late = json(&response(1));
        assert_eq!(bench.endpoint.respond(bench.now, call, late.clone()), Err(NotSent::Gone(late)));
        assert_eq!((bench.endpoint.load(), bench.endpoint.deadline()), ((0, 0, 0), None));
    }
}

#[test]
fn there_is_no_get_no_delete_and_the_headers_of_sessions_mean_nothing() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-11-25");
    for request in ["GET /mcp", "DELETE /mcp"] {
        let lines = format!("{V}{BOTH}Mcp-Session-Id: {session}\r\n");
        let whole = bench.ask(&Principal::anonymous(), request, &lines, "").whole();
        assert_eq!((whole.status, whole.header("Allow")), (405, Some("POST")), "{request}");
    }
    let foreign = format!("Mcp-Session-Id: /{session}\r\nMcp-Session-Id: x\r\nLast-Event-ID: 1.1\r\n");
    let body = request(1, "tools/list", "");
    let exchange =
        post(&mut bench, &(V.to_owned() + "Mcp-Method: tools/list\r\n" + &foreign), &body).exchange();
    let taken = bench.endpoint.take(bench.now, None).unwrap();
    assert_eq!(taken.session, None);
    bench.respond(taken.call.unwrap(), &response(1));
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
    assert_eq!(bench.endpoint.sessions().count(), 1);
}

#[test]
fn check_13_headers_and_metadata_match_the_body_or_are_refused() {
    let call = |name: &str| request(7, "tools/call", &format!(r#""name":{name},"#));
    let read = |uri: &str| request(7, "resources/read", &format!(r#""uri":{uri},"#));
    let list = request(7, "tools/list", "");
    let (m_list, m_call, m_read) =
        ("Mcp-Method: tools/list\r\n", "Mcp-Method: tools/call\r\n", "Mcp-Method: resources/read\r\n");
    let with_meta = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"_meta":{meta}}}}}"#)
    };
    let (m_task, task) =
        ("Mcp-Method: tasks/get\r\n", |id: &str| request(7, "tasks/get", &format!("\"taskId\":{id},")));
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    for (headers, body, outcome) in [
        (format!("{V}{m_list}"), list.clone(), "ok"),
        (format!("{V}MCP-METHOD:   tools/list  \r\n"), list.clone(), "ok"),
        (V.to_owned(), list.clone(), "400 -32020"),
        (format!("{V}Mcp-Method: prompts/list\r\n"), list.clone(), "400 -32020"),
        (format!("{V}Mcp-Method: TOOLS/LIST\r\n"), list.clone(), "400 -32020"),
        (format!("{V}{m_list}{m_list}"), list.clone(), "400 -32020"),
        (m_list.to_owned(), list.clone(), "400 -32020"),
        (format!("MCP-Protocol-Version: 2025-11-25\r\n{m_list}"), list.clone(), "400 -32020"),
        (format!("MCP-Protocol-Version: v9\r\n{m_list}"), list.clone(), "400 -32020"),
        (format!("MCP-Protocol-Version: v9\r\n{m_list}"), list.replace("2026-07-28", "v9"), "400 -32022"),
        (format!("{V}{m_list}"), list.replace("2026-07-28", "v9"), "400 -32020"),
        // What `_meta` must hold.
        (format!("{V}{m_list}"), super::bench::request(7), "400 -32602"),
        (format!("{V}{m_list}"), with_meta("null"), "400 -32602"),
        (format!("{V}{m_list}"), with_meta("{}"), "400 -32602"),
        (format!("{V}{m_list}"), with_meta("7"), "400 -32602"),
        (format!("{V}{m_list}"), with_meta(&format!("{{{version}}}")), "400 -32602"),
        (format!("{V}{m_list}"), with_meta(&format!("{{{capabilities}}}")), "400 -32602"),
        (format!("{V}{m_list}"), with_meta(&format!("{{{version},{version},{capabilities}}}")), "400 -32602"),
        (
            format!("{V}{m_list}"),
            with_meta(&format!("{{{version},{capabilities},\"io.modelcontextprotocol/clientInfo\":7}}")),
            "400 -32602",
        ),
        // Names.
        (format!("{V}{m_call}Mcp-Name: x\r\n"), call("\"x\""), "ok"),
        (format!("{V}{m_call}Mcp-Name:  x \r\n"), call("\"x\""), "ok"),
        (format!("{V}{m_call}Mcp-Name: =?base64?SMO8aA==?=\r\n"), call("\"H\u{fc}h\""), "ok"),
        (format!("{V}{m_call}Mcp-Name: =?base64?SMO8aA==\r\n"), call("\"=?base64?SMO8aA==\""), "ok"),
        (format!("{V}{m_read}Mcp-Name: file:///a b\r\n"), read("\"file:\\/\\/\\/a b\""), "ok"),
        (format!("{V}{m_call}"), call("\"x\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: y\r\n"), call("\"x\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: X\r\n"), call("\"x\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: x\r\nMcp-Name: x\r\n"), call("\"x\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: =?base64?SMO8aA=?=\r\n"), call("\"H\u{fc}h\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: =?base64?SMO8aB==?=\r\n"), call("\"H\u{fc}h\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: =?base64?S!O8aA==?=\r\n"), call("\"H\u{fc}h\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: =?base64?/w==?=\r\n"), call("\"x\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: H\u{fc}h\r\n"), call("\"H\u{fc}h\""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: x\r\n"), request(7, "tools/call", ""), "400 -32020"),
        (format!("{V}{m_call}Mcp-Name: x\r\n"), call("\"x\",\"name\":\"y\""), "400 -32602"),
        // Tasks (SEP-2663, Routing Headers): the id of the task is its name.
        (format!("{V}{m_task}Mcp-Name: t1\r\n"), task("\"t1\""), "ok"),
        (format!("{V}{m_task}Mcp-Name: t2\r\n"), task("\"t1\""), "400 -32020"),
        (format!("{V}{m_task}"), task("\"t1\""), "400 -32020"),
        // What is missing in the body is for the application to say.
        (format!("{V}{m_call}"), request(7, "tools/call", ""), "ok"),
    ] {
        let mut bench = Bench::new(StreamableConfig::default());
        let got = match post(&mut bench, &headers, &body) {
            Got::Exchange(_) => "ok".to_owned(),
            Got::Whole(whole) => {
                assert!(whole.body.contains(r#""id":7,"#), "the error names its request: {}", whole.body);
                whole.outcome()
            }
        };
        assert_eq!(got, outcome, "{headers}{body}");
    }
}

#[test]
fn headers_that_repeat_arguments_reach_the_application_decoded() {
    let mut bench = Bench::new(StreamableConfig::default());
    let headers = format!(
        "{V}Mcp-Method: tools/list\r\nMcp-Param-Region: us-west1\r\nMCP-PARAM-Greeting: =?base64?SMO8aA==?=\r\n\
         mcp-param-bad: =?base64?SGVsbG8?=\r\nMcp-Parameter: x\r\n"
    );
    post(&mut bench, &headers, &request(1, "tools/list", "")).exchange();
    let mirrored = bench.endpoint.take(bench.now, None).unwrap().mirrored;
    let expected = [("region", Some("us-west1")), ("greeting", Some("H\u{fc}h")), ("bad", None)];
    assert_eq!(mirrored.len(), expected.len());
    for ((name, value), (expected, decoded)) in mirrored.iter().zip(expected) {
        assert_eq!((name.as_str(), value.as_deref()), (expected, decoded));
    }
}

#[test]
fn a_mirrored_value_has_one_spelling_in_base64_with_every_digit() {
    for (header, value) in [
        ("=?base64?Pz8/Pj4+?=", Some("???>>>")),
        ("=?base64?AAECZ3p7QVpheg==?=", Some("\0\u{1}\u{2}gz{AZaz")),
        ("=?base64??=", Some("")),
        ("=?base64?YQ==?=", Some("a")),
        ("=?base64?YR==?=", None),
        ("=?base64?YQ=?=", None),
        ("=?base64?Y===?=", None),
        ("=?base64?====?=", None),
        ("=?base64?YWI=?=", Some("ab")),
        ("=?base64?YWJ=?=", None),
    ] {
        assert_eq!(decode_mirrored(header.as_bytes()).as_deref(), value, "{header}");
    }
}

#[test]
fn what_waits_for_a_stream_without_ids_is_bounded_to_the_byte() {
    let one = format!("event: message\ndata: {}\n\n", note(0)).len();
    for (bytes, fit) in [(3 * one, 3), (3 * one - 1, 2), (1, 1)] {
        let limits =
            StreamableLimits { replay_bytes: bytes.try_into().unwrap(), ..StreamableLimits::default() };
        let mut bench = Bench::new(StreamableConfig { limits, ..StreamableConfig::default() });
        let (exchange, call) = call(&mut bench, "tools/list", "");
        bench.say(call, 0);
        assert_eq!(said(&bench.body(exchange)), ["0"]);
        for _ in 0..3 {
            let accepted =
                (1..9).take_while(|n| bench.endpoint.send_for(bench.now, call, note(*n)).is_ok()).count();
            assert_eq!(accepted, fit, "within {bytes} bytes");
            bench.run();
            assert_eq!(said(&bench.body(exchange)).len(), fit);
        }
    }
}

#[test]
fn what_an_error_says_decides_the_status_where_it_is_all_that_is_said() {
    for (code, status) in
        [(-32601, 404), (-32020, 400), (-32021, 400), (-32022, 400), (-32602, 200), (-32000, 200), (7, 200)]
    {
        for answers in [AnswerMode::Auto, AnswerMode::Json, AnswerMode::Stream] {
            let mut bench = Bench::new(StreamableConfig { answers, ..StreamableConfig::default() });
            let (exchange, call) = call(&mut bench, "unknown/method", "");
            bench.respond(
                call,
                &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m"}}}}"#),
            );
            match bench.whole(exchange) {
                Some(whole) => assert_eq!(whole.outcome(), format!("{status} {code}")),
                None => assert!(answers == AnswerMode::Stream && status == 200 && bench.is_stream(exchange)),
            }
        }
    }
    // In revisions with sessions, an error is an answer like any other.
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open("2025-11-25");
    let (exchange, call) = bench.call(&session, "2025-11-25", 1);
    bench.respond(call, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#);
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
}

#[test]
fn methods_of_earlier_revisions_are_unknown_and_the_application_never_sees_them() {
    let mut bench = Bench::new(StreamableConfig::default());
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let headers = format!("{V}Mcp-Method: {method}\r\n");
        let whole = post(&mut bench, &headers, &request(5, method, "")).whole();
        assert_eq!(whole.outcome(), "404 -32601", "{method}");
        assert!(whole.body.contains(r#""id":5,"#));
    }
    assert_eq!((bench.try_take(""), bench.endpoint.sessions().count()), (None, 0));
    assert!(
        matches!(bench.post("", "", &initialize("2025-11-25")), Got::Exchange(_)),
        "both eras are served at once"
    );
}

#[test]
fn one_message_a_post_no_responses_and_no_requests_of_the_server() {
    let mut bench = Bench::new(StreamableConfig::default());
    let batch = format!("[{}]", request(1, "tools/list", ""));
    let headers = format!("{V}Mcp-Method: tools/list\r\n");
    assert_eq!(post(&mut bench, &headers, &batch).whole().outcome(), "400 -32600");
    assert_eq!(post(&mut bench, V, &response(1)).whole().outcome(), "400 -32600");
    assert_eq!(post(&mut bench, V, note(1).as_str()).whole().status, 202);
    assert_eq!(bench.endpoint.take(bench.now, None).unwrap().message, note(1));
    let (_, call) = call(&mut bench, "tools/list", "");
    let asks = json(r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage"}"#);
    let refused = NotSent::Unfit { message: asks.clone(), why: Unfit::Request };
    assert_eq!(bench.endpoint.send_for(bench.now, call, asks), Err(refused));
    assert!(!bench.endpoint.poll_later(bench.now, call, None));
}

#[test]
fn check_24_hurt_15_two_clients_with_the_same_id_have_their_own_answers() {
    let mut bench = Bench::new(StreamableConfig::default());
    let calls = [0; 3].map(|_| call(&mut bench, "tools/list", ""));
    for (n, (_, call)) in [(2, calls[2]), (0, calls[0]), (1, calls[1])] {
        bench.respond(call, &format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"n":{n}}}}}"#));
    }
    for (n, (exchange, _)) in (0..).zip(calls) {
        assert!(bench.whole(exchange).unwrap().body.contains(&format!(r#"{{"n":{n}}}"#)));
    }
}

#[test]
fn check_26_requests_without_a_session_are_bounded() {
    let limits = StreamableLimits { max_stateless: 2.try_into().unwrap(), ..StreamableLimits::default() };
    let subscriptions = Some(Offer::all());
    let mut bench = Bench::new(StreamableConfig { limits, subscriptions, ..StreamableConfig::default() });
    let (exchange, _) = call(&mut bench, "tools/list", "");
    let listening = listen(&mut bench, 1, "{}").exchange();
    assert_eq!(listen(&mut bench, 2, "{}").whole().status, 503);
    let headers = format!("{V}Mcp-Method: tools/list\r\n");
    assert_eq!(post(&mut bench, &headers, &request(1, "tools/list", "")).whole().status, 503);
    bench.gone(exchange);
    bench.cut(listening);
    assert_eq!(bench.endpoint.load(), (0, 0, 0));
    call(&mut bench, "tools/list", "");
    listen(&mut bench, 2, "{}").exchange();
}

#[test]
fn a_subscription_is_acknowledged_first_and_hears_what_it_asked_for_and_is_offered() {
    let offer = Offer { prompts: false, ..Offer::all() };
    let mut bench =
        Bench::new(StreamableConfig { subscriptions: Some(offer), ..StreamableConfig::default() });
    let filter =
        r#"{"toolsListChanged":true,"promptsListChanged":true,"resourceSubscriptions":["file:///a"]}"#;
    let exchange = listen(&mut bench, 1, filter).exchange();
    let other = listen(&mut bench, 2, r#"{"resourcesListChanged":true,"toolsListChanged":false}"#).exchange();
    let [StreamableEvent::Subscribed { call, filter }, _] = &bench.drain()[..] else { panic!() };
    assert!(filter.tools && !filter.prompts && !filter.resources);
    let call = *call;
    let first = bench.body(exchange);
    assert_eq!(
        first,
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":\
         {\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":1},\"notifications\":{\"toolsListChanged\":true,\
         \"resourceSubscriptions\":[\"file:///a\"]}}}\n\n"
    );
    bench.body(other);
    let notification = |method: &str, params: &str| {
        json(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}"{params}}}"#))
    };
    for (message, heard) in [
        (notification("tools/list_changed", ""), [1, 0]),
        (notification("prompts/list_changed", ""), [0, 0]),
        (notification("resources/list_changed", ""), [0, 1]),
        (notification("resources/updated", r#","params":{"uri":"file:///a"}"#), [1, 0]),
        (notification("resources/updated", r#","params":{"uri":"file:///b"}"#), [0, 0]),
        (notification("resources/updated", ""), [0, 0]),
        (notification("progress", ""), [0, 0]),
        (notification("message", ""), [0, 0]),
    ] {
        assert_eq!(bench.endpoint.publish(bench.now, &message), heard[0] + heard[1], "{message}");
        bench.run();
        for ((exchange, id), heard) in [(exchange, 1), (other, 2)].into_iter().zip(heard) {
            let body = bench.body(exchange);
            assert_eq!(said(&body).len(), heard, "{message}: {body}");
            assert!(
                heard == 0 || body.contains(&format!(r#""io.modelcontextprotocol/subscriptionId":{id}"#))
            );
        }
    }
    // The application does not answer it; the client ends it by closing.
    let refused = bench.endpoint.respond(bench.now, call, json(&response(1)));
    assert!(matches!(refused, Err(NotSent::Unfit { why: Unfit::Subscription, .. })));
    let refused = bench.endpoint.send_for(bench.now, call, note(1)).unwrap_err();
    assert!(matches!(refused, NotSent::Unfit { why: Unfit::Subscription, .. }));
    assert_eq!(refused.into_message(), note(1), "it comes back");
    bench.cut(exchange);
    assert_eq!(bench.drain(), [StreamableEvent::Cancelled(call)]);
}

#[test]
fn a_subscriber_that_stalls_holds_each_notice_once_and_harms_no_other() {
    let subscriptions = Some(Offer::all());
    let mut bench = Bench::new(StreamableConfig { subscriptions, ..StreamableConfig::default() });
    let stalled = listen(&mut bench, 1, r#"{"toolsListChanged":true}"#).exchange();
    let reads = listen(&mut bench, 2, r#"{"toolsListChanged":true}"#).exchange();
    bench.read(reads);
    let changed = json(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    for _ in 0..10_000 {
        assert_eq!(bench.endpoint.publish(bench.now, &changed), 2);
        bench.run();
        assert_eq!(said(&bench.body(reads)).len(), 1);
    }
    let waited = said(&bench.body(stalled)).len();
    assert!(waited <= 258, "its stream's queue and one more, not {waited}");
}

#[test]
fn a_filter_that_is_none_is_refused_and_without_an_offer_it_is_the_applications() {
    let subscriptions = Some(Offer::all());
    let limits = StreamableLimits { max_resources: 1.try_into().unwrap(), ..StreamableLimits::default() };
    let mut bench = Bench::new(StreamableConfig { subscriptions, limits, ..StreamableConfig::default() });
    for filter in [
        "null",
        "[]",
        "true",
        r#"{"toolsListChanged":1}"#,
        r#"{"resourceSubscriptions":"a"}"#,
        r#"{"resourceSubscriptions":[1]}"#,
        r#"{"resourceSubscriptions":["a","b"]}"#,
        r#"{"toolsListChanged":true,"toolsListChanged":false}"#,
    ] {
        assert_eq!(listen(&mut bench, 3, filter).whole().outcome(), "400 -32602", "{filter}");
    }
    let headers = format!("{V}Mcp-Method: subscriptions/listen\r\n");
    let whole = post(&mut bench, &headers, &request(3, "subscriptions/listen", "")).whole();
    assert_eq!(whole.outcome(), "400 -32602");
    assert_eq!(bench.endpoint.load(), (0, 0, 0));

    let mut bench = Bench::new(StreamableConfig::default());
    listen(&mut bench, 3, "{}").exchange();
    let taken = bench.endpoint.take(bench.now, None).unwrap();
    assert_eq!(taken.message.method(), Some("subscriptions/listen"));
}

#[test]
fn silence_on_a_subscription_brings_comments_and_the_servers_end_brings_the_result() {
    let subscriptions = Some(Offer::all());
    let mut bench = Bench::new(StreamableConfig { subscriptions, ..StreamableConfig::default() });
    let exchange = listen(&mut bench, 4, r#"{"toolsListChanged":true}"#).exchange();
    bench.read(exchange);
    bench.wait(15_000);
    bench.tick(exchange);
    assert_eq!(bench.read(exchange), ":\n\n");
    bench.endpoint.finish(bench.now);
    bench.run();
    assert_eq!(
        bench.read(exchange),
        "event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":4,\"result\":{\"resultType\":\"complete\",\
         \"_meta\":{\"io.modelcontextprotocol/subscriptionId\":4}}}\n\n"
    );
    assert!(bench.closed(exchange).is_some());
    assert_eq!(bench.endpoint.load(), (0, 0, 0));
    assert_eq!(listen(&mut bench, 5, "{}").whole().status, 503);
}

// ---- helpers ----

fn request(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{META}}}}}"#)
}

fn post(bench: &mut Bench, headers: &str, body: &str) -> Got {
    bench.ask(&Principal::anonymous(), "POST /mcp", &format!("{JSON}{BOTH}{headers}"), body)
}

/// A request with the id 1 that the application has taken.
fn call(bench: &mut Bench, method: &str, params: &str) -> (ExchangeId, CallId) {
    let exchange =
        post(bench, &format!("{V}Mcp-Method: {method}\r\n"), &request(1, method, params)).exchange();
    (exchange, bench.endpoint.take(bench.now, None).unwrap().call.unwrap())
}

fn listen(bench: &mut Bench, id: u32, filter: &str) -> Got {
    let method = "subscriptions/listen";
    let body = request(id, method, &format!(r#""notifications":{filter},"#));
    post(bench, &format!("{V}Mcp-Method: {method}\r\n"), &body)
}
