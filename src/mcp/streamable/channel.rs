//! [`Channel`]: what the server says to one request, or on a session's own stream, over as many responses as it takes.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::subscription::Filter;
use super::{CallId, ExchangeId, StreamableLimits};
use crate::mcp::{Message, Revision, SessionId};
use crate::{Cursor, EventId, EventStream, Frame, Journal, PushError, ReplayError, Tick};

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) session: Option<SessionId>,
    pub(super) revision: Revision,
    pub(super) purpose: Purpose,
    pub(super) phase: Phase,
    pub(super) log: Log,
    /// The exchange that speaks for it, or will.
    pub(super) attached: Option<ExchangeId>,
    /// The exchange that takes its place, once it is known what the present one's socket took.
    pub(super) successor: Option<ExchangeId>,
    /// Requests that are not answered yet.
    pub(super) calls: BTreeSet<CallId>,
    /// Who was refused for want of room.
    pub(super) blocked: Blocked,
    /// The present response is to end, and the client to come again after this long.
    pub(super) poll: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Purpose {
    /// The answer to a POST.
    Answer {
        /// The body was an array.
        batch: bool,
    },
    /// The session's own stream, of `GET`.
    Own,
    /// A subscription that is served here.
    Subscription(Filter),
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Whether it becomes a stream is open; these responses wait for others of their batch.
    Held(Vec<Message>),
    /// It is a stream.
    Speaking,
    /// It is a stream, and all is said.
    Done,
}

/// What was refused for want of room: the length of the smallest frame of either kind. Who is told of room for less
/// comes in vain, and again, for as long as no socket takes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Blocked {
    response: Option<usize>,
    other: Option<usize>,
}

/// What was said, and how far the response has it.
#[derive(Debug)]
pub(super) enum Log {
    Kept(Kept),
    /// For one response only.
    Passing {
        waiting: VecDeque<Frame>,
        bytes: usize,
    },
}

#[derive(Debug)]
pub(super) struct Kept {
    journal: Journal,
    born: VecDeque<Tick>,
    next: Cursor,
    /// The last event that a socket took whole.
    delivered: EventId,
}

impl Log {
    pub(super) fn new(revision: Revision, number: u64, limits: &StreamableLimits) -> Log {
        if !revision.rules().resumable {
            return Log::Passing { waiting: VecDeque::new(), bytes: 0 };
        }
        // Behind the frames that there is room for, each request of a batch has a place for its response.
        let frames = limits.replay_frames.saturating_add(limits.max_batch.get());
        let journal = Journal::new(number, frames, limits.replay_bytes);
        let (next, delivered) = (journal.tail(), journal.last_id());
        Log::Kept(Kept { journal, born: VecDeque::new(), next, delivered })
    }

    /// Whether `len` bytes more can be kept with nothing lost that no socket took. A response always has its place
    /// among the frames: others leave it free.
    pub(super) fn has_room(&self, len: usize, is_response: bool, limits: &StreamableLimits) -> bool {
        let (frames, fits) = match self {
            Log::Passing { waiting, bytes } => {
                (waiting.len(), waiting.is_empty() || bytes + len <= limits.replay_bytes.get())
            }
            Log::Kept(kept) => {
                let waiting = kept.journal.last_id().seq - kept.delivered.seq;
                let unread = kept.journal.resume(kept.delivered);
                let fits = unread.is_ok_and(|unread| kept.journal.has_room(len, &unread));
                (usize::try_from(waiting).unwrap_or(usize::MAX), fits)
            }
        };
        fits && (is_response || frames < limits.replay_frames.get())
    }

    /// Appends a frame; `past` the limits, where it must not take the place of another.
    pub(super) fn append(&mut self, now: Tick, frame: Frame, past: bool) {
        match self {
            Log::Passing { waiting, bytes } => {
                *bytes += frame.as_bytes().len();
                waiting.push_back(frame);
            }
            Log::Kept(kept) => {
                if past {
                    kept.journal.append_past(frame);
                } else {
                    kept.journal.append(frame);
                }
                kept.born.push_back(now);
                while kept.born.len() > kept.held() {
                    kept.born.pop_front();
                }
            }
        }
    }

    /// Whether such a frame waits already.
    pub(super) fn has_waiting(&self, frame: &Frame) -> bool {
        match self {
            Log::Passing { waiting, .. } => waiting.contains(frame),
            Log::Kept(_) => false,
        }
    }

    /// Whether the response has all that was said.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Log::Passing { waiting, .. } => waiting.is_empty(),
            Log::Kept(kept) => kept.next == kept.journal.tail(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Log::Passing { waiting, .. } => waiting.is_empty(),
            Log::Kept(kept) => kept.journal.oldest().is_none(),
        }
    }

    /// Moves what the stream has room for into it.
    pub(super) fn fill(&mut self, now: Tick, stream: &mut EventStream) -> Result<(), ReplayError> {
        match self {
            Log::Passing { waiting, bytes } => {
                while let Some(frame) = waiting.pop_front() {
                    let len = frame.as_bytes().len();
                    match stream.push(now, frame) {
                        Ok(()) => *bytes -= len,
                        Err(PushError::Full(frame) | PushError::Closed(frame)) => {
                            waiting.push_front(frame);
                            break;
                        }
                    }
                }
                Ok(())
            }
            Log::Kept(kept) => {
                kept.saw(stream.last_delivered());
                kept.next.fill(now, &kept.journal, stream).map(|_| ())
            }
        }
    }

    /// A socket took all up to this event.
    pub(super) fn saw(&mut self, last: Option<EventId>) {
        if let Log::Kept(kept) = self {
            kept.saw(last);
        }
    }

    /// The next response goes on behind this event.
    pub(super) fn resume(&mut self, last: EventId) -> Result<(), ReplayError> {
        match self {
            Log::Passing { .. } => Err(ReplayError::OtherStream),
            Log::Kept(kept) => {
                kept.next = kept.journal.resume(last)?;
                // What the client says counts for more than what the socket of an older response took.
                kept.delivered = last;
                Ok(())
            }
        }
    }

    /// The next response goes on with the oldest event that is held.
    pub(super) fn reset(&mut self) {
        if let Log::Kept(kept) = self {
            let seq = kept.journal.oldest().map_or(kept.journal.last_id().seq, |oldest| oldest.seq - 1);
            let before = EventId { seq, ..kept.journal.last_id() };
            kept.next = kept.journal.resume(before).unwrap_or_else(|_| kept.journal.tail());
        }
    }

    /// The next response goes on behind what a socket took.
    pub(super) fn rewind(&mut self) {
        if let Log::Kept(kept) = self {
            match kept.journal.resume(kept.delivered) {
                Ok(next) => kept.next = next,
                Err(_) => self.reset(),
            }
        }
    }

    /// The id of the event that a response begins with, in front of all that there is to say. Its number 0 is given
    /// out once; later, where nothing waits that has an id itself, the beginning is an event like any other.
    pub(super) fn prime(&mut self, now: Tick) -> Option<EventId> {
        let Log::Kept(kept) = self else { return None };
        let start = EventId { seq: 0, ..kept.delivered };
        if kept.delivered == start && kept.journal.resume(start).is_ok_and(|next| next == kept.next) {
            return Some(start);
        }
        if self.is_drained() {
            self.append(now, Frame::priming(), false);
        }
        None
    }

    /// Its number in event ids.
    #[cfg(feature = "sim")]
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Log::Kept(kept) => Some(kept.delivered.stream),
            Log::Passing { .. } => None,
        }
    }

    /// When its oldest event was said.
    pub(super) fn oldest_born(&self) -> Option<Tick> {
        match self {
            Log::Kept(kept) => kept.born.front().copied(),
            Log::Passing { .. } => None,
        }
    }

    /// Forgets what is older than `age`; what a response has yet to read stays while there is one. Says how many of
    /// these no socket took.
    pub(super) fn expire(&mut self, now: Tick, age: Duration, is_read: bool) -> usize {
        let Log::Kept(kept) = self else { return 0 };
        let mut lost = 0;
        while let (Some(born), Some(oldest)) = (kept.born.front(), kept.journal.oldest()) {
            let before = EventId { seq: oldest.seq - 1, ..oldest };
            let is_unread = kept.journal.resume(before).is_ok_and(|at| at == kept.next);
            if *born + age > now || (is_read && is_unread) {
                break;
            }
            lost += usize::from(oldest.seq > kept.delivered.seq);
            kept.born.pop_front();
            kept.journal.drop_oldest();
            kept.saw(Some(oldest));
            if is_unread {
                kept.next = kept.journal.resume(oldest).unwrap_or_else(|_| kept.journal.tail());
            }
        }
        lost
    }
}

impl Kept {
    fn held(&self) -> usize {
        let first = self.journal.oldest().map_or(self.journal.last_id().seq + 1, |oldest| oldest.seq);
        usize::try_from(self.journal.last_id().seq + 1 - first).unwrap_or(usize::MAX)
    }

    fn saw(&mut self, last: Option<EventId>) {
        let own = last.filter(|last| last.stream == self.delivered.stream);
        self.delivered = self.delivered.max(own.unwrap_or(self.delivered));
    }
}

impl Blocked {
    pub(super) fn is_any(self) -> bool {
        self != Blocked::default()
    }
}

impl Channel {
    /// A frame of this length found no room.
    pub(super) fn block(&mut self, len: usize, is_response: bool) {
        let least = if is_response { &mut self.blocked.response } else { &mut self.blocked.other };
        *least = Some(least.map_or(len, |least| least.min(len)));
    }

    /// Whether there is room again for something that was refused; then nobody counts as refused any more.
    pub(super) fn unblock(&mut self, limits: &StreamableLimits) -> bool {
        let fits = |len: Option<usize>, is_response| {
            len.is_some_and(|len| self.log.has_room(len, is_response, limits))
        };
        let has_room = fits(self.blocked.response, true) || fits(self.blocked.other, false);
        if has_room {
            self.blocked = Blocked::default();
        }
        has_room
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.phase, Phase::Held(_))
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done)
    }
}
