//! Opens the store: locks the folder, checks the file, moves a damaged one aside.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use rustix::fs::FlockOperation;
use secrecy::SecretBox;

use super::store::{Store, StoreError, decode};
use super::tally::Snapshot;
use super::{seal, sums};

/// The ledger's file in the storage folder.
pub const FILE: &str = "ledger.db";
/// What the name of a damaged file that was moved aside begins with.
pub const QUARANTINE_PREFIX: &str = "ledger.db.damaged-";
/// `application_id` of the file: "tmpx".
const APPLICATION_ID: i64 = 0x746d_7078;
/// `user_version` of the file: the version of its schema.
pub(super) const SCHEMA_VERSION: i64 = 3;
/// Step by step from the first version: the first entry leads from 1 to 2.
const STEPS: [&str; SCHEMA_VERSION as usize - 1] =
    [include_str!("schema_1_to_2.sql"), include_str!("schema_2_to_3.sql")];
/// The first version whose sums have seals.
const SUMS_SEALED_SINCE: i64 = 2;
/// The first version whose pairs of the watch API, and the table `meta`, have seals.
const ROWS_SEALED_SINCE: i64 = 3;
/// The name in the table `meta` of the key that [`super::Opened::veil_key`] gives.
const VEIL_KEY: &str = "veil_key";
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
    let store = Store::new(db, path, lock);
    Ok((store, sums, aside))
}

/// Why a file was not connected.
enum Refusal {
    Damaged(String),
    Stop(OpenError),
}

fn connect(path: &Path) -> Result<(Connection, Snapshot), Refusal> {
    let judge = |source: rusqlite::Error| {
        if is_damage(&source) {
            Refusal::Damaged(source.to_string())
        } else {
            Refusal::Stop(OpenError::Sqlite { path: path.to_owned(), source })
        }
    };
    let judge_store = |error| match error {
        StoreError::Sqlite(source) => judge(source),
        damage => Refusal::Damaged(damage.to_string()),
    };
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(judge)?;
    db.busy_timeout(BUSY_TIMEOUT).map_err(judge)?;
    // Without the permission to write SQLite opens the file all the same, and each commit would fail.
    if db.is_readonly("main").map_err(judge)? {
        return Err(Refusal::Stop(OpenError::ReadOnly { path: path.to_owned() }));
    }
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(judge);
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let empty: bool =
        db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0)).map_err(judge)?;
    match (application, version) {
        (APPLICATION_ID, found @ 1..=SCHEMA_VERSION) => {
            verify(&db).map_err(judge)?.map_err(Refusal::Damaged)?;
            migrate(&db, found).map_err(judge_store)?;
        }
        (APPLICATION_ID, found) if found > SCHEMA_VERSION => {
            return Err(Refusal::Stop(OpenError::Newer { path: path.to_owned(), found }));
        }
        (0, 0) if empty && is_cut(path) => {
            return Err(Refusal::Damaged("it was cut off within its first page".to_owned()));
        }
        (0, 0) if empty => create(&db).map_err(judge)?,
        (APPLICATION_ID, found) => return Err(Refusal::Damaged(format!("schema version {found}"))),
        _ => {
            return Err(Refusal::Stop(OpenError::Foreign { path: path.to_owned() }));
        }
    }
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -4096;")
        .map_err(judge)?;
    db.set_prepared_statement_cache_capacity(32);
    let sealed = |sums| seal::verify(&db, &sums).map(|()| sums);
    let sums = seal::verify_rows(&db).and_then(|()| sums::load(&db)).and_then(sealed).map_err(judge_store)?;
    Ok((db, sums))
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
    let done = usize::try_from(found - 1).unwrap_or(0);
    if done >= STEPS.len() {
        return Ok(());
    }
    // Dropped without a commit, it is rolled back.
    let whole = db.unchecked_transaction()?;
    for step in &STEPS[done..] {
        whole.execute_batch(step)?;
    }
    if found < SUMS_SEALED_SINCE {
        seal::seal(&whole, &sums::load(&whole)?)?;
    }
    if found < ROWS_SEALED_SINCE {
        seal::seal_rows(&whole)?;
    }
    whole.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    whole.commit()?;
    tracing::info!(from = found, to = SCHEMA_VERSION, "ledger: schema brought up to date");
    Ok(())
}

/// The key kept in the store; made now if there is none.
pub(super) fn veil_key(store: &Store) -> Result<SecretBox<[u8; 32]>, OpenError> {
    let io = |source: io::Error| OpenError::Io { path: store.path().to_owned(), source };
    let sqlite = |source| OpenError::Sqlite { path: store.path().to_owned(), source };
    let kept: Option<Vec<u8>> = store
        .db
        .query_row("SELECT value FROM meta WHERE name = ?1", [VEIL_KEY], |row| row.get(0))
        .optional()
        .map_err(sqlite)?;
    if let Some(key) = kept.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        return Ok(SecretBox::new(Box::new(key)));
    }
    let mut key = Box::new([0; 32]);
    let filled = rustix::rand::getrandom(&mut *key, rustix::rand::GetRandomFlags::empty());
    if filled.map_err(|errno| io(errno.into()))? != key.len() {
        return Err(io(io::Error::other("the system gives no random bytes")));
    }
    let row = [ValueRef::Text(VEIL_KEY.as_bytes()), ValueRef::Blob(&*key)];
    seal::put_row(&store.db, "meta", &row).map_err(sqlite)?;
    Ok(SecretBox::new(key))
}

/// Whether the file is sound as a database and every record in it is whole; else what is wrong.
fn verify(db: &Connection) -> Result<Result<(), String>, rusqlite::Error> {
    let sound: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
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
    made.map_err(|source| OpenError::Io { path: folder.to_owned(), source })
}

fn lock_folder(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let io = |source: io::Error| OpenError::Io { path: path.clone(), source };
    let file = File::options().write(true).create(true).truncate(false).open(&path).map_err(io)?;
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

pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
