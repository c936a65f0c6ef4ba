//! Reads an app's watch sources when they are due and hands each change of the list to its poller.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::{Posted, PostedChanges, Records};
use crate::metrics::{AppMetrics, Refused};
use crate::sys::run_blocking;
use crate::view::{API_SOURCE, SourceStatus};
use crate::watch::Entry;
use crate::watch::feed::{Figures, Kept, Report};

use super::clock::{StepWatch, wall_millis};
use super::first_look::Sources;
use super::in_force::{NewList, list_pause};

/// Between two looks at the sources, whatever a clock that was set says.
const LEAST_WAIT_MS: u64 = 100;
const MOST_WAIT_MS: u64 = 60_000;

/// What a feeder shows of its sources.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// In their order.
    pub sources: Arc<ArcSwap<Arc<[SourceStatus]>>>,
    /// The lists in force of all sources but the API.
    pub lists: Arc<ArcSwap<Vec<Arc<Vec<Entry>>>>>,
    pub all_read: AllRead,
    /// For the feeder that follows after a reload.
    kept: Arc<ArcSwap<Kept>>,
}

/// Whether every source of an app has given a list since the start: one that has not may name any pair.
#[derive(Clone, Debug, Default)]
pub struct AllRead(Arc<AtomicBool>);

impl AllRead {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, all_read: bool) {
        self.0.store(all_read, Ordering::Release);
    }
}

/// Feeds one poller.
pub struct Feeder {
    pub app: Arc<str>,
    /// The names of all sources, in their order.
    pub sources: Vec<String>,
    pub new_lists: mpsc::Sender<NewList>,
    pub metrics: Arc<AppMetrics>,
    pub shown: Shown,
    pub posts: Posts,
}

/// The watch API as a source.
pub struct Posts {
    pub records: Records,
    /// Tells when something was added or removed.
    pub changes: PostedChanges,
    /// Labels that entries may have by now; those that were taken out of the configuration since are left off.
    pub watch_labels: Arc<[Box<str>]>,
    /// Whether the source is shown while it is empty.
    pub enabled: bool,
}

impl Feeder {
    /// Feeds from `sources` until the poller ends. `in_force` is told when the first list is that holds what every source
    /// gave; no list waits for an address.
    pub async fn run(mut self, sources: Sources, in_force: oneshot::Sender<()>) {
        let mut in_force = Some(in_force);
        let mut is_first = true;
        let mut clock = StepWatch::default();
        self.begin();
        let mut posted = Arc::new(Vec::new());
        let mut posted_due = true;
        let mut posted_at: Option<Instant> = None;
        let (mut round, mut refreshed) = sources.looked_at(&self.shown.kept.load_full()).await;
        loop {
            for report in &refreshed.reports {
                self.tell_report(report);
            }
            let mut changed = refreshed.changed;
            if changed || !refreshed.reports.is_empty() {
                self.shown.kept.store(Arc::new(round.feed.kept()));
            }
            let posted_pause = self.posted_pause();
            if posted_due && posted_at.is_none_or(|at| at.elapsed() >= posted_pause) {
                posted_at = Some(Instant::now());
                self.posts.changes.see();
                if let Some(list) = self.posted().await {
                    posted_due = false;
                    changed |= list != *posted;
                    posted = Arc::new(list);
                }
            }
            let has_all = round.feed.has_asked_all();
            if changed || is_first || (has_all && in_force.is_some()) {
                is_first = false;
                let lists = round.feed.lists();
                self.shown.lists.store(Arc::new(lists.clone()));
                let entries = lists.into_iter().chain([posted.clone()]).collect();
                let list = NewList { entries, done: in_force.take_if(|_| has_all) };
                if self.new_lists.send(list).await.is_err() {
                    return; // The poller ended.
                }
            }
            self.shown.all_read.set(!posted_due && self.has_read_all());
            let wait = round.feed.next_at().map(|at| {
                let wait = u64::try_from(at.saturating_sub(wall_millis())).unwrap_or(0);
                Duration::from_millis(wait.clamp(LEAST_WAIT_MS, MOST_WAIT_MS))
            });
            let posted_wait =
                posted_at.filter(|_| posted_due).map(|at| posted_pause.saturating_sub(at.elapsed()));
            tokio::select! {
                () = sleep(wait) => {}
                () = sleep(posted_wait) => {}
                () = round.answered() => {}
                () = self.posts.changes.changed(), if !posted_due => posted_due = true,
                () = self.new_lists.closed() => return,
            }
            round.feed.shift(clock.step());
            refreshed = round.look().await;
        }
    }

    /// Whether each source but the API has been read well at least once.
    fn has_read_all(&self) -> bool {
        let sources = self.shown.sources.load();
        let is_read = |name: &String| sources.iter().any(|s| s.name == *name && s.last_success_at.is_some());
        self.sources.iter().filter(|name| *name != API_SOURCE).all(is_read)
    }

    /// Between two looks at what the watch API keeps.
    fn posted_pause(&self) -> Duration {
        list_pause(self.shown.sources.load().iter().map(|source| source.figures.entries).sum())
    }

    /// What the API keeps; `None` if it cannot be read now.
    async fn posted(&self) -> Option<Vec<Entry>> {
        let (records, app) = (self.posts.records.clone(), self.app.clone());
        let read = run_blocking(move || records.posted(&app)).await;
        let pairs = match read {
            Ok(pairs) => pairs,
            Err(error) => {
                tracing::error!(app = %self.app, %error, "the pairs of the watch API cannot be read");
                self.update(API_SOURCE, |source| {
                    source.is_read = true;
                    source.error = Some(error.to_string());
                });
                return None;
            }
        };
        let is_shown = self.posts.enabled
            || !pairs.is_empty()
            || self.shown.sources.load().iter().any(|source| source.name == API_SOURCE);
        if is_shown {
            self.update(API_SOURCE, |source| {
                source.is_read = true;
                source.figures = Figures { entries: pairs.len() as u64, lists: 1, ..Figures::default() };
                source.last_success_at = Some(wall_millis() / 1000);
                source.error = None;
            });
        }
        Some(entries(pairs, &self.posts.watch_labels))
    }

    fn tell_report(&self, report: &Report) {
        self.update(&report.source, |source| {
            source.is_read = true;
            source.figures = report.figures;
            source.last_success_at = report.last_success_at;
            source.error.clone_from(&report.error);
        });
        if report.newly_refused > 0 {
            self.metrics.pairs_refused(Refused::Invalid, report.newly_refused);
        }
        // Each fact once; that a source fails shows in the age of its last success as long as it lasts.
        for message in &report.messages {
            tracing::warn!(app = %self.app, source = report.source, "{message}");
        }
    }

    /// Shows all sources of the configuration from the first moment on, and none that left it.
    fn begin(&self) {
        for name in self.sources.iter().filter(|name| *name != API_SOURCE || self.posts.enabled) {
            self.update(name, |_| {});
        }
        self.show(self.shown.sources.load().to_vec());
        self.shown.all_read.set(false);
    }

    /// Shows what has changed of a source, on the page and as metrics.
    fn update(&self, name: &str, change: impl FnOnce(&mut SourceStatus)) {
        let mut sources = self.shown.sources.load().to_vec();
        let at = sources.iter().position(|source| source.name == name).unwrap_or_else(|| {
            sources.push(SourceStatus::unread(name));
            sources.len() - 1
        });
        let source = &mut sources[at];
        change(source);
        self.metrics.set_source(name, source.figures, source.is_up(), source.last_success_at);
        self.show(sources);
    }

    fn show(&self, mut sources: Vec<SourceStatus>) {
        let order = &self.sources;
        sources.retain(|source| order.contains(&source.name));
        sources.sort_by_key(|source| order.iter().position(|name| *name == source.name));
        self.shown.sources.store(Arc::new(sources.into()));
    }
}

/// Pairs as entries: neighbours of one push are one entry.
fn entries(pairs: Vec<Posted>, watch_labels: &[Box<str>]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for pair in pairs {
        let known = pair.labels.iter().filter(|(name, _)| watch_labels.contains(name));
        let labels = known.map(|(name, value)| (name.to_string(), value.to_string())).collect();
        match entries.last_mut() {
            Some(last)
                if last.task == pair.task && last.labels == labels && last.pushed_at == pair.pushed_at =>
            {
                last.users.push(pair.user);
            }
            _ => entries.push(Entry {
                task: pair.task,
                users: vec![pair.user],
                labels,
                pushed_at: pair.pushed_at,
            }),
        }
    }
    entries
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
