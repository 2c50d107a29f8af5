//! One driver on a real socket: dropped at every poll, and with an error at every call.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice, Read};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::{Close, CloseReason, Disconnect, EventStream, Frame};
use sansio_sse_adapters::{Clock, Driver, EventSender, Runtime, drive};

use crate::baseline::alone_on_every_runtime;
use crate::support::{PATIENCE, TestRuntime};

alone_on_every_runtime![
    driver_dropped_at_some_poll_has_sent_what_it_does_not_count,
    error_at_any_call_ends_the_stream_with_its_kind,
    call_that_is_to_be_made_again_loses_nothing,
];

/// A socket that takes a few bytes at a time, and fails at one call.
struct Faulty<Io> {
    io: Io,
    takes: usize,
    calls: usize,
    fault: Option<(usize, io::ErrorKind)>,
}

impl<Io> Faulty<Io> {
    /// Counts a read or a write.
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some((at, kind)) if at == self.calls => Err(kind.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Faulty<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.call()?;
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Faulty<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.call()?;
        let takes = buf.len().min(self.takes);
        Pin::new(&mut self.io).poll_write(cx, &buf[..takes])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &bufs[0])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_close(cx)
    }
}

/// A place where connections come in, for drivers without a server.
struct Place<R: TestRuntime> {
    listener: R::Listener,
}

type Driven<R> = Driver<EventStream, <R as Runtime>::Timer>;

impl<R: TestRuntime> Place<R> {
    async fn new() -> Place<R> {
        Place { listener: R::bind(([127, 0, 0, 1], 0).into()).await.unwrap() }
    }

    /// A stream that is driven on one end of a connection, its sender, and the other end.
    async fn connect(
        &self,
        takes: usize,
        fault: Option<(usize, io::ErrorKind)>,
    ) -> (Driven<R>, EventSender, TcpStream) {
        let client = TcpStream::connect(R::local_addr(&self.listener).unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (io, _) = R::accept(&self.listener).await.unwrap();
        let clock = Clock::start();
        let stream = EventStream::new(clock.now(), Arc::default());
        let (driver, events) = drive(clock, stream, Faulty { io, takes, calls: 0, fault }, R::timer());
        (driver, events, client)
    }
}

fn read_to_end(mut client: TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

/// The first frames of a stream.
fn text(frames: usize) -> String {
    (0..frames).map(|n| format!("data: {n}\n\n")).collect()
}

/// What came is the beginning of what was sent, and what did not come whole is counted.
fn adds_up(received: &str, sent: usize, close: &Close, when: &str) {
    assert!(text(sent).starts_with(received), "{when}: {received:?}");
    assert_eq!(received.matches("\n\n").count() + close.undelivered, sent, "{when}: {close:?}");
}

fn driver_dropped_at_some_poll_has_sent_what_it_does_not_count<R: TestRuntime>() {
    R::block_on(async {
        let place = Place::<R>::new().await;
        // Every poll is tried in memory.
        for polls in (0..=500).step_by(7) {
            let (mut driver, events, client) = place.connect(4, None).await;
            let mut sent = 0;
            for _ in 0..polls {
                sent += usize::from(events.send(Frame::message(&sent.to_string())).is_ok());
                poll_fn(|cx| {
                    assert!(Pin::new(&mut driver).poll(cx).is_pending());
                    Poll::Ready(())
                })
                .await;
            }
            (0..10).for_each(|_| sent += usize::from(events.send(Frame::message(&sent.to_string())).is_ok()));
            drop(driver);
            let close = events.closed().await;
            assert_eq!(close.reason, CloseReason::Abandoned, "{polls} polls");
            adds_up(&read_to_end(client), sent, &close, &format!("{polls} polls"));
        }
    });
}

const FRAMES: usize = 22;

/// Sends, finishes, and fails at a call. What the client got, and the end.
async fn fail<R: TestRuntime>(place: &Place<R>, at: usize, kind: io::ErrorKind) -> (String, Close) {
    let (driver, events, client) = place.connect(1, Some((at, kind))).await;
    (0..FRAMES).for_each(|n| events.send(Frame::message(&n.to_string())).unwrap());
    events.finish();
    let close = driver.await;
    assert_eq!(events.closed().await, close, "both are told the same");
    (read_to_end(client), close)
}

fn error_at_any_call_ends_the_stream_with_its_kind<R: TestRuntime>() {
    let kinds = [
        (io::ErrorKind::ConnectionReset, Disconnect::Reset),
        (io::ErrorKind::BrokenPipe, Disconnect::Reset),
        (io::ErrorKind::TimedOut, Disconnect::TimedOut),
        (io::ErrorKind::OutOfMemory, Disconnect::Io), // As which ENOBUFS comes, or as one without a name.
    ];
    R::block_on(async {
        let place = Place::<R>::new().await;
        for (kind, how) in kinds {
            for at in 1..=200 {
                let (received, close) = fail(&place, at, kind).await;
                let when = format!("{kind} at call {at}");
                assert_eq!(close.reason, CloseReason::Disconnected(how), "{when}");
                // A call may also have had to wait.
                assert!(received.len() < at, "{when}: {received:?}");
                adds_up(&received, FRAMES, &close, &when);
            }
        }
    });
}

fn call_that_is_to_be_made_again_loses_nothing<R: TestRuntime>() {
    R::block_on(async {
        let place = Place::<R>::new().await;
        for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock] {
            for at in 1..=200 {
                let (received, close) = fail(&place, at, kind).await;
                assert_eq!(
                    (close.reason, close.undelivered),
                    (CloseReason::Finished, 0),
                    "{kind} at call {at}"
                );
                assert_eq!(received, text(FRAMES));
            }
        }
    });
}
