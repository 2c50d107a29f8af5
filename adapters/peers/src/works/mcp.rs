//! How a client asks an MCP server over streamable HTTP for messages: a session, and a call of a tool that sends
//! progress.

use std::net::SocketAddrV4;

use crate::load::{Failure, ask};

/// Opens `count` sessions, and makes the request for `n` messages in each.
pub fn requests(server: SocketAddrV4, count: usize, n: u64, size: usize) -> Result<Vec<String>, Failure> {
    (0..count).map(|_| session(server).map(|session| call(server, &session, n, size))).collect()
}

fn session(server: SocketAddrV4) -> Result<String, Failure> {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"peers","version":"0"}}}"#;
    let answer = ask(server, &post(server, "Connection: close\r\n", initialize))?;
    let field = answer.lines().filter_map(|line| line.split_once(": "));
    let id = field.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("mcp-session-id"));
    let id = id.ok_or_else(|| format!("no session: {answer:?}"))?.1.to_owned();
    let more = format!("Connection: close\r\nMcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
    ask(server, &post(server, &more, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#))?;
    Ok(id)
}

fn call(server: SocketAddrV4, session: &str, n: u64, size: usize) -> String {
    let more = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-06-18\r\n");
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"stream","arguments":{{"n":{n},"size":{size}}},"_meta":{{"progressToken":1}}}}}}"#
    );
    post(server, &more, &call)
}

fn post(server: SocketAddrV4, more: &str, body: &str) -> String {
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {server}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n{more}\r\n{body}",
        body.len()
    )
}
