//! What a stranger sends to `/mcp`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::mcp::SessionId;
use crate::sim::Rng;

const PING: &str = r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#;
const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;

/// One request, drawn from all that no honest client would send: with the ids of others' sessions, or of its `own`.
pub(super) fn draw(rng: &mut Rng, known: &[SessionId], own: &[SessionId], heard: Option<&str>) -> String {
    let session = |id: Option<SessionId>| id.map_or_else(|| String::from("none"), |id| id.to_string());
    let own = if rng.one_in(2) { own.last().cloned() } else { rng.pick(own) };
    let (other, own) = (session(rng.pick(known)), session(own));
    let future = heard.and_then(|id| id.split_once('.')).map(|(stream, _)| format!("{stream}.4000000"));
    let (other, own) = (format!("Mcp-Session-Id: {other}\r\n"), format!("Mcp-Session-Id: {own}\r\n"));
    match rng.below(13) {
        0..=2 => initialize(rng),
        3 => in_others(rng, &other),
        4..=9 => in_own(rng, &own, &future.unwrap_or_else(|| String::from("7f.1"))),
        10 => at_all(rng, &own),
        _ => stateless(rng),
    }
}

fn post(headers: &str, body: &str) -> String {
    let fixed = "Host: localhost\r\nAuthorization: mallory\r\nContent-Type: application/json\r\n\
                 Accept: application/json, text/event-stream\r\n";
    format!("POST /mcp HTTP/1.1\r\n{fixed}{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn get(method: &str, headers: &str) -> String {
    let fixed = "Host: localhost\r\nAuthorization: mallory\r\nAccept: text/event-stream\r\n";
    format!("{method} /mcp HTTP/1.1\r\n{fixed}{headers}\r\n")
}

fn initialize(rng: &mut Rng) -> String {
    let version = rng.pick(&[
        "2025-03-26",
        "2025-03-26",
        "2025-03-26",
        "2025-06-18",
        "2025-11-25",
        "2024-11-05",
        "2099-01-01",
    ]);
    let version = version.unwrap_or("2025-03-26");
    let params = format!(r#"{{"protocolVersion":"{version}","capabilities":{{}}}}"#);
    post("", &format!(r#"{{"jsonrpc":"2.0","id":"i","method":"initialize","params":{params}}}"#))
}

/// In somebody else's session: nothing may come of it.
fn in_others(rng: &mut Rng, other: &str) -> String {
    match rng.below(7) {
        0 => post(other, PING),
        1 => get("GET", other),
        2 => get("GET", &format!("{other}Last-Event-ID: 1.1\r\n")),
        3 => get("DELETE", other),
        4 => post(other, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        5 => post(
            other,
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":10001}}"#,
        ),
        _ => post(other, PING).replace("Authorization: mallory\r\n", ""),
    }
}

/// In a session of its own, where there is more to get wrong.
fn in_own(rng: &mut Rng, own: &str, id: &str) -> String {
    let many: Vec<&str> = (0..7).map(|_| PING).collect();
    match rng.below(38) {
        0 => get("GET", own),
        1 | 20..=22 | 27..=29 => get("GET", &format!("{own}Last-Event-ID: {id}\r\n")),
        2 | 23 | 24 => get("GET", &format!("{own}Last-Event-ID: nonsense\r\n")),
        26 => get("GET", &format!("{own}Last-Event-ID: 7f.1\r\n")),
        3 => get("GET", own).replace("text/event-stream", "text/html"),
        4 => get("DELETE", own),
        5 => post(own, PING),
        6 => post(own, r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}"#),
        7 | 34 | 36 => post(own, r#"[{"jsonrpc":"2.0","id":"i","method":"initialize","params":{}}]"#),
        8 | 31..=33 => post(own, &format!("[{PING},{}]", PING.replace(r#""a""#, r#""b""#))),
        9 | 25 | 30 | 35 => post(own, &format!(r#"[{PING},{{"jsonrpc":"2.0","id":1,"result":{{}}}}]"#)),
        10 => post(own, &format!("[{}]", many.join(","))),
        11 => post(own, "[]"),
        12 => post(own, r#"[{"jsonrpc":"2.0","method":"one"},{"jsonrpc":"2.0","method":"two"}]"#),
        13 => post(own, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#),
        14 => post(own, r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#),
        15 => post(&format!("{own}MCP-Protocol-Version: 1999-01-01\r\n"), PING),
        16 => post(
            own,
            r#"{"jsonrpc":"2.0","id":"a","method":"m","params":{"_meta":{"a":1,"a":1},"_meta":{}}}"#,
        ),
        17 => post(&format!("{own}{own}"), PING),
        18 => post(own, &format!("[{PING}]")),
        _ => post(own, PING).chars().take(170).collect(),
    }
}

/// What is refused whoever sends it.
fn at_all(rng: &mut Rng, own: &str) -> String {
    let twice = "MCP-Protocol-Version: 2025-06-18\r\nMCP-Protocol-Version: 2025-06-18\r\n";
    match rng.below(18) {
        0 => post("Mcp-Session-Id: 00000000-0000-4000-8000-000000000000\r\n", PING),
        1 => post("Mcp-Session-Id: no id\r\n", PING),
        2 => post("Mcp-Session-Id: \r\n", PING),
        3 => post(twice, PING),
        4 => post("MCP-Protocol-Version: 1999-01-01\r\n", PING),
        5 => post("", PING),
        6 => get("GET", ""),
        7 => post("", PING).replace("application/json, text", "text"),
        8 => post("", PING).replace("Type: application/json", "Type: text/plain"),
        9 => post("Content-Encoding: gzip\r\n", PING),
        10 => post("Origin: http://evil.example\r\n", PING),
        11 => post("", PING).replace("localhost", "evil.example"),
        12 => post("", "{"),
        13 => post("", &"[".repeat(300)),
        14 => get("PUT", own),
        15 => get("OPTIONS", ""),
        16 => post("", "\u{fffd}{}").replace('\u{fffd}', "\u{1}"),
        _ => post("", r#"{"id":1}"#),
    }
}

/// Requests of 2026-07-28, not quite right.
fn stateless(rng: &mut Rng) -> String {
    const HEADER: &str = "MCP-Protocol-Version: 2026-07-28\r\n";
    let ask = |headers: &str, method: &str, meta: &str, more: &str| {
        let params = format!(r#"{{"_meta":{{{meta}}}{more}}}"#);
        let body = format!(r#"{{"jsonrpc":"2.0","id":"s","method":"{method}","params":{params}}}"#);
        post(headers, &body)
    };
    let with = |more: &str| format!("{HEADER}{more}");
    let call = |name: &str| with(&format!("Mcp-Method: tools/call\r\n{name}"));
    let tool = r#","name":"tool""#;
    match rng.below(20) {
        0 => get("GET", HEADER),
        1 => get("DELETE", HEADER),
        2 => ask("", "m", META, ""),
        3 => ask(&with("Mcp-Method: m\r\n"), "m", "", ""),
        4 => ask("MCP-Protocol-Version: 2025-06-18\r\nMcp-Method: m\r\n", "m", META, ""),
        5 => ask(&with("Mcp-Method: ping\r\n"), "ping", META, ""),
        6 => ask(HEADER, "m", META, ""),
        7 => ask(&with("Mcp-Method: n\r\n"), "m", META, ""),
        8 => ask(&with("Mcp-Method: m\r\nMcp-Method: m\r\n"), "m", META, ""),
        9 => ask(&with("Mcp-Method: m\r\n"), "m", &META.replace("clientCapabilities", "x"), ""),
        10 => {
            let info = format!(r#"{META},"io.modelcontextprotocol/clientInfo":1"#);
            ask(&with("Mcp-Method: m\r\n"), "m", &info, "")
        }
        11 => ask(&call(""), "tools/call", META, tool),
        12 => ask(&call("Mcp-Name: other\r\n"), "tools/call", META, tool),
        13 => ask(&call("Mcp-Name: =?base64?x?=\r\n"), "tools/call", META, tool),
        14 => ask(&call("Mcp-Name: tool\r\nMcp-Name: tool\r\n"), "tools/call", META, tool),
        15 => post(HEADER, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        16 => post(HEADER, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#),
        17 => post(HEADER, &format!("[{PING}]")),
        18 => {
            let future = META.replace("2026", "2099");
            ask("MCP-Protocol-Version: 2099-07-28\r\nMcp-Method: m\r\n", "m", &future, "")
        }
        _ => ask(&call("Mcp-Name: tool\r\n"), "tools/call", META, tool),
    }
}
