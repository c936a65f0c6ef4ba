//! The closed sets of values that polling counts by: states of pairs, reasons to refuse one.

/// How many pairs are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairStates {
    /// Never polled.
    pub new: u64,
    pub active: u64,
    /// Nothing more can come.
    pub settled: u64,
    /// The API refuses the pair, or its polls keep failing.
    pub failing: u64,
}

impl PairStates {
    pub(super) const NAMES: [&'static str; 4] = ["new", "active", "settled", "failing"];

    /// Each state by the value of its label.
    pub fn by_name(&self) -> [(&'static str, u64); 4] {
        let [new, active, settled, failing] = Self::NAMES;
        [(new, self.new), (active, self.active), (settled, self.settled), (failing, self.failing)]
    }

    /// All pairs of the watch list.
    pub fn total(&self) -> u64 {
        self.new + self.active + self.settled + self.failing
    }
}

/// Why a pair never entered the watch list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The entry cannot be read as one.
    Invalid,
    /// `max_pairs` is reached.
    OverLimit,
    /// The upstream no longer knows so old a push.
    TooOld,
}

impl Refused {
    pub const ALL: [Refused; 3] = [Refused::Invalid, Refused::OverLimit, Refused::TooOld];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Refused::Invalid => "invalid",
            Refused::OverLimit => "over_limit",
            Refused::TooOld => "too_old",
        }
    }
}
