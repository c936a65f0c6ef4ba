//! What the latest polls brought, for the status page: results of an hour, the latest failures, requests of a minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ledger::fold::{KnownDevice, KnownResult, News, Record};
use crate::trace::{Outcome, Platform, Reason, Route, Stage};
use crate::view::{PushFailure, RecentStage};

/// The hour goes by in pieces of this many seconds.
const BUCKET_SECONDS: i64 = 300;
/// Pieces that are kept.
const BUCKETS: usize = 12;
/// Stages of platforms that are told apart in one piece; the documented ones are 48. What comes beyond counts under the
/// platform `unknown`.
const STAGES_CAP: usize = 256;
/// Codes that are told apart at one stage in one piece; those beyond are counted among its failures alone.
const CODES_CAP: usize = 64;
/// Failures in the list of the latest.
const FAILURES_CAP: usize = 50;
/// What [`Minute`] looks back on.
const MINUTE_SECONDS: usize = 60;

/// Results never seen before, of the latest hour.
#[derive(Debug)]
pub(super) struct Recent {
    started_at: i64,
    /// By the number of the piece, oldest first.
    buckets: VecDeque<(i64, Bucket)>,
    changed: bool,
}

type Bucket = BTreeMap<(Platform, Route, Stage), Counts>;

#[derive(Clone, Debug, Default)]
struct Counts {
    successes: u64,
    failures: u64,
    reasons: BTreeMap<(Reason, i64), u64>,
}

impl Recent {
    /// Counts from `now` on, Unix seconds.
    pub fn new(now: i64) -> Recent {
        Recent { started_at: now, buckets: VecDeque::new(), changed: true }
    }

    /// A poll brought that at `now`.
    pub fn count(&mut self, news: &[News], now: i64) {
        if news.is_empty() {
            return;
        }
        let number = now.div_euclid(BUCKET_SECONDS);
        // A clock that was set back counts into the latest piece.
        if self.buckets.back().is_none_or(|(latest, _)| *latest < number) {
            self.buckets.push_back((number, Bucket::new()));
        }
        if let Some((_, bucket)) = self.buckets.back_mut() {
            news.iter().for_each(|item| count_in(bucket, item));
        }
        self.changed = true;
    }

    /// Since when it counts, and what it counted; `None` if that is as it was at the call before.
    pub fn take(&mut self, now: i64) -> Option<(i64, Arc<[RecentStage]>)> {
        let oldest = now.div_euclid(BUCKET_SECONDS) - (BUCKETS as i64 - 1);
        while self.buckets.front().is_some_and(|(number, _)| *number < oldest) || self.buckets.len() > BUCKETS
        {
            self.buckets.pop_front();
            self.changed = true;
        }
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut sum = Bucket::new();
        for (key, counts) in self.buckets.iter().flat_map(|(_, bucket)| bucket) {
            let all = sum.entry(*key).or_default();
            all.successes += counts.successes;
            all.failures += counts.failures;
            for (reason, count) in &counts.reasons {
                *all.reasons.entry(*reason).or_default() += count;
            }
        }
        let since = self.started_at.max(oldest * BUCKET_SECONDS).min(now);
        Some((since, sum.into_iter().map(shown).collect()))
    }
}

fn count_in(bucket: &mut Bucket, news: &News) {
    let mut key = (news.platform, news.route, news.stage);
    if bucket.len() >= STAGES_CAP && !bucket.contains_key(&key) {
        key.0 = Platform::UNKNOWN;
    }
    let counts = bucket.entry(key).or_default();
    match (news.outcome, news.reason) {
        (Outcome::Success, _) => counts.successes += 1,
        (Outcome::Failure, reason) => {
            counts.failures += 1;
            let code = (reason.unwrap_or(Reason::Unknown), news.code);
            if counts.reasons.len() < CODES_CAP || counts.reasons.contains_key(&code) {
                *counts.reasons.entry(code).or_default() += 1;
            }
        }
    }
}

fn shown(((platform, route, stage), counts): ((Platform, Route, Stage), Counts)) -> RecentStage {
    let mut reasons: Vec<(Reason, i64, u64)> =
        counts.reasons.into_iter().map(|((reason, code), count)| (reason, code, count)).collect();
    reasons.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    let Counts { successes, failures, .. } = counts;
    RecentStage { route, platform, stage, successes, failures, reasons }
}

/// The latest failures of pushes, the latest first.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Each with the instance that tells devices of one pair apart.
    ring: Vec<(String, PushFailure)>,
    changed: bool,
}

impl Failures {
    /// Takes in the failures that `record` holds, of the pair of `task` and `user`. Those that are known stay once: a
    /// pair may leave the list and come back.
    pub fn see(&mut self, (task, user): (&str, &str), record: &Record) {
        for device in &record.devices {
            for result in device.results.iter().filter(|result| result.outcome == Outcome::Failure) {
                self.see_one((task, user), device, result);
            }
        }
    }

    fn see_one(&mut self, (task, user): (&str, &str), device: &KnownDevice, result: &KnownResult) {
        let oldest = self.ring.last().map(|(_, failure)| failure.seen_at);
        if self.ring.len() >= FAILURES_CAP && oldest.is_some_and(|oldest| result.seen_at <= oldest) {
            return;
        }
        let failure = PushFailure {
            task: task.to_owned(),
            user: user.to_owned(),
            route: result.route,
            platform: device.platform_on(result.route),
            stage: result.stage,
            code: result.code,
            reason: result.reason.unwrap_or(Reason::Unknown),
            at: result.at,
            seen_at: result.seen_at,
        };
        let entry = (device.instance.clone(), failure);
        if self.ring.contains(&entry) {
            return;
        }
        let at = self.ring.partition_point(|(_, known)| known.seen_at > entry.1.seen_at);
        self.ring.insert(at, entry);
        self.ring.truncate(FAILURES_CAP);
        self.changed = true;
    }

    /// The list; `None` if it is as it was at the call before.
    pub fn take(&mut self) -> Option<Arc<[PushFailure]>> {
        let changed = std::mem::take(&mut self.changed);
        changed.then(|| self.ring.iter().map(|(_, failure)| failure.clone()).collect())
    }
}

/// Requests of the latest minute, second by second.
#[derive(Debug)]
pub(super) struct Minute {
    started_at: i64,
    latest: i64,
    sent: [u32; MINUTE_SECONDS],
}

impl Minute {
    /// Counts from `now` on, Unix seconds.
    pub fn new(now: i64) -> Minute {
        Minute { started_at: now, latest: now, sent: [0; MINUTE_SECONDS] }
    }

    /// A request left.
    pub fn sent(&mut self, now: i64) {
        self.reach(now);
        self.sent[slot(self.latest)] += 1;
    }

    /// What left in the latest minute as a share of what `rate` allows in that time; 1 at most.
    pub fn share(&mut self, rate: f64, now: i64) -> f64 {
        self.reach(now);
        let seconds = (self.latest - self.started_at + 1).clamp(1, MINUTE_SECONDS as i64);
        // A rate below one in a minute allows one now and then.
        let allowed = (rate * seconds as f64).max(1.0);
        let sent: u32 = self.sent.iter().sum();
        (f64::from(sent) / allowed).min(1.0)
    }

    /// Forgets the seconds that went by since; a clock that was set back goes on where it was.
    fn reach(&mut self, now: i64) {
        let passed = (now - self.latest).clamp(0, MINUTE_SECONDS as i64);
        if now - self.latest > MINUTE_SECONDS as i64 {
            self.latest = now - passed;
        }
        for _ in 0..passed {
            self.latest += 1;
            self.sent[slot(self.latest)] = 0;
        }
    }
}

fn slot(second: i64) -> usize {
    // Never negative and below 60.
    second.rem_euclid(MINUTE_SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::{Event, Notifications};

    fn news(platform: Platform, outcome: Outcome, code: i64) -> News {
        News {
            device: 0,
            route: Route::Offline,
            platform,
            stage: Stage::Channel,
            outcome,
            code,
            reason: (outcome == Outcome::Failure).then_some(Reason::Quota),
            delay_seconds: None,
            detection_seconds: None,
        }
    }

    #[test]
    fn an_hour_slides_and_is_told_only_when_it_changed() {
        let apns = Platform::Vendor(1);
        let mut recent = Recent::new(1_000_000);
        assert_eq!(recent.take(1_000_000), Some((1_000_000, Arc::from([]))));
        assert_eq!(recent.take(1_000_001), None);
        recent.count(&[news(apns, Outcome::Success, 0), news(apns, Outcome::Failure, 7)], 1_000_002);
        recent.count(&[news(apns, Outcome::Failure, 7), news(apns, Outcome::Failure, 9)], 1_001_000);
        let (since, all) = recent.take(1_001_001).unwrap();
        assert_eq!((since, all.len()), (1_000_000, 1));
        assert_eq!((all[0].successes, all[0].failures), (1, 3));
        assert_eq!(all[0].reasons, [(Reason::Quota, 7, 2), (Reason::Quota, 9, 1)]);
        assert_eq!(recent.take(1_001_002), None);
        // 55 to 60 minutes after the first piece it is gone, later the second, too.
        let (since, all) = recent.take(1_000_002 + 3600).unwrap();
        assert_eq!((all[0].successes, all[0].failures), (0, 2));
        assert!(since > 1_000_002 && since <= 1_001_000);
        let (_, all) = recent.take(1_001_000 + 3600).unwrap();
        assert!(all.is_empty());
    }

    #[test]
    fn platforms_and_codes_without_end_are_folded() {
        let mut recent = Recent::new(0);
        for number in 0..2000 {
            recent.count(&[news(Platform::Vendor(number), Outcome::Success, 0)], 10);
            recent.count(&[news(Platform::Vendor(1), Outcome::Failure, number)], 10);
        }
        let (_, all) = recent.take(10).unwrap();
        assert!(all.len() <= STAGES_CAP + 1, "{}", all.len());
        assert_eq!(all.iter().map(|stage| stage.successes).sum::<u64>(), 2000);
        let apns = all.iter().find(|stage| stage.platform == Platform::Vendor(1)).unwrap();
        assert_eq!((apns.failures, apns.reasons.len()), (2000, CODES_CAP));
    }

    fn record(instance: &str, seen_at: i64) -> Record {
        let result = KnownResult {
            route: Route::Offline,
            stage: Stage::Channel,
            outcome: Outcome::Failure,
            both: false,
            code: 410,
            reason: Some(Reason::InvalidToken),
            at: None,
            seen_at,
        };
        let device = KnownDevice {
            instance: instance.to_owned(),
            event: Event::Offline,
            platform: Platform::Vendor(1),
            notifications: Notifications::On,
            route: Route::Offline,
            pushed_at: None,
            results: vec![result, KnownResult { outcome: Outcome::Success, stage: Stage::Im, ..result }],
        };
        Record { devices: vec![device], ..Record::default() }
    }

    #[test]
    fn the_latest_failures_stand_first_once_each() {
        let mut failures = Failures::default();
        assert_eq!(failures.take(), None);
        for seen_at in [5, 200, 3, 200] {
            failures.see(("t", "u"), &record("1", seen_at));
        }
        failures.see(("t", "u"), &record("2", 200));
        let seen = |list: &[PushFailure]| list.iter().map(|f| f.seen_at).collect::<Vec<_>>();
        assert_eq!(seen(&failures.take().unwrap()), [200, 200, 5, 3]);
        assert_eq!(failures.take(), None);
        for seen_at in 0..100 {
            failures.see(("t", "v"), &record("1", seen_at));
        }
        let list = failures.take().unwrap();
        assert_eq!((list.len(), list[2].seen_at, list[49].seen_at), (FAILURES_CAP, 99, 52));
    }

    #[test]
    fn a_minute_is_a_share_of_the_rate() {
        let mut minute = Minute::new(100);
        assert_eq!(minute.share(2.0, 100), 0.0);
        for second in 100..160 {
            minute.sent(second);
        }
        assert_eq!(minute.share(2.0, 159), 0.5);
        assert_eq!(minute.share(2.0, 189), 0.25);
        assert_eq!(minute.share(2.0, 1000), 0.0);
        minute.sent(1000);
        assert_eq!(minute.share(0.001, 1000), 1.0);
        assert_eq!(minute.share(1.0, 500), 1.0 / 60.0, "a clock set back forgets nothing");
    }
}
