//! How cost and memory grow: with connections, with topics, and with threads.

use std::path::Path;

use clap::ValueEnum;

use crate::{
    load::Failure,
    process::{Cores, Process},
    subject::Subject,
    table::median,
    works::{Measure, broadcast, thousands, visit},
};

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Axis {
    /// 1, 10, 100, 1,000 and 10,000 connections.
    Connections,
    /// 1, 10 and 100 topics for 1,000 connections together; of ours only.
    Topics,
    /// 1 and 2 threads; of all but the floor, which has one.
    Threads,
}

/// A run of the growth.
pub struct Growth<'a> {
    /// The columns.
    pub subjects: &'a [Subject],
    /// Ours, built.
    pub load_server: Option<&'a Path>,
    /// How often.
    pub turns: usize,
    /// Bytes of a message's data.
    pub size: usize,
}

const CONNECTIONS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const TOPICS: [usize; 3] = [1, 10, 100];
const THREADS: [usize; 2] = [1, 2];
/// Messages that are published at once.
const BURST: u64 = 1_000;
/// Connections that the topics share, and the threads.
const SHARED: usize = 1_000;
/// Deliveries a second, at most, when messages are published one by one.
const PACE: u64 = 20_000;

impl Growth<'_> {
    /// Measures along an axis, and makes the table.
    pub fn along(&self, axis: Axis) -> Result<String, Failure> {
        match axis {
            Axis::Connections => self.connections(),
            Axis::Topics => self.topics(),
            Axis::Threads => self.threads(),
        }
    }

    fn connections(&self) -> Result<String, Failure> {
        let cores = Cores::share(1)?;
        self.table(
            "connections: one by one / at once / memory",
            self.subjects,
            CONNECTIONS,
            |subject, connections| {
                let rate = (PACE / connections as u64).clamp(1, 500);
                let paced = self.median(subject, 1, &cores, |process| {
                    broadcast::paced(process, connections, (rate * 2, self.size), rate)
                });
                let times = (200 / connections as u64).max(1);
                let burst = self.median(subject, 1, &cores, |process| {
                    broadcast::bursts(process, connections, times, (BURST, self.size))
                });
                let memory = match connections {
                    // A page is more than these have.
                    1 | 10 => Ok("–".into()),
                    _ => self
                        .median(subject, 1, &cores, |process| visit::idle(process, connections))
                        .map(bytes),
                };
                format!("{} / {} / {}", shown(paced.map(micros)), shown(burst.map(micros)), shown(memory))
            },
        )
    }

    fn topics(&self) -> Result<String, Failure> {
        let ours: Vec<Subject> = self.subjects.iter().copied().filter(|subject| subject.is_ours()).collect();
        let cores = Cores::share(1)?;
        self.table("topics: ten at once / 1,000 at once", &ours, TOPICS, |subject, topics| {
            let at_once = |n| {
                let cost = self.median(subject, 1, &cores, |process| {
                    broadcast::topics(process, SHARED, topics, (n, self.size))
                });
                shown(cost.map(micros))
            };
            format!("{} / {}", at_once(10), at_once(BURST))
        })
    }

    fn threads(&self) -> Result<String, Failure> {
        let several = |subject: &Subject| !matches!(subject, Subject::Floor | Subject::Rmcp);
        let subjects: Vec<Subject> = self.subjects.iter().copied().filter(several).collect();
        self.table(
            "threads: one message at a time / 1,000 at once",
            &subjects,
            THREADS,
            |subject, threads| {
                let cost = |times, n: u64| {
                    let mut walls = Vec::new();
                    let cost = Cores::share(threads).and_then(|cores| {
                        self.median(subject, threads, &cores, |process| {
                            let measure = broadcast::bursts(process, SHARED, times, (n, self.size))?;
                            walls.push((times * n * SHARED as u64) as f64 / measure.wall.as_secs_f64());
                            Ok(measure)
                        })
                    });
                    let speed = thousands(median(walls.into_iter()) as u64);
                    shown(cost.map(|cost| format!("{}, {speed} a second", micros(cost))))
                };
                format!("{} / {}", cost(100, 1), cost(3, BURST))
            },
        )
    }

    fn table<const N: usize>(
        &self,
        title: &str,
        subjects: &[Subject],
        rows: [usize; N],
        mut cell: impl FnMut(Subject, usize) -> String,
    ) -> Result<String, Failure> {
        let titles: Vec<&str> = subjects.iter().map(|subject| subject.title()).collect();
        let mut table =
            format!("| {title} | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        for row in rows {
            let mut cells = vec![thousands(row as u64)];
            for subject in subjects {
                let cell = cell(*subject, row);
                eprintln!("{title}: {row}, {}: {cell}", subject.title());
                cells.push(cell);
            }
            table.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        Ok(table)
    }

    /// The median of the figures of several turns, each with a server of its own.
    fn median(
        &self,
        subject: Subject,
        threads: usize,
        cores: &Cores,
        mut work: impl FnMut(&Process) -> Result<Measure, Failure>,
    ) -> Result<f64, Failure> {
        let program = subject.program(threads, self.load_server)?;
        let figures =
            (0..self.turns).map(|_| work(&Process::start(&program, cores)?).map(|measure| measure.figure));
        Ok(median(figures.collect::<Result<Vec<f64>, Failure>>()?.into_iter()))
    }
}

fn shown(cell: Result<String, Failure>) -> String {
    cell.unwrap_or_else(|failure| format!("failed: {failure}"))
}

/// Seconds a million are microseconds each.
fn micros(figure: f64) -> String {
    format!("{figure:.2} µs")
}

fn bytes(figure: f64) -> String {
    format!("{} B", thousands(figure.max(0.0) as u64))
}
