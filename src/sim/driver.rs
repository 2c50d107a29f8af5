//! [`drive`]: one stream, its application's script, its driver and its link.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Link, Op, Pace, Setup, Taken, Violation};
use crate::{Close, Disconnect, Step, Tick};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driven {
    /// What arrived at the other end.
    pub wire: Vec<u8>,
    /// How the stream ended, if it did.
    pub close: Option<Close>,
    /// The law that was broken, if one was.
    pub violation: Option<Violation>,
}

/// Drives a stream over a link while its application does what the script says, to the stream's end or to `until`.
///
/// The same script can be driven punctually, eagerly or late; what may differ is laid down in the laws I6 and I7.
///
/// ```
/// use std::time::Duration;
/// use sansio_sse::sim::{Faults, Link, Op, Pace, Rng, Setup, drive};
/// use sansio_sse::{CloseReason, Tick};
///
/// let script = [(0, Op::Push { size: 40, id: None }), (5_000, Op::Finish)];
/// let slow = Faults { rate: Some(1_000), write_up_to: Some(3), ..Faults::default() };
/// for pace in [Pace::Exact, Pace::Eager(Duration::from_millis(1)), Pace::Late(Duration::from_secs(1))] {
///     let mut link = Link::new(Rng::new(7), slow.clone());
///     let driven = drive(&Setup::default(), &script, pace, &mut link, Tick::from_micros(60_000_000));
///     assert_eq!(driven.violation, None);
///     assert_eq!(driven.close.map(|close| close.reason), Some(CloseReason::Finished));
///     assert_eq!(driven.wire.len(), 40);
/// }
/// ```
#[must_use]
pub fn drive(setup: &Setup, script: &[(u64, Op)], pace: Pace, link: &mut Link, until: Tick) -> Driven {
    let mut stream = setup.stream();
    match pace {
        Pace::Exact | Pace::Eager(_) => stream = stream.driven(Duration::ZERO),
        Pace::Late(by) => stream = stream.driven(by),
        Pace::Never => {}
    }
    let (mut wire, mut script) = (Vec::new(), script.iter().peekable());
    let mut now = Tick::from_micros(setup.opened);
    loop {
        while let Some((_, op)) = script.next_if(|(at, _)| *at <= now.as_micros()) {
            stream.apply(now, *op);
        }
        while let Step::Run { bytes, .. } = stream.poll() {
            let offer: Vec<u8> = bytes.pieces().flatten().copied().collect();
            if let Some(how) = link.broken(now) {
                stream.handle_disconnect(now, how);
                break;
            }
            if offer.is_empty() {
                break;
            }
            match link.write(now, &offer) {
                Taken::Some(n) => stream.handle_wrote(now, &offer[..n]),
                Taken::Full if link.is_deserted() => stream.handle_disconnect(now, Disconnect::Reset),
                Taken::Full => {
                    stream.handle_refused();
                    break;
                }
            }
        }
        let before = wire.len();
        link.read(now, usize::MAX, &mut wire);
        if wire.len() > before && stream.closed().is_none() {
            continue; // There is room again.
        }
        let served = |at: Tick| match pace {
            Pace::Exact | Pace::Eager(_) => Some(at),
            Pace::Late(by) => Some(at + by),
            Pace::Never => None,
        };
        let due = stream.stream().deadline().and_then(|(at, _)| served(at));
        if due.is_some_and(|at| at <= now) {
            // What it has staged is offered at once.
            stream.handle_timeout(now);
            continue;
        }
        if matches!(pace, Pace::Eager(_)) {
            stream.handle_timeout(now);
        }
        if stream.violation().is_some() || stream.closed().is_some() {
            break;
        }
        let after = |at: Tick| at.max(now + Duration::from_micros(1));
        let eager = match pace {
            Pace::Eager(every) => Some(now + every),
            Pace::Exact | Pace::Late(_) | Pace::Never => None,
        };
        let scripted = script.peek().map(|(at, _)| Tick::from_micros(*at));
        match [scripted, link.wake_at(now), due, eager].into_iter().flatten().min().map(after) {
            Some(at) if at <= until => now = at,
            Some(_) | None => break,
        }
    }
    // The stream is over; what is on the way still arrives.
    while let Some(at) = link.wake_at(now) {
        now = at;
        link.read(now, usize::MAX, &mut wire);
    }
    Driven { wire, close: stream.closed().copied(), violation: stream.violation().cloned() }
}
