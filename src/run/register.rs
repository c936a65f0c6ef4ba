//! Keeps what the watch API is told, on disk before it answers, and tells the feeders.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::ledger::{Ledger, MAX_POSTED_PAIRS, OverCap, Posted, Posts, Records, Unreadable};
use crate::watch::Entry;
use crate::web::Veil;
use crate::web::desk::{Added, Post, Register, RegisterError, Removed, Target, UserName};

use super::clock::wall_seconds;
use super::desk::{Directory, Handle};
use super::question::Question;

/// Pairs of one request: so many are on disk within a fraction of a second, and polls wait no longer.
const MAX_POST_PAIRS: usize = 10_000;

/// The writing half of the watch API.
#[derive(Clone)]
pub(super) struct Book {
    pub directory: Directory,
    pub ledger: Ledger,
    pub records: Records,
    pub veil: Arc<Veil>,
}

impl Register for Book {
    fn add(&self, posts: Vec<Post>) -> BoxFuture<'static, Result<Added, RegisterError>> {
        let book = self.clone();
        Box::pin(async move { book.add_all(posts).await })
    }

    fn remove(&self, target: Target) -> BoxFuture<'static, Result<Removed, RegisterError>> {
        let book = self.clone();
        Box::pin(async move { book.remove_one(target).await })
    }
}

impl Book {
    async fn add_all(&self, posts: Vec<Post>) -> Result<Added, RegisterError> {
        let directory = self.directory.load_full();
        let apps = by_app(posts);
        if let Some((app, _)) = apps.iter().find(|(app, _)| !directory.contains_key(app)) {
            return Err(RegisterError::NoApp(app.to_string()));
        }
        let all: usize = apps.iter().map(|(_, pairs)| pairs.len()).sum();
        let counts: BTreeMap<Arc<str>, u64> =
            apps.iter().map(|(app, pairs)| (app.clone(), pairs.len() as u64)).collect();
        if all > MAX_POST_PAIRS {
            for (app, pairs) in &counts {
                self.refused(&directory, app, *pairs).await;
            }
            return Err(RegisterError::TooMany { pairs: all, cap: MAX_POST_PAIRS });
        }
        let told = self.ledger.post(apps, wall_seconds()).await.map_err(|_| RegisterError::Closed)?;
        match told {
            Ok(told) => {
                counts
                    .keys()
                    .filter_map(|app| directory.get(app))
                    .for_each(|handle| handle.posted.notify_one());
                Ok(Added { added: told.added, changed: told.changed, known: told.known })
            }
            Err(OverCap { app, would }) => {
                self.refused(&directory, &app, counts.get(&app).copied().unwrap_or(0)).await;
                Err(RegisterError::OverCap { app, would, cap: MAX_POSTED_PAIRS })
            }
        }
    }

    /// Counts pairs of an app that were refused.
    async fn refused(&self, directory: &BTreeMap<Arc<str>, Handle>, app: &Arc<str>, pairs: u64) {
        if let Some(handle) = directory.get(app) {
            // A poller that is gone counts nothing any more.
            let _ = handle.questions.send(Question::OverLimit(pairs)).await;
        }
    }

    async fn remove_one(&self, target: Target) -> Result<Removed, RegisterError> {
        let directory = self.directory.load_full();
        let Some((app, handle)) = directory.get_key_value(target.app.as_str()) else {
            return Err(RegisterError::NoApp(target.app));
        };
        let named = self.named(app, handle, &target).await?;
        let mut removed = 0;
        match &target.user {
            None => removed = self.unpost(app, &target.task, None).await?,
            Some(_) => {
                for user in named.posted {
                    removed += self.unpost(app, &target.task, Some(user)).await?;
                }
            }
        }
        handle.posted.notify_one();
        Ok(Removed { removed, still_listed: named.elsewhere })
    }

    async fn unpost(&self, app: &Arc<str>, task: &str, user: Option<String>) -> Result<u64, RegisterError> {
        self.ledger.unpost(app, task.to_owned(), user).await.map_err(|_| RegisterError::Closed)
    }

    /// Which pairs a target means.
    async fn named(&self, app: &Arc<str>, handle: &Handle, target: &Target) -> Result<Named, RegisterError> {
        let (veil, records, app) = (self.veil.clone(), self.records.clone(), app.clone());
        let (lists, target) = (handle.lists.load_full(), target.clone());
        let look = move || {
            let is_named = |user: &str| match &target.user {
                None => true,
                Some(UserName::Id(id)) => id == user,
                Some(UserName::Hash(hash)) => hash == user || veil.hash(&app, &target.task, user) == *hash,
            };
            let elsewhere =
                users_of(&lists, &target.task).filter(|user| is_named(user)).collect::<HashSet<_>>();
            let posted = match &target.user {
                Some(UserName::Id(id)) => vec![id.clone()],
                Some(UserName::Hash(_)) => {
                    let of_task = records.posted(&app)?.into_iter().filter(|pair| pair.task == target.task);
                    of_task.map(|pair| pair.user).filter(|user| is_named(user)).collect()
                }
                None => Vec::new(),
            };
            Ok(Named { posted, elsewhere: elsewhere.len() as u64 })
        };
        let looked = tokio::task::spawn_blocking(look).await.map_err(|_| RegisterError::Closed)?;
        looked.map_err(|error: Unreadable| {
            tracing::error!(%error, "the pairs of the watch API cannot be read");
            RegisterError::Unreadable
        })
    }
}

/// The pairs that a target names.
struct Named {
    /// Users of the task that may be in the API's list, where a user is named.
    posted: Vec<String>,
    /// Pairs that stand in other sources.
    elsewhere: u64,
}

fn users_of<'a>(lists: &'a [Arc<Vec<Entry>>], task: &'a str) -> impl Iterator<Item = &'a str> {
    let entries = lists.iter().flat_map(|list| list.iter()).filter(move |entry| entry.task == task);
    entries.flat_map(|entry| entry.users.iter().map(String::as_str))
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
