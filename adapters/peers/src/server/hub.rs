//! What the servers on tokio share: a runtime, a broadcast channel as the documentation of each shows it, and the count
//! of open streams.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use tokio::{
    runtime::{Builder, Runtime},
    sync::broadcast,
    task::yield_now,
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::BroadcastStream;

use crate::contract::Ask;

/// What the channel holds; a stream that is further behind loses the oldest.
const CAPACITY: usize = 1024;
/// Messages published at once before the streams get turns.
const AT_ONCE: u64 = 1000;
/// How many turns: in one, tokio lets a stream take 128 messages.
const TURNS: usize = 8;

/// One thread: the current one. More: a pool.
pub fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    if threads > 1 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

/// Publishes messages of type `T` to all streams.
#[derive(Clone)]
pub struct Hub<T> {
    sender: broadcast::Sender<T>,
    open: Arc<AtomicUsize>,
}

impl<T: Clone + Send + 'static> Hub<T> {
    pub fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), open: Arc::default() }
    }

    /// All messages from now on, but those that this stream is too late for.
    pub fn listen(&self) -> impl Stream<Item = T> + Send + use<T> {
        let open = Open::new(&self.open);
        BroadcastStream::new(self.sender.subscribe()).filter_map(move |message| {
            let _ = &open; // Counted as long as the stream lives.
            std::future::ready(message.ok())
        })
    }

    /// Publishes what is asked for, each message made by `make`.
    pub async fn publish(&self, ask: Ask, make: impl Fn(u64, usize) -> T) {
        let started = Instant::now();
        for seq in 1..=ask.n {
            if ask.rate > 0 {
                sleep_until(started + Duration::from_nanos(ask.due(seq))).await;
            } else if seq > 1 && seq % AT_ONCE == 1 {
                for _ in 0..TURNS {
                    yield_now().await;
                }
            }
            let _ = self.sender.send(make(seq, ask.size)); // Nobody listening is no error.
        }
    }

    /// The body of `/stats`.
    pub fn stats(&self) -> String {
        format!("{{\"sessions\":{}}}", self.open.load(Ordering::Relaxed))
    }
}

struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
