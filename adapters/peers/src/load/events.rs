//! Events out of a body, in any pieces. Lines must end with a line feed: all servers here do that.

use memchr::{memchr, memmem};

use super::Failure;

/// What has arrived of an event that is not complete.
#[derive(Default)]
pub struct Events {
    partial: Vec<u8>,
    /// The id of the last event that had one.
    last_id: Option<Box<str>>,
    keep_ids: bool,
}

impl Events {
    /// Remembers ids from now on.
    pub fn keep_ids(&mut self) {
        self.keep_ids = true;
    }

    /// The id of the last complete event that had one, where they are kept.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Takes a piece of the body, and gives the data of each event that is complete.
    pub fn feed(
        &mut self,
        mut piece: &[u8],
        mut event: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.partial.is_empty() {
            let end = if self.partial.ends_with(b"\n") && piece.starts_with(b"\n") {
                Some(1)
            } else {
                memmem::find(piece, b"\n\n").map(|at| at + 2)
            };
            let (rest, next) = piece.split_at(end.unwrap_or(piece.len()));
            self.partial.extend_from_slice(rest);
            if end.is_none() {
                return Ok(());
            }
            piece = next;
            let block = std::mem::take(&mut self.partial);
            self.block(&block, &mut event)?;
        }
        while let Some(end) = memmem::find(piece, b"\n\n") {
            self.block(&piece[..end + 2], &mut event)?;
            piece = &piece[end + 2..];
        }
        self.partial.extend_from_slice(piece);
        Ok(())
    }

    /// Goes through the lines of one event.
    fn block(
        &mut self,
        mut block: &[u8],
        event: &mut impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut data = None;
        while let Some(end) = memchr(b'\n', block) {
            let line = &block[..end];
            block = &block[end + 1..];
            if let Some(value) = line.strip_prefix(b"data:") {
                if data.is_some() {
                    return Err("an event with two lines of data".into());
                }
                data = Some(value.strip_prefix(b" ").unwrap_or(value));
            } else if self.keep_ids
                && let Some(value) = line.strip_prefix(b"id:")
            {
                let value = value.strip_prefix(b" ").unwrap_or(value);
                self.last_id = Some(String::from_utf8_lossy(value).into());
            } else if line.contains(&b'\r') {
                return Err("a carriage return in an event".into());
            }
        }
        data.map_or(Ok(()), event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_in_every_split() {
        let body = b"retry: 10\n\n: hello\n\nid: 7\ndata: one\n\nevent: message\ndata:two\n\ndata:\n\nid:8\ndata: thr";
        for split in 0..body.len() {
            let (mut events, mut found) = (Events::default(), Vec::new());
            events.keep_ids();
            for part in [&body[..split], &body[split..]] {
                let fed = events.feed(part, |data| {
                    found.push(data.to_vec());
                    Ok(())
                });
                assert_eq!(fed, Ok(()));
            }
            assert_eq!(found, [&b"one"[..], b"two", b""]);
            assert_eq!(events.last_id(), Some("7"));
        }
    }
}
