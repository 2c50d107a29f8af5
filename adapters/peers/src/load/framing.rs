//! HTTP/1.1 responses, as far as the servers under test need it: the head, and a body in chunks, of a length, or to the
//! end of the connection.

use memchr::memmem;

use super::Failure;

/// Where in a response the bytes are.
#[derive(Clone, Copy, Debug)]
enum Place {
    Head,
    /// A chunk's size, or a trailer after the last.
    Size,
    Chunk(usize),
    /// The line break behind a chunk.
    Behind,
    Trailer,
    Length(usize),
    ToTheEnd,
    Done,
}

/// What a response turned out to be.
pub struct Framing {
    place: Place,
    /// The beginning of a head or a line whose end is not in.
    partial: Vec<u8>,
    status: u16,
}

impl Default for Framing {
    fn default() -> Self {
        Self { place: Place::Head, partial: Vec::new(), status: 0 }
    }
}

impl Framing {
    /// The status, 0 before the head is in.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the whole response is in.
    pub fn is_done(&self) -> bool {
        matches!(self.place, Place::Done)
    }

    /// Takes what arrived, and gives each piece of the body.
    pub fn feed(
        &mut self,
        mut bytes: &[u8],
        mut body: impl FnMut(&[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            match self.place {
                Place::Length(0) => self.place = Place::Done,
                _ if bytes.is_empty() => return Ok(()),
                Place::Head => match self.upto(&mut bytes, b"\r\n\r\n") {
                    Some(head) => self.head(&head)?,
                    None => return Ok(()),
                },
                Place::Size => {
                    // Almost always in one piece.
                    let size = match memchr::memchr(b'\n', bytes) {
                        Some(end) if self.partial.is_empty() => {
                            let size = size(&bytes[..=end])?;
                            bytes = &bytes[end + 1..];
                            size
                        }
                        _ => match self.upto(&mut bytes, b"\n") {
                            Some(line) => size(&line)?,
                            None => return Ok(()),
                        },
                    };
                    self.place = if size == 0 { Place::Trailer } else { Place::Chunk(size) };
                }
                Place::Chunk(left) | Place::Length(left) => {
                    let (piece, rest) = bytes.split_at(left.min(bytes.len()));
                    body(piece)?;
                    bytes = rest;
                    self.place = match self.place {
                        Place::Length(_) => Place::Length(left - piece.len()),
                        _ if piece.len() == left => Place::Behind,
                        _ => Place::Chunk(left - piece.len()),
                    };
                }
                Place::Behind if self.partial.is_empty() && bytes.starts_with(b"\r\n") => {
                    bytes = &bytes[2..];
                    self.place = Place::Size;
                }
                Place::Behind => match self.upto(&mut bytes, b"\n") {
                    Some(line) if line == b"\r\n" => self.place = Place::Size,
                    Some(_) => return Err("a chunk is longer than its size".into()),
                    None => return Ok(()),
                },
                Place::Trailer => match self.upto(&mut bytes, b"\n") {
                    Some(line) if line == b"\r\n" => self.place = Place::Done,
                    Some(_) => {}
                    None => return Ok(()),
                },
                Place::ToTheEnd => {
                    body(bytes)?;
                    return Ok(());
                }
                Place::Done => return Err("bytes behind the end of the response".into()),
            }
        }
    }

    /// Takes bytes up to the end of `mark`; keeps them when it is not in.
    fn upto(&mut self, bytes: &mut &[u8], mark: &[u8]) -> Option<Vec<u8>> {
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let Some(at) = memmem::find(&self.partial, mark) else {
            *bytes = &[];
            return None;
        };
        let end = at + mark.len();
        *bytes = &bytes[end - before..];
        self.partial.truncate(end);
        Some(std::mem::take(&mut self.partial))
    }

    fn head(&mut self, head: &[u8]) -> Result<(), Failure> {
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        self.status = status.ok_or("an answer without a status")?;
        let field = |name: &str| {
            let fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.filter(|(key, _)| *key == name).map(|(_, value)| value.trim()).next()
        };
        self.place = match (field("transfer-encoding"), field("content-length")) {
            (Some("chunked"), _) => Place::Size,
            (None, Some(length)) => Place::Length(length.parse().map_err(|_| "a bad length")?),
            (None, None) => Place::ToTheEnd,
            (Some(other), _) => return Err(format!("transfer encoding {other:?}")),
        };
        Ok(())
    }
}

fn size(line: &[u8]) -> Result<usize, Failure> {
    let digits = line.iter().map_while(|byte| (*byte as char).to_digit(16));
    let count = digits.clone().count();
    if count == 0 || count > 8 || !matches!(line.get(count), Some(b'\r' | b';')) {
        return Err(format!("chunk size {:?}", String::from_utf8_lossy(line)));
    }
    Ok(digits.fold(0, |size, digit| size * 16 + digit as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_found_in_every_split() {
        let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00b; x\r\n, you there\r\n0\r\n\r\n";
        for split in 0..response.len() {
            let (mut framing, mut body) = (Framing::default(), Vec::new());
            for part in [&response[..split], &response[split..]] {
                let fed = framing.feed(part, |piece| {
                    body.extend_from_slice(piece);
                    Ok(())
                });
                assert_eq!(fed, Ok(()));
            }
            assert_eq!((framing.status(), framing.is_done()), (200, true));
            assert_eq!(body, b"hello, you there");
        }
    }

    #[test]
    fn a_chunk_that_is_too_long_is_refused() {
        let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n";
        assert!(Framing::default().feed(response, |_| Ok(())).is_err());
    }
}
