//! [`Frame`]: one event, encoded once and shared by every stream that sends it (HTML §9.2.5).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

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
/// The bytes are made once; a clone costs one reference count, so a message to ten thousand streams is
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
        FrameBuilder { data: Some(data), ..FrameBuilder::default() }.encode()
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
        check(Field::Comment, self.comment)?;
        check(Field::Event, self.event)?;
        check(Field::Id, self.id)?;
        Ok(self.encode())
    }

    fn encode(self) -> Frame {
        let text =
            [self.comment, self.event, self.id, self.data].into_iter().flatten().map(str::len).sum::<usize>();
        let mut out = Vec::with_capacity(text + 64);
        let end = self.line_end.as_bytes();
        if let Some(text) = self.comment {
            line(&mut out, if text.is_empty() { b":" } else { b": " }, text.as_bytes(), end);
        }
        if let Some(event) = self.event {
            line(&mut out, b"event: ", event.as_bytes(), end);
        }
        if let Some(id) = self.id {
            line(&mut out, b"id: ", id.as_bytes(), end);
        }
        if let Some(data) = self.data {
            data_lines(&mut out, data.as_bytes(), end);
        }
        if let Some(after) = self.retry {
            out.extend_from_slice(b"retry: ");
            crate::decimal::write(&mut out, u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            out.extend_from_slice(end);
        }
        out.extend_from_slice(end);
        Frame(out.into())
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8], end: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(end);
}

/// One `data` field a line (HTML §9.2.6 joins them with LF again).
fn data_lines(out: &mut Vec<u8>, mut data: &[u8], end: &[u8]) {
    while let Some(at) = memchr::memchr2(b'\r', b'\n', data) {
        line(out, b"data: ", &data[..at], end);
        let ended_by = if data[at..].starts_with(b"\r\n") { 2 } else { 1 };
        data = &data[at + ended_by..];
    }
    line(out, b"data: ", data, end);
}

fn check(field: Field, value: Option<&str>) -> Result<(), FieldError> {
    let Some(at) = value.and_then(|v| memchr::memchr3(b'\r', b'\n', 0, v.as_bytes()).map(|at| (v, at)))
    else {
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
