//! A server to be measured, written as any user would write it: `load_server PORT [--runtime smol|tokio] [--threads N]`.
//!
//! - `GET /events[?topic=K]`: an event stream: a first event at once, then all that is published.
//! - `POST /publish?n=&size=&rate=[&topic=K]`: publishes n messages to all, `rate` a second, 0 = as fast as it can.
//! - `GET /stream?n=&size=`: n messages to this connection alone, then the end.
//! - `GET /stats`: how many event streams there are.
//!
//! A message's data is `@SEQ:NANOS@`, padded to `size` bytes: its number from 1, and when it was made.

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, future};

use rustix::time::{ClockId, clock_gettime};
use sansio_sse::http1::{RequestHead, Response};
use sansio_sse::{Batch, Frame};
use sansio_sse_adapters::{Runtime, Server, ServerHandle, Service, SmolRuntime, TokioRuntime, Topic};

/// How much is made for one stream before it is asked to take it, in bytes.
const BATCH: usize = 32 * 1024;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = env::args().collect();
    let option = |name: &str| args.iter().position(|arg| arg == name).and_then(|at| args.get(at + 1));
    let port = args.get(1).ok_or("load_server PORT [--runtime smol|tokio] [--threads N]")?.parse()?;
    let threads: usize = option("--threads").map_or(Ok(1), |n| n.parse())?;
    match option("--runtime").map_or("tokio", String::as_str) {
        "tokio" if threads == 1 => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve::<TokioRuntime>(port))
        }
        "tokio" => {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(threads).enable_all().build()?;
            runtime.block_on(runtime.spawn(serve::<TokioRuntime>(port)))?
        }
        // smol reads the number of its threads from the environment.
        "smol" if env::var_os("SMOL_THREADS").is_none() => {
            let mut again = Command::new(env::current_exe()?);
            Err(again.args(&args[1..]).env("SMOL_THREADS", threads.to_string()).exec().into())
        }
        "smol" => smol::future::block_on(smol::spawn(serve::<SmolRuntime>(port))),
        other => Err(format!("{other} is no runtime: smol and tokio are").into()),
    }
}

async fn serve<R: Runtime>(port: u16) -> Result<(), Failure> {
    let topics: Arc<[Topic]> = (0..100).map(|_| Topic::new(Default::default())).collect::<Result<_, _>>()?;
    let (followed, handle) = (Arc::clone(&topics), Arc::new(OnceLock::<ServerHandle>::new()));
    let looked_at = Arc::clone(&handle);
    let service = Service::builder()
        .max_connections(100_000.try_into()?)
        .events("/events", move |events, request| {
            if let Some(topic) = followed.get(query(&request, "topic")) {
                let _ = events.send(Frame::message("welcome"));
                if events.follow(topic, request.last_event_id()).is_err() {
                    let _ = events.follow(topic, None); // What it has seen last is long gone.
                }
            }
            future::ready(())
        })
        .events("/stream", |events, request| async move {
            let (mut messages, mut batch) = (Messages::new(&request), Batch::default());
            for left in (0..query(&request, "n")).rev() {
                let _ = batch.push(Frame::builder().data(messages.next()));
                let due = left == 0 || batch.bytes() > BATCH;
                if due && events.emit_batch_wait(&mut batch).await.is_err() {
                    return; // The client is gone.
                }
            }
        })
        .request("POST", "/publish", move |request| {
            let topics = Arc::clone(&topics);
            async move {
                let Some(topic) = topics.get(query(&request.head, "topic")) else {
                    return Response::text(404, "no such topic\n");
                };
                let (mut messages, begun) = (Messages::new(&request.head), Instant::now());
                let rate = query(&request.head, "rate");
                for n in 0..query(&request.head, "n") {
                    if rate > 0 {
                        smol::Timer::at(begun + Duration::from_secs_f64(n as f64 / rate as f64)).await;
                    }
                    topic.publish(&Frame::message(messages.next()));
                }
                Response::empty(200)
            }
        })
        .request("GET", "/stats", move |_| {
            let streams = looked_at.get().map_or(0, ServerHandle::streams);
            future::ready(Response::json(200, format!("{{\"sessions\":{streams}}}").into_bytes()))
        })
        .build()?;
    let server = Server::<R>::bind(([127, 0, 0, 1], port).into(), service).await?;
    let _ = handle.set(server.handle());
    server.run(future::pending()).await;
    Ok(())
}

/// A number in the query of a request; 0 if it is not there.
fn query(request: &RequestHead, name: &str) -> usize {
    let pairs = request.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}

/// Numbered messages of one size.
struct Messages {
    seq: u64,
    text: String,
    padding: String,
}

impl Messages {
    fn new(request: &RequestHead) -> Messages {
        Messages { seq: 0, text: String::new(), padding: ".".repeat(query(request, "size")) }
    }

    fn next(&mut self) -> &str {
        self.seq += 1;
        let (now, mut digits) = (clock_gettime(ClockId::Monotonic), itoa::Buffer::new());
        self.text.clear();
        self.text.push('@');
        self.text.push_str(digits.format(self.seq));
        self.text.push(':');
        self.text.push_str(digits.format(now.tv_sec * 1_000_000_000 + now.tv_nsec));
        self.text.push('@');
        self.text.push_str(self.padding.get(self.text.len()..).unwrap_or_default());
        &self.text
    }
}
