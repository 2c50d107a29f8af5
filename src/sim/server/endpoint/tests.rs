//! The books bite: where the machine of `/mcp` does one thing, and the book is told another, a law is broken.

use alloc::string::String;
use alloc::vec;

use super::super::Server;
use super::*;
use crate::http1::HeadLimits;
use crate::mcp::{Filter, GapAnswer, Incoming, StreamableEnd};
use crate::sim::{Application, Outbox, Program, Rng, ServerConfig};
use crate::{EventId, EventStream, Frame};

const NOW: Tick = Tick::ZERO;

/// An endpoint with one session.
struct Bench {
    endpoint: Endpoint,
    session: SessionId,
    revision: Revision,
    conns: u32,
}

impl Bench {
    fn new(revision: Revision) -> Bench {
        let config = StreamableConfig { gaps: GapAnswer::Refuse, ..StreamableConfig::default() };
        let session = SessionId::from_random([0; 16]);
        let endpoint = Endpoint::new(config, Duration::ZERO);
        let mut bench = Bench { endpoint, session, revision, conns: 0 };
        if !revision.is_stateless() {
            bench.session = bench.open();
        }
        bench
    }

    /// Opens a session more.
    fn open(&mut self) -> SessionId {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{}"}}}}"#,
            self.revision
        );
        let exchange = self.post(&body, "");
        let incoming = self.take();
        let agreed = format!(r#"{{"protocolVersion":"{}"}}"#, self.revision);
        self.endpoint
            .respond(NOW, incoming.call.unwrap(), incoming.message.respond(agreed).unwrap())
            .unwrap();
        assert!(matches!(self.endpoint.answer(NOW, exchange, None), Ok(Some(Answered::Whole(_)))));
        incoming.session.unwrap()
    }

    fn head(&self, method: &str, headers: &str) -> RequestHead {
        let text = format!(
            "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\n{headers}\r\n"
        );
        RequestHead::parse(HeadLimits::default(), &mut text.as_bytes()).unwrap().unwrap()
    }

    fn in_session(&self) -> String {
        let (revision, session) = (self.revision, &self.session);
        if revision.is_stateless() {
            return format!("MCP-Protocol-Version: {revision}\r\nMcp-Method: tools/call\r\nMcp-Name: n\r\n");
        }
        format!("MCP-Protocol-Version: {revision}\r\nMcp-Session-Id: {session}\r\n")
    }

    fn post(&mut self, body: &str, headers: &str) -> ExchangeId {
        let head = self.head("POST", headers);
        self.conns += 1;
        let (conn, random) = (Conn(self.conns), [u8::try_from(self.conns).unwrap(); 24]);
        let Ok(Next::ReceiveBody(post)) = self.endpoint.head(NOW, conn, &head) else { panic!("refused") };
        match self.endpoint.body(NOW, conn, post, (&head, body.as_bytes()), random, false) {
            Ok(Next::Wait(exchange)) => exchange,
            Ok(Next::Respond(response)) => panic!("{:?}", core::str::from_utf8(response.body())),
            _ => panic!("no exchange"),
        }
    }

    fn take(&mut self) -> Incoming {
        while let Some(event) = self.endpoint.poll_event() {
            if let StreamableEvent::Readable(session) = event {
                self.endpoint.is_readable(session);
            }
        }
        self.endpoint.take(NOW).unwrap()
    }

    /// A request that the application has taken.
    fn call(&mut self) -> (ExchangeId, CallId, Message) {
        let version = format!(r#""io.modelcontextprotocol/protocolVersion":"{}""#, self.revision);
        let meta = format!(r#"{{{version},"io.modelcontextprotocol/clientCapabilities":{{}}}}"#);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"n","_meta":{meta}}}}}"#
        );
        let headers = self.in_session();
        let exchange = self.post(&body, &headers);
        let incoming = self.take();
        (exchange, incoming.call.unwrap(), incoming.message.respond("{}").unwrap())
    }

    /// A `GET`, of which only the machine knows.
    fn get_untold(&mut self, last: Option<EventId>) -> ExchangeId {
        let last = last.map_or(String::new(), |last| format!("Last-Event-ID: {last}\r\n"));
        let head = self.head("GET", &(self.in_session() + &last));
        let HeadDecision::Exchange(exchange) =
            self.endpoint.machine.handle_head(NOW, &head, Principal::anonymous())
        else {
            panic!("refused")
        };
        exchange
    }

    fn get(&mut self, last: Option<EventId>) -> ExchangeId {
        let exchange = self.get_untold(last);
        self.tell(exchange, last);
        exchange
    }

    /// Tells the book of a `GET` in this session.
    fn tell(&mut self, exchange: ExchangeId, last: Option<EventId>) {
        let (last, actual) = (last.map(|last| last.to_string()), self.endpoint.machine.stream_of(exchange));
        self.endpoint.book.got(exchange, &self.session, last.as_deref(), actual);
    }

    fn stream(&mut self, exchange: ExchangeId) -> Result<Box<Watched>, Broken> {
        match self.endpoint.answer(NOW, exchange, None)? {
            Some(Answered::Stream(stream)) => Ok(stream),
            _ => panic!("no stream"),
        }
    }

    /// The session's own stream, on which one thing was said.
    fn listen(&mut self) -> (ExchangeId, Box<Watched>) {
        let exchange = self.get(None);
        let mut stream = self.stream(exchange).unwrap();
        self.say();
        self.endpoint.fill(NOW, exchange, &mut stream).unwrap();
        (exchange, stream)
    }

    /// The number of that stream, which the book knows as well.
    fn number(&mut self) -> u64 {
        self.listen();
        self.own().1.number().unwrap()
    }

    fn own(&self) -> (usize, &super::super::Talk) {
        self.endpoint.book.of_session(&self.session).unwrap()
    }

    /// Says something on the session's own stream.
    fn say(&mut self) {
        let session = self.session.clone();
        self.endpoint.send(NOW, &session, note()).unwrap();
    }

    /// Says it, and nobody tells the book.
    fn say_untold(&mut self) {
        self.endpoint.machine.send(NOW, &self.session, note()).unwrap();
    }

    /// Tells the book that it was said.
    fn tell_said(&mut self) {
        let own = self.own().0;
        self.endpoint.book.said(own, note()).unwrap();
    }
}

fn note() -> Message {
    Message::notification("notifications/note", "[]").unwrap()
}

type Lie = fn(&mut Bench) -> Result<(), Broken>;

/// Sees that each of these breaks its law, in these words.
fn breaks(revision: Revision, lies: &[(Law, &str, Lie)]) {
    for (law, words, lie) in lies {
        let (broken, what) = lie(&mut Bench::new(revision)).expect_err(words);
        assert!(what.contains(words), "{words}: {what}");
        assert_eq!(broken, *law, "{what}");
    }
}

#[test]
fn i2_i12_what_an_answer_carries() {
    breaks(
        Revision::V2025_11_25,
        &[
            (Law::I2, "is not the 0 of 1 that were said", |bench| {
                let (exchange, call, response) = bench.call();
                bench.endpoint.machine.respond(NOW, call, response).unwrap();
                bench.endpoint.answer(NOW, exchange, None).map(|_| ())
            }),
            (Law::I12, "is answered, and nobody asked", |bench| {
                let exchange = bench.get_untold(None);
                bench.stream(exchange).map(|_| ())
            }),
            (Law::I12, "was said, and nobody asked", |bench| {
                let head = bench.head("POST", &bench.in_session());
                let HeadDecision::ReceiveBody(post) =
                    bench.endpoint.machine.handle_head(NOW, &head, Principal::anonymous())
                else {
                    panic!("refused")
                };
                let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#;
                let _ = bench.endpoint.machine.handle_body(NOW, post, body, [9; 24]);
                let incoming = bench.take();
                bench.endpoint.respond(NOW, incoming.call.unwrap(), incoming.message.respond("{}").unwrap())
            }),
            (Law::I12, "\": not what was said under this number", |bench| {
                let (exchange, call, _) = bench.call();
                bench.endpoint.machine.send_for(NOW, call, note()).unwrap();
                bench.stream(exchange).map(|_| ())
            }),
            (Law::I12, "2 to 2 are due", |bench| {
                let stream = bench.number();
                let exchange = bench.get_untold(Some(EventId { stream, seq: 0 }));
                bench.tell(exchange, Some(EventId { stream, seq: 1 }));
                bench.stream(exchange).map(|_| ())
            }),
            (Law::I12, "begins without what follows 1", |bench| {
                let stream = bench.number();
                bench.tell_said();
                let exchange = bench.get(Some(EventId { stream, seq: 1 }));
                bench.stream(exchange).map(|_| ())
            }),
            (Law::I12, "no beginning is due", |bench| {
                let stream = bench.number();
                let exchange = bench.get_untold(None);
                bench.tell(exchange, Some(EventId { stream, seq: 0 }));
                let config = bench.endpoint.machine.config().stream.clone();
                let mut begun = Watched::made(NOW, EventStream::new(NOW, config)).0;
                let event = format!("id: {}\n\n", EventId { stream, seq: 0 });
                let offer = format!("{:x}\r\n{event}\r\n", event.len());
                bench.endpoint.book.begin(NOW, exchange, &mut begun, offer.as_bytes())
            }),
            (Law::I12, "of another stream", |bench| {
                let stream = bench.number();
                let exchange = bench.get_untold(Some(EventId { stream, seq: 0 }));
                bench.session = bench.open();
                bench.tell(exchange, None);
                bench.stream(exchange).map(|_| ())
            }),
            (Law::I12, "of another stream than", |bench| {
                let first = bench.session.clone();
                bench.session = bench.open();
                bench.number();
                let second = core::mem::replace(&mut bench.session, first);
                bench.say_untold();
                let exchange = bench.get_untold(None);
                bench.session = second;
                bench.tell(exchange, None);
                bench.stream(exchange).map(|_| ())
            }),
        ],
    );
    breaks(
        Revision::V2026_07_28,
        &[(Law::I12, "not what was said next", |bench| {
            let (exchange, call, _) = bench.call();
            bench.endpoint.machine.send_for(NOW, call, note()).unwrap();
            bench.stream(exchange).map(|_| ())
        })],
    );
}

#[test]
fn i3_i4_i12_i13_how_a_stream_goes_on_and_ends() {
    breaks(
        Revision::V2025_11_25,
        &[
            (Law::I12, "says more than the 2 that were said", |bench| {
                let (exchange, mut stream) = bench.listen();
                bench.say();
                bench.say_untold();
                bench.endpoint.fill(NOW, exchange, &mut stream).map(|_| ())
            }),
            (Law::I4, "ends, and 1 of 2 are said", |bench| {
                let (exchange, call, _) = bench.call();
                bench.endpoint.send_for(NOW, call, note())?;
                let mut stream = bench.stream(exchange)?;
                let talk = bench.endpoint.book.of_call(call).unwrap().0;
                bench.endpoint.book.said(talk, note())?;
                stream.lend(|stream| stream.finish(NOW));
                bench.endpoint.book.filled(NOW, exchange, &mut stream, 0, (true, false))
            }),
            (Law::I13, "all is said, and it does not end", |bench| {
                let (exchange, call, response) = bench.call();
                bench.endpoint.send_for(NOW, call, note())?;
                let mut stream = bench.stream(exchange)?;
                let talk = bench.endpoint.book.of_call(call).unwrap().0;
                bench.endpoint.book.said(talk, response)?;
                bench.endpoint.book.filled(NOW, exchange, &mut stream, 1, (true, false))
            }),
            (Law::I12, "a newer response has its place, and it goes on", |bench| {
                let exchange = bench.get(None);
                let mut stream = bench.stream(exchange)?;
                let first = bench.session.clone();
                bench.session = bench.open();
                let newer = bench.get_untold(None);
                bench.session = first;
                bench.tell(newer, None);
                bench.endpoint.fill(NOW, exchange, &mut stream).map(|_| ())
            }),
            (Law::I3, "no newer response has its place", |bench| {
                let exchange = bench.get(None);
                let mut stream = bench.stream(exchange)?;
                stream.lend(|stream| stream.supersede(NOW));
                bench.endpoint.fill(NOW, exchange, &mut stream).map(|_| ())
            }),
        ],
    );
    breaks(
        Revision::V2025_03_26,
        &[(Law::I4, "ends early, where its revision has no such thing", |bench| {
            let (exchange, call, _) = bench.call();
            bench.endpoint.send_for(NOW, call, note())?;
            let mut stream = bench.stream(exchange)?;
            let retry = Frame::retry(bench.endpoint.machine.config().poll_retry);
            stream.lend(|stream| {
                stream.push(NOW, retry).unwrap();
                stream.finish(NOW);
            });
            bench.endpoint.book.filled(NOW, exchange, &mut stream, 1, (true, false))
        })],
    );
}

#[test]
fn i2_i8_i12_what_is_kept_refused_and_made_known() {
    breaks(
        Revision::V2025_11_25,
        &[
            (Law::I8, "events are kept that nobody has taken, and one more", |bench| {
                let own = bench.own().0;
                (0..1_000).try_for_each(|_| bench.endpoint.book.said(own, note()))
            }),
            (Law::I2, "refused with 0 frames and 0 bytes unread", |bench| {
                bench.endpoint.book.full(bench.own().0, &note())
            }),
            (Law::I12, ".0 is told to be gone, and what follows it is held", |bench| {
                let last = EventId { stream: bench.number(), seq: 0 };
                bench.endpoint.book.refused(&bench.session, &last.to_string()).map(|_| ())
            }),
            (Law::I2, "was said to 3, and 0 want it", |bench| bench.endpoint.book.published(&note(), 3)),
        ],
    );
    // What nobody asked for is nobody's.
    let mut bench = Bench::new(Revision::V2025_11_25);
    let (exchange, (_, call, _)) = (bench.get_untold(None), bench.call());
    assert_eq!(bench.endpoint.book.subscribed(exchange, call, &Filter::default()), Ok(()));
    assert_eq!(bench.endpoint.book.published(&note(), 0), Ok(()));
}

#[test]
fn i2_i3_i12_i13_what_a_session_lets_in_and_how_it_ends() {
    breaks(
        Revision::V2025_11_25,
        &[
            (Law::I3, "let in after its end", |bench| {
                bench.endpoint.over.insert(bench.session.clone());
                let head = bench.head("GET", &bench.in_session());
                bench.endpoint.head(NOW, Conn(9), &head).map(|_| ())
            }),
            (Law::I12, "let in, and somebody else's", |bench| {
                let other = Principal::named("other");
                bench.endpoint.principals.insert(bench.session.clone(), other);
                let head = bench.head("GET", &bench.in_session());
                bench.endpoint.head(NOW, Conn(9), &head).map(|_| ())
            }),
            (Law::I2, "was not asked for, or came before", |bench| {
                let (_, _, response) = bench.call();
                bench.endpoint.responded(&bench.session, &response)
            }),
            (Law::I13, "ended twice", |bench| {
                bench.endpoint.ended(&bench.session, StreamableEnd::Idle, 0)?;
                bench.endpoint.ended(&bench.session, StreamableEnd::Idle, 0)
            }),
            (Law::I2, "3 accepted, 0 taken, 2 unread", |bench| {
                bench.endpoint.accounts.entry(bench.session.clone()).or_default().accepted = 3;
                bench.endpoint.ended(&bench.session, StreamableEnd::ByClient, 2)
            }),
        ],
    );
}

/// A response that another one's place was given to before it began is let go of, and nothing is broken by it.
#[test]
fn i12_a_stream_that_is_superseded_before_it_begins_says_nothing() {
    let mut bench = Bench::new(Revision::V2025_11_25);
    let (older, newer) = (bench.get(None), bench.get(None));
    bench.say();
    let older = bench.stream(older).unwrap();
    assert_eq!(older.closed().unwrap().reason, crate::CloseReason::Superseded);
    assert_eq!((older.violation(), older.oracle().counts()), (None, (0, 0)));
    let newer = bench.stream(newer).unwrap();
    assert_eq!(
        (newer.violation(), newer.oracle().counts()),
        (None, (2, 0)),
        "the beginning, and what was said"
    );
}

/// What the book finds is the server's violation, and its client is told nothing but that it is busy.
#[test]
fn what_is_broken_at_the_endpoint_is_the_servers_violation() {
    struct Nobody;
    impl Application for Nobody {
        fn handle_message(&mut self, _: Tick, _: &SessionId, _: &Message, _: &mut Outbox) {}
    }
    let bench = Bench::new(Revision::V2025_11_25);
    let (headers, session) = (bench.in_session(), bench.session);
    let mut server = Server::new(Nobody, ServerConfig::default(), Rng::new(1));
    server.routes = server.routes.clone().streamable(["/mcp"]);
    server.endpoint = Some(Box::new(bench.endpoint));
    server.endpoint.as_mut().unwrap().over.insert(session);
    let conn = Conn(9);
    server.handle_connected(NOW, conn);
    let request =
        format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{headers}\r\n");
    server.handle_bytes(NOW, conn, request.as_bytes());
    let found = server.violation().unwrap();
    assert_eq!(found.law, Law::I3, "{found}");
    let mut offer = vec![];
    server.poll(conn, &mut offer);
    assert!(offer.starts_with(b"HTTP/1.1 503 "), "{}", offer.escape_ascii());
}
