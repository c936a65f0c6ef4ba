//! The line of those that were asked longest ago.

use super::book::{Book, NONE};
use super::told::Slot;

/// Linked through the pairs themselves: first the one that waits longest.
#[derive(Debug)]
pub struct Line {
    first: u32,
    last: u32,
}

impl Default for Line {
    fn default() -> Line {
        Line { first: NONE, last: NONE }
    }
}

impl Line {
    /// Who waits longest.
    pub fn first(&self) -> Option<Slot> {
        (self.first != NONE).then_some(self.first)
    }

    /// Puts a pair at the end; it must not be in line.
    pub fn join(&mut self, slot: Slot, book: &mut Book) {
        let pair = book.pair_mut(slot);
        pair.before = self.last;
        pair.after = NONE;
        match self.last {
            NONE => self.first = slot,
            last => book.pair_mut(last).after = slot,
        }
        self.last = slot;
    }

    /// Takes a pair out, wherever it stands; nothing happens if it is not in line.
    pub fn leave(&mut self, slot: Slot, book: &mut Book) {
        let pair = book.pair_mut(slot);
        let (before, after) = (pair.before, pair.after);
        pair.before = NONE;
        pair.after = NONE;
        if before == NONE && self.first != slot {
            return;
        }
        match before {
            NONE => self.first = after,
            before => book.pair_mut(before).after = after,
        }
        match after {
            NONE => self.last = before,
            after => book.pair_mut(after).before = before,
        }
    }
}
