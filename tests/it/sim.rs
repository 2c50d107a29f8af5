//! Named scenarios in the simulator: the origin's defects, three ways of driving, many sessions, one world twice.

mod oracle;
mod programs;
mod server;
mod streamable;

use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::RequestBuilder;
use sansio_sse::mcp::{HttpSse, Message, PublicBase, Resumption, SessionEnd, SessionId};
use sansio_sse::sim::{
    Application, Client, ClientConfig, Conn, End, Faults, Link, Op, Outbox, Pace, Program, Rng, Server,
    ServerConfig, Setup, Spot, Wish, World, drive, replay, request, run,
};
use sansio_sse::{
    CloseReason, Disconnect, Event, EventId, Frame, SourceConfig, StreamConfig, Tick, Topic, TopicConfig,
};

/// Streams an answer in so many parts, one in `every`, once somebody asks; and counts the ends.
struct Streamer {
    parts: u32,
    every: Duration,
    next: Option<(Tick, SessionId)>,
    said: u32,
    ended: Vec<SessionId>,
}

impl Streamer {
    fn new(parts: u32, every: Duration) -> Streamer {
        Streamer { parts, every, next: None, said: 0, ended: Vec::new() }
    }
}

impl Application for Streamer {
    fn handle_message(&mut self, now: Tick, session: &SessionId, _: &Message, _: &mut Outbox) {
        self.next = Some((now, session.clone()));
    }

    fn handle_ended(&mut self, _: Tick, session: &SessionId, _: &SessionEnd) {
        self.ended.push(session.clone());
    }

    fn deadline(&self) -> Option<Tick> {
        self.next.as_ref().map(|(at, _)| *at)
    }

    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        let Some((at, session)) = self.next.take_if(|(at, _)| *at <= now) else { return };
        let part = format!(r#"{{"jsonrpc":"2.0","method":"part","params":[{}]}}"#, self.said);
        out.send(&session, Message::parse(part.as_bytes()).unwrap());
        self.said += 1;
        if self.said < self.parts {
            self.next = Some((at + self.every, session));
        }
    }
}

fn preset() -> HttpSse {
    HttpSse::contextforge(PublicBase::default())
}

fn world_of(http_sse: HttpSse, app: Streamer) -> World<Server<Streamer>, Client> {
    let mut world = World::new(1);
    let config = ServerConfig { http_sse, late_by: Some(Duration::ZERO), ..ServerConfig::default() };
    world.add_server(Server::new(app, config, Rng::new(2)));
    let posts = [request(1, "stream", "[]")].into();
    world.add_client(client(ClientConfig { posts, comes_again: false, ..ClientConfig::default() }));
    world
}

fn client(config: ClientConfig) -> Client {
    Client::new(config, Arc::new(SourceConfig::default()))
}

/// What the first client heard in its first session.
fn heard(world: &World<Server<Streamer>, Client>) -> &[Event] {
    &world.clients().next().unwrap().heard()[0].events
}

/// The origin takes a healthy client that gets ten messages in a second for gone, and itself for spinning.
#[test]
fn s24_ten_messages_in_a_second_all_arrive_and_in_the_preset_the_tenth_closes() {
    let burst = || Streamer::new(25, Duration::from_millis(40));
    let mut world = world_of(HttpSse::default(), burst());
    world.run_until(at(20)).unwrap();
    assert_eq!(heard(&world).len(), 25);
    assert!(world.server(0).unwrap().ends().closes.is_empty());

    let mut world = world_of(preset(), burst());
    world.run_until(at(20)).unwrap();
    assert_eq!(heard(&world).len(), 10, "the tenth is still sent");
    let reason = world.server(0).unwrap().ends().closes[0].reason;
    assert_eq!(reason, CloseReason::RapidFrames { frames: 10 });
}

/// The origin's disconnect callback can run twice, or not at all.
#[test]
fn s28_the_end_of_a_session_is_told_once_however_its_client_goes() {
    for http_sse in [HttpSse::default(), preset()] {
        for spot in
            [Spot::Byte(0), Spot::Byte(150), Spot::Byte(400), Spot::Blank(1), Spot::Blank(2), Spot::Blank(4)]
        {
            for half_close in [false, true] {
                let mut world = world_of(http_sse.clone(), Streamer::new(5, Duration::from_secs(1)));
                world.set_links(move |_, _, _| {
                    let shut = half_close.then_some(Spot::Blank(1));
                    let up = Faults { shut, ..Faults::default() };
                    [up, Faults { reset: Some(spot), latency: Duration::from_millis(5), ..Faults::default() }]
                });
                world.run_until(at(30)).unwrap();
                world.tell_clients(Client::leave);
                world.tell_servers(Server::finish);
                world.run_until(at(60)).unwrap();
                let server = world.server(0).unwrap();
                let mut ended = server.app.ended.clone();
                ended.sort();
                ended.dedup();
                assert_eq!(ended.len(), server.app.ended.len(), "{spot:?}: each once");
                assert_eq!(ended.len(), server.ends().sessions, "{spot:?}: all of them");
                assert!(server.is_empty());
            }
        }
    }
}

/// Sends these bytes, and remembers what it is answered.
struct Raw {
    bytes: Vec<u8>,
    answer: Vec<u8>,
    wants: bool,
}

/// The origin's pattern of session ids lets a newline at the end through.
#[test]
fn s3_an_id_with_a_newline_is_refused_and_its_session_unharmed() {
    for http_sse in [HttpSse::default(), preset()] {
        for id in
            [|id: &str| format!("{id}%0A"), |id: &str| format!("{id}\n"), |id: &str| format!("{id}%0D%0A")]
        {
            let mut world: World<Server<Streamer>, Either> = World::new(1);
            let config = ServerConfig { http_sse: http_sse.clone(), ..ServerConfig::default() };
            let app = Streamer::new(3, Duration::from_secs(1));
            world.add_server(Server::new(app, config, Rng::new(2)));
            let posts = [request(1, "stream", "[]")].into();
            let honest = client(ClientConfig { posts, pause: Duration::ZERO, ..ClientConfig::default() });
            world.add_client(Either::Client(Box::new(honest)));
            world.run_until(Tick::from_micros(1)).unwrap();

            let session = world.server(0).unwrap().session_ids().next().unwrap().clone();
            let honest = RequestBuilder::new("POST", "/message?session_id=ID", "localhost").unwrap();
            let honest = honest.header("Content-Type", "application/json").unwrap();
            let request = honest.body(request(2, "stream", "[]").into_bytes()).encode();
            let request = String::from_utf8(request).unwrap().replace("ID", &id(session.as_str()));
            let raw = Raw { bytes: request.into_bytes(), answer: Vec::new(), wants: true };
            world.add_client(Either::Raw(raw));
            world.run_until(at(20)).unwrap();

            let mut people = world.clients();
            let (Some(Either::Client(honest)), Some(Either::Raw(raw))) = (people.next(), people.next())
            else {
                panic!("two of them")
            };
            assert!(raw.answer.starts_with(b"HTTP/1.1 400 "), "{}", raw.answer.escape_ascii());
            assert_eq!(honest.heard()[0].events.len(), 3);
        }
    }
}

/// I6, I7: the same script, driven at each deadline, all the time, or late.
#[test]
fn i6_i7_three_ways_of_driving_say_the_same_and_a_late_one_is_late_by_no_more() {
    let setup = Setup {
        chunked: true,
        head: 30,
        keep_alive: None,
        stall_after: Some(300_000),
        lag_after: Some(900_000),
        drain_within: 400_000,
        ..Setup::default()
    };
    let late = Duration::from_millis(250);
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut now = 0;
        let mut script: Vec<(u64, Op)> = (0..rng.between(1, 20))
            .map(|_| {
                now += rng.below(100_000);
                (now, Op::Push { size: usize::try_from(rng.between(8, 200)).unwrap(), id: None })
            })
            .collect();
        script.push((now + 10, Op::Finish));
        let faults = Faults {
            latency: Duration::from_millis(rng.below(50)),
            rate: (seed % 3 == 0).then(|| rng.between(50, 5_000)),
            window: if seed % 2 == 0 { 100 } else { 1 << 16 },
            stalls: [(Tick::from_micros(rng.below(now)), Duration::from_millis(rng.below(600)))].into(),
            reset: (seed % 7 == 0).then(|| Spot::Byte(rng.below(1_000))),
            ..Faults::default()
        };
        let driven = [Pace::Exact, Pace::Eager(Duration::from_millis(1)), Pace::Late(late)]
            .map(|pace| drive(&setup, &script, pace, &mut Link::new(Rng::new(seed), faults.clone()), at(60)));
        for one in &driven {
            assert_eq!(one.violation, None, "seed {seed}");
        }
        let [exact, eager, late_one] = driven;
        assert_eq!((&exact.wire, exact.close), (&eager.wire, eager.close), "seed {seed}");
        assert!(late_one.wire.starts_with(&exact.wire), "seed {seed}: it takes nothing from the peer");
    }
}

/// I15, and what makes a violation worth its seed.
#[test]
fn i15_the_same_number_is_the_same_world() {
    for seed in 0..40 {
        let (one, other) = (run(seed), run(seed));
        assert_eq!((one.hash, one.frames, one.time), (other.hash, other.frames, other.time));
    }
    assert_ne!(run(1).hash, run(2).hash);
}

#[test]
fn three_hundred_sessions_at_once_over_links_that_are_cut_each_hear_all_that_was_said_to_them() {
    struct Echo;
    impl Application for Echo {
        fn handle_message(&mut self, _: Tick, session: &SessionId, asked: &Message, out: &mut Outbox) {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, asked.id().unwrap());
            out.send(session, Message::parse(answer.as_bytes()).unwrap());
        }
    }
    let http_sse = HttpSse { resumption: Resumption::Always, ..HttpSse::default() };
    let mut world = World::new(300);
    let config = ServerConfig { http_sse, late_by: Some(Duration::ZERO), ..ServerConfig::default() };
    world.add_server(Server::new(Echo, config, Rng::new(1)));
    for number in 0..300 {
        let posts = (0..3).map(|post| request(number * 10 + post, "echo", "[]")).collect();
        let pause = Duration::from_millis(100 + number);
        world.add_client(client(ClientConfig { posts, pause, seed: number, ..ClientConfig::default() }));
    }
    world.set_links(|_, _, rng| {
        let reset = rng.one_in(4).then(|| Spot::Byte(rng.between(300, 700)));
        let latency = Duration::from_millis(rng.below(80));
        [Faults { latency, ..Faults::default() }, Faults { latency, reset, ..Faults::default() }]
    });
    world.run_until(at(1)).unwrap();
    assert!(world.server(0).unwrap().session_ids().count() > 250, "all at once");
    world.heal();
    world.run_until(at(60)).unwrap();
    let server = world.server(0).unwrap();
    for client in world.clients() {
        let last = client.heard().last().unwrap();
        let said = server.said(last.session.as_ref().unwrap());
        let heard: Vec<&str> = last.events.iter().map(|event| &*event.data).collect();
        assert_eq!(heard, said.iter().map(Message::as_str).collect::<Vec<_>>());
    }
}

/// Every connection is reset at the same moment, under load; all come back, and nobody misses anything.
#[test]
fn a_herd_that_is_cut_off_at_one_tick_comes_back_and_hears_exactly_what_follows() {
    struct Ticker(u32, Vec<SessionId>);
    impl Application for Ticker {
        fn handle_opened(&mut self, _: Tick, session: &SessionId, _: &mut Outbox) {
            self.1.push(session.clone());
        }
        fn handle_message(&mut self, _: Tick, _: &SessionId, _: &Message, _: &mut Outbox) {}
        fn deadline(&self) -> Option<Tick> {
            (self.0 < 100).then(|| at(1) + Duration::from_millis(50) * self.0)
        }
        fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
            if self.deadline().is_some_and(|due| due <= now) {
                let text = format!(r#"{{"jsonrpc":"2.0","method":"tick","params":[{}]}}"#, self.0);
                self.0 += 1;
                for session in &self.1 {
                    out.send(session, Message::parse(text.as_bytes()).unwrap());
                }
            }
        }
    }
    let http_sse = HttpSse { resumption: Resumption::Always, ..HttpSse::default() };
    let mut world = World::new(5);
    let config = ServerConfig { http_sse, late_by: Some(Duration::ZERO), ..ServerConfig::default() };
    world.add_server(Server::new(Ticker(0, Vec::new()), config, Rng::new(1)));
    for seed in 0..200 {
        world.add_client(client(ClientConfig { seed, ..ClientConfig::default() }));
    }
    world.set_links(|_, _, _| {
        let late = Faults { latency: Duration::from_millis(15), ..Faults::default() };
        [late.clone(), late]
    });
    for cut in [2, 3] {
        world.run_until(at(cut)).unwrap();
        world.cut();
    }
    world.run_until(at(60)).unwrap();
    assert_eq!(world.server(0).unwrap().ends().sessions, 200, "nobody had to begin again");
    for client in world.clients() {
        let [heard] = client.heard() else { panic!("one session each") };
        assert_eq!(heard.events.len(), 100);
        assert!(heard.events.iter().enumerate().all(|(n, event)| event.data.ends_with(&format!("[{n}]}}"))));
    }
}

/// A driver that is late by a second beside a peer that takes everything: no stall, whatever the stall clock.
#[test]
fn i7_a_driver_that_was_busy_for_longer_than_the_stall_clock_closes_nobody() {
    let setup = Setup { stall_after: Some(10_000), keep_alive: Some(50_000), ..Setup::default() };
    let script: Vec<_> = (0..50).map(|n| (n * 20_000, Op::Push { size: 100, id: None })).collect();
    let mut link = Link::new(Rng::new(1), Faults::default());
    let driven = drive(&setup, &script, Pace::Late(Duration::from_secs(1)), &mut link, at(2));
    assert_eq!((driven.violation, driven.close), (None, None));
    assert!(driven.wire.len() >= 5_000);
}

/// What time alone would do, it does once somebody looks at the clock.
#[test]
fn i7_a_driver_that_never_looks_at_the_clock_closes_nothing_by_itself() {
    let setup = Setup { stall_after: Some(10_000), keep_alive: None, ..Setup::default() };
    let script = [(0, Op::Push { size: 100, id: None }), (5_000_000, Op::Timeout)];
    let stalled = Faults { stalls: [(Tick::ZERO, Duration::from_secs(60))].into(), ..Faults::default() };
    for (pace, at_once) in [(Pace::Exact, 10_000), (Pace::Never, 5_000_000)] {
        let mut link = Link::new(Rng::new(1), stalled.clone());
        let driven = drive(&setup, &script, pace, &mut link, at(9));
        let close = driven.close.unwrap();
        assert_eq!((driven.violation, close.at), (None, Tick::from_micros(at_once)), "{pace:?}");
        assert_eq!(close.reason, CloseReason::Stalled { for_: Duration::from_micros(at_once) });
    }
}

/// Found by the world of seed 1882489902674046: what a stream is asked in vain tells it the time, too.
#[test]
fn i9_a_look_that_finds_nothing_is_a_look_at_the_clock() {
    let mut topic = Topic::new(1, TopicConfig::default());
    let mut stream = Setup::default().stream();
    stream.follow(at(0), &topic, None).unwrap();
    assert!(stream.fill_from(at(7), &mut topic), "there is nothing");
    // The driver's clock goes back, and neither the stream nor its oracle does.
    topic.publish(at(3), &Frame::message("hello"));
    assert!(stream.fill_from(at(3), &mut topic));
    assert_eq!(stream.violation(), None);
    assert!(stream.follow(at(9), &topic, Some(EventId { stream: 1, seq: 9 })).is_err());
    stream.handle_wrote(at(4), b"id: 1.1\n");
    assert_eq!(stream.violation(), None);
    assert_eq!(replay(&stream.oracle().trace().setup, &stream.oracle().trace().ops), Ok(None));
}

#[test]
fn s1_s18_the_preset_in_a_world_speaks_the_origins_bytes() {
    let mut world = world_of(preset(), Streamer::new(1, Duration::from_secs(1)));
    world.run_until(at(5)).unwrap();
    assert_eq!(heard(&world)[0].data, r#"{"jsonrpc":"2.0","method":"part","params":[0]}"#);
    let stream = Arc::new(StreamConfig::contextforge());
    assert_eq!(preset().stream, stream);
}

// ---- helpers ----

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

enum Either {
    Client(Box<Client>),
    Raw(Raw),
}

impl Program for Either {
    fn connects(&mut self, now: Tick) -> Option<usize> {
        match self {
            Either::Client(client) => client.connects(now),
            Either::Raw(raw) => raw.wants.then_some(0),
        }
    }

    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        match self {
            Either::Client(client) => client.handle_connected(now, conn),
            Either::Raw(raw) => raw.wants = false,
        }
    }

    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        match self {
            Either::Client(client) => client.poll(conn, offer),
            Either::Raw(raw) => {
                offer.extend_from_slice(&raw.bytes);
                Wish { read: usize::MAX, wake_at: None, end: End::Open }
            }
        }
    }

    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        match self {
            Either::Client(client) => client.handle_wrote(now, conn, taken),
            Either::Raw(raw) => drop(raw.bytes.drain(..taken.len())),
        }
    }

    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        match self {
            Either::Client(client) => client.handle_bytes(now, conn, bytes),
            Either::Raw(raw) => raw.answer.extend_from_slice(bytes),
        }
    }

    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        if let Either::Client(client) = self {
            client.handle_disconnect(now, conn, how);
        }
    }

    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        if let Either::Client(client) = self {
            client.handle_closed(now, conn);
        }
    }

    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        if let Either::Client(client) = self {
            client.handle_timeout(now, conn);
        }
    }

    fn deadline(&self) -> Option<Tick> {
        match self {
            Either::Client(client) => client.deadline(),
            Either::Raw(_) => None,
        }
    }
}
