//! A whole server in memory, broken at every place: a task that is dropped before any of its polls, a connection
//! that fails at any of its calls. What is beside it goes on, and nothing is left of it.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::task::{Context, Waker};

use sansio_sse::mcp::{HttpSse, Resumption};
use sansio_sse_adapters::{Server, ServerHandle, Service};

use crate::memory::{Fault, Memory, MemoryClient, Tasks};
use crate::support::{echo, get, post, request};

/// A server with one client that is well, and what is beside it is to be broken.
struct World {
    tasks: Tasks,
    handle: ServerHandle,
    stop: ::smol::channel::Sender<()>,
    good: MemorySession,
}

/// A session: its stream, and the connection of its messages.
struct MemorySession {
    stream: MemoryClient,
    posts: MemoryClient,
    path: String,
}

impl MemorySession {
    /// Opens a session; its path is empty where the stream is broken before it is told.
    fn open(tasks: &mut Tasks, stream: Fault, posts: Fault) -> MemorySession {
        let stream = MemoryClient::connect(stream);
        tasks.run();
        stream.send(get("/sse", ""));
        tasks.run();
        let text = stream.received();
        let path = text.split("data: ").nth(1).and_then(|rest| rest.split_once('\n'));
        let path = path.map_or(String::new(), |(path, _)| path.to_owned());
        let posts = MemoryClient::connect(posts);
        tasks.run();
        MemorySession { stream, posts, path }
    }

    fn say(&self, tasks: &mut Tasks, id: usize) {
        self.posts.send(post(&self.path, request(id)));
        tasks.run();
    }

    /// Asks, and is answered.
    fn ping(&self, tasks: &mut Tasks, id: usize) {
        self.say(tasks, id);
        let (text, answers) = (self.stream.received(), self.posts.received());
        assert!(text.contains(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"ping"}}"#)), "{text}");
        assert_eq!(answers.matches("HTTP/1.1 202 ").count(), answers.matches("HTTP/1.1 ").count());
    }

    fn leave(&self, tasks: &mut Tasks) {
        self.posts.close();
        self.stream.close();
        tasks.run();
    }
}

impl World {
    fn start(resumption: Resumption) -> World {
        let config = HttpSse { resumption, ..HttpSse::default() };
        let service = Service::builder().http_sse("/sse", config, echo).build().unwrap();
        let server = Server::<Memory>::on((), service).unwrap();
        let handle = server.handle();
        let (stop, stopped) = ::smol::channel::bounded::<()>(1);
        let mut tasks = Tasks::default();
        tasks.start(server.run(async move { stopped.recv().await.unwrap_or_default() }));
        let good = MemorySession::open(&mut tasks, Fault::none(), Fault::none());
        good.ping(&mut tasks, 0);
        World { tasks, handle, stop, good }
    }

    fn counts(&self) -> (usize, usize, usize) {
        (self.handle.sessions(), self.handle.connections(), self.handle.handlers())
    }

    /// The good client is served on, and is all that is left; and then nothing is, and the server comes to its end.
    fn ends_well(mut self, when: &str) {
        self.good.ping(&mut self.tasks, 1);
        assert_eq!(self.counts(), (1, 2, 1), "{when}: what is left besides the good client");
        let late = MemorySession::open(&mut self.tasks, Fault::none(), Fault::none());
        late.ping(&mut self.tasks, 2);
        self.stop.close();
        self.tasks.run();
        for client in [&late.stream, &self.good.stream] {
            assert!(client.is_closed() && client.received().ends_with("\r\n0\r\n\r\n"), "{when}");
        }
        assert_eq!(self.counts(), (0, 0, 0), "{when}: at the end");
        let gone = pin!(self.handle.gone());
        assert!(gone.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}

/// Opens a session, asks three times, and leaves; gives back what came on its stream, but for its id, and what on
/// the connection of its messages.
fn live(world: &mut World, stream: Fault, posts: Fault) -> (String, String) {
    let session = MemorySession::open(&mut world.tasks, stream, posts);
    for id in 10..13 {
        // Without a path, its client has never learned of it.
        if !session.path.is_empty() {
            session.say(&mut world.tasks, id);
        }
    }
    session.leave(&mut world.tasks);
    (masked(session.stream.received()), session.posts.received())
}

/// A text with stars for the session's id, as much as there is of it.
fn masked(text: String) -> String {
    let Some((before, after)) = text.split_once("session_id=") else { return text };
    let id = after.len().min(36);
    format!("{before}session_id={}{}", "*".repeat(id), &after[id..])
}

/// What comes when nothing is broken. Events carry no ids, so that it is the same each time.
fn unbroken() -> (String, String, usize) {
    let mut world = World::start(Resumption::Off);
    let before = world.tasks.started();
    let (stream, posts) = live(&mut world, Fault::none(), Fault::none());
    let tasks = world.tasks.started() - before;
    assert_eq!(tasks, TASKS, "the stream's connection, the handler, the messages' connection");
    world.ends_well("unbroken");
    (stream, posts, before)
}

/// The tasks of a session.
const TASKS: usize = 3;

/// Which of a session's tasks is its handler: when that is gone, the stream comes to its end in order.
const HANDLER: usize = 1;

#[test]
fn server_whose_task_is_dropped_at_any_poll_goes_on_without_it() {
    let (whole, answers, first) = unbroken();
    for task in 0..TASKS {
        let mut cuts = 0;
        for polls in 0..=500 {
            let mut world = World::start(Resumption::Off);
            world.tasks.cut(first + task, polls);
            let (stream, posts) = live(&mut world, Fault::none(), Fault::none());
            let when = format!("task {task} dropped before poll {polls}");
            if task != HANDLER {
                assert!(whole.starts_with(&stream), "{when}: {stream}");
            }
            let cut = world.tasks.was_cut();
            if !cut {
                assert_eq!((&stream, &posts), (&whole, &answers), "{when}");
            }
            cuts += usize::from(cut);
            world.ends_well(&when);
            if !cut {
                break;
            }
        }
        assert!(cuts > 0, "task {task} has {cuts} polls");
    }
}

/// What an I/O call may fail with; the first two only ask to make it again.
const KINDS: [ErrorKind; 8] = [
    ErrorKind::Interrupted,
    ErrorKind::WouldBlock,
    ErrorKind::ConnectionReset,
    ErrorKind::BrokenPipe,
    ErrorKind::TimedOut,
    ErrorKind::OutOfMemory,
    ErrorKind::UnexpectedEof,
    ErrorKind::Other,
];

#[test]
fn server_whose_connection_fails_at_any_call_goes_on_without_it() {
    let (whole, answers, _) = unbroken();
    for (nth, kind) in KINDS.into_iter().enumerate() {
        for of_stream in [true, false] {
            let mut calls = 0;
            for at in 1..=200 {
                let fault = Fault::at(at, kind);
                let (on_stream, on_posts) =
                    if of_stream { (fault.clone(), Fault::none()) } else { (Fault::none(), fault.clone()) };
                let mut world = World::start(Resumption::Off);
                let (stream, posts) = live(&mut world, on_stream, on_posts);
                let when = format!("{kind} at call {at}, of the stream: {of_stream}");
                assert!(whole.starts_with(&stream), "{when}: {stream}");
                if nth < 2 || !fault.has_come() {
                    assert_eq!((&stream, &posts), (&whole, &answers), "{when}");
                }
                world.ends_well(&when);
                if !fault.has_come() {
                    break; // There are no more calls.
                }
                calls += 1;
            }
            assert!(calls > 20, "{kind}: {calls} calls, of the stream: {of_stream}");
        }
    }
}
