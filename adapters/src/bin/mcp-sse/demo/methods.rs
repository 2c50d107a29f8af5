//! The methods that the demo answers, and how its answers are put together.

use sansio_sse::mcp::{Message, Revision};
use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Peer, Stop};
use super::tasks::EXTENSION;
use super::{prompts, resources, tools};

/// How long a client may keep a list. Nothing here is secret, and what changes is announced.
const KEEP_MS: u64 = 60_000;

/// The response to a request.
pub(super) async fn respond<P: Peer>(call: &mut Call<'_, P>, id: &str) -> Option<Message> {
    let answer = match call.take_answers() {
        Ok(()) => answer(call).await,
        Err(stop) => Err(stop),
    };
    let answer = match answer {
        Err(Stop::NeedsInput { requests, state }) => {
            let result =
                json!({ "resultType": "input_required", "inputRequests": requests, "requestState": state });
            Ok(result)
        }
        Err(Stop::Fault(fault)) => Err(fault),
        Ok(result) => Ok(result),
    };
    // The id goes back as the token that it came as.
    let text = match answer {
        Ok(mut result) => {
            if call.revision.is_stateless() {
                finish(&mut result, call.method);
            }
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
        }
        Err(fault) => format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#, fault.into_json()),
    };
    let made = text.parse();
    made.inspect_err(|error| tracing::error!(%error, "the demo made something that is no message")).ok()
}

/// The response to a request that is one too many.
pub(super) fn refuse(id: &str) -> Option<Message> {
    let error = json!({ "code": -32000, "message": "too many calls at once" });
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).parse().ok()
}

async fn answer<P: Peer>(call: &Call<'_, P>) -> Outcome {
    match call.method {
        "initialize" if call.session.is_some() => Ok(initialize(call)),
        "server/discover" if call.session.is_none() => Ok(discover(call)),
        "ping" => Ok(json!({})),
        "logging/setLevel" => set_level(call),
        "tools/list" => Ok(tools::list(call)),
        "tools/call" => tools::call(call).await,
        "resources/list" => Ok(resources::list()),
        "resources/templates/list" => Ok(resources::templates()),
        "resources/read" => resources::read(call),
        "resources/subscribe" => resources::watch(call, true),
        "resources/unsubscribe" => resources::watch(call, false),
        "prompts/list" => Ok(prompts::list(call)),
        "prompts/get" => prompts::get(call).await,
        "tasks/get" if call.session.is_none() => call.demo.tasks.get(call),
        "tasks/update" if call.session.is_none() => call.demo.tasks.update(call),
        "tasks/cancel" if call.session.is_none() => call.demo.tasks.cancel(call),
        "completion/complete" => prompts::complete(call),
        method => Err(Fault::no_method(method)),
    }
}

fn initialize<P>(call: &Call<'_, P>) -> Value {
    if let Some(session) = call.session {
        session.profile().capabilities = call.params["capabilities"].clone();
    }
    json!({
        "protocolVersion": call.revision.as_str(),
        "capabilities": capabilities(),
        "serverInfo": info(),
        "instructions": INSTRUCTIONS,
    })
}

fn discover<P>(call: &Call<'_, P>) -> Value {
    let versions: Vec<_> = call.demo.revisions().newest_first().map(Revision::as_str).collect();
    let mut capabilities = capabilities();
    capabilities["extensions"] = json!({ EXTENSION: {} });
    json!({ "supportedVersions": versions, "capabilities": capabilities, "instructions": INSTRUCTIONS })
}

const INSTRUCTIONS: &str = "Tools, resources and prompts to try a client against; nothing here is of use.";

fn capabilities() -> Value {
    json!({
        "tools": { "listChanged": true },
        "resources": { "subscribe": true },
        "prompts": { "listChanged": true },
        "logging": {},
        "completions": {},
    })
}

fn info() -> Value {
    json!({ "name": "mcp-sse demo", "version": env!("CARGO_PKG_VERSION") })
}

fn set_level<P>(call: &Call<'_, P>) -> Outcome {
    let Some(session) = call.session else { return Err(Fault::no_method(call.method)) };
    session.profile().set_level(call.params["level"].as_str().unwrap_or_default())?;
    Ok(json!({}))
}

/// What a result has in 2026-07-28 (Basic: Responses; Caching).
fn finish(result: &mut Value, method: &str) {
    let is_complete = result.get("resultType").is_none();
    if is_complete {
        result["resultType"] = "complete".into();
    }
    result["_meta"] = json!({ "io.modelcontextprotocol/serverInfo": info() });
    let can_be_kept = [
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    ];
    if is_complete && can_be_kept.contains(&method) {
        result["ttlMs"] = if method == "resources/read" { 0 } else { KEEP_MS }.into();
        result["cacheScope"] = "public".into();
    }
}
