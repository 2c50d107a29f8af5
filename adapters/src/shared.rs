//! [`Shared`]: a stream's machine and its socket behind one lock, and those whom its changes wake.
//!
//! Who comes first writes: the driver when it is woken, a sender that finds no room, another stream's driver when a
//! topic has something for both. There is no second queue, and most messages wake no task. Wakers are taken under
//! the lock and woken after it.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::{Close, Disconnect, EventId, EventStream, ReplayError, Step, Tick};

use crate::machine::Machine;
use crate::runtime::Clock;
use crate::sync::{Mutex, MutexGuard};
use crate::topic::{Follower, Log, Seat};

/// Pieces offered in one vectored write.
const PIECES: usize = 64;

/// How often a sender makes room by writing before other tasks get their turn.
const SENDER_WRITES: u8 = 32;

/// How often another stream's driver writes for one before it leaves the rest to that one's own.
const PUMPED: usize = 4;

/// A connection, of whatever runtime.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<Io: AsyncRead + AsyncWrite + Unpin + Send> Socket for Io {}

#[derive(Debug)]
pub(crate) struct Shared<M> {
    pub(crate) clock: Clock,
    inner: Mutex<Inner<M>>,
}

pub(crate) struct Inner<M> {
    pub(crate) machine: M,
    /// What a response speaks over, and its generation: another response speaks over another one.
    io: Option<(u32, Box<dyn Socket>)>,
    driver: Option<Waker>,
    /// The driver was woken, and has not looked since.
    woken: bool,
    /// How often senders have written since the driver looked.
    sender_writes: u8,
    waiting: Vec<Waker>,
    following: Option<Following>,
}

/// The topic that a stream follows, and where it is parked there.
struct Following {
    log: Arc<Log>,
    seat: Option<Seat>,
}

/// A topic that a stream followed. Others may be waiting there for this one's driver.
pub(crate) struct Left(Following);

impl Left {
    /// No stream may be locked.
    pub(crate) fn go(self) {
        let Following { log, seat } = self.0;
        log.leave(seat);
    }
}

impl<M: fmt::Debug> fmt::Debug for Inner<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("machine", &self.machine).finish_non_exhaustive()
    }
}

/// What offering the socket bytes came to.
pub(crate) enum Offered {
    /// There were none.
    Nothing,
    /// Some were taken, or the connection has failed: look again.
    Again,
    /// The socket takes none now, and wakes when it does.
    Pending,
}

impl<M: Machine> Inner<M> {
    /// Takes from the topic, if it follows one, as much as there is room for. Says whether that was all; then the
    /// stream is parked there.
    pub(crate) fn fill(&mut self, shared: &Arc<Shared<M>>) -> bool {
        let Some(Following { log, seat }) = &mut self.following else { return true };
        let now = shared.clock.recent();
        let machine = &mut self.machine;
        log.fill(seat, || Arc::<Shared<M>>::clone(shared), |topic| machine.fill(now, topic))
    }

    /// Offers the socket what waits. Bytes are offered before the clock is looked at: who comes late invents no
    /// stall.
    pub(crate) fn offer(&mut self, cx: &mut Context<'_>, clock: Clock) -> Offered {
        let generation = self.machine.generation();
        let (Some(io), Step::Run { bytes, .. }) = (socket(&mut self.io, generation), self.machine.poll())
        else {
            return Offered::Nothing;
        };
        let Some(written) = write(Pin::new(io), cx, bytes.pieces()) else { return Offered::Nothing };
        match written {
            Poll::Ready(Ok(n)) => self.machine.handle_wrote(clock.recent(), n),
            Poll::Ready(Err(error)) => {
                if let Some(how) = disconnect(&error) {
                    self.machine.handle_disconnect(clock.recent(), how);
                }
            }
            Poll::Pending => return Offered::Pending,
        }
        Offered::Again
    }

    /// Reads, if there is something to be read from.
    pub(crate) fn read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match socket(&mut self.io, self.machine.generation()) {
            Some(io) => Pin::new(io).poll_read(cx, buffer),
            None => Poll::Pending,
        }
    }

    /// From now on the response of that generation speaks over `io`. A connection before it is cut.
    pub(crate) fn connect(&mut self, generation: u32, io: Box<dyn Socket>) {
        if self.machine.generation() == generation {
            self.io = Some((generation, io));
        }
    }

    /// Takes the connection of that generation away.
    pub(crate) fn disconnect(&mut self, generation: u32) -> Option<Box<dyn Socket>> {
        self.io.take_if(|(of, _)| *of == generation).map(|(_, io)| io)
    }

    /// The driver has looked: it is to be woken by `waker` from now on.
    pub(crate) fn looked(&mut self, waker: &Waker) {
        self.woken = false;
        self.sender_writes = 0;
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// The driver's waker, unless it was woken already.
    fn wake_driver(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.woken, true) { None } else { self.driver.clone() }
    }

    /// Those who wait for room or for the end.
    pub(crate) fn take_waiting(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.waiting)
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    fn is_over(&self) -> bool {
        self.machine.close_of(self.machine.generation()).is_some()
    }

    /// The stream is over: no topic has anything for it any more. What comes back is to be [left](Left::go) once the
    /// lock is given back.
    pub(crate) fn leave_topic(&mut self) -> Option<Left> {
        self.following.take().map(Left)
    }

    /// The topic that it follows.
    pub(crate) fn topic(&self) -> Option<Arc<Log>> {
        self.following.as_ref().map(|following| Arc::clone(&following.log))
    }
}

fn socket(io: &mut Option<(u32, Box<dyn Socket>)>, generation: u32) -> Option<&mut Box<dyn Socket>> {
    io.as_mut().filter(|(of, _)| *of == generation).map(|(_, io)| io)
}

/// One write of as many pieces as it takes; `None` if there are none.
fn write<'a>(
    io: Pin<&mut Box<dyn Socket>>,
    cx: &mut Context<'_>,
    mut pieces: impl Iterator<Item = &'a [u8]>,
) -> Option<Poll<io::Result<usize>>> {
    let first = pieces.next()?;
    let Some(second) = pieces.next() else { return Some(io.poll_write(cx, first)) };
    let mut slices = [IoSlice::new(&[]); PIECES];
    let mut offered = 0;
    for (slot, piece) in slices.iter_mut().zip([first, second].into_iter().chain(pieces)) {
        *slot = IoSlice::new(piece);
        offered += 1;
    }
    Some(io.poll_write_vectored(cx, &slices[..offered]))
}

/// Wakes a driver and those who wait: nearly always there is nobody, and nothing to be done.
fn wake(driver: Option<Waker>, waiting: Vec<Waker>) {
    if let Some(driver) = driver {
        driver.wake();
    }
    if !waiting.is_empty() {
        waiting.into_iter().for_each(Waker::wake);
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

impl<M: Machine> Shared<M> {
    pub(crate) fn new(clock: Clock, machine: M) -> Arc<Shared<M>> {
        let inner = Inner {
            machine,
            io: None,
            driver: None,
            woken: false,
            sender_writes: 0,
            waiting: Vec::new(),
            following: None,
        };
        Arc::new(Shared { clock, inner: Mutex::new(inner) })
    }

    /// No code of an application runs under the lock, so a panic can't leave the machine half changed.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the machine.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        look(&self.lock().machine)
    }

    /// Tells the machine something; the driver looks again, and at the end those who wait.
    pub(crate) fn command<R>(&self, tell: impl FnOnce(&mut M, Tick) -> R) -> R {
        self.tell(self.clock.now(), tell)
    }

    /// As [`command`](Self::command), for what is sent message by message: its time is a few milliseconds old.
    pub(crate) fn send<R>(&self, send: impl FnOnce(&mut M, Tick) -> R) -> R {
        self.tell(self.clock.recent(), send)
    }

    fn tell<R>(&self, now: Tick, tell: impl FnOnce(&mut M, Tick) -> R) -> R {
        let mut inner = self.lock();
        let result = tell(&mut inner.machine, now);
        let driver = inner.wake_driver();
        let waiting = if inner.is_over() { inner.take_waiting() } else { Vec::new() };
        drop(inner);
        wake(driver, waiting);
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
            Poll::Ready(_) => inner.wake_driver(),
            Poll::Pending => {
                inner.wait(cx.waker());
                None
            }
        };
        drop(inner);
        wake(driver, Vec::new());
        answer
    }

    /// Sends something, and waits for room where there is none; but first makes room, if the socket takes what is in
    /// its way.
    pub(crate) fn poll_send<R>(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(&mut M, Tick) -> Poll<R>,
    ) -> Poll<R> {
        let now = self.clock.recent();
        let mut inner = self.lock();
        let mut waiting = Vec::new();
        let mut answer = send(&mut inner.machine, now);
        while answer.is_pending() && inner.make_room(self.clock) {
            waiting.append(&mut inner.take_waiting());
            answer = send(&mut inner.machine, now);
        }
        let again = answer.is_pending() && inner.sender_writes == SENDER_WRITES;
        let driver = match answer {
            Poll::Ready(_) => inner.wake_driver(),
            Poll::Pending if again => None,
            Poll::Pending => {
                inner.wait(cx.waker());
                None
            }
        };
        if again {
            inner.sender_writes = 0;
        }
        drop(inner);
        wake(driver, waiting);
        if again {
            cx.waker().wake_by_ref();
        }
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

impl<M: Machine> Inner<M> {
    /// Writes for a sender; false if the socket takes nothing, or other tasks are due. Where it takes nothing, it is
    /// the driver that is woken.
    fn make_room(&mut self, clock: Clock) -> bool {
        if self.sender_writes == SENDER_WRITES {
            return false;
        }
        let Some(driver) = self.driver.take() else { return false };
        let offered = self.offer(&mut Context::from_waker(&driver), clock);
        self.driver = Some(driver);
        match offered {
            Offered::Again => {
                self.sender_writes += 1;
                true
            }
            Offered::Nothing | Offered::Pending => false,
        }
    }
}

impl Shared<EventStream> {
    /// Follows a topic: see [`EventStream::follow`].
    pub(crate) fn follow(&self, log: &Arc<Log>, after: Option<EventId>) -> Result<(), ReplayError> {
        let now = self.clock.recent();
        let mut inner = self.lock();
        log.with(|topic| inner.machine.follow(now, topic, after))?;
        let left = inner.leave_topic();
        inner.following = Some(Following { log: Arc::clone(log), seat: None });
        let driver = inner.wake_driver();
        drop(inner);
        left.into_iter().for_each(Left::go);
        wake(driver, Vec::new());
        Ok(())
    }
}

impl<M: Machine> Follower for Shared<M> {
    fn pump(self: Arc<Self>) {
        let mut inner = self.lock();
        // A driver that has not looked yet will.
        let Some(driver) = inner.driver.take() else { return };
        let (mut all, mut idle) = (false, false);
        for _ in 0..PUMPED {
            all = all || inner.fill(&self);
            match inner.offer(&mut Context::from_waker(&driver), self.clock) {
                Offered::Again => {}
                Offered::Nothing => {
                    idle = true;
                    break;
                }
                Offered::Pending => break,
            }
        }
        inner.driver = Some(driver);
        // With bytes left there are other deadlines, and at the end there is a close: both are the driver's.
        let driver = if idle && !inner.is_over() { None } else { inner.wake_driver() };
        let waiting = inner.take_waiting();
        drop(inner);
        wake(driver, waiting);
    }

    fn wake(&self) -> bool {
        let mut inner = self.lock();
        if inner.is_over() {
            return false;
        }
        let driver = inner.wake_driver();
        drop(inner);
        wake(driver, Vec::new());
        true
    }
}
