//! Requests and how they are answered, streams beside each other, and what the server asks.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use sansio_sse::mcp::{AnswerMode, StreamableConfig, StreamableLimits};
use sansio_sse_adapters::{Call, Mcp, McpSession, Received};
use serde_json::json;

use super::client::{Asker, V03, V06, V11, agree, call, echo, note, result, service, with};
use crate::support::{Client, End, TestRuntime, TestServer, on_every_runtime, until};

on_every_runtime![
    requests_are_answered_whole_where_there_is_no_more_to_say,
    what_is_said_before_the_response_makes_it_a_stream,
    answers_are_streams_where_they_are_to_be,
    notifications_and_responses_are_accepted,
    several_streams_at_once_each_have_their_own,
    the_server_asks_and_is_answered_while_its_application_does_nothing_else,
    asking_ends_with_the_session_or_the_request,
    batches_of_the_first_revision_are_answered_together,
    a_full_queue_holds_posts_back_and_takes_them_in_order,
    more_than_a_stream_holds_is_said_as_the_client_reads,
    a_connection_is_kept_between_answers,
    an_answer_of_two_megabytes_arrives_either_way,
    hurt_15_many_sessions_with_the_same_ids_get_only_their_own,
];

fn requests_are_answered_whole_where_there_is_no_more_to_say<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    for version in [V03, V06, V11] {
        let asker = Asker::open(server.addr, version);
        assert_eq!(server.handle.sessions(), 1);
        let reply = asker.post(call(1, "tools/list"));
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.body, result(1, "tools/list"));
        assert_eq!(reply.header("mcp-session-id"), None, "only the first answer tells of it");
        assert_eq!(asker.delete().status, 204);
        assert_eq!(asker.post(call(2, "tools/list")).status, 404);
        assert_eq!(asker.delete().status, 404);
    }
}

fn what_is_said_before_the_response_makes_it_a_stream<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    for (version, primes) in [(V03, false), (V06, false), (V11, true)] {
        let asker = Asker::open(server.addr, version);
        let mut events = asker.post_events(call(1, "say/2"));
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
            ("transfer-encoding", "chunked"),
        ] {
            assert_eq!(events.head.header(name), Some(value), "{name}");
        }
        if primes {
            let first = events.next().unwrap();
            assert_eq!((first.data.as_str(), first.id.is_some()), ("", true));
        }
        let said: Vec<_> = (0..3).map(|_| events.next().unwrap()).collect();
        assert!(said.iter().all(|event| event.id.is_some() && event.name == "message"), "{said:?}");
        let data: Vec<_> = said.into_iter().map(|event| event.data).collect();
        let (first, second) = (note("n/0"), note("n/1"));
        assert_eq!(data, [first.as_str(), second.as_str(), &result(1, "say/2")]);
        assert_eq!(events.rest(), (vec![], End::Terminated));
        asker.delete();
    }
}

fn answers_are_streams_where_they_are_to_be<R: TestRuntime>() {
    let config = StreamableConfig { answers: AnswerMode::Stream, ..StreamableConfig::default() };
    let server = TestServer::start::<R>(with(config, Mcp::calls(echo)));
    let mut opening = Asker::new(server.addr).post_events(super::client::initialize(V06));
    let session = opening.head.header("mcp-session-id").unwrap().to_owned();
    assert!(opening.data().contains(V06));
    let asker = Asker { session, version: V06, ..Asker::new(server.addr) };
    let (data, end) = asker.post_events(call(1, "ping")).rest();
    assert_eq!((data, end), (vec![result(1, "ping")], End::Terminated));
    // Errors of the endpoint's own keep their status.
    assert_eq!(asker.post("[]").status, 400);
    asker.delete();
}

fn notifications_and_responses_are_accepted<R: TestRuntime>() {
    let (heard, said) = std::sync::mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::sessions(move |mut session: McpSession| {
        let heard = heard.clone();
        async move {
            while let Some(received) = session.next().await {
                match received {
                    Received::Request(call) => agree(call).await,
                    Received::Notification(message) => heard.send(message).unwrap(),
                    _ => {}
                }
            }
        }
    })));
    let asker = Asker::open(server.addr, V11);
    for body in [
        note("notifications/initialized").to_string(),
        r#"{"jsonrpc":"2.0","id":77,"result":{}}"#.to_owned(),
        note("notifications/roots/list_changed").to_string(),
    ] {
        let reply = asker.post(body);
        assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    }
    let patience = crate::support::PATIENCE;
    assert_eq!(said.recv_timeout(patience).unwrap(), note("notifications/initialized"));
    assert_eq!(said.recv_timeout(patience).unwrap(), note("notifications/roots/list_changed"));
    asker.delete();
}

fn several_streams_at_once_each_have_their_own<R: TestRuntime>() {
    // Requests wait until all are there; then each says something, and so does the session.
    let waiting: Arc<Mutex<Vec<Call>>> = Arc::default();
    let calls = Arc::clone(&waiting);
    let server = TestServer::start::<R>(service(Mcp::calls(move |call: Call| {
        let calls = Arc::clone(&calls);
        async move {
            if call.method() == "initialize" {
                return agree(call).await;
            }
            calls.lock().unwrap().push(call);
        }
    })));
    let asker = Asker::open(server.addr, V06);
    let mut own = asker.get("");
    let names = ["a", "b", "c", "d"];
    let posts = names.map(|name| asker.post_late(call(1, name)));
    until("all to be there", || waiting.lock().unwrap().len() == names.len());
    let calls = std::mem::take(&mut *waiting.lock().unwrap());
    ::smol::block_on(async {
        for call in &calls {
            let session = call.session_sender().unwrap();
            session.notify(&format!("own/{}", call.method()), "{}").await.unwrap();
            call.notify(&format!("for/{}", call.method()), "{}").await.unwrap();
        }
        for call in calls {
            let method = call.method().to_owned();
            call.result(format!("{method:?}")).await.unwrap();
        }
    });
    for (name, post) in names.iter().zip(posts) {
        let (data, end) = crate::support::Events::with(post, "").rest();
        // All have the same id of JSON-RPC: it routes nothing.
        assert_eq!(data, [note(&format!("for/{name}")).to_string(), result(1, name)]);
        assert_eq!(end, End::Terminated);
    }
    let mut said: Vec<_> = names.iter().map(|_| own.data()).collect();
    said.sort();
    assert_eq!(said, names.map(|name| note(&format!("own/{name}")).to_string()));
    asker.delete();
    assert_eq!(own.rest(), (vec![], End::Terminated), "the session's end ends its stream");
}

/// The application awaits the client's response in the middle of its only loop.
fn the_server_asks_and_is_answered_while_its_application_does_nothing_else<R: TestRuntime>() {
    let limits = StreamableLimits { max_messages: NonZeroUsize::MIN, ..StreamableLimits::default() };
    let config = StreamableConfig { limits, ..StreamableConfig::default() };
    let application = Mcp::sessions(|mut session: McpSession| async move {
        let sender = session.sender();
        while let Some(received) = session.receive().await {
            match received {
                Received::Request(call) if call.method() == "initialize" => agree(call).await,
                Received::Request(call) => {
                    let name = call.ask("elicitation/create", json!({ "message": "who?" })).await.unwrap();
                    let roots = sender.ask("roots/list", "{}").await.unwrap();
                    call.result(json!([name.as_str(), roots.as_str()])).await.unwrap();
                }
                _ => {}
            }
        }
    });
    let server = TestServer::start::<R>(with(config, application));
    let asker = Asker::open(server.addr, V06);
    let mut own = asker.get("");
    let mut events = asker.post_events(call(5, "tools/call"));
    let asked: serde_json::Value = serde_json::from_str(&events.data()).unwrap();
    assert_eq!(
        (&asked["method"], &asked["params"]["message"]),
        (&json!("elicitation/create"), &json!("who?"))
    );
    // The queue is full of something else: a response that is waited for needs no room in it.
    assert_eq!(asker.post(note("n/1").as_str()).status, 202);
    let first = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": "me" });
    assert_eq!(asker.post(&first).status, 202);
    let asked: serde_json::Value = serde_json::from_str(&own.data()).unwrap();
    assert_eq!(asked["method"], "roots/list");
    let second = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": { "code": -1, "message": "no" } });
    assert_eq!(asker.post(&second).status, 202);
    let answer: serde_json::Value = serde_json::from_str(&events.data()).unwrap();
    let texts: Vec<serde_json::Value> = answer["result"].as_array().unwrap().clone();
    let said = [first, second].map(|message| message);
    for (text, said) in texts.iter().zip(said) {
        assert_eq!(serde_json::from_str::<serde_json::Value>(text.as_str().unwrap()).unwrap(), said);
    }
    asker.delete();
}

fn asking_ends_with_the_session_or_the_request<R: TestRuntime>() {
    use sansio_sse_adapters::Unsaid;
    let (told, outcome) = std::sync::mpsc::channel();
    let server = TestServer::start::<R>(service(Mcp::calls(move |call: Call| {
        let told = told.clone();
        async move {
            match call.method() {
                "initialize" => agree(call).await,
                "request" => {
                    let sender = call.sender();
                    let (asked, ()) = futures_util::future::join(sender.ask("ping", "{}"), async move {
                        let _ = call.result("{}").await;
                    })
                    .await;
                    told.send(asked).unwrap();
                }
                _ => told.send(call.ask("ping", "{}").await).unwrap(),
            }
        }
    })));
    let asker = Asker::open(server.addr, V11);
    let (data, _) = asker.post_events(call(1, "request")).rest();
    assert_eq!(data.len(), 3, "the beginning, the question, and the response: {data:?}");
    assert_eq!(outcome.recv_timeout(crate::support::PATIENCE).unwrap(), Err(Unsaid::Unanswered));
    let mut events = asker.post_events(call(2, "session"));
    assert_eq!(events.data(), "");
    assert!(events.data().contains("ping"));
    asker.delete();
    assert_eq!(outcome.recv_timeout(crate::support::PATIENCE).unwrap(), Err(Unsaid::Unanswered));
}

fn batches_of_the_first_revision_are_answered_together<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V03);
    let batch = json!([call(1, "a"), { "jsonrpc": "2.0", "method": "n" }, call(2, "b")]);
    let reply = asker.post(&batch);
    let mut answers: Vec<serde_json::Value> = serde_json::from_str(&reply.body).unwrap();
    answers.sort_by_key(|answer| answer["id"].as_i64());
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!("a"), &json!("b")));
    let newer = Asker::open(server.addr, V06);
    assert_eq!(newer.post(&batch).status, 400);
    drop([asker, newer].map(|asker| asker.delete()));
}

fn a_full_queue_holds_posts_back_and_takes_them_in_order<R: TestRuntime>() {
    let limits = StreamableLimits { max_messages: NonZeroUsize::MIN, ..StreamableLimits::default() };
    let config = StreamableConfig { limits, ..StreamableConfig::default() };
    let (go, gate) = ::smol::channel::bounded::<()>(1);
    let (heard, said) = std::sync::mpsc::channel();
    let application = Mcp::sessions(move |mut session: McpSession| {
        let (gate, heard) = (gate.clone(), heard.clone());
        async move {
            while let Some(received) = session.receive().await {
                match received {
                    Received::Request(call) => agree(call).await,
                    Received::Notification(message) => {
                        let _ = gate.recv().await;
                        heard.send(message).unwrap();
                    }
                    _ => {}
                }
            }
        }
    });
    let server = TestServer::start::<R>(with(config, application));
    let asker = Asker::open(server.addr, V11);
    // One is with the application, one in the queue, and one waits for room.
    assert_eq!(asker.post(note("n/0").as_str()).status, 202);
    let mut posts: Vec<Client> = Vec::new();
    for n in 1..5 {
        let mut post = asker.post_late(note(&format!("n/{n}")).as_str());
        if n == 1 {
            assert_eq!(post.response().status, 202);
        } else {
            // Whichever is first of those that wait: one after the other, so that their order is known.
            std::thread::sleep(std::time::Duration::from_millis(30));
            assert!(!post.has_answer(), "held back");
        }
        posts.push(post);
    }
    // One of those that wait leaves: it is forgotten.
    posts.pop().unwrap().reset();
    std::thread::sleep(std::time::Duration::from_millis(30));
    go.close();
    for n in 0..4 {
        assert_eq!(said.recv_timeout(crate::support::PATIENCE).unwrap(), note(&format!("n/{n}")));
    }
    for post in &mut posts[1..] {
        assert_eq!(post.response().status, 202);
    }
    assert_eq!(asker.post(note("n/9").as_str()).status, 202);
    assert_eq!(said.recv_timeout(crate::support::PATIENCE).unwrap(), note("n/9"));
    asker.delete();
}

fn more_than_a_stream_holds_is_said_as_the_client_reads<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V06);
    let mut events = crate::support::Events::with(
        Client::connect_narrow(server.addr),
        &asker.post_text(&call(1, "say/3000").to_string()),
    );
    for n in 0..3_000 {
        assert_eq!(events.data(), note(&format!("n/{n}")).as_str());
    }
    assert_eq!(events.rest(), (vec![result(1, "say/3000")], End::Terminated));
    asker.delete();
}

fn a_connection_is_kept_between_answers<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    let mut client = Client::connect(server.addr);
    for id in 0..50 {
        let reply = client.request(asker.post_text(&call(id, "m").to_string()));
        assert_eq!(reply.body, result(id, "m"));
    }
    drop(client);
    asker.delete();
}

fn an_answer_of_two_megabytes_arrives_either_way<R: TestRuntime>() {
    let large = "m".repeat(2 << 20);
    for answers in [AnswerMode::Json, AnswerMode::Stream] {
        let config = StreamableConfig { answers, ..StreamableConfig::default() };
        let text = large.clone();
        let server = TestServer::start::<R>(with(
            config,
            Mcp::sessions(move |session| {
                let text = text.clone();
                session.serve(move |call| {
                    let text = text.clone();
                    async move {
                        match call.method() {
                            "initialize" => agree(call).await,
                            _ => call.result(format!("{text:?}")).await.unwrap(),
                        }
                    }
                })
            }),
        ));
        let mut asker = Asker { version: V06, ..Asker::new(server.addr) };
        let mut client = asker.post_late(super::client::initialize(V06));
        asker.session = client.head().header("mcp-session-id").unwrap().to_owned();
        drop(client);
        let expected = result(1, &large);
        match answers {
            AnswerMode::Json => assert_eq!(asker.post(call(1, "m")).body, expected),
            _ => assert_eq!(asker.post_events(call(1, "m")).rest(), (vec![expected], End::Terminated)),
        }
        asker.delete();
    }
}

fn hurt_15_many_sessions_with_the_same_ids_get_only_their_own<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let addr = server.addr;
    std::thread::scope(|scope| {
        for name in 0..20 {
            scope.spawn(move || {
                let asker = Asker::open(addr, V11);
                for id in 0..20 {
                    let method = format!("call-{name}");
                    assert_eq!(asker.post(call(id, &method)).body, result(id, &method));
                }
                assert_eq!(asker.delete().status, 204);
            });
        }
    });
}
