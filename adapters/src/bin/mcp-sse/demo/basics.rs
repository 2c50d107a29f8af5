//! Tools to try a client with: an echo, a sum, a countdown that tells of its progress, and a large answer.

use std::time::Duration;

use async_io::Timer;
use serde_json::{Value, json};

use super::call::{Call, Outcome, Peer};
use super::tool::{Tool, failed, text};

/// The largest text that `large` makes.
const MAX_LARGE: u64 = 16 << 20;

/// The longest countdown, and its longest step.
const MAX_STEPS: u64 = 10_000;
const MAX_STEP: u64 = 60_000;

pub(super) fn tools() -> Vec<Tool> {
    let integer = |what: &str| json!({ "type": "integer", "description": what });
    let numbers = json!({ "a": { "type": "number" }, "b": { "type": "number" } });
    let countdown = json!({
        "from": integer("steps, up to 10000"),
        "step_ms": integer("time of a step in ms; 100 if not given"),
    });
    vec![
        Tool::with("echo", "Says the text again", json!({ "text": { "type": "string" } }), &["text"]),
        Tool::with("add", "Adds two numbers", numbers, &["a", "b"]),
        Tool::with("countdown", "Counts down to zero and tells each step as progress", countdown, &["from"]),
        Tool::with(
            "large",
            "Makes a text of a given size",
            json!({ "bytes": integer("up to 16 MiB") }),
            &["bytes"],
        ),
    ]
}

pub(super) async fn call<P: Peer>(call: &Call<'_, P>, name: &str) -> Outcome {
    let arguments = &call.params["arguments"];
    let said = match name {
        "echo" => {
            arguments["text"].as_str().map(str::to_owned).ok_or_else(|| "text must be a string".to_owned())
        }
        "add" => add(&arguments["a"], &arguments["b"]),
        "countdown" => countdown(call, arguments).await,
        _ => number(arguments, "bytes", None, MAX_LARGE).map(large),
    };
    Ok(said.map_or_else(failed, text))
}

fn add(a: &Value, b: &Value) -> Result<String, String> {
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
async fn countdown<P: Peer>(call: &Call<'_, P>, arguments: &Value) -> Result<String, String> {
    let from = number(arguments, "from", None, MAX_STEPS)?;
    let step = Duration::from_millis(number(arguments, "step_ms", Some(100), MAX_STEP)?);
    for done in 1..=from {
        Timer::after(step).await;
        call.progress(done, from, None).await;
    }
    Ok("liftoff".to_owned())
}
