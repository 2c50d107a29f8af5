//! A client of Streamable HTTP that is plain requests, and the application that it asks.

use std::net::SocketAddr;

use sansio_sse::mcp::{Message, StreamableConfig};
use sansio_sse_adapters::{Call, Mcp, Service, ServiceBuilder};
use serde_json::{Value, json};

use crate::support::{Client, Events, Reply};

pub(crate) const V03: &str = "2025-03-26";
pub(crate) const V06: &str = "2025-06-18";
pub(crate) const V11: &str = "2025-11-25";
pub(crate) const V07: &str = "2026-07-28";

const BOTH: &str = "Accept: application/json, text/event-stream\r\n";
const JSON: &str = "Content-Type: application/json\r\n";

/// Who asks, in which session and revision; each empty for none.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) addr: SocketAddr,
    pub(crate) session: String,
    pub(crate) version: &'static str,
    pub(crate) token: &'static str,
}

pub(crate) fn request_line(method: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} /mcp HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

impl Asker {
    pub(crate) fn new(addr: SocketAddr) -> Asker {
        Asker { addr, session: String::new(), version: "", token: "" }
    }

    pub(crate) fn with_token(self, token: &'static str) -> Asker {
        Asker { token, ..self }
    }

    /// Opens a session.
    pub(crate) fn open(addr: SocketAddr, version: &'static str) -> Asker {
        Asker::new(addr).initialize(version)
    }

    pub(crate) fn initialize(mut self, version: &'static str) -> Asker {
        let reply = self.post(initialize(version));
        assert_eq!(reply.status, 200, "{}", reply.body);
        self.session = reply.header("mcp-session-id").unwrap().to_owned();
        self.version = version;
        self
    }

    fn headers(&self) -> String {
        let named = [
            ("Mcp-Session-Id", self.session.as_str()),
            ("MCP-Protocol-Version", self.version),
            ("Authorization", self.token),
        ];
        let lines = named.into_iter().filter(|(_, value)| !value.is_empty());
        lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// A POST's text; in the stateless revision, with the headers that its body asks for.
    pub(crate) fn post_text(&self, body: &str) -> String {
        let mut headers = self.headers() + JSON + BOTH;
        let value: Value = serde_json::from_str(body).unwrap_or_default();
        if let (V07, Some(method)) = (self.version, value["method"].as_str()) {
            headers += &format!("Mcp-Method: {method}\r\n");
            if let Some(name) = value["params"]["name"].as_str() {
                headers += &format!("Mcp-Name: {name}\r\n");
            }
        }
        request_line("POST", &headers, body)
    }

    /// POSTs what is answered by a whole response.
    pub(crate) fn post(&self, body: impl ToString) -> Reply {
        Client::connect(self.addr).request(self.post_text(&body.to_string()))
    }

    /// POSTs, and does not wait.
    pub(crate) fn post_late(&self, body: impl ToString) -> Client {
        let mut client = Client::connect(self.addr);
        client.send(self.post_text(&body.to_string()));
        client
    }

    /// POSTs what is answered by a stream.
    pub(crate) fn post_events(&self, body: impl ToString) -> Events {
        Events::with(Client::connect(self.addr), &self.post_text(&body.to_string()))
    }

    /// A GET's text; `last` is the id of the event that was seen last, empty for none.
    pub(crate) fn get_text(&self, last: &str) -> String {
        let last = if last.is_empty() { String::new() } else { format!("Last-Event-ID: {last}\r\n") };
        request_line("GET", &(self.headers() + "Accept: text/event-stream\r\n" + &last), "")
    }

    pub(crate) fn get(&self, last: &str) -> Events {
        Events::with(Client::connect(self.addr), &self.get_text(last))
    }

    pub(crate) fn delete(&self) -> Reply {
        Client::connect(self.addr).request(request_line("DELETE", &self.headers(), ""))
    }

    /// Any request, with headers of its own.
    pub(crate) fn ask(&self, method: &str, headers: &str, body: &str) -> Reply {
        Client::connect(self.addr).request(request_line(method, headers, body))
    }
}

pub(crate) fn initialize(version: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": { "protocolVersion": version } })
}

pub(crate) fn call(id: u32, method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method })
}

/// A request of 2026-07-28.
pub(crate) fn stateless(id: u32, method: &str) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": V07,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": { "_meta": meta } })
}

pub(crate) fn result(id: u32, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"{result}"}}"#)
}

pub(crate) fn note(method: &str) -> Message {
    Message::notification(method, "{}").unwrap()
}

pub(crate) fn service(application: Mcp) -> ServiceBuilder {
    with(StreamableConfig::default(), application)
}

pub(crate) fn with(config: StreamableConfig, application: Mcp) -> ServiceBuilder {
    Service::builder().mcp("/mcp", config, application)
}

/// Answers `initialize` as asked.
pub(crate) async fn agree(call: Call) {
    let value: Value = serde_json::from_str(call.message().as_str()).unwrap();
    let agreed = json!({ "protocolVersion": value["params"]["protocolVersion"] });
    call.result(agreed).await.unwrap();
}

/// Answers every request with its method. `say/N` says so often what it is about to say; `drop` and `panic` do so.
pub(crate) async fn echo(call: Call) {
    let method = call.method().to_owned();
    match method.split_once('/') {
        _ if method == "initialize" => return agree(call).await,
        _ if method == "drop" => return,
        _ if method == "panic" => panic!("as asked"),
        Some(("say", times)) => {
            for n in 0..times.parse().unwrap() {
                call.notify(&format!("n/{n}"), "{}").await.unwrap();
            }
        }
        _ => {}
    }
    let _ = call.result(format!("{method:?}")).await;
}
