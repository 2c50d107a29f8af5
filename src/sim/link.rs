//! [`Link`]: one direction of a connection, as bad as it is told to be. It does no I/O and reads no clock either.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Fault, FaultCounts, Rng, earliest};
use crate::{Disconnect, Tick};

/// Where in the bytes something happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// Behind so many bytes.
    Byte(u64),
    /// Behind the n-th blank line, so behind a head or between two frames.
    Blank(u32),
}

/// What a link does to the bytes that go through it. The default is a fast, honest one.
///
/// ```
/// use std::time::Duration;
/// use sansio_sse::sim::{Faults, Link, Rng, Taken};
/// use sansio_sse::Tick;
///
/// let faults = Faults { latency: Duration::from_millis(20), write_up_to: Some(4), ..Faults::default() };
/// let mut link = Link::new(Rng::new(1), faults);
/// let Taken::Some(n) = link.write(Tick::ZERO, b"data: hello\n\n") else { panic!("it has room") };
/// assert!((1..=4).contains(&n));
///
/// let arrives = link.wake_at(Tick::ZERO).unwrap();
/// assert_eq!(arrives, Tick::ZERO + Duration::from_millis(20));
/// assert_eq!(link.readable(Tick::ZERO), 0);
/// assert_eq!(link.readable(arrives), n);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// How long a byte takes.
    pub latency: Duration,
    /// Up to how much longer some take; the order stays.
    pub jitter: Duration,
    /// Bytes a second, at the most.
    pub rate: Option<u64>,
    /// Bytes that may be on the way or unread; more are not taken.
    pub window: usize,
    /// A write takes up to so many bytes.
    pub write_up_to: Option<usize>,
    /// A read gives up to so many bytes.
    pub read_up_to: Option<usize>,
    /// How many writes, and how many reads, are cut like that; the rest are whole.
    pub pieces: u32,
    /// No byte is taken from this time on for so long.
    pub stalls: Vec<(Tick, Duration)>,
    /// So many writes are told to be ready, and then take nothing.
    pub empty_writes: u32,
    /// There the writer closes its side, whatever else it would say.
    pub shut: Option<Spot>,
    /// There the connection is reset.
    pub reset: Option<Spot>,
    /// There it fails in a way that says nothing.
    pub fail: Option<Spot>,
    /// There bytes begin to vanish; nobody is told, until nothing was acknowledged for so long.
    pub vanish: Option<(Spot, Duration)>,
}

impl Default for Faults {
    fn default() -> Faults {
        Faults {
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            window: 1 << 16,
            write_up_to: None,
            read_up_to: None,
            pieces: u32::MAX,
            stalls: Vec::new(),
            empty_writes: 0,
            shut: None,
            reset: None,
            fail: None,
            vanish: None,
        }
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// So many bytes were taken; none, though the link had said that it was ready.
    Some(usize),
    /// There is no room now.
    Full,
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub struct Link {
    rng: Rng,
    faults: Faults,
    on_the_way: VecDeque<(Tick, Vec<u8>)>,
    /// Bytes of the first that were read.
    read: usize,
    held: usize,
    /// When the line is free for the next byte, and when the last one arrives.
    free_at: Tick,
    last_arrival: Tick,
    written: u64,
    blanks: u32,
    /// How the last bytes ended, for blank lines across writes.
    line: Line,
    shut: bool,
    /// When the first byte vanished.
    vanished: Option<Tick>,
    broken: Option<Disconnect>,
    /// Whoever would write finds nobody.
    deserted: bool,
    /// A reset has overtaken what was on the way.
    overtaken: bool,
    cut_writes: u32,
    cut_reads: u32,
    counts: FaultCounts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Begun,
    Empty,
    EmptyAndCr,
}

impl Link {
    /// A link that does this, and draws its luck from `rng`.
    #[must_use]
    pub fn new(rng: Rng, faults: Faults) -> Link {
        Link {
            rng,
            faults,
            on_the_way: VecDeque::new(),
            read: 0,
            held: 0,
            free_at: Tick::ZERO,
            last_arrival: Tick::ZERO,
            written: 0,
            blanks: 0,
            line: Line::default(),
            shut: false,
            vanished: None,
            broken: None,
            deserted: false,
            overtaken: false,
            cut_writes: 0,
            cut_reads: 0,
            counts: FaultCounts::default(),
        }
    }

    /// Makes it honest from now on. What it has lost stays lost, and what it has broken stays broken.
    pub fn heal(&mut self, now: Tick) {
        if self.vanished.is_some() {
            // The other host answers again, and knows nothing of this connection.
            self.broken.get_or_insert(Disconnect::Reset);
        }
        self.faults = Faults::default();
        for (arrives, _) in &mut self.on_the_way {
            *arrives = (*arrives).min(now);
        }
        (self.free_at, self.last_arrival) = (now, now);
    }

    /// Offers bytes.
    pub fn write(&mut self, now: Tick, bytes: &[u8]) -> Taken {
        if self.broken.is_some() || self.shut {
            return Taken::Full;
        }
        if self.stalled(now).is_some() {
            self.counts.add(Fault::Stall);
            return Taken::Full;
        }
        if self.faults.empty_writes > 0 && !bytes.is_empty() {
            self.faults.empty_writes -= 1;
            self.counts.add(Fault::EmptyWrite);
            return Taken::Some(0);
        }
        let mut n = bytes.len().min(self.faults.window.saturating_sub(self.held));
        if let Some(most) =
            self.faults.write_up_to.filter(|most| *most < n && self.cut_writes < self.faults.pieces)
        {
            self.cut_writes += 1;
            n = usize::try_from(self.rng.between(1, most.max(1) as u64)).unwrap_or(n);
            self.counts.add(Fault::PartialWrite);
        }
        if n == 0 {
            return Taken::Full;
        }
        let n = self.count(now, &bytes[..n]);
        if self.vanished.is_some() {
            self.held += n;
            return Taken::Some(n);
        }
        if n > 0 && !self.overtaken {
            self.send(now, &bytes[..n]);
        }
        Taken::Some(n)
    }

    fn send(&mut self, now: Tick, bytes: &[u8]) {
        let begins = self.free_at.max(now);
        let takes = match self.faults.rate {
            None => Duration::ZERO,
            Some(rate) => {
                self.counts.add(Fault::SlowRate);
                Duration::from_micros((bytes.len() as u64).saturating_mul(1_000_000) / rate.max(1))
            }
        };
        self.free_at = begins + takes;
        let mut late = self.faults.latency;
        if !late.is_zero() {
            self.counts.add(Fault::Latency);
        }
        if !self.faults.jitter.is_zero() {
            let most = u64::try_from(self.faults.jitter.as_micros()).unwrap_or(u64::MAX);
            late += Duration::from_micros(self.rng.below(most));
            self.counts.add(Fault::Jitter);
        }
        self.last_arrival = self.last_arrival.max(self.free_at + late);
        self.held += bytes.len();
        match self.on_the_way.back_mut() {
            Some((arrives, last)) if *arrives == self.last_arrival => last.extend_from_slice(bytes),
            Some(_) | None => self.on_the_way.push_back((self.last_arrival, bytes.to_vec())),
        }
    }

    /// Counts bytes up to the next spot at which something happens; gives back how many are taken.
    fn count(&mut self, now: Tick, bytes: &[u8]) -> usize {
        let Faults { reset, fail, shut, vanish, .. } = &self.faults;
        if reset.or(*fail).or(*shut).or(vanish.map(|(spot, _)| spot)).is_none() {
            return bytes.len();
        }
        for (at, byte) in bytes.iter().enumerate() {
            if self.happens(now) {
                return at;
            }
            self.written += 1;
            self.line = match (byte, self.line) {
                (b'\n', Line::Empty | Line::EmptyAndCr) => {
                    self.blanks += 1;
                    Line::Begun
                }
                (b'\n', Line::Begun) => Line::Empty,
                (b'\r', Line::Empty) => Line::EmptyAndCr,
                _ => Line::Begun,
            };
        }
        self.happens(now);
        bytes.len()
    }

    /// Whether this is a spot behind which nothing more is taken.
    fn happens(&mut self, now: Tick) -> bool {
        let (written, blanks) = (self.written, self.blanks);
        let reached = |spot: Spot| match spot {
            Spot::Byte(n) => written >= n,
            Spot::Blank(n) => blanks >= n,
        };
        if let Some(spot) = self.faults.reset.filter(|spot| reached(*spot)) {
            self.counts.add(match spot {
                Spot::Byte(0) => Fault::ResetBefore,
                Spot::Byte(_) => Fault::ResetInside,
                Spot::Blank(_) => Fault::ResetAfter,
            });
            self.broken = Some(Disconnect::Reset);
            if self.rng.one_in(2) {
                self.overtake();
            }
            return true;
        }
        if self.faults.fail.is_some_and(reached) {
            self.counts.add(Fault::IoError);
            self.broken = Some(Disconnect::Io);
            return true;
        }
        if self.faults.shut.is_some_and(reached) {
            self.counts.add(Fault::HalfClose);
            self.shut = true;
            return true;
        }
        if self.vanished.is_none() && self.faults.vanish.is_some_and(|(spot, _)| reached(spot)) {
            self.counts.add(Fault::BlackHole);
            self.vanished = Some(now);
        }
        false
    }

    /// Resets the connection now, and loses what is on the way.
    pub fn cut(&mut self) {
        self.counts.add(Fault::ResetInside);
        self.broken.get_or_insert(Disconnect::Reset);
        self.overtake();
    }

    /// A reset overtakes what was not read yet.
    fn overtake(&mut self) {
        (self.read, self.held, self.overtaken) = (0, 0, true);
        self.on_the_way.clear();
    }

    /// The writer closes its side: what is on the way still arrives, and the end behind it.
    pub fn shut(&mut self) {
        self.shut = true;
    }

    /// Whether the writer has closed its side.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.shut
    }

    /// How many bytes have arrived and wait to be read.
    #[must_use]
    pub fn readable(&self, now: Tick) -> usize {
        let arrived = self.on_the_way.iter().take_while(|(arrives, _)| *arrives <= now);
        arrived.map(|(_, bytes)| bytes.len()).sum::<usize>() - self.read
    }

    /// Reads up to `most` bytes into `into`.
    pub fn read(&mut self, now: Tick, most: usize, into: &mut Vec<u8>) {
        let mut most = most;
        let readable = self.readable(now);
        let cut = |few: &usize| *few < most.min(readable) && self.cut_reads < self.faults.pieces;
        if let Some(few) = self.faults.read_up_to.filter(cut) {
            self.cut_reads += 1;
            most = usize::try_from(self.rng.between(1, few.max(1) as u64)).unwrap_or(most);
            self.counts.add(Fault::PartialRead);
        }
        while most > 0
            && let Some((arrives, bytes)) = self.on_the_way.front()
            && *arrives <= now
        {
            let n = most.min(bytes.len() - self.read);
            into.extend_from_slice(&bytes[self.read..self.read + n]);
            most -= n;
            self.read += n;
            self.held -= n;
            if self.read == bytes.len() {
                self.on_the_way.pop_front();
                self.read = 0;
            }
        }
    }

    /// Whether all was read and the writer has closed its side.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.shut && self.on_the_way.is_empty() && self.vanished.is_none()
    }

    /// How the connection broke for the reader: behind all that still arrives.
    #[must_use]
    pub fn broken_behind(&self, now: Tick) -> Option<Disconnect> {
        self.broken(now).filter(|_| self.on_the_way.is_empty())
    }

    /// How the connection broke, if it did: the writer learns of it with its next look.
    #[must_use]
    pub fn broken(&self, now: Tick) -> Option<Disconnect> {
        self.broken.or_else(|| {
            let since = self.vanished.filter(|_| self.held > 0)?;
            let (_, after) = self.faults.vanish?;
            (since + after <= now).then_some(Disconnect::TimedOut)
        })
    }

    /// When something changes without anybody's doing.
    #[must_use]
    pub fn wake_at(&self, now: Tick) -> Option<Tick> {
        if self.on_the_way.is_empty() && self.faults.stalls.is_empty() && self.vanished.is_none() {
            return None; // So it is with most links at most times.
        }
        let arrival = self.on_the_way.iter().map(|(arrives, _)| *arrives).find(|arrives| *arrives > now);
        let gives_up = self.vanished.filter(|_| self.held > 0).zip(self.faults.vanish);
        let gives_up = gives_up.map(|(since, (_, after))| since + after).filter(|at| *at > now);
        earliest([arrival, self.stalled(now), gives_up])
    }

    fn stalled(&self, now: Tick) -> Option<Tick> {
        let stall = self.faults.stalls.iter().find(|(from, long)| *from <= now && now < *from + *long)?;
        Some(stall.0 + stall.1)
    }

    /// The faults that it has committed.
    #[must_use]
    pub fn faults(&self) -> &FaultCounts {
        &self.counts
    }

    /// Nobody reads at the other end any more: the next write finds out.
    pub fn desert(&mut self) {
        self.deserted = true;
    }

    /// Whether a write fails because nobody reads any more.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.deserted
    }
}
