//! [`Entry`]: one event as it stands on the wire, in the chunk that it is sent in.

use alloc::vec::Vec;
use core::fmt;

use crate::EventId;

/// An event behind its `id:` line.
pub(super) struct Entry<'a> {
    pub(super) id: Option<EventId>,
    pub(super) frame: &'a [u8],
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.id {
            write!(f, "{id} ")?;
        }
        write!(f, "\"{}\"", self.frame.escape_ascii())
    }
}

/// The events of a body that is sent in chunks, one a chunk. What is none ends it.
pub(super) fn entries(mut body: &[u8]) -> Vec<Entry<'_>> {
    let mut found = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = core::str::from_utf8(&body[..end]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or(0);
        let Some(chunk) = body.get(end + 2..end + 2 + size).filter(|_| size > 0) else { break };
        found.push(entry(chunk));
        body = body.get(end + 4 + size..).unwrap_or_default();
    }
    found
}

fn entry(chunk: &[u8]) -> Entry<'_> {
    let id = chunk.strip_prefix(b"id: ").and_then(|rest| {
        let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n'))?;
        let id = core::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        let rest = &rest[end..];
        Some((id, rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n"))?))
    });
    match id {
        Some((id, frame)) => Entry { id: Some(id), frame },
        None => Entry { id: None, frame: chunk },
    }
}
