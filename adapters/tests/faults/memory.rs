//! What a client can make the server keep.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sansio_sse::{Frame, StreamConfig};
use sansio_sse_adapters::Service;

use crate::baseline::{alone_on_every_runtime, resident};
use crate::support::{Client, TestRuntime, TestServer, get, until};

alone_on_every_runtime![memory_of_clients_that_never_read_is_what_the_limits_say];

/// Bytes that may wait for one client.
const LIMIT: usize = 64 * 1024;

const FRAME: usize = 16 * 1024;

/// What a connection has besides: its task, its buffers, the frame that its sender sends again and again, and the
/// one that it waits with.
const BESIDE: usize = 2 * FRAME + 32 * 1024;

fn memory_of_clients_that_never_read_is_what_the_limits_say<R: TestRuntime>() {
    let frames = NonZeroUsize::new(1_000).unwrap();
    let config = StreamConfig::builder().max_queued(frames, NonZeroUsize::new(LIMIT).unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let service = Service::builder().stream(config.build().unwrap()).events("/flood", move |events, _| {
        let count = Arc::clone(&count);
        async move {
            let frame = Frame::message(&"x".repeat(FRAME));
            while events.send_wait(frame.clone()).await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let server = TestServer::start::<R>(service);
    let mut clients = Vec::new();
    let stall = |clients: &mut Vec<Client>, more: usize| {
        for _ in 0..more {
            let mut client = Client::connect_narrow(server.addr);
            client.send(get("/flood", ""));
            clients.push(client);
        }
        until("all streams to run", || server.handle.handlers() == clients.len());
        // Full, as far as can be seen: nothing more is accepted for a while.
        let mut last = (0, 0);
        until("all queues to be full", || {
            let now = accepted.load(Ordering::Relaxed);
            last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
            std::thread::sleep(Duration::from_millis(5));
            last.1 == 30
        });
        resident()
    };
    let first = stall(&mut clients, 10);
    let second = stall(&mut clients, 100);
    let each = second.saturating_sub(first) / 100;
    assert!(each <= LIMIT + BESIDE, "{each} bytes for each that never reads");
    assert!(accepted.load(Ordering::Relaxed) * FRAME > 110 * LIMIT, "the queues were full");
}
