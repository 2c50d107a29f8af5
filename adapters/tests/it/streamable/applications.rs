//! What applications see and do: streams of requests, messages in and out, cancellations, and ways to fail.

use std::sync::mpsc;

use futures_util::{SinkExt, StreamExt};
use sansio_sse::mcp::{Message, MessageKind, StreamableEnd};
use sansio_sse_adapters::{Call, Mcp, McpSession, MessageSession, Received};
use serde_json::{Value, json};

use super::client::{Asker, V06, V11, agree, call, echo, initialize, note, result, service};
use crate::support::{Client, End, Events, PATIENCE, TestRuntime, TestServer, on_every_runtime, until};

on_every_runtime![
    messages_go_in_and_out_and_find_their_streams,
    a_session_of_messages_is_a_stream_and_a_sink,
    a_request_of_messages_ends_when_it_is_cancelled,
    a_cancellation_reaches_its_request_while_the_application_reads_nothing,
    a_request_that_is_dropped_is_answered_with_an_error,
    a_request_whose_handler_panics_is_answered_and_its_session_lives,
    a_session_ends_with_its_handler,
    an_initialization_that_is_refused_opens_no_session,
    a_client_that_leaves_before_it_learns_of_its_session_has_none,
];

fn agreed(initialize: &Message) -> Message {
    let value: Value = serde_json::from_str(initialize.as_str()).unwrap();
    initialize.respond(json!({ "protocolVersion": value["params"]["protocolVersion"] })).unwrap()
}

/// An application as for pipes: it asks the client in the middle of a request, says how far it is, and tells news.
async fn over_pipes(mut session: MessageSession) {
    let sender = session.sender();
    let mut asked: Option<Message> = None;
    while let Some(message) = session.receive().await {
        match (message.kind(), message.method()) {
            (MessageKind::Request, Some("initialize")) => sender.send(agreed(&message)).await.unwrap(),
            (MessageKind::Request, Some("asks")) => {
                for said in [
                    r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#,
                    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#,
                    r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#,
                    r#"{"jsonrpc":"2.0","id":"of nobody","result":{}}"#,
                ] {
                    sender.send(said.parse().unwrap()).await.unwrap();
                }
                asked = Some(message);
            }
            (MessageKind::Request, _) => sender.send(message.respond("{}").unwrap()).await.unwrap(),
            (MessageKind::Response, _) => {
                let request = asked.take().unwrap();
                sender.send(request.respond(&message).unwrap()).await.unwrap();
            }
            (MessageKind::Notification, _) => {}
        }
    }
}

fn messages_go_in_and_out_and_find_their_streams<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::messages(over_pipes)));
    let asker = Asker::open(server.addr, V06);
    assert_eq!(asker.post(call(1, "ping")).body, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let mut own = asker.get("");
    let mut asks = call(2, "asks");
    asks["params"] = json!({ "_meta": { "progressToken": 7 } });
    let mut events = asker.post_events(asks);
    assert!(events.data().contains("sampling/createMessage"), "a question goes where its request is heard");
    assert!(events.data().contains("notifications/progress"));
    assert!(own.data().contains("tools/list_changed"), "news goes to the session's own stream");
    let response = r#"{"jsonrpc":"2.0","id":"q","result":"said"}"#;
    assert_eq!(asker.post(response).status, 202);
    let expected = format!(r#"{{"jsonrpc":"2.0","id":2,"result":{response}}}"#);
    assert_eq!(events.rest(), (vec![expected], End::Terminated));
    asker.delete();
    assert_eq!(own.rest(), (vec![], End::Terminated));
}

fn a_session_of_messages_is_a_stream_and_a_sink<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::messages(|session: MessageSession| async move {
        let (mut out, messages) = session.split();
        let mut answers = messages.take(3).map(|message| {
            Ok(if message.method() == Some("initialize") {
                agreed(&message)
            } else {
                message.respond("1").unwrap()
            })
        });
        out.send_all(&mut answers).await.unwrap();
        out.close().await.unwrap();
        let refused = out.send(note("late")).await.unwrap_err();
        assert_eq!(refused.message, None, "it is known before a message is taken");
    })));
    let asker = Asker::open(server.addr, V11);
    for id in 1..3 {
        assert_eq!(asker.post(call(id, "m")).status, 200);
    }
    until("the handler to end", || server.handle.handlers() == 0);
    assert_eq!(asker.post(call(3, "m")).status, 404, "the session has ended");
}

fn a_request_of_messages_ends_when_it_is_cancelled<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::messages(move |mut session: MessageSession| {
        let told = told.clone();
        async move {
            let sender = session.sender();
            let mut obeys = true;
            while let Some(message) = session.receive().await {
                match message.method() {
                    Some("initialize") => sender.send(agreed(&message)).await.unwrap(),
                    Some("work") => told.send(message).unwrap(),
                    Some("notifications/cancelled") if obeys => obeys = false,
                    // Too late is no error of the application's.
                    Some("notifications/cancelled") => {
                        sender.send(r#"{"jsonrpc":"2.0","id":2,"result":{}}"#.parse().unwrap()).await.unwrap()
                    }
                    Some("ping") => sender.send(message.respond("1").unwrap()).await.unwrap(),
                    _ => {}
                }
            }
        }
    })));
    let asker = Asker::open(server.addr, V11);
    for id in [1, 2] {
        let post = asker.post_late(call(id, "work"));
        outcome.recv_timeout(PATIENCE).unwrap();
        let cancel =
            json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
        assert_eq!(asker.post(cancel).status, 202);
        let (data, end) = Events::with(post, "").rest();
        assert_eq!((data, end), (vec![String::new()], End::Terminated), "nothing is said for it");
    }
    assert_eq!(asker.post(call(3, "ping")).body, r#"{"jsonrpc":"2.0","id":3,"result":1}"#);
    asker.delete();
}

fn a_cancellation_reaches_its_request_while_the_application_reads_nothing<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let application = Mcp::sessions(move |mut session: McpSession| {
        let told = told.clone();
        async move {
            while let Some(received) = session.next().await {
                match received {
                    Received::Request(call) if call.method() == "initialize" => agree(call).await,
                    Received::Request(call) => {
                        let _ = told.send("begins".to_owned());
                        call.cancelled().await;
                        let _ = told.send(call.method().to_owned());
                        call.let_go();
                    }
                    Received::Notification(message) => told.send(message.to_string()).unwrap(),
                    _ => {}
                }
            }
        }
    });
    let server = TestServer::start::<R>(service(application));
    let asker = Asker::open(server.addr, V11);
    let post = asker.post_late(call(1, "work"));
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), "begins");
    let other =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 2 } });
    assert_eq!(asker.post(other).status, 202);
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(asker.post(cancel).status, 202);
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), "work");
    let (data, end) = Events::with(post, "").rest();
    assert_eq!((data, end), (vec![String::new()], End::Terminated), "nothing is said for it");
    asker.post(note("n").as_str());
    assert_eq!(
        outcome.recv_timeout(PATIENCE).unwrap(),
        note("n").to_string(),
        "cancellations are not repeated"
    );
    asker.delete();
}

fn a_request_that_is_dropped_is_answered_with_an_error<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    let body: Value = serde_json::from_str(&asker.post(call(4, "drop")).body).unwrap();
    assert_eq!((&body["id"], &body["error"]["code"]), (&json!(4), &json!(-32603)));
    asker.delete();
}

fn a_request_whose_handler_panics_is_answered_and_its_session_lives<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    assert!(asker.post(call(1, "panic")).body.contains("-32603"));
    assert_eq!(asker.post(call(2, "m")).body, result(2, "m"));
    let stateless = Asker { version: super::client::V07, ..Asker::new(server.addr) };
    assert!(stateless.post(super::client::stateless(3, "panic")).body.contains("-32603"));
    asker.delete();
}

fn a_session_ends_with_its_handler<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::sessions(move |mut session: McpSession| {
        let told = told.clone();
        async move {
            for _ in 0..2 {
                match session.receive().await {
                    Some(Received::Request(call)) if call.method() == "initialize" => agree(call).await,
                    Some(Received::Request(call)) => call.result("1").await.unwrap(),
                    _ => break,
                }
            }
            told.send(session.end()).unwrap();
        }
    })));
    let asker = Asker::open(server.addr, V06);
    let mut own = asker.get("");
    assert_eq!(asker.post(call(1, "m")).status, 200);
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), None);
    assert_eq!(own.rest(), (vec![], End::Terminated));
    until("the session to be gone", || server.handle.sessions() == 0);
    assert_eq!(asker.post(call(2, "m")).status, 404);

    let asker = Asker::open(server.addr, V06);
    asker.delete();
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), Some(StreamableEnd::ByClient));
}

fn an_initialization_that_is_refused_opens_no_session<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(|call: Call| async move {
        call.error(-32602, "not \"today\"").await.unwrap();
    })));
    let reply = Asker::new(server.addr).post(initialize(V11));
    assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None));
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(body["error"], json!({ "code": -32602, "message": "not \"today\"" }));
    until("the session to be gone", || server.handle.sessions() == 0);
}

fn a_client_that_leaves_before_it_learns_of_its_session_has_none<R: TestRuntime>() {
    let (told, outcome) = mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::sessions(move |mut session: McpSession| {
        let told = told.clone();
        async move {
            let Some(Received::Request(call)) = session.receive().await else { return };
            told.send(None).unwrap();
            call.cancelled().await;
            session.ended().await;
            told.send(session.end()).unwrap();
        }
    })));
    let post: Client = Asker::new(server.addr).post_late(initialize(V11));
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), None);
    post.reset();
    assert_eq!(outcome.recv_timeout(PATIENCE).unwrap(), Some(StreamableEnd::NeverBegun));
}
