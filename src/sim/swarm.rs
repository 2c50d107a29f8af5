//! A whole world from one number: who is in it, what goes wrong, and what must hold at its end.

mod chatter;
mod draw;
mod lanes;
mod person;
mod streamable;
mod weather;
mod worker;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use self::chatter::Chatter;
use self::draw::Draw;
use self::person::Person;
use self::streamable::Transports;
use self::weather::Weather;
use super::{
    Attacker, Client, ClockFaults, Fault, FaultCounts, Law, McpClient, Pace, Rng, Server, Violation, World,
    request,
};
use crate::mcp::{Message, SessionId};
use crate::{Close, CloseReason, Disconnect, Event, EventId, Frame, Tick};

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
    /// How often what happened at `/mcp`, by the names in [`HAPPENINGS`](super::HAPPENINGS).
    pub happenings: BTreeMap<&'static str, u64>,
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
        let transports = Transports::of(seed);
        // There is more to a second at /mcp.
        let length = if transports == Transports::Streamable { length / 2 } else { length };
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
        let mut config = draw.server(late_by);
        let detached_for = config.limits.detached_for;
        let mut app = Chatter::new(&mut draw, length);
        if transports != Transports::HttpSse {
            app = app.work(draw.rng.fork());
            let stream = Arc::new(draw.stream(false));
            config.streamable = Some(draw.streamable(stream));
            config.busy_for = if draw.rng.one_in(3) { draw.ms(1, 500) } else { Duration::ZERO };
        }
        let server = Server::new(app, config, rng.fork());
        let server = world.add_server(server);
        world.set_server_pace(server, pace, clock);
        let drops = draw.maybe(5, 300);
        world.set_drops(if transports == Transports::Streamable { drops / 8 } else { drops });

        let large = draw.rng.one_in(LARGE);
        let clients = if large { draw.rng.between(100, 200) } else { draw.rng.between(1, 4) };
        let source = Arc::new(draw.source());
        let (clients, others) = match transports {
            Transports::HttpSse => (clients, 0),
            Transports::Streamable => (0, clients.div_ceil(2).min(2)),
            Transports::Both => (1, 1),
        };
        for number in 0..others {
            let config = draw.mcp_client(number + 1, length);
            world.add_client(Person::Mcp(Box::new(McpClient::new(config))));
        }
        for number in 0..clients {
            let config = draw.client(number, length, large);
            world.add_client(Person::Client(Box::new(Client::new(config, Arc::clone(&source)))));
        }
        if draw.rng.one_in(2) {
            let (from, attempts) = (Tick::ZERO + draw.ms(0, 2_000), draw.rng.between(1, 6));
            let attempts = u32::try_from(attempts).unwrap_or(1);
            let (attempts, at_mcp) = match transports {
                Transports::HttpSse => (attempts, 0),
                Transports::Streamable => (attempts * 3, 1),
                Transports::Both => (attempts * 2, 2),
            };
            let attacker = Attacker::new(rng.fork(), from, attempts, draw.ms(50, 3_000)).at_mcp(at_mcp);
            world.add_client(Person::Attacker(attacker));
        }
        let weather = Weather::draw(&mut draw.rng, length);
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
            happenings: BTreeMap::new(),
            violation,
        };
        report.faults.merge(&self.left);
        for server in world.servers() {
            let ends = server.ends();
            report.sessions += ends.sessions as u64;
            report.frames += ends.frames.0 as u64;
            report.faults.merge(&server.app.faults);
            for (what, times) in server.happenings() {
                *report.happenings.entry(what).or_default() += times;
            }
            for Close { reason, .. } in &ends.closes {
                *report.closes.entry(name_of(*reason)).or_default() += 1;
            }
        }
        for person in world.clients() {
            match person {
                Person::Client(client) => {
                    count(&mut report.statuses, client.statuses());
                }
                Person::Mcp(client) => {
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
            let has_left = match person {
                Person::Client(client) => client.has_left(),
                Person::Mcp(client) => client.has_left(),
                Person::Attacker(_) => false,
            };
            if has_left {
                self.left.add(Fault::ClientLeaves);
            }
        }
        // Peace: what was said is heard.
        self.world.heal();
        self.world.tell_clients(|person, _| match person {
            Person::Attacker(attacker) => attacker.leave(),
            Person::Mcp(client) => client.calm_down(),
            Person::Client(_) => {}
        });
        self.world.tell_servers(|server, _| server.app.silent = true);
        let settled = self.world.now() + Duration::from_secs(5);
        self.world.run_until(settled)?;
        let late = self.answered(|status| status == 408);
        let mut number = 1_000_000;
        self.world.tell_clients(|person, _| {
            number += 1;
            match person {
                Person::Client(client) => client.say(request(number, "in peace", "[]")),
                Person::Mcp(client) => client.ask(number, "in peace"),
                Person::Attacker(_) => {}
            }
        });
        let calm = self.world.now() + Duration::from_secs(7);
        self.world.run_until(calm)?;
        self.all_is_heard(true)?;
        // I10: however its bytes were cut, what an honest client asks is understood, and in peace in time.
        if self.answered(|status| !matches!(status, 200 | 202 | 204 | 404 | 408 | 503)) > 0 {
            return Err(self.broke(Law::I10, String::from("an honest request was refused")));
        }
        if self.answered(|status| status == 408) > late {
            return Err(self.broke(Law::I10, String::from("an honest request was not complete in peace")));
        }
        // The end: nothing is left.
        self.world.tell_servers(Server::finish);
        let closed = self.world.now() + Duration::from_secs(5);
        self.world.run_until(closed)?;
        self.world.tell_clients(|person, now| match person {
            Person::Client(client) => client.leave(now),
            Person::Mcp(client) => client.leave(),
            Person::Attacker(_) => {}
        });
        let over = self.world.now() + Duration::from_secs(15).max(self.detached_for);
        self.world.run_until(over)?;
        self.all_is_heard(false)?;
        if self.world.open() > 0 || !self.world.servers().all(Server::is_empty) {
            return Err(self.broke(Law::I13, format!("{} connections are left", self.world.open())));
        }
        Ok(())
    }

    /// How often clients were answered like this.
    fn answered(&self, like: impl Fn(u16) -> bool) -> u64 {
        let clients = self.world.clients().filter_map(|person| match person {
            Person::Client(client) => Some(client),
            Person::Mcp(_) | Person::Attacker(_) => None,
        });
        clients
            .flat_map(|client| client.statuses())
            .filter(|(status, _)| like(*status))
            .map(|(_, times)| times)
            .sum()
    }

    /// I2, I11, I12 from end to end. In peace, besides, nobody who is there has missed anything.
    fn all_is_heard(&self, peace: bool) -> Result<(), Violation> {
        let Some(server) = self.world.server(0) else { return Ok(()) };
        let alive: Vec<&SessionId> = server.session_ids().collect();
        let mut listeners: BTreeMap<&SessionId, usize> = BTreeMap::new();
        for person in self.world.clients() {
            let client = match person {
                Person::Client(client) => client,
                Person::Mcp(client) => {
                    let heard = lanes::all_is_heard(server, client, peace);
                    heard.map_err(|(law, what)| self.broke(law, what))?;
                    continue;
                }
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
                // Between two responses something may wait for the next one.
                let is_last = at + 1 == client.heard().len() && client.is_listening();
                if peace && is_last && alive.contains(&id) && heard.events.len() < said.len() {
                    let what = format!("{id}: {} of {} were heard in peace", heard.events.len(), said.len());
                    return Err(self.broke(Law::I2, what));
                }
            }
        }
        if let Some((id, _)) = listeners.iter().find(|(_, listeners)| **listeners > 1) {
            return Err(self.broke(Law::I12, format!("{id} was heard by more than one")));
        }
        let mut got = server.app.got.iter().chain(&server.app.worker.got);
        if let Some((message, times)) = got.find(|(_, times)| **times > 1) {
            return Err(self.broke(Law::I2, format!("{message} reached the application {times} times")));
        }
        Ok(())
    }

    /// Of a plain stream: numbered without a gap, and each what was published under its number.
    fn one_after_another<'a>(
        &self,
        server: &Server<Chatter>,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<(), Violation> {
        let mut before = None;
        for event in events {
            let id = event.last_event_id.as_ref().and_then(|id| id.as_str().parse::<EventId>().ok());
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

#[cfg(test)]
mod tests;
