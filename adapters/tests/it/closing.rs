//! How connections, sessions and servers end, and that nothing is left of them.

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sansio_sse::mcp::{HttpSse, Resumption, SessionEnd};
use sansio_sse::{
    Close, CloseReason, Disconnect, Frame, HalfClose, KeepAlive, StreamConfig, StreamConfigBuilder,
};
use sansio_sse_adapters::{EventSender, Service, ServiceBuilder, Session};

use crate::support::{
    Client, End, Events, Mcp, PATIENCE, TestRuntime, TestServer, echo, echo_service, get, notification,
    on_every_runtime, post, request, until,
};

on_every_runtime![
    s17_s20_client_that_hangs_up_is_seen_at_once,
    client_that_resets_is_seen_at_once,
    client_that_closes_its_half_is_gone,
    client_that_closes_its_half_goes_on_where_that_is_configured,
    client_that_talks_behind_its_request_is_still_served,
    hurt_08_client_that_never_reads_is_closed_and_its_neighbour_is_not,
    client_that_trickles_is_closed_by_the_lag_clock,
    client_that_vanished_is_found_by_the_keep_alive,
    session_let_go_of_ends_in_order_behind_its_messages,
    s28_handler_that_panics_ends_its_session_alone,
    stream_handler_that_panics_ends_its_stream_alone,
    aborted_stream_is_seen_to_be_cut,
    too_many_faults_end_the_stream,
    longest_lifetime_ends_the_stream_in_order,
    hurt_24_shutdown_finishes_every_stream,
    shutdown_answers_a_request_that_has_begun,
    shutdown_stops_listening_at_once,
    shutdown_gives_up_on_a_client_that_never_reads,
    shutdown_gives_up_on_a_handler_that_never_ends,
    abort_ends_everything_at_once,
    dropped_server_leaves_nothing,
];

const SHORT: Duration = Duration::from_millis(300);

type Ends<T> = mpsc::Receiver<T>;

/// Sessions that only receive, and tell how they ended.
fn listening(stream: StreamConfigBuilder) -> (ServiceBuilder, Ends<SessionEnd>) {
    let (ended, ends) = mpsc::channel();
    let config = HttpSse {
        stream: Arc::new(stream.build().unwrap()),
        resumption: Resumption::Off,
        ..HttpSse::default()
    };
    let service = Service::builder().http_sse("/sse", config, move |mut session: Session| {
        let ended = ended.clone();
        async move {
            while session.receive().await.is_some() {}
            ended.send(session.end().unwrap()).unwrap();
        }
    });
    (service, ends)
}

/// Plain streams that send without end, and tell how they were closed; and sessions beside them.
fn flooding(stream: StreamConfigBuilder) -> (ServiceBuilder, Ends<Close>) {
    let (closed, closes) = mpsc::channel();
    let service = echo_service().stream(stream.build().unwrap()).events("/flood", move |events, _| {
        let closed = closed.clone();
        async move {
            let frame = Frame::message(&"x".repeat(64 * 1024));
            while events.send_wait(frame.clone()).await.is_ok() {}
            // Nobody may be there any more to be told.
            let _ = closed.send(events.closed().await);
        }
    });
    (service, closes)
}

fn how_it_ended(ends: &Ends<SessionEnd>) -> CloseReason {
    match ends.recv_timeout(PATIENCE).unwrap() {
        SessionEnd::Closed(close) => close.reason,
        other => panic!("{other}"),
    }
}

fn s17_s20_client_that_hangs_up_is_seen_at_once<R: TestRuntime>() {
    let (service, ends) = listening(StreamConfig::builder().keep_alive(KeepAlive::Off));
    let server = TestServer::start::<R>(service);
    drop(Mcp::open(server.addr));
    assert_eq!(how_it_ended(&ends), CloseReason::Disconnected(Disconnect::Eof));
}

fn client_that_resets_is_seen_at_once<R: TestRuntime>() {
    let (service, ends) = listening(StreamConfig::builder().keep_alive(KeepAlive::Off));
    let server = TestServer::start::<R>(service);
    Mcp::open(server.addr).events.client.reset();
    assert_eq!(how_it_ended(&ends), CloseReason::Disconnected(Disconnect::Reset));
}

fn client_that_closes_its_half_is_gone<R: TestRuntime>() {
    let (service, ends) = listening(StreamConfig::builder().keep_alive(KeepAlive::Off));
    let server = TestServer::start::<R>(service);
    let mut client = Mcp::open(server.addr);
    client.events.client.close_write();
    assert_eq!(how_it_ended(&ends), CloseReason::Disconnected(Disconnect::Eof));
    assert_eq!(client.events.rest(), (vec![], End::Eof), "cut: there is no last chunk");

    // Also where the FIN is already there when the stream begins.
    let mut hasty = Client::connect(server.addr);
    hasty.send(get("/sse", ""));
    hasty.close_write();
    assert_eq!(how_it_ended(&ends), CloseReason::Disconnected(Disconnect::Eof));
}

fn client_that_closes_its_half_goes_on_where_that_is_configured<R: TestRuntime>() {
    let config = StreamConfig::builder().half_close(HalfClose::GoesOn).build().unwrap();
    let config = HttpSse { stream: Arc::new(config), ..HttpSse::default() };
    let server = TestServer::start::<R>(Service::builder().http_sse("/sse", config, echo));
    let mut client = Mcp::open(server.addr);
    client.events.client.close_write();
    (0..3).for_each(|id| client.ping(id));
    client.events.client.reset();
    // Nothing is read any more: the end is only seen when something is written.
    let mut posts = client.posts;
    until("the reset to be seen", || posts.request(post(&client.endpoint.data, request(9))).status == 404);
}

fn client_that_talks_behind_its_request_is_still_served<R: TestRuntime>() {
    // Past 4 KiB of it nothing is read any more, and the end is only seen by what is written.
    let often = KeepAlive::Comment(Duration::from_millis(20));
    let stream = Arc::new(StreamConfig::builder().keep_alive(often).build().unwrap());
    let config = HttpSse { stream, ..HttpSse::default() };
    let server = TestServer::start::<R>(Service::builder().http_sse("/sse", config, echo));
    let mut client = Mcp::open(server.addr);
    client.events.client.send(get("/sse", ""));
    client.ping(1);
    assert_eq!(server.handle.sessions(), 1, "what comes behind the request is no request");
    client.events.client.send([b'x'; 8_192]);
    client.ping(2);
}

fn hurt_08_client_that_never_reads_is_closed_and_its_neighbour_is_not<R: TestRuntime>() {
    let (service, closes) = flooding(StreamConfig::builder().stall_after(Some(SHORT)));
    let server = TestServer::start::<R>(service);
    let mut neighbour = Mcp::open(server.addr);
    let mut stuck = Client::connect_narrow(server.addr);
    stuck.send(get("/flood", ""));
    let mut close = None;
    let mut id = 0;
    until("the stall clock", || {
        neighbour.ping(id);
        id += 1;
        close = closes.try_recv().ok();
        close.is_some()
    });
    let close = close.unwrap();
    assert!(matches!(close.reason, CloseReason::Stalled { for_ } if for_ >= SHORT), "{close:?}");
    assert!(close.undelivered > 0);
    neighbour.ping(id);
}

fn client_that_trickles_is_closed_by_the_lag_clock<R: TestRuntime>() {
    let (service, closes) = flooding(StreamConfig::builder().stall_after(None).lag_after(Some(SHORT)));
    let server = TestServer::start::<R>(service);
    let mut slow = Client::connect_narrow(server.addr);
    slow.send(get("/flood", ""));
    let mut close = None;
    until("the lag clock", || {
        assert!(slow.io.read(&mut [0; 16]).unwrap() > 0);
        close = closes.recv_timeout(Duration::from_millis(1)).ok();
        close.is_some()
    });
    let reason = close.unwrap().reason;
    assert!(matches!(reason, CloseReason::Lagged { behind } if behind >= SHORT), "{reason}");
}

/// A peer that is gone without a word is one that takes nothing: here it only stops reading, and nothing is sent
/// to it but keep-alives.
fn client_that_vanished_is_found_by_the_keep_alive<R: TestRuntime>() {
    let comment = "x".repeat(256 * 1024);
    let frame = Frame::builder().comment(&comment).build().unwrap();
    let keep_alive = KeepAlive::Frame { frame, every: Duration::from_millis(1) };
    let (service, ends) = listening(StreamConfig::builder().keep_alive(keep_alive).stall_after(Some(SHORT)));
    let server = TestServer::start::<R>(service);
    let mut gone = Client::connect_narrow(server.addr);
    gone.send(get("/sse", ""));
    assert!(matches!(how_it_ended(&ends), CloseReason::Stalled { .. }));
}

fn session_let_go_of_ends_in_order_behind_its_messages<R: TestRuntime>() {
    let service = Service::builder().http_sse("/sse", HttpSse::default(), |session: Session| async move {
        for n in 0..3 {
            session.sender().send(notification(n)).await.unwrap();
        }
    });
    let server = TestServer::start::<R>(service);
    let mut client = Mcp::open(server.addr);
    let sent: Vec<_> = (0..3).map(|n| notification(n).as_str().to_owned()).collect();
    assert_eq!(client.events.rest(), (sent, End::Terminated));
    assert_eq!(client.say(request(1)).status, 404);
}

fn s28_handler_that_panics_ends_its_session_alone<R: TestRuntime>() {
    let service =
        Service::builder().http_sse("/sse", HttpSse::default(), |mut session: Session| async move {
            while let Some(message) = session.receive().await {
                assert_ne!(message.method(), Some("panic"), "asked to");
                session.sender().send(crate::support::answer(&message)).await.unwrap();
            }
        });
    let server = TestServer::start::<R>(service);
    let mut good = Mcp::open(server.addr);
    let mut bad = Mcp::open(server.addr);
    bad.ping(1);
    assert_eq!(bad.say(r#"{"jsonrpc":"2.0","method":"panic"}"#).status, 202);
    assert_eq!(bad.events.rest(), (vec![], End::Terminated));
    assert_eq!(bad.say(request(2)).status, 404);
    good.ping(1);
    Mcp::open(server.addr).ping(1);
}

fn stream_handler_that_panics_ends_its_stream_alone<R: TestRuntime>() {
    let service = echo_service().events("/panic", |events, _| async move {
        events.send(Frame::message("before")).unwrap();
        panic!("asked to");
    });
    let server = TestServer::start::<R>(service);
    let mut good = Mcp::open(server.addr);
    let mut bad = Events::get(server.addr, "/panic");
    assert_eq!(bad.rest(), (vec!["before".into()], End::Terminated));
    good.ping(1);
}

fn aborted_stream_is_seen_to_be_cut<R: TestRuntime>() {
    let service = Service::builder().events("/events", |events: EventSender, _| async move {
        events.abort();
        assert!(!events.is_open());
        assert_eq!(events.closed().await.reason, CloseReason::Aborted);
    });
    let server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    client.send(get("/events", ""));
    let mut answer = String::new();
    client.io.read_to_string(&mut answer).unwrap();
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

fn too_many_faults_end_the_stream<R: TestRuntime>() {
    let (closed, closes) = mpsc::channel();
    let service = Service::builder().events("/events", move |events, _| {
        let closed = closed.clone();
        async move {
            (0..3).for_each(|_| events.fault());
            closed.send(events.closed().await.reason).unwrap();
        }
    });
    let server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    client.send(get("/events", ""));
    assert_eq!(closes.recv_timeout(PATIENCE), Ok(CloseReason::FaultLimit { faults: 3 }));
}

fn longest_lifetime_ends_the_stream_in_order<R: TestRuntime>() {
    let (service, ends) = listening(StreamConfig::builder().max_lifetime(Some(SHORT)));
    let server = TestServer::start::<R>(service);
    let mut client = Mcp::open(server.addr);
    assert_eq!(client.events.rest(), (vec![], End::Terminated));
    assert_eq!(how_it_ended(&ends), CloseReason::Expired);
}

fn hurt_24_shutdown_finishes_every_stream<R: TestRuntime>() {
    let (service, ends) = listening(StreamConfig::builder());
    let service = service.events("/events", |events, _| async move {
        events.send(Frame::message("hello")).unwrap();
        assert_eq!(events.closed().await.reason, CloseReason::Finished);
    });
    let mut server = TestServer::start::<R>(service);
    let mut sessions: Vec<_> = (0..5).map(|_| Mcp::open(server.addr)).collect();
    let mut plain = Events::get(server.addr, "/events");
    assert_eq!(plain.data(), "hello");
    let mut silent = Client::connect(server.addr);
    assert!(server.shut_down() < PATIENCE / 2, "nobody was in the way");
    for session in &mut sessions {
        assert_eq!(session.events.rest(), (vec![], End::Terminated));
        assert_eq!(session.posts.end(), End::Eof, "an idle connection is closed");
        assert_eq!(how_it_ended(&ends), CloseReason::Finished);
    }
    assert_eq!(plain.rest(), (vec![], End::Terminated));
    silent.end();
}

fn shutdown_answers_a_request_that_has_begun<R: TestRuntime>() {
    let mut server = TestServer::start::<R>(echo_service());
    let mut client = Mcp::open(server.addr);
    let body = request(1);
    client.posts.send(format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        client.path(),
        body.len()
    ));
    assert_eq!(client.posts.response().status, 100);
    server.ask_to_stop();
    assert_eq!(client.events.rest(), (vec![], End::Terminated));
    // The client may see the end of its stream before the table does, and before this connection is asked.
    until("the session to be over", || server.handle.sessions() == 0);
    assert_eq!(client.posts.request(body).status, 404);
    assert_eq!(client.posts.end(), End::Eof);
    drop(client);
    server.stopped();
}

fn shutdown_stops_listening_at_once<R: TestRuntime>() {
    let (go_on, may_end) = ::smol::channel::bounded::<()>(1);
    let service = Service::builder().handlers_within(PATIENCE * 6).events("/events", move |_, _| {
        let may_end = may_end.clone();
        async move { may_end.recv().await.unwrap_or_default() }
    });
    let mut server = TestServer::start::<R>(service);
    let mut events = Events::get(server.addr, "/events");
    server.ask_to_stop();
    let asked = Instant::now();
    until("connections to be refused", || TcpStream::connect_timeout(&server.addr, PATIENCE).is_err());
    assert!(asked.elapsed() < PATIENCE, "it was refused by a time-out");
    go_on.close();
    assert_eq!(events.rest(), (vec![], End::Terminated));
    server.stopped();
}

fn shutdown_gives_up_on_a_client_that_never_reads<R: TestRuntime>() {
    let (told, tells) = mpsc::channel();
    let config = StreamConfig::builder().drain_within(SHORT).build().unwrap();
    let http_sse = HttpSse { stream: Arc::new(config.clone()), ..HttpSse::default() };
    let service = Service::builder().stream(config).http_sse("/sse", http_sse, echo);
    let mut server = TestServer::start::<R>(service.events("/large", move |events, _| {
        let told = told.clone();
        async move {
            // More than the operating system keeps for a socket.
            events.send(Frame::message(&"x".repeat(32 << 20))).unwrap();
            told.send(None).unwrap();
            told.send(Some(events.closed().await.reason)).unwrap();
        }
    }));
    let mut stuck = Client::connect_narrow(server.addr);
    stuck.send(get("/large", ""));
    assert_eq!(tells.recv_timeout(PATIENCE), Ok(None));
    let mut good = Mcp::open(server.addr);
    good.ping(1);
    let took = server.shut_down();
    assert!(took >= SHORT && took < SHORT * 10, "{took:?}");
    assert_eq!(tells.recv_timeout(PATIENCE), Ok(Some(CloseReason::DrainTimedOut)));
    assert_eq!(good.events.rest(), (vec![], End::Terminated));
}

fn shutdown_gives_up_on_a_handler_that_never_ends<R: TestRuntime>() {
    let service = Service::builder().handlers_within(SHORT).events("/events", |_, _| std::future::pending());
    let mut server = TestServer::start::<R>(service);
    let mut events = Events::get(server.addr, "/events");
    let took = server.shut_down();
    assert!(took >= SHORT && took < PATIENCE / 2, "{took:?}");
    assert_eq!(events.rest(), (vec![], End::Terminated));
}

fn abort_ends_everything_at_once<R: TestRuntime>() {
    let (service, closes) = flooding(StreamConfig::builder());
    let server = TestServer::start::<R>(service.events("/stuck", |_, _| std::future::pending()));
    let mut session = Mcp::open(server.addr);
    let mut stuck = Client::connect_narrow(server.addr);
    stuck.send(get("/flood", ""));
    let mut handler = Events::get(server.addr, "/stuck");
    until("all to run", || server.handle.handlers() == 3);
    server.handle.abort();
    server.settle();
    assert_eq!(session.events.rest().0, Vec::<String>::new());
    assert_eq!(handler.rest().0, Vec::<String>::new());
    drop((stuck, closes));
    // It goes on serving: only what ran was ended.
    Mcp::open(server.addr).ping(1);
}

fn dropped_server_leaves_nothing<R: TestRuntime>() {
    let (service, _ends) = listening(StreamConfig::builder());
    let service = service.events("/stuck", |_, _| std::future::pending());
    let mut server = TestServer::start_to_be_dropped::<R>(service);
    let mut session = Mcp::open(server.addr);
    let mut stuck = Events::get(server.addr, "/stuck");
    session.posts.send("POST /mess");
    server.ask_to_stop();
    server.stopped();
    // Whether a handler saw its session end first or was dropped, it is gone.
    server.settle();
    assert_eq!(session.events.rest().0, Vec::<String>::new());
    assert_eq!(stuck.rest().0, Vec::<String>::new());
    session.posts.end();
    assert!(TcpStream::connect(server.addr).is_err());
}
