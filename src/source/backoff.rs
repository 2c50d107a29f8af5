//! How long to wait before a reconnect: a pure function of the settings, the history and a seed.

use core::time::Duration;

/// By how much reconnects are spread, so that clients that lost one server do not come back in one instant.
///
/// Jitter only ever adds to a delay: HTML §9.2.3 lets a client wait longer than the server asked, not shorter.
///
/// ```
/// use sansio_sse::{Jitter, SourceConfig};
///
/// assert!(SourceConfig::builder().jitter(Jitter::Percent(10)).build().is_ok());
/// assert!(SourceConfig::builder().jitter(Jitter::Percent(101)).build().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Exact delays.
    Off,
    /// Adds up to this share of the delay, evenly spread, in percent: 1 to 100.
    Percent(u8),
}

/// The delay before a reconnect.
///
/// `retry`, doubled for every failure in a row after the first, at most `max`; then the jitter, which may pass
/// `max` so that clients stay apart there too. `reconnects` picks the point in the seed's sequence.
pub(super) fn delay(
    retry: Duration,
    max: Duration,
    jitter: Jitter,
    failures: u32,
    reconnects: u64,
    seed: u64,
) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let delay = retry.saturating_mul(1 << doublings).min(max);
    match jitter {
        Jitter::Off => delay,
        Jitter::Percent(percent) => {
            let dice = u128::from(mix(seed ^ mix(reconnects)) >> 32);
            let extra = (delay.as_micros() * u128::from(percent) * dice / 100) >> 32;
            delay.saturating_add(Duration::from_micros(u64::try_from(extra).unwrap_or(u64::MAX)))
        }
    }
}

/// A bijection of 64 bits in which every input bit moves about half of the output bits: an odd constant is added,
/// so that zero does not stay zero, and two rounds of shift, xor and odd multiplication follow.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn failures_in_a_row_double_the_delay_up_to_the_maximum() {
        let table =
            [(0, 100), (1, 100), (2, 200), (3, 400), (4, 800), (5, 1_000), (32, 1_000), (u32::MAX, 1_000)];
        for (failures, ms) in table {
            assert_eq!(
                delay(100 * MS, 1_000 * MS, Jitter::Off, failures, 9, 9),
                ms * MS,
                "{failures} failures"
            );
        }
    }

    #[test]
    fn jitter_adds_at_most_its_share_and_reaches_all_of_it() {
        for percent in [1, 25, 100] {
            let most = 1_000 * MS + 10 * u32::from(percent) * MS;
            let all: alloc::vec::Vec<_> = (0..2_000)
                .map(|n| delay(1_000 * MS, 1_000 * MS, Jitter::Percent(percent), 1, n, 42))
                .collect();
            assert!(all.iter().all(|d| (1_000 * MS..most).contains(d)), "{percent} %");
            let spread = most - 1_000 * MS;
            assert!(all.iter().any(|d| *d < 1_000 * MS + spread / 50), "{percent} %: low end");
            assert!(all.iter().any(|d| *d > most - spread / 50), "{percent} %: high end");
        }
    }

    #[test]
    fn the_dice_are_those_of_splitmix64() {
        // Its first two numbers from the seed 0.
        assert_eq!(mix(0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(mix(0x9E37_79B9_7F4A_7C15), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn same_seed_and_reconnect_give_the_same_delay_and_others_differ() {
        let at = |n, seed| delay(3_000 * MS, 3_000 * MS, Jitter::Percent(25), 1, n, seed);
        assert_eq!(at(1, 7), at(1, 7));
        assert_ne!(at(1, 7), at(2, 7));
        assert_ne!(at(1, 7), at(1, 8));
    }
}
