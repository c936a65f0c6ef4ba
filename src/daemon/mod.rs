//! The daemon from start to end: ready when the lists are loaded, reload on demand, drained at the end.

mod apps;
mod config_reader;
mod pulse;
mod reload;
mod tasks;
mod web_config;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::client::Client;
use crate::budget::Budgets;
use crate::config::web::WebConfig;
use crate::config::{self, Config};
use crate::http::{self, Limits};
use crate::ledger::{Ledger, Opened, QUARANTINE_PREFIX};
use crate::metrics::{BuildInfo, ExporterMetrics, Registry};
use crate::web::{self, AppState, Dependencies};

use crate::poller::clock::wall_seconds;
use crate::poller::first_look::FirstLooks;
use crate::query::{Directory, QueryService, WatchApi};
use apps::{Apps, Shared};
use config_reader::{ConfigReader, ReadConfig};
use pulse::{Observer, Pulse};

use crate::view::{ReloadFailure, Status, WatchStore};
pub use reload::Reloader;
use reload::{RELOADS_CAP, Reload, next_read};
use tasks::{Ended, Tasks};

pub use apps::BUDGET_FOLDER;
pub use pulse::LifecycleEvent;
pub use web_config::WebFile;

const BUILD: BuildInfo =
    BuildInfo { version: env!("CARGO_PKG_VERSION"), revision: option_env!("TIMPUSH_REVISION") };
/// How often status and figures of the whole are refreshed.
const TICK: Duration = Duration::from_secs(1);
/// How long the end may take before it is cut off.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// What the command line says of a daemon.
#[derive(Clone, Debug)]
pub struct Options {
    pub config_file: PathBuf,
    pub storage: PathBuf,
    pub listen: Vec<String>,
    /// Whether `POST /-/reload` works.
    pub lifecycle: bool,
    /// Whether the writing half of `/api/v1/watches` works.
    pub watch_api: bool,
}

/// Why a daemon did not start or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Flags or a configuration that cannot be used.
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Start(String),
    #[error("{0} died; see the log")]
    Task(String),
    #[error("the ledger died; see the log")]
    Ledger,
    #[error("the ledger could not be written within {} s; what was read last is asked again", END_DEADLINE.as_secs())]
    Unwritten,
}

/// A daemon that serves.
pub struct Daemon {
    options: Options,
    app_state: Arc<AppState>,
    exporter: ExporterMetrics,
    apps: Apps,
    opened: Opened,
    cancel: CancellationToken,
    web: Tasks,
    addresses: Vec<SocketAddr>,
    reloads: mpsc::Receiver<Reload>,
    reload: mpsc::Sender<Reload>,
    /// Lists whose first enrolment is on its way; the program is ready when there are none left.
    first_lists: JoinSet<()>,
    is_ready: bool,
    reload_failure: Option<Arc<ReloadFailure>>,
    config_reader: ConfigReader,
    directory: Directory,
    observer: Observer,
}

impl Daemon {
    /// Opens the ledger, binds the listeners and starts the apps of `config`; `web_file` is the web configuration,
    /// if there is one.
    ///
    /// # Errors
    /// [`Failure::Config`] or [`Failure::Start`], with nothing left running.
    pub async fn start(
        options: Options,
        config: Config,
        web_file: Option<(WebFile, WebConfig)>,
    ) -> Result<Daemon, Failure> {
        let start = |why: String| Failure::Start(why);
        let mut listeners = Vec::new();
        for address in &options.listen {
            listeners.push(http::bind(address).await.map_err(|error| match error {
                http::ListenError::Unreadable { .. } => {
                    Failure::Config(format!("--web.listen-address: {error}"))
                }
                http::ListenError::Refused { .. } => Failure::Start(error.to_string()),
            })?);
        }
        let registry = Registry::new(BUILD);
        let exporter = registry.exporter();
        let unusable = |faults: String| {
            let file = config.file.display();
            Failure::Config(faults.lines().map(|line| format!("{file}: {line}\n")).collect())
        };
        let looks = FirstLooks::of(&config.apps).map_err(unusable)?.begin();
        let opened = open_ledger(&options.storage, &exporter).map_err(start)?;
        let (reload, reloads) = mpsc::channel(RELOADS_CAP);
        let over_http = options.lifecycle.then(|| Reloader::new(reload.clone()).over_http());
        let cancel = CancellationToken::new();
        let shared = shared(&options, &opened, registry).map_err(start)?;
        let app_state = Arc::new(app_state(&opened, &shared, &exporter, over_http));
        let directory = shared.directory.clone();
        let mut addresses = Vec::new();
        let mut web = Tasks::default();
        // Before anybody is let in.
        if let Some((file, first)) = web_file {
            web_config::publish(first, &app_state, &exporter);
            let follow = web_config::follow(file, app_state.clone(), exporter.clone(), cancel.clone());
            web.spawn("the task that follows the web config file".to_owned(), follow);
        }
        for listener in listeners {
            addresses.extend(listener.local_addr());
            web.spawn("a web listener".to_owned(), web::serve(listener, app_state.clone(), cancel.clone()));
        }
        let mut daemon = Daemon {
            options,
            app_state,
            exporter,
            apps: Apps::new(shared, cancel.clone()),
            opened,
            cancel,
            web,
            addresses,
            reloads,
            reload,
            first_lists: JoinSet::new(),
            is_ready: false,
            reload_failure: None,
            config_reader: ConfigReader::default(),
            directory,
            observer: Arc::new(|_| {}),
        };
        if let Some(warning) = config::storage_warning(&daemon.options.storage) {
            tracing::warn!("{warning}");
        }
        daemon.put_in_force(&config, looks).await.map_err(start)?;
        Ok(daemon)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A way to ask for reloads.
    pub fn reloader(&self) -> Reloader {
        Reloader::new(self.reload.clone())
    }

    /// Tells `observer` of each [`LifecycleEvent`] from now on; it may not block.
    pub fn observed_by(mut self, observer: impl Fn(LifecycleEvent) + Send + Sync + 'static) -> Daemon {
        self.observer = Arc::new(observer);
        self
    }

    /// Serves until `stop` is done, then drains and closes.
    ///
    /// # Errors
    /// A task died, or the ledger could not be closed in time.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        let mut pulse = Pulse::new(self.directory.clone(), self.observer.clone());
        self.set_ready();
        let mut reading = None;
        let failed = loop {
            tokio::select! {
                () = &mut stop => break None,
                Some(done) = self.reloads.recv(), if reading.is_none() => {
                    (self.observer)(LifecycleEvent::Reloading);
                    reading = Some((done, Box::pin(self.read_config())));
                }
                (done, read) = next_read(&mut reading) => {
                    let result = self.reload(read).await;
                    let _ = done.send(result); // Whoever asked may have gone.
                }
                Some(_) = self.first_lists.join_next() => self.set_ready(),
                Some(ended @ Some(_)) = self.web.join_next() => break ended,
                _ = tick.tick() => {
                    self.publish_status();
                    pulse.beat();
                    if let Some(ended) = self.apps.failed() {
                        break Some(ended);
                    }
                }
            }
        };
        if let Some(Ended { name, panic }) = &failed {
            tracing::error!(task = name, panic, "a task died; the daemon ends");
        }
        self.end().await?;
        failed.map_or(Ok(()), |ended| Err(Failure::Task(ended.name)))
    }

    fn set_ready(&mut self) {
        if self.first_lists.is_empty() {
            if !std::mem::replace(&mut self.is_ready, true) {
                self.tell_ready();
            }
            self.app_state.set_ready();
            (self.observer)(LifecycleEvent::Ready);
        }
    }

    /// The one line of a start that says what came of it.
    fn tell_ready(&self) {
        let apps = self.apps.statuses();
        let sources = apps.iter().flat_map(|app| app.sources.iter());
        let failing = sources.clone().filter(|source| source.error.is_some()).count();
        tracing::info!(
            apps = apps.len(),
            pairs = apps.iter().map(|app| app.pairs.total()).sum::<u64>(),
            sources = sources.count(),
            failing_sources = failing,
            "ready"
        );
    }

    /// Reads the configuration, beside everything else that goes on.
    fn read_config(&self) -> impl Future<Output = ReadConfig> + use<> {
        let (reader, file) = (self.config_reader.clone(), self.options.config_file.clone());
        async move { reader.read(&file).await }
    }

    /// One path for SIGHUP and `POST /-/reload`: all or nothing. Waits for nothing but pollers of apps that leave, and that
    /// with a deadline.
    async fn reload(&mut self, read: ReadConfig) -> Result<(), String> {
        let result = match read {
            Ok((config, looks)) => self.put_in_force(&config, looks).await,
            Err(faults) => Err(faults),
        };
        match &result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(faults) => {
                self.exporter.reload_failed();
                self.reload_failure = Some(Arc::new(ReloadFailure::new(wall_seconds(), faults)));
                self.publish_status();
                self.set_ready();
                for fault in faults.lines() {
                    tracing::error!(fault, "configuration not reloaded; the one before stays in force");
                }
            }
        }
        result
    }

    async fn put_in_force(&mut self, config: &Config, looks: FirstLooks) -> Result<(), String> {
        let lines = |errors: Vec<apps::StartError>| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let prepared = self.apps.prepare(&config.apps, looks).map_err(lines)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        for list in self.apps.apply(prepared).await.map_err(|error| error.to_string())? {
            self.first_lists.spawn(async move {
                let _ = list.await; // A poller that died is noticed by the tick.
            });
        }
        self.app_state.publish_config(config::render(config));
        self.app_state.publish_views(self.apps.views());
        self.reload_failure = None;
        self.publish_status();
        self.exporter.reload_worked(wall_seconds());
        self.set_ready();
        Ok(())
    }

    fn publish_status(&self) {
        let quarantined = quarantined(&self.options.storage);
        self.exporter.set_ledger_quarantined_files(quarantined.len() as u64);
        let ledger_note = (!quarantined.is_empty()).then(|| {
            format!(
                "The store was damaged and moved aside; counting started anew. Kept in {}: {}",
                self.options.storage.display(),
                quarantined.join(", ")
            )
        });
        let ledger_stall = self.opened.ledger.stall();
        let (apps, reload_failure) = (self.apps.statuses(), self.reload_failure.clone());
        self.app_state.publish_status(Status { apps, ledger_note, ledger_stall, reload_failure });
    }

    /// Stops asking, commits what was read, closes.
    async fn end(mut self) -> Result<(), Failure> {
        tracing::info!("stopping");
        (self.observer)(LifecycleEvent::Stopping);
        self.app_state.set_stopping();
        self.cancel.cancel();
        let deadline = tokio::time::Instant::now() + END_DEADLINE;
        let apps = tokio::time::timeout_at(deadline, self.apps.end()).await;
        while tokio::time::timeout_at(deadline, self.web.join_next()).await.is_ok_and(|ended| ended.is_some())
        {
        }
        let Opened { ledger, keeper, .. } = self.opened;
        drop((ledger, self.app_state));
        let closed = tokio::task::spawn_blocking(move || keeper.join());
        match (apps, tokio::time::timeout_at(deadline, closed).await) {
            (Ok(()), Ok(Ok(Ok(())))) => Ok(()),
            (Ok(()), Ok(_)) => Err(Failure::Ledger),
            _ => Err(Failure::Unwritten),
        }
    }
}

fn open_ledger(storage: &Path, exporter: &ExporterMetrics) -> Result<Opened, String> {
    let figures = exporter.clone();
    let opened = Ledger::open(storage, wall_seconds(), move |commit| {
        figures.ledger_committed(commit.at, commit.took);
        figures.set_ledger_size_bytes(commit.size_bytes);
        figures.ledger_records_damaged(commit.damaged_pairs);
    });
    let opened = opened.map_err(|error| error.to_string())?;
    exporter.set_ledger_size_bytes(opened.ledger.snapshot().size_bytes);
    Ok(opened)
}

fn shared(options: &Options, opened: &Opened, registry: Registry) -> Result<Shared, String> {
    Ok(Shared {
        budgets: Budgets::new(options.storage.join(BUDGET_FOLDER)),
        ledger: opened.ledger.clone(),
        client: Client::new().map_err(|error| error.to_string())?,
        registry,
        records: opened.records.clone(),
        directory: Directory::default(),
        watch_api: options.watch_api,
    })
}

fn app_state(
    opened: &Opened,
    shared: &Shared,
    exporter: &ExporterMetrics,
    reload: Option<web::ReloadHandler>,
) -> AppState {
    let snapshot = opened.ledger.reader();
    let watch_api = || WatchApi {
        directory: shared.directory.clone(),
        ledger: shared.ledger.clone(),
        records: shared.records.clone(),
    };
    AppState::new(Dependencies {
        snapshot: Box::new(move || snapshot.load_full()),
        registry: shared.registry.clone(),
        exporter: exporter.clone(),
        reload,
        limits: Limits::default(),
        queries: Box::new(QueryService::new(shared.directory.clone(), shared.records.clone())),
        watch_store: shared.watch_api.then(|| Box::new(watch_api()) as Box<dyn WatchStore>),
    })
}

/// Names of damaged stores that lie in the storage folder.
fn quarantined(storage: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(storage) else {
        return Vec::new();
    };
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let companion = |name: &str| name.ends_with("-wal") || name.ends_with("-shm");
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with(QUARANTINE_PREFIX) && !companion(name)).collect();
    names.sort();
    names
}
