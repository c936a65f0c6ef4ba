//! The verdict: whether the exporter itself is well, and each thing that is not, in plain words.

use super::super::house::{AppStatus, Readiness};
use super::Facts;
use super::times::{count, counted, date_time, distance, span, whole_span};

/// A signature of our own is renewed with a day to go; one with less than this left is not being renewed.
const SIGNATURE_LOW_SECONDS: i64 = 12 * 3600;
/// A failed request is trouble once nothing worked for this long and three more could have been made.
const FAILING_SECONDS: f64 = 60.0;
/// Something is due, but no answer came for this long.
const ANSWER_LATE_SECONDS: i64 = 15 * 60;
/// With more than this to do, looks are late.
const BACKLOG_HIGH_SECONDS: f64 = 3600.0;
/// The API asked for less than this share of the configured rate.
const RATE_LOW_SHARE: f64 = 0.9;
/// The API refuses more than one pair in this many.
const FAILING_ONE_IN: u64 = 10;

/// How things stand, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Well,
    /// Somebody should look, not at once.
    Look,
    /// Nothing is learned about pushes, or it is about to be lost.
    Broken,
}

impl Level {
    /// The class that colours it.
    pub(super) const fn class(self) -> &'static str {
        match self {
            Level::Well => "well",
            Level::Look => "look",
            Level::Broken => "broken",
        }
    }

    /// The sign that tells it without colour.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Level::Well => "✓",
            Level::Look => "!",
            Level::Broken => "✕",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    pub(super) text: String,
}

fn finding(level: Level, text: impl Into<String>) -> Finding {
    Finding { level, text: text.into() }
}

/// The worst of these.
pub(super) fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Level {
    findings.into_iter().map(|finding| finding.level).max().unwrap_or(Level::Well)
}

/// What is not as it should be with the process and its ledger.
pub(super) fn of_process(facts: &Facts<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    match facts.readiness {
        Readiness::Ready => {}
        Readiness::Starting => {
            found.push(finding(
                Level::Look,
                "It is starting: the ledger is opened and the watch lists are read.",
            ));
        }
        Readiness::Stopping => found.push(finding(Level::Look, "It is shutting down.")),
    }
    if let Some(note) = &facts.status.ledger_note {
        found.push(finding(Level::Look, note.clone()));
    }
    if let Some(stall) = &facts.status.ledger_stall {
        let text = format!(
            "The ledger cannot be written since {} ({} UTC): {}. Polling waits; nothing that was read is lost. A full \
             disk does this.",
            distance(stall.since, facts.now),
            date_time(stall.since),
            stall.why
        );
        found.push(finding(Level::Broken, text));
    }
    if facts.status.apps.is_empty() && facts.readiness == Readiness::Ready {
        found.push(finding(Level::Look, "No app is watched: the configuration names none."));
    }
    found
}

/// What is not as it should be with one app.
pub(super) fn of_app(app: &AppStatus, now: i64) -> Vec<Finding> {
    let mut found = Vec::new();
    let pause = app.resume_at.filter(|at| *at > now);
    if let Some(at) = pause {
        let text =
            format!("Polling is paused: one probe goes out {} ({} UTC).", distance(at, now), date_time(at));
        found.push(finding(Level::Broken, text));
    }
    if app.up == Some(false) && !has_just_worked(app, now) {
        let text = match &app.latest_failure {
            Some(failure) => {
                format!("The latest request failed {}: {}", distance(failure.at, now), failure.text)
            }
            None => "Nothing can be asked; see the log.".to_owned(),
        };
        found.push(finding(Level::Broken, text));
    }
    found.extend(late_answers(app, now).filter(|_| pause.is_none()));
    found.extend(signature(app, now));
    found.extend(load(app));
    for source in app.sources.iter().filter(|source| source.failing) {
        let stands = match source.last_success_at {
            Some(at) => {
                format!("its last good list stands, {} long, of {}", count(source.entries), distance(at, now))
            }
            None => "it has given no list yet".to_owned(),
        };
        found.push(finding(Level::Look, format!("The watch source {} fails; {stands}.", source.name)));
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.level));
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
    is_late.then(|| finding(Level::Broken, text()))
}

fn signature(app: &AppStatus, now: i64) -> Option<Finding> {
    let left = app.usersig_expires_at?.saturating_sub(now);
    match left {
        ..=0 => Some(finding(Level::Broken, format!("The signature expired {} ago.", span(-left)))),
        1..SIGNATURE_LOW_SECONDS => Some(finding(
            Level::Look,
            format!("The signature expires in {} and is not being renewed.", span(left)),
        )),
        _ => None,
    }
}

fn load(app: &AppStatus) -> Vec<Finding> {
    let mut found = Vec::new();
    if app.rate_in_force < app.rate_configured * RATE_LOW_SHARE {
        let text = "The API asked for fewer requests: the rate in force is below the configured one.";
        found.push(finding(Level::Look, text));
    }
    if app.backlog_seconds > BACKLOG_HIGH_SECONDS {
        let text = format!(
            "More is due than the budget can ask: it is {} behind. Looks are late, not lost.",
            whole_span(app.backlog_seconds)
        );
        found.push(finding(Level::Look, text));
    }
    let (failing, total) = (app.pairs.failing, app.pairs.total());
    if failing * FAILING_ONE_IN > total {
        let text = format!("The API refuses {} of {}.", failing, counted(total, "pair"));
        found.push(finding(Level::Look, text));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::house::{LatestFailure, SourceStatus, Status};
    use super::*;
    use crate::ledger::Stall;
    use crate::metrics::PairStates;

    const NOW: i64 = 1_795_000_000;

    /// Nothing to complain of.
    fn well() -> AppStatus {
        AppStatus {
            name: "shop".to_owned(),
            up: Some(true),
            last_success_at: Some(NOW - 1),
            pairs: PairStates { active: 100, ..PairStates::default() },
            backlog_seconds: 10.0,
            rate_in_force: 1.0,
            rate_configured: 1.0,
            usersig_expires_at: Some(NOW + 86_400),
            ..AppStatus::default()
        }
    }

    fn told(app: &AppStatus) -> Vec<(Level, String)> {
        of_app(app, NOW).into_iter().map(|finding| (finding.level, finding.text)).collect()
    }

    #[test]
    fn an_app_that_works_has_no_finding() {
        assert_eq!(told(&well()), []);
        let unasked = AppStatus { up: None, last_success_at: None, usersig_expires_at: None, ..well() };
        assert_eq!(told(&unasked), []);
        let idle = AppStatus { last_success_at: Some(NOW - 86_400), backlog_seconds: 0.0, ..well() };
        assert_eq!(told(&idle), [], "nothing is due, so nothing is late");
        let failure = LatestFailure { at: NOW, text: "timeout".to_owned() };
        let once = AppStatus { up: Some(false), latest_failure: Some(failure), ..well() };
        assert_eq!(told(&once), [], "one request failed and is made again");
        let slow = AppStatus {
            last_success_at: Some(NOW - 300),
            rate_in_force: 0.01,
            rate_configured: 0.01,
            ..once
        };
        assert_eq!(told(&slow), [], "three more could not have been made");
    }

    #[test]
    fn each_trouble_of_an_app_is_found_and_the_worst_comes_first() {
        let failure = LatestFailure { at: NOW - 9, text: "auth: 70009".to_owned() };
        let source = SourceStatus {
            name: "files[0]".to_owned(),
            entries: 3,
            last_success_at: Some(NOW - 60),
            failing: true,
        };
        let cases: [(AppStatus, Level, &str); 8] = [
            (
                AppStatus {
                    up: Some(false),
                    last_success_at: Some(NOW - 64),
                    latest_failure: Some(failure.clone()),
                    ..well()
                },
                Level::Broken,
                "9s ago: auth: 70009",
            ),
            (
                AppStatus { resume_at: Some(NOW + 60), ..well() },
                Level::Broken,
                "paused: one probe goes out in 1m",
            ),
            (
                AppStatus { last_success_at: Some(NOW - 3600), ..well() },
                Level::Broken,
                "No good answer for 1h",
            ),
            (AppStatus { usersig_expires_at: Some(NOW), ..well() }, Level::Broken, "expired 0s ago"),
            (AppStatus { usersig_expires_at: Some(NOW + 60), ..well() }, Level::Look, "expires in 1m"),
            (AppStatus { rate_in_force: 0.5, ..well() }, Level::Look, "fewer requests"),
            (AppStatus { backlog_seconds: 7200.0, ..well() }, Level::Look, "2h behind"),
            (
                AppStatus { sources: Arc::from([source]), ..well() },
                Level::Look,
                "files[0] fails; its last good list",
            ),
        ];
        for (app, level, text) in cases {
            let told = told(&app);
            assert!(told.len() == 1 && told[0].0 == level && told[0].1.contains(text), "{text}: {told:?}");
        }
        let pairs = PairStates { failing: 20, active: 80, ..PairStates::default() };
        let both = AppStatus { pairs, resume_at: Some(NOW + 60), ..well() };
        assert_eq!(
            told(&both).iter().map(|(level, _)| *level).collect::<Vec<_>>(),
            [Level::Broken, Level::Look]
        );
        assert_eq!(worst(&of_app(&both, NOW)), Level::Broken);
    }

    #[test]
    fn what_ails_the_process_is_found() {
        let well = Status { apps: vec![well()], ..Status::default() };
        let facts = |status, readiness| Facts {
            status,
            committed_at: NOW - 2,
            started_at: NOW - 1000,
            now: NOW,
            readiness,
        };
        assert_eq!(of_process(&facts(&well, Readiness::Ready)), []);
        assert_eq!(worst(&of_process(&facts(&well, Readiness::Starting))), Level::Look);
        let stall = Stall { since: NOW - 70, why: "database or disk is full".to_owned() };
        let full = Status { ledger_stall: Some(Arc::new(stall)), ..well.clone() };
        let found = of_process(&facts(&full, Readiness::Ready));
        assert_eq!(worst(&found), Level::Broken);
        assert!(
            found[0].text.contains("since 1m 10s ago") && found[0].text.contains("disk is full"),
            "{found:?}"
        );
        assert!(
            of_process(&facts(&Status::default(), Readiness::Ready))[0].text.starts_with("No app is watched")
        );
    }
}
