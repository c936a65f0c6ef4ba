//! Findings about one app: the API, the signature, the pace; its watch list stands in `watching`.

use crate::view::AppStatus;

use super::super::times::{counted, date_time, distance, span, whole_span};
use super::{Finding, Id, Severity, watching};

/// A signature of our own is renewed with a day to go; one with less than this left is not being renewed.
const SIGNATURE_LOW_SECONDS: i64 = 12 * 3600;
/// A failed request is trouble once nothing worked for this long and three more could have been made.
const FAILING_SECONDS: f64 = 60.0;
/// Something is due, but no answer came for this long.
const ANSWER_LATE_SECONDS: i64 = 15 * 60;
/// With more than this to do, polls are late.
const BACKLOG_HIGH_SECONDS: f64 = 3600.0;
/// The API asked for less than this share of the configured rate.
const RATE_LOW_SHARE: f64 = 0.9;
/// Polls of more than one pair in this many keep failing.
const FAILING_ONE_IN: u64 = 10;
/// A time ahead of our clock is told for this long.
const TIMES_AHEAD_SECONDS: i64 = 3600;

pub(super) fn findings(app: &AppStatus, now: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    if app.up == Some(false) && !has_just_worked(app, now) {
        let text = match &app.latest_failure {
            Some(failure) => {
                format!("The latest request failed {}: {}.", distance(failure.at, now), failure.text)
            }
            None => "No request can be made.".to_owned(),
        };
        let words = app.latest_failure.as_ref().and_then(|failure| failure.upstream_text.as_deref());
        let remedy = "Look the error up under Troubleshooting in docs/operations.md. Polling resumes by itself once the \
                      cause is gone.";
        found.push(Finding::new(Severity::Critical, Id::RequestsFailing, text, remedy).because(words));
    }
    let pause = app.resume_at.filter(|at| *at > now);
    if let Some(at) = pause {
        let text =
            format!("Polling is paused: one probe goes out {} ({} UTC).", distance(at, now), date_time(at));
        let remedy = "Remove the cause of the latest failed request.";
        found.push(Finding::new(Severity::Critical, Id::Paused, text, remedy));
    }
    found.extend(late_answers(app, now).filter(|_| pause.is_none()));
    found.extend(signature(app, now));
    found.extend(credential(app));
    found.extend(times_ahead(app, now));
    found.extend(load(app));
    found.extend(watching::findings(app, now));
    found
}

/// One request that fails among others that work is no trouble: it is made again.
fn has_just_worked(app: &AppStatus, now: i64) -> bool {
    let allowed = FAILING_SECONDS + 3.0 / app.rate_in_force.max(f64::MIN_POSITIVE);
    app.last_success_at.is_some_and(|at| (now.saturating_sub(at) as f64) < allowed)
}

fn late_answers(app: &AppStatus, now: i64) -> Option<Finding> {
    let late = now.saturating_sub(app.last_success_at?);
    let is_late = app.backlog_seconds > 0.0 && late > ANSWER_LATE_SECONDS;
    let text = || format!("No good answer for {}, though pairs are due.", span(late));
    let remedy = "Check the network to the API; the log has every failed request.";
    is_late.then(|| Finding::new(Severity::Critical, Id::NoAnswers, text(), remedy))
}

fn signature(app: &AppStatus, now: i64) -> Option<Finding> {
    let left = app.usersig_expires_at?.saturating_sub(now);
    let remedy = "Put a new UserSig into usersig_file, or check the clock of this machine.";
    match left {
        ..=0 => {
            let text = format!("The signature expired {} ago.", span(-left));
            Some(Finding::new(Severity::Critical, Id::SignatureExpired, text, remedy))
        }
        1..SIGNATURE_LOW_SECONDS => {
            let text = format!("The signature expires in {} and is not being renewed.", span(left));
            Some(Finding::new(Severity::Warning, Id::SignatureExpiring, text, remedy))
        }
        _ => None,
    }
}

fn credential(app: &AppStatus) -> Option<Finding> {
    let trouble = app.credential_trouble.as_ref()?;
    let text = format!(
        "The credential cannot be read again: {trouble}. The one read before stays in use until the next restart, \
         which would fail."
    );
    let remedy = "Put the file back, readable for this process.";
    Some(Finding::new(Severity::Warning, Id::CredentialUnreadable, text, remedy))
}

/// Only times ahead prove anything: times that are hours behind may be old events.
fn times_ahead(app: &AppStatus, now: i64) -> Option<Finding> {
    let at = app.future_time_at.filter(|at| now.saturating_sub(*at) < TIMES_AHEAD_SECONDS)?;
    let text = format!(
        "The API answered {} with times that lie ahead of the clock of this machine: time_zone or the clock is wrong. \
         Results count, delays do not.",
        distance(at, now)
    );
    let remedy = "Compare the clock with a time server, then set time_zone to that of the API's times.";
    Some(Finding::new(Severity::Warning, Id::TimesAhead, text, remedy))
}

fn load(app: &AppStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    if app.rate_in_force < app.rate_configured * RATE_LOW_SHARE {
        let text = "The API asked for fewer requests: the rate in force is below the configured one.";
        let remedy = "Find who else uses the request limit of this SDKAppID, or lower requests_per_second.";
        found.push(Finding::new(Severity::Warning, Id::RateLowered, text, remedy));
    }
    if app.backlog_seconds > BACKLOG_HIGH_SECONDS {
        let text = format!(
            "More is due than the budget can poll: it is {} behind. Polls are late, not lost.",
            whole_span(app.backlog_seconds)
        );
        let remedy = "Watch fewer users, shorten watch_for, or raise requests_per_second.";
        found.push(Finding::new(Severity::Warning, Id::BacklogHigh, text, remedy));
    }
    let (failing, total) = (app.pairs.failing, app.pairs.total());
    if failing * FAILING_ONE_IN > total {
        let text = format!("Polls of {} of {} keep failing.", failing, counted(total, "pair"));
        let remedy = "Check the task ids of the failing pairs; the log names the codes.";
        found.push(Finding::new(Severity::Warning, Id::PairsFailing, text, remedy));
    }
    found
}
