//! Named scenarios at `/mcp` in the simulator: cuts, polling, two streams, sessions that are deleted, cancellation.

use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::mcp::{
    AnswerMode, CallId, Incoming, Message, Offer, Revision, SecondGet, SessionId, StreamableConfig,
    StreamableLimits,
};
use sansio_sse::sim::{
    Application, Fate, Faults, Lane, McpClient, McpConfig, Outbox, Rng, Server, ServerConfig, Spot, World,
};
use sansio_sse::{Retry, StreamConfig, Tick};

use super::{Either, Raw, at};

/// Answers each request with so many notifications in front, one in `every`; and says one thing on each session's own
/// stream as often.
struct Slow {
    parts: u32,
    every: Duration,
    works: Vec<(CallId, Message, u32)>,
    sessions: Vec<SessionId>,
    next: Tick,
    said: u32,
    /// Instead of an answer.
    lets_go: bool,
}

impl Slow {
    fn new(parts: u32, every: Duration) -> Slow {
        Slow {
            parts,
            every,
            works: Vec::new(),
            sessions: Vec::new(),
            next: Tick::ZERO,
            said: 0,
            lets_go: false,
        }
    }
}

impl Application for Slow {
    fn handle_message(&mut self, _: Tick, _: &SessionId, _: &Message, _: &mut Outbox) {}

    fn handle_incoming(&mut self, _: Tick, incoming: &Incoming, out: &mut Outbox) {
        let Some(call) = incoming.call else { return };
        if incoming.message.method() == Some("initialize") {
            self.sessions.extend(incoming.session.clone());
            let agreed = format!(r#"{{"protocolVersion":"{}"}}"#, incoming.revision);
            return out.respond(call, incoming.message.respond(agreed).unwrap());
        }
        self.works.push((call, incoming.message.respond("{}").unwrap(), self.parts));
    }

    fn deadline(&self) -> Option<Tick> {
        Some(self.next)
    }

    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        if now < self.next {
            return;
        }
        self.next = now + self.every;
        self.said += 1;
        let note = Message::notification("notifications/progress", format!("[{}]", self.said)).unwrap();
        if self.said < 100 {
            self.sessions.iter().for_each(|session| out.send(session, note.clone()));
        }
        for (call, answer, left) in std::mem::take(&mut self.works) {
            if left == 0 && self.lets_go {
                out.let_go(call);
            } else if left == 0 {
                out.respond(call, answer);
            } else {
                out.send_for(call, note.clone());
                self.works.push((call, answer, left - 1));
            }
        }
    }
}

fn mcp_world(config: StreamableConfig, clients: Vec<McpConfig>) -> World<Server<Slow>, McpClient> {
    world_of(Slow::new(5, Duration::from_millis(50)), config, clients)
}

fn world_of(slow: Slow, config: StreamableConfig, clients: Vec<McpConfig>) -> World<Server<Slow>, McpClient> {
    let mut world = World::new(9);
    let config =
        ServerConfig { streamable: Some(config), late_by: Some(Duration::ZERO), ..ServerConfig::default() };
    world.add_server(Server::new(slow, config, Rng::new(3)));
    for client in clients {
        world.add_client(McpClient::new(client));
    }
    world
}

fn asks(first: u64, most: u64) -> McpConfig {
    let asks = (first..first + most).map(|id| (id, "tools/call".to_owned())).collect();
    let retry = Duration::from_millis(100);
    McpConfig { asks, first_id: first + 500, retry, ..McpConfig::default() }
}

/// All that was said was heard, once and in order, by whoever had an id to come back with.
fn all_heard(server: &Server<Slow>, client: &McpClient) {
    for lane in client.lanes() {
        let talk = match (lane.request(), lane.session()) {
            (Some(request), _) => server.said_to(request),
            (None, session) => server.said_in(session.unwrap()),
        };
        let Some(talk) = talk else {
            assert!(lane.heard().is_empty(), "the server never heard of it");
            continue;
        };
        let said: Vec<&str> = talk.said().flatten().map(Message::as_str).collect();
        let heard = lane.heard().iter().map(|heard| heard.data.as_str()).filter(|data| !data.is_empty());
        let heard: Vec<&str> = heard.collect();
        match (lane.fate(), lane.whole(), lane.request()) {
            (Fate::Answered, Some(whole), _) => assert_eq!(said, [whole]),
            (Fate::Answered, None, request) => assert_eq!(heard, said, "{request:?}"),
            // What came before its first id is not to be had.
            (Fate::Open, None, None) => assert!(said.ends_with(&heard), "{said:?} {heard:?}"),
            (Fate::GivenUp, None, Some(request)) => assert!(lane.heard().is_empty(), "{request}"),
            (fate, ..) => panic!("{fate:?}"),
        }
    }
}

#[test]
fn i12_streams_that_are_reset_again_and_again_are_gone_on_with_until_all_is_heard() {
    for (seed, blank) in (1..=4).zip(2..) {
        let clients =
            (0..20).map(|number| McpConfig { seed: seed * 100 + number, ..asks(number * 1_000, 4) });
        let mut world = mcp_world(StreamableConfig::default(), clients.collect());
        world.set_links(move |_, _, rng| {
            let late = Faults { latency: Duration::from_millis(rng.below(40)), ..Faults::default() };
            // Behind the head and the event that it begins with.
            let reset = rng.one_in(2).then_some(Spot::Blank(1 + blank));
            [late.clone(), Faults { reset, ..late }]
        });
        world.run_until(at(40)).unwrap();
        world.heal();
        world.run_until(at(120)).unwrap();
        let server = world.server(0).unwrap();
        world.clients().for_each(|client| all_heard(server, client));
        let resumed = server.happenings().filter(|(what, _)| what.contains("resumed"));
        assert!(resumed.map(|(_, times)| times).sum::<u64>() > 50);
    }
}

#[test]
fn the_server_ends_each_answer_after_a_moment_and_its_client_polls_for_the_rest() {
    let config =
        StreamableConfig { poll_after: Some(Duration::from_millis(80)), ..StreamableConfig::default() };
    let mut world = mcp_world(config, vec![asks(1, 10)]);
    world.run_until(at(60)).unwrap();
    let server = world.server(0).unwrap();
    all_heard(server, world.clients().next().unwrap());
    assert!(server.happenings().any(|(what, times)| what == "answer: ended early" && times > 10));
}

#[test]
fn hurt_12_a_second_stream_takes_the_place_of_the_first_or_is_refused_and_nothing_is_lost() {
    for (second_get, what) in [
        (SecondGet::Replaces, "own stream: taken over"),
        (SecondGet::Refused, "refused: the session has a stream already"),
    ] {
        let config = StreamableConfig { second_get, ..StreamableConfig::default() };
        let again = Some(Duration::from_secs(1));
        let mut world = mcp_world(config, vec![McpConfig { listens_again: again, ..asks(1, 2) }]);
        world.run_until(at(30)).unwrap();
        let server = world.server(0).unwrap();
        assert!(server.happenings().any(|(happened, times)| happened == what && times > 0), "{second_get:?}");
        let client = world.clients().next().unwrap();
        let own = client.lanes().iter().filter(|lane| lane.request().is_none());
        let mut heard: Vec<&str> = own
            .flat_map(Lane::heard)
            .map(|heard| heard.data.as_str())
            .filter(|data| !data.is_empty())
            .collect();
        let talk = server.said_in(client.session().unwrap()).unwrap();
        assert_eq!(heard.len(), talk.said().flatten().count(), "once each");
        heard.dedup();
        assert_eq!(heard, talk.said().flatten().map(Message::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn hurt_04_hurt_06_sessions_that_are_deleted_at_work_leave_nothing_and_answer_no_more() {
    let deletes = |number: u64| Some(at(1) + Duration::from_millis(number * 7));
    let clients = (0..30).map(|number| McpConfig { deletes: deletes(number), ..asks(number * 1_000, 40) });
    let mut world = mcp_world(StreamableConfig::default(), clients.collect());
    world.set_links(|_, _, rng| {
        let late = Faults { latency: Duration::from_millis(rng.below(30)), ..Faults::default() };
        [late.clone(), late]
    });
    world.run_until(at(20)).unwrap();
    world.tell_clients(|client, _| client.leave());
    world.tell_servers(Server::finish);
    world.run_until(at(60)).unwrap();
    let server = world.server(0).unwrap();
    assert!(server.is_empty(), "no session, no request, no stream, no journal");
    let times = |name| server.happenings().find(|(what, _)| *what == name).map_or(0, |(_, times)| times);
    assert_eq!(times("session: ended by its client"), 30);
    assert!(times("session: deleted at work") > 20);
}

#[test]
fn check_21_clients_without_sessions_cancel_by_closing_and_nothing_is_left_of_it() {
    let clients = (0..20).map(|number| McpConfig {
        revision: Revision::V2026_07_28,
        cancels: 2,
        seed: number,
        ..asks(number * 1_000, 10)
    });
    let mut world = mcp_world(StreamableConfig::default(), clients.collect());
    world.run_until(at(60)).unwrap();
    let server = world.server(0).unwrap();
    assert!(server.happenings().any(|(what, times)| what == "request: cancelled by closing" && times > 20));
    world.tell_clients(|client, _| client.leave());
    world.tell_servers(Server::finish);
    world.run_until(at(120)).unwrap();
    assert!(world.server(0).unwrap().is_empty());
}

#[test]
fn i1_a_retry_in_the_first_event_is_not_the_one_at_an_early_end() {
    let retry = Duration::from_millis(100);
    let stream = StreamConfig::builder().retry(Retry::First(retry)).build().unwrap();
    let config = StreamableConfig {
        stream: stream.into(),
        answers: AnswerMode::Stream,
        poll_retry: retry,
        ..StreamableConfig::default()
    };
    let lets_go = Slow { lets_go: true, ..Slow::new(0, Duration::from_millis(50)) };
    let mut world = world_of(lets_go, config, vec![asks(1, 3)]);
    // Its first event still waits when the request is let go of.
    world.set_links(|_, _, _| {
        [Faults::default(), Faults { rate: Some(1_000), window: 10, ..Faults::default() }]
    });
    world.run_until(at(30)).unwrap();
    let server = world.server(0).unwrap();
    assert!(server.happenings().any(|(what, times)| what == "request: let go" && times > 0));
}

/// I2, for subscriptions: each is told what has changed, and a stalled one once of what has changed again and again.
#[test]
fn i2_news_that_wait_for_a_subscriber_are_told_to_it_once() {
    struct Restless(Tick, u32);
    impl Application for Restless {
        fn handle_message(&mut self, _: Tick, _: &SessionId, _: &Message, _: &mut Outbox) {}
        fn deadline(&self) -> Option<Tick> {
            (self.1 < 40).then_some(self.0)
        }
        fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
            if self.deadline().is_some_and(|at| at <= now) {
                (self.0, self.1) = (now + Duration::from_millis(100), self.1 + 1);
                out.notify(Message::notification("notifications/tools/list_changed", "{}").unwrap());
            }
        }
    }
    let mut world = World::new(9);
    let stream = StreamConfig::builder().max_queued(NonZeroUsize::MIN, NonZeroUsize::MIN).build().unwrap();
    let config = StreamableConfig {
        subscriptions: Some(Offer::all()),
        stream: stream.into(),
        ..StreamableConfig::default()
    };
    let config =
        ServerConfig { streamable: Some(config), late_by: Some(Duration::ZERO), ..ServerConfig::default() };
    world.add_server(Server::new(Restless(at(1), 0), config, Rng::new(3)));
    for number in 1..=2 {
        let asks = [(number, "subscriptions/listen".to_owned())].into();
        let comes = Tick::from_micros(number);
        world.add_client(McpClient::new(McpConfig {
            revision: Revision::V2026_07_28,
            asks,
            comes,
            ..McpConfig::default()
        }));
    }
    world.set_links(|client, _, _| {
        let stalls = if client == 0 { vec![(at(2), Duration::from_secs(2))] } else { Vec::new() };
        [Faults::default(), Faults { stalls, ..Faults::default() }]
    });
    world.run_until(at(10)).unwrap();
    let server = world.server(0).unwrap();
    let heard: Vec<usize> = world.clients().map(|client| client.lanes()[0].heard().len()).collect();
    assert_eq!(heard[1], 41, "the acknowledgement, and all of it");
    // What was in the stream when it stalled is not taken back.
    assert!((21..=30).contains(&heard[0]), "{heard:?}");
    for (request, heard) in ["1", "2"].into_iter().zip(heard) {
        assert_eq!(server.said_to(request).unwrap().said().flatten().count(), heard);
    }
}

/// Requests that waited in vain for an application that takes one message in a while are made again.
#[test]
fn i2_requests_that_are_held_back_for_too_long_are_refused_and_answered_when_they_come_again() {
    let one = NonZeroUsize::MIN;
    let hold_for = Duration::from_millis(200);
    let limits = StreamableLimits { max_messages: one, hold_for, ..StreamableLimits::default() };
    let config = StreamableConfig { limits, ..StreamableConfig::default() };
    let busy_for = Duration::from_millis(300);
    let config = ServerConfig {
        streamable: Some(config),
        busy_for,
        late_by: Some(Duration::ZERO),
        ..Default::default()
    };
    let mut world = World::new(9);
    world.add_server(Server::new(Slow::new(2, Duration::from_millis(20)), config, Rng::new(3)));
    world.add_client(McpClient::new(asks(1, 12)));
    world.run_until(at(60)).unwrap();
    let (server, client) = (world.server(0).unwrap(), world.clients().next().unwrap());
    let busy = client.statuses().find(|(status, _)| *status == 503).map_or(0, |(_, times)| times);
    assert!(busy > 3, "{busy}");
    all_heard(server, client);
    let answered = client.lanes().iter().filter(|lane| lane.fate() == Fate::Answered);
    assert_eq!(answered.count(), 13, "`initialize`, and each request");
}

#[test]
fn check_22_streams_without_a_retry_begin_with_an_id_alone_and_are_resumed_from_it() {
    let stream = StreamConfig::builder().retry(Retry::Never).build().unwrap();
    let config = StreamableConfig { stream: stream.into(), ..StreamableConfig::default() };
    let mut world = mcp_world(config, vec![asks(1, 6)]);
    world.set_links(|_, _, _| {
        [Faults::default(), Faults { reset: Some(Spot::Blank(3)), ..Faults::default() }]
    });
    world.run_until(at(60)).unwrap();
    let (server, client) = (world.server(0).unwrap(), world.clients().next().unwrap());
    all_heard(server, client);
    let begun = client.lanes().iter().filter_map(|lane| lane.heard().first());
    assert!(begun.filter(|first| first.data.is_empty()).count() > 3);
}

/// A revision without sessions can't be agreed on in one.
#[test]
fn an_initialize_that_proposes_a_revision_without_sessions_leads_to_the_newest_with() {
    let revision = Revision::V2026_07_28;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"{revision}"}}}}"#
    );
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut world = World::new(1);
    let config = ServerConfig { streamable: Some(StreamableConfig::default()), ..ServerConfig::default() };
    world.add_server(Server::new(Slow::new(0, Duration::from_millis(50)), config, Rng::new(3)));
    world.add_client(Either::Raw(Raw { bytes: request.into_bytes(), answer: Vec::new(), wants: true }));
    world.run_until(at(5)).unwrap();
    let Some(Either::Raw(raw)) = world.clients().next() else { panic!("it is raw") };
    let answer = String::from_utf8_lossy(&raw.answer);
    assert!(answer.ends_with(r#"{"protocolVersion":"2025-11-25"}}"#), "{answer}");
}

#[test]
fn i12_whoever_comes_back_too_late_is_told_so_and_listens_anew() {
    let limits = StreamableLimits { replay_for: Duration::from_millis(200), ..StreamableLimits::default() };
    let config = StreamableConfig { limits, ..StreamableConfig::default() };
    let clients =
        (0..10).map(|seed| McpConfig { seed, retry: Duration::from_secs(1), ..asks(seed * 100, 0) });
    let mut world = mcp_world(config, clients.collect());
    // Behind the head, the event that the stream begins with, and two more.
    world.set_links(|_, _, _| {
        [Faults::default(), Faults { reset: Some(Spot::Blank(4)), ..Faults::default() }]
    });
    world.run_until(at(4)).unwrap();
    let server = world.server(0).unwrap();
    let refused = server.happenings().find(|(what, _)| *what == "gap: refused").map_or(0, |(_, times)| times);
    let told: u64 = world.clients().map(McpClient::told_gone).sum();
    assert_eq!(told, refused);
    for client in world.clients() {
        let own = client.lanes().iter().filter(|lane| lane.request().is_none());
        let (gone, there): (Vec<&Lane>, Vec<&Lane>) = own.partition(|lane| lane.fate() == Fate::Gone);
        assert!(!gone.is_empty() && client.told_gone() == gone.len() as u64);
        assert!(gone.iter().all(|lane| lane.heard().len() >= 2), "it has heard what came before");
        assert_eq!(there.len(), 1, "one goes on");
    }
}
