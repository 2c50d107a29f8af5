//! Media types in requests: what a client accepts, and what it sends (RFC 9110 §8.3, §12.5.1).

/// Whether `text/event-stream` is acceptable: without an `Accept` anything is; otherwise the most specific range
/// that covers it decides, and a weight of zero refuses.
pub(crate) fn accepts_event_stream<'a>(accept: impl Iterator<Item = &'a [u8]>) -> bool {
    accepts(b"text/event-stream", b"text/*", accept)
}

/// Whether `application/json` is acceptable, by the same rules.
pub(crate) fn accepts_json<'a>(accept: impl Iterator<Item = &'a [u8]>) -> bool {
    accepts(b"application/json", b"application/*", accept)
}

fn accepts<'a>(wanted: &[u8], group: &[u8], accept: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut best: Option<(u8, bool)> = None;
    let mut any = false;
    for range in accept.flat_map(|line| line.split(|b| *b == b',')) {
        any |= !range.trim_ascii().is_empty();
        let mut parts = range.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let specific = match parts.next() {
            Some(name) if name.eq_ignore_ascii_case(wanted) => 2,
            Some(name) if name.eq_ignore_ascii_case(group) => 1,
            Some(b"*/*") => 0,
            Some(_) | None => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        let wanted = weight.is_none_or(|q| q.iter().any(|b| matches!(b, b'1'..=b'9')));
        match best {
            Some((before, _)) if before > specific => {}
            Some((before, was)) if before == specific => best = Some((before, was || wanted)),
            Some(_) | None => best = Some((specific, wanted)),
        }
    }
    best.map_or(!any, |(_, wanted)| wanted)
}

/// Whether a `Content-Type` is `application/json`, with whatever parameters.
pub(crate) fn is_json(content_type: &[u8]) -> bool {
    let name = content_type.split(|b| *b == b';').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
mod tests {
    use super::{accepts_event_stream, is_json};

    #[test]
    fn the_most_specific_range_decides() {
        for (accept, expected) in [
            (&[][..], true),
            (&[""], true),
            (&["text/event-stream"], true),
            (&["TEXT/Event-Stream;q=0.1"], true),
            (&["*/*"], true),
            (&["text/*"], true),
            (&["application/json, text/event-stream"], true),
            (&["application/json", "text/event-stream"], true),
            (&["application/json"], false),
            (&["text/html, image/*"], false),
            (&["text/event-stream;q=0, */*"], false),
            (&["text/event-stream; q=0.000"], false),
            (&["*/*;q=0"], false),
            (&["*/*;q=0, text/*"], true),
            (&["*/*, text/event-stream;q=0"], false),
            (&["text/event-stream;q=0, text/event-stream"], true),
            (&["text/event-stream, text/event-stream;q=0"], true),
            (&["text/event-stream;q=0, text/event-stream;q=0"], false),
            (&["text/event-streams"], false),
        ] {
            assert_eq!(
                accepts_event_stream(accept.iter().map(|line| line.as_bytes())),
                expected,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn json_may_have_parameters_and_any_case_and_no_other_name() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            (" application/json ;", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("application/json-rpc", false),
            ("text/plain; application/json", false),
            ("application/json, text/plain", false),
            ("", false),
        ] {
            assert_eq!(is_json(content_type.as_bytes()), expected, "{content_type:?}");
        }
    }
}
