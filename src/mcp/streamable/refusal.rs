//! The answers that say no: a status, and a JSON-RPC error that says what was wrong.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::http1::Response;
use crate::mcp::message::members::quoted;
use crate::mcp::{Revisions, VersionError};
use crate::{EventId, ReplayError};

/// The codes of JSON-RPC 2.0 §5.1, and of 2026-07-28, Error Codes.
pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const HEADER_MISMATCH: i32 = -32020;
pub(super) const MISSING_CAPABILITY: i32 = -32021;
pub(super) const UNSUPPORTED_VERSION: i32 = -32022;

/// A refusal with a JSON-RPC error. `id` is the id of the request as it stands in it, if there is one to name.
pub(super) fn refuse(status: u16, id: Option<&str>, code: i32, why: &str, data: Option<&str>) -> Response {
    let (id, why) = (id.unwrap_or("null"), quoted(why));
    let data = data.map(|data| alloc::format!(r#","data":{data}"#)).unwrap_or_default();
    let error = alloc::format!(r#"{{"code":{code},"message":{why}{data}}}"#);
    let body = alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    Response::json(status, body.into_bytes())
}

/// 400: not a request of this endpoint.
pub(super) fn invalid(why: &str) -> Response {
    refuse(400, None, INVALID_REQUEST, why, None)
}

/// 404: no such session, or of somebody else, or over; which of these stays unsaid.
pub(super) fn no_session() -> Response {
    refuse(404, None, INVALID_REQUEST, "no such session", None)
}

/// 405 with the methods that there are.
pub(super) fn method_not_allowed(allowed: &str) -> Response {
    let why = alloc::format!("{allowed} is allowed here");
    refuse(405, None, INVALID_REQUEST, &why, None).with("Allow", allowed)
}

/// 503 with `Retry-After`.
pub(super) fn busy(id: Option<&str>, why: &str) -> Response {
    refuse(503, id, INVALID_REQUEST, why, None).with("Retry-After", "5")
}

/// 400 for a revision that is not spoken, or said in two ways. Where stateless revisions are spoken, it is one of
/// their errors, by which a client of both eras knows that it need not fall back to `initialize`.
pub(super) fn version(id: Option<&str>, error: &VersionError, spoken: Revisions) -> Response {
    let is_stateless = spoken.newest_first().any(crate::mcp::Revision::is_stateless);
    let (code, data) = match error {
        VersionError::Unsupported { requested } => {
            let listed: Vec<String> =
                spoken.newest_first().map(|revision| quoted(revision.as_str())).collect();
            let (listed, requested) = (listed.join(","), quoted(requested));
            let data = alloc::format!(r#"{{"supported":[{listed}],"requested":{requested}}}"#);
            (if is_stateless { UNSUPPORTED_VERSION } else { INVALID_REQUEST }, Some(data))
        }
        VersionError::MissingHeader | VersionError::Mismatch => (HEADER_MISMATCH, None),
        VersionError::MissingMeta => (INVALID_PARAMS, None),
    };
    refuse(400, id, code, &error.to_string(), data.as_deref())
}

/// 400 for a `Last-Event-ID` from which nothing can be resumed.
pub(super) fn gap(error: ReplayError) -> Response {
    let oldest = match error {
        ReplayError::Gap { oldest } => Some(oldest),
        ReplayError::OtherStream | ReplayError::NotIssued => None,
    };
    let data = oldest.map(|oldest: EventId| alloc::format!(r#"{{"oldest":"{oldest}"}}"#));
    let why = match oldest {
        Some(_) => "what followed Last-Event-ID is no longer held",
        None => "Last-Event-ID is of no stream of this session that is held",
    };
    refuse(400, None, INVALID_REQUEST, why, data.as_deref())
}

/// The status that a response has in a stateless revision, where it is all that there is to say (2026-07-28,
/// Streamable HTTP: an unknown method is 404; Basic: a missing capability is 400).
pub(super) fn status_of(code: Option<i64>) -> u16 {
    match code.and_then(|code| i32::try_from(code).ok()) {
        Some(METHOD_NOT_FOUND) => 404,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION) => 400,
        Some(_) | None => 200,
    }
}
