//! A copy of the ledger, made beside the daemon, and verified before it gets its name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::backup::StepResult;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::NamedTempFile;

use super::open::{BUSY_TIMEOUT, FILE, OpenError, Refusal, verify_copy, version};

/// Pages that are copied between two looks at how far it is: a mebibyte.
const PAGES_AT_ONCE: i32 = 256;
/// How long to wait before a step is tried again for which the file was busy.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// Where the header of the file says how it is written and read, and what it says of a file without a write-ahead log.
const FORMAT_AT: u64 = 18;
const WITHOUT_LOG: [u8; 2] = [1, 1];

/// Why there is no backup. Nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{}: exists already; a backup never overwrites a file, expected a new name", path.display())]
    Exists { path: PathBuf },
    #[error("{}: expected the name of a file", path.display())]
    NoName { path: PathBuf },
    #[error("{}: the ledger uses such names itself; expected one that does not start with {FILE}", path.display())]
    Reserved { path: PathBuf },
    #[error("{}: there is no ledger; expected the --storage.path of the daemon", path.display())]
    NoLedger { path: PathBuf },
    #[error("{}: the ledger is damaged: {why}; no backup was made", path.display())]
    Damaged { path: PathBuf, why: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{}: {source}; no backup was made", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: {}; no backup was made", path.display(), in_words(.source))]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

/// A backup that is being made, under a hidden name beside the one it will have. Dropped before [`Backup::finish`], it is
/// gone.
#[derive(Debug)]
pub struct Backup {
    partial: NamedTempFile,
    file: PathBuf,
    copying: Copying,
}

/// The work on a backup. Each method blocks for as long as it takes.
#[derive(Clone, Debug)]
pub struct Copying {
    ledger: PathBuf,
    partial: PathBuf,
    file: PathBuf,
    done: Arc<AtomicU64>,
    all: Arc<AtomicU64>,
}

impl Backup {
    /// Begins a backup of the ledger in `storage` that will be `file`.
    ///
    /// # Errors
    /// There is no ledger, or `file` exists or cannot be made.
    pub fn begin(storage: &Path, file: &Path) -> Result<Backup, BackupError> {
        let ledger = storage.join(FILE);
        let io = |path: &Path| {
            let path = path.to_owned();
            |source| BackupError::Io { path, source }
        };
        match fs::metadata(&ledger) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NoLedger { path: ledger });
            }
            found => found.map_err(io(&ledger))?,
        };
        let path = file.to_owned();
        let Some(name) = file.file_name().and_then(|name| name.to_str()) else {
            return Err(BackupError::NoName { path });
        };
        if fs::symlink_metadata(file).is_ok() {
            return Err(BackupError::Exists { path });
        }
        let folder = folder_of(file);
        if name.starts_with(FILE) && is_same(folder, storage).map_err(io(folder))? {
            return Err(BackupError::Reserved { path });
        }
        // Hidden, and named otherwise: what a kill leaves behind looks like no backup.
        let named =
            tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".partial").tempfile_in(folder);
        let partial = named.map_err(io(folder))?;
        let copying = Copying {
            ledger,
            partial: partial.path().to_owned(),
            file: path.clone(),
            done: Arc::default(),
            all: Arc::default(),
        };
        Ok(Backup { partial, file: path, copying })
    }

    /// What is to be done before [`Backup::finish`]: [`Copying::copy`], then [`Copying::verify`].
    pub fn copying(&self) -> Copying {
        self.copying.clone()
    }

    /// Makes the copy durable and gives it its name; gives its size, bytes.
    ///
    /// # Errors
    /// The disk fails, or `file` exists by now.
    pub fn finish(self) -> Result<u64, BackupError> {
        let Backup { partial, file, .. } = self;
        let io = |source| BackupError::Io { path: file.clone(), source };
        partial.as_file().sync_all().map_err(io)?;
        let kept = partial.persist_noclobber(&file).map_err(|refused| match refused.error.kind() {
            io::ErrorKind::AlreadyExists => BackupError::Exists { path: file.clone() },
            _ => io(refused.error),
        })?;
        File::open(folder_of(&file)).and_then(|folder| folder.sync_all()).map_err(io)?;
        Ok(kept.metadata().map_err(io)?.len())
    }
}

impl Copying {
    /// Copies the ledger as it is at this moment, whatever is committed meanwhile.
    ///
    /// # Errors
    /// The ledger cannot be read, or the copy cannot be written.
    pub fn copy(&self) -> Result<(), BackupError> {
        let source = open(&self.ledger, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| self.reading(e))?;
        // The first read in it fixes what it sees; without it the copy would start over with each commit.
        source.execute_batch("BEGIN").map_err(|error| self.reading(error))?;
        let version = version(&source, &self.ledger).map_err(|refusal| self.refused(refusal))?;
        if version.is_none() {
            return Err(BackupError::NoLedger { path: self.ledger.clone() });
        }
        let mut target =
            open(&self.partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| self.writing(e))?;
        // Nobody reads it before it is whole.
        let unguarded = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF";
        target.execute_batch(unguarded).map_err(|error| self.writing(error))?;
        self.copy_pages(&source, &mut target)?;
        drop(target);
        self.end_log()
    }

    fn copy_pages(&self, source: &Connection, target: &mut Connection) -> Result<(), BackupError> {
        let page_bytes: u64 = source
            .pragma_query_value(None, "page_size", |row| row.get(0))
            .map_err(|error| self.reading(error))?;
        let bytes = |pages: i32| u64::from(pages.unsigned_abs()) * page_bytes;
        let copy = rusqlite::backup::Backup::new(source, target).map_err(|error| self.writing(error))?;
        let mut moved_at = Instant::now();
        loop {
            let step = copy.step(PAGES_AT_ONCE).map_err(|error| self.writing(error))?;
            let progress = copy.progress();
            self.all.store(bytes(progress.pagecount), Ordering::Relaxed);
            self.done.store(bytes(progress.pagecount - progress.remaining), Ordering::Relaxed);
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => moved_at = Instant::now(),
                _ if moved_at.elapsed() > BUSY_TIMEOUT => {
                    let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
                    return Err(self.reading(rusqlite::Error::SqliteFailure(busy, None)));
                }
                _ => std::thread::sleep(BUSY_PAUSE),
            }
        }
    }

    /// The ledger has a write-ahead log, and so says its first page. The copy is whole without one, and can be read where
    /// nothing can be written.
    fn end_log(&self) -> Result<(), BackupError> {
        let file = File::options().write(true).open(&self.partial);
        let written = file.and_then(|file| file.write_all_at(&WITHOUT_LOG, FORMAT_AT));
        written.map_err(|source| BackupError::Io { path: self.file.clone(), source })
    }

    /// Verifies the copy as a start verifies the ledger: its structure and all checksums in it.
    ///
    /// # Errors
    /// [`BackupError::Damaged`]; or the copy cannot be read.
    pub fn verify(&self) -> Result<(), BackupError> {
        let db = open(&self.partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| self.writing(e))?;
        db.execute_batch("PRAGMA journal_mode = MEMORY").map_err(|error| self.writing(error))?;
        verify_copy(&db, &self.file).map_err(|refusal| self.refused(refusal))
    }

    /// How many bytes are copied, and of how many; 0 of 0 before that is known.
    pub fn progress(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.all.load(Ordering::Relaxed))
    }

    fn reading(&self, source: rusqlite::Error) -> BackupError {
        self.refused(Refusal::of(&self.ledger, source))
    }

    fn writing(&self, source: rusqlite::Error) -> BackupError {
        match Refusal::of(&self.file, source) {
            Refusal::Stop(OpenError::Sqlite { path, source }) => BackupError::Sqlite { path, source },
            refusal => self.refused(refusal),
        }
    }

    fn refused(&self, refusal: Refusal) -> BackupError {
        match refusal {
            Refusal::Damaged(why) => BackupError::Damaged { path: self.ledger.clone(), why },
            Refusal::Stop(OpenError::Sqlite { path, source }) => BackupError::Sqlite { path, source },
            Refusal::Stop(error) => BackupError::Open(error),
        }
    }
}

fn open(path: &Path, mode: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    Ok(db)
}

/// The folder in which a file lies or is to lie.
fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    Ok(one.canonicalize()? == other.canonicalize()?)
}

/// What SQLite says, with what is likely behind it.
fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "no space is left on the disk".to_owned(),
        Some(ErrorCode::SystemIoFailure) => format!("{error} (is the disk full?)"),
        _ => error.to_string(),
    }
}
