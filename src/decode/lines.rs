//! Line by line, whatever comes (HTML §9.2.6).

use core::mem;
use core::str;
use core::time::Duration;

use memchr::memchr;

use super::{DATA, Decoder, Found, Place, TooLarge, text};
use crate::{LastEventId, line_end, utf8};

/// What the lines of the current event gave, as long as nothing but the input needs to hold it.
#[derive(Default)]
pub(super) struct Lent<'i> {
    pub(super) data: Option<&'i [u8]>,
    pub(super) event_type: Option<&'i str>,
    /// The lengths of these lines: no less than what the event needs to be held.
    bytes: usize,
}

impl Decoder {
    /// Goes line by line until one leads to something or the input ends.
    pub(super) fn advance<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<Found<'i>>, TooLarge> {
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
                    self.rest();
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
            self.end_line(*ended_by, input);
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

    /// Behind a line, with nothing left to be done for it: an event begins, unless something of one is held.
    fn rest(&mut self) {
        let nothing = self.data.is_empty() && self.event_type.is_empty() && self.new_id.is_none();
        if nothing && matches!(self.place, Place::Start) {
            self.place = Place::Event;
        }
    }

    /// Behind a line's first byte of a line end: an LF that follows a CR belongs to it.
    #[inline]
    fn end_line(&mut self, ended_by: u8, input: &mut &[u8]) {
        if ended_by == b'\r' {
            match input.first() {
                None => self.place = Place::AfterCr,
                Some(b'\n') => *input = &input[1..],
                Some(_) => {}
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
        self.end_line(*ended_by, input);
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
        if let [b':', text @ ..] = line {
            self.rest();
            return self.hold_comment(text).map(Some);
        }
        if let Some(value) = data_value(line) {
            text::append_bytes(&mut self.data, value, self.limit.get());
            return self.end_data_line().map(|()| None);
        }
        let mut lent = Lent::default();
        let found = self.take_field(line, &mut lent)?;
        self.hold(lent);
        Ok(match found {
            Some(Found::Retry(after)) => Some(Found::Retry(after)),
            Some(Found::Comment(_) | Found::Event { .. }) | None => None,
        })
    }

    /// Obeys one line that is neither blank nor data (HTML §9.2.6), given without its end.
    fn take_field<'l>(&mut self, line: &'l [u8], lent: &mut Lent<'l>) -> Result<Option<Found<'l>>, TooLarge> {
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        // A line that begins with a colon is a comment; its text stays as it is.
        if name.is_empty() {
            return match str::from_utf8(value) {
                Ok(text) => Ok(Some(Found::Comment(Some(text)))),
                Err(_) => self.hold_comment(value).map(Some),
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

    /// Holds the text of a comment that the input can't lend.
    fn hold_comment<'l>(&mut self, text: &[u8]) -> Result<Found<'l>, TooLarge> {
        self.comment.clear();
        match text::append_lossy(&mut self.comment, text, self.limit.get()) {
            true => Ok(Found::Comment(None)),
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
    fn dispatch<'i>(&mut self, lent: &Lent<'i>) -> Option<Found<'i>> {
        self.confirm_id();
        if let Some(value) = lent.data {
            self.recent = value.len();
            let data = utf8::text(value);
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
}

/// The value of a `data` field.
#[inline]
pub(super) fn data_value(line: &[u8]) -> Option<&[u8]> {
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
