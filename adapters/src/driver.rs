//! [`Driver`]: moves the bytes of one event stream between its machine and a socket.
//!
//! There is one machine a connection, behind one lock, and no second queue: what a sender puts into the machine
//! is what the driver writes from. Wakers are taken under the lock and woken after it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::mcp::SessionStream;
use sansio_sse::{Close, Disconnect, EventId, EventStream, Manner, ReplayError, Step, Tick};

use crate::EventSender;
use crate::runtime::{Alarm, Clock, Timer};
use crate::sync::{Mutex, MutexGuard};
use crate::topic::{Log, Seat};

/// Turns of work in one poll, before other tasks get theirs.
const BUDGET: usize = 32;

/// Pieces offered in one vectored write.
const PIECES: usize = 64;

/// A machine that a [`Driver`] can drive: the facts of [`EventStream`].
pub trait Machine: Send + 'static {
    /// Which response this is; changes when another one takes its place.
    fn generation(&self) -> u32;
    /// How the response of that generation ended, if it has.
    fn close_of(&self, generation: u32) -> Option<Close>;
    /// See [`EventStream::poll`].
    fn poll(&self) -> Step<'_>;
    /// See [`EventStream::handle_wrote`].
    fn handle_wrote(&mut self, now: Tick, n: usize);
    /// See [`EventStream::handle_input`].
    fn handle_input(&mut self, now: Tick, n: usize);
    /// See [`EventStream::handle_disconnect`].
    fn handle_disconnect(&mut self, now: Tick, how: Disconnect);
    /// See [`EventStream::handle_timeout`].
    fn handle_timeout(&mut self, now: Tick);
    /// See [`EventStream::handle_abandoned`].
    fn handle_abandoned(&mut self, now: Tick);
    /// See [`EventStream::fill`]. Only streams that follow a topic are asked.
    fn fill(&mut self, _now: Tick, _topic: &mut sansio_sse::Topic) -> bool {
        true
    }
}

macro_rules! forward {
    ($machine:ty) => {
        fn poll(&self) -> Step<'_> {
            <$machine>::poll(self)
        }
        fn handle_wrote(&mut self, now: Tick, n: usize) {
            <$machine>::handle_wrote(self, now, n);
        }
        fn handle_input(&mut self, now: Tick, n: usize) {
            <$machine>::handle_input(self, now, n);
        }
        fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
            <$machine>::handle_disconnect(self, now, how);
        }
        fn handle_timeout(&mut self, now: Tick) {
            <$machine>::handle_timeout(self, now);
        }
        fn handle_abandoned(&mut self, now: Tick) {
            <$machine>::handle_abandoned(self, now);
        }
    };
}

impl Machine for EventStream {
    fn generation(&self) -> u32 {
        0
    }

    fn close_of(&self, _: u32) -> Option<Close> {
        self.closed().copied()
    }

    fn fill(&mut self, now: Tick, topic: &mut sansio_sse::Topic) -> bool {
        EventStream::fill(self, now, topic)
    }

    forward!(EventStream);
}

impl Machine for SessionStream {
    fn generation(&self) -> u32 {
        SessionStream::generation(self)
    }

    fn close_of(&self, generation: u32) -> Option<Close> {
        SessionStream::close_of(self, generation)
    }

    forward!(SessionStream);
}

/// A machine, its driver's waker, and those who wait for room or for the end.
#[derive(Debug)]
pub(crate) struct Shared<M> {
    clock: Clock,
    inner: Mutex<Inner<M>>,
}

#[derive(Debug)]
struct Inner<M> {
    machine: M,
    driver: Option<Waker>,
    waiting: Vec<Waker>,
    /// The topic that it follows, and where its driver's waker is parked there.
    topic: Option<(Arc<Log>, Option<Seat>)>,
}

impl<M> Inner<M> {
    /// The stream is over: no topic wakes its driver any more.
    fn leave_topic(&mut self) {
        if let Some((log, Some(seat))) = self.topic.take() {
            log.leave(seat);
        }
    }
}

impl Shared<EventStream> {
    /// Follows a topic: see [`EventStream::follow`].
    pub(crate) fn follow(&self, log: &Arc<Log>, after: Option<EventId>) -> Result<(), ReplayError> {
        let now = self.clock.recent();
        let mut inner = self.lock();
        log.with(|topic| inner.machine.follow(now, topic, after))?;
        inner.leave_topic();
        inner.topic = Some((Arc::clone(log), None));
        let driver = inner.driver.take();
        drop(inner);
        driver.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl<M: Machine> Shared<M> {
    pub(crate) fn new(clock: Clock, machine: M) -> Arc<Shared<M>> {
        Arc::new(Shared {
            clock,
            inner: Mutex::new(Inner { machine, driver: None, waiting: Vec::new(), topic: None }),
        })
    }

    /// No code of an application runs under the lock, so a panic can't leave the machine half changed.
    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the machine.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        look(&self.lock().machine)
    }

    /// Tells the machine something; the driver, and whoever waits, look again.
    pub(crate) fn command<R>(&self, tell: impl FnOnce(&mut M, Tick) -> R) -> R {
        let now = self.clock.recent();
        let mut inner = self.lock();
        let result = tell(&mut inner.machine, now);
        let driver = inner.driver.take();
        let waiting = if inner.machine.close_of(inner.machine.generation()).is_some() {
            std::mem::take(&mut inner.waiting)
        } else {
            Vec::new()
        };
        drop(inner);
        driver.into_iter().chain(waiting).for_each(Waker::wake);
        result
    }

    /// Asks the machine until it gives an answer: again after every change of room, and after the end.
    pub(crate) fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        ask: impl FnOnce(&mut M, Tick) -> Poll<R>,
    ) -> Poll<R> {
        let now = self.clock.recent();
        let mut inner = self.lock();
        let answer = ask(&mut inner.machine, now);
        let driver = match answer {
            Poll::Ready(_) => inner.driver.take(),
            Poll::Pending => {
                if !inner.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    inner.waiting.push(cx.waker().clone());
                }
                None
            }
        };
        drop(inner);
        driver.into_iter().for_each(Waker::wake);
        answer
    }

    /// The close, once there is one.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Close> {
        self.poll_with(cx, |machine, _| match machine.close_of(machine.generation()) {
            Some(close) => Poll::Ready(close),
            None => Poll::Pending,
        })
    }
}

/// Serves an event stream over any connection, without a [`Server`](crate::Server): whoever answered the request
/// has written no head of its own, or has given the stream one.
///
/// The stream is driven for as long as the driver is polled; its application's side is the sender.
///
/// ```
/// use sansio_sse::{CloseReason, EventStream, Frame};
/// use sansio_sse_adapters::{Clock, SmolTimer, drive};
///
/// # fn main() -> Result<(), sansio_sse::PushError> {
/// let clock = Clock::start();
/// let stream = EventStream::new(clock.now(), Default::default());
/// let mut written = Vec::new();
/// let io = futures_util::io::Cursor::new(&mut written);
///
/// let (driver, events) = drive(clock, stream, Duplex(io), SmolTimer::default());
/// events.send(Frame::message("hello"))?;
/// drop(events); // The last sender finishes the stream.
/// assert_eq!(smol::block_on(driver).reason, CloseReason::Finished);
/// assert_eq!(written, b"data: hello\n\n");
/// # Ok(())
/// # }
/// # use std::{io, pin::Pin, task::{Context, Poll}};
/// # use futures_util::io::{AsyncRead, AsyncWrite};
/// # /// Takes what is written, and never has anything to read.
/// # struct Duplex<W>(W);
/// # impl<W> AsyncRead for Duplex<W> {
/// #     fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
/// #         Poll::Pending
/// #     }
/// # }
/// # impl<W: AsyncWrite + Unpin> AsyncWrite for Duplex<W> {
/// #     fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
/// #         Pin::new(&mut self.0).poll_write(cx, buf)
/// #     }
/// #     fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Pin::new(&mut self.0).poll_flush(cx)
/// #     }
/// #     fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
/// #         Pin::new(&mut self.0).poll_close(cx)
/// #     }
/// # }
/// ```
pub fn drive<Io, T>(
    clock: Clock,
    stream: EventStream,
    io: Io,
    timer: T,
) -> (Driver<EventStream, Io, T>, EventSender)
where
    Io: AsyncRead + AsyncWrite + Unpin,
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
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Driver<M: Machine, Io, T> {
    shared: Arc<Shared<M>>,
    generation: u32,
    io: Io,
    alarm: Alarm<T>,
    closed: Option<Close>,
}

impl<M: Machine, Io, T: Timer> Driver<M, Io, T> {
    pub(crate) fn new(shared: Arc<Shared<M>>, generation: u32, io: Io, timer: T) -> Driver<M, Io, T> {
        Driver { shared, generation, io, alarm: Alarm::new(timer), closed: None }
    }
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
    /// Its waker is parked at the topic, and what was there before is taken.
    caught_up: bool,
    /// The socket had nothing to read: it wakes the task when it has.
    unread: bool,
    /// What the clock said behind the last write.
    now: Option<Tick>,
}

impl<M: Machine, Io: AsyncRead + AsyncWrite + Unpin, T: Timer> Driver<M, Io, T> {
    fn turn(&mut self, cx: &mut Context<'_>, known: &mut Known) -> Turn {
        let clock = self.shared.clock;
        let mut inner = self.shared.lock();
        let Inner { machine, topic, .. } = &mut *inner;
        if let Some((log, seat)) = topic
            && !known.caught_up
        {
            let now = clock.recent();
            known.caught_up = log.fill(seat, cx.waker(), |topic| machine.fill(now, topic));
        }
        if let Some(close) = machine.close_of(self.generation) {
            inner.leave_topic();
            return Turn::Closed(close);
        }
        let Step::Run { bytes, read, wake_at } = machine.poll() else { return Turn::Again };
        // Bytes are offered before the clock is looked at: a late driver invents no stall.
        if !bytes.is_empty() {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let mut offered = 0;
            for (slot, piece) in pieces.iter_mut().zip(bytes.pieces()) {
                *slot = IoSlice::new(piece);
                offered += 1;
            }
            match Pin::new(&mut self.io).poll_write_vectored(cx, &pieces[..offered]) {
                Poll::Ready(Ok(n)) => {
                    let now = clock.now();
                    known.now = Some(now);
                    machine.handle_wrote(now, n);
                    let waiting = std::mem::take(&mut inner.waiting);
                    drop(inner);
                    waiting.into_iter().for_each(Waker::wake);
                    return Turn::Again;
                }
                Poll::Ready(Err(error)) => {
                    if let Some(how) = disconnect(&error) {
                        machine.handle_disconnect(clock.now(), how);
                    }
                    return Turn::Again;
                }
                Poll::Pending => {}
            }
        }
        if read > 0 && !known.unread {
            let mut buffer = [0; 512];
            let len = read.min(buffer.len());
            let got = Pin::new(&mut self.io).poll_read(cx, &mut buffer[..len]);
            match &got {
                Poll::Ready(Ok(0)) => machine.handle_disconnect(clock.now(), Disconnect::Eof),
                Poll::Ready(Ok(n)) => machine.handle_input(clock.now(), *n),
                Poll::Ready(Err(error)) => {
                    if let Some(how) = disconnect(error) {
                        machine.handle_disconnect(clock.now(), how);
                    }
                }
                Poll::Pending => known.unread = true,
            }
            if got.is_ready() {
                return Turn::Again;
            }
        }
        if let Some(at) = wake_at {
            let now = *known.now.get_or_insert_with(|| clock.now());
            if at <= now {
                machine.handle_timeout(now);
                return Turn::Again;
            }
        }
        if self.alarm.poll(cx, clock, wake_at).is_ready() {
            known.now = None;
            return Turn::Again;
        }
        if !inner.driver.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            inner.driver = Some(cx.waker().clone());
        }
        Turn::Idle
    }
}

/// What an I/O error says about the peer; nothing, if the call is only to be made again.
pub(crate) fn disconnect(error: &io::Error) -> Option<Disconnect> {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => None,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Some(Disconnect::Reset),
        io::ErrorKind::TimedOut => Some(Disconnect::TimedOut),
        _ => Some(Disconnect::Io),
    }
}

impl<M: Machine, Io: AsyncRead + AsyncWrite + Unpin, T: Timer> Future for Driver<M, Io, T> {
    type Output = Close;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Close> {
        let this = &mut *self;
        let mut known = Known::default();
        for _ in 0..BUDGET {
            if let Some(close) = this.closed {
                return match close.manner {
                    // The stream is over whatever the shutdown says.
                    Manner::Finish => Pin::new(&mut this.io).poll_close(cx).map(|_| close),
                    Manner::Abort => Poll::Ready(close),
                };
            }
            match this.turn(cx, &mut known) {
                Turn::Again => {}
                Turn::Idle => return Poll::Pending,
                Turn::Closed(close) => {
                    this.closed = Some(close);
                    let waiting = std::mem::take(&mut this.shared.lock().waiting);
                    waiting.into_iter().for_each(Waker::wake);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<M: Machine, Io, T> Drop for Driver<M, Io, T> {
    fn drop(&mut self) {
        if self.closed.is_none() {
            let generation = self.generation;
            self.shared.command(|machine, now| {
                if machine.generation() == generation {
                    machine.handle_abandoned(now);
                }
            });
            self.shared.lock().leave_topic();
        }
    }
}
