//! Many clients at once: that vanish, that come back, that are too many, or that only wait.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use sansio_sse::mcp::{HttpSse, Resumption};
use sansio_sse::{Frame, KeepAlive, StreamConfig};
use sansio_sse_adapters::{Service, Session, SessionSender};

use crate::baseline::{Exhausted, alone_on_every_runtime, cpu, descriptors, pairs, resident};
use crate::support::{
    Client, Events, Mcp, PATIENCE, TestRuntime, TestServer, echo_service, get, notification, post, request,
    until,
};

alone_on_every_runtime![
    thousand_clients_that_connect_and_vanish_leave_nothing,
    descriptors_that_run_out_hurt_nobody_who_is_connected,
    keep_alives_of_a_thousand_streams_all_come_and_cost_little,
    herd_that_comes_back_at_once_is_told_exactly_what_follows,
];

/// How clients vanish.
fn vanish(addr: SocketAddr, how: usize) {
    let mut client = Client::connect(addr);
    match how {
        0 => {}
        1 => client.reset(),
        2 => client.send("GET /sse HTTP/1.1\r\nHo"),
        3 => client.send(get("/sse", "")),
        4 => {
            client.send(get("/sse", ""));
            client.reset();
        }
        5 => drop(Events::with(client, &get("/sse", ""))),
        6 => Mcp::open(addr).events.client.reset(),
        7 => {
            let mut session = Mcp::open(addr);
            let message = post(session.path(), request(1));
            session.posts.send(&message[..message.len() - 5]);
        }
        8 => {
            let mut session = Mcp::open(addr);
            let message = post(session.path(), request(1));
            session.posts.send(message);
        }
        _ => Mcp::open(addr).ping(1),
    }
}

fn thousand_clients_that_connect_and_vanish_leave_nothing<R: TestRuntime>() {
    const WAVES: usize = 10;
    let server = TestServer::start::<R>(echo_service());
    let before = descriptors();
    let mut first = 0;
    for wave in 0..WAVES {
        thread::scope(|scope| {
            for how in 0..10 {
                let addr = server.addr;
                scope.spawn(move || (0..10).for_each(|_| vanish(addr, how)));
            }
        });
        server.settle();
        until("the descriptors to be closed", || descriptors() == before);
        // The allocator has what it needs for one wave.
        if wave == 2 {
            first = resident();
        }
    }
    let grown = resident().saturating_sub(first);
    assert!(grown < 2 << 20, "{grown} bytes more after {} waves more", WAVES - 3);
    Mcp::open(server.addr).ping(1);
}

fn descriptors_that_run_out_hurt_nobody_who_is_connected<R: TestRuntime>() {
    let server = TestServer::start::<R>(echo_service());
    let mut inside = Mcp::open(server.addr);
    inside.ping(0);
    let new = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let outside: Vec<_> = (0..50).map(|_| new()).collect();

    let exhausted = Exhausted::now();
    let (began, used) = (Instant::now(), cpu());
    let mut outside: Vec<_> = outside
        .into_iter()
        .map(|socket| {
            // The operating system takes the connection; nobody accepts it.
            socket.connect(&server.addr.into()).unwrap();
            Client::over(socket.into())
        })
        .collect();
    outside.iter_mut().for_each(|client| client.send(get("/nowhere", "")));
    for id in 1..=10 {
        inside.ping(id);
        thread::sleep(Duration::from_millis(50));
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    assert!(used < took / 6, "{used:?} of processor time in {took:?}: it spins");
    assert!(outside.iter_mut().all(|client| !client.has_answer()));
    drop(exhausted);

    for client in &mut outside {
        assert_eq!(client.response().status, 404, "it was only late");
    }
    inside.ping(11);
}

fn keep_alives_of_a_thousand_streams_all_come_and_cost_little<R: TestRuntime>() {
    let streams = pairs(1_000);
    let config = StreamConfig::builder().keep_alive(KeepAlive::Comment(Duration::from_secs(1)));
    let service = echo_service().stream(config.build().unwrap()).events("/quiet", |events, _| async move {
        events.send(Frame::message("begun")).unwrap();
        events.closed().await;
    });
    let server = TestServer::start::<R>(service);
    let mut beside = Mcp::open(server.addr);
    let mut quiet: Vec<_> = (0..streams)
        .map(|_| {
            let mut client = Client::connect(server.addr);
            client.send(get("/quiet", ""));
            client
        })
        .collect();
    until("all streams to run", || server.handle.connections() == streams + 2);
    let used = cpu();
    let comments: usize = quiet
        .iter_mut()
        .map(|client| {
            let mut text = Vec::new();
            let mut some = [0; 4_096];
            let comments =
                |text: &[u8]| text.split(|b| *b == b'\n').filter(|line| line.starts_with(b":")).count();
            while comments(&text) < 2 {
                let n = client.io.read(&mut some).unwrap();
                assert!(n > 0, "a stream was closed");
                text.extend_from_slice(&some[..n]);
            }
            comments(&text)
        })
        .sum();
    beside.ping(1);
    let used = cpu() - used;
    assert!(comments >= 2 * streams);
    let each = used / u32::try_from(comments).unwrap();
    assert!(each < Duration::from_millis(1), "{each:?} of processor time for each of {comments} keep-alives");
}

/// Sessions that hand out their senders, and only listen.
fn spoken_to(config: HttpSse) -> (sansio_sse_adapters::ServiceBuilder, mpsc::Receiver<SessionSender>) {
    let (opened, opens) = mpsc::channel();
    let service = Service::builder().http_sse("/sse", config, move |mut session: Session| {
        opened.send(session.sender()).unwrap();
        async move { while session.receive().await.is_some() {} }
    });
    (service, opens)
}

fn herd_that_comes_back_at_once_is_told_exactly_what_follows<R: TestRuntime>() {
    let clients = pairs(500);
    let stream = StreamConfig::builder().max_lifetime(Some(Duration::from_millis(1_500))).build().unwrap();
    let config =
        HttpSse { stream: Arc::new(stream), resumption: Resumption::ServerClosed, ..HttpSse::default() };
    let (service, opens) = spoken_to(config);
    let server = TestServer::start::<R>(service);
    let tell = |senders: &[SessionSender], n: usize| {
        senders.iter().for_each(|sender| sender.try_send(notification(n)).unwrap());
    };

    let mut herd = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..clients {
        let mut events = Events::get(server.addr, "/sse");
        let endpoint = events.next().unwrap().data;
        senders.push(opens.recv_timeout(PATIENCE).unwrap());
        tell(&senders[senders.len() - 1..], 0);
        let last = events.next().unwrap().id.unwrap();
        herd.push((events, endpoint, last));
    }
    // What comes now is sent, but these clients do not read it before they are closed.
    tell(&senders, 1);
    until("the server to close all streams", || server.handle.connections() == 0);
    tell(&senders, 2);
    assert_eq!(server.handle.sessions(), clients, "all sessions wait for their clients");

    let mut back: Vec<_> = herd
        .into_iter()
        .map(|(old, endpoint, last)| {
            drop(old);
            let mut client = Client::connect(server.addr);
            client.send(get("/sse", &format!("Last-Event-ID: {last}\r\n")));
            (client, endpoint)
        })
        .collect();
    while let Some((client, endpoint)) = back.pop() {
        let mut events = Events::with(client, "");
        assert_eq!(events.data(), endpoint);
        for n in 1..=2 {
            assert_eq!(events.data(), notification(n).as_str());
        }
    }
    // Where the server closed the stream a second time before its client did, the session waits once more.
    server.handle.abort();
}
