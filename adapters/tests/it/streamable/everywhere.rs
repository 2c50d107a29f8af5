//! A whole server in memory, broken at every place: a task that is dropped before any of its polls, a connection that
//! fails at any of its calls. What is beside it goes on, and nothing is left of it.

use std::io::ErrorKind;

use sansio_sse_adapters::{Mcp, Server, ServerHandle};

use super::client::{Asker, V07, V11, call, echo, initialize, result, service, stateless};
use crate::memory::{Fault, Memory, MemoryClient, Tasks};

struct World {
    tasks: Tasks,
    handle: ServerHandle,
    stop: ::smol::channel::Sender<()>,
    good: Good,
}

/// A client that is well: its session, and its stream.
struct Good {
    asker: Asker,
    posts: MemoryClient,
    own: MemoryClient,
}

fn asker() -> Asker {
    Asker::new(([127, 0, 0, 1], 0).into())
}

/// Opens a session on a connection; `None` where that is broken before its id is told.
fn open(tasks: &mut Tasks, posts: &MemoryClient) -> Option<Asker> {
    posts.send(asker().post_text(&initialize(V11).to_string()));
    tasks.run();
    let text = posts.received();
    let (id, _) = text.split("Mcp-Session-Id: ").nth(1)?.split_once("\r\n\r\n")?;
    let id = id.lines().next()?.to_owned();
    Some(Asker { session: id, version: V11, ..asker() })
}

impl World {
    fn start() -> World {
        let server = Server::<Memory>::on((), service(Mcp::calls(echo)).build().unwrap()).unwrap();
        let handle = server.handle();
        let (stop, stopped) = ::smol::channel::bounded::<()>(1);
        let mut tasks = Tasks::default();
        tasks.start(server.run(async move { stopped.recv().await.unwrap_or_default() }));
        let posts = MemoryClient::connect(Fault::none());
        tasks.run();
        let asker = open(&mut tasks, &posts).unwrap();
        let own = MemoryClient::connect(Fault::none());
        tasks.run();
        own.send(asker.get_text(""));
        tasks.run();
        let mut world = World { tasks, handle, stop, good: Good { asker, posts, own } };
        world.ping(1);
        world
    }

    /// The good client asks, and is answered.
    fn ping(&mut self, id: u32) {
        self.good.posts.send(self.good.asker.post_text(&call(id, "m").to_string()));
        self.tasks.run();
        let text = self.good.posts.received();
        assert!(text.ends_with(&result(id, "m")), "{text}");
    }

    /// The good client is served on, and at its end nothing is left.
    fn ends_well(mut self, when: &str) {
        self.ping(2);
        assert_eq!(self.handle.connections(), 2, "{when}: the good client's");
        self.stop.close();
        self.tasks.run();
        assert!(self.good.own.received().ends_with("\r\n0\r\n\r\n"), "{when}");
        let left = (self.handle.sessions(), self.handle.connections(), self.handle.handlers());
        assert_eq!(left, (0, 0, 0), "{when}: at the end");
    }
}

/// Opens a session, asks twice and listens, asks once without a session, and leaves; gives back what came of the last.
fn live(world: &mut World, faults: [Fault; 3]) -> String {
    let [posts, own, alone] = faults.map(|fault| {
        let client = MemoryClient::connect(fault);
        world.tasks.run();
        client
    });
    if let Some(asker) = open(&mut world.tasks, &posts) {
        own.send(asker.get_text(""));
        world.tasks.run();
        for (id, method) in [(1, "m"), (2, "say/3")] {
            posts.send(asker.post_text(&call(id, method).to_string()));
            world.tasks.run();
        }
    }
    let without = Asker { version: V07, ..asker() };
    alone.send(without.post_text(&stateless(3, "say/3").to_string()));
    world.tasks.run();
    let clients = [posts, own, alone];
    clients.iter().for_each(MemoryClient::close);
    world.tasks.run();
    clients[2].received()
}

fn none() -> [Fault; 3] {
    [Fault::none(), Fault::none(), Fault::none()]
}

/// What comes when nothing is broken, and the first of the tasks that were started for it, and how many.
fn unbroken() -> (String, usize, usize) {
    let mut world = World::start();
    let before = world.tasks.started();
    let whole = live(&mut world, none());
    assert!(whole.contains(&result(3, "say/3")) && whole.ends_with("\r\n0\r\n\r\n"), "{whole}");
    let tasks = world.tasks.started() - before;
    world.ends_well("unbroken");
    (whole, before, tasks)
}

#[test]
fn endpoint_whose_task_is_dropped_at_any_poll_goes_on_without_it() {
    let (whole, first, tasks) = unbroken();
    assert_eq!(tasks, 5, "three connections, a session's handler, and one alone");
    for task in 0..tasks {
        let mut cuts = 0;
        for polls in 0..=500 {
            let mut world = World::start();
            world.tasks.cut(first + task, polls);
            let text = live(&mut world, none());
            let when = format!("task {task} dropped before poll {polls}");
            let cut = world.tasks.was_cut();
            if !cut {
                assert_eq!(text, whole, "{when}");
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

#[test]
fn endpoint_whose_connection_fails_at_any_call_goes_on_without_it() {
    let (whole, ..) = unbroken();
    for (nth, kind) in
        [ErrorKind::Interrupted, ErrorKind::ConnectionReset, ErrorKind::Other].into_iter().enumerate()
    {
        for broken in 0..3 {
            let mut calls = 0;
            for at in 1..=400 {
                let fault = Fault::at(at, kind);
                let mut faults = none();
                faults[broken] = fault.clone();
                let mut world = World::start();
                let text = live(&mut world, faults);
                let when = format!("{kind} at call {at} of connection {broken}");
                assert!(whole.starts_with(&text), "{when}: {text}");
                if nth == 0 || broken != 2 || !fault.has_come() {
                    assert_eq!(text, whole, "{when}");
                }
                world.ends_well(&when);
                if !fault.has_come() {
                    break; // There are no more calls.
                }
                calls += 1;
            }
            assert!(calls > 20, "{kind}: {calls} calls of connection {broken}");
        }
    }
}
