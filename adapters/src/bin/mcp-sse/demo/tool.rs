//! [`Tool`]: one tool of the demo, and the results that tools have in common.

use serde_json::{Value, json};

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
