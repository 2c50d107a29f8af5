//! [`World`]: programs, the links between them, and one clock that steps from deadline to deadline.

mod host;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use self::host::Host;
pub use self::host::{ClockFaults, Pace};
use super::{
    Conn, End, Fault, FaultCounts, Faults, Law, Link, Program, Rng, Taken, Violation, Wish, earliest,
};
use crate::{Disconnect, Tick};

/// Bytes that a driver reads at once.
const READ: usize = 16 * 1024;

/// Rounds in which something moves before time does: many more than any honest program needs.
const ROUNDS: usize = 100_000;

/// Bytes of each write and read that the log shows.
const EXCERPT: usize = 100;

/// Lines of the log that a violation shows.
const LOG: usize = 120;

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    done: bool,
    told_end: bool,
    rest: Option<Rest>,
}

/// There is nothing to do at an end until its program wants something else, its links are used, or time has come.
#[derive(Clone, Copy, Debug)]
struct Rest {
    /// What its program had been told.
    told: u64,
    /// What it wants, and whether it offers anything.
    wants: (Wish, bool),
    until: Option<Tick>,
}

impl Side {
    /// This end is no more: what it wrote still arrives, and what the other one writes meets nobody.
    fn end(&mut self, out: &mut Link, back: &mut Link) {
        (self.done, self.rest) = (true, None);
        out.shut();
        back.desert();
    }

    /// The rest that it has, if it is not over.
    fn rest(&self, now: Tick) -> Option<Rest> {
        self.rest.filter(|rest| rest.until.is_none_or(|until| now < until))
    }

    fn wake(&mut self) {
        self.rest = None;
    }
}

#[derive(Debug)]
struct Wire {
    conn: Conn,
    client: usize,
    server: usize,
    up: Link,
    down: Link,
    client_side: Side,
    server_side: Side,
}

impl Wire {
    /// Its links have changed, or how it is driven.
    fn wake(&mut self) {
        self.client_side.wake();
        self.server_side.wake();
    }
}

type MakeLinks = Box<dyn FnMut(usize, Tick, &mut Rng) -> [Faults; 2] + Send>;

/// Any number of servers and clients, and one virtual clock.
///
/// Time moves only when nobody has anything to do, and then exactly to the earliest moment at which somebody will:
/// a byte arrives, a stall ends, a deadline is to be served. Everything is drawn from one seed: the same seed is the
/// same run, byte for byte. A [`Server`](super::Server) and a [`Client`](super::Client) are programs to begin with.
pub struct World<S, C> {
    now: Tick,
    servers: Vec<Host<S>>,
    clients: Vec<Host<C>>,
    wires: Vec<Wire>,
    rng: Rng,
    seed: u64,
    make_links: MakeLinks,
    /// One step in so many drops a server's driver; 0 for never.
    drops: u64,
    connections: u32,
    faults: FaultCounts,
    hash: u64,
    log: Option<Vec<String>>,
    violation: Option<Violation>,
    offer: Vec<u8>,
    input: Vec<u8>,
}

impl<S: Program, C: Program> World<S, C> {
    /// An empty world whose luck is all in the seed.
    #[must_use]
    pub fn new(seed: u64) -> World<S, C> {
        World {
            now: Tick::ZERO,
            servers: Vec::new(),
            clients: Vec::new(),
            wires: Vec::new(),
            rng: Rng::new(seed),
            seed,
            make_links: Box::new(|_, _, _| [Faults::default(), Faults::default()]),
            drops: 0,
            connections: 0,
            faults: FaultCounts::default(),
            hash: 0xcbf2_9ce4_8422_2325,
            log: None,
            violation: None,
            offer: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Keeps a log of all that moves, for [`Violation::trace`]. Without it a run is faster, and the same.
    pub fn keep_log(&mut self) {
        self.log = Some(Vec::new());
    }

    /// Adds a server; gives back its number.
    pub fn add_server(&mut self, program: S) -> usize {
        self.servers.push(Host::new(program, Rng::new(self.seed ^ 0x5e_7e)));
        self.servers.len() - 1
    }

    /// Adds a client; gives back its number.
    pub fn add_client(&mut self, program: C) -> usize {
        let number = self.clients.len();
        self.clients.push(Host::new(program, Rng::new(self.seed ^ ((number as u64 + 1) << 32))));
        number
    }

    /// Says what the links of every new connection do: to the server, and back to the client of that number.
    pub fn set_links(&mut self, make: impl FnMut(usize, Tick, &mut Rng) -> [Faults; 2] + Send + 'static) {
        self.make_links = Box::new(make);
    }

    /// Says how the server of that number is driven, and what its clock does.
    pub fn set_server_pace(&mut self, server: usize, pace: Pace, clock: ClockFaults) {
        if let Some(host) = self.servers.get_mut(server) {
            host.set_pace(pace, clock);
        }
        self.wires.iter_mut().for_each(Wire::wake);
    }

    /// Drops the driver of one of the servers' connections in one step of so many; 0 for never.
    pub fn set_drops(&mut self, one_in: u64) {
        self.drops = one_in;
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.now
    }

    /// The server of that number.
    #[must_use]
    pub fn server(&self, number: usize) -> Option<&S> {
        self.servers.get(number).map(Host::program)
    }

    /// All servers.
    pub fn servers(&self) -> impl Iterator<Item = &S> {
        self.servers.iter().map(Host::program)
    }

    /// All clients.
    pub fn clients(&self) -> impl Iterator<Item = &C> {
        self.clients.iter().map(Host::program)
    }

    /// Tells every client something.
    pub fn tell_clients(&mut self, mut tell: impl FnMut(&mut C, Tick)) {
        for host in &mut self.clients {
            let now = host.look(self.now);
            tell(host.tell(), now);
        }
    }

    /// Tells every server something.
    pub fn tell_servers(&mut self, mut tell: impl FnMut(&mut S, Tick)) {
        for host in &mut self.servers {
            let now = host.look(self.now);
            tell(host.tell(), now);
        }
    }

    /// Connections that are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.wires.len()
    }

    /// Connections that were ever made.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections
    }

    /// The first law that was broken.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A sum over all that moved and when: equal for equal runs.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The faults so far.
    #[must_use]
    pub fn faults(&self) -> FaultCounts {
        let mut all = self.faults;
        for wire in &self.wires {
            all.merge(wire.up.faults());
            all.merge(wire.down.faults());
        }
        for host in &self.servers {
            all.merge(&host.faults);
        }
        all
    }

    /// From now on every link and every clock is honest, and every deadline is served.
    pub fn heal(&mut self) {
        self.make_links = Box::new(|_, _, _| [Faults::default(), Faults::default()]);
        self.drops = 0;
        for wire in &mut self.wires {
            wire.up.heal(self.now);
            wire.down.heal(self.now);
            wire.wake();
        }
        for host in &mut self.servers {
            host.set_pace(Pace::Exact, ClockFaults::default());
        }
    }

    /// Resets every connection at this very moment.
    pub fn cut(&mut self) {
        for wire in &mut self.wires {
            wire.up.cut();
            wire.down.cut();
            wire.wake();
        }
    }

    /// Runs up to this time, or until a law is broken.
    ///
    /// # Errors
    /// The [`Violation`].
    pub fn run_until(&mut self, until: Tick) -> Result<(), Violation> {
        loop {
            self.settle();
            if let Some(violation) = &self.violation {
                return Err(violation.clone());
            }
            match self.next() {
                Some(at) if at <= until => self.now = self.now.max(at),
                Some(_) | None => {
                    self.now = self.now.max(until);
                    self.settle();
                    return self.violation.clone().map_or(Ok(()), Err);
                }
            }
            self.disturb();
        }
    }

    /// When something happens without anybody's doing.
    fn next(&mut self) -> Option<Tick> {
        let World { servers, clients, wires, now, .. } = self;
        let after = |at: Tick| if at > *now { at } else { *now + Duration::from_micros(1) };
        let looks = servers.iter().filter_map(|host| match host.pace {
            Pace::Eager(every) if !wires.is_empty() && !every.is_zero() => Some(host.next_look),
            _ => None,
        });
        let mut next = looks.min();
        let mut note = |at: Option<Tick>| next = earliest([next, at]);
        for Wire { up, down, server_side, client_side, .. } in wires {
            // A stall may have begun since an end was looked at.
            note(earliest([up.wake_at(*now), down.wake_at(*now)]));
            note(server_side.rest.and_then(|rest| rest.until));
            note(client_side.rest.and_then(|rest| rest.until));
        }
        servers.iter_mut().for_each(|host| note(host.due()));
        clients.iter_mut().for_each(|host| note(host.due()));
        next.map(after)
    }

    /// What goes wrong by itself when time moves.
    fn disturb(&mut self) {
        for host in &mut self.servers {
            if host.clock.jumps > 0 && host.rng.one_in(host.clock.jumps) {
                host.jump(Duration::from_secs(3_600));
                host.faults.add(Fault::ClockJump);
                self.wires.iter_mut().for_each(Wire::wake);
            }
        }
        if self.drops > 0 && self.rng.one_in(self.drops) && !self.wires.is_empty() {
            let at = usize::try_from(self.rng.below(self.wires.len() as u64)).unwrap_or(0);
            let wire = &mut self.wires[at];
            if !wire.server_side.done
                && let Some(host) = self.servers.get_mut(wire.server)
            {
                let now = host.look(self.now);
                host.tell().handle_dropped(now, wire.conn);
                host.tell().handle_closed(now, wire.conn);
                wire.server_side.end(&mut wire.down, &mut wire.up);
                wire.client_side.wake();
                self.faults.add(Fault::DriverDropped);
            }
        }
    }

    /// Lets everybody do what can be done without time.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            let mut moved = self.connect() | self.own_deadlines();
            for at in 0..self.wires.len() {
                moved |= self.pump(at);
            }
            self.look_for_violations();
            if self.violation.is_some() {
                return;
            }
            if !moved {
                self.bury();
                return;
            }
        }
        self.broke(Law::I5, String::from("somebody spins: there is always something to do at once"));
    }

    fn connect(&mut self) -> bool {
        let mut moved = false;
        for number in 0..self.clients.len() {
            while let Some(server) = self.clients[number].connects(self.now) {
                let Some(host) = self.servers.get_mut(server) else { break };
                let conn = Conn(self.connections);
                self.connections += 1;
                let client = &mut self.clients[number];
                // A client's luck is its own: it does not change with what another one does.
                let mut rng = Rng::new(self.seed ^ (number as u64) << 40 ^ client.connections << 8);
                client.connections += 1;
                let [up, down] = (self.make_links)(number, self.now, &mut rng);
                let wire = Wire {
                    conn,
                    client: number,
                    server,
                    up: Link::new(rng.fork(), up),
                    down: Link::new(rng.fork(), down),
                    client_side: Side::default(),
                    server_side: Side::default(),
                };
                let now = host.look(self.now);
                host.tell().handle_connected(now, conn);
                client.tell().handle_connected(self.now, conn);
                self.wires.push(wire);
                self.note(conn, "client", "connected", 0);
                moved = true;
            }
        }
        moved
    }

    fn own_deadlines(&mut self) -> bool {
        let now = self.now;
        let mut moved = false;
        for host in &mut self.servers {
            if let Pace::Eager(every) = host.pace
                && host.next_look <= now
            {
                host.next_look = now + every;
                host.faults.add(Fault::SpuriousTimeout);
                let shown = host.look(now);
                host.tell().handle_timeout(shown, None);
                for wire in self.wires.iter().filter(|wire| !wire.server_side.done) {
                    host.tell().handle_timeout(shown, Some(wire.conn));
                }
            }
            moved |= host.own_deadline(now);
        }
        for host in &mut self.clients {
            moved |= host.own_deadline(now);
        }
        moved
    }

    /// One turn of each end of a connection.
    fn pump(&mut self, at: usize) -> bool {
        let World { servers, wires, offer, input, now, .. } = self;
        let Wire { conn, server, up, down, server_side, client_side, .. } = &mut wires[at];
        let (conn, mut desk) = (*conn, Desk { now: *now, conn: *conn, offer, input });
        let host = servers.get_mut(*server);
        let by_server = host.and_then(|host| desk.pump(host, [server_side, client_side], down, up));
        if let Some(moved) = by_server {
            self.tell(conn, "server", moved);
        }
        let World { clients, wires, offer, input, now, .. } = self;
        let Wire { client, up, down, server_side, client_side, .. } = &mut wires[at];
        let mut desk = Desk { now: *now, conn, offer, input };
        let host = clients.get_mut(*client);
        let by_client = host.and_then(|host| desk.pump(host, [client_side, server_side], up, down));
        if let Some(moved) = by_client {
            self.tell(conn, "client", moved);
        }
        by_server.or(by_client).is_some()
    }

    /// Writes down what one end did.
    fn tell(&mut self, conn: Conn, who: &'static str, moved: Moved) {
        match moved {
            Moved::Did(what, n) => self.note(conn, who, what, n),
            Moved::Spun(at) => {
                self.broke(Law::I5, format!("{who}, {conn:?}: its deadline {at} is over after a timeout"));
            }
        }
    }

    /// Forgets the connections with which both ends are done.
    fn bury(&mut self) {
        let faults = &mut self.faults;
        self.wires.retain(|wire| {
            let done = wire.server_side.done && wire.client_side.done;
            if done {
                faults.merge(wire.up.faults());
                faults.merge(wire.down.faults());
            }
            !done
        });
    }

    fn note(&mut self, conn: Conn, who: &str, what: &str, n: usize) {
        let side = who.as_bytes().first().copied().unwrap_or_default();
        for word in [self.now.as_micros(), u64::from(conn.0), u64::from(side), what.len() as u64, n as u64] {
            self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
        }
        let Some(log) = &mut self.log else { return };
        let moved = match what {
            "wrote" => &self.offer[..n],
            "read" => &self.input[..n],
            _ => &[],
        };
        let text = moved[..n.min(EXCERPT)].escape_ascii();
        log.push(format!("// {} connection {}: {who} {what} {n} {text}", self.now, conn.0));
    }

    fn look_for_violations(&mut self) {
        let seen = self.servers.iter().find_map(|host| host.program().violation());
        let seen = seen.or_else(|| self.clients.iter().find_map(|host| host.program().violation()));
        if let Some(seen) = seen.cloned() {
            self.violation.get_or_insert(seen);
        }
    }

    fn broke(&mut self, law: Law, what: String) {
        let trace = self.trace();
        self.violation.get_or_insert(Violation { law, at: self.now, what, trace });
    }

    /// The last lines of the log.
    #[must_use]
    pub fn trace(&self) -> String {
        let log = self.log.as_deref().unwrap_or_default();
        log[log.len().saturating_sub(LOG)..].join("\n")
    }
}

/// What one end did.
#[derive(Clone, Copy)]
enum Moved {
    Did(&'static str, usize),
    /// A deadline is still over after it was served.
    Spun(Tick),
}

/// What the driver of one end has at hand.
struct Desk<'a> {
    now: Tick,
    conn: Conn,
    offer: &'a mut Vec<u8>,
    input: &'a mut Vec<u8>,
}

impl Desk<'_> {
    /// One turn of a driver, where there may be anything to do.
    fn pump<P: Program>(
        &mut self,
        host: &mut Host<P>,
        [side, other]: [&mut Side; 2],
        out: &mut Link,
        back: &mut Link,
    ) -> Option<Moved> {
        let rest = side.rest(self.now);
        if side.done || rest.is_some_and(|rest| rest.told == host.told()) {
            return None;
        }
        self.offer.clear();
        let wish = host.program().poll(self.conn, self.offer);
        let wants = (wish, !self.offer.is_empty());
        if let Some(rest) = rest.filter(|rest| rest.wants == wants) {
            side.rest = Some(Rest { told: host.told(), ..rest });
            return None;
        }
        let was_shut = out.is_shut();
        let moved = self.turn(wish, host, side, out, back);
        side.rest = moved.is_none().then(|| {
            let served = wish.wake_at.and_then(|at| host.serves(at));
            let until = earliest([served, out.wake_at(self.now), back.wake_at(self.now)]);
            Rest { told: host.told(), wants, until }
        });
        if moved.is_some() || out.is_shut() != was_shut {
            other.wake();
        }
        moved
    }

    /// It writes, then reads, then looks at the clock: until one of them moves anything.
    fn turn<P: Program>(
        &mut self,
        wish: Wish,
        host: &mut Host<P>,
        side: &mut Side,
        out: &mut Link,
        back: &mut Link,
    ) -> Option<Moved> {
        let (now, conn) = (self.now, self.conn);
        match wish.end {
            End::Open => {}
            End::Shut => out.shut(),
            End::Drop => {
                let shown = host.look(now);
                host.tell().handle_closed(shown, conn);
                side.end(out, back);
                return Some(Moved::Did("dropped", 0));
            }
        }
        let gone = out.is_deserted() && !self.offer.is_empty();
        if let Some(how) = out.broken(now).or(back.broken_behind(now)).or(gone.then_some(Disconnect::Reset)) {
            let shown = host.look(now);
            host.tell().handle_disconnect(shown, conn, how);
            host.tell().handle_closed(shown, conn);
            side.end(out, back);
            return Some(Moved::Did("lost", 0));
        }
        if !self.offer.is_empty() && wish.end == End::Open {
            match out.write(now, self.offer) {
                Taken::Some(n) => {
                    let shown = host.look(now);
                    host.tell().handle_wrote(shown, conn, &self.offer[..n]);
                    return Some(Moved::Did("wrote", n));
                }
                Taken::Full => host.handle_refused(conn),
            }
        }
        if wish.read > 0 {
            self.input.clear();
            back.read(now, wish.read.min(READ), self.input);
            if !self.input.is_empty() {
                let shown = host.look(now);
                host.tell().handle_bytes(shown, conn, self.input);
                return Some(Moved::Did("read", self.input.len()));
            }
            if back.is_at_end() && !side.told_end {
                side.told_end = true;
                let shown = host.look(now);
                host.tell().handle_disconnect(shown, conn, Disconnect::Eof);
                return Some(Moved::Did("saw the end", 0));
            }
        }
        match wish.wake_at {
            Some(at) if host.serves(at).is_some_and(|due| due <= now) => {
                host.note_pace(at, now);
                let shown = host.look(now);
                host.tell().handle_timeout(shown, Some(conn));
                self.offer.clear();
                let still = host.program().poll(conn, self.offer).wake_at.filter(|at| *at <= shown);
                Some(still.map_or(Moved::Did("timed out", 0), Moved::Spun))
            }
            Some(at) if host.pace == Pace::Never && at <= now + host.ahead => {
                host.faults.add(Fault::NoDeadline);
                None
            }
            Some(_) | None => None,
        }
    }
}
