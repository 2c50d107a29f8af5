//! What a session's client was told, and does not get, is noticed.

use super::*;
use crate::EventId;
use crate::sim::{Law, request};
use alloc::format;

struct Deaf;

impl Application for Deaf {
    fn handle_message(&mut self, _: Tick, _: &SessionId, _: &Message, _: &mut Outbox) {}
}

/// A server with one session, and its id.
fn server() -> (Server<Deaf>, SessionId) {
    let http_sse = HttpSse { resumption: crate::mcp::Resumption::Always, ..HttpSse::default() };
    let config = ServerConfig { http_sse, ..ServerConfig::default() };
    let mut server = Server::new(Deaf, config, Rng::new(1));
    server.handle_connected(Tick::ZERO, Conn(1));
    server.handle_bytes(Tick::ZERO, Conn(1), b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let id = server.session_ids().next().unwrap().clone();
    (server, id)
}

fn post(server: &mut Server<Deaf>, id: &SessionId) {
    let body = request(1, "say", "[]");
    let head = format!("POST /message?session_id={id} HTTP/1.1\r\nHost: localhost\r\n");
    let head = format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    server.handle_connected(Tick::ZERO, Conn(2));
    server.handle_bytes(Tick::ZERO, Conn(2), (head + &body).as_bytes());
}

#[test]
fn i2_a_message_that_was_accepted_and_neither_taken_nor_told_to_be_unread_is_noticed() {
    for lost in [false, true] {
        let (mut server, id) = server();
        post(&mut server, &id);
        assert_eq!(server.accounts[&id], (1, 1));
        server.account(&id).0 += usize::from(lost);
        server.outbox.finish(&id);
        server.keep_house(Tick::ZERO);
        let what = server.violation().map(|found| (found.law, found.what.clone()));
        let said = format!("{id}: 2 accepted, 1 taken, 0 unread");
        assert_eq!(what, lost.then_some((Law::I2, said)));
    }
}

#[test]
fn i12_whoever_comes_back_and_finds_nobody_though_its_session_is_there_is_noticed() {
    let (mut server, id) = server();
    let mut offer = Vec::new();
    server.poll(Conn(1), &mut offer);
    let mut lines = core::str::from_utf8(&offer).unwrap().lines();
    let last: EventId = lines.find_map(|line| line.strip_prefix("id: ")?.parse().ok()).unwrap();
    assert_eq!(server.nobody(Tick::ZERO, EventId { seq: 9, ..last }).status(), 204);
    assert_eq!(server.violation(), None, "it was never given out");
    server.nobody(Tick::ZERO, last);
    let found = server.violation().unwrap();
    assert_eq!((found.law, &found.what), (Law::I12, &format!("{last} finds nobody, and {id} is there")));
}
