//! What settles a pair: decided here alone, from its record, the latest trace and the lags of its app.
//!
//! A device is complete when each route it has shown has a failure or the success of its last stage. Results may still
//! follow: the push may reach the user on the other route as well, a vendor may report a receipt after the tap, another
//! try may succeed. So a complete pair settles by a poll that comes when its results have been known for a while, and when
//! 99 of 100 of what is missing would have come as far as the app's own polls tell, and shows nothing new. `PushTime` alone
//! has no say in this: it is the task's, and a large task reaches a device much later.

use crate::trace::{Outcome, Platform, Route, Stage, Trace};

use super::fold::{DEVICES_CAP, KnownDevice, KnownResult, Record};

/// Others may follow a result for this long after it was first seen.
pub const FOLLOWED_SECONDS: i64 = 30;
/// Nothing follows a result whose `EventTime` was so long ago, whenever it was seen.
pub const OLD_SECONDS: i64 = 600;

/// How long the stages of an app take to report, as its polls have taught; seconds by which 99 of 100 reports have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lags {
    /// From the push to the vendor's answer; `None` while too few were seen.
    pub answer: Option<i64>,
    /// From the vendor's answer to the receipt, by platforms of which enough were seen.
    pub receipt: Vec<(Platform, i64)>,
}

/// What is expected of a pair after a poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// Some device is not complete.
    #[default]
    Open,
    /// Every device is complete. A poll at that time (Unix seconds) or later settles the pair, if it shows nothing new.
    Unconfirmed { poll_from: i64 },
    /// No more results are expected.
    Settled,
}

/// The outlook of the pair of `record` after a poll at `polled_at` that gave `trace`, which is part of the record already,
/// in an app with these `lags`.
///
/// Where the record holds as many devices as it may, only those count that the trace shows: of so many some report
/// nothing any more.
pub fn outlook(record: &Record, trace: &Trace, polled_at: i64, lags: &Lags) -> Outlook {
    let is_full = record.devices.len() >= DEVICES_CAP && !trace.devices.is_empty();
    let counts = |known: &&KnownDevice| !is_full || trace.devices.iter().any(|shown| known.is(shown));
    let is_complete = record.devices.iter().filter(counts).all(KnownDevice::is_complete);
    if record.devices.is_empty() || !is_complete {
        return Outlook::Open;
    }
    let until = |device: &KnownDevice| device.followed_until(polled_at).max(device.completed_until(lags));
    let poll_from = record.devices.iter().map(until).max();
    match poll_from {
        Some(poll_from) if poll_from > polled_at => Outlook::Unconfirmed { poll_from },
        _ => Outlook::Settled,
    }
}

impl KnownDevice {
    /// True if each route it has shown has a failure or the success of its last stage.
    pub fn is_complete(&self) -> bool {
        self.routes().all(|route| {
            let last = route.stages().last().copied();
            self.results.iter().filter(|r| r.route == route).any(|r| {
                r.outcome == Outcome::Failure || (Some(r.stage) == last && r.outcome == Outcome::Success)
            })
        })
    }

    /// True if a stage without a result may still get one; as of a poll at `polled_at`, `None` where the pair is settled.
    pub fn awaits_results(&self, polled_at: Option<i64>) -> bool {
        polled_at.is_some_and(|at| !self.is_complete() || self.followed_until(at) > at)
    }

    /// Until when what is missing beside its last results may be expected: the receipt of what was tapped, and the other
    /// route of what was shown online. No longer than [`OLD_SECONDS`] after its latest event.
    fn completed_until(&self, lags: &Lags) -> i64 {
        let of = |stage| self.results.iter().find(|r| r.route == Route::Offline && r.stage == stage);
        let is_online_only = self.results.iter().all(|result| result.route == Route::Online);
        let expected = if is_online_only {
            self.pushed_at.zip(lags.answer).map(|(at, lag)| at.saturating_add(lag))
        } else {
            let missing = of(Stage::Device).is_none() && of(Stage::Click).is_some();
            let lag = lags.receipt.iter().find(|(platform, _)| missing && *platform == self.platform);
            let answered_at = of(Stage::Channel).and_then(|result| result.at);
            answered_at.zip(lag).map(|(at, (_, lag))| at.saturating_add(*lag))
        };
        let latest = self.results.iter().filter_map(|result| result.at).max();
        expected.zip(latest).map_or(i64::MIN, |(at, latest)| at.min(latest.saturating_add(OLD_SECONDS)))
    }

    /// Until when others may follow its results, by a clock that shows `now`.
    fn followed_until(&self, now: i64) -> i64 {
        self.results.iter().map(|result| followed_until(result, now)).max().unwrap_or(i64::MIN)
    }
}

fn followed_until(result: &KnownResult, now: i64) -> i64 {
    let since_seen = result.seen_at.saturating_add(FOLLOWED_SECONDS);
    if result.seen_at > now.saturating_add(FOLLOWED_SECONDS) {
        return i64::MIN; // It was seen by a clock that was wrong.
    }
    let since_event = result.at.map(|at| at.saturating_add(OLD_SECONDS));
    since_event.map_or(since_seen, |since_event| since_event.min(since_seen))
}
