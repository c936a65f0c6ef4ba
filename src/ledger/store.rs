//! The disk that keeps the ledger: one SQLite file, written in batches.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::clock::Clock;
use super::fold::{KnownDevice, Record, Sampled};
use super::pair::{Damage, Enrol, PairRow};
use crate::sys::millis_since_boot;

/// Task ids kept in memory; above that they are looked up again.
const TASKS_CACHED: usize = 10_000;
/// What [`one_pair`] reads, by the two keys of a pair.
const PAIR_OF_ROW: &str = "SELECT id, added_at, added_elapsed, named_elapsed, pushed_at, polled_at, ended, record \
                           FROM pair WHERE id = ?1";
const PAIR_OF_USER: &str = "SELECT id, added_at, added_elapsed, named_elapsed, pushed_at, polled_at, ended, record \
                            FROM pair WHERE task = ?1 AND user = ?2";
/// The word in the column `ended` of a pair whose record is damaged.
pub(super) const DAMAGED: &str = "damaged";
/// Version of the encoding of a record, its first byte.
const RECORD_VERSION: u8 = 2;
/// The version before the sample: the devices alone.
const RECORD_WITHOUT_SAMPLE: u8 = 1;

/// Why a batch failed; the store is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the histogram or label set {0:?} is damaged")]
    Text(String),
    #[error("the sums of {0} are not those that were written")]
    Seal(String),
    #[error("a row of the table {0} is not the one that was written")]
    Row(&'static str),
}

/// The open store, locked against other daemons.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    path: PathBuf,
    apps: HashMap<String, i64>,
    pub(super) tasks: HashMap<(i64, String), i64>,
    pub(super) clock: Clock,
    /// Of the random order of the pairs.
    pub(super) sample_key: u64,
    /// Sets of labels whose retired sums are known to be damaged, by app.
    pub(super) damaged_labels: HashSet<(i64, String)>,
    /// Held as long as the store is open.
    _lock: File,
}

impl Store {
    /// A store on an open connection to the file at `path`, under the `lock` of its folder.
    pub(super) fn new(db: Connection, path: PathBuf, lock: File, (clock, sample_key): (Clock, u64)) -> Store {
        Store {
            db,
            path,
            apps: HashMap::new(),
            tasks: HashMap::new(),
            clock,
            sample_key,
            damaged_labels: HashSet::new(),
            _lock: lock,
        }
    }

    /// Seconds on the ledger's own clock.
    pub(super) fn elapsed(&self) -> i64 {
        self.clock.elapsed(millis_since_boot())
    }

    /// Where the file lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
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

    /// The rows of pairs in their order, `None` for each that was never enrolled. A start asks for all pairs: the
    /// statement is made ready once, and neighbours of one task look it up once.
    pub fn find_pairs(&mut self, app: i64, pairs: &[Enrol]) -> Result<Vec<Option<PairRow>>, StoreError> {
        let mut statement = self.db.prepare_cached(PAIR_OF_USER)?;
        let mut found = Vec::with_capacity(pairs.len());
        let mut latest: Option<(&str, Option<i64>)> = None;
        for pair in pairs {
            let task = match latest {
                Some((name, id)) if name == pair.task => id,
                _ => task_row(&self.db, &mut self.tasks, (app, &pair.task), false)?,
            };
            latest = Some((&pair.task, task));
            found.push(match task {
                Some(task) => one_pair(&mut statement, params![task, pair.user])?,
                None => None,
            });
        }
        Ok(found)
    }

    /// The pair of that row.
    pub fn pair(&self, id: i64) -> Result<Option<PairRow>, StoreError> {
        pair_of_row(&self.db, id)
    }

    /// Adds a pair that [`Store::find_pairs`] did not find, unless it was added since.
    pub fn add_pair(&mut self, app: i64, pair: &Enrol, now: i64) -> Result<PairRow, StoreError> {
        let elapsed = self.elapsed();
        let task = task_row(&self.db, &mut self.tasks, (app, &pair.task), true)?;
        let task = task.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let added = self
            .db
            .prepare_cached(
                "INSERT INTO pair (task, user, added_at, added_elapsed, named_elapsed, pushed_at) \
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT DO NOTHING",
            )?
            .execute(params![task, pair.user, now, elapsed, pair.pushed_at])?;
        if added == 0 {
            let known = one_pair(&mut *self.db.prepare_cached(PAIR_OF_USER)?, params![task, pair.user])?;
            return Ok(known.ok_or(rusqlite::Error::QueryReturnedNoRows)?);
        }
        Ok(PairRow {
            id: self.db.last_insert_rowid(),
            added_at: now,
            added_elapsed: elapsed,
            named_elapsed: elapsed,
            pushed_at: pair.pushed_at,
            polled_at: None,
            ended: None,
            damage: Damage::None,
            record: Record::default(),
        })
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

    /// The record of a pair cannot be read: it stays as it is, and the pair is not watched again.
    pub fn set_damaged(&self, id: i64) -> Result<(), StoreError> {
        self.db.prepare_cached("UPDATE pair SET ended = ?2 WHERE id = ?1")?.execute(params![id, DAMAGED])?;
        Ok(())
    }

    /// Keeps what the schedule of an app has learned.
    pub fn set_learned(&self, app: i64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut whole = bytes.to_vec();
        whole.extend_from_slice(&checksum(bytes));
        self.db
            .prepare_cached("INSERT OR REPLACE INTO learned (app, learned) VALUES (?1, ?2)")?
            .execute(params![app, whole])?;
        Ok(())
    }

    /// What [`Store::set_learned`] kept, if it is whole.
    pub fn learned(&self, app: i64) -> Result<Option<Vec<u8>>, StoreError> {
        let whole: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT learned FROM learned WHERE app = ?1")?
            .query_row([app], |row| row.get(0))
            .optional()?;
        let split = whole.as_deref().and_then(|whole| whole.split_last_chunk::<4>());
        Ok(split.filter(|(bytes, sum)| checksum(bytes) == **sum).map(|(bytes, _)| bytes.to_vec()))
    }
}

/// The row of a task of an app; `make` makes it if it is new.
pub(super) fn task_row(
    db: &Connection,
    known: &mut HashMap<(i64, String), i64>,
    (app, name): (i64, &str),
    make: bool,
) -> Result<Option<i64>, StoreError> {
    let key = (app, name.to_owned());
    if let Some(id) = known.get(&key) {
        return Ok(Some(*id));
    }
    if make {
        db.prepare_cached("INSERT INTO task (app, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![app, name])?;
    }
    let id: Option<i64> = db
        .prepare_cached("SELECT id FROM task WHERE app = ?1 AND name = ?2")?
        .query_row(params![app, name], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        if known.len() >= TASKS_CACHED {
            known.clear();
        }
        known.insert(key, id);
    }
    Ok(id)
}

/// The pair of that row, on any connection to the store.
pub(super) fn pair_of_row(db: &Connection, id: i64) -> Result<Option<PairRow>, StoreError> {
    one_pair(&mut *db.prepare_cached(PAIR_OF_ROW)?, params![id])
}

/// The pair of that app, task and user, on any connection to the store.
pub(super) fn pair_of_user(
    db: &Connection,
    (app, task, user): (&str, &str, &str),
) -> Result<Option<PairRow>, StoreError> {
    let sql = "SELECT t.id FROM task t JOIN app a ON a.id = t.app WHERE a.name = ?1 AND t.name = ?2";
    let task: Option<i64> = db.prepare_cached(sql)?.query_row([app, task], |row| row.get(0)).optional()?;
    match task {
        Some(task) => one_pair(&mut *db.prepare_cached(PAIR_OF_USER)?, params![task, user]),
        None => Ok(None),
    }
}

/// The pair that a statement of these columns finds.
fn one_pair(
    statement: &mut Statement<'_>,
    keys: impl rusqlite::Params,
) -> Result<Option<PairRow>, StoreError> {
    let mut rows = statement.query(keys)?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let ended: Option<String> = row.get(6)?;
    let (record, damage) = match row.get_ref(7)?.as_blob_or_null().map(|bytes| bytes.map(decode)) {
        _ if ended.as_deref() == Some(DAMAGED) => (None, Damage::Known),
        Ok(Some(Some(record))) => (Some(record), Damage::None),
        Ok(None) => (None, Damage::None),
        Ok(Some(None)) | Err(_) => (None, Damage::Found),
    };
    Ok(Some(PairRow {
        id: row.get(0)?,
        added_at: row.get(1)?,
        added_elapsed: row.get(2)?,
        named_elapsed: row.get(3)?,
        pushed_at: row.get(4)?,
        polled_at: row.get(5)?,
        ended: ended.and_then(|text| super::Ended::ALL.into_iter().find(|e| e.as_str() == text)),
        damage,
        record: record.unwrap_or_default(),
    }))
}

/// A record as the store keeps it: version, content, checksum.
fn encode(record: &Record) -> Vec<u8> {
    let bytes = postcard::to_extend(record, vec![RECORD_VERSION]);
    let mut bytes = bytes.expect("a record holds only types that can be encoded into memory");
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<Record> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    if checksum(content) != *sum {
        return None;
    }
    match content.split_first()? {
        (&RECORD_VERSION, record) => postcard::from_bytes(record).ok(),
        (&RECORD_WITHOUT_SAMPLE, devices) => {
            let devices: Vec<KnownDevice> = postcard::from_bytes(devices).ok()?;
            Some(Record { devices, sampled: Sampled::Out })
        }
        _ => None,
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

/// The companion of a file that SQLite names by that suffix.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
