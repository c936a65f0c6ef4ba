//! Caps of the sums: what is beyond them is folded into `other`, counted as folded, and no result is lost.

use super::super::count::{CODES_CAP, LABEL_SETS_CAP, PLATFORMS_CAP, Touched};
use super::super::fold::{News, Record, fold};
use super::super::tally::OTHER;
use super::super::{AppTally, CodeLabel, PlatformLabel};
use super::{leaf, trace};
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

/// Hostile label values: with NUL, from right to left, emoji, and long.
fn hostile(number: usize) -> LabelSet {
    let text = ["\0", "\u{202e}", "🎉", "\n\"\\", "é́"][number % 5];
    labels(&format!("{text}{number}"))
}

#[test]
fn a_million_labels_make_no_more_sets_than_the_cap() {
    let (mut tally, mut touched) = (AppTally::default(), Touched::new());
    let many = LABEL_SETS_CAP + 500;
    for round in 0..2 {
        for number in 0..many {
            tally.count(&hostile(number), &news(1, round), &mut touched);
        }
    }
    assert_eq!(tally.sets.len(), LABEL_SETS_CAP + 1, "and the one of `other`");
    assert_eq!(results(&tally), 2 * many as u64, "no result is lost");
    let other = tally.sets.iter().find(|(key, _)| key.labels == labels(OTHER)).unwrap().1;
    assert_eq!(other.stages[Stage::Channel as usize].results[Outcome::Failure as usize], 1_000);
    assert_eq!(tally.overflow["timpush_stage_results_total"], 1_000);
}

#[test]
fn undocumented_platforms_beyond_the_cap_are_other_and_documented_ones_never() {
    let (mut tally, mut touched) = (AppTally::default(), Touched::new());
    for platform in (9..200).chain(1..9) {
        tally.count(&labels("a"), &news(platform, 1), &mut touched);
    }
    let shown = |wanted: PlatformLabel| tally.sets.keys().any(|key| key.platform == wanted);
    assert!(shown(PlatformLabel::Other) && (1..9).all(|n| shown(PlatformLabel::Of(Platform::Vendor(n)))));
    assert!(tally.sets.len() <= PLATFORMS_CAP + 9, "{}", tally.sets.len());
    assert_eq!(results(&tally), 199);
    assert_eq!(tally.overflow["timpush_stage_results_total"], 191 - PLATFORMS_CAP as u64);
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

/// Gauges of pairs that were folded leave the set that they entered.
#[test]
fn what_was_folded_leaves_as_it_came() {
    let mut record = Record::default();
    fold(&mut record, &trace(vec![leaf(Stage::Im, Outcome::Success, 1)]), super::PUSHED);
    let mut tally = AppTally::default();
    for number in 0..LABEL_SETS_CAP + 50 {
        tally.enter(&hostile(number), &record);
    }
    for number in (0..LABEL_SETS_CAP + 50).rev() {
        tally.leave(&hostile(number), &record);
    }
    let left = tally.sets.values().flat_map(|set| set.devices).sum::<u64>();
    assert_eq!((left, tally.sets.len()), (0, LABEL_SETS_CAP + 1));
    assert!(tally.overflow.is_empty(), "no result was folded: {:?}", tally.overflow);
}
