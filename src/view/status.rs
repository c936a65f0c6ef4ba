//! The status that pollers and daemon publish, and that pages and the API show.

use std::sync::Arc;

use crate::ledger::Stall;
use crate::metrics::PairStates;
use crate::trace::{Platform, Reason, Route, Stage};
use crate::watch::feed::Figures;

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
