//! Many clients of one server, on one epoll: they connect, wait, and account for every message.

use std::{
    net::SocketAddrV4,
    ops::Range,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, epoll},
    io::Errno,
    net::sockopt,
};

use super::{
    Failure, Histogram, Target,
    connection::{Connection, Got, Line},
    request,
};
use crate::contract::{arrived, monotonic};

/// The token of the connection that publishes; a member's is its place.
const CONTROL: u64 = u64::MAX;
/// Connections that are opened before the first of them has its first event.
const IN_FLIGHT: usize = 64;
/// The receive buffer of a slow reader, in bytes.
const SMALL: usize = 32 << 10;
/// How long nothing may arrive while something is due.
const QUIET: Duration = Duration::from_secs(10);

/// Whether a message that is missing fails the work, or is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Each message once, in order.
    Strict,
    /// Gaps are counted, and a stream that ends is resumed with its last id, or counted; over an Ethernet line.
    Counting,
}

/// What became of a publish, as the readers saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Messages that did not arrive.
    pub lost: u64,
    /// Streams that the server ended.
    pub ended: u64,
    /// Of these, how many went on with `Last-Event-ID`.
    pub resumed: u64,
}

struct Member {
    /// [`None`] once the server has ended it.
    connection: Option<Connection>,
    /// Whether the first event, the one without an `@`, is in.
    entered: bool,
    /// The message that is next.
    next: u64,
}

/// The messages that are on their way to each member.
#[derive(Clone, Copy)]
struct Due {
    n: u64,
    size: usize,
    since: u64,
    /// The topic, where there are several.
    topic: Option<usize>,
    /// How many it is due to.
    members: usize,
}

#[derive(Default)]
struct Counts {
    entered: usize,
    /// Members that have the last message of what is due, or are ended.
    complete: usize,
    ended: usize,
    arrived: u64,
    outcome: Outcome,
}

/// Clients of one server.
pub struct Crowd {
    server: SocketAddrV4,
    awake: bool,
    epoll: OwnedFd,
    buffer: Vec<u8>,
    members: Vec<Member>,
    control: Option<Connection>,
    readers: Readers,
    /// Whether the streams are their members' own, and end.
    own: bool,
    /// Among how many topics the members are shared out, in turn.
    topics: usize,
    due: Due,
    counts: Counts,
    /// From making to arriving, of every message so far.
    pub latencies: Histogram,
}

impl Crowd {
    /// A crowd of nobody.
    pub fn new(Target { address: server, awake }: Target, readers: Readers) -> Result<Self, Failure> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        Ok(Self {
            server,
            awake,
            epoll,
            buffer: vec![0; 256 << 10],
            members: Vec::new(),
            control: None,
            readers,
            own: false,
            topics: 1,
            due: Due { n: 0, size: 0, since: 0, topic: None, members: 0 },
            counts: Counts::default(),
            latencies: Histogram::default(),
        })
    }

    /// Opens event streams, until there are `count` and each has its first event.
    pub fn listen(&mut self, count: usize) -> Result<(), Failure> {
        while self.members.len() < count {
            let target = match self.topics {
                1 => "/events".to_owned(),
                topics => format!("/events?topic={}", self.members.len() % topics),
            };
            self.join(&request(self.server, "GET", &target, "Accept: text/event-stream\r\n"))?;
            if self.members.len() - self.counts.entered >= IN_FLIGHT {
                self.run(|crowd| crowd.members.len() - crowd.counts.entered < IN_FLIGHT / 2)?;
            }
        }
        self.run(|crowd| crowd.counts.entered == crowd.members.len())
    }

    /// Sends each request on a connection of its own, and reads `n` messages and the end from each.
    pub fn stream(&mut self, requests: &[String], n: u64, size: usize) -> Result<(), Failure> {
        self.expect(n, size, None);
        self.own = true;
        for request in requests {
            self.join(request)?;
        }
        self.run(|crowd| crowd.counts.ended == requests.len())?;
        if self.counts.arrived != n * requests.len() as u64 {
            return Err(format!("{} of {} messages came", self.counts.arrived, n * requests.len() as u64));
        }
        Ok(())
    }

    /// Connects, waits for the first event and closes, `count` times, `at_once` of them at a time.
    pub fn visit(&mut self, count: usize, at_once: usize) -> Result<(), Failure> {
        let request = request(self.server, "GET", "/events", "Accept: text/event-stream\r\n");
        while self.members.len() < count {
            self.join(&request)?;
            if self.members.len() - self.counts.entered >= at_once {
                self.run(|crowd| crowd.members.len() - crowd.counts.entered < at_once)?;
            }
            self.leave(2 * at_once);
        }
        self.run(|crowd| crowd.counts.entered == crowd.members.len())?;
        self.leave(count);
        Ok(())
    }

    /// Closes the connections that have entered, of the `last` ones.
    fn leave(&mut self, last: usize) {
        for member in self.members.iter_mut().rev().take(last) {
            if member.entered {
                member.connection = None;
            }
        }
    }

    /// Shares those who will come out among so many topics, in turn.
    pub fn share_topics(&mut self, topics: usize) {
        self.topics = topics;
    }

    /// Publishes, and reads until every member has every message.
    pub fn publish(&mut self, n: u64, size: usize, rate: u64) -> Result<(), Failure> {
        if self.topics > 1 {
            return (0..self.topics).try_for_each(|topic| self.publish_topic(topic, n, size));
        }
        self.expect(n, size, None);
        self.publish_during(&format!("/publish?n={n}&size={size}&rate={rate}"), |_| Ok(()))
    }

    /// Publishes in one topic, and reads until each of its members has every message, and nobody else any.
    pub fn publish_topic(&mut self, topic: usize, n: u64, size: usize) -> Result<(), Failure> {
        self.expect(n, size, Some(topic));
        self.publish_during(&format!("/publish?n={n}&size={size}&rate=0&topic={topic}"), |_| Ok(()))
    }

    /// Publishes while `members` don't read; they go on after `pause`.
    pub fn publish_to_slow(
        &mut self,
        (n, size): (u64, usize),
        members: Range<usize>,
        pause: Duration,
    ) -> Result<Outcome, Failure> {
        for member in members.clone() {
            if let Some(connection) = &self.members[member].connection {
                // A machine that is slow has no megabytes to wait in.
                let small = sockopt::set_socket_recv_buffer_size(connection, SMALL);
                small.map_err(|error| error.to_string())?;
                epoll::delete(&self.epoll, connection).map_err(|error| error.to_string())?;
            }
        }
        self.expect(n, size, None);
        self.publish_during(&format!("/publish?n={n}&size={size}&rate=0"), |crowd| {
            let until = Instant::now() + pause;
            crowd.run(|_| Instant::now() >= until)?;
            for member in members {
                if let Some(connection) = &crowd.members[member].connection {
                    register(&crowd.epoll, connection, member as u64)?;
                }
            }
            Ok(())
        })?;
        Ok(self.counts.outcome)
    }

    fn publish_during(
        &mut self,
        target: &str,
        meanwhile: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.control(&request(self.server, "POST", target, ""))?;
        meanwhile(self)?;
        let all = self.run_or_quiet(|crowd| {
            crowd.counts.complete == crowd.due.members
                && crowd.control.as_ref().is_none_or(Connection::is_done)
        })?;
        if !all && self.readers == Readers::Strict {
            return Err(self.silence());
        }
        if self.readers == Readers::Counting {
            self.counts.outcome.lost +=
                self.members.iter().map(|member| self.due.n + 1 - member.next).sum::<u64>();
        }
        Ok(())
    }

    fn expect(&mut self, n: u64, size: usize, topic: Option<usize>) {
        let members = match topic {
            Some(topic) => (topic..self.members.len()).step_by(self.topics).len(),
            None => self.members.len(),
        };
        self.due = Due { n, size, since: monotonic(), topic, members };
        self.counts.complete = 0;
        self.counts.arrived = 0;
        self.counts.outcome = Outcome::default();
        for member in &mut self.members {
            member.next = 1;
        }
    }

    fn control(&mut self, request: &str) -> Result<(), Failure> {
        if let Some(control) = &mut self.control
            && control.is_done()
            && control.again(request).is_ok()
        {
            return Ok(());
        }
        let control = open(self.server, self.readers, request)?;
        register(&self.epoll, &control, CONTROL)?;
        self.control = Some(control);
        Ok(())
    }

    fn join(&mut self, request: &str) -> Result<(), Failure> {
        let connection = open(self.server, self.readers, request)?;
        register(&self.epoll, &connection, self.members.len() as u64)?;
        self.members.push(Member { connection: Some(connection), entered: false, next: 1 });
        Ok(())
    }

    /// Reads whatever comes until `done`; it is a failure when nothing comes any more.
    fn run(&mut self, done: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        if self.run_or_quiet(done)? { Ok(()) } else { Err(self.silence()) }
    }

    fn silence(&self) -> Failure {
        let (complete, members) = (self.counts.complete, self.due.members);
        format!("nothing came for {QUIET:?}; {complete} of {members} had all")
    }

    /// Reads whatever comes until `done` (true) or until nothing has come for too long.
    fn run_or_quiet(&mut self, done: impl Fn(&Self) -> bool) -> Result<bool, Failure> {
        let mut ready: Vec<epoll::Event> = Vec::with_capacity(1024);
        let mut last = Instant::now();
        while !done(self) {
            ready.clear();
            let wait = Timespec { tv_sec: 0, tv_nsec: if self.awake { 0 } else { 100_000_000 } };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut ready), Some(&wait)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.to_string()),
            }
            if !ready.is_empty() {
                last = Instant::now();
            } else if last.elapsed() > QUIET {
                return Ok(false);
            }
            for event in &ready {
                match event.data.u64() {
                    CONTROL => self.read_control()?,
                    place => self.read(place as usize)?,
                }
            }
        }
        Ok(true)
    }

    fn read_control(&mut self) -> Result<(), Failure> {
        let Some(control) = &mut self.control else { return Ok(()) };
        let done = control.is_done();
        match control.read(&mut self.buffer, |_| Ok(()))? {
            Got::End if done => self.control = None,
            Got::End if !control.is_done() => return Err("the publishing connection was closed".into()),
            Got::End | Got::Bytes(_) => {}
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> Result<(), Failure> {
        let Self { members, buffer, due, counts, readers, latencies, topics, .. } = self;
        let member = &mut members[place];
        let Some(connection) = &mut member.connection else { return Ok(()) };
        let mut now = 0;
        let (entered, next) = (&mut member.entered, &mut member.next);
        let got = connection.read(buffer, |data| {
            let Some(message) = arrived(data) else {
                counts.entered += usize::from(!*entered);
                *entered = true;
                return Ok(());
            };
            if due.topic.is_some_and(|topic| place % *topics != topic) {
                return Err("a message of another topic".into());
            }
            if message.size != due.size {
                return Err(format!("a message of {} bytes instead of {}", message.size, due.size));
            }
            if message.seq > due.n || message.nanos < due.since || message.seq < *next {
                return Err(format!("message {} once more; {next} was next", message.seq));
            }
            if message.seq > *next {
                if *readers == Readers::Strict {
                    return Err(format!("message {} instead of {next}", message.seq));
                }
                counts.outcome.lost += message.seq - *next;
            }
            if now == 0 {
                now = monotonic();
            }
            *next = message.seq + 1;
            counts.arrived += 1;
            counts.complete += usize::from(message.seq == due.n);
            latencies.count(now.saturating_sub(message.nanos));
            Ok(())
        })?;
        if got == Got::End { self.ended(place) } else { Ok(()) }
    }

    fn ended(&mut self, place: usize) -> Result<(), Failure> {
        let member = &mut self.members[place];
        let Some(connection) = member.connection.take() else { return Ok(()) };
        self.counts.ended += 1;
        if self.own && connection.is_done() {
            return Ok(());
        }
        match self.readers {
            Readers::Strict => Err("a stream was ended".into()),
            Readers::Counting => {
                self.counts.outcome.ended += 1;
                let Some(id) = connection.events.last_id() else {
                    self.counts.complete += usize::from(member.next <= self.due.n);
                    return Ok(());
                };
                let more = format!("Accept: text/event-stream\r\nLast-Event-ID: {id}\r\n");
                let connection =
                    open(self.server, self.readers, &request(self.server, "GET", "/events", &more))?;
                register(&self.epoll, &connection, place as u64)?;
                member.connection = Some(connection);
                self.counts.outcome.resumed += 1;
                Ok(())
            }
        }
    }
}

fn open(server: SocketAddrV4, readers: Readers, request: &str) -> Result<Connection, Failure> {
    let line = if readers == Readers::Counting { Line::Ethernet } else { Line::Loopback };
    let mut connection =
        Connection::open(server, request, line).map_err(|error| format!("no connection: {error}"))?;
    if readers == Readers::Counting {
        connection.events.keep_ids();
    }
    Ok(connection)
}

fn register(epoll: &OwnedFd, connection: &Connection, token: u64) -> Result<(), Failure> {
    let data = epoll::EventData::new_u64(token);
    epoll::add(epoll, connection, data, epoll::EventFlags::IN).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
