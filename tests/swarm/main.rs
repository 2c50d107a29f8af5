//! Runs worlds by their numbers, on all cores, and says what happened in them.
//!
//! `cargo test` runs 2,000 fixed ones. By hand: `cargo test --profile checked --features sim --test swarm -- [OPTIONS]`
//!
//! - `--seeds N`: so many worlds; the first 10,000 are always the same, the rest new ones.
//! - `--minutes N`: new worlds for so long.
//! - `--seed N`: this one alone, with what happened in it.
//! - `--twice N`: so many of them twice, which must be the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a run that cannot go on ends")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sansio_sse::sim::{CLOSE_REASONS, Fault, FaultCounts, HAPPENINGS, Report, run};

/// Worlds that are the same in every run.
const FIXED: u64 = 10_000;

/// After so many worlds everything must have happened so often.
const COVERED_AFTER: u64 = 10_000;
const COVERED: u64 = 10;

/// What our servers answer.
const STATUSES: [u16; 17] =
    [200, 202, 204, 400, 403, 404, 405, 406, 408, 409, 413, 414, 415, 431, 501, 503, 505];

struct Options {
    seeds: Option<u64>,
    minutes: Option<u64>,
    seed: Option<u64>,
    twice: u64,
}

fn main() -> ExitCode {
    let Some(options) = options() else { return ExitCode::SUCCESS };
    if let Some(seed) = options.seed {
        let report = run(seed);
        println!("{report:#?}");
        return match report.violation {
            None => ExitCode::SUCCESS,
            Some(violation) => {
                println!("{violation}");
                ExitCode::FAILURE
            }
        };
    }
    swarm(&options)
}

/// None if the test runner only asks what there is.
fn options() -> Option<Options> {
    let mut options = Options { seeds: None, minutes: None, seed: None, twice: 20 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|arg| arg.parse().ok());
        match arg.as_str() {
            "--seeds" => options.seeds = number(),
            "--minutes" => options.minutes = number(),
            "--seed" => options.seed = number(),
            "--twice" => options.twice = number().unwrap_or(0),
            "--list" => return None,
            _ => {}
        }
    }
    Some(options)
}

fn swarm(options: &Options) -> ExitCode {
    let seeds = match options.minutes {
        Some(_) => u64::MAX,
        None => options.seeds.unwrap_or(2_000),
    };
    let until = options.minutes.map(|minutes| Instant::now() + Duration::from_secs(minutes * 60));
    let fresh = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() << 20;
    if seeds > FIXED {
        println!("worlds 0 to {} and from {fresh} on", FIXED - 1);
    }
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let (reports, inbox) = mpsc::channel::<(Report, bool)>();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut sum = Sum::new();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let reports = reports.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && until.is_none_or(|until| Instant::now() < until) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds {
                        return;
                    }
                    let seed = if number < FIXED { number } else { fresh.wrapping_add(number) };
                    let report = run(seed);
                    let same = number >= options.twice || run(seed).hash == report.hash;
                    if reports.send((report, same)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(reports);
        sum.collect(inbox, &stop);
    });
    sum.conclude()
}

/// All reports together.
struct Sum {
    begun: Instant,
    spoke: Instant,
    seeds: u64,
    time: Duration,
    connections: u64,
    sessions: u64,
    frames: u64,
    faults: FaultCounts,
    closes: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    happenings: BTreeMap<&'static str, u64>,
    failed: bool,
}

impl Sum {
    fn new() -> Sum {
        let now = Instant::now();
        Sum {
            begun: now,
            spoke: now,
            seeds: 0,
            time: Duration::ZERO,
            connections: 0,
            sessions: 0,
            frames: 0,
            faults: FaultCounts::default(),
            closes: BTreeMap::new(),
            statuses: BTreeMap::new(),
            happenings: BTreeMap::new(),
            failed: false,
        }
    }

    fn collect(&mut self, inbox: mpsc::Receiver<(Report, bool)>, stop: &AtomicBool) {
        for (report, same) in inbox {
            if self.failed {
                continue;
            }
            if let Some(violation) = &report.violation {
                println!("seed {}: {violation}", report.seed);
                self.failed = true;
            }
            if !same {
                println!("seed {}: I15: two runs of it differ", report.seed);
                self.failed = true;
            }
            if self.failed {
                stop.store(true, Ordering::Relaxed);
            }
            self.add(&report);
            if self.spoke.elapsed() > Duration::from_secs(10) {
                self.spoke = Instant::now();
                println!("{}", self.progress());
            }
        }
    }

    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.time += report.time;
        self.connections += report.connections;
        self.sessions += report.sessions;
        self.frames += report.frames;
        self.faults.merge(&report.faults);
        for (reason, times) in &report.closes {
            *self.closes.entry(reason).or_default() += times;
        }
        for (status, times) in &report.statuses {
            *self.statuses.entry(*status).or_default() += times;
        }
        for (what, times) in &report.happenings {
            *self.happenings.entry(what).or_default() += times;
        }
    }

    fn progress(&self) -> String {
        let faults: Vec<String> =
            self.faults.iter().map(|(fault, times)| format!("{fault:?} {times}")).collect();
        format!(
            "{} worlds in {} s: {:.1} hours, {} connections, {} sessions, {} frames checked; faults: {}",
            self.seeds,
            self.begun.elapsed().as_secs(),
            self.time.as_secs_f64() / 3_600.0,
            self.connections,
            self.sessions,
            self.frames,
            faults.join(", ")
        )
    }

    fn conclude(&self) -> ExitCode {
        println!("{}", self.progress());
        println!("closes: {:?}", self.closes);
        println!("statuses: {:?}", self.statuses);
        println!("at /mcp: {:?}", self.happenings);
        if self.failed {
            return ExitCode::FAILURE;
        }
        let missing = self.missing();
        if self.seeds >= COVERED_AFTER && !missing.is_empty() {
            println!("fewer than {COVERED} times: {}", missing.join(", "));
            return ExitCode::FAILURE;
        }
        println!("no law was broken");
        ExitCode::SUCCESS
    }

    /// What has not happened often enough for the worlds to be worth anything.
    fn missing(&self) -> Vec<String> {
        let rare = |times: Option<&u64>| times.copied().unwrap_or(0) < COVERED;
        let faults =
            Fault::ALL.iter().filter(|fault| self.faults.of(**fault) < COVERED).map(|f| format!("{f:?}"));
        let closes =
            CLOSE_REASONS.iter().filter(|name| rare(self.closes.get(*name))).map(ToString::to_string);
        let statuses =
            STATUSES.iter().filter(|status| rare(self.statuses.get(status))).map(ToString::to_string);
        let happenings =
            HAPPENINGS.iter().filter(|what| rare(self.happenings.get(*what))).map(ToString::to_string);
        faults.chain(closes).chain(statuses).chain(happenings).collect()
    }
}
