//! What the window looks on: live values that the run room publishes, and the latch that says we are ready.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prometheus::Registry;
use tokio::sync::Semaphore;

use super::auth::Checks;
use super::crowd::Crowd;
use super::desk::{Desk, Register};
use super::limits::{Limits, MAX_RENDERS};
use super::privacy::Veil;
use super::security::Security;
use crate::ledger::{Snapshot, Stall};
use crate::metrics::{ExporterMetrics, PairStates, PushView};
use crate::trace::{Platform, Reason, Route, Stage};

/// Gives the latest snapshot; called at each scrape and page, so it must not wait.
pub type SnapshotReader = Box<dyn Fn() -> Arc<Snapshot> + Send + Sync>;

/// What comes of a reload: nothing, or all faults as text for the operator, without secrets.
pub type ReloadAnswer = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Asks for a reload and waits for its end. The future may be dropped when the client gives up or waits too long;
/// the reload itself must go on to its end all the same.
pub type Reload = Box<dyn Fn() -> ReloadAnswer + Send + Sync>;

/// The latest failure of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestFailure {
    /// Unix seconds.
    pub at: i64,
    /// Without secrets.
    pub text: String,
}

/// One device's failure at one stage, for the list of the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushFailure {
    pub task: String,
    /// The id itself; whoever shows it asks `privacy` first.
    pub user: String,
    pub route: Route,
    pub platform: Platform,
    pub stage: Stage,
    pub code: i64,
    pub reason: Reason,
    /// `EventTime`, Unix seconds.
    pub at: Option<i64>,
    /// The poll that saw it first, Unix seconds.
    pub seen_at: i64,
}

/// What the polls of the latest hour saw at one stage of one platform: results never seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentStage {
    pub route: Route,
    pub platform: Platform,
    pub stage: Stage,
    pub successes: u64,
    pub failures: u64,
    /// The failures by (reason, code), most first.
    pub reasons: Vec<(Reason, i64, u64)>,
}

/// One watch source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// The value of the label `source`.
    pub name: String,
    pub entries: u64,
    /// Unix seconds; `None` before the first.
    pub last_success_at: Option<i64>,
    /// Whether the latest look failed; then its last good list stands.
    pub failing: bool,
}

/// What the status page tells of one app.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AppStatus {
    pub name: String,
    /// Host (and port) of the API, without the rest of the URL.
    pub endpoint_host: String,
    /// Whether the latest exchange worked; `None` before the first.
    pub up: Option<bool>,
    /// Unix seconds; `None` before the first.
    pub last_success_at: Option<i64>,
    pub pairs: PairStates,
    /// Time the budget needs for all that is due now.
    pub backlog_seconds: f64,
    /// Requests per second in force now.
    pub rate_in_force: f64,
    /// Requests per second as configured.
    pub rate_configured: f64,
    /// When polling goes on, Unix seconds; `None` when not paused.
    pub resume_at: Option<i64>,
    /// `None` where there was none.
    pub latest_failure: Option<LatestFailure>,
    /// Requests sent in the latest minute, as a share of what the rate in force allows.
    pub budget_used: f64,
    /// When the signature in use ends, Unix seconds; `None` before the first.
    pub usersig_expires_at: Option<i64>,
    pub sources: Arc<[SourceStatus]>,
    /// Since when [`AppStatus::recent`] counts, Unix seconds: an hour ago, or the start.
    pub recent_since: i64,
    /// Platform by platform, stages in their order.
    pub recent: Arc<[RecentStage]>,
    /// The latest first.
    pub push_failures: Arc<[PushFailure]>,
}

/// What the status page tells beside the snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    pub apps: Vec<AppStatus>,
    /// What an operator must know of the ledger, such as the name of a damaged file that was moved aside.
    pub ledger_note: Option<String>,
    /// Where the ledger cannot be written.
    pub ledger_stall: Option<Arc<Stall>>,
}

/// What a house is built from and keeps for life.
pub struct Fixtures {
    pub snapshot: SnapshotReader,
    pub registry: Registry,
    pub exporter: ExporterMetrics,
    /// `None` without `--web.enable-lifecycle`.
    pub reload: Option<Reload>,
    pub limits: Limits,
    pub desk: Box<dyn Desk>,
    /// `None` without `--web.enable-watch-api`.
    pub register: Option<Box<dyn Register>>,
    pub veil: Arc<Veil>,
}

impl fmt::Debug for Fixtures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixtures")
            .field("reload", &self.reload.is_some())
            .field("register", &self.register.is_some())
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

/// All that the routes read. It holds no lock; the run room publishes and the routes load.
#[derive(Debug)]
pub struct House {
    pub(super) fixtures: Fixtures,
    pub(super) views: ArcSwap<Vec<PushView>>,
    pub(super) status: ArcSwap<Status>,
    pub(super) config_text: ArcSwap<String>,
    pub(super) security: ArcSwap<Security>,
    /// Passwords that are being checked, over all changes of `security`.
    pub(super) checks: Checks,
    /// One permit for each open connection.
    pub(super) connections: Arc<Semaphore>,
    pub(super) crowd: Arc<Crowd>,
    /// One permit for each scrape that is being rendered.
    pub(super) renders: Arc<Semaphore>,
    /// Bytes of the latest page of metrics, before they were packed: the next will have about as many.
    pub(super) page_bytes: AtomicUsize,
    pub(super) started_at: i64,
    readiness: AtomicU8,
}

impl House {
    /// A house that is not ready and shows no app.
    pub fn new(fixtures: Fixtures) -> House {
        House {
            connections: Arc::new(Semaphore::new(fixtures.limits.connections)),
            crowd: Arc::default(),
            security: ArcSwap::default(),
            checks: Checks::new(),
            renders: Arc::new(Semaphore::new(MAX_RENDERS)),
            page_bytes: AtomicUsize::new(0),
            views: ArcSwap::default(),
            status: ArcSwap::default(),
            config_text: ArcSwap::default(),
            started_at: unix_now(),
            readiness: AtomicU8::new(Readiness::Starting as u8),
            fixtures,
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
        self.security.store(Arc::new(security));
    }

    /// Whether basic auth is on: whether requests, but those about health, need a password.
    pub fn asks_for_passwords(&self) -> bool {
        !self.security.load().users.is_empty()
    }

    /// The ledger is open and the watch lists are loaded. Has no effect on a house that is stopping.
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
        &self.fixtures.limits
    }
}

/// Unix seconds by the system's clock.
pub(super) fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
