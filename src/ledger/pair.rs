//! One pair: as it is enrolled, and as its row.

use crate::watch::LabelSet;

use super::Ended;
use super::fold::{CLOSE_AFTER_SECONDS, Record, counts_from};

/// Within this much of each other the wall clock and the ledger's own are of one mind about the age of a pair.
const CLOCKS_AGREE_SECONDS: u64 = 3600;

/// A pair that is watched from now on.
#[derive(Clone, Debug)]
pub struct Enrol {
    pub task: String,
    pub user: String,
    pub labels: LabelSet,
    /// As the watch list says, Unix seconds.
    pub pushed_at: Option<i64>,
    /// How long it is watched, seconds: one that had expired and has time again is watched again, and one that is not
    /// known and whose time is over is not added.
    pub watch_for: i64,
}

/// One row of the table `pair`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairRow {
    pub id: i64,
    /// As the wall clock said; `added_by` says how much of that is believed.
    pub added_at: i64,
    /// By the ledger's own clock, seconds.
    pub added_elapsed: i64,
    /// When a source named it last, give or take some days, by the same clock.
    pub named_elapsed: i64,
    pub pushed_at: Option<i64>,
    pub polled_at: Option<i64>,
    pub ended: Option<Ended>,
    pub damage: Damage,
    /// What is known of its devices; nothing where it is damaged.
    pub record: Record,
}

/// Whether the record of a pair can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damage {
    #[default]
    None,
    /// It cannot, and nobody knew.
    Found,
    /// It could not be read before: the pair is not watched any more.
    Known,
}

impl PairRow {
    /// When it was polled last, for [`super::fold::KnownDevice::standings`]; `None` where it is settled.
    pub fn awaited_at(&self) -> Option<i64> {
        (self.ended != Some(Ended::Settled)).then(|| self.polled_at.unwrap_or(self.added_at))
    }

    /// When it was added, Unix seconds, where the wall clock says `now` and the ledger's own `elapsed`: as the wall clock
    /// said then, unless it has been set since. Its age is never more than the ledger's clock has counted.
    pub(super) fn added_by(&self, now: i64, elapsed: i64) -> i64 {
        let by_clock = now.saturating_sub((elapsed - self.added_elapsed).max(0));
        if self.added_at.abs_diff(by_clock) <= CLOCKS_AGREE_SECONDS { self.added_at } else { by_clock }
    }

    /// When a pair of the sample is closed, Unix seconds, by the clocks of [`PairRow::added_by`].
    pub(super) fn closes_at(&self, now: i64, elapsed: i64) -> i64 {
        let pushed_at = counts_from(self.pushed_at, self.record.pushed_at(), self.added_by(now, elapsed));
        pushed_at.saturating_add(CLOSE_AFTER_SECONDS)
    }
}
