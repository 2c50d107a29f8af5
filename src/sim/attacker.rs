//! [`Attacker`]: a stranger who knows the sessions' ids and sends what it likes.

mod streamable;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Conn, End, Program, Rng, Wish};
use crate::http1::{HeadLimits, ResponseEvent, ResponseReader};
use crate::mcp::SessionId;
use crate::{Decoded, Decoder, Disconnect, Tick};

/// Opens connections one after another, and on each sends one thing that no honest client would, or leaves it half
/// said. What it hears must never be what another session was told.
#[derive(Debug)]
pub struct Attacker {
    rng: Rng,
    known: Vec<SessionId>,
    again_at: Tick,
    left: u32,
    every: Duration,
    attempts: BTreeMap<Conn, Attempt>,
    wants: bool,
    statuses: BTreeMap<u16, u64>,
    made: u64,
    heard: Vec<SessionId>,
    /// One attempt in so many goes to `/mcp`; 0 for none.
    at_mcp: u64,
    /// Sessions of `/mcp` that it opened, and the id of an event that it heard in one.
    own: Vec<SessionId>,
    heard_id: Option<String>,
}

#[derive(Debug)]
struct Attempt {
    out: Vec<u8>,
    reader: ResponseReader,
    events: Decoder,
    /// It says no more, and waits for what comes.
    drop_at: Tick,
    over: bool,
}

impl Attacker {
    /// A stranger who makes so many attempts, the first at `from`.
    #[must_use]
    pub fn new(rng: Rng, from: Tick, attempts: u32, every: Duration) -> Attacker {
        Attacker {
            rng,
            known: Vec::new(),
            again_at: from,
            left: attempts,
            every,
            attempts: BTreeMap::new(),
            wants: false,
            statuses: BTreeMap::new(),
            made: 0,
            heard: Vec::new(),
            at_mcp: 0,
            own: Vec::new(),
            heard_id: None,
        }
    }

    /// Lets one attempt in so many go to `/mcp`.
    #[must_use]
    pub fn at_mcp(mut self, one_in: u64) -> Attacker {
        self.at_mcp = one_in;
        self
    }

    /// Tells it the ids of sessions that are alive.
    pub fn learn<'a>(&mut self, sessions: impl Iterator<Item = &'a SessionId>) {
        self.known = sessions.cloned().collect();
    }

    /// Goes away.
    pub fn leave(&mut self) {
        self.left = 0;
        self.wants = false;
        self.attempts.clear();
    }

    /// The sessions in which it was let listen: only ever ones that it opened itself.
    #[must_use]
    pub fn heard(&self) -> &[SessionId] {
        &self.heard
    }

    /// Attempts that it made.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// How often it was answered with which status.
    pub fn statuses(&self) -> impl Iterator<Item = (u16, u64)> {
        self.statuses.iter().map(|(status, times)| (*status, *times))
    }

    fn draw(&mut self) -> Vec<u8> {
        if self.at_mcp > 0 && self.rng.one_in(self.at_mcp) {
            let heard = self.heard_id.as_deref();
            return streamable::draw(&mut self.rng, &self.known, &self.own, heard).into_bytes();
        }
        let id = self.rng.pick(&self.known).map_or_else(|| String::from("none"), |id| format!("{id}"));
        let json = r#"{"jsonrpc":"2.0","method":"forged"}"#;
        let post = |head: &str, body: &str| {
            format!(
                "POST /message?session_id={id} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let get =
            |target: &str, head: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n");
        let text = match self.rng.below(34) {
            0 => post("", "{"),
            1 => post("", "[1,2]"),
            2 => post("", &"[".repeat(300)),
            3 => post("Origin: http://evil.example\r\n", json),
            4 => post("Origin: null\r\n", json),
            5 => post("", json).replace("localhost", "evil.example"),
            6 => post("", json).replace("application/json", "text/plain"),
            7 => post("", json).replace(&id, "00000000-0000-4000-8000-000000000000"),
            8 => post("", json).replace(&id, "no%20id"),
            9 => post("", json).replace("POST", "DELETE"),
            10 => post("", json).replace("/message", "/elsewhere"),
            11 => post("Expect: something\r\n", json),
            12 => post("Transfer-Encoding: chunked\r\n", json),
            13 => post("Transfer-Encoding: gzip\r\n", json).replace("Content-Length: 35\r\n", ""),
            14 => {
                format!("{}{}", post("", "").replace("Content-Length: 0", "Content-Length: 99999999"), json)
            }
            15 => post("", json).replace("HTTP/1.1", "HTTP/9.9"),
            16 => post("", json).replace("Host: localhost", "Host: a\r\nHost: b"),
            17 => post("", json).replace("\r\n", "\n"),
            18 => get(&format!("/{}", "a".repeat(700)), ""),
            19 => get("/sse", &format!("X-Long: {}\r\n", "b".repeat(2_500))),
            20 => get("/sse", "Accept: text/html\r\n"),
            21 => get("/sse", "Last-Event-ID: 1.1\r\n"),
            22 => get("/events", "Last-Event-ID: 7f.99\r\n"),
            23 => get("/sse", "").replace("GET", "OPTIONS"),
            24 => get("/sse", "").replace("GET", "TRACE"),
            25 => String::from("GET /sse HTTP/1.1\r\nHost: local"),
            26 => post("", json).split_at(120).0.into(),
            27 => String::from("\r\n\r\n\r\n"),
            28 => post("", json).replace("Content-Length: 35\r\n", ""),
            29 => post("Content-Encoding: gzip\r\n", json),
            30 => format!("{}{}", post("", json), post("", json)),
            31 => post("Expect: 100-continue\r\n", json),
            32 => get("/sse", ""),
            _ => {
                let n = self.rng.between(1, 80);
                return (0..n).map(|_| self.rng.next().to_le_bytes()[0]).collect();
            }
        };
        text.into_bytes()
    }

    fn hear(&mut self, conn: Conn, bytes: &[u8]) {
        let Some(attempt) = self.attempts.get_mut(&conn) else { return };
        let mut input = bytes;
        loop {
            match attempt.reader.read(&mut input) {
                Ok(Some(ResponseEvent::Head(head))) => {
                    *self.statuses.entry(head.status()).or_default() += 1;
                    let id = head.header("mcp-session-id").and_then(|id| core::str::from_utf8(id).ok());
                    self.own.extend(id.and_then(|id| SessionId::parse(id).ok()));
                }
                Ok(Some(ResponseEvent::Body(mut body))) => {
                    while let Some(Ok(decoded)) = attempt.events.decode(&mut body) {
                        if let Decoded::Event(event) = &decoded
                            && let Some(id) = event.last_event_id
                        {
                            self.heard_id = Some(String::from(id.as_str()));
                        }
                        if let Decoded::Event(event) = decoded
                            && event.event_type == "endpoint"
                            && let Some((_, id)) = event.data.split_once("session_id=")
                        {
                            self.heard.extend(SessionId::parse(id).ok());
                        }
                    }
                }
                Ok(Some(ResponseEvent::End)) | Err(_) => {
                    attempt.over = true;
                    return;
                }
                Ok(None) => return,
            }
        }
    }
}

impl Program for Attacker {
    fn connects(&mut self, _: Tick) -> Option<usize> {
        self.wants.then_some(0)
    }

    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        self.wants = false;
        self.made += 1;
        let (out, mut patience) = (self.draw(), Duration::from_micros(self.rng.below(20_000_000)));
        if self.at_mcp > 0 && self.rng.one_in(2) {
            patience /= 15;
        }
        let reader = ResponseReader::new(HeadLimits::default(), u64::MAX, "GET");
        let events = Decoder::new(core::num::NonZeroUsize::MAX);
        self.attempts.insert(conn, Attempt { out, reader, events, drop_at: now + patience, over: false });
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        match self.attempts.get(&conn) {
            Some(attempt) if !attempt.over => {
                offer.extend_from_slice(&attempt.out);
                Wish { read: usize::MAX, wake_at: Some(attempt.drop_at), end: End::Open }
            }
            Some(_) | None => Wish { read: 0, wake_at: None, end: End::Drop },
        }
    }

    fn handle_wrote(&mut self, _: Tick, conn: Conn, taken: &[u8]) {
        if let Some(attempt) = self.attempts.get_mut(&conn) {
            attempt.out.drain(..taken.len());
        }
    }

    fn handle_bytes(&mut self, _: Tick, conn: Conn, bytes: &[u8]) {
        self.hear(conn, bytes);
    }

    fn handle_disconnect(&mut self, _: Tick, conn: Conn, _: Disconnect) {
        self.attempts.remove(&conn);
    }

    fn handle_closed(&mut self, _: Tick, conn: Conn) {
        self.attempts.remove(&conn);
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        match conn {
            Some(conn) => self.attempts.retain(|at, attempt| *at != conn || attempt.drop_at > now),
            None if self.left > 0 && self.again_at <= now => {
                self.left -= 1;
                self.again_at = now + self.every;
                self.wants = true;
            }
            None => {}
        }
    }

    fn deadline(&self) -> Option<Tick> {
        (self.left > 0).then_some(self.again_at)
    }
}
