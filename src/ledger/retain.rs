//! Which rows the ledger keeps: those that a source names, and others for a while longer.
//!
//! How long that is counts by the ledger's own clock. A pair that comes back within the seven days of the upstream is known
//! whatever the wall clock says, and one that is still listed is never forgotten.

use rusqlite::params;

use super::pair::PairRow;
use super::store::{Store, StoreError, task_row};

/// A pair is written down as named again only after this much: most leave their lists before.
const NAME_EVERY_SECONDS: i64 = 5 * 86_400;
/// Pairs that no source named for 30 days are forgotten. The upstream forgets after seven days.
const RETAIN_SECONDS: i64 = 30 * 86_400 + NAME_EVERY_SECONDS;
/// Pairs that the API added are forgotten so long after they were added or pushed, whichever is later: no pair is watched
/// for longer than seven days.
const RETAIN_POSTED_SECONDS: i64 = 8 * 86_400;
/// Pairs that one commit forgets at most.
const FORGET_CAP: usize = 2000;

/// Until when a pair that the API adds at `elapsed` is kept, whose push is at `pushed_at` by a clock that says `now`.
pub(super) fn posted_until(elapsed: i64, now: i64, pushed_at: Option<i64>) -> i64 {
    let ahead = pushed_at.unwrap_or(now).saturating_sub(now).max(0);
    elapsed.saturating_add(ahead).saturating_add(RETAIN_POSTED_SECONDS)
}

/// What one commit deleted.
pub(super) struct Forgotten {
    /// Pairs that the watch API was told to watch.
    pub(super) posted: usize,
    pub(super) may_be_more: bool,
}

impl Store {
    /// A source names the pair.
    pub(super) fn name(&self, pair: &PairRow, elapsed: i64) -> Result<(), StoreError> {
        if elapsed - pair.named_elapsed >= NAME_EVERY_SECONDS {
            self.db
                .prepare_cached("UPDATE pair SET named_elapsed = ?2 WHERE id = ?1")?
                .execute(params![pair.id, elapsed])?;
        }
        Ok(())
    }

    /// Sources of `app` name these pairs of task and user; those that are not known are left out.
    pub(super) fn name_all(&mut self, app: i64, pairs: &[(String, String)]) -> Result<(), StoreError> {
        let elapsed = self.elapsed();
        let mut statement = self.db.prepare_cached(
            "UPDATE pair SET named_elapsed = ?3 WHERE task = ?1 AND user = ?2 AND named_elapsed <= ?4",
        )?;
        for (task, user) in pairs {
            if let Some(task) = task_row(&self.db, &mut self.tasks, (app, task), false)? {
                statement.execute(params![task, user, elapsed, elapsed - NAME_EVERY_SECONDS])?;
            }
        }
        Ok(())
    }

    /// Deletes pairs of `app` that no source named for a long time, and tasks that have no pair any more.
    pub(super) fn forget(&mut self, app: i64) -> Result<Forgotten, StoreError> {
        let elapsed = self.elapsed();
        let most = i64::try_from(FORGET_CAP).unwrap_or(i64::MAX);
        let pairs = self
            .db
            .prepare_cached(
                "DELETE FROM pair WHERE id IN (SELECT p.id FROM task t JOIN pair p ON p.task = t.id \
                 WHERE t.app = ?1 AND p.named_elapsed < ?2 LIMIT ?3)",
            )?
            .execute(params![app, elapsed - RETAIN_SECONDS, most])?;
        if pairs > 0 {
            self.db
                .prepare_cached(
                    "DELETE FROM task WHERE app = ?1 AND NOT EXISTS (SELECT 1 FROM pair WHERE pair.task = task.id)",
                )?
                .execute([app])?;
            self.tasks.clear();
        }
        let posted = self
            .db
            .prepare_cached(
                "DELETE FROM posted WHERE (app, task, user) IN (SELECT app, task, user FROM posted \
                 WHERE app = ?1 AND kept_elapsed < ?2 LIMIT ?3)",
            )?
            .execute(params![app, elapsed, most])?;
        Ok(Forgotten { posted, may_be_more: pairs.max(posted) >= FORGET_CAP })
    }
}
