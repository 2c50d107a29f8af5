//! Every deadline of a connection, on both sides of it. The configured times all differ.

use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::Tick;
use sansio_sse::http1::{
    Connection, ConnectionClose, ConnectionConfig, ConnectionWake, HeadLimits, HttpError, Response, Step,
};

use super::{GET, Server, at, secs, shared};

const HEAD: u64 = 3_000_000;
const IDLE: u64 = 7_000_000;
const BODY: u64 = 5_000_000;
const STALL: u64 = 4_000_000;
const LINGER: u64 = 1_000_000;

const POST_HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n";

fn server() -> Server {
    Server::new(shared(
        ConnectionConfig::builder()
            .head_within(secs(3))
            .idle_for(secs(7))
            .body_within(secs(5))
            .respond_stall(secs(4))
            .linger_within(secs(1)),
    ))
}

/// Asserts that `connection` changes at `due` for `wake`, and not a microsecond earlier.
fn assert_due(connection: &mut Connection, due: u64, wake: ConnectionWake) {
    assert_eq!(connection.deadline(), Some((at(due), wake)));
    let before = format!("{:?}", connection.poll());
    connection.handle_timeout(at(due - 1));
    assert_eq!(format!("{:?}", connection.poll()), before);
    connection.handle_timeout(at(due));
    assert_ne!(format!("{:?}", connection.poll()), before);
}

#[test]
fn a_silent_connection_is_closed_silently_at_the_heads_deadline() {
    let mut server = server();
    server.feed(b"\r\n");
    assert_due(&mut server.connection, HEAD, ConnectionWake::Head);
    assert_eq!(server.closed(), Some(ConnectionClose::Idle));
}

#[test]
fn a_head_that_comes_byte_by_byte_is_refused_at_one_deadline() {
    let mut server = server();
    for (i, byte) in (0_u64..).zip(&GET[..29]) {
        server.now = at(i * 100_000);
        server.feed(&[*byte]);
    }
    assert_due(&mut server.connection, HEAD, ConnectionWake::Head);
    server.settle();
    assert_eq!(server.status(), Some(408));
    assert_due(&mut server.connection, HEAD + LINGER, ConnectionWake::Linger);
    assert_eq!(server.closed(), Some(ConnectionClose::Refused(HttpError::HeadTimedOut)));
}

#[test]
fn a_kept_connection_is_closed_after_its_idle_time() {
    let mut server = server();
    server.now = at(50);
    server.feed(GET);
    server.feed(b"\r\n\r\n");
    assert_due(&mut server.connection, 50 + IDLE, ConnectionWake::Idle);
    assert_eq!(server.closed(), Some(ConnectionClose::Idle));
}

#[test]
fn the_next_heads_deadline_begins_with_its_first_byte() {
    let mut server = server();
    server.feed(GET);
    server.now = at(6_000_000);
    server.feed(b"G");
    server.now = at(8_000_000);
    server.feed(b"E");
    assert_due(&mut server.connection, 6_000_000 + HEAD, ConnectionWake::Head);
    server.settle();
    assert_eq!(server.status(), Some(408));
}

#[test]
fn a_head_begun_ahead_counts_from_the_response() {
    let mut server = server();
    server.connection.handle_bytes(at(0), &[GET, b"G"].concat());
    server.now = at(9_000_000);
    server.settle();
    assert_eq!(server.connection.deadline(), Some((at(9_000_000 + HEAD), ConnectionWake::Head)));
}

#[test]
fn a_body_that_comes_byte_by_byte_is_refused_at_one_deadline() {
    let mut server = server();
    server.now = at(2_000_000);
    server.feed(POST_HEAD);
    for i in 0..49 {
        server.now = at(2_000_000 + i * 100_000);
        server.feed(b"x");
    }
    assert_due(&mut server.connection, 2_000_000 + BODY, ConnectionWake::Body);
    server.settle();
    assert_eq!(server.status(), Some(408));
    server.feed(&[b'x'; 60]);
    assert_eq!(server.requests, []);
    assert_due(&mut server.connection, 2_000_000 + BODY + LINGER, ConnectionWake::Linger);
    assert_eq!(server.closed(), Some(ConnectionClose::Refused(HttpError::BodyTimedOut)));
}

#[test]
fn a_stalled_response_closes_at_the_deadline_and_each_byte_taken_moves_it() {
    let mut server = server();
    let connection = &mut server.connection;
    connection.handle_bytes(at(0), GET);
    connection.respond(at(10), &Response::text(200, "ok")).unwrap();
    assert_eq!(connection.deadline(), Some((at(10 + STALL), ConnectionWake::Stall)));
    connection.handle_wrote(at(500), 0);
    assert_eq!(connection.deadline(), Some((at(10 + STALL), ConnectionWake::Stall)));
    connection.handle_wrote(at(600), 1);
    assert_due(connection, 600 + STALL, ConnectionWake::Stall);
    assert_eq!(server.closed(), Some(ConnectionClose::Stalled));
}

#[test]
fn a_refusal_that_is_not_taken_keeps_its_reason() {
    let mut server = server();
    server.connection.handle_bytes(at(0), b"\n");
    assert_due(&mut server.connection, STALL, ConnectionWake::Stall);
    assert!(matches!(server.closed(), Some(ConnectionClose::Refused(HttpError::BareLineEnd { at: 0 }))));
}

#[test]
fn a_waiting_request_has_no_deadline() {
    let mut server = server();
    server.connection.handle_bytes(at(0), GET);
    server.connection.handle_timeout(at(u64::MAX / 2));
    assert_eq!(server.connection.deadline(), None);
    assert!(matches!(server.connection.poll(), Step::Head { .. }));
}

#[test]
fn facts_come_before_the_deadline_that_they_meet_late() {
    let mut server = server();
    server.connection.handle_bytes(at(HEAD + 5), GET);
    assert!(matches!(server.connection.poll(), Step::Head { .. }), "a late driver refuses nobody");
}

#[test]
fn time_that_goes_backwards_moves_no_deadline() {
    let mut server = server();
    server.connection.handle_timeout(at(2_000_000));
    server.now = at(1);
    server.feed(GET);
    assert_eq!(server.connection.deadline(), Some((at(2_000_000 + IDLE), ConnectionWake::Idle)));
}

#[test]
fn settings_are_checked_at_both_ends() {
    let ok = |builder: sansio_sse::http1::ConnectionConfigBuilder| builder.build().is_ok();
    let (ms, day) = (Duration::from_millis(1), secs(86_400));
    let us = Duration::from_micros(1);
    assert!(ok(ConnectionConfig::builder().idle_for(ms).linger_within(day)));
    assert!(!ok(ConnectionConfig::builder().idle_for(ms - us)));
    assert!(!ok(ConnectionConfig::builder().linger_within(day + us)));
    assert!(ok(ConnectionConfig::builder().body_bytes(0).read_ahead(1)));
    assert!(!ok(ConnectionConfig::builder().read_ahead(0)));
    let mib = 1_048_576;
    for (bytes, allowed) in [(mib, true), (mib + 1, false)] {
        assert_eq!(ok(ConnectionConfig::builder().read_ahead(bytes)), allowed, "{bytes}");
        let head = HeadLimits { head_bytes: bytes, ..HeadLimits::default() };
        assert_eq!(ok(ConnectionConfig::builder().head(head)), allowed, "{bytes}");
        assert_eq!(ok(ConnectionConfig::builder().body_bytes(bytes + 1023 * mib)), allowed, "{bytes}");
    }
    let limits = HeadLimits { target_bytes: 16 * 1024 + 1, ..HeadLimits::default() };
    let error = ConnectionConfig::builder().head(limits).build().unwrap_err();
    assert_eq!(error.to_string(), "target_bytes is 16385: 16 to 16384 is allowed");
}

proptest! {
    /// After `handle_timeout(now)` every deadline is later than `now`, and asking again changes nothing.
    #[test]
    fn no_deadline_is_left_in_the_past(
        steps in prop::collection::vec((0_u64..9_000_000, 0_u8..6), 1..30),
    ) {
        let mut server = server();
        let mut latest = Tick::ZERO;
        for (us, what) in steps {
            let now = at(us);
            latest = latest.max(now);
            let connection = &mut server.connection;
            match what {
                0 => connection.handle_bytes(now, GET),
                1 => connection.handle_bytes(now, &POST_HEAD[..20]),
                2 => connection.handle_wrote(now, 10),
                3 => drop(connection.receive_body(now)),
                4 => drop(connection.respond(now, &Response::text(200, "ok"))),
                _ => {}
            }
            connection.handle_timeout(now);
            prop_assert!(connection.deadline().is_none_or(|(due, _)| due > latest));
            let before = format!("{connection:?}");
            connection.handle_timeout(now);
            prop_assert_eq!(before, format!("{connection:?}"));
        }
    }
}
