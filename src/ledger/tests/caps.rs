//! Caps of the sums: what is beyond them is folded into `other`, counted as folded, and no result is lost.

use super::super::count::{CODES_CAP, PLATFORMS_CAP, Touched};
use super::super::fold::News;
use super::super::{AppTally, CodeLabel, PlatformLabel};
use crate::trace::{Outcome, Platform, Reason, Route, Stage};
use crate::watch::LabelSet;

fn labels(value: &str) -> LabelSet {
    [("campaign".into(), value.into())].into_iter().collect()
}

fn news(platform: i64, code: i64) -> News {
    News {
        device: 0,
        route: Route::Offline,
        platform: Platform::Vendor(platform),
        stage: Stage::Channel,
        outcome: Outcome::Failure,
        code,
        reason: Some(Reason::Unknown),
        delay_seconds: None,
        detection_seconds: None,
    }
}

fn results(tally: &AppTally) -> u64 {
    let stages = tally.sets.values().flat_map(|set| &set.stages);
    stages.map(|stage| stage.results.iter().sum::<u64>()).sum()
}

#[test]
fn undocumented_platforms_beyond_the_cap_are_other_and_documented_ones_never() {
    let (mut tally, mut touched, mut folded) = (AppTally::default(), Touched::new(), 0);
    for platform in (9..200).chain(1..9) {
        folded += u64::from(tally.count(&labels("a"), &news(platform, 1), &mut touched));
    }
    let shown = |wanted: PlatformLabel| tally.sets.keys().any(|key| key.platform == wanted);
    assert!(shown(PlatformLabel::Other) && (1..9).all(|n| shown(PlatformLabel::Of(Platform::Vendor(n)))));
    assert!(tally.sets.len() <= PLATFORMS_CAP + 9, "{}", tally.sets.len());
    assert_eq!(results(&tally), 199);
    assert_eq!(folded, 191 - PLATFORMS_CAP as u64);
}

#[test]
fn codes_beyond_the_cap_are_other() {
    let (mut tally, mut touched) = (AppTally::default(), Touched::new());
    for code in 0..10_000 {
        tally.count(&labels("a"), &news(1, code), &mut touched);
    }
    let set = tally.sets.values().next().unwrap();
    let failures = &set.stage(Stage::Channel).failures;
    assert_eq!(failures.len(), CODES_CAP + 1);
    assert_eq!(failures[&(Reason::Unknown, CodeLabel::Other)], 10_000 - CODES_CAP as u64);
    assert_eq!(failures.values().sum::<u64>(), 10_000);
    assert_eq!(tally.overflow["timpush_stage_failures_total"], 10_000 - CODES_CAP as u64);
}
