//! Every target on stable: the committed corpus, the shared cases, and 10,000 inputs from a seed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target, &[&str]); 10] = [
    (
        "decode",
        sansio_sse_fuzz::decode,
        &["data", ":", " ", "\n", "\r", "\r\n", "id", "event", "retry", "5", "\u{feff}", "ü", "\0"],
    ),
    ("http1_request", sansio_sse_fuzz::http1_request, REQUESTS),
    (
        "http1_response",
        sansio_sse_fuzz::http1_response,
        &[
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 100 Continue\r\n\r\n",
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "\r\n",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "hello",
            ";",
            "\n",
            "HTTP/1.0 204 \r\n",
        ],
    ),
    (
        "message",
        sansio_sse_fuzz::message,
        &[
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[",
            "]}",
            "1",
            "-",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"jsonrpc\":\"2.0\"",
            "\"id\":1",
            "\"method\":\"x\"",
            "\"params\":{}",
            " ",
            "\n",
            "\"result\":null",
            "\"\\u0041\"",
            "1.0e+5",
            "\"error\":{}",
            "\"",
        ],
    ),
    ("route", sansio_sse_fuzz::route, REQUESTS),
    (
        "round_trip",
        sansio_sse_fuzz::round_trip,
        &["\u{1f}", "\u{8}", "\u{e}", "\n", "\r", "\r\n", "\0", " ", ":", "id: 1", "data", "ü", "\u{feff}"],
    ),
    (
        "last_event_id",
        sansio_sse_fuzz::last_event_id,
        &["2a", ".", "7", "0", "f", "18446744073709551615", "\r", "\n", "\0", " ", "ü", "-", "\r\nA: b"],
    ),
    (
        "sessions",
        sansio_sse_fuzz::sessions,
        &[
            "\0a", "\u{10}a", "\u{2} ", "\u{12}?", "\u{6}a", "\u{16}a", "\u{e}d", "\na", "\u{b}a", "\ta",
            "\u{1a}a",
        ],
    ),
    (
        "event_stream",
        sansio_sse_fuzz::event_stream,
        &["\0a", "\u{6}\u{7f}", "\u{b}2", "\r\0", "\u{e}\u{1}", "\u{f}\u{1}", "\u{6}\u{1}"],
    ),
    ("streamable", sansio_sse_fuzz::streamable, STEPS),
];

/// Steps of the endpoint of Streamable HTTP, each between bytes 1; some are parts, to be put together otherwise.
const STEPS: &[&str] = &[
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\nContent-Type: application/json\r\n\r\n\
     {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}}\u{1}t\0\u{1}r\0",
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Session-Id: $S\r\n\r\n\
     {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"m\"}",
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Session-Id: $S\r\n\
     MCP-Protocol-Version: 2025-03-26\r\n\r\n[{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"m\"},\
     {\"jsonrpc\":\"2.0\",\"id\":4,\"method\":\"m\"}]",
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Session-Id: $S\r\n\r\n\
     {\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":2}}",
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Method: m\r\n\
     MCP-Protocol-Version: 2026-07-28\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":{\
     \"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{}}}}\u{1}t\u{1}",
    "\u{1}hPOST / HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nMcp-Method: subscriptions/listen\r\n\
     MCP-Protocol-Version: 2026-07-28\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscriptions/listen\",\"params\":{\
     \"notifications\":{\"toolsListChanged\":true},\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\
     \"io.modelcontextprotocol/clientCapabilities\":{}}}}",
    "\u{1}hGET / HTTP/1.0\r\nHost: localhost\r\nMcp-Session-Id: $S\r\n\r\n",
    "\u{1}hGET / HTTP/1.0\r\nHost: localhost\r\nMcp-Session-Id: $S\r\nLast-Event-ID: $L\r\n\r\n",
    "\u{1}hDELETE / HTTP/1.0\r\nHost: localhost\r\nMcp-Session-Id: $S\r\n\r\n",
    "\u{1}t\0",
    "\u{1}ta",
    "\u{1}r\0",
    "\u{1}ra",
    "\u{1}rb{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"m\"}}",
    "\u{1}sa",
    "\u{1}s\0",
    "\u{1}o\0",
    "\u{1}p\0",
    "\u{1}la",
    "\u{1}e\0",
    "\u{1}u",
    "\u{1}w\u{7f}",
    "\u{1}w~~",
    "\u{1}ca",
    "\u{1}c\0",
    "\u{1}g",
    "\u{1}T2",
    "\u{1}T\u{7f}",
    "\u{1}f!",
    "Authorization: a\r\n",
    "{",
    "$L",
    "\u{1}h",
];

const REQUESTS: &[&str] = &[
    "GET /sse HTTP/1.1\r\n",
    "POST /message?session_id=a HTTP/1.1\r\n",
    "GET /events HTTP/1.1\r\n",
    "Host: localhost\r\n",
    "Host: 127.0.0.1:1\r\n",
    "Origin: http://localhost\r\n",
    "Origin: http://evil.example\r\n",
    "Host: evil.example\r\n",
    "Content-Length: 2\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n",
    "{}",
    "2\r\n{}\r\n0\r\n\r\n",
    "Accept: */*\r\n",
    "Content-Type: application/json\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    " ",
    "\n",
    "\0",
    "X",
];

#[test]
fn the_committed_corpus_breaks_no_law() {
    let mut files = 0;
    for (name, target, _) in TARGETS {
        let dir = format!("{}/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|error| panic!("{dir}: {error}")) {
            let path = entry.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let ran = std::panic::catch_unwind(|| target(&input));
            assert!(ran.is_ok(), "{}: \"{}\"", path.display(), input.escape_ascii());
            files += 1;
        }
    }
    assert!(files >= 200, "{files} files");
}

#[test]
fn the_shared_cases_break_no_law() {
    let read = |name: &str| {
        let text =
            std::fs::read_to_string(format!("{}/../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let mut inputs = Vec::new();
    for (file, key) in [("event_stream.json", "input_base64"), ("http1_requests.json", "raw_base64")] {
        let cases = read(file);
        let found = cases["cases"].as_array().unwrap().iter().filter_map(|case| case[key].as_str());
        inputs.extend(found.map(|text| STANDARD.decode(text).unwrap()));
    }
    assert!(inputs.len() > 60, "{} cases", inputs.len());
    for (_, target, _) in TARGETS {
        for input in &inputs {
            for at in [0, 1, 77, 128, 255] {
                target(&[&[at], &input[..]].concat());
            }
        }
    }
}

#[test]
fn ten_thousand_inputs_from_a_seed_break_no_law() {
    for (name, target, words) in TARGETS {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for run in 0..10_000 {
            let mut input = vec![next() as u8];
            for _ in 0..next() % 24 {
                match next() % 8 {
                    0 => input.push(next() as u8),
                    _ => input.extend_from_slice(words[next() as usize % words.len()].as_bytes()),
                }
            }
            let ran = std::panic::catch_unwind(|| target(&input));
            assert!(ran.is_ok(), "{name}, run {run}: \"{}\"", input.escape_ascii());
        }
    }
}
