//! Reads what is on disk beside the keeper: no page waits for a commit, however long it takes.

use std::path::PathBuf;

use rusqlite::{Connection, OpenFlags};

use super::open::BUSY_TIMEOUT;
use super::pair::PairRow;
use super::posted::{Posted, posted_of};
use super::store::{Store, StoreError, pair_of_row, pair_of_user};

/// What is on disk cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct Unreadable {
    path: PathBuf,
    #[source]
    source: StoreError,
}

/// A way to read; every method blocks for the time of a few reads.
///
/// Each call opens a connection of its own: they are rare, it takes a fraction of a millisecond, and the keeper's
/// connection stays the last one to close, which is what empties the write-ahead log.
#[derive(Clone, Debug)]
pub struct Records {
    path: PathBuf,
}

impl Records {
    pub(super) fn of(store: &Store) -> Records {
        Records { path: store.path().to_owned() }
    }

    /// The pairs of those rows, in their order; `None` for a row that is gone.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pairs(&self, rows: &[i64]) -> Result<Vec<Option<PairRow>>, Unreadable> {
        self.read(|db| rows.iter().map(|row| pair_of_row(db, *row)).collect())
    }

    /// What is known of pairs of `app`, in their order; `None` for one that was never enrolled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pairs_of(&self, app: &str, pairs: &[Posted]) -> Result<Vec<Option<PairRow>>, Unreadable> {
        self.read(|db| pairs.iter().map(|pair| pair_of_user(db, (app, &pair.task, &pair.user))).collect())
    }

    /// All pairs that the watch API keeps for `app`, task by task.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn posted(&self, app: &str) -> Result<Vec<Posted>, Unreadable> {
        self.read(|db| posted_of(db, app))
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, Unreadable> {
        let connected = || -> Result<Connection, StoreError> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&self.path, flags)?;
            db.busy_timeout(BUSY_TIMEOUT)?;
            Ok(db)
        };
        let read = connected().and_then(|db| read(&db));
        read.map_err(|source| Unreadable { path: self.path.clone(), source })
    }
}
