//! The pairs of one app that are being polled, and what must wait until their polls have ended.
//!
//! A list comes into force while answers are awaited. An answer counts under the labels that its pair had when it was
//! polled, so the ledger hears that a pair leaves, or is to be enrolled anew, only after the answer.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Arc;

use crate::ledger::Leave;
use crate::schedule::Slot;
use crate::watch::LabelSet;

/// Pairs that are being polled, up to the commit of their answers, by their row.
#[derive(Debug, Default)]
pub(super) struct PolledPairs(HashMap<NonZero<i64>, PolledPair>);

#[derive(Debug)]
struct PolledPair {
    name: PairName,
    /// The ledger is to be told so when the poll has ended.
    leave: Option<Leave>,
}

/// Who is polled.
#[derive(Clone, Debug)]
pub(super) struct PairName {
    pub task: Arc<str>,
    pub user: Arc<str>,
}

/// The pair that is to be polled.
#[derive(Debug)]
pub(super) struct PollTarget {
    pub slot: Slot,
    pub row: NonZero<i64>,
    /// Stands for its task: see [`crate::watch::list::Pair`].
    pub task_number: u32,
    pub name: PairName,
    pub labels: LabelSet,
}

impl PolledPairs {
    /// A poll of the pair of that row begins.
    pub fn begin(&mut self, row: NonZero<i64>, name: PairName) {
        let before = self.0.insert(row, PolledPair { name, leave: None });
        debug_assert!(before.is_none(), "a pair is polled once at a time");
    }

    /// The poll of that row has ended. Gives who was polled and what the ledger is to be told now, if that was put off:
    /// then the pair is to be enrolled anew where it is listed.
    pub fn end(&mut self, row: NonZero<i64>) -> Option<(PairName, Leave)> {
        let pair = self.0.remove(&row)?;
        Some((pair.name, pair.leave?))
    }

    /// Puts `leave` off if its pair is being polled; else gives it back.
    pub fn put_off(&mut self, row: NonZero<i64>, leave: Leave) -> Option<Leave> {
        match self.0.get_mut(&row) {
            None => Some(leave),
            Some(pair) => {
                pair.leave = Some(leave);
                None
            }
        }
    }

    /// Those about whom something is put off.
    pub fn put_off_names(&self) -> impl Iterator<Item = &PairName> {
        self.0.values().filter(|pair| pair.leave.is_some()).map(|pair| &pair.name)
    }
}
