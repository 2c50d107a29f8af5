//! What is measured, one function a work.

use std::{net::SocketAddrV4, time::Duration};

use clap::ValueEnum;

use crate::{
    load::{Crowd, Failure, Histogram, Outcome, Readers, request},
    process::{Process, slabs},
    subject::Subject,
};

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Work {
    /// Many messages published at once to 1,000 connections.
    Burst,
    /// One message at a time to 1,000 connections.
    Lockstep,
    /// One message at a time to 10,000 connections.
    LockstepMany,
    /// One stream of its own, as fast as possible.
    Stream,
    /// 100 such streams.
    Streams,
    /// Connect, first event, close.
    Connect,
    /// The memory of an idle connection.
    Idle,
    /// Readers that are slow while 5,000 messages are published at once.
    Slow,
}

/// How much of each work.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Bytes of a message's data.
    pub message: usize,
    /// Connections of burst, lockstep and slow.
    pub connections: usize,
    /// Connections of the other lockstep, and idle ones.
    pub many: usize,
    /// Messages of a burst.
    pub burst: u64,
    /// How many bursts.
    pub bursts: u64,
    /// Messages of a lockstep.
    pub lockstep: u64,
    /// Messages of the lockstep with many connections.
    pub lockstep_many: u64,
    /// Messages of the one stream, and of all the streams together.
    pub stream: u64,
    /// How many streams.
    pub streams: usize,
    /// Connections that come and go.
    pub visits: usize,
    /// Messages at once to slow readers.
    pub slow: u64,
    /// How many readers are slow.
    pub slow_readers: usize,
    /// How long they read nothing.
    pub pause: Duration,
}

impl Sizes {
    /// The whole run.
    pub const WHOLE: Self = Self {
        message: 200,
        connections: 1_000,
        many: 10_000,
        burst: 1_000,
        bursts: 3,
        lockstep: 200,
        lockstep_many: 30,
        stream: 1_000_000,
        streams: 100,
        visits: 10_000,
        slow: 5_000,
        slow_readers: 200,
        pause: Duration::from_secs(3),
    };

    /// A look, of a minute.
    pub const SMALL: Self = Self {
        bursts: 1,
        lockstep: 50,
        lockstep_many: 10,
        stream: 200_000,
        visits: 2_000,
        many: 4_000,
        pause: Duration::from_secs(1),
        ..Self::WHOLE
    };
}

impl Sizes {
    /// Messages of all streams together; rmcp, which takes a hundred times as long, has a tenth of them.
    fn streamed(&self, subject: Subject) -> u64 {
        if subject == Subject::Rmcp { self.stream / 10 } else { self.stream }
    }
}

/// What one turn of one work came to on one server.
#[derive(Clone)]
pub struct Measure {
    /// The figure, in the work's [unit](Work::unit).
    pub figure: f64,
    /// From making a message to its arrival.
    pub latencies: Histogram,
    /// What became of the messages, where some may be lost.
    pub outcome: Outcome,
    /// Bytes of kernel memory a connection, both ends, where connections are idle.
    pub kernel: Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds of processor time for a million messages delivered.
    SecondsPerMillion,
    /// Microseconds of processor time a connection.
    MicrosEach,
    /// Bytes a connection.
    BytesEach,
    /// Messages lost.
    Lost,
}

impl Work {
    /// What its figure counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Burst | Self::Lockstep | Self::LockstepMany | Self::Stream | Self::Streams => {
                Unit::SecondsPerMillion
            }
            Self::Connect => Unit::MicrosEach,
            Self::Idle => Unit::BytesEach,
            Self::Slow => Unit::Lost,
        }
    }

    /// Whether the server can do it: rmcp has no events for all.
    pub fn is_for(self, subject: Subject) -> bool {
        subject != Subject::Rmcp || matches!(self, Self::Stream | Self::Streams)
    }

    /// Its name before the row.
    pub fn title(self, sizes: &Sizes) -> String {
        let Sizes { connections, many, burst, streams, slow, .. } = sizes;
        let (connections, many, burst, slow) =
            (thousands(*connections as u64), thousands(*many as u64), thousands(*burst), thousands(*slow));
        let pause = sizes.pause.as_secs();
        match self {
            Self::Burst => format!("burst: {connections} connections, {burst} messages published at once"),
            Self::Lockstep => format!("lockstep: {connections} connections, one message at a time"),
            Self::LockstepMany => format!("lockstep, {many} connections"),
            Self::Stream => "one stream of its own, as fast as possible".into(),
            Self::Streams => format!("{streams} such streams"),
            Self::Connect => "connect, first event, close".into(),
            Self::Idle => format!("memory of an idle connection in user space ({many} of them)"),
            Self::Slow => format!(
                "{slow} messages at once, {connections} connections, {} of which read nothing for {pause} s",
                sizes.slow_readers
            ),
        }
    }

    /// Does it once, on a server that has just been started.
    pub fn run(self, subject: Subject, process: &Process, sizes: &Sizes) -> Result<Measure, Failure> {
        let size = sizes.message;
        match self {
            Self::Burst => published(process, sizes.connections, |crowd| {
                for _ in 0..sizes.bursts {
                    crowd.publish(sizes.burst, size, 0)?;
                }
                Ok(sizes.burst * sizes.bursts)
            }),
            Self::Lockstep => lockstep(process, sizes.connections, sizes.lockstep, size),
            Self::LockstepMany => lockstep(process, sizes.many, sizes.lockstep_many, size),
            Self::Stream => streams(subject, process, 1, sizes.streamed(subject), size),
            Self::Streams => {
                streams(subject, process, sizes.streams, sizes.streamed(subject) / sizes.streams as u64, size)
            }

            Self::Connect => connect(process, sizes.visits),
            Self::Idle => idle(process, sizes.many),
            Self::Slow => slow(process, sizes),
        }
    }
}

fn lockstep(process: &Process, connections: usize, messages: u64, size: usize) -> Result<Measure, Failure> {
    published(process, connections, |crowd| {
        for _ in 0..messages {
            crowd.publish(1, size, 0)?;
        }
        Ok(messages)
    })
}

/// What a message costs that `publish` publishes to so many; it says how many it published.
pub fn published(
    process: &Process,
    connections: usize,
    publish: impl FnOnce(&mut Crowd) -> Result<u64, Failure>,
) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.address, Readers::Strict)?;
    crowd.listen(connections)?;
    crowd.publish(1, 64, 0)?; // What is only paid once.
    crowd.latencies = Histogram::default();
    let before = process.cpu()?;
    let messages = publish(&mut crowd)?;
    let cpu = settled(process)? - before;
    let figure = cpu.as_secs_f64() * 1e6 / (messages * connections as u64) as f64;
    Ok(Measure { figure, latencies: crowd.latencies, outcome: Outcome::default(), kernel: None })
}

fn streams(
    subject: Subject,
    process: &Process,
    count: usize,
    n: u64,
    size: usize,
) -> Result<Measure, Failure> {
    let requests = |count, n| match subject {
        Subject::Rmcp => mcp::requests(process.address, count, n, size),
        _ => Ok(vec![own_stream(process.address, n, size); count]),
    };
    let warm = requests(1, 10)?;
    Crowd::new(process.address, Readers::Strict)?.stream(&warm, 10, size)?;
    let requests = requests(count, n)?;
    let mut crowd = Crowd::new(process.address, Readers::Strict)?;
    let before = process.cpu()?;
    let outcome = crowd.stream(&requests, n, size)?;
    let cpu = settled(process)? - before;
    let figure = cpu.as_secs_f64() * 1e6 / (n * count as u64) as f64;
    Ok(Measure { figure, latencies: crowd.latencies, outcome, kernel: None })
}

fn own_stream(server: SocketAddrV4, n: u64, size: usize) -> String {
    request(server, "GET", &format!("/stream?n={n}&size={size}"), "Accept: text/event-stream\r\n")
}

fn connect(process: &Process, visits: usize) -> Result<Measure, Failure> {
    const AT_ONCE: usize = 16;
    Crowd::new(process.address, Readers::Strict)?.visit(AT_ONCE * 2, AT_ONCE)?;
    process.wait_for_sessions(0)?;
    let before = process.cpu()?;
    Crowd::new(process.address, Readers::Strict)?.visit(visits, AT_ONCE)?;
    process.wait_for_sessions(0)?;
    let figure = (process.cpu()? - before).as_secs_f64() * 1e6 / visits as f64;
    Ok(Measure { figure, latencies: Histogram::default(), outcome: Outcome::default(), kernel: None })
}

/// What so many idle connections have cost in memory, since the first of them.
pub fn idle(process: &Process, connections: usize) -> Result<Measure, Failure> {
    let mut first = Crowd::new(process.address, Readers::Strict)?;
    first.listen(1)?;
    settled(process)?;
    let (before, slabs_before) = (process.memory()?, slabs());
    let mut crowd = Crowd::new(process.address, Readers::Strict)?;
    crowd.listen(connections)?;
    settled(process)?;
    let (after, slabs_after) = (process.memory()?, slabs());
    process.wait_for_sessions(connections as u64 + 1)?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / connections as f64;
    let kernel = slabs_before.zip(slabs_after).map(|(before, after)| each(before, after));
    let (latencies, outcome) = (Histogram::default(), Outcome::default());
    Ok(Measure { figure: each(before, after), latencies, outcome, kernel })
}

fn slow(process: &Process, sizes: &Sizes) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.address, Readers::Counting)?;
    crowd.listen(sizes.connections)?;
    let outcome = crowd.publish_to_slow((sizes.slow, sizes.message), 0..sizes.slow_readers, sizes.pause)?;
    Ok(Measure { figure: outcome.lost as f64, latencies: crowd.latencies, outcome, kernel: None })
}

/// The processor time once the server has had a moment to put things away.
fn settled(process: &Process) -> Result<Duration, Failure> {
    std::thread::sleep(Duration::from_millis(50));
    process.cpu()
}

/// A number with commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

mod mcp;
