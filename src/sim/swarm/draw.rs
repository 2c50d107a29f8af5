//! [`Draw`]: the settings of a world, each within bounds that make it go through much in a short time.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;

use crate::http1::{ConnectionConfig, HeadLimits};
use crate::mcp::{HttpSse, Resumption, SessionLimits};
use crate::sim::{ClientConfig, Rng, ServerConfig, request};
use crate::{HalfClose, KeepAlive, Retry, SourceConfig, SpinGuard, StreamConfig, StreamConfigBuilder, Tick};

/// Draws a world.
pub(super) struct Draw {
    pub(super) rng: Rng,
}

impl Draw {
    pub(super) fn ms(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.rng.between(least, most))
    }

    /// In one world of `worlds`, a number around `around`; else 0.
    pub(super) fn maybe(&mut self, worlds: u64, around: u64) -> u64 {
        let drawn = self.rng.between(around / 2 + 1, around * 2);
        if self.rng.one_in(worlds) { drawn } else { 0 }
    }

    pub(super) fn server(&mut self, late_by: Option<Duration>) -> ServerConfig {
        let limits = SessionLimits {
            max_sessions: NonZeroUsize::new(if self.rng.one_in(8) { 2 } else { 1_000 })
                .unwrap_or(NonZeroUsize::MIN),
            max_messages: self.size(1, 20),
            max_bytes: self.size(100, 5_000),
            max_held: self.size(1, 4),
            hold_for: self.ms(100, 2_000),
            detached_for: self.ms(1_000, 10_000),
        };
        let connection = ConnectionConfig::builder()
            .head(HeadLimits { head_bytes: 2_000, target_bytes: 500, headers: 20 })
            .head_within(self.ms(500, 4_000))
            .idle_for(self.ms(500, 4_000))
            .body_within(self.ms(500, 4_000))
            .body_bytes(2_000)
            .respond_stall(self.ms(500, 4_000))
            .linger_within(self.ms(100, 2_000))
            .build()
            .unwrap_or_default();
        let resumption = match self.rng.below(4) {
            0 => Resumption::Off,
            1 => Resumption::ServerClosed,
            _ => Resumption::Always,
        };
        let stream = Arc::new(self.stream(true));
        let http_sse = HttpSse { stream: Arc::clone(&stream), resumption, ..HttpSse::default() };
        let connection = Arc::new(connection);
        ServerConfig { http_sse, events: stream, connection, limits, late_by, ..ServerConfig::default() }
    }

    pub(super) fn size(&mut self, least: u64, most: u64) -> NonZeroUsize {
        let drawn = usize::try_from(self.rng.between(least, most)).unwrap_or(1);
        NonZeroUsize::new(drawn).unwrap_or(NonZeroUsize::MIN)
    }

    /// The settings of streams; those of the preset are of the older transport only.
    pub(super) fn stream(&mut self, may_be_preset: bool) -> StreamConfig {
        let every = self.ms(300, 3_000);
        let preset = self.rng.one_in(5) && may_be_preset;
        let builder = if preset {
            let most = NonZeroU32::new(8).unwrap_or(NonZeroU32::MIN);
            let guard = SpinGuard::EveryFrame {
                gap: self.ms(10, 100),
                in_a_row: most,
                window: Some((self.ms(100, 1_000), most.saturating_add(4))),
            };
            let keep_alive = KeepAlive::contextforge(every, Retry::Every(Duration::from_millis(300)));
            StreamConfigBuilder::contextforge().keep_alive(keep_alive).spin_guard(guard)
        } else {
            let keep_alive = if self.rng.one_in(6) { KeepAlive::Off } else { KeepAlive::Comment(every) };
            StreamConfig::builder().keep_alive(keep_alive).retry(Retry::First(Duration::from_millis(300)))
        };
        let lag = self.ms(400, 6_000);
        let (frames, bytes) = (self.size(2, 40), self.size(300, 8_000));
        builder
            .stall_after((!self.rng.one_in(8)).then_some(self.ms(200, 3_000)))
            .lag_after((!self.rng.one_in(4)).then_some(lag))
            .drain_within(self.ms(100, 2_000))
            .max_lifetime(self.rng.one_in(5).then_some(self.ms(800, 8_000)))
            .max_queued(frames, bytes)
            .max_empty_writes(NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN))
            .half_close(if self.rng.one_in(3) { HalfClose::GoesOn } else { HalfClose::Disconnects })
            .build()
            .unwrap_or_default()
    }

    pub(super) fn source(&mut self) -> SourceConfig {
        let (least, most) = (self.ms(10, 100), self.ms(300, 1_000));
        SourceConfig::builder()
            .delay_between(least, most)
            .retry(most)
            .connect_within(Some(self.ms(500, 3_000)))
            .silent_for(Some(self.ms(3_200, 5_000)))
            .build()
            .unwrap_or_default()
    }

    pub(super) fn client(&mut self, number: u64, length: Duration, large: bool) -> ClientConfig {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let posts = if large { 2 } else { self.rng.below(12) };
        let path = if self.rng.one_in(4) { "/events" } else { "/sse" };
        ClientConfig {
            path: String::from(path),
            comes: Tick::ZERO + self.ms(0, ms / 4),
            leaves: self.rng.one_in(4).then_some(Tick::ZERO + self.ms(ms / 4, ms)),
            posts: (0..posts)
                .map(|post| {
                    let padding = "p".repeat(usize::try_from(self.rng.below(80)).unwrap_or(0));
                    request(number * 1_000 + post, "say", &format!("[\"{padding}\"]"))
                })
                .collect(),
            pause: self.ms(0, ms / 12),
            comes_again: true,
            seed: self.rng.next(),
        }
    }
}
