//! Requests that come too slowly, without end, or all at once.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use sansio_sse::http1::ConnectionConfig;
use sansio_sse::mcp::{HttpSse, SessionLimits};
use sansio_sse_adapters::{Service, Session};

use crate::baseline::{alone_on_every_runtime, resident};
use crate::support::{
    Client, End, Mcp, PATIENCE, TestRuntime, TestServer, echo, echo_service, get, notification, post, until,
};

alone_on_every_runtime![
    heads_that_drip_are_refused_at_their_deadline,
    bodies_that_drip_are_refused_at_their_deadline,
    body_without_end_is_refused_and_not_kept,
    message_of_a_million_brackets_is_refused,
    bytes_behind_an_open_stream_are_not_kept,
    flood_of_messages_is_bounded_and_a_stream_beside_it_goes_on,
];

const SECOND: Duration = Duration::from_secs(1);

/// Fifty clients that begin a request and go on byte by byte: each is refused once its time is over, which no byte
/// of it prolongs.
fn drip<R: TestRuntime>(config: ConnectionConfig, begin: impl Fn(&str) -> String) {
    let server = TestServer::start::<R>(echo_service().connection(config));
    let mut good = Mcp::open(server.addr);
    let begin = begin(good.path());
    let mut dripping: Vec<_> = (0..50)
        .map(|_| {
            let began = Instant::now();
            let mut client = Client::connect(server.addr);
            client.send(&begin);
            (began, client)
        })
        .collect();
    let mut id = 0;
    until("all that drip to be refused", || {
        good.posts = Client::connect(server.addr);
        good.ping(id);
        id += 1;
        dripping.retain_mut(|(began, client)| {
            if !client.has_answer() {
                // The refusal may come at this moment.
                let _ = client.io.write(b"x");
                return true;
            }
            assert_eq!(client.response().status, 408);
            assert!(began.elapsed() >= SECOND, "{:?}", began.elapsed());
            assert_eq!(client.end(), End::Eof);
            false
        });
        std::thread::sleep(Duration::from_millis(10));
        dripping.is_empty()
    });
}

fn heads_that_drip_are_refused_at_their_deadline<R: TestRuntime>() {
    let config = ConnectionConfig::builder().head_within(SECOND).build().unwrap();
    drip::<R>(config, |_| "GET /sse HTTP/1.1\r\nHost: localhost\r\nX: ".into());
}

fn bodies_that_drip_are_refused_at_their_deadline<R: TestRuntime>() {
    let config = ConnectionConfig::builder().body_within(SECOND).build().unwrap();
    drip::<R>(config, |path| {
        let whole = String::from_utf8(post(path, "x".repeat(1_000_000))).unwrap();
        whole.split_inclusive("\r\n\r\n").next().unwrap().into()
    });
}

/// Sends until nothing is taken any more, and tells how much was.
fn talk_on(client: &mut Client, what: &[u8]) -> usize {
    let mut said = 0;
    client.io.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while said < 64 << 20 {
        match client.io.write(what) {
            Ok(n) => said += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => {
                assert!(
                    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
                    "{error}"
                );
                break;
            }
        }
    }
    said
}

fn body_without_end_is_refused_and_not_kept<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    let before = resident();
    let chunk = [b"10000\r\n", [b'x'; 0x1_0000].as_slice(), b"\r\n"].concat();
    for _ in 0..10 {
        let mut client = Client::connect(server.addr);
        client.send(format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            good.path()
        ));
        while !client.has_answer() {
            client.send(&chunk);
        }
        assert_eq!(client.response().status, 413);
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes: a body is 4 MiB at most");
    good.ping(1);
}

fn message_of_a_million_brackets_is_refused<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut good = Mcp::open(server.addr);
    for brackets in ["[".repeat(1_000_000), "{\"\":".repeat(1_000_000)] {
        let reply = good.say(brackets);
        assert_eq!(reply.status, 400);
        assert!(reply.body.contains("-32700"), "{}", reply.body);
    }
    good.ping(1);
}

fn bytes_behind_an_open_stream_are_not_kept<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut talkers: Vec<_> = (0..5).map(|_| Mcp::open(server.addr)).collect();
    let before = resident();
    for talker in &mut talkers {
        let said = talk_on(&mut talker.events.client, &[b'x'; 0x1_0000]);
        assert!(said < 64 << 20, "reading pauses: what is not read does not go away");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes");
    for talker in &mut talkers {
        talker.ping(1);
    }
    // Those that talk on are not seen to be gone before something is written to them.
    for Mcp { events, mut posts, endpoint } in talkers {
        events.client.reset();
        until("the reset to be seen", || {
            posts.request(post(&endpoint.data, crate::support::request(2))).status == 404
        });
    }
}

fn flood_of_messages_is_bounded_and_a_stream_beside_it_goes_on<R: TestRuntime>() {
    const CLIENTS: usize = 50;
    const EACH: usize = 20;
    let limits = SessionLimits { hold_for: Duration::from_millis(40), ..SessionLimits::default() };
    let room = limits.max_messages.get();
    let (read, reads) = ::smol::channel::bounded::<()>(1);
    let (reading, was_read) = mpsc::channel();
    let first = Arc::new(AtomicBool::new(true));
    let on_session = move |mut session: Session| {
        let (reads, reading, is_flooded) =
            (reads.clone(), reading.clone(), first.swap(false, Ordering::SeqCst));
        async move {
            if !is_flooded {
                return echo(session).await;
            }
            // Reads nothing before the flood is over.
            reads.recv().await.unwrap_err();
            while let Some(message) = session.receive().await {
                reading.send(message.method().unwrap().to_owned()).unwrap();
            }
        }
    };
    let service = Service::builder().sessions(limits).http_sse("/sse", HttpSse::default(), on_session);
    let server = TestServer::start::<R>(service);
    let mut flooded = Mcp::open(server.addr);
    let mut beside = Mcp::open(server.addr);

    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(server.addr)).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        for m in 0..EACH {
            client.send(post(flooded.path(), notification(n * EACH + m).as_str()));
        }
        beside.ping(n);
    }
    let mut statuses = Vec::new();
    for client in &mut clients {
        for _ in 0..EACH {
            let reply = client.response();
            assert!(reply.status == 202 || reply.header("Retry-After") == Some("5"), "{reply:?}");
            statuses.push(reply.status);
        }
        beside.ping(statuses.len());
    }
    let accepted = statuses.iter().filter(|status| **status == 202).count();
    assert_eq!(accepted, room, "as many as there is room for, since nobody reads");
    assert!(statuses.iter().all(|status| matches!(status, 202 | 503)));

    read.close();
    let mut seen: Vec<_> = (0..accepted).map(|_| was_read.recv_timeout(PATIENCE).unwrap()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), accepted, "each once");
    assert_eq!(flooded.say(notification(CLIENTS * EACH).as_str()).status, 202);
    assert_eq!(was_read.recv_timeout(PATIENCE).unwrap(), format!("n/{}", CLIENTS * EACH), "and no other");
    assert_eq!(Client::connect(server.addr).request(get("/nowhere", "")).status, 404);
}
