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

/// What the doors of all apps have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) started: Instant,
    pub(super) smallest_gap: Duration,
    pub(super) lockout_failures: u32,
    pub(super) lockout_window: Duration,
}

/// The door of one app.
#[derive(Debug, Default)]
struct Door {
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

/// The doors of the configured apps; requests for others are only counted.
#[derive(Debug)]
pub(super) struct Doors {
    rules: Rules,
    apps: BTreeMap<u64, Door>,
    stranger_requests: u64,
}

impl Doors {
    pub(super) fn new(rules: Rules, apps: impl Iterator<Item = u64>) -> Doors {
        Doors { rules, apps: apps.map(|app| (app, Door::default())).collect(), stranger_requests: 0 }
    }

    /// Notes a request; true if it came too soon after the one before, whatever became of that one.
    pub(super) fn arrive(&mut self, sdk_app_id: Option<u64>, at: Instant) -> bool {
        let Some(door) = sdk_app_id.and_then(|app| self.apps.get_mut(&app)) else {
            self.stranger_requests += 1;
            return false;
        };
        door.requests += 1;
        if door.arrivals_micros.len() == KEPT_ARRIVALS {
            door.arrivals_micros.pop_front();
        }
        let offset = at.saturating_duration_since(self.rules.started);
        door.arrivals_micros.push_back(u64::try_from(offset.as_micros()).unwrap_or(u64::MAX));
        let gap = door.last.map(|last| at.saturating_duration_since(last));
        // Two requests may reach this line in the wrong order; the later arrival is the one before the next.
        door.last = door.last.max(Some(at));
        let Some(gap) = gap else {
            return false;
        };
        door.smallest_gap = Some(door.smallest_gap.map_or(gap, |smallest| smallest.min(gap)));
        let early = gap < self.rules.smallest_gap;
        door.early_requests += u64::from(early);
        early
    }

    /// Notes how a verification went; true if the app is locked out. A failure during a lock-out prolongs it.
    pub(super) fn verified(&mut self, sdk_app_id: u64, holds: bool, at: Instant) -> bool {
        let Some(door) = self.apps.get_mut(&sdk_app_id) else {
            return false;
        };
        let window = self.rules.lockout_window;
        let locked = door.locked_until.is_some_and(|until| at < until);
        if !holds {
            door.failures.retain(|failure| at.saturating_duration_since(*failure) < window);
            door.failures.push_back(at);
            if locked || door.failures.len() as u64 >= u64::from(self.rules.lockout_failures) {
                door.failures.clear();
                door.locked_until = Some(at + window);
            }
        }
        locked
    }

    pub(super) fn answered(&mut self, sdk_app_id: u64, code: i64) {
        if let Some(door) = self.apps.get_mut(&sdk_app_id) {
            *door.answers.entry(code).or_default() += 1;
        }
    }

    /// Of one app, or of all.
    pub(super) fn report(&self, sdk_app_id: Option<u64>) -> Arrivals {
        let wanted = self.apps.iter().filter(|(app, _)| sdk_app_id.is_none_or(|wanted| wanted == **app));
        let apps = wanted.map(|(app, door)| AppArrivals {
            sdk_app_id: *app,
            requests: door.requests,
            early_requests: door.early_requests,
            smallest_gap_seconds: door.smallest_gap.map(|gap| gap.as_secs_f64()),
            arrivals_micros: door.arrivals_micros.iter().copied().collect(),
            answers: door.answers.iter().map(|(code, count)| (code.to_string(), *count)).collect(),
        });
        Arrivals { apps: apps.collect(), stranger_requests: self.stranger_requests }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(started: Instant) -> Doors {
        let smallest_gap = Duration::from_millis(100);
        let lockout_window = Duration::from_secs(60);
        Doors::new(Rules { started, smallest_gap, lockout_failures: 3, lockout_window }, [1, 2].into_iter())
    }

    #[test]
    fn early_is_strictly_less_than_the_gap_since_the_arrival_before() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut doors = doors(start);
        let early: Vec<bool> =
            [0, 100, 199, 299, 298].map(|millis| doors.arrive(Some(1), at(millis))).to_vec();
        assert_eq!(early, [false, false, true, false, true]);
        assert!(!doors.arrive(Some(1), at(399)), "the gap counts from the latest arrival");
        assert!(!doors.arrive(Some(2), at(399)), "apps do not share a rate");
        assert!(!doors.arrive(Some(3), at(399)) && !doors.arrive(None, at(399)));
        let report = doors.report(None);
        assert_eq!(report.stranger_requests, 2);
        assert_eq!((report.apps[0].requests, report.apps[0].early_requests), (6, 2));
        assert_eq!(report.apps[0].smallest_gap_seconds, Some(0.0));
        assert_eq!(report.apps[0].arrivals_micros[..3], [0, 100_000, 199_000]);
        assert_eq!(doors.report(Some(2)).apps.len(), 1);
    }

    #[test]
    fn arrivals_are_a_ring() {
        let start = Instant::now();
        let mut doors = doors(start);
        for second in 0..KEPT_ARRIVALS as u64 + 2 {
            doors.arrive(Some(1), start + Duration::from_secs(second));
        }
        let arrivals = doors.report(None).apps[0].arrivals_micros.clone();
        assert_eq!((arrivals.len(), arrivals[0]), (KEPT_ARRIVALS, 2_000_000));
    }

    #[test]
    fn failures_within_a_window_lock_out_and_more_prolong_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut doors = doors(start);
        assert!(![0, 30, 61, 89].map(|seconds| doors.verified(1, false, at(seconds))).contains(&true));
        // 30, 61 and 89 lie within a minute.
        assert!(doors.verified(1, true, at(148)));
        assert!(!doors.verified(2, true, at(148)), "apps do not share a lock-out");
        assert!(doors.verified(1, false, at(148)), "prolonged to 208");
        assert!(doors.verified(1, true, at(207)));
        assert!(!doors.verified(1, true, at(208)));
    }
}
