//! Opens the store: locks the folder, checks the file, moves a damaged one aside.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use rustix::fs::FlockOperation;

use crate::sys::{boot_id, millis_since_boot, without_waiting};

use super::clock::Clock;
use super::store::{Store, StoreError, decode, suffixed};
use super::tally::Snapshot;
use super::{seal, sums};

/// The ledger's file in the storage folder.
pub const FILE: &str = "ledger.db";
/// What the name of a damaged file that was moved aside begins with.
pub const QUARANTINE_PREFIX: &str = "ledger.db.damaged-";
/// `application_id` of the file: "tmpx".
const APPLICATION_ID: i64 = 0x746d_7078;
/// `user_version` of the file: the version of its schema.
pub(super) const SCHEMA_VERSION: i64 = 5;
/// Step by step from the first version: the first entry leads from 1 to 2.
const STEPS: [&str; SCHEMA_VERSION as usize - 1] = [
    include_str!("schema_1_to_2.sql"),
    include_str!("schema_2_to_3.sql"),
    include_str!("schema_3_to_4.sql"),
    include_str!("schema_4_to_5.sql"),
];
/// The first version whose sums have seals.
const SUMS_SEALED_SINCE: i64 = 2;
/// The latest version whose step changed rows that have seals.
const ROWS_CHANGED_BY: i64 = 4;
/// The name there of what [`Clock::take_due`] gives.
const CLOCK: &str = "clock";
/// The name there of the key of the random order of the pairs.
const SAMPLE_KEY: &str = "sample key";
/// The smallest page that SQLite knows.
const SMALLEST_PAGE_BYTES: u64 = 512;
/// How long to wait for somebody who reads the file with a tool and holds it.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

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
    #[error("{}: may only be read; it must be writable, and so must its folder", path.display())]
    ReadOnly { path: PathBuf },
    #[error("{}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// Opens the store in `folder`, which is created if it is missing, and reads its sums. A damaged file is moved
/// aside first; the last value names where.
///
/// # Errors
/// [`OpenError`].
pub(super) fn open(folder: &Path, now: i64) -> Result<(Store, Snapshot, Option<PathBuf>), OpenError> {
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
    let failed = |source| OpenError::Sqlite { path: path.clone(), source };
    let kept = meta(&db, CLOCK).map_err(failed)?;
    let clock = Clock::resume(kept.as_deref(), boot_id(), millis_since_boot());
    let sample_key = sample_key(&db).map_err(failed)?;
    Ok((Store::new(db, path, lock, (clock, sample_key)), sums, aside))
}

/// Why a file was not connected.
pub(super) enum Refusal {
    Damaged(String),
    Stop(OpenError),
}

impl Refusal {
    /// What an error of SQLite says of the file at `path`.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Refusal {
        if is_damage(&source) {
            Refusal::Damaged(source.to_string())
        } else {
            Refusal::Stop(OpenError::Sqlite { path: path.to_owned(), source })
        }
    }

    fn of_store(path: &Path, error: StoreError) -> Refusal {
        match error {
            StoreError::Sqlite(source) => Refusal::of(path, source),
            damage => Refusal::Damaged(damage.to_string()),
        }
    }
}

fn connect(path: &Path) -> Result<(Connection, Snapshot), Refusal> {
    let judge = |source| Refusal::of(path, source);
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(judge)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(judge)?;
    // Without the permission to write SQLite opens the file all the same, and each commit would fail.
    if db.is_readonly("main").map_err(judge)? {
        return Err(Refusal::Stop(OpenError::ReadOnly { path: path.to_owned() }));
    }
    match version(&db, path)? {
        Some(found) => {
            verify(&db).map_err(judge)?.map_err(Refusal::Damaged)?;
            migrate(&db, found).map_err(|error| Refusal::of_store(path, error))?;
        }
        None => create(&db).map_err(judge)?,
    }
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;")
        .map_err(judge)?;
    db.set_prepared_statement_cache_capacity(32);
    let sums = load(&db, path)?;
    Ok((db, sums))
}

/// The version of the schema of a store that this program knows; `None` where there is nothing in the file.
pub(super) fn version(db: &Connection, path: &Path) -> Result<Option<i64>, Refusal> {
    let judge = |source| Refusal::of(path, source);
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(judge);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let empty: bool =
        db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0)).map_err(judge)?;
    match (application, version) {
        (APPLICATION_ID, found @ 1..=SCHEMA_VERSION) => Ok(Some(found)),
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            Err(Refusal::Stop(OpenError::Newer { path: path.to_owned(), found }))
        }
        (0, 0) if empty && is_cut(path) => {
            Err(Refusal::Damaged("it was cut off within its first page".to_owned()))
        }
        (0, 0) if empty => Ok(None),
        (APPLICATION_ID, found) => Err(Refusal::Damaged(format!("schema version {found}"))),
        _ => Err(Refusal::Stop(OpenError::Foreign { path: path.to_owned() })),
    }
}

/// Verifies a copy as a start does, and leaves it as it is: a store of an older schema is brought up to date only to compare
/// its sums, and then back.
pub(super) fn verify_copy(db: &Connection, path: &Path) -> Result<(), Refusal> {
    let judge = |source| Refusal::of(path, source);
    let found = version(db, path)?.ok_or_else(|| Refusal::Damaged("it is empty".to_owned()))?;
    verify(db).map_err(judge)?.map_err(Refusal::Damaged)?;
    // Dropped without a commit, it is rolled back.
    let whole = db.unchecked_transaction().map_err(judge)?;
    upgrade(&whole, found).map_err(|error| Refusal::of_store(path, error))?;
    load(&whole, path).map(drop)
}

/// Reads the sums of a store of the present schema, whose seals must be theirs.
fn load(db: &Connection, path: &Path) -> Result<Snapshot, Refusal> {
    verify_tables(db).map_err(|source| Refusal::of(path, source))?.map_err(Refusal::Damaged)?;
    let sealed = |sums| seal::verify(db, &sums).map(|()| sums);
    let sums = seal::verify_rows(db, SCHEMA_VERSION).and_then(|()| sums::load(db)).and_then(sealed);
    sums.map_err(|error| Refusal::of_store(path, error))
}

/// Whether SQLite found the file broken, or a value in it is not of its column's kind: a text that is no UTF-8.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match error {
        FromSqlConversionFailure(..)
        | IntegralValueOutOfRange(..)
        | InvalidColumnType(..)
        | Utf8Error(..) => true,
        error => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
    }
}

/// A file that has bytes and yet no page: SQLite calls it empty.
fn is_cut(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| (1..SMALLEST_PAGE_BYTES).contains(&file.len()))
}

fn create(db: &Connection) -> Result<(), rusqlite::Error> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    db.execute_batch(include_str!("schema.sql"))?;
    db.pragma_update(None, "application_id", APPLICATION_ID)?;
    db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    db.execute_batch("COMMIT")
}

/// Brings an older store to the present version, or leaves it as it was.
fn migrate(db: &Connection, found: i64) -> Result<(), StoreError> {
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    // Dropped without a commit, it is rolled back.
    let whole = db.unchecked_transaction()?;
    upgrade(&whole, found)?;
    whole.commit()?;
    tracing::info!(from = found, to = SCHEMA_VERSION, "ledger: schema brought up to date");
    Ok(())
}

/// The steps from an older version to the present one, inside a transaction.
fn upgrade(whole: &Connection, found: i64) -> Result<(), StoreError> {
    let done = usize::try_from(found - 1).unwrap_or(0);
    if done >= STEPS.len() {
        return Ok(());
    }
    seal::verify_rows(whole, found)?;
    for step in &STEPS[done..] {
        whole.execute_batch(step)?;
    }
    if found < SUMS_SEALED_SINCE {
        seal::seal(whole, &sums::load(whole)?)?;
    }
    if found < ROWS_CHANGED_BY {
        seal::seal_rows(whole)?;
    }
    Ok(whole.pragma_update(None, "user_version", SCHEMA_VERSION)?)
}

/// The value of that name in the table `meta`.
fn meta(db: &Connection, name: &str) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    db.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// The key of the random order of the pairs; made at the first start.
fn sample_key(db: &Connection) -> Result<u64, rusqlite::Error> {
    let kept = meta(db, SAMPLE_KEY)?.and_then(|bytes| bytes.try_into().ok());
    if let Some(bytes) = kept {
        return Ok(u64::from_le_bytes(bytes));
    }
    let key = fastrand::u64(..);
    put_meta(db, SAMPLE_KEY, &key.to_le_bytes())?;
    Ok(key)
}

fn put_meta(db: &Connection, name: &str, value: &[u8]) -> Result<(), rusqlite::Error> {
    seal::put_row(db, "meta", &[ValueRef::Text(name.as_bytes()), ValueRef::Blob(value)])
}

impl Store {
    /// Keeps where the clock stands, now and then.
    pub(super) fn keep_clock(&mut self) -> Result<(), StoreError> {
        match self.clock.take_due(millis_since_boot()) {
            Some(text) => Ok(put_meta(&self.db, CLOCK, text.as_bytes())?),
            None => Ok(()),
        }
    }
}

/// Whether the tables are declared as this program declares them; else which is not. SQLite reads the declarations as they
/// are: with another name of a column in one of them, each commit would fail. Comments do not matter, nor what else there is.
fn verify_tables(db: &Connection) -> Result<Result<(), String>, rusqlite::Error> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(include_str!("schema.sql"))?;
    let found = tables(db)?;
    let differs = tables(&fresh)?.into_iter().find(|(name, sql)| found.get(name) != Some(sql));
    Ok(differs.map_or(Ok(()), |(name, _)| Err(format!("the table {name} is not declared as it was"))))
}

/// The declarations of all tables, without comments and spaces.
fn tables(db: &Connection) -> Result<BTreeMap<String, String>, rusqlite::Error> {
    let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(1)?;
        let lines = sql.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code));
        Ok((row.get(0)?, lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()))
    })?;
    rows.collect()
}

/// Whether the file is sound as a database and every record in it is whole; else what is wrong.
fn verify(db: &Connection) -> Result<Result<(), String>, rusqlite::Error> {
    let sound: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Ok(Err(sound.replace('\n', "; ")));
    }
    let mut statement =
        db.prepare("SELECT id, record FROM pair WHERE record IS NOT NULL AND ended IS NOT 'damaged'")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if !row.get_ref(1)?.as_blob().is_ok_and(|bytes| decode(bytes).is_some()) {
            return Ok(Err(format!("the record of pair {} is damaged", row.get::<_, i64>(0)?)));
        }
    }
    Ok(Ok(()))
}

fn create_folder(folder: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| OpenError::Io { path: folder.to_owned(), source })
}

fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let io = |source: io::Error| OpenError::Io { path: path.clone(), source };
    let file =
        without_waiting(File::options().write(true).create(true).truncate(false)).open(&path).map_err(io)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { path: folder.to_owned() }),
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
                return Err(OpenError::Io { path: path.to_owned(), source });
            }
            _ => {}
        }
    }
    Ok(aside)
}
