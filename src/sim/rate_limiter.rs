//! When questions came: the rate by the simulator's own clock, and the lock-out.
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use super::report::{AppArrivals, Arrivals};

/// Arrivals that are kept of each app.
const KEPT_ARRIVALS: usize = 4_096;
/// The upstream's code for too many failed verifications.
pub(super) const LOCKED_OUT: (i64, &str) = (70050, "verification failed too often, try again after a minute");

/// What the limiters of all apps have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimits {
    pub(super) started: Instant,
    pub(super) smallest_gap: Duration,
    pub(super) lockout_failures: u32,
    pub(super) lockout_window: Duration,
}

/// The limiter of one app.
#[derive(Debug, Default)]
struct RateLimiter {
    last: Option<Instant>,
    smallest_gap: Option<Duration>,
    requests: u64,
    early_requests: u64,
    arrivals_micros: VecDeque<u64>,
    /// Failed verifications of the latest window, at most as many as lock the app out.
    failures: VecDeque<Instant>,
    locked_until: Option<Instant>,
    answers: BTreeMap<i64, u64>,
}

/// The limiters of the configured apps; requests for others are only counted.
#[derive(Debug)]
pub(super) struct RateLimiters {
    rules: RateLimits,
    apps: BTreeMap<u64, RateLimiter>,
    stranger_requests: u64,
}

impl RateLimiters {
    pub(super) fn new(rules: RateLimits, apps: impl Iterator<Item = u64>) -> RateLimiters {
        RateLimiters {
            rules,
            apps: apps.map(|app| (app, RateLimiter::default())).collect(),
            stranger_requests: 0,
        }
    }

    /// Notes a request; true if it came too soon after the one before, whatever became of that one.
    pub(super) fn arrive(&mut self, sdk_app_id: Option<u64>, at: Instant) -> bool {
        let Some(limiter) = sdk_app_id.and_then(|app| self.apps.get_mut(&app)) else {
            self.stranger_requests += 1;
            return false;
        };
        limiter.requests += 1;
        if limiter.arrivals_micros.len() == KEPT_ARRIVALS {
            limiter.arrivals_micros.pop_front();
        }
        let offset = at.saturating_duration_since(self.rules.started);
        limiter.arrivals_micros.push_back(u64::try_from(offset.as_micros()).unwrap_or(u64::MAX));
        let gap = limiter.last.map(|last| at.saturating_duration_since(last));
        // Two requests may reach this line in the wrong order; the later arrival is the one before the next.
        limiter.last = limiter.last.max(Some(at));
        let Some(gap) = gap else {
            return false;
        };
        limiter.smallest_gap = Some(limiter.smallest_gap.map_or(gap, |smallest| smallest.min(gap)));
        let early = gap < self.rules.smallest_gap;
        limiter.early_requests += u64::from(early);
        early
    }

    /// Notes how a verification went; true if the app is locked out. A failure during a lock-out prolongs it.
    pub(super) fn verified(&mut self, sdk_app_id: u64, holds: bool, at: Instant) -> bool {
        let Some(limiter) = self.apps.get_mut(&sdk_app_id) else {
            return false;
        };
        let window = self.rules.lockout_window;
        let locked = limiter.locked_until.is_some_and(|until| at < until);
        if !holds {
            limiter.failures.retain(|failure| at.saturating_duration_since(*failure) < window);
            limiter.failures.push_back(at);
            if locked || limiter.failures.len() as u64 >= u64::from(self.rules.lockout_failures) {
                limiter.failures.clear();
                limiter.locked_until = Some(at + window);
            }
        }
        locked
    }

    pub(super) fn answered(&mut self, sdk_app_id: u64, code: i64) {
        if let Some(limiter) = self.apps.get_mut(&sdk_app_id) {
            *limiter.answers.entry(code).or_default() += 1;
        }
    }

    /// Of one app, or of all.
    pub(super) fn report(&self, sdk_app_id: Option<u64>) -> Arrivals {
        let wanted = self.apps.iter().filter(|(app, _)| sdk_app_id.is_none_or(|wanted| wanted == **app));
        let apps = wanted.map(|(app, limiter)| AppArrivals {
            sdk_app_id: *app,
            requests: limiter.requests,
            early_requests: limiter.early_requests,
            smallest_gap_seconds: limiter.smallest_gap.map(|gap| gap.as_secs_f64()),
            arrivals_micros: limiter.arrivals_micros.iter().copied().collect(),
            answers: limiter.answers.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
        });
        Arrivals { apps: apps.collect(), stranger_requests: self.stranger_requests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiters(started: Instant) -> RateLimiters {
        let smallest_gap = Duration::from_millis(100);
        let lockout_window = Duration::from_secs(60);
        RateLimiters::new(
            RateLimits { started, smallest_gap, lockout_failures: 3, lockout_window },
            [1, 2].into_iter(),
        )
    }

    #[test]
    fn early_is_strictly_less_than_the_gap_since_the_arrival_before() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut limiters = limiters(start);
        let early: Vec<bool> =
            [0, 100, 199, 299, 298].map(|millis| limiters.arrive(Some(1), at(millis))).to_vec();
        assert_eq!(early, [false, false, true, false, true]);
        assert!(!limiters.arrive(Some(1), at(399)), "the gap counts from the latest arrival");
        assert!(!limiters.arrive(Some(2), at(399)), "apps do not share a rate");
        assert!(!limiters.arrive(Some(3), at(399)) && !limiters.arrive(None, at(399)));
        let report = limiters.report(None);
        assert_eq!(report.stranger_requests, 2);
        assert_eq!((report.apps[0].requests, report.apps[0].early_requests), (6, 2));
        assert_eq!(report.apps[0].smallest_gap_seconds, Some(0.0));
        assert_eq!(report.apps[0].arrivals_micros[..3], [0, 100_000, 199_000]);
        assert_eq!(limiters.report(Some(2)).apps.len(), 1);
    }

    #[test]
    fn arrivals_are_a_ring() {
        let start = Instant::now();
        let mut limiters = limiters(start);
        for second in 0..KEPT_ARRIVALS as u64 + 2 {
            limiters.arrive(Some(1), start + Duration::from_secs(second));
        }
        let arrivals = limiters.report(None).apps[0].arrivals_micros.clone();
        assert_eq!((arrivals.len(), arrivals[0]), (KEPT_ARRIVALS, 2_000_000));
    }

    #[test]
    fn failures_within_a_window_lock_out_and_more_prolong_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut limiters = limiters(start);
        assert!(![0, 30, 61, 89].map(|seconds| limiters.verified(1, false, at(seconds))).contains(&true));
        // 30, 61 and 89 lie within a minute.
        assert!(limiters.verified(1, true, at(148)));
        assert!(!limiters.verified(2, true, at(148)), "apps do not share a lock-out");
        assert!(limiters.verified(1, false, at(148)), "prolonged to 208");
        assert!(limiters.verified(1, true, at(207)));
        assert!(!limiters.verified(1, true, at(208)));
    }
}
