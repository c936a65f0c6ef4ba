//! When what a schedule has learned goes to the ledger: now and then, and only where something was learned.

use std::time::{Duration, Instant};

/// How often it may go.
const LEARN_EVERY: Duration = Duration::from_secs(60);

/// What the ledger has of it.
#[derive(Debug)]
pub(super) struct Learning {
    kept: Vec<u8>,
    /// On its way to the ledger.
    going: Option<Vec<u8>>,
    looked_at: Instant,
}

impl Learning {
    /// The ledger has `kept`; the next look is due a while after `now`.
    pub fn new(kept: Vec<u8>, now: Instant) -> Learning {
        Learning { kept, going: None, looked_at: now }
    }

    /// What is to be kept now, if it is time and `learned` gives something else than the ledger has. A ledger that stands
    /// still gets no more to keep.
    pub fn due(&mut self, now: Instant, learned: impl FnOnce() -> Vec<u8>) -> Option<Vec<u8>> {
        if self.going.is_some() || now.saturating_duration_since(self.looked_at) < LEARN_EVERY {
            return None;
        }
        self.looked_at = now;
        let learned = self.news(learned())?;
        self.going = Some(learned.clone());
        Some(learned)
    }

    /// `learned`, unless the ledger has it.
    pub fn news(&self, learned: Vec<u8>) -> Option<Vec<u8>> {
        (learned != self.kept).then_some(learned)
    }

    /// The ledger has what was due.
    pub fn kept(&mut self) {
        if let Some(bytes) = self.going.take() {
            self.kept = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_goes_and_once_a_minute() {
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut learning = Learning::new(vec![1], begun);
        let not_asked = || -> Vec<u8> { panic!("it is not time") };
        assert_eq!(learning.due(after(59), not_asked), None);
        assert_eq!(learning.due(after(60), || vec![1]), None, "nothing was learned");
        assert_eq!(learning.due(after(61), not_asked), None);
        assert_eq!(learning.due(after(120), || vec![2]), Some(vec![2]));
        assert_eq!(learning.due(after(600), not_asked), None, "the ledger stands still");
        learning.kept();
        assert_eq!(learning.due(after(601), || vec![2]), None);
        assert_eq!((learning.news(vec![2]), learning.news(vec![3])), (None, Some(vec![3])));
    }
}
