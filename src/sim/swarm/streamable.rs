//! What there is at `/mcp` in a drawn world: the endpoint's settings, and its clients.

use alloc::string::String;
use alloc::sync::Arc;
use core::num::NonZeroUsize;
use core::time::Duration;

use super::draw::Draw;
use crate::mcp::{AnswerMode, GapAnswer, Offer, Revision, SecondGet, StreamableConfig, StreamableLimits};
use crate::sim::McpConfig;
use crate::{StreamConfig, Tick};

/// Which transports there are in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transports {
    /// `/sse`, `/message` and `/events`.
    HttpSse,
    /// `/mcp`.
    Streamable,
    Both,
}

impl Transports {
    /// Of every twenty worlds thirteen have the older transport, six the newer one, and one has both.
    pub(super) fn of(seed: u64) -> Transports {
        match seed % 20 {
            0..=12 => Transports::HttpSse,
            13..=18 => Transports::Streamable,
            _ => Transports::Both,
        }
    }
}

impl Draw {
    pub(super) fn streamable(&mut self, stream: Arc<StreamConfig>) -> StreamableConfig {
        let few = self.rng.one_in(6);
        let limits = StreamableLimits {
            max_sessions: if few { self.size(1, 2) } else { self.size(100, 100) },
            idle_at_least: self.ms(300, 2_000),
            idle_for: if self.rng.one_in(3) { self.ms(1_500, 5_000) } else { self.ms(10_000, 20_000) },
            max_requests: self.size(1, 6),
            max_stateless: self.size(2, 8),
            max_kept: self.size(1, 6),
            max_messages: self.size(1, 8),
            max_bytes: self.size(100, 3_000),
            max_held: self.size(1, 2),
            hold_for: self.ms(100, 2_000),
            replay_frames: self.size(1, 6),
            replay_bytes: self.size(300, 5_000),
            replay_for: if self.rng.one_in(3) { self.ms(1_500, 6_000) } else { Duration::from_secs(300) },
            max_batch: self.size(1, 4),
            max_resources: NonZeroUsize::MIN,
        };
        StreamableConfig {
            stream,
            answers: match self.rng.below(8) {
                0 => AnswerMode::Json,
                1 | 2 => AnswerMode::Stream,
                _ => AnswerMode::Auto,
            },
            stream_after: (!self.rng.one_in(4)).then_some(self.ms(50, 1_500)),
            poll_after: self.rng.one_in(4).then_some(self.ms(300, 2_000)),
            poll_retry: self.ms(20, 500),
            second_get: if self.rng.one_in(2) { SecondGet::Refused } else { SecondGet::Replaces },
            gaps: self
                .rng
                .pick(&[GapAnswer::Refuse, GapAnswer::Refuse, GapAnswer::Empty, GapAnswer::Reset])
                .unwrap_or(GapAnswer::Refuse),
            subscriptions: self.rng.one_in(2).then_some(Offer::all()),
            limits,
            ..StreamableConfig::default()
        }
    }

    pub(super) fn mcp_client(&mut self, number: u64, length: Duration) -> McpConfig {
        let ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let revision = match self.rng.below(8) {
            0 => Revision::V2025_03_26,
            1 | 2 => Revision::V2025_06_18,
            3..=5 => Revision::V2025_11_25,
            _ => Revision::V2026_07_28,
        };
        let asks = self.rng.below(7);
        let (listens, listens_again) = (!self.rng.one_in(4), self.rng.one_in(3));
        McpConfig {
            revision,
            name: self.rng.one_in(2).then(|| alloc::format!("client {number}")),
            comes: Tick::ZERO + self.ms(0, ms / 4),
            leaves: self.rng.one_in(5).then_some(Tick::ZERO + self.ms(ms / 4, ms)),
            asks: (0..asks)
                .map(|ask| {
                    let subscribes = revision.is_stateless() && self.rng.one_in(4);
                    let method = if subscribes { "subscriptions/listen" } else { "tools/list" };
                    (number * 10_000 + ask, String::from(method))
                })
                .collect(),
            first_id: number * 10_000 + 1_000,
            pause: self.ms(0, ms / 12),
            at_once: usize::try_from(self.rng.between(1, 4)).unwrap_or(1),
            listens,
            listens_again: listens_again.then_some(self.ms(50, ms / 2)),
            deletes: self.rng.one_in(4).then_some(Tick::ZERO + self.ms(ms / 4, ms)),
            cancels: self.maybe(3, 3),
            goes_back: self.maybe(2, 2),
            patience: self.ms(3_200, 4_500),
            retry: self.ms(100, 900),
            seed: self.rng.next(),
        }
    }
}
