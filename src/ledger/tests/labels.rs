//! Sets of watch labels: so many at a time, and those that nobody needs make room and come back as they were.

use std::path::Path;
use std::sync::Arc;

use super::super::labels::LABEL_SETS_CAP;
use super::super::open::FILE;
use super::super::tally::OTHER;
use super::super::{AppTally, Enrol, Known, Leave, Ledger, Sighting};
use super::play::{close, open};
use super::{PUSHED, success_up_to};
use crate::trace::{Outcome, Stage};
use crate::watch::LabelSet;

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
const RESULTS: &str = "timpush_stage_results_total";

fn app() -> Arc<str> {
    "shop".into()
}

fn campaign(value: &str) -> LabelSet {
    [("campaign".into(), value.into())].into_iter().collect()
}

/// Hostile label values: with NUL, from right to left, emoji, and long.
fn hostile(number: usize) -> LabelSet {
    let text = ["\0", "\u{202e}", "🎉", "\n\"\\", "é́"][number % 5];
    campaign(&format!("{text}{number}"))
}

fn pair(user: &str, labels: &LabelSet) -> Enrol {
    Enrol { task: "t".into(), user: user.into(), labels: labels.clone(), pushed_at: None, watch_for: WEEK }
}

async fn watch(ledger: &Ledger, user: &str, labels: &LabelSet, now: i64) -> Known {
    ledger.enrol(&app(), vec![pair(user, labels)], now).await.unwrap().remove(0).unwrap()
}

async fn poll(ledger: &Ledger, known: &Known, labels: &LabelSet, polled_at: i64) {
    let trace = success_up_to(&[Stage::Im]);
    let sighting =
        Sighting { row: known.row, labels: labels.clone(), polled_at, trace, lags: Arc::default() };
    ledger.record(&app(), sighting).await.unwrap();
}

async fn leave(ledger: &Ledger, known: &Known, labels: &LabelSet) {
    let leave = Leave { row: known.row, labels: labels.clone(), reason: None };
    ledger.leave(&app(), vec![leave]).await.unwrap();
}

/// A pair is watched, answered once, and leaves.
async fn pass_by(ledger: &Ledger, user: &str, labels: &LabelSet, now: i64) {
    let known = watch(ledger, user, labels, now).await;
    poll(ledger, &known, labels, now).await;
    leave(ledger, &known, labels).await;
}

async fn show(ledger: &Ledger, names: &[&str], now: i64) {
    let names: Vec<Box<str>> = names.iter().map(|name| Box::from(*name)).collect();
    ledger.show_labels(&app(), names.into(), now).await.unwrap();
}

fn tally(ledger: &Ledger) -> Arc<AppTally> {
    ledger.snapshot().apps[&app()].clone()
}

/// What is shown under these labels: results, devices.
fn shown(ledger: &Ledger, labels: &LabelSet) -> Option<(u64, u64)> {
    let tally = tally(ledger);
    let set = tally.sets.iter().find(|(key, _)| key.labels == *labels)?.1;
    Some((set.stage(Stage::Im).result(Outcome::Success), set.devices.iter().sum()))
}

#[tokio::test]
async fn more_sets_than_the_cap_count_under_other_and_no_result_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let (shop, many) = (app(), LABEL_SETS_CAP + 50);
    let pairs = (0..many).map(|number| pair(&format!("u{number}"), &hostile(number))).collect();
    let known = opened.ledger.enrol(&app(), pairs, PUSHED).await.unwrap();
    for round in 0..2 {
        let polls = known.iter().enumerate().map(|(number, known)| {
            let sighting = Sighting {
                row: known.as_ref().unwrap().row,
                labels: hostile(number),
                polled_at: PUSHED + 20 + round,
                trace: success_up_to(&[Stage::Im, Stage::Offline]),
                lags: Arc::default(),
            };
            opened.ledger.record(&shop, sighting)
        });
        futures_util::future::join_all(polls).await;
    }
    assert_eq!(tally(&opened.ledger).sets.len(), LABEL_SETS_CAP + 1, "and the one of `other`");
    assert_eq!(tally(&opened.ledger).overflow[RESULTS], 100);
    assert_eq!(shown(&opened.ledger, &campaign(OTHER)), Some((50, 50)));
    assert_eq!(shown(&opened.ledger, &hostile(7)), Some((1, 1)));
    // What was folded leaves as it came.
    let leaves = known.iter().enumerate().map(|(number, known)| Leave {
        row: known.as_ref().unwrap().row,
        labels: hostile(number),
        reason: None,
    });
    opened.ledger.leave(&app(), leaves.collect()).await.unwrap();
    assert!(tally(&opened.ledger).sets.values().all(|set| set.is_unwatched()));
    assert_eq!(shown(&opened.ledger, &campaign(OTHER)), Some((50, 0)));
    close(opened);
}

/// Ten values a day of a label, each for a day: the 2,000 of them once lasted for 200 days.
#[tokio::test]
async fn campaigns_come_and_go_for_years_and_each_has_series_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let shop = app();
    let mut opened = open(folder.path());
    for day in 0..500 {
        let now = PUSHED + day * DAY;
        if day % 100 == 99 {
            close(opened);
            opened = Ledger::open(folder.path(), now, |_| {}).unwrap();
        }
        show(&opened.ledger, &["campaign"], now).await;
        let pairs: Vec<Enrol> =
            (0..10).map(|n| pair(&format!("u{day} {n}"), &campaign(&format!("c{day} {n}")))).collect();
        let labels: Vec<LabelSet> = pairs.iter().map(|pair| pair.labels.clone()).collect();
        let known = opened.ledger.enrol(&app(), pairs, now).await.unwrap();
        let polls = known.iter().zip(&labels).map(|(known, labels)| {
            let trace = success_up_to(&[Stage::Im]);
            let row = known.as_ref().unwrap().row;
            opened.ledger.record(
                &shop,
                Sighting { row, labels: labels.clone(), polled_at: now, trace, lags: Arc::default() },
            )
        });
        futures_util::future::join_all(polls).await;
        let leaves = known.iter().zip(&labels).map(|(known, labels)| Leave {
            row: known.as_ref().unwrap().row,
            labels: labels.clone(),
            reason: None,
        });
        opened.ledger.leave(&app(), leaves.collect()).await.unwrap();
        let sets = tally(&opened.ledger).sets.len();
        assert!(sets <= 320, "{sets} on day {day}");
        assert_eq!(shown(&opened.ledger, &labels[9]), Some((1, 0)));
    }
    assert!(tally(&opened.ledger).overflow.is_empty());
    close(opened);
}

#[tokio::test]
async fn a_set_that_retired_comes_back_with_what_it_had_counted() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let (spring, summer) = (campaign("spring"), campaign("summer"));
    for n in 0..3 {
        pass_by(&opened.ledger, &format!("u{n}"), &spring, PUSHED).await;
    }
    let stays = watch(&opened.ledger, "stays", &summer, PUSHED).await;
    poll(&opened.ledger, &stays, &summer, PUSHED).await;
    show(&opened.ledger, &["campaign"], PUSHED + 30 * DAY - 1).await;
    assert_eq!(shown(&opened.ledger, &spring), Some((3, 0)), "not yet");
    let later = PUSHED + 31 * DAY;
    show(&opened.ledger, &["campaign"], later).await;
    assert_eq!(shown(&opened.ledger, &spring), None);
    assert_eq!(shown(&opened.ledger, &summer), Some((1, 1)), "a pair is watched with it");
    assert_eq!(tally(&opened.ledger).label_sets_returned_at, 0);
    // Over a restart, too, and with what a pair had shown before.
    close(opened);
    let opened = open(folder.path());
    assert_eq!((opened.quarantined.as_ref(), shown(&opened.ledger, &spring)), (None, None));
    let known = watch(&opened.ledger, "u0", &spring, later).await;
    assert_eq!(shown(&opened.ledger, &spring), Some((3, 1)));
    assert_eq!(tally(&opened.ledger).label_sets_returned_at, later);
    poll(&opened.ledger, &known, &spring, later).await;
    assert_eq!(shown(&opened.ledger, &spring), Some((3, 1)), "nothing counts twice");
    close(opened);
    let opened = open(folder.path());
    assert_eq!(shown(&opened.ledger, &spring), Some((3, 0)), "it is back for good");
    assert_eq!(tally(&opened.ledger).label_sets_returned_at, later);
    close(opened);
}

#[tokio::test]
async fn a_pair_that_was_folded_stays_so_and_the_next_one_finds_room() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let old = (0..LABEL_SETS_CAP).map(|number| pair(&format!("u{number}"), &hostile(number))).collect();
    opened.ledger.enrol(&app(), old, PUSHED).await.unwrap();
    let (new, later) = (campaign("new"), PUSHED + 31 * DAY);
    let folded = watch(&opened.ledger, "folded", &new, PUSHED).await;
    poll(&opened.ledger, &folded, &new, PUSHED).await;
    show(&opened.ledger, &["campaign"], later).await;
    let next = watch(&opened.ledger, "next", &new, later).await;
    poll(&opened.ledger, &next, &new, later).await;
    assert_eq!(shown(&opened.ledger, &campaign(OTHER)), Some((1, 1)), "what went there stays there");
    assert_eq!(shown(&opened.ledger, &new), Some((1, 1)));
    leave(&opened.ledger, &folded, &new).await;
    assert_eq!(shown(&opened.ledger, &campaign(OTHER)), Some((1, 0)));
    assert_eq!(shown(&opened.ledger, &new), Some((1, 1)));
    // Back again, it is one of those with room.
    watch(&opened.ledger, "folded", &new, later).await;
    assert_eq!(shown(&opened.ledger, &new), Some((1, 2)));
    close(opened);
}

/// Sets with a label that the configuration names no more are added up with others on /metrics: no sum may fall there.
#[tokio::test]
async fn what_is_added_up_with_others_does_not_retire_and_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let both: LabelSet = [("campaign".into(), "x".into()), ("region".into(), "eu".into())].into();
    let (eu, us): (LabelSet, LabelSet) =
        ([("region".into(), "eu".into())].into(), [("region".into(), "us".into())].into());
    for (user, labels) in [("a", &both), ("b", &eu), ("c", &us)] {
        pass_by(&opened.ledger, user, labels, PUSHED).await;
    }
    let later = PUSHED + 31 * DAY;
    show(&opened.ledger, &["region"], later).await;
    let is_shown = |labels| shown(&opened.ledger, labels).is_some();
    assert_eq!([&both, &eu, &us].map(is_shown), [true, true, false], "two of them are one series");
    assert_eq!(tally(&opened.ledger).label_sets.len(), 1, "the one that is named no more does not count");
    // Named again, each has series of its own, and may go again.
    show(&opened.ledger, &["campaign", "region"], later).await;
    assert_eq!([&both, &eu, &us].map(is_shown), [true, false, false]);
    show(&opened.ledger, &["campaign", "region"], later + 31 * DAY).await;
    assert_eq!([&both, &eu, &us].map(is_shown), [false, false, false]);
    close(opened);
}

fn damage(folder: &Path, sql: &str) {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0);
}

#[tokio::test]
async fn retired_sums_that_are_damaged_stay_away_and_stop_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let spring = campaign("spring");
    pass_by(&opened.ledger, "u", &spring, PUSHED).await;
    let later = PUSHED + 31 * DAY;
    show(&opened.ledger, &["campaign"], later).await;
    damage(folder.path(), "UPDATE result SET count = 7 WHERE count = 1");
    pass_by(&opened.ledger, "v", &spring, later).await;
    pass_by(&opened.ledger, "w", &campaign("summer"), later).await;
    assert_eq!(shown(&opened.ledger, &spring), None);
    assert_eq!(shown(&opened.ledger, &campaign(OTHER)), Some((1, 0)));
    assert_eq!(shown(&opened.ledger, &campaign("summer")), Some((1, 0)));
    close(opened);
    let opened = open(folder.path());
    assert_eq!(opened.quarantined, None, "what is shown is whole");
    close(opened);
}
