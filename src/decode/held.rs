//! What the decoder holds of a line or an event that the input cut, its bounds, and its memory.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::str;

use super::lines::{Lent, data_value};
use super::{DATA, Decoder, Place, TooLarge, text};
use crate::utf8;

/// What a buffer may keep while it is empty and the decoder waits for input, in bytes.
pub(super) const KEEP: usize = 4096;
/// What the data buffer may keep then as long as events need it.
pub(super) const KEEP_IN_USE: usize = 128 << 10;

impl Decoder {
    /// Keeps a piece of the line that the input cut. What is known to be data goes to the data.
    pub(super) fn keep(&mut self, piece: &[u8]) {
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
    pub(super) fn is_tight(&self, more: usize) -> bool {
        // Each length is at most the limit or lies in memory at the same time, so nothing wraps.
        self.data.len() + self.event_type.len() + self.line.len() + more > self.safe
    }

    /// Refuses so many more bytes of the current line if the limit does.
    #[cold]
    pub(super) fn check_room(&mut self, more: usize) -> Result<(), TooLarge> {
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
    pub(super) fn settle(&mut self) -> Result<(), TooLarge> {
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

    pub(super) fn too_large(&self) -> TooLarge {
        TooLarge::Event { limit: self.limit.get() }
    }

    /// Holds what the input will not hold for much longer.
    pub(super) fn hold(&mut self, mut lent: Lent<'_>) {
        self.hold_data(&mut lent);
        if let Some(event_type) = lent.event_type {
            self.event_type.clear();
            text::append(&mut self.event_type, event_type, self.limit.get());
        }
    }

    pub(super) fn hold_data(&mut self, lent: &mut Lent<'_>) {
        if let Some(value) = lent.data.take() {
            text::append_bytes(&mut self.data, value, self.limit.get());
            text::append_bytes(&mut self.data, b"\n", self.limit.get());
        }
    }

    /// The LF after each `data` value. It also tells an event with empty data from one without.
    pub(super) fn end_data_line(&mut self) -> Result<(), TooLarge> {
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

    /// The id counts even if nothing is dispatched.
    #[inline]
    pub(super) fn confirm_id(&mut self) {
        if let Some(id) = self.new_id.take() {
            self.spare_id = mem::replace(&mut self.last_event_id, id);
        }
    }

    /// The data buffer, without its last LF, is the data of an event.
    #[inline]
    pub(super) fn lend_data(&mut self) {
        self.settled = 0;
        self.recent = self.data.len();
        self.lent = true;
    }

    /// Frees what a large event left behind, before a wait of unknown length.
    pub(super) fn give_back(&mut self) {
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

/// The text that held data is: the one check of all its lines. Where it is not UTF-8, `lossy` holds it then.
#[inline]
pub(super) fn text_of<'d>(data: &'d [u8], lossy: &'d mut String, limit: usize) -> &'d str {
    if lossy.is_empty() {
        if let Some(text) = utf8::text(data) {
            return text;
        }
        text::append_lossy(lossy, data, limit);
    }
    lossy
}
