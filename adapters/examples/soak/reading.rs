//! [`Reading`]: a response as its client gets it, which must hold the messages that were asked for, in order.

use crate::ask::Ask;

/// What has come of a stream.
#[derive(Debug)]
pub(crate) struct Reading {
    ask: Ask,
    raw: Vec<u8>,
    text: Vec<u8>,
    /// The response has begun.
    pub(crate) begun: bool,
    /// The last chunk has come.
    pub(crate) whole: bool,
    /// Messages that came whole.
    pub(crate) received: u64,
}

impl Reading {
    pub(crate) fn new(ask: Ask) -> Reading {
        Reading { ask, raw: Vec::new(), text: Vec::new(), begun: false, whole: false, received: 0 }
    }

    /// Takes what has come; an error says what should not have.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.raw.extend_from_slice(bytes);
        if !self.begun {
            let Some(end) = find(&self.raw, b"\r\n\r\n") else { return Ok(()) };
            let head = String::from_utf8_lossy(&self.raw[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200 ") || !head.contains("transfer-encoding: chunked") {
                return Err(format!("answered with {head}"));
            }
            self.raw.drain(..end + 4);
            self.begun = true;
        }
        while let Some(line) = find(&self.raw, b"\r\n") {
            if self.whole {
                return Err("bytes behind the last chunk".into());
            }
            let size = String::from_utf8_lossy(&self.raw[..line]);
            let size =
                usize::from_str_radix(&size, 16).map_err(|_| format!("{size:?} is no chunk's size"))?;
            let (begin, end) = (line + 2, line + 2 + size);
            if self.raw.len() < end + 2 {
                break;
            }
            if &self.raw[end..end + 2] != b"\r\n" {
                return Err("a chunk is longer than it says".into());
            }
            self.text.extend_from_slice(&self.raw[begin..end]);
            self.raw.drain(..end + 2);
            self.whole = size == 0;
        }
        self.read_events()
    }

    fn read_events(&mut self) -> Result<(), String> {
        while let Some(end) = find(&self.text, b"\n\n") {
            let block = String::from_utf8_lossy(&self.text[..end]);
            if !block.starts_with(':') {
                let expected = format!("data: {}", self.ask.message(self.received));
                if block != expected {
                    return Err(format!("{block:.40} came instead of {expected:.40}"));
                }
                self.received += 1;
            }
            self.text.drain(..end + 2);
        }
        if self.whole && !self.text.is_empty() {
            return Err("the last event is cut".into());
        }
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
