//! Reads an app's watch sources when they are due and hands each change of the list to its poller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::ledger::{Posted, Records};
use crate::metrics::{AppMetrics, Refused};
use crate::watch::Entry;
use crate::watch::feed::{Given, Report};
use crate::web::SourceStatus;

use super::clock::{StepWatch, wall_millis};
use super::first_look::Sources;
use super::pairs::list_pause;
use super::poller::Command;

/// Between two looks at the sources, whatever a clock that was set says.
const LEAST_WAIT_MS: u64 = 100;
const MOST_WAIT_MS: u64 = 60_000;

/// The name of the watch API among the sources.
pub(super) const API: &str = "api";

/// What a feeder shows of its sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown {
    /// In their order.
    pub sources: Arc<ArcSwap<Arc<[SourceStatus]>>>,
    /// The lists in force of all sources but the API.
    pub lists: Arc<ArcSwap<Vec<Arc<Vec<Entry>>>>>,
    /// Those that came over HTTP, for the feeder that follows after a reload.
    given: Arc<ArcSwap<Vec<Given>>>,
}

/// Feeds one poller.
pub(super) struct Feeder {
    pub app: Arc<str>,
    /// The names of all sources, in their order.
    pub sources: Vec<String>,
    pub commands: mpsc::Sender<Command>,
    pub metrics: Arc<AppMetrics>,
    pub shown: Shown,
    pub posts: Posts,
}

/// The watch API as a source.
pub(super) struct Posts {
    pub records: Records,
    /// Told when something was added or removed.
    pub changed: Arc<Notify>,
    /// Labels that entries may have by now; those that were taken out of the configuration since are left off.
    pub watch_labels: Arc<[Box<str>]>,
    /// Whether the source is shown while it is empty.
    pub enabled: bool,
}

impl Feeder {
    /// Feeds from `sources` until the poller ends. `in_force` is told when the first list is that holds what every source
    /// gave; no list waits for an address.
    pub async fn run(self, sources: Sources, in_force: oneshot::Sender<()>) {
        let mut in_force = Some(in_force);
        let mut is_first = true;
        let mut clock = StepWatch::default();
        self.show(self.shown.sources.load().to_vec()); // Without those that left the configuration.
        let mut posted = Arc::new(Vec::new());
        let mut posted_due = true;
        let mut posted_at: Option<Instant> = None;
        let (mut round, mut refreshed) = sources.looked_at().await;
        round.feed.go_on(self.shown.given.load().to_vec());
        loop {
            for report in &refreshed.reports {
                self.tell_report(report);
            }
            let mut changed = refreshed.changed;
            let posted_pause = self.posted_pause();
            if posted_due && posted_at.is_none_or(|at| at.elapsed() >= posted_pause) {
                posted_at = Some(Instant::now());
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
                self.shown.given.store(Arc::new(round.feed.given()));
                let entries = lists.into_iter().chain([posted.clone()]).collect();
                let list = Command::List { entries, done: in_force.take_if(|_| has_all) };
                if self.commands.send(list).await.is_err() {
                    return; // The poller ended.
                }
            }
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
                () = self.posts.changed.notified(), if !posted_due => posted_due = true,
                () = self.commands.closed() => return,
            }
            round.feed.shift(clock.step());
            refreshed = round.look().await;
        }
    }

    /// Between two looks at what the watch API keeps.
    fn posted_pause(&self) -> Duration {
        list_pause(self.shown.sources.load().iter().map(|source| source.entries).sum())
    }

    /// What the API keeps; `None` if it cannot be read now.
    async fn posted(&self) -> Option<Vec<Entry>> {
        let (records, app) = (self.posts.records.clone(), self.app.clone());
        let read = tokio::task::spawn_blocking(move || records.posted(&app)).await.ok()?;
        let (pairs, failing) = match read {
            Ok(pairs) => (pairs, false),
            Err(error) => {
                tracing::error!(app = %self.app, %error, "the pairs of the watch API cannot be read");
                self.show_source(API, None, true);
                return None;
            }
        };
        let is_shown = self.posts.enabled
            || !pairs.is_empty()
            || self.shown.sources.load().iter().any(|source| source.name == API);
        if is_shown {
            let at = wall_millis() / 1000;
            self.metrics.set_source(API, pairs.len() as u64, Some(at));
            self.show_source(API, Some((pairs.len() as u64, Some(at))), failing);
        }
        Some(entries(pairs, &self.posts.watch_labels))
    }

    fn tell_report(&self, report: &Report) {
        self.metrics.set_source(&report.source, report.entries, report.last_success_at);
        let figures = Some((report.entries, report.last_success_at));
        self.show_source(&report.source, figures, report.error.is_some());
        if report.refused > 0 {
            self.metrics.pairs_refused(Refused::Invalid, report.refused);
        }
        // Each fact once; that a source fails shows in the age of its last success as long as it lasts.
        for message in &report.messages {
            tracing::warn!(app = %self.app, source = report.source, "{message}");
        }
    }

    /// Shows a source with its entries and last success; with those it had where there is nothing new.
    fn show_source(&self, name: &str, figures: Option<(u64, Option<i64>)>, failing: bool) {
        let mut sources = self.shown.sources.load().to_vec();
        let at = sources.iter().position(|source| source.name == name);
        let before = at.map(|at| (sources[at].entries, sources[at].last_success_at));
        let (entries, last_success_at) = figures.or(before).unwrap_or_default();
        let source = SourceStatus { name: name.to_owned(), entries, last_success_at, failing };
        match at {
            Some(at) => sources[at] = source,
            None => sources.push(source),
        }
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
