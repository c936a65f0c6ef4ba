//! The disk that keeps the ledger: one SQLite file, written in batches.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use rustix::fs::FlockOperation;

use super::fold::Record;
use super::sums;
use super::tally::Snapshot;

/// The ledger's file in the storage folder.
pub const FILE: &str = "ledger.db";
/// What the name of a damaged file that was moved aside begins with.
pub const QUARANTINE_PREFIX: &str = "ledger.db.damaged-";
/// `application_id` of the file: "tmpx".
const APPLICATION_ID: i64 = 0x746d_7078;
/// `user_version` of the file: the version of its schema.
const SCHEMA_VERSION: i64 = 1;
/// How long to wait for somebody who reads the file with a tool and holds it.
const BUSY_TIMEOUT_MS: u64 = 5000;
/// Task ids kept in memory; above that they are looked up again.
const TASKS_CACHED: usize = 10_000;
/// Version of the encoding of a record, its first byte.
const RECORD_VERSION: u8 = 1;

/// Why the ledger cannot be opened. The store itself was not touched.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("storage {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("storage {}: another timpush_exporter works with it", path.display())]
    InUse { path: PathBuf },
    #[error("{}: schema version {found} is newer than {SCHEMA_VERSION}, the newest this program knows; use the \
             program that wrote it", path.display())]
    Newer { path: PathBuf, found: i64 },
    #[error("{}: a database of another program; name another --storage.path", path.display())]
    Foreign { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// Why a batch failed; the store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the record of pair {0} is damaged")]
    Damaged(i64),
    #[error("the histogram or label set {0:?} is damaged")]
    Text(String),
}

/// The open store, locked against other daemons.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    path: PathBuf,
    apps: HashMap<String, i64>,
    tasks: HashMap<(i64, String), i64>,
    _lock: File,
}

/// One row of the table `pair`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairRow {
    pub id: i64,
    pub added_at: i64,
    pub pushed_at: Option<i64>,
    pub polled_at: Option<i64>,
    pub ended: Option<super::Ended>,
    pub record: Record,
}

impl Store {
    /// Opens the store in `folder`, which is created if it is missing, and reads its sums. A damaged file is moved
    /// aside first; the last value names where.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(folder: &Path, now: i64) -> Result<(Store, Snapshot, Option<PathBuf>), OpenError> {
        create_folder(folder)?;
        let lock = lock_folder(folder)?;
        let path = folder.join(FILE);
        let (db, sums, aside) = match connect(&path) {
            Ok((db, sums)) => (db, sums, None),
            Err(Refusal::Stop(error)) => return Err(error),
            Err(Refusal::Damaged(why)) => {
                let aside = move_aside(&path, now)?;
                tracing::error!(%why, moved_to = %aside.display(), "ledger: the store is damaged; counting starts anew");
                let (db, sums) = connect(&path).map_err(|refusal| match refusal {
                    Refusal::Stop(error) => error,
                    Refusal::Damaged(_) => OpenError::Foreign { path: path.clone() },
                })?;
                (db, sums, Some(aside))
            }
        };
        let store = Store {
            db,
            path,
            apps: HashMap::new(),
            tasks: HashMap::new(),
            _lock: lock,
        };
        Ok((store, sums, aside))
    }

    /// Size of the file and its write-ahead log.
    pub fn size_bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |m| m.len());
        size(&self.path) + size(&suffixed(&self.path, "-wal"))
    }

    /// Begins a batch.
    pub fn begin(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("BEGIN IMMEDIATE")?)
    }

    /// Makes the batch durable.
    pub fn commit(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("COMMIT")?)
    }

    /// Forgets the batch.
    pub fn rollback(&mut self) {
        self.apps.clear();
        self.tasks.clear();
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "ledger: cannot roll back");
        }
    }

    /// The row of the app; made if it is new.
    pub fn app(&mut self, name: &str) -> Result<i64, StoreError> {
        if let Some(id) = self.apps.get(name) {
            return Ok(*id);
        }
        self.db
            .prepare_cached("INSERT INTO app (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([name])?;
        let id = self
            .db
            .prepare_cached("SELECT id FROM app WHERE name = ?1")?
            .query_row([name], |row| row.get(0))?;
        self.apps.insert(name.to_owned(), id);
        Ok(id)
    }

    fn task(&mut self, app: i64, name: &str, make: bool) -> Result<Option<i64>, StoreError> {
        let key = (app, name.to_owned());
        if let Some(id) = self.tasks.get(&key) {
            return Ok(Some(*id));
        }
        if make {
            self.db
                .prepare_cached("INSERT INTO task (app, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![app, name])?;
        }
        let id: Option<i64> = self
            .db
            .prepare_cached("SELECT id FROM task WHERE app = ?1 AND name = ?2")?
            .query_row(params![app, name], |row| row.get(0))
            .optional()?;
        if let Some(id) = id {
            if self.tasks.len() >= TASKS_CACHED {
                self.tasks.clear();
            }
            self.tasks.insert(key, id);
        }
        Ok(id)
    }

    /// The row of a pair, or `None` if it was never enrolled.
    pub fn find_pair(&mut self, app: i64, task: &str, user: &str) -> Result<Option<PairRow>, StoreError> {
        let Some(task) = self.task(app, task, false)? else {
            return Ok(None);
        };
        self.pair_where(
            "SELECT id, added_at, pushed_at, polled_at, ended, record FROM pair WHERE task = ?1 AND user = ?2",
            params![task, user],
        )
    }

    /// The pair of that row.
    pub fn pair(&self, id: i64) -> Result<Option<PairRow>, StoreError> {
        self.pair_where(
            "SELECT id, added_at, pushed_at, polled_at, ended, record FROM pair WHERE id = ?1",
            params![id],
        )
    }

    fn pair_where(&self, sql: &str, keys: impl rusqlite::Params) -> Result<Option<PairRow>, StoreError> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(keys)?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let id = row.get(0)?;
        let ended: Option<String> = row.get(4)?;
        let record = match row.get_ref(5)?.as_blob_or_null() {
            Ok(Some(bytes)) => decode(bytes).ok_or(StoreError::Damaged(id))?,
            Ok(None) => Record::default(),
            Err(_) => return Err(StoreError::Damaged(id)),
        };
        Ok(Some(PairRow {
            id,
            added_at: row.get(1)?,
            pushed_at: row.get(2)?,
            polled_at: row.get(3)?,
            ended: ended.and_then(|text| super::Ended::ALL.into_iter().find(|e| e.as_str() == text)),
            record,
        }))
    }

    /// Adds a pair that [`Store::find_pair`] did not find.
    pub fn add_pair(&mut self, app: i64, pair: &super::Enrol, now: i64) -> Result<i64, StoreError> {
        let task = self
            .task(app, &pair.task, true)?
            .ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        self.db
            .prepare_cached("INSERT INTO pair (task, user, added_at, pushed_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![task, pair.user, now, pair.pushed_at])?;
        Ok(self.db.last_insert_rowid())
    }

    /// The watch list says another push time.
    pub fn set_pushed_at(&self, id: i64, pushed_at: Option<i64>) -> Result<(), StoreError> {
        self.db
            .prepare_cached("UPDATE pair SET pushed_at = ?2 WHERE id = ?1")?
            .execute(params![id, pushed_at])?;
        Ok(())
    }

    /// An answer was folded into the pair's record.
    pub fn set_record(&self, row: &PairRow) -> Result<(), StoreError> {
        self.db
            .prepare_cached("UPDATE pair SET polled_at = ?2, ended = ?3, record = ?4 WHERE id = ?1")?
            .execute(params![
                row.id,
                row.polled_at,
                row.ended.map(super::Ended::as_str),
                encode(&row.record)
            ])?;
        Ok(())
    }

    /// Deletes at most `most` pairs that nobody added, pushed or polled since `before`; gives how many.
    pub fn purge(&self, before: i64, most: usize) -> Result<usize, StoreError> {
        let deleted = self
            .db
            .prepare_cached(
                "DELETE FROM pair WHERE id IN (SELECT id FROM pair WHERE added_at < ?1 AND \
                 coalesce(polled_at, 0) < ?1 AND coalesce(pushed_at, 0) < ?1 LIMIT ?2)",
            )?
            .execute(params![before, i64::try_from(most).unwrap_or(i64::MAX)])?;
        Ok(deleted)
    }
}

/// Why a file was not connected.
enum Refusal {
    Damaged(String),
    Stop(OpenError),
}

fn connect(path: &Path) -> Result<(Connection, Snapshot), Refusal> {
    let judge = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Refusal::Damaged(source.to_string()),
        _ => Refusal::Stop(OpenError::Sqlite {
            path: path.to_owned(),
            source,
        }),
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(judge)?;
    db.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))
        .map_err(judge)?;
    let pragma = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(judge)
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let empty: bool = db
        .query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
        .map_err(judge)?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => verify(&db).map_err(judge)?.map_err(Refusal::Damaged)?,
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            return Err(Refusal::Stop(OpenError::Newer {
                path: path.to_owned(),
                found,
            }));
        }
        (0, 0) if empty => create(&db).map_err(judge)?,
        (APPLICATION_ID, found) => return Err(Refusal::Damaged(format!("schema version {found}"))),
        _ => {
            return Err(Refusal::Stop(OpenError::Foreign {
                path: path.to_owned(),
            }));
        }
    }
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;")
        .map_err(judge)?;
    db.set_prepared_statement_cache_capacity(32);
    let sums = sums::load(&db).map_err(|error| match error {
        StoreError::Sqlite(source) => judge(source),
        damage => Refusal::Damaged(damage.to_string()),
    })?;
    Ok((db, sums))
}

fn create(db: &Connection) -> Result<(), rusqlite::Error> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    db.execute_batch(include_str!("schema.sql"))?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    db.execute_batch("COMMIT")
}

/// Whether the file is sound as a database and every record in it is whole; else what is wrong.
fn verify(db: &Connection) -> Result<Result<(), String>, rusqlite::Error> {
    let sound: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Ok(Err(sound.replace('\n', "; ")));
    }
    let mut statement = db.prepare("SELECT id, record FROM pair WHERE record IS NOT NULL")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !row.get_ref(1)?.as_blob().is_ok_and(|bytes| decode(bytes).is_some()) {
            return Ok(Err(StoreError::Damaged(row.get(0)?).to_string()));
        }
    }
    Ok(Ok(()))
}

fn create_folder(folder: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| OpenError::Io {
        path: folder.to_owned(),
        source,
    })
}

fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let io = |source: io::Error| OpenError::Io {
        path: path.clone(),
        source,
    };
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse {
            path: folder.to_owned(),
        }),
        Err(errno) => Err(io(errno.into())),
    }
}

/// Renames the file and its companions so that nothing writes to them again.
fn move_aside(path: &Path, now: i64) -> Result<PathBuf, OpenError> {
    let mut aside = path.with_file_name(format!("{QUARANTINE_PREFIX}{now}"));
    let mut again = 1;
    while aside.exists() {
        aside = path.with_file_name(format!("{QUARANTINE_PREFIX}{now}-{again}"));
        again += 1;
    }
    for suffix in ["", "-wal", "-shm"] {
        match fs::rename(suffixed(path, suffix), suffixed(&aside, suffix)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(OpenError::Io {
                    path: path.to_owned(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(aside)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A record as the store keeps it: version, content, checksum.
fn encode(record: &Record) -> Vec<u8> {
    let bytes = postcard::to_extend(record, vec![RECORD_VERSION]);
    let mut bytes = bytes.expect("a record holds only types that can be encoded into memory");
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Record> {
    if !is_whole(bytes) {
        return None;
    }
    postcard::from_bytes(&bytes[1..bytes.len() - 4]).ok()
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((content, sum)) = bytes.split_last_chunk::<4>() else {
        return false;
    };
    content.first() == Some(&RECORD_VERSION) && checksum(content) == *sum
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}
