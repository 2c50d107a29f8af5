//! Tools that show what a call can say: every kind of content, a log, progress, an answer that the client fetches
//! later, and lists that change.
//!
//! Their names and texts are those that the official conformance suite asks for.

use std::time::Duration;

use async_io::Timer;
use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer};
use super::resources::{IMAGE, WATCHED};
use super::tool::{Tool, failed, text};

/// One sample of silence.
const SOUND: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQIAAACAgA==";

/// Between two things that a tool says.
const PAUSE: Duration = Duration::from_millis(50);

/// When the client is to come again for an answer, and when that is there.
const RECONNECT: Duration = Duration::from_millis(500);
const RECONNECTED: Duration = Duration::from_millis(100);

pub(super) fn tools() -> Vec<Tool> {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    });
    vec![
        Tool::plain("test_simple_text", "Answers with a text"),
        Tool::plain("test_image_content", "Answers with an image"),
        Tool::plain("test_audio_content", "Answers with a sound"),
        Tool::plain("test_embedded_resource", "Answers with a resource"),
        Tool::plain("test_multiple_content_types", "Answers with a text, an image and a resource"),
        Tool::plain("test_tool_with_logging", "Writes three lines of the log before it answers"),
        Tool::plain("test_tool_with_progress", "Tells of its progress before it answers"),
        Tool::plain("test_error_handling", "Fails"),
        Tool::plain("test_reconnection", "Ends its stream; the client comes again for the answer"),
        Tool {
            name: "json_schema_2020_12_tool",
            description: "Has a schema with the keywords of JSON Schema 2020-12",
            schema,
        },
        Tool::plain("test_logging_tool", "Writes a line of the log before it answers"),
        Tool::plain("test_trigger_tool_change", "Changes the list of tools"),
        Tool::plain("test_trigger_prompt_change", "Changes the list of prompts"),
        Tool::plain("touch_watched_resource", "Changes test://watched-resource"),
    ]
}

/// There or not there, by turns.
pub(super) fn dynamic_tool() -> Tool {
    Tool::plain("test_dynamic_tool", "Comes and goes with test_trigger_tool_change")
}

pub(super) async fn call<P: Peer>(call: &Call<'_, P>, name: &str) -> Outcome {
    let contents = |contents: Vec<Value>| Ok(json!({ "content": contents, "isError": false }));
    match name {
        "test_simple_text" => Ok(text("This is a simple text response for testing.")),
        "test_image_content" => contents(vec![image()]),
        "test_audio_content" => {
            contents(vec![json!({ "type": "audio", "data": SOUND, "mimeType": "audio/wav" })])
        }
        "test_embedded_resource" => {
            let said = "This is an embedded resource content.";
            contents(vec![resource("test://embedded-resource", "text/plain", said)])
        }
        "test_multiple_content_types" => contents(vec![
            json!({ "type": "text", "text": "Multiple content types test:" }),
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_tool_with_logging" => {
            call.log("info", "Tool execution started").await;
            Timer::after(PAUSE).await;
            call.log("info", "Tool processing data").await;
            Timer::after(PAUSE).await;
            call.log("info", "Tool execution completed").await;
            Ok(text("Three lines of the log were written."))
        }
        "test_tool_with_progress" => {
            for (done, message) in [(0, "begun"), (50, "half of it"), (100, "all of it")] {
                if done > 0 {
                    Timer::after(PAUSE).await;
                }
                call.progress(done, 100, Some(message)).await;
            }
            Ok(text("Progress was told three times."))
        }
        "test_error_handling" => Ok(failed("This tool intentionally returns an error for testing")),
        "test_reconnection" => {
            call.peer.poll_later(RECONNECT);
            Timer::after(RECONNECTED).await;
            Ok(text("The answer waited for the client to come again."))
        }
        "json_schema_2020_12_tool" => {
            Ok(text(format!("called with {}", call.params.get("arguments").unwrap_or(&json!({})))))
        }
        "test_logging_tool" => {
            call.log("info", "the only line").await;
            Ok(text("A line of the log was written, if one was asked for."))
        }
        "test_trigger_tool_change" => {
            call.demo.change_tools();
            call.announce("notifications/tools/list_changed", None).await;
            Ok(text("The list of tools has changed."))
        }
        "test_trigger_prompt_change" => {
            call.demo.change_prompts();
            call.announce("notifications/prompts/list_changed", None).await;
            Ok(text("The list of prompts has changed."))
        }
        "touch_watched_resource" => {
            call.demo.touch();
            let is_watched = call.session.is_none_or(|session| session.profile().watched.contains(WATCHED));
            if is_watched {
                call.announce("notifications/resources/updated", Some(json!({ "uri": WATCHED }))).await;
            }
            Ok(text("The resource has changed."))
        }
        "test_dynamic_tool" if call.demo.has_dynamic_tool() => Ok(text("It is there.")),
        _ => Err(Fault::params(format!("no such tool: {name}"))),
    }
}

pub(super) fn image() -> Value {
    json!({ "type": "image", "data": IMAGE, "mimeType": "image/png" })
}

pub(super) fn resource(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime_type, "text": text } })
}
