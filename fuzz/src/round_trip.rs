//! What the encoder writes, the decoder reads.

use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::{Decoded, Decoder, Field, FieldError, Frame, LastEventId, LineEnd, TooLarge};

use crate::reference::Said;

/// A frame says what its fields say and nothing else; what cannot be said is refused by name.
///
/// The first byte has a bit for each field and for CRLF, the second says where the frame is cut; then come texts
/// with 0xFF between them, and the first bytes of the last one are the number of the `retry` field.
pub fn round_trip(data: &[u8]) {
    let [flags, cut, texts @ ..] = data else { return };
    let mut texts = texts.split(|byte| *byte == 0xFF).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut field = |bit: u8| {
        let text = texts.next().unwrap_or_default();
        (flags >> bit & 1 == 1).then_some(text)
    };
    let (comment, event, id, data, retry) = (field(0), field(1), field(2), field(3), field(4));
    let retry = retry.map(|text| {
        let number = text.bytes().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(byte));
        if flags >> 6 & 1 == 1 { Duration::new(number, 999_999_999) } else { Duration::from_micros(number) }
    });

    let mut builder = Frame::builder();
    builder = if flags >> 5 & 1 == 1 { builder.line_end(LineEnd::CrLf) } else { builder };
    builder = comment.as_deref().map_or(builder, |text| builder.comment(text));
    builder = event.as_deref().map_or(builder, |text| builder.event(text));
    builder = id.as_deref().map_or(builder, |text| builder.id(text));
    builder = data.as_deref().map_or(builder, |text| builder.data(text));
    builder = retry.map_or(builder, |after| builder.retry(after));
    let checked = [(Field::Comment, &comment), (Field::Event, &event), (Field::Id, &id)];
    let fault = checked.into_iter().find_map(|(field, text)| {
        let text = text.as_deref()?;
        let at = text.find(['\r', '\n', '\0'])?;
        let is_nul = text.as_bytes()[at] == 0;
        Some(if is_nul { FieldError::Nul { field, at } } else { FieldError::LineBreak { field, at } })
    });
    let frame = match (builder.build(), fault) {
        (Ok(frame), None) => frame,
        (Err(error), Some(fault)) => return assert_eq!(error, fault),
        (built, fault) => panic!("{built:?}, but {fault:?}"),
    };

    // What must come out; a second frame behind it shows that the first is over.
    let mut expected = Vec::new();
    if let Some(text) = comment {
        expected.push(Ok(Said::Comment(if text.is_empty() { text } else { format!(" {text}") })));
    }
    let id = id.unwrap_or_default();
    if id.len() > LastEventId::MAX_LEN {
        expected.push(Err(TooLarge::LastEventId { limit: LastEventId::MAX_LEN }));
    } else {
        if let Some(after) = retry {
            let whole = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            expected.push(Ok(Said::Retry(Duration::from_millis(whole))));
        }
        if let Some(data) = data {
            expected.push(Ok(Said::Event {
                event_type: event.filter(|event| !event.is_empty()).unwrap_or_else(|| "message".to_owned()),
                data: data.replace("\r\n", "\n").replace('\r', "\n"),
                last_event_id: id.clone(),
            }));
        }
        let (event_type, data) = ("message".to_owned(), "next".to_owned());
        expected.push(Ok(Said::Event { event_type, data, last_event_id: id }));
    }

    let at = usize::from(*cut) * (frame.as_bytes().len() + 1) / 256;
    let (left, right) = frame.as_bytes().split_at(at);
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    let mut said = Vec::new();
    for mut input in [left, right, Frame::message("next").as_bytes()] {
        while let Some(decoded) = decoder.decode(&mut input) {
            said.push(decoded.map(said_by));
            if matches!(said.last(), Some(Err(_))) {
                break;
            }
        }
    }
    said.dedup_by(|a, b| a.is_err() && b.is_err());
    assert_eq!(said, expected);
}

/// Owned, in the terms of the reference.
pub fn said_by(decoded: Decoded<'_>) -> Said {
    match decoded {
        Decoded::Event(event) => Said::Event {
            event_type: event.event_type.to_owned(),
            data: event.data.to_owned(),
            last_event_id: event.last_event_id.map_or_else(String::new, ToString::to_string),
        },
        Decoded::Retry(after) => Said::Retry(after),
        Decoded::Comment(text) => Said::Comment(text.to_owned()),
    }
}
