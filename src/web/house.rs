//! What the window looks on: live values that the run room publishes, and the latch that says we are ready.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Semaphore;

use super::application::Exporter;
use super::desk::{Desk, Register};
use super::limits::{MAX_BODIES_BYTES, MAX_PARSES, MAX_RENDERS};
use crate::http::{Limits, Security, Server};
use crate::ledger::{Snapshot, Stall};
use crate::metrics::{ExporterMetrics, PairStates, PushView, Registry};
use crate::trace::{Platform, Reason, Route, Stage};
use crate::watch::feed::Figures;

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
    /// In our own words: without secrets and user ids.
    pub text: String,
    /// The upstream's words, without secrets. They may name users: only for those who may see them.
    pub upstream_text: Option<String>,
}

impl LatestFailure {
    /// One that the upstream said nothing of.
    pub fn own(at: i64, text: impl Into<String>) -> LatestFailure {
        LatestFailure { at, text: text.into(), upstream_text: None }
    }
}

/// One device's failure at one stage, for the list of the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushFailure {
    pub task: String,
    /// Shown only to those who may see users.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// The value of the label `source`.
    pub name: String,
    pub figures: Figures,
    /// Whether the first read has ended, well or not.
    pub is_read: bool,
    /// Unix seconds; `None` before the first.
    pub last_success_at: Option<i64>,
    /// Why the latest read failed; then its last good list stays in force. It may name paths, URLs without their query,
    /// and what stands in the list: it is for those who may see user ids.
    pub error: Option<String>,
}

/// The name of the watch API among the sources.
pub const API_SOURCE: &str = "api";

impl SourceStatus {
    /// A source that is not read yet.
    pub fn unread(name: &str) -> SourceStatus {
        SourceStatus { name: name.to_owned(), ..SourceStatus::default() }
    }

    /// Whether the latest read gave a usable list.
    pub fn is_up(&self) -> bool {
        self.is_read && self.error.is_none()
    }
}

/// What became of the pairs that the sources of an app name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListStatus {
    /// Pairs that the lists in force name, those written twice counted twice.
    pub named: u64,
    /// Whether a list is on its way into force.
    pub is_enrolling: bool,
    /// Of them, those whose watching is over: pushed longer ago than `watch_for`.
    pub over: u64,
    pub watch_for_seconds: i64,
    /// Of them, those left out because the list is full.
    pub over_limit: u64,
    pub max_pairs: u64,
    /// Listed pairs whose push time lies ahead.
    pub awaiting_push: u64,
    /// The latest push time that the lists in force name, Unix seconds.
    pub last_push_at: Option<i64>,
}

/// A configuration that could not be loaded; the one before stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadFailure {
    /// Unix seconds.
    pub at: i64,
    pub faults: u64,
    /// The first of them, without secrets.
    pub first: String,
}

impl ReloadFailure {
    /// From faults of a line each.
    pub fn new(at: i64, faults: &str) -> ReloadFailure {
        let first = faults.lines().next().unwrap_or_default().to_owned();
        ReloadFailure { at, faults: faults.lines().count() as u64, first }
    }
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
    pub list: ListStatus,
    /// Why the credential cannot be read, while the one read before stays in use.
    pub credential_trouble: Option<String>,
    /// When the API last answered with a time ahead of our clock, Unix seconds.
    pub future_time_at: Option<i64>,
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
    /// Where the latest reload failed.
    pub reload_failure: Option<Arc<ReloadFailure>>,
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

impl House {
    /// A house that is not ready and shows no app.
    pub fn new(fixtures: Fixtures) -> House {
        House {
            server: Arc::new(Server::new(Exporter { metrics: fixtures.exporter.clone() }, fixtures.limits)),
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
