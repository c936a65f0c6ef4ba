//! The push counters of a scrape as the simulator sums them, and what two such sums differ in.

use std::collections::BTreeMap;

use timpush_exporter::sim::{FailureSum, ResultSum, Sums};

use super::scrape::Sample;
use super::{APP, FIRST_APP, Scrape};

impl Scrape {
    /// The push counters of [`APP`] as the simulator sums them; compare it with [`comparable`] sums. Sets that are born
    /// at 0 are left out: the simulator does not know them.
    pub fn sums(&self) -> Sums {
        let (only, sdk_app_id) = ([("app", APP)], FIRST_APP);
        let text = |sample: &Sample, key: &str| sample.labels[key].clone();
        let results = self.samples("timpush_stage_results_total", &only).map(|sample| ResultSum {
            sdk_app_id,
            route: text(sample, "route"),
            stage: text(sample, "stage"),
            platform: text(sample, "platform"),
            outcome: text(sample, "outcome"),
            count: whole(sample.value),
        });
        let failures = self.samples("timpush_stage_failures_total", &only).map(|sample| FailureSum {
            sdk_app_id,
            route: text(sample, "route"),
            stage: text(sample, "stage"),
            platform: text(sample, "platform"),
            code: sample.labels["code"].parse().expect("the simulator's codes are numbers"),
            count: whole(sample.value),
        });
        comparable(Sums { devices: 0, results: results.collect(), failures: failures.collect() })
    }
}

/// Sums in the one form in which the two sides can be equal: in order, each set once, none that is 0, and without the
/// number of devices, which no counter shows.
pub fn comparable(sums: Sums) -> Sums {
    let mut results = BTreeMap::new();
    for sum in sums.results.into_iter().filter(|sum| sum.count > 0) {
        let count = sum.count;
        let set = ResultSum { count: 0, ..sum };
        let key =
            (set.sdk_app_id, set.route.clone(), set.stage.clone(), set.platform.clone(), set.outcome.clone());
        results.entry(key).or_insert(set).count += count;
    }
    let mut failures = BTreeMap::new();
    for sum in sums.failures.into_iter().filter(|sum| sum.count > 0) {
        let count = sum.count;
        let set = FailureSum { count: 0, ..sum };
        let key = (set.sdk_app_id, set.route.clone(), set.stage.clone(), set.platform.clone(), set.code);
        failures.entry(key).or_insert(set).count += count;
    }
    Sums { devices: 0, results: results.into_values().collect(), failures: failures.into_values().collect() }
}

/// What two sums differ in, a line each.
pub fn difference(left: &Sums, right: &Sums) -> String {
    let lines = |own: &Sums, other: &Sums, mark: char| {
        let results = own.results.iter().filter(|sum| !other.results.contains(sum));
        let failures = own.failures.iter().filter(|sum| !other.failures.contains(sum));
        let results = results
            .map(|s| format!("{mark} {} {} {} {} {}", s.route, s.stage, s.platform, s.outcome, s.count));
        let failures = failures
            .map(|s| format!("{mark} {} {} {} code {} {}", s.route, s.stage, s.platform, s.code, s.count));
        results.chain(failures).collect::<Vec<_>>()
    };
    let mut all = lines(left, right, '<');
    all.extend(lines(right, left, '>'));
    all.join("\n")
}

fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value.fract() == 0.0, "a counter of things is whole: {value}");
    value as u64
}
