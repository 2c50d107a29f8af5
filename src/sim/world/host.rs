//! [`Host`]: a program with its clock, and how its deadlines are served.

use core::time::Duration;

use crate::Tick;
use crate::sim::{Fault, FaultCounts, Program, Rng};

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
    pub(super) program: P,
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
        let ahead = u64::try_from(self.ahead.as_micros()).unwrap_or(u64::MAX);
        let due = Tick::from_micros(at.as_micros().saturating_sub(ahead));
        match self.pace {
            Pace::Exact | Pace::Eager(_) => Some(due),
            Pace::Late(by) => Some(due + by),
            Pace::Never => None,
        }
    }
}

/// Serves the program's own deadline, if it is due.
pub(super) fn own_deadline<P: Program>(host: &mut Host<P>, now: Tick) -> bool {
    let due = host.program.deadline().filter(|at| host.serves(*at).is_some_and(|at| at <= now));
    let Some(due) = due else { return false };
    note_pace(host, due, now);
    let shown = host.look(now);
    host.program.handle_timeout(shown, None);
    true
}

/// Counts a deadline that is served late.
pub(super) fn note_pace<P: Program>(host: &mut Host<P>, due: Tick, now: Tick) {
    if matches!(host.pace, Pace::Late(_)) && due < now + host.ahead {
        host.faults.add(Fault::LateDeadline);
    }
}
