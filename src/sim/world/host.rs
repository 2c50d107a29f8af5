//! [`Host`]: a program with its clock, and how its deadlines are served.

use core::time::Duration;

use crate::Tick;
use crate::sim::{Conn, Fault, FaultCounts, Program, Rng};

/// How a program's driver serves deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At the deadline, to the microsecond.
    Exact,
    /// At the deadline, and besides every so often without need.
    Eager(Duration),
    /// Late by up to so much.
    Late(Duration),
    /// Not at all.
    Never,
}

/// What a program's clock does besides going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFaults {
    /// One look in so many shows the time of the look before; 0 for none.
    pub repeats: u64,
    /// One look in so many shows an earlier time; 0 for none.
    pub goes_back: u64,
    /// One step in so many it jumps ahead by an hour, for good; 0 for never.
    pub jumps: u64,
}

#[derive(Debug)]
pub(super) struct Host<P> {
    program: P,
    /// How often it was told something, or how it is driven was changed: until the next time it wants the same.
    told: u64,
    /// See [`due`](Self::due); and what it had been told when it was asked.
    due: (Option<Tick>, u64),
    /// What it had been told when it last wanted no connection.
    content: u64,
    pub(super) rng: Rng,
    pub(super) pace: Pace,
    pub(super) clock: ClockFaults,
    /// How far its clock is ahead.
    pub(super) ahead: Duration,
    shown: Tick,
    pub(super) next_look: Tick,
    pub(super) faults: FaultCounts,
    pub(super) connections: u64,
}

impl<P: Program> Host<P> {
    pub(super) fn new(program: P, rng: Rng) -> Host<P> {
        Host {
            program,
            told: 1,
            due: (None, 0),
            content: 0,
            rng,
            pace: Pace::Exact,
            clock: ClockFaults::default(),
            ahead: Duration::ZERO,
            shown: Tick::ZERO,
            next_look: Tick::ZERO,
            faults: FaultCounts::default(),
            connections: 0,
        }
    }

    pub(super) fn program(&self) -> &P {
        &self.program
    }

    /// The program, to be told something.
    pub(super) fn tell(&mut self) -> &mut P {
        self.told += 1;
        &mut self.program
    }

    /// There was no room for what it offered: that changes nothing that it wants.
    pub(super) fn handle_refused(&mut self, conn: Conn) {
        self.program.handle_refused(conn);
    }

    pub(super) fn told(&self) -> u64 {
        self.told
    }

    /// Says how it is driven from now on.
    pub(super) fn set_pace(&mut self, pace: Pace, clock: ClockFaults) {
        (self.pace, self.clock) = (pace, clock);
        self.told += 1;
    }

    /// Its clock jumps ahead, for good.
    pub(super) fn jump(&mut self, by: Duration) {
        self.ahead += by;
        self.told += 1;
    }

    /// The server to which it wants a connection made now. It is asked once it was told something, or is due.
    pub(super) fn connects(&mut self, now: Tick) -> Option<usize> {
        if self.content == self.told && self.due().is_none_or(|at| now < at) {
            return None;
        }
        let server = self.tell().connects(now);
        if server.is_none() {
            self.content = self.told;
        }
        server
    }

    /// When, in the world's time, the program's own deadline is served.
    pub(super) fn due(&mut self) -> Option<Tick> {
        if self.due.1 != self.told {
            self.due = (self.program.deadline().and_then(|at| self.serves(at)), self.told);
        }
        self.due.0
    }

    /// Serves it, if it is due.
    pub(super) fn own_deadline(&mut self, now: Tick) -> bool {
        if self.due().is_none_or(|at| now < at) {
            return false;
        }
        if let Some(at) = self.program.deadline() {
            self.note_pace(at, now);
        }
        let shown = self.look(now);
        self.tell().handle_timeout(shown, None);
        true
    }

    /// Counts a deadline that is served late.
    pub(super) fn note_pace(&mut self, due: Tick, now: Tick) {
        if matches!(self.pace, Pace::Late(_)) && due < now + self.ahead {
            self.faults.add(Fault::LateDeadline);
        }
    }

    /// What its clock shows at this look.
    pub(super) fn look(&mut self, now: Tick) -> Tick {
        if self.clock.repeats > 0 && self.rng.one_in(self.clock.repeats) {
            self.faults.add(Fault::ClockRepeats);
            return self.shown;
        }
        if self.clock.goes_back > 0 && self.rng.one_in(self.clock.goes_back) {
            self.faults.add(Fault::ClockBack);
            let back = self.rng.below(5_000_000);
            return Tick::from_micros(self.shown.as_micros().saturating_sub(back));
        }
        self.shown = self.shown.max(now + self.ahead);
        self.shown
    }

    /// When, in the world's time, this deadline of its clock is served.
    pub(super) fn serves(&self, at: Tick) -> Option<Tick> {
        let due = Tick::ZERO + at.since(Tick::ZERO + self.ahead);
        match self.pace {
            Pace::Exact | Pace::Eager(_) => Some(due),
            Pace::Late(by) => Some(due + by),
            Pace::Never => None,
        }
    }
}
