//! What only shows from inside: what is lent, and what the buffers keep.

use super::held::{KEEP, KEEP_IN_USE};
use super::*;
use alloc::format;
use alloc::vec;

fn capacity(decoder: &Decoder) -> usize {
    decoder.line.capacity()
        + decoder.data.capacity()
        + decoder.event_type.capacity()
        + decoder.comment.capacity()
}

fn drain(decoder: &mut Decoder, mut input: &[u8]) {
    while let Some(decoded) = decoder.decode(&mut input) {
        decoded.unwrap();
    }
}

#[test]
fn memory_of_a_large_event_is_given_back_with_the_first_none() {
    let large = format!("data: {0}\nevent: {0}\n:{0}\n\n", "x".repeat(500_000));
    for size in [1, 1000, large.len()] {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        for piece in large.as_bytes().chunks(size) {
            drain(&mut decoder, piece);
        }
        assert!(capacity(&decoder) <= 4 * KEEP, "pieces of {size}: {decoder:?}");
    }
}

#[test]
fn empty_buffers_are_kept_up_to_a_size_and_full_ones_whatever_their_size() {
    let sizes = |decoder: &Decoder| {
        [
            decoder.line.capacity(),
            decoder.data.capacity(),
            decoder.event_type.capacity(),
            decoder.comment.capacity(),
        ]
    };
    for (size, recent, kept, data_kept) in [
        (KEEP, 0, KEEP, KEEP),
        (KEEP + 4, KEEP / 4, 0, 0),
        (KEEP + 4, KEEP / 4 + 1, 0, KEEP + 4),
        (KEEP_IN_USE, KEEP_IN_USE / 4, 0, KEEP_IN_USE),
        (KEEP_IN_USE + 1, KEEP_IN_USE, 0, 0),
    ] {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        decoder.recent = recent;
        for bytes in [&mut decoder.line, &mut decoder.data] {
            *bytes = Vec::with_capacity(size);
        }
        for text in [&mut decoder.event_type, &mut decoder.comment] {
            *text = String::with_capacity(size);
        }
        drain(&mut decoder, b"");
        assert_eq!(sizes(&decoder), [kept, data_kept, kept, kept]);
    }
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    let long = "x".repeat(KEEP + 1);
    drain(&mut decoder, format!("event:{long}\ndata:{long}\n{long}").as_bytes());
    assert_eq!((decoder.event_type.len(), decoder.data.len()), (KEEP + 1, KEEP + 2));
    assert_eq!(decoder.line.len(), KEEP + 1);
}

#[test]
fn an_event_that_lies_whole_in_the_input_is_lent_from_it() {
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    let input = b"event: tick\ndata: one\n\n: comment\n\ndata: two\r\n\r\n";
    let lies_in = |text: &str| input.as_ptr_range().contains(&text.as_ptr());
    let mut rest = &input[..];
    while let Some(decoded) = decoder.decode(&mut rest) {
        match decoded.unwrap() {
            Decoded::Event(event) => assert!(lies_in(event.data), "{event:?}"),
            Decoded::Comment(text) => assert!(lies_in(text), "{text:?}"),
            Decoded::Retry(_) => unreachable!(),
        }
    }
    assert_eq!(capacity(&decoder), 0);
}

#[test]
fn a_data_line_that_the_input_cuts_is_copied_once() {
    for cut in ["data: 1", "data:1"] {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        drain(&mut decoder, cut.as_bytes());
        drain(&mut decoder, b"2\n");
        assert_eq!((&decoder.data[..], decoder.line.capacity()), (&b"12\n"[..], 0));
    }
}

#[test]
fn no_buffer_reserves_more_than_the_limit() {
    let limit = 10_000;
    let body = vec![
        format!("data:{}\n", "x".repeat(limit - 5)),
        "data: 0123456789\n".repeat(400),
        format!("data\nevent:{}\n", "y".repeat(limit - 7)),
        format!(":{}\n", "z".repeat(limit - 1)),
    ];
    for lines in &body {
        for size in [1, 63, 64, 65, 4096, lines.len()] {
            let mut decoder = Decoder::new(NonZeroUsize::new(limit).unwrap());
            for piece in lines.as_bytes().chunks(size) {
                drain(&mut decoder, piece);
                let parts = [
                    decoder.line.capacity(),
                    decoder.data.capacity(),
                    decoder.event_type.capacity(),
                    decoder.comment.capacity(),
                ];
                assert!(parts.iter().all(|part| *part <= limit), "pieces of {size}: {parts:?}");
            }
        }
    }
}

#[test]
fn a_steady_stream_reuses_its_buffers() {
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    let event = b"id: 12345678\nevent: tick\ndata: 0123456789\n\n";
    for _ in 0..3 {
        drain(&mut decoder, event);
    }
    let before = (decoder.data.as_ptr(), decoder.event_type.as_ptr());
    let mut ids = [decoder.last_event_id.as_str().as_ptr(), decoder.spare_id.as_str().as_ptr()];
    for _ in 0..9 {
        drain(&mut decoder, event);
    }
    let mut ids_now = [decoder.last_event_id.as_str().as_ptr(), decoder.spare_id.as_str().as_ptr()];
    ids.sort_unstable();
    ids_now.sort_unstable();
    assert_eq!((decoder.data.as_ptr(), decoder.event_type.as_ptr()), before);
    assert_eq!(ids_now, ids);
}
