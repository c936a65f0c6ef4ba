//! Whether a loop goes round: it stamps its heartbeat, and others see how long ago.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A loop that stamped nothing for so long stands still; each stamps once a second.
const STILL: Duration = Duration::from_secs(15);

/// The stamp of one loop.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Stamp>);

#[derive(Debug)]
struct Stamp {
    base: Instant,
    /// Milliseconds after `base`; 0 before the first.
    at: AtomicU64,
}

impl Default for Heartbeat {
    /// Of a loop that has not begun: it stands still no more than one that goes round.
    fn default() -> Heartbeat {
        Heartbeat(Arc::new(Stamp { base: Instant::now(), at: AtomicU64::new(0) }))
    }
}

impl Heartbeat {
    /// The loop went round.
    pub fn beat(&self) {
        self.beat_at(Instant::now());
    }

    /// One whose latest stamp was so long ago.
    #[cfg(test)]
    pub fn stamped(ago: Duration) -> Heartbeat {
        let base = Instant::now().checked_sub(ago + STILL).expect("the machine has run for some time");
        let heart = Heartbeat(Arc::new(Stamp { base, at: AtomicU64::new(0) }));
        heart.beat_at(base + STILL);
        heart
    }

    fn beat_at(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.0.base).as_millis();
        self.0.at.store(u64::try_from(millis).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }

    /// How long ago the loop stamped, where that is too long.
    pub fn stands_still(&self, now: Instant) -> Option<Duration> {
        let at = self.0.at.load(Ordering::Relaxed);
        let ago = now.saturating_duration_since(self.0.base + Duration::from_millis(at));
        (at > 0 && ago > STILL).then_some(ago)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stamps_nothing_for_long_stands_still() {
        let heart = Heartbeat::default();
        let later = |seconds| heart.0.base + Duration::from_secs(seconds);
        assert_eq!(heart.stands_still(later(1000)), None, "it has not begun");
        heart.beat_at(later(0));
        assert_eq!(heart.stands_still(later(15)), None);
        assert!(heart.stands_still(later(16)).is_some());
        heart.beat_at(later(20));
        assert_eq!(heart.stands_still(later(16)), None, "a stamp ahead is none of long ago");
        assert_eq!(heart.stands_still(later(35)), None);
        assert_eq!(heart.stands_still(later(36)), Some(Duration::from_secs(16)));
    }
}
