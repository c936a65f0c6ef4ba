//! The answers of the API, made of what the read model holds.

use jiff::Timestamp;

use super::shapes::{
    AppShape, BudgetShape, DeviceShape, FailureShape, FindingShape, LatestShape, LedgerShape, PageShape,
    PairShape, PairsShape, ReasonShape, RecentShape, RecentStageShape, SourceShape, StageShape, StatusShape,
    WatchShape,
};
use crate::trace::{Outcome, Reason};
use crate::view::{AppStatus, Chain, DeviceChain, Page, PushFailure, RecentStage, StageView, Watch};
use crate::web::app_state::{AppState, Readiness};
use crate::web::findings::{self, Finding, worst};
use crate::web::privacy::Visitor;

/// A moment in Unix seconds; one that no calendar holds is the first or the last that it does.
fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

fn at(seconds: Option<i64>) -> Option<Timestamp> {
    seconds.map(time)
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

/// One page of pairs.
pub(super) fn page(page: &Page) -> PageShape {
    PageShape {
        total: page.total,
        next: page.next.clone(),
        watches: page.watches.iter().map(watch).collect(),
    }
}

/// One pair and its devices.
pub(super) fn pair(chain: &Chain) -> PairShape {
    PairShape {
        watch: watch(&chain.watch),
        added_at: time(chain.added_at),
        ends_at: time(chain.ends_at),
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

fn finding(finding: Finding, visitor: Visitor) -> FindingShape {
    FindingShape {
        id: finding.id,
        severity: finding.severity,
        app: finding.app,
        source: finding.source,
        text: finding.text,
        remedy: finding.remedy,
        detail: finding.detail.filter(|_| visitor.sees_users),
    }
}

/// All that the status page tells.
pub(super) fn status(app_state: &AppState, visitor: Visitor) -> StatusShape {
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
        started_at: time(app_state.started_at),
        users_hidden: !visitor.sees_users,
        severity: worst(&findings),
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
        pairs: PairsShape {
            new: app.pairs.new,
            active: app.pairs.active,
            settled: app.pairs.settled,
            failing: app.pairs.failing,
        },
        backlog_seconds: app.backlog_seconds,
        budget: BudgetShape {
            requests_per_second: app.rate_in_force,
            requests_per_second_configured: app.rate_configured,
            used: app.budget_used,
            resume_at: at(app.resume_at),
        },
        latest_failure: latest.map(|failure| LatestShape {
            at: time(failure.at),
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
            since: time(app.recent_since),
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
        seen_at: time(failure.seen_at),
    }
}
