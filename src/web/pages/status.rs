//! The front page: whether the exporter is well, where pushes fail, the latest failures.

use maud::{Markup, html};

use super::super::house::{AppStatus, Readiness};
use super::Facts;
use super::fails;
use super::health::{self, Finding, Level};
use super::layout::{Frame, Room, page};
use super::links::{self, Eyes, part};
use super::times::{ago, count, counted, date_time, moment, rate, span, whole_span};

/// Apps that are shown one by one; those in the worst state come first.
const MAX_APPS_SHOWN: usize = 50;
/// With no more apps than this, each stands open with all its figures.
const FEW_APPS: usize = 4;

/// One app with what is wrong with it.
struct Judged<'a> {
    app: &'a AppStatus,
    findings: Vec<Finding>,
    level: Level,
}

/// The page for one visitor.
pub(super) fn page_of(facts: &Facts<'_>, eyes: Eyes<'_>) -> Markup {
    let own = health::of_process(facts);
    let mut apps: Vec<Judged<'_>> = facts.status.apps.iter().map(|app| judged(app, facts.now)).collect();
    apps.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.app.name.cmp(&b.app.name)));
    let main = html! {
        (verdict(facts, &own, &apps))
        (fails::stages(facts))
        (fails::latest(facts, eyes))
        section #apps data-live aria-labelledby="apps-title" {
            h2 #apps-title { "Apps" }
            @if apps.is_empty() { p { "No app is watched yet." } }
            div.cards {
                @for judged in apps.iter().take(MAX_APPS_SHOWN) {
                    (card(judged, facts.now, apps.len() <= FEW_APPS))
                }
            }
            @if let Some(more) = apps.len().checked_sub(MAX_APPS_SHOWN).filter(|more| *more > 0) {
                p.dim { (counted(more as u64, "app")) " in no worse state not shown; " a href="/metrics" { "the metrics" } " have all." }
            }
        }
        (process(facts))
        (more())
    };
    page(&Frame { title: "Status", room: Room::Status, is_live: true }, &main)
}

fn judged(app: &AppStatus, now: i64) -> Judged<'_> {
    let findings = health::of_app(app, now);
    let level = health::worst(&findings);
    Judged { app, findings, level }
}

fn verdict(facts: &Facts<'_>, own: &[Finding], apps: &[Judged<'_>]) -> Markup {
    let level =
        apps.iter().map(|judged| judged.level).max().max(Some(health::worst(own))).unwrap_or(Level::Well);
    let troubled: Vec<&Judged<'_>> = apps.iter().filter(|judged| judged.level > Level::Well).collect();
    let title = match level {
        Level::Well => "The exporter is well",
        Level::Look => "The exporter works, and somebody should look",
        Level::Broken => "The exporter does not learn what it should",
    };
    html! {
        section.verdict.(level.class()) #verdict data-live aria-label="Verdict" {
            h1 { span.sign aria-hidden="true" { (level.sign()) } (title) }
            (findings(own))
            @if troubled.is_empty() {
                @if let Some(at) = facts.status.apps.iter().filter_map(|app| app.last_success_at).max() {
                    p { "The API answers: " (ago(at, facts.now)) " at last. Nothing needs a hand." }
                } @else {
                    p { "The API has not been asked yet." }
                }
            } @else {
                p {
                    @for (at, judged) in troubled.iter().take(MAX_APPS_SHOWN).enumerate() {
                        @if at > 0 { ", " }
                        a href={ "#app-" (part(&judged.app.name)) } { (judged.app.name) }
                    }
                    ": " (counted(troubled.len() as u64, "app")) " of " (count(apps.len() as u64)) "."
                }
                @if apps.len() <= FEW_APPS {
                    @for judged in &troubled { (findings(&judged.findings)) }
                }
            }
            p.dim.made { "As of " (moment(facts.now, facts.now)) " UTC" }
        }
    }
}

fn findings(findings: &[Finding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            ul.findings {
                @for finding in findings {
                    li.(finding.level.class()) { span.sign aria-hidden="true" { (finding.level.sign()) } (finding.text) }
                }
            }
        }
    }
}

fn card(judged: &Judged<'_>, now: i64, is_open: bool) -> Markup {
    let app = judged.app;
    let state = match app.up {
        None => "not asked yet",
        Some(true) => "up",
        Some(false) => "down",
    };
    html! {
        article.card.(judged.level.class()) id={ "app-" (part(&app.name)) } {
            h3 {
                span.sign aria-hidden="true" { (judged.level.sign()) }
                (app.name) " " span.plain { (state) }
            }
            p.dim.host { (app.endpoint_host) }
            @if !is_open { (findings(&judged.findings)) }
            dl.facts {
                div { dt { "Newest data" } dd { @match app.last_success_at { Some(at) => (ago(at, now)), None => "none yet" } } }
                (budget(app))
                div { dt { "Backlog" } dd { (whole_span(app.backlog_seconds)) } }
                (pairs(app))
                @if let Some(at) = app.usersig_expires_at {
                    div { dt { "Signature ends" } dd { (ago(at, now)) } }
                }
                @if let Some(at) = app.resume_at {
                    div { dt { "Paused until" } dd { (date_time(at)) " UTC" } }
                }
                @if let Some(failure) = app.latest_failure.as_ref().filter(|_| app.up == Some(true)) {
                    div { dt { "Latest failed request" } dd { (ago(failure.at, now)) ": " (failure.text) } }
                }
            }
            (sources(app, now))
            p.links {
                a href=(links::watches(&super::super::desk::Query { app: Some(app.name.clone()), ..Default::default() })) {
                    "Watch list" span.hidden { " of " (app.name) }
                }
                " · "
                a href=(links::failed_of(&app.name)) { "Failed pairs" span.hidden { " of " (app.name) } }
            }
        }
    }
}

fn budget(app: &AppStatus) -> Markup {
    let used = app.budget_used.clamp(0.0, 1.0);
    html! {
        div {
            dt { "Budget used" }
            dd {
                svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                    rect.track width="100" height="8" {}
                    rect.fill width=(format!("{:.0}", used * 100.0)) height="8" {}
                }
                (format!("{:.0} %", used * 100.0)) " of " (rate(app.rate_in_force)) "/s"
                @if app.rate_in_force != app.rate_configured { " (configured: " (rate(app.rate_configured)) "/s)" }
            }
        }
    }
}

fn pairs(app: &AppStatus) -> Markup {
    let states = app.pairs.by_name();
    let shown: Vec<_> = states.into_iter().filter(|(_, n)| *n > 0).collect();
    html! {
        div {
            dt { "Pairs" }
            dd {
                (count(app.pairs.total()))
                @if !shown.is_empty() {
                    span.dim {
                        ": "
                        @for (at, (state, n)) in shown.iter().enumerate() {
                            @if at > 0 { ", " }
                            (count(*n)) " " (state)
                        }
                    }
                }
            }
        }
    }
}

fn sources(app: &AppStatus, now: i64) -> Markup {
    let failing = app.sources.iter().filter(|source| source.failing).count() as u64;
    html! {
        @if !app.sources.is_empty() {
            details open[failing > 0] {
                summary {
                    (counted(app.sources.len() as u64, "watch source"))
                    @if failing > 0 { ", " strong.broken { (count(failing)) " failing" } }
                }
                div.wide {
                    table {
                        caption.hidden { "Watch sources of " (app.name) }
                        thead { tr { th scope="col" { "Source" } th.n scope="col" { "Entries" } th scope="col" { "Last read" } } }
                        tbody {
                            @for source in app.sources.iter() {
                                tr {
                                    th scope="row" { (source.name) }
                                    td.n { (count(source.entries)) }
                                    td {
                                        @match source.last_success_at { Some(at) => (ago(at, now)), None => "never" }
                                        @if source.failing { " " strong.broken { "✕ fails" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn process(facts: &Facts<'_>) -> Markup {
    let uptime = facts.now.saturating_sub(facts.started_at).max(0);
    let readiness = match facts.readiness {
        Readiness::Ready => "ready",
        Readiness::Starting => "starting",
        Readiness::Stopping => "shutting down",
    };
    html! {
        section #process data-live aria-labelledby="process-title" {
            h2 #process-title { "Exporter" }
            dl.facts {
                div { dt { "State" } dd { (readiness) ", up " (span(uptime)) } }
                div { dt { "Version" } dd { (env!("CARGO_PKG_VERSION")) } }
                div {
                    dt { "Latest result on disk" }
                    dd {
                        @if facts.committed_at > 0 { (ago(facts.committed_at, facts.now)) } @else { "none of this process yet" }
                    }
                }
                div { dt { "Page made" } dd { (moment(facts.now, facts.now)) " UTC" } }
            }
        }
    }
}

fn more() -> Markup {
    html! {
        section aria-labelledby="more-title" {
            h2 #more-title { "More" }
            ul.more {
                li { a href="/watches" { "Watch lists" } " – search, filter, one pair's chain" }
                li { a href="/metrics" { "Metrics" } " – for Prometheus" }
                li { a href="/config" { "Configuration in force" } " – without secrets" }
                li { a href="/api/v1/watches" { "API" } " – the watch lists as JSON" }
                li { a href="/-/healthy" { "Health" } " and " a href="/-/ready" { "readiness" } }
            }
        }
    }
}
