//! Counting once: the store over restarts and damage.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::super::open::{FILE, OpenError, QUARANTINE_PREFIX};
use super::super::{Ended, Enrol, Known, Leave, Ledger, Opened, Sighting, Verdict};
use super::{PUSHED, leaf, success_up_to};
use crate::trace::{Outcome, Platform, Route, Stage, Trace};
use crate::watch::LabelSet;

const WEEK: i64 = 7 * 86_400;
/// No commit here takes so long.
const PATIENCE: Duration = Duration::from_secs(20);

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
        watch_for: WEEK,
    }
}

async fn enrol(ledger: &Ledger, app: &Arc<str>, user: &str) -> Known {
    ledger.enrol(app, vec![pair(user)], PUSHED).await.unwrap()[0].clone().unwrap()
}

async fn record(ledger: &Ledger, app: &Arc<str>, row: i64, trace: Trace) -> Verdict {
    let sighting =
        Sighting { row, labels: LabelSet::from([]), polled_at: PUSHED + 700, trace, lags: Arc::default() };
    ledger.record(app, sighting).await.unwrap()
}

/// (sum of all results, devices now watched, ended by reason)
fn sums(ledger: &Ledger, app: &str) -> (u64, u64, [u64; 3]) {
    let snapshot = ledger.snapshot();
    let tally = &snapshot.apps[app];
    let results = tally.sets.values().flat_map(|s| &s.stages).map(|s| s.results.iter().sum::<u64>()).sum();
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
        assert_eq!(verdict.news.len(), if round == 0 { 5 } else { 0 });
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
    let known =
        opened.ledger.enrol(&app, vec![Enrol { labels: labels.clone(), ..pair("bob") }], PUSHED).await;
    let row = known.unwrap()[0].clone().unwrap().row;
    let mut mixed = success_up_to(&[Stage::Im, Stage::Offline]);
    mixed.devices[0].leaves.push(leaf(Stage::Channel, Outcome::Failure, 3));
    mixed.devices[0].platform = Platform::Vendor(77);
    let sighting =
        Sighting { row, labels: labels.clone(), polled_at: PUSHED + 60, trace: mixed, lags: Arc::default() };
    opened.ledger.record(&app, sighting).await.unwrap();
    let before = opened.ledger.snapshot();
    close(opened);

    let opened = open(folder.path());
    opened.ledger.enrol(&app, vec![Enrol { labels, ..pair("bob") }], PUSHED).await.unwrap();
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
    let leave = |reason| vec![Leave { row, labels: LabelSet::from([]), reason }];
    opened.ledger.leave(&app, leave(Some(Ended::Removed))).await.unwrap();
    assert_eq!(sums(&opened.ledger, "shop"), (1, 0, [0, 0, 1]));

    assert_eq!(enrol(&opened.ledger, &app, "alice").await.row, row);
    assert_eq!(record(&opened.ledger, &app, row, part).await.news, []);
    assert_eq!(sums(&opened.ledger, "shop"), (1, 1, [0, 0, 1]));
    opened.ledger.leave(&app, leave(Some(Ended::Expired))).await.unwrap();
    let over = Enrol { watch_for: 0, ..pair("alice") };
    let known = opened.ledger.enrol(&app, vec![over], PUSHED).await.unwrap()[0].clone().unwrap();
    assert_eq!((known.ended, known.is_watched), (Some(Ended::Expired), false));
    assert_eq!(sums(&opened.ledger, "shop"), (1, 0, [0, 1, 1]));
    close(opened);
}

#[tokio::test]
async fn a_pair_that_is_too_old_is_not_added_but_found_if_it_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let old = Enrol { pushed_at: Some(PUSHED - WEEK), ..pair("alice") };
    assert_eq!(opened.ledger.enrol(&app, vec![old.clone()], PUSHED).await.unwrap(), [None]);
    enrol(&opened.ledger, &app, "alice").await;
    let known = opened.ledger.enrol(&app, vec![old], PUSHED).await.unwrap()[0].clone().unwrap();
    assert_eq!((known.is_watched, known.ended), (false, Some(Ended::Expired)));
    assert_eq!(sums(&opened.ledger, "shop").2, [0, 1, 0]);
    assert!(enrol(&opened.ledger, &app, "alice").await.is_watched, "it has time again");
    close(opened);
}

#[tokio::test]
async fn a_pair_that_is_told_twice_at_once_is_added_once() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let pairs = vec![pair("alice"), pair("bob"), pair("alice")];
    // A commit that fails is tried again without end.
    let known = tokio::time::timeout(PATIENCE, opened.ledger.enrol(&app, pairs, PUSHED)).await;
    let known = known.expect("the commit works").unwrap();
    let rows: Vec<i64> = known.into_iter().map(|known| known.unwrap().row).collect();
    assert!(rows[0] == rows[2] && rows[0] != rows[1], "{rows:?}");
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
    for damage in
        [b"not a database, but a text that is long enough to be read as a header".as_slice(), &[0; 8192]]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), damage).unwrap();
        let opened = open(folder.path());
        let aside = opened.quarantined.clone().expect("the damage was seen");
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with(QUARANTINE_PREFIX));
        assert_eq!(std::fs::read(&aside).unwrap(), damage);
        close(opened);
        assert!(open(folder.path()).quarantined.is_none());
    }
}

/// True if a store with one result is moved aside after somebody did that to it.
async fn is_moved_aside_after(damage: impl FnOnce(&rusqlite::Connection)) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let row = enrol(&opened.ledger, &app, "alice").await.row;
    record(&opened.ledger, &app, row, success_up_to(&[Stage::Im])).await;
    close(opened);
    damage(&rusqlite::Connection::open(folder.path().join(FILE)).unwrap());
    open(folder.path()).quarantined.is_some()
}

#[tokio::test]
async fn a_flipped_byte_in_a_record_is_damage_and_not_another_count() {
    let flip = |db: &rusqlite::Connection| {
        let mut blob: Vec<u8> = db.query_row("SELECT record FROM pair", [], |r| r.get(0)).unwrap();
        blob[5] ^= 1;
        db.execute("UPDATE pair SET record = ?1", [blob]).unwrap();
    };
    assert!(is_moved_aside_after(flip).await);
    assert!(!is_moved_aside_after(|_| {}).await);
}

#[tokio::test]
async fn a_text_that_is_no_text_any_more_is_damage() {
    let spoil = "UPDATE result SET platform = CAST(x'ff' || substr(platform, 2) AS TEXT)";
    assert!(is_moved_aside_after(|db| assert!(db.execute(spoil, []).unwrap() > 0)).await);
}

#[test]
fn a_newer_store_and_one_of_another_program_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    close(open(folder.path()));
    let path = folder.path().join(FILE);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let refused = Ledger::open(folder.path(), PUSHED, |_| {}).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");

    let other = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(other.path().join(FILE)).unwrap();
    db.execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
    drop(db);
    let refused = Ledger::open(other.path(), PUSHED, |_| {}).map(|_| ()).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}

#[tokio::test]
async fn what_was_learned_is_kept_and_damage_to_it_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    assert_eq!(opened.ledger.learned(&app).await.unwrap(), None);
    opened.ledger.learn(&app, b"much".to_vec()).await.unwrap();
    opened.ledger.learn(&app, b"more".to_vec()).await.unwrap();
    close(opened);
    let opened = open(folder.path());
    assert_eq!(opened.ledger.learned(&app).await.unwrap(), Some(b"more".to_vec()));
    close(opened);
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    db.execute("UPDATE learned SET learned = x'0102030405060708'", []).unwrap();
    drop(db);
    let opened = open(folder.path());
    assert_eq!(opened.ledger.learned(&app).await.unwrap(), None);
    close(opened);
}

#[tokio::test]
async fn a_pair_that_expired_is_watched_again_once_it_has_time() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let row = enrol(&opened.ledger, &app, "alice").await.row;
    record(&opened.ledger, &app, row, success_up_to(&[Stage::Im])).await;
    let leave = vec![Leave { row, labels: LabelSet::from([]), reason: Some(Ended::Expired) }];
    opened.ledger.leave(&app, leave).await.unwrap();
    let later = PUSHED + 3600;
    for (pushed_at, watch_for, ended) in [
        (None, 3600, Some(Ended::Expired)),
        (Some(PUSHED + 60), 3540, Some(Ended::Expired)),
        (Some(PUSHED + 60), 3541, None),
        (Some(PUSHED), 60, Some(Ended::Expired)),
    ] {
        let again = Enrol { pushed_at, watch_for, ..pair("alice") };
        let known = opened.ledger.enrol(&app, vec![again], later).await.unwrap()[0].clone().unwrap();
        assert_eq!((known.row, known.ended), (row, ended), "{pushed_at:?} {watch_for}");
        assert_eq!(sums(&opened.ledger, "shop").0, 1, "nothing counts twice");
    }
    close(opened);
}
