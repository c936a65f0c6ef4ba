//! What the watch API adds, over restarts, and beside it the key.

use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;

use super::super::open::FILE;
use super::super::posted::posted_of;
use super::super::{
    Ledger, MAX_POSTED_PAIRS, MAX_WAITING_POST_BYTES, Opened, OverCap, PostCounts, PostError, Posted, Posts,
};
use super::PUSHED;
use crate::watch::LabelSet;

/// A commit that fails is tried again without end.
const PATIENCE: Duration = Duration::from_secs(20);

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

fn counts(added: u64, changed: u64, known: u64) -> Result<PostCounts, PostError> {
    Ok(PostCounts { added, changed, known })
}

#[tokio::test]
async fn what_is_posted_survives_and_twice_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let app: Arc<str> = "shop".into();
    let opened = open(folder.path());
    let pairs = vec![posted("t", "b"), posted("t", "a"), posted("s", "a")];
    let post = async |opened: &Opened, pairs| opened.ledger.post(posts("shop", pairs), PUSHED).await;
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
    opened.ledger.post(posts("shop", pairs), PUSHED).await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    for damage in ["user = 'c'", "labels = '{}'", "pushed_at = 1", "kept_elapsed = 1", "crc = crc + 1"] {
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
    let full = opened.ledger.post(posts("shop", many(0..MAX_POSTED_PAIRS)), PUSHED).await;
    assert_eq!(full, counts(MAX_POSTED_PAIRS, 0, 0));
    let both =
        vec![("aaa".into(), many(0..3)), ("shop".into(), vec![posted("t", "u0"), posted("t", "one more")])];
    let over = opened.ledger.post(both, PUSHED).await;
    assert_eq!(over, Err(PostError::OverCap(OverCap { app: "shop".into(), would: MAX_POSTED_PAIRS + 1 })));
    assert_eq!(opened.records.posted("aaa").unwrap(), []);
    // What is known is no more.
    let again = opened.ledger.post(posts("shop", many(0..3)), PUSHED).await;
    assert_eq!(again, counts(0, 0, 3));
    close(opened);
}

/// The pairs are kept whether or not anybody waits for the answer, and whoever reads them is told.
#[tokio::test]
async fn what_reaches_the_disk_is_told_although_nobody_waits_for_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let app: Arc<str> = "shop".into();
    let (mut changes, mut others) =
        (opened.ledger.posted_changes(&app), opened.ledger.posted_changes(&"other".into()));
    let mut told = async || {
        tokio::time::timeout(PATIENCE, changes.changed()).await.expect("it is told");
        changes.see();
        opened.records.posted("shop").unwrap().len()
    };
    let asked = opened.ledger.post(posts("shop", vec![posted("t", "a"), posted("t", "b")]), PUSHED);
    assert!(asked.now_or_never().is_none(), "it waits for the disk, and is dropped");
    assert_eq!(told().await, 2);
    assert!(opened.ledger.unpost(&app, "t".into(), Some("a".into())).now_or_never().is_none());
    assert_eq!(told().await, 1);
    // What changes nothing is no news, and neither is what was seen.
    assert_eq!(opened.ledger.post(posts("shop", vec![posted("t", "b")]), PUSHED).await, counts(0, 0, 1));
    assert_eq!(opened.ledger.unpost(&app, "nothing".into(), None).await.unwrap(), 0);
    assert!(changes.changed().now_or_never().is_none() && others.changed().now_or_never().is_none());
    close(opened);
    assert!(changes.changed().now_or_never().is_none(), "a closed ledger tells nothing");
}

/// A row that cannot be read is written anew; it made every commit fail.
#[tokio::test]
async fn a_damaged_row_is_written_anew_where_its_pair_is_added_again() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    opened.ledger.post(posts("shop", vec![posted("t", "a"), posted("t", "b")]), PUSHED).await.unwrap();
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    db.execute("UPDATE posted SET labels = '{}' WHERE user = 'b'", []).unwrap();
    let again = opened.ledger.post(posts("shop", vec![posted("t", "a"), posted("t", "b")]), PUSHED);
    let again = tokio::time::timeout(PATIENCE, again).await.expect("the commit works");
    assert_eq!(again, counts(0, 1, 1));
    assert_eq!(opened.records.posted("shop").unwrap(), [posted("t", "a"), posted("t", "b")]);
    close(opened);
}

/// As many bytes as may wait: then the next is refused at once, and taken again when they are written.
#[tokio::test]
async fn what_waits_to_be_written_is_bounded_in_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let db = rusqlite::Connection::open(folder.path().join(FILE)).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let user = "u".repeat(200);
    let many = |task: &str| (0..10_000).map(|n| posted(task, &format!("{user}{n}"))).collect::<Vec<_>>();
    let mut waiting = Vec::new();
    let refused = loop {
        let ledger = opened.ledger.clone();
        let pairs = many(&format!("t{}", waiting.len()));
        let mut asked = Box::pin(async move { ledger.post(posts("shop", pairs), PUSHED).await });
        match futures_util::poll!(&mut asked) {
            Poll::Pending => waiting.push(asked),
            Poll::Ready(answer) => break answer,
        }
    };
    assert_eq!(refused, Err(PostError::Full));
    let bytes = waiting.len() * 10_000 * 200;
    assert!(!waiting.is_empty() && bytes < MAX_WAITING_POST_BYTES as usize, "{} wait", waiting.len());
    // Whoever gave up takes room as long as the pairs are in memory.
    waiting.pop();
    assert_eq!(opened.ledger.post(posts("shop", many("x")), PUSHED).await, Err(PostError::Full));
    db.execute_batch("ROLLBACK").unwrap();
    for asked in waiting {
        assert_eq!(asked.await, counts(10_000, 0, 0));
    }
    assert_eq!(opened.ledger.post(posts("shop", many("x")), PUSHED).await, counts(10_000, 0, 0));
    close(opened);
}
