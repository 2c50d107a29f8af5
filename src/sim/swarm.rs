//! A whole world from one number: who is in it, what goes wrong, and what must hold at its end.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

use super::{
    Application, Attacker, Client, ClientConfig, ClockFaults, Conn, Fault, FaultCounts, Faults, Law, Outbox,
    Pace, Program, Rng, Server, ServerConfig, Spot, Violation, Wish, World, request,
};
use crate::http1::{ConnectionConfig, HeadLimits};
use crate::mcp::{HttpSse, Message, Resumption, SessionEnd, SessionId, SessionLimits};
use crate::{
    Close, CloseReason, Disconnect, Frame, HalfClose, KeepAlive, Retry, SourceConfig, SpinGuard,
    StreamConfig, StreamConfigBuilder, Tick,
};

/// One world in so many is a large one.
const LARGE: u64 = 4_000;

/// What became of one world.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its number.
    pub seed: u64,
    /// A sum over all that moved in it; the same for the same seed.
    pub hash: u64,
    /// How long it went on, in its own time.
    pub time: Duration,
    /// Connections that were made.
    pub connections: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Frames that were accepted, each of them followed to its end.
    pub frames: u64,
    /// How often each kind of fault came.
    pub faults: FaultCounts,
    /// How often responses ended for which reason.
    pub closes: BTreeMap<&'static str, u64>,
    /// How often which status was answered.
    pub statuses: BTreeMap<u16, u64>,
    /// The law that was broken, if one was.
    pub violation: Option<Violation>,
}

/// The names of all reasons for which a response of events ends.
pub const CLOSE_REASONS: [&str; 15] = [
    "finished",
    "aborted",
    "disconnected: end of input",
    "disconnected: reset",
    "disconnected: no acknowledgement",
    "disconnected: I/O error",
    "stalled",
    "lagged",
    "not drained in time",
    "expired",
    "spinning",
    "rapid frames",
    "fault limit",
    "abandoned",
    "superseded",
];

fn name_of(reason: CloseReason) -> &'static str {
    CLOSE_REASONS[match reason {
        CloseReason::Finished => 0,
        CloseReason::Aborted => 1,
        CloseReason::Disconnected(Disconnect::Eof) => 2,
        CloseReason::Disconnected(Disconnect::Reset) => 3,
        CloseReason::Disconnected(Disconnect::TimedOut) => 4,
        CloseReason::Disconnected(Disconnect::Io) => 5,
        CloseReason::Stalled { .. } => 6,
        CloseReason::Lagged { .. } => 7,
        CloseReason::DrainTimedOut => 8,
        CloseReason::Expired => 9,
        CloseReason::Spinning { .. } => 10,
        CloseReason::RapidFrames { .. } => 11,
        CloseReason::FaultLimit { .. } => 12,
        CloseReason::Abandoned => 13,
        CloseReason::Superseded => 14,
    }]
}

/// Runs the world of this number to its end.
///
/// Which kinds of fault can come is drawn first, each on or off, so that some worlds are quiet but for one thing.
/// Then faults heal, and what was said must be heard; then the server finishes, and nothing may be left.
///
/// ```
/// let report = sansio_sse::sim::run(1);
/// assert_eq!(report.violation, None);
/// assert_eq!(report.hash, sansio_sse::sim::run(1).hash);
/// ```
#[must_use]
pub fn run(seed: u64) -> Report {
    let report = Swarm::new(seed).run(false);
    match report.violation {
        None => report,
        // The same again, and this time with a log.
        Some(_) => Swarm::new(seed).run(true),
    }
}

/// Client or stranger.
#[derive(Debug)]
enum Person {
    Client(Box<Client>),
    Attacker(Attacker),
}

struct Swarm {
    seed: u64,
    world: World<Server<Chatter>, Person>,
    length: Duration,
    detached_for: Duration,
    /// Clients that hung up while others went on.
    left: FaultCounts,
}

impl Swarm {
    fn new(seed: u64) -> Swarm {
        let mut rng = Rng::new(seed);
        let mut draw = Draw { rng: rng.fork() };
        let length = draw.ms(3_000, 20_000);
        let mut world = World::new(rng.next());

        let pace = match draw.rng.below(6) {
            0 | 1 => Pace::Exact,
            2 => Pace::Eager(draw.ms(20, 200)),
            3 | 4 => Pace::Late(draw.ms(1, 3_000)),
            _ => Pace::Never,
        };
        let clock =
            ClockFaults { repeats: draw.maybe(3, 8), goes_back: draw.maybe(4, 8), jumps: draw.maybe(8, 400) };
        let late_by = match pace {
            _ if clock != ClockFaults::default() => None,
            Pace::Exact | Pace::Eager(_) => Some(Duration::ZERO),
            Pace::Late(by) => Some(by),
            Pace::Never => None,
        };
        let config = draw.server(late_by);
        let detached_for = config.limits.detached_for;
        let app = Chatter::new(&mut draw, length);
        let server = Server::new(app, config, rng.fork());
        let server = world.add_server(server);
        world.set_server_pace(server, pace, clock);
        world.set_drops(draw.maybe(5, 300));

        let large = draw.rng.one_in(LARGE);
        let clients = if large { draw.rng.between(100, 200) } else { draw.rng.between(1, 4) };
        let source = Arc::new(draw.source());
        for number in 0..clients {
            let config = draw.client(number, length, large);
            world.add_client(Person::Client(Box::new(Client::new(config, Arc::clone(&source)))));
        }
        if draw.rng.one_in(2) {
            let (from, attempts) = (Tick::ZERO + draw.ms(0, 2_000), draw.rng.between(1, 6));
            let attempts = u32::try_from(attempts).unwrap_or(1);
            world.add_client(Person::Attacker(Attacker::new(rng.fork(), from, attempts, draw.ms(50, 3_000))));
        }
        let weather = draw.weather(length);
        world.set_links(move |_, now, rng| weather.links(now, rng));
        Swarm { seed, world, length, detached_for, left: FaultCounts::default() }
    }

    fn run(mut self, log: bool) -> Report {
        if log {
            self.world.keep_log();
        }
        let violation = self.story().err().map(|violation| self.with_seed(violation));
        let world = &self.world;
        let mut report = Report {
            seed: self.seed,
            hash: world.hash(),
            time: world.now().since(Tick::ZERO),
            connections: u64::from(world.connections()),
            sessions: 0,
            frames: 0,
            faults: world.faults(),
            closes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            violation,
        };
        report.faults.merge(&self.left);
        for server in world.servers() {
            let ends = server.ends();
            report.sessions += ends.sessions as u64;
            report.frames += ends.frames.0 as u64;
            report.faults.merge(&server.app.faults);
            for Close { reason, .. } in &ends.closes {
                *report.closes.entry(name_of(*reason)).or_default() += 1;
            }
        }
        for person in world.clients() {
            match person {
                Person::Client(client) => {
                    count(&mut report.statuses, client.statuses());
                }
                Person::Attacker(attacker) => {
                    count(&mut report.statuses, attacker.statuses());
                    for _ in 0..attacker.made() {
                        report.faults.add(Fault::Attack);
                    }
                }
            }
        }
        report
    }

    fn story(&mut self) -> Result<(), Violation> {
        // Trouble, and strangers who learn who is there.
        for part in 1..=8_u32 {
            self.world.run_until(Tick::ZERO + self.length * part / 8)?;
            self.all_is_heard(false)?;
            let known: Vec<SessionId> = self.world.servers().flat_map(Server::session_ids).cloned().collect();
            self.world.tell_clients(|person, _| {
                if let Person::Attacker(attacker) = person {
                    attacker.learn(known.iter());
                }
            });
        }
        for person in self.world.clients() {
            if matches!(person, Person::Client(client) if client.has_left()) {
                self.left.add(Fault::ClientLeaves);
            }
        }
        // Peace: what was said is heard.
        self.world.heal();
        self.world.tell_clients(|person, _| {
            if let Person::Attacker(attacker) = person {
                attacker.leave();
            }
        });
        self.world.tell_servers(|server, _| server.app.silent = true);
        let calm = self.world.now() + Duration::from_secs(12);
        self.world.run_until(calm)?;
        self.all_is_heard(true)?;
        // The end: nothing is left.
        self.world.tell_servers(Server::finish);
        let closed = self.world.now() + Duration::from_secs(5);
        self.world.run_until(closed)?;
        self.world.tell_clients(|person, now| {
            if let Person::Client(client) = person {
                client.leave(now);
            }
        });
        let over = self.world.now() + Duration::from_secs(15).max(self.detached_for);
        self.world.run_until(over)?;
        self.all_is_heard(false)?;
        if self.world.open() > 0 || !self.world.servers().all(Server::is_empty) {
            return Err(self.broke(Law::I13, format!("{} connections are left", self.world.open())));
        }
        Ok(())
    }

    /// I2, I11, I12 from end to end. In peace, besides, nobody who is there has missed anything.
    fn all_is_heard(&self, peace: bool) -> Result<(), Violation> {
        let Some(server) = self.world.server(0) else { return Ok(()) };
        let alive: Vec<&SessionId> = server.session_ids().collect();
        let mut listeners: BTreeMap<&SessionId, usize> = BTreeMap::new();
        for person in self.world.clients() {
            let client = match person {
                Person::Client(client) => client,
                Person::Attacker(attacker) => {
                    for id in attacker.heard() {
                        *listeners.entry(id).or_default() += 1;
                    }
                    continue;
                }
            };
            for (at, heard) in client.heard().iter().enumerate() {
                let Some(id) = &heard.session else {
                    self.one_after_another(server, heard.events.iter())?;
                    continue;
                };
                *listeners.entry(id).or_default() += 1;
                let said = server.said(id);
                let differs = heard
                    .events
                    .iter()
                    .enumerate()
                    .find(|(at, event)| said.get(*at).is_none_or(|said| said.as_str() != event.data));
                if let Some((at, event)) = differs {
                    let said = said.get(at).map_or("nothing", Message::as_str);
                    let what = format!("{id}: number {at} heard is {}, but {said} was said", event.data);
                    return Err(self.broke(Law::I12, what));
                }
                let is_last = at + 1 == client.heard().len() && !client.has_left();
                if peace && is_last && alive.contains(&id) && heard.events.len() < said.len() {
                    let what = format!("{id}: {} of {} were heard in peace", heard.events.len(), said.len());
                    return Err(self.broke(Law::I2, what));
                }
            }
        }
        if let Some((id, _)) = listeners.iter().find(|(_, listeners)| **listeners > 1) {
            return Err(self.broke(Law::I12, format!("{id} was heard by more than one")));
        }
        if let Some((message, times)) = server.app.got.iter().find(|(_, times)| **times > 1) {
            return Err(self.broke(Law::I2, format!("{message} reached the application {times} times")));
        }
        Ok(())
    }

    /// Of a plain stream: numbered without a gap, and each what was published under its number.
    fn one_after_another<'a>(
        &self,
        server: &Server<Chatter>,
        events: impl Iterator<Item = &'a crate::Event>,
    ) -> Result<(), Violation> {
        let mut before = None;
        for event in events {
            let id = event.last_event_id.as_ref().and_then(|id| id.as_str().parse::<crate::EventId>().ok());
            let seq = id.map_or(0, |id| id.seq);
            let published =
                usize::try_from(seq).ok().and_then(|seq| server.published().get(seq.checked_sub(1)?));
            if before.is_some_and(|before| seq != before + 1)
                || published != Some(&Frame::message(&event.data))
            {
                return Err(self.broke(Law::I12, format!("event {id:?} came behind number {before:?}")));
            }
            before = Some(seq);
        }
        Ok(())
    }

    fn broke(&self, law: Law, what: String) -> Violation {
        Violation { law, at: self.world.now(), what, trace: self.world.trace() }
    }

    /// A violation tells how to come back to it.
    fn with_seed(&self, violation: Violation) -> Violation {
        let trace = if violation.trace.is_empty() { self.world.trace() } else { violation.trace };
        let seed = self.seed;
        let again = format!("assert_eq!(sansio_sse::sim::run({seed}).violation, None);");
        Violation { trace: format!("{trace}\n// the whole world again:\n{again}"), ..violation }
    }
}

fn count(sum: &mut BTreeMap<u16, u64>, statuses: impl Iterator<Item = (u16, u64)>) {
    for (status, times) in statuses {
        *sum.entry(status).or_default() += times;
    }
}

/// Draws a world.
struct Draw {
    rng: Rng,
}

impl Draw {
    fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.between(least, most))
    }

    /// In one world of `worlds`, a number around `around`; else 0.
    fn maybe(&mut self, worlds: u64, around: u64) -> u64 {
        let drawn = self.rng.between(around / 2 + 1, around * 2);
        if self.rng.one_in(worlds) { drawn } else { 0 }
    }

    fn server(&mut self, late_by: Option<Duration>) -> ServerConfig {
        let limits = SessionLimits {
            max_sessions: NonZeroUsize::new(if self.rng.one_in(8) { 2 } else { 1_000 })
                .unwrap_or(NonZeroUsize::MIN),
            max_messages: self.size(1, 20),
            max_bytes: self.size(100, 5_000),
            max_held: self.size(1, 4),
            hold_for: self.ms(100, 2_000),
            detached_for: self.ms(1_000, 10_000),
        };
        let connection = ConnectionConfig::builder()
            .head(HeadLimits { head_bytes: 2_000, target_bytes: 500, headers: 20 })
            .head_within(self.ms(500, 4_000))
            .idle_for(self.ms(500, 4_000))
            .body_within(self.ms(500, 4_000))
            .body_bytes(2_000)
            .respond_stall(self.ms(500, 4_000))
            .linger_within(self.ms(100, 2_000))
            .build()
            .unwrap_or_default();
        let resumption = match self.rng.below(4) {
            0 => Resumption::Off,
            1 => Resumption::ServerClosed,
            _ => Resumption::Always,
        };
        let stream = Arc::new(self.stream());
        let http_sse = HttpSse { stream: Arc::clone(&stream), resumption, ..HttpSse::default() };
        ServerConfig { http_sse, events: stream, connection: Arc::new(connection), limits, late_by }
    }

    fn size(&mut self, least: u64, most: u64) -> NonZeroUsize {
        let drawn = usize::try_from(self.rng.between(least, most)).unwrap_or(1);
        NonZeroUsize::new(drawn).unwrap_or(NonZeroUsize::MIN)
    }

    fn stream(&mut self) -> StreamConfig {
        let every = self.ms(300, 3_000);
        let preset = self.rng.one_in(5);
        let builder = if preset {
            let most = NonZeroU32::new(8).unwrap_or(NonZeroU32::MIN);
            let guard = SpinGuard::EveryFrame {
                gap: self.ms(10, 100),
                in_a_row: most,
                window: Some((self.ms(100, 1_000), most.saturating_add(4))),
            };
            let keep_alive = KeepAlive::contextforge(every, Retry::Every(Duration::from_millis(300)));
            StreamConfigBuilder::contextforge().keep_alive(keep_alive).spin_guard(guard)
        } else {
            let keep_alive = if self.rng.one_in(6) { KeepAlive::Off } else { KeepAlive::Comment(every) };
            StreamConfig::builder().keep_alive(keep_alive).retry(Retry::First(Duration::from_millis(300)))
        };
        let lag = self.ms(400, 6_000);
        let (frames, bytes) = (self.size(2, 40), self.size(300, 8_000));
        builder
            .stall_after((!self.rng.one_in(8)).then_some(self.ms(200, 3_000)))
            .lag_after((!self.rng.one_in(4)).then_some(lag))
            .drain_within(self.ms(100, 2_000))
            .max_lifetime(self.rng.one_in(5).then_some(self.ms(800, 8_000)))
            .max_queued(frames, bytes)
            .max_empty_writes(NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN))
            .half_close(if self.rng.one_in(3) { HalfClose::GoesOn } else { HalfClose::Disconnects })
            .build()
            .unwrap_or_default()
    }

    fn source(&mut self) -> SourceConfig {
        let (least, most) = (self.ms(10, 100), self.ms(300, 1_000));
        SourceConfig::builder()
            .delay_between(least, most)
            .retry(most)
            .connect_within(Some(self.ms(500, 3_000)))
            .silent_for(Some(self.ms(3_200, 5_000)))
            .build()
            .unwrap_or_default()
    }

    fn client(&mut self, number: u64, length: Duration, large: bool) -> ClientConfig {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let posts = if large { 2 } else { self.rng.below(12) };
        let path = if self.rng.one_in(4) { "/events" } else { "/sse" };
        ClientConfig {
            path: String::from(path),
            comes: Tick::ZERO + self.ms(0, ms / 4),
            leaves: self.rng.one_in(4).then_some(Tick::ZERO + self.ms(ms / 4, ms)),
            posts: (0..posts)
                .map(|post| {
                    let padding = "p".repeat(usize::try_from(self.rng.below(80)).unwrap_or(0));
                    request(number * 1_000 + post, "say", &format!("[\"{padding}\"]"))
                })
                .collect(),
            pause: self.ms(0, ms / 12),
            comes_again: true,
            seed: self.rng.next(),
        }
    }

    fn weather(&mut self, length: Duration) -> Weather {
        let mut on = |worlds: u64| self.rng.one_in(worlds);
        let (latency, jitter, slow) = (on(2), on(2), on(4));
        let (pieces, reads, stalls) = (on(3), on(3), on(3));
        let (empty, shut, reset) = (on(6), on(5), on(3));
        let (fail, vanish, narrow) = (on(6), on(4), on(3));
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Weather {
            latency,
            jitter,
            slow,
            pieces,
            reads,
            stalls,
            empty,
            shut,
            reset,
            fail,
            vanish,
            narrow,
            length,
        }
    }
}

/// Which faults links can have in a world; each link has its own luck.
#[derive(Clone, Copy)]
struct Weather {
    latency: bool,
    jitter: bool,
    slow: bool,
    pieces: bool,
    reads: bool,
    stalls: bool,
    empty: bool,
    shut: bool,
    reset: bool,
    fail: bool,
    vanish: bool,
    narrow: bool,
    /// Of the world, in ms.
    length: u64,
}

impl Weather {
    fn links(&self, now: Tick, rng: &mut Rng) -> [Faults; 2] {
        let mut up = self.link(now, rng);
        let mut down = self.link(now, rng);
        up.shut = (self.shut && rng.one_in(3)).then(|| Spot::Byte(rng.between(10, 300)));
        if self.shut && rng.one_in(3) {
            // Behind the whole request.
            up.shut = Some(Spot::Blank(1));
        }
        if self.reset && rng.one_in(2) {
            down.reset = Some(self.spot(rng));
        } else if self.reset && rng.one_in(4) {
            up.reset = Some(self.spot(rng));
        }
        if self.fail && rng.one_in(3) {
            down.fail = Some(self.spot(rng));
        }
        if self.vanish && rng.one_in(3) {
            down.vanish = Some((self.spot(rng), Duration::from_millis(rng.between(300, 4_000))));
        }
        [up, down]
    }

    fn spot(&self, rng: &mut Rng) -> Spot {
        match rng.below(4) {
            0 => Spot::Byte(0),
            1 => Spot::Byte(rng.between(1, 600)),
            2 => Spot::Byte(rng.between(1, 4_000)),
            _ => Spot::Blank(u32::try_from(rng.between(1, 12)).unwrap_or(1)),
        }
    }

    fn link(&self, now: Tick, rng: &mut Rng) -> Faults {
        let ms = |rng: &mut Rng, least, most| Duration::from_millis(rng.between(least, most));
        let mut faults = Faults::default();
        if self.latency {
            faults.latency = ms(rng, 0, 300);
        }
        if self.jitter && rng.one_in(2) {
            faults.jitter = ms(rng, 0, 200);
        }
        if self.slow && rng.one_in(2) {
            faults.rate = Some(rng.between(20, 5_000));
        }
        if self.pieces && rng.one_in(2) {
            faults.write_up_to = Some(if rng.one_in(4) { 1 } else { 50 });
        }
        if self.reads && rng.one_in(2) {
            faults.read_up_to = Some(if rng.one_in(4) { 1 } else { 50 });
        }
        faults.pieces = u32::try_from(rng.between(5, 60)).unwrap_or(60);
        if self.stalls && rng.one_in(2) {
            let from = now + ms(rng, 0, self.length / 2);
            faults.stalls.push((from, ms(rng, 10, 6_000)));
        }
        if self.empty && rng.one_in(2) {
            faults.empty_writes = u32::try_from(rng.between(1, 30)).unwrap_or(1);
        }
        if self.narrow && rng.one_in(2) {
            faults.window = usize::try_from(rng.between(1, 400)).unwrap_or(400);
        }
        faults
    }
}

/// An application that answers, and talks by itself: too much, not at all, or until it fails.
#[derive(Debug)]
struct Chatter {
    rng: Rng,
    sessions: Vec<SessionId>,
    next: Tick,
    every: Duration,
    floods: u64,
    fails: u64,
    ends: u64,
    number: u64,
    silent: bool,
    got: BTreeMap<String, u32>,
    faults: FaultCounts,
}

impl Chatter {
    fn new(draw: &mut Draw, length: Duration) -> Chatter {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Chatter {
            sessions: Vec::new(),
            next: Tick::ZERO + draw.ms(0, 1_000),
            every: draw.ms(100, ms / 6),
            floods: draw.maybe(3, 20),
            fails: draw.maybe(5, 6),
            ends: draw.maybe(4, 6),
            rng: draw.rng.fork(),
            number: 0,
            silent: false,
            got: BTreeMap::new(),
            faults: FaultCounts::default(),
        }
    }

    fn notification(&mut self) -> String {
        self.number += 1;
        let padding = "x".repeat(usize::try_from(self.rng.below(120)).unwrap_or(0));
        let number = self.number;
        format!(r#"{{"jsonrpc":"2.0","method":"tick","params":[{number},"{padding}"]}}"#)
    }

    fn talk(&mut self, session: &SessionId, out: &mut Outbox) {
        let mut times = 1;
        if self.floods > 0 && self.rng.one_in(self.floods) {
            self.faults.add(Fault::Flood);
            times = self.rng.between(10, 60);
        }
        for _ in 0..times {
            if let Ok(message) = Message::parse(self.notification().as_bytes()) {
                out.send(session, message);
            }
        }
    }
}

impl Application for Chatter {
    fn handle_opened(&mut self, _: Tick, session: &SessionId, _: &mut Outbox) {
        self.sessions.push(session.clone());
    }

    fn handle_message(&mut self, _: Tick, session: &SessionId, message: &Message, out: &mut Outbox) {
        if let Some(id) = message.id() {
            *self.got.entry(format!("{session} {id}")).or_default() += 1;
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"n":{}}}}}"#, self.number);
            if let Ok(answer) = Message::parse(answer.as_bytes()) {
                out.send(session, answer);
            }
        }
    }

    fn handle_ended(&mut self, _: Tick, session: &SessionId, _: &SessionEnd) {
        self.sessions.retain(|one| one != session);
    }

    fn deadline(&self) -> Option<Tick> {
        (!self.silent).then_some(self.next)
    }

    fn handle_timeout(&mut self, now: Tick, out: &mut Outbox) {
        if self.silent || now < self.next {
            return;
        }
        self.next = now + self.every;
        if let Some(session) = self.rng.pick(&self.sessions) {
            if self.fails > 0 && self.rng.one_in(self.fails) {
                for _ in 0..self.rng.between(1, 4) {
                    self.faults.add(Fault::ApplicationFails);
                    out.fail(&session);
                }
            } else if self.ends > 0 && self.rng.one_in(self.ends) {
                if self.rng.one_in(2) {
                    out.finish(&session);
                } else {
                    self.faults.add(Fault::ApplicationAborts);
                    out.abort(&session);
                }
            } else {
                self.talk(&session, out);
            }
        }
        let text = self.notification();
        out.publish(Frame::message(&text));
    }
}

macro_rules! delegate {
    ($self:ident, $person:ident => $call:expr) => {
        match $self {
            Person::Client($person) => $call,
            Person::Attacker($person) => $call,
        }
    };
}

impl Program for Person {
    fn connects(&mut self, now: Tick) -> Option<usize> {
        delegate!(self, person => person.connects(now))
    }
    fn handle_connected(&mut self, now: Tick, conn: Conn) {
        delegate!(self, person => person.handle_connected(now, conn));
    }
    fn poll(&self, conn: Conn, offer: &mut Vec<u8>) -> Wish {
        delegate!(self, person => person.poll(conn, offer))
    }
    fn handle_wrote(&mut self, now: Tick, conn: Conn, taken: &[u8]) {
        delegate!(self, person => person.handle_wrote(now, conn, taken));
    }
    fn handle_bytes(&mut self, now: Tick, conn: Conn, bytes: &[u8]) {
        delegate!(self, person => person.handle_bytes(now, conn, bytes));
    }
    fn handle_disconnect(&mut self, now: Tick, conn: Conn, how: Disconnect) {
        delegate!(self, person => person.handle_disconnect(now, conn, how));
    }
    fn handle_dropped(&mut self, now: Tick, conn: Conn) {
        delegate!(self, person => person.handle_dropped(now, conn));
    }
    fn handle_closed(&mut self, now: Tick, conn: Conn) {
        delegate!(self, person => person.handle_closed(now, conn));
    }
    fn handle_timeout(&mut self, now: Tick, conn: Option<Conn>) {
        delegate!(self, person => person.handle_timeout(now, conn));
    }
    fn deadline(&self) -> Option<Tick> {
        delegate!(self, person => person.deadline())
    }
}
