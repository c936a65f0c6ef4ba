//! Findings about what an app watches: nothing, less than its sources name, or pairs that wait for their push.

use crate::view::{API_SOURCE, AppStatus};

use super::super::times::{count, counted, date_time, span};
use super::{Finding, Id, Severity, sources};

/// A push further ahead than this is likely a year typed wrong.
const FAR_AHEAD_SECONDS: i64 = 30 * 86_400;

pub(super) fn findings(app: &AppStatus, now: i64) -> Vec<Finding> {
    let mut found = sources::findings(app, now);
    found.extend(nothing(app));
    found.extend(awaiting_push(app, now));
    if app.list.over_limit > 0 {
        let text = format!(
            "{} left out: max_pairs ({}) is reached.",
            counted(app.list.over_limit, "pair"),
            count(app.list.max_pairs)
        );
        let remedy = "Raise max_pairs, or name fewer pairs.";
        found.push(Finding::new(Severity::Warning, Id::PairsOverLimit, text, remedy));
    }
    found
}

/// That no pair is watched, with what is known of the reason.
fn nothing(app: &AppStatus) -> Option<Finding> {
    let named: u64 = app.sources.iter().map(|source| source.figures.entries).sum();
    // What was just read is not in force yet.
    let is_on_its_way = app.list.is_enrolling
        || app.sources.iter().any(|source| !source.is_read)
        || named > 0 && app.list.named == 0;
    if app.pairs.total() > 0 || is_on_its_way {
        return None;
    }
    if app.sources.is_empty() {
        let text = "No pair is watched: the configuration names no source, and the watch API is off.";
        let remedy = "Add sources under watch, or start with --web.enable-watch-api.";
        return Some(Finding::new(Severity::Warning, Id::NoSource, text, remedy));
    }
    let is_of_api = app.sources.iter().all(|source| source.name == API_SOURCE);
    if is_of_api && named == 0 {
        let text = "No pair is watched: none was added through the watch API.";
        let remedy = "No action needed before the first push; POST pairs to /api/v1/watches.";
        return Some(Finding::new(Severity::Info, Id::NothingPosted, text, remedy));
    }
    let (text, remedy) = if named == 0 {
        (
            "No pair is watched: the sources give none.".to_owned(),
            "Correct the sources; each has a finding of its own.",
        )
    } else if app.list.over > 0 {
        (
            format!(
                "No pair is watched: the sources name {}, {} of them pushed longer ago than watch_for ({}).",
                counted(named, "pair"),
                count(app.list.over),
                span(app.list.watch_for_seconds)
            ),
            "Let the sources name the pushes of today; check pushed_at and the clock of this machine.",
        )
    } else {
        (
            format!("No pair is watched, although the sources name {}.", counted(named, "pair")),
            "See the log for what was refused.",
        )
    };
    Some(Finding::new(Severity::Warning, Id::NothingWatched, text, remedy))
}

fn awaiting_push(app: &AppStatus, now: i64) -> Option<Finding> {
    let (awaiting, total) = (app.list.awaiting_push, app.pairs.total());
    if awaiting == 0 {
        return None;
    }
    let last = app.list.last_push_at.filter(|at| *at > now);
    let is_far = last.is_some_and(|at| at - now > FAR_AHEAD_SECONDS);
    let is_all = awaiting >= total;
    let severity = if is_all || is_far { Severity::Warning } else { Severity::Info };
    let mut text = if is_all {
        format!("Nothing is polled: all {} wait for a push time that lies ahead", counted(total, "pair"))
    } else {
        format!("{} of {} wait for a push time that lies ahead", count(awaiting), counted(total, "pair"))
    };
    if let Some(at) = last {
        text.push_str(&format!(", the last one for {} UTC", date_time(at)));
    }
    text.push('.');
    let remedy = if is_far {
        "Check the year of pushed_at."
    } else {
        "No action needed if these times are right; otherwise correct pushed_at."
    };
    Some(Finding::new(severity, Id::AwaitingPush, text, remedy))
}
