//! [`Frame`]: one event, encoded once and shared by every stream that sends it (HTML §9.2.5).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::iter;
use core::mem;
use core::time::Duration;

use memchr::memchr3;

use crate::decimal::{self, DECIMAL_LEN};
use crate::line_end;

/// How the lines of a frame end. HTML §9.2.5 allows both; a lone CR is never written, since most clients
/// wait for ever behind one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// `\n`.
    #[default]
    Lf,
    /// `\r\n`.
    CrLf,
}

impl LineEnd {
    /// The bytes of this line end.
    #[must_use]
    pub const fn as_bytes(self) -> &'static [u8] {
        match self {
            LineEnd::Lf => b"\n",
            LineEnd::CrLf => b"\r\n",
        }
    }
}

/// One encoded block of an event stream: fields, comments and the empty line behind them.
///
/// The bytes are made once, in one allocation; a clone costs one reference count, so a message to ten thousand streams is
/// encoded and stored once. A stream's own id is not part of the frame: it is put in front of it by
/// [`EventStream::push_with_id`](crate::EventStream::push_with_id).
///
/// ```
/// use sansio_sse::Frame;
///
/// let frame = Frame::message("one\r\ntwo");
/// assert_eq!(frame.as_bytes(), b"data: one\ndata: two\n\n");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Arc<[u8]>);

impl Frame {
    /// An event of the default type `message`. Its data may be any text: a CRLF, CR or LF in it becomes a
    /// line break, and reads as LF at the other end.
    #[must_use]
    pub fn message(data: &str) -> Frame {
        if line_end::find(data.as_bytes()).is_some() {
            return FrameBuilder { data: Some(data), ..FrameBuilder::default() }.encode();
        }
        Frame::filled(MESSAGE_LEN + data.len(), |blank| one_line(blank, data.as_bytes()))
    }

    /// Allocates the shared block once, at its length; the zeros are what safe code pays for that.
    fn filled(len: usize, fill: impl FnOnce(&mut Blank<'_>)) -> Frame {
        let mut bytes: Arc<[u8]> = iter::repeat_n(0, len).collect();
        if let Some(blank) = Arc::get_mut(&mut bytes) {
            fill(&mut Blank(blank));
        }
        Frame(bytes)
    }

    /// Appends what [`message`](Self::message) would hold to `out`: the form for messages that one stream alone
    /// sends, with no allocation as long as `out` has the room.
    ///
    /// ```
    /// use sansio_sse::Frame;
    ///
    /// let mut out = Vec::new();
    /// Frame::write_message("one\ntwo", &mut out);
    /// Frame::write_message("three", &mut out);
    /// assert_eq!(out, b"data: one\ndata: two\n\ndata: three\n\n");
    /// ```
    pub fn write_message(data: &str, out: &mut Vec<u8>) {
        let data = data.as_bytes();
        let first_break = line_end::find(data);
        out.reserve(MESSAGE_LEN + data.len());
        match first_break {
            None => one_line(out, data),
            Some(_) => {
                data_lines(out, data, first_break, b"\n");
                out.push(b'\n');
            }
        }
    }

    /// An event of the type `event`.
    ///
    /// # Errors
    /// [`FieldError`] if `event` holds CR, LF or NUL.
    pub fn named(event: &str, data: &str) -> Result<Frame, FieldError> {
        Frame::builder().event(event).data(data).build()
    }

    /// A comment, which no client shows to its user: the usual keep-alive.
    ///
    /// # Errors
    /// [`FieldError`] if `text` holds CR, LF or NUL.
    pub fn comment(text: &str) -> Result<Frame, FieldError> {
        Frame::builder().comment(text).build()
    }

    /// A block that only sets the client's reconnection time, in whole milliseconds.
    ///
    /// Some MCP clients end their session on a block without data; there, put
    /// [`retry`](FrameBuilder::retry) into a message.
    #[must_use]
    pub fn retry(after: Duration) -> Frame {
        Frame::builder().retry(after).encode()
    }

    /// An event with empty data. It does reach the client's application; with an id in front it gives the
    /// client a place to resume from before anything was said.
    #[must_use]
    pub fn priming() -> Frame {
        Frame::message("")
    }

    /// A frame of any fields.
    pub fn builder<'a>() -> FrameBuilder<'a> {
        FrameBuilder::default()
    }

    /// `:` alone, the keep-alive.
    pub(crate) fn bare_comment(line_end: LineEnd) -> Frame {
        FrameBuilder { comment: Some(""), line_end, ..FrameBuilder::default() }.encode()
    }

    /// The keep-alive of ContextForge: `event: keepalive`, `data: {}`.
    pub(crate) fn keep_alive_event(retry: Option<Duration>) -> Frame {
        let (event, data) = (Some("keepalive"), Some("{}"));
        FrameBuilder { event, data, retry, line_end: LineEnd::CrLf, ..FrameBuilder::default() }.encode()
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 120;
        let shown = &self.0[..self.0.len().min(SHOWN)];
        write!(f, "Frame({} bytes, \"{}\")", self.0.len(), shown.escape_ascii())
    }
}

/// Collects the fields of a [`Frame`]; they are written in the order comment, event, id, data, retry.
///
/// ```
/// use sansio_sse::{Field, FieldError, Frame};
///
/// let frame = Frame::builder().event("tick").id("7").data("noon").build()?;
/// assert_eq!(frame.as_bytes(), b"event: tick\nid: 7\ndata: noon\n\n");
///
/// let refused = Frame::builder().event("tick\ndata: forged").build();
/// assert_eq!(refused, Err(FieldError::LineBreak { field: Field::Event, at: 4 }));
/// # Ok::<(), FieldError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct FrameBuilder<'a> {
    comment: Option<&'a str>,
    event: Option<&'a str>,
    id: Option<&'a str>,
    data: Option<&'a str>,
    retry: Option<Duration>,
    line_end: LineEnd,
}

impl<'a> FrameBuilder<'a> {
    /// The event's type; without one, clients read `message`.
    pub fn event(mut self, event: &'a str) -> Self {
        self.event = Some(event);
        self
    }

    /// The event's data, of any text. A block without data is not dispatched by the client.
    pub fn data(mut self, data: &'a str) -> Self {
        self.data = Some(data);
        self
    }

    /// The event's id, for streams that number their events themselves. It stands behind the id that
    /// [`push_with_id`](crate::EventStream::push_with_id) puts in front, and so wins over it.
    pub fn id(mut self, id: &'a str) -> Self {
        self.id = Some(id);
        self
    }

    /// The client's reconnection time, in whole milliseconds.
    pub fn retry(mut self, after: Duration) -> Self {
        self.retry = Some(after);
        self
    }

    /// A comment line in front of the fields.
    pub fn comment(mut self, text: &'a str) -> Self {
        self.comment = Some(text);
        self
    }

    /// How lines end. Default [`LineEnd::Lf`].
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.line_end = line_end;
        self
    }

    /// Checks and encodes.
    ///
    /// # Errors
    /// [`FieldError`] if the comment, the event type or the id holds CR, LF (they would forge further
    /// fields) or NUL (a client ignores an id with one).
    pub fn build(self) -> Result<Frame, FieldError> {
        self.check()?;
        Ok(self.encode())
    }

    /// Checks, and appends the encoded bytes to `out`, which is only allocated for where its capacity is too
    /// small: with a buffer that is used again, a message costs no allocation.
    ///
    /// # Errors
    /// As for [`build`](Self::build); then `out` is as it was.
    ///
    /// ```
    /// use sansio_sse::{Field, FieldError, Frame};
    ///
    /// let mut out = Vec::with_capacity(64);
    /// Frame::builder().event("tick").data("1").write_to(&mut out)?;
    /// assert_eq!(Frame::builder().id("\n").write_to(&mut out), Err(FieldError::LineBreak { field: Field::Id, at: 0 }));
    /// assert_eq!((&out[..], out.capacity()), (&b"event: tick\ndata: 1\n\n"[..], 64));
    /// # Ok::<(), FieldError>(())
    /// ```
    pub fn write_to(self, out: &mut Vec<u8>) -> Result<(), FieldError> {
        self.check()?;
        self.write(self.first_break(), out);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        check(Field::Comment, self.comment)?;
        check(Field::Event, self.event)?;
        check(Field::Id, self.id)
    }

    /// Checks, and says how long the encoded bytes are before they are written.
    #[inline]
    pub(crate) fn measure(&self) -> Result<Measured<'_>, FieldError> {
        let first_break = self.first_break();
        match *self {
            FrameBuilder {
                comment: None,
                event: None,
                id: None,
                retry: None,
                data: Some(data),
                line_end: LineEnd::Lf,
            } if first_break.is_none() => Ok(Measured::Line(data)),
            _ => self.measure_fields(first_break),
        }
    }

    #[inline(never)]
    fn measure_fields(&self, first_break: Option<usize>) -> Result<Measured<'_>, FieldError> {
        self.check()?;
        Ok(Measured::Fields { fields: self, first_break, len: self.len(first_break) })
    }

    fn len(&self, first_break: Option<usize>) -> usize {
        let mut len = Length(0);
        self.write(first_break, &mut len);
        len.0
    }

    fn encode(self) -> Frame {
        let first_break = self.first_break();
        Frame::filled(self.len(first_break), |blank| self.write(first_break, blank))
    }

    /// Where the data's first line ends: the one search that data of one line needs.
    fn first_break(&self) -> Option<usize> {
        self.data.and_then(|data| line_end::find(data.as_bytes()))
    }

    fn write(&self, first_break: Option<usize>, out: &mut impl Sink) {
        let end = self.line_end.as_bytes();
        if let Some(text) = self.comment {
            line(out, if text.is_empty() { b":" } else { b": " }, text.as_bytes(), end);
        }
        if let Some(event) = self.event {
            line(out, b"event: ", event.as_bytes(), end);
        }
        if let Some(id) = self.id {
            line(out, b"id: ", id.as_bytes(), end);
        }
        if let Some(data) = self.data {
            data_lines(out, data.as_bytes(), first_break, end);
        }
        if let Some(after) = self.retry {
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            line(out, b"retry: ", decimal::format(&mut [0; DECIMAL_LEN], millis), end);
        }
        out.put(end);
    }
}

/// Fields that were checked and measured, ready to be written.
pub(crate) enum Measured<'a> {
    /// A message of one line, as nearly all are.
    Line(&'a str),
    /// Anything else.
    Fields { fields: &'a FrameBuilder<'a>, first_break: Option<usize>, len: usize },
}

impl Measured<'_> {
    /// How many bytes [`write`](Self::write) appends.
    pub(crate) fn len(&self) -> usize {
        match self {
            Measured::Line(data) => MESSAGE_LEN + data.len(),
            Measured::Fields { len, .. } => *len,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Measured::Line(data) => one_line(out, data.as_bytes()),
            Measured::Fields { fields, first_break, .. } => fields.write(*first_break, out),
        }
    }
}

/// Where encoded bytes go.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Counts what would be written.
struct Length(usize);

impl Sink for Length {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// What is left to fill of a block of the right length.
struct Blank<'a>(&'a mut [u8]);

impl Sink for Blank<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let (now, later) = mem::take(&mut self.0).split_at_mut(bytes.len());
        now.copy_from_slice(bytes);
        self.0 = later;
    }
}

#[inline]
fn line(out: &mut impl Sink, name: &[u8], value: &[u8], end: &[u8]) {
    out.put(name);
    out.put(value);
    out.put(end);
}

/// What is written around the data of a message of one line.
const MESSAGE_LEN: usize = b"data: \n\n".len();

/// A message whose data is one line.
#[inline]
fn one_line(out: &mut impl Sink, data: &[u8]) {
    out.put(b"data: ");
    out.put(data);
    out.put(b"\n\n");
}

/// One `data` field a line (HTML §9.2.6 joins them with LF again).
fn data_lines(out: &mut impl Sink, mut data: &[u8], first_break: Option<usize>, end: &[u8]) {
    let mut next = first_break;
    while let Some(at) = next {
        line(out, b"data: ", &data[..at], end);
        let ended_by = if data[at..].starts_with(b"\r\n") { 2 } else { 1 };
        data = &data[at + ended_by..];
        next = line_end::find(data);
    }
    line(out, b"data: ", data, end);
}

fn check(field: Field, value: Option<&str>) -> Result<(), FieldError> {
    let Some(at) = value.and_then(|v| memchr3(b'\r', b'\n', 0, v.as_bytes()).map(|at| (v, at))) else {
        return Ok(());
    };
    let (value, at) = at;
    Err(if value.as_bytes()[at] == 0 {
        FieldError::Nul { field, at }
    } else {
        FieldError::LineBreak { field, at }
    })
}

/// A part of a frame whose text is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The text of a comment line.
    Comment,
    /// The `event` field.
    Event,
    /// The `id` field.
    Id,
}

/// Text that can't stand in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldError {
    /// A CR or LF, which would end the field and begin another one.
    LineBreak {
        /// The field it was meant for.
        field: Field,
        /// Where it stands, in bytes.
        at: usize,
    },
    /// A NUL.
    Nul {
        /// The field it was meant for.
        field: Field,
        /// Where it stands, in bytes.
        at: usize,
    },
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, field, at) = match *self {
            FieldError::LineBreak { field, at } => ("line break", field, at),
            FieldError::Nul { field, at } => ("NUL", field, at),
        };
        let field = match field {
            Field::Comment => "comment",
            Field::Event => "event type",
            Field::Id => "event id",
        };
        write!(f, "{what} at byte {at} of the {field}: text without CR, LF and NUL is allowed")
    }
}

impl core::error::Error for FieldError {}
