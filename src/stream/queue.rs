//! What waits to be written: a queue of frames in their envelopes, and how far the socket has taken it.

use alloc::collections::VecDeque;

use crate::decimal::{self, DECIMAL_LEN};
use crate::{EventId, Frame, LineEnd, Tick};

/// How the frames of a response are delimited from the connection (RFC 9112 §7.1, §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// As they are: the end of the connection is the end of the response (HTTP/1.0, or under another server).
    Raw,
    /// Each frame in a chunk of its own, and a last chunk at the end, so that a cut stream can be told from a
    /// finished one.
    Chunked,
}

/// The bytes in front of a shared frame that are its stream's own: chunk size and id line.
#[derive(Clone, Copy)]
struct Prefix {
    len: u8,
    bytes: [u8; Prefix::CAPACITY],
}

impl Prefix {
    /// The longest chunk size and the longest id.
    const CAPACITY: usize = b"ffffffffffffffff\r\nid: ffffffffffffffff.18446744073709551615\r\n".len();
    const EMPTY: Prefix = Prefix { len: 0, bytes: [0; Prefix::CAPACITY] };

    fn put(&mut self, text: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + text.len()].copy_from_slice(text);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the capacity is below 256, and the copy has checked it"
        )]
        {
            self.len = (at + text.len()) as u8;
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "one digit is wanted")]
    fn put_hex(&mut self, n: u64) {
        let digits = (u64::BITS - n.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            self.put(&[b"0123456789abcdef"[usize::from((n >> (digit * 4)) as u8 & 0xf)]]);
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// What an entry is to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The head of the response.
    Head,
    /// A frame that opens the stream: the application's, but no sign of a rapid one.
    Opening,
    /// A frame of the application's.
    Event(Option<EventId>),
    /// A keep-alive.
    KeepAlive,
    /// The end of a chunked body.
    Terminator,
}

impl Kind {
    /// Whether it was accepted from the application, and so must be accounted for in the close.
    pub(super) fn is_accepted(self) -> bool {
        match self {
            Kind::Opening | Kind::Event(_) => true,
            Kind::Head | Kind::KeepAlive | Kind::Terminator => false,
        }
    }
}

enum Body {
    Frame(Frame),
    Head(alloc::boxed::Box<[u8]>),
    Static(&'static [u8]),
}

impl Body {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Body::Frame(frame) => frame.as_bytes(),
            Body::Head(head) => head,
            Body::Static(bytes) => bytes,
        }
    }
}

struct Entry {
    prefix: Prefix,
    body: Body,
    end: &'static [u8],
    kind: Kind,
    queued_at: Tick,
}

impl Entry {
    fn parts(&self) -> [&[u8]; 3] {
        [self.prefix.as_bytes(), self.body.as_bytes(), self.end]
    }

    fn len(&self) -> usize {
        self.parts().iter().map(|part| part.len()).sum()
    }
}

/// A whole entry that the socket has taken.
pub(super) struct Taken {
    pub(super) kind: Kind,
}

/// The entries in order, and how many bytes of the first one are gone.
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Bytes of the first entry that the socket has taken.
    taken: usize,
    /// Bytes of all entries, less `taken`.
    len: usize,
    /// Entries that count against the limit and in the close.
    accepted: usize,
    framing: Framing,
    line_end: LineEnd,
}

impl Queue {
    pub(super) fn new(framing: Framing, line_end: LineEnd) -> Queue {
        Queue { entries: VecDeque::new(), taken: 0, len: 0, accepted: 0, framing, line_end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Frames of the application's that wait, whole or in part.
    pub(super) fn accepted(&self) -> usize {
        self.accepted
    }

    /// When the first entry was queued.
    pub(super) fn oldest(&self) -> Option<Tick> {
        self.entries.front().map(|entry| entry.queued_at)
    }

    pub(super) fn push_head(&mut self, now: Tick, head: alloc::boxed::Box<[u8]>) {
        self.push(now, Kind::Head, Body::Head(head), Prefix::EMPTY, b"");
    }

    pub(super) fn push_frame(&mut self, now: Tick, kind: Kind, frame: Frame) {
        let mut id_line = Prefix::EMPTY;
        if let Kind::Event(Some(id)) = kind {
            id_line.put(b"id: ");
            id_line.put_hex(id.stream);
            id_line.put(b".");
            id_line.put(decimal::format(&mut [0; DECIMAL_LEN], id.seq));
            id_line.put(self.line_end.as_bytes());
        }
        let (prefix, end): (Prefix, &'static [u8]) = match self.framing {
            Framing::Raw => (id_line, b""),
            Framing::Chunked => {
                let mut chunk = Prefix::EMPTY;
                chunk.put_hex((id_line.as_bytes().len() + frame.as_bytes().len()) as u64);
                chunk.put(b"\r\n");
                chunk.put(id_line.as_bytes());
                (chunk, b"\r\n")
            }
        };
        self.push(now, kind, Body::Frame(frame), prefix, end);
    }

    /// Queues the end of the body, if this framing has one.
    pub(super) fn push_terminator(&mut self, now: Tick) {
        match self.framing {
            Framing::Raw => {}
            Framing::Chunked => {
                self.push(now, Kind::Terminator, Body::Static(b"0\r\n\r\n"), Prefix::EMPTY, b"")
            }
        }
    }

    /// Takes back a keep-alive of which no byte is out yet.
    pub(super) fn drop_unbegun_keep_alive(&mut self) {
        if self.taken == 0 && self.entries.front().is_some_and(|entry| entry.kind == Kind::KeepAlive) {
            self.len -= self.entries.pop_front().map_or(0, |entry| entry.len());
        }
    }

    fn push(&mut self, queued_at: Tick, kind: Kind, body: Body, prefix: Prefix, end: &'static [u8]) {
        let entry = Entry { prefix, body, end, kind, queued_at };
        self.len += entry.len();
        self.accepted += usize::from(kind.is_accepted());
        self.entries.push_back(entry);
    }

    /// Moves on by up to `*n` bytes, to the end of the first entry at the most; gives the entry back once it
    /// is taken whole, and leaves in `*n` what is still to be moved.
    pub(super) fn advance(&mut self, n: &mut usize) -> Option<Taken> {
        let rest = self.entries.front()?.len() - self.taken;
        let step = rest.min(*n);
        *n -= step;
        self.len -= step;
        self.taken += step;
        if step < rest {
            return None;
        }
        self.taken = 0;
        let entry = self.entries.pop_front()?;
        self.accepted -= usize::from(entry.kind.is_accepted());
        Some(Taken { kind: entry.kind })
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self) {
        self.entries = VecDeque::new();
        self.taken = 0;
        self.len = 0;
        self.accepted = 0;
    }
}

/// The bytes to write now, lent by the stream.
///
/// Offer [`pieces`](Self::pieces) in order, as many as one vectored write takes; tell how many bytes were
/// taken with [`handle_wrote`](crate::EventStream::handle_wrote).
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    queue: &'a Queue,
    /// Entries that may be offered.
    entries: usize,
}

impl<'a> Transmit<'a> {
    pub(super) fn new(queue: &'a Queue, entries: usize) -> Transmit<'a> {
        Transmit { queue, entries }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.queue.is_empty()
    }

    /// How many bytes are offered.
    #[must_use]
    pub fn len(self) -> usize {
        let queue = self.queue;
        if self.entries >= queue.entries.len() {
            return queue.len;
        }
        queue.entries.iter().take(self.entries).map(Entry::len).sum::<usize>() - queue.taken
    }

    /// The bytes as slices, in order; none of them empty.
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let mut skip = self.queue.taken;
        self.queue.entries.iter().take(self.entries).flat_map(Entry::parts).filter_map(move |part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            Some(&part[skipped..]).filter(|rest| !rest.is_empty())
        })
    }
}

impl core::fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Transmit({} bytes)", self.len())
    }
}
