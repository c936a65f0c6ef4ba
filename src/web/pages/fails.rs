//! Where pushes fail: shares by platform and stage with their reasons, and the latest failures one by one.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::super::privacy::Visitor;
use super::super::times::{ago, count, counted, moment, percent};
use super::Facts;
use super::links;
use crate::trace::{Platform, Reason, Route, Stage, visible};
use crate::view::{PushFailure, RecentStage};

/// Rows of the table of reasons; those with the most failures.
const MAX_REASONS_SHOWN: usize = 12;
/// Platforms in the table of shares; those with the most results.
const MAX_PLATFORMS_SHOWN: usize = 24;
/// Failures that are listed one by one.
const MAX_LATEST_SHOWN: usize = 20;
/// From this share on a cell is marked as bad.
const BAD_SHARE: f64 = 0.05;

/// Successes and failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    successes: u64,
    failures: u64,
}

impl Tally {
    fn all(self) -> u64 {
        self.successes + self.failures
    }

    fn class(self) -> &'static str {
        match self.failures as f64 / self.all().max(1) as f64 {
            0.0 => "well",
            share if share < BAD_SHARE => "look",
            _ => "broken",
        }
    }
}

/// All apps together, by platform and stage.
type Grid = BTreeMap<(Route, Platform), BTreeMap<Stage, Tally>>;

/// One reason for failures at one place.
struct Cause<'a> {
    app: &'a str,
    at: &'a RecentStage,
    reason: Reason,
    code: i64,
    failures: u64,
}

/// The shares and their reasons.
pub(super) fn stages(facts: &Facts<'_>) -> Markup {
    let grid = grid(facts);
    let total = grid.values().flat_map(BTreeMap::values).fold(Tally::default(), |sum, tally| Tally {
        successes: sum.successes + tally.successes,
        failures: sum.failures + tally.failures,
    });
    let told = facts.status.apps.iter().map(|app| app.recent_since).filter(|since| *since > 0);
    let since = told.min().unwrap_or(facts.started_at);
    html! {
        section #stages data-live aria-labelledby="stages-title" {
            h2 #stages-title { "Where pushes fail" }
            @if total.all() == 0 {
                p { "The polls since " (moment(since, facts.now)) " brought no new result." }
            } @else {
                p {
                    (headline(&grid))
                    " Counted are the " (counted(total.all(), "result")) " that polls saw for the first time since "
                    (moment(since, facts.now)) "."
                }
                (shares(&grid))
                (reasons(facts, total))
            }
        }
    }
}

fn grid(facts: &Facts<'_>) -> Grid {
    let mut grid = Grid::new();
    for recent in facts.status.apps.iter().flat_map(|app| app.recent.iter()) {
        let stages = grid.entry((recent.route, recent.platform)).or_default();
        let tally = stages.entry(recent.stage).or_default();
        tally.successes += recent.successes;
        tally.failures += recent.failures;
    }
    grid.retain(|_, stages| stages.values().any(|tally| tally.all() > 0));
    grid
}

/// The place with the most failures, in words.
fn headline(grid: &Grid) -> Markup {
    let cells = grid.iter().flat_map(|((route, platform), stages)| {
        stages.iter().map(move |(stage, tally)| (*route, *platform, *stage, *tally))
    });
    let most = cells.filter(|(.., tally)| tally.failures > 0).max_by_key(|(.., tally)| tally.failures);
    html! {
        @match most {
            None => { strong.well { span.sign aria-hidden="true" { "✓" } "No push failed." } }
            Some((_, platform, stage, tally)) => {
                strong.(tally.class()) { "Most failures: " (platform) " at " (stage.as_str()) }
                ", " (count(tally.failures)) " of " (count(tally.all())) " (" (percent(tally.failures, tally.all())) ")."
            }
        }
    }
}

fn shares(grid: &Grid) -> Markup {
    let mut rows: Vec<_> = grid.iter().collect();
    let all = |stages: &BTreeMap<Stage, Tally>| stages.values().map(|tally| tally.all()).sum::<u64>();
    if rows.len() > MAX_PLATFORMS_SHOWN {
        rows.sort_by_key(|(_, stages)| std::cmp::Reverse(all(stages)));
        rows.truncate(MAX_PLATFORMS_SHOWN);
    }
    html! {
        section.wide aria-labelledby="shares-title" tabindex="0" {
            table.shares {
                caption #shares-title { "Share of failures, by platform and stage" }
                thead {
                    tr {
                        th scope="col" { "Platform" }
                        @for stage in Stage::ALL { th.n scope="col" { (stage.as_str()) } }
                    }
                }
                tbody {
                    @for ((route, platform), stages) in rows {
                        tr {
                            th scope="row" { (platform) @if *route == Route::Online { " " span.dim { "online" } } }
                            @for stage in Stage::ALL { (cell(*route, stage, stages.get(&stage).copied())) }
                        }
                    }
                }
            }
        }
    }
}

fn cell(route: Route, stage: Stage, tally: Option<Tally>) -> Markup {
    html! {
        @match tally.filter(|tally| tally.all() > 0) {
            None if !route.stages().contains(&stage) => td.n.dim { span.hidden { "not on this route" } },
            None => td.n.dim { span aria-hidden="true" { "–" } span.hidden { "no result" } },
            Some(tally) => td.n.share.(tally.class()) {
                @if tally.failures > 0 { span.sign aria-hidden="true" { "✕" } }
                span.big { (percent(tally.failures, tally.all())) }
                span.of { (count(tally.failures)) "/" (count(tally.all())) }
            }
        }
    }
}

fn reasons(facts: &Facts<'_>, total: Tally) -> Markup {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    for app in &facts.status.apps {
        for at in app.recent.iter() {
            let of = |&(reason, code, failures)| Cause { app: &app.name, at, reason, code, failures };
            causes.extend(at.reasons.iter().map(of));
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.failures));
    let has_apps = facts.status.apps.len() > 1;
    let shown: u64 = causes.iter().take(MAX_REASONS_SHOWN).map(|cause| cause.failures).sum();
    html! {
        @if !causes.is_empty() {
            section.wide aria-labelledby="reasons-title" tabindex="0" {
                table.stack {
                    caption #reasons-title { "Why, and who must act" }
                    thead {
                        tr {
                            th.n scope="col" { "Failures" } th scope="col" { "Where" } th scope="col" { "Reason" }
                            th scope="col" { "Who must act" }
                        }
                    }
                    tbody {
                        @for cause in causes.iter().take(MAX_REASONS_SHOWN) { (cause_row(cause, has_apps)) }
                    }
                }
            }
            @if let Some(more) = total.failures.checked_sub(shown).filter(|more| *more > 0) {
                p.dim {
                    (counted(more, "failure")) " of other reasons; " a href="/metrics" { "the metrics" } " have all."
                }
            }
        }
    }
}

fn cause_row(cause: &Cause<'_>, has_apps: bool) -> Markup {
    html! {
        tr {
            td.n data-label="Failures" {
                a href=(links::failed_of(cause.app)) {
                    (count(cause.failures)) span.hidden { " failures: failed pairs of " (cause.app) }
                }
            }
            td { @if has_apps { (cause.app) " · " } (place(cause.at.platform, cause.at.route, cause.at.stage)) }
            td { (reason(cause.reason, cause.code)) }
            td.who { (cause.reason.who(cause.at.stage, cause.at.platform)) }
        }
    }
}

/// Platform and stage in a few words.
pub(super) fn place(platform: Platform, route: Route, stage: Stage) -> Markup {
    html! { (platform) @if route == Route::Online { " online" } " at " strong { (stage.as_str()) } }
}

/// A reason with its code, as the labels have them.
pub(super) fn reason(reason: Reason, code: i64) -> Markup {
    html! { span.reason { (reason.as_str()) } " " span.dim { "code " (code) } }
}

/// The latest failures of all apps, the latest first.
pub(super) fn latest(facts: &Facts<'_>, visitor: Visitor) -> Markup {
    let apps = facts.status.apps.iter();
    let mut failures: Vec<(&str, &PushFailure)> =
        apps.flat_map(|app| app.push_failures.iter().map(|failure| (app.name.as_str(), failure))).collect();
    failures.sort_by_key(|(_, failure)| std::cmp::Reverse(failure.seen_at));
    failures.truncate(MAX_LATEST_SHOWN);
    let has_apps = facts.status.apps.len() > 1;
    html! {
        section #latest data-live aria-labelledby="latest-title" {
            h2 #latest-title { "Latest failures" }
            @if failures.is_empty() {
                p { "No failed push has been seen since the start." }
            } @else {
                section.wide aria-labelledby="latest-caption" tabindex="0" {
                    table.stack {
                        caption.hidden #latest-caption { "Latest failures, the latest first" }
                        thead {
                            tr {
                                th scope="col" { "Seen" } th scope="col" { "Where" } th scope="col" { "Reason" }
                                @if visitor.sees_users { th scope="col" { "User" } }
                                th scope="col" { "Task" }
                            }
                        }
                        tbody {
                            @for (app, failure) in failures { (latest_row(app, failure, (facts, visitor, has_apps))) }
                        }
                    }
                }
            }
        }
    }
}

fn latest_row(
    app: &str,
    failure: &PushFailure,
    (facts, visitor, has_apps): (&Facts<'_>, Visitor, bool),
) -> Markup {
    html! {
        tr {
            td { (ago(failure.seen_at, facts.now)) }
            td { @if has_apps { (app) " · " } (place(failure.platform, failure.route, failure.stage)) }
            td { (reason(failure.reason, failure.code)) }
            @if visitor.sees_users {
                td {
                    a href=(links::pair(app, &failure.task, &failure.user)) { bdi.id { (visible(&failure.user)) } }
                }
            }
            td { bdi.id.dim { (visible(&failure.task)) } }
        }
    }
}
