//! What one era says, in the words of the other: members are moved, and what is in them is left as it is.

use std::collections::BTreeMap;

use sansio_sse::mcp::{Message, Revision, Revisions};
use serde_json::value::{RawValue, to_raw_value};

type Object = BTreeMap<String, Box<RawValue>>;

/// Members of `_meta` that are of 2026-07-28's own.
const OWN: &str = "io.modelcontextprotocol/";

/// Results that say how long they can be kept (2026-07-28, Caching).
const CACHEABLE: [&str; 5] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "resources/read"];

fn object(json: &str) -> Option<Object> {
    serde_json::from_str(json).ok()
}

/// A client's request as the child reads it: with a number for its id, which stands for the token of its progress
/// as well; and that token.
pub(super) fn request_for(number: u64, request: &Message) -> Option<(String, Option<String>)> {
    let mut message = object(request.as_str())?;
    message.insert("id".to_owned(), to_raw_value(&number).ok()?);
    let mut token = None;
    if let Some(params) = message.remove("params") {
        let mut params = object(params.get())?;
        if let Some(meta) = params.remove("_meta") {
            let mut meta = object(meta.get())?;
            meta.retain(|name, _| !name.starts_with(OWN));
            token = meta.remove("progressToken").map(|token| token.get().to_owned());
            if token.is_some() {
                meta.insert("progressToken".to_owned(), to_raw_value(&number).ok()?);
            }
            if !meta.is_empty() {
                params.insert("_meta".to_owned(), to_raw_value(&meta).ok()?);
            }
        }
        message.insert("params".to_owned(), to_raw_value(&params).ok()?);
    }
    Some((serde_json::to_string(&message).ok()?, token))
}

/// The child's response as the client reads it.
pub(super) fn response_to(request: &Message, response: &Message) -> Option<Message> {
    let mut message = object(response.as_str())?;
    message.insert("id".to_owned(), RawValue::from_string(request.id()?.to_owned()).ok()?);
    if let Some(result) = message.remove("result") {
        let mut result = object(result.get())?;
        complete(&mut result, request.method()?)?;
        message.insert("result".to_owned(), to_raw_value(&result).ok()?);
    }
    serde_json::to_string(&message).ok()?.parse().ok()
}

/// Adds what a result has in 2026-07-28.
fn complete(result: &mut Object, method: &str) -> Option<()> {
    result.entry("resultType".to_owned()).or_insert(to_raw_value(&"complete").ok()?);
    if CACHEABLE.contains(&method) {
        // How long it holds nobody has said, nor for whom else.
        result.entry("ttlMs".to_owned()).or_insert(to_raw_value(&0).ok()?);
        result.entry("cacheScope".to_owned()).or_insert(to_raw_value(&"private").ok()?);
    }
    Some(())
}

/// What a server says of itself, made of what it said to `initialize`; `None` if that was an error.
pub(super) fn discovered(initialized: &Message, revisions: Revisions) -> Option<String> {
    let mut message = object(initialized.as_str())?;
    let mut said = object(message.remove("result")?.get())?;
    let mut result = Object::new();
    let versions: Vec<&str> = revisions.newest_first().map(Revision::as_str).collect();
    result.insert("supportedVersions".to_owned(), to_raw_value(&versions).ok()?);
    result.insert(
        "capabilities".to_owned(),
        said.remove("capabilities").or_else(|| RawValue::from_string("{}".to_owned()).ok())?,
    );
    if let Some(instructions) = said.remove("instructions") {
        result.insert("instructions".to_owned(), instructions);
    }
    if let Some(info) = said.remove("serverInfo") {
        let meta = Object::from([(format!("{OWN}serverInfo"), info)]);
        result.insert("_meta".to_owned(), to_raw_value(&meta).ok()?);
    }
    complete(&mut result, "tools/list")?;
    serde_json::to_string(&result).ok()
}

/// Progress that the child tells, in the words of the client whose request it is about.
pub(super) fn progress<S>(
    message: &Message,
    find: impl FnOnce(u64) -> Option<(S, String)>,
) -> Option<(S, Message)> {
    let mut params = object(object(message.as_str())?.remove("params")?.get())?;
    let number = params.get("progressToken")?.get().parse().ok()?;
    let (to, token) = find(number)?;
    params.insert("progressToken".to_owned(), RawValue::from_string(token).ok()?);
    let params = serde_json::to_string(&params).ok()?;
    Message::notification("notifications/progress", params).ok().map(|message| (to, message))
}

#[cfg(test)]
mod tests {
    use sansio_sse::mcp::{Message, Revision, Revisions};

    use super::{discovered, progress, request_for, response_to};

    fn message(text: &str) -> Message {
        text.parse().unwrap()
    }

    #[test]
    fn requests_get_a_number_and_lose_what_the_child_does_not_know() {
        let meta = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"p","other":1"#;
        let asked = format!(
            r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{"name":"n","arguments":{{"x":1.50}},"_meta":{{{meta}}}}}}}"#
        );
        let (request, token) = request_for(7, &message(&asked)).unwrap();
        assert_eq!(
            request,
            r#"{"id":7,"jsonrpc":"2.0","method":"tools/call","params":{"_meta":{"other":1,"progressToken":7},"arguments":{"x":1.50},"name":"n"}}"#
        );
        assert_eq!(token.as_deref(), Some(r#""p""#));
        let (request, token) = request_for(8, &message(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#)).unwrap();
        assert_eq!((request.as_str(), token), (r#"{"id":8,"jsonrpc":"2.0","method":"m"}"#, None));
    }

    #[test]
    fn responses_get_their_id_back_and_what_results_must_have() {
        let request = message(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
        let response = response_to(&request, &message(r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}}"#));
        assert_eq!(
            response.unwrap().as_str(),
            r#"{"id":"a","jsonrpc":"2.0","result":{"cacheScope":"private","resultType":"complete","tools":[],"ttlMs":0}}"#
        );
        let error = r#"{"error":{"code":-1,"message":"no"},"id":7,"jsonrpc":"2.0"}"#;
        let response = response_to(&request, &message(error)).unwrap();
        assert_eq!(response.as_str(), error.replace('7', r#""a""#));
    }

    #[test]
    fn what_was_said_to_initialize_is_what_is_discovered() {
        let initialized = message(
            r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"s"}}}"#,
        );
        let only = Revisions::none().with(Revision::V2026_07_28);
        assert_eq!(
            discovered(&initialized, only).unwrap(),
            r#"{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}},"cacheScope":"private","capabilities":{"tools":{}},"resultType":"complete","supportedVersions":["2026-07-28"],"ttlMs":0}"#
        );
        let refused = message(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}"#);
        assert_eq!(discovered(&refused, only), None);
    }

    #[test]
    fn progress_goes_to_the_one_request_under_its_own_token() {
        let told = message(
            r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#,
        );
        let (to, told) = progress(&told, |number| Some((number, r#""p""#.to_owned()))).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":"p"}}"#;
        assert_eq!((to, told.as_str()), (7, expected));
    }
}
