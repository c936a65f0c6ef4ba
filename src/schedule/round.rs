//! The round of those that nobody asks for: each pair has its turn, whatever is expected of it.

use super::book::{Book, NONE, Phase};
use super::clock::Tick;
use super::told::Slot;

/// Slots that one turn passes over at most; the next turn goes on.
const STEPS: usize = 256;

/// Where the round stands.
#[derive(Debug, Default)]
pub struct Round {
    at: usize,
    began: Tick,
}

impl Round {
    /// The next pair that may be asked and was not looked at since the round began.
    pub fn next(&mut self, book: &Book, now: Tick) -> Option<Slot> {
        for _ in 0..STEPS {
            if self.at >= book.pairs.len() {
                *self = Round { at: 0, began: now };
            }
            let pair = book.pairs.get(self.at)?;
            let asked = pair.looked != NONE && pair.looked >= self.began;
            if matches!(pair.phase, Phase::Ready | Phase::Cohort) && !asked && pair.ends > now {
                return Slot::try_from(self.at).ok();
            }
            self.at += 1;
        }
        None
    }

    /// This pair had its turn. Until the one that [`Round::next`] named has it, it is named again.
    pub fn had(&mut self, slot: Slot) {
        self.at += usize::from(self.at == slot as usize);
    }

    /// The clock was set by so many ticks.
    pub fn shift(&mut self, by: i32) {
        self.began = self.began.saturating_add_signed(by);
    }
}
