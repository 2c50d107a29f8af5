//! The account of a stream's own entries: what they are, how long, and which of them the socket has taken whole.

use alloc::collections::VecDeque;

use crate::{EventId, Tick};

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

    /// Whether a guard that counts every frame counts it.
    fn is_counted(self) -> bool {
        match self {
            Kind::Event(_) | Kind::KeepAlive => true,
            Kind::Head | Kind::Opening | Kind::Terminator => false,
        }
    }
}

/// One entry: what it is, and its length in bytes, envelope included. The events of a batch are one.
struct Mark {
    len: usize,
    kind: Kind,
    queued_at: Tick,
    /// How many frames it has: one, but for a batch.
    frames: usize,
}

/// What the socket has taken whole.
#[derive(Default)]
pub(super) struct Taken {
    /// The last id among them.
    pub(super) id: Option<EventId>,
    /// How many a guard counts that counts every frame.
    pub(super) counted: usize,
    /// How many were accepted from the application.
    pub(super) accepted: usize,
}

impl Taken {
    fn add(&mut self, kind: Kind, frames: usize) {
        if let Kind::Event(Some(id)) = kind {
            self.id = Some(id);
        }
        if kind.is_counted() {
            self.counted += frames;
        }
        if kind.is_accepted() {
            self.accepted += frames;
        }
    }
}

/// The entries in order.
#[derive(Default)]
pub(super) struct Account {
    /// The first entry stands here: one that is alone needs no room elsewhere.
    first: Option<Mark>,
    later: VecDeque<Mark>,
    /// Of the entries of several frames, how long each frame is but the last.
    lens: VecDeque<usize>,
    /// Bytes of the first frame that the socket has taken.
    begun: usize,
}

impl Account {
    /// An entry of one frame.
    pub(super) fn push(&mut self, queued_at: Tick, kind: Kind, len: usize) {
        self.push_mark(Mark { len, kind, queued_at, frames: 1 });
    }

    /// An entry of as many events as there are `lens`. What opens it counts with the first of them, and what ends it
    /// with the last.
    pub(super) fn push_events(
        &mut self,
        queued_at: Tick,
        open: usize,
        lens: impl ExactSizeIterator<Item = usize>,
        len: usize,
    ) {
        let (frames, first) = (lens.len(), self.lens.len());
        self.lens.extend(lens.take(frames.saturating_sub(1)));
        if let Some(first) = self.lens.get_mut(first) {
            *first += open;
        }
        self.push_mark(Mark { len, kind: Kind::Event(None), queued_at, frames });
    }

    fn push_mark(&mut self, mark: Mark) {
        match self.first {
            None => self.first = Some(mark),
            Some(_) => self.later.push_back(mark),
        }
    }

    /// Since when the first entry waits.
    pub(super) fn oldest(&self) -> Option<Tick> {
        self.first.as_ref().map(|mark| mark.queued_at)
    }

    /// Bytes up to the end of the first frame.
    pub(super) fn first_len(&self) -> usize {
        match (&self.first, self.lens.front()) {
            (Some(mark), Some(len)) if mark.frames > 1 => len - self.begun,
            (Some(mark), _) => mark.len - self.begun,
            (None, _) => 0,
        }
    }

    /// Whether the first entry is a keep-alive of which no byte is out yet.
    pub(super) fn begins_with_unbegun_keep_alive(&self) -> bool {
        self.begun == 0 && self.first.as_ref().is_some_and(|mark| mark.kind == Kind::KeepAlive)
    }

    /// The socket has taken `n` bytes more.
    pub(super) fn advance(&mut self, n: usize, taken: &mut Taken) {
        self.begun += n;
        while let Some(mark) = self.first.take_if(|mark| mark.len <= self.begun) {
            self.begun -= mark.len;
            self.first = self.later.pop_front();
            if mark.frames > 1 {
                self.lens.drain(..mark.frames - 1);
            }
            taken.add(mark.kind, mark.frames);
        }
        if let Some(mark) = &mut self.first {
            while mark.frames > 1
                && let Some(len) = self.lens.front().copied().filter(|len| *len <= self.begun)
            {
                self.lens.pop_front();
                self.begun -= len;
                mark.len -= len;
                mark.frames -= 1;
                taken.add(mark.kind, 1);
            }
        }
    }
}
