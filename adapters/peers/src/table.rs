//! The figures of all turns, and the table they become.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    load::Failure,
    subject::Subject,
    works::{Measure, Sizes, Unit, Work, thousands},
};

/// All that was measured.
#[derive(Default)]
pub struct Results {
    /// By work, server, and turn.
    cells: BTreeMap<(Work, Subject), Vec<Result<Measure, Failure>>>,
}

impl Results {
    /// Adds what a turn came to.
    pub fn add(&mut self, work: Work, subject: Subject, measured: Result<Measure, Failure>) {
        self.cells.entry((work, subject)).or_default().push(measured);
    }

    /// The Markdown table: a row a work, a column a server, and below it why what failed did.
    pub fn markdown(&self, works: &[Work], subjects: &[Subject], sizes: &Sizes) -> String {
        let titles: Vec<&str> = subjects.iter().map(|subject| subject.title()).collect();
        let mut table = format!("| work | {} |\n|---|{}\n", titles.join(" | "), "---|".repeat(titles.len()));
        let mut failures = Vec::new();
        for work in works {
            let _ = write!(table, "| {} |", work.title(sizes));
            for subject in subjects {
                let cell = self.cell(*work, *subject, sizes).unwrap_or_else(|failure| {
                    failures.push(format!("{}, {}: {failure}", subject.title(), work.title(sizes)));
                    format!("failed ({})", failures.len())
                });
                let _ = write!(table, " {cell} |");
            }
            table.push('\n');
        }
        for work in works.iter().filter(|work| work.has_latencies()) {
            let _ = write!(table, "| {}: from making to arrival, median / 99 % |", work.title(sizes));
            subjects
                .iter()
                .for_each(|subject| table.push_str(&format!(" {} |", self.latency(*work, *subject))));
            table.push('\n');
        }
        for (number, failure) in failures.iter().enumerate() {
            let _ = write!(table, "\n({}) {failure}", number + 1);
        }
        if !failures.is_empty() {
            table.push('\n');
        }
        table
    }

    fn cell(&self, work: Work, subject: Subject, sizes: &Sizes) -> Result<String, Failure> {
        let Some(turns) = self.cells.get(&(work, subject)) else { return Ok("–".into()) };
        let measures = turns.iter().cloned().collect::<Result<Vec<Measure>, Failure>>()?;
        let figure = median(measures.iter().map(|measure| measure.figure));
        Ok(match work.unit() {
            Unit::Lost => fate(&measures, sizes.slow * sizes.connections as u64),
            Unit::BytesEach => format!("{} B", thousands(figure.max(0.0).round() as u64)),
            unit => match self.ratio(work, subject) {
                Some(ratio) if subject != Subject::Floor => format!("{ratio:.2}"),
                Some(_) => format!("1 ({})", absolute(unit, figure)),
                None => absolute(unit, figure),
            },
        })
    }

    /// The medians over the turns of the latency that half, and that 99 %, did not pass.
    fn latency(&self, work: Work, subject: Subject) -> String {
        let measures = self.cells.get(&(work, subject)).into_iter().flatten().flatten();
        let within =
            |part| median(measures.clone().map(|measure| measure.latencies.within(part).as_secs_f64() * 1e3));
        let (half, most) = (within(0.5), within(0.99));
        if half.is_nan() { "–".into() } else { format!("{half:.1} / {most:.1} ms") }
    }

    /// The median of the kernel memory of an idle connection, both ends of it, whoever the server is.
    pub fn kernel(&self) -> Option<f64> {
        let measures = self.cells.values().flatten().flatten();
        let figure = median(measures.filter_map(|measure| measure.kernel));
        (!figure.is_nan()).then_some(figure)
    }

    /// The median of the ratios to the floor, each of one turn.
    fn ratio(&self, work: Work, subject: Subject) -> Option<f64> {
        let floor = self.cells.get(&(work, Subject::Floor))?;
        let turns = self.cells.get(&(work, subject))?.iter().zip(floor);
        let ratios =
            turns.map(|(measure, floor)| Some(measure.as_ref().ok()?.figure / floor.as_ref().ok()?.figure));
        Some(median(ratios.collect::<Option<Vec<f64>>>()?.into_iter()))
    }

    /// All figures of all turns, for machines.
    pub fn json(&self) -> serde_json::Value {
        let cells = self.cells.iter().map(|((work, subject), turns)| {
            let turns: Vec<serde_json::Value> = turns.iter().map(turn).collect();
            let unit = format!("{:?}", work.unit());
            serde_json::json!({
                "work": format!("{work:?}"), "server": format!("{subject:?}"), "unit": unit,
                "ratio": self.ratio(*work, *subject), "turns": turns,
            })
        });
        cells.collect()
    }
}

fn turn(measured: &Result<Measure, Failure>) -> serde_json::Value {
    match measured {
        Ok(measure) => serde_json::json!({
            "figure": measure.figure, "wall_seconds": measure.wall.as_secs_f64(),
            "latency_median_ns": measure.latencies.within(0.5).as_nanos() as u64,
            "latency_99_ns": measure.latencies.within(0.99).as_nanos() as u64,
            "lost": measure.outcome.lost, "ended": measure.outcome.ended, "resumed": measure.outcome.resumed,
            "kernel_bytes": measure.kernel,
        }),
        Err(failure) => serde_json::json!({ "failed": failure }),
    }
}

/// What became of the messages to slow readers, of `all`, in the worst turn.
fn fate(measures: &[Measure], all: u64) -> String {
    let outcomes = measures.iter().map(|measure| measure.outcome);
    let Some(worst) = outcomes.max_by_key(|outcome| outcome.lost) else { return "–".into() };
    let kept = match worst.lost {
        0 => "none lost".into(),
        lost => format!("loses {} ({} %)", thousands(lost), 100 * lost / all),
    };
    match worst.ended {
        0 => kept,
        ended => format!("{kept}; {} closed, {} resumed", thousands(ended), thousands(worst.resumed)),
    }
}

/// A figure with its unit.
pub fn absolute(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::SecondsPerMillion => format!("{figure:.3} s"),
        Unit::MicrosEach => format!("{figure:.1} µs"),
        Unit::BytesEach => format!("{figure:.0} B"),
        Unit::Lost => format!("{figure:.0}"),
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => figures[middle],
        _ => (figures[middle - 1] + figures[middle]) / 2.0,
    }
}
