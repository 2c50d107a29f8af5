//! A running `mcp-sse`, and a client that shows every byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use crate::{BOUND, mcp_sse};

/// What every request carries, and nobody behind the server may ever see.
const SECRET: &str = "Authorization: Bearer not-to-be-seen\r\n";

/// Text that grows in another thread.
#[derive(Clone, Default)]
struct Text(Arc<(Mutex<(String, bool)>, Condvar)>);

impl Text {
    fn fill(&self, mut from: impl Read + Send + 'static) {
        let text = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let n = from.read(&mut buffer).unwrap_or(0);
                let mut inner = text.0.0.lock().unwrap();
                inner.0.push_str(&String::from_utf8_lossy(&buffer[..n]));
                inner.1 |= n == 0;
                text.0.1.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
    }

    /// Waits until `look` finds something in the text.
    fn wait<T>(&self, what: &str, mut look: impl FnMut(&str, bool) -> Option<T>) -> T {
        let until = Instant::now() + BOUND;
        let mut inner = self.0.0.lock().unwrap();
        loop {
            if let Some(found) = look(&inner.0, inner.1) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} in:\n{}", inner.0);
            inner = self.0.1.wait_timeout(inner, left).unwrap().0;
        }
    }

    fn get(&self) -> String {
        self.0.0.lock().unwrap().0.clone()
    }
}

pub(crate) struct Program {
    child: Child,
    addr: String,
    log: Text,
}

pub(crate) struct Stopped {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl Program {
    /// Starts `mcp-sse serve` on a free port, and waits until it listens.
    pub(crate) fn start(args: &[&str]) -> Program {
        Program::start_by(mcp_sse(), args)
    }

    /// The same, with so many file descriptors at the most.
    pub(crate) fn start_with_descriptors(most: u32, args: &[&str]) -> Program {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {most} && exec \"$@\""), "sh"]);
        let program = mcp_sse();
        shell.arg(program.get_program()).args(program.get_args());
        Program::start_by(shell, args)
    }

    fn start_by(mut command: std::process::Command, args: &[&str]) -> Program {
        command.args(["--listen", "127.0.0.1:0"]).args(args);
        command.env_remove("RUST_LOG").env("NO_COLOR", "1");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let log = Text::default();
        log.fill(child.stderr.take().unwrap());
        Text::default().fill(stdout);
        let addr = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        let addr = addr.unwrap_or_else(|| panic!("no address: {line}{}", log.get())).to_owned();
        Program { child, addr, log }
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        std::process::Command::new("kill").args(["-s", signal, &pid]).stderr(Stdio::null()).status().unwrap();
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        self.log.wait(text, |log, _| log.contains(text).then_some(()));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(mut self) -> Stopped {
        if !self.has_ended() {
            self.signal("TERM");
        }
        wait_until("the program's end", || self.has_ended());
        let code = self.child.wait().unwrap().code();
        let log = self.log.wait("end of the log", |log, ended| ended.then(|| log.to_owned()));
        Stopped { code, log }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A program that a failed test leaves behind; its children go with their pipes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A session: the raw bytes of its stream, and POSTs beside it.
pub(crate) struct Client {
    addr: String,
    endpoint: String,
    stream: TcpStream,
    text: Text,
    read: usize,
    requests: u32,
}

impl Client {
    pub(crate) fn open(program: &Program) -> Client {
        let addr = program.addr().to_owned();
        let mut stream = TcpStream::connect(&addr).unwrap();
        write!(stream, "GET /sse HTTP/1.1\r\nHost: {addr}\r\nAccept: text/event-stream\r\n{SECRET}\r\n")
            .unwrap();
        let text = Text::default();
        text.fill(stream.try_clone().unwrap());
        let endpoint = text.wait("endpoint", |text, _| {
            let data = text.split("data: ").nth(1)?;
            let line = data.split_once('\n')?.0.trim_end();
            Some(line[line.find("/message").unwrap()..].to_owned())
        });
        Client { addr, endpoint, stream, text, read: 0, requests: 0 }
    }

    pub(crate) fn session_id(&self) -> String {
        self.endpoint.split("session_id=").nth(1).unwrap().to_owned()
    }

    pub(crate) fn try_send(&self, body: &str) -> u16 {
        post(&self.addr, &self.endpoint, body)
    }

    pub(crate) fn send(&self, body: &str) {
        assert_eq!(self.try_send(body), 202, "{body}");
    }

    /// The data of the next message.
    pub(crate) fn message(&mut self) -> String {
        self.read += 1;
        let nth = self.read;
        self.text.wait("message", |text, _| {
            let message = text.split("event: message").nth(nth)?;
            let (_, data) = message.split_once("data: ")?;
            Some(data.split_once('\n')?.0.trim_end().to_owned())
        })
    }

    /// Sends a request with the next id; gives back the next message.
    pub(crate) fn request(&mut self, rest: &str) -> String {
        self.requests += 1;
        self.send(&format!(r#"{{"jsonrpc":"2.0","id":{},{rest}}}"#, self.requests));
        self.message()
    }

    /// Waits for the stream's end, and says whether it was told and not cut.
    pub(crate) fn ends_with_last_chunk(&self) -> bool {
        self.text.wait("end of the stream", |text, ended| ended.then(|| text.ends_with("\r\n0\r\n\r\n")))
    }

    pub(crate) fn wait_for(&self, expected: &str) {
        self.text.wait(expected, |text, _| text.contains(expected).then_some(()));
    }

    pub(crate) fn everything(&self) -> String {
        self.text.get()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// POSTs a body and gives back the status.
pub(crate) fn post(addr: &str, target: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\n{SECRET}Content-Length: {}\r\n\r\n",
        body.len()
    );
    // A refusal may come before the body is written.
    let _ = stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).unwrap();
    status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{status:?}"))
}

/// The processes that a process has started and that still are.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let lists = tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>())
        .collect()
}

/// Looks at what the operating system shows, and has no event for, until it is so.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let until = Instant::now() + BOUND;
    while !so() {
        assert!(Instant::now() < until, "not in time: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
