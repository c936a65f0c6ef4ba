//! The front page: whether the exporter is well, where pushes fail, the latest failures.

use maud::{Markup, html};

use super::super::house::Readiness;
use super::super::privacy::Eyes;
use super::Facts;
use super::apps::{self, FEW_APPS, Judged};
use super::fails;
use super::health::{self, Finding, Level};
use super::layout::{Frame, Room, page};
use super::links::part;
use super::times::{ago, count, counted, moment, span};
use crate::trace::visible;

/// Apps in trouble that the verdict names.
const MAX_APPS_NAMED: usize = 12;

/// The page for one visitor.
pub(super) fn page_of(facts: &Facts<'_>, eyes: Eyes<'_>) -> Markup {
    let own = health::of_process(facts);
    let judged = apps::judged(facts);
    let has_few = judged.len() <= FEW_APPS;
    let main = html! {
        (verdict(facts, &own, &judged))
        @if has_few { (apps::cards(&judged, facts.now)) }
        (fails::stages(facts))
        (fails::latest(facts, eyes))
        @if !has_few { (apps::cards(&judged, facts.now)) }
        (more())
    };
    page(&Frame { title: "Status", room: Room::Status, is_live: true }, &main)
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
            @if level == Level::Well {
                @match facts.status.apps.iter().filter_map(|app| app.last_success_at).max() {
                    Some(at) => p {
                        "The API answers; the latest answer came " (ago(at, facts.now)) ". The exporter needs no hand."
                    },
                    None => p { "The API has not been asked yet." },
                }
            }
            ul.findings {
                @for finding in own { (line(None, finding)) }
                @if apps.len() <= FEW_APPS {
                    @for judged in &troubled {
                        @for finding in &judged.findings {
                            (line(Some(judged.app.name.as_str()).filter(|_| apps.len() > 1), finding))
                        }
                    }
                }
            }
            @if apps.len() > FEW_APPS && !troubled.is_empty() { (names(&troubled, apps.len())) }
            (state(facts))
        }
    }
}

fn line(app: Option<&str>, finding: &Finding) -> Markup {
    html! {
        li.(finding.level.class()) {
            span.sign aria-hidden="true" { (finding.level.sign()) }
            @if let Some(app) = app { a href={ "#app-" (part(app)) } { (app) } ": " }
            (visible(&finding.text))
        }
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
