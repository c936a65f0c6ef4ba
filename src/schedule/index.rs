//! The index: what a look would bring, times how long it has been ripening.

use super::grid::News;

/// What is expected of a look at one pair.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// Expected worth of results that became visible since the last look.
    pub news: f64,
    /// Its slope now, per second.
    pub slope: f64,
}

/// The power of the ripening time.
pub const RIPENING: f64 = 0.5;

impl Gain {
    /// Adds what is expected of one device whose failures come `factor` times as often as ever.
    pub fn add(&mut self, news: News, factor: f64) {
        let failures = (news.failures * factor).min(1.0);
        self.news += failures + news.worth;
        self.slope += news.failures_slope * factor + news.worth_slope;
    }

    /// `news` × (`news` / `slope`)^½, where `news` / `slope` is how long it has been ripening, `longest` seconds at most.
    pub fn index(self, longest: f64) -> f64 {
        if self.news <= 0.0 {
            return 0.0;
        }
        let ripening = (self.news / self.slope.max(self.news * 1e-7)).min(longest);
        self.news * ripening.powf(RIPENING)
    }
}
