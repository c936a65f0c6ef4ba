//! The apps one by one: state, budget, backlog, age of data, pairs, sources.

use maud::{Markup, html};

use super::super::desk::Query;
use super::super::house::AppStatus;
use super::Facts;
use super::health::{self, Finding, Level};
use super::links::{self, part};
use super::times::{ago, count, counted, date_time, rate, whole_span};
use crate::trace::visible;

/// Apps that are shown one by one; those in the worst state come first.
const MAX_APPS_SHOWN: usize = 50;
/// With no more apps than this, all that is wrong with each stands at the top of the page.
pub(super) const FEW_APPS: usize = 4;

/// One app with what is wrong with it.
pub(super) struct Judged<'a> {
    pub(super) app: &'a AppStatus,
    pub(super) findings: Vec<Finding>,
    pub(super) level: Level,
}

/// All apps, those in the worst state first.
pub(super) fn judged<'a>(facts: &Facts<'a>) -> Vec<Judged<'a>> {
    let judge = |app| {
        let findings = health::of_app(app, facts.now);
        Judged { app, level: health::worst(&findings), findings }
    };
    let mut apps: Vec<Judged<'_>> = facts.status.apps.iter().map(judge).collect();
    apps.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.app.name.cmp(&b.app.name)));
    apps
}

/// A card for each app.
pub(super) fn cards(apps: &[Judged<'_>], now: i64) -> Markup {
    let more = apps.len().saturating_sub(MAX_APPS_SHOWN) as u64;
    html! {
        section #apps data-live aria-labelledby="apps-title" {
            h2 #apps-title { "Apps" }
            @if apps.is_empty() { p { "No app is watched yet." } }
            div.cards {
                @for judged in apps.iter().take(MAX_APPS_SHOWN) { (card(judged, now, apps.len() <= FEW_APPS)) }
            }
            @if more > 0 {
                p.dim {
                    (counted(more, "app")) " in no worse state not shown; "
                    a href="/metrics" { "the metrics" } " have all."
                }
            }
        }
    }
}

fn card(judged: &Judged<'_>, now: i64, has_few: bool) -> Markup {
    let app = judged.app;
    let state = match app.up {
        None => "not asked yet",
        Some(true) => "up",
        Some(false) if judged.level == Level::Broken => "down",
        Some(false) => "latest request failed",
    };
    html! {
        article.card.(judged.level.class()) id={ "app-" (part(&app.name)) } {
            h3 {
                span.sign aria-hidden="true" { (judged.level.sign()) }
                (app.name) " " span.plain { (state) }
            }
            p.dim.host { (app.endpoint_host) }
            @if !has_few && !judged.findings.is_empty() {
                ul.findings {
                    @for finding in &judged.findings {
                        li.(finding.level.class()) {
                            span.sign aria-hidden="true" { (finding.level.sign()) } (visible(&finding.text))
                        }
                    }
                }
            }
            dl.facts {
                div {
                    dt { "Newest data" }
                    dd { @match app.last_success_at { Some(at) => (ago(at, now)), None => "none yet" } }
                }
                (budget(app))
                div { dt { "Backlog" } dd { (whole_span(app.backlog_seconds)) } }
                (pairs(app))
                @if let Some(at) = app.usersig_expires_at {
                    div { dt { "Signature ends" } dd { (ago(at, now)) } }
                }
                @if let Some(at) = app.resume_at {
                    div { dt { "Paused until" } dd { (date_time(at)) " UTC" } }
                }
                @if let Some(failure) = &app.latest_failure {
                    div.broad { dt { "Latest failed request" } dd { (ago(failure.at, now)) ": " (visible(&failure.text)) } }
                }
            }
            (sources(app, now))
            p.links {
                a href=(links::watches(&Query { app: Some(app.name.clone()), ..Query::default() })) {
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
                        thead {
                            tr { th scope="col" { "Source" } th.n scope="col" { "Entries" } th scope="col" { "Last read" } }
                        }
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
