//! Checksums of the sums on disk: a number that was damaged is damage, and not another count.
//!
//! SQLite keeps no checksum of a page, and a count has nothing beside it that could prove it wrong. So each set of sums
//! has a seal, written in the transaction that changes the set. The records of the pairs carry their own.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::count::Touched;
use super::store::{Store, StoreError};
use super::sums::labels_text;
use super::tally::{AppTally, Histogram, SetKey, SetTally, Snapshot};

/// The app's row, then labels, route and platform as the rows of a set hold them.
type Name = (i64, [String; 3]);

/// Seals all sums of a store that has none of them sealed.
pub(super) fn seal(db: &Connection, sums: &Snapshot) -> Result<(), StoreError> {
    seals(db, sums)?.iter().try_for_each(|(name, crc)| write(db, name, *crc))
}

/// Compares all seals with the sums that were loaded.
///
/// # Errors
/// [`StoreError::Seal`] names a set whose sums are not those that were written.
pub(super) fn verify(db: &Connection, sums: &Snapshot) -> Result<(), StoreError> {
    let expected = seals(db, sums)?;
    let found = read(db)?;
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

fn write(db: &Connection, (app, [labels, route, platform]): &Name, crc: u32) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR REPLACE INTO seal VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![app, labels, route, platform, crc])?;
    Ok(())
}

fn read(db: &Connection) -> Result<BTreeMap<Name, u32>, StoreError> {
    let mut statement = db.prepare("SELECT app, labels, route, platform, crc FROM seal")?;
    let rows = statement
        .query_map([], |row| Ok(((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]), row.get(4)?)))?;
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
    numbers.seal()
}
