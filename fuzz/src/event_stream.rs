//! An event stream under arbitrary operations.

use std::time::Duration;

use sansio_sse::sim::{Op, Setup};
use sansio_sse::{Disconnect, EventId, Tick};

/// Whatever it is told, a stream says to the byte, the deadline and the close what the simulation's oracle expects.
///
/// The first byte makes the stream, and each two behind it are an operation and its amount.
pub fn event_stream(data: &[u8]) {
    let Some((&made, operations)) = data.split_first() else { return };
    let is = |bit: u8| made & (1 << bit) != 0;
    let setup = Setup {
        contextforge: is(0),
        chunked: is(1),
        opened: 0,
        head: if is(2) { 40 } else { 0 },
        keep_alive: (!is(3)).then_some(40_000),
        stall_after: (!is(4)).then_some(90_000),
        lag_after: Some(300_000),
        drain_within: 50_000,
        max_lifetime: is(5).then_some(700_000),
        max_frames: if is(6) { 1 } else { 8 },
        max_bytes: 400,
        max_faults: 3,
        max_empty_writes: 5,
        rapid: is(7).then_some((10_000, 4)),
        rapid_window: is(7).then_some((100_000, 6)),
        half_close_goes_on: is(6),
    };
    let mut stream = setup.stream();
    let mut now = Tick::ZERO;
    for (nth, operation) in operations.chunks_exact(2).enumerate() {
        let (what, amount) = (operation[0] % 32, operation[1]);
        let n = usize::from(amount);
        let op = match what {
            0..=4 => Op::Push { size: n, id: None },
            5..=8 => {
                Op::Push { size: n, id: Some(EventId { stream: u64::MAX >> (amount % 64), seq: nth as u64 }) }
            }
            9..=12 => Op::Wrote { n },
            13..=15 => Op::Wrote { n: usize::MAX },
            16..=18 => {
                now = now + Duration::from_millis(u64::from(amount));
                continue;
            }
            19 => {
                now = Tick::from_micros(now.as_micros().saturating_sub(u64::from(amount) * 1_000));
                continue;
            }
            20..=24 => Op::Timeout,
            25 => Op::Input { n: n * 16 },
            26 => Op::KeepAlive { on: amount % 2 == 0 },
            27 if amount < 64 => Op::Fault,
            27 => Op::Batched { size: n },
            28 if amount < 32 => Op::Finish,
            28 => Op::PushBatch,
            29 if amount < 16 => Op::Disconnected { how: Disconnect::Eof },
            30 => match amount {
                0..=3 => Op::Disconnected { how: Disconnect::Reset },
                4..=7 => Op::Abort,
                8..=11 => Op::Abandon,
                12..=15 => Op::Supersede,
                _ => Op::Timeout,
            },
            31 if nth == 0 => Op::Opening { size: n },
            _ => Op::Timeout,
        };
        stream.apply(now, op);
    }
    if let Some(violation) = stream.violation() {
        panic!("{violation}");
    }
}
