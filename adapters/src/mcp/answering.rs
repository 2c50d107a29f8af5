//! [`Answering`]: drives a response that is a stream, and fetches what there is for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sansio_sse::http1::Handover;
use sansio_sse::mcp::ExchangeId;
use sansio_sse::{Close, Disconnect, EventStream, Step, Tick};

use super::Endpoint;
use super::endpoint::Signal;
use crate::driver::Driver;
use crate::machine::Machine;
use crate::runtime::{Clock, Timer};
use crate::shared::{Shared, Socket};
use crate::tasks::Stop;

/// Times that the endpoint is looked at in one poll, before other tasks get their turn.
const BUDGET: usize = 16;

/// A response's stream.
#[derive(Debug)]
pub(crate) struct Speaking {
    stream: EventStream,
    /// Something was written since the endpoint was looked at.
    has_written: bool,
}

impl Machine for Speaking {
    fn generation(&self) -> u32 {
        0
    }
    fn close_of(&self, _: u32) -> Option<Close> {
        self.stream.closed().copied()
    }
    fn poll(&self) -> Step<'_> {
        self.stream.poll()
    }
    fn handle_wrote(&mut self, now: Tick, n: usize) {
        self.has_written = true;
        self.stream.handle_wrote(now, n);
    }
    fn handle_input(&mut self, now: Tick, n: usize) {
        self.stream.handle_input(now, n);
    }
    fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.stream.handle_disconnect(now, how);
    }
    fn handle_timeout(&mut self, now: Tick) {
        self.stream.handle_timeout(now);
    }
    fn handle_abandoned(&mut self, now: Tick) {
        self.stream.handle_abandoned(now);
    }
}

impl Stop for Shared<Speaking> {
    /// The endpoint sees to it: what is being worked on is still answered.
    fn finish(&self) {}

    fn abort(&self) {
        self.command(|speaking, now| speaking.stream.abort(now));
    }
}

/// Drives a response to its end. However it ends, the endpoint learns of it.
pub(crate) struct Answering<T: Timer> {
    id: ExchangeId,
    endpoint: Arc<Endpoint>,
    signal: Arc<Signal>,
    shared: Arc<Shared<Speaking>>,
    driver: Driver<Speaking, T>,
    /// The stream wants to be filled after the next write.
    again: bool,
    is_told: bool,
}

impl<T: Timer> Answering<T> {
    pub(crate) fn new(
        clock: Clock,
        endpoint: Arc<Endpoint>,
        id: ExchangeId,
        stream: EventStream,
        io: impl Socket + 'static,
        timer: T,
        handover: &Handover,
    ) -> Answering<T> {
        let mut speaking = Speaking { stream, has_written: true };
        let now = clock.now();
        speaking.stream.handle_input(now, handover.read_behind);
        if handover.eof {
            speaking.stream.handle_disconnect(now, Disconnect::Eof);
        }
        let shared = Shared::new(clock, speaking);
        let driver = Driver::new(Arc::clone(&shared), 0, io, timer);
        let signal = endpoint.join(id);
        Answering { id, endpoint, signal, shared, driver, again: true, is_told: false }
    }

    pub(crate) fn stop(&self) -> Arc<dyn Stop> {
        Arc::<Shared<Speaking>>::clone(&self.shared)
    }

    /// Fetches what there is to say, if there may be something. The stream is locked first, then the endpoint.
    fn fill(&mut self) -> bool {
        let is_due = self.signal.take();
        let mut inner = self.shared.lock();
        let speaking = &mut inner.machine;
        let has_room = self.again && speaking.has_written;
        if !(is_due || has_room) {
            return false;
        }
        speaking.has_written = false;
        let (filled, effects) =
            self.endpoint.tell(|inner, now| inner.machine.fill(now, self.id, &mut speaking.stream));
        drop(inner);
        self.again = filled.again;
        effects.go();
        true
    }

    fn tell(&mut self, close: &Close) {
        self.is_told = true;
        tracing::debug!(reason = %close.reason, undelivered = close.undelivered, "response ended");
        self.endpoint.leave(self.id, close);
    }
}

impl<T: Timer> Future for Answering<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.signal.wake_by(cx.waker());
        this.fill();
        for _ in 0..BUDGET {
            if let Poll::Ready(close) = Pin::new(&mut this.driver).poll(cx) {
                this.tell(&close);
                return Poll::Ready(());
            }
            if !this.fill() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T: Timer> Drop for Answering<T> {
    fn drop(&mut self) {
        if self.is_told {
            return;
        }
        let close = self.shared.command(|speaking, now| {
            if speaking.stream.closed().is_none() {
                speaking.stream.handle_abandoned(now);
            }
            speaking.stream.closed().copied()
        });
        if let Some(close) = close {
            self.tell(&close);
        }
    }
}
