//! What is fuzzed: each target is a function of bytes that panics when its law, the first line of its doc, is
//! broken. `cargo fuzz run` feeds them; `tests/replay.rs` does on stable.

mod event_stream;
pub mod json;
mod last_event_id;
pub mod peer;
pub mod reference;
mod round_trip;
mod sessions;
mod streamable;

pub use event_stream::event_stream;
pub use last_event_id::last_event_id;
pub use round_trip::round_trip;
pub use sessions::sessions;
pub use streamable::streamable;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use sansio_sse::http1::{
    Connection, ConnectionConfig, HeadLimits, RequestHead, Response, ResponseEvent, ResponseReader,
    Step as HttpStep,
};
use sansio_sse::mcp::{HttpSse, Message, MessageError, MessageKind, Route, Routes};
use sansio_sse::{AccessRules, Decoder, LastEventId, Tick, TooLarge};

use peer::Understood;
use reference::Said;
use round_trip::said_by;

/// The first byte says where the input is cut in two; the rest is the input.
fn cut(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (first, rest) = data.split_first()?;
    let at = usize::from(*first) * (rest.len() + 1) / 256;
    Some((rest, &rest[..at], &rest[at..]))
}

/// However the bytes are cut, the events are those of the standard up to the limit, past which nothing is held.
pub fn decode(data: &[u8]) {
    fn run(limit: NonZeroUsize, pieces: &[&[u8]]) -> (Vec<Said>, Result<String, TooLarge>) {
        let mut decoder = Decoder::new(limit);
        let mut said = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(decoded) = decoder.decode(&mut input) {
                match decoded.map(said_by) {
                    Ok(one) => said.push(one),
                    Err(error) => return (said, Err(error)),
                }
            }
        }
        (said, Ok(decoder.last_event_id().map_or_else(String::new, ToString::to_string)))
    }
    fn run_by_piece(limit: NonZeroUsize, pieces: &[&[u8]]) -> (Vec<Said>, Result<String, TooLarge>) {
        let mut decoder = Decoder::new(limit);
        let mut said = Vec::new();
        for bytes in pieces {
            let mut piece = decoder.piece(bytes);
            while let Some(decoded) = piece.decode() {
                match decoded.map(said_by) {
                    Ok(one) => said.push(one),
                    Err(error) => return (said, Err(error)),
                }
            }
        }
        (said, Ok(decoder.last_event_id().map_or_else(String::new, ToString::to_string)))
    }
    let Some((whole, left, right)) = cut(data) else { return };
    let (expected, id) = reference::decode(whole);
    for limit in [NonZeroUsize::MAX, NonZeroUsize::new(200).unwrap(), NonZeroUsize::new(16).unwrap()] {
        let once = run(limit, &[whole]);
        assert_eq!(once, run(limit, &[left, right]));
        assert_eq!(once, run_by_piece(limit, &[whole]));
        assert_eq!(once, run_by_piece(limit, &[left, right]));
        assert_eq!(once, run(limit, &whole.chunks(1).collect::<Vec<_>>()));
        let (said, end) = once;
        for one in &said {
            if let Said::Event { event_type, data, .. } = one {
                assert!(event_type == "message" || data.len() + event_type.len() <= limit.get());
                assert!(data.len() <= limit.get());
            }
        }
        match end {
            Ok(end) => assert_eq!((&said, &end), (&expected, &id)),
            Err(TooLarge::Event { .. }) => {
                assert!(limit < NonZeroUsize::MAX && expected.starts_with(&said), "{said:?}, {expected:?}");
            }
            // A byte that is not UTF-8 takes three in an id.
            Err(_) => assert!(expected.starts_with(&said) && whole.len() > LastEventId::MAX_LEN / 3),
        }
    }
}

/// However the bytes are cut, the same requests are seen and the same answers given, after a refusal none; and hyper
/// sees each of them as we do.
pub fn http1_request(data: &[u8]) {
    fn serve(pieces: &[&[u8]]) -> (Vec<Understood>, Vec<u8>) {
        let now = Tick::ZERO;
        let config = ConnectionConfig::builder().body_bytes(64).build().unwrap();
        let mut connection = Connection::new(now, Arc::new(config));
        let (mut requests, mut wire) = (Vec::<Understood>::new(), Vec::new());
        let mut refused = false;
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let read = match connection.poll() {
                    HttpStep::Head { head, .. } => {
                        assert!(!refused, "a request behind a refusal: {head:?}");
                        requests.push(understood(head));
                        connection.receive_body(now).unwrap();
                        continue;
                    }
                    HttpStep::Request { body, .. } => {
                        requests.last_mut().unwrap().body = Some(body.to_vec());
                        connection.respond(now, &Response::empty(200)).unwrap();
                        continue;
                    }
                    HttpStep::Run { bytes, .. } if !bytes.is_empty() => {
                        refused |= bytes.starts_with(b"HTTP/1.1 4") || bytes.starts_with(b"HTTP/1.1 5");
                        wire.extend_from_slice(bytes);
                        let taken = bytes.len();
                        connection.handle_wrote(now, taken);
                        continue;
                    }
                    HttpStep::Run { read, .. } => read,
                    HttpStep::Linger { .. } | HttpStep::Closed(_) => return (requests, wire),
                };
                if rest.is_empty() {
                    break;
                }
                let (taken, left) = rest.split_at(read.min(rest.len()));
                connection.handle_bytes(now, taken);
                rest = left;
            }
        }
        (requests, wire)
    }
    let Some((whole, left, right)) = cut(data) else { return };
    let once = serve(&[whole]);
    assert_eq!(once, serve(&[left, right]));
    assert_eq!(once, serve(&whole.chunks(1).collect::<Vec<_>>()));

    // RFC 9110 §2.5: a later 1.x is to be read as 1.1, which hyper refuses.
    let is_later = |version: &[u8]| version.starts_with(b"HTTP/1.") && matches!(version[7], b'2'..=b'9');
    if once.0.is_empty() || whole.windows(8).any(is_later) {
        return;
    }
    let theirs = peer::serve(whole);
    for (at, ours) in once.0.iter().enumerate() {
        let Some(theirs) = theirs.get(at) else {
            // RFC 3986 §3.2.2 lets a host have escapes, which hyper refuses in a target. Here they are compared as
            // they stand, with names that have none.
            assert!(ours.authority.as_ref().is_some_and(|host| host.contains('%')), "hyper refuses {ours:?}");
            return;
        };
        // A body that ours refuses, theirs may take.
        let body = if ours.body.is_some() { theirs.body.clone() } else { None };
        assert_eq!(*ours, Understood { body, ..theirs.clone() });
    }
}

/// A head as `peer` shows it.
fn understood(head: &RequestHead) -> Understood {
    let mut headers: Vec<_> =
        head.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())).collect();
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    Understood {
        method: head.method().to_owned(),
        path: head.path().to_owned(),
        query: head.query().map(str::to_owned),
        authority: head.authority().map(str::to_owned),
        headers,
        body: None,
    }
}

/// However the bytes are cut, the same response is read from them.
pub fn http1_response(data: &[u8]) {
    fn read(pieces: &[&[u8]]) -> String {
        let mut reader = ResponseReader::new(HeadLimits::default(), 64, "GET");
        let (mut head, mut body, mut end) = (String::new(), Vec::new(), "open".to_owned());
        for piece in pieces {
            let mut input = *piece;
            loop {
                match reader.read(&mut input) {
                    Ok(Some(ResponseEvent::Head(response))) => head = format!("{response:?}"),
                    Ok(Some(ResponseEvent::Body(bytes))) => body.extend_from_slice(bytes),
                    Ok(Some(ResponseEvent::End)) => return format!("{head} {body:?} end"),
                    Ok(None) => break,
                    // What of a body comes before its fault depends on the cut; the fault does not.
                    Err(error) => return format!("{error:?}"),
                }
            }
        }
        if let Err(error) = reader.handle_eof() {
            end = format!("{error:?}");
        }
        format!("{head} {body:?} {end}")
    }
    let Some((whole, left, right)) = cut(data) else { return };
    let once = read(&[whole]);
    assert_eq!(once, read(&[left, right]));
    assert_eq!(once, read(&whole.chunks(1).collect::<Vec<_>>()));
}

/// What is accepted is JSON, stays as it was but for the space between its tokens, and is of the kind its members say.
pub fn message(data: &[u8]) {
    let Some((data, ..)) = cut(data) else { return };
    let json = json::read(data);
    let message = match Message::parse(data) {
        Ok(message) => message,
        Err(error @ MessageError::NotMessage { .. }) => {
            return assert!(json.is_some_and(|json| json.depth <= 128), "{error}, but it is no JSON");
        }
        Err(MessageError::TooDeep) => return assert!(json.is_none_or(|json| json.depth > 128)),
        Err(_) => return,
    };
    let json = json.expect("JSON");
    assert!(json.depth <= 128);
    assert_eq!(message.as_str(), json.compact);
    assert!(!message.as_str().contains(['\n', '\r']));
    assert_eq!(Message::parse(message.as_str().as_bytes()).as_ref(), Ok(&message));

    let text = |token: &str| serde_json::from_str::<String>(token).expect("a string");
    let mut members = BTreeMap::new();
    for (key, value) in &json.members {
        assert!(members.insert(text(key), value.as_str()).is_none(), "{key} comes twice");
    }
    let has = |key: &str| members.contains_key(key);
    assert_eq!(text(members["jsonrpc"]), "2.0");
    assert_eq!(message.id(), members.get("id").copied());
    assert_eq!(message.method(), members.get("method").map(|token| text(token)).as_deref());
    assert_eq!(
        message.kind(),
        match (has("method"), has("id")) {
            (true, true) => MessageKind::Request,
            (true, false) => MessageKind::Notification,
            (false, _) => MessageKind::Response,
        }
    );
    assert_eq!(has("method"), !has("result") && !has("error"));
    assert!(!(has("result") && has("error")));
    assert!(has("id") || has("method"));
}

/// No request is let in but for an allowed host and origin, with the path's own method and what it must carry.
pub fn route(data: &[u8]) {
    let routes = Routes::new(AccessRules::loopback()).http_sse("/sse", &HttpSse::default()).events("/events");
    let Some((mut data, ..)) = cut(data) else { return };
    let Ok(Some(head)) = RequestHead::parse(HeadLimits::default(), &mut data) else { return };
    let (method, path) = match routes.route(&head) {
        Route::Answer(response) => {
            assert!(response.status() == 204 || response.status() >= 400);
            return;
        }
        Route::OpenSession { .. } => ("GET", "/sse"),
        Route::Events(0) => ("GET", "/events"),
        Route::Events(place) | Route::Request(place) | Route::Streamable(place) => {
            panic!("there is no {place}")
        }
        Route::Message(id) => {
            assert!(head.query().unwrap().contains(id.as_str()));
            let media_type = head.header("content-type").unwrap().to_ascii_lowercase();
            assert!(media_type.trim_ascii_start().starts_with(b"application/json"));
            ("POST", "/message")
        }
    };
    assert_eq!((head.method(), head.path()), (method, path));
    let authority = head.authority().unwrap().to_ascii_lowercase();
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| !port.contains(']'))
        .map_or(&*authority, |(host, _)| host);
    assert!(["localhost", "127.0.0.1", "[::1]"].contains(&host), "{authority}");
    if let Some(origin) = head.header("origin") {
        assert!(origin.to_ascii_lowercase().windows(host.len()).any(|part| part == host.as_bytes()));
    }
}
