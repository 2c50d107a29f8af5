//! The facts of the web platform's own event-stream tests, as data.

use base64::Engine;
use serde_json::Value;

/// The cases of one kind.
pub(crate) fn of_kind(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../data/event_stream.json")).unwrap();
    all["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == kind).cloned().collect()
}

/// Every way in which the cases are fed: whole, byte by byte, and cut in two at every place.
pub(crate) fn cuts(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut cuts = vec![vec![input], input.chunks(1).collect()];
    cuts.extend((0..=input.len()).map(|at| vec![&input[..at], &input[at..]]));
    cuts
}

pub(crate) fn bytes(case: &Value, key: &str) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(case[key].as_str().unwrap()).unwrap()
}

/// `(type, data, last_event_id)` of each event that the case expects.
pub(crate) fn events(case: &Value) -> Vec<(String, String, String)> {
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let events = case["events"].as_array().unwrap();
    events.iter().map(|e| (text(e, "type"), text(e, "data"), text(e, "last_event_id"))).collect()
}

#[test]
fn every_case_is_of_a_kind_that_some_test_runs() {
    let count = |kind| of_kind(kind).len();
    let counts = ["parse", "session", "response", "request", "not-here"].map(count);
    assert_eq!(counts, [17, 14, 11, 2, 10]);
    let all: Value = serde_json::from_str(include_str!("../data/event_stream.json")).unwrap();
    assert_eq!(all["cases"].as_array().unwrap().len(), counts.iter().sum::<usize>());
}

/// What the web platform tests and this crate cannot: it has no addresses, no documents and no origins. What
/// of it is left to hold here is named beside it.
#[test]
fn cases_that_are_not_here_are_known_one_by_one() {
    let known = [
        ("eventsource-constructor", "addresses are the driver's"),
        ("eventsource-cross-origin", "CORS is a browser's; Connect::redirect says whose duty redirects are"),
        ("eventsource-bfcache", "there is no back/forward cache"),
        ("eventsource-close", "Want is the ready state; closing is tested in source.rs"),
        ("eventsource-eventtarget", "there is no DOM"),
        ("eventsource-request-cancellation", "closing while connecting is tested in source.rs"),
        ("request-credentials", "cookies are the driver's"),
        ("eventsource-from-readable-stream", "a proposal; Decoder is that without a request"),
        ("dedicated-worker", "there are no workers"),
        ("submissions/MOSQUITO", "the same facts as the cases that are run, in a browser's terms"),
    ];
    let cases = of_kind("not-here");
    assert_eq!(cases.len(), known.len());
    for (case, (name, why)) in cases.iter().zip(known) {
        assert!(case["name"].as_str().unwrap().contains(name), "{}: {why}", case["name"]);
    }
}
