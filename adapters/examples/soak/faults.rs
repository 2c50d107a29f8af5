//! Requests that are wrong, late, slow, or never come: each must get the answer that it deserves.

use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::time::Duration;

use smol::Timer;
use smol::future::or;
use smol::io::AsyncWriteExt;
use socket2::SockRef;

use crate::ask::Pace;
use crate::book::End;
use crate::client::{Load, request, text};
use crate::reading::Reading;
use crate::server::HEAD_WITHIN;

/// Requests, and the beginning of what they get.
const WRONG: &[(&str, &str)] = &[
    ("POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 "),
    ("GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 404 "),
    ("GET /events HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403 "),
    ("GET /events HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
    ("\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/1.1 400 "),
    // Never whole.
    ("GET /events HTTP/1.1\r\nHost: loc", "HTTP/1.1 408 "),
    ("", ""),
];

/// Sends one wrong request after the other, until all are to leave.
pub(crate) async fn wrong(load: Rc<Load>) {
    for (request, answer) in WRONG.iter().cycle() {
        if load.is_over() {
            return;
        }
        let result = ask(&load, request, answer).await;
        match result {
            Ok(()) => load.book.borrow_mut().refused += 1,
            Err(what) => load.book.borrow_mut().violation(format!("{request:?}: {what}")),
        }
        load.leave_after(Duration::from_millis(200)).await;
    }
}

async fn ask(load: &Load, request: &str, answer: &str) -> Result<(), String> {
    let io = load.connect(false).await.map_err(text)?;
    (&io).write_all(request.as_bytes()).await.map_err(text)?;
    let mut got = [0; 256];
    let late = async {
        Timer::after(HEAD_WITHIN * 3).await;
        Err(ErrorKind::TimedOut.into())
    };
    let n = or(io.read_with(|mut io| io.read(&mut got)), late).await.map_err(text)?;
    let got = String::from_utf8_lossy(&got[..n]);
    if got.starts_with(answer) && (n == 0) == answer.is_empty() {
        Ok(())
    } else {
        Err(format!("answered with {got}"))
    }
}

/// Sends its head byte by byte, but in time; and gets its stream.
pub(crate) async fn slow_head(load: Rc<Load>) {
    while !load.is_over() {
        let ask = load.ask(1, 64, Pace::Steady);
        let mut reading = Reading::new(ask);
        let end = async {
            let io = load.connect(false).await.map_err(text)?;
            for byte in request(&ask).as_bytes().chunks(1) {
                (&io).write_all(byte).await.map_err(text)?;
                Timer::after(Duration::from_millis(10)).await;
            }
            Ok(load.read(&io, &mut reading, usize::MAX, load.ended()).await?.unwrap_or(End::Left))
        };
        let end = end.await;
        load.enter(&reading, ask, end);
    }
}

/// Asks for a stream and is gone before the answer.
pub(crate) async fn hasty(load: Rc<Load>) {
    while !load.is_over() {
        let ask = load.ask(u64::MAX, 64, Pace::Steady);
        let end = async {
            let io = load.connect(false).await.map_err(text)?;
            (&io).write_all(request(&ask).as_bytes()).await.map_err(text)?;
            SockRef::from(&io).set_linger(Some(Duration::ZERO)).map_err(text)?;
            Ok(End::Left)
        };
        let end = end.await;
        load.enter(&Reading::new(ask), ask, end);
        load.leave_after(Duration::from_millis(500)).await;
    }
}
