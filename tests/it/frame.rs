//! Frames: what is written for which fields, and what is refused.

use std::time::Duration;

use sansio_sse::{EventId, EventIdError, Field, FieldError, Frame, LineEnd};

#[test]
fn data_is_split_at_every_kind_of_line_break() {
    for (data, wire) in [
        ("", "data: \n\n"),
        ("a", "data: a\n\n"),
        ("a\nb", "data: a\ndata: b\n\n"),
        ("a\rb", "data: a\ndata: b\n\n"),
        ("a\r\nb", "data: a\ndata: b\n\n"),
        ("a\n\rb", "data: a\ndata: \ndata: b\n\n"),
        ("a\n", "data: a\ndata: \n\n"),
        ("\r\n\r\n", "data: \ndata: \ndata: \n\n"),
        (" a", "data:  a\n\n"),
        ("ü\u{2028}\u{85}", "data: ü\u{2028}\u{85}\n\n"),
    ] {
        assert_eq!(Frame::message(data).as_bytes(), wire.as_bytes(), "{data:?}");
    }
}

#[test]
fn every_field_has_its_line() {
    let all =
        Frame::builder().comment("c").event("e").id("i").data("d").retry(Duration::from_millis(1500)).build();
    assert_eq!(all.unwrap().as_bytes(), b": c\nevent: e\nid: i\ndata: d\nretry: 1500\n\n");
    assert_eq!(Frame::named("tick", "1").unwrap().as_bytes(), b"event: tick\ndata: 1\n\n");
    assert_eq!(Frame::comment("").unwrap().as_bytes(), b":\n\n");
    assert_eq!(Frame::comment("hi").unwrap().as_bytes(), b": hi\n\n");
    assert_eq!(Frame::retry(Duration::from_secs(3)).as_bytes(), b"retry: 3000\n\n");
    assert_eq!(Frame::priming().as_bytes(), b"data: \n\n");
}

#[test]
fn lines_end_as_configured_and_never_in_a_lone_cr() {
    let frame = Frame::builder().event("e").data("a\rb").line_end(LineEnd::CrLf).build().unwrap();
    assert_eq!(frame.as_bytes(), b"event: e\r\ndata: a\r\ndata: b\r\n\r\n");
}

#[test]
fn a_frame_written_to_a_buffer_is_the_frame_that_is_shared() {
    let mut out = b"before".to_vec();
    let mut expected = out.clone();
    let long = "x".repeat(100);
    for data in [None, Some(""), Some("a"), Some("a\r\n\rb\n"), Some(&*long)] {
        for text in [None, Some(""), Some("x")] {
            for line_end in [LineEnd::Lf, LineEnd::CrLf] {
                let mut builder = Frame::builder().line_end(line_end);
                builder = data.map_or(builder, |data| builder.data(data));
                builder = text.map_or(builder, |text| builder.comment(text).event(text).id(text));
                for builder in [builder, builder.retry(Duration::from_millis(7))] {
                    builder.write_to(&mut out).unwrap();
                    expected.extend_from_slice(builder.build().unwrap().as_bytes());
                }
            }
        }
        if let Some(data) = data {
            Frame::write_message(data, &mut out);
            expected.extend_from_slice(Frame::message(data).as_bytes());
        }
    }
    assert_eq!(out, expected);
    assert!(Frame::builder().data("a").event("\r").write_to(&mut out).is_err());
    assert_eq!(out, expected);
}

#[test]
fn text_that_would_forge_fields_is_refused_and_named() {
    for (text, at) in [("\n", 0), ("a\rb", 1), ("ab\r\n", 2)] {
        let refused = |field| Err(FieldError::LineBreak { field, at });
        assert_eq!(Frame::named(text, ""), refused(Field::Event));
        assert_eq!(Frame::comment(text), refused(Field::Comment));
        assert_eq!(Frame::builder().id(text).data("").build(), refused(Field::Id));
    }
    let refused = Frame::builder().id("a\0").data("").build();
    assert_eq!(refused, Err(FieldError::Nul { field: Field::Id, at: 1 }));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "NUL at byte 1 of the event id: text without CR, LF and NUL is allowed"
    );
}

#[test]
fn event_ids_have_one_spelling() {
    for (text, id) in [
        ("0.0", (0, 0)),
        ("2a.7", (0x2a, 7)),
        ("ffffffffffffffff.18446744073709551615", (u64::MAX, u64::MAX)),
    ] {
        let id = EventId { stream: id.0, seq: id.1 };
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(id.to_string(), text);
    }
    for text in
        ["", ".", "1", "1.", ".1", "01.1", "1.01", "A.1", "1.a", "+1.1", "1.+1", "1.1.1", " 1.1", "1.1\n"]
    {
        assert_eq!(text.parse::<EventId>(), Err(EventIdError), "{text:?}");
    }
    assert_eq!("10000000000000000.1".parse::<EventId>(), Err(EventIdError), "past 64 bits");
}
