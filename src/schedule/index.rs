//! The index: the price of a look at which looking now is just right, in seconds of a failure's delay.

use super::grid::News;

/// What a sure result that is no failure is worth by itself, in seconds of a failure's delay, times its worth.
const RESULT_SECONDS: f64 = 1.0;

/// What is expected of a look at one pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    /// Expected failures that became visible since the last look.
    pub failures: f64,
    /// Its slope now, per second.
    pub slope: f64,
    /// Expected worth of other results.
    pub worth: f64,
    /// Chance that nothing is open any more, so that this look is the last.
    closed: f64,
    /// How fast that chance grows now, per second.
    closing: f64,
}

impl Default for Gain {
    fn default() -> Gain {
        Gain { failures: 0.0, slope: 0.0, worth: 0.0, closed: 1.0, closing: 0.0 }
    }
}

impl Gain {
    /// Adds what is expected of one device whose failures come `factor` times as often as ever; `closes` if nothing
    /// follows the report that it waits for.
    pub fn add(&mut self, news: News, factor: f64, closes: bool) {
        self.failures += (news.failures * factor).min(1.0);
        self.slope += news.failures_slope * factor;
        self.worth += news.worth;
        let (gone, going) = if closes { (1.0 - news.waits, news.ending) } else { (0.0, 0.0) };
        self.closing = self.closing * gone + self.closed * going;
        self.closed *= gone;
    }

    /// All of it is worth so many times as much.
    pub fn scale(&mut self, by: f64) {
        self.failures *= by;
        self.slope *= by;
        self.worth *= by;
    }

    /// The price λ at which now is the best time. A look later by `dt` leaves the `failures` unseen for that long, lets
    /// `slope·dt` failures be seen at once instead of one interval of looks later, and saves the looks behind it if
    /// the wait closes meanwhile: `failures = slope·interval + λ·closing`, where the interval of looks that a price
    /// makes best is `√(2·λ·open / slope)`. No failure counts as waiting for longer than `longest` seconds, however
    /// flat the curve has become.
    pub fn index(self, longest: f64) -> f64 {
        let others = self.worth * RESULT_SECONDS;
        if self.failures <= 0.0 {
            return others;
        }
        let slope = self.slope.max(self.failures / longest);
        let open = (1.0 - self.closed).max(0.01);
        let half = (2.0 * open * slope).sqrt();
        // The root of closing·x² + half·x = failures.
        let root = 2.0 * self.failures / (half + (half * half + 4.0 * self.closing * self.failures).sqrt());
        root * root + others
    }
}
