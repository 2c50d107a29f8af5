//! [`Program`]: a whole program, as the world drives it.

use alloc::vec::Vec;

use super::Violation;
use crate::{Disconnect, Tick};

/// A connection, by its number in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(pub u32);

/// What a program wants of one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many bytes it reads now; 0 for none.
    pub read: usize,
    /// When it wants to be told the time, at the latest.
    pub wake_at: Option<Tick>,
    /// What is to become of the connection.
    pub end: End,
}

/// Whether a program is done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    Open,
    /// The sending side is closed behind what was written.
    Shut,
    /// It is dropped.
    Drop,
}

/// A whole program, as pure as the machines that it is made of: the world is its driver.
///
/// `now` is what the program's own clock shows, which may repeat, go back or jump where the world says so.
pub trait Program {
    /// The server, by its number, to which it wants a connection made now. It is asked once it was told something,
    /// and when its [`deadline`](Self::deadline) has come.
    fn connects(&mut self, now: Tick) -> Option<usize> {
        let _ = now;
        None
    }
    /// The connection is there: accepted, or the one that was wanted.
    fn handle_connected(&mut self, now: Tick, conn: Conn);
    /// What it wants, and in `offer` the bytes that it would write. Asking changes nothing.
    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish;
    /// The peer took these bytes, the first of those offered; none, if it had said that it was ready.
    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]);
    /// The peer had no room. What the program wants stays what it was.
    fn handle_refused(&mut self, conn: Conn) {
        let _ = conn;
    }
    /// These bytes came.
    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]);
    /// The connection is gone, or half of it ([`Disconnect::Eof`]).
    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect);
    /// The driver of the connection was dropped in the middle of its work; what is not told here takes it for a reset.
    fn handle_dropped(&mut self, now: Tick, conn: Conn) {
        self.handle_disconnect(now, conn, Disconnect::Reset);
    }
    /// The connection is no more, whoever ended it: the last word about it.
    fn handle_closed(&mut self, now: Tick, conn: Conn);
    /// Time has come to `now`: of one connection, or of the program itself.
    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>);
    /// The deadline that is no connection's.
    fn deadline(&self) -> Option<Tick> {
        None
    }
    /// A law that it saw broken.
    fn violation(&self) -> Option<&Violation> {
        None
    }
}
