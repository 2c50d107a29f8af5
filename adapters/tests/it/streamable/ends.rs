//! How sessions, responses and the server end, and that nothing is left.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use sansio_sse::mcp::{StreamableConfig, StreamableLimits};
use sansio_sse_adapters::{Call, Mcp};

use super::client::{
    Asker, V06, V07, V11, agree, call, echo, initialize, note, result, service, stateless, with,
};
use crate::support::{Client, End, PATIENCE, TestRuntime, TestServer, on_every_runtime, until};

on_every_runtime![
    a_shutdown_ends_streams_in_order_and_answers_what_has_begun,
    a_server_that_is_dropped_leaves_nothing_behind,
    an_idle_session_ends_by_itself,
    requests_that_end_at_every_moment_leave_nothing,
    a_client_that_never_reads_is_closed_and_the_session_lives,
];

/// `initialize` is answered at once, everything else when the gate opens.
fn gated(gate: ::smol::channel::Receiver<()>) -> Mcp {
    Mcp::calls(move |call: Call| {
        let gate = gate.clone();
        async move {
            if call.method() == "initialize" {
                return agree(call).await;
            }
            let _ = call.notify("n", "{}").await;
            let _ = gate.recv().await;
            let _ = call.result("\"done\"").await;
        }
    })
}

fn a_shutdown_ends_streams_in_order_and_answers_what_has_begun<R: TestRuntime>() {
    let (go, gate) = ::smol::channel::bounded::<()>(1);
    let mut server = TestServer::start::<R>(service(gated(gate)));
    let asker = Asker::open(server.addr, V06);
    let mut own = asker.get("");
    let mut events = asker.post_events(call(1, "work"));
    assert_eq!(events.data(), note("n").as_str());
    let without = Asker { version: V07, ..Asker::new(server.addr) };
    let mut alone = without.post_events(stateless(2, "work"));
    assert_eq!(alone.data(), note("n").as_str());
    server.ask_to_stop();
    assert_eq!(own.rest(), (vec![], End::Terminated));
    go.close();
    assert_eq!(events.rest(), (vec![result(1, "done")], End::Terminated));
    assert_eq!(alone.rest(), (vec![result(2, "done")], End::Terminated));
    server.stopped();
    assert_eq!((server.handle.sessions(), server.handle.handlers(), server.handle.connections()), (0, 0, 0));
}

fn a_server_that_is_dropped_leaves_nothing_behind<R: TestRuntime>() {
    let (_go, gate) = ::smol::channel::bounded::<()>(1);
    let mut server = TestServer::start_to_be_dropped::<R>(service(gated(gate)));
    let asker = Asker::open(server.addr, V11);
    let mut own = asker.get("");
    assert_eq!(own.data(), "");
    let mut events = asker.post_events(call(1, "work"));
    assert_eq!([events.data(), events.data()], [String::new(), note("n").to_string()]);
    let waits = asker.post_late(call(2, "work"));
    server.ask_to_stop();
    server.stopped();
    assert_ne!(own.rest().1, End::Terminated);
    assert_ne!(events.rest().1, End::Terminated);
    drop(waits);
}

fn an_idle_session_ends_by_itself<R: TestRuntime>() {
    let limits = StreamableLimits { idle_for: Duration::from_millis(150), ..StreamableLimits::default() };
    let config = StreamableConfig { limits, ..StreamableConfig::default() };
    let server = TestServer::start::<R>(with(config, Mcp::calls(echo)));
    let idle = Asker::open(server.addr, V06);
    let busy = Asker::open(server.addr, V06);
    let own = busy.get("");
    until("the idle one to end", || server.handle.sessions() == 1);
    assert_eq!(idle.post(call(1, "m")).status, 404);
    assert_eq!(busy.post(call(1, "m")).status, 200, "a stream is use");
    drop(own);
    until("the other to end", || server.handle.sessions() == 0);
}

fn requests_that_end_at_every_moment_leave_nothing<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    let others = Asker { version: V07, ..Asker::new(server.addr) };
    let opening = Asker::new(server.addr).post_text(&initialize(V11).to_string());
    let texts = [
        opening,
        asker.post_text(&call(1, "m").to_string()),
        asker.post_text(&call(2, "say/5").to_string()),
        asker.get_text(""),
        others.post_text(&stateless(3, "m").to_string()),
        others.post_text(&stateless(4, "say/5").to_string()),
    ];
    for text in &texts {
        for (at, cut) in (0..text.len()).step_by(17).chain([text.len()]).enumerate() {
            let mut client = Client::connect(server.addr);
            client.send(&text[..cut]);
            match at % 3 {
                0 => client.reset(),
                1 => client.close_write(),
                _ => drop(client),
            }
        }
    }
    until("all of them to be gone", || server.handle.connections() == 0);
    assert_eq!(asker.post(call(9, "m")).status, 200);
    asker.delete();
    // Sessions whose client was told of them are still there: it may come back. They end with the server.
    let mut server = server;
    server.shut_down();
    assert_eq!((server.handle.sessions(), server.handle.handlers()), (0, 0));
}

/// The application says more than the client's and the server's sockets hold, and the client reads nothing.
fn a_client_that_never_reads_is_closed_and_the_session_lives<R: TestRuntime>() {
    let stream = sansio_sse::StreamConfig::builder().stall_after(Some(Duration::from_millis(200)));
    let config = StreamableConfig { stream: stream.build().unwrap().into(), ..StreamableConfig::default() };
    let (told, outcome) = std::sync::mpsc::channel();
    let application = Mcp::calls(move |call: Call| {
        let told = told.clone();
        async move {
            if call.method() == "initialize" {
                return agree(call).await;
            }
            let params = serde_json::json!({ "text": "m".repeat(256 << 10) });
            let text = params.to_string();
            loop {
                // Until what is kept is full: the response goes on without its client, as long as there is room.
                let said = pin!(call.notify("n", &text));
                match select(said, ::smol::Timer::after(Duration::from_millis(500))).await {
                    Either::Left((said, _)) => said.unwrap(),
                    Either::Right(_) => break,
                }
            }
            told.send(()).unwrap();
            let _ = call.result("\"done\"").await;
        }
    });
    let server = TestServer::start::<R>(with(config, application));
    let asker = Asker::open(server.addr, V11);
    let mut narrow = Client::connect_narrow(server.addr);
    narrow.send(asker.post_text(&call(1, "flood").to_string()));
    outcome.recv_timeout(PATIENCE).unwrap();
    until("the stalled response to be closed", || server.handle.streams() == 0);
    drop(narrow);
    assert_eq!(asker.delete().status, 204);
}
