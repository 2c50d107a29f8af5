//! What stands around a frame on the wire: the chunk that holds it (RFC 9112 §7.1), and the id line in front of it.

use alloc::vec::Vec;

use crate::decimal::{self, DECIMAL_LEN};
use crate::{EventId, Framing, LineEnd};

/// The longest envelope: the largest chunk size, the longest id, and all line ends.
pub(crate) const MAX_LEN: usize =
    b"ffffffffffffffff\r\nid: ffffffffffffffff.18446744073709551615\r\n\r\n".len();

/// The largest text of a `u64` in hexadecimal.
const HEX_LEN: usize = 16;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends what stands in front of a frame of `len` bytes.
pub(crate) fn open(out: &mut Vec<u8>, framing: Framing, id: Option<(EventId, LineEnd)>, len: usize) {
    match id {
        None => open_chunk(out, framing, len),
        Some((id, line_end)) => {
            let mut line = IdLine::EMPTY;
            line.set(id, line_end);
            open_chunk(out, framing, line.as_bytes().len() + len);
            out.extend_from_slice(line.as_bytes());
        }
    }
}

fn open_chunk(out: &mut Vec<u8>, framing: Framing, len: usize) {
    match framing {
        Framing::Raw => {}
        Framing::Chunked => {
            for digit in (0..=len.checked_ilog2().unwrap_or(0) / 4).rev() {
                out.push(HEX[len >> (4 * digit) & 0xF]);
            }
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// What stands behind a frame.
pub(crate) const fn end(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Raw => b"",
        Framing::Chunked => b"\r\n",
    }
}

/// The end of the body.
pub(crate) const fn terminator(framing: Framing) -> &'static [u8] {
    match framing {
        Framing::Raw => b"",
        Framing::Chunked => b"0\r\n\r\n",
    }
}

/// `id: 2a.7`, and its line end.
struct IdLine {
    len: usize,
    bytes: [u8; IdLine::CAPACITY],
}

impl IdLine {
    const CAPACITY: usize = b"id: ffffffffffffffff.18446744073709551615\r\n".len();
    const EMPTY: IdLine = IdLine { len: 0, bytes: [0; IdLine::CAPACITY] };

    fn set(&mut self, id: EventId, line_end: LineEnd) {
        self.put(b"id: ");
        self.put(hex(&mut [0; HEX_LEN], id.stream));
        self.put(b".");
        self.put(decimal::format(&mut [0; DECIMAL_LEN], id.seq));
        self.put(line_end.as_bytes());
    }

    fn put(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Writes `n` in hexadecimal into the end of `buffer`; gives back how many digits it has.
fn put_hex(buffer: &mut [u8], mut n: u64) -> usize {
    let mut digits = 0;
    for place in buffer.iter_mut().rev() {
        *place = HEX[(n % 16) as usize];
        digits += 1;
        n /= 16;
        if n == 0 {
            break;
        }
    }
    digits
}

fn hex(buffer: &mut [u8; HEX_LEN], n: u64) -> &[u8] {
    let digits = put_hex(buffer, n);
    &buffer[HEX_LEN - digits..]
}
