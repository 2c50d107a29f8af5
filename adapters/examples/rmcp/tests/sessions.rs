//! The service on both runtimes: rmcp's client over Streamable HTTP, a bare one over HTTP+SSE, and the program's end.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sansio_sse_adapters::{Runtime, Server, ServerHandle, SmolRuntime, TokioRuntime};
use sansio_sse_rmcp::{client, service};
use serde_json::{Value, json};

const RUNTIMES: [&str; 2] = ["smol", "tokio"];

#[test]
fn rmcps_client_is_served_on_smol() {
    smol::block_on(tried_by_rmcps_client::<SmolRuntime>());
}

#[test]
fn rmcps_client_is_served_on_tokio() {
    tokio().block_on(tried_by_rmcps_client::<TokioRuntime>());
}

#[test]
fn http_sse_is_served_on_smol_and_ends_with_the_server() {
    smol::block_on(tried_over_http_sse::<SmolRuntime>());
}

#[test]
fn http_sse_is_served_on_tokio_and_ends_with_the_server() {
    tokio().block_on(tried_over_http_sse::<TokioRuntime>());
}

#[test]
fn a_signal_ends_the_program_in_order_while_a_session_is_open() {
    for (runtime, signal) in RUNTIMES.into_iter().zip([Signal::TERM, Signal::INT]) {
        let (mut program, addr) = start(runtime);
        let mut client = HttpSse::open(addr);
        client.initialize();
        kill_process(Pid::from_child(&program), signal).unwrap();
        assert_eq!(program.wait().unwrap().code(), Some(0), "{runtime}");
        assert_eq!(client.next_data(), None, "the response ends as one does that is whole");
    }
}

#[test]
fn rmcps_client_says_where_it_failed() {
    let (mut program, addr) = start("smol");
    let client =
        Command::new(env!("CARGO_BIN_EXE_rmcp-client")).args([&format!("http://{addr}/no"), "1"]).output();
    let client = client.unwrap();
    assert_eq!(client.status.code(), Some(1));
    assert!(client.stdout.is_empty());
    assert!(String::from_utf8_lossy(&client.stderr).starts_with("initialize: "), "{client:?}");
    program.kill().unwrap();
    program.wait().unwrap();
}

async fn tried_by_rmcps_client<R: Runtime>() {
    let tried = served::<R, _>(|addr, _| {
        let tally = client::try_out(&format!("http://{addr}/mcp"), 4).unwrap();
        tally.to_string()
    });
    let all = "sessions 5, deleted 5, stateless 1, calls 52, progress 20, resumed 0, announced 0";
    assert_eq!(tried.await, all);
}

async fn tried_over_http_sse<R: Runtime>() {
    let client = served::<R, _>(|addr, server| {
        let mut client = HttpSse::open(addr);
        client.initialize();
        client.call("a", "echo", json!({ "message": "é \u{2028} \r\n\n data: x" }));
        assert_eq!(client.text_of("a"), "é \u{2028} \r\n\n data: x");
        client.call("b", "count", json!({ "to": 3 }));
        for number in 1..=3 {
            let progress = json!({ "progressToken": "b", "progress": f64::from(number), "total": 3.0 });
            assert_eq!(
                client.next(),
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress })
            );
        }
        assert_eq!(client.text_of("b"), "counted to 3");
        client.post(&json!({ "jsonrpc": "2.0", "id": "c", "method": "tools/call", "params": ["no object"] }));
        let refusal = client.next();
        assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&json!("c"), &json!(-32600)), "{refusal}");
        assert_eq!(server.sessions(), 1);
        client
    });
    assert_eq!(client.await.next_data(), None, "the response ends as one does that is whole");
}

/// Serves until `client` is done, and on to the end of all that was served.
async fn served<R: Runtime, T: Send + 'static>(
    client: impl FnOnce(SocketAddr, &ServerHandle) -> T + Send + 'static,
) -> T {
    let server = Server::<R>::bind(([127, 0, 0, 1], 0).into(), service().unwrap()).await.unwrap();
    let (addr, handle) = (server.local_addr(), server.handle());
    let (done, waits) = smol::channel::bounded::<()>(1);
    let client = std::thread::spawn({
        let handle = handle.clone();
        move || {
            let _closed_in_any_case = done;
            client(addr, &handle)
        }
    });
    server
        .run(async move {
            let _ = waits.recv().await;
        })
        .await;
    assert_eq!((handle.sessions(), handle.connections(), handle.handlers()), (0, 0, 0));
    client.join().unwrap()
}

fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

/// The program, and where it listens.
fn start(runtime: &str) -> (Child, SocketAddr) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rmcp-server"));
    let mut program = program.args(["--runtime", runtime]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addr = line.strip_prefix("http://").and_then(|line| line.split_once('/')).unwrap().0.parse().unwrap();
    (program, addr)
}

/// A client of HTTP+SSE that knows as little as can be.
struct HttpSse {
    addr: SocketAddr,
    endpoint: String,
    lines: Lines<BufReader<TcpStream>>,
}

impl HttpSse {
    fn open(addr: SocketAddr) -> HttpSse {
        let lines = BufReader::new(ask(addr, "GET /sse", "")).lines();
        let mut client = HttpSse { addr, endpoint: String::new(), lines };
        client.endpoint = client.next_data().unwrap();
        client
    }

    fn initialize(&mut self) {
        let client = json!({ "name": "bare", "version": "1" });
        let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": client });
        self.post(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
        assert_eq!(self.next()["result"]["serverInfo"]["name"], "rmcp-server");
        self.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    /// Calls a tool; the request's id is the progress token too.
    fn call(&self, id: &str, tool: &str, arguments: Value) {
        let params = json!({ "name": tool, "arguments": arguments, "_meta": { "progressToken": id } });
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
    }

    fn post(&self, message: &Value) {
        let mut answer = String::new();
        let request = format!("POST {}", self.endpoint);
        ask(self.addr, &request, &message.to_string()).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }

    fn text_of(&mut self, id: &str) -> String {
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer["result"]["content"][0]["text"].as_str().unwrap().to_owned()
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_data().expect("a message, and not the end")).unwrap()
    }

    /// The data of the next event; `None` behind the last chunk. What else there is, chunks included, is passed over.
    fn next_data(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next().expect("the response is not cut off").unwrap();
            match line.strip_prefix("data: ") {
                Some(data) => return Some(data.to_owned()),
                None if line == "0" => return None,
                None => {}
            }
        }
    }
}

fn ask(addr: SocketAddr, request: &str, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let kind = "Content-Type: application/json\r\nConnection: close";
    let length = body.len();
    write!(socket, "{request} HTTP/1.1\r\nHost: {addr}\r\n{kind}\r\nContent-Length: {length}\r\n\r\n{body}")
        .unwrap();
    socket
}
