//! A made-up state: one app in trouble, 120 pairs, a chain with every kind of step, and visits without a socket.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use futures_util::future::BoxFuture;
use hyper::Request;
use tower::ServiceExt as _;

use super::super::super::app_state::{AppState, Dependencies, unix_now};
use super::super::super::routes;
use crate::http::{Limits, Peer};
use crate::ledger::Snapshot;
use crate::metrics::{BuildInfo, PairStates, Registry};
use crate::schedule::State;
use crate::trace::{Notifications, Outcome, Platform, Reason, Route, Stage};
use crate::view::{
    AppStatus, Chain, DeviceChain, LatestFailure, Page, PairName, PushFailure, Query, RecentStage,
    SourceStatus, StageView, Status, Watch, WatchQuery, WatchQueryError,
};
use crate::watch::feed::Figures;

pub(super) const NOW: i64 = 1_795_000_000;
pub(super) const TASK: &str = "660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e";
/// Markup, parts of a path, a joiner that belongs there and a mark that turns what follows.
pub(super) const HOSTILE: &str = "<script>alert(1)</script>/50%\u{202e}👩‍👩‍👧";

struct MadeUp;

impl WatchQuery for MadeUp {
    fn watches(&self, query: Query) -> BoxFuture<'static, Result<Page, WatchQueryError>> {
        Box::pin(async move { list(&query) })
    }

    fn chain(&self, name: PairName) -> BoxFuture<'static, Result<Chain, WatchQueryError>> {
        Box::pin(async move {
            if name.app != "shop" {
                return Err(WatchQueryError::NoApp(name.app));
            }
            let mut all = watches();
            all.push(watch(TASK, "alice"));
            let found = all.into_iter().find(|watch| watch.task == name.task && watch.user == name.user);
            found.map(chain).ok_or(WatchQueryError::NoPair)
        })
    }
}

fn list(query: &Query) -> Result<Page, WatchQueryError> {
    if let Some(app) = query.app.as_ref().filter(|app| *app != "shop") {
        return Err(WatchQueryError::NoApp(app.clone()));
    }
    let after = match &query.after {
        None => 0,
        Some(place) => place.parse().map_err(|_| WatchQueryError::NoPlace)?,
    };
    let is_wanted = |watch: &Watch| {
        let holds = watch.task.contains(&query.search) || watch.user.contains(&query.search);
        let state = query.state.is_none_or(|state| state == watch.state);
        holds && state && (!query.failed || watch.failed_devices > 0)
    };
    let all: Vec<Watch> = watches().into_iter().filter(is_wanted).collect();
    let total = all.len() as u64;
    let rest = all.len().saturating_sub(after);
    let next = (rest > query.limit).then(|| (after + query.limit).to_string());
    Ok(Page { total, next, watches: all.into_iter().skip(after).take(query.limit).collect() })
}

fn watch(task: &str, user: &str) -> Watch {
    Watch {
        app: "shop".into(),
        task: task.to_owned(),
        user: user.to_owned(),
        state: State::Active,
        labels: Arc::from([("campaign".into(), "spring".into())]),
        pushed_at: Some(NOW),
        last_polled_at: Some(NOW + 60),
        next_poll_at: Some(unix_now() + 60),
        failed_devices: 0,
    }
}

fn watches() -> Vec<Watch> {
    let watch = |n: usize| Watch {
        failed_devices: u32::from(n.is_multiple_of(10)),
        ..watch(TASK, &if n == 3 { HOSTILE.to_owned() } else { format!("user_{n:03}") })
    };
    (0..120).map(watch).collect()
}

fn step(stage: Stage, outcome: Option<Outcome>) -> StageView {
    StageView {
        stage,
        outcome,
        code: None,
        reason: None,
        at: outcome.map(|_| NOW + 2),
        seen_at: outcome.map(|_| NOW + 60),
        delay_seconds: outcome.map(|_| 2),
        awaited: outcome.is_none(),
        overdue_from: None,
    }
}

fn chain(watch: Watch) -> Chain {
    let success = Some(Outcome::Success);
    let unreported = |stage| StageView { awaited: false, ..step(stage, None) };
    let refused = StageView {
        code: Some(410),
        reason: Some(Reason::InvalidToken),
        ..step(Stage::Channel, Some(Outcome::Failure))
    };
    let device = |instance: &str, platform: &str, stages| DeviceChain {
        instance: instance.to_owned(),
        route: Route::Offline,
        platform: Platform::from_name(platform).unwrap(),
        notifications: Notifications::On,
        pushed_at: Some(NOW),
        stages,
    };
    let late = StageView { overdue_from: Some(NOW + 600), ..step(Stage::Channel, None) };
    let later = StageView { overdue_from: Some(unix_now() + 600), ..step(Stage::Device, None) };
    let failed = device(
        "74224656",
        "apns",
        vec![
            step(Stage::Im, success),
            step(Stage::Offline, success),
            refused,
            unreported(Stage::Device),
            unreported(Stage::Click),
        ],
    );
    let silent = DeviceChain {
        notifications: Notifications::Off,
        ..device(
            "",
            "huawei",
            vec![
                step(Stage::Im, success),
                step(Stage::Offline, success),
                late,
                later,
                step(Stage::Click, None),
            ],
        )
    };
    Chain {
        watch,
        added_at: NOW - 5,
        ends_at: unix_now() + 86_400,
        devices: vec![failed, silent],
        is_full: true,
    }
}

/// What a busy app in trouble shows.
pub(super) fn status() -> Status {
    let channel = |platform: &str, successes, failures, reasons: &[(Reason, i64, u64)]| RecentStage {
        route: Route::Offline,
        platform: Platform::from_name(platform).unwrap(),
        stage: Stage::Channel,
        successes,
        failures,
        reasons: reasons.to_vec(),
    };
    let failure = PushFailure {
        task: TASK.to_owned(),
        user: "alice".to_owned(),
        route: Route::Offline,
        platform: Platform::Vendor(1),
        stage: Stage::Channel,
        code: 410,
        reason: Reason::InvalidToken,
        at: Some(NOW),
        seen_at: NOW + 60,
    };
    let source = |name: &str, error: Option<&str>| SourceStatus {
        name: name.to_owned(),
        figures: Figures { entries: 300_000, lists: 1, ..Figures::default() },
        is_read: true,
        last_success_at: Some(NOW),
        error: error.map(str::to_owned),
    };
    let app = AppStatus {
        name: "shop".to_owned(),
        endpoint_host: "127.0.0.1:9".to_owned(),
        up: Some(false),
        last_success_at: Some(NOW - 65),
        pairs: PairStates { failing: 3, active: 599_997, ..PairStates::default() },
        backlog_seconds: 59.2,
        rate_in_force: 0.25,
        rate_configured: 1.0,
        resume_at: Some(unix_now() + 50),
        latest_failure: Some(LatestFailure::own(NOW, "quota: 60020")),
        budget_used: 0.973,
        usersig_expires_at: Some(unix_now() + 100_000),
        sources: Arc::from([source("static", None), source("files[0]", Some("list.yaml: line 3"))]),
        recent_since: NOW - 3600,
        recent: Arc::from([
            channel("apns", 26, 5, &[(Reason::InvalidToken, 410, 3), (Reason::Unknown, 7, 2)]),
            channel("fcm", 400, 1, &[(Reason::Quota, 429, 1)]),
            channel("oppo", 90, 0, &[]),
        ]),
        push_failures: Arc::from([failure]),
        ..AppStatus::default()
    };
    Status {
        apps: vec![app],
        ledger_note: Some("A damaged file was moved to ledger.db.damaged-1.".to_owned()),
        ..Status::default()
    }
}

/// A state with that status and made-up answers.
pub(super) fn app_state(status: Status) -> Arc<AppState> {
    let registry = Registry::new(BuildInfo { version: "0", revision: None });
    let exporter = registry.exporter();
    let app_state = AppState::new(Dependencies {
        snapshot: Box::new(|| Arc::new(Snapshot::default())),
        registry,
        exporter,
        reload: None,
        limits: Limits::default(),
        queries: Box::new(MadeUp),
        watch_store: None,
    });
    app_state.publish_status(status);
    Arc::new(app_state)
}

/// Somebody who looks.
pub(super) struct Visit {
    app_state: Arc<AppState>,
    peer: &'static str,
}

/// What they got.
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) text: String,
}

impl Visit {
    /// From this machine.
    pub(super) fn local(app_state: &Arc<AppState>) -> Visit {
        Visit { app_state: Arc::clone(app_state), peer: "127.0.0.1:9" }
    }

    /// From another one.
    pub(super) fn remote(app_state: &Arc<AppState>) -> Visit {
        Visit { app_state: Arc::clone(app_state), peer: "192.0.2.1:9" }
    }

    pub(super) async fn get(&self, path: &str) -> Seen {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer(self.peer.parse().unwrap()));
        let response = routes::router(Arc::clone(&self.app_state)).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
        let body = to_bytes(response.into_body(), 10_000_000).await.unwrap();
        Seen { status, text: String::from_utf8(body.to_vec()).unwrap() }
    }
}

impl Seen {
    /// Where the link of that text leads.
    pub(super) fn link(&self, text: &str) -> String {
        let end = self.text.find(text).unwrap_or_else(|| panic!("{text} is not in {}", self.text));
        let from = self.text[..end].rfind("href=\"").unwrap() + 6;
        let href = &self.text[from..];
        href[..href.find('"').unwrap()].replace("&amp;", "&")
    }

    /// The first link to below that path.
    pub(super) fn link_to(&self, below: &str) -> String {
        let from =
            self.text.find(&format!("href=\"/{below}")).unwrap_or_else(|| panic!("{below}: {}", self.text));
        let href = &self.text[from + 6..];
        href[..href.find('"').unwrap()].replace("&amp;", "&")
    }
}
