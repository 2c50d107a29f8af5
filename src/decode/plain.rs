//! What comes most: an event of one data line, a comment, more of a data line that the input cut, and the end of its
//! event. Each is one search and few questions; whatever is not as plain as that is left to the [lines](super::lines).

use super::{DATA, Decoder, Place};
use crate::{line_end, utf8};

/// What [`Decoder::take_plain`] found; `Cut` if all of the input was taken.
pub(super) enum Plain<'i> {
    Event(&'i str),
    Comment(&'i str),
    Cut,
    No,
}

/// What [`Decoder::take_more_data`] found: `All` of the input is data, or it has the `End` of the event.
pub(super) enum More {
    All,
    End,
    No,
}

impl Decoder {
    /// At the start of an event: one data line and nothing else, or a comment, is most of what comes.
    #[inline]
    pub(super) fn take_plain<'i>(&mut self, input: &mut &'i [u8]) -> Plain<'i> {
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
                && let Some(data) = utf8::text(&value[..end])
            {
                self.recent = end;
                *input = rest;
                return Plain::Event(data);
            }
        } else if let [b':', text @ ..] = bytes {
            let Some(end) = line_end::find(text) else {
                // Nothing else is held, and the buffer is no larger than the limit.
                if bytes.len() <= self.line.capacity() {
                    self.line.extend_from_slice(bytes);
                    self.place = Place::Line;
                    *input = &[];
                    return Plain::Cut;
                }
                return Plain::No;
            };
            if text[end] == b'\n'
                && !self.is_tight(end)
                && let Some(comment) = utf8::text(&text[..end])
            {
                *input = &text[end + 1..];
                return Plain::Comment(comment);
            }
        }
        Plain::No
    }

    /// Amid a data line, and on through those that follow. Whoever began it has given back what could be.
    #[inline]
    pub(super) fn take_more_data(&mut self, input: &mut &[u8]) -> More {
        loop {
            let bytes = *input;
            let end = line_end::find(bytes);
            let value = &bytes[..end.unwrap_or(bytes.len())];
            // Its LF has room too.
            if value.len() >= self.data.capacity() - self.data.len() || self.is_tight(value.len()) {
                return More::No;
            }
            let Some(end) = end else {
                self.data.extend_from_slice(value);
                *input = &[];
                return More::All;
            };
            match &bytes[end..] {
                [b'\n', b'\n', rest @ ..] => {
                    self.data.extend_from_slice(value);
                    *input = rest;
                    return self.end_data();
                }
                [b'\n', b'd', b'a', b't', b'a', b':', b' ', rest @ ..] => {
                    self.data.extend_from_slice(&bytes[..=end]);
                    self.place = Place::Data { name: DATA.len() + 1, start: self.data.len() };
                    *input = rest;
                }
                [b'\n', rest @ ..] => {
                    self.data.extend_from_slice(&bytes[..=end]);
                    self.place = Place::Start;
                    *input = rest;
                    return if rest.is_empty() { More::All } else { More::No };
                }
                _ => return More::No,
            }
        }
    }

    /// At the start of a line: the blank one that ends an event whose data is held.
    #[inline]
    pub(super) fn take_end(&mut self, input: &mut &[u8]) -> More {
        let [b'\n', rest @ ..] = *input else { return More::No };
        if self.data.pop().is_none() {
            return More::No;
        }
        *input = rest;
        self.end_data()
    }

    #[inline]
    fn end_data(&mut self) -> More {
        self.place = Place::Start;
        self.confirm_id();
        self.lend_data();
        More::End
    }
}
