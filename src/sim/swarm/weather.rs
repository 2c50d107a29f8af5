//! [`Weather`]: what links can do in a drawn world.

use core::time::Duration;

use crate::Tick;
use crate::sim::{Faults, Rng, Spot};

/// Which faults links can have in a world; each link has its own luck.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    latency: bool,
    jitter: bool,
    slow: bool,
    pieces: bool,
    reads: bool,
    stalls: bool,
    empty: bool,
    shut: bool,
    reset: bool,
    fail: bool,
    vanish: bool,
    narrow: bool,
    /// Of the world, in ms.
    length: u64,
}

impl Weather {
    /// Which there are in a world of this length.
    pub(super) fn draw(rng: &mut Rng, length: Duration) -> Weather {
        let mut on = |worlds: u64| rng.one_in(worlds);
        let (latency, jitter, slow) = (on(2), on(2), on(4));
        let (pieces, reads, stalls) = (on(3), on(3), on(3));
        let (empty, shut, reset) = (on(6), on(5), on(3));
        let (fail, vanish, narrow) = (on(6), on(4), on(3));
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Weather {
            latency,
            jitter,
            slow,
            pieces,
            reads,
            stalls,
            empty,
            shut,
            reset,
            fail,
            vanish,
            narrow,
            length,
        }
    }

    pub(super) fn links(&self, now: Tick, rng: &mut Rng) -> [Faults; 2] {
        let mut up = self.link(now, rng);
        let mut down = self.link(now, rng);
        up.shut = (self.shut && rng.one_in(3)).then(|| Spot::Byte(rng.between(10, 300)));
        if self.shut && rng.one_in(3) {
            // Behind the whole request.
            up.shut = Some(Spot::Blank(1));
        }
        if self.reset && rng.one_in(2) {
            down.reset = Some(self.spot(rng));
        } else if self.reset && rng.one_in(4) {
            up.reset = Some(self.spot(rng));
        }
        if self.fail && rng.one_in(3) {
            down.fail = Some(self.spot(rng));
        }
        if self.vanish && rng.one_in(3) {
            down.vanish = Some((self.spot(rng), Duration::from_millis(rng.between(300, 4_000))));
        }
        [up, down]
    }

    fn spot(&self, rng: &mut Rng) -> Spot {
        match rng.below(4) {
            0 => Spot::Byte(0),
            1 => Spot::Byte(rng.between(1, 600)),
            2 => Spot::Byte(rng.between(1, 4_000)),
            _ => Spot::Blank(u32::try_from(rng.between(1, 12)).unwrap_or(1)),
        }
    }

    fn link(&self, now: Tick, rng: &mut Rng) -> Faults {
        let ms = |rng: &mut Rng, least, most| Duration::from_millis(rng.between(least, most));
        let mut faults = Faults::default();
        if self.latency {
            faults.latency = ms(rng, 0, 300);
        }
        if self.jitter && rng.one_in(2) {
            faults.jitter = ms(rng, 0, 200);
        }
        if self.slow && rng.one_in(2) {
            faults.rate = Some(rng.between(20, 5_000));
        }
        if self.pieces && rng.one_in(2) {
            faults.write_up_to = Some(if rng.one_in(4) { 1 } else { 50 });
        }
        if self.reads && rng.one_in(2) {
            faults.read_up_to = Some(if rng.one_in(4) { 1 } else { 50 });
        }
        faults.pieces = u32::try_from(rng.between(5, 60)).unwrap_or(60);
        if self.stalls && rng.one_in(2) {
            let from = now + ms(rng, 0, self.length / 2);
            faults.stalls.push((from, ms(rng, 10, 6_000)));
        }
        if self.empty && rng.one_in(2) {
            faults.empty_writes = u32::try_from(rng.between(1, 30)).unwrap_or(1);
        }
        if self.narrow && rng.one_in(2) {
            faults.window = usize::try_from(rng.between(1, 400)).unwrap_or(400);
        }
        faults
    }
}
