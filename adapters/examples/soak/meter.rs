//! What Linux says of a process, and the slope of its memory.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

/// Ticks a second in `/proc/PID/stat`.
const USER_HZ: u64 = 100;

/// A process at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) at: Instant,
    pub(crate) rss_kib: u32,
    pub(crate) descriptors: usize,
    cpu: Duration,
}

impl Reading {
    pub(crate) fn of(pid: u32) -> Result<Reading, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The fields behind the name, which may hold anything: the third is the first.
        let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
        let mut ticks = 0;
        for field in fields.split(' ').skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
        Ok(Reading {
            at: Instant::now(),
            rss_kib: rss.trim().trim_end_matches(" kB").parse()?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            cpu: Duration::from_millis(ticks * 1_000 / USER_HZ),
        })
    }

    /// Per cent of a core since then.
    pub(crate) fn cpu_since(&self, before: &Reading) -> f64 {
        100.0 * (self.cpu - before.cpu).as_secs_f64() / (self.at - before.at).as_secs_f64()
    }
}

/// How many descriptors this process may have.
pub(crate) fn descriptor_limit() -> Result<usize, Box<dyn Error>> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("no limit")?;
    let soft = line.split_whitespace().next().ok_or("no limit")?;
    Ok(if soft == "unlimited" { usize::MAX } else { soft.parse()? })
}

/// The least-squares slope of the resident memory, in MiB in ten minutes.
pub(crate) fn slope(readings: &[Reading]) -> f64 {
    let Some(first) = readings.first() else { return 0.0 };
    let points = || readings.iter().map(|one| ((one.at - first.at).as_secs_f64(), f64::from(one.rss_kib)));
    let n = f64::from(u32::try_from(readings.len()).unwrap_or(u32::MAX));
    let (x, y) = points().fold((0.0, 0.0), |sum, point| (sum.0 + point.0 / n, sum.1 + point.1 / n));
    let (xy, xx) = points().fold((0.0, 0.0), |sum, point| {
        (sum.0 + (point.0 - x) * (point.1 - y), sum.1 + (point.0 - x) * (point.0 - x))
    });
    if xx > 0.0 { xy / xx * 600.0 / 1024.0 } else { 0.0 }
}
