//! 2026-07-28 over sockets: one request, one response, and its end cancels.

use std::sync::mpsc;

use sansio_sse::mcp::{Offer, StreamableConfig};
use sansio_sse_adapters::{Call, Mcp};
use serde_json::{Value, json};

use super::client::{Asker, V07, V11, echo, initialize, note, result, service, stateless, with};
use crate::support::{Client, End, Events, PATIENCE, TestRuntime, TestServer, on_every_runtime, until};

on_every_runtime![
    requests_need_no_session_and_are_answered_by_themselves,
    closing_the_response_cancels_the_request_and_its_handler_learns_of_it,
    work_that_nobody_wants_any_more_is_dropped,
    headers_must_say_what_the_body_says,
    there_is_no_session_to_listen_in_or_to_end,
    the_server_asks_nothing,
    a_subscription_hears_what_it_asked_for_until_the_server_ends_it,
    a_subscription_is_the_applications_where_it_is_to_be,
    revisions_are_spoken_that_somebody_serves,
];

fn asker(server: &TestServer) -> Asker {
    Asker { version: V07, ..Asker::new(server.addr) }
}

fn requests_need_no_session_and_are_answered_by_themselves<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = asker(&server);
    for id in 0..20 {
        let reply = asker.post(stateless(id, "server/discover"));
        assert_eq!((reply.status, reply.body.as_str()), (200, result(id, "server/discover").as_str()));
        assert_eq!(reply.header("mcp-session-id"), None);
    }
    let (data, end) = asker.post_events(stateless(7, "say/2")).rest();
    let expected = vec![note("n/0").to_string(), note("n/1").to_string(), result(7, "say/2")];
    assert_eq!((data, end), (expected, End::Terminated));
    assert_eq!(server.handle.sessions(), 0);
}

/// A handler that tells when it begins, and what it came to.
fn telling(told: mpsc::Sender<&'static str>) -> Mcp {
    Mcp::calls(|_| async {}).stateless(move |call: Call| {
        let told = told.clone();
        async move {
            let _ = told.send("begins");
            if call.method().ends_with("speaks") {
                call.notify("n", "{}").await.unwrap();
            }
            call.cancelled().await;
            let _ = told.send("cancelled");
            assert!(call.result("1").await.is_err(), "nothing can be said after it");
        }
    })
}

fn closing_the_response_cancels_the_request_and_its_handler_learns_of_it<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let server = TestServer::start::<R>(service(telling(told)));
    for method in ["silent", "speaks"] {
        for how in ["reset", "closed"] {
            let post = asker(&server).post_late(stateless(1, method));
            assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), "begins");
            let client = if method == "speaks" {
                let mut events = Events::with(post, "");
                assert_eq!(events.data(), note("n").as_str());
                events.client
            } else {
                post
            };
            match how {
                "reset" => client.reset(),
                _ => drop(client),
            }
            assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), "cancelled", "{method}, {how}");
        }
    }
}

fn work_that_nobody_wants_any_more_is_dropped<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::calls(move |call: Call| {
        let told = told.clone();
        async move {
            let _ = told.send(true);
            let done = call.unless_cancelled(std::future::pending::<()>()).await;
            let _ = told.send(done.is_some());
        }
    })));
    let post = asker(&server).post_late(stateless(1, "work"));
    assert!(outcome.recv_timeout(PATIENCE).unwrap());
    post.reset();
    assert!(!outcome.recv_timeout(PATIENCE).unwrap());
}

fn headers_must_say_what_the_body_says<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = asker(&server);
    let body = stateless(1, "tools/list").to_string();
    let right = asker.post_text(&body);
    let code = |text: String| {
        let reply = Client::connect(server.addr).request(text);
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        (reply.status, body["error"]["code"].as_i64())
    };
    assert_eq!(code(right.clone()), (200, None));
    assert_eq!(code(right.replace("Mcp-Method: tools/list", "Mcp-Method: tools/call")), (400, Some(-32020)));
    assert_eq!(code(right.replace("Mcp-Method: tools/list\r\n", "")), (400, Some(-32020)));
    assert_eq!(code(right.replace(V07, "2099-01-01")), (400, Some(-32022)));
    let removed = asker.post(stateless(1, "ping"));
    assert_eq!(removed.status, 404);
    let unknown = Asker { version: "", ..asker }.post(&body);
    assert_eq!(unknown.status, 400, "a version in _meta alone");
}

fn there_is_no_session_to_listen_in_or_to_end<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker { session: "any".to_owned(), ..asker(&server) };
    assert_eq!(Client::connect(server.addr).request(asker.get_text("")).status, 405);
    assert_eq!(asker.delete().status, 405);
    assert_eq!(asker.post(stateless(1, "tools/list")).status, 200, "the session header means nothing");
}

fn the_server_asks_nothing<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(|call: Call| async move {
        let refused = call.ask("roots/list", "{}").await.unwrap_err();
        assert!(call.session_sender().is_none() && call.session().is_none());
        let _ = call.result(json!(refused.to_string())).await;
    })));
    let reply = asker(&server).post(stateless(1, "m"));
    assert_eq!(reply.body, result(1, "this revision has no requests of the server"));
}

fn listen(id: u32, filter: Value) -> Value {
    let mut request = stateless(id, "subscriptions/listen");
    request["params"]["notifications"] = filter;
    request
}

fn a_subscription_hears_what_it_asked_for_until_the_server_ends_it<R: TestRuntime>() {
    let config = StreamableConfig { subscriptions: Some(Offer::all()), ..StreamableConfig::default() };
    let server = TestServer::start::<R>(with(config, Mcp::calls(echo)));
    let asker = asker(&server);
    let mut tools = asker.post_events(listen(1, json!({ "toolsListChanged": true })));
    let mut both =
        asker.post_events(listen(2, json!({ "toolsListChanged": true, "promptsListChanged": true })));
    for (events, id) in [(&mut tools, 1), (&mut both, 2)] {
        let first: Value = serde_json::from_str(&events.data()).unwrap();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    }
    let endpoint = server.handle.mcp().next().unwrap();
    assert_eq!(endpoint.publish(&note("notifications/prompts/list_changed")), 1);
    assert_eq!(endpoint.publish(&note("notifications/tools/list_changed")), 2);
    assert!(tools.data().contains("tools/list_changed"));
    assert!(both.data().contains("prompts/list_changed"));
    assert!(both.data().contains("tools/list_changed"));
    tools.client.reset();
    until("the first to be gone", || server.handle.streams() == 1);
    assert_eq!(endpoint.publish(&note("notifications/tools/list_changed")), 1);
    let mut server = server;
    server.ask_to_stop();
    let (data, end) = both.rest();
    let last: Value = serde_json::from_str(data.last().unwrap()).unwrap();
    assert_eq!((last["id"].as_u64(), end), (Some(2), End::Terminated));
    assert_eq!(last["result"]["resultType"], "complete");
    server.stopped();
}

fn a_subscription_is_the_applications_where_it_is_to_be<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let reply = asker(&server).post(listen(1, json!({})));
    assert_eq!(reply.body, result(1, "subscriptions/listen"));
}

fn revisions_are_spoken_that_somebody_serves<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::sessions(|session| session.serve(echo))));
    let refused = asker(&server).post(stateless(1, "tools/list"));
    assert_eq!(refused.status, 400, "{}", refused.body);
    let sessions = Asker::open(server.addr, V11);
    sessions.delete();
    let none = service(Mcp::default()).build().unwrap_err();
    assert!(none.to_string().contains("revisions"), "{none}");

    let mut only = Mcp::default();
    only = only.stateless(echo);
    let server = TestServer::start::<R>(service(only));
    assert_eq!(asker(&server).post(stateless(1, "tools/list")).status, 200);
    assert_ne!(Asker::new(server.addr).post(initialize(V11)).status, 200);
}
