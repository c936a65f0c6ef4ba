//! The front page: whether the exporter is well, where pushes fail, the latest failures.

use maud::{Markup, html};

use super::super::app_state::Readiness;
use super::super::findings::{Severity, worst};
use super::super::privacy::Visitor;
use super::super::times::{ago, count, counted, moment, span};
use super::Facts;
use super::apps::{self, FEW_APPS, Judged};
use super::fails;
use super::health;
use super::layout::{Frame, Room, page};
use super::links::part;

/// Apps in trouble that the verdict names.
const MAX_APPS_NAMED: usize = 12;

/// The page for one visitor.
pub(super) fn page_of(facts: &Facts<'_>, visitor: Visitor) -> Markup {
    let judged = apps::judged(facts);
    let has_few = judged.len() <= FEW_APPS;
    let main = html! {
        (verdict(facts, &judged, visitor))
        @if has_few { (apps::cards(&judged, facts.now, visitor)) }
        (fails::stages(facts))
        (fails::latest(facts, visitor))
        @if !has_few { (apps::cards(&judged, facts.now, visitor)) }
        (more())
    };
    page(&Frame { title: "Status", room: Room::Status, is_live: true }, &main)
}

fn verdict(facts: &Facts<'_>, apps: &[Judged<'_>], visitor: Visitor) -> Markup {
    let severity = worst(facts.findings);
    let troubled: Vec<&Judged<'_>> = apps.iter().filter(|judged| judged.severity > Severity::Info).collect();
    let has_few = apps.len() <= FEW_APPS;
    let shown = facts.findings.iter().filter(|finding| has_few || finding.app.is_none());
    html! {
        section.verdict.(health::class(severity)) #verdict data-live aria-label="Verdict" {
            h1 { span.sign aria-hidden="true" { (health::sign(severity)) } (title(facts, severity)) }
            @if severity <= Severity::Info {
                @match facts.status.apps.iter().filter_map(|app| app.last_success_at).max() {
                    Some(at) => p {
                        "The API answers; the latest answer came " (ago(at, facts.now)) ". No action needed."
                    },
                    None => p { "The API has not been polled yet." },
                }
            }
            ul.findings {
                @for finding in shown { (health::item(finding, apps.len() > 1, visitor)) }
            }
            @if !has_few && !troubled.is_empty() { (names(&troubled, apps.len())) }
            (state(facts))
        }
    }
}

fn title(facts: &Facts<'_>, severity: Severity) -> &'static str {
    let watches = facts.status.apps.iter().any(|app| app.pairs.total() > 0);
    match severity {
        Severity::Info if !watches => "The exporter works, and watches nothing yet",
        Severity::Ok | Severity::Info => "The exporter is well",
        Severity::Warning => "The exporter works, and somebody should look",
        Severity::Critical => "The exporter does not learn what it should",
    }
}

/// The apps in trouble, by name, where there are too many to tell of each here.
fn names(troubled: &[&Judged<'_>], all: usize) -> Markup {
    html! {
        p {
            (counted(troubled.len() as u64, "app")) " of " (count(all as u64)) ": "
            @for (at, judged) in troubled.iter().take(MAX_APPS_NAMED).enumerate() {
                @if at > 0 { ", " }
                a href={ "#app-" (part(&judged.app.name)) } { (judged.app.name) }
            }
            @if troubled.len() > MAX_APPS_NAMED { " and others" }
            "."
        }
    }
}

/// The process and its ledger in one line.
fn state(facts: &Facts<'_>) -> Markup {
    let uptime = facts.now.saturating_sub(facts.started_at).max(0);
    let readiness = match facts.readiness {
        Readiness::Ready => "ready",
        Readiness::Starting => "starting",
        Readiness::Stopping => "shutting down",
    };
    html! {
        p.dim.made {
            "As of " (moment(facts.now, facts.now)) " UTC: " (readiness) ", up " (span(uptime)) ", "
            @if facts.committed_at > 0 { "latest result on disk " (ago(facts.committed_at, facts.now)) }
            @else { "no result of this process on disk yet" }
            "."
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
