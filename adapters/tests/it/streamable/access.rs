//! Who may ask, and what is refused: rows of the specification and of the security checklist, over sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sansio_sse::AccessRules;
use sansio_sse::mcp::{HttpSse, Principal, Refusal, StreamableConfig};
use sansio_sse_adapters::{Asking, Mcp, Service};

use super::client::{Asker, V06, V11, call, echo, initialize, service};
use crate::support::{Client, Events, TestRuntime, TestServer, get, on_every_runtime, post, request};

on_every_runtime![
    what_is_no_request_of_this_endpoint_is_refused_with_the_status_that_says_why,
    hosts_and_origins_are_checked_before_all_else,
    pages_of_an_allowed_origin_get_their_cors_answers,
    check_08_check_09_a_session_is_its_principals_and_nobody_elses,
    check_06_the_hook_is_asked_about_every_request_and_waits_as_long_as_it_needs,
    a_hook_that_panics_lets_nobody_in,
    sessions_of_http_sse_are_their_principals_too,
    the_endpoint_is_beside_the_older_transport,
];

const BOTH: &str = "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n";

fn what_is_no_request_of_this_endpoint_is_refused_with_the_status_that_says_why<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    let session = format!("Mcp-Session-Id: {}\r\n", asker.session);
    let ping = call(1, "ping").to_string();
    let unknown = "Mcp-Session-Id: 00000000-0000-4000-8000-000000000000\r\n";
    let events = "Accept: text/event-stream\r\n";
    let json = "Content-Type: application/json\r\n";
    for (what, method, headers, body, status) in [
        ("no session", "POST", BOTH.to_owned(), ping.as_str(), 400),
        ("no session to listen to", "GET", events.to_owned(), "", 400),
        ("no session to delete", "DELETE", String::new(), "", 400),
        ("an unknown session", "POST", unknown.to_owned() + BOTH, &ping, 404),
        ("an unknown session to listen to", "GET", unknown.to_owned() + events, "", 404),
        ("no JSON", "POST", session.clone() + BOTH, "{", 400),
        ("no message", "POST", session.clone() + BOTH, "{}", 400),
        ("a method", "PUT", session.clone() + BOTH, &ping, 405),
        ("a preflight", "OPTIONS", "Origin: http://localhost\r\n".to_owned(), "", 405),
        ("only JSON", "POST", session.clone() + json + "Accept: application/json\r\n", &ping, 406),
        ("only events", "POST", session.clone() + json + events, &ping, 406),
        ("no events to listen to", "GET", session.clone() + "Accept: application/json\r\n", "", 406),
        ("text", "POST", session.clone() + "Accept: */*\r\nContent-Type: text/plain\r\n", &ping, 415),
        ("a coding", "POST", session.clone() + BOTH + "Content-Encoding: gzip\r\n", &ping, 415),
        ("a version", "POST", session.clone() + BOTH + "MCP-Protocol-Version: 1999-01-01\r\n", &ping, 400),
        ("an id of no event", "GET", session.clone() + events + "Last-Event-ID: x\r\n", "", 400),
        ("initialized", "POST", session.clone() + BOTH, &initialize(V11).to_string(), 400),
    ] {
        let reply = asker.ask(method, &headers, body);
        assert_eq!(reply.status, status, "{what}: {}", reply.body);
        assert!(reply.body.contains(r#""error""#), "{what}: {}", reply.body);
    }
    assert_eq!(asker.post(call(2, "ping")).status, 200, "the session is as it was");
    let large = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "m".repeat(5 << 20));
    let mut client = Client::connect(server.addr);
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{session}{BOTH}Content-Length: {}\r\n\r\n",
        large.len()
    ));
    assert_eq!(client.response().status, 413);
    drop(client);
    asker.delete();
}

fn hosts_and_origins_are_checked_before_all_else<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    for method in ["GET", "POST", "DELETE", "OPTIONS", "PUT"] {
        for headers in ["Host: evil.example\r\n", "Host: localhost\r\nOrigin: http://evil.example\r\n"] {
            let text = format!("{method} /mcp HTTP/1.1\r\n{headers}Content-Length: 0\r\n\r\n");
            let reply = Client::connect(server.addr).request(text);
            assert_eq!(reply.status, 403, "{method} {headers}");
            assert!(reply.body.contains(r#""jsonrpc":"2.0""#), "{}", reply.body);
        }
    }
    assert_eq!(server.handle.sessions(), 0);
}

fn pages_of_an_allowed_origin_get_their_cors_answers<R: TestRuntime>() {
    let access = AccessRules::loopback().allow_origin("https://app.example").unwrap();
    let hook = |_: Asking| async { Err(Refusal::unauthorized("Bearer").unwrap()) };
    let server = TestServer::start::<R>(service(Mcp::calls(echo)).access(access).authenticate(hook));
    let asker = Asker::new(server.addr);
    let origin = "Origin: https://app.example\r\n";
    let preflight = asker.ask("OPTIONS", &format!("{origin}Access-Control-Request-Method: POST\r\n"), "");
    assert_eq!(preflight.status, 204, "a preflight has no credentials");
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example"));
    let refused = asker.ask("POST", &(origin.to_owned() + BOTH), "");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://app.example"));
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("Mcp-Session-Id") && exposed.contains("WWW-Authenticate"), "{exposed}");
}

async fn by_token(asking: Asking) -> Result<Principal, Refusal> {
    let authorization = asking.head.header("authorization").unwrap_or_default();
    match std::str::from_utf8(authorization).unwrap().strip_prefix("Bearer ") {
        Some(name) => Ok(Principal::named(name)),
        None => Err(Refusal::unauthorized("Bearer").unwrap()),
    }
}

fn check_08_check_09_a_session_is_its_principals_and_nobody_elses<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)).authenticate(by_token));
    let alice = Asker::new(server.addr).with_token("Bearer alice").initialize(V06);
    assert_eq!(alice.post(call(1, "ping")).status, 200);
    let thief = alice.clone().with_token("Bearer mallory");
    let unknown = Asker { session: "00000000-0000-4000-8000-000000000000".into(), ..thief.clone() };
    for asker in [&thief, &unknown] {
        let (reply, deleted) = (asker.post(call(2, "ping")), asker.delete());
        assert_eq!((reply.status, deleted.status), (404, 404));
        assert_eq!(reply.body, unknown.post(call(2, "ping")).body, "which of them it is stays unsaid");
        let listened = Client::connect(server.addr).request(asker.get_text(""));
        assert_eq!(listened.status, 404);
    }
    assert_eq!(alice.clone().with_token("").post(call(3, "ping")).status, 401, "an id never authenticates");
    assert_eq!(alice.post(call(4, "ping")).status, 200);
    assert_eq!(alice.delete().status, 204);
}

fn check_06_the_hook_is_asked_about_every_request_and_waits_as_long_as_it_needs<R: TestRuntime>() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let (go, gate) = ::smol::channel::bounded::<()>(1);
    let service = service(Mcp::calls(echo)).request("GET", "/who", |request| async move {
        sansio_sse::http1::Response::text(200, request.principal.name().unwrap_or("nobody").to_owned())
    });
    let server = TestServer::start::<R>(service.authenticate(move |asking| {
        counted.fetch_add(1, Ordering::SeqCst);
        let gate = gate.clone();
        async move {
            assert!(asking.facts().peer.is_some_and(|peer| peer.ip().is_loopback()));
            if asking.head.header("authorization") == Some(b"slow") {
                let _ = gate.recv().await;
            }
            Ok(Principal::named("alice"))
        }
    }));
    let asker = Asker::open(server.addr, V11);
    asker.post(call(1, "ping"));
    assert_eq!(Client::connect(server.addr).request(get("/who", "")).body, "alice");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    // One that leaves while the hook thinks is let go.
    let leaver = asker.clone().with_token("slow").post_late(call(2, "ping"));
    crate::support::until("the hook to be asked", || asked.load(Ordering::SeqCst) == 4);
    drop(leaver);
    let mut waits = asker.clone().with_token("slow").post_late(call(3, "ping"));
    crate::support::until("the hook to be asked", || asked.load(Ordering::SeqCst) == 5);
    assert!(!waits.has_answer());
    go.close();
    assert_eq!(waits.response().status, 200);
    drop(waits);
    asker.delete();
}

fn a_hook_that_panics_lets_nobody_in<R: TestRuntime>() {
    let hook = |asking: Asking| async move {
        assert!(asking.head.header("authorization").is_some(), "as asked");
        Ok(Principal::anonymous())
    };
    let server = TestServer::start::<R>(service(Mcp::calls(echo)).authenticate(hook));
    let mut client = Client::connect(server.addr);
    let asker = Asker::new(server.addr);
    assert_eq!(client.request(asker.post_text(&initialize(V11).to_string())).status, 500);
    drop(client);
    assert_eq!(server.handle.sessions(), 0);
    let asker = asker.with_token("x").initialize(V11);
    asker.delete();
}

fn sessions_of_http_sse_are_their_principals_too<R: TestRuntime>() {
    let service = Service::builder().http_sse("/sse", HttpSse::default(), crate::support::echo);
    let server = TestServer::start::<R>(service.authenticate(by_token));
    assert_eq!(Client::connect(server.addr).request(get("/sse", "")).status, 401);
    let mut events =
        Events::with(Client::connect(server.addr), &get("/sse", "Authorization: Bearer alice\r\n"));
    let path = events.data();
    let say = |token: &str| {
        let text = String::from_utf8(post(&path, request(1))).unwrap();
        let text = text.replacen("\r\n", &format!("\r\nAuthorization: {token}\r\n"), 1);
        Client::connect(server.addr).request(text).status
    };
    assert_eq!(say("Bearer mallory"), 404);
    assert_eq!(say("none"), 401);
    assert_eq!(say("Bearer alice"), 202);
    assert_eq!(events.data(), r#"{"jsonrpc":"2.0","id":1,"result":"ping"}"#);
}

fn the_endpoint_is_beside_the_older_transport<R: TestRuntime>() {
    let base = sansio_sse::mcp::PublicBase::prefix("/gateway").unwrap();
    let config = HttpSse { base, ..HttpSse::default() };
    let service = Service::builder()
        .mcp("/mcp", StreamableConfig::default(), Mcp::calls(echo))
        .http_sse("/sse", config, crate::support::echo)
        .mcp("/other", StreamableConfig::default(), Mcp::calls(echo));
    let server = TestServer::start::<R>(service);
    let mut older = Events::get(server.addr, "/sse");
    assert!(older.data().starts_with("/gateway/message"));
    let asker = Asker::open(server.addr, V11);
    assert_eq!(server.handle.sessions(), 2);
    assert_eq!(server.handle.mcp().map(|endpoint| endpoint.sessions()).collect::<Vec<_>>(), [1, 0]);
    let ping = asker.post_text(&call(1, "ping").to_string());
    for (path, status) in [("/mcp", 200), ("/gateway/mcp", 200), ("/other", 404), ("/mcp/", 404)] {
        let text = ping.replacen("/mcp", path, 1);
        assert_eq!(Client::connect(server.addr).request(text).status, status, "{path}");
    }
    asker.delete();
}
