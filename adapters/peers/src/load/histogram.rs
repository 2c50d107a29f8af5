//! Latencies by powers of two in eighths: 6 % apart at most, and a count costs two instructions more than nothing.

use std::time::Duration;

const PARTS: usize = 8;

/// How many took how long.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; 64 * PARTS] }
    }
}

impl Histogram {
    /// Counts one of `nanos`.
    pub fn count(&mut self, nanos: u64) {
        self.counts[place(nanos)] += 1;
    }

    /// The time within which `part` of all came.
    pub fn within(&self, part: f64) -> Duration {
        let wanted = (self.counts.iter().sum::<u64>() as f64 * part).ceil() as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        });
        Duration::from_nanos(place.map_or(0, |place| bound(place + 1)))
    }
}

fn place(nanos: u64) -> usize {
    let nanos = nanos.max(PARTS as u64);
    let power = nanos.ilog2() as usize;
    power * PARTS + (nanos >> (power - 3)) as usize % PARTS
}

/// Where the place begins.
fn bound(place: usize) -> u64 {
    ((PARTS + place % PARTS) as u64) << (place / PARTS).saturating_sub(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_an_eighth_too_long() {
        for nanos in [8, 9, 100, 1_000, 123_456, 10_000_000_000] {
            let mut histogram = Histogram::default();
            histogram.count(nanos);
            let within = histogram.within(0.5).as_nanos() as u64;
            assert!(within > nanos && within <= nanos + nanos / 8 + 1, "{nanos}: {within}");
        }
    }
}
