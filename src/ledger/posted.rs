//! The pairs that the watch API was told to watch: kept until they are removed or too old to be watched.

use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use crate::watch::LabelSet;

use super::retain::posted_until;
use super::seal;
use super::store::{Store, StoreError};
use super::sums::{labels_of, labels_text};

/// Pairs of one app that the watch API keeps at most.
pub const MAX_POSTED_PAIRS: u64 = 100_000;

/// One pair that the API was told to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    pub task: String,
    pub user: String,
    pub labels: LabelSet,
    /// As the API was told, Unix seconds.
    pub pushed_at: Option<i64>,
}

/// What one request adds, app by app, each pair once.
pub type Posts = Vec<(Arc<str>, Vec<Posted>)>;

/// What became of the pairs of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostCounts {
    pub added: u64,
    /// Known with other labels or another push time.
    pub changed: u64,
    /// Known just so.
    pub known: u64,
}

/// An app would hold more than [`MAX_POSTED_PAIRS`]; nothing was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverCap {
    pub app: Arc<str>,
    /// Pairs that it would hold.
    pub would: u64,
}

/// Pairs of the watch API were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    #[error("the ledger is closed")]
    Closed,
    /// [`super::MAX_WAITING_POST_BYTES`] wait to be written.
    #[error("too much waits to be written")]
    Full,
    #[error("app {} would hold {} pairs", .0.app, .0.would)]
    OverCap(OverCap),
}

impl Store {
    /// Adds pairs, all or none.
    pub(super) fn post(
        &mut self,
        posts: &Posts,
        now: i64,
    ) -> Result<Result<PostCounts, OverCap>, StoreError> {
        let elapsed = self.elapsed();
        let mut counts = PostCounts::default();
        let mut writes = Vec::new();
        for (app, pairs) in posts {
            let row = self.app(app)?;
            let before = counts.added;
            for pair in pairs {
                let labels = labels_text(&pair.labels);
                match self.posted_as(row, pair)? {
                    Found::Nothing => counts.added += 1,
                    Found::Row(known) if known.labels == labels && known.pushed_at == pair.pushed_at => {
                        counts.known += 1;
                        continue;
                    }
                    Found::Row(_) | Found::Damaged => counts.changed += 1,
                }
                writes.push((row, pair, labels));
            }
            let would = self.count_posted(row)? + counts.added - before;
            if counts.added > before && would > MAX_POSTED_PAIRS {
                return Ok(Err(OverCap { app: app.clone(), would }));
            }
        }
        for (row, pair, labels) in writes {
            let values = [
                ValueRef::Integer(row),
                ValueRef::Text(pair.task.as_bytes()),
                ValueRef::Text(pair.user.as_bytes()),
                ValueRef::Text(labels.as_bytes()),
                pair.pushed_at.map_or(ValueRef::Null, ValueRef::Integer),
                ValueRef::Integer(posted_until(elapsed, now, pair.pushed_at)),
            ];
            seal::put_row(&self.db, "posted", &values)?;
        }
        Ok(Ok(counts))
    }

    fn posted_as(&self, app: i64, pair: &Posted) -> Result<Found, StoreError> {
        let mut statement =
            self.db.prepare_cached("SELECT * FROM posted WHERE app = ?1 AND task = ?2 AND user = ?3")?;
        let mut rows = statement.query(params![app, pair.task, pair.user])?;
        match rows.next()?.map(row_of) {
            None => Ok(Found::Nothing),
            Some(Ok(row)) => Ok(Found::Row(row)),
            Some(Err(StoreError::Row(_))) => Ok(Found::Damaged),
            Some(Err(error)) => Err(error),
        }
    }

    fn count_posted(&self, app: i64) -> Result<u64, StoreError> {
        Ok(self
            .db
            .prepare_cached("SELECT count(*) FROM posted WHERE app = ?1")?
            .query_row([app], |row| row.get(0))?)
    }

    /// Takes one pair off, or all pairs of a task; gives how many there were.
    pub(super) fn unpost(&self, app: i64, task: &str, user: Option<&str>) -> Result<u64, StoreError> {
        let removed = self
            .db
            .prepare_cached("DELETE FROM posted WHERE app = ?1 AND task = ?2 AND (?3 IS NULL OR user = ?3)")?
            .execute(params![app, task, user])?;
        Ok(removed as u64)
    }
}

/// All pairs that an app's API keeps, task by task.
pub(super) fn posted_of(db: &Connection, app: &str) -> Result<Vec<Posted>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT p.* FROM posted p JOIN app a ON a.id = p.app WHERE a.name = ?1 ORDER BY p.task, p.user",
    )?;
    let mut rows = statement.query([app])?;
    let mut pairs = Vec::new();
    while let Some(row) = rows.next()? {
        let Row { task, user, labels, pushed_at } = row_of(row)?;
        let labels = labels_of(&labels).ok_or(StoreError::Text(labels))?;
        pairs.push(Posted { task, user, labels, pushed_at });
    }
    Ok(pairs)
}

/// What is kept of a pair that is added.
enum Found {
    Nothing,
    Row(Row),
    /// It cannot be read, and is written anew as the API says now.
    Damaged,
}

/// One row of the table, but for its app.
struct Row {
    task: String,
    user: String,
    labels: String,
    pushed_at: Option<i64>,
}

/// Reads a row and its seal; a row that is not the one that was written is damage.
fn row_of(row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    if !seal::is_sealed(row, seal::POSTED_COLUMNS)? {
        return Err(StoreError::Row("posted"));
    }
    Ok(Row { task: row.get(1)?, user: row.get(2)?, labels: row.get(3)?, pushed_at: row.get(4)? })
}
