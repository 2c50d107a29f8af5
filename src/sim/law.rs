//! [`Law`]: the invariants by their numbers, and [`Violation`]: one that was broken.

use alloc::string::String;
use core::fmt;

use crate::Tick;

/// What holds of every stream, whatever its driver, its peer and its clock do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Law {
    /// The bytes taken are a prefix of the encoding of the accepted frames in order; keep-alives stand only
    /// between frames.
    I1,
    /// Nothing accepted is lost, doubled or reordered: delivered + undelivered = accepted.
    I2,
    /// `Closed` is terminal and never changes; the first reason wins; no byte is offered after it.
    I3,
    /// A `Finish` close has nothing undelivered, and its terminator was taken.
    I4,
    /// After a fact every deadline is later than now; whatever time alone can change has a reported deadline.
    I5,
    /// Spurious or repeated timeouts change nothing.
    I6,
    /// A driver that serves deadlines late by d delays by at most d, and invents no stall.
    I7,
    /// Memory stays within the limits.
    I8,
    /// Time at the input may repeat or go backwards; internal time never does.
    I9,
    /// Splitting is invisible: of the input in the events, of the writes on the wire.
    I10,
    /// What is decoded is what was encoded.
    I11,
    /// Replay then live has no seam.
    I12,
    /// `finish` closes within the drain deadline; a dropped driver closes; the close is delivered exactly once.
    I13,
    /// A subscriber that stalls changes no other's bytes or deadlines.
    I14,
    /// Same inputs, same outputs, byte for byte.
    I15,
}

impl Law {
    /// All of them, in order.
    pub const ALL: [Law; 15] = [
        Law::I1,
        Law::I2,
        Law::I3,
        Law::I4,
        Law::I5,
        Law::I6,
        Law::I7,
        Law::I8,
        Law::I9,
        Law::I10,
        Law::I11,
        Law::I12,
        Law::I13,
        Law::I14,
        Law::I15,
    ];
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// When, on the clock of whom it was seen at.
    pub at: Tick,
    /// What was expected and what was found.
    pub what: String,
    /// How it came to that: a table test where the fault is one stream's, else a log.
    pub trace: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { law, at, what, trace } = self;
        write!(f, "{law} at {at}: {what}\n{trace}")
    }
}

impl core::error::Error for Violation {}
