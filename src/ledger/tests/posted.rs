//! What the watch API adds, over restarts, and beside it the key.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::super::open::FILE;
use super::super::posted::posted_of;
use super::super::{Ledger, MAX_POSTED_PAIRS, Opened, OverCap, PostCounts, Posted, Posts};
use super::PUSHED;
use crate::watch::LabelSet;

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

/// The open store is not looked through again: what is read must show that it is not what was written.
#[tokio::test]
async fn a_row_that_is_damaged_while_the_store_is_open_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let pairs = vec![posted("t", "a"), posted("t", "b")];
    opened.ledger.post(posts("shop", pairs), PUSHED).await.unwrap().unwrap();
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    for damage in ["user = 'c'", "labels = '{}'", "pushed_at = 1", "added_at = 1", "crc = crc + 1"] {
        db.execute_batch(&format!("BEGIN; UPDATE posted SET {damage} WHERE user = 'b'")).unwrap();
        let found = posted_of(&db, "shop").unwrap_err();
        assert!(found.to_string().contains("the table posted"), "{found}");
        db.execute_batch("ROLLBACK").unwrap();
        assert_eq!(posted_of(&db, "shop").unwrap().len(), 2);
    }
    db.execute("UPDATE posted SET labels = '{}' WHERE user = 'b'", []).unwrap();
    let found = opened.records.posted("shop").unwrap_err();
    assert!(found.to_string().contains("the table posted"), "{found}");
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
