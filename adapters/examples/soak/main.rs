//! A soak: thousands of streams for a quarter of an hour, some slow, some leaving and coming, with faults on.
//!
//! ```sh
//! cargo run --release -p sansio-sse-adapters --features tokio --example soak -- --runtime smol
//! ```
//!
//! On tokio, set `MALLOC_ARENA_MAX=1`: with a heap for each thread, glibc's fragmentation alone grows for a quarter
//! of an hour by more than is allowed here.
//!
//! Options: `--runtime smol|tokio`, `--seconds N` (900), `--streams N` (5000), `--idle-seconds N` (60). Linux only:
//! the figures of the server, which is a process of its own, come from `/proc`.
//!
//! First all streams are idle, for the server's share of a core. Then each gets a message every 3 s. Of the
//! clients, 5 % are slow: they read nothing for long, or a little at a time. One in a hundred of the others leaves
//! every second (by closing, with a reset, with a half-close, or because the server finishes the stream), and
//! comes again. Beside them are requests that are wrong, slow, never whole, or whose client is gone.
//!
//! Each client holds what comes against what must come, message by message; and for every stream the server's
//! account (accepted, undelivered) is held against what the client got of it. Where the connection ended in order,
//! with or without the last chunk, the client must have got exactly what was delivered; where it was reset, no more.
//!
//! It has been seen to fail with a stream that counts one undelivered frame too few.
//!
//! The exit code is 1 if anything did not hold, if descriptors or connections were left at the end, or if ten
//! minutes or more after the warm-up (a fifth of the time) the memory's slope is 1 MiB in ten minutes or more.

mod ask;
mod book;
mod client;
mod faults;
mod meter;
mod process;
mod reading;
mod server;

use std::env;
use std::error::Error;
use std::future::Future;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use smol::{LocalExecutor, Timer};

use book::Book;
use client::Load;
use meter::Reading;
use process::Process;

/// One client in this many is slow.
const SLOW: usize = 20;

/// Descriptors beside those of the streams.
const SPARE: usize = 500;

struct Options {
    runtime: String,
    seconds: u64,
    idle_seconds: u64,
    streams: usize,
}

fn main() -> ExitCode {
    let result = match env::args().nth(1).as_deref() {
        Some("--serve") => server::run(&env::args().nth(2).unwrap_or_default()).map(|()| true),
        Some(_) | None => options().and_then(|options| {
            let executor = Rc::new(LocalExecutor::new());
            smol::block_on(executor.run(soak(&executor, &options)))
        }),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, Box<dyn Error>> {
    let mut options = Options { runtime: "smol".into(), seconds: 900, idle_seconds: 60, streams: 5_000 };
    let mut args = env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--runtime" if value == "smol" || value == "tokio" => options.runtime = value,
            "--seconds" => options.seconds = value.parse()?,
            "--idle-seconds" => options.idle_seconds = value.parse()?,
            "--streams" => options.streams = value.parse()?,
            _ => return Err(format!("{name} {value} is not understood").into()),
        }
    }
    let (has, needs) = (meter::descriptor_limit()?, options.streams + SPARE);
    if has < needs {
        return Err(format!("{has} descriptors are allowed, {needs} are needed: ulimit -n {needs}").into());
    }
    Ok(options)
}

/// Runs both phases; whether all held.
async fn soak(executor: &Rc<LocalExecutor<'static>>, options: &Options) -> Result<bool, Box<dyn Error>> {
    let mut process = Process::start(&options.runtime)?;
    let start = process.reading()?;
    println!("{}: {} streams; RSS {}", options.runtime, options.streams, mib(start.rss_kib));

    let (idle_cpu, mut violations) = idle(executor, options, &mut process).await?;
    violations.extend(process.gone(&start).await?);
    let (book, readings) = load(executor, options, &mut process).await?;
    violations.extend(process.gone(&start).await?);
    violations.extend(book.violations.iter().cloned());
    let end = process.reading()?;

    let warm: Vec<_> = readings.iter().copied().skip(readings.len() / 5).collect();
    let (Some(first), Some(last)) = (warm.first(), warm.last()) else { return Err("no reading".into()) };
    let (slope, measured) = (meter::slope(&warm), last.at - first.at);
    println!("\nsummary: {}, {} streams, {} s", options.runtime, options.streams, options.seconds);
    println!(
        "  idle: {idle_cpu:.2} % of a core for {} streams, over {} s",
        options.streams, options.idle_seconds
    );
    println!("  ended: {}", reasons(&book));
    println!(
        "  messages: {} accepted = {} delivered + {} undelivered; {} came; {} streams exact to the message",
        book.accepted,
        book.accepted - book.undelivered,
        book.undelivered,
        book.received,
        book.exact
    );
    println!("  wrong requests, answered as they must be: {}", book.refused);
    println!("  CPU under load: {:.1} % of a core", last.cpu_since(first));
    println!(
        "  RSS: {} after the warm-up, {} at the end of the load; slope {slope:+.2} MiB in 10 minutes, over {} s",
        mib(first.rss_kib),
        mib(last.rss_kib),
        measured.as_secs()
    );
    println!(
        "  after all have left: {} descriptors, {} at the start; RSS {}",
        end.descriptors,
        start.descriptors,
        mib(end.rss_kib)
    );
    if measured >= Duration::from_secs(600) && slope >= 1.0 {
        violations.push(format!("memory grows by {slope:.2} MiB in 10 minutes"));
    }
    if idle_cpu >= 1.0 {
        println!("  note: idle streams take 1 % of a core or more");
    }
    println!("  violations: {}", violations.len());
    violations.iter().take(20).for_each(|what| println!("    {what}"));
    Ok(violations.is_empty())
}

/// All streams without a message: the server's share of a core, and what did not hold.
async fn idle(
    executor: &LocalExecutor<'static>,
    options: &Options,
    process: &mut Process,
) -> Result<(f64, Vec<String>), Box<dyn Error>> {
    let (stop, over) = smol::channel::bounded(1);
    let load = Load::new(process.addr, over);
    let telling = tell(executor, process, &load);
    let clients = come(executor, options.streams, |_| Rc::clone(&load).idle()).await;
    Timer::after(Duration::from_secs(5)).await;
    let before = process.reading()?;
    Timer::after(Duration::from_secs(options.idle_seconds)).await;
    let after = process.reading()?;
    let cpu = after.cpu_since(&before);
    println!("idle: CPU {cpu:.2} %, RSS {}, {} descriptors", mib(after.rss_kib), after.descriptors);
    drop(stop);
    for client in clients {
        client.await;
    }
    Timer::after(Duration::from_secs(3)).await;
    drop(telling);
    let mut book = load.book.borrow_mut();
    book.close();
    Ok((cpu, std::mem::take(&mut book.violations)))
}

/// The load itself: the closed book, and the server's readings, one every 10 s.
async fn load(
    executor: &LocalExecutor<'static>,
    options: &Options,
    process: &mut Process,
) -> Result<(Book, Vec<Reading>), Box<dyn Error>> {
    let (stop, over) = smol::channel::bounded(1);
    let load = Load::new(process.addr, over);
    let telling = tell(executor, process, &load);
    let begun = Instant::now();
    let mut clients = vec![
        executor.spawn(faults::wrong(Rc::clone(&load))),
        executor.spawn(faults::slow_head(Rc::clone(&load))),
        executor.spawn(faults::hasty(Rc::clone(&load))),
    ];
    let each = |n: usize| -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        match n % SLOW {
            0 if n.is_multiple_of(2 * SLOW) => Box::pin(Rc::clone(&load).sleeper()),
            0 => Box::pin(Rc::clone(&load).trickler()),
            _ => Box::pin(Rc::clone(&load).usual()),
        }
    };
    clients.extend(come(executor, options.streams, each).await);

    let mut readings = vec![process.reading()?];
    let mut own = Reading::of(std::process::id())?;
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        Timer::after(Duration::from_secs(10)).await;
        let (reading, before, own_before) = (process.reading()?, readings[readings.len() - 1], own);
        own = Reading::of(std::process::id())?;
        let book = load.book.borrow();
        println!(
            "{:4} s: {} streams, {} messages; ended: {}; {} refused; RSS {}, {} descriptors; CPU {:.1} % (clients {:.1} %)",
            begun.elapsed().as_secs(),
            book.open,
            book.received,
            reasons(&book),
            book.refused,
            mib(reading.rss_kib),
            reading.descriptors,
            reading.cpu_since(&before),
            own.cpu_since(&own_before)
        );
        readings.push(reading);
    }
    drop(stop);
    for client in clients {
        client.await;
    }
    Timer::after(Duration::from_secs(20)).await; // Longer than any clock of a stream.
    drop(telling);
    let mut book = load.book.take();
    book.close();
    Ok((book, readings))
}

/// Lets the clients come, 500 a second.
async fn come<F: Future<Output = ()> + 'static>(
    executor: &LocalExecutor<'static>,
    streams: usize,
    client: impl Fn(usize) -> F,
) -> Vec<smol::Task<()>> {
    let mut clients = Vec::new();
    for n in 0..streams {
        clients.push(executor.spawn(client(n)));
        if n % 10 == 9 {
            Timer::after(Duration::from_millis(20)).await;
        }
    }
    clients
}

/// Enters into the book what the server tells, until the task is dropped.
fn tell(executor: &LocalExecutor<'static>, process: &Process, load: &Rc<Load>) -> smol::Task<()> {
    let (ends, load) = (process.ends.clone(), Rc::clone(load));
    executor.spawn(async move {
        while let Ok((key, told)) = ends.recv().await {
            load.book.borrow_mut().told(key, told);
        }
    })
}

fn reasons(book: &Book) -> String {
    let reasons: Vec<_> = book.reasons.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
    reasons.join(", ")
}

fn mib(kib: u32) -> String {
    format!("{:.1} MiB", f64::from(kib) / 1024.0)
}
