//! What reading a list comes to: its entries, those that are refused, and what is odd.

use super::Entry;
use crate::document::Warnings;

/// How many refused entries of one list are told with their reason.
pub const MAX_REFUSED_TOLD: usize = 100;

/// A list that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the list; consecutive CSV lines of one push are one entry.
    pub entries: Vec<Entry>,
    /// Entries that were left out, one line each: where and why, at most [`MAX_REFUSED_TOLD`].
    pub refused: Vec<String>,
    /// How many entries were left out, told or not.
    pub refused_entries: u64,
    /// How many pairs the refused entries would have been; an entry whose users cannot be counted is one.
    pub refused_pairs: u64,
    /// What is odd about the document and about entries that were taken.
    pub warnings: Warnings,
}

impl Parsed {
    pub(super) fn refuse(&mut self, reason: impl FnOnce() -> String, pairs: usize) {
        self.refused_entries += 1;
        self.refused_pairs += pairs.max(1) as u64;
        if self.refused.len() < MAX_REFUSED_TOLD {
            self.refused.push(reason());
        }
    }
}
