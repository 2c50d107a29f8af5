//! Every decoder behind one function: pieces in, the data of each event out.

use std::convert::Infallible;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::{Stream, stream};
use sansio_sse::{Decoded, Decoder};

use crate::by_hand::ByHand;

/// What came out: compared with what went in before anything is timed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub events: usize,
    pub hash: u64,
}

impl Tally {
    pub fn add(&mut self, text: &str) {
        self.events += 1;
        for byte in text.bytes().chain([0xFF]) {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        }
    }
}

/// A stream as often as `times`, in pieces of `size` bytes.
#[derive(Clone, Copy)]
pub struct Pieces {
    pub wire: &'static [u8],
    pub size: usize,
    pub times: usize,
}

impl Pieces {
    pub fn iter(self) -> impl Iterator<Item = &'static [u8]> {
        (0..self.times).flat_map(move |_| self.wire.chunks(self.size))
    }
}

/// One decoder: a run that checks, and a run that only counts and touches what comes out.
pub struct Subject {
    pub name: &'static str,
    pub is_peer: bool,
    pub check: fn(Pieces) -> Tally,
    pub time: fn(Pieces) -> usize,
}

macro_rules! subject {
    ($name:expr, $is_peer:expr, $run:ident) => {
        Subject {
            name: $name,
            is_peer: $is_peer,
            check: |pieces| {
                let mut tally = Tally::default();
                $run(pieces, |text| tally.add(text));
                tally
            },
            time: |pieces| {
                let mut events = 0;
                $run(pieces, |text| {
                    black_box(text);
                    events += 1;
                });
                events
            },
        }
    };
}

/// Ours first, then the least that can be done, then the peers.
pub fn all() -> [Subject; 7] {
    [
        subject!("**ours, lent, by `Piece::decode`**", false, lent),
        subject!("**ours, lent, by `Decoder::decode`**", false, lent_singly),
        subject!("ours, owned", false, owned),
        subject!("by hand, data alone, no limits", false, by_hand),
        subject!("`sse-stream` 0.3", true, sse_stream),
        subject!("`sse-core` 0.2", true, sse_core),
        subject!("`eventsource-stream` 0.2", true, eventsource_stream),
    ]
}

/// The limit of decoding: nothing but the search for line ends.
pub fn memchr2(pieces: Pieces) -> usize {
    pieces.iter().map(|piece| memchr::memchr2_iter(b'\r', b'\n', piece).count()).sum()
}

/// The limit of decoding to `&str` without unsafe code: that search, and the standard library's check of UTF-8.
pub fn memchr2_and_utf8(pieces: Pieces) -> usize {
    let count = |piece| memchr::memchr2_iter(b'\r', b'\n', piece).count();
    pieces.iter().map(|piece| count(piece) + usize::from(std::str::from_utf8(piece).is_ok())).sum()
}

fn lent(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let mut decoder = Decoder::new(NonZeroUsize::new(4 << 20).expect("not zero"));
    for bytes in pieces.iter() {
        let mut piece = decoder.piece(bytes);
        while let Some(decoded) = piece.decode() {
            if let Decoded::Event(event) = decoded.expect("within the limit") {
                sink(event.data);
            }
        }
    }
}

fn lent_singly(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let mut decoder = Decoder::new(NonZeroUsize::new(4 << 20).expect("not zero"));
    for mut piece in pieces.iter() {
        while let Some(decoded) = decoder.decode(&mut piece) {
            if let Decoded::Event(event) = decoded.expect("within the limit") {
                sink(event.data);
            }
        }
    }
}

fn owned(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let mut decoder = Decoder::new(NonZeroUsize::new(4 << 20).expect("not zero"));
    for mut piece in pieces.iter() {
        while let Some(decoded) = decoder.decode(&mut piece) {
            if let Decoded::Event(event) = decoded.expect("within the limit") {
                sink(&event.to_event().data);
            }
        }
    }
}

fn by_hand(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let mut decoder = ByHand::default();
    pieces.iter().for_each(|piece| decoder.decode(piece, &mut sink));
}

fn sse_core(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let mut decoder = sse_core::SseDecoder::with_limit(NonZeroUsize::new(4 << 20).expect("not zero"));
    for mut piece in pieces.iter() {
        while let Some(event) = decoder.next(&mut piece) {
            if let sse_core::SseEvent::Message(event) = event.expect("within the limit") {
                sink(&event.data);
            }
        }
    }
}

fn sse_stream(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let input = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece)));
    drain(sse_stream::SseByteStream::new(stream::iter(input)), |event| {
        if let Some(data) = event.expect("no errors in the input").data {
            sink(&data);
        }
    });
}

fn eventsource_stream(pieces: Pieces, mut sink: impl FnMut(&str)) {
    let input = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece)));
    drain(stream::iter(input).eventsource(), |event| sink(&event.expect("no errors in the input").data));
}

/// Polls to the end. Nothing here waits.
fn drain<S: Stream>(stream: S, mut item: impl FnMut(S::Item)) {
    let mut stream = pin!(stream);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(next)) = stream.as_mut().poll_next(&mut context) {
        item(next);
    }
}
