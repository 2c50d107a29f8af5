//! How cost and memory grow: with connections, with topics, and with threads.

use std::{collections::BTreeMap, path::Path};

use clap::ValueEnum;

use crate::{
    load::Failure,
    process::{Cores, Process},
    subject::Subject,
    table::median,
    works::{broadcast, thousands, visit},
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

/// The figures of one cell, in one turn.
type Figures = Result<Vec<f64>, Failure>;

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
        let measure = |subject, connections: usize| {
            let start = || self.start(subject, 1, &cores);
            let rate = (PACE / connections as u64).clamp(1, 500);
            let paced = broadcast::paced(&start()?, connections, (rate * 2, self.size), rate)?;
            let times = (200 / connections as u64).max(1);
            let burst = broadcast::bursts(&start()?, connections, times, (BURST, self.size))?;
            let idle = visit::idle(&start()?, connections)?;
            Ok(vec![paced.figure, burst.figure, idle.figure])
        };
        let show = |connections, figures: &[f64]| {
            // What a few of them have is less than a page.
            let memory = if connections < 100 { "–".into() } else { bytes(figures[2]) };
            format!("{} / {} / {memory}", micros(figures[0]), micros(figures[1]))
        };
        Ok(self.table(
            "connections: one by one / at once / memory",
            self.subjects,
            CONNECTIONS,
            measure,
            show,
        ))
    }

    fn topics(&self) -> Result<String, Failure> {
        let ours: Vec<Subject> = self.subjects.iter().copied().filter(|subject| subject.is_ours()).collect();
        let cores = Cores::share(1)?;
        let measure = |subject, topics| {
            let at_once = |n| {
                let process = self.start(subject, 1, &cores)?;
                broadcast::topics(&process, SHARED, topics, (n, self.size)).map(|measure| measure.figure)
            };
            Ok(vec![at_once(10)?, at_once(BURST)?])
        };
        let show = |_, figures: &[f64]| format!("{} / {}", micros(figures[0]), micros(figures[1]));
        Ok(self.table("topics: ten at once / 1,000 at once", &ours, TOPICS, measure, show))
    }

    fn threads(&self) -> Result<String, Failure> {
        let several = |subject: &Subject| !matches!(subject, Subject::Floor | Subject::Bare | Subject::Rmcp);
        let subjects: Vec<Subject> = self.subjects.iter().copied().filter(several).collect();
        let measure = |subject, threads| {
            let cores = Cores::share(threads)?;
            let at_once = |times, n| {
                let process = self.start(subject, threads, &cores)?;
                let measure = broadcast::bursts(&process, SHARED, times, (n, self.size))?;
                let speed = (times * n * SHARED as u64) as f64 / measure.wall.as_secs_f64();
                Ok::<_, Failure>([measure.figure, speed])
            };
            Ok([at_once(100, 1)?, at_once(3, BURST)?].concat())
        };
        let show = |_, figures: &[f64]| {
            let cells = figures.chunks(2).map(|figures| {
                let speed = thousands(figures[1].max(0.0) as u64);
                format!("{}, {speed} a second", micros(figures[0]))
            });
            cells.collect::<Vec<String>>().join(" / ")
        };
        let title = "threads: one message at a time / 1,000 at once";
        Ok(self.table(title, &subjects, THREADS, measure, show))
    }

    /// A server of its own for one figure.
    fn start(&self, subject: Subject, threads: usize, cores: &Cores) -> Result<Process, Failure> {
        Process::start(&subject.program(threads, self.load_server)?, cores)
    }

    /// Measures each row on each server, all of them in turn, and shows the medians of the turns.
    fn table<const N: usize>(
        &self,
        title: &str,
        subjects: &[Subject],
        rows: [usize; N],
        measure: impl Fn(Subject, usize) -> Figures,
        show: impl Fn(usize, &[f64]) -> String,
    ) -> String {
        let mut cells: BTreeMap<(usize, Subject), Vec<Figures>> = BTreeMap::new();
        for turn in 1..=self.turns {
            for (row, subject) in
                rows.iter().flat_map(|row| subjects.iter().map(move |subject| (*row, *subject)))
            {
                let figures = measure(subject, row);
                let shown = figures.as_ref().map_or_else(Failure::clone, |figures| show(row, figures));
                eprintln!("turn {turn}, {title}: {row}, {}: {shown}", subject.title());
                cells.entry((row, subject)).or_default().push(figures);
            }
        }
        let titles: Vec<&str> = subjects.iter().map(|subject| subject.title()).collect();
        let mut table =
            format!("| {title} | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        for row in rows {
            let shown = subjects.iter().map(|subject| {
                let turns = cells.remove(&(row, *subject)).unwrap_or_default();
                match turns.into_iter().collect::<Result<Vec<Vec<f64>>, Failure>>() {
                    Ok(turns) => show(row, &medians(&turns)),
                    Err(failure) => format!("failed: {failure}"),
                }
            });
            let shown: Vec<String> = shown.collect();
            table.push_str(&format!("| {} | {} |\n", thousands(row as u64), shown.join(" | ")));
        }
        table
    }
}

/// The median of each figure.
fn medians(turns: &[Vec<f64>]) -> Vec<f64> {
    let figures = turns.first().map_or(0, Vec::len);
    (0..figures).map(|figure| median(turns.iter().map(|turn| turn[figure]))).collect()
}

/// Seconds a million are microseconds each.
fn micros(figure: f64) -> String {
    format!("{figure:.2} µs")
}

fn bytes(figure: f64) -> String {
    format!("{} B", thousands(figure.max(0.0) as u64))
}
