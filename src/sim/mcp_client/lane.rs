//! [`Lane`]: what a client of `/mcp` hears in one place, over as many responses as it takes.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::num::NonZeroUsize;
use core::time::Duration;

use crate::mcp::{Message, MessageKind, SessionId};
use crate::sim::{Conn, Rng};
use crate::{Decoded, Decoder, EventId};

/// How a [`Lane`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// More is to come.
    Open,
    /// The response was heard.
    Answered,
    /// Its client was told that what it missed is gone.
    Gone,
    /// It never learned whence to go on, its session is over, or it did not want it any more.
    GivenUp,
}

/// One thing that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardEvent {
    /// Its id, where it had one.
    pub id: Option<String>,
    /// Its data; empty where it is there for its id only.
    pub data: String,
    /// What came before it need not have been heard.
    pub jumps: bool,
}

/// What an [`McpClient`](super::McpClient) heard as the answer to one request, or on one stream of `GET`.
#[derive(Debug)]
pub struct Lane {
    pub(super) era: u32,
    pub(super) session: Option<SessionId>,
    pub(super) request: Option<String>,
    pub(super) body: String,
    pub(super) method: String,
    pub(super) heard: Vec<HeardEvent>,
    pub(super) whole: Option<String>,
    pub(super) fate: Fate,
    pub(super) conn: Option<Conn>,
    pub(super) last: Option<String>,
    pub(super) retry: Option<Duration>,
    decoder: Decoder,
    jumps: bool,
    /// It has gone back once.
    has_gone_back: bool,
    /// Whether its present response has brought anything.
    pub(super) brought: bool,
    /// Responses in a row that have not.
    pub(super) in_vain: u32,
}

impl Lane {
    pub(super) fn new(era: u32, session: Option<SessionId>, request: Option<String>) -> Lane {
        Lane {
            era,
            session,
            request,
            body: String::new(),
            method: String::new(),
            heard: Vec::new(),
            whole: None,
            fate: Fate::Open,
            conn: None,
            last: None,
            retry: None,
            decoder: Decoder::new(NonZeroUsize::MAX),
            jumps: false,
            has_gone_back: false,
            brought: false,
            in_vain: 0,
        }
    }

    /// The session; none in revisions without.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        self.session.as_ref()
    }

    /// The id of its request; none for a stream of `GET`.
    #[must_use]
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// The events, in order.
    #[must_use]
    pub fn heard(&self) -> &[HeardEvent] {
        &self.heard
    }

    /// The body, where the answer was one object.
    #[must_use]
    pub fn whole(&self) -> Option<&str> {
        self.whole.as_deref()
    }

    /// How it stands.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.fate
    }

    /// Whether a response is open for it.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.conn.is_some()
    }

    /// A response begins; whether it goes on behind what was heard.
    pub(super) fn begins(&mut self, goes_on: bool) {
        self.decoder = Decoder::new(NonZeroUsize::MAX);
        (self.jumps, self.brought) = (!goes_on, false);
    }

    /// Hears what a response brings; gives back the requests of the server.
    pub(super) fn hear(&mut self, mut input: &[u8]) -> Vec<Message> {
        let mut asked = Vec::new();
        while let Some(Ok(decoded)) = self.decoder.decode(&mut input) {
            let event = match decoded {
                Decoded::Event(event) => event.to_event(),
                Decoded::Retry(after) => {
                    (self.retry, self.brought) = (Some(after), true);
                    continue;
                }
                Decoded::Comment(_) => continue,
            };
            self.brought = true;
            let id = event.last_event_id.map(|id| id.as_str().to_string()).filter(|id| !id.is_empty());
            let stream = |id: &str| id.parse::<EventId>().map(|id| id.stream).ok();
            if let (Some(id), Some(last)) = (&id, &self.last)
                && stream(id) != stream(last)
            {
                // What it was for is forgotten, and it is another stream now.
                self.fate = Fate::Gone;
                return asked;
            }
            let jumps = core::mem::take(&mut self.jumps);
            if let Ok(message) = Message::parse(event.data.as_bytes()) {
                match message.kind() {
                    MessageKind::Response if message.id() == self.request.as_deref() => {
                        self.fate = Fate::Answered;
                    }
                    MessageKind::Request => asked.push(message),
                    MessageKind::Response | MessageKind::Notification => {}
                }
            }
            self.last = id.clone().or(self.last.take());
            self.heard.push(HeardEvent { id, data: event.data, jumps });
        }
        asked
    }

    /// Forgets the last that it heard, and so wants it once more.
    pub(super) fn goes_back(&mut self, rng: &mut Rng) -> bool {
        let with_ids = self.heard.iter().take_while(|heard| heard.id.is_some()).count();
        if self.has_gone_back || with_ids < 2 {
            return false;
        }
        let at = usize::try_from(rng.below(with_ids as u64 - 1)).unwrap_or(0);
        self.heard.truncate(at + 1);
        self.last = self.heard.last().and_then(|heard| heard.id.clone());
        (self.has_gone_back, self.fate) = (true, Fate::Open);
        true
    }
}
