//! What a poller holds of each listed pair beside the list and the schedule, in sixteen bytes.

use std::num::NonZero;

use crate::api::code::Action;
use crate::ledger::Known;
use crate::schedule::Slot;

/// What is held of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotInfo {
    /// Its row in the ledger; rows are counted from 1.
    pub row: NonZero<i64>,
    /// When it was first enrolled, Unix seconds.
    pub added_at: u32,
    /// Polls in a row that were answered with a code that may be the pair's fault or not.
    pub doubts: u8,
    /// It met what may stop an app, and was not answered since.
    pub is_accused: bool,
    /// Devices that failed at some stage; a pair has at most 64.
    pub failed_devices: u8,
}

impl SlotInfo {
    /// What is held of a pair that the ledger knows.
    pub fn of(known: &Known) -> SlotInfo {
        SlotInfo {
            row: NonZero::new(known.row).expect("SQLite counts rows from 1"),
            added_at: u32::try_from(known.added_at.max(0)).unwrap_or(u32::MAX),
            doubts: 0,
            is_accused: false,
            failed_devices: narrow(known.record.failed_devices()),
        }
    }

    /// A request about it failed; `accuses` says whether that accuses it until it is answered. Tells whether it was accused
    /// before, and whether the failure is held against it from now on.
    pub fn accuse(&mut self, action: Action, accuses: bool) -> (bool, bool) {
        let is_accused = self.is_accused;
        self.is_accused |= accuses;
        let Action::RetryThenGiveUp { tries } = action else {
            return (is_accused, false);
        };
        self.doubts = self.doubts.saturating_add(1);
        (is_accused, u32::from(self.doubts) > tries)
    }
}

/// A count in one byte; beyond it the largest.
pub(super) fn narrow(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// What is held of all pairs, by slot.
#[derive(Debug, Default)]
pub(super) struct SlotTable(Vec<Option<SlotInfo>>);

impl SlotTable {
    pub fn get(&self, slot: Slot) -> Option<SlotInfo> {
        *self.0.get(slot as usize)?
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut SlotInfo> {
        self.0.get_mut(slot as usize)?.as_mut()
    }

    pub fn insert(&mut self, slot: Slot, info: SlotInfo) {
        let at = slot as usize;
        if self.0.len() <= at {
            if self.0.capacity() <= at {
                // A doubling would leave too much empty.
                self.0.reserve_exact(at + 1 - self.0.len() + self.0.len() / 32);
            }
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(info);
    }

    pub fn remove(&mut self, slot: Slot) -> Option<SlotInfo> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// True if that slot is still of the pair of that row.
    pub fn is_of(&self, slot: Slot, row: NonZero<i64>) -> bool {
        self.get(slot).is_some_and(|info| info.row == row)
    }
}
