//! What a request asks for, decided from its head: paths, methods, media types, ids, CORS, heads of streams.

use std::sync::Arc;

use proptest::prelude::*;
use sansio_sse::http1::{Connection, ConnectionConfig, HeadLimits, RequestHead, Response, Step};
use sansio_sse::mcp::{
    HttpSse, Message, PostError, PostOutcome, PublicBase, Route, Routes, SessionId, StreamKind, read_message,
};
use sansio_sse::{AccessRules, EventId, Framing, Tick};

const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn check_10_each_path_has_its_method_and_says_so() {
    for (request, expected) in [
        ("GET /sse", "open"),
        ("GET /sse?x=1", "open"),
        ("GET http://localhost/sse", "open"),
        ("GET /events", "events 0"),
        ("GET /other", "events 1"),
        ("POST /sse", "405 Allow: GET"),
        ("HEAD /sse", "405 Allow: GET"),
        ("DELETE /sse", "405 Allow: GET"),
        ("OPTIONS /sse", "405 Allow: GET"),
        ("get /sse", "405 Allow: GET"),
        ("PUT /events", "405 Allow: GET"),
        ("GET /message?session_id=a", "405 Allow: POST"),
        ("DELETE /message?session_id=a", "405 Allow: POST"),
        ("TRACE /sse", "405 Allow: GET, POST"),
        ("TRACE /nowhere", "405 Allow: GET, POST"),
        ("GET /", "404"),
        ("GET /nowhere", "404"),
        ("POST /nowhere", "404"),
        ("OPTIONS *", "404"),
        ("GET /sse/", "404"),
        ("GET //sse", "404"),
        ("GET /SSE", "404"),
        ("GET /%73se", "404"),
        ("GET /gw/../sse", "404"),
        ("POST /messages?session_id=a", "404"),
    ] {
        assert_eq!(outcome(&routes(), request, ""), expected, "{request}");
    }
}

#[test]
fn under_a_prefix_a_path_is_known_with_and_without_it() {
    for base in [PublicBase::prefix("/gw").unwrap(), PublicBase::url("https://mcp.example/gw").unwrap()] {
        let routes =
            Routes::new(AccessRules::loopback()).http_sse("/sse", &HttpSse { base, ..HttpSse::default() });
        for (request, expected) in [
            ("GET /sse", "open"),
            ("GET /gw/sse", "open"),
            ("POST /message?session_id=a", "message a"),
            ("POST /gw/message?session_id=a", "message a"),
            ("GET /gw", "404"),
            ("GET /gw/gw/sse", "404"),
        ] {
            assert_eq!(outcome(&routes, request, JSON), expected, "{request}");
        }
    }
}

#[test]
fn a_stream_is_for_those_who_accept_one() {
    for path in ["/sse", "/events"] {
        for (accept, served) in [
            ("", true),
            ("Accept: text/event-stream\r\n", true),
            ("Accept: */*\r\n", true),
            ("Accept: application/json, text/event-stream\r\n", true),
            ("Accept: application/json\r\nAccept: text/event-stream\r\n", true),
            ("Accept: application/json\r\n", false),
            ("Accept: text/event-stream;q=0\r\n", false),
        ] {
            let outcome = outcome(&routes(), &format!("GET {path}"), accept);
            assert_eq!(outcome != "406", served, "{path} {accept}: {outcome}");
        }
    }
}

#[test]
fn check_20_the_last_event_id_is_ours_or_of_a_session_that_is_over() {
    let event = |stream, seq| Some(EventId { stream, seq });
    for (sent, last) in [
        ("", None),
        ("Last-Event-ID:\r\n", None),
        ("Last-Event-ID: ab.7\r\n", event(0xab, 7)),
        ("last-event-id: ffffffffffffffff.18446744073709551615\r\n", event(u64::MAX, u64::MAX)),
    ] {
        assert_eq!(routes().route(&head("GET /sse", sent)), Route::OpenSession { last }, "{sent}");
    }
    for unknown in ["AB.7", "7", "ü", &format!("{}.1", "1".repeat(8000))] {
        let route = routes().route(&head("GET /sse", &format!("Last-Event-ID: {unknown}\r\n")));
        assert_eq!(route, Route::Answer(Response::session_over()), "{unknown}");
    }
}

#[test]
fn check_09_a_message_needs_one_well_formed_session_id() {
    let longest = "x".repeat(128);
    for (query, expected) in [
        ("?session_id=a-B_9", "message a-B_9"),
        ("?x=1&session_id=a", "message a"),
        ("?session_id=a&x=session_id=b", "message a"),
        ("?xsession_id=b&session_id=a", "message a"),
        (&format!("?session_id={longest}"), &format!("message {longest}")),
        ("", "400"),
        ("?", "400"),
        ("?sessionId=a", "400"),
        ("?SESSION_ID=a", "400"),
        ("?session_id", "400"),
        ("?session_id=", "400"),
        ("?session_id=a&session_id=a", "400"),
        ("?session_id=a&session_id=b", "400"),
        ("?session_id=a%0a", "400"),
        ("?session_id=a%2f", "400"),
        ("?session_id=a.b", "400"),
        ("?session_id=../a", "400"),
        (&format!("?session_id={longest}x"), "400"),
    ] {
        assert_eq!(outcome(&routes(), &format!("POST /message{query}"), JSON), expected, "{query}");
    }
}

#[test]
fn a_message_is_plain_json_or_refused() {
    for (headers, expected) in [
        (JSON, "message a"),
        ("Content-Type: Application/JSON ; charset=utf-8\r\n", "message a"),
        ("Content-Type: application/json\r\nAccept: text/plain\r\n", "message a"),
        ("", "415"),
        ("Content-Type:\r\n", "415"),
        ("Content-Type: text/plain\r\n", "415"),
        ("Content-Type: application/x-www-form-urlencoded\r\n", "415"),
        ("Content-Type: multipart/form-data; boundary=x\r\n", "415"),
        ("Content-Type: text/plain; application/json\r\n", "415"),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "415"),
    ] {
        assert_eq!(outcome(&routes(), "POST /message?session_id=a", headers), expected, "{headers}");
    }
}

#[test]
fn hurt_25_check_01_who_may_ask_is_decided_first_for_every_method_and_path() {
    let methods = ["GET", "POST", "DELETE", "OPTIONS", "PUT", "PATCH", "HEAD", "TRACE", "BREW"];
    let targets = ["/sse", "/message?session_id=a", "/message", "/events", "/nowhere", "/"];
    for (method, target) in methods.into_iter().flat_map(|method| targets.map(|target| (method, target))) {
        for (raw, status) in [
            (format!("{method} {target} HTTP/1.1\r\nHost: evil.example\r\n{JSON}\r\n"), 403),
            (
                format!(
                    "{method} {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"
                ),
                403,
            ),
            (format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n"), 403),
            (format!("{method} http://evil.example{target} HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403),
            (format!("{method} {target} HTTP/1.0\r\n\r\n"), 400),
        ] {
            let answer = match routes().route(&parse(&raw)) {
                Route::Answer(answer) => answer.status(),
                other => panic!("{raw}: let in as {other:?}"),
            };
            assert_eq!(answer, status, "{raw}");
        }
    }
}

proptest! {
    #[test]
    fn check_04_nothing_is_let_in_whose_host_or_origin_is_not_on_the_list(
        method in "GET|POST|OPTIONS|DELETE",
        target in prop::sample::select(vec!["/sse", "/events", "/message?session_id=a", "/x"]),
        name in "(localhost|127\\.0\\.0\\.1|\\[::1\\]|evil|0|[a-z.]{1,8}){1,2}",
        port in "(:[0-9]{0,5})?",
        origin in prop::option::of("(http|https|null|ws)(://)?(localhost|app\\.example|evil)?(:[0-9]{1,5})?(/|@x)?"),
    ) {
        let origin_line = origin.as_ref().map(|origin| format!("Origin: {origin}\r\n")).unwrap_or_default();
        let raw = format!("{method} {target} HTTP/1.1\r\nHost: {name}{port}\r\n{origin_line}{JSON}\r\n");
        let Ok(Some(head)) = RequestHead::parse(HeadLimits::default(), &mut raw.as_bytes()) else { return Ok(()) };
        let refused = matches!(cors_routes().route(&head), Route::Answer(answer) if answer.status() == 403);
        let listed = ["localhost", "127.0.0.1", "[::1]"].contains(&name.as_str());
        if !refused {
            prop_assert!(listed, "{}", name);
            let own = |origin: &str| origin.contains("://localhost") && name == "localhost";
            let allowed = |origin: &str| ["https://app.example", "https://app.example:443"].contains(&origin);
            prop_assert!(origin.is_none_or(|origin| own(&origin) || allowed(&origin)));
        } else {
            prop_assert!(!listed || origin.is_some(), "{}", raw);
        }
    }
}

#[test]
fn check_30_cors_is_off_by_default_and_answered_for_configured_origins_only() {
    let preflight = |origin: &str| format!("Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n");
    let own = answer(&routes(), "OPTIONS /sse", &preflight("http://localhost"));
    assert!(own.starts_with("HTTP/1.1 405 ") && !own.contains("Access-Control"), "{own}");
    for (path, method) in [("/sse", "GET"), ("/events", "GET"), ("/message", "POST")] {
        let wire = answer(&cors_routes(), &format!("OPTIONS {path}"), &preflight("https://app.example"));
        assert_eq!(
            wire,
            format!(
                "HTTP/1.1 204 No Content\r\n\
                 Access-Control-Allow-Methods: {method}\r\n\
                 Access-Control-Allow-Headers: Authorization, Content-Type, Last-Event-ID, MCP-Protocol-Version\r\n\
                 Access-Control-Max-Age: 600\r\n\
                 Access-Control-Allow-Origin: https://app.example\r\n\
                 Vary: Origin\r\n\r\n"
            )
        );
        assert!(!wire.contains("Credentials") && !wire.contains('*'));
    }
    let refused = answer(&cors_routes(), "POST /message", "Origin: https://app.example\r\n");
    assert!(refused.starts_with("HTTP/1.1 400 "), "{refused}");
    assert!(refused.contains("\r\nAccess-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n"));
    let none = answer(&cors_routes(), "POST /message", "");
    assert!(!none.contains("Access-Control") && !none.contains("Vary"), "{none}");
    let evil = answer(&cors_routes(), "OPTIONS /sse", &preflight("https://evil.example"));
    assert!(evil.starts_with("HTTP/1.1 403 ") && !evil.contains("Access-Control"), "{evil}");
}

#[test]
fn s18_s19_the_head_of_a_stream_byte_for_byte() {
    let events = "HTTP/1.1 200 OK\r\n\
                  Content-Type: text/event-stream\r\n\
                  Cache-Control: no-cache\r\n\
                  X-Accel-Buffering: no\r\n";
    let session = "X-MCP-SSE: true\r\nReferrer-Policy: no-referrer\r\n";
    let cors = "Access-Control-Allow-Origin: https://app.example\r\nVary: Origin\r\n";
    let chunked = "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n";
    let raw = "Connection: close\r\n\r\n";
    for encoding in ["", "Accept-Encoding: gzip, br, *\r\n", "Accept-Encoding: identity;q=0\r\n"] {
        for (version, origin, kind, lines, framing) in [
            ("1.1", "", StreamKind::Session, [events, session, chunked].concat(), Framing::Chunked),
            ("1.0", "", StreamKind::Session, [events, session, raw].concat(), Framing::Raw),
            ("1.1", "", StreamKind::Events, [events, chunked].concat(), Framing::Chunked),
            ("1.0", "", StreamKind::Events, [events, raw].concat(), Framing::Raw),
            (
                "1.1",
                "Origin: https://app.example\r\n",
                StreamKind::Session,
                [events, session, cors, chunked].concat(),
                Framing::Chunked,
            ),
            (
                "1.0",
                "Origin: https://app.example\r\n",
                StreamKind::Events,
                [events, cors, raw].concat(),
                Framing::Raw,
            ),
            (
                "1.1",
                "Origin: http://localhost\r\n",
                StreamKind::Events,
                [events, chunked].concat(),
                Framing::Chunked,
            ),
        ] {
            let request =
                parse(&format!("GET /sse HTTP/{version}\r\nHost: localhost\r\n{origin}{encoding}\r\n"));
            assert!(!matches!(cors_routes().route(&request), Route::Answer(_)), "asking is no error");
            let (head, framed) = cors_routes().stream_head(&request, kind);
            assert_eq!((std::str::from_utf8(&head), framed), (Ok(lines.as_str()), framing));
        }
    }
}

#[test]
fn hurt_14_a_message_that_cannot_be_read_is_answered_with_a_json_rpc_error() {
    assert_eq!(read_message(br#"{"jsonrpc":"2.0","id":1,"method":"x"}"#).unwrap().id(), Some("1"));
    for (body, code) in
        [(&b"{"[..], -32700), (b"\xff", -32700), (b"", -32700), (b"[]", -32600), (b"{}", -32600)]
    {
        let answer = read_message(body).unwrap_err();
        assert_eq!(answer.status(), 400);
        let error: Message = std::str::from_utf8(answer.body()).unwrap().parse().unwrap();
        assert_eq!(error.id(), Some("null"));
        assert!(error.as_str().contains(&format!("\"code\":{code},")), "{error}");
        assert!(on_the_wire(answer).contains("\r\nContent-Type: application/json\r\n"));
    }
}

#[test]
fn check_16_hurt_21_each_outcome_of_a_post_has_its_answer() {
    for (answer, status) in [
        (Response::accepted(), 202),
        (Response::from(PostOutcome::Accepted), 202),
        (Response::from(PostError::Unknown), 404),
        (Response::from(PostOutcome::Ended), 404),
        (Response::unknown_session(), 404),
        (Response::from(PostError::QueueFull), 503),
        (Response::from(PostOutcome::QueueFull), 503),
        (Response::session_over(), 204),
    ] {
        assert_eq!(answer.status(), status);
        assert_eq!(answer.body().is_empty(), status < 300);
        let wire = on_the_wire(answer);
        assert_eq!(wire.contains("\r\nRetry-After: 5\r\n"), status == 503, "{wire}");
    }
    assert_eq!(Response::from(PostError::Unknown), Response::from(PostOutcome::Ended), "which stays unsaid");
    assert_eq!(on_the_wire(Response::accepted()), "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn check_29_a_refusal_repeats_no_id_and_no_host() {
    for (request, headers) in [
        ("POST /message?session_id=secret%0a", JSON),
        ("POST /message?session_id=secret&session_id=secret", JSON),
        ("GET /secret", ""),
        ("GET /sse", "Origin: http://secret.example\r\n"),
        ("POST /message?session_id=a", "Content-Type: secret/x\r\n"),
    ] {
        let wire = answer(&routes(), request, headers);
        assert!(!wire.contains("secret"), "{wire}");
    }
}

#[test]
fn endpoints_of_streamable_http_decide_about_all_but_who_may_ask() {
    let routes = Routes::new(AccessRules::loopback())
        .streamable(["/mcp", "/gateway/mcp"])
        .events("/events")
        .streamable(["/other"]);
    for (path, place) in [("/mcp", 0), ("/gateway/mcp", 0), ("/other", 1)] {
        for method in ["GET", "POST", "DELETE", "OPTIONS", "PUT"] {
            let head = head(&format!("{method} {path}"), "");
            assert_eq!(routes.route(&head), Route::Streamable(place), "{method} {path}");
        }
        let rebound = parse(&format!("POST {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n"));
        let Route::Answer(refusal) = routes.route(&rebound) else { panic!("let in") };
        assert_eq!(refusal.status(), 403);
        assert!(refusal.body().starts_with(br#"{"jsonrpc":"2.0""#), "as the endpoint itself says it");
    }
}

// ---- helpers ----

fn routes() -> Routes {
    with_paths(AccessRules::loopback())
}

fn cors_routes() -> Routes {
    with_paths(AccessRules::loopback().allow_origin("https://app.example").unwrap())
}

fn with_paths(access: AccessRules) -> Routes {
    Routes::new(access).http_sse("/sse", &HttpSse::default()).events("/events").events("/other")
}

#[test]
fn applications_own_requests_have_their_method() {
    let routes = Routes::new(AccessRules::loopback()).request("GET", "/health").request("POST", "/publish");
    for (request, expected) in [
        ("GET /health", "request 0"),
        ("GET /health?deep=1", "request 0"),
        ("POST /publish", "request 1"),
        ("GET /publish", "405 Allow: POST"),
        ("POST /health", "405 Allow: GET"),
        ("GET /", "404"),
    ] {
        assert_eq!(outcome(&routes, request, ""), expected, "{request}");
    }
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(outcome(&routes, "POST /publish", foreign), "403", "who may ask is decided for them as well");
}

fn parse(raw: &str) -> RequestHead {
    RequestHead::parse(HeadLimits::default(), &mut raw.as_bytes()).unwrap().unwrap()
}

fn head(request: &str, headers: &str) -> RequestHead {
    parse(&format!("{request} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"))
}

/// What a request comes to, in a word.
fn outcome(routes: &Routes, request: &str, headers: &str) -> String {
    match routes.route(&head(request, headers)) {
        Route::OpenSession { .. } => "open".into(),
        Route::Message(id) => format!("message {}", SessionId::as_str(&id)),
        Route::Events(place) => format!("events {place}"),
        Route::Request(place) => format!("request {place}"),
        Route::Streamable(place) => format!("streamable {place}"),
        Route::Answer(answer) => {
            let status = answer.status();
            let wire = on_the_wire(answer);
            let allow = wire.lines().find(|line| line.starts_with("Allow: "));
            allow.map_or(status.to_string(), |allow| format!("{status} {allow}"))
        }
    }
}

fn answer(routes: &Routes, request: &str, headers: &str) -> String {
    match routes.route(&head(request, headers)) {
        Route::Answer(answer) => on_the_wire(answer),
        other => panic!("{request}: let in as {other:?}"),
    }
}

/// A response as a connection writes it.
fn on_the_wire(response: Response) -> String {
    let mut connection = Connection::new(Tick::ZERO, Arc::new(ConnectionConfig::default()));
    connection.handle_bytes(Tick::ZERO, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if let Step::Head { .. } = connection.poll() {
        connection.receive_body(Tick::ZERO).unwrap();
    }
    connection.respond(Tick::ZERO, &response).unwrap();
    match connection.poll() {
        Step::Run { bytes, .. } => String::from_utf8(bytes.to_vec()).unwrap(),
        step => panic!("{step:?}"),
    }
}
