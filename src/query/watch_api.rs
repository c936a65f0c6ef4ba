//! Keeps what the watch API is told, on disk before it answers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::ledger::{Ledger, MAX_POSTED_PAIRS, OverCap, PostError, Posted, Posts};
use crate::poller::clock::wall_seconds;
use crate::poller::list_scan::PollerQuery;
use crate::view::{Added, Post, Removed, Target, WatchStore, WatchStoreError};
use crate::watch::Entry;

use super::service::{Directory, Handle};

/// Pairs of one request: so many are on disk within a fraction of a second, and polls wait no longer.
const MAX_POST_PAIRS: usize = 10_000;

/// The writing half of the watch API.
#[derive(Clone)]
pub struct WatchApi {
    pub directory: Directory,
    pub ledger: Ledger,
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
        match self.ledger.post(apps, wall_seconds()).await {
            Ok(told) => Ok(Added { added: told.added, changed: told.changed, known: told.known }),
            Err(PostError::OverCap(OverCap { app, would })) => {
                self.refused(&directory, &app, counts.get(&app).copied().unwrap_or(0)).await;
                Err(WatchStoreError::OverCap { app, would, cap: MAX_POSTED_PAIRS })
            }
            Err(PostError::Full) => Err(WatchStoreError::Busy),
            Err(PostError::Closed) => Err(WatchStoreError::Closed),
        }
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
