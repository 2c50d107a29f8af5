//! A runtime in memory: connections that are two queues of bytes, and tasks that run one poll at a time, in order, on
//! the thread of the test. What happens is the same in every run, so that it can be broken at every place.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse_adapters::{Runtime, Timer};

/// One connection, seen from both ends.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    /// The client sends no more.
    eof: bool,
    to_client: Vec<u8>,
    /// The server has closed it, or let it go.
    closed: bool,
    waiting: Vec<Waker>,
    /// Reads and writes of the server.
    calls: usize,
    fault: Fault,
}

/// What goes wrong on a connection, once.
#[derive(Clone, Default)]
pub(crate) struct Fault {
    at: Option<(usize, io::ErrorKind)>,
    come: Arc<AtomicBool>,
}

impl Fault {
    pub(crate) fn none() -> Fault {
        Fault::default()
    }

    /// That call of the server's end fails, counted from 1; a call is a read or a write.
    pub(crate) fn at(call: usize, kind: io::ErrorKind) -> Fault {
        Fault { at: Some((call, kind)), come: Arc::default() }
    }

    pub(crate) fn has_come(&self) -> bool {
        self.come.load(Ordering::Relaxed)
    }
}

/// The server's end. A write takes ten bytes at the most.
pub(crate) struct MemoryIo(Arc<Mutex<Wire>>);

impl MemoryIo {
    fn call<T>(
        &self,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Wire) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut wire = self.0.lock().unwrap();
        wire.calls += 1;
        if let Some((at, kind)) = wire.fault.at
            && at == wire.calls
        {
            wire.fault.come.store(true, Ordering::Relaxed);
            return Poll::Ready(Err(kind.into()));
        }
        let answer = call(&mut wire);
        if answer.is_pending() {
            wire.waiting.push(cx.waker().clone());
        }
        answer
    }
}

impl Drop for MemoryIo {
    fn drop(&mut self) {
        self.0.lock().unwrap().closed = true;
    }
}

impl AsyncRead for MemoryIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.call(cx, |wire| {
            if wire.to_server.is_empty() && !wire.eof {
                return Poll::Pending;
            }
            let n = buf.len().min(wire.to_server.len());
            for (slot, byte) in buf.iter_mut().zip(wire.to_server.drain(..n)) {
                *slot = byte;
            }
            Poll::Ready(Ok(n))
        })
    }
}

impl AsyncWrite for MemoryIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.call(cx, |wire| {
            let n = buf.len().min(10);
            wire.to_client.extend_from_slice(&buf[..n]);
            Poll::Ready(Ok(n))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().closed = true;
        Poll::Ready(Ok(()))
    }
}

/// The client's end.
#[derive(Clone)]
pub(crate) struct MemoryClient(Arc<Mutex<Wire>>);

impl MemoryClient {
    pub(crate) fn connect(fault: Fault) -> MemoryClient {
        let wire = Arc::new(Mutex::new(Wire { fault, ..Wire::default() }));
        WORLD
            .with_borrow_mut(|world| {
                world.connecting.push_back(MemoryIo(Arc::clone(&wire)));
                world.accepting.take()
            })
            .into_iter()
            .for_each(Waker::wake);
        MemoryClient(wire)
    }

    fn tell(&self, tell: impl FnOnce(&mut Wire)) {
        let mut wire = self.0.lock().unwrap();
        tell(&mut wire);
        let waiting = std::mem::take(&mut wire.waiting);
        drop(wire);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) {
        self.tell(|wire| wire.to_server.extend(bytes.as_ref()));
    }

    pub(crate) fn close(&self) {
        self.tell(|wire| wire.eof = true);
    }

    /// All that has come.
    pub(crate) fn received(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().to_client.clone()).unwrap()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.lock().unwrap().closed
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Default)]
struct World {
    connecting: VecDeque<MemoryIo>,
    accepting: Option<Waker>,
    spawned: Vec<Task>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// The runtime. Its clock is the real one, and its timers never fire: nothing here is to take long.
pub(crate) struct Memory;

#[derive(Debug)]
pub(crate) struct Never;

impl Timer for Never {
    fn set(&mut self, _: Instant) {}

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Runtime for Memory {
    type Io = MemoryIo;
    type Listener = ();
    type Timer = Never;

    async fn bind(_: SocketAddr) -> io::Result<()> {
        Ok(())
    }

    fn local_addr((): &()) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 80).into())
    }

    fn accept((): &()) -> impl Future<Output = io::Result<(MemoryIo, SocketAddr)>> + Send {
        poll_fn(|cx| {
            WORLD.with_borrow_mut(|world| match world.connecting.pop_front() {
                Some(io) => Poll::Ready(Ok((io, ([127, 0, 0, 1], 1).into()))),
                None => {
                    world.accepting = Some(cx.waker().clone());
                    Poll::Pending
                }
            })
        })
    }

    fn prepare(_: &Self::Listener, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn timer() -> Never {
        Never
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        WORLD.with_borrow_mut(|world| world.spawned.push(Box::pin(future)));
    }
}

/// Whether a task has been woken.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs tasks, and can end one at a place that is chosen.
#[derive(Default)]
pub(crate) struct Tasks {
    tasks: BTreeMap<usize, (Arc<Flag>, Task)>,
    next: usize,
    /// The task that is dropped before its poll of that number, counted from 0; and its polls so far.
    cut: Option<(usize, usize)>,
    polls: usize,
}

impl Tasks {
    /// Starts a task. Those that it spawns get the numbers that follow.
    pub(crate) fn start(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.add(Box::pin(task));
    }

    fn add(&mut self, task: Task) {
        self.tasks.insert(self.next, (Arc::new(Flag(AtomicBool::new(true))), task));
        self.next += 1;
    }

    /// How many tasks have been started.
    pub(crate) fn started(&self) -> usize {
        self.next
    }

    /// From now on, cuts that task off before its poll of that number.
    pub(crate) fn cut(&mut self, task: usize, poll: usize) {
        self.cut = Some((task, poll));
    }

    /// Whether the task was cut off.
    pub(crate) fn was_cut(&self) -> bool {
        self.cut.is_none()
    }

    /// Runs until nobody is woken any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            let woken = self.tasks.iter().find(|(_, (flag, _))| flag.0.load(Ordering::Relaxed));
            let Some((&id, (flag, _))) = woken else { return };
            let waker = Waker::from(Arc::clone(flag));
            flag.0.store(false, Ordering::Relaxed);
            if let Some((task, at)) = self.cut
                && task == id
            {
                self.polls += 1;
                if self.polls > at {
                    self.tasks.remove(&id);
                    self.cut = None;
                    continue;
                }
            }
            let Some((_, task)) = self.tasks.get_mut(&id) else { continue };
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                self.tasks.remove(&id);
            }
            let spawned = WORLD.with_borrow_mut(|world| std::mem::take(&mut world.spawned));
            spawned.into_iter().for_each(|task| self.add(task));
        }
        panic!("the tasks never come to rest");
    }
}
