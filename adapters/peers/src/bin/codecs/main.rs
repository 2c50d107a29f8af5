//! Measures our decoder and encoder beside their peers, in one run, and prints it as Markdown.
//!
//! Usage: `cargo run --release --manifest-path adapters/peers/Cargo.toml --bin codecs [decode] [encode] [growth] [memory]`
//!
//! Without words it does all four. Every result is checked before it is timed: decoders for the number of events and
//! a hash of their text, encoders by decoding what they wrote. Times are CPU time of the thread, the median of
//! interleaved turns.
//!
//! Where the time goes, in instructions as callgrind counts them (`adapters/benches/check` keeps them):
//! - A token lent from a large piece takes 196: 13 are its share of the check of UTF-8, which is done for 4 KiB at once
//!   (checked by itself it takes 115, most of them on the bytes in front of and behind what is aligned), about 60 the
//!   search for its end, the rest the comparison of its name, the bounds and the hand-over.
//! - An event of 64 KiB is the search (0.22 a byte) and the check (0.44 a byte): `str::from_utf8` is the only way from
//!   bytes to text in safe code, and bounds it; `sse-stream` checks with `simdutf8`, on vectors. The line "memchr2,
//!   and `str::from_utf8`" shows that bound.
//! - Of an event of 300 bytes in pieces of 16, each piece takes about 130: 25 for the search, 10 for the copy, the rest
//!   for the call and its bounds. Where lines are short, each piece has the end of one and the beginning of another:
//!   240.
//! - A frame that is shared takes 520: 140 for the allocator, 100 for the search, 40 for zeros, 60 for the copy.
//!
//! Left out is `eventsource-client`: its parser is private, and what is public takes an HTTP transport and a runtime.
#![deny(unsafe_code)]

mod allocations;
mod by_hand;
mod corpus;
mod decoders;
mod encoders;
mod growth;
mod meter;

use std::process::Command;

use corpus::Corpus;
use decoders::{Pieces, Tally};

const TURNS: usize = 15;
/// Seconds of one turn.
const TURN: f64 = 0.004;
/// Sizes of the pieces that the stream comes in: all at once, what a TCP segment holds, and a trickle.
const PIECES: [usize; 3] = [usize::MAX, 1460, 16];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |word: &str| words.is_empty() || words.iter().any(|one| one == word);
    println!("Measured with `cargo run --release --manifest-path adapters/peers/Cargo.toml --bin codecs`");
    println!("on {}.\n", machine());
    let corpora = corpus::all();
    if wanted("decode") {
        decode(&corpora);
    }
    if wanted("encode") {
        encode(&corpora);
    }
    if wanted("growth") {
        growth::time();
    }
    if wanted("memory") {
        growth::memory();
    }
}

fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("an unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().map(|out| out.stdout).unwrap_or_default();
    let rustc = String::from_utf8_lossy(&rustc);
    format!("{model}, {cores} cores, {}", rustc.split(" (").next().unwrap_or_default())
}

fn decode(corpora: &[Corpus]) {
    let subjects = decoders::all();
    let mut speeds = vec![Vec::new(); subjects.len() + 2];
    let mut allocated = vec![Vec::new(); subjects.len()];
    for corpus in corpora {
        let mut expected = Tally::default();
        corpus.texts.iter().for_each(|text| expected.add(text));
        for size in PIECES {
            // Often enough that buffers have their size, as in a stream that lasts.
            let pieces = Pieces { wire: corpus.wire, size: size.min(corpus.wire.len()), times: 8 };
            let once = Pieces { times: 1, ..pieces };
            for (subject, allocated) in subjects.iter().zip(&mut allocated) {
                assert_eq!((subject.check)(once), expected, "{} on {}", subject.name, corpus.name);
                let before = allocations::count();
                (subject.time)(pieces);
                allocated.push((allocations::count() - before) as f64 / 8.0 / expected.events as f64);
            }
            let mut works: Vec<Box<dyn FnMut()>> = Vec::new();
            for subject in &subjects {
                works.push(Box::new(|| {
                    std::hint::black_box((subject.time)(pieces));
                }));
            }
            works.push(Box::new(|| {
                std::hint::black_box(decoders::memchr2(pieces));
            }));
            works.push(Box::new(|| {
                std::hint::black_box(decoders::memchr2_and_utf8(pieces));
            }));
            for (speed, seconds) in speeds.iter_mut().zip(meter::measure(TURNS, TURN, &mut works)) {
                speed.push(8.0 * corpus.wire.len() as f64 / seconds / 1e9);
            }
        }
    }
    println!("### Decoding, GB/s\n\nWhole buffers / pieces of 1,460 bytes / pieces of 16 bytes.\n");
    head("", corpora);
    for (subject, speed) in subjects.iter().zip(&speeds) {
        row(subject.name, speed, PIECES.len(), figure);
    }
    let peers: Vec<_> = subjects.iter().zip(&speeds).filter(|(s, _)| s.is_peer).map(|(_, s)| s).collect();
    row("memchr2 over the same bytes", &speeds[subjects.len()], PIECES.len(), figure);
    row("memchr2, and `str::from_utf8`", &speeds[subjects.len() + 1], PIECES.len(), figure);
    let best = |n: usize| peers.iter().map(|peer| peer[n]).fold(0.0, f64::max);
    for (subject, ours) in subjects.iter().zip(&speeds).take(2) {
        let ratios: Vec<f64> = ours.iter().enumerate().map(|(n, speed)| speed / best(n)).collect();
        row(&format!("{} ÷ the best peer", subject.name), &ratios, PIECES.len(), |n| format!("**{n:.1}**"));
    }
    println!("\n### Decoding, allocations an event\n");
    head("", corpora);
    for (subject, allocated) in subjects.iter().zip(&allocated) {
        row(subject.name, allocated, PIECES.len(), figure);
    }
    println!();
}

fn encode(corpora: &[Corpus]) {
    let subjects = encoders::all();
    let corpora = &corpora[..4];
    let mut speeds = vec![Vec::new(); subjects.len() + 1];
    let mut allocated = vec![Vec::new(); subjects.len()];
    for corpus in corpora {
        let texts = &corpus.texts[..];
        let mut expected = Tally::default();
        texts.iter().for_each(|text| expected.add(text));
        for (subject, allocated) in subjects.iter().zip(&mut allocated) {
            let wire = (subject.check)(texts).leak();
            assert_eq!(
                (decoders::all()[0].check)(Pieces { wire, size: wire.len(), times: 1 }),
                expected,
                "{} on {}",
                subject.name,
                corpus.name
            );
            let before = allocations::count();
            (subject.time)(texts);
            allocated.push((allocations::count() - before) as f64 / expected.events as f64);
        }
        let frames: Vec<Vec<u8>> =
            texts.iter().map(|text| sansio_sse::Frame::message(text).as_bytes().to_vec()).collect();
        let mut works: Vec<Box<dyn FnMut()>> = Vec::new();
        for subject in &subjects {
            works.push(Box::new(|| (subject.time)(texts)));
        }
        works.push(Box::new(|| encoders::memcpy(&frames)));
        for (speed, seconds) in speeds.iter_mut().zip(meter::measure(TURNS, TURN, &mut works)) {
            speed.push(corpus.wire.len() as f64 / seconds / 1e9);
        }
    }
    println!("### Encoding, GB/s\n\nThe search for line breaks in the data is part of it.\n");
    head("", corpora);
    for (subject, speed) in subjects.iter().zip(&speeds) {
        row(subject.name, speed, 1, figure);
    }
    row("memcpy of the encoded message", &speeds[subjects.len()], 1, figure);
    let peers: Vec<_> = subjects.iter().zip(&speeds).filter(|(s, _)| s.is_peer).map(|(_, s)| s).collect();
    for (name, ours) in [("a buffer", &speeds[0]), ("a `Frame`", &speeds[1])] {
        let best = |n: usize| peers.iter().map(|peer| peer[n]).fold(0.0, f64::max);
        let ratios: Vec<f64> = ours.iter().enumerate().map(|(n, speed)| speed / best(n)).collect();
        row(&format!("**ours, {name} ÷ the best peer**"), &ratios, 1, |n| format!("**{n:.1}**"));
    }
    println!("\n### Encoding, allocations a message\n");
    head("", corpora);
    for (subject, allocated) in subjects.iter().zip(&allocated) {
        row(subject.name, allocated, 1, figure);
    }
    println!();
}

fn head(first: &str, corpora: &[Corpus]) {
    let names: Vec<_> = corpora.iter().map(|corpus| corpus.name).collect();
    println!("| {first} | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
}

fn row(name: &str, cells: &[f64], together: usize, show: impl Fn(f64) -> String) {
    let cells: Vec<_> = cells
        .chunks(together)
        .map(|cell| cell.iter().map(|n| show(*n)).collect::<Vec<_>>().join(" / "))
        .collect();
    println!("| {name} | {} |", cells.join(" | "));
}

/// Two digits that count.
pub fn figure(n: f64) -> String {
    match n {
        _ if n < 0.0005 => "0".to_owned(),
        _ if n >= 10.0 => format!("{n:.0}"),
        _ if n >= 1.0 => format!("{n:.1}"),
        _ if n >= 0.1 => format!("{n:.2}"),
        _ if n >= 0.01 => format!("{n:.3}"),
        _ => format!("{n:.4}"),
    }
}
