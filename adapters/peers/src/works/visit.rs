//! Connections without messages.

use std::time::Instant;

use super::Measure;
use crate::{
    load::{Crowd, Failure, Readers},
    process::{Process, slabs},
};

/// How many visitors are there at a time.
const AT_ONCE: usize = 16;

/// What a connection costs that closes after its first event.
pub fn come_and_go(process: &Process, visits: usize) -> Result<Measure, Failure> {
    Crowd::new(process.target, Readers::Strict)?.visit(AT_ONCE * 2, AT_ONCE)?; // What is only paid once.
    process.wait_for_sessions(0)?;
    let (before, started) = (process.cpu()?, Instant::now());
    Crowd::new(process.target, Readers::Strict)?.visit(visits, AT_ONCE)?;
    let wall = started.elapsed();
    process.wait_for_sessions(0)?;
    let figure = (process.cpu()? - before).as_secs_f64() * 1e6 / visits as f64;
    Ok(Measure { figure, wall, ..Measure::default() })
}

/// What so many idle connections cost in memory, each; what the first one costs is not counted.
pub fn idle(process: &Process, connections: usize) -> Result<Measure, Failure> {
    let mut first = Crowd::new(process.target, Readers::Strict)?;
    first.listen(1)?;
    process.settled_cpu()?;
    let (before, slabs_before) = (process.memory()?, slabs());
    let mut crowd = Crowd::new(process.target, Readers::Strict)?;
    crowd.listen(connections)?;
    process.settled_cpu()?;
    let (after, slabs_after) = (process.memory()?, slabs());
    process.wait_for_sessions(connections as u64 + 1)?;
    let each = |before: u64, after: u64| (after as f64 - before as f64) / connections as f64;
    let kernel = slabs_before.zip(slabs_after).map(|(before, after)| each(before, after));
    Ok(Measure { figure: each(before, after), kernel, ..Measure::default() })
}
