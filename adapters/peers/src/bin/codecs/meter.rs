//! Interleaved turns, each as CPU time of this thread.

use rustix::time::{ClockId, clock_gettime};

/// CPU seconds of this thread so far.
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Seconds of one run of each of the `works`: the median of interleaved turns.
///
/// A turn repeats a short work until it takes `turn` seconds; work that is long by itself has fewer turns.
pub fn measure(turns: usize, turn: f64, works: &mut [Box<dyn FnMut() + '_>]) -> Vec<f64> {
    let mut repeats = Vec::new();
    for work in works.iter_mut() {
        let begun = cpu();
        work();
        repeats.push((turn / (cpu() - begun)).ceil().max(1.0) as usize);
    }
    let mut seconds = vec![Vec::new(); works.len()];
    for round in 0..turns {
        for n in 0..works.len() {
            // Nobody always runs behind the same neighbour.
            let n = (n * if round % 2 == 0 { 1 } else { works.len() - 1 } + round) % works.len();
            let is_long = seconds[n].first().is_some_and(|once| *once > 20.0 * turn);
            if is_long && seconds[n].len() == 3 {
                continue;
            }
            let begun = cpu();
            for _ in 0..repeats[n] {
                works[n]();
            }
            seconds[n].push((cpu() - begun) / repeats[n] as f64);
        }
    }
    seconds.into_iter().map(median).collect()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}
