//! A server that stops while all of its streams are busy.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use sansio_sse::mcp::{HttpSse, Resumption};
use sansio_sse::{Close, CloseReason, Frame, StreamConfig};
use sansio_sse_adapters::{Service, ServiceBuilder, Session};

use crate::baseline::alone_on_every_runtime;
use crate::support::{Client, End, Events, PATIENCE, TestRuntime, TestServer, get, notification};

alone_on_every_runtime![
    what_was_accepted_before_a_shutdown_is_delivered_or_counted,
    what_was_accepted_before_the_server_is_dropped_is_counted,
];

const READERS: usize = 4;
const STUCK: usize = 2;

/// Which message of a stream that nobody reads is larger than what the operating system keeps for a socket.
const LARGE: usize = 20;

/// What a handler knows of its stream in the end.
struct Told {
    stream: usize,
    accepted: usize,
    close: Close,
}

/// A server that sends without end on every stream: of those that are read, half are plain ones, half sessions.
fn busy<R: TestRuntime>(start: fn(ServiceBuilder) -> TestServer) -> (TestServer, mpsc::Receiver<Told>) {
    let config = StreamConfig::builder().drain_within(Duration::from_secs(1)).build().unwrap();
    let http_sse = HttpSse {
        stream: Arc::new(config.clone()),
        resumption: Resumption::ServerClosed,
        ..HttpSse::default()
    };
    let (tell, told) = mpsc::channel();
    let tell_too = tell.clone();
    let service = Service::builder()
        .stream(config)
        .events("/events", move |events, head| {
            let tell = tell.clone();
            async move {
                let stream = head.query().unwrap().parse().unwrap();
                let mut accepted = 0;
                while events.send_wait(Frame::message(&text(stream, accepted))).await.is_ok() {
                    accepted += 1;
                }
                let _ = tell.send(Told { stream, accepted, close: events.closed().await });
            }
        })
        .http_sse("/sse", http_sse, move |mut session: Session| {
            let tell = tell_too.clone();
            async move {
                // The client's name of it comes first, as a message.
                let Some(name) = session.receive().await else { return };
                let stream = name.method().unwrap()[2..].parse().unwrap();
                let sender = session.sender();
                let mut accepted = 0;
                while sender.send(text(stream, accepted).parse().unwrap()).await.is_ok() {
                    accepted += 1;
                }
                let _ = tell.send(Told { stream, accepted, close: sender.closed().await });
            }
        });
    (start(service), told)
}

/// What a stream says, message by message.
fn text(stream: usize, n: usize) -> String {
    let len = if stream >= READERS && n == LARGE { 8 << 20 } else { 2_000 };
    format!(r#"{{"jsonrpc":"2.0","method":"{n}","params":["{}"]}}"#, "x".repeat(len))
}

/// The stream of that number, whose handler knows it by that number.
fn open(server: &TestServer, stream: usize, client: Client) -> Events {
    if stream >= READERS || stream.is_multiple_of(2) {
        return Events::with(client, &get(&format!("/events?{stream}"), ""));
    }
    let mut events = Events::with(client, &get("/sse", ""));
    let endpoint = events.next().unwrap().data;
    let name = crate::support::post(&endpoint, notification(stream).as_str());
    assert_eq!(Client::connect(server.addr).request(name).status, 202);
    events
}

/// Streams that are read, and some that are not before the server has stopped: then each has got exactly the
/// first of what was accepted, and the rest is counted.
fn stop_in_the_middle(mut server: TestServer, told: &mpsc::Receiver<Told>, in_order: bool) {
    let stuck: Vec<_> = (READERS..READERS + STUCK)
        .map(|stream| open(&server, stream, Client::connect_narrow(server.addr)))
        .collect();
    let (begun, begins) = mpsc::channel();
    let ended = thread::scope(|scope| {
        let read = |stream| {
            let mut events = open(&server, stream, Client::connect_narrow(server.addr));
            let begun = begun.clone();
            scope.spawn(move || {
                let mut received = 0;
                while let Some(event) = events.next() {
                    assert_eq!(event.data, text(stream, received), "stream {stream} is not in order");
                    received += 1;
                    if received == 50 {
                        begun.send(()).unwrap();
                    }
                }
                (received, events.rest().1)
            })
        };
        let readers: Vec<_> = (0..READERS).map(read).collect();
        let all_begun = (0..READERS).all(|_| begins.recv_timeout(PATIENCE).is_ok());
        server.ask_to_stop();
        server.stopped();
        assert!(all_begun, "some readers get nothing");
        let mut ended: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        ended.extend(stuck.into_iter().map(|mut events| {
            let (all, end) = events.rest();
            (all.len(), end)
        }));
        ended
    });
    let mut counted = 0;
    while let Ok(Told { stream, accepted, close }) = told.try_recv() {
        let (received, end) = ended[stream];
        assert_eq!(received + close.undelivered, accepted, "stream {stream}: {close:?}");
        if in_order {
            let (reason, how) = match stream < READERS {
                true => (CloseReason::Finished, End::Terminated),
                false => (CloseReason::DrainTimedOut, End::Eof),
            };
            assert_eq!((close.reason, end), (reason, how), "stream {stream}");
        }
        counted += 1;
    }
    assert!(!in_order || counted == READERS + STUCK, "{counted} handlers came to their end");
}

fn what_was_accepted_before_a_shutdown_is_delivered_or_counted<R: TestRuntime>() {
    let (server, told) = busy::<R>(TestServer::start::<R>);
    stop_in_the_middle(server, &told, true);
}

/// Handlers may be dropped before they can tell; those that do tell the truth.
fn what_was_accepted_before_the_server_is_dropped_is_counted<R: TestRuntime>() {
    let (server, told) = busy::<R>(TestServer::start_to_be_dropped::<R>);
    stop_in_the_middle(server, &told, false);
}
