//! The bridge over Streamable HTTP: a child a session, and one for all clients without.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::BOUND;
use crate::program::{Program, children_of, wait_until};

/// A server of the era of `initialize`, in a shell. It tells its process, how far it is, and what it was told.
const SERVER: &str = r#"
while IFS= read -r line; do
  id=${line#*\"id\":}; id=${id%%[,\}]*}
  case $line in
    *'"method":"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"sh","version":"1"},"instructions":"none"}';;
    *'"method":"tools/list"'*) result='{"tools":[]}';;
    *'"method":"tools/call"'*'"name":"who"'*) result="{\"content\":[],\"pid\":$$}";;
    *'"method":"tools/call"'*'"name":"change"'*)
      echo '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
      result='{"content":[]}';;
    *'"method":"tools/call"'*'"name":"progress"'*)
      token=${line#*\"progressToken\":}; token=${token%%[,\}]*}
      echo '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":'"$token"',"progress":1}}'
      result='{"content":[]}';;
    *'"method":"tools/call"'*'"name":"ask"'*)
      echo '{"jsonrpc":"2.0","id":"q","method":"roots/list"}'
      IFS= read -r answer
      case $answer in *'"error"'*) result='{"content":[],"asked":"refused"}';; *) result='{"content":[],"asked":"answered"}';; esac;;
    *'"method":"tools/call"'*'"name":"wait"'*) echo waits >&2; continue;;
    *'"method":"tools/call"'*'"name":"die"'*) exit 3;;
    *'"method":"notifications/cancelled"'*) echo "cancelled ${line#*requestId}" >&2; continue;;
    *) continue;;
  esac
  echo '{"jsonrpc":"2.0","id":'"$id"',"result":'"$result"'}'
done
"#;

fn serve(more: &[&str]) -> Program {
    Program::start(&[more, &["--", "sh", "-c", SERVER]].concat())
}

/// A client, with the headers that it sends.
#[derive(Clone)]
struct Client<'a> {
    program: &'a Program,
    headers: String,
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn json(&self) -> Value {
        // A stream's last event is the response.
        let data = self.body.lines().rev().find_map(|line| line.strip_prefix("data: "));
        serde_json::from_str(data.unwrap_or(&self.body))
            .unwrap_or_else(|_| panic!("{}{}", self.head, self.body))
    }
}

impl<'a> Client<'a> {
    fn open(program: &'a Program) -> Client<'a> {
        let mut client = Client { program, headers: String::new() };
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
        let reply =
            client.ask(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
        assert_eq!(reply.json()["result"]["serverInfo"]["name"], "sh");
        let id = reply.head.lines().find_map(|line| line.strip_prefix("Mcp-Session-Id: ")).unwrap();
        client.headers = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        client
    }

    fn send(&self, method: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.program.addr()).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let (addr, length) = (self.program.addr(), body.len());
        write!(
            stream,
            "{method} /mcp HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{}{headers}Content-Length: {length}\r\n\r\n{body}",
            self.headers
        )
        .unwrap();
        stream
    }

    fn ask(&self, body: &Value) -> Reply {
        read(self.send("POST", "", &body.to_string()))
    }

    /// Calls a tool in a session.
    fn call(&self, name: &str) -> Value {
        let request =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": name } });
        self.ask(&request).json()
    }

    /// Without a session.
    fn alone(program: &'a Program) -> Client<'a> {
        Client { program, headers: "MCP-Protocol-Version: 2026-07-28\r\n".to_owned() }
    }

    fn send_alone(&self, id: u32, method: &str, mut params: Value) -> TcpStream {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params["name"].as_str().map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        self.send("POST", &format!("Mcp-Method: {method}\r\n{name}"), &body)
    }

    fn ask_alone(&self, id: u32, method: &str, params: Value) -> Reply {
        read(self.send_alone(id, method, params))
    }
}

fn read(stream: TcpStream) -> Reply {
    let mut text = String::new();
    BufReader::new(stream).read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

#[test]
fn each_session_of_the_endpoint_has_a_child_of_its_own_which_ends_with_it() {
    let program = serve(&[]);
    let (one, other) = (Client::open(&program), Client::open(&program));
    let pids = [&one, &other].map(|client| client.call("who")["result"]["pid"].as_u64().unwrap());
    assert_ne!(pids[0], pids[1]);
    assert_eq!(one.call("who")["result"]["pid"], pids[0], "the same child for all that it says");
    assert_eq!(read(one.send("DELETE", "", "")).status, 204);
    wait_until("the child's end", || children_of(program.pid()).len() == 1);
    assert_eq!(one.ask(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })).status, 404);
    // A child that dies takes its session with it.
    let died =
        other.ask(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "die" } }));
    assert_eq!(died.status, 404);
    wait_until("no child", || children_of(program.pid()).is_empty());
    program.stop();
}

#[test]
fn questions_and_news_of_the_child_reach_its_client() {
    let program = serve(&[]);
    let client = Client::open(&program);
    let asks = json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": { "name": "ask" } });
    let mut stream = client.send("POST", "", &asks.to_string());
    let mut text = String::new();
    while !text.contains("roots/list") {
        let mut some = [0; 1024];
        let n = stream.read(&mut some).unwrap();
        text.push_str(std::str::from_utf8(&some[..n]).unwrap());
    }
    assert_eq!(client.ask(&json!({ "jsonrpc": "2.0", "id": "q", "result": { "roots": [] } })).status, 202);
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains(r#""asked":"answered""#), "{text}");
    // Nobody listens to the session's own stream; the child's news waits there and is in nobody's way.
    for _ in 0..300 {
        assert_eq!(client.call("change")["id"], 1);
    }
    program.stop();
}

#[test]
fn clients_without_a_session_share_a_child_that_the_bridge_initializes() {
    let program = serve(&[]);
    let client = Client::alone(&program);
    assert!(children_of(program.pid()).is_empty(), "nobody has asked");
    let discovered = client.ask_alone(9, "server/discover", json!({})).json();
    assert_eq!(discovered["id"], 9);
    let result = &discovered["result"];
    assert_eq!((&result["resultType"], &result["instructions"]), (&json!("complete"), &json!("none")));
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    let pids: Vec<_> =
        (0..3).map(|id| client.ask_alone(id, "tools/call", json!({ "name": "who" })).json()).collect();
    assert!(pids.windows(2).all(|two| two[0]["result"]["pid"] == two[1]["result"]["pid"]), "{pids:?}");
    assert_eq!(pids.iter().map(|pid| pid["id"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(children_of(program.pid()).len(), 1);
    let listed = client.ask_alone(4, "tools/list", json!({})).json();
    assert_eq!(
        listed["result"],
        json!({ "tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
    );

    let progress = json!({ "name": "progress", "_meta": { "progressToken": "mine" } });
    let told = client.ask_alone(5, "tools/call", progress);
    assert!(told.body.contains(r#""progressToken":"mine""#), "{}", told.body);
    assert_eq!(told.json()["id"], 5);
    let asked = client.ask_alone(6, "tools/call", json!({ "name": "ask" })).json();
    assert_eq!(asked["result"]["asked"], "refused", "these clients can't be asked");

    for method in ["tasks/get", "roots/list", "no/such"] {
        let refused = client.ask_alone(7, method, json!({}));
        assert_eq!(
            (refused.status, refused.json()["error"]["code"].as_i64()),
            (404, Some(-32601)),
            "{method}"
        );
    }
    // One that leaves cancels what it asked for.
    let waits = client.send_alone(8, "tools/call", json!({ "name": "wait" }));
    program.wait_for_log("waits");
    drop(waits);
    program.wait_for_log("cancelled");
    // The child may die: who waited is told, and the next finds another.
    let died = client.ask_alone(9, "tools/call", json!({ "name": "die" })).json();
    assert_eq!(died["error"]["code"], -32603);
    let next = client.ask_alone(10, "tools/call", json!({ "name": "who" })).json();
    assert_ne!(next["result"]["pid"], pids[0]["result"]["pid"]);
    let pid = program.pid();
    let child = children_of(pid)[0];
    assert_eq!(program.stop().code, Some(0));
    wait_until("no child", || !std::path::Path::new(&format!("/proc/{child}")).exists());
}

#[test]
fn news_of_the_shared_child_reaches_subscriptions() {
    let program = serve(&[]);
    let client = Client::alone(&program);
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let mut listens = client.send_alone(1, "subscriptions/listen", filter);
    let mut text = String::new();
    let mut wait_for = |what: &str| {
        while !text.contains(what) {
            let mut some = [0; 1024];
            let n = listens.read(&mut some).unwrap();
            assert!(n > 0, "{text}");
            text.push_str(std::str::from_utf8(&some[..n]).unwrap());
        }
    };
    wait_for("notifications/subscriptions/acknowledged");
    client.ask_alone(2, "tools/call", json!({ "name": "change" }));
    wait_for("notifications/tools/list_changed");
    assert_eq!(program.stop().code, Some(0));
}

#[test]
fn the_endpoint_can_be_elsewhere_without_sessions_less_and_not_at_all() {
    let program = serve(&["--no-mcp"]);
    assert_eq!(read(Client::alone(&program).send("POST", "", "{}")).status, 404);
    program.stop();
    let program = serve(&["--mcp-path", "/elsewhere"]);
    assert_eq!(read(Client::alone(&program).send("POST", "", "{}")).status, 404);
    program.stop();
    let program = serve(&["--stateless", "off"]);
    assert_eq!(Client::alone(&program).ask_alone(1, "tools/list", json!({})).status, 400);
    Client::open(&program);
    program.stop();
    let demo = Program::start(&[]);
    let listed = Client::alone(&demo).ask_alone(1, "tools/list", json!({})).json();
    assert!(listed["result"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{listed}");
    demo.stop();
}
