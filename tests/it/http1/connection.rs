//! The connection: order, keeping, closing, and what is never read.

use proptest::prelude::*;
use sansio_sse::Disconnect;
use sansio_sse::http1::{
    CommandError, Connection, ConnectionClose, ConnectionConfig, HttpError, Response, Step,
};

use super::{GET, OK, Server, at, shared, splits};

const POST: &[u8] = b"POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello";
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A connection at `Step::Head` with `bytes` read.
fn at_head(bytes: &[u8]) -> Connection {
    let mut connection = Connection::new(at(0), shared(ConnectionConfig::builder()));
    connection.handle_bytes(at(0), bytes);
    assert!(matches!(connection.poll(), Step::Head { .. }), "{:?}", connection.poll());
    connection
}

/// Takes all bytes offered.
fn take(connection: &mut Connection) -> String {
    let Step::Run { bytes, .. } = connection.poll() else { panic!("{:?}", connection.poll()) };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    connection.handle_wrote(at(0), text.len());
    text
}

#[test]
fn pipelined_requests_are_answered_in_order_whatever_the_split() {
    let input = [GET, POST, b"\r\n", GET].concat();
    for pieces in splits(&input) {
        let mut server = Server::default();
        pieces.iter().for_each(|piece| server.feed(piece));
        let expected = [("GET /a", ""), ("POST /b", "hello"), ("GET /a", "")];
        let expected = expected.map(|(line, body)| (line.to_owned(), body.as_bytes().to_vec()));
        assert_eq!(server.requests, expected);
        assert_eq!(server.wire(), OK.repeat(3));
    }
}

#[test]
fn a_second_request_is_not_shown_before_the_first_response_is_taken() {
    let mut connection = at_head(&[GET, SMUGGLED].concat());
    connection.respond(at(0), &Response::text(200, "ok")).unwrap();
    connection.handle_wrote(at(0), OK.len() - 1);
    assert!(matches!(connection.poll(), Step::Run { bytes: b"k", .. }));
    connection.handle_wrote(at(0), 1);
    assert!(matches!(connection.poll(), Step::Head { head, .. } if head.path() == "/smuggled"));
}

#[test]
fn nothing_behind_a_doubtful_body_becomes_a_request() {
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in
        [("5\r\nhelloX\r\n0\r\n\r\n", 400), ("zz\r\n", 400), ("FFFFFFFFFF\r\n", 413), ("0\r\n\n", 400)]
    {
        let input = [head.as_bytes(), body.as_bytes(), SMUGGLED].concat();
        for pieces in splits(&input) {
            let mut server = Server::default();
            pieces.iter().for_each(|piece| server.feed(piece));
            server.feed(SMUGGLED);
            assert_eq!((server.status(), server.requests.len()), (Some(status), 0), "{body:?}");
            assert!(server.lingered);
            server.connection.handle_eof(server.now);
            assert!(matches!(server.closed(), Some(ConnectionClose::Refused(e)) if e.status() == status));
        }
    }
}

#[test]
fn an_unread_body_closes_the_connection_and_is_no_request() {
    let input = [&b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 39\r\n\r\n"[..], SMUGGLED].concat();
    let mut connection = at_head(&input);
    connection.respond(at(0), &Response::empty(403)).unwrap();
    let wire = take(&mut connection);
    assert_eq!(wire, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    connection.handle_bytes(at(0), SMUGGLED);
    assert!(matches!(connection.poll(), Step::Linger { read: 4096, .. }));
    connection.handle_eof(at(0));
    assert_eq!(connection.poll(), Step::Closed(ConnectionClose::Answered));
}

#[test]
fn a_declared_body_above_the_limit_is_refused_before_a_byte_of_it() {
    for (length, status) in [(7, 200), (8, 200), (9, 413), (u64::MAX, 413)] {
        let mut server = Server::new(shared(ConnectionConfig::builder().body_bytes(8)));
        server.feed(
            format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n")
                .as_bytes(),
        );
        if status == 200 {
            assert_eq!(server.wire(), "HTTP/1.1 100 Continue\r\n\r\n");
            server.feed(&vec![b'x'; usize::try_from(length).unwrap()]);
        }
        assert_eq!(server.status(), Some(status), "{length}");
    }
}

#[test]
fn continue_is_sent_when_the_body_is_wanted_and_only_then() {
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let mut wanted = at_head(head);
    wanted.receive_body(at(0)).unwrap();
    wanted.handle_bytes(at(0), b"{}");
    assert_eq!(wanted.respond(at(0), &Response::empty(202)), Err(CommandError::OutOfPhase), "100 goes first");
    assert_eq!(wanted.hand_over(at(0)), Err(CommandError::OutOfPhase), "for a stream too");
    assert_eq!(take(&mut wanted), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(matches!(wanted.poll(), Step::Request { body: b"{}", .. }));

    let mut unwanted = at_head(head);
    unwanted.respond(at(0), &Response::empty(401)).unwrap();
    assert!(take(&mut unwanted).starts_with("HTTP/1.1 401 "));
}

#[test]
fn http_1_0_and_a_wish_to_close_get_one_response() {
    for head in [
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    ] {
        let mut server = Server::default();
        server.feed(head.as_bytes());
        assert!(server.wire().contains("\r\nConnection: close\r\n") && server.lingered, "{head}");
        server.feed(GET);
        assert_eq!(server.requests.len(), 1);
    }
}

#[test]
fn a_head_request_gets_the_length_but_no_body() {
    let mut server = Server::default();
    server.feed(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(server.wire(), OK.strip_suffix("ok").unwrap());
    server.feed(GET);
    assert!(server.wire().ends_with(OK));
}

#[test]
fn a_refusal_of_a_head_request_has_no_body_either() {
    for (method, has_body) in [("HEAD", false), ("POST", true)] {
        let mut server = Server::new(shared(ConnectionConfig::builder().body_bytes(8)));
        server.feed(format!("{method} / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n").as_bytes());
        assert_eq!(
            (server.status(), server.wire().ends_with("\r\n\r\n")),
            (Some(413), !has_body),
            "{method}"
        );
    }
}

#[test]
fn a_body_of_any_size_is_written_whole() {
    let body = "x".repeat(100_000);
    let mut connection = at_head(GET);
    connection.respond(at(0), &Response::text(200, body.clone())).unwrap();
    assert!(take(&mut connection).ends_with(&format!("\r\nContent-Length: 100000\r\n\r\n{body}")));
}

#[test]
fn responses_without_a_body_by_definition_have_no_length() {
    for status in [204, 304] {
        let mut connection = at_head(GET);
        connection.respond(at(0), &Response::text(status, "never sent")).unwrap();
        let wire = take(&mut connection);
        assert!(wire.ends_with("\r\n\r\n") && !wire.contains("Content-Length"), "{wire}");
    }
    assert_eq!(Response::empty(100).status(), 500);
}

#[test]
fn reading_ahead_stops_at_its_limit_and_goes_on_after_the_response() {
    let mut connection = Connection::new(at(0), shared(ConnectionConfig::builder().read_ahead(100)));
    connection.handle_bytes(at(0), GET);
    assert!(matches!(connection.poll(), Step::Head { read: 100, .. }));
    connection.receive_body(at(0)).unwrap();
    connection.handle_bytes(at(0), &GET[..30]);
    assert!(matches!(connection.poll(), Step::Request { read: 70, .. }));
    connection.handle_bytes(at(0), &[&GET[30..], GET, &GET[..28]].concat());
    assert!(matches!(connection.poll(), Step::Request { read: 0, .. }));
    for _ in 0..2 {
        connection.respond(at(0), &Response::text(200, "ok")).unwrap();
        take(&mut connection);
        connection.receive_body(at(0)).unwrap();
    }
    assert!(matches!(connection.poll(), Step::Request { read: 72, .. }), "{:?}", connection.poll());
}

#[test]
fn a_body_is_never_asked_for_further_than_the_read_ahead_behind_it() {
    let mut connection = at_head(&POST[..POST.len() - 5]);
    connection.receive_body(at(0)).unwrap();
    assert!(matches!(connection.poll(), Step::Run { read: 4101, .. }));
}

#[test]
fn a_large_body_is_asked_for_in_pieces_of_64_kib() {
    for (length, read) in [(65_535, 65_535), (65_536, 65_536), (65_537, 65_536)] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        let mut connection = at_head(head.as_bytes());
        connection.receive_body(at(0)).unwrap();
        let Step::Run { read: asked, .. } = connection.poll() else { panic!("{:?}", connection.poll()) };
        assert_eq!(asked, read + 4096, "{length}");
    }
}

#[test]
fn the_end_of_the_input_is_no_end_of_the_answer() {
    // Between requests, within a head, within a body.
    for (input, close) in [
        (&b""[..], ConnectionClose::PeerClosed),
        (b"\r\n", ConnectionClose::PeerClosed),
        (b"G", ConnectionClose::Truncated),
        (&POST[..POST.len() - 1], ConnectionClose::Truncated),
        (GET, ConnectionClose::PeerClosed),
    ] {
        for told in
            [Connection::handle_eof, |c: &mut Connection, now| c.handle_disconnect(now, Disconnect::Eof)]
        {
            let mut server = Server::default();
            server.feed(input);
            told(&mut server.connection, server.now);
            assert_eq!(server.closed(), Some(close), "{input:?}");
        }
    }
    // While two requests wait: both are answered.
    let mut connection = at_head(&[GET, GET].concat());
    connection.handle_eof(at(0));
    assert!(matches!(connection.poll(), Step::Head { read: 0, .. }));
    connection.respond(at(0), &Response::text(200, "ok")).unwrap();
    assert_eq!(take(&mut connection), OK);
    connection.respond(at(0), &Response::text(200, "ok")).unwrap();
    assert!(take(&mut connection).contains("Connection: close"));
    assert_eq!(
        connection.poll(),
        Step::Closed(ConnectionClose::Answered),
        "no lingering for a peer that is done"
    );
}

#[test]
fn what_was_cut_off_behind_the_present_request_closes_after_its_answer() {
    let mut next = at_head(&[GET, &GET[..20]].concat());
    next.handle_eof(at(0));
    next.respond(at(0), &Response::text(200, "ok")).unwrap();
    assert_eq!(take(&mut next), OK);
    assert_eq!(next.poll(), Step::Closed(ConnectionClose::Truncated));

    let mut body = at_head(&POST[..POST.len() - 1]);
    body.handle_eof(at(0));
    body.receive_body(at(0)).unwrap();
    assert_eq!(body.poll(), Step::Closed(ConnectionClose::Truncated));
}

#[test]
fn what_comes_behind_a_refusal_is_not_kept() {
    let mut connection = Connection::new(at(0), shared(ConnectionConfig::builder()));
    connection.handle_bytes(at(0), b"\n");
    let shown = format!("{connection:?}").len();
    for _ in 0..100 {
        connection.handle_bytes(at(0), &[b'x'; 4096]);
    }
    assert_eq!(format!("{connection:?}").len(), shown, "all of its state is the same");
}

#[test]
fn a_broken_connection_closes_at_once_and_for_ever() {
    let mut connection = at_head(GET);
    connection.handle_disconnect(at(1), Disconnect::Reset);
    let closed = Step::Closed(ConnectionClose::Disconnected(Disconnect::Reset));
    assert_eq!(connection.poll(), closed);
    connection.handle_bytes(at(2), GET);
    connection.handle_eof(at(2));
    connection.handle_wrote(at(2), 9);
    connection.handle_timeout(at(u64::MAX));
    connection.handle_disconnect(at(3), Disconnect::Io);
    connection.finish(at(3));
    assert_eq!(connection.poll(), closed);
    assert_eq!(connection.respond(at(3), &Response::empty(200)), Err(CommandError::OutOfPhase));
}

#[test]
fn finish_closes_between_requests_and_waits_for_the_present_one() {
    let mut idle = Connection::new(at(0), shared(ConnectionConfig::builder()));
    idle.finish(at(0));
    assert_eq!(idle.poll(), Step::Closed(ConnectionClose::Finished));

    let mut begun = Connection::new(at(0), shared(ConnectionConfig::builder()));
    begun.handle_bytes(at(0), &GET[..1]);
    begun.finish(at(0));
    begun.handle_bytes(at(0), &GET[1..]);
    begun.respond(at(0), &Response::text(200, "ok")).unwrap();
    assert!(take(&mut begun).contains("\r\nConnection: close\r\n"), "what has begun is answered");

    let mut asked = at_head(GET);
    asked.finish(at(0));
    asked.respond(at(0), &Response::text(200, "ok")).unwrap();
    assert!(take(&mut asked).contains("\r\nConnection: close\r\n"));
    asked.handle_eof(at(0));
    assert_eq!(asked.poll(), Step::Closed(ConnectionClose::Finished));

    let mut answering = at_head(&[GET, GET].concat());
    answering.respond(at(0), &Response::text(200, "ok")).unwrap();
    answering.finish(at(0));
    assert_eq!(take(&mut answering), OK);
    assert!(matches!(answering.poll(), Step::Linger { .. }), "the second request is not begun");
}

#[test]
fn a_stream_takes_the_socket_over_with_the_request_and_drops_what_is_behind() {
    let mut connection = at_head(&[GET, b"GET /x"].concat());
    let handover = connection.hand_over(at(0)).unwrap();
    assert_eq!((handover.head.path(), handover.read_behind, handover.eof), ("/a", 6, false));
    assert_eq!(connection.poll(), Step::Closed(ConnectionClose::HandedOver));
    assert_eq!(connection.hand_over(at(0)), Err(CommandError::OutOfPhase));

    let mut posted = at_head(POST);
    posted.receive_body(at(0)).unwrap();
    assert_eq!(posted.hand_over(at(0)).unwrap().body, b"hello");

    let mut head_only = at_head(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(head_only.hand_over(at(0)), Err(CommandError::NoBody));
    assert_eq!(head_only.respond(at(0), &Response::empty(200)), Ok(()), "and nothing has changed");
}

#[test]
fn commands_out_of_phase_change_nothing() {
    let mut connection = Connection::new(at(0), shared(ConnectionConfig::builder()));
    assert_eq!(connection.respond(at(0), &Response::empty(200)), Err(CommandError::OutOfPhase));
    assert_eq!(connection.receive_body(at(0)), Err(CommandError::OutOfPhase));
    assert_eq!(connection.hand_over(at(0)), Err(CommandError::OutOfPhase));
    connection.handle_bytes(at(0), GET);
    assert!(matches!(connection.poll(), Step::Head { .. }));
}

#[test]
fn a_refusal_says_what_was_found_and_nothing_of_the_input() {
    let mut server = Server::default();
    server.feed(b"GET / HTTP/1.1\r\nHost: h\r\nSecret : x\r\n\r\n");
    let body = format!("{}\n", HttpError::HeaderLine);
    assert!(server.wire().starts_with("HTTP/1.1 400 Bad Request\r\n") && server.wire().ends_with(&body));
}

proptest! {
    /// Splitting the input is invisible on the wire and in the requests, whatever is sent.
    #[test]
    fn any_split_of_any_input_gives_the_same_wire(
        parts in prop::collection::vec(prop::sample::select(vec![
            GET, POST, b"\r\n", b"GET", b" / HTTP/1.1\r\n", b"Host: h\r\n", b"\n", b"X: \x01", b"0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", b"HTTP/1.0\r\n",
        ]), 0..8),
        sizes in prop::collection::vec(1_usize..60, 1..5),
    ) {
        let input = parts.concat();
        let mut whole = Server::default();
        whole.feed(&input);
        let mut split = Server::default();
        let mut rest = &input[..];
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            split.feed(piece);
            rest = tail;
        }
        prop_assert_eq!(whole.wire(), split.wire());
        prop_assert_eq!(&whole.requests, &split.requests);
        prop_assert_eq!(whole.connection.poll(), split.connection.poll());
    }
}
