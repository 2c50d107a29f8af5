//! The one stream of a session: its exact bytes, and what can never be sent on it.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use sansio_sse::mcp::{
    HttpSse, Message, PublicBase, Resumption, SendError, SessionEnd, SessionId, SessionStream,
};
use sansio_sse::{
    Close, CloseReason, Disconnect, EventId, Framing, KeepAlive, Manner, ReplayError, Step, StreamConfig,
    Tick,
};

#[test]
fn s9_s12_the_endpoint_is_the_first_block_with_the_id_and_the_reconnection_time_inside() {
    let mut stream = open(HttpSse::default());
    stream.send(at(0), message(1)).unwrap();
    stream.send(at(0), message(2)).unwrap();
    assert_eq!(
        all(&mut stream),
        "event: endpoint\nid: ab.0\ndata: /message?session_id=s\nretry: 5000\n\n\
         id: ab.1\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n\n\
         id: ab.2\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"m\"}\n\n"
    );
}

#[test]
fn hurt_02_silence_brings_a_comment_and_no_event() {
    let mut stream = open(HttpSse::default());
    all(&mut stream);
    stream.handle_timeout(Tick::from_micros(14_999_999));
    assert_eq!(all(&mut stream), "");
    stream.handle_timeout(Tick::from_micros(15_000_000));
    assert_eq!(all(&mut stream), ":\n\n");
}

#[test]
fn without_resumption_there_are_no_ids() {
    let mut stream = open(HttpSse { resumption: Resumption::Off, ..HttpSse::default() });
    stream.send(at(0), message(1)).unwrap();
    assert_eq!(
        all(&mut stream),
        "event: endpoint\ndata: /message?session_id=s\nretry: 5000\n\n\
         event: message\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}\n\n"
    );
}

#[test]
fn s9_s10_s11_s12_s13_the_presets_bytes_are_the_origins() {
    let mut stream = open(HttpSse::contextforge(PublicBase::url("http://127.0.0.1:4444").unwrap()));
    assert_eq!(
        all(&mut stream),
        "event: endpoint\r\ndata: http://127.0.0.1:4444/message?session_id=s\r\nretry: 5000\r\n\r\n\
         event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n"
    );
    stream.send(at(200), "{ \"jsonrpc\": \"2.0\",\n \"id\": 7, \"result\": [] }".parse().unwrap()).unwrap();
    assert_eq!(
        take(&mut stream, 200, usize::MAX),
        "event: message\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":[]}\r\nretry: 5000\r\n\r\n"
    );
    stream.handle_timeout(at(30_200));
    assert_eq!(take(&mut stream, 30_200, usize::MAX), "event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n");
}

#[test]
fn s15_the_preset_without_keep_alives_sends_none_at_the_start() {
    let config = sansio_sse::StreamConfigBuilder::contextforge().keep_alive(KeepAlive::Off).build().unwrap();
    let preset = HttpSse::contextforge(PublicBase::default());
    let mut stream = open(HttpSse { stream: Arc::new(config), ..preset });
    assert_eq!(all(&mut stream), "event: endpoint\r\ndata: /message?session_id=s\r\nretry: 5000\r\n\r\n");
    let Step::Run { wake_at, .. } = stream.poll() else { panic!("closed") };
    assert_eq!(wake_at, None);
}

#[test]
fn s26_the_first_two_frames_of_the_preset_are_not_counted_as_rapid() {
    let mut stream = open(HttpSse::contextforge(PublicBase::default()));
    let mut sent = 0;
    while stream.is_open() {
        while !take(&mut stream, 1, usize::MAX).is_empty() {}
        if stream.is_open() {
            stream.send(at(1), message(sent)).unwrap();
            sent += 1;
        }
    }
    assert_eq!(sent, 10, "the tenth message is still sent");
    assert_eq!(stream.close_of(0).unwrap().reason, CloseReason::RapidFrames { frames: 10 });
}

#[test]
fn s9_check_23_hurt_22_the_endpoint_is_a_path_with_the_public_prefix_or_under_the_base_url() {
    for (base, endpoint) in [
        (PublicBase::default(), "/message?session_id=s"),
        (PublicBase::prefix("").unwrap(), "/message?session_id=s"),
        (PublicBase::prefix("/").unwrap(), "/message?session_id=s"),
        (PublicBase::prefix("/gw").unwrap(), "/gw/message?session_id=s"),
        (PublicBase::prefix("/a/b/").unwrap(), "/a/b/message?session_id=s"),
        (PublicBase::url("https://mcp.example").unwrap(), "https://mcp.example/message?session_id=s"),
        (PublicBase::url("http://[::1]:80/gw/").unwrap(), "http://[::1]:80/gw/message?session_id=s"),
    ] {
        let config = HttpSse { base, ..HttpSse::default() };
        assert_eq!(config.endpoint(&"s".parse().unwrap()), endpoint);
        let wire = all(&mut open(config));
        assert!(wire.contains(&format!("\ndata: {endpoint}\n")), "{wire}");
    }
}

#[test]
fn s9_a_base_that_would_forge_fields_or_does_not_parse_is_refused_when_it_is_configured() {
    for url in [
        "https://a/\r\ndata: x",
        "https://a\n",
        "https://a\r",
        "https://a/\0",
        "https://a/ b",
        "https://a/?q",
        "https://a/#f",
        "https://user@a/",
        "https://",
        "https:///x",
        "https://a:b/",
        "https://a:99999",
        "https://[::1",
        "//a",
        "/path",
        "a",
        "",
        "ftp://a",
        "javascript://a",
        "https://ü",
        "https://a/\\b",
    ] {
        let error = PublicBase::url(url).unwrap_err();
        assert_eq!((error.setting(), error.value()), ("base_url", format!("{url:?}").as_str()));
    }
    for prefix in ["x", "//x", "/x\r\ny", "/x\0", "/x?y", "/x#y", "/x y", "http://a", "/ü", "/\\x", "?", "\n"]
    {
        assert_eq!(PublicBase::prefix(prefix).unwrap_err().setting(), "prefix", "{prefix:?}");
    }
}

#[test]
fn the_path_of_a_base_is_what_follows_its_authority() {
    for (base, path) in [
        (PublicBase::default(), ""),
        (PublicBase::prefix("/gw/").unwrap(), "/gw"),
        (PublicBase::url("https://a").unwrap(), ""),
        (PublicBase::url("https://a:1/").unwrap(), ""),
        (PublicBase::url("HTTPS://a:1/b/c").unwrap(), "/b/c"),
    ] {
        assert_eq!(base.path(), path, "{base:?}");
    }
}

#[test]
fn s7_s8_a_message_that_is_not_taken_comes_back() {
    for resumption in [Resumption::Off, Resumption::Always] {
        let config = HttpSse { stream: limited(4), resumption, ..HttpSse::default() };
        let mut stream = open(config);
        for k in 0..3 {
            assert!(stream.has_room());
            stream.send(at(0), message(k)).unwrap();
        }
        assert!(!stream.has_room(), "the endpoint waits too");
        let error = stream.send(at(0), message(3)).unwrap_err();
        assert_eq!(error, SendError::Full(message(3)));
        assert_eq!(
            (error.to_string().as_str(), error.into_message()),
            ("the session's queue is full", message(3))
        );
        all(&mut stream);
        stream.send(at(0), message(3)).unwrap();
        stream.abort(at(1));
        assert!(!stream.is_open());
        let error = stream.send(at(1), message(4)).unwrap_err();
        assert_eq!(error, SendError::Closed(message(4)));
        assert_eq!((error.to_string().as_str(), error.into_message()), ("the session is closed", message(4)));
    }
}

#[test]
fn which_closes_keep_a_session_for_the_next_response() {
    let (off, server, always) = (Resumption::Off, Resumption::ServerClosed, Resumption::Always);
    for (reason, kept_by) in [
        (CloseReason::Stalled { for_: Duration::ZERO }, &[server, always][..]),
        (CloseReason::Lagged { behind: Duration::ZERO }, &[server, always]),
        (CloseReason::Expired, &[server, always]),
        (CloseReason::Spinning { empty_writes: 100 }, &[server, always]),
        (CloseReason::Disconnected(Disconnect::Eof), &[always]),
        (CloseReason::Disconnected(Disconnect::Reset), &[always]),
        (CloseReason::Disconnected(Disconnect::Io), &[always]),
        (CloseReason::Disconnected(Disconnect::TimedOut), &[server, always]),
        (CloseReason::Abandoned, &[always]),
        (CloseReason::Finished, &[]),
        (CloseReason::Aborted, &[]),
        (CloseReason::DrainTimedOut, &[]),
        (CloseReason::RapidFrames { frames: 10 }, &[]),
        (CloseReason::FaultLimit { faults: 3 }, &[]),
        (CloseReason::Superseded, &[]),
    ] {
        for resumption in [off, server, always] {
            assert_eq!(resumption.keeps(reason), kept_by.contains(&resumption), "{resumption:?} {reason}");
        }
    }
    assert_eq!(Resumption::default(), server);
}

#[test]
fn hurt_10_hurt_16_check_19_check_20_only_an_event_of_this_session_takes_it_up() {
    let mut stream =
        open(HttpSse { stream: limited(2), resumption: Resumption::Always, ..HttpSse::default() });
    for k in 1..=4 {
        all(&mut stream);
        stream.send(at(0), message(k)).unwrap();
    }
    all(&mut stream);
    let oldest = EventId { stream: 0xab, seq: 3 };
    for (last, refused) in [
        (EventId { stream: 0xac, seq: 1 }, ReplayError::OtherStream),
        (EventId { stream: 0, seq: 4 }, ReplayError::OtherStream),
        (EventId { stream: 0xab, seq: 5 }, ReplayError::NotIssued),
        (EventId { stream: 0xab, seq: u64::MAX }, ReplayError::NotIssued),
        (EventId { stream: 0xab, seq: 0 }, ReplayError::Gap { oldest }),
        (EventId { stream: 0xab, seq: 1 }, ReplayError::Gap { oldest }),
    ] {
        assert_eq!(stream.reattach(at(1), last, Box::default(), Framing::Raw), Err(refused), "{last}");
        assert_eq!((stream.generation(), stream.is_open()), (0, true), "it is as it was");
    }
    let mut off = open(HttpSse { resumption: Resumption::Off, ..HttpSse::default() });
    let last = EventId { stream: 0xab, seq: 0 };
    assert_eq!(off.reattach(at(1), last, Box::default(), Framing::Raw), Err(ReplayError::OtherStream));
}

#[test]
fn hurt_12_the_newest_response_takes_over_and_says_what_follows_the_id() {
    let mut stream = open(HttpSse::default());
    for k in 1..=3 {
        stream.send(at(0), message(k)).unwrap();
    }
    let before = take(&mut stream, 1, usize::MAX);
    assert_eq!(ids(&before), ["ab.0", "ab.1", "ab.2", "ab.3"]);
    let last = EventId { stream: 0xab, seq: 1 };
    stream.reattach(at(2), last, Box::from(*b"HEAD\r\n\r\n"), Framing::Raw).unwrap();
    assert_eq!((stream.generation(), stream.close_of(1)), (1, None));
    assert_eq!(stream.close_of(0).unwrap().reason, CloseReason::Superseded);
    stream.send(at(2), message(4)).unwrap();
    let wire = take(&mut stream, 3, usize::MAX);
    let rest = wire.strip_prefix("HEAD\r\n\r\nevent: endpoint\nid: ab.1\ndata: /message?session_id=s\n");
    assert_eq!(ids(rest.unwrap()), ["ab.2", "ab.3", "ab.4"]);
}

#[test]
fn hurt_11_what_is_sent_while_no_response_runs_is_said_in_the_next_one() {
    let mut stream = open(HttpSse { resumption: Resumption::Always, ..HttpSse::default() });
    stream.send(at(0), message(1)).unwrap();
    all(&mut stream);
    stream.handle_disconnect(at(1), Disconnect::Reset);
    assert!(stream.is_open() && stream.has_room());
    stream.send(at(2), message(2)).unwrap();
    assert_eq!(take(&mut stream, 2, usize::MAX), "", "a closed response offers nothing");
    stream.reattach(at(3), EventId { stream: 0xab, seq: 1 }, Box::default(), Framing::Raw).unwrap();
    assert_eq!(ids(&all(&mut stream)), ["ab.1", "ab.2"]);
    stream.handle_disconnect(at(4), Disconnect::Reset);
    stream.finish(at(5));
    assert!(!stream.is_open(), "the application let go of it");
    assert_eq!(stream.send(at(5), message(3)), Err(SendError::Closed(message(3))));
}

#[test]
fn a_session_outlives_its_response_only_where_its_end_keeps_it() {
    let (off, server, always) = (Resumption::Off, Resumption::ServerClosed, Resumption::Always);
    let cut = |how| move |stream: &mut SessionStream| stream.handle_disconnect(at(1), how);
    let ends: [(&str, &End, &[Resumption]); 4] = [
        ("a lost connection", &cut(Disconnect::TimedOut), &[server, always]),
        ("a closed connection", &cut(Disconnect::Reset), &[always]),
        ("a dropped driver", &|stream| stream.handle_abandoned(at(1)), &[always]),
        ("too many faults", &|stream| (0..3).for_each(|_| stream.handle_fault(at(1))), &[]),
    ];
    for (name, end, kept_by) in ends {
        for resumption in [off, server, always] {
            let mut stream = open(HttpSse { resumption, ..HttpSse::default() });
            end(&mut stream);
            assert!(stream.close_of(0).is_some(), "{name}");
            let kept = kept_by.contains(&resumption);
            assert_eq!((stream.is_open(), stream.has_room()), (kept, kept), "{name}, {resumption:?}");
            assert_eq!(stream.send(at(2), message(1)).is_ok(), kept, "{name}, {resumption:?}");
        }
    }
}

#[test]
fn the_end_of_a_session_is_the_end_of_its_stream_and_only_the_applications_wish_drains_it() {
    let last = Close {
        reason: CloseReason::Expired,
        manner: Manner::Abort,
        at: at(0),
        undelivered: 0,
        last_delivered: None,
    };
    for (end, drained) in [
        (SessionEnd::ByApplication, true),
        (SessionEnd::Closed(last), false),
        (SessionEnd::NotResumed { last }, false),
        (SessionEnd::ServerStopped { last }, false),
    ] {
        let mut stream = open(HttpSse::default());
        stream.handle_ended(at(1), &end);
        assert!(!stream.is_open());
        assert_eq!(!all(&mut stream).is_empty(), drained, "{end}");
        let reason = if drained { CloseReason::Finished } else { CloseReason::Aborted };
        assert_eq!(stream.close_of(0).map(|close| close.reason), Some(reason), "{end}");
    }
}

#[test]
fn what_comes_behind_the_request_is_counted_as_read() {
    let mut stream = open(HttpSse::default());
    stream.handle_input(at(0), 96);
    assert!(matches!(stream.poll(), Step::Run { read: 4000, .. }));
}

#[test]
fn the_largest_message_passes_whole() {
    let text = format!(r#"{{"jsonrpc":"2.0","method":"{}"}}"#, "x".repeat(6 << 20));
    let mut stream = open(HttpSse::default());
    all(&mut stream);
    stream.send(at(0), text.parse().unwrap()).unwrap();
    assert_eq!(all(&mut stream), format!("id: ab.1\nevent: message\ndata: {text}\n\n"));
}

// ---- what a client may ever see ----

#[derive(Clone, Debug)]
enum Op {
    Send(Message),
    Take(usize),
    Wait(u64),
    Reattach(u64),
    Cut,
    Fault,
    Finish,
}

fn op() -> impl Strategy<Value = Op> {
    let text =
        prop::sample::select(vec!["m", "ü\u{2028}\u{85}", "\\r\\n\\n", "data: x", "\u{feff}", ":", ""]);
    prop_oneof![
        6 => (0..1000_usize, text).prop_map(|(k, text)| {
            Op::Send(format!("{{\"jsonrpc\":\"2.0\",\r\n\"id\":{k},\n\"method\":\"{text}\"}}").parse().unwrap())
        }),
        6 => prop_oneof![Just(usize::MAX), 0..200_usize].prop_map(Op::Take),
        2 => (0..40_000_u64).prop_map(Op::Wait),
        1 => (0..12_u64).prop_map(Op::Reattach),
        1 => Just(Op::Cut),
        1 => Just(Op::Fault),
        1 => Just(Op::Finish),
    ]
}

proptest! {
    /// One endpoint a response and first; then messages and comments; nothing that ends some client's session.
    #[test]
    fn hurt_22_wire_facts_2_to_5_hold_for_every_response(
        ops in prop::collection::vec(op(), 0..60),
        resumption in prop::sample::select(vec![Resumption::Off, Resumption::ServerClosed, Resumption::Always]),
    ) {
        let mut stream = open(HttpSse { resumption, ..HttpSse::default() });
        let (mut now, mut wire) = (0, String::new());
        for op in ops {
            match op {
                Op::Send(message) => drop(stream.send(at(now), message)),
                Op::Take(most) => wire += &take(&mut stream, now, most),
                Op::Wait(ms) => {
                    now += ms;
                    stream.handle_timeout(at(now));
                }
                Op::Reattach(seq) => {
                    let last = EventId { stream: 0xab, seq };
                    if stream.reattach(at(now), last, Box::default(), Framing::Raw).is_ok() {
                        check(&std::mem::take(&mut wire));
                    }
                }
                Op::Cut => stream.handle_disconnect(at(now), Disconnect::Eof),
                Op::Fault => stream.handle_fault(at(now)),
                Op::Finish => stream.finish(at(now)),
            }
        }
        wire += &take(&mut stream, now, usize::MAX);
        check(&wire);
    }
}

/// Holds the text of one response, perhaps cut, against what every known client bears.
fn check(wire: &str) {
    assert!(!wire.contains('\r') && !wire.starts_with('\u{feff}'), "no lone CR, no BOM: {wire:?}");
    let (whole, _cut) = wire.rsplit_once("\n\n").map_or(("", wire), |(whole, cut)| (whole, cut));
    for (place, block) in whole.split("\n\n").filter(|_| !whole.is_empty()).enumerate() {
        if block == ":" {
            assert!(place > 0, "the endpoint comes first");
            continue;
        }
        let field = |name: &str| -> Vec<&str> {
            block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
        };
        let known = ["event", "id", "data", "retry"].map(|name| field(name).len());
        assert_eq!(known.iter().sum::<usize>(), block.split('\n').count(), "no unknown field: {block:?}");
        let [data] = field("data")[..] else { panic!("one line of data: {block:?}") };
        if place == 0 {
            assert_eq!(field("event"), ["endpoint"]);
            assert_eq!(data, "/message?session_id=s", "an absolute path, without scheme and host");
        } else {
            assert_eq!(field("event"), ["message"], "no second endpoint, no other event");
            assert!(data.parse::<Message>().is_ok(), "{data:?}");
            assert!(field("retry").is_empty());
        }
    }
}

// ---- helpers ----

/// An end of the response that runs.
type End = dyn Fn(&mut SessionStream);

fn at(ms: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(ms)
}

fn limited(frames: usize) -> Arc<StreamConfig> {
    let frames = NonZeroUsize::new(frames).unwrap();
    Arc::new(StreamConfig::builder().max_queued(frames, NonZeroUsize::MAX).build().unwrap())
}

fn open(config: HttpSse) -> SessionStream {
    let id = SessionId::parse("s").unwrap();
    SessionStream::open(at(0), Arc::new(config), &id, 0xab, Box::default(), Framing::Raw)
}

fn message(k: usize) -> Message {
    format!(r#"{{"jsonrpc":"2.0","id":{k},"method":"m"}}"#).parse().unwrap()
}

/// The socket takes up to `most` bytes of what is offered.
fn take(stream: &mut SessionStream, now: u64, most: usize) -> String {
    let Step::Run { bytes, .. } = stream.poll() else { return String::new() };
    let mut taken: Vec<u8> = bytes.pieces().flatten().copied().collect();
    taken.truncate(most);
    while std::str::from_utf8(&taken).is_err() {
        taken.pop();
    }
    if !taken.is_empty() {
        stream.handle_wrote(at(now), taken.len());
    }
    String::from_utf8(taken).unwrap()
}

fn all(stream: &mut SessionStream) -> String {
    std::iter::from_fn(|| Some(take(stream, 0, usize::MAX)).filter(|text| !text.is_empty())).collect()
}

fn ids(wire: &str) -> Vec<&str> {
    wire.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}
