//! [`Fields`]: the header lines of one head in one allocation, and the framing that they declare.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::characters::is_token;
use super::scan::RawHead;
use super::{BodyLength, HttpError, Version};

/// A part of the head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The part from `start` to `end`. Heads are far smaller than 4 GiB by their limits.
    pub(super) fn new(start: usize, end: usize) -> Self {
        let narrow = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// Where `part`, borrowed from `whole`, lies in it.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Self {
        if part.is_empty() {
            return Self::default();
        }
        let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        Self::new(start, start + part.len())
    }

    pub(super) fn bytes(self, whole: &[u8]) -> &[u8] {
        whole.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// As text; empty for bytes that are not UTF-8, which no span of ours that is read as text has.
    pub(super) fn text(self, whole: &[u8]) -> &str {
        core::str::from_utf8(self.bytes(whole)).unwrap_or_default()
    }
}

/// All bytes of a head and where its header lines are.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) bytes: Box<[u8]>,
    lines: Box<[(Span, Span)]>,
}

impl Fields {
    /// Parses the header lines behind the first line, which ends before `from`.
    pub(super) fn parse(raw: RawHead, from: usize) -> Result<Self, HttpError> {
        let bytes = raw.bytes.into_boxed_slice();
        let mut headers = vec![httparse::EMPTY_HEADER; raw.headers];
        let parsed = httparse::parse_headers(bytes.get(from..).unwrap_or_default(), &mut headers);
        let Ok(httparse::Status::Complete((_, headers))) = parsed else {
            return Err(HttpError::HeaderLine);
        };
        let lines = headers
            .iter()
            .map(|header| (Span::of(header.name.as_bytes(), &bytes), Span::of(header.value, &bytes)))
            .collect::<Vec<_>>();
        Ok(Self { lines: lines.into_boxed_slice(), bytes })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|(name, value)| (name.text(&self.bytes), value.bytes(&self.bytes)))
    }

    pub(super) fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |span: &Span| span.bytes(&self.bytes).eq_ignore_ascii_case(name.as_bytes());
        self.lines.iter().filter(move |(name, _)| is_named(name)).map(|(_, value)| value.bytes(&self.bytes))
    }

    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether a comma-separated list header has this member, in any letter case.
    pub(super) fn lists(&self, name: &str, member: &str) -> bool {
        self.named(name)
            .flat_map(|value| value.split(|&b| b == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
    }

    /// The body length that the head declares; `None` if it declares none.
    pub(super) fn framing(&self, version: Version) -> Result<BodyLength, HttpError> {
        let mut lengths = self.named("content-length");
        let mut codings = self.named("transfer-encoding");
        match (lengths.next(), codings.next()) {
            (None, None) => Ok(BodyLength::None),
            // RFC 9112 §6.1: both may be an attempt at smuggling.
            (Some(_), Some(_)) => Err(HttpError::BothLengths),
            (Some(length), None) => match lengths.next() {
                Some(_) => Err(HttpError::ContentLength),
                None => content_length(length).map(BodyLength::Length),
            },
            (None, Some(coding)) => match (codings.next(), version) {
                (Some(_), _) | (None, Version::Http10) => Err(HttpError::TransferEncoding),
                (None, Version::Http11) => transfer_coding(coding),
            },
        }
    }
}

/// RFC 9110 §8.6: digits only. A number beyond 64 bits is a body that no limit allows.
fn content_length(value: &[u8]) -> Result<u64, HttpError> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::ContentLength);
    }
    value
        .iter()
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(HttpError::BodyTooLarge { limit: u64::MAX })
}

/// RFC 9112 §6.1 and §6.3: `chunked` must be the last coding, once; any other coding is not implemented.
fn transfer_coding(value: &[u8]) -> Result<BodyLength, HttpError> {
    let mut chunked = 0_usize;
    let mut others = 0_usize;
    let mut last_is_chunked = false;
    for coding in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
        if !is_token(coding) {
            return Err(HttpError::TransferEncoding);
        }
        last_is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        *if last_is_chunked { &mut chunked } else { &mut others } += 1;
    }
    match (chunked, others) {
        (1, 0) => Ok(BodyLength::Chunked),
        (0, _) => Err(HttpError::UnknownCoding),
        (1, _) if last_is_chunked => Err(HttpError::UnknownCoding),
        _ => Err(HttpError::TransferEncoding),
    }
}
