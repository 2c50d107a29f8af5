//! The demo's tools: their list, and which function each is.

use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer};
use super::{basics, contents, inquiries, jobs, mirror};

/// A tool as it is listed.
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) schema: Value,
}

impl Tool {
    /// One without arguments.
    pub(super) fn plain(name: &'static str, description: &'static str) -> Tool {
        Tool::with(name, description, json!({}), &[])
    }

    pub(super) fn with(
        name: &'static str,
        description: &'static str,
        properties: Value,
        required: &[&str],
    ) -> Tool {
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        Tool { name, description, schema }
    }
}

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

/// The result of a call that is one text.
pub(super) fn text(text: impl Into<String>) -> Value {
    json!({ "content": [{ "type": "text", "text": text.into() }], "isError": false })
}

/// The result of a call that failed, in words that the model reads.
pub(super) fn failed(why: impl Into<String>) -> Value {
    let mut result = text(why);
    result["isError"] = true.into();
    result
}
