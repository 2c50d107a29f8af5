//! [`Decoder`]: bytes of a `text/event-stream` into events, incrementally (HTML §9.2.5 and §9.2.6).

mod event;
mod held;
mod lines;
mod piece;
mod plain;
mod text;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::num::NonZeroUsize;
use core::str;
use core::time::Duration;

use self::plain::{More, Plain};
use crate::LastEventId;
pub use event::{Event, EventRef};
pub use piece::Piece;

/// How a data line begins. Most lines are data, and need no search for the colon.
const DATA: &[u8] = b"data:";

/// What [`Decoder::decode`] found. Lent until the next call: by the input where it lies there as a whole, else by the
/// decoder.
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
/// and has [`LastEventId::MAX_LEN`] besides. When `decode` returns `None`, empty buffers above 4 KiB are freed; but
/// up to 128 KiB are kept for data as long as the last event needed a quarter of it.
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
    /// What can't pass the limit even if decoding makes three bytes of each.
    safe: usize,
    place: Place,
    /// No line has ended yet, so a byte order mark may lead this one.
    first_line: bool,
    /// `text` and `event_type` were handed out as an event; the next call clears them.
    lent: bool,
    /// The beginning of a line that the input cut, unless `place` says that it is data.
    line: Vec<u8>,
    /// The data lines so far, an LF after each, as they came. UTF-8 is checked when the event is complete.
    data: Vec<u8>,
    /// The length of the last event's data.
    recent: usize,
    /// So many bytes of `data` are known to be UTF-8.
    settled: usize,
    event_type: String,
    /// The data of the event that was handed out, where it was not UTF-8.
    text: String,
    /// The text of the last comment, where it could not be lent from the input.
    comment: String,
    /// The id that an `id` field set and no blank line has confirmed.
    new_id: Option<LastEventId>,
    /// An old id, for its memory.
    spare_id: LastEventId,
    last_event_id: LastEventId,
    failed: Option<TooLarge>,
}

/// Where in the stream the next byte of input belongs.
#[derive(Clone, Copy)]
enum Place {
    /// To a new event: as `Start`, and nothing at all is held, or is left to be done for what came before.
    Event,
    /// To a new line.
    Start,
    /// To a new line too, but an LF is still the end of the line before, which a CR ended.
    AfterCr,
    /// To the line that begins in `line`.
    Line,
    /// To a data line. Its name, so many bytes with colon and space, is dropped; its value begins at `start` of
    /// `data`.
    Data { name: usize, start: usize },
}

/// What a line led to; the [`Decoded`] that borrows from the decoder is made from it afterwards.
pub(crate) enum Found<'i> {
    /// Each part lies in the input, or else in the decoder.
    Event {
        data: Option<&'i str>,
        event_type: Option<&'i str>,
    },
    Retry(Duration),
    Comment(Option<&'i str>),
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
            safe: (limit.get() / 3).saturating_sub(DATA.len() + 1),
            place: Place::Start,
            first_line: true,
            lent: false,
            line: Vec::new(),
            data: Vec::new(),
            recent: 0,
            settled: 0,
            event_type: String::new(),
            text: String::new(),
            comment: String::new(),
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
    #[inline]
    pub fn decode<'d, 'i: 'd>(&'d mut self, input: &mut &'i [u8]) -> Option<Result<Decoded<'d>, TooLarge>> {
        Some(match self.find(input)? {
            Ok(Found::Event { data, event_type }) => Ok(Decoded::Event(self.event(data, event_type))),
            Ok(Found::Retry(after)) => Ok(Decoded::Retry(after)),
            Ok(Found::Comment(text)) => Ok(Decoded::Comment(text.unwrap_or(&self.comment))),
            Err(failed) => Err(failed),
        })
    }

    /// What was lent is over.
    #[inline]
    fn take_back(&mut self) {
        self.lent = false;
        self.data.clear();
        self.text = String::new();
        self.event_type.clear();
        if matches!(self.place, Place::Start) {
            self.place = Place::Event;
        }
    }

    /// [`decode`](Self::decode) without the loan, for a caller that goes on in a loop.
    #[inline]
    pub(crate) fn find<'i>(&mut self, input: &mut &'i [u8]) -> Option<Result<Found<'i>, TooLarge>> {
        if self.lent {
            self.take_back();
        }
        match self.place {
            Place::Event => match self.take_plain(input) {
                Plain::Event(data) => {
                    return Some(Ok(Found::Event { data: Some(data), event_type: Some(event::MESSAGE) }));
                }
                Plain::Comment(text) => return Some(Ok(Found::Comment(Some(text)))),
                Plain::Cut => return None,
                Plain::No => {}
            },
            Place::Data { .. } => match self.take_more_data(input) {
                More::All => return None,
                More::End => return Some(Ok(Found::Event { data: None, event_type: None })),
                More::No => {}
            },
            Place::Start => {
                if let More::End = self.take_end(input) {
                    return Some(Ok(Found::Event { data: None, event_type: None }));
                }
            }
            Place::AfterCr | Place::Line => {}
        }
        self.find_any(input)
    }

    /// As [`find`](Self::find), whatever comes.
    #[inline(never)]
    fn find_any<'i>(&mut self, input: &mut &'i [u8]) -> Option<Result<Found<'i>, TooLarge>> {
        if let Some(failed) = self.failed {
            return Some(Err(failed));
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

    /// The event of which [`find`](Self::find) has just found these parts in the input.
    #[inline]
    pub(crate) fn event<'d, 'i: 'd>(
        &'d mut self,
        data: Option<&'i str>,
        event_type: Option<&'i str>,
    ) -> EventRef<'d> {
        let held = if self.event_type.is_empty() { event::MESSAGE } else { &self.event_type };
        EventRef {
            event_type: event_type.unwrap_or(held),
            data: match data {
                Some(data) => data,
                None => held::text_of(&self.data, &mut self.text, self.limit.get()),
            },
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

#[cfg(test)]
mod tests;
