//! The demo's prompts, and what it knows to complete.

use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer};
use super::contents::{image, resource};
use super::inquiries::elicit;

/// What is proposed for the arguments of `test_prompt_with_arguments`.
const WORDS: [&str; 4] = ["hello", "hey", "test value", "world"];

pub(super) fn list<P>(call: &Call<'_, P>) -> Value {
    let argument =
        |name: &str, description: &str| json!({ "name": name, "description": description, "required": true });
    let prompt = |name: &str, description: &str, arguments: Vec<Value>| json!({ "name": name, "description": description, "arguments": arguments });
    let mut prompts = vec![
        prompt("test_simple_prompt", "A text", vec![]),
        prompt(
            "test_prompt_with_arguments",
            "A text with two arguments",
            vec![argument("arg1", "the first"), argument("arg2", "the second")],
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "A resource and a text",
            vec![argument("resourceUri", "the resource's URI")],
        ),
        prompt("test_prompt_with_image", "An image and a text", vec![]),
        prompt("test_input_required_result_prompt", "A text with what the user adds", vec![]),
    ];
    if call.demo.has_dynamic_prompt() {
        let about = "Comes and goes with test_trigger_prompt_change";
        prompts.push(prompt("test_dynamic_prompt", about, vec![]));
    }
    json!({ "prompts": prompts })
}

pub(super) async fn get<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let Some(name) = call.params["name"].as_str() else { return Err(Fault::params("name must be a string")) };
    let contents = match name {
        "test_simple_prompt" => vec![text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments" => {
            let (first, second) = (call.text("arg1")?, call.text("arg2")?);
            vec![text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        "test_prompt_with_embedded_resource" => vec![
            resource(call.text("resourceUri")?, "text/plain", "Embedded resource content for testing."),
            text("Please process the embedded resource above."),
        ],
        "test_prompt_with_image" => vec![image(), text("Please analyze the image above.")],
        "test_input_required_result_prompt" => {
            let field = json!({ "context": { "type": "string" } });
            let question = elicit("user_context", "What context should the prompt use?", field, &["context"]);
            let answer = call.ask(question).await?;
            let context = answer["content"]["context"].as_str().unwrap_or("(none)");
            vec![text(&format!("In the context of: {context}"))]
        }
        "test_dynamic_prompt" if call.demo.has_dynamic_prompt() => vec![text("It is there.")],
        _ => return Err(Fault::params(format!("no such prompt: {name}"))),
    };
    let messages = contents.into_iter().map(|content| json!({ "role": "user", "content": content }));
    Ok(json!({ "messages": messages.collect::<Vec<_>>() }))
}

/// The words that begin as the argument does.
pub(super) fn complete<P>(call: &Call<'_, P>) -> Outcome {
    let begin = call.params["argument"]["value"].as_str();
    let begin = begin.ok_or_else(|| Fault::params("argument.value must be a string"))?;
    let known = match call.params["ref"]["name"].as_str() {
        Some("test_prompt_with_arguments") => &WORDS[..],
        _ => &[],
    };
    let values: Vec<_> = known.iter().filter(|word| word.starts_with(begin)).collect();
    Ok(json!({ "completion": { "values": values, "total": values.len(), "hasMore": false } }))
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}
