//! Counting once: the fold by itself.

use super::super::fold::{Record, Standing, fold};
use super::super::{AppTally, NEVER_DUE};
use super::{PUSHED, leaf, polled, success_up_to, trace};
use crate::trace::{Outcome, Route, Stage, Trace};
use crate::watch::LabelSet;

#[test]
fn the_same_trace_counts_once_however_often_it_is_folded() {
    let mut record = Record::default();
    let whole = success_up_to(Route::Offline.stages());
    assert_eq!(fold(&mut record, &whole, PUSHED + 60).len(), 5);
    let after_first = record.clone();
    for poll in 0..100 {
        assert_eq!(fold(&mut record, &whole, PUSHED + 100 + poll), []);
    }
    assert_eq!(record, after_first);
}

#[test]
fn both_outcomes_of_a_stage_count_once_each_however_often_they_alternate() {
    let mut record = Record::default();
    let mut counted = Vec::new();
    for round in 0..6 {
        let outcome = if round % 2 == 0 { Outcome::Failure } else { Outcome::Success };
        let news = fold(&mut record, &trace(vec![leaf(Stage::Channel, outcome, 1)]), PUSHED + round);
        counted.extend(news.into_iter().map(|n| n.outcome));
    }
    assert_eq!(counted, [Outcome::Failure, Outcome::Success]);
}

#[test]
fn what_a_later_answer_leaves_out_stays_known() {
    let mut record = Record::default();
    fold(&mut record, &success_up_to(&[Stage::Im, Stage::Offline]), PUSHED + 5);
    let known = record.clone();
    fold(&mut record, &Trace::default(), PUSHED + 6);
    fold(&mut record, &trace(vec![]), PUSHED + 7);
    assert_eq!(record, known);
}

#[test]
fn delays_count_from_the_push_and_detection_from_the_event() {
    let mut record = Record::default();
    let mut late = leaf(Stage::Im, Outcome::Success, 7);
    late.at = Some(PUSHED - 3); // Two clocks of the upstream, a little apart.
    let news = fold(&mut record, &trace(vec![late, leaf(Stage::Offline, Outcome::Success, 9)]), PUSHED + 30);
    assert_eq!((news[0].delay_seconds, news[0].detection_seconds), (Some(0), Some(33)));
    assert_eq!((news[1].delay_seconds, news[1].detection_seconds), (Some(9), Some(21)));
}

#[test]
fn a_time_before_the_push_is_no_delay() {
    let mut record = Record::default();
    let news = fold(&mut record, &trace(vec![leaf(Stage::Im, Outcome::Success, -3600)]), PUSHED);
    assert_eq!(news[0].delay_seconds, None);
}

#[test]
fn silence_is_overdue_only_after_the_stage_before_succeeded_long_enough_ago() {
    let mut record = Record::default();
    fold(&mut record, &success_up_to(&[Stage::Im, Stage::Offline, Stage::Channel]), PUSHED + 5);
    let standings = record.devices[0].standings(Route::Offline, Some(PUSHED + 5));
    let minute = u32::try_from((PUSHED + 2 + 3600 + 59) / 60).unwrap();
    assert_eq!(standings[3], (Stage::Device, Standing::Unreported(minute)));
    assert_eq!(standings[4], (Stage::Click, Standing::Unreported(NEVER_DUE)));

    let mut tally = AppTally::default();
    let pair = polled(record, PUSHED + 5);
    tally.enter(&LabelSet::from([]), &pair);
    let device =
        |tally: &AppTally, now| tally.sets.values().next().unwrap().stage(Stage::Device).overdue(now);
    assert_eq!(device(&tally, PUSHED + 3600), 0);
    assert_eq!(device(&tally, PUSHED + 3600 + 120), 1);
    tally.leave(&LabelSet::from([]), &pair);
    assert_eq!(device(&tally, PUSHED + 3600 + 120), 0);
}

#[test]
fn behind_a_failure_nothing_is_awaited() {
    let mut record = Record::default();
    let failed = trace(vec![leaf(Stage::Im, Outcome::Success, 1), leaf(Stage::Offline, Outcome::Failure, 1)]);
    fold(&mut record, &failed, PUSHED + 5);
    let standings = record.devices[0].standings(Route::Offline, Some(PUSHED + 5));
    assert_eq!(
        standings,
        [
            (Stage::Im, Standing::Reported(Outcome::Success)),
            (Stage::Offline, Standing::Reported(Outcome::Failure))
        ]
    );
}

#[test]
fn a_push_time_that_moves_on_is_not_followed() {
    let mut record = Record::default();
    for later in [0, 3_600, 86_400] {
        let mut moved = trace(vec![]);
        moved.devices[0].pushed_at = Some(PUSHED + later);
        fold(&mut record, &moved, PUSHED + later + 5);
        moved.devices[0].instance = later.to_string();
        fold(&mut record, &moved, PUSHED + later + 5);
        assert_eq!(record.pushed_at(), Some(PUSHED));
    }
    let mut earlier = trace(vec![]);
    earlier.devices[0].pushed_at = Some(PUSHED - 60);
    fold(&mut record, &earlier, PUSHED + 100_000);
    assert_eq!(record.pushed_at(), Some(PUSHED - 60), "an earlier one is believed");
}
