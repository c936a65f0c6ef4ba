//! What a poller holds of each listed pair beside the list and the schedule, in sixteen bytes.

use std::num::NonZero;

use crate::schedule::Slot;

/// What is held of one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Its row in the ledger; rows are counted from 1.
    pub row: NonZero<i64>,
    /// When it was first enrolled, Unix seconds.
    pub added_at: u32,
    /// Questions in a row that were answered with a code that may be the pair's fault or not.
    pub doubts: u8,
    /// Devices that failed at some stage; a pair has at most 64.
    pub failed_devices: u8,
}

/// A count in one byte; beyond it the largest.
pub(super) fn narrow(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// What is held of all pairs, by slot.
#[derive(Debug, Default)]
pub(super) struct Holdings(Vec<Option<Held>>);

impl Holdings {
    pub fn get(&self, slot: Slot) -> Option<Held> {
        *self.0.get(slot as usize)?
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.0.get_mut(slot as usize)?.as_mut()
    }

    pub fn insert(&mut self, slot: Slot, held: Held) {
        let at = slot as usize;
        if self.0.len() <= at {
            if self.0.capacity() <= at {
                // A doubling would leave too much empty.
                self.0.reserve_exact(at + 1 - self.0.len() + self.0.len() / 32);
            }
            self.0.resize(at + 1, None);
        }
        self.0[at] = Some(held);
    }

    pub fn remove(&mut self, slot: Slot) -> Option<Held> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// True if that slot is still of the pair of that row.
    pub fn is_of(&self, slot: Slot, row: NonZero<i64>) -> bool {
        self.get(slot).is_some_and(|held| held.row == row)
    }
}
