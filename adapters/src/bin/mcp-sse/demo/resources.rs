//! The demo's resources: a text, an image, one that can be watched, and a template.

use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome};

/// The one that changes.
pub(super) const WATCHED: &str = "test://watched-resource";

/// One red pixel.
pub(super) const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";

pub(super) fn list() -> Value {
    let resource = |uri: &str, name: &str, description: &str, mime_type: &str| json!({ "uri": uri, "name": name, "description": description, "mimeType": mime_type });
    json!({ "resources": [
        resource(TEXT, "static-text", "A text that never changes", "text/plain"),
        resource(BINARY, "static-binary", "An image that never changes", "image/png"),
        resource(WATCHED, "watched-resource", "A text that touch_watched_resource changes", "text/plain"),
    ] })
}

pub(super) fn templates() -> Value {
    json!({ "resourceTemplates": [{
        "uriTemplate": "test://template/{id}/data",
        "name": "template",
        "description": "A text about the id in its URI",
        "mimeType": "application/json",
    }] })
}

pub(super) fn read<P>(call: &Call<'_, P>) -> Outcome {
    let uri = uri(call)?;
    let content = match uri {
        TEXT => text(uri, "text/plain", "This is the content of the static text resource."),
        BINARY => json!({ "uri": uri, "mimeType": "image/png", "blob": IMAGE }),
        WATCHED => match call.demo.touched() {
            0 => text(uri, "text/plain", "Watched resource content"),
            times => text(uri, "text/plain", &format!("Watched resource content, changed {times} times")),
        },
        _ => {
            let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
            let id = id.filter(|id| !id.is_empty() && !id.contains('/'));
            let id = id.ok_or_else(|| Fault::no_resource(uri, call.revision))?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            text(uri, "application/json", &data.to_string())
        }
    };
    Ok(json!({ "contents": [content] }))
}

/// Begins or ends the watching of a resource, in revisions that have sessions.
pub(super) fn watch<P>(call: &Call<'_, P>, begins: bool) -> Outcome {
    let uri = uri(call)?;
    if ![TEXT, BINARY, WATCHED].contains(&uri) {
        return Err(Fault::no_resource(uri, call.revision));
    }
    let Some(session) = call.session else { return Err(Fault::no_method(call.method)) };
    let watched = &mut session.profile().watched;
    if begins {
        watched.insert(uri.to_owned());
    } else {
        watched.remove(uri);
    }
    Ok(json!({}))
}

fn uri<'a, P>(call: &Call<'a, P>) -> Result<&'a str, super::call::Stop> {
    call.params["uri"].as_str().ok_or_else(|| Fault::params("uri must be a string"))
}

fn text(uri: &str, mime_type: &str, text: &str) -> Value {
    json!({ "uri": uri, "mimeType": mime_type, "text": text })
}
