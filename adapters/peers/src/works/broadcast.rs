//! Messages for all.

use std::time::{Duration, Instant};

use super::{Measure, Sizes};
use crate::{
    load::{Crowd, Failure, Histogram, Readers},
    process::Process,
};

/// What a message costs when `bursts` times `n` of them are published at once to so many connections, each burst when
/// everybody has the one before.
pub fn bursts(
    process: &Process,
    connections: usize,
    bursts: u64,
    (n, size): (u64, usize),
) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.target, Readers::Strict)?;
    crowd.listen(connections)?;
    published(process, crowd, |crowd| {
        for _ in 0..bursts {
            crowd.publish(n, size, 0)?;
        }
        Ok(bursts * n * connections as u64)
    })
}

/// What a message costs when `n` are published at `rate` a second to so many connections.
pub fn paced(
    process: &Process,
    connections: usize,
    (n, size): (u64, usize),
    rate: u64,
) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.target, Readers::Strict)?;
    crowd.listen(connections)?;
    published(process, crowd, |crowd| {
        crowd.publish(n, size, rate)?;
        Ok(n * connections as u64)
    })
}

/// What a message costs when `n` at once go to each of some topics, among which the connections are shared out.
pub fn topics(
    process: &Process,
    connections: usize,
    topics: usize,
    (n, size): (u64, usize),
) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.target, Readers::Strict)?;
    crowd.share_topics(topics);
    crowd.listen(connections)?;
    published(process, crowd, |crowd| {
        for topic in 0..topics {
            crowd.publish_topic(topic, n, size)?;
        }
        Ok(n * connections as u64)
    })
}

/// What a message costs of those that `publish` publishes; it says how many were delivered.
fn published(
    process: &Process,
    mut crowd: Crowd,
    publish: impl FnOnce(&mut Crowd) -> Result<u64, Failure>,
) -> Result<Measure, Failure> {
    crowd.publish(1, 64, 0)?; // What is only paid once.
    crowd.latencies = Histogram::default();
    let (before, started) = (process.cpu()?, Instant::now());
    let delivered = publish(&mut crowd)?;
    let wall = started.elapsed();
    let cpu = process.settled_cpu()? - before;
    let figure = cpu.as_secs_f64() * 1e6 / delivered as f64;
    Ok(Measure { figure, wall, latencies: crowd.latencies, ..Measure::default() })
}

/// What becomes of messages of which some connections read none for a while.
pub fn slow(process: &Process, sizes: &Sizes) -> Result<Measure, Failure> {
    let mut crowd = Crowd::new(process.target, Readers::Counting)?;
    crowd.listen(sizes.connections)?;
    let messages = (sizes.slow, sizes.message);
    let outcome = crowd.publish_to_slow(messages, 0..sizes.slow_readers, sizes.pause)?;
    let wall = Duration::ZERO; // Most of it is the pause.
    Ok(Measure {
        figure: outcome.lost as f64,
        wall,
        latencies: crowd.latencies,
        outcome,
        ..Measure::default()
    })
}
