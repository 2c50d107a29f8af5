//! What follows from what happened to a [`Server`]: events of its tables, what its application says, ends.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Asked, Peer, Server};
use crate::Tick;
use crate::http1::Response;
use crate::mcp::{PostOutcome, SessionEvent, SessionId};
use crate::sim::application::{Application, Output};
use crate::sim::session::Live;
use crate::sim::{Conn, Law, Violation};

impl<A: Application> Server<A> {
    /// Brings everything up to date: events of the table, what the application says, responses that are over.
    pub(super) fn keep_house(&mut self, now: Tick) {
        loop {
            self.keep_endpoint(now);
            self.reap(now);
            let Some(event) = self.sessions.poll_event() else {
                if self.outbox.0.is_empty() {
                    break;
                }
                self.say(now);
                continue;
            };
            match event {
                SessionEvent::Readable(id) => self.read(now, &id),
                SessionEvent::Post(post, outcome) => {
                    if let Some(conn) = self.held.remove(&post) {
                        if let Some(Peer::Http { held, speaks_in, .. }) = self.peers.get_mut(&conn) {
                            *held = None;
                            let id = speaks_in.take();
                            if let (PostOutcome::Accepted, Some(id)) = (outcome, id) {
                                self.account(&id).0 += 1;
                            }
                        }
                        self.respond(now, conn, &Response::from(outcome));
                        self.serve(now, conn);
                    }
                }
                SessionEvent::Ended { id, end, unread } => {
                    let (accepted, taken) = self.accounts.remove(&id).unwrap_or_default();
                    if accepted != taken + unread {
                        let what = format!("{id}: {accepted} accepted, {taken} taken, {unread} unread");
                        self.broke(now, Law::I2, what);
                    }
                    self.app.handle_ended(now, &id, &end);
                    if let Some(live) = self.live.get_mut(&id) {
                        live.handle_ended(now, &end);
                    }
                }
            }
        }
        let ended: Vec<SessionId> = self
            .live
            .iter()
            .filter(|(id, live)| live.is_over() && !self.sessions.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in ended {
            if let Some(live) = self.live.remove(&id) {
                self.count(live.frames());
                self.note(live.violation().cloned());
            }
        }
    }

    /// The application reads what came, for as long as it can say what it wants to.
    pub(super) fn read(&mut self, now: Tick, id: &SessionId) {
        while self.live.get(id).is_some_and(|live| !live.is_waiting()) {
            let Some(message) = self.sessions.take(now, id) else { return };
            self.account(id).1 += 1;
            self.app.handle_message(now, id, &message, &mut self.outbox);
            self.say(now);
        }
    }

    pub(super) fn say(&mut self, now: Tick) {
        for output in core::mem::take(&mut self.outbox.0) {
            match output {
                Output::Send(id, message) if self.has_streamable(&id) => {
                    self.tell_endpoint(|endpoint| endpoint.send(now, &id, message));
                }
                Output::Send(id, message) => {
                    self.said.entry(id.clone()).or_default().push(message.clone());
                    if let Some(live) = self.live.get_mut(&id) {
                        live.send(now, message);
                    }
                }
                Output::Fail(id) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.handle_fault(now);
                    }
                }
                Output::Finish(id) | Output::Abort(id) if self.has_streamable(&id) => {
                    self.tell_endpoint(|endpoint| {
                        endpoint.machine.end_session(now, &id);
                        Ok(())
                    });
                }
                Output::Finish(id) => {
                    self.sessions.end(now, &id);
                }
                Output::Abort(id) => {
                    if let Some(live) = self.live.get_mut(&id) {
                        live.abort(now);
                    }
                }
                Output::Respond(call, message) => {
                    self.tell_endpoint(|endpoint| endpoint.respond(now, call, message));
                }
                Output::SendFor(call, message) => {
                    self.tell_endpoint(|endpoint| endpoint.send_for(now, call, message));
                }
                Output::PollLater(call, retry) => {
                    self.tell_endpoint(|endpoint| {
                        endpoint.poll_later(now, call, retry);
                        Ok(())
                    });
                }
                Output::LetGo(call) => {
                    self.tell_endpoint(|endpoint| {
                        endpoint.let_go(now, call);
                        Ok(())
                    });
                }
                Output::Notify(news) => self.tell_endpoint(|endpoint| endpoint.notify(now, &news)),
                Output::Publish(frame) => {
                    self.topic.publish(now, &frame);
                    self.published.push(frame);
                    let streams: Vec<Conn> = self
                        .peers
                        .iter()
                        .filter(|(_, peer)| matches!(peer, Peer::Events { .. }))
                        .map(|(conn, _)| *conn)
                        .collect();
                    for conn in streams {
                        self.fill(now, conn);
                    }
                }
            }
        }
    }

    /// Gives the closes of responses to whom they concern, each once.
    pub(super) fn reap(&mut self, now: Tick) {
        if !self.live.values().any(Live::owes_a_close) {
            return;
        }
        for peer in self.peers.values_mut() {
            if let Peer::Session { id, generation, attachment } = peer
                && attachment.is_some()
                && let Some(close) = self.live.get_mut(id).and_then(|live| live.give_back(*generation))
                && let Some(attachment) = attachment.take()
            {
                self.ends.closes.push(close);
                self.sessions.handle_closed(now, attachment, close);
            }
        }
    }

    pub(super) fn count(&mut self, (accepted, delivered): (usize, usize)) {
        self.ends.frames.0 += accepted;
        self.ends.frames.1 += delivered;
    }

    pub(super) fn note(&mut self, violation: Option<Violation>) {
        if self.violation.is_none() {
            self.violation = violation;
        }
    }

    pub(super) fn broke(&mut self, at: Tick, law: Law, what: String) {
        self.note(Some(Violation { law, at, what, trace: String::new() }));
    }

    /// After a fact of one connection.
    pub(super) fn follow_up(&mut self, now: Tick, conn: Conn) {
        self.serve(now, conn);
        match self.peers.get(&conn) {
            Some(Peer::Session { id, .. }) => {
                let id = id.clone();
                if let Some(live) = self.live.get_mut(&id) {
                    live.send_waiting(now);
                    self.note(self.live.get(&id).and_then(Live::violation).cloned());
                }
                self.read(now, &id);
            }
            Some(Peer::Events { .. }) => self.fill(now, conn),
            Some(Peer::Answer { .. }) => self.fill_again(now, conn),
            Some(Peer::Http { .. }) | None => {}
        }
        self.keep_house(now);
        if let Some(Peer::Events { stream } | Peer::Answer { stream, .. }) = self.peers.get(&conn)
            && stream.violation().is_some()
        {
            self.note(stream.violation().cloned());
        }
    }

    pub(super) fn forget(&mut self, now: Tick, conn: Conn) {
        if let Some(Peer::Answer { stream, .. }) = self.peers.get_mut(&conn)
            && stream.closed().is_none()
        {
            stream.handle_abandoned(now);
        }
        self.tell_closed(now, conn);
        match self.peers.remove(&conn) {
            Some(Peer::Http { asked: Some(Asked::Exchange(exchange)), .. }) => {
                self.tell_endpoint(|endpoint| {
                    endpoint.gone(now, exchange);
                    Ok(())
                });
            }
            Some(Peer::Answer { stream, is_told, .. }) => {
                self.count(stream.oracle().counts());
                self.note(stream.violation().cloned());
                if !is_told {
                    self.broke(now, Law::I13, format!("{conn:?} is gone without a close"));
                }
            }
            Some(Peer::Http { held: Some(post), speaks_in: Some(id), .. }) => {
                self.held.remove(&post);
                self.sessions.withdraw(now, &id, post);
            }
            Some(Peer::Events { stream, .. }) => {
                self.ends.closes.extend(stream.closed().copied());
                self.count(stream.oracle().counts());
                self.note(stream.violation().cloned());
            }
            // Its close was given back with the event that made it.
            Some(Peer::Session { attachment: Some(attachment), .. }) => {
                let what = format!("the response of {} is gone without a close", attachment.id());
                self.broke(now, Law::I13, what);
            }
            Some(Peer::Http { .. } | Peer::Session { .. }) | None => {}
        }
    }
}
