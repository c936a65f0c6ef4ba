//! What the upstream has added to its answers, each told once; pure.

use std::collections::BTreeSet;

use crate::trace::Addition;

/// How many additions of one app are known apart.
const MAX_KNOWN: usize = 100;

/// The additions that an app's answers had since the start: a new field in every answer is one fact, not one a poll.
#[derive(Debug, Default)]
pub(super) struct Additions {
    known: BTreeSet<Addition>,
}

/// What is to be done about an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing: that was done.
    Before,
    /// Count and log it.
    First,
    /// Count it: there are too many to know this one apart.
    Beyond,
}

impl Additions {
    pub(super) fn see(&mut self, addition: &Addition) -> Seen {
        if self.known.contains(addition) {
            return Seen::Before;
        }
        if self.known.len() >= MAX_KNOWN {
            return Seen::Beyond;
        }
        self.known.insert(addition.clone());
        Seen::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Drift;

    #[test]
    fn each_is_told_once_as_far_as_they_are_known_apart() {
        let field = |number: usize| Addition { kind: Drift::UnknownField, name: format!("Field{number}") };
        let mut additions = Additions::default();
        assert_eq!([1, 1, 2, 1].map(|number| additions.see(&field(number))), {
            use Seen::{Before, First};
            [First, Before, First, Before]
        });
        let value = Addition { kind: Drift::EnumValue, ..field(1) };
        assert_eq!(additions.see(&value), Seen::First, "the same name of another kind");
        let seen: Vec<Seen> = (0..MAX_KNOWN + 2).map(|number| additions.see(&field(number))).collect();
        assert_eq!(seen.iter().filter(|seen| **seen == Seen::First).count(), MAX_KNOWN - 3);
        assert_eq!(seen.last(), Some(&Seen::Beyond));
        assert_eq!(additions.see(&field(MAX_KNOWN + 1)), Seen::Beyond, "and again");
        assert_eq!(additions.see(&field(1)), Seen::Before);
    }
}
