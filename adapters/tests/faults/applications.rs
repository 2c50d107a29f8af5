//! Applications that panic: before they begin, and while they send.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use sansio_sse::Frame;
use sansio_sse::mcp::HttpSse;
use sansio_sse_adapters::{Service, Session};

use crate::baseline::alone_on_every_runtime;
use crate::support::{Client, End, Events, Mcp, TestRuntime, TestServer, echo, get};

alone_on_every_runtime![
    application_that_panics_before_it_begins_costs_one_connection,
    application_that_panics_while_it_sends_ends_its_stream_alone,
];

/// Sessions of which every other one panics at once.
fn every_other(session: Session, good: bool) -> impl Future<Output = ()> + Send {
    assert!(good, "asked to");
    echo(session)
}

fn application_that_panics_before_it_begins_costs_one_connection<R: TestRuntime>() {
    let opened = AtomicUsize::new(0);
    let service = Service::builder()
        .http_sse("/sse", HttpSse::default(), move |session| {
            let nth = opened.fetch_add(1, Ordering::Relaxed);
            every_other(session, nth.is_multiple_of(2))
        })
        .events("/panic", |events, head| {
            assert!(head.query().is_some(), "asked to");
            async move { events.send(Frame::message("well")).unwrap() }
        });
    let server = TestServer::start::<R>(service);
    let mut good: Vec<Mcp> = Vec::new();
    for n in 0..20 {
        good.push(Mcp::open(server.addr));
        for path in ["/sse", "/panic"] {
            let mut bad = Client::connect(server.addr);
            bad.send(get(path, ""));
            assert_eq!(bad.end(), End::Eof, "{path}: closed without a word");
        }
        assert_eq!(Events::get(server.addr, "/panic?not").data(), "well");
        good.iter_mut().for_each(|client| client.ping(n));
        assert_eq!(server.handle.sessions(), good.len());
    }
}

fn application_that_panics_while_it_sends_ends_its_stream_alone<R: TestRuntime>() {
    let service = Service::builder().http_sse("/sse", HttpSse::default(), echo).events(
        "/flood",
        |events, head| async move {
            let after: usize = head.query().unwrap().parse().unwrap();
            for n in 0..after {
                events.send_wait(Frame::message(&n.to_string())).await.unwrap();
            }
            panic!("asked to");
        },
    );
    let server = TestServer::start::<R>(service);
    let mut good = Mcp::open(server.addr);
    for after in (0..300).step_by(7) {
        let mut bad = Events::get(server.addr, &format!("/flood?{after}"));
        let sent: Vec<_> = (0..after).map(|n| n.to_string()).collect();
        assert_eq!(bad.rest(), (sent, End::Terminated), "what was sent before still goes out");
        good.ping(after);
    }
}
