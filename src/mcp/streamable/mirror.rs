//! [`Mirror`]: the headers that repeat what the body says, for those between that read headers only (2026-07-28,
//! Streamable HTTP: Request Metadata).

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::refusal::{HEADER_MISMATCH, INVALID_PARAMS};
use crate::http1::RequestHead;
use crate::mcp::Message;
use crate::mcp::message::members::string;

/// The headers of a request that mirror its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mirror {
    method: Field,
    name: Field,
    /// `Mcp-Param-*`, as sent, names without the prefix in lower case.
    pub(super) params: Vec<(String, Vec<u8>)>,
}

/// A header that may stand there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Missing,
    Once(Vec<u8>),
    Repeated,
}

impl Field {
    fn of(head: &RequestHead, name: &str) -> Field {
        let mut values = head.headers_named(name);
        match (values.next(), values.next()) {
            (None, _) => Field::Missing,
            (Some(value), None) => Field::Once(value.into()),
            (Some(_), Some(_)) => Field::Repeated,
        }
    }
}

/// What is wrong with a request's metadata: the code of its error, and why.
pub(super) type Fault = (i32, &'static str);

impl Mirror {
    pub(super) fn of(head: &RequestHead) -> Mirror {
        const PREFIX: usize = "mcp-param-".len();
        let is_param =
            |name: &str| name.get(..PREFIX).is_some_and(|start| start.eq_ignore_ascii_case("mcp-param-"));
        let params = head.headers().filter(|(name, _)| is_param(name));
        let params = params.map(|(name, value)| (name[PREFIX..].to_ascii_lowercase(), value.into()));
        Mirror {
            method: Field::of(head, "mcp-method"),
            name: Field::of(head, "mcp-name"),
            params: params.collect(),
        }
    }

    /// Checks them against a request: what its `_meta` must hold, `Mcp-Method`, and `Mcp-Name` where there is one.
    /// Values are compared to the letter.
    pub(super) fn check(&self, request: &Message) -> Result<(), Fault> {
        const UNCLEAR: Fault = (INVALID_PARAMS, "params._meta must be an object with each member once");
        let names = ["io.modelcontextprotocol/clientCapabilities", "io.modelcontextprotocol/clientInfo"];
        let [capabilities, info] = request.meta(names).map_err(|_| UNCLEAR)?;
        if !capabilities.is_some_and(|capabilities| capabilities.starts_with('{')) {
            return Err((INVALID_PARAMS, "params._meta has no io.modelcontextprotocol/clientCapabilities"));
        }
        if info.is_some_and(|info| !info.starts_with('{')) {
            return Err((INVALID_PARAMS, "io.modelcontextprotocol/clientInfo must be an object"));
        }
        let mismatch = |why| Err((HEADER_MISMATCH, why));
        match &self.method {
            Field::Missing => return mismatch("the Mcp-Method header is missing"),
            Field::Repeated => return mismatch("more than one Mcp-Method header"),
            Field::Once(method) if request.method().is_some_and(|said| said.as_bytes() == method) => {}
            Field::Once(_) => return mismatch("the Mcp-Method header and the method differ"),
        }
        let source = match request.method() {
            Some("tools/call" | "prompts/get") => "name",
            Some("resources/read") => "uri",
            // SEP-2663, Routing Headers: of the extension for tasks.
            Some("tasks/get" | "tasks/update" | "tasks/cancel") => "taskId",
            Some(_) | None => return Ok(()),
        };
        let [said] = request.params([source]).map_err(|_| UNCLEAR)?;
        match (&self.name, said.and_then(string)) {
            // What is missing in the body is for the application to say.
            (Field::Missing, None) => Ok(()),
            (Field::Missing, Some(_)) => mismatch("the Mcp-Name header is missing"),
            (Field::Repeated, _) => mismatch("more than one Mcp-Name header"),
            (Field::Once(name), said) => match decode_mirrored(name) {
                None => mismatch("the Mcp-Name header is neither plain nor whole Base64"),
                Some(name) if said.is_some_and(|said| said == name) => Ok(()),
                Some(_) => mismatch("the Mcp-Name header and the name in params differ"),
            },
        }
    }
}

/// The value that a mirroring header stands for: plain visible ASCII with inner spaces, or `=?base64?…?=` around the
/// Base64 of its UTF-8. `None` if it is neither (2026-07-28, Streamable HTTP: Value Encoding).
///
/// ```
/// use sansio_sse::mcp::decode_mirrored;
///
/// assert_eq!(decode_mirrored(b"us-west1").as_deref(), Some("us-west1"));
/// assert_eq!(decode_mirrored("=?base64?SMO8aA==?=".as_bytes()).as_deref(), Some("Hüh"));
/// assert_eq!(decode_mirrored(b"=?base64?SMO8aA?="), None);
/// ```
#[must_use]
pub fn decode_mirrored(value: &[u8]) -> Option<Cow<'_, str>> {
    let encoded = value.strip_prefix(b"=?base64?").and_then(|rest| rest.strip_suffix(b"?="));
    match encoded {
        Some(encoded) => String::from_utf8(decode_base64(encoded)?).ok().map(Cow::Owned),
        None => {
            let is_plain = value.iter().all(|b| matches!(b, b'\t' | 0x20..=0x7e));
            core::str::from_utf8(value).ok().filter(|_| is_plain).map(Cow::Borrowed)
        }
    }
}

/// RFC 4648 §4, strictly: padded, and with no bits left over, so that one value has one spelling.
fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    let digits = text.get(..text.len() - padding).filter(|_| padding <= 2)?;
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for &b in digits {
        bits = bits << 6 | u32::from(digit(b)?);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

/// The headers that a request repeats its arguments in, for the application to check: name without `Mcp-Param-`, in
/// lower case, and value, decoded. `None` for one that can't be.
pub(super) fn decoded(params: &[(String, Vec<u8>)]) -> Vec<(String, Option<String>)> {
    params
        .iter()
        .map(|(name, value)| (name.clone(), decode_mirrored(value).map(|value| value.to_string())))
        .collect()
}
