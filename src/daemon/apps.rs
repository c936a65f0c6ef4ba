//! The pollers and feeds of all apps, and how a reload changes them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::api::client::Client;
use crate::budget::{Budgets, Share};
use crate::config::App;
use crate::ledger::{Ledger, Records};
use crate::metrics::{AppMetrics, PushView, Registry};

use super::tasks::{Ended, Tasks};
use crate::poller::feeder::{Feeder, Posts, Shown};
use crate::poller::first_look::{FirstLooks, Sources};
use crate::poller::heartbeat::Heartbeat;
use crate::poller::inbox::{NewSettings, Outbox, inbox};
use crate::poller::{Poller, Tools};
use crate::query::{Directory, Handle};
use crate::view::{API_SOURCE, AppStatus};

/// Where the slot files of the budgets lie, below the storage folder.
pub const BUDGET_FOLDER: &str = "budget";

/// The task that is of no app.
const FORGETTER: &str = "the task that forgets pairs of former apps";
/// How long an app that left may take to end.
const DISMISS_DEADLINE: Duration = Duration::from_secs(12);

/// What all apps share.
pub struct Shared {
    pub budgets: Budgets,
    pub ledger: Ledger,
    pub client: Client,
    pub registry: Registry,
    pub records: Records,
    /// Where pages find the pollers.
    pub directory: Directory,
    /// Whether the watch API may be written to.
    pub watch_api: bool,
}

/// An app could not be started.
#[derive(Debug, thiserror::Error)]
#[error("app {app}: {why}")]
pub struct StartError {
    pub app: Arc<str>,
    pub why: String,
}

/// One running app.
struct Member {
    app: App,
    outbox: Outbox,
    metrics: Arc<AppMetrics>,
    status: Arc<ArcSwap<AppStatus>>,
    poller: JoinHandle<()>,
    feed: AbortHandle,
    handle: Handle,
    shown: Shown,
}

/// All running apps. One task owns it.
pub struct Apps {
    shared: Shared,
    cancel: CancellationToken,
    members: BTreeMap<Arc<str>, Member>,
    /// Those that feed the pollers, and one that forgets pairs of apps that are gone.
    feeds: Tasks,
}

/// An app that was prepared: everything that can fail is done.
pub struct Prepared {
    app: App,
    sources: Sources,
    /// `None` for an app that runs already and asks for the same SDKAppID at the same host.
    budget: Option<Share>,
}

impl Apps {
    /// No apps yet; all of them stop when `cancel` says so.
    pub fn new(shared: Shared, cancel: CancellationToken) -> Apps {
        Apps { shared, cancel, members: BTreeMap::new(), feeds: Tasks::default() }
    }

    /// Does all that can fail of putting `apps` into force, and changes nothing. `looks` are those that have begun.
    ///
    /// # Errors
    /// Every app that cannot be started.
    pub fn prepare(&self, apps: &[App], mut looks: FirstLooks) -> Result<Vec<Prepared>, Vec<StartError>> {
        let mut prepared = Vec::with_capacity(apps.len());
        let mut errors = Vec::new();
        for app in apps {
            match self.prepare_one(app, &mut looks) {
                Ok(one) => prepared.push(one),
                Err(why) => errors.push(StartError { app: app.name.clone(), why }),
            }
        }
        if errors.is_empty() { Ok(prepared) } else { Err(errors) }
    }

    fn prepare_one(&self, app: &App, looks: &mut FirstLooks) -> Result<Prepared, String> {
        let sources = looks.take(app).map_err(|error| error.to_string())?;
        self.shared.client.prepare(&app.endpoint).map_err(|error| error.to_string())?;
        let key = app.budget_key();
        let has_budget = self.members.get(&app.name).is_some_and(|member| member.app.budget_key() == key);
        let open = || self.shared.budgets.open(&key, &app.name, app.requests_per_second);
        let budget = (!has_budget).then(open).transpose().map_err(|error| error.to_string())?;
        Ok(Prepared { app: app.clone(), sources, budget })
    }

    /// Puts what was prepared into force: apps that stay go on, others end, new ones begin. Gives a receiver for each
    /// list that is on its way into force.
    ///
    /// # Errors
    /// Metrics of an app cannot be registered.
    pub async fn apply(&mut self, prepared: Vec<Prepared>) -> Result<Vec<oneshot::Receiver<()>>, StartError> {
        let leaving: Vec<Arc<str>> = {
            let stays = |name: &Arc<str>| prepared.iter().any(|p| p.app.name == *name);
            self.members.keys().filter(|name| !stays(name)).cloned().collect()
        };
        self.dismiss(&leaving).await;
        let begun = self.begin_all(prepared);
        self.shared.budgets.tidy(SystemTime::now());
        self.publish_directory();
        self.forget_absent();
        begun
    }

    /// Has the ledger forget pairs of apps that the configuration does not name: no source names them.
    fn forget_absent(&mut self) {
        let ledger = self.shared.ledger.clone();
        let apps = ledger.snapshot().apps.keys().cloned().collect::<Vec<_>>();
        let absent: Vec<_> = apps.into_iter().filter(|app| !self.members.contains_key(app)).collect();
        if !absent.is_empty() {
            self.feeds.spawn(FORGETTER.to_owned(), async move {
                for app in absent {
                    while ledger.forget(&app).await.unwrap_or(false) {}
                }
            });
        }
    }

    fn publish_directory(&self) {
        let handles = self.members.iter().map(|(name, member)| (name.clone(), member.handle.clone()));
        self.shared.directory.store(Arc::new(handles.collect()));
    }

    fn begin_all(&mut self, prepared: Vec<Prepared>) -> Result<Vec<oneshot::Receiver<()>>, StartError> {
        let mut lists = Vec::new();
        for one in prepared {
            let name = one.app.name.clone();
            match one.budget {
                Some(budget) if !self.members.contains_key(&name) => {
                    let begun = self.begin(one.app, one.sources, budget);
                    lists.push(begun.map_err(|why| StartError { app: name, why })?);
                }
                budget => lists.extend(self.change(one.app, one.sources, budget)),
            }
        }
        Ok(lists)
    }

    fn begin(&mut self, app: App, sources: Sources, budget: Share) -> Result<oneshot::Receiver<()>, String> {
        let metrics = self.shared.registry.app(&app.name, app.sdk_app_id, app.region);
        let metrics = Arc::new(metrics.map_err(|error| error.to_string())?);
        let status = Arc::new(ArcSwap::default());
        let shown = Shown::default();
        let heartbeat = Heartbeat::default();
        let tools = Tools {
            ledger: self.shared.ledger.clone(),
            client: self.shared.client.clone(),
            budget,
            metrics: metrics.clone(),
            status: status.clone(),
            all_read: shown.all_read.clone(),
            heartbeat: heartbeat.clone(),
        };
        let (outbox, inbox) = inbox();
        let poller = Poller::new(app.clone(), tools);
        let poller = tokio::spawn(poller.run(inbox, self.cancel.clone()));
        let handle = Handle {
            queries: outbox.queries.clone(),
            lists: shown.lists.clone(),
            watch_for: app.watch_for,
            heartbeat,
        };
        let posts = self.posts(&app);
        let feeder = Feeder {
            app: app.name.clone(),
            sources: names(&sources),
            new_lists: outbox.lists.clone(),
            metrics: metrics.clone(),
            shown: shown.clone(),
            posts,
        };
        let (feed, first) = self.start_feeder(feeder, sources);
        let name = app.name.clone();
        let member = Member { app, outbox, metrics, status, poller, feed, handle, shown };
        self.members.insert(name, member);
        Ok(first)
    }

    fn posts(&self, app: &App) -> Posts {
        Posts {
            records: self.shared.records.clone(),
            changes: self.shared.ledger.posted_changes(&app.name),
            watch_labels: app.watch_labels.clone(),
            enabled: self.shared.watch_api,
        }
    }

    /// Starts the task that feeds the poller.
    fn start_feeder(&mut self, feeder: Feeder, sources: Sources) -> (AbortHandle, oneshot::Receiver<()>) {
        let (in_force, first) = oneshot::channel();
        let name = format!("the feeder of app {}", feeder.app);
        (self.feeds.spawn(name, feeder.run(sources, in_force)), first)
    }

    fn change(&mut self, app: App, sources: Sources, budget: Option<Share>) -> Option<oneshot::Receiver<()>> {
        let member = self.members.get(&app.name)?;
        if member.app == app {
            return None;
        }
        member.feed.abort();
        let feeder = Feeder {
            app: app.name.clone(),
            sources: names(&sources),
            new_lists: member.outbox.lists.clone(),
            metrics: member.metrics.clone(),
            shown: member.shown.clone(),
            posts: self.posts(&app),
        };
        let shown: Vec<&str> = feeder.sources.iter().map(String::as_str).collect();
        member.metrics.retain_sources(&shown);
        member.outbox.settings.put(NewSettings { app: app.clone(), budget });
        let (feed, first) = self.start_feeder(feeder, sources);
        let member = self.members.get_mut(&app.name)?;
        member.feed = feed;
        member.handle.watch_for = app.watch_for;
        member.app = app;
        Some(first)
    }

    /// Ends apps, all at once.
    async fn dismiss(&mut self, leaving: &[Arc<str>]) {
        let members: Vec<_> = leaving.iter().filter_map(|name| self.members.remove_entry(name)).collect();
        // First of all, so that no page asks a poller that ends.
        self.publish_directory();
        join_all(members.into_iter().map(|(name, mut member)| async move {
            member.feed.abort();
            member.outbox.dismissed.cancel();
            match tokio::time::timeout(DISMISS_DEADLINE, &mut member.poller).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(app = %name, %error, "poller ended badly"),
                Err(_) => {
                    member.poller.abort();
                    let _ = member.poller.await; // It was cancelled.
                    tracing::error!(app = %name, "poller did not end in time; it waited for the ledger");
                }
            }
            tracing::info!(app = %name, "app left the configuration");
        }))
        .await;
    }

    /// The label views of all apps.
    pub fn views(&self) -> Vec<PushView> {
        let view =
            |m: &Member| PushView { app: m.app.name.clone(), watch_labels: m.app.watch_labels.clone() };
        self.members.values().map(view).collect()
    }

    /// What the status page tells of all apps.
    pub fn statuses(&self) -> Vec<AppStatus> {
        let status = |m: &Member| AppStatus {
            sources: m.shown.sources.load().as_ref().clone(),
            ..m.status.load().as_ref().clone()
        };
        self.members.values().map(status).collect()
    }

    /// What died, or ended although nobody asked it to: of one app all could go on, but nobody would see what it lacks.
    pub fn failed(&mut self) -> Option<Ended> {
        while let Some(ended) = self.feeds.next_ended() {
            // A feeder ends with its poller.
            if ended.panic.is_some() {
                return Some(ended);
            }
        }
        let ended = self.members.values().find(|member| member.poller.is_finished())?;
        Some(Ended { name: format!("the poller of app {}", ended.app.name), panic: None })
    }

    /// Waits for all pollers, which the cancellation has told to end.
    pub async fn end(mut self) {
        self.feeds.shutdown().await;
        for (name, member) in self.members {
            if let Err(error) = member.poller.await {
                tracing::error!(app = %name, %error, "poller ended badly");
            }
        }
    }
}

/// The names of all sources of an app, in their order: the watch API is the last.
fn names(sources: &Sources) -> Vec<String> {
    sources.names.iter().cloned().chain([API_SOURCE.to_owned()]).collect()
}
