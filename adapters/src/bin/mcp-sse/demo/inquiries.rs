//! Tools that need something from the client: a text of its model, a form filled in by its user, its roots.
//!
//! Their names, questions and answers are those that the official conformance suite asks for.

use serde_json::{Map, Value, json};

use super::call::{Call, Outcome, Peer, Question, Stop};
use super::tool::{Tool, failed, text};

pub(super) fn tools() -> Vec<Tool> {
    let string = |what: &str| json!({ "type": "string", "description": what });
    vec![
        Tool::with(
            "test_sampling",
            "Asks the client's model",
            json!({ "prompt": string("what to ask") }),
            &["prompt"],
        ),
        Tool::with(
            "test_elicitation",
            "Asks the client's user",
            json!({ "message": string("what to ask") }),
            &["message"],
        ),
        Tool::plain("test_elicitation_sep1034_defaults", "Asks the user with a form that has defaults"),
        Tool::plain("test_elicitation_sep1330_enums", "Asks the user with a form of choices"),
        Tool::plain("test_streaming_elicitation", "Tells of its progress, then asks the user"),
        Tool::plain("test_missing_capability", "Needs a client that has a model"),
        Tool::plain("test_input_required_result_elicitation", "Asks the user for a name"),
        Tool::plain("test_input_required_result_sampling", "Asks the model for a capital"),
        Tool::plain("test_input_required_result_list_roots", "Asks the client for its roots"),
        Tool::plain("test_input_required_result_request_state", "Asks, and needs its own state back"),
        Tool::plain("test_input_required_result_multiple_inputs", "Asks for three things at once"),
        Tool::plain("test_input_required_result_multi_round", "Asks for two things, one after the other"),
        Tool::plain("test_input_required_result_tampered_state", "Asks, and takes no state but its own"),
        Tool::plain("test_input_required_result_capabilities", "Asks for what the client can give only"),
    ]
}

/// Calls one of them; `None` if it is none of them.
pub(super) async fn call<P: Peer>(call: &Call<'_, P>, name: &str) -> Option<Outcome> {
    let outcome = match name {
        "test_sampling" => sampling(call).await,
        "test_elicitation" => elicitation(call).await,
        "test_elicitation_sep1034_defaults" => form(call, "Please review these values", defaults()).await,
        "test_elicitation_sep1330_enums" => form(call, "Please choose", choices()).await,
        "test_streaming_elicitation" => {
            call.progress(1, 2, None).await;
            form(call, "Shall this go on?", json!({ "ok": { "type": "boolean" } })).await
        }
        "test_missing_capability" => call.requires("sampling").map(|()| text("The client has a model.")),
        "test_input_required_result_elicitation" => hello(call).await,
        "test_input_required_result_sampling" => {
            let question = sample("capital_question", "What is the capital of France?", 100);
            call.ask(question).await.map(|answer| text(said(&answer)))
        }
        "test_input_required_result_list_roots" => call.ask(roots()).await.map(|answer| text(named(&answer))),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            confirm(call).await
        }
        "test_input_required_result_multiple_inputs" => several(call).await,
        "test_input_required_result_multi_round" => rounds(call).await,
        "test_input_required_result_capabilities" => possible(call).await,
        _ => return None,
    };
    // With a session, a client that can't or won't answer is something for the model to read.
    Some(match (outcome, call.session) {
        (Err(Stop::Fault(fault)), Some(_)) => match fault.of_client() {
            Some(why) => Ok(failed(why)),
            None => Err(Stop::Fault(fault)),
        },
        (outcome, _) => outcome,
    })
}

async fn sampling<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let prompt = call.text("prompt")?;
    let answer = call.ask(sample("sampling", prompt, 100)).await?;
    Ok(text(format!("LLM response: {}", said(&answer))))
}

async fn elicitation<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let message = call.text("message")?;
    let properties = json!({ "response": { "type": "string", "description": "User's response" } });
    let answer = call.ask(elicit("elicitation", message, properties, &["response"])).await?;
    Ok(text(format!("User response: {}", filled(&answer))))
}

/// A form none of whose fields must be filled in.
async fn form<P: Peer>(call: &Call<'_, P>, message: &str, properties: Value) -> Outcome {
    let answer = call.ask(elicit("form", message, properties, &[])).await?;
    Ok(text(format!("Elicitation completed: {}", filled(&answer))))
}

async fn hello<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let answer = call.ask(who()).await?;
    let name = answer["content"]["name"].as_str().unwrap_or("whoever you are");
    Ok(text(format!("Hello, {name}!")))
}

async fn confirm<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let properties = json!({ "ok": { "type": "boolean" } });
    let answer = call.ask_sealed(elicit("confirm", "Please confirm", properties, &["ok"])).await?;
    Ok(text(format!("state-ok: {}", filled(&answer))))
}

async fn several<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let greeting = sample("greeting", "Generate a greeting", 50);
    let answers = call.ask_all(vec![who(), greeting, roots()]).await?;
    Ok(text(format!(
        "{} {}, {}",
        said(&answers["greeting"]),
        filled(&answers["user_name"]),
        named(&answers["client_roots"])
    )))
}

async fn rounds<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let field = |name: &str| json!({ name: { "type": "string" } });
    let name = call.ask(elicit("step1", "Step 1: What is your name?", field("name"), &["name"])).await?;
    let question = elicit("step2", "Step 2: What is your favorite color?", field("color"), &["color"]);
    let color = call.ask(question).await?;
    Ok(text(format!("{}, {}", filled(&name), filled(&color))))
}

async fn possible<P: Peer>(call: &Call<'_, P>) -> Outcome {
    let mut questions = Vec::new();
    for (capability, question) in [
        ("elicitation", who()),
        ("sampling", sample("greeting", "Generate a greeting", 50)),
        ("roots", roots()),
    ] {
        if call.can(capability) {
            questions.push(question);
        }
    }
    let answers = call.ask_all(questions).await?;
    let keys: Vec<_> = answers.keys().map(String::as_str).collect();
    Ok(text(format!("answered: {}", keys.join(" "))))
}

/// A question for the user, with a form of these fields.
pub(super) fn elicit(key: &'static str, message: &str, properties: Value, required: &[&str]) -> Question {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    Question { key, method: "elicitation/create", params }
}

pub(super) fn who() -> Question {
    elicit("user_name", "What is your name?", json!({ "name": { "type": "string" } }), &["name"])
}

fn sample(key: &'static str, prompt: &str, max_tokens: u32) -> Question {
    let content = json!({ "type": "text", "text": prompt });
    let params = json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": max_tokens });
    Question { key, method: "sampling/createMessage", params }
}

fn roots() -> Question {
    Question { key: "client_roots", method: "roots/list", params: json!({}) }
}

/// What the model said.
fn said(answer: &Value) -> &str {
    answer["content"]["text"].as_str().unwrap_or("(no text)")
}

/// What the user did with a form.
pub(super) fn filled(answer: &Value) -> String {
    let nothing = Value::Object(Map::new());
    let action = answer["action"].as_str().unwrap_or_default();
    format!("action={action}, content={}", answer.get("content").unwrap_or(&nothing))
}

/// The roots by their URIs.
fn named(answer: &Value) -> String {
    let roots = answer["roots"].as_array().into_iter().flatten();
    roots.filter_map(|root| root["uri"].as_str()).collect::<Vec<_>>().join(" ")
}

fn defaults() -> Value {
    json!({
        "name": { "type": "string", "description": "User name", "default": "John Doe" },
        "age": { "type": "integer", "description": "User age", "default": 30 },
        "score": { "type": "number", "description": "User score", "default": 95.5 },
        "status": {
            "type": "string",
            "description": "User status",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": { "type": "boolean", "description": "Verification status", "default": true },
    })
}

fn choices() -> Value {
    let titled = |names: [&str; 3]| {
        let values = ["value1", "value2", "value3"].into_iter().zip(names);
        values.map(|(value, title)| json!({ "const": value, "title": title })).collect::<Vec<_>>()
    };
    let options = ["option1", "option2", "option3"];
    json!({
        "untitledSingle": { "type": "string", "description": "Choose one", "enum": options },
        "titledSingle": {
            "type": "string",
            "description": "Choose one by its title",
            "oneOf": titled(["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string",
            "description": "Choose one, the old way",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {
            "type": "array",
            "description": "Choose some",
            "minItems": 1,
            "maxItems": 3,
            "items": { "type": "string", "enum": options },
        },
        "titledMulti": {
            "type": "array",
            "description": "Choose some by their titles",
            "minItems": 1,
            "maxItems": 3,
            "items": { "anyOf": titled(["First Choice", "Second Choice", "Third Choice"]) },
        },
    })
}
