//! The demo's methods without any transport.

use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt;
use sansio_sse::mcp::{Message, Principal, Revision, Revisions};
use serde_json::{Map, Value, json};

use super::Demo;
use super::call::{Call, Conversation, Peer};
use super::methods::respond;

/// Answers every question with the same, and remembers what was said.
struct Client {
    answer: Result<Value, String>,
    heard: Mutex<Vec<String>>,
}

impl Client {
    fn new(answer: Result<Value, &str>) -> Client {
        Client { answer: answer.map_err(str::to_owned), heard: Mutex::default() }
    }
}

impl Peer for Client {
    async fn say(&self, message: Message) {
        self.heard.lock().unwrap().push(message.to_string());
    }

    async fn announce(&self, notification: Message) {
        self.say(notification).await;
    }

    async fn ask(&self, method: &str, _: &Value) -> Result<Value, String> {
        self.heard.lock().unwrap().push(method.to_owned());
        self.answer.clone()
    }

    fn poll_later(&self, _: Duration) -> bool {
        true
    }
}

fn ask(demo: &Demo, client: &Client, session: Option<&Conversation>, method: &str, params: Value) -> Value {
    let revision = session.map_or(Revision::V2026_07_28, |_| Revision::V2025_11_25);
    let mut call = Call {
        demo,
        peer: client,
        session,
        revision,
        principal: &Principal::anonymous(),
        method,
        params: &params,
        mirrored: &[],
        answers: Map::new(),
        is_sealed: false,
    };
    let response = respond(&mut call, "7").now_or_never().unwrap().unwrap();
    serde_json::from_str(response.as_str()).unwrap()
}

fn able() -> Value {
    json!({ "elicitation": {}, "sampling": {}, "roots": {} })
}

fn meta(capabilities: Value) -> Value {
    json!({ "io.modelcontextprotocol/clientCapabilities": capabilities })
}

#[test]
fn with_a_session_questions_are_asked_while_the_call_waits() {
    let demo = Demo::new(Revisions::all()).unwrap();
    let session = Conversation::default();
    let client = Client::new(Ok(json!({ "action": "accept", "content": { "name": "Ada" } })));
    ask(&demo, &client, Some(&session), "initialize", json!({ "capabilities": able() }));
    let params = json!({ "name": "test_input_required_result_multi_round", "arguments": {} });
    let answer = ask(&demo, &client, Some(&session), "tools/call", params);
    assert!(answer["result"]["content"][0]["text"].as_str().unwrap().contains("Ada"), "{answer}");
    assert_eq!(*client.heard.lock().unwrap(), ["elicitation/create", "elicitation/create"]);
}

#[test]
fn without_one_the_client_calls_again_with_each_answer_and_the_state_that_came_with_the_question() {
    let demo = Demo::new(Revisions::all()).unwrap();
    let client = Client::new(Err("not to be asked"));
    let mut params = json!({
        "name": "test_input_required_result_multi_round", "arguments": {}, "_meta": meta(able()),
    });
    let mut states = Vec::new();
    for step in ["step1", "step2"] {
        let answer = ask(&demo, &client, None, "tools/call", params.clone());
        assert_eq!(answer["result"]["resultType"], "input_required", "{answer}");
        assert_eq!(answer["result"]["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), [step]);
        states.push(answer["result"]["requestState"].clone());
        params["requestState"] = states.last().unwrap().clone();
        params["inputResponses"] = json!({ step: { "action": "accept", "content": { "said": step } } });
    }
    let answer = ask(&demo, &client, None, "tools/call", params.clone());
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    let text = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("step1") && text.contains("step2"), "{text}");
    assert_ne!(states[0], states[1]);
    assert!(client.heard.lock().unwrap().is_empty());

    // It is worth nothing with another tool, or changed.
    params["name"] = "test_input_required_result_elicitation".into();
    let answer = ask(&demo, &client, None, "tools/call", params.clone());
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    params["requestState"] = format!("{}x", params["requestState"].as_str().unwrap()).into();
    let answer = ask(&demo, &client, None, "tools/call", params);
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
}

#[test]
fn nobody_is_asked_for_what_they_have_not_said_they_can_give() {
    let demo = Demo::new(Revisions::all()).unwrap();
    let client = Client::new(Ok(json!({})));
    let params = |name: &str, can: Value| json!({ "name": name, "arguments": {}, "_meta": meta(can) });
    let asked = params("test_input_required_result_sampling", json!({ "elicitation": {} }));
    let answer = ask(&demo, &client, None, "tools/call", asked);
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(answer["error"]["data"], json!({ "requiredCapabilities": { "sampling": {} } }));

    let asked = params("test_input_required_result_capabilities", json!({ "sampling": {} }));
    let answer = ask(&demo, &client, None, "tools/call", asked);
    let requests = answer["result"]["inputRequests"].as_object().unwrap();
    assert!(requests.values().all(|request| request["method"] == "sampling/createMessage"), "{answer}");

    let session = Conversation::default();
    let asked = params("test_input_required_result_sampling", able());
    let answer = ask(&demo, &client, Some(&session), "tools/call", asked);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(client.heard.lock().unwrap().is_empty());
}

#[test]
fn the_log_is_written_for_those_who_want_it() {
    let demo = Demo::new(Revisions::all()).unwrap();
    let session = Conversation::default();
    let call = json!({ "name": "test_logging_tool", "arguments": {} });
    for (session, level, lines) in [
        (Some(&session), None, 1),
        (Some(&session), Some("warning"), 0),
        (None, None, 0),
        (None, Some("warning"), 0),
        (None, Some("debug"), 1),
    ] {
        let client = Client::new(Ok(json!({})));
        let mut call = call.clone();
        match (session, level) {
            (Some(session), Some(level)) => {
                drop(ask(&demo, &client, Some(session), "logging/setLevel", json!({ "level": level })));
            }
            (None, Some(level)) => call["_meta"] = json!({ "io.modelcontextprotocol/logLevel": level }),
            (_, None) => {}
        }
        ask(&demo, &client, session, "tools/call", call);
        assert_eq!(client.heard.lock().unwrap().len(), lines, "{session:?} {level:?}");
    }
}

#[test]
fn what_is_not_there_is_said_in_the_revisions_own_code() {
    let demo = Demo::new(Revisions::all()).unwrap();
    let (session, client) = (Conversation::default(), Client::new(Ok(json!({}))));
    let uri = json!({ "uri": "test://nowhere" });
    let answer = ask(&demo, &client, None, "resources/read", uri.clone());
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert_eq!(answer["error"]["data"], uri);
    let answer = ask(&demo, &client, Some(&session), "resources/read", uri.clone());
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    let answer = ask(&demo, &client, None, "server/other", json!({}));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
}
