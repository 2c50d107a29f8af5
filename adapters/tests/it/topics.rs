//! Topics, and requests that the application answers, over sockets.

use std::sync::mpsc;
use std::thread;

use sansio_sse::http1::Response;
use sansio_sse::{Frame, TopicConfig};
use sansio_sse_adapters::{Service, ServiceBuilder, Topic};

use crate::support::{Client, End, Events, TestRuntime, TestServer, get, on_every_runtime, post};

on_every_runtime![
    every_follower_gets_every_message_once_in_order,
    follower_that_falls_off_is_closed_and_comes_back_and_nobody_else_is_hurt,
    followers_that_leave_hold_up_nobody,
    followers_finish_with_the_topic,
    follower_for_http_1_0_gets_plain_frames,
    publishers_on_many_threads_lose_nothing,
    application_answers_its_own_requests,
    application_that_fails_over_a_request_answers_500,
    request_whose_connection_breaks_is_dropped,
];

/// A topic at `/news`: each stream begins with a place to come back to.
fn news(config: TopicConfig) -> (Topic, ServiceBuilder) {
    let topic = Topic::new(config).unwrap();
    let followed = topic.clone();
    let service = Service::builder().events("/news", move |events, request| {
        let after = request.last_event_id().unwrap_or_else(|| followed.last_id());
        events.send_with_id(after, Frame::message("welcome")).unwrap();
        if events.follow(&followed, Some(after)).is_err() {
            events.send(Frame::message("gone")).unwrap();
        }
        std::future::ready(())
    });
    (topic, service)
}

fn publish(topic: &Topic, numbers: std::ops::Range<usize>) {
    for n in numbers {
        topic.publish(&Frame::message(&n.to_string()));
    }
}

fn every_follower_gets_every_message_once_in_order<R: TestRuntime>() {
    let (topic, service) = news(TopicConfig::default());
    let server = TestServer::start::<R>(service);
    let mut clients: Vec<_> = (0..100).map(|_| Events::get(server.addr, "/news")).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.data(), "welcome"));
    assert_eq!(server.handle.streams(), 100);
    for batch in [0..1, 1..2, 2..500, 500..501] {
        publish(&topic, batch.clone());
        for n in batch {
            clients.iter_mut().for_each(|client| assert_eq!(client.data(), n.to_string()));
        }
    }
}

fn follower_that_falls_off_is_closed_and_comes_back_and_nobody_else_is_hurt<R: TestRuntime>() {
    let few = TopicConfig { max_bytes: (1 << 20).try_into().unwrap(), ..TopicConfig::default() };
    let (topic, service) = news(few);
    let server = TestServer::start::<R>(service);
    // More than the slow one's socket takes, and more than the log holds behind that.
    let long = "x".repeat(10_000);
    let mut slow = Events::with(Client::connect_narrow(server.addr), &get("/news", ""));
    let mut fast = Events::get(server.addr, "/news");
    assert_eq!(fast.data(), "welcome");
    for n in 0..2_000 {
        topic.publish(&Frame::message(&format!("{n} {long}")));
        assert_eq!(fast.data(), format!("{n} {long}"));
    }
    assert_eq!(slow.data(), "welcome");
    let mut last = None;
    let mut next = 0;
    while let Some(event) = slow.next() {
        assert_eq!(event.data, format!("{next} {long}"));
        (last, next) = (event.id, next + 1);
    }
    assert!(matches!(slow.client.end(), End::Eof | End::Reset), "closed in the middle");
    assert!(next < 1_900, "it has missed some: {next}");

    let mut again = Events::get(server.addr, "/news");
    assert_eq!(again.data(), "welcome", "the server is well");
    let mut gone = Events::with(
        Client::connect(server.addr),
        &get("/news", &format!("Last-Event-ID: {}\r\n", last.unwrap())),
    );
    assert_eq!(
        (gone.data(), gone.data()),
        ("welcome".into(), "gone".into()),
        "what it missed is no longer held"
    );

    // One that comes back in time misses nothing.
    let id = topic.last_id();
    publish(&topic, 0..50);
    let mut back =
        Events::with(Client::connect(server.addr), &get("/news", &format!("Last-Event-ID: {id}\r\n")));
    assert_eq!(back.data(), "welcome");
    publish(&topic, 50..60);
    (0..60).for_each(|n| assert_eq!(back.data(), n.to_string()));
    (0..60).for_each(|n| assert_eq!(fast.data(), n.to_string()));
}

fn followers_that_leave_hold_up_nobody<R: TestRuntime>() {
    let (topic, service) = news(TopicConfig::default());
    let server = TestServer::start::<R>(service);
    let mut stays = Events::get(server.addr, "/news");
    assert_eq!(stays.data(), "welcome");
    for round in 0..20 {
        let leaving: Vec<_> = (0..20).map(|_| Events::get(server.addr, "/news")).collect();
        publish(&topic, round..round + 1);
        drop(leaving);
        assert_eq!(stays.data(), round.to_string());
    }
    drop(stays);
    server.settle();
}

fn followers_finish_with_the_topic<R: TestRuntime>() {
    let topic = Topic::new(TopicConfig::default()).unwrap();
    let slot = std::sync::Mutex::new(Some(topic.clone()));
    let service = Service::builder().events("/news", move |events, _| {
        let topic = slot.lock().unwrap().take().unwrap();
        events.follow(&topic, None).unwrap();
        events.send(Frame::message("welcome")).unwrap();
        std::future::ready(())
    });
    let server = TestServer::start::<R>(service);
    let mut client = Events::get(server.addr, "/news");
    assert_eq!(client.data(), "welcome");
    publish(&topic, 0..3);
    drop(topic);
    assert_eq!(client.rest(), (vec!["0".into(), "1".into(), "2".into()], End::Terminated));
}

fn follower_for_http_1_0_gets_plain_frames<R: TestRuntime>() {
    let (topic, service) = news(TopicConfig::default());
    let mut server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    client.send("GET /news HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.head().status, 200);
    crate::support::until("it follows", || server.handle.streams() == 1);
    publish(&topic, 0..2);
    let first = topic.last_id().stream;
    let thread = thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut client.io, &mut text).unwrap();
        text
    });
    server.shut_down();
    let text = thread.join().unwrap();
    assert!(text.ends_with(&format!("id: {first:x}.1\ndata: 0\n\nid: {first:x}.2\ndata: 1\n\n")), "{text}");
}

fn publishers_on_many_threads_lose_nothing<R: TestRuntime>() {
    let (topic, service) = news(TopicConfig::default());
    let server = TestServer::start::<R>(service);
    let mut clients: Vec<_> = (0..10).map(|_| Events::get(server.addr, "/news")).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.data(), "welcome"));
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            let topic = topic.clone();
            thread::spawn(move || {
                for n in 0..250 {
                    topic.publish(&Frame::message(&format!("{publisher} {n}")));
                }
            })
        })
        .collect();
    for client in &mut clients {
        let mut next = [0; 4];
        for _ in 0..1_000 {
            let data = client.data();
            let (publisher, n) = data.split_once(' ').unwrap();
            let next = &mut next[publisher.parse::<usize>().unwrap()];
            assert_eq!(n.parse(), Ok(*next), "in the order of its publisher");
            *next += 1;
        }
    }
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
}

fn application_answers_its_own_requests<R: TestRuntime>() {
    let service = Service::builder()
        .request("GET", "/health", |_| async { Response::text(200, "well\n") })
        .request("POST", "/echo", |request| async move {
            Response::json(201, [request.head.query().unwrap_or_default().as_bytes(), &request.body].concat())
        });
    let server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    let health = client.request(get("/health", ""));
    assert_eq!((health.status, health.body.as_str()), (200, "well\n"));
    let echo = client.request(post("/echo?a=", "body"));
    assert_eq!((echo.status, echo.body.as_str()), (201, "a=body"));
    let refused = client.request(get("/echo", ""));
    assert_eq!((refused.status, refused.header("Allow")), (405, Some("POST")));
    assert_eq!(client.request(get("/health", "Origin: https://evil.example\r\n")).status, 403);
}

fn application_that_fails_over_a_request_answers_500<R: TestRuntime>() {
    let service = Service::builder().request("GET", "/", |_| async { panic!("the application's own fault") });
    let server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    assert_eq!(client.request(get("/", "")).status, 500);
    assert_eq!(client.request(get("/nowhere", "")).status, 404, "the connection goes on");
}

fn request_whose_connection_breaks_is_dropped<R: TestRuntime>() {
    struct Dropped(mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (began, begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let (began, tell) = (std::sync::Mutex::new(began), std::sync::Mutex::new(tell));
    let service = Service::builder().request("GET", "/slow", move |_| {
        let dropped = Dropped(tell.lock().unwrap().clone());
        began.lock().unwrap().send(()).unwrap();
        async move {
            std::future::pending::<()>().await;
            drop(dropped);
            Response::empty(200)
        }
    });
    let server = TestServer::start::<R>(service);
    let mut client = Client::connect(server.addr);
    client.send(get("/slow", ""));
    begun.recv_timeout(crate::support::PATIENCE).unwrap();
    client.reset();
    told.recv_timeout(crate::support::PATIENCE).unwrap();
    server.settle();
}
