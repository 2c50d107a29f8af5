//! What is refused, how the client is told, and that nothing but the one request suffers from it.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sansio_sse::AccessRules;
use sansio_sse::http1::{ConnectionConfig, HeadLimits};
use sansio_sse::mcp::{HttpSse, SessionLimits};
use sansio_sse_adapters::{Service, Session};

use crate::support::{
    Client, End, Mcp, PATIENCE, Reply, TestRuntime, TestServer, echo_service, get, notification,
    on_every_runtime, post, request,
};

on_every_runtime![
    requests_that_are_no_message_for_a_session_are_refused,
    messages_that_are_none_get_a_json_rpc_error,
    messages_past_the_limit_are_refused_by_their_head_alone,
    heads_past_their_limits_are_refused,
    foreign_hosts_and_origins_are_refused_on_every_path,
    two_lengths_are_refused_and_nothing_behind_them_is_served,
    refused_client_sees_the_end_without_closing_first,
    slow_head_is_refused_at_its_deadline,
    silent_connection_is_closed_without_a_word,
    slow_body_is_refused_at_its_deadline,
    idle_connection_is_closed,
    full_queue_holds_the_answer_back_and_then_refuses,
    held_message_is_accepted_once_there_is_room,
    held_message_is_forgotten_with_its_client,
    held_message_is_refused_when_its_session_ends,
    session_past_the_limit_is_refused,
    connection_past_the_limit_is_refused,
    allowed_origin_may_read_the_answers,
    without_origins_no_answer_speaks_of_cors,
];

const SHORT: Duration = Duration::from_millis(300);

/// A request, its headers besides `Host`, and the answer that it deserves.
struct Case {
    name: &'static str,
    line: &'static str,
    headers: &'static str,
    status: u16,
    /// A header of the answer.
    with: Option<(&'static str, &'static str)>,
}

fn case(name: &'static str, line: &'static str, headers: &'static str, status: u16) -> Case {
    Case { name, line, headers, status, with: None }
}

fn requests_that_are_no_message_for_a_session_are_refused<R: TestRuntime>() {
    const JSON: &str = "Content-Type: application/json\r\nContent-Length: 0\r\n";
    const LONG: &str = concat!(
        "POST /message?session_id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"
    );
    let cases = [
        case("unknown path", "GET /nowhere", "", 404),
        case("path under a known one", "GET /sse/", "", 404),
        case("path above a known one", "POST /", JSON, 404),
        Case { with: Some(("Allow", "GET")), ..case("POST of the stream", "POST /sse", JSON, 405) },
        Case { with: Some(("Allow", "GET")), ..case("DELETE of the stream", "DELETE /sse", "", 405) },
        Case { with: Some(("Allow", "POST")), ..case("GET of messages", "GET /message", "", 405) },
        Case { with: Some(("Allow", "GET, POST")), ..case("TRACE", "TRACE /sse", "", 405) },
        case("HTML wanted", "GET /sse", "Accept: text/html\r\n", 406),
        case("events at no quality", "GET /sse", "Accept: text/event-stream;q=0, */*\r\n", 406),
        case("no session id", "POST /message", JSON, 400),
        case("empty session id", "POST /message?session_id=", JSON, 400),
        case("session id with a dot", "POST /message?session_id=a.b", JSON, 400),
        case("session id with an escape", "POST /message?session_id=a%0A", JSON, 400),
        case("two session ids", "POST /message?session_id=a&session_id=a", JSON, 400),
        case("session id of 129 characters", LONG, JSON, 400),
        case("session id that was never given out", "POST /message?session_id=unknown", JSON, 404),
        case("form", "POST /message?session_id={}", "Content-Type: text/plain\r\nContent-Length: 0\r\n", 415),
        case("no media type", "POST /message?session_id={}", "Content-Length: 0\r\n", 415),
        case(
            "coded body",
            "POST /message?session_id={}",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n",
            415,
        ),
        case("no coding that we know", "POST /message", "Transfer-Encoding: gzip\r\n", 501),
    ];
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    let id = good.path().split_once('=').unwrap().1.to_owned();
    for (n, Case { name, line, headers, status, with }) in cases.into_iter().enumerate() {
        let line = line.replace("{}", &id);
        let asked = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let reply = Client::connect(server.addr).request(asked);
        assert_eq!(reply.status, status, "{name}");
        if let Some((key, value)) = with {
            assert_eq!(reply.header(key), Some(value), "{name}");
        }
        assert!(!reply.body.contains(&id), "{name}: an answer names a session");
        good.ping(n);
    }
}

fn messages_that_are_none_get_a_json_rpc_error<R: TestRuntime>() {
    let deep =
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let cases: [(&str, &[u8], i32); 10] = [
        ("nothing", b"", -32700),
        ("no JSON", b"{\"jsonrpc\"", -32700),
        ("two values", b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}{}", -32700),
        ("not UTF-8", b"{\"jsonrpc\":\"2.0\",\"method\":\"\xff\"}", -32700),
        ("too deep", deep.as_bytes(), -32700),
        ("no object", b"7", -32600),
        ("a batch", b"[{\"jsonrpc\":\"2.0\",\"method\":\"m\"}]", -32600),
        ("no version", b"{\"method\":\"m\"}", -32600),
        ("neither method nor id", b"{\"jsonrpc\":\"2.0\"}", -32600),
        ("a method twice", b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"method\":\"n\"}", -32600),
    ];
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    for (n, (name, body, code)) in cases.into_iter().enumerate() {
        // On the good client's own connection: that lives on too.
        let reply = good.say(body);
        assert_eq!((reply.status, reply.header("Content-Type")), (400, Some("application/json")), "{name}");
        let error: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((&error["jsonrpc"], &error["id"]), (&"2.0".into(), &serde_json::Value::Null), "{name}");
        assert_eq!(error["error"]["code"], code, "{name}: {error}");
        good.ping(n);
    }
}

fn messages_past_the_limit_are_refused_by_their_head_alone<R: TestRuntime>() {
    let config = ConnectionConfig::builder().body_bytes(100).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    let filled = |len: usize| format!("{:<len$}", request(1));

    assert_eq!(good.say(filled(100)).status, 202);
    good.events.data();
    assert_eq!(good.say(filled(101)).status, 413);
    assert_eq!(good.posts.end(), End::Eof);
    good.posts = Client::connect(server.addr);
    good.ping(2);

    let huge = format!("{}\r\n\r\n", u64::MAX);
    let head = |length: &str| {
        format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}",
            good.path()
        )
    };
    let declared = head(&format!("Content-Length: {huge}"));
    let chunked = head("Transfer-Encoding: chunked\r\n\r\n") + "64\r\n" + &filled(100) + "\r\n1\r\n";
    for asked in [declared, chunked] {
        let mut client = Client::connect(server.addr);
        assert_eq!(client.request(asked).status, 413);
        assert_eq!(client.end(), End::Eof);
    }
    good.ping(3);
}

fn heads_past_their_limits_are_refused<R: TestRuntime>() {
    let limits = HeadLimits { head_bytes: 1_024, target_bytes: 100, headers: 10 };
    let config = ConnectionConfig::builder().head(limits).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    let target = |len: usize| get(&format!("/{}", "x".repeat(len - 1)), "");
    let cases = [
        ("target at the limit", target(100), 404, false),
        ("target past the limit", target(101), 414, true),
        ("head past the limit", get("/x", &format!("X: {}\r\n", "x".repeat(1_024))), 431, true),
        ("headers at the limit", get("/x", &"X: x\r\n".repeat(8)), 404, false),
        ("headers past the limit", get("/x", &"X: x\r\n".repeat(9)), 431, true),
        ("no version that we know", "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n".into(), 505, true),
        ("no host", "GET /sse HTTP/1.1\r\n\r\n".into(), 400, true),
        ("bare line feeds", "GET /sse HTTP/1.1\nHost: localhost\n\n".into(), 400, true),
        ("nonsense", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n".into(), 400, true),
    ];
    for (n, (name, asked, status, closes)) in cases.into_iter().enumerate() {
        let mut client = Client::connect(server.addr);
        let reply = client.request(asked);
        assert_eq!(reply.status, status, "{name}");
        assert_eq!(reply.header("Connection") == Some("close"), closes, "{name}");
        if closes {
            assert_eq!(client.end(), End::Eof, "{name}");
        }
        good.ping(n);
    }
}

fn foreign_hosts_and_origins_are_refused_on_every_path<R: TestRuntime>() {
    let service = echo_service().events("/events", |_, _| async {});
    let server = TestServer::start::<R>(service);
    let mut good = Mcp::open(server.addr);
    let path = good.path().to_owned();
    let own =
        format!("Host: localhost:{}\r\nOrigin: http://localhost:{}", server.addr.port(), server.addr.port());
    let headers = [
        ("Host: evil.example", 403),
        ("Host: localhost.evil.example", 403),
        ("Host: 127.0.0.1.evil.example", 403),
        ("Host: localhost\r\nOrigin: http://evil.example", 403),
        ("Host: localhost\r\nOrigin: null", 403),
        ("Host: localhost\r\nOrigin: http://localhost.evil.example", 403),
        ("Host: localhost\r\nOrigin: http://localhost:1", 403),
        ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost", 403),
        (own.as_str(), 200),
    ];
    let lines = ["GET /sse", "GET /events", "OPTIONS /sse", "DELETE /sse", "GET /nowhere"];
    let lines = lines.into_iter().map(str::to_owned).chain([format!("POST {path}")]);
    for line in lines {
        for (headers, status) in headers {
            if status == 200 && line != "GET /events" {
                continue;
            }
            let asked = format!("{line} HTTP/1.1\r\n{headers}\r\nContent-Type: application/json\r\n\r\n");
            let mut client = Client::connect(server.addr);
            client.send(asked);
            assert_eq!(client.head().status, status, "{line}, {headers}");
        }
    }
    good.ping(1);
}

fn two_lengths_are_refused_and_nothing_behind_them_is_served<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    let lengths = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: +4\r\n",
        "Content-Length : 4\r\n",
    ];
    for (n, length) in lengths.into_iter().enumerate() {
        let mut client = Client::connect(server.addr);
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}\r\n0\r\n\r\n",
            good.path()
        );
        let smuggled = post(good.path(), request("\"smuggled\""));
        let reply = client.request([head.as_bytes(), smuggled.as_slice()].concat());
        assert_eq!(reply.status, 400, "{length}");
        assert_eq!(client.end(), End::Eof, "{length}: nothing more is answered");
        good.ping(n);
    }
}

fn refused_client_sees_the_end_without_closing_first<R: TestRuntime>() {
    let config = ConnectionConfig::builder().linger_within(Duration::from_secs(3_600)).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut client = Client::connect(server.addr);
    assert_eq!(client.request("GET /sse HTTP/1.1\r\n\r\n").status, 400);
    assert_eq!(client.end(), End::Eof);
}

/// Asserts that `wait` took at least the short deadline, and not a default one.
fn takes_short<T>(wait: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = wait();
    let took = begin.elapsed();
    assert!(took >= SHORT && took < SHORT * 10, "{took:?}");
    result
}

fn slow_head_is_refused_at_its_deadline<R: TestRuntime>() {
    let config = ConnectionConfig::builder().head_within(SHORT).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    let reply = takes_short(|| {
        let mut client = Client::connect(server.addr);
        client.send("GET /sse HTTP/1.1\r\nHos");
        let reply = client.response();
        assert_eq!(client.end(), End::Eof);
        reply
    });
    assert_eq!((reply.status, reply.header("Connection")), (408, Some("close")));
    good.posts = Client::connect(server.addr);
    good.ping(1);
}

fn silent_connection_is_closed_without_a_word<R: TestRuntime>() {
    let config = ConnectionConfig::builder().head_within(SHORT).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    takes_short(|| assert_eq!(Client::connect(server.addr).end(), End::Eof));
}

fn slow_body_is_refused_at_its_deadline<R: TestRuntime>() {
    let config = ConnectionConfig::builder().body_within(SHORT).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    let whole = post(good.path(), request(1));
    let reply = takes_short(|| good.posts.request(&whole[..whole.len() - 1]));
    assert_eq!((reply.status, reply.header("Connection")), (408, Some("close")));
    assert_eq!(good.posts.end(), End::Eof);
    good.posts = Client::connect(server.addr);
    good.ping(1);
}

fn idle_connection_is_closed<R: TestRuntime>() {
    let config = ConnectionConfig::builder().idle_for(SHORT).build().unwrap();
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    takes_short(|| {
        good.ping(1);
        assert_eq!(good.posts.end(), End::Eof);
    });
    good.posts = Client::connect(server.addr);
    good.ping(2);
}

/// A server with room for one message a session and one that waits, whose application reads when it is told to.
struct Slow {
    server: TestServer,
    read: ::smol::channel::Sender<()>,
    was_read: mpsc::Receiver<String>,
}

impl Slow {
    fn start<R: TestRuntime>(hold_for: Duration) -> Slow {
        let (read, reads) = ::smol::channel::unbounded::<()>();
        let (reading, was_read) = mpsc::channel();
        let mut limits = SessionLimits::default();
        (limits.max_messages, limits.max_held) = (NonZeroUsize::MIN, NonZeroUsize::MIN);
        limits.hold_for = hold_for;
        let on_session = move |mut session: Session| {
            let (reads, reading) = (reads.clone(), reading.clone());
            async move {
                while let Ok(()) = reads.recv().await {
                    let Some(message) = session.receive().await else { return };
                    reading.send(message.method().unwrap().to_owned()).unwrap();
                }
            }
        };
        let service = Service::builder().sessions(limits).http_sse("/sse", HttpSse::default(), on_session);
        Slow { server: TestServer::start::<R>(service), read, was_read }
    }

    /// What the application reads next.
    fn next(&self) -> String {
        self.read.try_send(()).unwrap();
        self.was_read.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.read.close();
    }
}

/// Of two that were sent at once where there is one place to wait: which is answered first, and which not.
fn refused_and_held(both: &mut [Client; 2]) -> (usize, usize) {
    let mut refused = 0;
    crate::support::until("one of two to be refused", || {
        refused = 1 - refused;
        both[refused].has_answer()
    });
    assert!(!both[1 - refused].has_answer(), "both were refused");
    (refused, 1 - refused)
}

fn message(n: usize) -> String {
    notification(n).as_str().to_owned()
}

fn full_queue_holds_the_answer_back_and_then_refuses<R: TestRuntime>() {
    let slow = Slow::start::<R>(SHORT);
    let mut client = Mcp::open(slow.server.addr);
    assert_eq!(client.say(message(1)).status, 202);
    busy(&takes_short(|| client.say(message(2))));

    // The place of those who wait is limited too: past it, the refusal comes at once.
    let mut both = [client.posts, Client::connect(slow.server.addr)];
    let path = client.endpoint.data.clone();
    (0..2).for_each(|n| both[n].send(post(&path, message(3 + n))));
    let (refused, held) = refused_and_held(&mut both);
    busy(&both[refused].response());
    busy(&both[held].response());

    // What was refused never reaches the application, and the session goes on.
    assert_eq!(slow.next(), "n/1");
    assert_eq!(both[0].request(post(&path, message(5))).status, 202);
    assert_eq!(slow.next(), "n/5");
}

fn held_message_is_accepted_once_there_is_room<R: TestRuntime>() {
    let slow = Slow::start::<R>(PATIENCE);
    let mut client = Mcp::open(slow.server.addr);
    assert_eq!(client.say(message(1)).status, 202);
    client.posts.send(post(client.path(), message(2)));
    assert_eq!(slow.next(), "n/1");
    assert_eq!(client.posts.response().status, 202);
    assert_eq!(slow.next(), "n/2");
}

fn held_message_is_forgotten_with_its_client<R: TestRuntime>() {
    let slow = Slow::start::<R>(PATIENCE);
    let mut client = Mcp::open(slow.server.addr);
    assert_eq!(client.say(message(1)).status, 202);
    let mut both = [Client::connect(slow.server.addr), Client::connect(slow.server.addr)];
    both.iter_mut().for_each(|client_of| client_of.send(post(client.path(), message(2))));
    let (refused, held) = refused_and_held(&mut both);
    busy(&both[refused].response());
    let [first, second] = both;
    let (held, other) = if held == 0 { (first, second) } else { (second, first) };
    held.reset();
    crate::support::until("the reset to be seen", || slow.server.handle.connections() == 3);
    drop(other);
    assert_eq!(slow.next(), "n/1");
    assert_eq!(client.say(message(3)).status, 202);
    assert_eq!(slow.next(), "n/3", "what nobody was told to be accepted is not given to the application");
}

fn held_message_is_refused_when_its_session_ends<R: TestRuntime>() {
    let slow = Slow::start::<R>(PATIENCE);
    let mut client = Mcp::open(slow.server.addr);
    assert_eq!(client.say(message(1)).status, 202);
    client.posts.send(post(client.path(), message(2)));
    client.events.client.close_write();
    assert_eq!(client.posts.response().status, 404);
}

fn busy(reply: &Reply) {
    assert_eq!((reply.status, reply.header("Retry-After")), (503, Some("5")), "{}", reply.body);
}

fn session_past_the_limit_is_refused<R: TestRuntime>() {
    let limits = SessionLimits { max_sessions: NonZeroUsize::MIN, ..SessionLimits::default() };
    let server = TestServer::start::<R>(echo_service().sessions(limits));
    let mut first = Mcp::open(server.addr);
    let mut client = Client::connect(server.addr);
    busy(&client.request(get("/sse", "")));
    first.ping(1);
    drop(first);
    crate::support::until("the first session to end", || server.handle.sessions() == 0);
    // The connection that was refused is still good.
    client.send(get("/sse", ""));
    assert_eq!(client.head().status, 200);
}

fn connection_past_the_limit_is_refused<R: TestRuntime>() {
    let two = NonZeroUsize::new(2).unwrap();
    let server = TestServer::start::<R>(echo_service().max_connections(two));
    let mut first = Mcp::open(server.addr);
    first.ping(1);
    let mut third = Client::connect(server.addr);
    let reply = third.request(get("/sse", ""));
    busy(&reply);
    assert_eq!(reply.header("Connection"), Some("close"));
    assert_eq!(third.end(), End::Eof);
    first.ping(2);
    drop((first, third));
    crate::support::until("the connections to close", || server.handle.connections() == 0);
    Mcp::open(server.addr).ping(3);
}

fn allowed_origin_may_read_the_answers<R: TestRuntime>() {
    let rules = AccessRules::loopback().allow_origin("https://app.example").unwrap();
    let server = TestServer::start::<R>(echo_service().access(rules));
    let mut good = Mcp::open(server.addr);
    let origin = "Origin: https://app.example\r\n";
    let asks = format!("OPTIONS {} HTTP/1.1\r\nHost: localhost\r\n{origin}\r\n", good.path());
    let reply = Client::connect(server.addr).request(asks);
    assert_eq!((reply.status, reply.header("Access-Control-Allow-Methods")), (204, Some("POST")));
    let stream = crate::support::Events::with(Client::connect(server.addr), &get("/sse", origin));
    let refusal = Client::connect(server.addr).request(get("/nowhere", origin));
    let body = request(1);
    let posted = Client::connect(server.addr).request(format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\n{origin}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        good.path(),
        body.len()
    ));
    assert_eq!(posted.status, 202);
    good.events.data();
    for reply in [&reply, &stream.head, &refusal, &posted] {
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("https://app.example"));
        assert_eq!(reply.header("Vary"), Some("Origin"));
        assert_eq!(reply.header("Access-Control-Allow-Credentials"), None);
    }
    good.ping(2);
}

fn without_origins_no_answer_speaks_of_cors<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    let own = format!("localhost:{}", server.addr.port());
    let asks = format!("OPTIONS /sse HTTP/1.1\r\nHost: {own}\r\nOrigin: http://{own}\r\n\r\n");
    let reply = Client::connect(server.addr).request(asks);
    assert_eq!((reply.status, reply.header("Access-Control-Allow-Origin")), (405, None));
    assert_eq!(good.events.head.header("Access-Control-Allow-Origin"), None);
    good.ping(1);
}
