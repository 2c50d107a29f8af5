//! Clients that open a stream, and then read slowly, not at all, or leave in the middle of a frame.

use std::io::Read;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use sansio_sse::mcp::HttpSse;
use sansio_sse::{Close, CloseReason, Disconnect, Frame, HalfClose, KeepAlive, StreamConfig};
use sansio_sse_adapters::{Service, ServiceBuilder};

use crate::baseline::{alone_on_every_runtime, cpu};
use crate::support::{
    Client, Events, Mcp, PATIENCE, TestRuntime, TestServer, echo, echo_service, get, until,
};

alone_on_every_runtime![
    readers_that_stall_are_closed_and_their_neighbour_is_served_meanwhile,
    reader_that_trickles_is_closed_for_its_lag_and_its_neighbour_is_not,
    reset_at_any_place_of_a_frame_ends_the_stream_alone,
    client_that_closed_its_half_is_served_without_spinning,
];

/// Streams at `/flood` of frames of `size` bytes without end, and sessions beside them. A stream tells how many
/// frames were accepted, and how it was closed.
fn flooding(config: StreamConfig, size: usize) -> (ServiceBuilder, mpsc::Receiver<(usize, Close)>) {
    let (closed, closes) = mpsc::channel();
    let service = echo_service().stream(config).events("/flood", move |events, _| {
        let closed = closed.clone();
        async move {
            let frame = Frame::message(&"x".repeat(size));
            let mut accepted = 0;
            while events.send_wait(frame.clone()).await.is_ok() {
                accepted += 1;
            }
            closed.send((accepted, events.closed().await)).unwrap();
        }
    });
    (service, closes)
}

fn stuck(server: &TestServer) -> Client {
    let mut client = Client::connect_narrow(server.addr);
    client.send(get("/flood", ""));
    client
}

fn readers_that_stall_are_closed_and_their_neighbour_is_served_meanwhile<R: TestRuntime>() {
    const STALL: Duration = Duration::from_millis(1_500);
    let config = StreamConfig::builder().stall_after(Some(STALL)).build().unwrap();
    let (service, closes) = flooding(config, 64 * 1024);
    let server = TestServer::start::<R>(service);
    let mut neighbour = Mcp::open(server.addr);
    let stuck: Vec<_> = (0..20).map(|_| stuck(&server)).collect();
    until("all streams to run", || server.handle.handlers() == 21);
    (0..10).for_each(|id| neighbour.ping(id));
    assert!(closes.try_recv().is_err(), "all of its messages came while the others were stuck");
    for _ in &stuck {
        let (accepted, close) = closes.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(close.reason, CloseReason::Stalled { for_ } if for_ >= STALL), "{close:?}");
        assert!((1..=accepted).contains(&close.undelivered), "{close:?}, {accepted} accepted");
    }
    neighbour.ping(10);
}

fn reader_that_trickles_is_closed_for_its_lag_and_its_neighbour_is_not<R: TestRuntime>() {
    const LAG: Duration = Duration::from_secs(1);
    let config = StreamConfig::builder().lag_after(Some(LAG)).build().unwrap();
    let (service, closes) = flooding(config, 64 * 1024);
    let server = TestServer::start::<R>(service);
    let mut neighbour = Mcp::open(server.addr);
    let mut slow = stuck(&server);
    let mut id = 0;
    let (_, close) = loop {
        assert!(slow.io.read(&mut [0]).unwrap() > 0);
        neighbour.ping(id);
        id += 1;
        if let Ok(closed) = closes.recv_timeout(Duration::from_millis(5)) {
            break closed;
        }
        assert!(id < 10_000, "it is never closed");
    };
    assert!(matches!(close.reason, CloseReason::Lagged { behind } if behind >= LAG), "{close:?}");
    neighbour.ping(id);
}

fn reset_at_any_place_of_a_frame_ends_the_stream_alone<R: TestRuntime>() {
    const SIZE: usize = 40;
    let (service, closes) = flooding(StreamConfig::default(), SIZE);
    let server = TestServer::start::<R>(service);
    let mut neighbour = Mcp::open(server.addr);
    let frame = Frame::message(&"x".repeat(SIZE)).as_bytes().len();
    // Head, frame and chunk: every place of one frame at least, seen from the response's end.
    for bytes in 0..2 * (frame + 8) {
        let mut client = stuck(&server);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend([0]);
            client.io.read_exact(head.last_mut().map(std::slice::from_mut).unwrap()).unwrap();
        }
        client.io.read_exact(&mut vec![0; bytes]).unwrap();
        client.reset();
        let (accepted, close) = closes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(close.reason, CloseReason::Disconnected(Disconnect::Reset), "after {bytes} bytes");
        assert!(close.undelivered <= accepted, "{close:?}, {accepted} accepted");
        if bytes % 10 == 0 {
            neighbour.ping(bytes);
        }
    }
}

fn client_that_closed_its_half_is_served_without_spinning<R: TestRuntime>() {
    let every = KeepAlive::Comment(Duration::from_millis(100));
    let stream = StreamConfig::builder().half_close(HalfClose::GoesOn).keep_alive(every).build().unwrap();
    let config = HttpSse { stream: Arc::new(stream), ..HttpSse::default() };
    let server = TestServer::start::<R>(Service::builder().http_sse("/sse", config, echo));
    let mut clients: Vec<Events> = (0..10).map(|_| Events::get(server.addr, "/sse")).collect();
    for client in &mut clients {
        client.next().unwrap();
        client.client.close_write();
    }
    let (began, used) = (Instant::now(), cpu());
    for _ in 0..10 {
        assert!(clients[0].client.io.read(&mut [0; 4_096]).unwrap() > 0);
    }
    let (took, used) = (began.elapsed(), cpu() - used);
    assert!(used < took / 5, "{used:?} of processor time in {took:?} that were spent waiting");
    // Nothing is read any more: that they are gone is only seen by what is written.
    clients.into_iter().for_each(|client| client.client.reset());
}
