//! What is forgotten and when, and how old a pair is, whatever the wall clock says.

use std::path::Path;
use std::sync::Arc;

use rusqlite::types::{Value, ValueRef};

use super::super::open::FILE;
use super::super::seal::{POSTED_COLUMNS, put_row};
use super::super::{Ended, Enrol, Known, Leave, Ledger, Opened, Posted, Sighting};
use super::play::{close, open};
use super::{PUSHED, success_up_to};
use crate::trace::Stage;
use crate::watch::LabelSet;

const DAY: i64 = 86_400;
const WEEK: i64 = 7 * DAY;
/// Longer than any pair is kept that no source names.
const LONG: i64 = 36 * DAY;

fn app() -> Arc<str> {
    "shop".into()
}

async fn enrol_at(ledger: &Ledger, user: &str, pushed_at: Option<i64>, now: i64) -> Option<Known> {
    let enrol = Enrol {
        task: format!("task of {user}"),
        user: user.into(),
        labels: LabelSet::from([]),
        pushed_at,
        watch_for: WEEK,
    };
    ledger.enrol(&app(), vec![enrol], now).await.unwrap().remove(0)
}

async fn enrol(ledger: &Ledger, user: &str) -> Known {
    enrol_at(ledger, user, None, PUSHED).await.unwrap()
}

async fn name(ledger: &Ledger, user: &str) {
    ledger.name(&app(), vec![(format!("task of {user}"), user.to_owned())]).await.unwrap();
}

/// A closed store in which so much time has passed since, by its own clock and by the wall's.
fn pass(folder: &Path, seconds: i64) {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    let sql = "UPDATE pair SET added_at = added_at - ?1, polled_at = polled_at - ?1, \
               added_elapsed = added_elapsed - ?1, named_elapsed = named_elapsed - ?1";
    db.execute(sql, [seconds]).unwrap();
    let mut statement = db.prepare("SELECT * FROM posted").unwrap();
    let values = |row: &rusqlite::Row<'_>| (0..POSTED_COLUMNS).map(|column| row.get(column)).collect();
    let rows = statement.query_map([], values).unwrap().collect::<Result<Vec<Vec<Value>>, _>>().unwrap();
    for mut row in rows {
        let Some(Value::Integer(kept_elapsed)) = row.last_mut() else { panic!("{row:?}") };
        *kept_elapsed -= seconds;
        put_row(&db, "posted", &row.iter().map(ValueRef::from).collect::<Vec<_>>()).unwrap();
    }
}

fn count(folder: &Path, table: &str) -> i64 {
    let db = rusqlite::Connection::open(folder.join(FILE)).unwrap();
    db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

async fn forget(opened: &Opened) {
    while opened.ledger.forget(&app()).await.unwrap() {}
}

#[tokio::test]
async fn what_no_source_names_for_long_is_forgotten_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let mut rows = Vec::new();
    for user in ["watched", "over", "gone"] {
        rows.push(enrol(&opened.ledger, user).await.row);
    }
    close(opened);
    pass(folder.path(), LONG - DAY);
    let opened = open(folder.path());
    forget(&opened).await;
    assert_eq!(count(folder.path(), "pair"), 3, "not yet");
    close(opened);
    pass(folder.path(), DAY);
    let opened = open(folder.path());
    assert_eq!(enrol(&opened.ledger, "watched").await.row, rows[0]);
    name(&opened.ledger, "over").await;
    name(&opened.ledger, "never seen").await;
    forget(&opened).await;
    assert_eq!((count(folder.path(), "pair"), count(folder.path(), "task")), (2, 2));
    assert_eq!(enrol(&opened.ledger, "over").await.row, rows[1]);
    // A task that is named again is there again.
    assert_ne!(enrol(&opened.ledger, "gone").await.row, 0);
    assert_eq!((count(folder.path(), "pair"), count(folder.path(), "task")), (3, 3));
    close(opened);
}

/// The wall clock was 40 days ahead, or the machine was switched off for a year: neither has any say.
#[tokio::test]
async fn no_wall_clock_makes_the_ledger_forget() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let row = enrol(&opened.ledger, "alice").await.row;
    let sighting = Sighting {
        row,
        labels: LabelSet::from([]),
        polled_at: PUSHED + 60,
        trace: success_up_to(&[Stage::Im, Stage::Offline]),
        lags: Arc::default(),
    };
    assert_eq!(opened.ledger.record(&app(), sighting).await.unwrap().news.len(), 2);
    let posted = |pushed_at| Posted { pushed_at, ..posted("t") };
    let posts = vec![(app(), vec![posted(None)])];
    opened.ledger.post(posts, PUSHED).await.unwrap();
    close(opened);
    for now in [PUSHED + 40 * DAY, PUSHED - 20 * 365 * DAY, 0] {
        let opened = Ledger::open(folder.path(), now, |_| {}).unwrap();
        forget(&opened).await;
        let known = enrol_at(&opened.ledger, "alice", None, now).await.unwrap();
        assert_eq!((known.row, known.record.devices.len()), (row, 1));
        assert_eq!(count(folder.path(), "posted"), 1);
        close(opened);
    }
}

fn posted(task: &str) -> Posted {
    Posted { task: task.into(), user: "u".into(), labels: LabelSet::from([]), pushed_at: None }
}

#[tokio::test]
async fn what_the_watch_api_added_is_kept_for_as_long_as_it_may_be_watched() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    let ahead = Posted { pushed_at: Some(PUSHED + 10 * DAY), ..posted("ahead") };
    let past = Posted { pushed_at: Some(PUSHED - 6 * DAY), ..posted("past") };
    opened.ledger.post(vec![(app(), vec![posted("now"), ahead, past])], PUSHED).await.unwrap();
    close(opened);
    for (days, left) in [(7, 3), (2, 1), (8, 1), (2, 0)] {
        pass(folder.path(), days * DAY);
        let opened = open(folder.path());
        // What is told again is kept for as long again only where it says something new.
        opened.ledger.unpost(&app(), "no such task".into(), None).await.unwrap();
        forget(&opened).await;
        close(opened);
        assert_eq!(count(folder.path(), "posted"), left, "{days} days later");
    }
}

#[tokio::test]
async fn a_pair_without_a_push_time_is_as_old_as_the_ledgers_own_clock_says() {
    // First added while the wall clock was wrong, in one way or another, and found again when it is right.
    for wrong in [0, PUSHED - 16 * 365 * DAY, PUSHED - 10 * DAY, PUSHED + 40 * DAY] {
        let folder = tempfile::tempdir().unwrap();
        let opened = open(folder.path());
        let row = enrol_at(&opened.ledger, "alice", None, wrong).await.unwrap().row;
        if wrong > PUSHED {
            let leave = Leave { row, labels: LabelSet::from([]), reason: Some(Ended::Expired) };
            opened.ledger.leave(&app(), vec![leave]).await.unwrap();
        }
        let known = enrol(&opened.ledger, "alice").await;
        assert!((known.added_at - PUSHED).abs() <= 5, "{} at {wrong}", known.added_at);
        assert_eq!(known.ended, None, "what had expired is watched again");
        close(opened);
        // Three days later, in another process.
        pass(folder.path(), 3 * DAY);
        let opened = open(folder.path());
        let known = enrol(&opened.ledger, "alice").await;
        assert!((known.added_at - (PUSHED - 3 * DAY)).abs() <= 5, "{} at {wrong}", known.added_at);
        close(opened);
    }
}

#[tokio::test]
async fn where_both_clocks_agree_the_wall_clock_says_when_a_pair_was_added() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open(folder.path());
    enrol(&opened.ledger, "alice").await;
    for later in [1, 30, 3_000] {
        let known = enrol_at(&opened.ledger, "alice", None, PUSHED + later).await.unwrap();
        assert_eq!(known.added_at, PUSHED, "it was not set by so much");
    }
    close(opened);
}
