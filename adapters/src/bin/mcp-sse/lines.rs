//! Lines of bounded length out of a pipe.

use std::io;

use futures_util::AsyncRead;
use futures_util::io::{AsyncBufRead, AsyncBufReadExt, BufReader};

/// Reads lines; the end of the input ends the last one too.
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    max: usize,
}

/// What comes where a line was expected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// A line of more bytes than are allowed; they are gone.
    TooLong { bytes: usize },
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(input: R, max: usize) -> Lines<R> {
        Lines { input: BufReader::new(input), max }
    }

    /// The next line, or `None` at the end.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut line, mut bytes) = (Vec::new(), 0);
        loop {
            let buffer = self.input.fill_buf().await?;
            if buffer.is_empty() {
                return Ok((bytes > 0).then(|| self.line(line, bytes)));
            }
            let end = buffer.iter().position(|b| *b == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            bytes += part.len();
            if bytes <= self.max {
                line.extend_from_slice(part);
            } else {
                line = Vec::new();
            }
            let used = end.map_or(buffer.len(), |end| end + 1);
            AsyncBufRead::consume(std::pin::Pin::new(&mut self.input), used);
            if end.is_some() {
                return Ok(Some(self.line(line, bytes)));
            }
        }
    }

    fn line(&self, mut line: Vec<u8>, bytes: usize) -> Line {
        if bytes > self.max {
            return Line::TooLong { bytes };
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        Line::Whole(line)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::io::Cursor;

    use super::{Line, Lines};

    #[test]
    fn lines_end_at_lf_and_at_the_end_and_long_ones_are_counted_and_dropped() {
        let text = b"one\ntwo\r\n\n12345678\n123456789\nlast";
        let expected = [
            Line::Whole(b"one".to_vec()),
            Line::Whole(b"two".to_vec()),
            Line::Whole(Vec::new()),
            Line::Whole(b"12345678".to_vec()),
            Line::TooLong { bytes: 9 },
            Line::Whole(b"last".to_vec()),
        ];
        let mut lines = Lines::new(Cursor::new(text), 8);
        smol::block_on(async {
            for line in expected {
                assert_eq!(lines.next().await.unwrap(), Some(line));
            }
            assert_eq!(lines.next().await.unwrap(), None);
        });
    }
}
