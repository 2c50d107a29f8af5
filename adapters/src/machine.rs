//! [`Machine`]: what a driver drives: a stream of events, whether it is one response's or a session's.

use sansio_sse::mcp::SessionStream;
use sansio_sse::{Close, Disconnect, EventStream, Step, Tick};

/// A machine that a [`Driver`](crate::Driver) can drive: the facts of [`EventStream`].
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
