//! Request heads: what is read from them, what is refused, and the limits.

use sansio_sse::http1::{BodyLength, HeadLimits, HttpError, RequestHead, Version};

fn parse(head: &str) -> Result<RequestHead, HttpError> {
    RequestHead::parse(HeadLimits::default(), &mut head.as_bytes()).map(|head| head.expect("complete"))
}

fn with_line(line: &str) -> Result<RequestHead, HttpError> {
    parse(&format!("POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n"))
}

#[test]
fn a_head_tells_its_parts() {
    let head = parse(
        "GET /sse?a=b?c HTTP/1.1\r\nhOsT:  A.example:80 \r\nX: 1\r\nx: \t2\r\nExpect: 100-continue\r\n\r\n",
    )
    .unwrap();
    assert_eq!((head.method(), head.target()), ("GET", "/sse?a=b?c"));
    assert_eq!((head.path(), head.query()), ("/sse", Some("a=b?c")));
    assert_eq!((head.version(), head.authority()), (Version::Http11, Some("A.example:80")));
    assert_eq!(head.header("X"), Some(&b"1"[..]));
    assert_eq!(head.headers_named("X").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.headers().map(|(name, _)| name).collect::<Vec<_>>(), ["hOsT", "X", "x", "Expect"]);
    assert!(head.keep_alive() && !head.expects_continue(), "without a body there is nothing to wait for");
    assert_eq!(head.body(), BodyLength::None);
}

#[test]
fn targets_are_taken_apart_by_their_form() {
    for (target, authority, path, query) in [
        ("/", "h", "/", None),
        ("/?", "h", "/", Some("")),
        ("//x/y", "h", "//x/y", None),
        ("http://other:8080/p?q", "other:8080", "/p", Some("q")),
        ("HTTPS://other", "other", "/", None),
        ("http://other?q", "other", "/", Some("q")),
        ("http://[::1]:80/p", "[::1]:80", "/p", None),
    ] {
        let head = parse(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
        assert_eq!((head.authority(), head.path(), head.query()), (Some(authority), path, query), "{target}");
    }
    assert_eq!(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().path(), "*");
    // What browsers send unescaped, though RFC 3986 would have it escaped.
    let head = parse("GET /a|b^[]{}?`'\\ HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!((head.path(), head.query()), ("/a|b^[]{}", Some("`'\\")));
}

#[test]
fn malformed_request_lines_are_refused() {
    for (line, error) in [
        ("GET * HTTP/1.1", HttpError::Target),
        ("GET ftp://h/ HTTP/1.1", HttpError::Target),
        ("GET http:/h/ HTTP/1.1", HttpError::Target),
        ("GET /a#b HTTP/1.1", HttpError::Target),
        ("GET /\u{e9} HTTP/1.1", HttpError::Target),
        ("GET /a<b HTTP/1.1", HttpError::Target),
        ("GET /a\"b HTTP/1.1", HttpError::Target),
        ("GET /a`b HTTP/1.1", HttpError::Target),
        ("GET /?a>b HTTP/1.1", HttpError::Target),
        ("GET http://h/?a\"b HTTP/1.1", HttpError::Target),
        ("GET http:///p HTTP/1.1", HttpError::HostMalformed),
        ("GET http://user@h/ HTTP/1.1", HttpError::HostMalformed),
        ("CONNECT h:80 HTTP/1.1", HttpError::Connect),
        ("PRI * HTTP/2.0", HttpError::Http2),
        ("GET / HTTP/2.0", HttpError::Version),
        ("GET / HTTP/0.9", HttpError::Version),
        ("GET / HTTP/1.10", HttpError::RequestLine),
        ("GET / HTTP/1.a", HttpError::RequestLine),
        ("GET / HTTP/2.a", HttpError::RequestLine),
        ("GET / HTTP/a.1", HttpError::RequestLine),
        ("GET / http/1.1", HttpError::RequestLine),
        ("GET  / HTTP/1.1", HttpError::RequestLine),
        ("GET / HTTP/1.1 ", HttpError::RequestLine),
        (" GET / HTTP/1.1", HttpError::RequestLine),
    ] {
        assert_eq!(parse(&format!("{line}\r\nHost: h\r\n\r\n")), Err(error), "{line}");
    }
}

#[test]
fn a_later_minor_version_counts_as_1_1() {
    assert_eq!(parse("GET / HTTP/1.7\r\nHost: h\r\n\r\n").unwrap().version(), Version::Http11);
}

#[test]
fn hosts_are_checked_by_their_grammar() {
    for host in ["a", "a:", "a:65535", "[::1]", "[::ffff:1.2.3.4]:1", "a%20b", "1.2.3.4:80", "a_b", "xn--a"] {
        assert!(parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).is_ok(), "{host}");
    }
    for host in [
        "", ":80", "a:65536", "a:+1", "[::1", "[::1]x", "[]", "[a]", "::1", "a b", "u@a", "a%2", "a%2g",
        "a%g2", "a/", "a,\u{e9}",
    ] {
        let head = parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(head, Err(HttpError::HostMalformed), "{host}");
    }
    assert_eq!(parse("GET / HTTP/1.1\r\n\r\n"), Err(HttpError::HostMissing));
    assert_eq!(parse("GET / HTTP/1.0\r\n\r\n").unwrap().authority(), None);
    assert_eq!(parse("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Err(HttpError::HostRepeated));
}

#[test]
fn body_lengths_are_read_strictly() {
    for (line, body) in [
        ("Content-Length: 0", BodyLength::Length(0)),
        ("content-length: 0012", BodyLength::Length(12)),
        ("Content-Length: 18446744073709551615", BodyLength::Length(u64::MAX)),
        ("Transfer-Encoding: Chunked", BodyLength::Chunked),
    ] {
        assert_eq!(with_line(line).unwrap().body(), body, "{line}");
    }
    for (line, error) in [
        ("Content-Length: 18446744073709551616", HttpError::BodyTooLarge { limit: u64::MAX }),
        ("Content-Length: -1", HttpError::ContentLength),
        ("Content-Length: 2\r\nContent-Length: 2", HttpError::ContentLength),
        ("Transfer-Encoding: chunked, chunked", HttpError::TransferEncoding),
        ("Transfer-Encoding: chunked, gzip", HttpError::TransferEncoding),
        ("Transfer-Encoding: chunked,", HttpError::TransferEncoding),
        ("Transfer-Encoding: \"chunked\"", HttpError::TransferEncoding),
        ("Transfer-Encoding: gzip, chunked", HttpError::UnknownCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1", HttpError::BothLengths),
    ] {
        assert_eq!(with_line(line), Err(error), "{line}");
    }
    let old = parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(old, Err(HttpError::TransferEncoding));
}

#[test]
fn connection_and_expect_are_lists_in_any_case() {
    assert!(!with_line("Connection: x, CLOSE").unwrap().keep_alive());
    assert!(!with_line("Connection: x\r\nConnection: close").unwrap().keep_alive());
    assert!(with_line("Connection: closed").unwrap().keep_alive());
    assert!(!parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap().keep_alive());
    assert!(with_line("Content-Length: 1\r\nExpect: 100-Continue").unwrap().expects_continue());
}

#[test]
fn limits_hold_to_the_byte() {
    let limits = HeadLimits { head_bytes: 100, target_bytes: 20, headers: 3 };
    let try_head = |head: String| RequestHead::parse(limits, &mut head.as_bytes()).map(|head| head.is_some());

    let head_of =
        |bytes: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(bytes - 32));
    assert_eq!(head_of(100).len(), 100);
    for (bytes, verdict) in
        [(99, Ok(true)), (100, Ok(true)), (101, Err(HttpError::HeadTooLarge { limit: 100 }))]
    {
        assert_eq!(try_head(head_of(bytes)), verdict, "{bytes} bytes");
    }
    let target_of = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(bytes - 1));
    for (bytes, verdict) in
        [(19, Ok(true)), (20, Ok(true)), (21, Err(HttpError::TargetTooLong { limit: 20 }))]
    {
        assert_eq!(try_head(target_of(bytes)), verdict, "{bytes} bytes");
    }
    let lines_of = |n: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(n - 1));
    for (n, verdict) in [(2, Ok(true)), (3, Ok(true)), (4, Err(HttpError::TooManyHeaders { limit: 3 }))] {
        assert_eq!(try_head(lines_of(n)), verdict, "{n} headers");
    }
}

#[test]
fn two_empty_lines_before_a_request_are_skipped_and_no_third() {
    assert!(parse("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n").is_ok());
    assert_eq!(parse("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), Err(HttpError::EmptyLines));
}

#[test]
fn doubtful_bytes_are_refused_as_soon_as_they_are_seen() {
    for (start, error) in [
        ("\n", HttpError::BareLineEnd { at: 0 }),
        ("\rG", HttpError::BareLineEnd { at: 0 }),
        ("GET\n", HttpError::BareLineEnd { at: 3 }),
        ("GET / HTTP/1.1\r\nA: b\rc", HttpError::BareLineEnd { at: 21 }),
        ("\u{16}", HttpError::Control { byte: 0x16, at: 0 }),
        ("GET /\u{7f}", HttpError::Control { byte: 0x7f, at: 5 }),
    ] {
        assert_eq!(RequestHead::parse(HeadLimits::default(), &mut start.as_bytes()), Err(error), "{start:?}");
    }
}

#[test]
fn an_incomplete_head_leaves_its_input_and_debug_shows_no_values() {
    let mut input = &b"GET / HTTP/1.1\r\nHost: h\r\n"[..];
    assert_eq!(RequestHead::parse(HeadLimits::default(), &mut input), Ok(None));
    assert_eq!(input.len(), 25);
    let head = parse("GET /p?token=s HTTP/1.1\r\nHost: h\r\nAuthorization: secret\r\n\r\n").unwrap();
    assert!(!format!("{head:?}").contains("secret") && !format!("{head:?}").contains("token"));
    assert!(format!("{head:?}").contains("headers: 2,"), "{head:?}");
}
