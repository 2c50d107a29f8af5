//! Bodies out of their framing.

use proptest::prelude::*;
use sansio_sse::http1::{BodyDecoder, BodyLength, BodyPart, HttpError};

use super::splits;

fn decode(pieces: &[&[u8]], length: BodyLength, limit: u64) -> Result<(Vec<u8>, bool, usize), HttpError> {
    let mut decoder = BodyDecoder::new(length, limit)?;
    let (mut body, mut behind) = (Vec::new(), 0);
    for piece in pieces {
        let mut input = *piece;
        loop {
            match decoder.decode(&mut input)? {
                BodyPart::Data(data) => body.extend_from_slice(data),
                BodyPart::More => break,
                BodyPart::End => {
                    behind += input.len();
                    break;
                }
            }
        }
    }
    Ok((body, decoder.is_done(), behind))
}

#[test]
fn chunked_bodies_give_their_data_or_their_fault_whatever_the_split() {
    let table = [
        ("0\r\n\r\nGET", Ok(("", true, 3))),
        ("3\r\nabc\r\n000A\r\n0123456789\r\n0\r\n\r\n", Ok(("abc0123456789", true, 0))),
        ("3;a=\"b;c\"\r\nabc\r\n0;x\r\nA: b\r\nC:\r\n\r\nZ", Ok(("abc", true, 1))),
        ("3\r\nabc\r\n0\r\n", Ok(("abc", false, 0))),
        ("FFFFFFFFFFFFFFFF\r\n", Err(HttpError::BodyTooLarge { limit: 64 })),
        // 40 bytes are in, and the announcement of 25 more is refused before one of them.
        (
            "28\r\n0123456789012345678901234567890123456789\r\n19\r\n",
            Err(HttpError::BodyTooLarge { limit: 64 }),
        ),
        ("00000000000000000\r\n", Err(HttpError::ChunkSize)),
        ("\r\n", Err(HttpError::ChunkSize)),
        (";a\r\n", Err(HttpError::ChunkSize)),
        ("3 \r\nabc", Err(HttpError::ChunkSize)),
        ("3\rabc", Err(HttpError::ChunkSize)),
        ("3;a\x01\r\nabc", Err(HttpError::ChunkSize)),
        ("3\r\nabcd\r\n", Err(HttpError::ChunkEnd)),
        ("3\r\nabc\n0\r\n\r\n", Err(HttpError::ChunkEnd)),
        ("3\r\nabc\r0\r\n\r\n", Err(HttpError::ChunkEnd)),
        ("0\r\n\n", Err(HttpError::Trailer)),
        ("0\r\n: a\r\n\r\n", Err(HttpError::Trailer)),
        ("0\r\nA : a\r\n\r\n", Err(HttpError::Trailer)),
        ("0\r\nA: a\r\n b\r\n\r\n", Err(HttpError::Trailer)),
        ("0\r\nA: a\n\r\n", Err(HttpError::Trailer)),
        ("0\r\nGET / HTTP/1.1\r\n\r\n", Err(HttpError::Trailer)),
    ];
    for (wire, expected) in table {
        let expected =
            expected.map(|(body, done, behind): (&str, _, _)| (body.as_bytes().to_vec(), done, behind));
        for pieces in splits(wire.as_bytes()) {
            assert_eq!(
                decode(&pieces, BodyLength::Chunked, 64),
                expected,
                "{wire:?} as {} pieces",
                pieces.len()
            );
        }
    }
}

#[test]
fn the_limit_holds_to_the_byte_for_both_framings() {
    for (n, fits) in [(7_u64, true), (8, true), (9, false)] {
        assert_eq!(BodyDecoder::new(BodyLength::Length(n), 8).is_ok(), fits);
        // Many chunks of one byte each.
        let wire = [b"1\r\nx\r\n".repeat(usize::try_from(n).unwrap()), b"0\r\n\r\n".to_vec()].concat();
        assert_eq!(decode(&[&wire], BodyLength::Chunked, 8).is_ok(), fits, "{n} bytes");
    }
    let mut until_close = BodyDecoder::until_close(2);
    let mut input = &b"abc"[..];
    assert_eq!(until_close.decode(&mut input), Ok(BodyPart::Data(b"ab")));
    assert_eq!(until_close.decode(&mut input), Err(HttpError::BodyTooLarge { limit: 2 }));
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let extended = |n: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(n - 1)).into_bytes();
    assert!(decode(&[&extended(1024)], BodyLength::Chunked, 9).is_ok());
    let error = HttpError::ChunkExtensions { limit: 1024 };
    assert_eq!(decode(&[&extended(1025)], BodyLength::Chunked, 9), Err(error));
    // Spread over chunks they add up, but data makes up for them.
    let spread = b"1;eeeeeeeee\r\nx\r\n".repeat(200);
    assert_eq!(decode(&[&spread], BodyLength::Chunked, 999), Err(error));
    let fair = b"A;eeeeeeeee\r\n0123456789\r\n".repeat(200);
    assert!(decode(&[&fair], BodyLength::Chunked, 9999).is_ok());

    let trailers = |n: usize| format!("0\r\n{}\r\n", "A: b\r\n".repeat(n)).into_bytes();
    assert!(decode(&[&trailers(1024)], BodyLength::Chunked, 9).is_ok());
    let error = HttpError::TrailersTooLarge { limit: 4096 };
    assert_eq!(decode(&[&trailers(1025)], BodyLength::Chunked, 9), Err(error));
}

#[test]
fn the_end_of_the_connection_ends_only_what_it_frames() {
    assert_eq!(BodyDecoder::new(BodyLength::Length(1), 9).unwrap().handle_eof(), Err(HttpError::Truncated));
    assert_eq!(BodyDecoder::new(BodyLength::Length(0), 9).unwrap().handle_eof(), Ok(()));
    assert_eq!(BodyDecoder::until_close(9).handle_eof(), Ok(()));
}

#[test]
fn an_error_is_final_and_stays_the_same() {
    let mut chunked = BodyDecoder::new(BodyLength::Chunked, 9).unwrap();
    let mut input = &b"1\r\nxX0\r\n\r\n"[..];
    assert_eq!(chunked.decode(&mut input), Ok(BodyPart::Data(b"x")));
    for _ in 0..3 {
        assert_eq!(chunked.decode(&mut input), Err(HttpError::ChunkEnd));
        assert_eq!(input, b"0\r\n\r\n", "and nothing more is read");
    }
    assert_eq!(chunked.decode(&mut &b""[..]), Err(HttpError::ChunkEnd));
    assert_eq!(chunked.handle_eof(), Err(HttpError::ChunkEnd));
}

proptest! {
    /// Splitting is invisible, and what the encoder wraps the decoder unwraps.
    #[test]
    fn any_chunks_in_any_pieces_give_back_their_data(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b"0\r\n\r\n");
        let (mut pieces, mut rest) = (Vec::new(), &wire[..]);
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = tail;
        }
        prop_assert_eq!(decode(&pieces, BodyLength::Chunked, u64::MAX), Ok((chunks.concat(), true, 0)));
    }
}
