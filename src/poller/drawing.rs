//! Pairs that enter the random sample, between schedule and ledger.

use crate::ledger::Draw;
use crate::schedule::Slot;

use super::enrolment::{EnrolmentJob, PIECE};
use super::roster::Roster;

impl Roster {
    /// Pairs that entered the sample, or are to be closed, of which the ledger can be told at `now`, Unix milliseconds.
    pub(super) fn next_drawn(&mut self, now: i64) -> Option<EnrolmentJob> {
        if !self.enrolment.may_draw() {
            return None;
        }
        let drawn = self.schedule.take_sampled(PIECE);
        let pairs: Vec<_> = drawn.into_iter().filter_map(|slot| self.draw(slot)).collect();
        (!pairs.is_empty()).then(|| self.enrolment.draw(pairs, now / 1000))
    }

    fn draw(&self, slot: Slot) -> Option<(Slot, Draw)> {
        let row = self.slots.get(slot)?.row.get();
        Some((slot, Draw { row, labels: self.list.pair(slot)?.labels.clone() }))
    }

    /// The ledger is told of them, and has closed these, by slot and row.
    pub(super) fn drawn(&mut self, closed: Vec<(Slot, i64)>) {
        self.enrolment.drawn();
        for (slot, row) in closed {
            if self.slots.get(slot).is_some_and(|info| info.row.get() == row) {
                self.schedule.closed(slot);
            }
        }
    }
}
