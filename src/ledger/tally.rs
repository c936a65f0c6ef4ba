//! The sums that become metrics: per app and set of labels, made only from what is on disk.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::trace::{Notifications, Outcome, Platform, Reason, Route, Stage};
use crate::watch::LabelSet;

/// Upper bounds of the buckets of `timpush_stage_delay_seconds`. Event times have whole seconds.
pub const STAGE_DELAY_BOUNDS_SECONDS: &[i64] =
    &[1, 2, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 259_200];

/// Upper bounds of the buckets of `timpush_sample_delivery_seconds`: a pair is closed an hour after its push.
pub const DELIVERY_BOUNDS_SECONDS: &[i64] = &[1, 2, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600];

/// Upper bounds of the buckets of `timpush_detection_delay_seconds`.
pub const DETECTION_BOUNDS_SECONDS: &[i64] =
    &[1, 2, 5, 15, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 172_800, 345_600, 604_800];

/// All that metrics and pages may show: it is on disk already. Cheap to clone, never changed in place.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// By the name of the app, for every app the ledger has ever counted for.
    pub apps: BTreeMap<Arc<str>, Arc<AppTally>>,
    /// Unix seconds of the latest commit; 0 before the first.
    pub committed_at: i64,
    /// Size of the store on disk, its write-ahead log included.
    pub size_bytes: u64,
}

/// The sets of watch labels that count towards their cap, and when a pair with each was last watched, Unix seconds.
///
/// That time is the wall clock's, unlike the age of pairs: a set that retires too early comes back with its first pair.
pub type LabelSets = BTreeMap<LabelSet, i64>;

/// The sums of one app.
#[derive(Clone, Debug, Default)]
pub struct AppTally {
    /// Born whole: a set is there from the first device of its platform on.
    pub sets: BTreeMap<SetKey, Arc<SetTally>>,
    /// From `EventTime` to the poll that saw it.
    pub detection: Histogram,
    /// `timpush_pairs_ended_total`, by [`Ended`].
    pub ended: [u64; 3],
    /// `timpush_series_overflow_total`, by the metric whose cap was hit.
    pub overflow: BTreeMap<&'static str, u64>,
    /// Which of the sets count towards the cap of sets of watch labels.
    pub label_sets: Arc<LabelSets>,
    /// When a set came back last with what it had counted long ago, Unix seconds; 0 if none ever did.
    pub label_sets_returned_at: i64,
    /// Rows of watched pairs that found no room under their own labels and count under `other`.
    pub folded: Arc<HashSet<i64>>,
}

/// What makes one set of push series beside the app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetKey {
    pub labels: LabelSet,
    pub route: Route,
    /// The value of the label `platform`.
    pub platform: PlatformLabel,
}

/// A platform, or the set into which platforms beyond the cap are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlatformLabel {
    Of(Platform),
    Other,
}

/// The value of the label `platform`.
impl fmt::Display for PlatformLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlatformLabel::Of(platform) => platform.fmt(f),
            PlatformLabel::Other => f.write_str(OTHER),
        }
    }
}

/// The label value into which what lies beyond a cap is folded.
pub const OTHER: &str = "other";

/// The sums of one set, by stage.
#[derive(Clone, Debug, Default)]
pub struct SetTally {
    /// Indexed by `Stage as usize`; stages that the route lacks stay empty and are not shown.
    pub stages: [StageTally; 5],
    /// `timpush_devices`: devices now watched whose own route this is, by [`Notifications`].
    pub devices: [u64; 3],
    pub sample: SampleTally,
}

/// The sums of the pairs of the random sample in one set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SampleTally {
    /// Results ever seen, indexed by `Stage as usize`, then `Outcome as usize`.
    pub results: [[u64; 2]; 5],
    /// Devices of closed pairs, by [`Closed`].
    pub closed: [u64; 5],
    /// From the push to the receipt of those that have one.
    pub delivery: Histogram,
}

/// How far a push had come on a device when its pair was closed; the furthest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Closed {
    Tapped,
    Delivered,
    /// By the vendor or by the online channel, and no receipt came.
    Accepted,
    Failed,
    Unreported,
}

impl Closed {
    pub const ALL: [Closed; 5] =
        [Closed::Tapped, Closed::Delivered, Closed::Accepted, Closed::Failed, Closed::Unreported];

    /// The value of the label `result`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Closed::Tapped => "tapped",
            Closed::Delivered => "delivered",
            Closed::Accepted => "accepted",
            Closed::Failed => "failed",
            Closed::Unreported => "unreported",
        }
    }
}

/// The sums of one stage of one set.
#[derive(Clone, Debug, Default)]
pub struct StageTally {
    /// Indexed by `Outcome as usize`; counts results ever seen.
    pub results: [u64; 2],
    /// The failures among them by (reason, code); a code beyond the cap is folded into [`CodeLabel::Other`].
    pub failures: BTreeMap<(Reason, CodeLabel), u64>,
    /// Devices now watched whose last known result this is, indexed by `Outcome as usize`.
    pub devices: [u64; 2],
    /// Devices now watched without a result that may still come, by the minute (Unix seconds / 60) from which on they
    /// are overdue; [`NEVER_DUE`] where no such moment is known.
    pub unreported: BTreeMap<u32, u64>,
    /// `EventTime` − `PushTime` of successes.
    pub delay: Histogram,
}

/// The key in [`StageTally::unreported`] of devices that no clock makes overdue.
pub const NEVER_DUE: u32 = u32::MAX;

/// An error code, or the series into which codes beyond the cap are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CodeLabel {
    Code(i64),
    Other,
}

/// The value of the label `code`.
impl fmt::Display for CodeLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeLabel::Code(code) => code.fmt(f),
            CodeLabel::Other => f.write_str(OTHER),
        }
    }
}

/// A histogram with bounds that its metric names; empty until its first value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Not cumulative: one count for each bound and one for what lies above all; empty until the first value.
    pub counts: Vec<u64>,
    /// Sum of all values, seconds.
    pub sum: i64,
}

impl Histogram {
    /// Counts `value` seconds, with `bounds` ascending and the same at every call.
    pub fn observe(&mut self, bounds: &[i64], value: i64) {
        if self.counts.is_empty() {
            self.counts = vec![0; bounds.len() + 1];
        }
        let bucket = bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// The number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Why polling of a pair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ended {
    /// Nothing more can come; the pair stays listed.
    Settled,
    /// `watch_for` is over.
    Expired,
    /// It left the watch list.
    Removed,
}

impl Ended {
    pub const ALL: [Ended; 3] = [Ended::Settled, Ended::Expired, Ended::Removed];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ended::Settled => "settled",
            Ended::Expired => "expired",
            Ended::Removed => "removed",
        }
    }
}

impl StageTally {
    /// Devices without a result that may still come.
    pub fn unreported(&self) -> u64 {
        self.unreported.values().sum()
    }

    /// Those among them whose time is over at `now`, Unix seconds.
    pub fn overdue(&self, now: i64) -> u64 {
        let minute = u32::try_from(now.max(0) / 60).unwrap_or(NEVER_DUE - 1);
        self.unreported.range(..=minute.min(NEVER_DUE - 1)).map(|(_, n)| n).sum()
    }

    /// The results of that outcome ever seen.
    pub fn result(&self, outcome: Outcome) -> u64 {
        self.results[outcome as usize]
    }
}

impl SetTally {
    /// True if no device is in a gauge.
    pub(super) fn is_unwatched(&self) -> bool {
        let is_empty = |stage: &StageTally| stage.devices == [0; 2] && stage.unreported.is_empty();
        self.devices == [0; 3] && self.stages.iter().all(is_empty)
    }

    /// The sums of that stage.
    pub fn stage(&self, stage: Stage) -> &StageTally {
        &self.stages[stage as usize]
    }

    /// Devices now watched with that notification status.
    pub fn devices(&self, notifications: Notifications) -> u64 {
        self.devices[notifications as usize]
    }
}
