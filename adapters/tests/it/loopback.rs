//! Sessions and plain streams from end to end.

use std::num::NonZeroUsize;
use std::sync::mpsc;
use std::thread;

use futures_util::{SinkExt, StreamExt};
use sansio_sse::mcp::{HttpSse, SessionLimits};
use sansio_sse::{Batch, EventError, Frame};
use sansio_sse_adapters::{Service, Session};

use crate::support::{
    Client, End, Events, Mcp, PATIENCE, TestRuntime, TestServer, answer, echo_service, get, notification,
    on_every_runtime, post, request,
};

on_every_runtime![
    session_answers_on_its_stream,
    head_of_a_session_says_what_proxies_must_know,
    chunked_bodies_are_messages_too,
    body_that_is_asked_for_first_is_asked_for,
    kept_connection_takes_many_messages,
    pipelined_messages_are_answered_in_order,
    stream_for_http_1_0_ends_with_its_connection,
    plain_stream_carries_every_frame_and_ends_with_the_last_chunk,
    events_and_batches_larger_than_the_queue_arrive_in_their_order,
    batch_keeps_what_no_client_is_there_for,
    plain_handlers_see_the_request,
    session_is_a_stream_and_a_sink,
    message_larger_than_every_queue_arrives,
    messages_arrive_in_the_order_of_their_posts,
    hurt_15_sessions_at_once_get_only_their_own_messages,
    prefix_of_a_proxy_is_in_the_endpoint_and_may_stay_in_the_path,
];

fn session_answers_on_its_stream<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    let id = client.path().strip_prefix("/message?session_id=").unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(client.endpoint.retry.as_deref(), Some("5000"));
    assert_eq!(server.handle.sessions(), 1);
    client.ping(1);
    client.ping(2);
}

fn head_of_a_session_says_what_proxies_must_know<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let client = Mcp::open(server.addr);
    for (name, value) in [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache"),
        ("Connection", "keep-alive"),
        ("X-MCP-SSE", "true"),
        ("X-Accel-Buffering", "no"),
        ("Transfer-Encoding", "chunked"),
    ] {
        assert_eq!(client.events.head.header(name), Some(value), "{name}");
    }
}

fn chunked_bodies_are_messages_too<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    let body = request(7);
    let (first, second) = body.split_at(9);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        client.path()
    );
    client.posts.send(head);
    client.posts.send(format!("{:x}\r\n{first}\r\n", first.len()));
    client.posts.send(format!("{:x};ignored=1\r\n{second}\r\n0\r\n\r\n", second.len()));
    assert_eq!(client.posts.response().status, 202);
    assert_eq!(client.events.data(), r#"{"jsonrpc":"2.0","id":7,"result":"ping"}"#);
}

fn body_that_is_asked_for_first_is_asked_for<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    let body = request(1);
    client.posts.send(format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        client.path(),
        body.len()
    ));
    assert_eq!(client.posts.response().status, 100);
    assert_eq!(client.posts.request(body).status, 202);
    client.events.data();

    // One that will not be wanted is refused without.
    let asking = "POST /message?session_id=none HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    assert_eq!(Client::connect(server.addr).request(asking).status, 404);
}

fn kept_connection_takes_many_messages<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    (0..50).for_each(|id| client.ping(id));
    assert_eq!(server.handle.connections(), 2, "the stream's, and one for all messages");
}

fn pipelined_messages_are_answered_in_order<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    let mut all = Vec::new();
    for id in 0..20 {
        all.extend(post(client.path(), request(id)));
        all.extend(get("/nowhere", "").bytes());
    }
    client.posts.send(all);
    for id in 0..20 {
        assert_eq!(client.posts.response().status, 202);
        assert_eq!(client.posts.response().status, 404);
        assert_eq!(client.events.data(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ping"}}"#));
    }
}

fn stream_for_http_1_0_ends_with_its_connection<R: TestRuntime>() {
    let service = Service::builder().events("/events", |events, _| async move {
        for n in 0..3 {
            let _ = events.send(Frame::message(&format!("{n}")));
        }
    });
    let server = TestServer::start::<R>(service);
    let request = "GET /events HTTP/1.0\r\nHost: localhost\r\n\r\n";
    let mut events = Events::with(Client::connect(server.addr), request);
    assert_eq!(events.head.header("Transfer-Encoding"), None);
    assert_eq!(events.head.header("Connection"), Some("close"));
    assert_eq!(events.rest(), (vec!["0".into(), "1".into(), "2".into()], End::Eof));
}

fn plain_stream_carries_every_frame_and_ends_with_the_last_chunk<R: TestRuntime>() {
    let service = Service::builder().events("/events", |events, _| async move {
        let other = events.clone();
        for n in 0..1_000 {
            let sender = if n % 2 == 0 { &events } else { &other };
            sender.send_wait(Frame::message(&format!("{n}"))).await.unwrap();
        }
    });
    let server = TestServer::start::<R>(service);
    let mut events = Events::get(server.addr, "/events");
    let sent: Vec<_> = (0..1_000).map(|n| n.to_string()).collect();
    assert_eq!(events.rest(), (sent, End::Terminated));
    assert_eq!(events.client.end(), End::Eof);
}

fn events_and_batches_larger_than_the_queue_arrive_in_their_order<R: TestRuntime>() {
    let service = Service::builder().events("/events", |events, _| async move {
        let event = Frame::builder();
        let mut batch = Batch::default();
        events.emit(event.data("first")).unwrap();
        for turn in 0..3 {
            events.emit_wait(event.data(&format!("{turn} alone"))).await.unwrap();
            for n in 0..1_000 {
                batch.push(event.data(&format!("{turn} {n}"))).unwrap();
            }
            let taken = events.emit_batch(&mut batch).unwrap_or(0);
            assert_eq!(batch.events(), 1_000 - taken);
            events.emit_batch_wait(&mut batch).await.unwrap();
            assert!(batch.is_empty());
        }
    });
    let server = TestServer::start::<R>(service);
    let mut events = Events::get(server.addr, "/events");
    assert_eq!(events.data(), "first");
    for turn in 0..3 {
        assert_eq!(events.data(), format!("{turn} alone"));
        (0..1_000).for_each(|n| assert_eq!(events.data(), format!("{turn} {n}")));
    }
    assert_eq!(events.rest(), (vec![], End::Terminated));
}

fn batch_keeps_what_no_client_is_there_for<R: TestRuntime>() {
    let (left, kept) = mpsc::channel();
    let service = Service::builder().events("/events", move |events, _| {
        let left = left.clone();
        async move {
            let mut batch = Batch::default();
            let refused = loop {
                batch.push(Frame::builder().data(&"x".repeat(64 * 1024))).unwrap();
                if let Err(error) = events.emit_batch_wait(&mut batch).await {
                    break error;
                }
            };
            left.send((refused, batch.events())).unwrap();
        }
    });
    let server = TestServer::start::<R>(service);
    let mut events = Events::get(server.addr, "/events");
    events.data();
    drop(events);
    assert_eq!(kept.recv_timeout(PATIENCE).unwrap(), (EventError::Closed, 1));
}

fn plain_handlers_see_the_request<R: TestRuntime>() {
    let service = Service::builder()
        .events("/a", |events, head| async move {
            let _ = events.send(Frame::message(&format!("a {}", head.query().unwrap_or("-"))));
        })
        .events("/b", |events, head| async move {
            let token = head.header("authorization").map(String::from_utf8_lossy);
            let _ = events.send(Frame::message(&format!("b {}", token.unwrap_or_default())));
        });
    let server = TestServer::start::<R>(service);
    assert_eq!(Events::get(server.addr, "/a?since=7").data(), "a since=7");
    let asked = get("/b", "Authorization: Bearer t\r\n");
    assert_eq!(Events::with(Client::connect(server.addr), &asked).data(), "b Bearer t");
}

fn session_is_a_stream_and_a_sink<R: TestRuntime>() {
    let service = Service::builder().http_sse("/sse", HttpSse::default(), |session: Session| async move {
        let (mut out, messages) = session.split();
        let mut answers = messages.take(3).map(|message| Ok(answer(&message)));
        out.send_all(&mut answers).await.unwrap();
        out.close().await.unwrap();
        let refused = out.send(notification(0)).await.unwrap_err();
        assert_eq!(refused.message, None, "it is known before a message is taken");
    });
    let server = TestServer::start::<R>(service);
    let mut client = Mcp::open(server.addr);
    (0..3).for_each(|id| client.ping(id));
    assert_eq!(client.events.rest(), (vec![], End::Terminated));
    within_handlers(&server);
    assert_eq!(client.say(request(3)).status, 404, "the session has ended");
}

/// The session is gone when its handler and its stream are.
fn within_handlers(server: &TestServer) {
    crate::support::until("the handler to end", || server.handle.handlers() == 0);
}

fn message_larger_than_every_queue_arrives<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    // The answer repeats the method: large in both directions.
    let method = "m".repeat(2 << 20);
    let large = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
    let path = client.path().to_owned();
    let addr = server.addr;
    let sent = thread::spawn(move || Client::connect(addr).request(post(&path, large)).status);
    assert_eq!(client.events.data(), format!(r#"{{"jsonrpc":"2.0","id":1,"result":"{method}"}}"#));
    assert_eq!(sent.join().unwrap(), 202);
    client.ping(2);
}

fn messages_arrive_in_the_order_of_their_posts<R: TestRuntime>() {
    let (seen, order) = mpsc::channel();
    // So that some are held back.
    let limits = SessionLimits { max_messages: NonZeroUsize::MIN, ..SessionLimits::default() };
    let service = Service::builder().sessions(limits).http_sse(
        "/sse",
        HttpSse::default(),
        move |mut session: Session| {
            let seen = seen.clone();
            async move {
                while let Some(message) = session.receive().await {
                    seen.send(message.method().unwrap().to_owned()).unwrap();
                }
            }
        },
    );
    let server = TestServer::start::<R>(service);
    let mut client = Mcp::open(server.addr);
    let all: Vec<u8> = (0..200).flat_map(|n| post(client.path(), notification(n).as_str())).collect();
    client.posts.send(all);
    for n in 0..200 {
        assert_eq!(client.posts.response().status, 202);
        assert_eq!(order.recv_timeout(PATIENCE).unwrap(), format!("n/{n}"));
    }
}

fn hurt_15_sessions_at_once_get_only_their_own_messages<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let addr = server.addr;
    let start = std::sync::Barrier::new(20);
    thread::scope(|scope| {
        for name in 0..20 {
            let start = &start;
            scope.spawn(move || {
                let mut client = Mcp::open(addr);
                start.wait();
                for n in 0..25 {
                    // The ids collide: all sessions use the same ones.
                    let call = format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"call/{name}"}}"#);
                    assert_eq!(client.say(call).status, 202);
                    let expected = format!(r#"{{"jsonrpc":"2.0","id":{n},"result":"call/{name}"}}"#);
                    assert_eq!(client.events.data(), expected);
                }
            });
        }
    });
}

fn prefix_of_a_proxy_is_in_the_endpoint_and_may_stay_in_the_path<R: TestRuntime>() {
    let base = sansio_sse::mcp::PublicBase::prefix("/gateway").unwrap();
    let config = HttpSse { base, ..HttpSse::default() };
    let server = TestServer::start::<R>(Service::builder().http_sse("/sse", config, crate::support::echo));
    let mut client = Mcp::open(server.addr);
    assert!(client.path().starts_with("/gateway/message?session_id="), "{}", client.path());
    client.ping(1);
    let stripped = client.path().strip_prefix("/gateway").unwrap().to_owned();
    assert_eq!(client.posts.request(post(&stripped, request(2))).status, 202);
    assert_eq!(Events::get(server.addr, "/gateway/sse").head.status, 200);
}
