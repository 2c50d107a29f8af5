//! [`Run`]: frames that a topic has published, in one piece, as they go over the wire.

use alloc::vec::Vec;

use crate::{EventId, Frame, Framing, LineEnd, Tick, envelope};

/// Frames with their ids, each in its chunk, one behind the other. Once it is shared it never changes.
#[derive(Debug)]
pub(crate) struct Run {
    topic: u64,
    /// The number of its first frame.
    first: u64,
    bytes: Vec<u8>,
    frames: Vec<Place>,
}

/// Where a frame is in the bytes, and since when.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Behind the chunk's size.
    payload: usize,
    /// Behind the chunk.
    end: usize,
    at: Tick,
}

impl Run {
    pub(super) fn new(topic: u64, first: u64) -> Run {
        Run { topic, first, bytes: Vec::new(), frames: Vec::new() }
    }

    pub(super) fn push(&mut self, now: Tick, frame: &Frame, line_end: LineEnd) -> EventId {
        let id = self.id(self.frames.len());
        let begin = self.bytes.len();
        let body = frame.as_bytes();
        self.bytes.reserve(body.len() + envelope::MAX_LEN);
        envelope::open(&mut self.bytes, Framing::Chunked, Some((id, line_end)), body.len());
        let size = self.bytes[begin..].iter().position(|b| *b == b'\n').map_or(0, |at| at + 1);
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(envelope::end(Framing::Chunked));
        self.frames.push(Place { payload: begin + size, end: self.bytes.len(), at: now });
        id
    }

    /// Gives back what more than its frames need.
    pub(super) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.frames.shrink_to_fit();
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many frames it has.
    pub(crate) fn frames(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The number of its first frame.
    pub(super) fn first_seq(&self) -> u64 {
        self.first
    }

    /// The number of the frame behind its last one.
    pub(crate) fn end_seq(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Where the chunk of a frame begins.
    pub(crate) fn begin(&self, frame: usize) -> usize {
        frame.checked_sub(1).map_or(0, |before| self.end(before))
    }

    /// Where it ends.
    pub(crate) fn end(&self, frame: usize) -> usize {
        self.frames.get(frame).map_or(self.bytes.len(), |place| place.end)
    }

    /// A frame and its id, out of its chunk.
    pub(crate) fn payload(&self, frame: usize) -> &[u8] {
        self.frames.get(frame).map_or(&[], |place| {
            &self.bytes[place.payload..place.end - envelope::end(Framing::Chunked).len()]
        })
    }

    /// When a frame was published.
    pub(crate) fn at(&self, frame: usize) -> Tick {
        self.frames.get(frame).map_or(Tick::ZERO, |place| place.at)
    }

    pub(crate) fn id(&self, frame: usize) -> EventId {
        EventId { stream: self.topic, seq: self.first + frame as u64 }
    }

    /// How many frames end within the first `len` bytes.
    pub(crate) fn ended_by(&self, len: usize) -> usize {
        match self.frames.last() {
            Some(last) if last.end <= len => self.frames.len(),
            Some(_) | None => self.frames.partition_point(|place| place.end <= len),
        }
    }
}
