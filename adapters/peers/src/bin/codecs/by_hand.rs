//! A decoder as one writes it for one use: data lines alone, no limits, no ids. What the least work comes to.

use memchr::memchr2;

/// What the input has cut.
#[derive(Default)]
pub struct ByHand {
    line: Vec<u8>,
    data: Vec<u8>,
    after_cr: bool,
}

impl ByHand {
    pub fn decode(&mut self, mut bytes: &[u8], mut sink: impl FnMut(&str)) {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = memchr2(b'\r', b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            self.after_cr = bytes[end] == b'\r' && rest.is_empty();
            bytes = if bytes[end] == b'\r' { rest.strip_prefix(b"\n").unwrap_or(rest) } else { rest };
            if !self.line.is_empty() {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.take(&line);
                self.line = line;
                self.line.clear();
            } else if line.is_empty() {
                if self.data.pop().is_some() {
                    sink(text(&self.data));
                    self.data.clear();
                }
            } else if self.data.is_empty()
                && let Some(value) = value(line)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                sink(text(value));
                bytes = rest;
            } else {
                self.take(line);
            }
        }
        self.line.extend_from_slice(bytes);
    }

    fn take(&mut self, line: &[u8]) {
        if let Some(value) = value(line) {
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        }
    }
}

fn value(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data:")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
