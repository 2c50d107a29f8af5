//! Measures sansio-sse beside its peers and a floor, in one run.

mod contract;
mod growth;
mod load;
mod process;
mod profile;
mod server;
mod subject;
mod table;
mod works;

use std::{error::Error, path::PathBuf, time::Instant};

use clap::{Parser, Subcommand, ValueEnum};

use load::Failure;
use process::{Cores, Process};
use profile::Profile;
use subject::Subject;
use table::Results;
use works::{Sizes, Work};

/// Measures sansio-sse beside its peers, each figure as ratio to a bare epoll server in the same run.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

#[derive(Subcommand)]
enum Command {
    /// Serves on 127.0.0.1, as one of the servers under test.
    Serve {
        /// Which.
        kind: server::Kind,
        /// The port.
        port: u16,
        /// How many threads.
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// Measures how the cost of a message and the memory of a connection grow with connections, topics and threads.
    Growth {
        /// The servers; the floor and ours by default.
        #[arg(long, short, value_delimiter = ',', default_value = "floor,ours-tokio,ours-smol")]
        servers: Vec<Subject>,
        /// What grows; all by default.
        #[arg(long, short, value_delimiter = ',', default_value = "connections,topics,threads")]
        axes: Vec<growth::Axis>,
        /// How often each figure is taken.
        #[arg(long, short, default_value_t = 3)]
        turns: usize,
        /// Bytes of a message's data.
        #[arg(long, default_value_t = 200)]
        size: usize,
        /// The example `load_server`, built; otherwise it is built here.
        #[arg(long, value_name = "FILE")]
        load_server: Option<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Compare {
    /// The servers, with the floor first; all by default.
    #[arg(long, short, value_delimiter = ',')]
    servers: Vec<Subject>,
    /// The works; all by default.
    #[arg(long, short, value_delimiter = ',')]
    works: Vec<Work>,
    /// How often each work is done on each server, all servers in turn; by default 5, with --small 1.
    #[arg(long, short)]
    turns: Option<usize>,
    /// Less of each work: a look, not a measurement.
    #[arg(long)]
    small: bool,
    /// Bytes of a message's data.
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// Messages at once to slow readers; by default 5,000.
    #[arg(long, value_name = "N")]
    slow_messages: Option<u64>,
    /// Threads (and cores) of the servers that can have more than one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// The example `load_server`, built; otherwise it is built here.
    #[arg(long, value_name = "FILE")]
    load_server: Option<PathBuf>,
    /// Where all figures of all turns go.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where `perf` records what each server does, one file a work and server; it makes the figures larger.
    #[arg(long, value_name = "DIRECTORY")]
    perf: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { command, compare } = Options::parse();
    match command {
        Some(Command::Serve { kind, port, threads }) => server::serve(kind, port, threads),
        Some(Command::Growth { mut servers, axes, turns, size, mut load_server }) => {
            process::raise_descriptors(10_000)?;
            build_ours(&mut load_server, &mut servers);
            let growth =
                growth::Growth { subjects: &servers, load_server: load_server.as_deref(), turns, size };
            for axis in axes {
                println!("{}", growth.along(axis)?);
            }
            println!(
                "{}. Median of {turns} turns, {size}-byte messages: `{}`",
                process::machine(),
                command_line()
            );
            Ok(())
        }
        None => compare.run(),
    }
}

/// Builds ours where it is measured; without it, the others are.
fn build_ours(load_server: &mut Option<PathBuf>, servers: &mut Vec<Subject>) {
    if load_server.is_some() || !servers.iter().any(|subject| subject.is_ours()) {
        return;
    }
    match subject::build_load_server() {
        Ok(file) => *load_server = Some(file),
        Err(failure) => {
            eprintln!("without ours: {failure}");
            servers.retain(|subject| !subject.is_ours());
        }
    }
}

impl Compare {
    fn run(mut self) -> Result<(), Box<dyn Error>> {
        if self.servers.is_empty() {
            self.servers = Subject::value_variants().to_vec();
        }
        if self.works.is_empty() {
            self.works = Work::value_variants().to_vec();
        }
        let mut sizes = if self.small { Sizes::SMALL } else { Sizes::WHOLE };
        sizes.message = self.size;
        sizes.slow = self.slow_messages.unwrap_or(sizes.slow);
        let turns = self.turns.unwrap_or(if self.small { 1 } else { 5 });
        process::raise_descriptors(sizes.many)?;
        build_ours(&mut self.load_server, &mut self.servers);
        let cores = Cores::share(self.threads)?;
        let started = Instant::now();
        let mut results = Results::default();
        for turn in 1..=turns {
            for work in &self.works {
                for subject in self.servers.iter().filter(|subject| work.is_for(**subject)) {
                    let program = subject.program(self.threads, self.load_server.as_deref())?;
                    let measured = Process::start(&program, &cores).and_then(|process| {
                        let _profile = self.profile(&process, *work, *subject)?;
                        work.run(*subject, &process, &sizes)
                    });
                    let figure = match &measured {
                        Ok(measure) => table::absolute(work.unit(), measure.figure),
                        Err(failure) => failure.clone(),
                    };
                    eprintln!("turn {turn} of {turns}, {work:?}, {}: {figure}", subject.title());
                    results.add(*work, *subject, measured);
                }
            }
        }
        println!("{}", results.markdown(&self.works, &self.servers, &sizes));
        println!("{}; {}.", process::machine(), cores.words);
        if let Some(kernel) = results.kernel() {
            println!(
                "In the kernel an idle connection has {kernel:.0} bytes in slabs, both its ends together."
            );
        }
        println!(
            "Median of {turns} turns, {}-byte messages, {} s in all: `{}`",
            self.size,
            started.elapsed().as_secs(),
            command_line()
        );
        if let Some(file) = &self.json {
            std::fs::write(file, results.json().to_string())?;
        }
        Ok(())
    }

    /// Begins to record, where that is wanted.
    fn profile(&self, process: &Process, work: Work, subject: Subject) -> Result<Option<Profile>, Failure> {
        let file = self.perf.as_ref().map(|directory| directory.join(format!("{work:?}-{subject:?}.perf")));
        file.map(|file| Profile::start(process, &file)).transpose()
    }
}

/// The command that does this again.
fn command_line() -> String {
    let mut line = String::from("cargo run --release --manifest-path adapters/peers/Cargo.toml");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        line.push_str(" -- ");
        line.push_str(&arguments.join(" "));
    }
    line
}
