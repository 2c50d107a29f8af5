//! What waits to be written: frames in their envelopes, and how far the socket has taken them.
//!
//! Small frames are copied behind each other, so that many of them are one piece of one write. Large ones are
//! shared, and so is what a [`Topic`](crate::Topic) has published: a run of frames is one piece as it is.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::account::{Account, Kind, Taken};
use crate::frame::Measured;
use crate::topic::Run;
use crate::{Batch, Frame, LineEnd, Tick, envelope};

/// Up to this many bytes a frame is copied: less work than one more piece in a write.
const COPIED: usize = 1024;

/// A part that has come to this many bytes grows no further, so that its memory is given back in time.
const PART: usize = 64 * 1024;

/// A queue through which more than this many bytes have gone before it was empty again keeps one part's memory.
const BUSY: usize = 4 * 1024;

/// How the frames of a response are delimited from the connection (RFC 9112 §7.1, §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// As they are: the end of the connection is the end of the response (HTTP/1.0, or under another server).
    Raw,
    /// Each frame in a chunk of its own, or those of a [`Batch`] in one, and a last chunk at the end, so that a cut
    /// stream can be told from a finished one.
    Chunked,
}

/// Bytes in one piece.
enum Part {
    /// The stream's own entries, one behind the other. Only the last part grows.
    Own(Vec<u8>),
    /// The body of an entry whose envelope stands in its neighbours.
    Shared(Frame),
    /// What a topic has published.
    Run { run: Arc<Run>, next: usize, since: Tick },
}

impl Part {
    const EMPTY: Part = Part::Own(Vec::new());

    fn as_bytes(&self) -> &[u8] {
        match self {
            Part::Own(bytes) => bytes,
            Part::Shared(frame) => frame.as_bytes(),
            Part::Run { run, .. } => run.as_bytes(),
        }
    }

    fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    /// Where in its bytes the first entry begins that the stream has to write.
    fn begin(&self) -> usize {
        match self {
            Part::Own(_) | Part::Shared(_) => 0,
            Part::Run { run, next, .. } => run.begin(*next),
        }
    }
}

/// The entries in order, and how much of them is gone.
pub(super) struct Queue {
    /// The first part stands here: what a topic has published needs no room elsewhere.
    front: Part,
    /// Bytes of the first part that the socket has taken.
    taken: usize,
    /// An idle stream has none.
    backlog: Option<Box<Backlog>>,
    /// Bytes that wait.
    len: usize,
    /// Frames that count against the limit and in the close.
    accepted: usize,
    framing: Framing,
    line_end: LineEnd,
}

/// What a queue has but for its first part.
#[derive(Default)]
struct Backlog {
    parts: VecDeque<Part>,
    account: Account,
    /// Bytes of the stream's own entries that were queued since the queue was empty.
    gone_through: usize,
}

impl Queue {
    pub(super) fn new(framing: Framing, line_end: LineEnd) -> Queue {
        Queue { front: Part::EMPTY, taken: 0, backlog: None, len: 0, accepted: 0, framing, line_end }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Pieces that they are in, at the most.
    pub(super) fn parts(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.parts.len()) + 1
    }

    /// Frames of the application's that wait, whole or in part.
    pub(super) fn accepted(&self) -> usize {
        self.accepted
    }

    /// Since when the first entry waits.
    pub(super) fn oldest(&self) -> Option<Tick> {
        match &self.front {
            Part::Run { run, next, since } => Some(run.at(*next).max(*since)),
            Part::Own(_) | Part::Shared(_) => self.backlog.as_ref()?.account.oldest(),
        }
    }

    pub(super) fn push_head(&mut self, now: Tick, head: Box<[u8]>) {
        let len = head.len();
        self.len += len;
        self.push_part(Part::Own(head.into_vec()));
        self.mark(now, Kind::Head, len);
    }

    pub(super) fn push_frame(&mut self, now: Tick, kind: Kind, frame: &Frame) {
        let id = match kind {
            Kind::Event(Some(id)) => Some((id, self.line_end)),
            Kind::Event(None) | Kind::Opening | Kind::Head | Kind::KeepAlive | Kind::Terminator => None,
        };
        let (framing, bytes) = (self.framing, frame.as_bytes());
        let before = self.len;
        if bytes.len() <= COPIED {
            self.append(|out| {
                make_room(out, bytes.len() + envelope::MAX_LEN);
                envelope::open(out, framing, id, bytes.len());
                out.extend_from_slice(bytes);
                out.extend_from_slice(envelope::end(framing));
            });
        } else {
            self.append(|out| envelope::open(out, framing, id, bytes.len()));
            self.len += bytes.len();
            self.push_part(Part::Shared(frame.clone()));
            self.append(|out| out.extend_from_slice(envelope::end(framing)));
        }
        self.mark(now, kind, self.len - before);
    }

    /// Queues an event that is encoded where it waits.
    pub(super) fn push_event(&mut self, now: Tick, event: &Measured<'_>) {
        let (framing, before) = (self.framing, self.len);
        self.append(|out| {
            make_room(out, event.len() + envelope::MAX_LEN);
            envelope::open(out, framing, None, event.len());
            event.write(out);
            out.extend_from_slice(envelope::end(framing));
        });
        self.mark(now, Kind::Event(None), self.len - before);
    }

    /// Queues the first `events` of a batch in one chunk.
    pub(super) fn push_batch(&mut self, now: Tick, batch: &mut Batch, events: usize) {
        let (framing, before, bytes) = (self.framing, self.len, batch.first(events));
        let mut open = 0;
        self.append(|out| {
            make_room(out, bytes.len() + envelope::MAX_LEN);
            let before = out.len();
            envelope::open(out, framing, None, bytes.len());
            open = out.len() - before;
            out.extend_from_slice(bytes);
            out.extend_from_slice(envelope::end(framing));
        });
        let len = self.len - before;
        self.accepted += events;
        self.own(len).push_events(now, open, batch.lens(events), len);
        batch.advance(events);
    }

    /// Queues what a topic has published, from the frame `next` of `run` on; `since` is when the stream began to
    /// follow it.
    pub(super) fn push_run(&mut self, run: Arc<Run>, next: usize, since: Tick) {
        match self.framing {
            Framing::Chunked => {
                self.accepted += run.frames() - next;
                self.len += run.as_bytes().len() - run.begin(next);
                self.push_part(Part::Run { run, next, since });
            }
            // A topic's frames stand in their chunks: without them they are copied.
            Framing::Raw => {
                for frame in next..run.frames() {
                    let before = self.len;
                    self.append(|out| out.extend_from_slice(run.payload(frame)));
                    let kind = Kind::Event(Some(run.id(frame)));
                    self.mark(run.at(frame).max(since), kind, self.len - before);
                }
            }
        }
    }

    /// Queues the end of the body, if this framing has one.
    pub(super) fn push_terminator(&mut self, now: Tick) {
        let terminator = envelope::terminator(self.framing);
        if !terminator.is_empty() {
            self.append(|out| out.extend_from_slice(terminator));
            self.mark(now, Kind::Terminator, terminator.len());
        }
    }

    /// Takes back a keep-alive of which no byte is out yet. It is only ever queued alone.
    pub(super) fn drop_unbegun_keep_alive(&mut self) {
        if self.backlog.as_ref().is_some_and(|backlog| backlog.account.begins_with_unbegun_keep_alive()) {
            self.clear();
        }
    }

    /// Lets the last part grow, or begins another one.
    fn append(&mut self, more: impl FnOnce(&mut Vec<u8>)) {
        let last = self.backlog.as_mut().and_then(|backlog| backlog.parts.back_mut());
        match last.unwrap_or(&mut self.front) {
            Part::Own(bytes) if bytes.len() < PART => {
                let before = bytes.len();
                more(bytes);
                self.len += bytes.len() - before;
            }
            Part::Own(_) | Part::Shared(_) | Part::Run { .. } => {
                let mut bytes = Vec::new();
                more(&mut bytes);
                if !bytes.is_empty() {
                    self.len += bytes.len();
                    self.push_part(Part::Own(bytes));
                }
            }
        }
    }

    /// The caller counts its bytes.
    fn push_part(&mut self, part: Part) {
        if self.front.is_empty() {
            self.taken = part.begin();
            self.front = part;
        } else {
            self.backlog.get_or_insert_default().parts.push_back(part);
        }
    }

    /// The last `len` bytes that were queued are an entry.
    fn mark(&mut self, queued_at: Tick, kind: Kind, len: usize) {
        self.accepted += usize::from(kind.is_accepted());
        self.own(len).push(queued_at, kind, len);
    }

    /// The account, for an entry of `len` bytes.
    fn own(&mut self, len: usize) -> &mut Account {
        let backlog = self.backlog.get_or_insert_default();
        backlog.gone_through += len;
        &mut backlog.account
    }

    /// Moves on by `n` bytes, or by all that wait if that is less.
    pub(super) fn advance(&mut self, n: usize) -> Taken {
        let mut left = n.min(self.len);
        self.len -= left;
        let mut taken = Taken::default();
        while left > 0 {
            let rest = self.front.as_bytes().len() - self.taken;
            let step = rest.min(left);
            left -= step;
            self.taken += step;
            match &mut self.front {
                Part::Run { run, next, .. } => {
                    let ended = run.ended_by(self.taken);
                    if ended > *next {
                        taken.id = Some(run.id(ended - 1));
                        taken.counted += ended - *next;
                        taken.accepted += ended - *next;
                        *next = ended;
                    }
                }
                Part::Own(_) | Part::Shared(_) => {
                    if let Some(backlog) = &mut self.backlog {
                        backlog.account.advance(step, &mut taken);
                    }
                }
            }
            if step == rest {
                match self.backlog.as_mut().and_then(|backlog| backlog.parts.pop_front()) {
                    Some(next) => {
                        self.taken = next.begin();
                        self.front = next;
                    }
                    None => self.rest_empty(),
                }
            }
        }
        self.accepted -= taken.accepted;
        taken
    }

    /// All is taken. The memory goes back, for a stream may be idle for hours; but not in the middle of work: then it
    /// goes back behind the first few bytes that stand alone, such as a keep-alive.
    fn rest_empty(&mut self) {
        match (&mut self.front, &mut self.backlog) {
            (Part::Own(bytes), Some(backlog)) if backlog.gone_through > BUSY => {
                bytes.clear();
                (self.taken, backlog.gone_through) = (0, 0);
            }
            _ => (self.front, self.taken, self.backlog) = (Part::EMPTY, 0, None),
        }
    }

    /// Bytes up to the end of the first frame.
    fn first_len(&self) -> usize {
        match &self.front {
            Part::Run { run, next, .. } => run.end(*next) - self.taken,
            Part::Own(_) | Part::Shared(_) => {
                self.backlog.as_ref().map_or(0, |backlog| backlog.account.first_len())
            }
        }
    }

    /// Gives all memory back.
    pub(super) fn clear(&mut self) {
        *self = Queue::new(self.framing, self.line_end);
    }
}

/// Makes room for an entry: just enough for one that stands alone.
fn make_room(out: &mut Vec<u8>, len: usize) {
    if out.capacity() == 0 {
        out.reserve_exact(len);
    } else {
        out.reserve(len);
    }
}

/// The bytes to write now, lent by the stream.
///
/// Offer [`pieces`](Self::pieces) in order, as many as one vectored write takes; tell how many bytes were
/// taken with [`handle_wrote`](crate::EventStream::handle_wrote).
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    queue: &'a Queue,
    len: usize,
}

impl<'a> Transmit<'a> {
    pub(super) fn all(queue: &'a Queue) -> Transmit<'a> {
        Transmit { queue, len: queue.len }
    }

    /// What is left of the first entry.
    pub(super) fn first(queue: &'a Queue) -> Transmit<'a> {
        Transmit { queue, len: queue.first_len() }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// How many bytes are offered.
    #[must_use]
    pub fn len(self) -> usize {
        self.len
    }

    /// The bytes as slices, in order; none of them empty.
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let front = &self.queue.front.as_bytes()[self.queue.taken..];
        let behind = self.queue.backlog.iter().flat_map(|backlog| &backlog.parts);
        let behind = behind.map(|part| &part.as_bytes()[part.begin()..]);
        let mut left = self.len;
        core::iter::once(front).chain(behind).map_while(move |piece| {
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            Some(piece).filter(|piece| !piece.is_empty())
        })
    }
}

impl core::fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Transmit({} bytes)", self.len())
    }
}
