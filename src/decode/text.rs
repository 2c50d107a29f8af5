//! Text from bytes, within a bound: UTF-8 as the Encoding Standard decodes it, buffers that grow no further.

use alloc::string::String;
use alloc::vec::Vec;
use core::str;

/// The least that a buffer reserves, so that short lines do not grow it step by step.
const FIRST: usize = 64;

/// How much more a buffer must reserve for `need` bytes in all: the double, but never past `cap` without need.
/// Doubling makes any number of small pieces cost linear time; the cap keeps the memory that a limit promises.
fn more(len: usize, capacity: usize, need: usize, cap: usize) -> Option<usize> {
    (need > capacity).then(|| need.max(capacity.saturating_mul(2).max(FIRST).min(cap)) - len)
}

/// Appends raw bytes; the caller has checked that they fit within `cap`.
#[inline]
pub(super) fn append_bytes(to: &mut Vec<u8>, bytes: &[u8], cap: usize) {
    if bytes.len() > to.capacity() - to.len() {
        grow(to, bytes.len(), cap);
    }
    to.extend_from_slice(bytes);
}

#[cold]
#[inline(never)]
fn grow(to: &mut Vec<u8>, by: usize, cap: usize) {
    if let Some(more) = more(to.len(), to.capacity(), to.len().saturating_add(by), cap) {
        to.reserve_exact(more);
    }
}

/// Appends `text` and says whether it fitted within `cap` bytes in all.
pub(super) fn append(to: &mut String, text: &str, cap: usize) -> bool {
    let need = to.len().saturating_add(text.len());
    if need > cap {
        return false;
    }
    if let Some(more) = more(to.len(), to.capacity(), need, cap) {
        to.reserve_exact(more);
    }
    to.push_str(text);
    true
}

/// Appends `bytes` decoded as UTF-8 and says whether the text fitted within `cap` bytes in all.
///
/// Each maximal subpart of an ill-formed sequence becomes one U+FFFD (Encoding §8.1.1). A line is always decoded
/// whole, and a line end belongs to no longer sequence, so this equals decoding the stream before splitting it.
pub(super) fn append_lossy(to: &mut String, bytes: &[u8], cap: usize) -> bool {
    match str::from_utf8(bytes) {
        Ok(text) => append(to, text, cap),
        Err(_) => bytes.utf8_chunks().all(|chunk| {
            append(to, chunk.valid(), cap) && (chunk.invalid().is_empty() || append(to, "\u{FFFD}", cap))
        }),
    }
}
