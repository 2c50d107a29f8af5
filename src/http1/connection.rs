//! [`Connection`]: the server's side of one socket, from accept to close.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use super::encode::{CONTINUE, write_refusal};
use super::scan::HeadScan;
use super::{BodyDecoder, BodyPart, ConnectionConfig, HttpError, RequestHead, Response};
use crate::{Disconnect, Tick};

mod step;

pub use step::{CommandError, ConnectionClose, ConnectionWake, Handover, Step};

/// Most bytes read at once while a body's length is known.
const BODY_READ: usize = 64 * 1024;

/// Reads requests one after another and writes their responses; decides when to refuse, to keep, and to close.
///
/// The driver asks [`poll`](Self::poll) what to do and tells what happened by the `handle_*` methods. Commands
/// answer a [`Step::Head`] or a [`Step::Request`]; elsewhere they give a [`CommandError`] and change nothing.
/// Time may repeat or go backwards at the input; inside it never does. Facts come first, then the deadlines that
/// are due, and only in `handle_*`.
///
/// ```
/// use std::sync::Arc;
/// use sansio_sse::Tick;
/// use sansio_sse::http1::{Connection, ConnectionConfig, Response, Step};
///
/// let now = Tick::ZERO;
/// let mut connection = Connection::new(now, Arc::new(ConnectionConfig::default()));
/// connection.handle_bytes(now, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
/// assert!(matches!(connection.poll(), Step::Head { head, .. } if head.path() == "/"));
/// connection.respond(now, &Response::empty(404))?;
/// let Step::Run { bytes, .. } = connection.poll() else { unreachable!() };
/// assert_eq!(bytes, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
/// # Ok::<(), sansio_sse::http1::CommandError>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    now: Tick,
    config: Arc<ConnectionConfig>,
    phase: Phase,
    out: Out,
    /// Bytes that came behind the request at hand.
    ahead: Vec<u8>,
    eof: bool,
    finishing: bool,
}

#[derive(Debug)]
enum Phase {
    /// Waiting for a head, or within it; `wake` is `Idle` or `Head`.
    Head {
        scan: HeadScan,
        due: Tick,
        wake: ConnectionWake,
    },
    /// A head is complete and the application decides.
    Decide {
        head: Arc<RequestHead>,
    },
    Body {
        head: Arc<RequestHead>,
        body: Vec<u8>,
        decoder: BodyDecoder,
        due: Tick,
    },
    /// Head and body are complete and the application works on the response.
    Ready {
        head: Arc<RequestHead>,
        body: Vec<u8>,
    },
    /// The response is being written.
    Answering {
        then: Then,
    },
    Linger {
        due: Tick,
        close: ConnectionClose,
    },
    Closed(ConnectionClose),
}

/// What follows a response.
#[derive(Clone, Copy, Debug)]
enum Then {
    Next,
    Close(ConnectionClose),
}

/// Bytes that wait for the peer.
#[derive(Debug, Default)]
struct Out {
    bytes: Vec<u8>,
    taken: usize,
    /// When the oldest of them began to wait, or the last byte was taken.
    since: Tick,
}

impl Out {
    fn waiting(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    /// Lets `write` append bytes.
    fn append(&mut self, now: Tick, write: impl FnOnce(&mut Vec<u8>)) {
        if self.is_empty() {
            self.since = now;
        }
        write(&mut self.bytes);
    }

    /// Says whether this emptied it.
    fn took(&mut self, now: Tick, n: usize) -> bool {
        let n = n.min(self.waiting().len());
        if n == 0 {
            return false;
        }
        self.taken += n;
        self.since = now;
        if self.is_empty() {
            *self = Self::default();
            return true;
        }
        false
    }
}

impl Connection {
    /// A connection accepted at `now`.
    #[must_use]
    pub fn new(now: Tick, config: Arc<ConnectionConfig>) -> Self {
        let scan = HeadScan::request(config.head);
        let phase = Phase::Head { scan, due: now + config.head_within, wake: ConnectionWake::Head };
        Self { now, config, phase, out: Out::default(), ahead: Vec::new(), eof: false, finishing: false }
    }

    // ---- facts ----

    /// Tells that these bytes were read: at most as many as the last [`Step`] asked for.
    ///
    /// More are kept all the same, so the limit of the bytes read ahead is the driver's to observe.
    pub fn handle_bytes(&mut self, now: Tick, bytes: &[u8]) {
        self.see(now);
        if !self.eof {
            self.receive(bytes);
        }
        self.fire_due();
    }

    /// Tells that the peer has closed its sending side.
    ///
    /// Within a head or a body this closes at once. A request that is complete is still answered, and those read
    /// ahead of it as well.
    pub fn handle_eof(&mut self, now: Tick) {
        self.see(now);
        self.eof = true;
        self.end_input();
        self.fire_due();
    }

    /// Tells that the connection is gone. [`Disconnect::Eof`] is the same as [`handle_eof`](Self::handle_eof).
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        match how {
            Disconnect::Eof => self.handle_eof(now),
            Disconnect::Reset | Disconnect::TimedOut | Disconnect::Io => {
                self.see(now);
                self.stop(ConnectionClose::Disconnected(how));
            }
        }
    }

    /// Tells that the peer's side of the socket took `n` of the bytes offered.
    pub fn handle_wrote(&mut self, now: Tick, n: usize) {
        self.see(now);
        let emptied = self.out.took(self.now, n);
        if emptied && let Phase::Answering { then } = self.phase {
            match then {
                Then::Next => self.next(),
                Then::Close(close) if self.eof => self.stop(close),
                Then::Close(close) => {
                    self.phase = Phase::Linger { due: self.now + self.config.linger_within, close };
                }
            }
        }
        self.fire_due();
    }

    /// Fires what is due. Afterwards every deadline is later than `now`; calls before a deadline change nothing.
    pub fn handle_timeout(&mut self, now: Tick) {
        self.see(now);
        self.fire_due();
    }

    // ---- commands: they never fire a deadline ----

    /// Goes on to read the body: an answer to [`Step::Head`]. Without a body, [`Step::Request`] follows at once.
    ///
    /// Sends `100 Continue` if it is expected, also if the body is there already. A declared length above the
    /// limit is refused here, before a byte of it.
    pub fn receive_body(&mut self, now: Tick) -> Result<(), CommandError> {
        self.see(now);
        let head = self.take_decide()?;
        let decoder = match BodyDecoder::new(head.body(), self.config.body_bytes as u64) {
            Ok(decoder) => decoder,
            Err(error) => {
                self.phase = Phase::Decide { head };
                self.refuse(error);
                return Ok(());
            }
        };
        if head.expects_continue() {
            self.out.append(self.now, |out| out.extend_from_slice(CONTINUE));
        }
        let body = Vec::with_capacity(clamp(decoder.expected()).min(BODY_READ));
        self.phase = Phase::Body { head, body, decoder, due: self.now + self.config.body_within };
        self.resume();
        Ok(())
    }

    /// Answers the request: at [`Step::Request`], or at [`Step::Head`] without having read its body.
    ///
    /// A body not read makes the response say `Connection: close`, and so do HTTP/1.0, the client's wish, and
    /// [`finish`](Self::finish).
    pub fn respond(&mut self, now: Tick, response: &Response) -> Result<(), CommandError> {
        self.see(now);
        let (head, unread) = match &self.phase {
            Phase::Decide { head } => {
                (head, !BodyDecoder::new(head.body(), u64::MAX).is_ok_and(|body| body.is_done()))
            }
            Phase::Ready { head, .. } if self.out.is_empty() => (head, false),
            _ => return Err(CommandError::OutOfPhase),
        };
        let close = unread || self.finishing || !head.keep_alive() || (self.eof && self.ahead.is_empty());
        let to_head = head.method() == "HEAD";
        self.out.append(self.now, |out| response.write(out, to_head, close));
        self.answer(match (close, self.finishing) {
            (false, _) => Then::Next,
            (true, false) => Then::Close(ConnectionClose::Answered),
            (true, true) => Then::Close(ConnectionClose::Finished),
        });
        Ok(())
    }

    /// Hands the socket over to a streamed response: an answer to [`Step::Head`] or [`Step::Request`].
    ///
    /// The connection is [`ConnectionClose::HandedOver`] then, and what was read behind the request is dropped:
    /// the socket closes after the stream. A `HEAD` request cannot be answered by a stream.
    pub fn hand_over(&mut self, now: Tick) -> Result<Handover, CommandError> {
        self.see(now);
        if let Phase::Decide { head } | Phase::Ready { head, .. } = &self.phase
            && head.method() == "HEAD"
        {
            return Err(CommandError::NoBody);
        }
        let (head, body) = match self.take_phase() {
            Phase::Decide { head } => (head, Vec::new()),
            Phase::Ready { head, body } if self.out.is_empty() => (head, body),
            other => {
                self.phase = other;
                return Err(CommandError::OutOfPhase);
            }
        };
        let read_behind = self.ahead.len();
        self.close(ConnectionClose::HandedOver);
        Ok(Handover { head, body, read_behind, eof: self.eof })
    }

    /// Ends the connection in good order: at once between requests, else after the response to the present one.
    pub fn finish(&mut self, now: Tick) {
        self.see(now);
        self.finishing = true;
        match &mut self.phase {
            Phase::Head { scan, .. } if !scan.started() => {
                self.close(ConnectionClose::Finished);
            }
            Phase::Answering { then: then @ Then::Next } => {
                *then = Then::Close(ConnectionClose::Finished);
                self.ahead = Vec::new();
            }
            _ => {}
        }
    }

    // ---- output and getters ----

    /// What the driver is to do. Asking changes nothing.
    pub fn poll(&self) -> Step<'_> {
        let (read, wake_at) = (self.read(), self.deadline().map(|(at, _)| at));
        match &self.phase {
            Phase::Closed(close) => Step::Closed(*close),
            Phase::Linger { due, .. } => Step::Linger { read, wake_at: *due },
            Phase::Decide { head } => Step::Head { head, read },
            Phase::Ready { head, body } if self.out.is_empty() => Step::Request { head, body, read },
            Phase::Head { .. } | Phase::Body { .. } | Phase::Ready { .. } | Phase::Answering { .. } => {
                Step::Run { bytes: self.out.waiting(), read, wake_at }
            }
        }
    }

    /// The next deadline and its reason; none while only the application is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<(Tick, ConnectionWake)> {
        let of_phase = match &self.phase {
            Phase::Head { due, wake, .. } => Some((*due, *wake)),
            Phase::Body { due, .. } => Some((*due, ConnectionWake::Body)),
            Phase::Linger { due, .. } => Some((*due, ConnectionWake::Linger)),
            Phase::Decide { .. } | Phase::Ready { .. } | Phase::Answering { .. } | Phase::Closed(_) => None,
        };
        let stall = (!self.out.is_empty())
            .then(|| (self.out.since + self.config.respond_stall, ConnectionWake::Stall));
        match (of_phase, stall) {
            (Some((at, _)), Some(stall)) if stall.0 < at => Some(stall),
            (of_phase, stall) => of_phase.or(stall),
        }
    }

    /// How many bytes may be read now.
    fn read(&self) -> usize {
        if self.eof {
            return 0;
        }
        let most = self.config.read_ahead;
        match &self.phase {
            Phase::Head { .. } | Phase::Answering { then: Then::Close(_) } | Phase::Linger { .. } => most,
            Phase::Body { decoder, .. } => clamp(decoder.expected()).min(BODY_READ) + most,
            Phase::Decide { .. } | Phase::Ready { .. } | Phase::Answering { then: Then::Next } => {
                most.saturating_sub(self.ahead.len())
            }
            Phase::Closed(_) => 0,
        }
    }

    // ---- inside ----

    fn see(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    /// Takes bytes as far as the phase wants them and keeps the rest, unless the connection is to close.
    fn receive(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        self.consume(&mut input);
        match self.phase {
            Phase::Decide { .. } | Phase::Ready { .. } | Phase::Answering { then: Then::Next } => {
                self.ahead.extend_from_slice(input);
            }
            // A head or a body takes all that it is given, and nothing behind a close is ever looked at.
            Phase::Head { .. }
            | Phase::Body { .. }
            | Phase::Answering { then: Then::Close(_) }
            | Phase::Linger { .. }
            | Phase::Closed(_) => {}
        }
    }

    fn consume(&mut self, input: &mut &[u8]) {
        match &mut self.phase {
            Phase::Head { scan, due, wake } => {
                match scan.feed(input).and_then(|raw| raw.map(RequestHead::from_raw).transpose()) {
                    Ok(Some(head)) => self.phase = Phase::Decide { head: Arc::new(head) },
                    Ok(None) => {
                        if *wake == ConnectionWake::Idle && scan.started() {
                            *wake = ConnectionWake::Head;
                            *due = self.now + self.config.head_within;
                        }
                    }
                    Err(error) => self.refuse(error),
                }
            }
            Phase::Body { body, decoder, .. } => loop {
                match decoder.decode(input) {
                    Ok(BodyPart::Data(data)) => body.extend_from_slice(data),
                    Ok(BodyPart::More) => return,
                    Ok(BodyPart::End) => return self.complete_body(),
                    Err(error) => return self.refuse(error),
                }
            },
            Phase::Decide { .. }
            | Phase::Ready { .. }
            | Phase::Answering { .. }
            | Phase::Linger { .. }
            | Phase::Closed(_) => {}
        }
    }

    fn complete_body(&mut self) {
        if let Phase::Body { head, body, .. } = self.take_phase() {
            self.phase = Phase::Ready { head, body };
        }
    }

    /// Looks at the bytes read ahead, now that the phase wants some.
    fn resume(&mut self) {
        let ahead = mem::take(&mut self.ahead);
        self.receive(&ahead);
        if self.eof {
            self.end_input();
        }
    }

    /// Draws the consequences of the end of the input.
    fn end_input(&mut self) {
        match &self.phase {
            Phase::Head { scan, .. } if !scan.started() => self.stop(ConnectionClose::PeerClosed),
            Phase::Head { .. } | Phase::Body { .. } => self.stop(ConnectionClose::Truncated),
            Phase::Linger { close, .. } => {
                let close = *close;
                self.close(close);
            }
            Phase::Decide { .. } | Phase::Ready { .. } | Phase::Answering { .. } | Phase::Closed(_) => {}
        }
    }

    /// Waits for the next request.
    fn next(&mut self) {
        let due = self.now + self.config.idle_for;
        self.phase =
            Phase::Head { scan: HeadScan::request(self.config.head), due, wake: ConnectionWake::Idle };
        self.resume();
    }

    /// Answers what could not be understood; nothing behind it is read.
    fn refuse(&mut self, error: HttpError) {
        let head = match &self.phase {
            Phase::Decide { head } | Phase::Body { head, .. } => Some(&**head),
            _ => None,
        };
        self.out.append(self.now, |out| write_refusal(out, error, head));
        self.answer(Then::Close(ConnectionClose::Refused(error)));
    }

    fn answer(&mut self, then: Then) {
        if matches!(then, Then::Close(_)) {
            self.ahead = Vec::new();
        }
        self.phase = Phase::Answering { then };
    }

    fn fire_due(&mut self) {
        while let Some((at, wake)) = self.deadline()
            && at <= self.now
        {
            self.fire(wake);
        }
    }

    fn fire(&mut self, wake: ConnectionWake) {
        match wake {
            ConnectionWake::Head if self.is_within_head() => self.refuse(HttpError::HeadTimedOut),
            ConnectionWake::Head | ConnectionWake::Idle => self.stop(ConnectionClose::Idle),
            ConnectionWake::Body => self.refuse(HttpError::BodyTimedOut),
            ConnectionWake::Stall => self.stop(ConnectionClose::Stalled),
            ConnectionWake::Linger => self.end_input(),
        }
    }

    fn is_within_head(&self) -> bool {
        matches!(&self.phase, Phase::Head { scan, .. } if scan.started())
    }

    /// Closes at once for `why`, unless the close has an earlier reason.
    fn stop(&mut self, why: ConnectionClose) {
        let why = match &self.phase {
            Phase::Linger { close, .. } | Phase::Closed(close) => *close,
            Phase::Answering { then: Then::Close(close @ ConnectionClose::Refused(_)) } => *close,
            Phase::Head { .. }
            | Phase::Decide { .. }
            | Phase::Body { .. }
            | Phase::Ready { .. }
            | Phase::Answering { .. } => why,
        };
        self.close(why);
    }

    /// Frees all.
    fn close(&mut self, close: ConnectionClose) {
        self.out = Out::default();
        self.ahead = Vec::new();
        self.phase = Phase::Closed(close);
    }

    fn take_decide(&mut self) -> Result<Arc<RequestHead>, CommandError> {
        match self.take_phase() {
            Phase::Decide { head } => Ok(head),
            other => {
                self.phase = other;
                Err(CommandError::OutOfPhase)
            }
        }
    }

    /// Moves the phase out; the caller puts the next one in.
    fn take_phase(&mut self) -> Phase {
        mem::replace(&mut self.phase, Phase::Closed(ConnectionClose::Finished))
    }
}

fn clamp(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
