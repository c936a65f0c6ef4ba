//! The pollers and feeds of all apps, and how a reload changes them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::client::Client;
use crate::budget::Budget;
use crate::config::App;
use crate::ledger::{Ledger, Records};
use crate::metrics::{AppMetrics, PushView};
use crate::web::{AppStatus, Veil};

use super::desk::{Directory, Handle};
use super::feeder::{API, Feeder, Posts, Shown};
use super::first_look::{FirstLooks, Sources};
use super::poller::{COMMANDS_CAP, Command, Inbox, Poller, Tools};
use super::question::QUESTIONS_CAP;

/// Where each app's slot file lies, below the storage folder.
pub const BUDGET_FOLDER: &str = "budget";

/// How long an app that left may take to end.
const DISMISS_DEADLINE: Duration = Duration::from_secs(12);

/// What all apps share.
pub struct Shared {
    pub storage: PathBuf,
    pub ledger: Ledger,
    pub client: Client,
    pub registry: Registry,
    pub records: Records,
    pub veil: Arc<Veil>,
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
    commands: mpsc::Sender<Command>,
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
    feeds: JoinSet<()>,
}

/// An app that was prepared: everything that can fail is done.
pub struct Prepared {
    app: App,
    sources: Sources,
    /// `None` for an app that runs already.
    budget: Option<Budget>,
}

impl Apps {
    /// No apps yet; all of them stop when `cancel` says so.
    pub fn new(shared: Shared, cancel: CancellationToken) -> Apps {
        Apps { shared, cancel, members: BTreeMap::new(), feeds: JoinSet::new() }
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
        let budget = if self.members.contains_key(&app.name) {
            None
        } else {
            let folder = self.shared.storage.join(BUDGET_FOLDER);
            Some(
                Budget::open(&folder, &app.name, app.requests_per_second)
                    .map_err(|error| error.to_string())?,
            )
        };
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
        let begun = self.begin_all(prepared).await;
        self.publish_directory();
        begun
    }

    fn publish_directory(&self) {
        let handles = self.members.iter().map(|(name, member)| (name.clone(), member.handle.clone()));
        self.shared.directory.store(Arc::new(handles.collect()));
    }

    async fn begin_all(&mut self, prepared: Vec<Prepared>) -> Result<Vec<oneshot::Receiver<()>>, StartError> {
        let mut lists = Vec::new();
        for one in prepared {
            let name = one.app.name.clone();
            match one.budget {
                None => lists.extend(self.change(one.app, one.sources).await),
                Some(budget) => match self.begin(one.app, one.sources, budget) {
                    Ok(list) => lists.push(list),
                    Err(why) => return Err(StartError { app: name, why }),
                },
            }
        }
        Ok(lists)
    }

    fn begin(&mut self, app: App, sources: Sources, budget: Budget) -> Result<oneshot::Receiver<()>, String> {
        let metrics = AppMetrics::register(&self.shared.registry, &app.name, app.sdk_app_id, app.region);
        let metrics = Arc::new(metrics.map_err(|error| error.to_string())?);
        let status = Arc::new(ArcSwap::default());
        let tools = Tools {
            ledger: self.shared.ledger.clone(),
            client: self.shared.client.clone(),
            budget,
            metrics: metrics.clone(),
            status: status.clone(),
            veil: self.shared.veil.clone(),
        };
        let (commands, inbox) = mpsc::channel(COMMANDS_CAP);
        let (questions, asked) = mpsc::channel(QUESTIONS_CAP);
        let poller = Poller::new(app.clone(), tools);
        let inbox = Inbox { commands: inbox, questions: asked };
        let poller = tokio::spawn(poller.run(inbox, self.cancel.clone()));
        let shown = Shown::default();
        let handle = Handle { questions, posted: Arc::default(), lists: shown.lists.clone() };
        let posts = self.posts(&app, &handle);
        let feeder = Feeder {
            app: app.name.clone(),
            sources: names(&sources),
            commands: commands.clone(),
            metrics: metrics.clone(),
            shown: shown.clone(),
            posts,
        };
        let (feed, first) = self.start_feeder(feeder, sources);
        let name = app.name.clone();
        let member = Member { app, commands, metrics, status, poller, feed, handle, shown };
        self.members.insert(name, member);
        Ok(first)
    }

    fn posts(&self, app: &App, handle: &Handle) -> Posts {
        Posts {
            records: self.shared.records.clone(),
            changed: handle.posted.clone(),
            watch_labels: app.watch_labels.clone(),
            enabled: self.shared.watch_api,
        }
    }

    /// Starts the task that feeds the poller.
    fn start_feeder(&mut self, feeder: Feeder, sources: Sources) -> (AbortHandle, oneshot::Receiver<()>) {
        // Those that ended are kept until they are asked for.
        while self.feeds.try_join_next().is_some() {}
        let (in_force, first) = oneshot::channel();
        (self.feeds.spawn(feeder.run(sources, in_force)), first)
    }

    async fn change(&mut self, app: App, sources: Sources) -> Option<oneshot::Receiver<()>> {
        let member = self.members.get(&app.name)?;
        if member.app == app {
            return None;
        }
        member.feed.abort();
        let feeder = Feeder {
            app: app.name.clone(),
            sources: names(&sources),
            commands: member.commands.clone(),
            metrics: member.metrics.clone(),
            shown: member.shown.clone(),
            posts: self.posts(&app, &member.handle),
        };
        let shown: Vec<&str> = feeder.sources.iter().map(String::as_str).collect();
        member.metrics.retain_sources(&shown);
        // A poller that is gone is noticed by `failed`.
        let _ = member.commands.send(Command::Configure(Box::new(app.clone()))).await;
        let (feed, first) = self.start_feeder(feeder, sources);
        let member = self.members.get_mut(&app.name)?;
        member.feed = feed;
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
            let ended = async {
                // A poller that is gone ends this, too.
                let _ = member.commands.send(Command::Dismiss).await;
                (&mut member.poller).await
            };
            match tokio::time::timeout(DISMISS_DEADLINE, ended).await {
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

    /// The name of an app whose poller ended although nobody asked it to.
    pub fn failed(&self) -> Option<Arc<str>> {
        self.members.values().find(|m| m.poller.is_finished()).map(|m| m.app.name.clone())
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
    sources.names.iter().cloned().chain([API.to_owned()]).collect()
}
