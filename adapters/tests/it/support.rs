//! A server on a thread of its own, and clients that are plain blocking sockets.
//!
//! Every wait is for an event, and bounded by [`PATIENCE`].

use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use sansio_sse::mcp::{HttpSse, Message, MessageKind};
use sansio_sse_adapters::{Runtime, Server, ServerHandle, Service, ServiceBuilder, Session};

/// Longer than anything here takes, unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Makes of each generic test one for every runtime.
macro_rules! on_every_runtime {
    ($($name:ident),+ $(,)?) => {
        #[cfg(feature = "smol")]
        mod smol {
            $(#[test]
            fn $name() {
                super::$name::<sansio_sse_adapters::SmolRuntime>();
            })+
        }
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test]
            fn $name() {
                super::$name::<sansio_sse_adapters::TokioRuntime>();
            })+
        }
    };
}
pub(crate) use on_every_runtime;

pub(crate) trait TestRuntime: Runtime {
    /// Runs a future on this thread, with the runtime's reactor beside it.
    fn block_on<F: Future>(future: F) -> F::Output;
}

#[cfg(feature = "smol")]
impl TestRuntime for sansio_sse_adapters::SmolRuntime {
    fn block_on<F: Future>(future: F) -> F::Output {
        ::smol::block_on(future)
    }
}

#[cfg(feature = "tokio")]
impl TestRuntime for sansio_sse_adapters::TokioRuntime {
    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = ::tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(future)
    }
}

/// Waits for a future, but not for ever.
pub(crate) fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let late = async {
        ::smol::Timer::after(PATIENCE).await;
        panic!("waited too long for {what}")
    };
    ::smol::block_on(::smol::future::or(future, late))
}

/// Waits for what no event tells, looking again and again.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let late = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < late, "waited too long for {what}");
        thread::yield_now();
    }
}

/// Ready when a server is to stop.
type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server that runs until it is dropped or shut down. Dropped, it sees to it that nothing of its clients is left.
pub(crate) struct TestServer {
    pub(crate) addr: SocketAddr,
    pub(crate) handle: ServerHandle,
    stop: ::smol::channel::Sender<()>,
    done: mpsc::Receiver<()>,
    running: bool,
}

impl TestServer {
    pub(crate) fn start<R: TestRuntime>(service: ServiceBuilder) -> TestServer {
        TestServer::run::<R, _>(service, Server::run)
    }

    /// A server whose future is dropped when it is asked to stop. `stopped` then waits for what it leaves behind.
    pub(crate) fn start_to_be_dropped<R: TestRuntime>(service: ServiceBuilder) -> TestServer {
        TestServer::run::<R, _>(service, |server, stop| async move {
            let handle = server.handle();
            ::smol::future::or(server.run(std::future::pending()), stop).await;
            handle.gone().await;
        })
    }

    fn run<R: TestRuntime, Fut: Future<Output = ()>>(
        service: ServiceBuilder,
        run: impl FnOnce(Server<R>, Stop) -> Fut + Send + 'static,
    ) -> TestServer {
        let service = service.build().unwrap();
        let (stop, stopped) = ::smol::channel::bounded::<()>(1);
        let (ready, started) = mpsc::channel();
        let (finished, done) = mpsc::channel();
        thread::spawn(move || {
            R::block_on(async move {
                let server = Server::<R>::bind(([127, 0, 0, 1], 0).into(), service).await.unwrap();
                ready.send((server.local_addr(), server.handle())).unwrap();
                run(server, Box::pin(async move { stopped.recv().await.unwrap_or_default() })).await;
                drop(finished);
            });
        });
        let (addr, handle) = started.recv_timeout(PATIENCE).unwrap();
        TestServer { addr, handle, stop, done, running: true }
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&mut self) {
        self.running = false;
        self.stop.close();
    }

    /// Waits until `run` has returned.
    pub(crate) fn stopped(&mut self) {
        let end = self.done.recv_timeout(PATIENCE);
        assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected), "the server did not stop");
    }

    /// Shuts it down, and tells how long that took.
    pub(crate) fn shut_down(&mut self) -> Duration {
        let asked = Instant::now();
        self.ask_to_stop();
        self.stopped();
        asked.elapsed()
    }

    /// Waits until nothing is left of any client.
    pub(crate) fn settle(&self) {
        // Again where a connection was accepted meanwhile whose client has already gone.
        until("sessions, connections and handlers to be gone", || {
            within("connections and handlers to be gone", self.handle.gone());
            (self.handle.sessions(), self.handle.connections(), self.handle.handlers()) == (0, 0, 0)
        });
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.settle();
        if self.running {
            self.shut_down();
        }
    }
}

/// Sessions at `/sse` whose application answers every request.
pub(crate) fn echo_service() -> ServiceBuilder {
    Service::builder().http_sse("/sse", HttpSse::default(), echo)
}

/// Answers every request with its own method.
pub(crate) async fn echo(mut session: Session) {
    while let Some(message) = session.receive().await {
        if message.kind() == MessageKind::Request && session.sender().send(answer(&message)).await.is_err() {
            return;
        }
    }
}

pub(crate) fn answer(request: &Message) -> Message {
    let (id, method) = (request.id().unwrap(), request.method().unwrap());
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"{method}"}}"#).parse().unwrap()
}

pub(crate) fn request(id: impl std::fmt::Display) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#)
}

pub(crate) fn notification(n: usize) -> Message {
    format!(r#"{{"jsonrpc":"2.0","method":"n/{n}"}}"#).parse().unwrap()
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In order, behind the last chunk.
    Terminated,
    /// In order as far as TCP is concerned, but in the middle of a chunked body or without one.
    Eof,
    /// By a reset.
    Reset,
}

/// A response with its body.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

/// One connection to the server.
pub(crate) struct Client {
    pub(crate) io: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Client {
        Client::over(TcpStream::connect(addr).unwrap())
    }

    pub(crate) fn over(io: TcpStream) -> Client {
        io.set_read_timeout(Some(PATIENCE)).unwrap();
        io.set_write_timeout(Some(PATIENCE)).unwrap();
        io.set_nodelay(true).unwrap();
        Client { io, buffer: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.io.write_all(bytes.as_ref()).unwrap();
    }

    /// A connection whose client can hold little that it has not read.
    pub(crate) fn connect_narrow(addr: SocketAddr) -> Client {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        socket.connect(&addr.into()).unwrap();
        Client::over(socket.into())
    }

    pub(crate) fn close_write(&self) {
        self.io.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads some bytes; how it ended, if it did.
    fn fill(&mut self) -> Option<End> {
        let mut some = [0; 64 * 1024];
        match self.io.read(&mut some) {
            Ok(0) => Some(End::Eof),
            Ok(n) => {
                self.buffer.extend_from_slice(&some[..n]);
                None
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(End::Reset),
            Err(error) => panic!("reading from the server: {error}"),
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.buffer.len() < len {
            assert_eq!(self.fill(), None, "the server closed in the middle of a response");
        }
        let rest = self.buffer.split_off(len);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// The next response's head.
    pub(crate) fn head(&mut self) -> Reply {
        let len = loop {
            match find(&self.buffer, b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => assert_eq!(self.fill(), None, "the server closed before a whole head"),
            }
        };
        let head = String::from_utf8(self.take(len)).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        Reply { status, head, body: String::new() }
    }

    /// The next response.
    pub(crate) fn response(&mut self) -> Reply {
        let mut reply = self.head();
        let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        reply.body = String::from_utf8(self.take(length)).unwrap();
        reply
    }

    pub(crate) fn request(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes);
        self.response()
    }

    /// Whether there is something to read.
    pub(crate) fn has_answer(&mut self) -> bool {
        self.io.set_nonblocking(true).unwrap();
        let peeked = self.io.peek(&mut [0]);
        self.io.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    /// Waits until the server closes; nothing may come before.
    pub(crate) fn end(&mut self) -> End {
        let end = loop {
            if let Some(end) = self.fill() {
                break end;
            }
        };
        assert_eq!(String::from_utf8_lossy(&self.buffer), "", "bytes before the end");
        end
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.io).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) data: String,
    pub(crate) retry: Option<String>,
}

/// A response of events that is being read.
pub(crate) struct Events {
    pub(crate) client: Client,
    pub(crate) head: Reply,
    text: Vec<u8>,
    end: Option<End>,
    /// The reconnection time that was told last.
    retry: Option<String>,
}

impl Events {
    pub(crate) fn get(addr: SocketAddr, path: &str) -> Events {
        Events::with(Client::connect(addr), &get(path, ""))
    }

    pub(crate) fn with(mut client: Client, request: &str) -> Events {
        client.send(request);
        let head = client.head();
        assert_eq!(head.status, 200, "{}", head.head);
        Events { client, head, text: Vec::new(), end: None, retry: None }
    }

    /// As [`with`](Self::with), where the server may close before it has said anything.
    pub(crate) fn try_with(mut client: Client, request: &str) -> Option<Events> {
        client.send(request);
        while !client.has_answer() {
            thread::yield_now();
        }
        let closed = client.io.peek(&mut [0]).map_or(true, |n| n == 0);
        (!closed).then(|| Events::with(client, ""))
    }

    /// The next event, or `None` at the end; comments are skipped.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(at) = find(&self.text, b"\n\n") {
                let rest = self.text.split_off(at + 2);
                let block = String::from_utf8(std::mem::replace(&mut self.text, rest)).unwrap();
                let retry = block.lines().find_map(|line| line.strip_prefix("retry: "));
                self.retry = retry.map(str::to_owned).or(self.retry.take());
                if let Some(event) = parse(&block) {
                    return Some(event);
                }
            } else if self.end.is_some() {
                return None;
            } else {
                self.end = self.fill();
            }
        }
    }

    /// Whether the client was told to come again after so many milliseconds.
    pub(crate) fn saw_retry(&self, millis: &str) -> bool {
        self.retry.as_deref() == Some(millis)
    }

    /// Whether the server has not closed it; what has come stays to be read.
    pub(crate) fn is_open(&mut self) -> bool {
        while self.end.is_none() && self.client.has_answer() {
            self.end = self.fill();
        }
        self.end.is_none()
    }

    /// The data of the next event, which must be there.
    pub(crate) fn data(&mut self) -> String {
        let event = self.next();
        event.unwrap_or_else(|| panic!("the stream ended: {:?}", self.end)).data
    }

    /// Reads to the end: the data of what still came, and how it ended.
    pub(crate) fn rest(&mut self) -> (Vec<String>, End) {
        let mut data = Vec::new();
        while let Some(event) = self.next() {
            data.push(event.data);
        }
        (data, self.end.unwrap())
    }

    fn fill(&mut self) -> Option<End> {
        if self.head.header("transfer-encoding") != Some("chunked") {
            let end = self.client.fill();
            self.text.append(&mut self.client.buffer);
            return end;
        }
        let Some(line) = find(&self.client.buffer, b"\r\n") else { return self.client.fill() };
        let size = std::str::from_utf8(&self.client.buffer[..line]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let whole = line + 2 + size + 2;
        while self.client.buffer.len() < whole {
            if let Some(end) = self.client.fill() {
                return Some(end);
            }
        }
        let chunk = self.client.take(whole);
        assert_eq!(&chunk[whole - 2..], b"\r\n");
        self.text.extend_from_slice(&chunk[line + 2..whole - 2]);
        (size == 0).then_some(End::Terminated)
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut data = None;
    for line in block.lines() {
        let (field, value) = line.split_once(": ").unwrap_or((line.trim_end_matches(':'), ""));
        match field {
            "event" => event.name = value.into(),
            "data" => data = Some(data.map_or(String::new(), |data| data + "\n") + value),
            "id" => event.id = Some(value.into()),
            "retry" => event.retry = Some(value.into()),
            _ => {}
        }
    }
    event.data = data?;
    Some(event)
}

pub(crate) fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n")
}

pub(crate) fn post(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A client of HTTP+SSE: the stream that it reads, and the connection on which it POSTs.
pub(crate) struct Mcp {
    pub(crate) events: Events,
    pub(crate) endpoint: Event,
    pub(crate) posts: Client,
}

impl Mcp {
    pub(crate) fn open(addr: SocketAddr) -> Mcp {
        let mut events = Events::get(addr, "/sse");
        let endpoint = events.next().unwrap();
        assert_eq!(endpoint.name, "endpoint");
        Mcp { events, endpoint, posts: Client::connect(addr) }
    }

    pub(crate) fn path(&self) -> &str {
        &self.endpoint.data
    }

    /// POSTs a body.
    pub(crate) fn say(&mut self, body: impl AsRef<[u8]>) -> Reply {
        let request = post(self.path(), body);
        self.posts.request(request)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ping(&mut self, id: usize) {
        let reply = self.say(request(id));
        assert_eq!((reply.status, reply.body.as_str()), (202, ""));
        let event = self.events.next().unwrap();
        assert_eq!(event.name, "message");
        assert_eq!(event.data, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ping"}}"#));
    }
}
