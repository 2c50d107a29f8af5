//! One driver over a connection in memory, whose every call can fail, wait, or do less than was asked.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::{Close, CloseReason, Disconnect, EventStream, Frame, KeepAlive, StreamConfig};
use sansio_sse_adapters::{Clock, Driver, EventSender, Timer, drive};

/// What the peer's side of the connection does.
#[derive(Default)]
struct Peer {
    calls: usize,
    writes: usize,
    polls_of_timer: usize,
    written: Vec<u8>,
    /// From which call on, what fails; a call is a read or a write.
    fault: Option<(usize, io::ErrorKind)>,
    /// The fault comes once only.
    once: bool,
    /// Bytes that a write takes; 0 for any number.
    takes: usize,
    /// Every other write waits first.
    hesitates: bool,
    closed: bool,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Peer>>);

impl Fake {
    fn with<X>(&self, look: impl FnOnce(&mut Peer) -> X) -> X {
        look(&mut self.0.lock().unwrap())
    }

    fn call(&self) -> io::Result<()> {
        self.with(|peer| {
            peer.calls += 1;
            match peer.fault {
                Some((at, kind)) if peer.calls == at || (peer.calls > at && !peer.once) => Err(kind.into()),
                Some(_) | None => Ok(()),
            }
        })
    }
}

impl AsyncRead for Fake {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.call() {
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => Poll::Pending,
        }
    }
}

impl AsyncWrite for Fake {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.call()?;
        self.with(|peer| {
            peer.writes += 1;
            if peer.hesitates && peer.writes % 2 == 0 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let n = if peer.takes == 0 { buf.len() } else { buf.len().min(peer.takes) };
            peer.written.extend_from_slice(&buf[..n]);
            Poll::Ready(Ok(n))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|peer| peer.closed = true);
        Poll::Ready(Ok(()))
    }
}

impl Timer for Fake {
    fn set(&mut self, _: Instant) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.with(|peer| peer.polls_of_timer += 1);
        Poll::Pending
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

const FRAMES: usize = 22;

fn begin(fake: &Fake) -> (Driver<EventStream, Fake>, EventSender) {
    begin_with(fake, &(0..FRAMES).map(|n| n.to_string()).collect::<Vec<_>>())
}

fn begin_with(fake: &Fake, said: &[String]) -> (Driver<EventStream, Fake>, EventSender) {
    let clock = Clock::start();
    let config = StreamConfig::builder().keep_alive(KeepAlive::Comment(Duration::from_secs(3_600)));
    let stream = EventStream::new(clock.now(), Arc::new(config.build().unwrap()));
    let (driver, events) = drive(clock, stream, fake.clone(), fake.clone());
    for text in said {
        events.send(Frame::message(text)).unwrap();
    }
    (driver, events)
}

fn whole() -> String {
    (0..FRAMES).map(|n| format!("data: {n}\n\n")).collect()
}

/// Polls while there is something to do, but not longer than that can take.
fn turn(driver: &mut Driver<EventStream, Fake>) -> Option<Close> {
    let woken = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..1_000 {
        let before = woken.0.load(Ordering::Relaxed);
        if let Poll::Ready(close) = Pin::new(&mut *driver).poll(&mut cx) {
            return Some(close);
        }
        if woken.0.load(Ordering::Relaxed) == before {
            return None;
        }
    }
    panic!("the driver spins");
}

/// The sender's view of the end, which must be there.
fn end(events: &EventSender) -> Close {
    let closed = pin!(events.closed());
    match closed.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(close) => close,
        Poll::Pending => panic!("the stream is not closed"),
    }
}

#[test]
fn driver_dropped_at_any_poll_abandons_its_stream() {
    // Few and long, so that the last poll comes before the last byte.
    let said: Vec<_> = (0..8).map(|n| format!("{n:060}")).collect();
    let whole: String = said.iter().map(|text| format!("data: {text}\n\n")).collect();
    for polls in 0..=500 {
        let fake = Fake::default();
        fake.with(|peer| (peer.takes, peer.hesitates) = (1, true));
        let (mut driver, events) = begin_with(&fake, &said);
        let closed = events.clone();
        let mut closed = pin!(closed.closed());
        let woken = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(closed.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());

        let mut cx = Context::from_waker(Waker::noop());
        let gone = (0..polls).any(|_| Pin::new(&mut driver).poll(&mut cx).is_ready());
        assert!(!gone, "nobody finished it");
        let before = woken.0.load(Ordering::Relaxed);
        drop(driver);
        assert!(woken.0.load(Ordering::Relaxed) > before || polls > 0, "whoever waits is woken");
        let Poll::Ready(close) = closed.as_mut().poll(&mut Context::from_waker(&waker)) else {
            panic!("{polls} polls: the end is not told")
        };
        assert_eq!(close.reason, CloseReason::Abandoned);
        let written = fake.with(|peer| String::from_utf8(peer.written.clone()).unwrap());
        assert!(whole.starts_with(&written), "{written}");
        assert_eq!(written.len(), polls, "a byte a poll");
        let delivered = written.matches("\n\n").count();
        assert_eq!(close.undelivered, said.len() - delivered, "{polls} polls");
        assert!(events.send(Frame::message("late")).is_err());
    }
}

#[test]
fn error_at_any_call_closes_with_its_kind() {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, Other, OutOfMemory, TimedOut,
    };
    for (kinds, how) in [
        (&[ConnectionReset, BrokenPipe, ConnectionAborted, NotConnected][..], Disconnect::Reset),
        (&[TimedOut][..], Disconnect::TimedOut),
        (&[Other, OutOfMemory][..], Disconnect::Io),
    ] {
        for (&kind, at) in kinds.iter().flat_map(|kind| (1..=200).map(move |at| (kind, at))) {
            let fake = Fake::default();
            fake.with(|peer| (peer.takes, peer.fault) = (1, Some((at, kind))));
            let (mut driver, events) = begin(&fake);
            let close = turn(&mut driver).unwrap_or_else(|| panic!("{kind} at call {at} is not seen"));
            assert_eq!(close.reason, CloseReason::Disconnected(how), "{kind} at call {at}");
            assert_eq!(end(&events), close);
            let written = fake.with(|peer| peer.written.len());
            assert_eq!(written, (at - 1).min(whole().len()), "{kind} at call {at}");
            assert!(!fake.with(|peer| peer.closed), "a cut stream is not closed in order");
        }
    }
}

#[test]
fn call_that_was_interrupted_is_made_again() {
    for kind in [io::ErrorKind::Interrupted, io::ErrorKind::WouldBlock] {
        for at in 1..=200 {
            let fake = Fake::default();
            fake.with(|peer| (peer.takes, peer.once, peer.fault) = (1, true, Some((at, kind))));
            let (mut driver, events) = begin(&fake);
            assert_eq!(turn(&mut driver), None);
            drop(events);
            let close = turn(&mut driver).unwrap();
            assert_eq!((close.reason, close.undelivered), (CloseReason::Finished, 0), "{kind} at call {at}");
            assert_eq!(fake.with(|peer| peer.written.clone()), whole().as_bytes());
            assert!(fake.with(|peer| peer.closed));
        }
    }
}

#[test]
fn idle_driver_wakes_nobody() {
    let fake = Fake::default();
    let (mut driver, events) = begin(&fake);
    assert_eq!(turn(&mut driver), None);
    let woken = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    let calls = fake.with(|peer| peer.calls);
    for _ in 0..100 {
        assert!(Pin::new(&mut driver).poll(&mut cx).is_pending());
    }
    assert_eq!(woken.0.load(Ordering::Relaxed), 0, "no wake without an event");
    assert_eq!(fake.with(|peer| peer.calls) - calls, 100, "one look for the peer's end a poll");

    events.send(Frame::message("news")).unwrap();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "an event wakes once");
    events.send(Frame::message("more")).unwrap();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1, "and no more before the driver has looked");
}

#[test]
fn socket_that_takes_nothing_is_not_asked_for_ever() {
    let fake = Fake::default();
    let (mut driver, events) = begin(&fake);
    struct Nothing(Fake);
    impl AsyncRead for Nothing {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }
    impl AsyncWrite for Nothing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            self.0.with(|peer| peer.calls += 1);
            Poll::Ready(Ok(0))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    assert_eq!(turn(&mut driver), None);
    drop((driver, events));

    let fake = Fake::default();
    let clock = Clock::start();
    let stream = EventStream::new(clock.now(), Arc::default());
    let (mut driver, events) = drive(clock, stream, Nothing(fake.clone()), fake.clone());
    events.send(Frame::message("hello")).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let close = (0..100).find_map(|_| match Pin::new(&mut driver).poll(&mut cx) {
        Poll::Ready(close) => Some(close),
        Poll::Pending => None,
    });
    assert_eq!(close.unwrap().reason, CloseReason::Spinning { empty_writes: 100 });
    assert_eq!(fake.with(|peer| peer.calls), 100);
}
