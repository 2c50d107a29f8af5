//! [`Driver`]: moves the bytes of one event stream between its machine and a socket.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::{Close, Disconnect, EventStream, Manner, Step};

use crate::EventSender;
use crate::machine::Machine;
use crate::runtime::{Alarm, Clock, Timer};
use crate::shared::{Left, Offered, Shared, Socket, disconnect};
use crate::topic::Log;

/// Turns of work in one poll, before other tasks get theirs.
const BUDGET: usize = 32;

/// Serves an event stream over any connection, without a [`Server`](crate::Server): whoever answered the request
/// has written no head of its own, or has given the stream one.
///
/// The stream is driven for as long as the driver is polled; its application's side is the sender.
///
/// ```
/// use sansio_sse::{CloseReason, EventStream, Frame};
/// use sansio_sse_adapters::{Clock, SmolTimer, drive};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::start();
/// let stream = EventStream::new(clock.now(), Default::default());
/// let (io, mut peer) = smol::block_on(connected())?;
///
/// let (driver, events) = drive(clock, stream, io, SmolTimer::default());
/// events.send(Frame::message("hello"))?;
/// drop(events); // The last sender finishes the stream.
/// assert_eq!(smol::block_on(driver).reason, CloseReason::Finished);
/// let mut read = String::new();
/// peer.read_to_string(&mut read)?;
/// assert_eq!(read, "data: hello\n\n");
/// # Ok(())
/// # }
/// # use std::io::Read;
/// # async fn connected() -> std::io::Result<(smol::net::TcpStream, std::net::TcpStream)> {
/// #     let listener = smol::net::TcpListener::bind("127.0.0.1:0").await?;
/// #     let peer = std::net::TcpStream::connect(listener.local_addr()?)?;
/// #     Ok((listener.accept().await?.0, peer))
/// # }
/// ```
pub fn drive<Io, T>(
    clock: Clock,
    stream: EventStream,
    io: Io,
    timer: T,
) -> (Driver<EventStream, T>, EventSender)
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: Timer,
{
    let shared = Shared::new(clock, stream);
    (Driver::new(Arc::clone(&shared), 0, io, timer), EventSender::new(shared))
}

/// Drives one event stream over one connection; resolves to its [`Close`], exactly once.
///
/// Deadlines are served a little late, so that those of many streams wake the process once: by one part in 128 of
/// the wait, and 66 ms at most.
///
/// Dropping it at any point abandons the stream: whoever holds a sender of it sees it closed.
#[must_use = "futures do nothing unless polled"]
pub struct Driver<M: Machine, T> {
    shared: Arc<Shared<M>>,
    generation: u32,
    alarm: Alarm<T>,
    /// The stream has finished: what is left is to shut the connection down.
    finished: Option<Box<Finished>>,
    over: bool,
}

impl<M: Machine, T: fmt::Debug> fmt::Debug for Driver<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("generation", &self.generation)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl<M: Machine, T: Timer> Driver<M, T> {
    /// From now on the stream speaks over `io`; a connection before it is cut.
    pub(crate) fn new<Io>(shared: Arc<Shared<M>>, generation: u32, io: Io, timer: T) -> Driver<M, T>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        shared.lock().connect(generation, Box::new(io));
        Driver { shared, generation, alarm: Alarm::new(timer), finished: None, over: false }
    }

    fn turn(&mut self, cx: &mut Context<'_>, known: &mut Known) -> Turn {
        let clock = self.shared.clock;
        let mut guard = self.shared.lock();
        let inner = &mut *guard;
        if let Some(close) = inner.machine.close_of(self.generation) {
            let io = inner.disconnect(self.generation);
            // Where another response has taken over, they are its driver's.
            let (waiting, left) = if inner.machine.generation() == self.generation {
                (inner.take_waiting(), inner.leave_topic())
            } else {
                (Vec::new(), None)
            };
            drop(guard);
            left.into_iter().for_each(Left::go);
            self.over = true;
            let io = io.filter(|_| close.manner == Manner::Finish);
            self.finished = io.map(|io| Box::new(Finished { close, io }));
            waiting.into_iter().for_each(Waker::wake);
            return Turn::Closed(close);
        }
        inner.looked(cx.waker());
        if !known.caught_up {
            known.caught_up = inner.fill(&self.shared);
        }
        match inner.offer(cx, clock) {
            Offered::Again => {
                let waiting = inner.take_waiting();
                drop(guard);
                waiting.into_iter().for_each(Waker::wake);
                return Turn::Again;
            }
            Offered::Nothing | Offered::Pending => {}
        }
        let Step::Run { read, wake_at, .. } = inner.machine.poll() else { return Turn::Again };
        if read > 0 && !known.unread {
            let mut buffer = [0; 512];
            let len = read.min(buffer.len());
            let got = inner.read(cx, &mut buffer[..len]);
            match &got {
                Poll::Ready(Ok(0)) => inner.machine.handle_disconnect(clock.now(), Disconnect::Eof),
                Poll::Ready(Ok(n)) => inner.machine.handle_input(clock.now(), *n),
                Poll::Ready(Err(error)) => {
                    if let Some(how) = disconnect(error) {
                        inner.machine.handle_disconnect(clock.now(), how);
                    }
                }
                Poll::Pending => known.unread = true,
            }
            if got.is_ready() {
                return Turn::Again;
            }
        }
        if let Some(at) = wake_at {
            let now = clock.now();
            if at <= now {
                inner.machine.handle_timeout(now);
                return Turn::Again;
            }
        }
        if self.alarm.poll(cx, clock, wake_at).is_ready() {
            return Turn::Again;
        }
        known.topic = inner.topic();
        Turn::Idle
    }
}

/// A stream that is over, and its connection.
struct Finished {
    close: Close,
    io: Box<dyn Socket>,
}

/// What one turn came to.
enum Turn {
    /// Something happened: look again.
    Again,
    /// There is nothing to do until a waker is woken.
    Idle,
    /// The stream is over.
    Closed(Close),
}

/// What one poll of a driver knows already.
#[derive(Default)]
struct Known {
    /// The stream is parked at its topic, and what was there before is taken.
    caught_up: bool,
    /// The socket had nothing to read: it wakes the task when it has.
    unread: bool,
    /// The topic, whose other streams may be due.
    topic: Option<Arc<Log>>,
}

impl<M: Machine, T: Timer> Future for Driver<M, T> {
    type Output = Close;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Close> {
        let this = &mut *self;
        let mut known = Known::default();
        for _ in 0..BUDGET {
            if let Some(Finished { close, io }) = this.finished.as_deref_mut() {
                // The stream is over whatever the shutdown says.
                return Pin::new(io).poll_close(cx).map(|_| *close);
            }
            match this.turn(cx, &mut known) {
                Turn::Again => {}
                Turn::Idle => {
                    if let Some(topic) = known.topic {
                        topic.help();
                    }
                    return Poll::Pending;
                }
                Turn::Closed(_) if this.finished.is_some() => {}
                Turn::Closed(close) => return Poll::Ready(close),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<M: Machine, T> Drop for Driver<M, T> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let generation = self.generation;
        self.shared.command(|machine, now| {
            if machine.generation() == generation {
                machine.handle_abandoned(now);
            }
        });
        let mut inner = self.shared.lock();
        let left = if inner.machine.generation() == generation { inner.leave_topic() } else { None };
        let io = inner.disconnect(generation);
        drop(inner);
        left.into_iter().for_each(Left::go);
        drop(io);
    }
}
