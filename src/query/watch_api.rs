//! Keeps what the watch API is told, on disk before it answers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::document::format_duration;
use crate::ledger::fold::counts_from;
use crate::ledger::{
    Damage, Ledger, MAX_POSTED_PAIRS, OverCap, PairRow, PostCounts, PostError, Posted, Posts, Records,
};
use crate::poller::clock::wall_seconds;
use crate::poller::list_scan::PollerQuery;
use crate::view::{Added, Post, Removed, Target, WatchStore, WatchStoreError};
use crate::watch::Entry;

use super::service::{Directory, Handle};

/// Pairs of one request: so many are on disk within a fraction of a second, and polls wait no longer.
const MAX_POST_PAIRS: usize = 10_000;

/// Pairs that are not polled and that one answer names; the others are counted.
const MAX_PAIRS_TOLD: usize = 100;

/// The writing half of the watch API.
#[derive(Clone)]
pub struct WatchApi {
    pub directory: Directory,
    pub ledger: Ledger,
    pub records: Records,
}

impl WatchStore for WatchApi {
    fn add(&self, posts: Vec<Post>) -> BoxFuture<'static, Result<Added, WatchStoreError>> {
        let book = self.clone();
        Box::pin(async move { book.add_all(posts).await })
    }

    fn remove(&self, target: Target) -> BoxFuture<'static, Result<Removed, WatchStoreError>> {
        let book = self.clone();
        Box::pin(async move { book.remove_one(target).await })
    }
}

impl WatchApi {
    async fn add_all(&self, posts: Vec<Post>) -> Result<Added, WatchStoreError> {
        let directory = self.directory.load_full();
        let apps = by_app(posts);
        if let Some((app, _)) = apps.iter().find(|(app, _)| !directory.contains_key(app)) {
            return Err(WatchStoreError::NoApp(app.to_string()));
        }
        for (app, pairs) in &apps {
            let watch_for = directory.get(app).map_or(Duration::MAX, |handle| handle.watch_for);
            let pushes = too_old(pairs, wall_seconds(), watch_for);
            if !pushes.is_empty() {
                return Err(WatchStoreError::TooOld { app: app.clone(), pushes, watch_for });
            }
        }
        let all: usize = apps.iter().map(|(_, pairs)| pairs.len()).sum();
        let counts: BTreeMap<Arc<str>, u64> =
            apps.iter().map(|(app, pairs)| (app.clone(), pairs.len() as u64)).collect();
        if all > MAX_POST_PAIRS {
            for (app, pairs) in &counts {
                self.refused(&directory, app, *pairs).await;
            }
            return Err(WatchStoreError::TooMany { pairs: all, cap: MAX_POST_PAIRS });
        }
        let mut not_polled = self.left_out(&directory, &apps).await;
        match self.ledger.post(apps.clone(), wall_seconds()).await {
            Ok(PostCounts { added, changed, known }) => {
                not_polled.extend(self.over(&directory, apps).await);
                Ok(Added { added, changed, known, not_polled })
            }
            Err(PostError::OverCap(OverCap { app, would })) => {
                self.refused(&directory, &app, counts.get(&app).copied().unwrap_or(0)).await;
                Err(WatchStoreError::OverCap { app, would, cap: MAX_POSTED_PAIRS })
            }
            Err(PostError::Full) => Err(WatchStoreError::Busy),
            Err(PostError::Closed) => Err(WatchStoreError::Closed),
        }
    }

    /// Tells of apps whose lists have no room for all of these pairs.
    async fn left_out(&self, directory: &BTreeMap<Arc<str>, Handle>, apps: &Posts) -> Vec<String> {
        let mut told = Vec::new();
        for (app, pairs) in apps {
            let Some(handle) = directory.get(app) else { continue };
            let pairs = pairs.iter().map(|pair| (pair.task.clone(), pair.user.clone())).collect();
            let (reply, answer) = oneshot::channel();
            // A poller that is gone polls nothing.
            let asked = handle.queries.send(PollerQuery::LeftOut { pairs, reply }).await;
            if asked.is_ok()
                && let Ok(left_out @ 1..) = answer.await
            {
                told.push(format!(
                    "app {app}: max_pairs is reached: {left_out} of the pairs wait for others to end"
                ));
            }
        }
        told
    }

    /// Tells of pairs that the ledger knows as over or damaged, and that are not polled for that.
    async fn over(&self, directory: &BTreeMap<Arc<str>, Handle>, apps: Posts) -> Vec<String> {
        let watched: Vec<_> = apps
            .into_iter()
            .filter_map(|(app, pairs)| Some((directory.get(&app)?.watch_for, app, pairs)))
            .collect();
        let records = self.records.clone();
        let look = move || {
            let mut told = Vec::new();
            for (watch_for, app, pairs) in watched {
                match records.pairs_of(&app, &pairs) {
                    Ok(rows) => told.extend(pairs.iter().zip(rows).filter_map(|(pair, row)| {
                        let why = not_polled(pair, &row?, watch_for)?;
                        Some(format!(
                            "app {app}: task {:?}, user {:?}: not polled: {why}",
                            pair.task, pair.user
                        ))
                    })),
                    // They are on disk and may be polled; only this cannot be told.
                    Err(error) => tracing::error!(%app, %error, "cannot read what is known of added pairs"),
                }
            }
            told
        };
        let mut told = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        if told.len() > MAX_PAIRS_TOLD {
            let more = told.len() - MAX_PAIRS_TOLD;
            told.truncate(MAX_PAIRS_TOLD);
            told.push(format!("and {more} more pairs that are not polled"));
        }
        told
    }

    /// Counts pairs of an app that were refused.
    async fn refused(&self, directory: &BTreeMap<Arc<str>, Handle>, app: &Arc<str>, pairs: u64) {
        if let Some(handle) = directory.get(app) {
            // A poller that is gone counts nothing any more.
            let _ = handle.queries.send(PollerQuery::OverLimit(pairs)).await;
        }
    }

    async fn remove_one(&self, target: Target) -> Result<Removed, WatchStoreError> {
        let directory = self.directory.load_full();
        let Some((app, handle)) = directory.get_key_value(target.app.as_str()) else {
            return Err(WatchStoreError::NoApp(target.app));
        };
        let still_listed = listed_elsewhere(handle, &target).await?;
        let Target { task, user, .. } = target;
        let removed = self.ledger.unpost(app, task, user).await.map_err(|_| WatchStoreError::Closed)?;
        Ok(Removed { removed, still_listed })
    }
}

/// How many of the pairs that a target names stand in other sources.
async fn listed_elsewhere(handle: &Handle, target: &Target) -> Result<u64, WatchStoreError> {
    let (lists, target) = (handle.lists.load_full(), target.clone());
    let look = move || {
        let is_named = |user: &&str| target.user.as_deref().is_none_or(|named| named == *user);
        users_of(&lists, &target.task).filter(is_named).collect::<HashSet<_>>().len() as u64
    };
    tokio::task::spawn_blocking(look).await.map_err(|_| WatchStoreError::Closed)
}

fn users_of<'a>(lists: &'a [Arc<Vec<Entry>>], task: &'a str) -> impl Iterator<Item = &'a str> {
    let entries = lists.iter().flat_map(|list| list.iter()).filter(move |entry| entry.task == task);
    entries.flat_map(|entry| entry.users.iter().map(String::as_str))
}

/// Why a pair that was added is not polled, where what is known of it says so.
fn not_polled(pair: &Posted, row: &PairRow, watch_for: Duration) -> Option<String> {
    if row.damage != Damage::None {
        return Some("what the ledger knows of it is damaged".to_owned());
    }
    let pushed_at = counts_from(pair.pushed_at, row.record.pushed_at(), row.added_at);
    let is_over = pushed_at.saturating_add_unsigned(watch_for.as_secs()) <= wall_seconds();
    is_over.then(|| {
        format!(
            "its push is longer ago than watch_for ({}); give pushed_at if it was pushed again",
            format_duration(watch_for)
        )
    })
}

/// The pushes that are over at `now`, task by task; the schedule would not poll their pairs.
fn too_old(pairs: &[Posted], now: i64, watch_for: Duration) -> Vec<(String, i64)> {
    let is_over = |at: &i64| at.saturating_add_unsigned(watch_for.as_secs()) <= now;
    let over = pairs.iter().filter_map(|pair| Some((pair.task.clone(), pair.pushed_at.filter(is_over)?)));
    let mut over: Vec<(String, i64)> = over.collect();
    over.dedup();
    over
}

/// The pairs of each app, each once; the first place says its labels and push time.
fn by_app(posts: Vec<Post>) -> Posts {
    let mut seen = HashSet::new();
    let mut apps: BTreeMap<Arc<str>, Vec<Posted>> = BTreeMap::new();
    for Post { app, entry } in posts {
        let labels = entry.label_set();
        let pairs = apps.entry(app.clone()).or_default();
        for user in entry.users {
            if seen.insert((app.clone(), entry.task.clone(), user.clone())) {
                pairs.push(Posted {
                    task: entry.task.clone(),
                    user,
                    labels: labels.clone(),
                    pushed_at: entry.pushed_at,
                });
            }
        }
    }
    apps.into_iter().collect()
}
