//! Time in four bytes: eighths of a second since shortly before the first pair.

use super::told::Millis;

/// Eighths of a second since the schedule's own beginning.
pub type Tick = u32;

const TICK_MILLIS: Millis = 125;
/// How far before the first insertion a moment may lie; what lies earlier counts as then. The other end lies 15 years
/// ahead.
const BEFORE: Millis = 400 * 86_400_000;
/// Times beyond this are taken for it.
const LATEST: Tick = u32::MAX - 1;

/// Where the ticks begin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    base: Option<Millis>,
}

impl Clock {
    /// The first pair comes now.
    pub fn begin(&mut self, now: Millis) {
        self.base.get_or_insert((now - BEFORE).div_euclid(1000) * 1000);
    }

    /// The tick in which that moment lies.
    pub fn tick(&self, at: Millis) -> Tick {
        let ticks = at.saturating_sub(self.base.unwrap_or(0)).max(0) / TICK_MILLIS;
        Tick::try_from(ticks).unwrap_or(LATEST).min(LATEST)
    }

    /// The first tick that does not lie before that moment.
    pub fn tick_after(&self, at: Millis) -> Tick {
        self.tick(at.saturating_add(TICK_MILLIS - 1))
    }

    /// The moment at which a tick begins.
    pub fn millis(&self, tick: Tick) -> Millis {
        self.base.unwrap_or(0) + Millis::from(tick) * TICK_MILLIS
    }

    /// That many milliseconds in ticks, rounded up.
    pub fn ticks(&self, span: Millis) -> Tick {
        Tick::try_from((span.max(0) + TICK_MILLIS - 1) / TICK_MILLIS).unwrap_or(LATEST)
    }

    /// A difference of two moments, rounded towards the past.
    pub fn span(&self, by: Millis) -> i32 {
        i32::try_from(by.div_euclid(TICK_MILLIS)).unwrap_or(if by < 0 { i32::MIN } else { i32::MAX })
    }

    /// Ticks in seconds.
    pub fn seconds(&self, from: Tick, to: Tick) -> f64 {
        f64::from(to.saturating_sub(from)) * (TICK_MILLIS as f64 / 1000.0)
    }
}
