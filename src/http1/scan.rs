//! [`HeadScan`]: finds the end of a head, resumable at every byte, and refuses what no head may contain.

use alloc::vec::Vec;
use core::mem;

use super::{HeadLimits, HttpError};

/// Empty lines skipped before a request line (RFC 9112 §2.2).
const EMPTY_LINES: u8 = 2;

/// Collects one head. Every byte is looked at once, whatever the sizes of the pieces it comes in.
#[derive(Debug)]
pub(super) struct HeadScan {
    bytes: Vec<u8>,
    limits: HeadLimits,
    role: Role,
    after_cr: bool,
    /// Bytes of the line so far.
    line: usize,
    /// Lines completed, the first one among them.
    lines: usize,
    skipped: u8,
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Request,
    Response,
}

/// How far the first line of a request is, to refuse a long target before it is complete.
#[derive(Clone, Copy, Debug)]
enum Target {
    Before,
    Within(usize),
    Behind,
}

/// A head found complete: all its bytes, the empty line included, and the number of its header lines.
#[derive(Debug)]
pub(super) struct RawHead {
    pub(super) bytes: Vec<u8>,
    pub(super) headers: usize,
}

impl HeadScan {
    pub(super) fn request(limits: HeadLimits) -> Self {
        Self::new(limits, Role::Request)
    }

    pub(super) fn response(limits: HeadLimits) -> Self {
        Self::new(limits, Role::Response)
    }

    fn new(limits: HeadLimits, role: Role) -> Self {
        let target = match role {
            Role::Request => Target::Before,
            Role::Response => Target::Behind,
        };
        let bytes = Vec::new();
        Self { bytes, limits, role, after_cr: false, line: 0, lines: 0, skipped: 0, target }
    }

    /// Whether a byte of the head itself has come; skipped empty lines are none.
    pub(super) fn started(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Takes bytes from the front of `input` up to the end of the head.
    pub(super) fn feed(&mut self, input: &mut &[u8]) -> Result<Option<RawHead>, HttpError> {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(input.len().min(self.limits.head_bytes));
        }
        loop {
            let (text, rest) = input.split_at(text_len(input));
            *input = rest;
            self.take_text(text)?;
            let Some((&control, rest)) = rest.split_first() else { return Ok(None) };
            *input = rest;
            if self.take_control(control)? {
                return Ok(Some(RawHead { bytes: mem::take(&mut self.bytes), headers: self.lines - 1 }));
            }
        }
    }

    fn take_text(&mut self, text: &[u8]) -> Result<(), HttpError> {
        if text.is_empty() {
            return Ok(());
        }
        if self.after_cr {
            return Err(HttpError::BareLineEnd { at: self.bytes.len() });
        }
        self.line += text.len();
        // Of two limits, the one that is met first.
        let room = self.limits.head_bytes.saturating_sub(self.bytes.len());
        self.measure_target(text.get(..=room).unwrap_or(text))?;
        self.keep(text)
    }

    /// Says whether it ends the head.
    fn take_control(&mut self, byte: u8) -> Result<bool, HttpError> {
        let at = self.bytes.len();
        match (self.after_cr, byte) {
            (true, b'\n') => self.end_line(),
            (true, _) | (false, b'\n') => Err(HttpError::BareLineEnd { at }),
            (false, b'\r') => {
                self.after_cr = true;
                if !self.bytes.is_empty() {
                    self.keep(b"\r")?;
                }
                Ok(false)
            }
            (false, _) => Err(HttpError::Control { byte, at }),
        }
    }

    /// Ends a line at its LF; says whether it was the empty one behind the headers.
    fn end_line(&mut self) -> Result<bool, HttpError> {
        self.after_cr = false;
        if self.bytes.is_empty() {
            self.skipped += 1;
            return match self.role {
                Role::Request if self.skipped <= EMPTY_LINES => Ok(false),
                Role::Request => Err(HttpError::EmptyLines),
                Role::Response => Err(HttpError::StatusLine),
            };
        }
        self.keep(b"\n")?;
        if mem::take(&mut self.line) == 0 {
            return Ok(true);
        }
        self.target = Target::Behind;
        self.lines += 1;
        if self.lines - 1 > self.limits.headers {
            return Err(HttpError::TooManyHeaders { limit: self.limits.headers });
        }
        Ok(false)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), HttpError> {
        if bytes.len() > self.limits.head_bytes.saturating_sub(self.bytes.len()) {
            return Err(HttpError::HeadTooLarge { limit: self.limits.head_bytes });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn measure_target(&mut self, text: &[u8]) -> Result<(), HttpError> {
        for &byte in text {
            self.target = match (self.target, byte) {
                (Target::Behind, _) => return Ok(()),
                (Target::Before, b' ') => Target::Within(0),
                (Target::Within(_), b' ') => Target::Behind,
                (Target::Within(n), _) if n >= self.limits.target_bytes => {
                    return Err(HttpError::TargetTooLong { limit: self.limits.target_bytes });
                }
                (Target::Within(n), _) => Target::Within(n + 1),
                (Target::Before, _) => Target::Before,
            };
        }
        Ok(())
    }
}

/// How many bytes come before the first control byte: those are dangerous in values and belong nowhere else
/// (RFC 9110 §5.5), but for HTAB.
pub(super) fn text_len(bytes: &[u8]) -> usize {
    // Without a branch, so that the compiler makes vector instructions of a block.
    let is_control = |&byte: &u8| ((byte < 32) & (byte != b'\t')) | (byte == 127);
    let (blocks, _) = bytes.as_chunks::<16>();
    let is_text = |block: &&[u8; 16]| !block.iter().fold(false, |any, byte| any | is_control(byte));
    let clean = blocks.iter().take_while(is_text).count() * 16;
    let rest = &bytes[clean..];
    clean + rest.iter().position(is_control).unwrap_or(rest.len())
}
