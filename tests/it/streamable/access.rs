//! Who may ask the endpoint, with what, and how pages and principals are told apart.

use sansio_sse::AccessRules;
use sansio_sse::http1::{HeadLimits, RequestHead, Response};
use sansio_sse::mcp::{Authenticate, Principal, Refusal, RequestFacts, StreamableConfig};

use super::bench::{BOTH, Bench, Got, JSON, Whole, initialize, note, request, response};

const V11: &str = "2025-11-25";

#[test]
fn check_01_hurt_25_who_may_ask_is_decided_first_for_every_method() {
    for method in ["GET", "POST", "DELETE", "OPTIONS", "PUT", "TRACE"] {
        for (lines, status) in [
            ("Host: evil.example\r\n", 403),
            ("Host: localhost\r\nOrigin: http://evil.example\r\n", 403),
            ("Host: localhost\r\nOrigin: null\r\n", 403),
            ("Host: localhost\r\nOrigin: http://localhost.evil.example\r\n", 403),
            ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost\r\n", 403),
            ("", 400),
        ] {
            let mut bench = Bench::new(StreamableConfig::default());
            let head = format!("{method} /mcp HTTP/1.0\r\n{lines}{JSON}{BOTH}\r\n");
            let whole = bench.ask_raw(&Principal::anonymous(), &head, &initialize(V11)).whole();
            assert_eq!(whole.outcome(), format!("{status} -32600"), "{head}");
            assert_eq!(bench.endpoint.sessions().count(), 0);
        }
    }
}

#[test]
fn each_method_that_is_none_of_the_endpoints_is_told_which_are() {
    let mut bench = Bench::new(StreamableConfig::default());
    for method in ["PUT", "PATCH", "HEAD", "TRACE", "OPTIONS", "get", "BREW"] {
        let whole = bench.ask(&Principal::anonymous(), &format!("{method} /mcp"), "", "").whole();
        assert_eq!((whole.status, whole.header("Allow")), (405, Some("GET, POST, DELETE")), "{method}");
    }
}

#[test]
fn check_14_a_post_bears_both_answers_and_is_plain_json() {
    for (headers, outcome) in [
        (JSON.to_owned() + BOTH, "exchange"),
        (JSON.to_owned() + "Accept: */*\r\n", "exchange"),
        (JSON.to_owned() + "Accept: text/event-stream\r\nAccept: application/*\r\n", "exchange"),
        ("Content-Type: Application/JSON; charset=utf-8\r\n".to_owned() + BOTH, "exchange"),
        (JSON.to_owned() + "Accept: application/json\r\n", "406 -32600"),
        (JSON.to_owned() + "Accept: text/event-stream\r\n", "406 -32600"),
        (JSON.to_owned() + "Accept: application/json, text/event-stream;q=0\r\n", "406 -32600"),
        (JSON.to_owned() + "Accept: application/json, text/event-stream;Q=0\r\n", "406 -32600"),
        (JSON.to_owned() + "Accept: text/html\r\n", "406 -32600"),
        (BOTH.to_owned(), "415 -32600"),
        ("Content-Type: text/plain\r\n".to_owned() + BOTH, "415 -32600"),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n".to_owned() + BOTH, "415 -32600"),
        (JSON.to_owned() + BOTH + "MCP-Protocol-Version: a\r\nMCP-Protocol-Version: a\r\n", "400 -32600"),
        (JSON.to_owned() + BOTH + "Mcp-Session-Id: a\r\nMcp-Session-Id: a\r\n", "400 -32600"),
        (JSON.to_owned() + BOTH + "Mcp-Session-Id: \r\n", "400 -32600"),
        (JSON.to_owned() + BOTH + "Mcp-Session-Id: a/b\r\n", "400 -32600"),
        (JSON.to_owned() + BOTH + "Mcp-Session-Id: a\r\n", "404 -32600"),
    ] {
        let mut bench = Bench::new(StreamableConfig::default());
        let got = match bench.ask(&Principal::anonymous(), "POST /mcp", &headers, &initialize(V11)) {
            Got::Exchange(_) => "exchange".to_owned(),
            Got::Whole(whole) => whole.outcome(),
        };
        assert_eq!(got, outcome, "{headers}");
    }
}

#[test]
fn hurt_14_a_body_that_cannot_be_read_harms_nothing_else() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    let (exchange, call) = bench.call(&session, V11, 1);
    for (body, outcome) in [
        ("", "400 -32700"),
        ("{", "400 -32700"),
        ("null", "400 -32600"),
        ("{}", "400 -32600"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "400 -32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","Method":"n"}"#, "400 -32600"),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, "400 -32600"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"_meta":{}}}"#, "400 -32602"),
        (&"[".repeat(100_000), "400 -32700"),
    ] {
        assert_eq!(bench.post(&session, V11, body).whole().outcome(), outcome, "{:.60}", body);
    }
    assert_eq!(bench.try_take(&session), None);
    bench.respond(call, &response(1));
    assert_eq!(bench.whole(exchange).unwrap().status, 200);
}

#[test]
fn check_30_cors_is_off_by_default_and_answered_for_configured_origins_only() {
    let preflight = |bench: &mut Bench, origin: &str, asked: &str| {
        let lines = format!("Origin: {origin}\r\nAccess-Control-Request-Headers: {asked}\r\n");
        bench.ask(&Principal::anonymous(), "OPTIONS /mcp", &lines, "").whole()
    };
    let mut off = Bench::new(StreamableConfig::default());
    let whole = preflight(&mut off, "http://localhost", "");
    assert!(whole.status == 405 && !whole.headers.contains("Access-Control"));

    let access = AccessRules::loopback().allow_origin("https://app.example").unwrap();
    let mut bench = Bench::with(access, StreamableConfig::default());
    let whole = preflight(
        &mut bench,
        "https://app.example",
        "mcp-session-id, Mcp-Param-Region, x-evil, mcp-param-a b",
    );
    assert_eq!(whole.status, 204);
    assert_eq!(whole.header("Access-Control-Allow-Methods"), Some("GET, POST, DELETE"));
    let allowed = whole.header("Access-Control-Allow-Headers").unwrap();
    for (name, is_allowed) in [
        ("Mcp-Session-Id", true),
        ("MCP-Protocol-Version", true),
        ("Last-Event-ID", true),
        ("Mcp-Method", true),
        ("Mcp-Name", true),
        ("Authorization", true),
        ("Mcp-Param-Region", true),
        ("x-evil", false),
        ("mcp-param-a", false),
    ] {
        assert_eq!(allowed.split(", ").any(|allowed| allowed == name), is_allowed, "{name} in {allowed}");
    }
    assert!(!whole.headers.contains('*') && !whole.headers.contains("Credentials"));
    assert_eq!(preflight(&mut bench, "https://evil.example", "").status, 403);

    // The answers themselves, and a stream's head; and the page may read the session's id.
    let headers = JSON.to_owned() + BOTH + "Origin: https://app.example\r\n";
    let exchange = bench.ask(&Principal::anonymous(), "POST /mcp", &headers, &initialize(V11)).exchange();
    let session = bench.endpoint.sessions().next().unwrap().to_string();
    let call = bench.take(&session).call.unwrap();
    bench.respond(call, r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#);
    let whole = bench.whole(exchange).unwrap();
    assert_eq!(whole.header("Mcp-Session-Id"), Some(session.as_str()));
    assert_eq!(whole.header("Access-Control-Allow-Origin"), Some("https://app.example"));
    assert_eq!(whole.header("Access-Control-Expose-Headers"), Some("Mcp-Session-Id, WWW-Authenticate"));
    assert_eq!(whole.header("Vary"), Some("Origin"));
    let lines = format!("Origin: https://app.example\r\nMcp-Session-Id: {session}\r\n");
    let own = bench.ask(&Principal::anonymous(), "GET /mcp", &lines, "").exchange();
    assert!(bench.read(own).contains("\r\nAccess-Control-Allow-Origin: https://app.example\r\n"));
    let refused =
        bench.ask(&Principal::anonymous(), "DELETE /mcp", "Origin: https://app.example\r\n", "").whole();
    assert_eq!((refused.status, refused.header("Vary")), (400, Some("Origin")));
}

#[test]
fn check_08_check_09_a_session_is_its_principals_and_to_others_as_if_there_were_none() {
    let (alice, mallory) = (Principal::named("alice"), Principal::named("mallory"));
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open_as(&alice, V11);
    let lines = |session: &str| format!("Mcp-Session-Id: {session}\r\n{JSON}{BOTH}");
    let unknown = "11111111-1111-4111-8111-111111111111";
    for who in [&mallory, &Principal::anonymous()] {
        for (request, body) in
            [("POST /mcp", request(1)), ("GET /mcp", String::new()), ("DELETE /mcp", String::new())]
        {
            let stolen = bench.ask(who, request, &lines(&session), &body).whole();
            let none = bench.ask(who, request, &lines(unknown), &body).whole();
            assert_eq!((stolen.status, &stolen), (404, &none), "{who:?} {request}");
        }
    }
    assert_eq!(bench.try_take(&session), None, "nothing reached the application");
    let got = bench.ask(&alice, "POST /mcp", &lines(&session), &request(1));
    assert!(matches!(got, Got::Exchange(_)));
    assert_eq!(bench.take(&session).principal, alice);
    assert_eq!(bench.endpoint.principal(&session.parse().unwrap()), Some(&alice));
}

#[test]
fn check_06_an_authentication_hook_is_asked_with_the_requests_facts() {
    fn by_token(request: &RequestFacts<'_>) -> Result<Principal, Refusal> {
        match request.head.header("authorization") {
            Some(b"Bearer a") => Ok(Principal::named("alice")),
            Some(_) => Err(Refusal::forbidden()),
            None => Err(Refusal::unauthorized("Bearer realm=\"mcp\"").unwrap()),
        }
    }
    let hook: &Authenticate = &by_token;
    for (line, expected) in
        [("Authorization: Bearer a\r\n", Ok("alice")), ("Authorization: b\r\n", Err(403)), ("", Err(401))]
    {
        let head = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\n{line}\r\n");
        let head = RequestHead::parse(Default::default(), &mut head.as_bytes()).unwrap().unwrap();
        let answer = hook(&RequestFacts { head: &head, peer: None });
        match (answer, expected) {
            (Ok(principal), Ok(name)) => assert_eq!(principal.name(), Some(name)),
            (Err(refusal), Err(status)) => {
                let whole = Whole::of(Response::from(&refusal));
                assert_eq!((refusal.status(), whole.status), (status, status));
                assert_eq!(whole.header("WWW-Authenticate").is_some(), status == 401);
            }
            (answer, expected) => panic!("{answer:?} for {expected:?}"),
        }
    }
    assert!(Refusal::unauthorized("Bearer\r\nX: y").is_err());
    assert_eq!(Refusal::unauthorized("Bearer").unwrap().to_string(), "credentials are required");
    assert_eq!(Refusal::forbidden().to_string(), "not allowed");
    assert_eq!(Refusal::insufficient("Bearer error=\"insufficient_scope\"").unwrap().status(), 403);
}

#[test]
fn check_29_a_refusal_repeats_nothing_that_was_sent() {
    let mut bench = Bench::new(StreamableConfig::default());
    let session = bench.open(V11);
    for (request, headers) in [
        ("GET /mcp", "Mcp-Session-Id: secret\r\n"),
        ("GET /mcp", "Mcp-Session-Id: secret/\r\n"),
        ("GET /mcp", "Origin: http://secret.example\r\n"),
        ("POST /mcp", "Content-Type: secret/x\r\n"),
        ("DELETE /mcp", "Mcp-Session-Id: secret\r\n"),
        ("GET /mcp", &format!("Mcp-Session-Id: {session}\r\nLast-Event-ID: secret.1\r\n")),
    ] {
        let whole = bench.ask(&Principal::anonymous(), request, headers, &note(1).to_string()).whole();
        assert!(
            whole.status >= 400 && !whole.body.contains("secret") && !whole.headers.contains("secret"),
            "{whole:?}"
        );
    }
}

/// What an authentication hook answers is not of the endpoint's making, and the page that asked may read it all the same.
#[test]
fn an_answer_of_somebody_elses_can_be_read_by_a_page_of_an_allowed_origin_only() {
    let access = AccessRules::loopback().allow_origin("https://app.example").unwrap();
    let bench = Bench::with(access, StreamableConfig::default());
    for (origin, allowed) in [("https://app.example", true), ("https://evil.example", false)] {
        let head = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\r\n");
        let head = RequestHead::parse(HeadLimits::default(), &mut head.as_bytes()).unwrap().unwrap();
        let whole = Whole::of(bench.endpoint.with_cors(&head, Response::text(401, "who are you?")));
        assert_eq!((whole.status, &*whole.body), (401, "who are you?"));
        assert_eq!(whole.header("Access-Control-Allow-Origin"), allowed.then_some(origin));
    }
}
