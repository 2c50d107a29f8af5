//! What every server under test is asked, and what it answers with: the targets, and the messages.
//!
//! | request | answer |
//! |---|---|
//! | `GET /events` | an event stream: a first event without `@` at once, then all that is published |
//! | `POST /publish?n=&size=&rate=` | 200 once `n` messages of `size` bytes are published, `rate` a second (0: at once) |
//! | `GET /stream?n=&size=` | `n` messages to this connection alone, then the end |
//! | `GET /stats` | `{"sessions":N}`: how many event streams are open |
//!
//! The data of a message is `@SEQ:NANOS@` and as many `.` as make it `size` bytes: SEQ counts from 1 in each publish
//! and each stream, NANOS is the monotonic clock when the message was made.

use rustix::time::{ClockId, clock_gettime};

/// The data of the event that tells a client that it is in.
pub const FIRST: &str = "open";

/// Reads the machine's monotonic clock, in nanoseconds; it is the same in all processes.
pub fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}

/// What a query asks for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// How many messages.
    pub n: u64,
    /// The bytes of each message's data.
    pub size: usize,
    /// Messages a second; 0 is as fast as it goes.
    pub rate: u64,
}

impl Ask {
    /// Reads `n=`, `size=` and `rate=` from a query; what is missing is 1 message, 200 bytes, at once.
    pub fn from_query(query: &str) -> Self {
        let number = |key: &str| {
            let value =
                query.split('&').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key);
            value.and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let size = number("size").unwrap_or(200) as usize;
        Self { n: number("n").unwrap_or(1), size, rate: number("rate").unwrap_or(0) }
    }

    /// When message `seq` is due, in nanoseconds after the first.
    pub fn due(&self, seq: u64) -> u64 {
        let elapsed = u128::from(seq - 1) * 1_000_000_000;
        elapsed.checked_div(u128::from(self.rate)).map_or(0, |nanos| nanos as u64)
    }
}

/// Appends the data of message `seq`, made now.
pub fn write_message(out: &mut Vec<u8>, seq: u64, size: usize) {
    let end = out.len() + size;
    out.push(b'@');
    write_decimal(out, seq);
    out.push(b':');
    write_decimal(out, monotonic());
    out.push(b'@');
    if out.len() < end {
        out.resize(end, b'.');
    }
}

/// The data of message `seq`, made now, as text.
pub fn message(seq: u64, size: usize) -> String {
    let mut data = Vec::with_capacity(size.max(48));
    write_message(&mut data, seq, size);
    String::from_utf8(data).unwrap_or_default()
}

/// Appends message `seq` as a whole event.
pub fn write_event(out: &mut Vec<u8>, seq: u64, size: usize) {
    out.extend_from_slice(b"data: ");
    write_message(out, seq, size);
    out.extend_from_slice(b"\n\n");
}

fn write_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A message as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which of its publish or stream it is.
    pub seq: u64,
    /// When it was made, on [`monotonic`].
    pub nanos: u64,
    /// The bytes of its data.
    pub size: usize,
}

/// Finds the message in the data of an event: all of it, or a string in JSON. [`None`] without an `@`.
pub fn arrived(data: &[u8]) -> Option<Arrived> {
    let start = memchr::memchr(b'@', data)?;
    let (seq, rest) = decimal(&data[start + 1..])?;
    let (nanos, rest) = decimal(rest.strip_prefix(b":")?)?;
    let rest = rest.strip_prefix(b"@")?;
    let padding = if start == 0 { rest.len() } else { memchr::memchr(b'"', rest)? };
    let size = data.len() - start - (rest.len() - padding);
    Some(Arrived { seq, nanos, size })
}

fn decimal(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 19 {
        return None;
    }
    let value = bytes[..digits].iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Some((value, &bytes[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_as_it_was_made() {
        for (seq, size) in [(1, 200), (999_999, 64), (12, 30)] {
            let data = message(seq, size);
            let json = format!(r#"{{"a":"{data}","b":1}}"#);
            for data in [data.as_bytes(), json.as_bytes()] {
                let found = arrived(data).unwrap();
                assert_eq!((found.seq, found.size), (seq, size));
                assert!(found.nanos <= monotonic());
            }
        }
        assert_eq!(arrived(FIRST.as_bytes()), None);
    }
}
