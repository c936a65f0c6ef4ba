//! Stores of earlier schemas: brought up with all they hold, or left as they were.

use std::path::Path;
use std::sync::Arc;

use super::super::open::{FILE, SCHEMA_VERSION};
use super::super::{Backup, Enrol, Ledger, Posted};
use super::PUSHED;
use super::play::{close, open};
use crate::watch::LabelSet;

/// A store with 12 pairs and 68 results, written by the program when its schema was 1.
const SCHEMA_1: &[u8] = include_bytes!("../../../tests/fixtures/ledger/schema-1.db");
/// The like of schema 2, with four pairs of the watch API.
const SCHEMA_2: &[u8] = include_bytes!("../../../tests/fixtures/ledger/schema-2.db");
/// The like of schema 3, of a daemon that ran once more.
const SCHEMA_3: &[u8] = include_bytes!("../../../tests/fixtures/ledger/schema-3.db");
/// The like of schema 4.
const SCHEMA_4: &[u8] = include_bytes!("../../../tests/fixtures/ledger/schema-4.db");
/// The push time that the watch API was told with two of the four.
const POSTED_PUSHED_AT: i64 = 1_795_650_041;

fn folder_with(store: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), store).unwrap();
    folder
}

fn version(folder: &Path) -> i64 {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn tables(folder: &Path) -> Vec<(String, Option<String>)> {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_store_of_any_earlier_schema_is_brought_up_and_loses_nothing() {
    let fresh = tempfile::tempdir().unwrap();
    close(open(fresh.path()));
    let app: Arc<str> = "demo".into();
    for store in [SCHEMA_1, SCHEMA_2, SCHEMA_3, SCHEMA_4] {
        let folder = folder_with(store);
        for _ in 0..2 {
            let opened = open(folder.path());
            assert_eq!(opened.quarantined, None);
            let snapshot = opened.ledger.snapshot();
            let stages = snapshot.apps["demo"].sets.values().flat_map(|set| &set.stages);
            assert_eq!(stages.map(|stage| stage.results.iter().sum::<u64>()).sum::<u64>(), 68);
            let pair = Enrol {
                task: "6a15a5a1_0_20000000000000000_0_0".into(),
                user: "user_000000".into(),
                labels: LabelSet::from([]),
                pushed_at: Some(1),
                watch_for: 604_800,
            };
            let rows: Vec<i64> = (1..=12).collect();
            let known = opened.records.pairs(&rows).unwrap();
            let is_known = |pair: &Option<super::super::PairRow>| {
                pair.as_ref().is_some_and(|pair| !pair.record.devices.is_empty())
            };
            assert!(known.iter().all(is_known));
            assert_eq!(opened.ledger.enrol(&app, vec![pair], PUSHED).await.unwrap().len(), 1);
            assert!(opened.ledger.learned(&app).await.unwrap().is_some());
            let labels = LabelSet::from([]);
            let one = Posted { task: "t".into(), user: "u".into(), labels, pushed_at: None };
            assert!(opened.ledger.post(vec![(app.clone(), vec![one])], PUSHED).await.is_ok());
            close(opened);
        }
        assert_eq!(version(folder.path()), SCHEMA_VERSION);
        assert_eq!(tables(folder.path()), tables(fresh.path()), "the same as in a store that is made now");
    }
}

#[test]
fn what_the_watch_api_was_told_is_brought_up() {
    for store in [SCHEMA_2, SCHEMA_3, SCHEMA_4] {
        assert_brought_up(&folder_with(store));
    }
}

fn assert_brought_up(folder: &tempfile::TempDir) {
    let spring: LabelSet = [("campaign".into(), "spring \"1\"".into())].into();
    let pair = |task: &str, user: &str| Posted {
        task: task.into(),
        user: user.into(),
        labels: if task.ends_with('a') { spring.clone() } else { LabelSet::from([]) },
        pushed_at: task.ends_with('a').then_some(POSTED_PUSHED_AT),
    };
    let [a, b] = ["660cc447_537ed82a", "660cc447_537ed82b"];
    for _ in 0..2 {
        let opened = open(folder.path());
        let posted = opened.records.posted("demo").unwrap();
        assert_eq!(posted, [pair(a, "alice"), pair(a, "bob"), pair(b, "carol"), pair(b, "日本")]);
        close(opened);
    }
}

#[test]
fn a_step_that_fails_leaves_the_store_as_it_was() {
    for (found, store, in_the_way) in [
        (1, SCHEMA_1, "meta"),
        (1, SCHEMA_1, "meta_2"),
        (2, SCHEMA_2, "meta_2"),
        (3, SCHEMA_3, "label_set"),
        (3, SCHEMA_3, "meta_3"),
        (4, SCHEMA_4, "sample_closed"),
    ] {
        let folder = folder_with(store);
        let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        db.execute_batch(&format!("CREATE TABLE {in_the_way} (x TEXT)")).unwrap();
        drop(db);
        let before = tables(folder.path());
        assert!(Ledger::open(folder.path(), PUSHED, |_| {}).is_err());
        assert_eq!((version(folder.path()), tables(folder.path())), (found, before), "{in_the_way}");
    }
}

/// What a step changes gets new checksums: damage that is there already must not get one.
#[test]
fn what_is_damaged_is_not_brought_up() {
    for damage in
        ["UPDATE posted SET labels = '{}' WHERE user = 'bob'", "UPDATE result SET count = count + 1"]
    {
        let folder = folder_with(SCHEMA_3);
        let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
        assert!(db.execute(damage, []).unwrap() > 0);
        drop(db);
        let opened = open(folder.path());
        assert!(opened.quarantined.is_some(), "{damage}");
        close(opened);
    }
}

/// The backup before an upgrade may be made by either program.
#[test]
fn a_backup_keeps_the_schema_and_is_verified_by_the_present_one() {
    let backup = |folder: &Path| {
        let backup = Backup::begin(folder, &folder.join("copy.db")).unwrap();
        backup.copying().copy().unwrap();
        backup.copying().verify().map_err(|error| error.to_string())?;
        assert!(backup.finish().unwrap() > 0);
        Ok::<_, String>(std::fs::read(folder.join("copy.db")).unwrap())
    };
    for (found, store) in [(1, SCHEMA_1), (2, SCHEMA_2), (3, SCHEMA_3), (4, SCHEMA_4)] {
        let folder = folder_with(store);
        let copy = folder_with(&backup(folder.path()).unwrap());
        assert_eq!((version(copy.path()), tables(copy.path())), (found, tables(folder.path())));
        let opened = open(copy.path());
        assert_eq!(opened.quarantined, None);
        close(opened);
    }
    let folder = folder_with(SCHEMA_3);
    let damage = "UPDATE result SET count = count + 1";
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute(damage, []).unwrap();
    assert!(backup(folder.path()).unwrap_err().contains("the ledger is damaged: the sums of app 1"));
}

#[test]
fn pairs_of_an_earlier_schema_are_as_old_as_they_were_when_the_store_was_used_last() {
    let folder = folder_with(SCHEMA_3);
    let ages = "UPDATE pair SET added_at = added_at - 2 * 86400 WHERE id % 2 = 0";
    rusqlite::Connection::open(folder.path().join(FILE)).unwrap().execute(ages, []).unwrap();
    close(open(folder.path()));
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    let mut statement = db.prepare("SELECT id, added_elapsed, named_elapsed FROM pair").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    for row in rows.unwrap() {
        let (id, added, named): (i64, i64, i64) = row.unwrap();
        let days = if id % 2 == 0 { 2 } else { 0 };
        assert!((0..60).contains(&(-added - days * 86_400)), "{id}: {added}");
        assert_eq!(named, 0);
    }
}
