//! Crowds before servers that do what servers should not.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
};

use super::*;
use crate::contract::message;

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\ndata: open\n\n";
const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A server for one reader: it publishes `first`, and where that is not all ends the stream, and sends `then` to who
/// resumes it; the id that was resumed with comes back.
fn server(
    first: &'static [u64],
    then: Option<&'static [u64]>,
) -> (Target, thread::JoinHandle<Option<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port());
    let thread = thread::spawn(move || {
        let mut reader = accept(&listener).0;
        reader.write_all(HEAD.as_bytes()).unwrap();
        let (mut control, _) = accept(&listener);
        send(&mut reader, first);
        control.write_all(DONE.as_bytes()).unwrap();
        let Some(then) = then else {
            until_done(&mut reader);
            return None;
        };
        drop(reader);
        let (mut reader, request) = accept(&listener);
        reader.write_all(HEAD.as_bytes()).unwrap();
        send(&mut reader, then);
        until_done(&mut reader);
        request.lines().find_map(|line| line.strip_prefix("Last-Event-ID: ")).map(str::to_owned)
    });
    (Target { address, awake: false }, thread)
}

fn accept(listener: &TcpListener) -> (TcpStream, String) {
    let mut socket = listener.accept().unwrap().0;
    let mut request = [0; 4096];
    let got = socket.read(&mut request).unwrap();
    (socket, String::from_utf8_lossy(&request[..got]).into_owned())
}

/// Until the client hangs up: where the server did so first, the client could see that before it sees the rest.
fn until_done(reader: &mut TcpStream) {
    let _ = reader.read(&mut [0; 16]);
}

/// In one write: a client that has all that it waits for does not look at what comes later.
fn send(reader: &mut TcpStream, seqs: &[u64]) {
    let event = |seq: &u64| format!("id: e{seq}\ndata: {}\n\n", message(*seq, 100));
    reader.write_all(seqs.iter().map(event).collect::<String>().as_bytes()).unwrap();
}

/// What becomes of a publish of three messages of 100 bytes.
fn published(readers: Readers, target: Target) -> Result<Outcome, Failure> {
    let mut crowd = Crowd::new(target, readers)?;
    crowd.listen(1)?;
    match readers {
        Readers::Strict => crowd.publish(3, 100, 0).map(|()| crowd.counts.outcome),
        Readers::Counting => crowd.publish_to_slow((3, 100), 0..1, Duration::ZERO),
    }
}

#[test]
fn each_message_once_and_in_order_is_no_failure() {
    let (target, _) = server(&[1, 2, 3], None);
    assert_eq!(published(Readers::Strict, target).map(|outcome| outcome.lost), Ok(0));
}

#[test]
fn a_gap_and_a_repetition_are_failures() {
    for (seqs, failure) in [
        (&[1, 3][..], "message 3 instead of 2"),
        (&[2], "message 2 instead of 1"),
        (&[1, 1], "message 1 once more; 2 was next"),
        (&[1, 2, 3, 4], "message 4 once more; 4 was next"),
    ] {
        let (target, _) = server(seqs, None);
        assert_eq!(published(Readers::Strict, target).map(drop), Err(failure.to_owned()), "{seqs:?}");
    }
}

#[test]
fn an_end_is_a_failure() {
    let (target, _) = server(&[1, 2], Some(&[]));
    assert_eq!(published(Readers::Strict, target).map(drop), Err("a stream was ended".to_owned()));
}

#[test]
fn a_stream_that_is_ended_goes_on_with_its_last_id() {
    let (target, server) = server(&[1, 2], Some(&[3]));
    let outcome = published(Readers::Counting, target).unwrap();
    assert_eq!((outcome.lost, outcome.ended, outcome.resumed), (0, 1, 1));
    assert_eq!(server.join().unwrap().as_deref(), Some("e2"));
}

#[test]
fn what_is_missing_between_and_after_is_counted() {
    let (target, _) = server(&[1], Some(&[3]));
    let outcome = published(Readers::Counting, target).unwrap();
    assert_eq!((outcome.lost, outcome.ended, outcome.resumed), (1, 1, 1));
}
