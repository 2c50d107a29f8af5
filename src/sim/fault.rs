//! [`Fault`]: what can go wrong in a simulation, one name a kind, and how often it did.

/// A kind of fault. What links, clocks, applications and strangers do is counted under these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// Bytes take their time.
    Latency,
    /// Some take longer than others.
    Jitter,
    /// Bytes arrive one after the other.
    SlowRate,
    /// A write takes less than it could.
    PartialWrite,
    /// A read gives less than there is.
    PartialRead,
    /// For a while no byte is taken.
    Stall,
    /// A write that was told to be ready takes nothing.
    EmptyWrite,
    /// The client closes its sending side.
    HalfClose,
    /// A reset before the first byte.
    ResetBefore,
    /// A reset in the middle.
    ResetInside,
    /// A reset between two frames.
    ResetAfter,
    /// Bytes vanish, and nobody is told.
    BlackHole,
    /// An I/O error that says nothing.
    IoError,
    /// A program's clock shows the same time again.
    ClockRepeats,
    /// It goes back.
    ClockBack,
    /// It jumps ahead by an hour.
    ClockJump,
    /// Deadlines are served late.
    LateDeadline,
    /// Deadlines are not served at all for a while.
    NoDeadline,
    /// Somebody looks at the clock without need.
    SpuriousTimeout,
    /// The client hangs up.
    ClientLeaves,
    /// A connection's driver is dropped.
    DriverDropped,
    /// The application fails to make a frame.
    ApplicationFails,
    /// The application aborts a stream.
    ApplicationAborts,
    /// The application says more than its client can take.
    Flood,
    /// A stranger sends what it likes.
    Attack,
}

impl Fault {
    /// All kinds.
    pub const ALL: [Fault; 25] = [
        Fault::Latency,
        Fault::Jitter,
        Fault::SlowRate,
        Fault::PartialWrite,
        Fault::PartialRead,
        Fault::Stall,
        Fault::EmptyWrite,
        Fault::HalfClose,
        Fault::ResetBefore,
        Fault::ResetInside,
        Fault::ResetAfter,
        Fault::BlackHole,
        Fault::IoError,
        Fault::ClockRepeats,
        Fault::ClockBack,
        Fault::ClockJump,
        Fault::LateDeadline,
        Fault::NoDeadline,
        Fault::SpuriousTimeout,
        Fault::ClientLeaves,
        Fault::DriverDropped,
        Fault::ApplicationFails,
        Fault::ApplicationAborts,
        Fault::Flood,
        Fault::Attack,
    ];
}

/// How often each kind of fault came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; Fault::ALL.len()]);

impl FaultCounts {
    /// Counts one.
    pub fn add(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &FaultCounts) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// How often this kind came.
    #[must_use]
    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Every kind, and how often it came.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, u64)> {
        Fault::ALL.into_iter().zip(self.0)
    }
}
