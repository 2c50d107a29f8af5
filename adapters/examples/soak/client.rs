//! The clients: each has one stream at a time, and comes again when that has ended. All run on one thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use smol::future::or;
use smol::io::AsyncWriteExt;
use smol::{Async, Timer};
use socket2::{Domain, SockRef, Socket, Type};

use crate::ask::{Ask, PATH, Pace};
use crate::book::{Book, End, Seen};
use crate::reading::Reading;
use crate::server::EVERY;

/// A client leaves after this long, on average: one in a hundred leaves a second.
const STAYS: Duration = Duration::from_secs(100);

/// Longer than anything takes that the server must do.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the clients have in common.
pub(crate) struct Load {
    pub(crate) addr: SocketAddr,
    pub(crate) book: RefCell<Book>,
    /// Closed when all are to leave.
    pub(crate) over: smol::channel::Receiver<()>,
    random: Cell<u64>,
    buffer: RefCell<[u8; 16 * 1024]>,
}

/// How a client takes leave.
#[derive(Clone, Copy)]
enum Leave {
    /// It closes the connection.
    Close,
    /// With a reset.
    Reset,
    /// It closes its sending side, and reads to the end.
    HalfClose,
    /// Not at all: the server finishes the stream.
    Stay,
}

impl Load {
    pub(crate) fn new(addr: SocketAddr, over: smol::channel::Receiver<()>) -> Rc<Load> {
        let random = Cell::new(0x9e37_79b9_7f4a_7c15);
        Rc::new(Load { addr, book: RefCell::default(), over, random, buffer: RefCell::new([0; 16 * 1024]) })
    }

    /// From 0 to 1 (xorshift).
    pub(crate) fn chance(&self) -> f64 {
        let mut x = self.random.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.set(x);
        f64::from(u32::try_from(x >> 32).unwrap_or_default()) / f64::from(u32::MAX)
    }

    /// Waits until all are to leave.
    pub(crate) async fn ended(&self) {
        let _ = self.over.recv().await;
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_closed()
    }

    /// A client without messages.
    pub(crate) async fn idle(self: Rc<Self>) {
        let ask = self.ask(u64::MAX, 0, Pace::Idle);
        let stream = self.stream(ask, async |io, reading| {
            Ok(self.read(io, reading, usize::MAX, self.ended()).await?.unwrap_or(End::Left))
        });
        stream.await;
    }

    /// A client that reads all that comes, leaves, and comes again.
    pub(crate) async fn usual(self: Rc<Self>) {
        while !self.is_over() {
            let stays = STAYS.mul_f64(-self.chance().max(1e-9).ln());
            let leave = match self.chance() {
                ..0.25 => Leave::Close,
                ..0.5 => Leave::Reset,
                ..0.75 => Leave::HalfClose,
                _ => Leave::Stay,
            };
            // Rounded up to at least one.
            let messages = match leave {
                Leave::Stay => u64::try_from(stays.as_millis() / EVERY.as_millis()).unwrap_or(0) + 1,
                Leave::Close | Leave::Reset | Leave::HalfClose => u64::MAX,
            };
            let pace = if self.chance() < 0.05 { Pace::Waits } else { Pace::Steady };
            let ask = self.ask(messages, 64, pace);
            let leaving = async |io: &Async<TcpStream>, reading: &mut Reading| {
                let until = match leave {
                    Leave::Stay => stays + EVERY * 2 + PATIENCE,
                    Leave::Close | Leave::Reset | Leave::HalfClose => stays,
                };
                if let Some(end) = self.read(io, reading, usize::MAX, self.leave_after(until)).await? {
                    return Ok(end);
                }
                match leave {
                    Leave::Close => Ok(End::Left),
                    Leave::Reset => {
                        SockRef::from(io).set_linger(Some(Duration::ZERO)).map_err(text)?;
                        Ok(End::Left)
                    }
                    Leave::HalfClose => {
                        io.get_ref().shutdown(Shutdown::Write).map_err(text)?;
                        let end = self.read(io, reading, usize::MAX, after(PATIENCE)).await?;
                        end.ok_or("a half-close that the server never answered".into())
                    }
                    Leave::Stay if self.is_over() => Ok(End::Left),
                    Leave::Stay => Err("a stream that the server never finished".into()),
                }
            };
            self.stream(ask, leaving).await;
            self.leave_after(Duration::from_secs(1)).await;
        }
    }

    /// A client that reads nothing for long; then all there is.
    pub(crate) async fn sleeper(self: Rc<Self>) {
        while !self.is_over() {
            // Few large messages meet the stall clock, many small ones the system's own.
            let bytes = if self.chance() < 0.5 { 16 * 1024 } else { 4 * 1024 };
            let ask = self.ask(u64::MAX, bytes, Pace::Steady);
            let sleeping = async |io: &Async<TcpStream>, reading: &mut Reading| {
                self.leave_after(Duration::from_secs(20).mul_f64(1.0 + 2.0 * self.chance())).await;
                let end = self.read(io, reading, usize::MAX, self.leave_after(PATIENCE)).await?;
                Ok(end.unwrap_or(End::Left))
            };
            self.stream(ask, sleeping).await;
            self.leave_after(Duration::from_secs(1)).await;
        }
    }

    /// A client that reads a few bytes at a time, too slowly.
    pub(crate) async fn trickler(self: Rc<Self>) {
        while !self.is_over() {
            let ask = self.ask(u64::MAX, 48 * 1024, Pace::Waits);
            let trickling = async |io: &Async<TcpStream>, reading: &mut Reading| {
                Ok(self.read(io, reading, 2_048, self.leave_after(STAYS)).await?.unwrap_or(End::Left))
            };
            self.stream(ask, trickling).await;
            self.leave_after(Duration::from_secs(1)).await;
        }
    }

    pub(crate) fn ask(&self, messages: u64, bytes: usize, pace: Pace) -> Ask {
        Ask { key: self.book.borrow_mut().key(), messages, bytes, pace }
    }

    /// Asks for a stream, and enters into the book what has become of it.
    async fn stream(
        &self,
        ask: Ask,
        live: impl AsyncFnOnce(&Async<TcpStream>, &mut Reading) -> Result<End, String>,
    ) {
        let mut reading = Reading::new(ask);
        let end = async {
            let io = self.connect(ask.bytes > 1_024).await.map_err(text)?;
            (&io).write_all(request(&ask).as_bytes()).await.map_err(text)?;
            live(&io, &mut reading).await
        };
        let end = end.await;
        self.enter(&reading, ask, end);
    }

    pub(crate) fn enter(&self, reading: &Reading, ask: Ask, end: Result<End, String>) {
        let mut book = self.book.borrow_mut();
        let end = end.unwrap_or_else(|what| {
            book.violation(format!("{ask}: {what}"));
            End::Left
        });
        book.seen(Seen { ask, begun: reading.begun, received: reading.received, end });
    }

    pub(crate) async fn connect(&self, narrow: bool) -> io::Result<Async<TcpStream>> {
        if !narrow {
            return Async::<TcpStream>::connect(self.addr).await;
        }
        // Loopback connects at once.
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(4_096)?;
        socket.connect(&self.addr.into())?;
        Async::new(socket.into())
    }

    /// Reads on until the stream ends, or `until` does; so many bytes four times a second, or all that there are.
    pub(crate) async fn read(
        &self,
        io: &Async<TcpStream>,
        reading: &mut Reading,
        at_once: usize,
        until: impl Future<Output = ()>,
    ) -> Result<Option<End>, String> {
        let reads = async {
            loop {
                let before = reading.received;
                let took = io.read_with(|mut io| {
                    let mut buffer = self.buffer.borrow_mut();
                    let len = buffer.len().min(at_once);
                    let n = io.read(&mut buffer[..len])?;
                    Ok((n, reading.take(&buffer[..n])))
                });
                match took.await {
                    Ok((0, _)) if reading.whole => return Ok(Some(End::Whole)),
                    Ok((0, _)) => return Ok(Some(End::Cut)),
                    Ok((_, taken)) => taken?,
                    Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Some(End::Broken)),
                    Err(error) => return Err(text(error)),
                }
                self.book.borrow_mut().received += reading.received - before;
                if at_once != usize::MAX {
                    Timer::after(Duration::from_millis(250)).await;
                }
            }
        };
        let leave = async {
            until.await;
            Ok(None)
        };
        or(reads, leave).await
    }

    /// Waits for so long, or until all are to leave.
    pub(crate) async fn leave_after(&self, after_: Duration) {
        or(after(after_), self.ended()).await;
    }
}

pub(crate) fn request(ask: &Ask) -> String {
    format!("GET {PATH}?{ask} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
}

async fn after(after: Duration) {
    Timer::after(after).await;
}

pub(crate) fn text(error: io::Error) -> String {
    error.to_string()
}
