//! Counting once: the fold by itself, and the store over restarts and damage.

use std::path::Path;
use std::sync::Arc;

use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};
use crate::watch::LabelSet;

use super::fold::{Record, Standing, fold};
use super::store::{FILE, OpenError, QUARANTINE_PREFIX};
use super::{AppTally, Ended, Enrol, Known, Leave, Ledger, NEVER_DUE, Opened, Sighting, Verdict};

const PUSHED: i64 = 1_790_000_000;

fn leaf(stage: Stage, outcome: Outcome, after: i64) -> Leaf {
    let failure = outcome == Outcome::Failure;
    Leaf {
        route: Route::Offline,
        stage,
        outcome,
        code: if failure { 410 } else { 0 },
        reason: failure.then_some(Reason::InvalidToken),
        at: Some(PUSHED + after),
    }
}

fn trace(leaves: Vec<Leaf>) -> Trace {
    let device = Device {
        instance: "74224656".into(),
        event: Event::Offline,
        platform: Platform::Vendor(1),
        notifications: Notifications::On,
        pushed_at: Some(PUSHED),
        leaves,
    };
    Trace {
        devices: vec![device],
        drift: vec![],
    }
}

fn success_up_to(stages: &[Stage]) -> Trace {
    trace(
        stages
            .iter()
            .map(|stage| leaf(*stage, Outcome::Success, 2))
            .collect(),
    )
}

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
        let outcome = if round % 2 == 0 {
            Outcome::Failure
        } else {
            Outcome::Success
        };
        let news = fold(
            &mut record,
            &trace(vec![leaf(Stage::Channel, outcome, 1)]),
            PUSHED + round,
        );
        counted.extend(news.into_iter().map(|n| n.outcome));
    }
    assert_eq!(counted, [Outcome::Failure, Outcome::Success]);
}

#[test]
fn what_a_later_answer_leaves_out_stays_known() {
    let mut record = Record::default();
    fold(
        &mut record,
        &success_up_to(&[Stage::Im, Stage::Offline]),
        PUSHED + 5,
    );
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
    let news = fold(
        &mut record,
        &trace(vec![late, leaf(Stage::Offline, Outcome::Success, 9)]),
        PUSHED + 30,
    );
    assert_eq!(
        (news[0].delay_seconds, news[0].detection_seconds),
        (Some(0), Some(33))
    );
    assert_eq!(
        (news[1].delay_seconds, news[1].detection_seconds),
        (Some(9), Some(21))
    );
}

#[test]
fn a_time_before_the_push_is_no_delay() {
    let mut record = Record::default();
    let news = fold(
        &mut record,
        &trace(vec![leaf(Stage::Im, Outcome::Success, -3600)]),
        PUSHED,
    );
    assert_eq!(news[0].delay_seconds, None);
}

#[test]
fn silence_is_overdue_only_after_the_stage_before_succeeded_long_enough_ago() {
    let mut record = Record::default();
    fold(
        &mut record,
        &success_up_to(&[Stage::Im, Stage::Offline, Stage::Channel]),
        PUSHED + 5,
    );
    let standings = record.devices[0].standings(Route::Offline);
    let minute = u32::try_from((PUSHED + 2 + 3600 + 59) / 60).unwrap();
    assert_eq!(standings[3], (Stage::Device, Standing::Unreported(minute)));
    assert_eq!(standings[4], (Stage::Click, Standing::Unreported(NEVER_DUE)));

    let mut tally = AppTally::default();
    tally.enter(&LabelSet::from([]), &record);
    let device = |tally: &AppTally, now| {
        tally
            .sets
            .values()
            .next()
            .unwrap()
            .stage(Stage::Device)
            .overdue(now)
    };
    assert_eq!(device(&tally, PUSHED + 3600), 0);
    assert_eq!(device(&tally, PUSHED + 3600 + 120), 1);
    tally.leave(&LabelSet::from([]), &record);
    assert_eq!(device(&tally, PUSHED + 3600 + 120), 0);
}

#[test]
fn behind_a_failure_nothing_is_awaited() {
    let mut record = Record::default();
    let failed = trace(vec![
        leaf(Stage::Im, Outcome::Success, 1),
        leaf(Stage::Offline, Outcome::Failure, 1),
    ]);
    fold(&mut record, &failed, PUSHED + 5);
    let standings = record.devices[0].standings(Route::Offline);
    assert_eq!(
        standings,
        [
            (Stage::Im, Standing::Reported(Outcome::Success)),
            (Stage::Offline, Standing::Reported(Outcome::Failure))
        ]
    );
    assert!(record.is_settled(PUSHED + 60));
}

#[test]
fn a_pair_settles_with_a_click_or_a_failure_and_not_in_the_first_seconds() {
    let mut record = Record::default();
    assert!(!record.is_settled(PUSHED + 60), "nothing is known of it");
    fold(
        &mut record,
        &success_up_to(&Route::Offline.stages()[..4]),
        PUSHED + 5,
    );
    assert!(!record.is_settled(PUSHED + 60), "a click may come");
    fold(&mut record, &success_up_to(Route::Offline.stages()), PUSHED + 5);
    assert!(!record.is_settled(PUSHED + 5), "a sibling device may show up");
    assert!(record.is_settled(PUSHED + 60));
}

fn open(folder: &Path) -> Opened {
    Ledger::open(folder, PUSHED, |_| {}).expect("a temporary folder can be written")
}

fn close(opened: Opened) {
    drop(opened.ledger);
    opened.keeper.join().unwrap();
}

fn pair(user: &str) -> Enrol {
    Enrol {
        task: "task-1".into(),
        user: user.into(),
        labels: LabelSet::from([]),
        pushed_at: None,
        add: true,
    }
}

async fn enrol(ledger: &Ledger, app: &Arc<str>, user: &str) -> Known {
    ledger.enrol(app, vec![pair(user)], PUSHED).await.unwrap()[0].unwrap()
}

async fn record(ledger: &Ledger, app: &Arc<str>, row: i64, trace: Trace) -> Verdict {
    let sighting = Sighting {
        row,
        labels: LabelSet::from([]),
        polled_at: PUSHED + 60,
        trace,
    };
    ledger.record(app, sighting).await.unwrap()
}

/// (sum of all results, devices now watched, ended by reason)
fn sums(ledger: &Ledger, app: &str) -> (u64, u64, [u64; 3]) {
    let snapshot = ledger.snapshot();
    let tally = &snapshot.apps[app];
    let results = tally
        .sets
        .values()
        .flat_map(|s| &s.stages)
        .map(|s| s.results.iter().sum::<u64>())
        .sum();
    let devices = tally.sets.values().map(|s| s.devices.iter().sum::<u64>()).sum();
    (results, devices, tally.ended)
}

#[tokio::test]
async fn counters_continue_over_a_restart_and_nothing_counts_twice() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let whole = success_up_to(Route::Offline.stages());
    for round in 0..5 {
        let opened = open(folder.path());
        let known = enrol(&opened.ledger, &app, "alice").await;
        assert_eq!(known.ended.is_some(), round > 0, "settled is remembered");
        let verdict = record(&opened.ledger, &app, known.row, whole.clone()).await;
        assert_eq!(verdict.news, if round == 0 { 5 } else { 0 });
        assert_eq!(sums(&opened.ledger, "shop"), (5, 1, [1, 0, 0]));
        close(opened);
    }
}

#[tokio::test]
async fn everything_is_as_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let labels: LabelSet = [("campaign".into(), "spring \"1\"".into())].into_iter().collect();
    let opened = open(folder.path());
    let known = opened
        .ledger
        .enrol(
            &app,
            vec![Enrol {
                labels: labels.clone(),
                ..pair("bob")
            }],
            PUSHED,
        )
        .await;
    let row = known.unwrap()[0].unwrap().row;
    let mut mixed = success_up_to(&[Stage::Im, Stage::Offline]);
    mixed.devices[0]
        .leaves
        .push(leaf(Stage::Channel, Outcome::Failure, 3));
    mixed.devices[0].platform = Platform::Vendor(77);
    let sighting = Sighting {
        row,
        labels: labels.clone(),
        polled_at: PUSHED + 60,
        trace: mixed,
    };
    opened.ledger.record(&app, sighting).await.unwrap();
    let before = opened.ledger.snapshot();
    close(opened);

    let opened = open(folder.path());
    opened
        .ledger
        .enrol(
            &app,
            vec![Enrol {
                labels,
                ..pair("bob")
            }],
            PUSHED,
        )
        .await
        .unwrap();
    let after = opened.ledger.snapshot();
    assert_eq!(format!("{:?}", before.apps), format!("{:?}", after.apps));
    close(opened);
}

#[tokio::test]
async fn a_pair_that_leaves_and_comes_back_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let part = success_up_to(&[Stage::Im]);
    let row = enrol(&opened.ledger, &app, "alice").await.row;
    record(&opened.ledger, &app, row, part.clone()).await;
    let leave = |reason| {
        vec![Leave {
            row,
            labels: LabelSet::from([]),
            reason,
        }]
    };
    opened
        .ledger
        .leave(&app, leave(Some(Ended::Removed)))
        .await
        .unwrap();
    assert_eq!(sums(&opened.ledger, "shop"), (1, 0, [0, 0, 1]));

    assert_eq!(enrol(&opened.ledger, &app, "alice").await.row, row);
    assert_eq!(record(&opened.ledger, &app, row, part).await.news, 0);
    assert_eq!(sums(&opened.ledger, "shop"), (1, 1, [0, 0, 1]));
    opened
        .ledger
        .leave(&app, leave(Some(Ended::Expired)))
        .await
        .unwrap();
    assert_eq!(
        enrol(&opened.ledger, &app, "alice").await.ended,
        Some(Ended::Expired)
    );
    assert_eq!(sums(&opened.ledger, "shop"), (1, 0, [0, 1, 1]));
    close(opened);
}

#[tokio::test]
async fn a_pair_that_is_too_old_is_not_added_but_found_if_it_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let old = Enrol {
        add: false,
        ..pair("alice")
    };
    assert_eq!(
        opened
            .ledger
            .enrol(&app, vec![old.clone()], PUSHED)
            .await
            .unwrap(),
        [None]
    );
    enrol(&opened.ledger, &app, "alice").await;
    assert!(opened.ledger.enrol(&app, vec![old], PUSHED).await.unwrap()[0].is_some());
    close(opened);
}

#[test]
fn two_daemons_do_not_share_a_storage() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let second = Ledger::open(folder.path(), PUSHED, |_| {});
    assert!(matches!(second.map(|_| ()), Err(OpenError::InUse { .. })));
    close(first);
    close(open(folder.path()));
}

#[test]
fn a_damaged_store_is_moved_aside_whole_and_named() {
    for damage in [
        b"not a database, but a text that is long enough to be read as a header".as_slice(),
        &[0; 8192],
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), damage).unwrap();
        let opened = open(folder.path());
        let aside = opened.quarantined.clone().expect("the damage was seen");
        assert!(
            aside
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(QUARANTINE_PREFIX)
        );
        assert_eq!(std::fs::read(&aside).unwrap(), damage);
        close(opened);
        assert!(open(folder.path()).quarantined.is_none());
    }
}

#[tokio::test]
async fn a_flipped_byte_in_a_record_is_damage_and_not_another_count() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let row = enrol(&opened.ledger, &app, "alice").await.row;
    record(&opened.ledger, &app, row, success_up_to(&[Stage::Im])).await;
    close(opened);
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    let mut blob: Vec<u8> = db.query_row("SELECT record FROM pair", [], |r| r.get(0)).unwrap();
    blob[5] ^= 1;
    db.execute("UPDATE pair SET record = ?1", [blob]).unwrap();
    drop(db);
    assert!(open(folder.path()).quarantined.is_some());
}

#[test]
fn a_newer_store_and_one_of_another_program_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()));
    let path = folder.path().join(FILE);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = Ledger::open(folder.path(), PUSHED, |_| {})
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");

    let other = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(other.path().join(FILE)).unwrap();
    db.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(db);
    let refused = Ledger::open(other.path(), PUSHED, |_| {})
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}
