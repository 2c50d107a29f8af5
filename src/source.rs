//! [`EventSource`]: the client's side of a stream over many responses (HTML §9.2.2 and §9.2.3).

mod backoff;
mod config;
mod want;

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::time::Duration;

use crate::decode::Found;
use crate::{Decoder, Disconnect, EventRef, LastEventId, Tick};
pub use backoff::Jitter;
pub use config::{SourceConfig, SourceConfigBuilder};
pub use want::{Connect, Lost, Refused, ResponseFacts, SourceClose, SourceCloseReason, SourceWake, Want};

/// Reads one stream, and reconnects when the connection is lost, until it is closed or told not to come back.
///
/// A pure state machine: the driver makes requests and moves bytes as [`poll`](Self::poll) wants, and reports
/// what happened with the `handle_*` methods. Facts that come too late, such as bytes of a connection that was
/// given up, change nothing.
///
/// - 200 with `text/event-stream` opens the stream; 301, 302, 303, 307 and 308 are followed; anything else closes
///   the source for good.
/// - A lost connection, and the ordinary end of a response, lead to a reconnect after the reconnection time: the
///   server's last `retry`, clamped, doubled for every failure in a row after the first, plus jitter. An attempt
///   or a response counts as a failure unless it brings an event, a comment or a `retry` line.
/// - The last event id outlives connections, failures and responses without events.
///
/// Time never goes backwards inside: a `now` earlier than one seen before counts as that one.
///
/// ```
/// use core::time::Duration;
/// use std::sync::Arc;
/// use sansio_sse::{Disconnect, EventSource, Jitter, ResponseFacts, SourceConfig, Tick, Want};
///
/// let config = Arc::new(SourceConfig::builder().jitter(Jitter::Off).build()?);
/// let mut source = EventSource::new(Tick::ZERO, config, 1);
///
/// let head = ResponseFacts { status: 200, content_type: Some("text/event-stream"), location: None };
/// source.handle_response(Tick::ZERO, &head)?;
/// let mut body = &b"id: 1\nretry: 500\ndata: one\n\ndata: cut off"[..];
/// while let Some(event) = source.handle_bytes(Tick::ZERO, &mut body) {
///     assert_eq!(event.data, "one");
/// }
/// source.handle_disconnect(Tick::ZERO, Disconnect::Eof);
///
/// let Want::Wait { until, .. } = source.poll() else { panic!() };
/// assert_eq!(until, Tick::ZERO + Duration::from_millis(500));
/// source.handle_timeout(until);
/// let Want::Connect(attempt) = source.poll() else { panic!() };
/// assert_eq!(attempt.last_event_id.map(|id| id.as_str()), Some("1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventSource {
    config: Arc<SourceConfig>,
    seed: u64,
    now: Tick,
    decoder: Decoder,
    /// The reconnection time (HTML §9.2.2), already clamped.
    retry: Duration,
    /// Connections lost in a row, the last one included, since one brought something.
    failures: u32,
    /// Connections lost in all; numbers the draws of jitter.
    losses: u64,
    life: Life,
}

#[derive(Debug)]
enum Life {
    Connecting {
        give_up_at: Option<Tick>,
        redirects: u8,
        redirect: Option<Box<str>>,
    },
    /// `heard`: when the head, or the last byte, came.
    Open {
        heard: Tick,
    },
    Waiting {
        until: Tick,
        lost: Lost,
    },
    Closed(SourceClose),
}

impl EventSource {
    /// A source that wants to connect at once.
    ///
    /// `seed` decides the jitter and nothing else; give every client another one.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceConfig, Tick, Want};
    ///
    /// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 0x5eed);
    /// assert!(matches!(source.poll(), Want::Connect(_)));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn new(now: Tick, config: Arc<SourceConfig>, seed: u64) -> EventSource {
        let decoder = Decoder::new(config.max_event);
        EventSource::with_decoder(now, config, seed, decoder)
    }

    /// A source whose first request already resumes after `last_event_id`.
    ///
    /// The id stays until the stream sets another, however many attempts fail before.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, LastEventId, SourceConfig, Tick, Want};
    ///
    /// let config = Arc::new(SourceConfig::builder().build()?);
    /// let source = EventSource::resume(Tick::ZERO, config, 1, LastEventId::new("41")?);
    /// let Want::Connect(attempt) = source.poll() else { panic!() };
    /// assert!(attempt.headers().any(|header| header == ("Last-Event-ID", "41")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn resume(
        now: Tick,
        config: Arc<SourceConfig>,
        seed: u64,
        last_event_id: LastEventId,
    ) -> EventSource {
        let decoder = Decoder::resume(config.max_event, last_event_id);
        EventSource::with_decoder(now, config, seed, decoder)
    }

    fn with_decoder(now: Tick, config: Arc<SourceConfig>, seed: u64, decoder: Decoder) -> EventSource {
        let retry = config.retry;
        let life = Life::connecting(now, &config);
        EventSource { config, seed, now, decoder, retry, failures: 0, losses: 0, life }
    }

    /// The head of the response to the current attempt has come.
    ///
    /// Opens the stream, follows a redirect, or closes the source. A redirect shows as another
    /// [`Want::Connect`], with the location; the time for the attempt goes on.
    ///
    /// # Errors
    /// [`Refused`] says why the source closed; [`poll`](Self::poll) says the same.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, Refused, ResponseFacts, SourceConfig, Tick, Want};
    ///
    /// let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// let gone = ResponseFacts { status: 204, content_type: None, location: None };
    /// assert_eq!(source.handle_response(Tick::ZERO, &gone), Err(Refused::Status(204)));
    /// assert!(matches!(source.poll(), Want::Closed(_)));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    pub fn handle_response(&mut self, now: Tick, head: &ResponseFacts<'_>) -> Result<(), Refused> {
        self.see(now);
        let Life::Connecting { redirects, redirect, .. } = &mut self.life else { return Ok(()) };
        let refused = match head.status {
            200 if is_event_stream(head.content_type) => {
                self.life = Life::Open { heard: self.now };
                return Ok(());
            }
            200 => Refused::MediaType,
            301 | 302 | 303 | 307 | 308 => match head.location.filter(|to| is_location(to)) {
                Some(to) if *redirects < self.config.max_redirects => {
                    *redirects += 1;
                    *redirect = Some(Box::from(to));
                    return Ok(());
                }
                Some(_) => Refused::TooManyRedirects { limit: self.config.max_redirects },
                None => Refused::Location,
            },
            status => Refused::Status(status),
        };
        self.end(SourceCloseReason::Refused(refused));
        Err(refused)
    }

    /// Bytes of the open response's body have come; returns the next event in them.
    ///
    /// Takes bytes from the front of `input` up to the end of that event. `None` means that all were taken.
    /// An event over the limit closes the source.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, ResponseFacts, SourceConfig, Tick};
    ///
    /// let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// let head = ResponseFacts { status: 200, content_type: Some("text/event-stream"), location: None };
    /// source.handle_response(Tick::ZERO, &head)?;
    /// let mut input = &b": hello\n\nevent: tick\ndata: 1\n\n"[..];
    /// let event = source.handle_bytes(Tick::ZERO, &mut input).ok_or("no event")?;
    /// assert_eq!((event.event_type, event.data), ("tick", "1"));
    /// assert_eq!(source.handle_bytes(Tick::ZERO, &mut input), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_bytes<'s, 'i: 's>(&'s mut self, now: Tick, input: &mut &'i [u8]) -> Option<EventRef<'s>> {
        self.see(now);
        let Life::Open { heard } = &mut self.life else {
            *input = &[];
            return None;
        };
        if !input.is_empty() {
            *heard = self.now;
        }
        loop {
            match self.decoder.find(input)? {
                Ok(Found::Event { data, event_type }) => {
                    self.failures = 0;
                    return Some(self.decoder.event(data, event_type));
                }
                Ok(Found::Retry(after)) => {
                    self.failures = 0;
                    self.retry = after.clamp(self.config.min_delay, self.config.max_delay);
                }
                Ok(Found::Comment(_)) => self.failures = 0,
                Err(too_large) => {
                    *input = &[];
                    self.end(SourceCloseReason::TooLarge(too_large));
                    return None;
                }
            }
        }
    }

    /// The attempt failed without a response, or the response ended.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{Disconnect, EventSource, Lost, SourceConfig, Tick, Want};
    ///
    /// let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// source.handle_disconnect(Tick::ZERO, Disconnect::Reset);
    /// assert!(matches!(source.poll(), Want::Wait { lost: Lost::Disconnected(Disconnect::Reset), .. }));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    pub fn handle_disconnect(&mut self, now: Tick, how: Disconnect) {
        self.see(now);
        match self.life {
            Life::Connecting { .. } | Life::Open { .. } => self.lose(Lost::Disconnected(how)),
            Life::Waiting { .. } | Life::Closed(_) => {}
        }
    }

    /// Time has passed. Early, late and repeated calls do no harm.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, Lost, SourceConfig, Tick, Want};
    ///
    /// let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// let Want::Connect(attempt) = source.poll() else { panic!() };
    /// source.handle_timeout(attempt.give_up_at.ok_or("no deadline")?);
    /// assert!(matches!(source.poll(), Want::Wait { lost: Lost::ConnectTimedOut { .. }, .. }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn handle_timeout(&mut self, now: Tick) {
        self.see(now);
        // One deadline exists at a time, and the state that follows counts from now: no loop is needed, and a
        // driver that is late never skips the wait in which it must drop a connection.
        match self.deadline() {
            Some((at, wake)) if at <= self.now => self.fire(wake),
            Some(_) | None => {}
        }
    }

    /// Ends the source; a source that has ended stays as it is.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceCloseReason, SourceConfig, Tick, Want};
    ///
    /// let mut source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// source.close(Tick::from_micros(5));
    /// let Want::Closed(close) = source.poll() else { panic!() };
    /// assert_eq!((close.reason, close.at), (SourceCloseReason::Closed, Tick::from_micros(5)));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    pub fn close(&mut self, now: Tick) {
        self.see(now);
        if !matches!(self.life, Life::Closed(_)) {
            self.end(SourceCloseReason::Closed);
        }
    }

    /// What the driver must do now.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceConfig, Tick};
    ///
    /// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// assert_eq!(source.poll(), source.poll());
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    pub fn poll(&self) -> Want<'_> {
        match &self.life {
            Life::Connecting { give_up_at, redirect, redirects: _ } => Want::Connect(Connect {
                last_event_id: self.last_event_id(),
                redirect: redirect.as_deref(),
                give_up_at: *give_up_at,
            }),
            Life::Open { .. } => Want::Run { wake_at: self.deadline().map(|(at, _)| at) },
            Life::Waiting { until, lost } => Want::Wait { until: *until, lost: *lost },
            Life::Closed(close) => Want::Closed(close),
        }
    }

    /// The next deadline with its reason, for logs and tests; [`poll`](Self::poll) tells the same time.
    ///
    /// ```
    /// use core::time::Duration;
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceConfig, SourceWake, Tick};
    ///
    /// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// let half_a_minute = Tick::ZERO + Duration::from_secs(30);
    /// assert_eq!(source.deadline(), Some((half_a_minute, SourceWake::ConnectTimeout)));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn deadline(&self) -> Option<(Tick, SourceWake)> {
        match &self.life {
            Life::Connecting { give_up_at, .. } => give_up_at.map(|at| (at, SourceWake::ConnectTimeout)),
            Life::Open { heard } => self.config.silent_for.map(|after| (*heard + after, SourceWake::Silence)),
            Life::Waiting { until, .. } => Some((*until, SourceWake::Reconnect)),
            Life::Closed(_) => None,
        }
    }

    /// The id that the next request carries; to be stored by an application that resumes in a later run.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceConfig, Tick};
    ///
    /// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// assert_eq!(source.last_event_id(), None);
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn last_event_id(&self) -> Option<&LastEventId> {
        self.decoder.last_event_id()
    }

    /// The reconnection time in force: the configured one or the server's, clamped, before growth and jitter.
    ///
    /// ```
    /// use core::time::Duration;
    /// use std::sync::Arc;
    /// use sansio_sse::{EventSource, SourceConfig, Tick};
    ///
    /// let source = EventSource::new(Tick::ZERO, Arc::new(SourceConfig::builder().build()?), 1);
    /// assert_eq!(source.reconnection_time(), Duration::from_secs(3));
    /// # Ok::<(), sansio_sse::ConfigError>(())
    /// ```
    #[must_use]
    pub fn reconnection_time(&self) -> Duration {
        self.retry
    }

    fn see(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    fn fire(&mut self, wake: SourceWake) {
        match wake {
            SourceWake::ConnectTimeout => {
                self.lose(Lost::ConnectTimedOut { after: self.config.connect_within.unwrap_or_default() });
            }
            SourceWake::Silence => {
                self.lose(Lost::Silent { for_: self.config.silent_for.unwrap_or_default() });
            }
            SourceWake::Reconnect => self.life = Life::connecting(self.now, &self.config),
        }
    }

    /// HTML §9.2.3, reestablish the connection.
    fn lose(&mut self, lost: Lost) {
        self.decoder.reset();
        self.failures = self.failures.saturating_add(1);
        self.losses = self.losses.wrapping_add(1);
        if let Some(max) = self.config.max_failures
            && self.failures > max.get()
        {
            self.end(SourceCloseReason::GaveUp { reconnects: max.get(), lost });
            return;
        }
        let delay = backoff::delay(
            self.retry,
            self.config.max_delay,
            self.config.jitter,
            self.failures,
            self.losses,
            self.seed,
        );
        self.life = Life::Waiting { until: self.now + delay, lost };
    }

    fn end(&mut self, reason: SourceCloseReason) {
        self.decoder.reset();
        self.life = Life::Closed(SourceClose { reason, at: self.now });
    }
}

impl Life {
    fn connecting(now: Tick, config: &SourceConfig) -> Life {
        Life::Connecting {
            give_up_at: config.connect_within.map(|after| now + after),
            redirects: 0,
            redirect: None,
        }
    }
}

/// Compares the media type without its parameters, in any case; `charset` too is ignored, the stream is UTF-8.
fn is_event_stream(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|value| {
        let media_type = value.split_once(';').map_or(value, |(before, _)| before);
        media_type.trim_matches([' ', '\t']).eq_ignore_ascii_case("text/event-stream")
    })
}

/// What may go on to the driver as an address; what it means is for the driver to resolve.
fn is_location(value: &str) -> bool {
    !value.is_empty() && !value.contains(['\r', '\n', '\0'])
}
