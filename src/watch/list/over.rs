//! Pairs whose watching is over: known as long as the sources name them, so that no list brings them back.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// What is known of such pairs: fingerprints and push times, about 24 bytes each, and no more of them than the sources
/// name. Among a million of them and a million others, two share a fingerprint with a chance of one in ten million.
#[derive(Debug, Default)]
pub(super) struct Over {
    known: HashMap<u64, Known>,
    hasher: RandomState,
    /// Counts the lists that came into force.
    round: u32,
}

#[derive(Debug)]
struct Known {
    pushed_at: u32,
    /// The latest list that named it.
    round: u32,
}

impl Over {
    /// The watching of a pair is over, whose entry said that push time.
    pub(super) fn add(&mut self, task: &str, user: &str, pushed_at: u32) {
        let known = Known { pushed_at, round: self.round };
        self.known.insert(self.hasher.hash_one((task, user)), known);
    }

    /// A new list comes: its first places say which pairs stay over.
    pub(super) fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Whether a pair that the new list names stays over. It does not if its first place says another push time.
    pub(super) fn stays(&mut self, task: &str, user: &str, pushed_at: u32) -> bool {
        if self.known.is_empty() {
            return false;
        }
        let fingerprint = self.hasher.hash_one((task, user));
        match self.known.get_mut(&fingerprint) {
            None => false,
            Some(known) if known.round == self.round => true,
            Some(known) if known.pushed_at == pushed_at => {
                known.round = self.round;
                true
            }
            Some(_) => {
                self.known.remove(&fingerprint);
                false
            }
        }
    }

    /// Forgets those that the new list does not name.
    pub(super) fn end_round(&mut self) {
        self.known.retain(|_, known| known.round == self.round);
        self.known.shrink_to(2 * self.known.len());
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}
