//! How much of the budget retries of failing polls may take while others wait.

/// What a retry costs: polls of other pairs that must come before it. Retries that fail again take a tenth of the
/// budget at most.
const COST: u16 = 9;
/// The cost grows by one with each retry that fails again, up to this: the budget is not for pairs that fail for ever.
const HIGHEST_COST: u16 = 199;
/// Retries that may follow each other after a time without any.
const SAVED: u16 = 2;

/// What may be spent on retries. A retry that is answered gives back what it cost, so that nothing is held up once the
/// upstream answers again.
#[derive(Debug)]
pub struct RetryShare {
    /// Polls of other pairs that no retry has used up.
    polls: u16,
    cost: u16,
}

impl Default for RetryShare {
    fn default() -> RetryShare {
        RetryShare { polls: SAVED * COST, cost: COST }
    }
}

impl RetryShare {
    /// True if a retry may go before other pairs that wait.
    pub fn permits(&self) -> bool {
        self.polls >= self.cost
    }

    /// A pair that does not fail was polled.
    pub fn earn(&mut self) {
        self.polls = (self.polls + 1).min(SAVED * self.cost);
    }

    /// A retry was made while others wait. The round of all pairs makes some that are not permitted: they use up what
    /// is left.
    pub fn spend(&mut self) {
        self.polls = self.polls.saturating_sub(self.cost);
    }

    /// A pair that was to be polled is not polled after all.
    pub fn put_back(&mut self, retries: bool) {
        self.polls = match retries {
            true => (self.polls + self.cost).min(SAVED * self.cost),
            false => self.polls.saturating_sub(1),
        };
    }

    /// A retry was answered.
    pub fn answered(&mut self) {
        self.cost = COST;
        self.polls = (self.polls + COST).min(SAVED * COST);
    }

    /// A retry failed again.
    pub fn failed(&mut self) {
        self.cost = (self.cost + 1).min(HIGHEST_COST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Retries among so many polls, where a retry goes whenever it may.
    fn retries(share: &mut RetryShare, polls: usize, answered: bool) -> usize {
        let mut retries = 0;
        for _ in 0..polls {
            if !share.permits() {
                share.earn();
                continue;
            }
            retries += 1;
            share.spend();
            if answered { share.answered() } else { share.failed() }
        }
        retries
    }

    #[test]
    fn retries_in_vain_take_a_tenth_at_first_and_half_a_percent_for_good() {
        let share = &mut RetryShare::default();
        let (first, then) = (retries(share, 100, false), retries(share, 2_000, false));
        retries(share, 20_000, false);
        let later = retries(share, 20_000, false);
        assert!((5..=10).contains(&first) && then <= 60 && later == 100, "{first}, {then}, {later}");
    }

    #[test]
    fn retries_that_are_answered_are_not_held_up() {
        let share = &mut RetryShare::default();
        retries(share, 20_000, false);
        assert!(retries(share, 320, true) > 100);
    }

    #[test]
    fn one_answer_does_not_pay_for_several_retries_in_vain() {
        let share = &mut RetryShare::default();
        retries(share, 5_000, false);
        let mut in_vain = 0;
        for _ in 0..500 {
            // Two polls of others, a retry that is answered, and retries in vain as long as they may go.
            (0..2).for_each(|_| share.earn());
            if share.permits() {
                share.spend();
                share.answered();
            }
            while share.permits() {
                share.spend();
                share.failed();
                in_vain += 1;
            }
        }
        assert!(in_vain * 10 <= 1_500 + in_vain, "{in_vain}");
    }
}
