//! Checksums of what is on disk: a value that was damaged is damage, and not another value.
//!
//! SQLite keeps no checksum of a page, and a count has nothing beside it that could prove it wrong. So each set of sums
//! has a seal, written in the transaction that changes the set, and each row of the tables that are written row by row
//! holds its own. The records of the pairs carry theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::count::Touched;
use super::store::{Store, StoreError};
use super::sums::{Of, labels_text};
use super::tally::{AppTally, Histogram, SampleTally, SetKey, SetTally, Snapshot};

/// Columns of the table `posted`, without the seal.
pub(super) const POSTED_COLUMNS: usize = 6;
/// Columns of the table `meta`, without the seal.
const META_COLUMNS: usize = 2;
/// Columns of the table `label_set`, without the seal.
const LABEL_SET_COLUMNS: usize = 4;
/// The tables that are sealed row by row, each with the first schema that seals it: the last column is the seal of those
/// before it.
const SEALED_TABLES: [(&str, usize, i64); 3] =
    [("posted", POSTED_COLUMNS, 3), ("meta", META_COLUMNS, 3), ("label_set", LABEL_SET_COLUMNS, 4)];

/// The app's row, then labels, route and platform as the rows of a set hold them.
type Name = (i64, [String; 3]);

/// Seals all sums of a store that has none of them sealed.
pub(super) fn seal(db: &Connection, sums: &Snapshot) -> Result<(), StoreError> {
    seals(db, sums)?.iter().try_for_each(|(name, crc)| write(db, name, *crc))
}

/// Compares all seals with the sums that were loaded, those that are shown.
///
/// # Errors
/// [`StoreError::Seal`] names a set whose sums are not those that were written.
pub(super) fn verify(db: &Connection, sums: &Snapshot) -> Result<(), StoreError> {
    compare(&seals(db, sums)?, &read(db, Of::Shown)?)
}

/// The same for the sums of one app and set of labels.
pub(super) fn verify_sets(
    db: &Connection,
    of: Of<'_>,
    app: i64,
    sets: &BTreeMap<SetKey, Arc<SetTally>>,
) -> Result<(), StoreError> {
    let expected = sets.iter().map(|(key, set)| (name(app, key), of_set(set))).collect();
    compare(&expected, &read(db, of)?)
}

fn compare(expected: &BTreeMap<Name, u32>, found: &BTreeMap<Name, u32>) -> Result<(), StoreError> {
    // What was never written has no seal and only zeros.
    let differs = |(name, crc): &(&Name, &u32)| found.get(name).copied().unwrap_or(EMPTY) != **crc;
    let unsealed = |name: &&Name| !expected.contains_key(name);
    match expected.iter().find(differs).map(|(name, _)| name).or_else(|| found.keys().find(unsealed)) {
        None => Ok(()),
        Some((app, set)) => {
            Err(StoreError::Seal(format!("app {app} {}", set.join(" ")).trim_end().to_owned()))
        }
    }
}

impl Store {
    /// Seals the sums of an app and of those of its sets that a batch has touched.
    pub(super) fn write_seals(
        &self,
        app: i64,
        tally: &AppTally,
        touched: &Touched,
    ) -> Result<(), StoreError> {
        write(&self.db, &own(app), of_app(tally))?;
        let mut before = None;
        for key in touched.iter().map(|(key, _)| key) {
            if before != Some(key)
                && let Some(set) = tally.sets.get(key)
            {
                write(&self.db, &name(app, key), of_set(set))?;
            }
            before = Some(key);
        }
        Ok(())
    }
}

/// Writes a row with its seal behind its values, in place of one with the same key.
pub(super) fn put_row(db: &Connection, table: &str, values: &[ValueRef<'_>]) -> Result<(), rusqlite::Error> {
    let places = vec!["?"; values.len() + 1].join(", ");
    let seal = ValueRef::Integer(of_values(values).into());
    let all = values.iter().copied().chain([seal]).map(ToSqlOutput::Borrowed);
    db.prepare_cached(&format!("INSERT OR REPLACE INTO {table} VALUES ({places})"))?
        .execute(params_from_iter(all))?;
    Ok(())
}

/// Whether the last value of a row is the seal of those before it, of which there are `columns`.
pub(super) fn is_sealed(row: &Row<'_>, columns: usize) -> Result<bool, rusqlite::Error> {
    let values = (0..columns).map(|column| row.get_ref(column)).collect::<Result<Vec<_>, _>>()?;
    Ok(row.get_ref(columns)? == ValueRef::Integer(of_values(&values).into()))
}

/// Compares the rows of all tables that are sealed row by row with their seals, in a store of that schema.
///
/// # Errors
/// [`StoreError::Row`] names a table with a row that is not the one that was written.
pub(super) fn verify_rows(db: &Connection, schema: i64) -> Result<(), StoreError> {
    for (table, columns, _) in SEALED_TABLES.into_iter().filter(|(.., since)| *since <= schema) {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            if !is_sealed(row, columns)? {
                return Err(StoreError::Row(table));
            }
        }
    }
    Ok(())
}

/// Seals the rows of a store of the present schema as they are.
pub(super) fn seal_rows(db: &Connection) -> Result<(), StoreError> {
    for (table, columns, _) in SEALED_TABLES {
        let mut statement = db.prepare(&format!("SELECT * FROM {table}"))?;
        let values = |row: &Row<'_>| (0..columns).map(|column| row.get::<_, Value>(column)).collect();
        let rows: Vec<Vec<Value>> = statement.query_map([], values)?.collect::<Result<_, _>>()?;
        for row in rows {
            put_row(db, table, &row.iter().map(ValueRef::from).collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// The seal of a row with these values.
fn of_values(values: &[ValueRef<'_>]) -> u32 {
    let mut crc = flate2::Crc::new();
    for value in values {
        let number;
        // What kind it is and how long, so that nothing moves from one value into the next unseen.
        let (kind, bytes): (u8, &[u8]) = match value {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(integer) => {
                number = integer.to_le_bytes();
                (1, &number)
            }
            ValueRef::Real(real) => {
                number = real.to_le_bytes();
                (2, &number)
            }
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        crc.update(&[kind]);
        crc.update(&(bytes.len() as u64).to_le_bytes());
        crc.update(bytes);
    }
    crc.sum()
}

fn write(db: &Connection, (app, [labels, route, platform]): &Name, crc: u32) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO seal VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![app, labels, route, platform, crc])?;
    Ok(())
}

fn read(db: &Connection, of: Of<'_>) -> Result<BTreeMap<Name, u32>, StoreError> {
    let sql = format!("SELECT app, labels, route, platform, crc FROM seal WHERE {}", of.condition());
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(of.parameters()), |row| {
        Ok(((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]), row.get(4)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The seals that the sums must have.
fn seals(db: &Connection, sums: &Snapshot) -> Result<BTreeMap<Name, u32>, StoreError> {
    let mut seals = BTreeMap::new();
    let mut statement = db.prepare("SELECT id, name FROM app")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (app, app_name): (i64, String) = (row.get(0)?, row.get(1)?);
        let Some(tally) = sums.apps.get(app_name.as_str()) else { continue };
        seals.insert(own(app), of_app(tally));
        seals.extend(tally.sets.iter().map(|(key, set)| (name(app, key), of_set(set))));
    }
    Ok(seals)
}

fn own(app: i64) -> Name {
    (app, Default::default())
}

fn name(app: i64, key: &SetKey) -> Name {
    (app, [labels_text(&key.labels), key.route.as_str().to_owned(), key.platform.to_string()])
}

/// The seal of sums that are all zero.
const EMPTY: u32 = 0;

/// Every number of some sums, in an order of their own.
#[derive(Default)]
struct Numbers {
    crc: flate2::Crc,
    any: bool,
}

impl Numbers {
    fn add(&mut self, number: u64) {
        self.any |= number != 0;
        self.crc.update(&number.to_le_bytes());
    }

    fn add_all(&mut self, numbers: &[u64]) {
        self.add(numbers.len() as u64);
        for number in numbers {
            self.add(*number);
        }
    }

    fn add_histogram(&mut self, histogram: &Histogram) {
        self.add_all(&histogram.counts);
        self.add(histogram.sum.cast_unsigned());
    }

    fn seal(&self) -> u32 {
        if self.any { self.crc.sum() } else { EMPTY }
    }
}

fn of_app(tally: &AppTally) -> u32 {
    let mut numbers = Numbers::default();
    for ended in tally.ended {
        numbers.add(ended);
    }
    numbers.add_histogram(&tally.detection);
    numbers.seal()
}

fn of_set(set: &SetTally) -> u32 {
    let mut numbers = Numbers::default();
    for stage in &set.stages {
        for count in stage.results {
            numbers.add(count);
        }
        numbers.add(stage.failures.len() as u64);
        for ((reason, code), count) in &stage.failures {
            numbers.crc.update(reason.as_str().as_bytes());
            numbers.crc.update(code.to_string().as_bytes());
            numbers.add(*count);
        }
        numbers.add_histogram(&stage.delay);
    }
    // A set without a sampled pair has the seal it had before there was a sample.
    if set.sample != SampleTally::default() {
        set.sample.results.iter().for_each(|counts| numbers.add_all(counts));
        numbers.add_all(&set.sample.closed);
        numbers.add_histogram(&set.sample.delivery);
    }
    numbers.seal()
}
