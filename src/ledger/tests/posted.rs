//! What the watch API adds, over restarts; and the step from the first schema.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::super::open::FILE;
use super::super::{Enrol, Ledger, MAX_POSTED_PAIRS, Opened, OverCap, PostCounts, Posted, Posts};
use super::PUSHED;
use crate::watch::LabelSet;

/// A store with 12 pairs and 68 results, written by the program when its schema was 1.
const SCHEMA_1: &[u8] = include_bytes!("../../../tests/fixtures/ledger/schema-1.db");

fn open(folder: &Path) -> Opened {
    Ledger::open(folder, PUSHED, |_| {}).expect("a temporary folder can be written")
}

fn close(opened: Opened) {
    drop(opened.ledger);
    opened.keeper.join().unwrap();
}

fn posted(task: &str, user: &str) -> Posted {
    let labels: LabelSet = [("campaign".into(), "a \"b\"".into())].into();
    Posted { task: task.into(), user: user.into(), labels, pushed_at: None }
}

fn posts(app: &str, pairs: Vec<Posted>) -> Posts {
    vec![(app.into(), pairs)]
}

fn counts(added: u64, changed: u64, known: u64) -> Result<PostCounts, OverCap> {
    Ok(PostCounts { added, changed, known })
}

#[tokio::test]
async fn a_store_of_the_first_schema_is_brought_up_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), SCHEMA_1).unwrap();
    let app: Arc<str> = "demo".into();
    for _ in 0..2 {
        let opened = open(folder.path());
        assert_eq!(opened.quarantined, None);
        let snapshot = opened.ledger.snapshot();
        let stages = snapshot.apps["demo"].sets.values().flat_map(|set| &set.stages);
        assert_eq!(stages.map(|stage| stage.results.iter().sum::<u64>()).sum::<u64>(), 68);
        let pair = |number: i64| Enrol {
            task: "6a15a5a1_0_20000000000000000_0_0".into(),
            user: format!("user_{number:06}"),
            labels: LabelSet::from([]),
            pushed_at: None,
            add: false,
        };
        let rows: Vec<i64> = (1..=12).collect();
        let known = opened.records.pairs(&rows).unwrap();
        assert!(known.iter().all(|pair| pair.as_ref().is_some_and(|pair| !pair.record.devices.is_empty())));
        assert_eq!(opened.ledger.enrol(&app, vec![pair(0)], PUSHED).await.unwrap().len(), 1);
        assert!(opened.ledger.learned(&app).await.unwrap().is_some());
        assert!(opened.ledger.post(posts("demo", vec![posted("t", "u")]), PUSHED).await.unwrap().is_ok());
        close(opened);
    }
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
    // The same tables as in a store that is made now.
    let fresh = tempfile::tempdir().unwrap();
    close(open(fresh.path()));
    let tables = |path: &Path| {
        let db = rusqlite::Connection::open(path.join(FILE)).unwrap();
        let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.collect::<Result<Vec<(String, Option<String>)>, _>>().unwrap()
    };
    assert_eq!(tables(folder.path()), tables(fresh.path()));
}

#[test]
fn a_step_that_fails_leaves_the_first_schema_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    std::fs::write(&path, SCHEMA_1).unwrap();
    // In the way of the step's second table.
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE meta (x TEXT)").unwrap();
    assert!(Ledger::open(folder.path(), PUSHED, |_| {}).is_err());
    let db = rusqlite::Connection::open(&path).unwrap();
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let posted: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'posted'", [], |row| row.get(0))
        .unwrap();
    assert_eq!((version, posted), (1, 0));
}

#[tokio::test]
async fn what_is_posted_survives_and_twice_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let pairs = vec![posted("t", "b"), posted("t", "a"), posted("s", "a")];
    let post = async |opened: &Opened, pairs| opened.ledger.post(posts("shop", pairs), PUSHED).await.unwrap();
    assert_eq!(post(&opened, pairs.clone()).await, counts(3, 0, 0));
    let changed = Posted { pushed_at: Some(PUSHED), ..posted("t", "a") };
    assert_eq!(
        post(&opened, vec![changed.clone(), posted("t", "b"), posted("x", "y")]).await,
        counts(1, 1, 1)
    );
    close(opened);
    let opened = open(folder.path());
    let kept = opened.records.posted("shop").unwrap();
    assert_eq!(kept, [posted("s", "a"), changed, posted("t", "b"), posted("x", "y")]);
    assert_eq!(opened.records.posted("other").unwrap(), []);
    assert_eq!(opened.ledger.unpost(&app, "t".into(), Some("a".into())).await.unwrap(), 1);
    assert_eq!(opened.ledger.unpost(&app, "t".into(), Some("a".into())).await.unwrap(), 0);
    assert_eq!(opened.ledger.unpost(&app, "t".into(), None).await.unwrap(), 1);
    assert_eq!(opened.records.posted("shop").unwrap(), [posted("s", "a"), posted("x", "y")]);
    close(opened);
}

#[tokio::test]
async fn an_app_that_would_hold_too_many_takes_none_and_neither_does_another() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let many = |range: std::ops::Range<u64>| range.map(|n| posted("t", &format!("u{n}"))).collect::<Vec<_>>();
    let full = opened.ledger.post(posts("shop", many(0..MAX_POSTED_PAIRS)), PUSHED).await.unwrap();
    assert_eq!(full, counts(MAX_POSTED_PAIRS, 0, 0));
    let both =
        vec![("aaa".into(), many(0..3)), ("shop".into(), vec![posted("t", "u0"), posted("t", "one more")])];
    let over = opened.ledger.post(both, PUSHED).await.unwrap();
    assert_eq!(over, Err(OverCap { app: "shop".into(), would: MAX_POSTED_PAIRS + 1 }));
    assert_eq!(opened.records.posted("aaa").unwrap(), []);
    // What is known is no more.
    let again = opened.ledger.post(posts("shop", many(0..3)), PUSHED).await.unwrap();
    assert_eq!(again, counts(0, 0, 3));
    close(opened);
}

#[test]
fn the_key_stays_and_is_another_one_elsewhere() {
    let key = |folder: &Path| {
        let opened = open(folder);
        let key = *opened.veil_key.expose_secret();
        close(opened);
        key
    };
    let [one, other] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = key(one.path());
    assert_eq!(key(one.path()), first);
    assert_ne!(key(other.path()), first);
    assert_ne!(first, [0; 32]);
}
