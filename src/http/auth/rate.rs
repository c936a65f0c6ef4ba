//! How often requests may come, all clients together: a bucket of tokens, one more in each interval.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::sys::lock;

/// The bucket of `rate_limit`.
#[derive(Debug)]
pub struct RateLimit {
    interval: Duration,
    /// How long the bucket takes to fill.
    depth: Duration,
    /// When the bucket is full if nothing more is taken; never held across an await.
    full_at: Mutex<Option<Instant>>,
}

impl RateLimit {
    /// A full bucket of `burst` tokens that gets one more in each `interval`.
    pub fn new(interval: Duration, burst: u32) -> RateLimit {
        RateLimit { interval, depth: interval.saturating_mul(burst), full_at: Mutex::new(None) }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> bool {
        let mut full_at = lock(&self.full_at);
        let from = full_at.map_or(now, |at| at.max(now));
        let Some(then) = from.checked_add(self.interval) else {
            return false;
        };
        let has_token = then - now <= self.depth;
        if has_token {
            *full_at = Some(then);
        }
        has_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_in_each_interval() {
        let bucket = RateLimit::new(Duration::from_secs(10), 3);
        let start = Instant::now();
        let at = |seconds| bucket.take_at(start + Duration::from_secs(seconds));
        assert_eq!([at(0), at(0), at(0), at(0)], [true, true, true, false]);
        assert_eq!([at(9), at(10), at(10), at(19), at(20)], [false, true, false, false, true]);
        // After a long rest there are three again, not more.
        assert_eq!([at(500), at(500), at(500), at(500)], [true, true, true, false]);
    }
}
