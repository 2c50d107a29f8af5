//! The load generator: one thread, one epoll, and a check of every byte that arrives.

mod connection;
mod crowd;
mod events;
mod framing;
mod histogram;

pub use crowd::{Crowd, Outcome, Readers};
pub use histogram::Histogram;

use std::{
    io::{Read, Write},
    net::{SocketAddrV4, TcpStream},
    time::Duration,
};

use framing::Framing;

/// A server, as its clients see it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddrV4,
    /// Whether the clients stay awake while something is due, on a core of their own: a server should not pay for
    /// waking that core, which in a virtual machine is a third of what a message costs.
    pub awake: bool,
}

/// Why a server has no figure.
pub type Failure = String;

/// Sends a request on a connection of its own and reads the whole answer; for what is not measured.
pub fn ask(server: SocketAddrV4, request: &str) -> Result<String, Failure> {
    let failed = |error| format!("no answer to {:?}: {error}", request.lines().next().unwrap_or_default());
    let mut socket = TcpStream::connect(server).map_err(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).map_err(failed)?;
    socket.write_all(request.as_bytes()).map_err(failed)?;
    let (mut framing, mut answer, mut buffer) = (Framing::default(), Vec::new(), [0; 4096]);
    while !framing.is_done() {
        let got = socket.read(&mut buffer).map_err(failed)?;
        if got == 0 {
            break;
        }
        framing.feed(&buffer[..got], |_| Ok(()))?;
        answer.extend_from_slice(&buffer[..got]);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A request without a body.
pub fn request(server: SocketAddrV4, method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\n{more}\r\n")
}
