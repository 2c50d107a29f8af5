//! Whether a byte costs more in a larger chunk or a larger event, and what a large event leaves behind.

use std::hint::black_box;
use std::num::NonZeroUsize;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sansio_sse::{Decoded, Decoder};

use crate::decoders::Pieces;
use crate::{allocations, corpus, decoders, figure, meter};

fn cut(wire: &'static [u8], size: usize) -> Pieces {
    Pieces { wire, size: size.min(wire.len()), times: 1 }
}

const SIZES: [usize; 9] = [16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
const BYTES: usize = 1 << 20;
/// Whoever takes longer than this for a mebibyte, in seconds, is not asked for the larger sizes.
const TOO_LONG: f64 = 0.5;

/// Nanoseconds a byte by size of chunk, and by size of event in pieces of two sizes.
pub fn time() {
    let tokens = corpus::tokens(BYTES);
    table("size of the chunks of a token stream", |size| cut(tokens, size));
    table("size of the events, in pieces of 1,460 bytes", |size| cut(corpus::events_of(size, BYTES), 1460));
    table("size of the events, in pieces of 16 bytes", |size| cut(corpus::events_of(size, BYTES), 16));
    table("size of the events, in one piece", |size| cut(corpus::events_of(size, BYTES), usize::MAX));
}

fn table(what: &str, pieces: impl Fn(usize) -> Pieces) {
    println!("### Decoding, nanoseconds a KiB by {what}\n");
    let subjects = decoders::all();
    let mut cells = vec![Vec::new(); subjects.len()];
    let mut out = vec![false; subjects.len()];
    for size in SIZES {
        let pieces = pieces(size);
        let bytes = pieces.wire.len();
        for (n, subject) in subjects.iter().enumerate() {
            if out[n] {
                cells[n].push("–".to_owned());
                continue;
            }
            let work: Box<dyn FnMut()> = Box::new(|| {
                black_box((subject.time)(pieces));
            });
            let seconds = meter::measure(5, 0.004, &mut [work])[0];
            out[n] = seconds > TOO_LONG;
            cells[n].push(figure(seconds * 1e9 * 1024.0 / bytes as f64));
        }
    }
    let names: Vec<_> = SIZES.iter().map(|size| size_name(*size)).collect();
    println!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for (subject, cells) in subjects.iter().zip(&cells) {
        println!("| {} | {} |", subject.name, cells.join(" | "));
    }
    println!();
}

fn size_name(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..0x10_0000 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

/// What a decoder owns once an event of 500 KiB is over, and then with 1,000 small ones held by its user.
pub fn memory() {
    let large = corpus::events_of(500 << 10, 1);
    let pieces: Vec<_> = cut(large, 1460).iter().collect();
    let small: &'static [u8] = b"data: a small event\n\n";
    println!("### Memory behind an event of 500 KiB that came in pieces of 1,460 bytes, bytes\n");
    println!(
        "| | the decoder, that event dropped | it and 1,000 small events that are held |\n|---|---|---|"
    );

    let begun = allocations::live();
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    for mut piece in pieces.iter().copied() {
        while let Some(decoded) = decoder.decode(&mut piece) {
            black_box(decoded.is_ok());
        }
    }
    let behind = allocations::live() - begun;
    let mut held = Vec::with_capacity(1000);
    let begun_held = allocations::live();
    for _ in 0..1000 {
        let mut piece = small;
        while let Some(decoded) = decoder.decode(&mut piece) {
            if let Ok(Decoded::Event(event)) = decoded {
                held.push(event.to_event());
            }
        }
    }
    assert_eq!(held.len(), 1000);
    println!("| **ours** | {behind} | {} |", behind + allocations::live() - begun_held);
    drop(held);

    let begun = allocations::live();
    let mut decoder = sse_core::SseDecoder::with_limit(NonZeroUsize::new(4 << 20).expect("not zero"));
    for mut piece in pieces.iter().copied() {
        while let Some(event) = decoder.next(&mut piece) {
            black_box(event.is_ok());
        }
    }
    let behind = allocations::live() - begun;
    let mut held = Vec::with_capacity(1000);
    let begun_held = allocations::live();
    for _ in 0..1000 {
        let mut piece = small;
        while let Some(event) = decoder.next(&mut piece) {
            held.push(event);
        }
    }
    assert_eq!(held.len(), 1000);
    println!("| `sse-core` 0.2 | {behind} | {} |", behind + allocations::live() - begun_held);
    drop(held);

    let pieces: Vec<_> = pieces.iter().copied().chain(std::iter::repeat_n(small, 1000)).collect();
    let input = stream::iter(
        pieces.into_iter().map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from_static(piece))),
    );
    let begun = allocations::live();
    let mut stream = sse_stream::SseByteStream::new(input);
    let mut held = Vec::with_capacity(1000);
    let begun_held = allocations::live() - begun;
    let mut next = || {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match stream.poll_next_unpin(&mut context) {
            std::task::Poll::Ready(event) => event,
            std::task::Poll::Pending => None,
        }
    };
    drop(next());
    let behind = allocations::live() - begun - begun_held;
    held.extend(std::iter::from_fn(next));
    assert_eq!(held.len(), 1000);
    println!("| `sse-stream` 0.3 | {behind} | {} |\n", allocations::live() - begun - begun_held);
}
