//! The client's side: responses over every split, and requests as they are written.

use sansio_sse::http1::{
    Behind, HeadLimits, HeaderError, HttpError, RequestBuilder, RequestHead, Response, ResponseEvent,
    ResponseReader, Version, reason_phrase, stream_head,
};

use super::splits;

/// Status, body, whether it ended (by itself or by the end of the connection), whether it can be kept.
type Outcome = Result<(u16, String, bool, bool), HttpError>;

fn read(pieces: &[&[u8]], method: &str) -> Outcome {
    let mut reader = ResponseReader::new(HeadLimits::default(), 64, method);
    let (mut status, mut body, mut ended) = (0, Vec::new(), false);
    for piece in pieces {
        let mut input = *piece;
        while let Some(event) = reader.read(&mut input)? {
            match event {
                ResponseEvent::Head(head) => status = head.status(),
                ResponseEvent::Body(data) => body.extend_from_slice(data),
                ResponseEvent::End => assert!(!std::mem::replace(&mut ended, true), "ends once"),
            }
        }
    }
    reader.handle_eof()?;
    Ok((status, String::from_utf8(body).unwrap(), ended, reader.keeps_connection()))
}

fn ok(status: u16, body: &str, ended: bool, keeps: bool) -> Outcome {
    Ok((status, body.to_owned(), ended, keeps))
}

#[test]
fn responses_are_read_the_same_whatever_the_split() {
    let table = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiX", ok(200, "hi", true, true)),
        ("HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ok(200, "", true, false)),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            ok(200, "hi", true, true),
        ),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", ok(200, "to the end", false, false)),
        ("HTTP/1.0 404 Not Found\r\n\r\nno", ok(404, "no", false, false)),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 202 \r\nContent-Length: 0\r\n\r\n",
            ok(202, "", true, true),
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", ok(204, "", true, true)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", ok(304, "", true, true)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", Err(HttpError::Truncated)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", Err(HttpError::Truncated)),
        ("HTTP/1.1 200 OK\r\nContent", Err(HttpError::Truncated)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n", Err(HttpError::BodyTooLarge { limit: 64 })),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Err(HttpError::BothLengths),
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Err(HttpError::UnknownCoding)),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(HttpError::TransferEncoding)),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", Err(HttpError::HeaderLine)),
        ("HTTP/1.1 200 OK\n\n", Err(HttpError::BareLineEnd { at: 15 })),
        ("HTTP/1.1\r\n\r\n", Err(HttpError::StatusLine)),
        ("HTTP/1.1 20 OK\r\n\r\n", Err(HttpError::StatusLine)),
        ("HTTP/1.1 600 OK\r\n\r\n", Err(HttpError::StatusLine)),
        ("ICY 200 OK\r\n\r\n", Err(HttpError::StatusLine)),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", Err(HttpError::StatusLine)),
        ("HTTP/2.0 200 OK\r\n\r\n", Err(HttpError::Version)),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", Err(HttpError::Interim)),
    ];
    for (wire, expected) in table {
        for pieces in splits(wire.as_bytes()) {
            assert_eq!(read(&pieces, "GET"), expected, "{wire:?}");
        }
    }
    let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    assert_eq!(read(&[to_head.as_bytes()], "HEAD"), ok(200, "", true, true));
}

#[test]
fn a_head_tells_its_parts() {
    let mut reader = ResponseReader::new(HeadLimits::default(), 64, "GET");
    let mut input = &b"HTTP/1.1 431 Too Large\r\nX: 1\r\nY: 2\r\nx: 3\r\nContent-Length: 0\r\n\r\n"[..];
    let Ok(Some(ResponseEvent::Head(head))) = reader.read(&mut input) else { panic!("no head") };
    assert_eq!((head.status(), head.version(), head.keep_alive()), (431, Version::Http11, true));
    assert_eq!((head.header("x"), head.header("Z")), (Some(&b"1"[..]), None));
    assert_eq!(head.headers_named("X").collect::<Vec<_>>(), [b"1", b"3"]);
    assert_eq!(head.headers().map(|(name, _)| name).collect::<Vec<_>>(), ["X", "Y", "x", "Content-Length"]);
}

#[test]
fn eight_interim_responses_are_skipped_and_no_ninth() {
    let wire = |n: usize| format!("{}HTTP/1.1 204 \r\n\r\n", "HTTP/1.1 100 \r\n\r\n".repeat(n));
    assert!(read(&[wire(8).as_bytes()], "GET").is_ok());
    assert_eq!(read(&[wire(9).as_bytes()], "GET"), Err(HttpError::Interim));
}

#[test]
fn an_error_is_final_and_what_is_behind_a_response_is_left() {
    let mut reader = ResponseReader::new(HeadLimits::default(), 64, "GET");
    assert_eq!(reader.read(&mut &b"\n"[..]), Err(HttpError::BareLineEnd { at: 0 }));
    assert_eq!(reader.read(&mut &b"HTTP/1.1 204 \r\n\r\n"[..]), Err(HttpError::BareLineEnd { at: 0 }));
    assert_eq!(reader.handle_eof(), Err(HttpError::BareLineEnd { at: 0 }));
    assert_eq!([HttpError::StatusLine, HttpError::Interim].map(|error| error.status()), [502; 2]);

    let mut reader = ResponseReader::new(HeadLimits::default(), 64, "GET");
    let mut input = &b"HTTP/1.1 204 \r\n\r\nHTTP/1.1 200"[..];
    while reader.read(&mut input).unwrap().is_some() {}
    assert_eq!(input, b"HTTP/1.1 200");
}

#[test]
fn the_limit_of_a_body_can_be_set_by_its_head() {
    let mut reader = ResponseReader::new(HeadLimits::default(), u64::MAX, "GET");
    let mut input = &b"HTTP/1.1 500 Oh\r\n\r\nlong text"[..];
    assert!(matches!(reader.read(&mut input), Ok(Some(ResponseEvent::Head(_)))));
    reader.limit_body(4);
    assert_eq!(reader.read(&mut input), Ok(Some(ResponseEvent::Body(b"long"))));
    assert_eq!(reader.read(&mut input), Err(HttpError::BodyTooLarge { limit: 4 }));
}

#[test]
fn a_response_has_the_media_type_that_it_was_given() {
    let response = Response::new(200, "text/css", &b"a{}"[..]).unwrap();
    assert_eq!((response.status(), response.body()), (200, &b"a{}"[..]));
}

#[test]
fn a_request_is_read_back_as_it_was_built() {
    let request = RequestBuilder::new("POST", "/mcp?x=y", "[::1]:80").unwrap();
    let request = request.header("Accept", "text/event-stream").unwrap().body(&b"{}"[..]).close().encode();
    let mut input = &request[..];
    let head = RequestHead::parse(HeadLimits::default(), &mut input).unwrap().unwrap();
    assert_eq!((head.method(), head.target(), head.authority()), ("POST", "/mcp?x=y", Some("[::1]:80")));
    assert_eq!(head.header("accept"), Some(&b"text/event-stream"[..]));
    assert!(!head.keep_alive());
    assert_eq!(input, b"{}");
}

#[test]
fn nothing_that_ends_a_line_gets_into_a_head() {
    for value in ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\x7fb"] {
        let refused = HeaderError::Value { name: "X".into(), at: 1 };
        assert_eq!(Response::empty(200).header("X", value), Err(refused.clone()));
        assert_eq!(stream_head(Version::Http11, Behind::KeepAlive, &[("X", value)]), Err(refused.clone()));
        let request = RequestBuilder::new("GET", "/", "h").unwrap();
        assert_eq!(request.header("X", value), Err(refused));
        assert!(Response::new(200, value, Vec::new()).is_err());
    }
    for name in ["", "a b", "a:", "a\r", "\u{e9}"] {
        assert_eq!(Response::empty(200).header(name, ""), Err(HeaderError::Name { name: name.into() }));
    }
    for name in ["Content-Length", "transfer-encoding", "CONNECTION"] {
        assert_eq!(Response::empty(200).header(name, "1"), Err(HeaderError::Reserved { name: name.into() }));
    }
    let built = |method, target, authority| RequestBuilder::new(method, target, authority).map(|_| ());
    assert_eq!(built("G T", "/", "h"), Err(HeaderError::Method));
    assert_eq!(built("CONNECT", "/", "h"), Err(HeaderError::Method));
    assert_eq!(built("GET", "/ HTTP/1.1", "h"), Err(HeaderError::Target));
    assert_eq!(built("GET", "http://h/", "h"), Err(HeaderError::Target));
    assert_eq!(built("GET", "/a`b", "h"), Err(HeaderError::Target));
    assert_eq!(built("GET", "/?a<b", "h"), Err(HeaderError::Target));
    assert_eq!(built("GET", "/", "h/x"), Err(HeaderError::Authority));
    assert!(RequestBuilder::new("GET", "/", "h").unwrap().header("host", "x").is_err());
}

#[test]
fn every_status_that_we_know_has_the_phrase_of_the_registry_and_the_others_none() {
    // RFC 9110 §15, RFC 6585 §4 and §5.
    for (status, phrase) in [
        (100, "Continue"),
        (200, "OK"),
        (201, "Created"),
        (202, "Accepted"),
        (204, "No Content"),
        (301, "Moved Permanently"),
        (302, "Found"),
        (303, "See Other"),
        (304, "Not Modified"),
        (307, "Temporary Redirect"),
        (308, "Permanent Redirect"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (406, "Not Acceptable"),
        (408, "Request Timeout"),
        (409, "Conflict"),
        (410, "Gone"),
        (411, "Length Required"),
        (412, "Precondition Failed"),
        (413, "Content Too Large"),
        (414, "URI Too Long"),
        (415, "Unsupported Media Type"),
        (417, "Expectation Failed"),
        (421, "Misdirected Request"),
        (422, "Unprocessable Content"),
        (426, "Upgrade Required"),
        (429, "Too Many Requests"),
        (431, "Request Header Fields Too Large"),
        (500, "Internal Server Error"),
        (501, "Not Implemented"),
        (502, "Bad Gateway"),
        (503, "Service Unavailable"),
        (504, "Gateway Timeout"),
        (505, "HTTP Version Not Supported"),
        (299, ""),
    ] {
        assert_eq!(reason_phrase(status), phrase, "{status}");
    }
}

#[test]
fn a_streams_head_is_chunked_for_1_1_and_read_back_by_the_reader() {
    let head =
        stream_head(Version::Http11, Behind::KeepAlive, &[("Content-Type", "text/event-stream")]).unwrap();
    let wire = [&head[..], b"3\r\n:a\n\r\n0\r\n\r\n"].concat();
    assert_eq!(read(&[&wire], "GET"), ok(200, ":a\n", true, true));
}

#[test]
fn a_streams_head_says_what_becomes_of_its_connection() {
    for (version, behind, expected) in [
        (Version::Http11, Behind::KeepAlive, "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"),
        (Version::Http11, Behind::Close, "Connection: close\r\nTransfer-Encoding: chunked\r\n"),
        (Version::Http10, Behind::KeepAlive, "Connection: close\r\n"),
        (Version::Http10, Behind::Close, "Connection: close\r\n"),
    ] {
        let head = String::from_utf8(stream_head(version, behind, &[]).unwrap()).unwrap();
        assert_eq!(head, format!("HTTP/1.1 200 OK\r\n{expected}\r\n"));
    }
}
