//! What the routes read: the values that daemon and pollers publish, and the latch that says we are ready.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Semaphore;

use super::application::Exporter;
use super::limits::{MAX_BODIES_BYTES, MAX_PARSES, MAX_RENDERS};
use crate::http::{Limits, Security, Server};
use crate::ledger::Snapshot;
use crate::metrics::{ExporterMetrics, PushView, Registry};
use crate::view::{ReloadFailure, Status, WatchQuery, WatchStore};

/// Gives the latest snapshot; called at each scrape and page, so it must not wait.
pub type SnapshotReader = Box<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// What comes of a reload: nothing, or all faults as text for the operator, without secrets.
pub type ReloadAnswer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Asks for a reload and waits for its end. The future may be dropped when the client gives up or waits too long;
/// the reload itself must go on to its end all the same.
pub type ReloadHandler = Box<dyn Fn() -> ReloadAnswer + Send + Sync>;

/// What the state is built from and keeps for life.
pub struct Dependencies {
    pub snapshot: SnapshotReader,
    pub registry: Registry,
    pub exporter: ExporterMetrics,
    /// `None` without `--web.enable-lifecycle`.
    pub reload: Option<ReloadHandler>,
    pub limits: Limits,
    pub queries: Box<dyn WatchQuery>,
    /// `None` without `--web.enable-watch-api`.
    pub watch_store: Option<Box<dyn WatchStore>>,
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependencies")
            .field("reload", &self.reload.is_some())
            .field("watch_store", &self.watch_store.is_some())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Whether `/-/ready` says yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Readiness {
    Starting = 0,
    Ready = 1,
    Stopping = 2,
}

/// All that the routes read. It holds no lock; daemon and pollers publish and the routes load.
#[derive(Debug)]
pub struct AppState {
    pub(super) dependencies: Dependencies,
    pub(super) views: ArcSwap<Vec<PushView>>,
    pub(super) status: ArcSwap<Status>,
    pub(super) config_text: ArcSwap<String>,
    pub(super) server: Arc<Server>,
    /// Empty while the web configuration is in force as its files are now.
    pub(super) web_config_failure: ArcSwapOption<ReloadFailure>,
    /// One permit for each scrape that is being rendered.
    pub(super) renders: Arc<Semaphore>,
    /// One permit for each byte of a body that is read or parsed.
    pub(super) bodies: Arc<Semaphore>,
    /// One permit for each body that is parsed.
    pub(super) parses: Arc<Semaphore>,
    /// Bytes of the latest page of metrics, before they were packed: the next will have about as many.
    pub(super) page_bytes: AtomicUsize,
    pub(super) started_at: i64,
    readiness: AtomicU8,
}

impl AppState {
    /// Not ready, and shows no app.
    pub fn new(dependencies: Dependencies) -> AppState {
        AppState {
            server: Arc::new(Server::new(
                Exporter { metrics: dependencies.exporter.clone() },
                dependencies.limits,
            )),
            web_config_failure: ArcSwapOption::empty(),
            renders: Arc::new(Semaphore::new(MAX_RENDERS)),
            bodies: Arc::new(Semaphore::new(MAX_BODIES_BYTES)),
            parses: Arc::new(Semaphore::new(MAX_PARSES)),
            page_bytes: AtomicUsize::new(0),
            views: ArcSwap::default(),
            status: ArcSwap::default(),
            config_text: ArcSwap::default(),
            started_at: unix_now(),
            readiness: AtomicU8::new(Readiness::Starting as u8),
            dependencies,
        }
    }

    /// The apps whose push metrics are shown, each once.
    pub fn publish_views(&self, views: Vec<PushView>) {
        self.views.store(Arc::new(views));
    }

    /// What the status page tells from now on.
    pub fn publish_status(&self, status: Status) {
        self.status.store(Arc::new(status));
    }

    /// The configuration in force as YAML, without secrets.
    pub fn publish_config(&self, text: String) {
        self.config_text.store(Arc::new(text));
    }

    /// What is asked of connections and requests that come from now on.
    pub fn publish_security(&self, security: Security) {
        self.server.publish_security(security);
        self.web_config_failure.store(None);
    }

    /// The web configuration as its files are now cannot be used; the one before stays in force.
    pub fn publish_web_config_failure(&self, failure: ReloadFailure) {
        self.web_config_failure.store(Some(Arc::new(failure)));
    }

    /// Whether basic auth is on: whether requests, but those about health, need a password.
    pub fn asks_for_passwords(&self) -> bool {
        self.server.asks_for_passwords()
    }

    /// The ledger is open and the watch lists are loaded. Has no effect while it is stopping.
    pub fn set_ready(&self) {
        let (from, to) = (Readiness::Starting as u8, Readiness::Ready as u8);
        // An error means that it was ready or stopping before, and both are to stay.
        let _ = self.readiness.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }

    /// From now on `/-/ready` answers 503, for good.
    pub fn set_stopping(&self) {
        self.readiness.store(Readiness::Stopping as u8, Ordering::Release);
    }

    pub(super) fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Acquire) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Stopping,
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.dependencies.limits
    }
}

/// Unix seconds by the system's clock.
pub(super) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
