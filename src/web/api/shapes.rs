//! What the API shows of pairs, devices and apps: names and forms of the fields.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::trace::{Outcome, Reason};
use crate::view::{AppStatus, Chain, DeviceChain, Page, PushFailure, RecentStage, StageView, Watch};
use crate::web::app_state::{AppState, Readiness};
use crate::web::findings::{self, Finding, worst};
use crate::web::privacy::Visitor;

/// A moment in Unix seconds, shown as RFC 3339 in UTC.
#[derive(Clone, Copy)]
struct At(i64);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match Timestamp::from_second(self.0) {
            Ok(time) => to.collect_str(&time),
            // Beyond the year 9999 or before the year -9999: no time of ours.
            Err(_) => to.serialize_none(),
        }
    }
}

fn at(seconds: Option<i64>) -> Option<At> {
    seconds.map(At)
}

#[derive(Serialize)]
struct WatchShape {
    app: String,
    task: String,
    user: String,
    state: &'static str,
    labels: BTreeMap<String, String>,
    pushed_at: Option<At>,
    last_polled_at: Option<At>,
    next_poll_at: Option<At>,
    failed_devices: u32,
}

fn watch(watch: &Watch) -> WatchShape {
    let labels = watch.labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    WatchShape {
        app: watch.app.to_string(),
        task: watch.task.clone(),
        user: watch.user.clone(),
        state: watch.state.as_str(),
        labels: labels.collect(),
        pushed_at: at(watch.pushed_at),
        last_polled_at: at(watch.last_polled_at),
        next_poll_at: at(watch.next_poll_at),
        failed_devices: watch.failed_devices,
    }
}

#[derive(Serialize)]
struct PageShape {
    total: u64,
    next: Option<String>,
    watches: Vec<WatchShape>,
}

/// One page of pairs.
pub(super) fn page(page: &Page) -> impl Serialize + use<> {
    PageShape {
        total: page.total,
        next: page.next.clone(),
        watches: page.watches.iter().map(watch).collect(),
    }
}

#[derive(Serialize)]
struct PairShape {
    #[serde(flatten)]
    watch: WatchShape,
    added_at: At,
    ends_at: At,
    devices: Vec<DeviceShape>,
}

#[derive(Serialize)]
struct DeviceShape {
    instance: String,
    route: &'static str,
    platform: String,
    notifications: &'static str,
    pushed_at: Option<At>,
    stages: Vec<StageShape>,
}

#[derive(Serialize)]
struct StageShape {
    stage: &'static str,
    outcome: &'static str,
    code: Option<i64>,
    reason: Option<&'static str>,
    who: Option<&'static str>,
    at: Option<At>,
    seen_at: Option<At>,
    delay_seconds: Option<i64>,
    awaited: bool,
    overdue_at: Option<At>,
}

/// One pair and its devices.
pub(super) fn pair(chain: &Chain) -> impl Serialize + use<> {
    PairShape {
        watch: watch(&chain.watch),
        added_at: At(chain.added_at),
        ends_at: At(chain.ends_at),
        devices: chain.devices.iter().map(device).collect(),
    }
}

fn device(device: &DeviceChain) -> DeviceShape {
    DeviceShape {
        instance: device.instance.clone(),
        route: device.route.as_str(),
        platform: device.platform.to_string(),
        notifications: device.notifications.as_str(),
        pushed_at: at(device.pushed_at),
        stages: device.stages.iter().map(|view| stage(device, view)).collect(),
    }
}

fn stage(device: &DeviceChain, view: &StageView) -> StageShape {
    StageShape {
        stage: view.stage.as_str(),
        outcome: view.outcome.map_or("unreported", Outcome::as_str),
        code: view.code,
        reason: view.reason.map(Reason::as_str),
        who: view.reason.map(|reason| reason.who(view.stage, device.platform)),
        at: at(view.at),
        seen_at: at(view.seen_at),
        delay_seconds: view.delay_seconds,
        awaited: view.awaited,
        overdue_at: at(view.overdue_from),
    }
}

#[derive(Serialize)]
struct StatusShape {
    version: &'static str,
    readiness: &'static str,
    started_at: At,
    users_hidden: bool,
    severity: &'static str,
    findings: Vec<FindingShape>,
    ledger: LedgerShape,
    apps: Vec<AppShape>,
}

#[derive(Serialize)]
struct FindingShape {
    id: &'static str,
    severity: &'static str,
    app: Option<String>,
    source: Option<String>,
    text: String,
    remedy: String,
    detail: Option<String>,
}

fn finding(finding: Finding, visitor: Visitor) -> FindingShape {
    FindingShape {
        id: finding.id.as_str(),
        severity: finding.severity.as_str(),
        app: finding.app,
        source: finding.source,
        text: finding.text,
        remedy: finding.remedy,
        detail: finding.detail.filter(|_| visitor.sees_users),
    }
}

#[derive(Serialize)]
struct LedgerShape {
    last_commit_at: Option<At>,
    size_bytes: u64,
    note: Option<String>,
    failing_since: Option<At>,
}

#[derive(Serialize)]
struct AppShape {
    name: String,
    endpoint_host: String,
    up: Option<bool>,
    last_success_at: Option<At>,
    pairs: BTreeMap<&'static str, u64>,
    backlog_seconds: f64,
    budget: BudgetShape,
    latest_failure: Option<LatestShape>,
    usersig_expires_at: Option<At>,
    sources: Vec<SourceShape>,
    recent: RecentShape,
    push_failures: Vec<FailureShape>,
}

#[derive(Serialize)]
struct BudgetShape {
    requests_per_second: f64,
    requests_per_second_configured: f64,
    used: f64,
    resume_at: Option<At>,
}

#[derive(Serialize)]
struct LatestShape {
    at: At,
    text: String,
    upstream_text: Option<String>,
}

#[derive(Serialize)]
struct SourceShape {
    name: String,
    entries: u64,
    refused_entries: u64,
    warnings: u64,
    skipped_files: u64,
    last_success_at: Option<At>,
    up: Option<bool>,
    failing: bool,
}

#[derive(Serialize)]
struct RecentShape {
    since: At,
    stages: Vec<RecentStageShape>,
}

#[derive(Serialize)]
struct RecentStageShape {
    route: &'static str,
    platform: String,
    stage: &'static str,
    successes: u64,
    failures: u64,
    reasons: Vec<ReasonShape>,
}

#[derive(Serialize)]
struct ReasonShape {
    reason: &'static str,
    code: i64,
    count: u64,
    who: &'static str,
}

#[derive(Serialize)]
struct FailureShape {
    task: String,
    user: Option<String>,
    route: &'static str,
    platform: String,
    stage: &'static str,
    code: i64,
    reason: &'static str,
    who: &'static str,
    at: Option<At>,
    seen_at: At,
}

/// All that the status page tells.
pub(super) fn status(app_state: &AppState, visitor: Visitor) -> impl Serialize + use<> {
    let snapshot = (app_state.dependencies.snapshot)();
    let status = app_state.status.load();
    let findings = findings::of_state(app_state);
    StatusShape {
        version: env!("CARGO_PKG_VERSION"),
        readiness: match app_state.readiness() {
            Readiness::Starting => "starting",
            Readiness::Ready => "ready",
            Readiness::Stopping => "stopping",
        },
        started_at: At(app_state.started_at),
        users_hidden: !visitor.sees_users,
        severity: worst(&findings).as_str(),
        findings: findings.into_iter().map(|one| finding(one, visitor)).collect(),
        ledger: LedgerShape {
            last_commit_at: at(Some(snapshot.committed_at).filter(|at| *at > 0)),
            size_bytes: snapshot.size_bytes,
            note: status.ledger_note.clone(),
            failing_since: at(status.ledger_stall.as_ref().map(|stall| stall.since)),
        },
        apps: status.apps.iter().map(|one| app(one, visitor)).collect(),
    }
}

fn app(app: &AppStatus, visitor: Visitor) -> AppShape {
    let latest = app.latest_failure.as_ref();
    AppShape {
        name: app.name.clone(),
        endpoint_host: app.endpoint_host.clone(),
        up: app.up,
        last_success_at: at(app.last_success_at),
        pairs: app.pairs.by_name().into(),
        backlog_seconds: app.backlog_seconds,
        budget: BudgetShape {
            requests_per_second: app.rate_in_force,
            requests_per_second_configured: app.rate_configured,
            used: app.budget_used,
            resume_at: at(app.resume_at),
        },
        latest_failure: latest.map(|failure| LatestShape {
            at: At(failure.at),
            text: failure.text.clone(),
            // It may name users.
            upstream_text: failure.upstream_text.clone().filter(|_| visitor.sees_users),
        }),
        usersig_expires_at: at(app.usersig_expires_at),
        sources: app
            .sources
            .iter()
            .map(|source| SourceShape {
                name: source.name.clone(),
                entries: source.figures.entries,
                refused_entries: source.figures.refused,
                warnings: source.figures.warnings,
                skipped_files: source.figures.skipped_files,
                last_success_at: at(source.last_success_at),
                up: source.is_read.then(|| source.is_up()),
                failing: source.error.is_some(),
            })
            .collect(),
        recent: RecentShape {
            since: At(app.recent_since),
            stages: app.recent.iter().map(recent_stage).collect(),
        },
        push_failures: app.push_failures.iter().map(|one| push_failure(one, visitor)).collect(),
    }
}

fn recent_stage(stage: &RecentStage) -> RecentStageShape {
    let reason = |(reason, code, count): &(Reason, i64, u64)| ReasonShape {
        reason: reason.as_str(),
        code: *code,
        count: *count,
        who: reason.who(stage.stage, stage.platform),
    };
    RecentStageShape {
        route: stage.route.as_str(),
        platform: stage.platform.to_string(),
        stage: stage.stage.as_str(),
        successes: stage.successes,
        failures: stage.failures,
        reasons: stage.reasons.iter().map(reason).collect(),
    }
}

fn push_failure(failure: &PushFailure, visitor: Visitor) -> FailureShape {
    FailureShape {
        task: failure.task.clone(),
        user: visitor.sees_users.then(|| failure.user.clone()),
        route: failure.route.as_str(),
        platform: failure.platform.to_string(),
        stage: failure.stage.as_str(),
        code: failure.code,
        reason: failure.reason.as_str(),
        who: failure.reason.who(failure.stage, failure.platform),
        at: at(failure.at),
        seen_at: At(failure.seen_at),
    }
}
