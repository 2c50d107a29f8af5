//! A driver, its senders and its peer in every order in which threads can meet, as far as [loom] explores it:
//!
//! ```sh
//! RUSTFLAGS="--cfg loom" cargo test -p sansio-sse-adapters --release --no-default-features --test loom -- --nocapture
//! ```
//!
//! Each model is explored with up to two preemptions, or `LOOM_MAX_PREEMPTIONS`. A wake-up that is lost shows
//! as a deadlock, which loom reports.
//!
//! They have been seen to fail when the driver does not store its waker, or stores it under a second lock, or when
//! that waker is taken before the machine is told; when a sender's waker is stored under a second lock; when nobody
//! is woken as room is made, as a frame is accepted, or at the end; and when a driver that is dropped, or the last
//! sender, says nothing.
//!
//! [loom]: https://docs.rs/loom

#![cfg(loom)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::future::{Future, poll_fn};
use std::io;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_util::io::{AsyncRead, AsyncWrite};
use loom::future::block_on;
use loom::model::Builder;
use loom::sync::{Arc, Mutex};
use loom::thread;
use sansio_sse::{
    Close, CloseReason, Disconnect, EventStream, Frame, KeepAlive, PushError, StreamConfig, TopicConfig,
};
use sansio_sse_adapters::{Clock, Driver, EventSender, Timer, Topic, drive};

#[test]
fn finish_while_a_sender_sends_keeps_what_was_accepted() {
    close_while_a_sender_sends(EventSender::finish, CloseReason::Finished);
}

#[test]
fn abort_while_a_sender_sends_counts_what_is_lost() {
    close_while_a_sender_sends(EventSender::abort, CloseReason::Aborted);
}

#[test]
fn last_of_two_senders_finishes_the_stream() {
    explore("two senders are dropped", || {
        let (wire, driver, events) = begin(Wire::default(), ROOMY);
        let (one, other) = (events.clone(), events);
        let one = thread::spawn(move || accepted(one, "a", 1));
        let other = thread::spawn(move || accepted(other, "b", 1));
        let close = block_on(driver);
        let accepted = one.join().unwrap() + other.join().unwrap();
        assert_eq!((accepted, close.reason, close.undelivered), (2, CloseReason::Finished, 0));
        assert_eq!(wire.delivered("a"), ["a0"]);
        assert_eq!(wire.delivered("b"), ["b0"]);
    });
}

#[test]
fn driver_that_is_dropped_is_seen_by_all() {
    for polls in 0..3 {
        explore(&format!("the driver is dropped after {polls} polls"), move || {
            let (wire, mut driver, events) = begin(Wire::default(), ROOMY);
            let closed = events.clone();
            let sender = thread::spawn(move || accepted(events, "a", 2));
            let waiter = thread::spawn(move || block_on(closed.closed()));
            for _ in 0..polls {
                block_on(once(&mut driver));
            }
            drop(driver);
            let accepted = sender.join().unwrap();
            let close = waiter.join().unwrap();
            assert_eq!(close.reason, CloseReason::Abandoned);
            settle(&wire, "a", accepted, &close);
        });
    }
}

#[test]
fn sender_that_waits_gets_the_room_that_the_driver_makes() {
    explore("a sender waits for room", || {
        let (wire, driver, events) = begin(Wire::default(), ONE);
        let sender = thread::spawn(move || accepted_waiting(events, "a", 3));
        let close = block_on(driver);
        assert_eq!(sender.join().unwrap(), 3);
        assert_eq!((close.reason, close.undelivered), (CloseReason::Finished, 0));
        assert_eq!(wire.delivered("a"), ["a0", "a1", "a2"]);
    });
}

#[test]
fn two_senders_that_wait_get_their_turns() {
    explore("two senders wait for room", || {
        let (wire, driver, events) = begin(Wire::default(), ONE);
        let (one, other) = (events.clone(), events);
        let one = thread::spawn(move || accepted_waiting(one, "a", 2));
        let other = thread::spawn(move || accepted_waiting(other, "b", 1));
        let close = block_on(driver);
        assert_eq!(one.join().unwrap() + other.join().unwrap(), 3);
        assert_eq!((close.reason, close.undelivered), (CloseReason::Finished, 0));
        assert_eq!(wire.delivered("a"), ["a0", "a1"]);
        assert_eq!(wire.delivered("b"), ["b0"]);
    });
}

#[test]
fn sender_that_waits_learns_of_an_abort() {
    explore("a sender waits for room, and the stream is aborted", || {
        let (wire, driver, events) = begin(Wire::default(), ONE);
        let aborts = events.clone();
        let sender = thread::spawn(move || accepted_waiting(events, "a", 2));
        let closer = thread::spawn(move || {
            aborts.abort();
            block_on(aborts.closed())
        });
        let close = block_on(driver);
        let accepted = sender.join().unwrap();
        assert_eq!(closer.join().unwrap(), close);
        assert_eq!(close.reason, CloseReason::Aborted);
        settle(&wire, "a", accepted, &close);
    });
}

#[test]
fn sender_that_waits_learns_that_the_driver_is_dropped() {
    for polls in 0..3 {
        explore(
            &format!("a sender waits for room, and the driver is dropped after {polls} polls"),
            move || {
                let (wire, mut driver, events) = begin(Wire::default(), ONE);
                let closed = events.clone();
                let sender = thread::spawn(move || accepted_waiting(events, "a", 3));
                for _ in 0..polls {
                    block_on(once(&mut driver));
                }
                drop(driver);
                let accepted = sender.join().unwrap();
                settle(&wire, "a", accepted, &block_on(closed.closed()));
            },
        );
    }
}

#[test]
fn peer_that_hesitates_gets_all() {
    explore("the peer takes a frame at a time", || {
        let (wire, driver, events) = begin(Wire::narrow(), ONE);
        let peer = wire.clone();
        let sender = thread::spawn(move || accepted_waiting(events, "a", 2));
        let peer = thread::spawn(move || {
            peer.read();
            peer.read();
        });
        let close = block_on(driver);
        peer.join().unwrap();
        assert_eq!(sender.join().unwrap(), 2);
        assert_eq!((close.reason, close.undelivered), (CloseReason::Finished, 0));
        assert_eq!(wire.delivered("a"), ["a0", "a1"]);
    });
}

#[test]
fn peer_that_leaves_is_seen_by_all() {
    explore("the peer leaves", || {
        let (wire, driver, events) = begin(Wire::default(), ROOMY);
        let (peer, closed) = (wire.clone(), events.clone());
        let sender = thread::spawn(move || {
            let accepted = accepted(events, "a", 2);
            (accepted, block_on(closed.closed()))
        });
        let peer = thread::spawn(move || peer.leave());
        let close = block_on(driver);
        peer.join().unwrap();
        let (accepted, seen) = sender.join().unwrap();
        assert_eq!(seen, close);
        assert_eq!(close.reason, CloseReason::Disconnected(Disconnect::Eof));
        settle(&wire, "a", accepted, &close);
    });
}

/// One thread sends, another closes and waits for the end, a third drives.
#[test]
fn followers_get_what_is_published_and_finish_with_the_topic() {
    explore("two streams follow a topic", || {
        let topic = Topic::with_id(7, TopicConfig::default());
        let streams = [(); 2].map(|()| follow(&topic));
        let wires = streams.each_ref().map(|(wire, _)| wire.clone());
        let drivers = streams.map(|(_, driver)| thread::spawn(move || block_on(driver)));
        topic.publish(&frame("a", 0));
        topic.publish(&frame("a", 1));
        drop(topic);
        for driver in drivers {
            let close = driver.join().unwrap();
            assert_eq!((close.reason, close.undelivered), (CloseReason::Finished, 0));
        }
        wires.iter().for_each(|wire| assert_eq!(wire.delivered("a"), ["a0", "a1"]));
    });
}

#[test]
fn follower_that_is_dropped_costs_the_other_nothing() {
    for polls in 0..3 {
        explore(&format!("one of two followers is dropped after {polls} polls"), move || {
            let topic = Topic::with_id(7, TopicConfig::default());
            let (_, mut leaves) = follow(&topic);
            let (wire, stays) = follow(&topic);
            let stays = thread::spawn(move || block_on(stays));
            let publisher = thread::spawn(move || {
                topic.publish(&frame("a", 0));
                drop(topic);
            });
            for _ in 0..polls {
                block_on(once(&mut leaves));
            }
            drop(leaves);
            publisher.join().unwrap();
            assert_eq!(stays.join().unwrap().reason, CloseReason::Finished);
            assert_eq!(wire.delivered("a"), ["a0"]);
        });
    }
}

/// A stream that follows a topic, and needs no sender.
fn follow(topic: &Topic) -> (Wire, Driver<EventStream, Never>) {
    let (wire, driver, events) = begin(Wire::default(), ROOMY);
    events.follow(topic, None).unwrap();
    (wire, driver)
}

fn close_while_a_sender_sends(close: fn(&EventSender), reason: CloseReason) {
    explore(&format!("a sender sends while the stream is {reason}"), move || {
        let (wire, driver, events) = begin(Wire::default(), ROOMY);
        let closes = events.clone();
        let sender = thread::spawn(move || accepted(events, "a", 2));
        let closer = thread::spawn(move || {
            close(&closes);
            block_on(closes.closed())
        });
        let end = block_on(driver);
        assert_eq!(closer.join().unwrap(), end);
        assert_eq!(end.reason, reason);
        settle(&wire, "a", sender.join().unwrap(), &end);
        assert!(reason != CloseReason::Finished || end.undelivered == 0);
    });
}

/// Delivered + undelivered = accepted, and what was delivered are the first frames, in order, each once.
fn settle(wire: &Wire, whose: &str, accepted: usize, close: &Close) {
    let delivered = wire.delivered(whose);
    let first: Vec<_> = (0..delivered.len()).map(|n| format!("{whose}{n}")).collect();
    assert_eq!(delivered, first);
    assert_eq!(delivered.len() + close.undelivered, accepted);
}

/// Runs a model in every order, and says how many there were.
fn explore(name: &str, model: impl Fn() + Sync + Send + 'static) {
    let runs = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&runs);
    let mut builder = Builder::new();
    builder.preemption_bound.get_or_insert(2);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{name}: {} executions", runs.load(Ordering::Relaxed));
}

const ROOMY: NonZeroUsize = NonZeroUsize::new(8).unwrap();
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// A stream without clocks, except for the drain's, and with room for so many frames.
fn begin(wire: Wire, frames: NonZeroUsize) -> (Wire, Driver<EventStream, Never>, EventSender) {
    let clock = Clock::start();
    let config = StreamConfig::builder()
        .keep_alive(KeepAlive::Off)
        .stall_after(None)
        .lag_after(None)
        .max_queued(frames, NonZeroUsize::new(1_024).unwrap());
    let stream = EventStream::new(clock.now(), std::sync::Arc::new(config.build().unwrap()));
    let (driver, events) = drive(clock, stream, wire.clone(), Never);
    (wire, driver, events)
}

/// Sends so many frames and drops the sender; how many were accepted.
fn accepted(events: EventSender, whose: &str, frames: usize) -> usize {
    (0..frames).filter(|n| events.send(frame(whose, *n)).is_ok()).count()
}

/// As [`accepted`], waiting for room.
fn accepted_waiting(events: EventSender, whose: &str, frames: usize) -> usize {
    let send = |n: &usize| match block_on(events.send_wait(frame(whose, *n))) {
        Ok(()) => true,
        Err(PushError::Closed(_)) => false,
        Err(PushError::Full(_)) => panic!("it has waited"),
    };
    (0..frames).filter(send).count()
}

fn frame(whose: &str, n: usize) -> Frame {
    Frame::message(&format!("{whose}{n}"))
}

async fn once(future: &mut (impl Future + Unpin)) {
    poll_fn(|cx| {
        let _: Poll<_> = Pin::new(&mut *future).poll(cx);
        Poll::Ready(())
    })
    .await
}

/// A connection in memory.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<Ends>>);

#[derive(Default)]
struct Ends {
    written: Vec<u8>,
    /// How many more bytes are taken; `None` is any number.
    room: Option<usize>,
    left: bool,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

impl Wire {
    /// Takes nothing before its peer reads.
    fn narrow() -> Wire {
        Wire(Arc::new(Mutex::new(Ends { room: Some(0), ..Ends::default() })))
    }

    /// The peer reads a frame's length, and so makes room for it.
    fn read(&self) {
        let mut ends = self.0.lock().unwrap();
        ends.room = ends.room.map(|room| room + "data: a0\n\n".len());
        let writer = ends.writer.take();
        drop(ends);
        writer.into_iter().for_each(Waker::wake);
    }

    /// The peer closes.
    fn leave(&self) {
        let mut ends = self.0.lock().unwrap();
        ends.left = true;
        let reader = ends.reader.take();
        drop(ends);
        reader.into_iter().for_each(Waker::wake);
    }

    /// The frames of one sender that came whole.
    fn delivered(&self, whose: &str) -> Vec<String> {
        let written = String::from_utf8(self.0.lock().unwrap().written.clone()).unwrap();
        let frames = written.split_inclusive("\n\n").filter_map(|frame| frame.strip_suffix("\n\n"));
        let data = frames.map(|frame| frame.split_once("data: ").unwrap().1);
        data.filter(|data| data.starts_with(whose)).map(String::from).collect()
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock().unwrap();
        if ends.left {
            return Poll::Ready(Ok(0));
        }
        ends.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut ends = self.0.lock().unwrap();
        let n = ends.room.unwrap_or(usize::MAX).min(buf.len());
        if n == 0 {
            ends.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ends.written.extend_from_slice(&buf[..n]);
        ends.room = ends.room.map(|room| room - n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// No model lives long enough for a deadline.
struct Never;

impl Timer for Never {
    fn set(&mut self, _: Instant) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
