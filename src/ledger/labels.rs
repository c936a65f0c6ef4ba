//! Which sets of watch labels have series of their own: those with which pairs were watched of late, so many at most.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::watch::LabelSet;

use super::tally::{AppTally, OTHER, SetKey, SetTally};

/// Sets of watch labels that an app may have at a time; results of pairs with more count under `other`.
pub const LABEL_SETS_CAP: usize = 2000;
/// A set with which no pair was watched for so long is not shown any more and makes room.
const RETIRE_AFTER_SECONDS: i64 = 30 * 86_400;
/// When a set was watched last is written down only after this much.
const STAMP_EVERY_SECONDS: i64 = 86_400;

/// How a set stands that a pair is watched with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Shown,
    /// It is, and that a pair is watched with it is to be written down.
    Stale,
    /// It has no series and may have some.
    Free,
    /// There is no room for one more.
    Full,
}

/// What is to be written down of sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Shown from now on, watched just now.
    pub(super) shown: Vec<LabelSet>,
    /// Not shown any more, with when a pair was last watched with each.
    pub(super) retired: Vec<(LabelSet, i64)>,
}

/// The labels of pairs that find no room.
pub(super) fn other(labels: &LabelSet) -> LabelSet {
    labels.iter().map(|(name, _)| (name.clone(), OTHER.into())).collect()
}

/// Whether the cap is about these: not about pairs without labels, and not about those that found no room.
fn is_capped(labels: &LabelSet) -> bool {
    labels.iter().any(|(_, value)| **value != *OTHER)
}

impl AppTally {
    /// How the set stands at `now`, Unix seconds.
    pub(super) fn place(&self, labels: &LabelSet, now: i64) -> Place {
        match self.label_sets.get(labels) {
            _ if !is_capped(labels) => Place::Shown,
            Some(at) if at.abs_diff(now) < STAMP_EVERY_SECONDS.unsigned_abs() => Place::Shown,
            Some(_) => Place::Stale,
            None if self.label_sets.len() >= LABEL_SETS_CAP => Place::Full,
            None => Place::Free,
        }
    }

    /// A pair is watched with these labels at `now`.
    pub(super) fn show(&mut self, labels: &LabelSet, now: i64) {
        Arc::make_mut(&mut self.label_sets).insert(labels.clone(), now);
    }

    /// Sums that had retired are shown again, as they were; true if there are any.
    pub(super) fn bring_back(&mut self, sets: BTreeMap<SetKey, Arc<SetTally>>, now: i64) -> bool {
        let before = self.sets.len();
        for (key, set) in sets {
            self.sets.entry(key).or_insert(set);
        }
        let is_back = self.sets.len() > before;
        if is_back {
            self.label_sets_returned_at = now;
        }
        is_back
    }

    /// Takes sets away with which no pair was watched for long, where the app has these `watch_labels`.
    ///
    /// Sets with a label that the configuration does not name any more have no series of their own: they are added up with
    /// others. They stay, since a sum must not fall, and do not count towards the cap, for there can be no more of them.
    pub(super) fn retire(&mut self, watch_labels: &[Box<str>], now: i64) -> Changes {
        let fits = |labels: &LabelSet| labels.iter().all(|(name, _)| watch_labels.contains(name));
        let shown_as = |labels: &LabelSet| -> LabelSet {
            labels.iter().filter(|(name, _)| watch_labels.contains(name)).cloned().collect()
        };
        let mut sharing: BTreeMap<LabelSet, usize> = BTreeMap::new();
        let mut all: Vec<LabelSet> = self.sets.keys().map(|key| key.labels.clone()).collect();
        all.dedup();
        all.iter().for_each(|labels| *sharing.entry(shown_as(labels)).or_default() += 1);
        let mut changes = Changes::default();
        let label_sets = Arc::make_mut(&mut self.label_sets);
        label_sets.retain(|labels, _| fits(labels));
        for labels in all.into_iter().filter(|labels| is_capped(labels) && fits(labels)) {
            if let std::collections::btree_map::Entry::Vacant(vacant) = label_sets.entry(labels.clone()) {
                vacant.insert(now);
                changes.shown.push(labels);
            }
        }
        let due: Vec<(LabelSet, i64)> = label_sets
            .iter()
            .filter(|(labels, at)| {
                now.saturating_sub(**at) >= RETIRE_AFTER_SECONDS
                    && sharing.get(*labels).is_none_or(|sets| *sets <= 1)
            })
            .map(|(labels, at)| (labels.clone(), *at))
            .collect();
        for (labels, at) in due {
            let keys: Vec<SetKey> = self.sets_of(&labels).cloned().collect();
            // Devices in a gauge are of pairs that are watched.
            if keys.iter().all(|key| self.sets[key].is_unwatched()) {
                keys.iter().for_each(|key| drop(self.sets.remove(key)));
                Arc::make_mut(&mut self.label_sets).remove(&labels);
                changes.retired.push((labels, at));
            }
        }
        changes
    }
}
