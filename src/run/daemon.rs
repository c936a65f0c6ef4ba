//! The daemon from start to end: ready when the lists are loaded, reload on demand, drained at the end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use secrecy::ExposeSecret as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::client::Client;
use crate::config::web::WebConfig;
use crate::config::{self, Config};
use crate::ledger::{Ledger, Opened, QUARANTINE_PREFIX};
use crate::metrics::{BuildInfo, ExporterMetrics};
use crate::web::desk::Register;
use crate::web::{self, Fixtures, House, Limits, Status};

use super::apps::{Apps, Shared};
use super::clock::wall_seconds;
use super::desk::{Directory, Pollers};
use super::first_look::FirstLooks;
use super::register::Book;
use super::web_config::{self, WebFile};

/// Reloads that may wait.
const RELOADS_CAP: usize = 16;
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
    /// Flags that cannot be used.
    #[error("{0}")]
    Config(String),
    #[error("{0}")]
    Start(String),
    #[error("app {0}: its poller died; see the log")]
    Poller(Arc<str>),
    #[error("the ledger died; see the log")]
    Ledger,
    #[error("the ledger could not be written within {} s; what was read last is asked again", END_DEADLINE.as_secs())]
    Unwritten,
}

/// What the life of a daemon comes to; whoever started it may want to hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The watch lists are loaded, or a reload has ended, well or not.
    Ready,
    Reloading,
    Stopping,
    /// The main loop goes round; told every second.
    Alive,
}

type Observer = Arc<dyn Fn(Moment) + Send + Sync>;

/// Asks for a reload and tells how it went: nothing, or the faults.
type Reload = oneshot::Sender<Result<(), String>>;

/// A daemon that serves.
pub struct Daemon {
    options: Options,
    house: Arc<House>,
    exporter: ExporterMetrics,
    apps: Apps,
    opened: Opened,
    cancel: CancellationToken,
    web: JoinSet<()>,
    addresses: Vec<SocketAddr>,
    reloads: mpsc::Receiver<Reload>,
    reload: mpsc::Sender<Reload>,
    /// Lists whose first enrolment is on its way; the house is ready when there are none left.
    first_lists: JoinSet<()>,
    observer: Observer,
}

/// Asks a running daemon to reload.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<Reload>);

impl Reloader {
    /// What `POST /-/reload` calls.
    fn over_http(self) -> web::Reload {
        Box::new(move || {
            let reloader = self.clone();
            Box::pin(async move { reloader.reload().await })
        })
    }

    /// Reloads and waits for its end.
    ///
    /// # Errors
    /// All faults; the configuration before stays in force.
    pub async fn reload(&self) -> Result<(), String> {
        let (done, answer) = oneshot::channel();
        let closed = || "the daemon is stopping".to_owned();
        self.0.send(done).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Daemon {
    /// Opens the ledger, binds the listeners and starts the apps of `config`; `web_file` is the web configuration,
    /// if there is one.
    ///
    /// # Errors
    /// [`Failure::Start`], with nothing left running.
    pub async fn start(
        options: Options,
        config: Config,
        web_file: Option<(WebFile, WebConfig)>,
    ) -> Result<Daemon, Failure> {
        let start = |why: String| Failure::Start(why);
        let mut listeners = Vec::new();
        for address in &options.listen {
            listeners.push(web::bind(address).await.map_err(|error| match error {
                web::ListenError::Unreadable { .. } => {
                    Failure::Config(format!("--web.listen-address: {error}"))
                }
                web::ListenError::Refused { .. } => Failure::Start(error.to_string()),
            })?);
        }
        let registry = Registry::new();
        let exporter = exporter_metrics(&registry).map_err(start)?;
        let looks = FirstLooks::begin(&config.apps);
        let opened = open_ledger(&options.storage, &exporter).map_err(start)?;
        let (reload, reloads) = mpsc::channel(RELOADS_CAP);
        let over_http = options.lifecycle.then(|| Reloader(reload.clone()).over_http());
        let cancel = CancellationToken::new();
        let shared = shared(&options, &opened, registry).map_err(start)?;
        let house = Arc::new(house(&opened, &shared, &exporter, over_http));
        let mut addresses = Vec::new();
        let mut web = JoinSet::new();
        // Before anybody is let in.
        if let Some((file, first)) = web_file {
            web_config::publish(first, &house, &exporter);
            web.spawn(web_config::follow(file, house.clone(), exporter.clone(), cancel.clone()));
        }
        for listener in listeners {
            addresses.extend(listener.local_addr());
            web.spawn(web::serve(listener, house.clone(), cancel.clone()));
        }
        let mut daemon = Daemon {
            options,
            house,
            exporter,
            apps: Apps::new(shared, cancel.clone()),
            opened,
            cancel,
            web,
            addresses,
            reloads,
            reload,
            first_lists: JoinSet::new(),
            observer: Arc::new(|_| {}),
        };
        daemon.put_in_force(&config, looks).await.map_err(start)?;
        Ok(daemon)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A way to ask for reloads.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.reload.clone())
    }

    /// Tells `observer` of each [`Moment`] from now on; it may not block.
    pub fn observed_by(mut self, observer: impl Fn(Moment) + Send + Sync + 'static) -> Daemon {
        self.observer = Arc::new(observer);
        self
    }

    /// Serves until `stop` is done, then drains and closes.
    ///
    /// # Errors
    /// A poller died, or the ledger could not be closed in time.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        self.set_ready();
        let failed = loop {
            tokio::select! {
                () = &mut stop => break None,
                Some(done) = self.reloads.recv() => {
                    let observer = self.observer.clone();
                    let alive = async {
                        loop {
                            tick.tick().await;
                            observer(Moment::Alive);
                        }
                    };
                    tokio::select! {
                        // What a reload has not put into force by now is of no use any more.
                        () = &mut stop => break None,
                        result = self.reload() => drop(done.send(result)), // Whoever asked may have gone.
                        () = alive => {}
                    }
                }
                Some(_) = self.first_lists.join_next() => self.set_ready(),
                _ = tick.tick() => {
                    self.publish_status();
                    (self.observer)(Moment::Alive);
                    if let Some(app) = self.apps.failed() {
                        break Some(app);
                    }
                }
            }
        };
        self.end().await?;
        failed.map_or(Ok(()), |app| Err(Failure::Poller(app)))
    }

    fn set_ready(&self) {
        if self.first_lists.is_empty() {
            self.house.set_ready();
            (self.observer)(Moment::Ready);
        }
    }

    /// One path for SIGHUP and `POST /-/reload`: all or nothing.
    async fn reload(&mut self) -> Result<(), String> {
        (self.observer)(Moment::Reloading);
        let result = match config::load(&self.options.config_file) {
            Ok(config) => self.put_in_force(&config, FirstLooks::default()).await,
            Err(faults) => Err(faults.to_string()),
        };
        match &result {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(faults) => {
                self.exporter.reload_failed();
                self.set_ready();
                for fault in faults.lines() {
                    tracing::error!(fault, "configuration not reloaded; the one before stays in force");
                }
            }
        }
        result
    }

    async fn put_in_force(&mut self, config: &Config, looks: FirstLooks) -> Result<(), String> {
        let lines = |errors: Vec<super::apps::StartError>| {
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
        self.house.publish_config(config::render(config));
        self.house.publish_views(self.apps.views());
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
        self.house.publish_status(Status { apps: self.apps.statuses(), ledger_note, ledger_stall });
    }

    /// Stops asking, commits what was read, closes.
    async fn end(mut self) -> Result<(), Failure> {
        tracing::info!("stopping");
        (self.observer)(Moment::Stopping);
        self.house.set_stopping();
        self.cancel.cancel();
        let deadline = tokio::time::Instant::now() + END_DEADLINE;
        let apps = tokio::time::timeout_at(deadline, self.apps.end()).await;
        while tokio::time::timeout_at(deadline, self.web.join_next()).await.is_ok_and(|ended| ended.is_some())
        {
        }
        let Opened { ledger, keeper, .. } = self.opened;
        drop((ledger, self.house));
        let closed = tokio::task::spawn_blocking(move || keeper.join());
        match (apps, tokio::time::timeout_at(deadline, closed).await) {
            (Ok(()), Ok(Ok(Ok(())))) => Ok(()),
            (Ok(()), Ok(_)) => Err(Failure::Ledger),
            _ => Err(Failure::Unwritten),
        }
    }
}

fn exporter_metrics(registry: &Registry) -> Result<ExporterMetrics, String> {
    let build = BuildInfo { version: env!("CARGO_PKG_VERSION"), revision: option_env!("TIMPUSH_REVISION") };
    ExporterMetrics::register(registry, build).map_err(|error| error.to_string())
}

fn open_ledger(storage: &Path, exporter: &ExporterMetrics) -> Result<Opened, String> {
    let figures = exporter.clone();
    let opened = Ledger::open(storage, wall_seconds(), move |commit| {
        figures.ledger_committed(commit.at, commit.took);
        figures.set_ledger_size_bytes(commit.size_bytes);
    });
    let opened = opened.map_err(|error| error.to_string())?;
    exporter.set_ledger_size_bytes(opened.ledger.snapshot().size_bytes);
    Ok(opened)
}

fn shared(options: &Options, opened: &Opened, registry: Registry) -> Result<Shared, String> {
    Ok(Shared {
        storage: options.storage.clone(),
        ledger: opened.ledger.clone(),
        client: Client::new().map_err(|error| error.to_string())?,
        registry,
        records: opened.records.clone(),
        veil: Arc::new(web::Veil::new(opened.veil_key.expose_secret())),
        directory: Directory::default(),
        watch_api: options.watch_api,
    })
}

fn house(opened: &Opened, shared: &Shared, exporter: &ExporterMetrics, reload: Option<web::Reload>) -> House {
    let snapshot = opened.ledger.reader();
    let book = || Book {
        directory: shared.directory.clone(),
        ledger: shared.ledger.clone(),
        records: shared.records.clone(),
        veil: shared.veil.clone(),
    };
    House::new(Fixtures {
        snapshot: Box::new(move || snapshot.load_full()),
        registry: shared.registry.clone(),
        exporter: exporter.clone(),
        reload,
        limits: Limits::default(),
        desk: Box::new(Pollers::new(shared.directory.clone(), shared.records.clone())),
        register: shared.watch_api.then(|| Box::new(book()) as Box<dyn Register>),
        veil: shared.veil.clone(),
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
