//! Tools that take their time, as tasks for clients that understand those, and one that does not.
//!
//! Their names and texts are those that the official conformance suite asks for.

use std::time::Duration;

use async_io::Timer;
use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer, Question};
use super::inquiries::{elicit, filled, who};
use super::tasks::{are_known, require};
use super::tool::{Tool, failed, text};

/// The longest computation.
const MAX_SECONDS: f64 = 3_600.0;

/// What a job takes that does nothing.
const SHORT: Duration = Duration::from_secs(1);

pub(super) fn tools() -> Vec<Tool> {
    let string = |what: &str| json!({ "type": "string", "description": what });
    let seconds = json!({ "type": "number", "description": "how long, up to 3600" });
    let compute = json!({ "seconds": seconds, "label": string("said in the result") });
    let file = json!({ "filename": string("what to delete; nothing is") });
    vec![
        Tool::with("greet", "Says hello", json!({ "name": string("to whom") }), &["name"]),
        Tool::with("slow_compute", "Takes its time", compute, &["seconds"]),
        Tool::plain("failing_job", "Fails after a while; needs a client that understands tasks"),
        Tool::plain("protocol_error_job", "Ends in a JSON-RPC error"),
        Tool::with("confirm_delete", "Asks the user before it does nothing", file, &[]),
        Tool::plain("multi_input", "Asks the user two things at once"),
        Tool::plain("test_tool_with_task", "Asks for a name, then greets in a task"),
    ]
}

/// Calls one of them; `None` if it is none of them.
pub(super) async fn call<P: Peer>(call: &Call<'_, P>, name: &str) -> Option<Outcome> {
    Some(match name {
        "greet" => call.text("name").map(|name| text(format!("Hello, {name}!"))),
        "slow_compute" => compute(call).await,
        "failing_job" => fail(call).await,
        "protocol_error_job" => {
            let error = || json!({ "code": -32603, "message": "this job always breaks" });
            if are_known(call) {
                call.demo.tasks.begin(call, vec![], SHORT, Box::new(move |_| Err(error())))
            } else {
                Err(Fault::internal("this job always breaks"))
            }
        }
        "confirm_delete" => {
            let file = call.params["arguments"]["filename"].as_str().unwrap_or("everything");
            let field = json!({ "confirm": { "type": "boolean" } });
            let question = elicit("confirm", &format!("Delete {file}?"), field, &["confirm"]);
            ask(call, vec![question]).await
        }
        "multi_input" => {
            let field = |name: &str| json!({ name: { "type": "string" } });
            let first = elicit("first", "What comes first?", field("name"), &[]);
            let second = elicit("second", "What comes second?", field("name"), &[]);
            ask(call, vec![first, second]).await
        }
        "test_tool_with_task" => greet(call).await,
        _ => return None,
    })
}

async fn compute<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let arguments = &call.params["arguments"];
    let seconds = arguments["seconds"].as_f64().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| Fault::params("seconds must be a number from 0 to 3600"))?;
    let label = arguments["label"].as_str().unwrap_or("it");
    let result = text(format!("{label} took {seconds} s"));
    let takes = Duration::from_secs_f64(seconds);
    if are_known(call) {
        return call.demo.tasks.begin(call, vec![], takes, Box::new(move |_| Ok(result.clone())));
    }
    Timer::after(takes).await;
    Ok(result)
}

async fn fail<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let result = failed("This job always fails.");
    if call.session.is_some() {
        Timer::after(SHORT).await;
        return Ok(result);
    }
    require(call)?;
    call.demo.tasks.begin(call, vec![], SHORT, Box::new(move |_| Ok(result.clone())))
}

/// Asks in the task, or before the answer.
async fn ask<P: Peer>(call: &Call<'_, P>, questions: Vec<Question>) -> Outcome {
    let said = |answers: &serde_json::Map<String, Value>| {
        text(answers.values().map(filled).collect::<Vec<_>>().join("; "))
    };
    if are_known(call) {
        call.requires("elicitation")?;
        return call.demo.tasks.begin(call, questions, Duration::ZERO, Box::new(move |all| Ok(said(all))));
    }
    call.ask_all(questions).await.map(|answers| said(&answers))
}

/// The question belongs to the call, what follows to the task.
async fn greet<P: Peer>(call: &Call<'_, P>) -> Outcome {
    if call.session.is_none() {
        require(call)?;
    }
    let answer = call.ask(who()).await?;
    let result = text(format!("Hello, {}!", answer["content"]["name"].as_str().unwrap_or("you")));
    if call.session.is_some() {
        return Ok(result);
    }
    call.demo.tasks.begin(call, vec![], SHORT / 4, Box::new(move |_| Ok(result.clone())))
}
