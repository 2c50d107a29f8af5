//! What the responses to exchanges carry: held against what was said, event by event.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Book, Broken, Said, Speaks, Talk};
use crate::http1::Response;
use crate::mcp::ExchangeId;
use crate::sim::server::entry::{Entry, entries};
use crate::sim::{Law, Watched};
use crate::{CloseReason, EventId, Frame, Retry, Step, Tick};

/// How the last word begins of a response that ends early.
const RETRY: &[u8] = b"retry: ";

impl Book {
    /// A stream begins, and offers this behind its head.
    pub(in crate::sim::server) fn begin(
        &mut self,
        now: Tick,
        exchange: ExchangeId,
        stream: &mut Watched,
        offer: &[u8],
    ) -> Result<(), Broken> {
        let Some(speaks) = self.exchanges.get(&exchange).copied() else {
            return Err((Law::I12, format!("{exchange:?} is answered, and nobody asked")));
        };
        let Some(number) = speaks.talk else { return self.filled(now, exchange, stream, 0, (true, true)) };
        let offered = entries(offer);
        let talk = &mut self.talks[number];
        if talk.latest != Some(exchange) {
            return self.filled(now, exchange, stream, 0, (true, true));
        }
        talk.speaker = Some(exchange);
        let least = speaks.from.map_or(talk.taken + 1, |(least, _)| least);
        let most = match speaks.from {
            Some((_, most)) => most,
            None if self.is_certain(number, least - 1) => least,
            None => self.certainly_held(number).max(least),
        };
        let most = if self.talks[number].is_vague { self.talks[number].end() } else { most };
        let mut begun = false;
        for (at, entry) in offered.iter().enumerate() {
            if at + 1 == offered.len() && entry.frame.starts_with(RETRY) {
                break; // It ends early: see below.
            }
            let due = if begun { (self.talks[number].next, self.talks[number].next) } else { (least, most) };
            begun |= self.carries(now, number, speaks, entry, due)?;
            stream.oracle_mut().push(now, entry.id, entry.frame, true);
        }
        let talk = &mut self.talks[number];
        if !begun {
            talk.next = if offered.is_empty() { most.min(talk.end()) } else { least };
            // Behind an id that is there for that only, there may be no room.
            if offered.is_empty() && most < talk.end() {
                let how = stream.closed().map(|close| close.reason);
                let what =
                    format!("{exchange:?} begins without what follows {}: {speaks:?} {how:?}", most - 1);
                return Err((Law::I12, what));
            }
        }
        let rest = usize::from(offered.last().is_some_and(|last| last.frame.starts_with(RETRY)));
        self.filled(now, exchange, stream, rest, (true, true))
    }

    /// I12: an event is the one that is due, in its own place. Whether it is more than a beginning.
    fn carries(
        &mut self,
        now: Tick,
        number: usize,
        speaks: Speaks,
        entry: &Entry<'_>,
        (least, most): (u64, u64),
    ) -> Result<bool, Broken> {
        let broken = |what: String| Err((Law::I12, format!("{entry:?}: {what}")));
        let prime = self.prime();
        let mut others = self.talks.iter().enumerate().filter(|(at, _)| *at != number);
        if entry.id.is_some_and(|id| others.any(|(_, talk)| talk.number == Some(id.stream))) {
            return broken(String::from("of another stream"));
        }
        let talk = &mut self.talks[number];
        let rules = talk.revision.rules();
        let Some(id) = entry.id.filter(|_| rules.resumable) else {
            let said = talk.at(talk.next).is_some_and(|said| said.frame.as_bytes() == entry.frame);
            if entry.id.is_some() || rules.resumable || !said {
                return broken(String::from("not what was said next"));
            }
            talk.next += 1;
            return Ok(true);
        };
        let own = *talk.number.get_or_insert(id.stream);
        if own != id.stream {
            return broken(format!("of another stream than {own:x}"));
        }
        if id.seq == 0 {
            let is_due = rules.primes && speaks.may_prime && least == 1 && entry.frame == prime.as_bytes();
            return if is_due { Ok(false) } else { broken(String::from("no beginning is due")) };
        }
        let is_prime = entry.frame == Frame::priming().as_bytes();
        if id.seq == talk.end() && least <= id.seq && is_prime && rules.primes && speaks.may_prime {
            // It is there for its id, where nothing else waits.
            talk.log.push(Said { frame: Frame::priming(), message: None, at: now });
        }
        if id.seq < least || id.seq > most.max(least) {
            return broken(format!("{least} to {most} are due"));
        }
        if talk.at(id.seq).is_none_or(|said| said.frame.as_bytes() != entry.frame) {
            return broken(String::from("not what was said under this number"));
        }
        talk.next = id.seq + 1;
        Ok(true)
    }

    /// A stream was filled with so many frames more; whether it was open before, and is to be filled again.
    pub(in crate::sim::server) fn filled(
        &mut self,
        now: Tick,
        exchange: ExchangeId,
        stream: &mut Watched,
        more: usize,
        (was_open, again): (bool, bool),
    ) -> Result<(), Broken> {
        let broken = |law: Law, what: String| Err((law, format!("{exchange:?}: {what}")));
        let speaks = self.exchanges.get(&exchange).and_then(|speaks| speaks.talk);
        let Some(talk) = speaks.and_then(|talk| self.talks.get_mut(talk)) else {
            stream.oracle_mut().finish(now);
            return Ok(());
        };
        let is_superseded = stream.closed().is_some_and(|close| close.reason == CloseReason::Superseded);
        talk.saw(exchange, stream);
        if talk.latest != Some(exchange) {
            if is_superseded {
                stream.oracle_mut().supersede(now);
            } else if was_open && stream.closed().is_none() {
                return broken(Law::I12, String::from("a newer response has its place, and it goes on"));
            }
            return Ok(());
        }
        if is_superseded {
            return broken(Law::I3, String::from("no newer response has its place"));
        }
        if more > 0 && talk.number.is_none() && talk.revision.rules().resumable {
            talk.number = number_of(stream);
            let number = talk.number;
            let is_it = |talk: &&Talk| number.is_some() && talk.number == number;
            if self.talks.iter().filter(is_it).count() > 1 {
                return broken(Law::I12, format!("{number:x?} is the number of two streams"));
            }
        }
        let Some(talk) = speaks.and_then(|talk| self.talks.get_mut(talk)) else { return Ok(()) };
        let ends = was_open && !stream.stream().is_open();
        let retry = [talk.poll.unwrap_or(self.config.poll_retry), self.config.poll_retry].map(Frame::retry);
        let retry = retry.iter().find(|retry| ends && offers_last(stream, retry));
        for _ in 0..more.saturating_sub(usize::from(retry.is_some())) {
            let (id, Some(said)) = (talk.id(), talk.at(talk.next)) else {
                return broken(Law::I12, format!("says more than the {} that were said", talk.log.len()));
            };
            stream.oracle_mut().push(now, id, said.frame.as_bytes(), true);
            talk.next += 1;
        }
        if let Some(said) = talk.at(talk.next) {
            stream.oracle_mut().push(now, talk.id(), said.frame.as_bytes(), false);
        }
        let has_all = talk.next >= talk.end();
        if let Some(retry) = retry {
            if !talk.revision.rules().primes {
                return broken(Law::I4, String::from("ends early, where its revision has no such thing"));
            }
            talk.poll = None;
            self.ended_early += 1;
            stream.oracle_mut().push(now, None, retry.as_bytes(), true);
            stream.oracle_mut().finish(now);
        } else if ends {
            if !(talk.is_done && has_all) {
                return broken(
                    Law::I4,
                    format!("ends, and {} of {} are said", talk.next - 1, talk.log.len()),
                );
            }
            stream.oracle_mut().finish(now);
        } else if was_open && talk.is_done && has_all && !again {
            return broken(Law::I13, String::from("all is said, and it does not end"));
        }
        Ok(())
    }

    /// A response that is a stream is over.
    pub(in crate::sim::server) fn closed(&mut self, exchange: ExchangeId, stream: &Watched) {
        let talk = self.exchanges.get(&exchange).and_then(|speaks| speaks.talk);
        if let Some(talk) = talk.and_then(|talk| self.talks.get_mut(talk)) {
            talk.saw(exchange, stream);
            if talk.speaker == Some(exchange) {
                (talk.speaker, talk.poll) = (None, None);
            }
        }
    }

    /// A whole response has all that was said, and nothing else.
    pub(in crate::sim::server) fn whole(
        &mut self,
        exchange: ExchangeId,
        response: &Response,
    ) -> Result<(), Broken> {
        let talk = self.exchanges.get(&exchange).and_then(|speaks| speaks.talk);
        let Some(talk) = talk.and_then(|talk| self.talks.get_mut(talk)) else { return Ok(()) };
        let said = talk.said().flatten().count();
        if matches!(response.status(), 202 | 503) || (response.status() == 404 && talk.session.is_some()) {
            return Ok(());
        }
        let Ok(body) = core::str::from_utf8(response.body()) else { return Ok(()) };
        let is_whole = talk.said().flatten().all(|message| body.contains(message.as_str()));
        if talk.open > 0 || said != talk.asks.len() || !is_whole {
            let what =
                format!("{exchange:?}: {body} is not the {said} of {} that were said", talk.asks.len());
            return Err((Law::I2, what));
        }
        Ok(())
    }

    /// The event that stands at the beginning of a stream.
    fn prime(&self) -> Frame {
        let config = &self.config.stream;
        let frame = Frame::builder().data("").line_end(config.line_end());
        let frame = match config.retry() {
            Retry::First(after) | Retry::Every(after) => frame.retry(after),
            Retry::Never => frame,
        };
        frame.build().unwrap_or_else(|_| Frame::priming())
    }
}

impl Talk {
    /// What its response's socket took whole.
    fn saw(&mut self, exchange: ExchangeId, stream: &Watched) {
        if self.speaker != Some(exchange) {
            return;
        }
        let last = stream.oracle().last_delivered().filter(|last| Some(last.stream) == self.number);
        self.taken = self.taken.max(last.map_or(0, |last| last.seq));
    }

    /// The id of what is said next.
    fn id(&self) -> Option<EventId> {
        let stream = self.number.filter(|_| self.revision.rules().resumable)?;
        Some(EventId { stream, seq: self.next })
    }
}

/// The number of a stream, from the last id that it offers.
fn number_of(stream: &Watched) -> Option<u64> {
    let Step::Run { bytes, .. } = stream.poll() else { return None };
    let offer: Vec<u8> = bytes.pieces().flatten().copied().collect();
    let at = offer.windows(6).rposition(|six| six == b"\r\nid: ")?;
    let id = offer.get(at + 6..)?.split(|b| matches!(b, b'\r' | b'\n')).next()?;
    let id: EventId = core::str::from_utf8(id).ok()?.parse().ok()?;
    Some(id.stream)
}

/// Whether this is the last frame that a stream offers before its end.
fn offers_last(stream: &Watched, frame: &Frame) -> bool {
    let Step::Run { bytes, .. } = stream.poll() else { return false };
    let mut tail: Vec<u8> = bytes.pieces().flatten().copied().collect();
    for end in [&b"0\r\n\r\n"[..], b"\r\n"] {
        tail.truncate(tail.strip_suffix(end).map_or(tail.len(), <[u8]>::len));
    }
    // A chunk of its own: the event that a stream begins with may end in such a line too.
    let chunk = format!("{:x}\r\n", frame.as_bytes().len());
    tail.strip_suffix(frame.as_bytes()).is_some_and(|rest| rest.ends_with(chunk.as_bytes()))
}
