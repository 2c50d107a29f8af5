//! Named scenarios of the simulator's server: requests that wait, bytes behind a request, the end of the server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::RequestBuilder;
use sansio_sse::mcp::{HttpSse, Message, Revision, SessionId, SessionLimits, StreamableConfig};
use sansio_sse::sim::{
    Application, Client, ClientConfig, Fate, Faults, McpClient, McpConfig, Outbox, Program, Rng, Server,
    ServerConfig, Spot, World, request,
};
use sansio_sse::{CloseReason, Disconnect, HalfClose, SourceConfig, StreamConfig, Tick};

use super::{Either, Raw, at};

/// Answers each request; all else is what an application does that says nothing about it.
#[derive(Default)]
struct Echo {
    got: Vec<String>,
}

impl Application for Echo {
    fn handle_message(&mut self, _: Tick, session: &SessionId, asked: &Message, out: &mut Outbox) {
        self.got.push(asked.to_string());
        if asked.id().is_some() {
            out.send(session, asked.respond("{}").unwrap());
        }
    }
}

/// A client with eight things to say, to a server that holds one message and one POST, over a stream that takes
/// nothing between the first second and the fourth.
fn crowded(hold_for: Duration, last_fails: bool) -> World<Server<Echo>, Client> {
    let one = NonZeroUsize::MIN;
    let bytes = NonZeroUsize::new(4_096).unwrap();
    let stream = StreamConfig::builder().max_queued(one, bytes).build().unwrap();
    let http_sse = HttpSse { stream: Arc::new(stream), ..HttpSse::default() };
    let limits = SessionLimits { max_messages: one, max_held: one, hold_for, ..SessionLimits::default() };
    let config = ServerConfig { http_sse, limits, ..ServerConfig::default() };
    let mut world = World::new(1);
    world.add_server(Server::new(Echo::default(), config, Rng::new(2)));
    let pause = Duration::from_millis(300);
    let config = ClientConfig { posts: all_posts().into(), pause, ..ClientConfig::default() };
    world.add_client(Client::new(config, Arc::new(SourceConfig::default())));
    let mut connections = 0;
    world.set_links(move |_, _, _| {
        connections += 1;
        let stalls = if connections == 1 { vec![(at(1), Duration::from_secs(3))] } else { Vec::new() };
        let fail = (last_fails && connections == 9).then_some(Spot::Byte(len_of_a_post()));
        [Faults { fail, ..Faults::default() }, Faults { stalls, ..Faults::default() }]
    });
    world
}

fn all_posts() -> Vec<String> {
    (1..=8).map(|number| request(number, "say", "[]")).collect()
}

/// Bytes of the request that brings one of them.
fn len_of_a_post() -> u64 {
    let target = "/message?session_id=00000000-0000-4000-8000-000000000000";
    let request = RequestBuilder::new("POST", target, "localhost").unwrap();
    let request = request.header("Content-Type", "application/json").unwrap();
    let body = all_posts().remove(0).into_bytes();
    request.body(body).close().encode().len().try_into().unwrap()
}

#[test]
fn i2_a_post_that_waits_for_its_application_is_accepted_in_its_turn_or_refused_and_said_again() {
    for (hold_for, refused) in [(Duration::from_secs(10), false), (Duration::from_millis(400), true)] {
        let mut world = crowded(hold_for, false);
        world.run_until(Tick::from_micros(3_900_000)).unwrap();
        let client = world.clients().next().unwrap();
        assert!(!client.has_said_all(), "the stream takes nothing, and so the application nothing more");
        world.run_until(at(60)).unwrap();
        let client = world.clients().next().unwrap();
        assert!(client.has_said_all());
        assert_eq!(client.accepted(), all_posts());
        assert_eq!(world.server(0).unwrap().app.got, all_posts(), "each once, in order");
        let busy = client.statuses().find(|(status, _)| *status == 503).map_or(0, |(_, times)| times);
        assert_eq!(busy > 1, refused, "{busy}");
        assert_eq!(client.heard()[0].events.len(), 8);
    }
}

#[test]
fn i2_a_post_whose_client_is_gone_while_it_waits_reaches_nobody() {
    let mut world = crowded(Duration::from_secs(10), true);
    world.run_until(at(60)).unwrap();
    let client = world.clients().next().unwrap();
    assert_eq!(client.accepted(), &all_posts()[..7]);
    assert!(client.has_said_all(), "it can't know, and does not say it twice");
    assert_eq!(world.server(0).unwrap().app.got, client.accepted());
}

fn raw_world(config: ServerConfig, request: &str, links: [Faults; 2]) -> World<Server<Echo>, Either> {
    let mut world = World::new(1);
    world.add_server(Server::new(Echo::default(), config, Rng::new(2)));
    world.add_client(Either::Raw(Raw {
        bytes: request.as_bytes().to_vec(),
        answer: Vec::new(),
        wants: true,
    }));
    world.set_links(move |_, _, _| links.clone());
    world
}

fn raw(world: &World<Server<Echo>, Either>) -> &Raw {
    let Some(Either::Raw(raw)) = world.clients().next() else { panic!("it is raw") };
    raw
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

#[test]
fn i8_a_client_that_goes_on_behind_its_request_is_read_no_further_than_the_limit() {
    for path in ["/sse", "/events"] {
        let request = get(path) + &"x".repeat(10_000);
        let up = Faults { window: 100, write_up_to: Some(70), pieces: 1_000, ..Faults::default() };
        let mut world = raw_world(ServerConfig::default(), &request, [up, Faults::default()]);
        world.run_until(at(5)).unwrap();
        let raw = raw(&world);
        let taken = request.len() - get(path).len() - raw.bytes.len();
        assert!((4_096..=4_196).contains(&taken), "{path}: {taken} bytes were read or are on the way");
        assert!(raw.answer.starts_with(b"HTTP/1.1 200"), "{path}");
        assert!(world.server(0).unwrap().ends().closes.is_empty(), "{path}: it goes on");
    }
}

/// The end of the input has come before the request's turn has: it is not forgotten.
#[test]
fn i3_a_client_that_has_half_closed_behind_a_request_in_line_is_treated_as_configured() {
    for path in ["/sse", "/events"] {
        for half_close in [HalfClose::GoesOn, HalfClose::Disconnects] {
            let stream = Arc::new(StreamConfig::builder().half_close(half_close).build().unwrap());
            let http_sse = HttpSse { stream: Arc::clone(&stream), ..HttpSse::default() };
            let config = ServerConfig { http_sse, events: stream, ..ServerConfig::default() };
            let line = get("/nowhere") + &get(path);
            let up =
                Faults { shut: Some(Spot::Byte(u64::try_from(line.len()).unwrap())), ..Faults::default() };
            let down = Faults { window: 20, latency: Duration::from_millis(20), ..Faults::default() };
            let mut world = raw_world(config, &line, [up, down]);
            world.run_until(at(10)).unwrap();
            let answer = String::from_utf8(raw(&world).answer.clone()).unwrap();
            assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
            let closes: Vec<CloseReason> =
                world.server(0).unwrap().ends().closes.iter().map(|close| close.reason).collect();
            match half_close {
                HalfClose::GoesOn => {
                    assert!(closes.is_empty() && answer.contains("HTTP/1.1 200"), "{path}: {closes:?}")
                }
                HalfClose::Disconnects => {
                    assert_eq!(closes, [CloseReason::Disconnected(Disconnect::Eof)], "{path}")
                }
            }
        }
    }
}

/// A request that was being read when the server began to stop is its connection's last.
#[test]
fn i13_a_stream_that_is_asked_for_while_the_server_stops_is_refused() {
    for path in ["/sse", "/events"] {
        let slow = Faults { rate: Some(20), write_up_to: Some(1), pieces: 1_000, ..Faults::default() };
        let mut world = raw_world(ServerConfig::default(), &get(path), [slow, Faults::default()]);
        world.run_until(at(1)).unwrap();
        world.tell_servers(Server::finish);
        world.run_until(at(60)).unwrap();
        let answer = String::from_utf8(raw(&world).answer.clone()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("shutting down"), "{path}: {answer}");
        assert!(world.server(0).unwrap().is_empty(), "{path}");
    }
}

/// An application of sessions, which says nothing about `/mcp`, serves it as well.
#[test]
fn an_application_of_sessions_answers_at_mcp_too_and_has_no_methods_without_a_session() {
    for (revision, error) in [(Revision::V2025_11_25, None), (Revision::V2026_07_28, Some("-32601"))] {
        let mut world = World::new(1);
        let config = StreamableConfig::default();
        let config = ServerConfig { streamable: Some(config), ..ServerConfig::default() };
        world.add_server(Server::new(Echo::default(), config, Rng::new(2)));
        let asks = (1..=3).map(|id| (id, "tools/call".to_owned())).collect();
        world.add_client(McpClient::new(McpConfig { revision, asks, ..McpConfig::default() }));
        world.run_until(at(10)).unwrap();
        let client = world.clients().next().unwrap();
        let mut asked = client.lanes().iter().filter(|lane| lane.request().is_some_and(|id| id.len() == 1));
        for id in ["1", "2", "3"] {
            let lane = asked.next().unwrap();
            assert_eq!((lane.request(), lane.fate()), (Some(id), Fate::Answered));
            let answer: Message = lane.whole().unwrap().parse().unwrap();
            let what = error.unwrap_or(r#""result":{}"#);
            assert!(answer.as_str().contains(what), "{answer}");
        }
        // `notifications/initialized`, and the three.
        let got = world.server(0).unwrap().app.got.len();
        assert_eq!(got, if revision.is_stateless() { 0 } else { 4 });
        world.tell_clients(|client, _| client.leave());
        world.tell_servers(Server::finish);
        world.run_until(at(60)).unwrap();
        assert!(world.server(0).unwrap().is_empty() && world.server(0).unwrap().deadline().is_none());
    }
}
