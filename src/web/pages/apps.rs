//! The apps one by one: state, budget, backlog, age of data, pairs, sources.

use std::collections::HashMap;

use maud::{Markup, html};

use super::super::findings::{Finding, Severity, worst};
use super::super::privacy::Visitor;
use super::super::times::{ago, count, counted, date_time, rate, whole_span};
use super::Facts;
use super::health;
use super::links::{self, part};
use crate::trace::visible;
use crate::view::{API_SOURCE, AppStatus, LatestFailure, Query, SourceStatus};
use crate::watch::feed::Figures;

/// Apps that are shown one by one; those in the worst state come first.
const MAX_APPS_SHOWN: usize = 50;
/// With no more apps than this, all that is wrong with each stands at the top of the page.
pub(super) const FEW_APPS: usize = 4;

/// One app with what is wrong with it.
pub(super) struct Judged<'a> {
    pub(super) app: &'a AppStatus,
    pub(super) findings: Vec<&'a Finding>,
    pub(super) severity: Severity,
}

/// All apps, those in the worst state first.
pub(super) fn judged<'a>(facts: &Facts<'a>) -> Vec<Judged<'a>> {
    let mut of_apps: HashMap<&str, Vec<&Finding>> = HashMap::new();
    for finding in facts.findings {
        if let Some(app) = finding.app.as_deref() {
            of_apps.entry(app).or_default().push(finding);
        }
    }
    let mut judge = |app: &'a AppStatus| {
        let findings = of_apps.remove(app.name.as_str()).unwrap_or_default();
        Judged { app, severity: worst(findings.iter().copied()), findings }
    };
    let mut apps: Vec<Judged<'_>> = facts.status.apps.iter().map(&mut judge).collect();
    apps.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.app.name.cmp(&b.app.name)));
    apps
}

/// A card for each app.
pub(super) fn cards(apps: &[Judged<'_>], now: i64, visitor: Visitor) -> Markup {
    let more = apps.len().saturating_sub(MAX_APPS_SHOWN) as u64;
    html! {
        section #apps data-live aria-labelledby="apps-title" {
            h2 #apps-title { "Apps" }
            @if apps.is_empty() { p { "No app is watched yet." } }
            div.cards {
                @for judged in apps.iter().take(MAX_APPS_SHOWN) { (card(judged, now, apps.len() <= FEW_APPS, visitor)) }
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

fn card(judged: &Judged<'_>, now: i64, has_few: bool, visitor: Visitor) -> Markup {
    let app = judged.app;
    let state = match app.up {
        None => "not polled yet",
        Some(true) => "up",
        Some(false) if judged.severity == Severity::Critical => "down",
        Some(false) => "latest request failed",
    };
    html! {
        article.card.(health::class(judged.severity)) id={ "app-" (part(&app.name)) } {
            h3 {
                span.sign aria-hidden="true" { (health::sign(judged.severity)) }
                (app.name) " " span.plain { (state) }
            }
            p.dim.host { (app.endpoint_host) }
            @if !has_few && !judged.findings.is_empty() {
                ul.findings {
                    @for finding in &judged.findings { (health::item(finding, false, visitor)) }
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
                    (latest_failure(failure, now, visitor))
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

/// The upstream's words may name users.
fn latest_failure(failure: &LatestFailure, now: i64, visitor: Visitor) -> Markup {
    let words = failure.upstream_text.as_deref().filter(|_| visitor.sees_users);
    html! {
        div.broad {
            dt { "Latest failed request" }
            dd {
                (ago(failure.at, now)) ": " (visible(&failure.text)) "."
                @if let Some(words) = words { " The upstream says: " q { bdi { (visible(words)) } } }
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

/// Whatever is not as it should be with a source: the class that colours each, and its words with their sign.
fn troubles(source: &SourceStatus) -> Vec<(&'static str, String)> {
    let Figures { entries, refused, warnings, lists, skipped_files } = source.figures;
    let mut found = Vec::new();
    if source.error.is_some() {
        found.push(("broken", "✕ fails".to_owned()));
    } else if source.is_read && lists == 0 {
        found.push(("look", "! no file".to_owned()));
    } else if source.is_read && entries == 0 && source.name != API_SOURCE {
        found.push(("look", "! empty".to_owned()));
    }
    if refused > 0 {
        found.push(("look", format!("! {} refused", count(refused))));
    }
    if warnings > 0 {
        found.push(("look", format!("! {} odd", count(warnings))));
    }
    if skipped_files > 0 {
        found.push(("look", format!("! {} skipped", counted(skipped_files, "file"))));
    }
    found
}

fn state(source: &SourceStatus) -> Markup {
    let troubles = troubles(source);
    html! {
        @if troubles.is_empty() { @if source.is_read { "✓ good" } @else { "not read yet" } }
        @for (class, words) in troubles { strong.state.(class) { (words) } }
    }
}

fn sources(app: &AppStatus, now: i64) -> Markup {
    let failing = app.sources.iter().filter(|source| source.error.is_some()).count() as u64;
    let is_open = app.sources.iter().any(|source| !troubles(source).is_empty());
    html! {
        @if !app.sources.is_empty() {
            details open[is_open] {
                summary {
                    (counted(app.sources.len() as u64, "watch source"))
                    @if failing > 0 { ", " strong.broken { (count(failing)) " failing" } }
                }
                div.wide {
                    table {
                        caption.hidden { "Watch sources of " (app.name) }
                        thead {
                            tr {
                                th scope="col" { "Source" }
                                th.n scope="col" { "Entries" }
                                th scope="col" { "Last read" }
                                @if is_open { th scope="col" { "State" } }
                            }
                        }
                        tbody {
                            @for source in app.sources.iter() {
                                tr {
                                    th scope="row" { (source.name) }
                                    td.n { (count(source.figures.entries)) }
                                    td { @match source.last_success_at { Some(at) => (ago(at, now)), None => "never" } }
                                    @if is_open { td { (state(source)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
