//! The endpoint of Streamable HTTP under arbitrary requests, from any client, with an application that answers anything.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::http1::{HeadLimits, RequestHead, Response};
use sansio_sse::mcp::{
    Answer, BodyDecision, CallId, ExchangeId, GapAnswer, HeadDecision, Message, Offer, Principal, SessionId,
    Streamable, StreamableConfig, StreamableEvent, StreamableLimits,
};
use sansio_sse::{AccessRules, Decoder, Disconnect, EventStream, Step, Tick};

struct Run {
    endpoint: Streamable,
    clock: u64,
    sessions: Vec<SessionId>,
    alive: BTreeSet<SessionId>,
    calls: Vec<(CallId, String)>,
    streams: BTreeMap<ExchangeId, Open>,
    waiting: BTreeSet<ExchangeId>,
    last: String,
    draws: u8,
}

struct Open {
    stream: EventStream,
    decoder: Decoder,
    /// The head has been seen.
    is_body: bool,
    head: Vec<u8>,
}

/// No session is opened but by `initialize`, and each ends once; a refusal is a JSON-RPC error, and what a stream says
/// is JSON-RPC; what is due is done, and when all have left nothing is left.
///
/// Steps are texts between bytes 1: a letter, and what it is done with. In requests, `$S` stands for a session's
/// id and `$L` for the last event's.
pub fn streamable(data: &[u8]) {
    let n = |n| NonZeroUsize::new(n).unwrap();
    let limits = StreamableLimits {
        max_sessions: n(2),
        max_requests: n(3),
        max_stateless: n(2),
        max_kept: n(1),
        max_messages: n(2),
        max_held: n(1),
        replay_frames: n(2),
        replay_bytes: n(300),
        max_batch: n(3),
        idle_at_least: Duration::from_micros(10),
        hold_for: Duration::from_micros(100),
        replay_for: Duration::from_micros(400),
        ..StreamableLimits::default()
    };
    let gaps = match data.first().map(|byte| byte % 3) {
        Some(0) => GapAnswer::Refuse,
        Some(1) => GapAnswer::Empty,
        _ => GapAnswer::Reset,
    };
    let subscriptions = data.first().filter(|byte| **byte & 4 == 0).map(|_| Offer::all());
    let stream_after = Some(Duration::from_micros(50));
    let poll_after = Some(Duration::from_micros(200));
    let config = StreamableConfig {
        limits,
        gaps,
        subscriptions,
        stream_after,
        poll_after,
        ..StreamableConfig::default()
    };
    let (sessions, alive, calls, streams, waiting, last) = Default::default();
    let endpoint = Streamable::new(AccessRules::loopback(), config);
    let mut run = Run { endpoint, clock: 0, sessions, alive, calls, streams, waiting, last, draws: 0 };
    for step in data.get(1..).unwrap_or_default().split(|byte| *byte == 1).take(200) {
        if let Some((what, with)) = step.split_first() {
            run.apply(*what, with);
            run.listen();
        }
    }
    run.leave();
}

impl Run {
    fn now(&self) -> Tick {
        Tick::from_micros(self.clock)
    }

    fn apply(&mut self, what: u8, with: &[u8]) {
        let now = self.now();
        let which = usize::from(with.first().copied().unwrap_or_default());
        let session = self.sessions.get(which % self.sessions.len().max(1)).cloned();
        let call = self.calls.get(which % self.calls.len().max(1)).cloned();
        let exchange = self.streams.keys().nth(which % self.streams.len().max(1)).copied();
        match (what, session, call, exchange) {
            (b'h', session, ..) => self.request(with, session.as_ref()),
            (b't', session, ..) => {
                let session = session.filter(|_| which & 1 == 0);
                if let Some(incoming) = self.endpoint.take(now, session.as_ref()) {
                    assert_eq!(incoming.session, session);
                    let id = incoming.message.id().unwrap_or("null").to_owned();
                    self.calls.extend(incoming.call.map(|call| (call, id)));
                }
            }
            (b'r', _, Some((call, id)), _) => {
                let text = String::from_utf8_lossy(with.get(1..).unwrap_or_default()).into_owned();
                let result = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
                let message = text.parse::<Message>().or(result.parse());
                let _ = message.map(|message| self.endpoint.respond(now, call, message));
            }
            (b's', _, Some((call, _)), _) => {
                let _ = self.endpoint.send_for(now, call, note(with));
            }
            (b'o', Some(session), ..) => {
                let _ = self.endpoint.send(now, &session, note(with));
            }
            (b'p', _, Some((call, _)), _) => drop(self.endpoint.poll_later(now, call, None)),
            (b'l', _, Some((call, _)), _) => self.endpoint.let_go(now, call),
            (b'a', _, Some((call, _)), _) => self.endpoint.abandon(now, call),
            (b'k', _, Some((call, _)), _) => self.endpoint.relay_cancelled(now, call),
            (b'm', Some(session), ..) => {
                let _ = self.endpoint.relay_or_drop(now, &session, note(with));
            }
            (b'e', Some(session), ..) => self.endpoint.end_session(now, &session),
            (b'u', ..) => {
                let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                self.endpoint.publish(now, &changed.parse().unwrap());
            }
            (b'w', _, _, Some(id)) => self.write(id, 8 * which),
            (b'c', _, _, Some(id)) => {
                let now = self.now();
                if let Some(open) = self.streams.get_mut(&id) {
                    open.stream.handle_disconnect(now, Disconnect::Reset);
                }
                self.close(id);
            }
            (b'g', ..) => {
                if let Some(id) = self.waiting.pop_first() {
                    self.endpoint.handle_gone(now, id);
                }
            }
            (b'T', ..) => {
                self.clock += which as u64;
                self.endpoint.handle_timeout(self.now());
                assert!(self.endpoint.deadline().is_none_or(|at| at > self.now()), "what is due is done");
            }
            (b'f', ..) if with == b"!" => self.endpoint.finish(now),
            _ => {}
        }
    }

    fn request(&mut self, with: &[u8], session: Option<&SessionId>) {
        let text = String::from_utf8_lossy(with);
        let text = text.replace("$S", session.map_or("x", SessionId::as_str)).replace("$L", &self.last);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let raw = format!("{head}\r\n\r\n");
        let Ok(Some(head)) = RequestHead::parse(HeadLimits::default(), &mut raw.as_bytes()) else { return };
        let who = if head.header("authorization").is_some() {
            Principal::named("a")
        } else {
            Principal::anonymous()
        };
        let now = self.now();
        let opens = body.contains("initialize");
        match self.endpoint.handle_head(now, &head, who) {
            HeadDecision::Answer(response) => check(&response),
            HeadDecision::Exchange(id) => {
                self.waiting.insert(id);
                self.fetch(id);
            }
            HeadDecision::ReceiveBody(post) => {
                self.draws = self.draws.wrapping_add(1);
                match self.endpoint.handle_body(now, post, body.as_bytes(), [self.draws; 24]) {
                    BodyDecision::Answer(response) => check(&response),
                    BodyDecision::Exchange(id) => {
                        self.waiting.insert(id);
                        self.fetch(id);
                    }
                }
            }
        }
        assert!(opens || self.endpoint.sessions().all(|session| self.alive.contains(session)));
    }

    fn fetch(&mut self, id: ExchangeId) {
        match self.endpoint.answer(self.now(), id) {
            Some(Answer::Response(response)) => {
                check(&response);
                self.waiting.remove(&id);
            }
            Some(Answer::Stream(stream)) => {
                let decoder = Decoder::new(NonZeroUsize::MAX);
                self.waiting.remove(&id);
                self.streams.insert(id, Open { stream: *stream, decoder, is_body: false, head: Vec::new() });
                self.close(id);
            }
            None => {}
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                StreamableEvent::Opened { session, .. } => {
                    assert!(self.alive.insert(session.clone()), "opened twice");
                    self.sessions.push(session);
                }
                StreamableEvent::Ended { session, .. } => assert!(self.alive.remove(&session), "ended twice"),
                StreamableEvent::Answer(id) => self.fetch(id),
                StreamableEvent::Fill(id) => {
                    let now = self.now();
                    if let Some(open) = self.streams.get_mut(&id) {
                        let _ = self.endpoint.fill(now, id, &mut open.stream);
                    }
                    self.close(id);
                }
                _ => {}
            }
        }
    }

    fn write(&mut self, id: ExchangeId, most: usize) {
        let now = self.now();
        let Some(open) = self.streams.get_mut(&id) else { return };
        if let Step::Run { bytes, .. } = open.stream.poll() {
            let taken: Vec<u8> = bytes.pieces().flatten().copied().take(most).collect();
            open.stream.handle_wrote(now, taken.len());
            let _ = self.endpoint.fill(now, id, &mut open.stream);
            let last = open.hear(&taken);
            if let Some(last) = last {
                self.last = last;
            }
        }
        self.close(id);
    }

    fn close(&mut self, id: ExchangeId) {
        let close = self.streams.get(&id).and_then(|open| open.stream.closed().copied());
        if let Some(close) = close {
            self.endpoint.handle_closed(self.now(), id, &close);
            self.streams.remove(&id);
        }
    }

    fn leave(mut self) {
        self.endpoint.end_all(self.now());
        self.listen();
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            self.write(id, usize::MAX);
            if let Some(open) = self.streams.get_mut(&id) {
                open.stream.abort(Tick::from_micros(self.clock));
            }
            self.close(id);
            self.listen();
        }
        while let Some(id) = self.waiting.pop_first() {
            self.endpoint.handle_gone(self.now(), id);
            self.listen();
        }
        for id in self.streams.keys().copied().collect::<Vec<_>>() {
            if let Some(open) = self.streams.get_mut(&id) {
                open.stream.abort(Tick::from_micros(self.clock));
            }
            self.close(id);
        }
        self.listen();
        assert!(self.alive.is_empty(), "{:?}", self.alive);
        assert_eq!((self.endpoint.load(), self.endpoint.deadline()), ((0, 0, 0), None));
    }
}

impl Open {
    /// What the client makes of these bytes: every event is a message, or has no data. The last id, if there is one.
    fn hear(&mut self, mut bytes: &[u8]) -> Option<String> {
        if !self.is_body {
            self.head.extend_from_slice(bytes);
            let end = self.head.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            self.is_body = true;
            let body = self.head.split_off(end);
            return self.hear(&body);
        }
        // A chunk's size and end are lines that no decoder knows.
        while let Some(decoded) = self.decoder.decode(&mut bytes) {
            if let Ok(sansio_sse::Decoded::Event(event)) = decoded {
                assert!(event.data.is_empty() || event.data.parse::<Message>().is_ok(), "{:?}", event.data);
            }
        }
        self.decoder.last_event_id().map(|id| id.as_str().to_owned())
    }
}

fn note(with: &[u8]) -> Message {
    format!(r#"{{"jsonrpc":"2.0","method":"n","params":[{}]}}"#, with.len()).parse().unwrap()
}

/// A response of the endpoint: what refuses says so in JSON-RPC.
fn check(response: &Response) {
    let body = std::str::from_utf8(response.body()).unwrap();
    match response.status() {
        200 => assert!(body.starts_with(['{', '[']), "{body}"),
        202 | 204 => assert!(body.is_empty()),
        400 | 403 | 404 | 405 | 406 | 409 | 415 | 503 => {
            let error: Message = body.parse().unwrap();
            assert!(error.id().is_some() && error.method().is_none(), "{body}");
        }
        status => panic!("{status}"),
    }
}
