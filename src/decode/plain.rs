//! What comes most: an event of one data line, a comment, more of a data line that the input cut. Each is one search and
//! few questions; whatever is not as plain as that is left to the [lines](super::lines).

use super::{DATA, Decoder, Place};
use crate::{line_end, utf8};

/// What [`Decoder::take_plain`] found; `Cut` if all of the input was taken.
pub(super) enum Plain<'i> {
    Event(&'i str),
    Comment(&'i str),
    Cut,
    No,
}

/// What [`Decoder::take_more_data`] found: `All` of the input is data, or the `End` of the event.
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
        } else if let [b':', text @ ..] = bytes
            && let Some(end) = line_end::find(text)
            && text[end] == b'\n'
            && !self.is_tight(end)
            && let Some(comment) = utf8::text(&text[..end])
        {
            *input = &text[end + 1..];
            return Plain::Comment(comment);
        }
        Plain::No
    }

    /// Amid a data line. Whoever began it has given back what could be.
    #[inline]
    pub(super) fn take_more_data(&mut self, input: &mut &[u8]) -> More {
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
}
