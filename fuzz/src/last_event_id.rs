//! The two ways in which a last event id is read: as opaque text, and as one that was given out here.

use std::num::NonZeroUsize;

use sansio_sse::http1::{HeadLimits, RequestHead};
use sansio_sse::mcp::{HttpSse, Route, Routes};
use sansio_sse::{AccessRules, Decoder, EventId, LastEventId, LastEventIdError};

/// What is read as an id prints as it stood, comes through a stream and a header unharmed, and holds no CR, LF or NUL.
pub fn last_event_id(data: &[u8]) {
    // The numbers of an id that is given out, whatever they are.
    if let Some((numbers, _)) = data.split_at_checked(16) {
        let number = |at: usize| numbers[at..at + 8].iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let id = EventId { stream: number(0), seq: number(8) };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(LastEventId::new(&id.to_string()).is_ok());
    }

    let text = String::from_utf8_lossy(data);
    let forbidden = text.find(['\r', '\n', '\0']);
    match LastEventId::new(&text) {
        Ok(id) => {
            assert!((1..=LastEventId::MAX_LEN).contains(&text.len()) && forbidden.is_none());
            assert_eq!((id.as_str(), &*id.to_string()), (&*text, &*text));
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            let body = format!("id: {id}\n\n");
            assert_eq!(decoder.decode(&mut body.as_bytes()), None);
            assert_eq!(decoder.last_event_id(), Some(&id));
        }
        Err(LastEventIdError::Empty) => assert!(text.is_empty()),
        Err(LastEventIdError::TooLong { limit }) => {
            assert!(text.len() > limit && limit == LastEventId::MAX_LEN)
        }
        Err(LastEventIdError::Forbidden { at }) => assert_eq!(forbidden, Some(at)),
        Err(other) => panic!("{other}"),
    }

    let given_out = text.parse::<EventId>().ok();
    if let Some(id) = given_out {
        assert_eq!(id.to_string(), text);
        assert!(text.len() <= 16 + 1 + 20);
    }
    let raw = [b"GET /sse HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: ", data, b"\r\n\r\n"].concat();
    let routes = Routes::new(AccessRules::loopback()).http_sse("/sse", &HttpSse::default());
    if let Ok(Some(head)) = RequestHead::parse(HeadLimits::default(), &mut &raw[..]) {
        // The text may have brought header lines of its own.
        let sent = head.header("last-event-id").unwrap_or_default();
        match routes.route(&head) {
            Route::OpenSession { last: Some(last) } => assert_eq!(last.to_string().as_bytes(), sent),
            Route::OpenSession { last: None } => assert!(sent.is_empty()),
            Route::Answer(answer) => assert!(given_out.is_none() && matches!(answer.status(), 204 | 400..)),
            Route::Message(_) | Route::Events(_) | Route::Request(_) | Route::Streamable(_) => {
                panic!("a GET of /sse")
            }
        }
    } else {
        assert!(given_out.is_none(), "an id of ours in a header");
    }
}
