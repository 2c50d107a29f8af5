//! Takes the white space out between the tokens of a JSON text, and counts how deep it nests.

use alloc::borrow::Cow;
use alloc::string::String;

use super::MessageError;

/// The deepest nesting: what the JSON parsers of most applications bear.
const MAX_DEPTH: usize = 128;

/// The text in one line. One pass; nothing is copied where there is nothing to take out. White space between
/// the digits of a number would join them, so it is only taken out where a token ends by itself.
pub(super) fn compact(text: &str) -> Result<Cow<'_, str>, MessageError> {
    let bytes = text.as_bytes();
    let (mut depth, mut at, mut kept_from) = (0_usize, 0, 0);
    let mut out: Option<String> = None;
    let mut last = None;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(bytes, at + 1);
                last = Some(b'"');
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(MessageError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b' ' | b'\t' | b'\n' | b'\r' => {
                let space = at;
                while bytes.get(at).is_some_and(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')) {
                    at += 1;
                }
                // Two words with nothing but space between them are no JSON; they must not become one word.
                let is_word = |b: Option<u8>| {
                    b.is_some_and(|b| !matches!(b, b'{' | b'}' | b'[' | b']' | b',' | b':' | b'"'))
                };
                if is_word(last) && is_word(bytes.get(at).copied()) {
                    return Err(MessageError::NotJson { at: space });
                }
                out.get_or_insert_with(|| String::with_capacity(bytes.len()))
                    .push_str(&text[kept_from..space]);
                kept_from = at;
                continue;
            }
            _ => {}
        }
        last = Some(byte);
        at += 1;
    }
    Ok(match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[kept_from..]);
            Cow::Owned(out)
        }
    })
}

/// The place behind the closing quote, or the end of the text where there is none.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}
