//! A tool whose arguments are repeated in headers, and the check of them (2026-07-28, Custom Headers).

use serde_json::{Value, json};

use super::call::{Call, Fault, Outcome, Stop};
use super::tool::{Tool, text};

pub(super) fn tools() -> Vec<Tool> {
    let properties = json!({
        "region": { "type": "string", "description": "where", "x-mcp-header": "Region" },
        "priority": { "type": "integer", "description": "how soon", "x-mcp-header": "Priority" },
        "query": { "type": "string", "description": "what" },
    });
    vec![Tool::with("test_header", "Has arguments that headers repeat", properties, &["region"])]
}

pub(super) fn call<P>(call: &Call<'_, P>) -> Outcome {
    let arguments = &call.params["arguments"];
    if call.revision.rules().request_metadata {
        for (header, argument) in [("Region", "region"), ("Priority", "priority")] {
            check(call.mirrored, header, &arguments[argument])?;
        }
    }
    match arguments["region"].as_str() {
        Some(region) => Ok(text(format!("routed to {region}"))),
        None => Err(Fault::params("region must be a string")),
    }
}

/// Holds a header against the argument that it repeats: each is there as the other is, and says the same.
fn check(mirrored: &[(String, Option<String>)], header: &str, argument: &Value) -> Result<(), Stop> {
    let mut sent = mirrored.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
    let expected = match argument {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let why = match (sent.next(), sent.next(), expected) {
        (None, _, None) => return Ok(()),
        (Some((_, Some(value))), None, Some(expected)) if *value == expected => return Ok(()),
        (None, _, Some(_)) => "is missing",
        (Some(_), Some(_), _) => "comes more than once",
        (Some((_, None)), None, _) => "is neither plain nor whole Base64",
        (Some(_), None, None) => "repeats an argument that is not there",
        (Some(_), None, Some(_)) => "differs from its argument",
    };
    Err(Fault::header(format!("the Mcp-Param-{header} header {why}")))
}

#[cfg(test)]
mod tests {
    use super::{Value, check, json};

    #[test]
    fn a_header_says_what_its_argument_says_or_neither_is_there() {
        let one = |value: Option<&str>| vec![("region".to_owned(), value.map(str::to_owned))];
        let twice = [one(Some("eu")), one(Some("eu"))].concat();
        for (sent, argument, is_good) in [
            (vec![], Value::Null, true),
            (vec![], json!("eu"), false),
            (one(Some("eu")), json!("eu"), true),
            (one(Some("EU")), json!("eu"), false),
            (one(Some("eu")), Value::Null, false),
            (one(Some("7")), json!(7), true),
            (one(Some("true")), json!(true), true),
            (one(None), json!("eu"), false),
            (twice, json!("eu"), false),
        ] {
            assert_eq!(check(&sent, "Region", &argument).is_ok(), is_good, "{sent:?} {argument}");
        }
    }
}
