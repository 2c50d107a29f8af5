//! What a [`Server`] answers requests: routes, sessions that are opened and taken up again, plain streams.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;

use super::{Asked, Peer, Server};
use crate::http1::{RequestHead, Response, Step as HttpStep};
use crate::mcp::{Attachment, Message, OpenError, Posted, Route, SessionId, StreamKind, read_message};
use crate::sim::application::Application;
use crate::sim::session::Live;
use crate::sim::{Conn, Law, Watched};
use crate::{Disconnect, EventId, Framing, Tick};

impl<A: Application> Server<A> {
    /// Answers what the connection asks for, as far as it can be answered now.
    pub(super) fn serve(&mut self, now: Tick, conn: Conn) {
        loop {
            let Some(Peer::Http { machine, speaks_in, held, asked }) = self.peers.get_mut(&conn) else {
                return;
            };
            if let Some(Asked::Exchange(exchange)) = asked {
                let exchange = *exchange;
                if self.deliver(now, conn, exchange) { continue } else { return }
            }
            match machine.poll() {
                HttpStep::Head { head, .. } => {
                    let head = head.clone();
                    match self.routes.route(&head) {
                        Route::Answer(response) => {
                            if let Some(endpoint) = self.endpoint.as_mut().filter(|_| head.path() == "/mcp") {
                                endpoint.note_answer(&response);
                            }
                            self.respond(now, conn, &response);
                        }
                        Route::Message(id) => {
                            if self.sessions.accepts(&id) {
                                *speaks_in = Some(id);
                                let _ = machine.receive_body(now);
                            } else {
                                self.respond(now, conn, &Response::unknown_session());
                            }
                        }
                        Route::OpenSession { last } => match self.open_session(now, conn, &head, last) {
                            Ok(()) => return,
                            Err(response) => self.respond(now, conn, &response),
                        },
                        Route::Events(_) => match self.open_events(now, conn, &head) {
                            Ok(()) => return,
                            Err(response) => self.respond(now, conn, &response),
                        },
                        Route::Streamable(_) => self.ask(now, conn, &head),
                        // Not reached: none is registered.
                        Route::Request(_) => self.respond(now, conn, &Response::empty(404)),
                    }
                }
                HttpStep::Request { head, body, .. } if asked.is_some() => {
                    let (head, body) = (head.clone(), body.to_vec());
                    self.ask_by_post(now, conn, &head, &body);
                }
                HttpStep::Request { body, .. } if held.is_none() => {
                    let Some(id) = speaks_in.take() else { return };
                    match read_message(body) {
                        Ok(message) => self.post(now, conn, &id, message),
                        Err(response) => self.respond(now, conn, &response),
                    }
                }
                _ => return,
            }
        }
    }

    pub(super) fn respond(&mut self, now: Tick, conn: Conn, response: &Response) {
        if let Some(Peer::Http { machine, .. }) = self.peers.get_mut(&conn) {
            let _ = machine.respond(now, response);
        }
    }

    fn post(&mut self, now: Tick, conn: Conn, id: &SessionId, message: Message) {
        match self.sessions.post(now, id, message) {
            Ok(Posted::Accepted) => {
                self.account(id).0 += 1;
                self.respond(now, conn, &Response::accepted());
            }
            Ok(Posted::Held(post)) => {
                self.held.insert(post, conn);
                if let Some(Peer::Http { held, speaks_in, .. }) = self.peers.get_mut(&conn) {
                    (*held, *speaks_in) = (Some(post), Some(id.clone()));
                }
            }
            Err(error) => self.respond(now, conn, &Response::from(error)),
        }
    }

    pub(super) fn account(&mut self, id: &SessionId) -> &mut (usize, usize) {
        self.accounts.entry(id.clone()).or_default()
    }

    fn open_session(
        &mut self,
        now: Tick,
        conn: Conn,
        head: &RequestHead,
        last: Option<EventId>,
    ) -> Result<(), Response> {
        if self.finishing {
            return Err(Response::busy("shutting down"));
        }
        let (response, framing) = self.routes.stream_head(head, StreamKind::Session);
        let attachment = match last {
            None => self.new_session(now, response, framing)?,
            Some(last) => {
                let Some(id) = self.sessions.find(last).cloned() else {
                    return Err(self.nobody(now, last));
                };
                let live = self.live.get_mut(&id).ok_or_else(Response::session_over)?;
                live.reattach(now, last, response, framing).map_err(|_| Response::session_over())?;
                self.sessions.attach(now, &id).ok_or_else(Response::session_over)?
            }
        };
        let id = attachment.id().clone();
        let generation = self.live.get(&id).map_or(0, Live::generation);
        let handover = match self.peers.get_mut(&conn) {
            Some(Peer::Http { machine, .. }) => machine.hand_over(now).ok(),
            _ => None,
        };
        self.peers.insert(conn, Peer::Session { id: id.clone(), generation, attachment: Some(attachment) });
        if let (Some(live), Some(handover)) = (self.live.get_mut(&id), handover) {
            live.handle_input(now, handover.read_behind);
            if handover.eof {
                live.handle_disconnect(now, Disconnect::Eof);
            }
        }
        Ok(())
    }

    /// Draws an id until one is free. This generator repeats itself now and then: a used id is refused.
    fn new_session(&mut self, now: Tick, head: Box<[u8]>, framing: Framing) -> Result<Attachment, Response> {
        loop {
            let used = self.live.keys().find(|id| self.sessions.contains(id)).cloned();
            let (id, number) = match used {
                Some(used) if self.rng.one_in(16) => (used, 0),
                Some(_) | None => (SessionId::from_random(self.rng.bytes()), self.rng.next()),
            };
            match self.sessions.open(now, id.clone(), number) {
                Ok(attachment) => {
                    let config = Arc::clone(&self.http_sse);
                    let live = Live::open(now, config, &id, number, head, framing, self.config.late_by);
                    self.live.insert(id.clone(), live);
                    self.ends.sessions += 1;
                    self.app.handle_opened(now, &id, &mut self.outbox);
                    return Ok(attachment);
                }
                Err(OpenError::TooMany) => return Err(Response::busy("too many sessions")),
                Err(OpenError::Used) => {}
            }
        }
    }

    /// I12: whoever comes back finds its session, unless that is over.
    pub(super) fn nobody(&mut self, now: Tick, last: EventId) -> Response {
        if let Some((id, _)) =
            self.live.iter().find(|(id, live)| live.gave_out(last) && self.sessions.contains(id))
        {
            let what = format!("{last} finds nobody, and {id} is there");
            self.broke(now, Law::I12, what);
        }
        Response::session_over()
    }

    fn open_events(&mut self, now: Tick, conn: Conn, head: &RequestHead) -> Result<(), Response> {
        if self.finishing {
            return Err(Response::busy("shutting down"));
        }
        let last = head.header("last-event-id").filter(|last| !last.is_empty());
        let last = last.map(|_| head.last_event_id().ok_or_else(Response::session_over)).transpose()?;
        let (response, framing) = self.routes.stream_head(head, StreamKind::Events);
        let mut stream = Watched::new(now, Arc::clone(&self.config.events), &response, framing);
        stream.follow(now, &self.topic, last).map_err(|_| Response::session_over())?;
        let Some(Peer::Http { machine, .. }) = self.peers.get_mut(&conn) else { return Ok(()) };
        let Ok(handover) = machine.hand_over(now) else { return Err(Response::busy("closing")) };
        if let Some(late_by) = self.config.late_by {
            stream = stream.driven(late_by);
        }
        stream.handle_input(now, handover.read_behind);
        if handover.eof {
            stream.handle_disconnect(now, Disconnect::Eof);
        }
        self.peers.insert(conn, Peer::Events { stream: Box::new(stream) });
        self.fill(now, conn);
        Ok(())
    }

    /// Moves what was published into a stream.
    pub(super) fn fill(&mut self, now: Tick, conn: Conn) {
        if let Some(Peer::Events { stream, .. }) = self.peers.get_mut(&conn) {
            stream.fill_from(now, &mut self.topic);
        }
    }
}
