//! What a [`Server`] does for its endpoint of Streamable HTTP, as an adapter does it.

use alloc::string::String;

use super::book::Broken;
use super::endpoint::{Answered, Endpoint, Next};
use super::{Asked, Peer, Server};
use crate::http1::{RequestHead, Response};
use crate::mcp::{ExchangeId, SessionId, StreamableEvent};
use crate::sim::application::Application;
use crate::sim::{Conn, Violation};
use crate::{Disconnect, Tick};
use core::time::Duration;

/// How long a server that stops lets what is being worked on be answered.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl<A: Application> Server<A> {
    pub(super) fn has_streamable(&self, session: &SessionId) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.has(session))
    }

    pub(super) fn tell_endpoint(&mut self, tell: impl FnOnce(&mut Endpoint) -> Result<(), Broken>) {
        if let Some(endpoint) = &mut self.endpoint {
            let told = tell(endpoint);
            self.holds(told);
        }
    }

    /// A law that is broken is written down.
    fn holds<T>(&mut self, told: Result<T, Broken>) -> Option<T> {
        match told {
            Ok(value) => Some(value),
            Err((law, what)) => {
                let at = self.endpoint.as_ref().map_or(Tick::ZERO, |endpoint| endpoint.machine.now());
                self.note(Some(Violation { law, at, what, trace: String::new() }));
                None
            }
        }
    }

    // ---- requests ----

    pub(super) fn ask(&mut self, now: Tick, conn: Conn, head: &RequestHead) {
        let Some(endpoint) = &mut self.endpoint else { return };
        let next = endpoint.head(now, conn, head);
        match self.holds(next) {
            Some(next) => self.go_on(now, conn, next),
            None => self.respond(now, conn, &Response::empty(503)),
        }
    }

    pub(super) fn ask_by_post(&mut self, now: Tick, conn: Conn, head: &RequestHead, body: &[u8]) {
        let Some(Peer::Http { asked, .. }) = self.peers.get_mut(&conn) else { return };
        let (Some(Asked::Post(post)), Some(endpoint)) = (asked.take(), &mut self.endpoint) else { return };
        let (mut random, name, repeats) = ([0; 24], self.rng.bytes(), self.rng.one_in(16));
        random[..16].copy_from_slice(&name);
        random[16..].copy_from_slice(&self.rng.next().to_be_bytes());
        let next = endpoint.body(now, conn, post, (head, body), random, repeats);
        if let Some(next) = self.holds(next) {
            self.go_on(now, conn, next);
        }
    }

    fn go_on(&mut self, now: Tick, conn: Conn, next: Next) {
        let Some(Peer::Http { machine, asked, .. }) = self.peers.get_mut(&conn) else { return };
        match next {
            Next::Respond(response) => self.respond(now, conn, &response),
            Next::ReceiveBody(post) => {
                *asked = Some(Asked::Post(post));
                let _ = machine.receive_body(now);
            }
            Next::Wait(exchange) => *asked = Some(Asked::Exchange(exchange)),
        }
    }

    /// Gives a connection its answer, if it is there and not a stream; a stream takes the connection's place. Whether
    /// the connection can go on to the next request.
    pub(super) fn deliver(&mut self, now: Tick, conn: Conn, exchange: ExchangeId) -> bool {
        let Some(endpoint) = &mut self.endpoint else { return false };
        let answer = endpoint.answer(now, exchange, self.config.late_by);
        let Some(Some(answer)) = self.holds(answer) else { return false };
        let Some(Peer::Http { machine, asked, .. }) = self.peers.get_mut(&conn) else { return false };
        match answer {
            Answered::Whole(response) => {
                *asked = None;
                let _ = machine.respond(now, &response);
                true
            }
            Answered::Stream(mut stream) => {
                match machine.hand_over(now) {
                    Ok(handover) => {
                        stream.handle_input(now, handover.read_behind);
                        if handover.eof {
                            stream.handle_disconnect(now, Disconnect::Eof);
                        }
                    }
                    Err(_) => stream.handle_abandoned(now),
                }
                self.peers.insert(conn, Peer::Answer { exchange, stream, again: true, is_told: false });
                self.tell_closed(now, conn);
                false
            }
        }
    }

    fn fill_answer(&mut self, now: Tick, conn: Conn) {
        let Some(Peer::Answer { exchange, stream, again, .. }) = self.peers.get_mut(&conn) else { return };
        let Some(endpoint) = &mut self.endpoint else { return };
        let filled = endpoint.fill(now, *exchange, stream);
        *again = *filled.as_ref().unwrap_or(&false);
        let violation = stream.violation().cloned();
        self.note(violation);
        self.holds(filled);
        self.tell_closed(now, conn);
    }

    /// After a fact of a connection: its stream may have room for more.
    pub(super) fn fill_again(&mut self, now: Tick, conn: Conn) {
        if matches!(self.peers.get(&conn), Some(Peer::Answer { again: true, is_told: false, .. })) {
            self.fill_answer(now, conn);
        }
        self.tell_closed(now, conn);
    }

    /// Gives the close of a response back, once.
    pub(super) fn tell_closed(&mut self, now: Tick, conn: Conn) {
        let Some(Peer::Answer { exchange, stream, is_told, .. }) = self.peers.get_mut(&conn) else { return };
        if let Some(close) = stream.closed().copied().filter(|_| !*is_told) {
            *is_told = true;
            self.ends.closes.push(close);
            if let Some(endpoint) = &mut self.endpoint {
                endpoint.closed(now, *exchange, stream, &close);
            }
        }
    }

    // ---- what follows from what happened ----

    /// Brings the endpoint up to date: its events, and what the application takes.
    pub(super) fn keep_endpoint(&mut self, now: Tick) {
        loop {
            let Some(endpoint) = &mut self.endpoint else { return };
            if let Some(event) = endpoint.poll_event() {
                self.see(now, event);
            } else if let Some(incoming) = endpoint.take(now) {
                self.app.handle_incoming(now, &incoming, &mut self.outbox);
                self.say(now);
            } else {
                return;
            }
        }
    }

    fn see(&mut self, now: Tick, event: StreamableEvent) {
        let Some(endpoint) = &mut self.endpoint else { return };
        match event {
            StreamableEvent::Opened { session, .. } => {
                let checked = endpoint.check_sessions();
                self.holds(checked);
                self.ends.sessions += 1;
                self.app.handle_opened(now, &session, &mut self.outbox);
            }
            StreamableEvent::Readable(session) => endpoint.is_readable(session),
            StreamableEvent::Answer(exchange) => {
                if let Some(conn) = endpoint.conn_of(exchange) {
                    self.serve(now, conn);
                }
            }
            StreamableEvent::Fill(exchange) => {
                if let Some(conn) = endpoint.conn_of(exchange) {
                    self.fill_answer(now, conn);
                }
            }
            StreamableEvent::Room(outlet) => {
                let said = endpoint.say_waiting(now, &outlet);
                self.holds(said);
            }
            StreamableEvent::Cancelled(call) => {
                endpoint.happened("request: cancelled by closing");
                endpoint.book.let_go(call);
                self.app.handle_unwanted(now, call, &mut self.outbox);
            }
            StreamableEvent::Unwanted(call) => {
                endpoint.happened("request: cancelled by a notification");
                self.app.handle_unwanted(now, call, &mut self.outbox);
            }
            StreamableEvent::Responded { session, response } => {
                let responded = endpoint.responded(&session, &response);
                self.holds(responded);
                self.app.handle_responded(now, &session, &response, &mut self.outbox);
            }
            StreamableEvent::Subscribed { .. } => endpoint.happened("subscription"),
            StreamableEvent::Expired { .. } => endpoint.happened("said: too old"),
            StreamableEvent::Ended { session, end, unread } => {
                let ended = endpoint.ended(&session, end, unread);
                self.holds(ended);
                self.app.handle_mcp_ended(now, &session, end);
            }
        }
    }

    pub(super) fn endpoint_timeout(&mut self, now: Tick) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.machine.handle_timeout(now);
            endpoint.sync();
            if endpoint.stops.take_if(|at| *at <= now).is_some() {
                endpoint.machine.end_all(now);
            }
        }
    }

    pub(super) fn finish_endpoint(&mut self, now: Tick) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.book.finish();
            endpoint.machine.finish(now);
            endpoint.stops = Some(now + LAST_WORDS);
        }
    }
}
