//! The sums on disk: written for what a batch has touched, read once at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};
use serde_json::{Map, Value, json};

use crate::trace::{Outcome, Platform, Reason, Route, Stage};
use crate::watch::LabelSet;

use super::Ended;
use super::count::Touched;
use super::store::{Store, StoreError};
use super::tally::{
    AppTally, Closed, CodeLabel, Histogram, OTHER, PlatformLabel, SampleTally, SetKey, SetTally, Snapshot,
    StageTally,
};

impl Store {
    /// Writes the sums of `app` that a batch has touched.
    pub fn write_sums(&self, app: i64, tally: &AppTally, touched: &Touched) -> Result<(), StoreError> {
        let ended = |reason: Ended| tally.ended[reason as usize];
        self.db
            .prepare_cached(
                "UPDATE app SET settled = ?2, expired = ?3, removed = ?4, detection = ?5 WHERE id = ?1",
            )?
            .execute(params![
                app,
                ended(Ended::Settled),
                ended(Ended::Expired),
                ended(Ended::Removed),
                histogram_text(&tally.detection)
            ])?;
        for (key, stage) in touched {
            if let Some(set) = tally.sets.get(key) {
                self.write_stage(app, key, *stage, set.stage(*stage))?;
                self.write_sample(app, key, *stage, &set.sample)?;
            }
        }
        Ok(())
    }

    fn write_sample(
        &self,
        app: i64,
        key: &SetKey,
        stage: Stage,
        sums: &SampleTally,
    ) -> Result<(), StoreError> {
        let (labels, route, platform) =
            (labels_text(&key.labels), key.route.as_str(), key.platform.to_string());
        for outcome in Outcome::ALL {
            let count = sums.results[stage as usize][outcome as usize];
            if count > 0 {
                self.db
                    .prepare_cached(
                        "INSERT OR REPLACE INTO sample_result VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    )?
                    .execute(params![
                        app,
                        labels,
                        route,
                        platform,
                        stage.as_str(),
                        outcome.as_str(),
                        count
                    ])?;
            }
        }
        if stage != Stage::Im {
            return Ok(()); // A pair that closes touches this one.
        }
        for closed in Closed::ALL.into_iter().filter(|closed| sums.closed[*closed as usize] > 0) {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO sample_closed VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![app, labels, route, platform, closed.as_str(), sums.closed[closed as usize]])?;
        }
        if sums.delivery.count() > 0 {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO sample_delivery VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![app, labels, route, platform, histogram_text(&sums.delivery)])?;
        }
        Ok(())
    }

    fn write_stage(&self, app: i64, key: &SetKey, stage: Stage, sums: &StageTally) -> Result<(), StoreError> {
        let (labels, platform) = (labels_text(&key.labels), key.platform.to_string());
        let (route, stage) = (key.route.as_str(), stage.as_str());
        for outcome in Outcome::ALL {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO result VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![
                    app,
                    labels,
                    route,
                    platform,
                    stage,
                    outcome.as_str(),
                    sums.result(outcome)
                ])?;
        }
        for ((reason, code), count) in &sums.failures {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO failure VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    app,
                    labels,
                    route,
                    platform,
                    stage,
                    reason.as_str(),
                    code.to_string(),
                    count
                ])?;
        }
        if sums.delay.count() > 0 {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO delay VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![app, labels, route, platform, stage, histogram_text(&sums.delay)])?;
        }
        Ok(())
    }
}

/// What the names in the table `meta` begin with under which stands when a set of labels came back last.
pub(super) const RETURNED: &str = "returned ";

/// Which rows of the sums are read.
#[derive(Clone, Copy)]
pub(super) enum Of<'a> {
    /// Those that are shown.
    Shown,
    /// Those of one app and set of labels, shown or not.
    One(i64, &'a str),
}

impl Of<'_> {
    /// The rows of a table, by its columns `app` and `labels`.
    pub(super) fn condition(&self) -> &'static str {
        match self {
            Of::Shown => "(app, labels) NOT IN (SELECT app, labels FROM label_set WHERE retired <> 0)",
            Of::One(..) => "app = ?1 AND labels = ?2",
        }
    }

    pub(super) fn parameters(&self) -> Vec<rusqlite::types::Value> {
        match self {
            Of::Shown => Vec::new(),
            Of::One(app, labels) => vec![(*app).into(), (*labels).to_owned().into()],
        }
    }
}

/// Reads all sums that are shown. Words that this version does not know are damage, not zero.
pub fn load(db: &Connection) -> Result<Snapshot, StoreError> {
    let mut apps: BTreeMap<i64, (String, AppTally)> = BTreeMap::new();
    let mut statement = db.prepare("SELECT id, name, settled, expired, removed, detection FROM app")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let tally = AppTally {
            ended: [row.get(2)?, row.get(3)?, row.get(4)?],
            detection: histogram_of(&row.get::<_, String>(5)?)?,
            ..AppTally::default()
        };
        apps.insert(row.get(0)?, (row.get(1)?, tally));
    }
    load_sets(db, Of::Shown, &mut apps)?;
    let mut statement = db.prepare("SELECT app, labels, watched_at FROM label_set WHERE retired = 0")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let app = apps.get_mut(&row.get::<_, i64>(0)?);
        let Some(((_, tally), labels)) = app.zip(labels_of(&text)) else {
            return Err(StoreError::Text(text));
        };
        Arc::make_mut(&mut tally.label_sets).insert(labels, row.get(2)?);
    }
    let mut returned = db.prepare_cached("SELECT CAST(value AS TEXT) FROM meta WHERE name = ?1")?;
    for (app, (_, tally)) in &mut apps {
        let at =
            returned.query_row([format!("{RETURNED}{app}")], |row| row.get::<_, String>(0)).optional()?;
        tally.label_sets_returned_at = at.and_then(|at| at.parse().ok()).unwrap_or(0);
    }
    let apps = apps.into_values().map(|(name, tally)| (Arc::from(name), Arc::new(tally))).collect();
    Ok(Snapshot { apps, committed_at: 0, size_bytes: 0 })
}

/// Reads the sums of sets into their apps.
pub(super) fn load_sets(
    db: &Connection,
    of: Of<'_>,
    apps: &mut BTreeMap<i64, (String, AppTally)>,
) -> Result<(), StoreError> {
    let number = |value: ValueRef<'_>| u64::try_from(value.as_i64().ok()?).ok();
    load_rows(db, ("SELECT *, '' FROM result", of), apps, |set, stage, (word, _), count| {
        let outcome = Outcome::ALL.into_iter().find(|o| o.as_str() == word)?;
        set.stages[stage as usize].results[outcome as usize] = number(count)?;
        Some(())
    })?;
    let failures = "SELECT app, labels, route, platform, stage, reason, count, code FROM failure";
    load_rows(db, (failures, of), apps, |set, stage, (word, code), count| {
        let reason = Reason::ALL.into_iter().find(|r| r.as_str() == word)?;
        let code = if code == OTHER { CodeLabel::Other } else { CodeLabel::Code(code.parse().ok()?) };
        set.stages[stage as usize].failures.insert((reason, code), number(count)?);
        Some(())
    })?;
    let delays = "SELECT app, labels, route, platform, stage, '', histogram, '' FROM delay";
    load_rows(db, (delays, of), apps, |set, stage, _, text| {
        set.stages[stage as usize].delay = histogram_of(text.as_str().ok()?).ok()?;
        Some(())
    })?;
    load_rows(db, ("SELECT *, '' FROM sample_result", of), apps, |set, stage, (word, _), count| {
        let outcome = Outcome::ALL.into_iter().find(|o| o.as_str() == word)?;
        set.sample.results[stage as usize][outcome as usize] = number(count)?;
        Some(())
    })?;
    // These two have no stage.
    let closed = "SELECT app, labels, route, platform, 'im', result, count, '' FROM sample_closed";
    load_rows(db, (closed, of), apps, |set, _, (word, _), count| {
        let closed = Closed::ALL.into_iter().find(|closed| closed.as_str() == word)?;
        set.sample.closed[closed as usize] = number(count)?;
        Some(())
    })?;
    let delivery = "SELECT app, labels, route, platform, 'im', '', histogram, '' FROM sample_delivery";
    load_rows(db, (delivery, of), apps, |set, _, _, text| {
        set.sample.delivery = histogram_of(text.as_str().ok()?).ok()?;
        Some(())
    })
}

/// Hands each row of the selection (app, labels, route, platform, stage, word, value, code) to `put`.
fn load_rows(
    db: &Connection,
    (select, of): (&str, Of<'_>),
    apps: &mut BTreeMap<i64, (String, AppTally)>,
    put: impl Fn(&mut SetTally, Stage, (&str, &str), ValueRef<'_>) -> Option<()>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(&format!("{select} WHERE {}", of.condition()))?;
    let mut rows = statement.query(params_from_iter(of.parameters()))?;
    while let Some(row) = rows.next()? {
        let [labels, route, platform, stage, word, code] =
            [1, 2, 3, 4, 5, 7].map(|column| row.get::<_, String>(column));
        let (word, code) = (word?, code?);
        let (labels, route, platform, stage) = (labels?, route?, platform?, stage?);
        let place = || {
            let key = SetKey {
                labels: labels_of(&labels)?,
                route: Route::ALL.into_iter().find(|r| r.as_str() == route)?,
                platform: platform_of(&platform)?,
            };
            Some((key, Stage::ALL.into_iter().find(|s| s.as_str() == stage)?))
        };
        let damaged = || StoreError::Text(format!("{labels} {route} {platform} {stage} {word} {code}"));
        let (key, stage) = place().ok_or_else(damaged)?;
        let (_, tally) = apps.get_mut(&row.get::<_, i64>(0)?).ok_or_else(damaged)?;
        let set = Arc::make_mut(tally.sets.entry(key).or_default());
        put(set, stage, (&word, &code), row.get_ref(6)?).ok_or_else(damaged)?;
    }
    Ok(())
}

pub(super) fn labels_text(labels: &LabelSet) -> String {
    let map: Map<String, Value> =
        labels.iter().map(|(name, value)| (name.to_string(), Value::from(value.as_ref()))).collect();
    Value::Object(map).to_string()
}

pub(super) fn labels_of(text: &str) -> Option<LabelSet> {
    let map: BTreeMap<Box<str>, Box<str>> = serde_json::from_str(text).ok()?;
    Some(map.into_iter().collect())
}

fn platform_of(text: &str) -> Option<PlatformLabel> {
    if text == OTHER {
        return Some(PlatformLabel::Other);
    }
    let numbered = || text.strip_prefix("platform_")?.parse().ok().map(Platform::Vendor);
    Platform::from_name(text).or_else(numbered).map(PlatformLabel::Of)
}

fn histogram_text(histogram: &Histogram) -> String {
    match histogram.count() {
        0 => "{}".to_owned(),
        _ => json!({ "counts": histogram.counts, "sum": histogram.sum }).to_string(),
    }
}

fn histogram_of(text: &str) -> Result<Histogram, StoreError> {
    let read = || {
        let value: Value = serde_json::from_str(text).ok()?;
        if value.as_object()?.is_empty() {
            return Some(Histogram::default());
        }
        let counts = value["counts"].as_array()?.iter().map(Value::as_u64).collect::<Option<Vec<_>>>()?;
        Some(Histogram { counts, sum: value["sum"].as_i64()? })
    };
    read().ok_or_else(|| StoreError::Text(text.to_owned()))
}
