//! The guard that counts every frame, as ContextForge does: see [`SpinGuard::EveryFrame`](crate::SpinGuard).

use alloc::collections::VecDeque;
use core::time::Duration;

use crate::{CloseReason, SpinGuard, Tick};

/// In the window, a frame must also come closer than this to the one before.
const WINDOW_GAP: Duration = Duration::from_millis(10);

/// When frames went out.
pub(super) struct FrameClock {
    last: Tick,
    in_a_row: u32,
    window: VecDeque<Tick>,
}

impl FrameClock {
    /// The clock starts with the stream.
    pub(super) fn new(now: Tick) -> FrameClock {
        FrameClock { last: now, in_a_row: 0, window: VecDeque::new() }
    }

    /// Counts a frame; says so when it is one too many.
    pub(super) fn count(&mut self, now: Tick, guard: SpinGuard) -> Option<CloseReason> {
        let SpinGuard::EveryFrame { gap, in_a_row, window } = guard else { return None };
        let since = now.since(self.last);
        self.last = now;
        self.in_a_row = if since < gap { self.in_a_row + 1 } else { 0 };
        if let Some((within, most)) = window {
            while self.window.front().is_some_and(|first| now.since(*first) > within) {
                self.window.pop_front();
            }
            self.window.push_back(now);
            let frames = u32::try_from(self.window.len()).unwrap_or(u32::MAX);
            if frames > most.get() && since < WINDOW_GAP {
                return Some(CloseReason::RapidFrames { frames });
            }
        }
        (self.in_a_row >= in_a_row.get()).then_some(CloseReason::RapidFrames { frames: self.in_a_row })
    }
}
