//! [`Decoder`]: bytes of a `text/event-stream` into events, incrementally (HTML §9.2.5 and §9.2.6).

mod event;
mod piece;
mod text;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::mem;
use core::num::NonZeroUsize;
use core::str;
use core::time::Duration;

use memchr::memchr;

use crate::LastEventId;
use crate::line_end;
pub use event::{Event, EventRef};
pub use piece::Piece;

/// What a buffer may keep while it is empty and the decoder waits for input, in bytes.
const KEEP: usize = 4096;
/// What the data buffer may keep then as long as events need it.
const KEEP_IN_USE: usize = 128 << 10;

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
    /// The data of the event that was handed out, where it could not be lent from the input.
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

/// What [`Decoder::take_plain`] found; `Cut` if all of the input was taken.
enum Plain<'i> {
    Event(&'i str),
    Comment(&'i str),
    Cut,
    No,
}

/// What [`Decoder::take_more_data`] found: `All` of the input is data, or the `End` of the event.
enum More {
    All,
    End,
    No,
}

/// What the lines of the current event gave, as long as nothing but the input needs to hold it.
#[derive(Default)]
struct Lent<'i> {
    data: Option<&'i [u8]>,
    event_type: Option<&'i str>,
    /// The lengths of these lines: no less than what the event needs to be held.
    bytes: usize,
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

    /// At the start of an event: one data line and nothing else, or a comment, is most of what comes.
    #[inline]
    fn take_plain<'i>(&mut self, input: &mut &'i [u8]) -> Plain<'i> {
        let mut bytes = *input;
        while let [b'\n', rest @ ..] = bytes {
            bytes = rest;
        }
        *input = bytes;
        if let [b'd', b'a', b't', b'a', b':', b' ', value @ ..] = bytes {
            let Some(end) = line_end::find(value) else {
                let fits = value.len() <= self.data.capacity() && !self.is_tight(value.len());
                if fits && !value.is_empty() {
                    self.data.extend_from_slice(value);
                    self.place = Place::Data { name: DATA.len() + 1, start: 0 };
                    *input = &[];
                    return Plain::Cut;
                }
                return Plain::No;
            };
            if let [b'\n', b'\n', rest @ ..] = &value[end..]
                && !self.is_tight(end)
                && let Ok(data) = str::from_utf8(&value[..end])
            {
                self.recent = end;
                *input = rest;
                return Plain::Event(data);
            }
        } else if let [b':', text @ ..] = bytes
            && let Some(end) = line_end::find(text)
            && text[end] == b'\n'
            && !self.is_tight(end)
            && let Ok(comment) = str::from_utf8(&text[..end])
        {
            *input = &text[end + 1..];
            return Plain::Comment(comment);
        }
        Plain::No
    }

    /// Amid a data line. Whoever began it has given back what could be.
    #[inline]
    fn take_more_data(&mut self, input: &mut &[u8]) -> More {
        let bytes = *input;
        let end = line_end::find(bytes);
        let value = &bytes[..end.unwrap_or(bytes.len())];
        if value.len() > self.data.capacity() - self.data.len() || self.is_tight(value.len()) {
            return More::No;
        }
        let Some(end) = end else {
            self.data.extend_from_slice(value);
            *input = &[];
            return More::All;
        };
        let [b'\n', b'\n', rest @ ..] = &bytes[end..] else { return More::No };
        self.data.extend_from_slice(value);
        *input = rest;
        self.place = Place::Start;
        self.confirm_id();
        self.lend_data();
        More::End
    }

    /// What was lent is over.
    #[inline]
    fn take_back(&mut self) {
        self.lent = false;
        let text = mem::take(&mut self.text).into_bytes();
        if text.capacity() > self.data.capacity() {
            self.data = text;
            self.data.clear();
        }
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
            Place::Start | Place::AfterCr | Place::Line => {}
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
        &'d self,
        data: Option<&'i str>,
        event_type: Option<&'i str>,
    ) -> EventRef<'d> {
        let held = if self.event_type.is_empty() { event::MESSAGE } else { &self.event_type };
        EventRef {
            event_type: event_type.unwrap_or(held),
            data: data.unwrap_or(&self.text),
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
    fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, TooLarge> {
        match self.place {
            Place::Event | Place::Start => self.place = Place::Start,
            Place::AfterCr => {
                let Some(first) = input.first() else { return Ok(None) };
                self.place = Place::Start;
                if *first == b'\n' {
                    *input = &input[1..];
                }
            }
            Place::Line | Place::Data { .. } => {
                if let Some(found) = self.end_cut_line(input)? {
                    return Ok(Some(found));
                }
                if matches!(self.place, Place::Line | Place::Data { .. }) {
                    return Ok(None);
                }
            }
        }
        if self.first_line {
            match input.first() {
                None => return Ok(None),
                // Perhaps a byte order mark, perhaps a part of one.
                Some(0xEF) => {
                    self.place = Place::Line;
                    return self.advance(input);
                }
                Some(_) => self.first_line = false,
            }
        }
        self.lines(input)
    }

    /// As [`advance`](Self::advance), at the start of a line.
    fn lines<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, TooLarge> {
        let mut lent = Lent::default();
        loop {
            let bytes = *input;
            // A blank line is no work for a search.
            let blank = match bytes.first() {
                None => {
                    self.hold(lent);
                    let nothing = self.data.is_empty() && self.event_type.is_empty() && self.new_id.is_none();
                    if nothing && matches!(self.place, Place::Start) {
                        self.place = Place::Event;
                    }
                    return Ok(None);
                }
                Some(first) => matches!(first, b'\n' | b'\r'),
            };
            let end = if blank { 0 } else { line_end::find(bytes).unwrap_or(bytes.len()) };
            let line = &bytes[..end];
            let tight = self.is_tight(lent.bytes + end);
            if tight {
                self.hold(mem::take(&mut lent));
                self.check_room(end)?;
            }
            let Some(ended_by) = bytes.get(end) else {
                self.hold(lent);
                self.place = Place::Line;
                self.keep(line);
                *input = &[];
                return Ok(None);
            };
            *input = &bytes[end + 1..];
            if *ended_by == b'\r' {
                match input.first() {
                    None => self.place = Place::AfterCr,
                    Some(b'\n') => *input = &input[1..],
                    Some(_) => {}
                }
            }
            lent.bytes += end + 1;
            if blank {
                if let Some(found) = self.dispatch(&lent) {
                    return Ok(Some(found));
                }
                lent = Lent::default();
            } else if let Some(value) = data_value(line) {
                if lent.data.is_none() && self.data.is_empty() && !tight {
                    lent.data = Some(value);
                } else {
                    self.hold_data(&mut lent);
                    if *ended_by == b'\n' && !tight {
                        // The LF too is as it comes.
                        let value = &bytes[end - value.len()..=end];
                        text::append_bytes(&mut self.data, value, self.limit.get());
                        self.take_data_lines(input);
                    } else {
                        text::append_bytes(&mut self.data, value, self.limit.get());
                        self.end_data_line()?;
                    }
                }
            } else if let Some(found) = self.take_field(line, &mut lent)? {
                self.hold(lent);
                return Ok(Some(found));
            }
        }
    }

    /// Behind a data line that is held: the plain data lines that follow, as long as the limit is far.
    fn take_data_lines(&mut self, input: &mut &[u8]) {
        while let [b'd', b'a', b't', b'a', b':', b' ', value @ ..] = *input
            && let Some(end) = line_end::find(value)
            && value[end] == b'\n'
            && !self.is_tight(end)
        {
            text::append_bytes(&mut self.data, &value[..=end], self.limit.get());
            *input = &value[end + 1..];
        }
    }

    /// As [`advance`](Self::advance), in a line whose beginning came before; goes to its end at most.
    fn end_cut_line<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, TooLarge> {
        let bytes = *input;
        let end = line_end::find(bytes).unwrap_or(bytes.len());
        let piece = &bytes[..end];
        if self.is_tight(end) {
            self.check_room(end)?;
        }
        self.keep(piece);
        let Some(ended_by) = bytes.get(end) else {
            *input = &[];
            return Ok(None);
        };
        *input = &bytes[end + 1..];
        let was_data = matches!(self.place, Place::Data { .. });
        self.place = Place::Start;
        if *ended_by == b'\r' {
            match input.first() {
                None => self.place = Place::AfterCr,
                Some(b'\n') => *input = &input[1..],
                Some(_) => {}
            }
        }
        if was_data {
            self.end_data_line()?;
            return Ok(None);
        }
        let held = mem::take(&mut self.line);
        let found = self.take_held_line(&held);
        self.line = held;
        self.line.clear();
        found
    }

    /// Obeys a line that does not lie in the input.
    fn take_held_line<'i>(&mut self, mut line: &[u8]) -> Result<Option<Found<'i>>, TooLarge> {
        if mem::take(&mut self.first_line) {
            // HTML §9.2.5: one leading byte order mark is not part of the stream.
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            // Only the mark stood on it, and nothing before it.
            return Ok(None);
        }
        if let Some(value) = data_value(line) {
            text::append_bytes(&mut self.data, value, self.limit.get());
            return self.end_data_line().map(|()| None);
        }
        let mut lent = Lent::default();
        let found = self.take_field(line, &mut lent)?;
        self.hold(lent);
        Ok(match found {
            Some(Found::Comment(text)) => {
                if let Some(text) = text {
                    self.comment.clear();
                    text::append(&mut self.comment, text, self.limit.get());
                }
                Some(Found::Comment(None))
            }
            Some(Found::Retry(after)) => Some(Found::Retry(after)),
            Some(Found::Event { .. }) | None => None,
        })
    }

    /// Keeps a piece of the line that the input cut. What is known to be data goes to the data.
    fn keep(&mut self, piece: &[u8]) {
        let limit = self.limit.get();
        if let Place::Data { .. } = self.place {
            return text::append_bytes(&mut self.data, piece, limit);
        }
        if !self.line.is_empty() {
            text::append_bytes(&mut self.line, piece, limit);
        }
        let line = if self.line.is_empty() { piece } else { &self.line };
        // One byte behind the colon tells whether a space belongs to it.
        if line.len() > DATA.len()
            && let Some(value) = data_value(line)
        {
            self.place = Place::Data { name: line.len() - value.len(), start: self.data.len() };
            text::append_bytes(&mut self.data, value, limit);
            self.line.clear();
        } else if self.line.is_empty() {
            text::append_bytes(&mut self.line, piece, limit);
        }
    }

    /// Whether this much of a line, with what is held, could pass the limit. Decoding makes three bytes of one at
    /// most.
    fn is_tight(&self, more: usize) -> bool {
        // Each length is at most the limit or lies in memory at the same time, so nothing wraps.
        self.data.len() + self.event_type.len() + self.line.len() + more > self.safe
    }

    /// Refuses so many more bytes of the current line if the limit does.
    #[cold]
    fn check_room(&mut self, more: usize) -> Result<(), TooLarge> {
        let name = match self.place {
            Place::Data { name, start } => {
                let tail = self.data.split_off(start);
                let settled = self.settle();
                self.place = Place::Data { name, start: self.data.len() };
                text::append_bytes(&mut self.data, &tail, self.limit.get());
                settled?;
                name
            }
            Place::Event | Place::Start | Place::AfterCr | Place::Line => {
                self.settle()?;
                0
            }
        };
        // Each length is at most the limit, and so is the sum, so nothing wraps.
        let held = self.line.len() + name + self.data.len() + self.event_type.len();
        if more > self.limit.get().saturating_sub(held) { Err(self.too_large()) } else { Ok(()) }
    }

    /// Decodes what `data` holds, where the limit is near: only then does it matter how long it becomes.
    #[cold]
    fn settle(&mut self) -> Result<(), TooLarge> {
        if str::from_utf8(&self.data[self.settled..]).is_err() {
            let raw = self.data.split_off(self.settled);
            let cap = self.limit.get() - self.event_type.len() - self.settled;
            let mut decoded = String::new();
            if !text::append_lossy(&mut decoded, &raw, cap) {
                return Err(self.too_large());
            }
            text::append_bytes(&mut self.data, decoded.as_bytes(), self.limit.get());
        }
        self.settled = self.data.len();
        Ok(())
    }

    fn too_large(&self) -> TooLarge {
        TooLarge::Event { limit: self.limit.get() }
    }

    /// Obeys one line that is neither blank nor data (HTML §9.2.6), given without its end.
    fn take_field<'l>(&mut self, line: &'l [u8], lent: &mut Lent<'l>) -> Result<Option<Found<'l>>, TooLarge> {
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        // A line that begins with a colon is a comment; its text stays as it is.
        if name.is_empty() {
            if let Ok(text) = str::from_utf8(value) {
                return Ok(Some(Found::Comment(Some(text))));
            }
            self.comment.clear();
            return match text::append_lossy(&mut self.comment, value, self.limit.get()) {
                true => Ok(Some(Found::Comment(None))),
                false => Err(self.too_large()),
            };
        }
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                self.hold_data(lent);
                text::append_bytes(&mut self.data, value, self.limit.get());
                self.end_data_line().map(|()| None)
            }
            b"event" => {
                self.event_type.clear();
                lent.event_type = None;
                if let Ok(text) = str::from_utf8(value) {
                    lent.event_type = (!text.is_empty()).then_some(text);
                    return Ok(None);
                }
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

    /// Holds what the input will not hold for much longer.
    fn hold(&mut self, mut lent: Lent<'_>) {
        self.hold_data(&mut lent);
        if let Some(event_type) = lent.event_type {
            self.event_type.clear();
            text::append(&mut self.event_type, event_type, self.limit.get());
        }
    }

    fn hold_data(&mut self, lent: &mut Lent<'_>) {
        if let Some(value) = lent.data.take() {
            text::append_bytes(&mut self.data, value, self.limit.get());
            text::append_bytes(&mut self.data, b"\n", self.limit.get());
        }
    }

    /// The LF after each `data` value. It also tells an event with empty data from one without.
    fn end_data_line(&mut self) -> Result<(), TooLarge> {
        if self.is_tight(0) {
            self.settle()?;
            if self.data.len() + self.event_type.len() >= self.limit.get() {
                return Err(self.too_large());
            }
            self.settled += 1;
        }
        text::append_bytes(&mut self.data, b"\n", self.limit.get());
        Ok(())
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
    fn dispatch<'i>(&mut self, lent: &Lent<'i>) -> Option<Found<'i>> {
        self.confirm_id();
        if let Some(value) = lent.data {
            self.recent = value.len();
            let data = str::from_utf8(value).ok();
            if data.is_none() {
                text::append_lossy(&mut self.text, value, self.limit.get());
            }
            self.lent = data.is_none() || !self.event_type.is_empty();
            if !self.lent && matches!(self.place, Place::Start) {
                self.place = Place::Event;
            }
            return Some(Found::Event { data, event_type: lent.event_type });
        }
        // No `data` field, no event; the type is forgotten all the same.
        if self.data.pop().is_none() {
            self.event_type.clear();
            return None;
        }
        self.lend_data();
        Some(Found::Event { data: None, event_type: lent.event_type })
    }

    /// The id counts even if nothing is dispatched.
    #[inline]
    fn confirm_id(&mut self) {
        if let Some(id) = self.new_id.take() {
            self.spare_id = mem::replace(&mut self.last_event_id, id);
        }
    }

    /// Makes the data buffer, without its last LF, the text of an event: the one check of all its lines.
    #[inline]
    fn lend_data(&mut self) {
        self.settled = 0;
        self.recent = self.data.len();
        self.lent = true;
        match String::from_utf8(mem::take(&mut self.data)) {
            Ok(text) => self.text = text,
            Err(invalid) => {
                text::append_lossy(&mut self.text, invalid.as_bytes(), self.limit.get());
            }
        }
    }

    /// Frees what a large event left behind, before a wait of unknown length.
    fn give_back(&mut self) {
        let (line, data) = (self.line.capacity(), self.data.capacity());
        let (event_type, comment) = (self.event_type.capacity(), self.comment.capacity());
        if line.max(data).max(event_type).max(comment) <= KEEP {
            return;
        }
        if self.line.is_empty() && line > KEEP {
            self.line = Vec::new();
        }
        if self.data.is_empty() && data > KEEP && (data > KEEP_IN_USE || self.recent < data / 4) {
            self.data = Vec::new();
        }
        if self.event_type.is_empty() && event_type > KEEP {
            self.event_type = String::new();
        }
        if comment > KEEP {
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

/// The value of a `data` field.
fn data_value(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(DATA)?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
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
        let large = format!("data: {0}\nevent: {0}\n:{0}\n\n", "x".repeat(500_000));
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
        for (size, recent, kept, data_kept) in [
            (KEEP, 0, KEEP, KEEP),
            (KEEP + 4, KEEP / 4, 0, 0),
            (KEEP + 4, KEEP / 4 + 1, 0, KEEP + 4),
            (KEEP_IN_USE, KEEP_IN_USE / 4, 0, KEEP_IN_USE),
            (KEEP_IN_USE + 1, KEEP_IN_USE, 0, 0),
        ] {
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            decoder.recent = recent;
            for bytes in [&mut decoder.line, &mut decoder.data] {
                *bytes = Vec::with_capacity(size);
            }
            for text in [&mut decoder.event_type, &mut decoder.comment] {
                *text = String::with_capacity(size);
            }
            drain(&mut decoder, b"");
            assert_eq!(sizes(&decoder), [kept, data_kept, kept, kept]);
        }
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        let long = "x".repeat(KEEP + 1);
        drain(&mut decoder, format!("event:{long}\ndata:{long}\n{long}").as_bytes());
        assert_eq!((decoder.event_type.len(), decoder.data.len()), (KEEP + 1, KEEP + 2));
        assert_eq!(decoder.line.len(), KEEP + 1);
    }

    #[test]
    fn an_event_that_lies_whole_in_the_input_is_lent_from_it() {
        let mut decoder = Decoder::new(NonZeroUsize::MAX);
        let input = b"event: tick\ndata: one\n\n: comment\n\ndata: two\r\n\r\n";
        let lies_in = |text: &str| input.as_ptr_range().contains(&text.as_ptr());
        let mut rest = &input[..];
        while let Some(decoded) = decoder.decode(&mut rest) {
            match decoded.unwrap() {
                Decoded::Event(event) => assert!(lies_in(event.data), "{event:?}"),
                Decoded::Comment(text) => assert!(lies_in(text), "{text:?}"),
                Decoded::Retry(_) => unreachable!(),
            }
        }
        assert_eq!(capacity(&decoder), 0);
    }

    #[test]
    fn a_data_line_that_the_input_cuts_is_copied_once() {
        for cut in ["data: 1", "data:1"] {
            let mut decoder = Decoder::new(NonZeroUsize::MAX);
            drain(&mut decoder, cut.as_bytes());
            drain(&mut decoder, b"2\n");
            assert_eq!((&decoder.data[..], decoder.line.capacity()), (&b"12\n"[..], 0));
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
