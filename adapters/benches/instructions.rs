//! Work whose instructions are counted, by `adapters/benches/check`.
//!
//! Usage: `instructions`: lists the names. `instructions NAME [TIMES]`: does that work so often (default 1), inside of
//! [`counted`], for callgrind to count or for a profiler to look at.
//!
//! To add one, write a function that prepares its data and returns what is to be counted and into how many pieces of
//! work it divides, and put it into [`WORKS`]. A piece of work must do the same in every run: no clock, no threads,
//! no hash map.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{self, Connection, ConnectionConfig};
use sansio_sse::mcp::{Route, Routes, StreamKind};
use sansio_sse::{
    AccessRules, Batch, Decoded, Decoder, EventStream, Frame, Framing, Step, StreamConfig, Tick, Topic,
};

/// What is counted, and how many pieces of work it is: one figure is instructions a piece.
type Work = (Box<dyn FnMut()>, usize);

/// A name, and what prepares the work.
type Entry = (&'static str, fn() -> Work);

const WORKS: [Entry; 18] = [
    ("encode a token into a buffer", || encode(token)),
    ("encode JSON-RPC into a buffer", || encode(json_rpc)),
    ("encode JSON-RPC as a frame", encode_shared),
    ("decode a token", || decode(1000, usize::MAX, token)),
    ("decode a token in pieces of 16 bytes", || decode(1000, 16, token)),
    ("decode JSON-RPC", || decode(1000, usize::MAX, json_rpc)),
    ("decode JSON-RPC in pieces of 16 bytes", || decode(1000, 16, json_rpc)),
    ("decode an event of twenty lines", || decode(100, usize::MAX, lines)),
    ("decode an event of twenty lines in pieces of 16 bytes", || decode(100, 16, lines)),
    ("decode a token behind a comment in pieces of 16 bytes", || {
        decode_behind(": keep-alive\n\n", 1000, 16, token)
    }),
    ("decode an event of 64 KiB", || decode(4, usize::MAX, large)),
    ("decode an event of 64 KiB in pieces of 1460 bytes", || decode(4, 1460, large)),
    ("send an event, one at a time", || send(1)),
    ("send an event, 100 at a time", || send(100)),
    ("send an event, 100 in a batch", send_batches),
    ("publish a message to one of 1,000 streams", publish),
    ("open a stream: a plain client's request, and its answer", || open(PLAIN)),
    ("open a stream: a browser's request, and its answer", || open(BROWSER)),
];

const PLAIN: &str = "GET /events HTTP/1.1\r\nHost: localhost:8080\r\nAccept: text/event-stream\r\n\r\n";

const BROWSER: &str = "GET /events HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n\
    sec-ch-ua-platform: \"Linux\"\r\nCache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36\r\n\
    Accept: text/event-stream\r\nsec-ch-ua: \"Chromium\";v=\"147\", \"Not_A Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n\
    Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\
    Referer: http://localhost:8080/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n\r\n";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let Some(name) = words.first() else {
        for (name, _) in WORKS {
            println!("{name}");
        }
        return;
    };
    let Some((_, work)) = WORKS.iter().find(|(work, _)| work == name) else {
        eprintln!("no work is called {name:?}");
        std::process::exit(2);
    };
    let (mut work, pieces) = work();
    // Buffers have their sizes afterwards, and what is found out once is.
    work();
    println!("{pieces}");
    let times = words.get(1).and_then(|times| times.parse().ok()).unwrap_or(1);
    for _ in 0..times {
        counted(&mut *work);
    }
}

/// The one function that callgrind collects in.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
    // Not a tail call, which would leave the function before the work is done.
    black_box(());
}

fn token(n: usize) -> String {
    "the quick brown fox jumps over the lazy dog"[..4 + n * 7 % 37].to_owned()
}

fn json_rpc(n: usize) -> String {
    let text = "the quick brown fox jumps over the lazy dog, ".repeat(5);
    format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

fn large(n: usize) -> String {
    json_rpc(n).repeat(216)
}

fn lines(n: usize) -> String {
    (0..20).map(|line| token(n + line)).collect::<Vec<_>>().join("\n")
}

fn encode(text: fn(usize) -> String) -> Work {
    let texts: Vec<String> = (0..1000).map(text).collect();
    let pieces = texts.len();
    let mut out = Vec::with_capacity(1024);
    let work = move || {
        for text in &texts {
            out.clear();
            Frame::write_message(text, &mut out);
            black_box(&out);
        }
    };
    (Box::new(work), pieces)
}

fn encode_shared() -> Work {
    let texts: Vec<String> = (0..1000).map(json_rpc).collect();
    let pieces = texts.len();
    let work = move || {
        for text in &texts {
            black_box(Frame::message(text));
        }
    };
    (Box::new(work), pieces)
}

fn decode(events: usize, piece: usize, text: fn(usize) -> String) -> Work {
    decode_behind("", events, piece, text)
}

fn decode_behind(before: &str, events: usize, piece: usize, text: fn(usize) -> String) -> Work {
    let event = |n| format!("{before}data: {}\n\n", text(n).replace('\n', "\ndata: "));
    let wire: String = (0..events).map(event).collect();
    let mut decoder = Decoder::new(NonZeroUsize::new(4 << 20).unwrap_or(NonZeroUsize::MAX));
    let work = move || {
        let mut seen = 0;
        for bytes in wire.as_bytes().chunks(piece.min(wire.len())) {
            let mut piece = decoder.piece(bytes);
            while let Some(decoded) = piece.decode() {
                if let Ok(Decoded::Event(event)) = decoded {
                    black_box(event);
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, events);
    };
    (Box::new(work), events)
}

fn stream(now: Tick, config: &Arc<StreamConfig>) -> EventStream {
    EventStream::with_head(now, Arc::clone(config), Box::default(), Framing::Chunked)
}

/// What a driver does: takes all that is offered, and tells the stream.
fn write(now: Tick, stream: &mut EventStream) {
    if let Step::Run { bytes, wake_at, .. } = stream.poll() {
        let written = bytes.pieces().map(|piece| black_box(piece).len()).sum();
        black_box(wake_at);
        stream.handle_wrote(now, written);
    }
}

/// As [`send`], 100 at a time, with one `push_batch` for them.
fn send_batches() -> Work {
    let texts: Vec<String> = (0..1000).map(json_rpc).collect();
    let pieces = texts.len();
    let (mut now, mut batch) = (Tick::ZERO, Batch::default());
    let mut stream = stream(now, &Arc::default());
    let work = move || {
        for texts in texts.chunks(100) {
            now = now + Duration::from_micros(10);
            for text in texts {
                assert_eq!(batch.push(Frame::builder().data(text)), Ok(()));
            }
            assert_eq!(stream.push_batch(now, &mut batch), Ok(100));
            write(now, &mut stream);
        }
    };
    (Box::new(work), pieces)
}

/// push, poll, handle_wrote.
fn send(at_once: usize) -> Work {
    let texts: Vec<String> = (0..1000).map(json_rpc).collect();
    let pieces = texts.len();
    let mut now = Tick::ZERO;
    let mut stream = stream(now, &Arc::default());
    let work = move || {
        for texts in texts.chunks(at_once) {
            now = now + Duration::from_micros(10);
            for text in texts {
                assert_eq!(stream.push_event(now, Frame::builder().data(text)), Ok(()));
            }
            write(now, &mut stream);
        }
    };
    (Box::new(work), pieces)
}

/// publish once; then fill, poll, handle_wrote for each stream.
fn publish() -> Work {
    let text = json_rpc(7);
    let mut now = Tick::ZERO;
    let mut topic = Topic::new(7, Default::default());
    let config = Arc::default();
    let mut streams: Vec<_> = (0..1000).map(|_| stream(now, &config)).collect();
    for stream in &mut streams {
        assert_eq!(stream.follow(now, &topic, None), Ok(()));
    }
    let pieces = streams.len();
    let work = move || {
        now = now + Duration::from_micros(10);
        topic.publish(now, &Frame::message(&text));
        for stream in &mut streams {
            assert!(stream.fill(now, &mut topic));
            write(now, stream);
        }
    };
    (Box::new(work), pieces)
}

/// What becomes of a connection in the core, from its first byte to the head of its stream.
fn open(request: &'static str) -> Work {
    let config: Arc<ConnectionConfig> = Arc::default();
    let routes = Routes::new(AccessRules::loopback()).events("/events");
    let work = move || {
        let mut connection = Connection::new(Tick::ZERO, Arc::clone(&config));
        connection.handle_bytes(Tick::ZERO, request.as_bytes());
        let is_events = match connection.poll() {
            http1::Step::Head { head, .. } => {
                black_box(routes.stream_head(head, StreamKind::Events));
                routes.route(head) == Route::Events(0)
            }
            _ => false,
        };
        assert!(is_events && black_box(connection.hand_over(Tick::ZERO)).is_ok());
    };
    (Box::new(work), 1)
}
