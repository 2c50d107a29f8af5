//! [`Person`]: whoever is on a client's side in a world.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::sim::{Attacker, Client, Conn, McpClient, Program, Wish};
use crate::{Disconnect, Tick};

/// Client of either transport, or stranger.
#[derive(Debug)]
pub(super) enum Person {
    Client(Box<Client>),
    Mcp(Box<McpClient>),
    Attacker(Attacker),
}

macro_rules! delegate {
    ($self:ident, $person:ident => $call:expr) => {
        match $self {
            Person::Client($person) => $call,
            Person::Mcp($person) => $call,
            Person::Attacker($person) => $call,
        }
    };
}

impl Program for Person {
    fn connects(&mut self, now: Tick) -> Option<usize> {
        delegate!(self, person => person.connects(now))
    }
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        delegate!(self, person => person.handle_connected(now, conn));
    }
    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        delegate!(self, person => person.poll(conn, offer))
    }
    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        delegate!(self, person => person.handle_wrote(now, conn, taken));
    }
    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        delegate!(self, person => person.handle_bytes(now, conn, bytes));
    }
    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        delegate!(self, person => person.handle_disconnect(now, conn, how));
    }
    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        delegate!(self, person => person.handle_closed(now, conn));
    }
    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        delegate!(self, person => person.handle_timeout(now, conn));
    }
    fn deadline(&self) -> Option<Tick> {
        delegate!(self, person => person.deadline())
    }
}
