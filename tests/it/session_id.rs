//! Session ids: how they are made, and what may be one.

use std::collections::HashSet;

use proptest::prelude::*;
use sansio_sse::mcp::{SessionId, SessionIdError};

#[test]
fn s1_an_id_is_a_version_4_uuid_in_its_form_of_36_characters() {
    for (bytes, text) in [
        ([0; 16], "00000000-0000-4000-8000-000000000000"),
        ([0xff; 16], "ffffffff-ffff-4fff-bfff-ffffffffffff"),
        (*b"0123456789abcdef", "30313233-3435-4637-b839-616263646566"),
    ] {
        let id = SessionId::from_random(bytes);
        assert_eq!(id.as_str(), text);
        assert_eq!(id.to_string(), text);
        assert_eq!(format!("{id:?}"), format!("SessionId({text})"));
    }
}

#[test]
fn s1_check_07_each_of_122_random_bits_is_in_the_id() {
    let zero = SessionId::from_random([0; 16]);
    let mut ids = HashSet::from([zero.clone()]);
    for bit in 0..128 {
        let mut bytes = [0; 16];
        bytes[bit / 8] = 1 << (bit % 8);
        ids.insert(SessionId::from_random(bytes));
    }
    assert_eq!(ids.len(), 1 + 122, "six bits say that it is a random UUID");
}

#[test]
fn s2_an_id_has_1_to_128_characters_of_a_small_alphabet() {
    for ok in ["a", "Z", "0", "_", "-", "a-b_C9", &"x".repeat(127), &"x".repeat(128)] {
        assert_eq!(SessionId::parse(ok).map(|id| id.to_string()), Ok(ok.to_owned()));
        assert_eq!(ok.parse::<SessionId>().map(|id| id.to_string()), Ok(ok.to_owned()));
    }
    assert_eq!(SessionId::parse(""), Err(SessionIdError::Empty));
    assert_eq!(SessionId::parse(&"x".repeat(129)), Err(SessionIdError::TooLong { len: 129 }));
    for byte in 0..=0x7f_u8 {
        let text = format!("ab{}c", char::from(byte));
        let allowed = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-".contains(&byte);
        match SessionId::parse(&text) {
            Ok(id) => assert!(allowed && id.as_str() == text, "{text:?}"),
            Err(error) => assert!(!allowed && error == SessionIdError::Character { at: 2 }, "{text:?}"),
        }
    }
    for text in ["ü", "a\u{661}", "\u{ff21}"] {
        assert!(SessionId::parse(text).is_err(), "{text:?}: letters and digits of ASCII only");
    }
}

#[test]
fn s3_a_newline_behind_the_id_is_refused() {
    for (text, at) in
        [("abc\n", 3), ("abc\r\n", 3), ("abc\r", 3), ("\nabc", 0), ("a\nb", 1), ("abc\0", 3), ("\n", 0)]
    {
        assert_eq!(SessionId::parse(text), Err(SessionIdError::Character { at }), "{text:?}");
    }
    let longest = format!("{}\n", "x".repeat(128));
    assert_eq!(SessionId::parse(&longest), Err(SessionIdError::Character { at: 128 }));
}

#[test]
fn a_refusal_says_what_is_allowed_and_does_not_repeat_the_id() {
    for (text, said) in [
        ("", "the session id is empty"),
        ("no such\r\n", "the session id holds a bad character at byte 2: A-Z a-z 0-9 _ - are allowed"),
        (&"x".repeat(130), "the session id has 130 characters: 128 are allowed"),
    ] {
        assert_eq!(SessionId::parse(text).map_err(|error| error.to_string()), Err(said.to_owned()));
    }
}

proptest! {
    #[test]
    fn s1_every_id_that_is_made_is_valid_and_a_uuid(bytes in any::<[u8; 16]>()) {
        let id = SessionId::from_random(bytes);
        prop_assert_eq!(SessionId::parse(id.as_str()), Ok(id.clone()));
        let parts: Vec<&str> = id.as_str().split('-').collect();
        prop_assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        prop_assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']));
    }

    #[test]
    fn s2_arbitrary_text_is_an_id_or_refused_and_an_accepted_one_is_as_it_was(text in any::<String>()) {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let valid = (1..=128).contains(&text.chars().count()) && text.chars().all(plain);
        prop_assert_eq!(SessionId::parse(&text).is_ok(), valid);
    }
}
