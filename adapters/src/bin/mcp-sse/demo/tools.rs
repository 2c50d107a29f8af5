//! The demo's tools: their list, and which function each is.

use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer};
use super::{basics, contents, inquiries, jobs, mirror};

pub(super) fn list<P>(call: &Call<'_, P>) -> Value {
    let all = [basics::tools(), contents::tools(), inquiries::tools(), jobs::tools(), mirror::tools()];
    let changing = call.demo.has_dynamic_tool().then(contents::dynamic_tool);
    let all = all.into_iter().flatten().chain(changing);
    let listed = all.map(
        |tool| json!({ "name": tool.name, "description": tool.description, "inputSchema": tool.schema }),
    );
    json!({ "tools": listed.collect::<Vec<_>>() })
}

/// Calls a tool by its name.
pub(super) async fn call<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let Some(name) = call.params["name"].as_str() else { return Err(Fault::params("name must be a string")) };
    match name {
        "echo" | "add" | "countdown" | "large" => return basics::call(call, name).await,
        "test_header" => return mirror::call(call),
        _ => {}
    }
    if let Some(outcome) = inquiries::call(call, name).await {
        return outcome;
    }
    if let Some(outcome) = jobs::call(call, name).await {
        return outcome;
    }
    contents::call(call, name).await
}
