//! What is fuzzed: each target is a function of bytes that panics when its law, the first line of its doc, is
//! broken. `cargo fuzz run` feeds them; `tests/replay.rs` does on stable.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{
    Connection, ConnectionConfig, HeadLimits, RequestHead, Response, ResponseEvent, ResponseReader,
    Step as HttpStep,
};
use sansio_sse::mcp::{HttpSse, Message, Route, Routes};
use sansio_sse::{
    AccessRules, Decoded, Decoder, Disconnect, EventStream, Frame, KeepAlive, Manner, Step, StreamConfig,
    Tick,
};

/// The first byte says where the input is cut in two; the rest is the input.
fn cut(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (first, rest) = data.split_first()?;
    let at = usize::from(*first) * (rest.len() + 1) / 256;
    Some((rest, &rest[..at], &rest[at..]))
}

/// However the bytes are cut, the same events come out, and nothing is held past the limit.
pub fn decode(data: &[u8]) {
    fn events(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::new(NonZeroUsize::new(200).unwrap());
        let mut out = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(decoded) = decoder.decode(&mut input) {
                match decoded {
                    Ok(Decoded::Event(event)) => {
                        assert!(event.data.len() + event.event_type.len() <= 200 + "message".len());
                        out.push(format!("{event:?}"));
                    }
                    Ok(other) => out.push(format!("{other:?}")),
                    Err(error) => {
                        out.push(format!("{error:?}"));
                        return out;
                    }
                }
            }
        }
        out
    }
    let Some((whole, left, right)) = cut(data) else { return };
    let once = events(&[whole]);
    assert_eq!(once, events(&[left, right]));
    assert_eq!(once, events(&whole.chunks(1).collect::<Vec<_>>()));
}

/// However the bytes are cut, the same requests are seen and the same answers given; after a refusal, none.
pub fn http1_request(data: &[u8]) {
    fn serve(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let now = Tick::ZERO;
        let config = ConnectionConfig::builder().body_bytes(64).build().unwrap();
        let mut connection = Connection::new(now, Arc::new(config));
        let (mut requests, mut wire) = (Vec::new(), Vec::new());
        let mut refused = false;
        for piece in pieces {
            let mut rest = *piece;
            loop {
                let read = match connection.poll() {
                    HttpStep::Head { head, .. } => {
                        assert!(!refused, "a request behind a refusal: {head:?}");
                        requests.push(format!("{} {} {:?}", head.method(), head.target(), head.authority()));
                        connection.receive_body(now).unwrap();
                        continue;
                    }
                    HttpStep::Request { body, .. } => {
                        requests.push(format!("{body:?}"));
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

/// What is accepted is JSON, and one line of text that means the same and reads as the same message again.
pub fn message(data: &[u8]) {
    let Some((data, ..)) = cut(data) else { return };
    let Ok(message) = Message::parse(data) else { return };
    assert!(!message.as_str().contains(['\n', '\r']));
    // serde_json's own reader stops a level earlier than 128.
    if !data.windows(2).any(|pair| pair == b"[[" || pair == b"{{") {
        let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(data), read(message.as_str().as_bytes()));
    }
    assert_eq!(Message::parse(message.as_str().as_bytes()).as_ref(), Ok(&message));
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
        Route::Events(place) => panic!("there is no {place}"),
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

/// Whatever is done to it, a stream loses and doubles nothing, closes once, and keeps to its deadlines.
pub fn event_stream(data: &[u8]) {
    let ms = Duration::from_millis;
    let config = StreamConfig::builder()
        .keep_alive(KeepAlive::Comment(ms(40)))
        .stall_after(Some(ms(90)))
        .lag_after(Some(ms(300)))
        .drain_within(ms(50))
        .max_queued(NonZeroUsize::new(8).unwrap(), NonZeroUsize::new(400).unwrap());
    let mut stream = EventStream::new(Tick::ZERO, Arc::new(config.build().unwrap()));
    let (mut now, mut accepted, mut wire) = (Tick::ZERO, Vec::new(), Vec::new());
    for operation in data.chunks_exact(2) {
        let (what, amount) = (operation[0] % 16, operation[1]);
        let closed = stream.closed().copied();
        match what {
            0..=5 => {
                let frame =
                    Frame::message(&format!("{}-{}", accepted.len(), "x".repeat(usize::from(amount))));
                if stream.push(now, frame.clone()).is_ok() {
                    accepted.push(frame);
                }
            }
            6..=10 => {
                let Step::Run { bytes, .. } = stream.poll() else { continue };
                let offered: Vec<u8> = bytes.pieces().flatten().copied().collect();
                assert_eq!(offered.len(), bytes.len());
                let taken = offered.len() * usize::from(amount) / 255;
                wire.extend_from_slice(&offered[..taken]);
                stream.handle_wrote(now, taken);
            }
            11 | 12 => now = now + ms(u64::from(amount)),
            13 => {
                stream.handle_timeout(now);
                assert!(stream.deadline().is_none_or(|(at, _)| at > now), "a deadline that is over");
            }
            14 if amount < 16 => stream.handle_disconnect(now, Disconnect::Reset),
            15 if amount < 32 => stream.finish(now),
            _ => stream.handle_timeout(Tick::ZERO),
        }
        if let Some(closed) = closed {
            assert_eq!(stream.closed(), Some(&closed), "a close that changed");
        }
    }
    // Keep-alives stand between frames only, so that without them the wire is a prefix of the frames.
    let wire = String::from_utf8(wire).unwrap();
    let said: String = wire.split_inclusive("\n\n").filter(|block| !block.starts_with(':')).collect();
    let all: String = accepted.iter().map(|frame| std::str::from_utf8(frame.as_bytes()).unwrap()).collect();
    assert!(all.starts_with(&said), "{said:?} is not how {all:?} begins");
    let whole = said.matches("\n\n").count();
    if let Some(close) = stream.closed() {
        assert_eq!(whole + close.undelivered, accepted.len());
        assert!(close.manner == Manner::Abort || close.undelivered == 0);
    }
}
