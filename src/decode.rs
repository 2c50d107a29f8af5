//! [`Decoder`]: bytes of a `text/event-stream` into events, incrementally (HTML §9.2.5 and §9.2.6).

mod event;
mod text;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::num::NonZeroUsize;
use core::time::Duration;

use memchr::{memchr, memchr2};

use crate::LastEventId;
pub use event::{Event, EventRef};

/// What a buffer may keep while it is empty and the decoder waits for input, in bytes.
const KEEP: usize = 4096;

/// What [`Decoder::decode`] found. Lent until the next call.
///
/// ```
/// use core::num::NonZeroUsize;
/// use core::time::Duration;
/// use sansio_sse::{Decoded, Decoder};
///
/// let mut decoder = Decoder::new(NonZeroUsize::MAX);
/// let mut input = &b": still here\nretry: 250\n"[..];
/// assert_eq!(decoder.decode(&mut input), Some(Ok(Decoded::Comment(" still here"))));
/// assert_eq!(decoder.decode(&mut input), Some(Ok(Decoded::Retry(Duration::from_millis(250)))));
/// assert_eq!(decoder.decode(&mut input), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A blank line ended an event that has at least one `data` field.
    Event(EventRef<'a>),
    /// A `retry` field of ASCII digits, as the server sent it: not clamped, and in force from this line on.
    /// Milliseconds beyond `u64::MAX` saturate.
    Retry(Duration),
    /// A comment line without its colon, in full: no space is removed. Most are keep-alives, and empty.
    ///
    /// The standard ignores comments (§9.2.6); to do so, ignore this variant.
    Comment(&'a str),
}

/// The stream sent more for one event than the [`Decoder`] may hold.
///
/// ```
/// use sansio_sse::TooLarge;
///
/// assert_eq!(TooLarge::Event { limit: 9 }.to_string(), "an event needs more than 9 bytes to be held");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TooLarge {
    /// One event, or one line of any kind, passed the limit that was given to [`Decoder::new`].
    Event {
        /// That limit, in bytes.
        limit: usize,
    },
    /// An `id` passed [`LastEventId::MAX_LEN`].
    LastEventId {
        /// That limit, in bytes.
        limit: usize,
    },
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { limit } => write!(f, "an event needs more than {limit} bytes to be held"),
            Self::LastEventId { limit } => write!(f, "an event id is longer than {limit} bytes"),
        }
    }
}

impl core::error::Error for TooLarge {}

/// Decodes one `text/event-stream` body, in pieces of any size.
///
/// Every event comes out with the byte that completes it: a CR ends a line at once, and an LF that follows it,
/// even in a later piece, belongs to it. How the input is cut never shows in what comes out. What the stream
/// leaves unfinished at its end is dropped, with its id (§9.2.6): there is nothing to call then.
///
/// Bytes that are not UTF-8 become U+FFFD as in the Encoding Standard; one leading byte order mark is removed.
///
/// # Bounds
/// At any time the line that has come in so far, the data and the type of the current event (as UTF-8, a line
/// feed for each `data` line) must together stay within the limit; passing it is [`TooLarge`]. Comments and
/// unknown fields count only while their own line lasts, so keep-alives never add up. An id counts by its line,
/// and has [`LastEventId::MAX_LEN`] besides. When `decode` returns `None`, empty buffers above 4 KiB are freed.
///
/// Time is linear in the input, however it is cut.
///
/// ```
/// use core::num::NonZeroUsize;
/// use sansio_sse::{Decoded, Decoder};
///
/// let mut decoder = Decoder::new(NonZeroUsize::MAX);
/// let mut seen = Vec::new();
/// for mut piece in [&b"id: 4\r\nda"[..], b"ta: caf\xC3", b"\xA9\r\n\r", b"\ndata: lost"] {
///     while let Some(decoded) = decoder.decode(&mut piece) {
///         if let Decoded::Event(event) = decoded? {
///             seen.push(event.to_event());
///         }
///     }
/// }
/// assert_eq!(seen.len(), 1);
/// assert_eq!(seen[0].data, "café");
/// # Ok::<(), sansio_sse::TooLarge>(())
/// ```
pub struct Decoder {
    limit: NonZeroUsize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The last line ended in CR, so an LF that comes next is part of that line end.
    after_cr: bool,
    /// No line has ended yet, so a byte order mark may lead this one.
    first_line: bool,
    /// The data buffer, an LF after each line; without the last LF while `lent`.
    data: String,
    event_type: String,
    /// The text of the last comment, until the next call.
    comment: String,
    /// `data` and `event_type` were handed out as an event; the next call clears them.
    lent: bool,
    /// The id that an `id` field set and no blank line has confirmed.
    new_id: Option<LastEventId>,
    /// An old id, for its memory.
    spare_id: LastEventId,
    last_event_id: LastEventId,
    failed: Option<TooLarge>,
}

/// What a line led to; the [`Decoded`] that borrows is made from it afterwards.
pub(crate) enum Found {
    Event,
    Retry(Duration),
    Comment,
}

impl Decoder {
    /// A decoder at the start of a body, which holds at most `limit` bytes for one event; see *Bounds* above.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use sansio_sse::{Decoder, TooLarge};
    ///
    /// let mut decoder = Decoder::new(NonZeroUsize::new(8).ok_or("zero")?);
    /// assert_eq!(decoder.decode(&mut &b"data:123"[..]), None);
    /// assert_eq!(decoder.decode(&mut &b"4"[..]), Some(Err(TooLarge::Event { limit: 8 })));
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn new(limit: NonZeroUsize) -> Decoder {
        Decoder {
            limit,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            data: String::new(),
            event_type: String::new(),
            comment: String::new(),
            lent: false,
            new_id: None,
            spare_id: LastEventId::unset(),
            last_event_id: LastEventId::unset(),
            failed: None,
        }
    }

    /// A decoder that already knows a last event id, such as one stored from an earlier run.
    ///
    /// Events that set no id of their own carry this one.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use sansio_sse::{Decoder, LastEventId};
    ///
    /// let id = LastEventId::new("41")?;
    /// let decoder = Decoder::resume(NonZeroUsize::MIN, id.clone());
    /// assert_eq!(decoder.last_event_id(), Some(&id));
    /// # Ok::<(), sansio_sse::LastEventIdError>(())
    /// ```
    #[must_use]
    pub fn resume(limit: NonZeroUsize, last_event_id: LastEventId) -> Decoder {
        Decoder { last_event_id, ..Decoder::new(limit) }
    }

    /// Takes bytes from the front of `input` up to the next event, retry time or comment.
    ///
    /// `None` means that all of `input` was taken and nothing more is complete; otherwise call again with what is
    /// left of it.
    ///
    /// # Errors
    /// [`TooLarge`] when the stream passes a limit. That is final: all memory is freed, `input` stays as it is,
    /// and every further call returns the same, until [`reset`](Self::reset).
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use sansio_sse::{Decoded, Decoder};
    ///
    /// let mut decoder = Decoder::new(NonZeroUsize::MAX);
    /// let mut input = &b"data: 1\n\ndata: 2\n\ndata: 3"[..];
    /// assert!(matches!(decoder.decode(&mut input), Some(Ok(Decoded::Event(e))) if e.data == "1"));
    /// assert_eq!(input, b"data: 2\n\ndata: 3");
    /// assert!(matches!(decoder.decode(&mut input), Some(Ok(Decoded::Event(e))) if e.data == "2"));
    /// assert_eq!(decoder.decode(&mut input), None);
    /// assert!(input.is_empty());
    /// ```
    pub fn decode(&mut self, input: &mut &[u8]) -> Option<Result<Decoded<'_>, TooLarge>> {
        Some(match self.find(input)? {
            Ok(Found::Event) => Ok(Decoded::Event(self.event())),
            Ok(Found::Retry(after)) => Ok(Decoded::Retry(after)),
            Ok(Found::Comment) => Ok(Decoded::Comment(&self.comment)),
            Err(failed) => Err(failed),
        })
    }

    /// [`decode`](Self::decode) without the loan, for a caller that goes on in a loop.
    pub(crate) fn find(&mut self, input: &mut &[u8]) -> Option<Result<Found, TooLarge>> {
        if let Some(failed) = self.failed {
            return Some(Err(failed));
        }
        if self.lent {
            self.lent = false;
            self.data.clear();
            self.event_type.clear();
        }
        match self.advance(input) {
            Ok(Some(found)) => Some(Ok(found)),
            Ok(None) => {
                self.give_back();
                None
            }
            Err(failed) => {
                self.reset();
                self.failed = Some(failed);
                Some(Err(failed))
            }
        }
    }

    /// The event that [`find`](Self::find) has just found.
    pub(crate) fn event(&self) -> EventRef<'_> {
        EventRef {
            event_type: if self.event_type.is_empty() { event::MESSAGE } else { &self.event_type },
            data: &self.data,
            last_event_id: self.last_event_id.if_set(),
        }
    }

    /// The id to send as `Last-Event-ID`: the last one that a blank line confirmed, with or without data before it.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use sansio_sse::Decoder;
    ///
    /// let mut decoder = Decoder::new(NonZeroUsize::MAX);
    /// assert_eq!(decoder.decode(&mut &b"id: 7\n"[..]), None);
    /// assert_eq!(decoder.last_event_id(), None);
    /// assert_eq!(decoder.decode(&mut &b"\n"[..]), None);
    /// assert_eq!(decoder.last_event_id().map(|id| id.as_str()), Some("7"));
    /// ```
    #[must_use]
    pub fn last_event_id(&self) -> Option<&LastEventId> {
        self.last_event_id.if_set()
    }

    /// Starts over with a new body: drops what is unfinished, and a failure, and keeps the last event id.
    ///
    /// ```
    /// use core::num::NonZeroUsize;
    /// use sansio_sse::{Decoded, Decoder};
    ///
    /// let mut decoder = Decoder::new(NonZeroUsize::MAX);
    /// decoder.decode(&mut &b"id: 1\n\nid: 2\ndata: cut"[..]);
    /// decoder.reset();
    /// let Some(Ok(Decoded::Event(event))) = decoder.decode(&mut &b"data: whole\n\n"[..]) else { panic!() };
    /// assert_eq!((event.data, event.last_event_id.map(|id| id.as_str())), ("whole", Some("1")));
    /// ```
    pub fn reset(&mut self) {
        let last_event_id = mem::replace(&mut self.last_event_id, LastEventId::unset());
        *self = Decoder::resume(self.limit, last_event_id);
    }

    /// Goes line by line until one leads to something or the input ends.
    fn advance(&mut self, input: &mut &[u8]) -> Result<Option<Found>, TooLarge> {
        loop {
            if self.after_cr
                && let Some((&first, rest)) = input.split_first()
            {
                self.after_cr = false;
                if first == b'\n' {
                    *input = rest;
                }
            }
            let bytes = *input;
            let end = memchr2(b'\r', b'\n', bytes);
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            if piece.len() > self.room() {
                return Err(self.too_large());
            }
            let Some(end) = end else {
                text::append_bytes(&mut self.line, piece, self.limit.get());
                *input = &[];
                return Ok(None);
            };
            self.after_cr = bytes[end] == b'\r';
            *input = &bytes[end + 1..];

            let found = if self.line.is_empty() {
                self.take_line(piece)?
            } else {
                text::append_bytes(&mut self.line, piece, self.limit.get());
                self.take_held_line()?
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// How many more bytes the current line may have.
    fn room(&self) -> usize {
        // Each length is at most the limit, and so is the sum, so nothing wraps.
        self.limit.get().saturating_sub(self.line.len() + self.data.len() + self.event_type.len())
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Event { limit: self.limit.get() }
    }

    /// Ends the line that came in pieces.
    fn take_held_line(&mut self) -> Result<Option<Found>, TooLarge> {
        let mut line = mem::take(&mut self.line);
        // A long first `data` line becomes the data buffer itself: no second copy, no second allocation.
        if line.len() > KEEP && self.data.is_empty() && line.starts_with(b"data:") {
            self.first_line = false;
            let start = if line.get(5) == Some(&b' ') { 6 } else { 5 };
            line.drain(..start);
            return match String::from_utf8(line) {
                Ok(value) => {
                    self.data = value;
                    self.end_data_line()
                }
                Err(invalid) => self.take_data(invalid.as_bytes()),
            };
        }
        let found = self.take_line(&line);
        line.clear();
        self.line = line;
        found
    }

    /// Obeys one line (HTML §9.2.6), given without its end.
    fn take_line(&mut self, mut line: &[u8]) -> Result<Option<Found>, TooLarge> {
        if self.first_line {
            self.first_line = false;
            // HTML §9.2.5: one leading byte order mark is not part of the stream.
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        // Most lines are data, and need no search for the colon.
        if let Some(value) = line.strip_prefix(b"data:") {
            return self.take_data(value.strip_prefix(b" ").unwrap_or(value));
        }
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        // A line that begins with a colon is a comment; its text stays as it is.
        if name.is_empty() {
            self.comment.clear();
            return match text::append_lossy(&mut self.comment, value, self.limit.get()) {
                true => Ok(Some(Found::Comment)),
                false => Err(self.too_large()),
            };
        }
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.take_data(value),
            b"event" => {
                self.event_type.clear();
                let cap = self.limit.get() - self.data.len();
                match text::append_lossy(&mut self.event_type, value, cap) {
                    true => Ok(None),
                    false => Err(self.too_large()),
                }
            }
            b"id" => self.take_id(value).map(|()| None),
            b"retry" => Ok(retry(value).map(Found::Retry)),
            _ => Ok(None),
        }
    }

    fn take_data(&mut self, value: &[u8]) -> Result<Option<Found>, TooLarge> {
        let cap = self.limit.get() - self.event_type.len();
        match text::append_lossy(&mut self.data, value, cap) {
            true => self.end_data_line(),
            false => Err(self.too_large()),
        }
    }

    /// The LF after each `data` value. It also tells an event with empty data from one without.
    fn end_data_line(&mut self) -> Result<Option<Found>, TooLarge> {
        match text::append(&mut self.data, "\n", self.limit.get() - self.event_type.len()) {
            true => Ok(None),
            false => Err(self.too_large()),
        }
    }

    fn take_id(&mut self, value: &[u8]) -> Result<(), TooLarge> {
        // HTML §9.2.6: an id with a NUL is ignored.
        if memchr(0, value).is_some() {
            return Ok(());
        }
        let mut id =
            self.new_id.take().unwrap_or_else(|| mem::replace(&mut self.spare_id, LastEventId::unset()));
        id.slot().clear();
        if !text::append_lossy(id.slot(), value, LastEventId::MAX_LEN) {
            return Err(TooLarge::LastEventId { limit: LastEventId::MAX_LEN });
        }
        self.new_id = Some(id);
        Ok(())
    }

    /// A blank line (HTML §9.2.6, dispatch the event).
    fn dispatch(&mut self) -> Option<Found> {
        // The id counts even if nothing is dispatched.
        if let Some(id) = self.new_id.take() {
            self.spare_id = mem::replace(&mut self.last_event_id, id);
        }
        // No `data` field, no event; the type is forgotten all the same.
        if self.data.pop().is_none() {
            self.event_type.clear();
            return None;
        }
        self.lent = true;
        Some(Found::Event)
    }

    /// Frees what a large event left behind, before a wait of unknown length.
    fn give_back(&mut self) {
        if self.line.is_empty() && self.line.capacity() > KEEP {
            self.line = Vec::new();
        }
        if self.data.is_empty() && self.data.capacity() > KEEP {
            self.data = String::new();
        }
        if self.event_type.is_empty() && self.event_type.capacity() > KEEP {
            self.event_type = String::new();
        }
        if self.comment.capacity() > KEEP {
            self.comment = String::new();
        }
    }
}

impl fmt::Debug for Decoder {
    /// Sizes and the id, not the data: that may be large, and private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("limit", &self.limit)
            .field("held", &(self.line.len() + self.data.len() + self.event_type.len()))
            .field("last_event_id", &self.last_event_id())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The value of a `retry` field: milliseconds in ASCII digits and nothing else (HTML §9.2.6).
fn retry(value: &[u8]) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |ms, b| {
            b.is_ascii_digit().then(|| ms.saturating_mul(10).saturating_add(u64::from(b - b'0')))
        })
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    fn capacity(decoder: &Decoder) -> usize {
        decoder.line.capacity()
            + decoder.data.capacity()
            + decoder.event_type.capacity()
            + decoder.comment.capacity()
    }

    fn drain(decoder: &mut Decoder, mut input: &[u8]) {
        while let Some(decoded) = decoder.decode(&mut input) {
            decoded.unwrap();
        }
    }

    #[test]
    fn memory_of_a_large_event_is_given_back_with_the_first_none() {
        let large = format!("data: {0}\nevent: {0}\n:{0}\n\n", "x".repeat(100_000));
        for size in [1, 1000, large.len()] {
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            for piece in large.as_bytes().chunks(size) {
                drain(&mut decoder, piece);
            }
            assert!(capacity(&decoder) <= 4 * KEEP, "pieces of {size}: {decoder:?}");
        }
    }

    #[test]
    fn empty_buffers_are_kept_up_to_a_size_and_full_ones_whatever_their_size() {
        let sizes = |decoder: &Decoder| {
            [
                decoder.line.capacity(),
                decoder.data.capacity(),
                decoder.event_type.capacity(),
                decoder.comment.capacity(),
            ]
        };
        for (size, kept) in [(KEEP, KEEP), (KEEP + 1, 0)] {
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            decoder.line = Vec::with_capacity(size);
            for text in [&mut decoder.data, &mut decoder.event_type, &mut decoder.comment] {
                *text = String::with_capacity(size);
            }
            drain(&mut decoder, b"");
            assert_eq!(sizes(&decoder), [kept; 4]);
        }
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        let long = "x".repeat(KEEP + 1);
        drain(&mut decoder, format!("event:{long}\ndata:{long}\n{long}").as_bytes());
        assert_eq!((decoder.event_type.len(), decoder.data.len()), (KEEP + 1, KEEP + 2));
        assert_eq!(decoder.line.len(), KEEP + 1);
    }

    #[test]
    fn a_long_first_data_line_becomes_the_data_and_a_short_one_leaves_its_buffer() {
        for (len, moves) in [(KEEP, false), (KEEP + 1, true)] {
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            drain(&mut decoder, &[b"data:", &*vec![b'x'; len - 5]].concat());
            let held = decoder.line.as_ptr();
            drain(&mut decoder, b"\n");
            let now = if moves { decoder.data.as_ptr() } else { decoder.line.as_ptr() };
            assert_eq!(now, held, "{len} bytes");
            assert_eq!(decoder.data.len(), len - 4);
        }
    }

    #[test]
    fn no_buffer_reserves_more_than_the_limit() {
        let limit = 10_000;
        let body = vec![
            format!("data:{}\n", "x".repeat(limit - 5)),
            "data: 0123456789\n".repeat(400),
            format!("data\nevent:{}\n", "y".repeat(limit - 7)),
            format!(":{}\n", "z".repeat(limit - 1)),
        ];
        for lines in &body {
            for size in [1, 63, 64, 65, 4096, lines.len()] {
                let mut decoder = Decoder::new(NonZeroUsize::new(limit).unwrap());
                for piece in lines.as_bytes().chunks(size) {
                    drain(&mut decoder, piece);
                    let parts = [
                        decoder.line.capacity(),
                        decoder.data.capacity(),
                        decoder.event_type.capacity(),
                        decoder.comment.capacity(),
                    ];
                    assert!(parts.iter().all(|part| *part <= limit), "pieces of {size}: {parts:?}");
                }
            }
        }
    }

    #[test]
    fn a_steady_stream_reuses_its_buffers() {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        let event = b"id: 12345678\nevent: tick\ndata: 0123456789\n\n";
        for _ in 0..3 {
            drain(&mut decoder, event);
        }
        let before = (decoder.data.as_ptr(), decoder.event_type.as_ptr());
        let mut ids = [decoder.last_event_id.as_str().as_ptr(), decoder.spare_id.as_str().as_ptr()];
        for _ in 0..9 {
            drain(&mut decoder, event);
        }
        let mut ids_now = [decoder.last_event_id.as_str().as_ptr(), decoder.spare_id.as_str().as_ptr()];
        ids.sort_unstable();
        ids_now.sort_unstable();
        assert_eq!((decoder.data.as_ptr(), decoder.event_type.as_ptr()), before);
        assert_eq!(ids_now, ids);
    }
}
