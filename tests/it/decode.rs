//! The decoder: the platform's cases, the standard's corners, limits, and a naive parser as the oracle.

use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sansio_sse::{Decoded, Decoder, Event, LastEventId, LastEventIdError, TooLarge};

use crate::cases;

#[test]
fn platform_parse_cases_hold_for_every_cut() {
    for case in cases::of_kind("parse") {
        let input = cases::bytes(&case, "input_base64");
        let retry = case["retry_ms"].as_u64().map(Duration::from_millis);
        for cut in cases::cuts(&input) {
            let run = run(usize::MAX, &cut);
            let name = &case["name"];
            assert_eq!(run.events(), cases::events(&case), "{name}");
            assert_eq!(run.last_event_id, case["last_event_id_at_end"].as_str().unwrap(), "{name}");
            assert_eq!(run.retry(), retry, "{name}");
            assert_eq!(run.failed, None, "{name}");
            if let Some(comments) = case["comments"].as_array() {
                let comments: Vec<_> = comments.iter().map(|c| c.as_str().unwrap()).collect();
                assert_eq!(run.comments(), comments, "{name}");
            }
        }
    }
}

#[test]
fn corners_of_the_standard_hold_for_every_cut() {
    let message = |data: &str, id: &str| ("message".to_owned(), data.to_owned(), id.to_owned());
    let typed = |ty: &str, data: &str, id: &str| (ty.to_owned(), data.to_owned(), id.to_owned());
    #[rustfmt::skip]
    let table: Vec<(&str, &[u8], Vec<Fields>, &str)> = vec![
        ("LF, CR and CRLF end lines alike", b"data:1\n\ndata:2\r\rdata:3\r\n\r\n",
            vec![message("1", ""), message("2", ""), message("3", "")], ""),
        ("LF CR is two line ends", b"data:1\n\rdata:2\n\n", vec![message("1", ""), message("2", "")], ""),
        ("CR CRLF is two line ends", b"data:1\r\r\ndata:2\n\n", vec![message("1", ""), message("2", "")], ""),
        ("the type is forgotten where there is no data", b"event:x\n\ndata:1\n\n", vec![message("1", "")], ""),
        ("the last event field counts", b"event:x\nevent:y\ndata:1\n\n", vec![typed("y", "1", "")], ""),
        ("an empty event field takes the type back", b"event:x\nevent\ndata:1\n\n", vec![message("1", "")], ""),
        ("an id without data is committed", b"id:7\n\n", vec![], "7"),
        ("an id without a blank line is not", b"id:7\n\nid:8\ndata:1\n", vec![], "7"),
        ("the last id field counts", b"id:7\nid:8\ndata:1\n\n", vec![message("1", "8")], "8"),
        ("an id with NUL is ignored, the one before stays", b"id:7\nid:8\0\ndata:1\n\n", vec![message("1", "7")], "7"),
        ("an empty id takes the id back", b"id:7\n\nid\n\ndata:1\n\n", vec![message("1", "")], ""),
        ("one space goes, two leave one", b"data:  x\nid:  7\nevent:  y\n\n", vec![typed(" y", " x", " 7")], " 7"),
        ("colons belong to the value", b"data::a:b\n\n", vec![message(":a:b", "")], ""),
        ("names are exact", b"Data:1\nDATA:1\n data:1\ndata :1\ndatax:1\ndat:1\n\n", vec![], ""),
        ("a mark alone is an empty line", b"\xEF\xBB\xBF\ndata:1\n\n", vec![message("1", "")], ""),
        ("part of a mark is part of a name", b"\xEF\xBBdata:1\n\ndata:2\n\n", vec![message("2", "")], ""),
        ("a mark inside data stays", b"data:\xEF\xBB\xBF1\n\n", vec![message("\u{FEFF}1", "")], ""),
        ("a mark before a long word goes", b"\xEF\xBB\xBFevent:x\ndata:1\n\n", vec![typed("x", "1", "")], ""),
        ("empty data is an event", b"data\n\ndata:\n\ndata: \n\n", vec![message("", ""); 3], ""),
        ("invalid bytes in every field", b"data:\xFF\nid:\xC3\nevent:\xE2\x82\n\n",
            vec![typed("\u{FFFD}", "\u{FFFD}", "\u{FFFD}")], "\u{FFFD}"),
        ("nothing", b"", vec![], ""),
        ("blank lines", b"\n\r\r\n\n", vec![], ""),
    ];
    for (name, input, events, id) in table {
        for cut in cases::cuts(input) {
            let run = run(usize::MAX, &cut);
            assert_eq!((run.events(), run.last_event_id.as_str()), (events.clone(), id), "{name}: {cut:?}");
        }
    }
}

#[test]
fn an_event_comes_with_the_byte_that_completes_it() {
    for (body, last) in
        [("data:1\n\n", 7), ("data:1\r\r", 7), ("data:1\r\n\r\n", 8), ("\u{FEFF}data:1\n\r", 10)]
    {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        for (at, byte) in body.bytes().enumerate() {
            let event = matches!(decoder.decode(&mut &[byte][..]), Some(Ok(Decoded::Event(_))));
            assert_eq!(event, at == last, "{body:?} at {at}");
        }
    }
}

#[test]
fn lf_of_a_split_crlf_is_no_second_line_end() {
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    assert_eq!(decoder.decode(&mut &b"data:1\r"[..]), None);
    // Were the LF a blank line, it would dispatch here.
    assert_eq!(decoder.decode(&mut &b""[..]), None);
    assert_eq!(decoder.decode(&mut &b"\n"[..]), None);
    assert!(matches!(decoder.decode(&mut &b"\n"[..]), Some(Ok(Decoded::Event(event))) if event.data == "1"));
}

#[test]
fn retry_takes_ascii_digits_only_and_saturates() {
    let ms = |ms| Some(Duration::from_millis(ms));
    let table = [
        ("0", ms(0)),
        ("007", ms(7)),
        ("3000", ms(3000)),
        (" 3000", ms(3000)),
        ("18446744073709551615", ms(u64::MAX)),
        ("18446744073709551616", ms(u64::MAX)),
        ("99999999999999999999999999999999", ms(u64::MAX)),
        ("", None),
        (" ", None),
        ("  3000", None),
        ("3000 ", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("0x10", None),
        ("1e3", None),
        ("\u{0663}", None),
        ("99999999999999999999999999999999x", None),
    ];
    for (value, expected) in table {
        let body = format!("retry:{value}\n");
        for cut in cases::cuts(body.as_bytes()) {
            assert_eq!(run(usize::MAX, &cut).retry(), expected, "{body:?}");
        }
    }
    assert_eq!(run(usize::MAX, &[b"retry\n"]).retry(), None);
    assert_eq!(run(usize::MAX, &[b"retry:5\nretry:x\nretry\n"]).retry(), ms(5));
}

#[test]
fn invalid_utf8_is_replaced_as_the_encoding_standard_says() {
    // The counts are those of maximal subparts.
    let table: [(&[u8], &str); 12] = [
        (b"\x80", "\u{FFFD}"),
        (b"\xC0\xAF", "\u{FFFD}\u{FFFD}"),
        (b"\xE0\x9F\x80", "\u{FFFD}\u{FFFD}\u{FFFD}"),
        (b"\xED\xA0\x80", "\u{FFFD}\u{FFFD}\u{FFFD}"),
        (b"\xE2\x82", "\u{FFFD}"),
        (b"\xE2\x82\xE2\x82\xAC", "\u{FFFD}\u{20AC}"),
        (b"\xF0\x9F\x98", "\u{FFFD}"),
        (b"\xF0\x9F\x98\x80", "\u{1F600}"),
        (b"\xF0\x8F\xBF\xBF", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        (b"\xF4\x90\x80\x80", "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"),
        (b"a\xF1\x80\x80\xE1\x80\xC2b", "a\u{FFFD}\u{FFFD}\u{FFFD}b"),
        (b"\xFE\xFF", "\u{FFFD}\u{FFFD}"),
    ];
    for (bytes, text) in table {
        let input = [b"data:", bytes, b"\n:", bytes, b"\n\n"].concat();
        for cut in cases::cuts(&input) {
            let run = run(usize::MAX, &cut);
            assert_eq!(run.events()[0].1, text, "{bytes:x?}");
            assert_eq!(run.comments(), [text], "{bytes:x?}");
        }
    }
}

#[test]
fn utf8_survives_every_pair_of_cuts() {
    let input = "data:é€😀\n\n".as_bytes();
    for a in 0..=input.len() {
        for b in a..=input.len() {
            let run = run(usize::MAX, &[&input[..a], &input[a..b], &input[b..]]);
            assert_eq!(run.events()[0].1, "é€😀");
        }
    }
}

#[test]
fn limit_holds_for_what_is_held_and_not_a_byte_less() {
    // The most bytes that are held at once: the line so far, with the data and the type before it.
    let table: [(&str, usize); 12] = [
        ("data:123456\n\n", 11),
        ("data:123456", 11),
        ("data:1\ndata:2\n\n", 2 + 6),
        ("data:1\ndata:2\ndata:3\n\n", 4 + 6),
        ("data:1\n\ndata:2\n\n", 6),
        ("event:abc\ndata:1\n\n", 9),
        ("event:abc\ndata:1234\n\n", 3 + 9),
        ("data:1234\nevent:abc\n\n", 5 + 9),
        (":1234567890\n\n", 11),
        ("unknown field\n\n", 13),
        ("id:12345678\n\n", 11),
        ("data:\u{FEFF}\n:\n:\n:\n:\n:\n:\n:\n\n", 8),
    ];
    for (body, most) in table {
        for cut in cases::cuts(body.as_bytes()) {
            let free = run(usize::MAX, &cut);
            assert_eq!(run(most, &cut), free, "{body:?} within {most}");
            assert_eq!(run(most + 1, &cut), free, "{body:?} within {}", most + 1);
            let failed = Some(TooLarge::Event { limit: most - 1 });
            assert_eq!(run(most - 1, &cut).failed, failed, "{body:?} within {}", most - 1);
        }
    }
}

#[test]
fn replacement_characters_count_as_the_bytes_that_they_take() {
    // Nine bytes of line, but four replacements are twelve bytes of data, and the line feed one more.
    let body = b"data:\xFF\xFF\xFF\xFF\n\n";
    for cut in cases::cuts(body) {
        assert_eq!(run(12, &cut).failed, Some(TooLarge::Event { limit: 12 }));
        assert_eq!(run(13, &cut).events()[0].1, "\u{FFFD}".repeat(4));
    }
}

#[test]
fn text_that_grows_by_its_replacement_characters_counts_as_it_has_grown() {
    for (line, fits) in
        [(&b":\xFF\xFF\xFF\n"[..], 9), (b"event:\xFF\xFF\xFF\xFF\n", 12), (b"data:\xFF\xFF\xFF\xFF\n", 13)]
    {
        assert_eq!(run(fits, &[line]).failed, None, "{}", line.escape_ascii());
        for limit in [fits - 1, fits - 2] {
            let failed = run(limit, &[line]).failed;
            assert_eq!(failed, Some(TooLarge::Event { limit }), "{}", line.escape_ascii());
        }
    }
}

#[test]
fn an_id_to_resume_from_is_what_a_header_can_carry() {
    let longest = "x".repeat(LastEventId::MAX_LEN);
    assert!(LastEventId::new(&longest).is_ok());
    for (id, error) in [
        ("", LastEventIdError::Empty),
        (&*format!("{longest}x"), LastEventIdError::TooLong { limit: LastEventId::MAX_LEN }),
        ("a\r", LastEventIdError::Forbidden { at: 1 }),
        ("ab\n", LastEventIdError::Forbidden { at: 2 }),
        ("\0", LastEventIdError::Forbidden { at: 0 }),
    ] {
        assert_eq!(LastEventId::new(id), Err(error), "{id:?}");
    }
}

#[test]
fn an_event_that_is_kept_is_the_one_that_was_lent() {
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    for mut input in [&b"id:7\ndata:1\n\n"[..], b"event:tick\ndata:2\n\n"] {
        let Some(Ok(Decoded::Event(lent))) = decoder.decode(&mut input) else { panic!("no event") };
        assert_eq!(Event::from(lent).as_ref(), lent);
    }
}

#[test]
fn an_id_has_a_limit_of_its_own() {
    let body = |len| format!("id:{}\n\n", "x".repeat(len));
    let max = LastEventId::MAX_LEN;
    assert_eq!(run(usize::MAX, &[body(max - 1).as_bytes()]).last_event_id.len(), max - 1);
    assert_eq!(run(usize::MAX, &[body(max).as_bytes()]).last_event_id.len(), max);
    let failed = run(usize::MAX, &[body(max + 1).as_bytes()]);
    assert_eq!(failed.failed, Some(TooLarge::LastEventId { limit: max }));
    assert_eq!(failed.last_event_id, "");
}

#[test]
fn an_id_is_shown_as_it_was_written() {
    let id = LastEventId::new("a \u{2026} b").unwrap();
    assert_eq!([id.as_str(), id.as_ref()], ["a \u{2026} b"; 2]);
    assert_eq!(id.to_string(), "a \u{2026} b");
}

#[test]
fn too_large_is_final_until_reset_and_the_id_stays() {
    let mut decoder = Decoder::new(NonZeroUsize::new(8).unwrap());
    assert_eq!(decoder.decode(&mut &b"id:1\n\n"[..]), None);
    let mut input = &b"data:12345\n\ndata:1\n\n"[..];
    let failed = Some(Err(TooLarge::Event { limit: 8 }));
    assert_eq!(decoder.decode(&mut input), failed);
    let left = input;
    assert_eq!(decoder.decode(&mut input), failed);
    assert_eq!(decoder.decode(&mut &b""[..]), failed);
    assert_eq!(input, left);

    decoder.reset();
    let mut input = &b"\xEF\xBB\xBFdata\n\n"[..];
    let Some(Ok(Decoded::Event(event))) = decoder.decode(&mut input) else { panic!("{decoder:?}") };
    assert_eq!((event.data, event.last_event_id.map(LastEventId::as_str)), ("", Some("1")));
}

#[test]
fn an_endless_row_of_comments_never_adds_up() {
    let mut decoder = Decoder::new(NonZeroUsize::new(16).unwrap());
    assert_eq!(decoder.decode(&mut &b"data:1\n"[..]), None);
    for _ in 0..10_000 {
        assert_eq!(decoder.decode(&mut &b":keepalive\n"[..]), Some(Ok(Decoded::Comment("keepalive"))));
    }
    assert!(matches!(decoder.decode(&mut &b"\n"[..]), Some(Ok(Decoded::Event(_)))));
}

#[test]
fn reset_forgets_what_is_unfinished_in_every_state() {
    let whole = b"\xEF\xBB\xBFevent:x\r\ndata:1\r\n\r\n";
    for at in 0..=whole.len() {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        let _ = decoder.decode(&mut &whole[..at]);
        decoder.reset();
        // A first LF is a line, a first mark is removed, and no data of the old body is left.
        assert_eq!(decoder.decode(&mut &b"\n"[..]), None, "cut at {at}");
        decoder.reset();
        let Some(Ok(Decoded::Event(event))) = decoder.decode(&mut &b"\xEF\xBB\xBFdata:2\n\n"[..]) else {
            panic!("cut at {at}")
        };
        assert_eq!((event.event_type, event.data), ("message", "2"), "cut at {at}");
    }
}

#[test]
fn megabytes_in_single_bytes_and_in_short_lines_take_linear_time() {
    // With quadratic work either would take minutes.
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    assert_eq!(decoder.decode(&mut &b"data:"[..]), None);
    for _ in 0..1 << 20 {
        assert_eq!(decoder.decode(&mut &b"x"[..]), None);
    }
    let Some(Ok(Decoded::Event(event))) = decoder.decode(&mut &b"\n\n"[..]) else { panic!() };
    assert_eq!(event.data.len(), 1 << 20);

    let body = "data\n".repeat(1 << 20) + "\n";
    assert_eq!(run(usize::MAX, &[body.as_bytes()]).events()[0].1.len(), (1 << 20) - 1);
}

#[test]
fn large_first_data_lines_in_pieces_equal_those_in_one() {
    for (start, value) in [
        (":\ndata: ", "x".repeat(9_000).into_bytes()),
        (":\ndata:", "é".repeat(9_000).into_bytes()),
        (":\ndata:", b"\xFF".repeat(9_000)),
        ("data:  ", "x".repeat(9_000).into_bytes()),
        ("\u{FEFF}data:", "x".repeat(9_000).into_bytes()),
        (":\ndata:1\ndata:", "x".repeat(9_000).into_bytes()),
        (":\ndatax:", "x".repeat(9_000).into_bytes()),
    ] {
        let body =
            [start.as_bytes(), &value, "\n\u{FEFF}data:no field\ndata:2\n\ndata:3\n\n".as_bytes()].concat();
        let whole = run(usize::MAX, &[&body]);
        assert_eq!(whole, reference(&body));
        for size in [1, 7, 4096, 8999] {
            assert_eq!(run(usize::MAX, &body.chunks(size).collect::<Vec<_>>()), whole, "{start:?} in {size}");
        }
    }
}

/// Where a row of lines is taken at once, for being plain, the first that is not ends it.
#[test]
fn lines_in_a_row_end_and_count_as_single_ones() {
    for row in ["data: a\ndata: b\ndata: c\r\ndata: d\n\n", "data: a\ndata: b\ndata: c\rdata: d\n\n"] {
        assert_eq!(run(usize::MAX, &[row.as_bytes()]), reference(row.as_bytes()), "{row:?}");
    }
    let long = "x".repeat(90);
    let rows = [
        format!("data: a\ndata: b\n{}\n", format!("data: {long}{long}\n").repeat(10)).into_bytes(),
        format!("data: a\n\ndata: {}\n\n", long.repeat(4)).into_bytes(),
        format!("data: a\n\n:{long}\n:{}\n\n", long.repeat(4)).into_bytes(),
        [&b"event:"[..], &[0xFF; 60], b"\ndata:", &[0xFF; 60], b"\n\n"].concat(),
    ];
    for row in rows {
        let failed = Some(TooLarge::Event { limit: 300 });
        assert_eq!(run(300, &[&row]).failed, failed, "{}", row.escape_ascii());
        assert_eq!(run(10_000, &[&row]), reference(&row), "{}", row.escape_ascii());
    }
}

/// A buffer that had room for one event takes the next no further than the limit.
#[test]
fn a_cut_line_counts_with_its_name_however_much_room_there_is() {
    for begun in [10, 50, 84, 85] {
        for (len, failed) in [(84, None), (85, Some(TooLarge::Event { limit: 90 }))] {
            let line = format!("data: {}", "y".repeat(len));
            let (first, rest) = line.as_bytes().split_at(6 + begun.min(len));
            let before = [&b"data: "[..], &[b'x'; 20], &[b'x'; 64], b"\n\n"];
            let run = run(90, &[&before[..2].concat(), &before[2..].concat(), first, rest]);
            assert_eq!((run.failed, run.events().len()), (failed, 1), "{len} bytes, cut behind {begun}");
        }
    }
}

#[test]
fn a_line_behind_the_end_of_a_cut_one_counts_with_its_name() {
    let warm = [&b"data: x"[..], &[b'x'; 83], b"\n\n"];
    let mut failures = 0;
    for len in 60..90 {
        let body = format!("data: a\ndata: {}\n\n", "y".repeat(len));
        let whole = run(90, &[&warm[..], &[body.as_bytes()]].concat());
        let (first, rest) = body.split_at("data: a".len());
        for begun in [0, 1, 3, 10] {
            let (second, third) = rest.split_at("\ndata: ".len() + begun);
            let pieces = [first, second, third].map(str::as_bytes);
            let cut = run(90, &[&warm[..], &pieces].concat());
            assert_eq!((cut.failed, cut.events()), (whole.failed, whole.events()), "{len} bytes, {begun}");
        }
        failures += usize::from(whole.failed.is_some());
    }
    assert!((5..25).contains(&failures), "{failures} of 30 pass the limit");
}

#[test]
fn a_long_line_at_the_end_of_a_piece_waits_for_the_next() {
    for end in [&b"xx\n\n"[..], b"\xFFxx\n\n", b"\xC3", b"\xFF"] {
        let body = [b"data: a\n\ndata: b\n\ndata: ", &[b'x'; 1_000][..], end, &[b'x'; 1_000]].concat();
        for cut in [body.len(), 500, 1_026, 1_027] {
            let pieces = [&body[..cut], &body[cut..]];
            assert_eq!(run(usize::MAX, &pieces), reference(&body), "{} cut at {cut}", end.escape_ascii());
        }
    }
}

/// Longer than what is checked for UTF-8 at once, with all that can go wrong at a border of it.
#[test]
fn a_long_piece_gives_what_its_parts_give() {
    let events =
        ["data: é€😀\n\n", "data: two\ndata: lines\n\n", ": keep-alive\n\n", "data: 1\r\n\r\n", "\n\n"];
    for shift in 0..12 {
        let mut body = "x".repeat(shift).into_bytes();
        body.push(b'\n');
        for n in 0..3000 {
            body.extend_from_slice(events[n * n % 7 % events.len()].as_bytes());
            if n % 700 == 699 {
                body.extend_from_slice(b"data: \xFF\xE2\x82\n\n");
            }
        }
        let expected = reference(&body);
        assert_eq!(run(usize::MAX, &[&body]), expected);
        assert_eq!(run(usize::MAX, &body.chunks(1460).collect::<Vec<_>>()), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    /// I10, and the standard: any cut of any bytes gives what a parser of the whole input gives.
    #[test]
    fn any_cut_of_any_input_equals_the_naive_parser(pieces in vec(piece(), 0..64)) {
        let whole = pieces.concat();
        let pieces: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(run(usize::MAX, &pieces), reference(&whole));
    }

    /// I10 under a limit: where a stream fails, and after what, does not depend on how it is cut.
    #[test]
    fn a_limit_strikes_at_the_same_place_for_any_cut(pieces in vec(piece(), 0..24), limit in limit()) {
        let whole = pieces.concat();
        let cut: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
        let expected = run(limit, &[&whole]);
        prop_assert_eq!(&run(limit, &cut), &expected);
        prop_assert_eq!(&run(limit, &whole.chunks(1).collect::<Vec<_>>()), &expected);
        if expected.failed.is_none() {
            prop_assert_eq!(expected, reference(&whole));
        }
    }
}

/// Near what is held, and near the third of which no input can pass it.
fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![1usize..24, 24usize..200]
}

/// Bytes and words that make events likely, and trouble too. Their borders are the cuts.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"data",
        b"data:",
        b"data: ",
        b"event:",
        b"id",
        b"id:",
        b"retry:",
        b"retry: 12",
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b":",
        b" ",
        b"\0",
        b"a",
        b"7",
        b"\xEF\xBB\xBF",
        b"\xEF",
        b"\xBB",
        b"\xBF",
        b"\xFF",
        b"\xE2\x82",
        b"\xAC",
        b"\xF0\x9F",
        b"\x98\x80",
        b"\xED\xA0",
        b"\xC3",
        b"\xA9",
        "é".as_bytes(),
    ];
    prop_oneof![
        8 => select(words).prop_map(<[u8]>::to_vec),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => Just(Vec::new()),
    ]
}

/// Type, data and last event id.
type Fields = (String, String, String);

#[derive(Clone, Debug, PartialEq)]
enum Item {
    Event(Event),
    Retry(Duration),
    Comment(String),
}

/// Everything that a decoder said.
#[derive(Debug, PartialEq)]
struct Run {
    items: Vec<Item>,
    failed: Option<TooLarge>,
    last_event_id: String,
}

impl Run {
    fn events(&self) -> Vec<Fields> {
        let text = |event: &Event| {
            let id = event.last_event_id.as_ref().map_or("", |id| id.as_str());
            (event.event_type.to_string(), event.data.clone(), id.to_owned())
        };
        self.items.iter().filter_map(|i| if let Item::Event(e) = i { Some(text(e)) } else { None }).collect()
    }

    fn comments(&self) -> Vec<String> {
        self.items
            .iter()
            .filter_map(|i| if let Item::Comment(c) = i { Some(c.clone()) } else { None })
            .collect()
    }

    fn retry(&self) -> Option<Duration> {
        self.items.iter().rev().find_map(|i| if let Item::Retry(r) = i { Some(*r) } else { None })
    }
}

/// Decodes in both forms, which must agree.
fn run(limit: usize, pieces: &[&[u8]]) -> Run {
    let mut decoder = Decoder::new(NonZeroUsize::new(limit).unwrap());
    let (mut items, mut failed) = (Vec::new(), None);
    'all: for piece in pieces {
        let mut input = *piece;
        while let Some(decoded) = decoder.decode(&mut input) {
            match decoded {
                Ok(decoded) => items.push(item(decoded)),
                Err(too_large) => {
                    failed = Some(too_large);
                    break 'all;
                }
            }
        }
        assert!(input.is_empty(), "None, but input is left");
    }
    let last_event_id = decoder.last_event_id().map_or(String::new(), |id| id.as_str().to_owned());
    let run = Run { items, failed, last_event_id };
    assert_eq!(run_by_piece(limit, pieces), run);
    run
}

fn run_by_piece(limit: usize, pieces: &[&[u8]]) -> Run {
    let mut decoder = Decoder::new(NonZeroUsize::new(limit).unwrap());
    let (mut items, mut failed) = (Vec::new(), None);
    'all: for bytes in pieces {
        let mut piece = decoder.piece(bytes);
        while let Some(decoded) = piece.decode() {
            match decoded {
                Ok(decoded) => items.push(item(decoded)),
                Err(too_large) => {
                    failed = Some(too_large);
                    break 'all;
                }
            }
        }
        assert!(piece.rest().is_empty(), "None, but input is left");
    }
    let last_event_id = decoder.last_event_id().map_or(String::new(), |id| id.as_str().to_owned());
    Run { items, failed, last_event_id }
}

fn item(decoded: Decoded<'_>) -> Item {
    match decoded {
        Decoded::Event(event) => Item::Event(event.to_event()),
        Decoded::Retry(after) => Item::Retry(after),
        Decoded::Comment(text) => Item::Comment(text.to_owned()),
    }
}

/// HTML §9.2.5 and §9.2.6 word for word, over the whole input at once, with no thought of speed.
fn reference(input: &[u8]) -> Run {
    let text = String::from_utf8_lossy(input).into_owned();
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // what no line end follows

    let (mut data, mut event_type, mut id) = (String::new(), String::new(), String::new());
    let mut last_event_id = String::new();
    let mut items = Vec::new();
    for line in lines {
        if line.is_empty() {
            last_event_id.clone_from(&id);
            if !data.is_empty() {
                data.pop();
                items.push(Item::Event(Event {
                    event_type: if event_type.is_empty() {
                        "message".into()
                    } else {
                        event_type.clone().into()
                    },
                    data: data.clone(),
                    last_event_id: LastEventId::new(&last_event_id).ok(),
                }));
            }
            data.clear();
            event_type.clear();
            continue;
        }
        if let Some(comment) = line.strip_prefix(':') {
            items.push(Item::Comment(comment.to_owned()));
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => event_type = value.to_owned(),
            "data" => {
                data += value;
                data += "\n";
            }
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                items.push(Item::Retry(Duration::from_millis(value.parse().unwrap_or(u64::MAX))));
            }
            _ => {}
        }
    }
    Run { items, failed: None, last_event_id }
}
