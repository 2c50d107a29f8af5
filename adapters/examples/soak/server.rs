//! The server under load, a process of its own. It sends numbered messages, and tells how each stream ended.
//!
//! On its standard output: `ready ADDR`, then `end KEY ACCEPTED UNDELIVERED REASON` for each stream, and
//! `count CONNECTIONS HANDLERS` for each line on its standard input. It stops at the end of that.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sansio_sse::http1::{ConnectionConfig, RequestHead};
use sansio_sse::{CloseReason, Disconnect, Frame, PushError, StreamConfig};
use sansio_sse_adapters::{EventSender, Runtime, Server, Service, SmolRuntime, Timer, TokioRuntime};
use socket2::{Domain, Socket, Type};

use crate::ask::{Ask, PATH, Pace};

/// Each stream gets a message this often.
pub(crate) const EVERY: Duration = Duration::from_secs(3);

/// A head must be there within this time.
pub(crate) const HEAD_WITHIN: Duration = Duration::from_secs(3);

/// What the system holds of a stream's bytes, at most about twice this: slow readers are to be noticed soon.
const SEND_BUFFER: usize = 8 * 1024;

/// Runs the server on the runtime of that name.
pub(crate) fn run(runtime: &str) -> Result<(), Box<dyn Error>> {
    match runtime {
        "smol" => serve::<SmolRuntime>(),
        _ => serve::<TokioRuntime>(),
    }
}

trait Host: Runtime {
    fn block_on(future: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>>;
    fn listener(listener: TcpListener) -> io::Result<Self::Listener>;
}

impl Host for SmolRuntime {
    fn block_on(future: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
        smol::block_on(future)
    }

    fn listener(listener: TcpListener) -> io::Result<Self::Listener> {
        listener.try_into()
    }
}

impl Host for TokioRuntime {
    fn block_on(future: impl Future<Output = Result<(), Box<dyn Error>>>) -> Result<(), Box<dyn Error>> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(future)
    }

    fn listener(listener: TcpListener) -> io::Result<Self::Listener> {
        listener.try_into()
    }
}

fn serve<R: Host>() -> Result<(), Box<dyn Error>> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(1_024)?;
    socket.set_nonblocking(true)?;

    // Keep-alives as by default; shorter deadlines, so that a short run meets them often.
    let stream = StreamConfig::builder()
        .stall_after(Some(Duration::from_secs(5)))
        .lag_after(Some(Duration::from_secs(6)))
        .max_queued(NonZeroUsize::new(8).ok_or("eight")?, NonZeroUsize::new(64 * 1024).ok_or("64 KiB")?)
        .build()?;
    let connection = ConnectionConfig::builder().head_within(HEAD_WITHIN).build()?;
    let wheel = Arc::new(Wheel::default());
    let service = Service::builder().stream(stream).connection(connection);
    let service = service.events(PATH, move |events, head| handle::<R>(Arc::clone(&wheel), events, head));
    let service = service.build()?;

    R::block_on(async move {
        let server = Server::<R>::on(R::listener(socket.into())?, service)?;
        println!("ready {}", server.local_addr());
        let handle = server.handle();
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        thread::spawn(move || {
            for _ in io::stdin().lines().map_while(Result::ok) {
                println!("count {} {}", handle.connections(), handle.handlers());
            }
            drop(stop);
        });
        server.run(async move { stopped.recv().await.unwrap_or_default() }).await;
        Ok(())
    })
}

/// One stream, and how much it has accepted.
#[derive(Debug)]
struct Stream {
    ask: Ask,
    events: EventSender,
    accepted: Mutex<u64>,
}

impl Stream {
    /// Sends the next message, or finishes the stream; whether there is more to send.
    fn say(&self) -> bool {
        // Held over both, so that whoever sees the stream closed sees all that it accepted.
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if *accepted == self.ask.messages {
            self.events.finish();
            return false;
        }
        match self.events.send(Frame::message(&self.ask.message(*accepted))) {
            Ok(()) => *accepted += 1,
            Err(PushError::Full(_)) => {}
            Err(PushError::Closed(_)) => return false,
        }
        true
    }

    /// Sends all messages, each as soon as there is room for it.
    async fn say_all<R: Runtime>(&self) {
        for n in 0..self.ask.messages {
            let mut timer = R::timer();
            timer.set(Instant::now() + EVERY);
            poll_fn(|cx| timer.poll(cx)).await;
            if self.events.send_wait(Frame::message(&self.ask.message(n))).await.is_err() {
                return;
            }
            *self.accepted.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
        self.events.finish();
    }
}

async fn handle<R: Runtime>(wheel: Arc<Wheel>, events: EventSender, head: RequestHead) {
    let Some(Ok(ask)) = head.query().map(str::parse::<Ask>) else { return };
    let stream = Arc::new(Stream { ask, events, accepted: Mutex::new(0) });
    match ask.pace {
        Pace::Idle => {}
        Pace::Steady => wheel.add(Arc::clone(&stream)),
        Pace::Waits => stream.say_all::<R>().await,
    }
    let close = stream.events.closed().await;
    let accepted = *stream.accepted.lock().unwrap_or_else(PoisonError::into_inner);
    println!("end {} {accepted} {} {}", ask.key, close.undelivered, word(close.reason));
}

fn word(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Finished => "finished",
        CloseReason::Disconnected(Disconnect::Eof) => "eof",
        CloseReason::Disconnected(Disconnect::Reset) => "reset",
        CloseReason::Disconnected(Disconnect::TimedOut) => "vanished",
        CloseReason::Stalled { .. } => "stalled",
        CloseReason::Lagged { .. } => "lagged",
        CloseReason::DrainTimedOut => "undrained",
        _ => "other",
    }
}

/// The streams that are sent to by the clock, spread over [`EVERY`]. It turns once there is one.
#[derive(Debug)]
struct Wheel {
    turning: Once,
    slots: Vec<Mutex<Vec<Arc<Stream>>>>,
}

impl Default for Wheel {
    fn default() -> Wheel {
        Wheel { turning: Once::new(), slots: (0..30).map(|_| Mutex::default()).collect() }
    }
}

impl Wheel {
    fn add(self: &Arc<Self>, stream: Arc<Stream>) {
        self.turning.call_once(|| {
            let wheel = Arc::clone(self);
            thread::spawn(move || wheel.turn());
        });
        let slot = usize::try_from(stream.ask.key).unwrap_or_default() % self.slots.len();
        self.slots[slot].lock().unwrap_or_else(PoisonError::into_inner).push(stream);
    }

    fn turn(&self) {
        let Ok(slots) = u32::try_from(self.slots.len()) else { return };
        let mut next = Instant::now();
        for slot in self.slots.iter().cycle() {
            next += EVERY / slots;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            slot.lock().unwrap_or_else(PoisonError::into_inner).retain(|stream| stream.say());
        }
    }
}
