//! The HTTP/1.1 machines through their public API.

mod body;
pub(crate) mod cases;
mod connection;
mod deadlines;
mod head;
mod response;

use std::sync::Arc;
use std::time::Duration;

use sansio_sse::Tick;
use sansio_sse::http1::{
    Connection, ConnectionClose, ConnectionConfig, ConnectionConfigBuilder, Response, Step,
};

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nok";

fn at(us: u64) -> Tick {
    Tick::from_micros(us)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn shared(builder: ConnectionConfigBuilder) -> Arc<ConnectionConfig> {
    Arc::new(builder.build().expect("a valid configuration"))
}

/// A driver that answers every request with 200 `ok`, and keeps what went both ways.
struct Server {
    connection: Connection,
    now: Tick,
    wire: Vec<u8>,
    requests: Vec<(String, Vec<u8>)>,
    lingered: bool,
}

impl Server {
    fn new(config: Arc<ConnectionConfig>) -> Self {
        let connection = Connection::new(Tick::ZERO, config);
        Self { connection, now: Tick::ZERO, wire: Vec::new(), requests: Vec::new(), lingered: false }
    }

    fn default() -> Self {
        Self::new(Arc::new(ConnectionConfig::default()))
    }

    /// Feeds `bytes` as the steps ask for them; panics where the machine would not read.
    fn feed(&mut self, mut bytes: &[u8]) {
        self.settle();
        while !bytes.is_empty() {
            let read = match self.connection.poll() {
                Step::Run { read, .. } | Step::Linger { read, .. } => read,
                Step::Closed(_) => return,
                step => panic!("unsettled: {step:?}"),
            };
            assert!(read > 0, "does not read");
            let (now, rest) = bytes.split_at(read.min(bytes.len()));
            self.connection.handle_bytes(self.now, now);
            bytes = rest;
            self.settle();
        }
    }

    /// Does all that can be done without input.
    fn settle(&mut self) {
        loop {
            match self.connection.poll() {
                Step::Run { bytes: b"", .. } | Step::Closed(_) => return,
                Step::Run { bytes, .. } => {
                    self.wire.extend_from_slice(bytes);
                    let n = bytes.len();
                    self.connection.handle_wrote(self.now, n);
                }
                Step::Head { .. } => self.connection.receive_body(self.now).expect("in phase"),
                Step::Request { head, body, .. } => {
                    self.requests.push((format!("{} {}", head.method(), head.target()), body.to_vec()));
                    self.connection.respond(self.now, &Response::text(200, "ok")).expect("in phase");
                }
                Step::Linger { .. } => {
                    self.lingered = true;
                    return;
                }
            }
        }
    }

    fn wire(&self) -> &str {
        std::str::from_utf8(&self.wire).expect("text")
    }

    /// The status of the last response on the wire.
    fn status(&self) -> Option<u16> {
        let last = self.wire().rfind("HTTP/1.1 ")?;
        self.wire()[last + 9..last + 12].parse().ok()
    }

    fn closed(&self) -> Option<ConnectionClose> {
        match self.connection.poll() {
            Step::Closed(close) => Some(close),
            _ => None,
        }
    }
}

/// The whole, every cut in two, and byte by byte.
fn splits(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut all = vec![vec![bytes], bytes.chunks(1).collect()];
    // Long inputs are cut at their ends and at some places between.
    let step = (bytes.len() / 400).max(1);
    all.extend((1..bytes.len()).step_by(step).map(|cut| vec![&bytes[..cut], &bytes[cut..]]));
    all
}
