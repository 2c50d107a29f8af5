//! Programs of one's own in a world, what a world says of one that lies, and what becomes of what nobody knows.

use std::collections::BTreeMap;
use std::time::Duration;

use sansio_sse::mcp::StreamableConfig;
use sansio_sse::sim::{
    Application, Attacker, Client, ClientConfig, Conn, End, Fault, Faults, Law, McpClient, McpConfig, Outbox,
    Program, Rng, Server, ServerConfig, Violation, Wish, World, request,
};
use sansio_sse::{CloseReason, Disconnect, Tick};

use super::{Either, Raw, at, client};

/// Says the same on every connection, remembers what it hears, and is told of no time.
struct Plain {
    says: &'static [u8],
    open: BTreeMap<Conn, (Vec<u8>, Vec<u8>)>,
    ends: Vec<Option<Disconnect>>,
}

impl Plain {
    fn new(says: &'static [u8]) -> Plain {
        Plain { says, open: BTreeMap::new(), ends: Vec::new() }
    }
}

impl Program for Plain {
    fn handle_connected(&mut self, _: Tick, conn: Conn) {
        self.open.insert(conn, (self.says.to_vec(), Vec::new()));
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        offer.extend_from_slice(&self.open[&conn].0);
        Wish { read: usize::MAX, wake_at: None, end: End::Open }
    }

    fn handle_wrote(&mut self, _: Tick, conn: Conn, taken: &[u8]) {
        self.open.get_mut(&conn).unwrap().0.drain(..taken.len());
    }

    fn handle_bytes(&mut self, _: Tick, conn: Conn, bytes: &[u8]) {
        self.open.get_mut(&conn).unwrap().1.extend_from_slice(bytes);
    }

    fn handle_disconnect(&mut self, _: Tick, _: Conn, how: Disconnect) {
        self.ends.push(Some(how));
    }

    fn handle_closed(&mut self, _: Tick, _: Conn) {
        self.ends.push(None);
    }

    fn handle_timeout(&mut self, _: Tick, _: Option<Conn>) {}
}

fn greeting() -> World<Plain, Either> {
    let mut world = World::new(1);
    world.add_server(Plain::new(b"welcome"));
    world.add_client(Either::Raw(Raw { bytes: b"hello".to_vec(), answer: Vec::new(), wants: true }));
    // The second bytes on the way are what keeps time going.
    world.set_links(|_, _, _| {
        let slow = Faults { write_up_to: Some(1), rate: Some(10), pieces: 100, ..Faults::default() };
        [slow.clone(), slow]
    });
    world
}

#[test]
fn a_program_need_not_know_of_time_nor_of_its_driver() {
    let mut world = greeting();
    world.run_until(at(5)).unwrap();
    let served = &world.server(0).unwrap().open[&Conn(0)];
    assert_eq!(served, &(Vec::new(), b"hello".to_vec()));
    let Some(Either::Raw(raw)) = world.clients().next() else { panic!("it is raw") };
    assert_eq!(raw.answer, b"welcome");
    assert!(world.faults().of(Fault::PartialWrite) > 5, "on a connection that is open");
    assert_eq!((world.open(), world.violation()), (1, None));

    // Nor need it want a connection.
    let mut alone: World<Plain, Plain> = World::new(1);
    alone.add_server(Plain::new(b"welcome"));
    alone.add_client(Plain::new(b"hello"));
    alone.run_until(at(5)).unwrap();
    assert_eq!((alone.connections(), alone.now()), (0, at(5)));

    // Its driver is dropped at the first step of time: to it, that is a reset.
    let mut world = greeting();
    world.set_drops(1);
    world.run_until(at(5)).unwrap();
    assert_eq!(world.server(0).unwrap().ends, [Some(Disconnect::Reset), None]);
    assert_eq!(world.faults().of(Fault::DriverDropped), 1);
}

#[test]
fn a_log_shows_what_moved_and_changes_nothing() {
    let (mut dark, mut lit) = (greeting(), greeting());
    lit.keep_log();
    dark.run_until(at(5)).unwrap();
    lit.run_until(at(5)).unwrap();
    assert_eq!((dark.hash(), dark.trace()), (lit.hash(), String::new()));
    let trace = lit.trace();
    let lines: Vec<&str> = trace.lines().collect();
    assert_eq!(lines[0], "// 0.000000s connection 0: client connected 0 ");
    assert!(lines.contains(&"// 0.000000s connection 0: server wrote 1 w"), "{trace}");
    assert!(lines.last().unwrap().contains("client read 1 e"), "{trace}");
}

/// What a driver may tell a program that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// The peer got other bytes.
    Bytes,
    /// Nothing of a connection that is lost, but that it is no more.
    Silence,
    /// No time.
    Timeless,
    /// There is always something to do.
    Restless,
}

/// A server whose driver lies.
struct Misled(Server<Silent>, Lie);

/// Says no more than it is asked.
struct Silent;

impl Application for Silent {
    fn handle_message(
        &mut self,
        _: Tick,
        session: &sansio_sse::mcp::SessionId,
        asked: &sansio_sse::mcp::Message,
        out: &mut Outbox,
    ) {
        if asked.id().is_some() {
            out.send(session, asked.respond("{}").unwrap());
        }
    }
}

impl Program for Misled {
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        self.0.handle_connected(now, conn);
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        self.0.poll(conn, offer)
    }

    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        let got: Vec<u8> = taken.iter().map(|byte| byte ^ u8::from(self.1 == Lie::Bytes)).collect();
        self.0.handle_wrote(now, conn, &got);
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        self.0.handle_bytes(now, conn, bytes);
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        if self.1 != Lie::Silence {
            self.0.handle_disconnect(now, conn, how);
        }
    }

    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        self.0.handle_closed(now, conn);
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        if self.1 != Lie::Timeless {
            self.0.handle_timeout(now, conn);
        }
    }

    fn deadline(&self) -> Option<Tick> {
        if self.1 == Lie::Restless { Some(Tick::ZERO) } else { self.0.deadline() }
    }

    fn violation(&self) -> Option<&Violation> {
        self.0.violation()
    }
}

fn misled<C: Program>(lie: Lie, client: C) -> World<Misled, C> {
    let mut world = World::new(1);
    let config = ServerConfig { streamable: Some(StreamableConfig::default()), ..ServerConfig::default() };
    world.add_server(Misled(Server::new(Silent, config, Rng::new(2)), lie));
    world.add_client(client);
    world.keep_log();
    world
}

fn reads(path: &str) -> Client {
    client(ClientConfig { path: path.to_owned(), ..ClientConfig::default() })
}

/// Runs into a violation, which stays.
fn broken<C: Program>(world: &mut World<Misled, C>) -> Violation {
    let found = world.run_until(at(60)).unwrap_err();
    assert_eq!(world.violation(), Some(&found));
    let now = world.now();
    assert_eq!((world.run_until(at(90)), world.now()), (Err(found.clone()), now), "it goes no further");
    found
}

#[test]
fn i1_bytes_that_the_peer_did_not_get_are_noticed_on_every_kind_of_stream() {
    for path in ["/sse", "/events"] {
        let found = broken(&mut misled(Lie::Bytes, reads(path)));
        assert_eq!(found.law, Law::I1, "{path}: {found}");
        assert!(found.trace.contains("replay(&setup, &ops)"), "it pastes in: {found}");
    }
    let found = broken(&mut misled(Lie::Bytes, McpClient::new(McpConfig::default())));
    assert_eq!(found.law, Law::I1, "{found}");
}

#[test]
fn i5_a_deadline_that_is_not_served_and_work_that_never_ends_are_noticed() {
    let found = broken(&mut misled(Lie::Timeless, reads("/sse")));
    assert_eq!(found.law, Law::I5);
    assert_eq!(found.what, "server, Conn(0): its deadline 15.000000s is over after a timeout");
    assert!(found.trace.contains("connection 0: server wrote"), "the world's log: {found}");
    let found = broken(&mut misled(Lie::Restless, reads("/sse")));
    assert_eq!((found.law, found.at), (Law::I5, Tick::ZERO));
    assert!(found.what.starts_with("somebody spins"), "{found}");
}

#[test]
fn i13_a_response_that_is_gone_without_a_word_is_noticed_or_abandoned() {
    let mut world = misled(Lie::Silence, reads("/sse"));
    world.run_until(at(1)).unwrap();
    world.cut();
    let found = broken(&mut world);
    assert_eq!(found.law, Law::I13);
    assert!(found.what.ends_with("is gone without a close"), "{found}");

    // An answer of /mcp is given back by whoever forgets its connection.
    let mut world = misled(Lie::Silence, McpClient::new(McpConfig::default()));
    world.run_until(at(1)).unwrap();
    world.cut();
    world.run_until(at(2)).unwrap();
    let closes = &world.server(0).unwrap().0.ends().closes;
    assert_eq!(closes.last().unwrap().reason, CloseReason::Abandoned, "{closes:?}");
}

/// A driver that was dropped may have told others to tell what happened; it is nothing to anybody.
#[test]
fn what_happens_to_a_connection_that_is_unknown_changes_nothing() {
    fn stranger(program: &mut impl Program) {
        let (conn, mut offer) = (Conn(77), Vec::new());
        program.handle_wrote(at(1), conn, b"bytes");
        program.handle_refused(conn);
        program.handle_bytes(at(1), conn, b"GET /sse HTTP/1.1\r\nHost: localhost\r\n\r\n");
        program.handle_timeout(at(1), Some(conn));
        program.handle_disconnect(at(1), conn, Disconnect::Eof);
        program.handle_dropped(at(1), conn);
        program.handle_closed(at(1), conn);
        let wish = program.poll(conn, &mut offer);
        assert_eq!((wish.end, wish.wake_at, offer), (End::Drop, None, Vec::new()));
        assert_eq!(program.violation(), None);
    }
    let config = ServerConfig { streamable: Some(StreamableConfig::default()), ..ServerConfig::default() };
    let mut server = Server::new(Silent, config, Rng::new(2));
    stranger(&mut server);
    assert!(server.is_empty() && server.ends().closes.is_empty());
    let posts = [request(1, "a", "[]")].into();
    let mut client = client(ClientConfig { comes: at(2), posts, ..ClientConfig::default() });
    stranger(&mut client);
    assert!(client.heard().is_empty() && !client.has_said_all() && client.accepted().is_empty());
    let mut client = McpClient::new(McpConfig::default());
    stranger(&mut client);
    assert!(client.statuses().next().is_none());
    let mut attacker = Attacker::new(Rng::new(1), at(2), 3, Duration::from_secs(1));
    stranger(&mut attacker);
    assert_eq!(attacker.made(), 0);
    // Nor is it time for its first attempt.
    attacker.handle_timeout(at(1), None);
    assert_eq!((attacker.connects(at(1)), attacker.deadline()), (None, Some(at(2))));
}

/// A server that answers what is no HTTP, or half of it: clients hang up, and come again.
#[test]
fn clients_hang_up_where_they_are_answered_nonsense_and_come_again() {
    for says in [
        &b"not at all HTTP\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
    ] {
        let mut world = World::new(1);
        world.add_server(Plain::new(says));
        world.add_client(reads("/sse"));
        world.run_until(at(60)).unwrap();
        assert!((3..100).contains(&world.connections()), "{}", world.connections());
        assert!(world.clients().all(|client| !client.is_listening() && client.heard()[0].events.is_empty()));

        let mut world = World::new(1);
        world.add_server(Plain::new(says));
        world.add_client(McpClient::new(McpConfig::default()));
        world.run_until(at(60)).unwrap();
        assert!((3..100).contains(&world.connections()), "{}", world.connections());
        assert!(world.clients().all(|client| client.session().is_none()));
    }
}

/// Whether it came through is not known, and it is not said twice; the next is.
#[test]
fn a_post_that_is_answered_nonsense_is_not_said_again() {
    let opening = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n\
        event: endpoint\ndata: /message?session_id=a-1\n\n";
    let mut world: World<Turns, Client> = World::new(1);
    world.add_server(Turns(
        vec![opening, b"nonsense\r\n\r\n", b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"],
        Plain::new(b""),
    ));
    let posts = (1..=2).map(|number| request(number, "say", "[]")).collect();
    world.add_client(client(ClientConfig { posts, ..ClientConfig::default() }));
    world.run_until(at(5)).unwrap();
    let client = world.clients().next().unwrap();
    assert!(client.has_said_all());
    assert_eq!(client.accepted(), [request(2, "say", "[]")]);
    assert_eq!(world.connections(), 3);
}

/// Says something else on each connection.
struct Turns(Vec<&'static [u8]>, Plain);

impl Program for Turns {
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        self.1.says = self.0.remove(0);
        self.1.handle_connected(now, conn);
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        self.1.poll(conn, offer)
    }

    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        self.1.handle_wrote(now, conn, taken);
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        self.1.handle_bytes(now, conn, bytes);
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        self.1.handle_disconnect(now, conn, how);
    }

    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        self.1.handle_closed(now, conn);
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        self.1.handle_timeout(now, conn);
    }
}
