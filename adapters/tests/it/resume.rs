//! Clients that come back with `Last-Event-ID`.

use std::num::NonZeroUsize;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use sansio_sse::mcp::{
    HttpSse, MessageKind, Resumption, SessionEnd, SessionId, SessionLimits, SessionStream, Sessions,
};
use sansio_sse::{CloseReason, Disconnect, Framing, StreamConfig, Tick};
use sansio_sse_adapters::{Service, ServiceBuilder, Session};

use crate::support::{
    Client, End, Events, Mcp, PATIENCE, TestRuntime, TestServer, answer, echo, get, on_every_runtime,
    request, until,
};

on_every_runtime![
    stalled_client_comes_back_to_exactly_what_follows,
    client_that_was_cut_off_comes_back_to_what_was_sent_meanwhile,
    client_comes_back_more_than_once,
    session_that_has_ended_is_told_to_be_over,
    without_resumption_a_stalled_session_ends,
    session_that_nobody_takes_up_ends_in_time,
    newest_stream_takes_over,
    hurt_10_streams_that_take_over_at_once_leave_one,
    shutdown_does_not_wait_for_a_session_without_a_client,
];

const SHORT: Duration = Duration::from_millis(300);

fn sessions(resumption: Resumption) -> HttpSse {
    HttpSse { resumption, ..HttpSse::default() }
}

fn echoing(resumption: Resumption) -> ServiceBuilder {
    Service::builder().http_sse("/sse", sessions(resumption), echo)
}

/// A connection on which the client comes back.
fn back(client: &Mcp, last: &str) -> Events {
    let addr = client.posts.io.peer_addr().unwrap();
    let mut events = Events::with(Client::connect(addr), &get("/sse", &format!("Last-Event-ID: {last}\r\n")));
    let endpoint = events.next().unwrap();
    assert_eq!(
        (endpoint.name.as_str(), endpoint.data.as_str()),
        ("endpoint", client.path()),
        "the same session"
    );
    assert_eq!(endpoint.id.as_deref(), Some(last), "a client that loses this stream at once is where it was");
    events
}

/// Reads a message and keeps its id.
fn ping(client: &mut Mcp, id: usize, last: &mut String) {
    assert_eq!(client.say(request(id)).status, 202);
    let event = client.events.next().unwrap();
    assert_eq!(event.data, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ping"}}"#));
    *last = event.id.unwrap();
}

const FLOOD: usize = 200;

/// Sends many large messages when it is asked to, then answers what comes.
async fn flood(mut session: Session) {
    while let Some(message) = session.receive().await {
        let sender = session.sender();
        if message.kind() == MessageKind::Request {
            sender.send(answer(&message)).await.unwrap();
            continue;
        }
        for n in 0..FLOOD {
            if sender.send(large(n).parse().unwrap()).await.is_err() {
                return;
            }
        }
    }
}

fn large(n: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{n}","params":["{}"]}}"#, "x".repeat(32 * 1024))
}

fn flooding(resumption: Resumption) -> ServiceBuilder {
    let stream = StreamConfig::builder()
        .stall_after(Some(SHORT))
        .max_queued(NonZeroUsize::new(FLOOD * 2).unwrap(), NonZeroUsize::new(16 << 20).unwrap());
    let config = HttpSse { stream: Arc::new(stream.build().unwrap()), ..sessions(resumption) };
    Service::builder().http_sse("/sse", config, flood)
}

/// A client that asks for the flood and reads nothing of it until the server has had enough.
fn stalled(server: &TestServer) -> Mcp {
    let mut events = Events::with(Client::connect_narrow(server.addr), &get("/sse", ""));
    let endpoint = events.next().unwrap();
    let mut client = Mcp { events, endpoint, posts: Client::connect(server.addr) };
    assert_eq!(client.say(r#"{"jsonrpc":"2.0","method":"flood"}"#).status, 202);
    until("the stall clock", || server.handle.connections() == 1);
    client
}

fn stalled_client_comes_back_to_exactly_what_follows<R: TestRuntime>() {
    let server = TestServer::start::<R>(flooding(Resumption::ServerClosed));
    let mut client = stalled(&server);
    assert_eq!(server.handle.sessions(), 1, "the session waits for its client");
    let mut last = client.endpoint.id.clone().unwrap();
    let mut seen = 0;
    while let Some(event) = client.events.next() {
        assert_eq!(event.data, large(seen));
        (last, seen) = (event.id.unwrap(), seen + 1);
    }
    assert!(seen < FLOOD, "it was not cut off");
    client.events = back(&client, &last);
    for n in seen..FLOOD {
        assert_eq!(client.events.data(), large(n));
    }
    client.ping(1);
    assert_eq!(server.handle.sessions(), 1);
}

fn client_that_was_cut_off_comes_back_to_what_was_sent_meanwhile<R: TestRuntime>() {
    let server = TestServer::start::<R>(echoing(Resumption::Always));
    let mut client = Mcp::open(server.addr);
    let mut last = String::new();
    ping(&mut client, 1, &mut last);
    client.events.client.close_write();
    assert_eq!(client.events.rest(), (vec![], End::Eof));
    // What is asked now is answered into the session, not into a stream.
    for id in 2..5 {
        assert_eq!(client.say(request(id)).status, 202);
    }
    client.events = back(&client, &last);
    for id in 2..5 {
        assert_eq!(client.events.data(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ping"}}"#));
    }
    client.ping(5);
    end(client, &server);
}

/// Ends a session that would outlive its client.
fn end(client: Mcp, server: &TestServer) {
    drop(client);
    until("the client to be gone", || server.handle.connections() == 0);
    server.handle.abort();
}

fn client_comes_back_more_than_once<R: TestRuntime>() {
    let server = TestServer::start::<R>(echoing(Resumption::Always));
    let mut client = Mcp::open(server.addr);
    let mut last = client.endpoint.id.clone().unwrap();
    for id in 0..20 {
        ping(&mut client, id, &mut last);
        if id % 2 == 0 {
            client.events.client.close_write();
            client.events.rest();
        }
        client.events = back(&client, &last);
    }
    assert_eq!(server.handle.sessions(), 1);
    end(client, &server);
}

fn session_that_has_ended_is_told_to_be_over<R: TestRuntime>() {
    let server = TestServer::start::<R>(echoing(Resumption::ServerClosed));
    let mut client = Mcp::open(server.addr);
    let mut last = String::new();
    ping(&mut client, 1, &mut last);
    drop(client);
    until("the session to end", || server.handle.sessions() == 0);
    let other = Mcp::open(server.addr);
    let never = other.endpoint.id.clone().unwrap().replace(".0", ".7");
    for id in [last.as_str(), "nonsense", "0.1", &never, "1.99999999999999999999", &"9".repeat(1_000)] {
        let asked = get("/sse", &format!("Last-Event-ID: {id}\r\n"));
        assert_eq!(Client::connect(server.addr).request(asked).status, 204, "{id}");
    }
    let empty = Events::with(Client::connect(server.addr), &get("/sse", "Last-Event-ID: \r\n"));
    assert_eq!(empty.head.status, 200, "an empty id is none");
}

fn without_resumption_a_stalled_session_ends<R: TestRuntime>() {
    let server = TestServer::start::<R>(flooding(Resumption::Off));
    let mut client = stalled(&server);
    assert_eq!(client.endpoint.id, None);
    assert_eq!(server.handle.sessions(), 0);
    assert_eq!(client.say(request(1)).status, 404);
}

fn session_that_nobody_takes_up_ends_in_time<R: TestRuntime>() {
    let (ended, ends) = mpsc::channel();
    let limits = SessionLimits { detached_for: SHORT, ..SessionLimits::default() };
    let config = sessions(Resumption::Always);
    let service =
        Service::builder().sessions(limits).http_sse("/sse", config, move |mut session: Session| {
            let ended = ended.clone();
            async move {
                while session.receive().await.is_some() {}
                ended.send(session.end().unwrap()).unwrap();
            }
        });
    let server = TestServer::start::<R>(service);
    let client = Mcp::open(server.addr);
    let last = client.endpoint.id.clone().unwrap();
    drop(client);
    let end = ends.recv_timeout(PATIENCE).unwrap();
    let SessionEnd::NotResumed { last: close } = end else { panic!("{end}") };
    assert_eq!(close.reason, CloseReason::Disconnected(Disconnect::Eof));
    let asked = get("/sse", &format!("Last-Event-ID: {last}\r\n"));
    assert_eq!(Client::connect(server.addr).request(asked).status, 204);
}

fn newest_stream_takes_over<R: TestRuntime>() {
    let server = TestServer::start::<R>(echoing(Resumption::ServerClosed));
    let mut client = Mcp::open(server.addr);
    let mut last = client.endpoint.id.clone().unwrap();
    for id in 0..100 {
        let new = back(&client, &last);
        let mut old = std::mem::replace(&mut client.events, new);
        assert_eq!(old.rest().0, Vec::<String>::new(), "the old stream is over without a word");
        ping(&mut client, id, &mut last);
        assert_eq!(server.handle.sessions(), 1);
    }
}

fn hurt_10_streams_that_take_over_at_once_leave_one<R: TestRuntime>() {
    const AT_ONCE: usize = 8;
    let server = TestServer::start::<R>(echoing(Resumption::ServerClosed));
    let mut client = Mcp::open(server.addr);
    let last = client.endpoint.id.clone().unwrap();
    for _ in 0..10 {
        let start = Barrier::new(AT_ONCE);
        let streams: Vec<Events> = thread::scope(|scope| {
            let come_back = || {
                let asked = get("/sse", &format!("Last-Event-ID: {last}\r\n"));
                let (start, connection) = (&start, Client::connect(server.addr));
                scope.spawn(move || {
                    start.wait();
                    // One may be taken over before a byte of it is out.
                    Events::try_with(connection, &asked)
                })
            };
            let all: Vec<_> = (0..AT_ONCE).map(|_| come_back()).collect();
            all.into_iter().filter_map(|one| one.join().unwrap()).collect()
        });
        // The old one is gone, and all of the new ones but one.
        client.events.rest();
        until("all streams but one to be over", || server.handle.connections() == 2);
        let open = streams.into_iter().filter_map(|mut one| one.is_open().then_some(one));
        let mut open: Vec<_> = open.collect();
        assert_eq!(open.len(), 1);
        client.events = open.remove(0);
        assert_eq!(client.events.data(), client.endpoint.data);
        assert_eq!(server.handle.sessions(), 1);
    }
}

fn shutdown_does_not_wait_for_a_session_without_a_client<R: TestRuntime>() {
    let (ended, ends) = mpsc::channel();
    let config = sessions(Resumption::Always);
    let service = Service::builder().handlers_within(PATIENCE * 6).http_sse(
        "/sse",
        config,
        move |mut session: Session| {
            let ended = ended.clone();
            async move {
                while session.receive().await.is_some() {}
                ended.send(session.end().is_some()).unwrap();
            }
        },
    );
    let mut server = TestServer::start::<R>(service);
    drop(Mcp::open(server.addr));
    until("the client to be gone", || server.handle.connections() == 0);
    assert!(server.shut_down() < PATIENCE / 2);
    assert_eq!(ends.recv_timeout(PATIENCE), Ok(true));
}

/// The driver of the old response may tell the table of its end before the new one does of its beginning.
#[test]
fn session_outlives_its_old_response_before_the_new_one_is_attached() {
    let now = Tick::ZERO;
    let config = Arc::new(HttpSse::default());
    let mut sessions = Sessions::new(SessionLimits::default(), config.resumption);
    let id = SessionId::from_random([7; 16]);
    let old = sessions.open(now, id.clone(), 1).unwrap();
    let mut stream = SessionStream::open(now, config, &id, 1, Box::default(), Framing::Raw);
    stream.reattach(now, "1.0".parse().unwrap(), Box::default(), Framing::Raw).unwrap();
    sessions.handle_closed(now, old, stream.close_of(0).unwrap());
    assert!(sessions.attach(now, &id).is_some(), "the session is gone");
}
