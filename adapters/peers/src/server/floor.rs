//! The floor: what the work costs when nothing but the work is done.
//!
//! One thread, one edge-triggered epoll, frames that are formatted once and lie one behind the other for all, a cursor a
//! connection, and one `writev` a connection and wake-up. It knows no HTTP beyond the contract: a request must come in one piece, and a
//! slow reader may hold back any amount of memory.

mod log;

use std::{
    error::Error,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::{SocketFlags, accept_with, sockopt},
};

use crate::contract::{Ask, monotonic, write_event};
use log::Log;

/// The listener's token; a connection's is its place.
const LISTENER: u64 = u64::MAX;
const EVENTS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
    Transfer-Encoding: chunked\r\n\r\nc\r\ndata: open\n\n\r\n";
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const DONE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// What a stream of its own has formatted before it writes.
const BATCH: usize = 64 << 10;
/// Messages published before the connections are written to.
const AT_ONCE: u64 = 1024;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    if threads != 1 {
        return Err("the floor has one thread".into());
    }
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut floor = Floor {
        listener,
        peers: Vec::new(),
        free: Vec::new(),
        log: Log::default(),
        listening: 0,
        behind: 0,
        publishing: None,
    };
    let mut events = Vec::with_capacity(1024);
    loop {
        events.clear();
        let wait = floor.publishing.as_ref().map(Publishing::wait);
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => floor.accept(&epoll)?,
                place => floor.ready(place as usize, event.flags),
            }
        }
        floor.publish();
    }
}

struct Floor {
    listener: TcpListener,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    log: Log,
    /// How many listen.
    listening: usize,
    /// How many of them could not take all that is in the log.
    behind: usize,
    publishing: Option<Publishing>,
}

struct Peer {
    socket: TcpStream,
    state: State,
}

enum State {
    Asking,
    Listening { cursor: u64, behind: bool },
    Streaming(Box<Streaming>),
}

struct Streaming {
    ask: Ask,
    next: u64,
    batch: Vec<u8>,
    written: usize,
}

struct Publishing {
    ask: Ask,
    next: u64,
    started: u64,
    place: usize,
}

impl Publishing {
    fn wait(&self) -> Timespec {
        let left = (self.started + self.ask.due(self.next)).saturating_sub(monotonic());
        Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 }
    }
}

impl Floor {
    fn accept(&mut self, epoll: impl std::os::fd::AsFd) -> io::Result<()> {
        loop {
            let socket = match accept_with(&self.listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(socket) => TcpStream::from(socket),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            sockopt::set_tcp_nodelay(&socket, true)?;
            let place = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let all = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
            epoll::add(&epoll, &socket, epoll::EventData::new_u64(place as u64), all)?;
            self.peers[place] = Some(Peer { socket, state: State::Asking });
        }
    }

    fn ready(&mut self, place: usize, flags: epoll::EventFlags) {
        let open = !flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR)
            || self.read(place);
        if !(open && self.write(place)) {
            self.close(place);
        }
    }

    /// Takes what the peer says; false when it is gone.
    fn read(&mut self, place: usize) -> bool {
        let mut request = [0; 4096];
        let Some(peer) = &mut self.peers[place] else { return true };
        let got = match peer.socket.read(&mut request) {
            Ok(0) => return false,
            Ok(got) => got,
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        };
        match peer.state {
            State::Asking => self.answer(place, &request[..got]),
            State::Listening { .. } | State::Streaming(_) => true,
        }
    }

    fn answer(&mut self, place: usize, request: &[u8]) -> bool {
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let target = String::from_utf8_lossy(target);
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let Some(peer) = &mut self.peers[place] else { return true };
        match path {
            "/events" => {
                peer.state = State::Listening { cursor: self.log.end(), behind: false };
                self.listening += 1;
                peer.socket.write_all(EVENTS).is_ok()
            }
            "/stream" => {
                let streaming =
                    Streaming { ask: Ask::from_query(query), next: 1, batch: STREAM.to_vec(), written: 0 };
                peer.state = State::Streaming(Box::new(streaming));
                true
            }
            "/publish" => {
                self.publishing =
                    Some(Publishing { ask: Ask::from_query(query), next: 1, started: monotonic(), place });
                true
            }
            "/stats" => {
                let body = format!("{{\"sessions\":{}}}", self.listening);
                write!(peer.socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).is_ok()
            }
            _ => false,
        }
    }

    fn write(&mut self, place: usize) -> bool {
        let Some(peer) = &mut self.peers[place] else { return true };
        match &mut peer.state {
            State::Asking => true,
            State::Listening { cursor, behind } => {
                if !*behind {
                    return true;
                }
                let wrote = self.log.write(&mut peer.socket, cursor);
                if let Ok(true) = wrote {
                    *behind = false;
                    self.behind -= 1;
                    self.forget();
                }
                wrote.is_ok()
            }
            State::Streaming(streaming) => match streaming.write(&mut peer.socket) {
                Ok(true) => {
                    peer.state = State::Asking;
                    true
                }
                Ok(false) => true,
                Err(_) => false,
            },
        }
    }

    /// Publishes what is due, and writes it to all who listen.
    fn publish(&mut self) {
        let Some(publishing) = &mut self.publishing else { return };
        let elapsed = monotonic() - publishing.started;
        let before = publishing.next;
        while publishing.next <= publishing.ask.n
            && publishing.next - before < AT_ONCE
            && publishing.ask.due(publishing.next) <= elapsed
        {
            self.log.push(publishing.next, publishing.ask.size);
            publishing.next += 1;
        }
        let (done, place) = (publishing.next > publishing.ask.n, publishing.place);
        if publishing.next > before {
            self.write_all();
        }
        if done {
            self.publishing = None;
            if let Some(peer) = &mut self.peers[place] {
                let _ = peer.socket.write_all(DONE); // The read says that it is gone.
            }
        }
    }

    fn write_all(&mut self) {
        let mut gone = Vec::new();
        for (place, peer) in self.peers.iter_mut().enumerate() {
            let Some(Peer { socket, state: State::Listening { cursor, behind: behind @ false } }) = peer
            else {
                continue;
            };
            match self.log.write(socket, cursor) {
                Ok(true) => {}
                Ok(false) => {
                    *behind = true;
                    self.behind += 1;
                }
                Err(_) => gone.push(place),
            }
        }
        gone.into_iter().for_each(|place| self.close(place));
        self.forget();
    }

    fn forget(&mut self) {
        if self.behind == 0 {
            self.log.clear();
        }
    }

    fn close(&mut self, place: usize) {
        let Some(peer) = self.peers[place].take() else { return };
        self.free.push(place);
        if let State::Listening { behind, .. } = peer.state {
            self.listening -= 1;
            self.behind -= usize::from(behind);
            self.forget();
        }
    }
}

impl Streaming {
    /// Writes until all is written (true) or the socket takes no more.
    fn write(&mut self, socket: &mut TcpStream) -> io::Result<bool> {
        loop {
            while self.written < self.batch.len() {
                match socket.write(&self.batch[self.written..]) {
                    Ok(wrote) => self.written += wrote,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            if self.next > self.ask.n {
                return Ok(true);
            }
            self.fill();
        }
    }

    /// The next messages as one chunk, its length written when it is known.
    fn fill(&mut self) {
        self.written = 0;
        self.batch.clear();
        self.batch.extend_from_slice(b"00000000\r\n");
        let head = self.batch.len();
        while self.next <= self.ask.n && self.batch.len() < BATCH {
            write_event(&mut self.batch, self.next, self.ask.size);
            self.next += 1;
        }
        let length = format!("{:08x}", self.batch.len() - head);
        self.batch[..8].copy_from_slice(length.as_bytes());
        self.batch.extend_from_slice(if self.next > self.ask.n { b"\r\n0\r\n\r\n" } else { b"\r\n" });
    }
}
