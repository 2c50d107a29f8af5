//! [`Http`]: the HTTP machine of one connection and its socket, until a response takes the socket over.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::Tick;
use sansio_sse::http1::{self, Handover, RequestHead, Response};

use crate::runtime::{Alarm, Clock, Timer};
use crate::shared::disconnect;
use crate::state::State;
use crate::tasks::Finishing;

/// Turns of work in one poll, before other tasks get theirs.
const BUDGET: usize = 32;

/// Bytes read at once: as many as nearly every request has, since the buffer is cleared for each read.
const READ: usize = 1024;

/// And while the peer has more to say than that.
const READ_ON: usize = 16 * 1024;

/// Where the machine wants a decision.
pub(super) enum Point {
    Head(Arc<RequestHead>),
    Request(Arc<RequestHead>, Vec<u8>),
    Closed,
}

/// The HTTP machine and its socket.
pub(super) struct Http<Io, T> {
    pub(super) machine: http1::Connection,
    pub(super) io: Io,
    pub(super) alarm: Alarm<T>,
    clock: Clock,
    finishing: Arc<Finishing>,
    /// The last read filled its buffer: there is more.
    more: bool,
    write_closed: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin, T: Timer> Http<Io, T> {
    pub(super) fn new(io: Io, timer: T, state: &State, finishing: Arc<Finishing>) -> Http<Io, T> {
        let machine = http1::Connection::new(state.clock.now(), Arc::clone(&state.service.connection));
        let alarm = Alarm::new(timer);
        Http { machine, io, alarm, clock: state.clock, finishing, more: false, write_closed: false }
    }

    /// Moves bytes until the machine wants a decision.
    pub(super) async fn next(&mut self) -> Point {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Point> {
        if self.finishing.poll_asked(cx) {
            self.machine.finish(self.clock.now());
        }
        for _ in 0..BUDGET {
            let (read, wake_at) = match self.machine.poll() {
                http1::Step::Head { head, .. } => return Poll::Ready(Point::Head(Arc::clone(head))),
                http1::Step::Request { head, body, .. } => {
                    return Poll::Ready(Point::Request(Arc::clone(head), body.to_vec()));
                }
                http1::Step::Closed(close) => {
                    tracing::trace!(?close, "connection closed");
                    return Poll::Ready(Point::Closed);
                }
                http1::Step::Linger { read, wake_at } => {
                    if !self.write_closed && Pin::new(&mut self.io).poll_close(cx).is_ready() {
                        self.write_closed = true;
                    }
                    (read, Some(wake_at))
                }
                http1::Step::Run { bytes, read, wake_at } => {
                    if !bytes.is_empty() {
                        let wrote = Pin::new(&mut self.io).poll_write(cx, bytes);
                        if let Poll::Ready(wrote) = wrote {
                            let now = self.clock.now();
                            match wrote {
                                Ok(n) => self.machine.handle_wrote(now, n),
                                Err(error) => self.failed(now, &error),
                            }
                            continue;
                        }
                    }
                    (read, wake_at)
                }
            };
            if self.turn(cx, read, wake_at).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads, then looks at the clock; pending if there is nothing to do.
    fn turn(&mut self, cx: &mut Context<'_>, read: usize, wake_at: Option<Tick>) -> Poll<()> {
        let got = match self.more {
            false => self.read::<READ>(cx, read),
            true => self.read::<READ_ON>(cx, read),
        };
        if got.is_ready() {
            return Poll::Ready(());
        }
        let now = self.clock.now();
        if wake_at.is_some_and(|at| at <= now) {
            self.machine.handle_timeout(now);
            return Poll::Ready(());
        }
        self.alarm.poll(cx, self.clock, wake_at)
    }

    /// One read of at most `N` bytes.
    fn read<const N: usize>(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<()> {
        if most == 0 {
            return Poll::Pending;
        }
        let mut buffer = [0; N];
        let len = most.min(N);
        let got = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer[..len]));
        let now = self.clock.now();
        self.more = got.as_ref().is_ok_and(|got| *got == N);
        match got {
            Ok(0) => self.machine.handle_eof(now),
            Ok(n) => self.machine.handle_bytes(now, &buffer[..n]),
            Err(error) => self.failed(now, &error),
        }
        Poll::Ready(())
    }

    /// While a decision is waited for: ready once the client is gone.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let read = match self.machine.poll() {
                http1::Step::Request { read, .. } | http1::Step::Head { read, .. } => read,
                http1::Step::Closed(_) => return Poll::Ready(()),
                http1::Step::Run { .. } | http1::Step::Linger { .. } => return Poll::Pending,
            };
            if read == 0 || self.turn(cx, read, None).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn failed(&mut self, now: Tick, error: &io::Error) {
        if let Some(how) = disconnect(error) {
            self.machine.handle_disconnect(now, how);
        }
    }

    // The machine is asked for each of these only where it waits for one, and says so otherwise; then it is
    // about to close.

    pub(super) fn respond(&mut self, response: &Response) {
        if let Err(error) = self.machine.respond(self.clock.now(), response) {
            tracing::debug!(%error, "no response");
        }
    }

    pub(super) fn receive_body(&mut self) {
        if let Err(error) = self.machine.receive_body(self.clock.now()) {
            tracing::debug!(%error, "no body");
        }
    }

    pub(super) fn hand_over(&mut self) -> Option<Handover> {
        self.machine.hand_over(self.clock.now()).ok()
    }
}
