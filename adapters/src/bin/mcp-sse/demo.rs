//! The built-in demo: a small MCP server in this process, to try a client against.

use std::collections::HashMap;
use std::time::Duration;

use async_io::Timer;
use futures_util::future::{AbortHandle, Abortable, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use sansio_sse::mcp::{Message, MessageKind};
use sansio_sse_adapters::{Session, SessionSender};
use serde_json::{Value, json};

/// The revisions whose `initialize` is answered as asked.
const REVISIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// Calls that may run at once in a session; more wait in the session's queue.
const MAX_CALLS: usize = 64;

/// The largest text that `large` makes.
const MAX_LARGE: u64 = 16 << 20;

/// The longest countdown, and its longest step.
const MAX_STEPS: u64 = 10_000;
const MAX_STEP: u64 = 60_000;

/// What a tool call came to: a text, or what was wrong with the call.
type Outcome = Result<String, String>;

/// Serves a session: calls run side by side, and each answer goes out when it is there.
pub(crate) async fn serve(mut session: Session) {
    let sender = session.sender();
    let mut calls = FuturesUnordered::new();
    let mut running: HashMap<String, AbortHandle> = HashMap::new();
    loop {
        let message = if calls.is_empty() {
            session.receive().await
        } else if calls.len() >= MAX_CALLS {
            running.remove(&calls.next().await.unwrap_or_default());
            continue;
        } else {
            match select(std::pin::pin!(session.receive()), calls.next()).await {
                Either::Left((message, _)) => message,
                Either::Right((done, _)) => {
                    running.remove(&done.unwrap_or_default());
                    continue;
                }
            }
        };
        let Some(message) = message else { return };
        let Ok(value) = serde_json::from_str::<Value>(message.as_str()) else { continue };
        match (message.kind(), message.id(), message.method()) {
            (MessageKind::Request, Some(id), Some(method)) => {
                let (abort, registration) = AbortHandle::new_pair();
                running.insert(id.to_owned(), abort);
                let (id, method, sender) = (id.to_owned(), method.to_owned(), sender.clone());
                calls.push(async move {
                    let request = answer(&sender, &id, &method, &value["params"]);
                    // A call that was cancelled is not answered.
                    let _ = Abortable::new(request, registration).await;
                    id
                });
            }
            (MessageKind::Notification, _, Some("notifications/cancelled")) => {
                if let Some(abort) = running.get(&value["params"]["requestId"].to_string()) {
                    abort.abort();
                }
            }
            _ => {}
        }
    }
}

async fn answer(sender: &SessionSender, id: &str, method: &str, params: &Value) {
    let answer = match method {
        "initialize" => Ok(initialize(params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({ "tools": tools() })),
        "tools/call" => call(sender, params).await,
        _ => Err((-32601, format!("no such method: {method}"))),
    };
    // The id goes back as the token that it came as.
    let text = match answer {
        Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        Err((code, message)) => {
            let error = json!({ "code": code, "message": message });
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
        }
    };
    send(sender, &text).await;
}

async fn send(sender: &SessionSender, text: &str) {
    match text.parse::<Message>() {
        // After the session's end there is nobody left to tell.
        Ok(message) => drop(sender.send(message).await),
        Err(error) => {
            tracing::error!(%error, "the demo made something that is no message");
            sender.fault();
        }
    }
}

fn initialize(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let revision = REVISIONS.into_iter().find(|known| *known == asked).unwrap_or(REVISIONS[0]);
    json!({
        "protocolVersion": revision,
        "capabilities": { "tools": {} },
        "serverInfo": { "name": "mcp-sse demo", "version": env!("CARGO_PKG_VERSION") },
    })
}

fn tools() -> Value {
    let tool = |name: &str, description: &str, properties: Value, required: &[&str]| {
        json!({
            "name": name,
            "description": description,
            "inputSchema": { "type": "object", "properties": properties, "required": required },
        })
    };
    let integer = |what: &str| json!({ "type": "integer", "description": what });
    json!([
        tool("echo", "Says the text again", json!({ "text": { "type": "string" } }), &["text"]),
        tool(
            "add",
            "Adds two numbers",
            json!({ "a": { "type": "number" }, "b": { "type": "number" } }),
            &["a", "b"]
        ),
        tool(
            "countdown",
            "Counts down to zero and tells each step as progress",
            json!({ "from": integer("steps, up to 10000"), "step_ms": integer("time of a step in ms; 100 if not given") }),
            &["from"]
        ),
        tool(
            "large",
            "Makes a text of a given size",
            json!({ "bytes": integer("up to 16 MiB") }),
            &["bytes"]
        ),
    ])
}

async fn call(sender: &SessionSender, params: &Value) -> Result<Value, (i32, String)> {
    let arguments = &params["arguments"];
    let outcome = match params["name"].as_str() {
        Some("echo") => {
            arguments["text"].as_str().map(str::to_owned).ok_or_else(|| "text must be a string".to_owned())
        }
        Some("add") => add(&arguments["a"], &arguments["b"]),
        Some("countdown") => countdown(sender, arguments, &params["_meta"]["progressToken"]).await,
        Some("large") => number(arguments, "bytes", None, MAX_LARGE).map(large),
        Some(name) => return Err((-32602, format!("no such tool: {name}"))),
        None => return Err((-32602, "name must be a string".to_owned())),
    };
    let is_error = outcome.is_err();
    let text = outcome.unwrap_or_else(|error| error);
    Ok(json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }))
}

fn add(a: &Value, b: &Value) -> Outcome {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64())
        && let Some(sum) = a.checked_add(b)
    {
        return Ok(sum.to_string());
    }
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => Ok((a + b).to_string()),
        _ => Err("a and b must be numbers".to_owned()),
    }
}

fn number(arguments: &Value, name: &str, default: Option<u64>, max: u64) -> Result<u64, String> {
    let given = match (&arguments[name], default) {
        (Value::Null, Some(default)) => Some(default),
        (value, _) => value.as_u64(),
    };
    given.filter(|n| *n <= max).ok_or_else(|| format!("{name} must be a whole number from 0 to {max}"))
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by MAX_LARGE")]
fn large(bytes: u64) -> String {
    "x".repeat(bytes as usize)
}

/// One notification a step, where a progress token asks for them.
async fn countdown(sender: &SessionSender, arguments: &Value, token: &Value) -> Outcome {
    let from = number(arguments, "from", None, MAX_STEPS)?;
    let step = Duration::from_millis(number(arguments, "step_ms", Some(100), MAX_STEP)?);
    for done in 1..=from {
        Timer::after(step).await;
        if !token.is_null() {
            let params = json!({ "progressToken": token, "progress": done, "total": from });
            let notification =
                json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
            send(sender, &notification.to_string()).await;
        }
    }
    Ok("liftoff".to_owned())
}
