//! The sums on disk: written for what a batch has touched, read once at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};

use crate::trace::{Outcome, Platform, Reason, Route, Stage};
use crate::watch::LabelSet;

use super::Ended;
use super::count::Touched;
use super::store::{Store, StoreError};
use super::tally::{AppTally, CodeLabel, Histogram, OTHER, PlatformLabel, SetKey, Snapshot, StageTally};

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
            }
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

/// Reads all sums. Words that this version does not know are damage, not zero.
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
    load_stages(db, "SELECT *, '' FROM result", &mut apps, |stage, word, _, count| {
        let outcome = Outcome::ALL.into_iter().find(|o| o.as_str() == word)?;
        stage.results[outcome as usize] = u64::try_from(count.as_i64().ok()?).ok()?;
        Some(())
    })?;
    let failures = "SELECT app, labels, route, platform, stage, reason, count, code FROM failure";
    load_stages(db, failures, &mut apps, |stage, word, code, count| {
        let reason = Reason::ALL.into_iter().find(|r| r.as_str() == word)?;
        let code = if code == OTHER { CodeLabel::Other } else { CodeLabel::Code(code.parse().ok()?) };
        stage.failures.insert((reason, code), u64::try_from(count.as_i64().ok()?).ok()?);
        Some(())
    })?;
    let delays = "SELECT app, labels, route, platform, stage, '', histogram, '' FROM delay";
    load_stages(db, delays, &mut apps, |stage, _, _, text| {
        stage.delay = histogram_of(text.as_str().ok()?).ok()?;
        Some(())
    })?;
    let apps = apps.into_values().map(|(name, tally)| (Arc::from(name), Arc::new(tally))).collect();
    Ok(Snapshot { apps, committed_at: 0, size_bytes: 0 })
}

/// Hands each row of `sql` (app, labels, route, platform, stage, word, value, code) to `put`.
fn load_stages(
    db: &Connection,
    sql: &str,
    apps: &mut BTreeMap<i64, (String, AppTally)>,
    put: impl Fn(&mut StageTally, &str, &str, rusqlite::types::ValueRef<'_>) -> Option<()>,
) -> Result<(), StoreError> {
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
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
        put(&mut set.stages[stage as usize], &word, &code, row.get_ref(6)?).ok_or_else(damaged)?;
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
