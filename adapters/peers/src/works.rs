//! What is measured.

pub mod broadcast;
mod mcp;
mod own;
pub mod visit;

use std::time::Duration;

use clap::ValueEnum;

use crate::{
    load::{Failure, Histogram, Outcome},
    process::Process,
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
#[derive(Clone, Default)]
pub struct Measure {
    /// The figure, in the work's [unit](Work::unit).
    pub figure: f64,
    /// How long it took until all was delivered.
    pub wall: Duration,
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

    /// Whether the time from making a message to its arrival says something about the server.
    pub fn has_latencies(self) -> bool {
        matches!(self, Self::Lockstep | Self::LockstepMany)
    }

    /// Whether the server can do it: rmcp has no events for all, and bare tokio only the first.
    pub fn is_for(self, subject: Subject) -> bool {
        match subject {
            Subject::Rmcp => matches!(self, Self::Stream | Self::Streams),
            Subject::Bare => matches!(self, Self::Connect | Self::Idle),
            _ => true,
        }
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
            Self::Burst => broadcast::bursts(process, sizes.connections, sizes.bursts, (sizes.burst, size)),
            Self::Lockstep => broadcast::bursts(process, sizes.connections, sizes.lockstep, (1, size)),
            Self::LockstepMany => broadcast::bursts(process, sizes.many, sizes.lockstep_many, (1, size)),
            Self::Stream => own::streams(subject, process, 1, (sizes.streamed(subject), size)),
            Self::Streams => {
                let each = sizes.streamed(subject) / sizes.streams as u64;
                own::streams(subject, process, sizes.streams, (each, size))
            }
            Self::Connect => visit::come_and_go(process, sizes.visits),
            Self::Idle => visit::idle(process, sizes.many),
            Self::Slow => broadcast::slow(process, sizes),
        }
    }
}

/// A number with commas.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok());
    groups.collect::<Vec<&str>>().join(",")
}
