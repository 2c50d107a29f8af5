//! Anything may happen in any order: what was said is heard once, in its place and in order, or its loss is told (I12,
//! I2), and in the end nothing is left (I8, I13).

use proptest::prelude::*;
use sansio_sse::mcp::{
    CallId, ExchangeId, Offer, Principal, StreamableConfig, StreamableEvent, StreamableLimits,
};

use super::bench::{BOTH, Bench, Got, JSON, json, note, request, response};

const VERSIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn i12_whatever_happens_each_message_is_heard_once_in_its_place(
        ops in prop::collection::vec((0..22_u8, any::<u8>(), any::<u16>()), 1..150)
    ) {
        let mut model = Model::new();
        for (what, which, much) in ops {
            model.step(what, usize::from(which), much);
            model.check();
        }
        model.finish();
    }
}

/// What was said in one place, and what its client heard of it.
#[derive(Debug, Default)]
struct Told {
    sent: Vec<String>,
    heard: Vec<String>,
    last: Option<String>,
    /// The client lost something that the socket took: it must say what it saw last.
    lost: bool,
    /// Nothing is promised: the client never had an id, and lost something.
    loose: bool,
}

struct Session {
    id: String,
    version: &'static str,
    own: Told,
    alive: bool,
}

struct Asked {
    call: CallId,
    id: u32,
    session: Option<usize>,
    told: Told,
    is_answered: bool,
    /// Its client left while nothing was said.
    is_out_of_reach: bool,
    cancelled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Own(usize),
    Call(usize),
}

struct Response {
    exchange: ExchangeId,
    place: Place,
    text: String,
    is_open: bool,
}

struct Model {
    bench: Bench,
    sessions: Vec<Session>,
    asked: Vec<Asked>,
    responses: Vec<Response>,
    ended: Vec<String>,
    number: u32,
}

impl Model {
    fn new() -> Model {
        // So little that streams are often full.
        let n = |n: usize| n.try_into().unwrap();
        let limits =
            StreamableLimits { replay_frames: n(4), replay_bytes: n(400), ..StreamableLimits::default() };
        let subscriptions = Some(Offer::all());
        let config = StreamableConfig { subscriptions, limits, ..StreamableConfig::default() };
        let bench = Bench::new(config);
        let (sessions, asked, responses, ended) = Default::default();
        Model { bench, sessions, asked, responses, ended, number: 0 }
    }

    fn next(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    fn told(&mut self, place: Place) -> &mut Told {
        match place {
            Place::Own(at) => &mut self.sessions[at].own,
            Place::Call(at) => &mut self.asked[at].told,
        }
    }

    fn step(&mut self, what: u8, which: usize, much: u16) {
        let session = (!self.sessions.is_empty()).then(|| which % self.sessions.len());
        let asked = (!self.asked.is_empty()).then(|| which % self.asked.len());
        let response = (!self.responses.is_empty()).then(|| which % self.responses.len());
        match (what, session, asked, response) {
            (0, _, _, _) if self.sessions.len() < 5 => {
                let version = VERSIONS[which % 3];
                let id = self.bench.open(version);
                self.sessions.push(Session { id, version, own: Told::default(), alive: true });
            }
            (1..=3, Some(at), _, _) => self.ask(Some(at)),
            (4, _, _, _) => self.ask(None),
            (5..=7, _, Some(at), _) => {
                let message = note(self.next());
                let now = self.bench.now;
                if self.bench.endpoint.send_for(now, self.asked[at].call, message.clone()).is_ok() {
                    self.asked[at].told.sent.push(message.to_string());
                }
            }
            (8, Some(at), _, _) => {
                let message = note(self.next());
                let now = self.bench.now;
                let session = self.sessions[at].id.parse().unwrap();
                if self.bench.endpoint.send(now, &session, message.clone()).is_ok() {
                    self.sessions[at].own.sent.push(message.to_string());
                }
            }
            (9, _, Some(at), _) => {
                let (text, now) = (self::response(self.asked[at].id), self.bench.now);
                if self.bench.endpoint.respond(now, self.asked[at].call, json(&text)).is_ok() {
                    assert!(!self.asked[at].is_answered, "answered twice");
                    self.asked[at].is_answered = true;
                    self.asked[at].told.sent.push(text);
                }
            }
            (10, _, Some(at), _) if much.is_multiple_of(4) => {
                self.bench.endpoint.let_go(self.bench.now, self.asked[at].call);
                self.asked[at].is_answered = true;
            }
            (11, _, Some(at), _) => {
                let _ = self.bench.endpoint.poll_later(self.bench.now, self.asked[at].call, None);
            }
            (12..=14, _, _, Some(at)) => self.hear(at, usize::from(much), true),
            (15, _, _, Some(at)) => {
                self.hear(at, usize::from(much), true);
                self.cut(at);
            }
            (16, _, _, Some(at)) => {
                self.hear(at, usize::from(much), false);
                self.cut(at);
            }
            (17..=18, Some(at), _, _) => self.get(Place::Own(at), much.is_multiple_of(2)),
            (19, _, Some(at), _) => self.get(Place::Call(at), true),
            (20, Some(at), _, _) if much.is_multiple_of(8) => {
                let status = self.bench.delete(&self.sessions[at].id).status;
                assert_eq!(status, if self.sessions[at].alive { 204 } else { 404 });
                self.sessions[at].alive = false;
            }
            (21, _, _, _) => {
                // Never so long that what is kept becomes too old.
                self.bench.wait(u64::from(much % 2_000));
                self.bench.endpoint.handle_timeout(self.bench.now);
                assert!(self.bench.endpoint.deadline().is_none_or(|at| at > self.bench.now), "I5");
            }
            _ => {}
        }
        self.follow();
    }

    fn ask(&mut self, session: Option<usize>) {
        let id = self.next();
        let got = match session {
            Some(at) => {
                let Session { id: name, version, alive, .. } = &self.sessions[at];
                let got = self.bench.post(&name.clone(), version, &request(id));
                if !alive {
                    assert_eq!(got.whole().status, 404);
                    return;
                }
                got
            }
            None => self.ask_stateless(id),
        };
        let exchange = match got {
            Got::Exchange(exchange) => exchange,
            Got::Whole(whole) => {
                assert_eq!(whole.status, 503, "too many at once");
                return;
            }
        };
        let name = session.map(|at| self.sessions[at].id.clone()).unwrap_or_default();
        let taken = self.bench.take(&name);
        let (call, told) = (taken.call.unwrap(), Told::default());
        let place = Place::Call(self.asked.len());
        self.asked.push(Asked {
            call,
            id,
            session,
            told,
            is_answered: false,
            is_out_of_reach: false,
            cancelled: 0,
        });
        self.responses.push(Response { exchange, place, text: String::new(), is_open: true });
    }

    fn ask_stateless(&mut self, id: u32) -> Got {
        let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m","params":{{"_meta":{meta}}}}}"#);
        let headers = format!("{JSON}{BOTH}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: m\r\n");
        self.bench.ask(&Principal::anonymous(), "POST /mcp", &headers, &body)
    }

    /// The socket takes some bytes, and the client hears of them or not.
    fn hear(&mut self, at: usize, most: usize, arrives: bool) {
        let Response { exchange, place, is_open, .. } = self.responses[at];
        if let Some(whole) = self.bench.whole(exchange) {
            self.responses[at].is_open = false;
            if whole.status == 200 && arrives {
                self.told(place).heard.push(whole.body);
            } else if whole.status == 200 {
                self.told(place).loose = true;
            }
            return;
        }
        if !is_open || !self.bench.is_stream(exchange) {
            return;
        }
        self.bench.write(exchange, most);
        let text = self.bench.read_taken(exchange);
        if !arrives {
            let told = self.told(place);
            told.lost |= !text.is_empty();
            told.loose |= told.lost && told.last.is_none();
        } else {
            self.responses[at].text += &text;
        }
        while let Some((block, rest)) = self.responses[at].text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            self.responses[at].text = rest;
            // The head of the response ends in an empty line too.
            let block = block.rsplit_once("\r\n\r\n").map_or(block.as_str(), |(_, block)| block).to_owned();
            let told = self.told(place);
            for line in block.lines() {
                if let Some(id) = line.strip_prefix("id: ") {
                    told.last = Some(id.to_owned());
                }
                if let Some(data) = line.strip_prefix("data: ").filter(|data| !data.is_empty()) {
                    told.heard.push(data.to_owned());
                }
            }
        }
        self.responses[at].is_open = self.bench.closed(exchange).is_none();
    }

    fn cut(&mut self, at: usize) {
        let Response { exchange, place, is_open, .. } = self.responses[at];
        if !is_open {
            return;
        }
        self.responses[at].is_open = false;
        if self.bench.is_stream(exchange) {
            self.bench.cut(exchange);
        } else {
            self.bench.gone(exchange);
            if let Place::Call(at) = place {
                self.asked[at].is_out_of_reach = true;
            }
        }
    }

    /// The client comes for a stream again, behind what it saw last.
    fn get(&mut self, place: Place, with_id: bool) {
        let (session, told) = match place {
            Place::Own(at) => (Some(at), &self.sessions[at].own),
            Place::Call(at) => (self.asked[at].session, &self.asked[at].told),
        };
        let Some(session) = session else { return };
        let last = told.last.clone().filter(|_| with_id || told.lost);
        if last.is_none() && place != Place::Own(session) {
            return;
        }
        let Session { id, version, alive, .. } = &self.sessions[session];
        let (id, version, alive) = (id.clone(), *version, *alive);
        match self.bench.get(&id, version, last.as_deref().unwrap_or_default()) {
            Got::Whole(whole) => {
                let told = self.told(place);
                // What a socket took and the client lost makes room where there is none; that is told.
                let is_told = whole.body.contains("oldest") && told.lost;
                told.loose |= is_told;
                // A stream that is finished and heard to its end may be forgotten.
                let is_heard = whole.status == 400 && told.heard == told.sent;
                assert!(!alive || is_told || is_heard, "{whole:?} for {last:?}");
            }
            Got::Exchange(exchange) => {
                assert!(alive);
                if last.is_some() {
                    self.told(place).lost = false;
                }
                for older in self.responses.iter_mut().filter(|older| older.place == place) {
                    // What the older response's socket took is heard before the newer one is asked for.
                    older.is_open = false;
                }
                self.responses.push(Response { exchange, place, text: String::new(), is_open: true });
            }
        }
    }

    fn follow(&mut self) {
        for event in self.bench.drain() {
            match event {
                StreamableEvent::Cancelled(call) => {
                    let asked = self.asked.iter_mut().find(|asked| asked.call == call).unwrap();
                    asked.cancelled += 1;
                    assert!(asked.session.is_none() && asked.cancelled == 1 && !asked.is_answered);
                }
                StreamableEvent::Ended { session, .. } => {
                    assert!(!self.ended.contains(&session.to_string()), "ended twice");
                    self.ended.push(session.to_string());
                }
                StreamableEvent::Expired { .. } => panic!("nothing became old"),
                _ => {}
            }
        }
    }

    fn check(&self) {
        let own = self.sessions.iter().map(|session| &session.own);
        for told in own.chain(self.asked.iter().map(|asked| &asked.told)).filter(|told| !told.loose) {
            assert!(told.sent.starts_with(&told.heard), "{told:?}");
        }
    }

    /// The network heals: what was said is heard to its end; then all is let go of, and nothing is left.
    fn finish(mut self) {
        let all = self.responses.len();
        (0..all).for_each(|at| self.hear(at, usize::MAX, true));
        for at in 0..self.sessions.len() {
            if self.sessions[at].alive {
                self.get(Place::Own(at), true);
                self.hear(self.responses.len() - 1, usize::MAX, true);
                let own = &self.sessions[at].own;
                assert!(own.loose || own.heard == own.sent, "{own:?}");
            }
        }
        for at in 0..self.asked.len() {
            let Asked { session, is_out_of_reach, .. } = self.asked[at];
            if !session.is_some_and(|session| self.sessions[session].alive) || is_out_of_reach {
                continue;
            }
            let before = self.responses.len();
            self.get(Place::Call(at), true);
            if self.responses.len() > before {
                self.hear(before, usize::MAX, true);
            }
            let told = &self.asked[at].told;
            let is_reachable = told.last.is_some() || !told.lost;
            let had_no_id = told.last.is_none() && told.heard.is_empty();
            assert!(told.loose || !is_reachable || had_no_id || told.heard == told.sent, "{told:?}");
        }
        for at in 0..self.responses.len() {
            self.cut(at);
        }
        for at in 0..self.sessions.len() {
            self.bench.delete(&self.sessions[at].id);
        }
        for at in 0..self.responses.len() {
            let exchange = self.responses[at].exchange;
            if self.bench.is_stream(exchange) {
                self.bench.read(exchange);
                self.bench.cut(exchange);
            }
        }
        self.follow();
        assert_eq!(self.ended.len(), self.sessions.len(), "each ends once");
        assert_eq!((self.bench.endpoint.load(), self.bench.endpoint.deadline()), ((0, 0, 0), None));
    }
}
