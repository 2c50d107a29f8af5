//! Messages for one connection alone.

use std::time::Instant;

use super::{Measure, mcp};
use crate::{
    load::{Crowd, Failure, Readers, request},
    process::Process,
    subject::Subject,
};

/// What a message costs on `count` streams of their own with `n` messages each, as fast as possible.
pub fn streams(
    subject: Subject,
    process: &Process,
    count: usize,
    (n, size): (u64, usize),
) -> Result<Measure, Failure> {
    let address = process.target.address;
    let requests = |count, n| match subject {
        Subject::Rmcp => mcp::requests(address, count, n, size),
        _ => {
            let target = format!("/stream?n={n}&size={size}");
            Ok(vec![request(address, "GET", &target, "Accept: text/event-stream\r\n"); count])
        }
    };
    // What is only paid once.
    Crowd::new(process.target, Readers::Strict)?.stream(&requests(1, 10)?, 10, size)?;
    let requests = requests(count, n)?;
    let mut crowd = Crowd::new(process.target, Readers::Strict)?;
    let (before, started) = (process.cpu()?, Instant::now());
    crowd.stream(&requests, n, size)?;
    let wall = started.elapsed();
    let cpu = process.settled_cpu()? - before;
    let figure = cpu.as_secs_f64() * 1e6 / (n * count as u64) as f64;
    Ok(Measure { figure, wall, latencies: crowd.latencies, ..Measure::default() })
}
