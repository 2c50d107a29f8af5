//! Connections that break, responses that end early, and clients that come again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sansio_sse::mcp::{AnswerMode, SecondGet, StreamableConfig};
use sansio_sse_adapters::{Call, Mcp};

use super::client::{Asker, V03, V06, V11, agree, call, echo, note, result, service, with};
use crate::support::{Client, End, Events, TestRuntime, TestServer, on_every_runtime, until};

on_every_runtime![
    a_client_cut_in_mid_answer_comes_again_and_misses_nothing,
    what_was_said_while_nobody_listened_waits_for_the_next_get,
    the_application_lets_the_client_poll_and_the_result_waits_for_it,
    a_longest_response_ends_early_by_itself,
    a_newer_get_takes_the_older_ones_place_without_a_seam,
    a_second_get_is_refused_where_it_is_to_be,
    an_event_of_another_session_resumes_nothing,
    a_flood_is_resumed_at_any_event,
];

/// Requests that are held by the test; `initialize` is answered.
fn held() -> (Arc<Mutex<Vec<Call>>>, Mcp) {
    let waiting: Arc<Mutex<Vec<Call>>> = Arc::default();
    let calls = Arc::clone(&waiting);
    let application = Mcp::calls(move |call: Call| {
        let calls = Arc::clone(&calls);
        async move {
            match call.method() {
                "initialize" => agree(call).await,
                _ => calls.lock().unwrap().push(call),
            }
        }
    });
    (waiting, application)
}

fn next(waiting: &Mutex<Vec<Call>>) -> Call {
    until("a request to be there", || !waiting.lock().unwrap().is_empty());
    waiting.lock().unwrap().remove(0)
}

/// A session with one request, which the test holds; its response is yet to come.
fn working<R: TestRuntime>(version: &'static str) -> (TestServer, Asker, Client, Call) {
    let (waiting, application) = held();
    let server = TestServer::start::<R>(service(application));
    let asker = Asker::open(server.addr, version);
    let post = asker.post_late(call(1, "work"));
    let work = next(&waiting);
    (server, asker, post, work)
}

fn say(call: &Call, n: usize) {
    ::smol::block_on(call.notify(&format!("n/{n}"), "{}")).unwrap();
}

fn said(n: usize) -> String {
    note(&format!("n/{n}")).to_string()
}

fn a_client_cut_in_mid_answer_comes_again_and_misses_nothing<R: TestRuntime>() {
    for version in [V03, V06, V11] {
        let (server, asker, post, work) = working::<R>(version);
        say(&work, 0);
        let mut events = Events::with(post, "");
        let mut last = events.next().unwrap();
        if version == V11 {
            assert_eq!(last.data, "");
            last = events.next().unwrap();
        }
        assert_eq!(last.data, said(0));
        events.client.reset();
        until("the response to be gone", || server.handle.streams() == 0);
        // The request goes on.
        say(&work, 1);
        let mut again = asker.get(last.id.as_deref().unwrap());
        let second = again.next().unwrap();
        assert_eq!(second.data, said(1));
        say(&work, 2);
        assert_eq!(again.data(), said(2), "live, without a seam");
        again.client.reset();
        ::smol::block_on(work.result("\"done\"")).unwrap();
        let (data, end) = asker.get(second.id.as_deref().unwrap()).rest();
        assert_eq!((data, end), (vec![said(2), result(1, "done")], End::Terminated), "{version}");
        // And again, word for word: it is still held.
        let (data, _) = asker.get(last.id.as_deref().unwrap()).rest();
        assert_eq!(data, [said(1), said(2), result(1, "done")]);
        asker.delete();
    }
}

fn what_was_said_while_nobody_listened_waits_for_the_next_get<R: TestRuntime>() {
    let (_server, asker, post, work) = working::<R>(V06);
    let own = work.session_sender().unwrap();
    for n in 0..3 {
        own.try_send(note(&format!("n/{n}"))).unwrap();
    }
    let mut events = asker.get("");
    let seen: Vec<_> = (0..2).map(|_| events.next().unwrap()).collect();
    events.client.reset();
    let (mut again, rest) = (asker.get(seen[0].id.as_deref().unwrap()), [said(1), said(2)]);
    assert_eq!([again.data(), again.data()], rest);
    ::smol::block_on(work.result("\"done\"")).unwrap();
    assert_eq!({ post }.response().body, result(1, "done"), "in one piece: nothing was said for it");
    asker.delete();
}

fn the_application_lets_the_client_poll_and_the_result_waits_for_it<R: TestRuntime>() {
    let (waiting, application) = held();
    let server = TestServer::start::<R>(service(application));
    for (version, polls) in [(V06, false), (V11, true)] {
        let asker = Asker::open(server.addr, version);
        let post = asker.post_late(call(1, "work"));
        let work = next(&waiting);
        assert_eq!(work.poll_later(Some(Duration::from_millis(70))), polls);
        if !polls {
            ::smol::block_on(work.result("\"done\"")).unwrap();
            assert_eq!({ post }.response().body, result(1, "done"));
            asker.delete();
            continue;
        }
        let mut events = Events::with(post, "");
        let first = events.next().unwrap();
        assert_eq!(first.data, "");
        assert_eq!(events.rest(), (vec![], End::Terminated), "it ends, and the request goes on");
        assert!(events.saw_retry("70"), "it says when to come again");
        // Before it is there, and once it is.
        let mut polled = asker.get(first.id.as_deref().unwrap());
        say(&work, 0);
        assert_eq!(polled.data(), said(0));
        assert!(work.poll_later(None));
        assert_eq!(polled.rest(), (vec![], End::Terminated));
        ::smol::block_on(work.result("\"done\"")).unwrap();
        let (data, end) = asker.get(first.id.as_deref().unwrap()).rest();
        assert_eq!((data, end), (vec![said(0), result(1, "done")], End::Terminated));
        asker.delete();
    }
}

fn a_longest_response_ends_early_by_itself<R: TestRuntime>() {
    let (waiting, application) = held();
    let config = StreamableConfig {
        answers: AnswerMode::Stream,
        poll_after: Some(Duration::from_millis(50)),
        poll_retry: Duration::from_millis(20),
        ..StreamableConfig::default()
    };
    let server = TestServer::start::<R>(with(config, application));
    let mut opening = Asker::new(server.addr).post_events(super::client::initialize(V11));
    let session = opening.head.header("mcp-session-id").unwrap().to_owned();
    assert!(opening.rest().0.pop().unwrap().contains(V11));
    let asker = Asker { session, version: V11, ..Asker::new(server.addr) };
    let mut events = asker.post_events(call(1, "work"));
    let first = events.next().unwrap();
    assert_eq!(events.rest(), (vec![], End::Terminated));
    let work = next(&waiting);
    ::smol::block_on(work.result("\"done\"")).unwrap();
    let (data, _) = asker.get(first.id.as_deref().unwrap()).rest();
    assert_eq!(data, [result(1, "done")]);
    asker.delete();
}

fn a_newer_get_takes_the_older_ones_place_without_a_seam<R: TestRuntime>() {
    let (_server, asker, post, work) = working::<R>(V06);
    let own = work.session_sender().unwrap();
    let mut heard = Vec::new();
    let mut events = asker.get("");
    for n in 0..20 {
        own.try_send(note(&format!("n/{n}"))).unwrap();
        if n % 5 == 4 {
            let newer = asker.get("");
            // What the older one's socket took, its client reads; the newer one goes on behind it.
            heard.extend(events.rest().0);
            events = newer;
        }
    }
    own.try_send(note("last")).unwrap();
    while heard.last() != Some(&note("last").to_string()) {
        heard.push(events.data());
    }
    let expected: Vec<_> = (0..20).map(said).chain([note("last").to_string()]).collect();
    assert_eq!(heard, expected, "each once, in order");
    drop((work, post));
    asker.delete();
}

fn a_second_get_is_refused_where_it_is_to_be<R: TestRuntime>() {
    let config = StreamableConfig { second_get: SecondGet::Refused, ..StreamableConfig::default() };
    let server = TestServer::start::<R>(with(config, Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V11);
    let first = asker.get("");
    assert_eq!(Client::connect(server.addr).request(asker.get_text("")).status, 409);
    first.client.reset();
    until("the first to be gone", || server.handle.streams() == 0);
    drop(asker.get(""));
    asker.delete();
}

fn an_event_of_another_session_resumes_nothing<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let [asker, other] = [V06, V06].map(|version| Asker::open(server.addr, version));
    let mut events = asker.post_events(call(1, "say/3"));
    let first = events.next().unwrap().id.unwrap();
    for last in [first.as_str(), "0.0", "ffffffffffffffff.1", "nonsense", &"9".repeat(300)] {
        let reply = Client::connect(server.addr).request(other.get_text(last));
        assert_eq!(reply.status, 400, "{last}");
        assert!(!reply.body.contains("n/"), "{}", reply.body);
    }
    drop([asker, other].map(|asker| asker.delete()));
}

fn a_flood_is_resumed_at_any_event<R: TestRuntime>() {
    let server = TestServer::start::<R>(service(Mcp::calls(echo)));
    let asker = Asker::open(server.addr, V06);
    let mut events = asker.post_events(call(1, "say/200"));
    let all: Vec<_> = std::iter::from_fn(|| events.next()).collect();
    assert_eq!(all.len(), 201);
    for at in [0, 1, 50, 123, 199] {
        let (data, _) = asker.get(all[at].id.as_deref().unwrap()).rest();
        let expected: Vec<_> = all[at + 1..].iter().map(|event| event.data.clone()).collect();
        assert_eq!(data, expected, "behind {at}");
    }
    asker.delete();
}
