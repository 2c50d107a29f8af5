//! One connection of a client: a request out, and the events of its answer in.

use std::{
    io::{self, Read, Write},
    net::{SocketAddrV4, TcpStream},
    os::fd::{AsFd, BorrowedFd},
};

use socket2::{Domain, Socket, Type};

use super::{Failure, events::Events, framing::Framing};

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got {
    /// Bytes, or for now none.
    Bytes(usize),
    /// The end of the response or of the connection.
    End,
}

/// What lies between the client and the server, as far as TCP knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Segments of 64 KiB, by which the kernel measures its buffers: megabytes for each connection.
    Loopback,
    /// Segments of 1,460 bytes, as on the way to another machine.
    Ethernet,
}

/// A connection with one request.
pub struct Connection {
    socket: TcpStream,
    framing: Framing,
    /// The events of the answer.
    pub events: Events,
}

impl Connection {
    /// Connects, and sends the request, which is small enough to be taken at once.
    pub fn open(server: SocketAddrV4, request: &str, line: Line) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        match line {
            Line::Loopback => {}
            Line::Ethernet => socket.set_tcp_mss(1460)?,
        }
        socket.connect(&server.into())?;
        let mut socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.write_all(request.as_bytes())?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, framing: Framing::default(), events: Events::default() })
    }

    /// Sends the next request on the same connection.
    pub fn again(&mut self, request: &str) -> io::Result<()> {
        self.framing = Framing::default();
        self.socket.write_all(request.as_bytes())
    }

    /// Whether the response is complete.
    pub fn is_done(&self) -> bool {
        self.framing.is_done()
    }

    /// Reads once, and gives the data of each event that is complete; the answer must be a 200.
    pub fn read(
        &mut self,
        buffer: &mut [u8],
        mut event: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<Got, Failure> {
        let got = match self.socket.read(buffer) {
            Ok(0) => return Ok(Got::End),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Bytes(0)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(Got::End),
            Err(error) => return Err(format!("a read failed: {error}")),
        };
        let Self { framing, events, .. } = self;
        framing.feed(&buffer[..got], |piece| events.feed(piece, &mut event))?;
        match framing.status() {
            0 | 200 => Ok(if framing.is_done() { Got::End } else { Got::Bytes(got) }),
            status => Err(format!("status {status}")),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
