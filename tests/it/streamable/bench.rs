//! A driver without sockets: requests as text, streams as text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{Connection, ConnectionConfig, HeadLimits, RequestHead, Response, Step as HttpStep};
use sansio_sse::mcp::{
    Answer, BodyDecision, CallId, ExchangeId, HeadDecision, Incoming, Message, Principal, SessionId,
    Streamable, StreamableConfig, StreamableEvent,
};
use sansio_sse::{AccessRules, Close, Disconnect, EventStream, Step, Tick};

pub(crate) const BOTH: &str = "Accept: application/json, text/event-stream\r\n";
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

pub(crate) struct Bench {
    pub(crate) endpoint: Streamable,
    pub(crate) now: Tick,
    /// What happened, but for what this driver sees to by itself.
    pub(crate) events: Vec<StreamableEvent>,
    whole: BTreeMap<ExchangeId, Whole>,
    streams: BTreeMap<ExchangeId, Open>,
    drawn: u8,
}

struct Open {
    stream: EventStream,
    /// Bytes that the socket took and no test has looked at.
    text: Vec<u8>,
    again: bool,
    told: bool,
}

/// A whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: String,
}

impl Whole {
    pub(crate) fn of(response: Response) -> Whole {
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        let wire = on_the_wire(&response);
        let (headers, _) = wire.split_once("\r\n\r\n").unwrap();
        Whole { status: response.status(), headers: headers.to_owned(), body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// `status code`, where its body is a JSON-RPC error.
    pub(crate) fn outcome(&self) -> String {
        let json: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        let code = json["error"]["code"].as_i64().map(|code| format!(" {code}"));
        format!("{}{}", self.status, code.unwrap_or_default())
    }
}

#[derive(Debug)]
pub(crate) enum Got {
    Whole(Whole),
    Exchange(ExchangeId),
}

impl Got {
    pub(crate) fn whole(self) -> Whole {
        match self {
            Got::Whole(whole) => whole,
            Got::Exchange(id) => panic!("no answer yet: {id:?}"),
        }
    }

    pub(crate) fn exchange(self) -> ExchangeId {
        match self {
            Got::Exchange(id) => id,
            Got::Whole(whole) => panic!("answered: {whole:?}"),
        }
    }
}

impl Bench {
    pub(crate) fn new(config: StreamableConfig) -> Bench {
        Bench::with(AccessRules::loopback(), config)
    }

    pub(crate) fn with(access: AccessRules, config: StreamableConfig) -> Bench {
        config.check().unwrap();
        let endpoint = Streamable::new(access, config);
        let (whole, streams) = Default::default();
        Bench { endpoint, now: Tick::ZERO, events: Vec::new(), whole, streams, drawn: 0 }
    }

    /// A request as text; its body, if it is asked for.
    pub(crate) fn ask(&mut self, who: &Principal, request: &str, headers: &str, body: &str) -> Got {
        let head = format!("{request} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        self.ask_raw(who, &head, body)
    }

    pub(crate) fn ask_raw(&mut self, who: &Principal, head: &str, body: &str) -> Got {
        let head = RequestHead::parse(HeadLimits::default(), &mut head.as_bytes()).unwrap().unwrap();
        let got = match self.endpoint.handle_head(self.now, &head, who.clone()) {
            HeadDecision::Answer(response) => Got::Whole(Whole::of(response)),
            HeadDecision::Exchange(id) => Got::Exchange(id),
            HeadDecision::ReceiveBody(post) => {
                self.drawn += 1;
                let random = [self.drawn; 24];
                match self.endpoint.handle_body(self.now, post, body.as_bytes(), random) {
                    BodyDecision::Answer(response) => Got::Whole(Whole::of(response)),
                    BodyDecision::Exchange(id) => Got::Exchange(id),
                }
            }
        };
        if let Got::Exchange(id) = got {
            self.fetch(id);
        }
        self.run();
        got
    }

    /// A request without a body, whose consequences nobody sees to yet.
    pub(crate) fn ask_late(&mut self, request: &str, headers: &str) -> ExchangeId {
        let head = format!("{request} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        let head = RequestHead::parse(HeadLimits::default(), &mut head.as_bytes()).unwrap().unwrap();
        match self.endpoint.handle_head(self.now, &head, Principal::anonymous()) {
            HeadDecision::Exchange(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn headers(session: &str, version: &str) -> String {
        let line = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{name}: {value}\r\n"),
        };
        line("Mcp-Session-Id", session) + &line("MCP-Protocol-Version", version)
    }

    /// A POST of an honest client; an empty session or version stands for none.
    pub(crate) fn post(&mut self, session: &str, version: &str, body: &str) -> Got {
        let headers = Bench::headers(session, version) + JSON + BOTH;
        self.ask(&Principal::anonymous(), "POST /mcp", &headers, body)
    }

    pub(crate) fn get(&mut self, session: &str, version: &str, last: &str) -> Got {
        let last = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        let headers = Bench::headers(session, version) + "Accept: text/event-stream\r\n" + &last;
        self.ask(&Principal::anonymous(), "GET /mcp", &headers, "")
    }

    pub(crate) fn delete(&mut self, session: &str) -> Whole {
        self.ask(&Principal::anonymous(), "DELETE /mcp", &Bench::headers(session, ""), "").whole()
    }

    /// A session of this revision, and its id.
    pub(crate) fn open(&mut self, version: &str) -> String {
        self.open_as(&Principal::anonymous(), version)
    }

    pub(crate) fn open_as(&mut self, who: &Principal, version: &str) -> String {
        let (exchange, session, call) = self.opening(who, version);
        let agreed = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{{"protocolVersion":"{version}"}}}}"#);
        self.respond(call, &agreed);
        self.whole.remove(&exchange);
        self.streams.remove(&exchange);
        self.events.clear();
        session.as_str().to_owned()
    }

    /// A session whose `initialize` the application has taken: its exchange, and the call.
    pub(crate) fn opening(&mut self, who: &Principal, version: &str) -> (ExchangeId, SessionId, CallId) {
        let exchange = self.ask(who, "POST /mcp", &(JSON.to_owned() + BOTH), &initialize(version)).exchange();
        let Some(StreamableEvent::Opened { session, .. }) =
            self.events.iter().rev().find(|event| matches!(event, StreamableEvent::Opened { .. })).cloned()
        else {
            panic!("not opened: {:?}", self.events)
        };
        let asked = self.endpoint.take(self.now, Some(&session)).unwrap();
        assert_eq!(asked.message.method(), Some("initialize"));
        (exchange, session, asked.call.unwrap())
    }

    /// A request that the application has taken: its exchange and the call.
    pub(crate) fn call(&mut self, session: &str, version: &str, id: u32) -> (ExchangeId, CallId) {
        let exchange = self.post(session, version, &request(id)).exchange();
        (exchange, self.take(session).call.unwrap())
    }

    pub(crate) fn take(&mut self, session: &str) -> Incoming {
        self.try_take(session).unwrap()
    }

    pub(crate) fn try_take(&mut self, session: &str) -> Option<Incoming> {
        let session = SessionId::parse(session).ok();
        let taken = self.endpoint.take(self.now, session.as_ref());
        self.run();
        taken
    }

    pub(crate) fn respond(&mut self, call: CallId, response: &str) {
        self.endpoint.respond(self.now, call, json(response)).unwrap();
        self.run();
    }

    pub(crate) fn say(&mut self, call: CallId, n: u32) {
        self.endpoint.send_for(self.now, call, note(n)).unwrap();
        self.run();
    }

    pub(crate) fn send(&mut self, session: &str, n: u32) {
        self.endpoint.send(self.now, &SessionId::parse(session).unwrap(), note(n)).unwrap();
        self.run();
    }

    /// Serves what an adapter serves.
    pub(crate) fn run(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                StreamableEvent::Answer(id) => self.fetch(id),
                StreamableEvent::Fill(id) => {
                    if let Some(open) = self.streams.get_mut(&id) {
                        open.again = self.endpoint.fill(self.now, id, &mut open.stream).again;
                        if let Some(close) = open.stream.closed().copied().filter(|_| !open.told) {
                            open.told = true;
                            self.endpoint.handle_closed(self.now, id, &close);
                        }
                    }
                }
                event => self.events.push(event),
            }
        }
    }

    fn fetch(&mut self, id: ExchangeId) {
        match self.endpoint.answer(self.now, id) {
            Some(Answer::Response(response)) => drop(self.whole.insert(id, Whole::of(response))),
            Some(Answer::Stream(stream)) => {
                let open = Open { stream: *stream, text: Vec::new(), again: true, told: false };
                self.streams.insert(id, open);
            }
            None => {}
        }
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.endpoint.handle_timeout(self.now);
        self.run();
    }

    /// The whole response of an exchange, once.
    pub(crate) fn whole(&mut self, id: ExchangeId) -> Option<Whole> {
        self.whole.remove(&id)
    }

    pub(crate) fn is_stream(&self, id: ExchangeId) -> bool {
        self.streams.contains_key(&id)
    }

    /// Lets the socket take `most` bytes.
    pub(crate) fn write(&mut self, id: ExchangeId, mut most: usize) {
        while most > 0 {
            let open = self.streams.get_mut(&id).unwrap();
            let Step::Run { bytes, .. } = open.stream.poll() else { break };
            let piece: Vec<u8> = bytes.pieces().flatten().copied().take(most).collect();
            if piece.is_empty() {
                break;
            }
            most -= piece.len();
            open.stream.handle_wrote(self.now, piece.len());
            open.text.extend(piece);
            if open.again {
                open.again = self.endpoint.fill(self.now, id, &mut open.stream).again;
            }
        }
        self.tell_if_closed(id);
    }

    fn tell_if_closed(&mut self, id: ExchangeId) {
        let open = self.streams.get_mut(&id).unwrap();
        if let Some(close) = open.stream.closed().copied().filter(|_| !open.told) {
            open.told = true;
            self.endpoint.handle_closed(self.now, id, &close);
        }
        self.run();
    }

    /// What the socket has taken.
    pub(crate) fn read_taken(&mut self, id: ExchangeId) -> String {
        String::from_utf8(std::mem::take(&mut self.streams.get_mut(&id).unwrap().text)).unwrap()
    }

    /// What the client reads now: all that there is to write.
    pub(crate) fn read(&mut self, id: ExchangeId) -> String {
        self.write(id, usize::MAX);
        self.read_taken(id)
    }

    /// The same, without the head of the response.
    pub(crate) fn body(&mut self, id: ExchangeId) -> String {
        let text = self.read(id);
        text.split_once("\r\n\r\n").map_or(text.clone(), |(_, body)| body.to_owned())
    }

    pub(crate) fn closed(&self, id: ExchangeId) -> Option<Close> {
        self.streams.get(&id).unwrap().stream.closed().copied()
    }

    /// The stream's own deadlines are served.
    pub(crate) fn tick(&mut self, id: ExchangeId) {
        self.streams.get_mut(&id).unwrap().stream.handle_timeout(self.now);
        self.tell_if_closed(id);
    }

    /// The connection breaks.
    pub(crate) fn cut(&mut self, id: ExchangeId) {
        self.streams.get_mut(&id).unwrap().stream.handle_disconnect(self.now, Disconnect::Reset);
        self.tell_if_closed(id);
    }

    pub(crate) fn gone(&mut self, id: ExchangeId) {
        self.endpoint.handle_gone(self.now, id);
        self.run();
    }

    pub(crate) fn drain(&mut self) -> Vec<StreamableEvent> {
        self.run();
        std::mem::take(&mut self.events)
    }
}

pub(crate) fn json(text: &str) -> Message {
    text.parse().unwrap()
}

pub(crate) fn initialize(version: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}"}}}}"#)
}

pub(crate) fn request(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#)
}

pub(crate) fn response(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
}

pub(crate) fn note(n: u32) -> Message {
    json(&format!(r#"{{"jsonrpc":"2.0","method":"n","params":[{n}]}}"#))
}

/// The events of a stream: id, and data.
pub(crate) fn events(body: &str) -> Vec<(String, String)> {
    let blocks = body.split("\n\n").filter(|block| block.contains("data:"));
    let field = |block: &str, name: &str| {
        let value = block.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    blocks.map(|block| (field(block, "id:"), field(block, "data:"))).collect()
}

/// Which messages a stream said: `n` for a notification, `id=` for others, and nothing for an event without data.
pub(crate) fn said(body: &str) -> Vec<String> {
    let of = |(_, data): (String, String)| match data.parse::<Message>() {
        Ok(message) => message.id().map_or_else(
            || data.split(['[', ']']).nth(1).unwrap_or(message.method().unwrap_or_default()).to_owned(),
            |id| format!("id={id}"),
        ),
        Err(_) => data,
    };
    events(body).into_iter().map(of).collect()
}

/// A response as a connection writes it.
fn on_the_wire(response: &Response) -> String {
    let mut connection = Connection::new(Tick::ZERO, Arc::new(ConnectionConfig::default()));
    connection.handle_bytes(Tick::ZERO, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if let HttpStep::Head { .. } = connection.poll() {
        connection.receive_body(Tick::ZERO).unwrap();
    }
    connection.respond(Tick::ZERO, response).unwrap();
    match connection.poll() {
        HttpStep::Run { bytes, .. } => String::from_utf8(bytes.to_vec()).unwrap(),
        step => panic!("{step:?}"),
    }
}
