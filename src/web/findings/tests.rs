//! Each state and the findings it must give, as a table.

use std::sync::Arc;

use super::super::app_state::Readiness;
use super::Severity::{self, Critical, Info, Warning};
use super::{Id, State, worst};
use crate::ledger::Stall;
use crate::metrics::PairStates;
use crate::view::{API_SOURCE, AppStatus, LatestFailure, ListStatus, ReloadFailure, SourceStatus, Status};
use crate::watch::feed::Figures;

const NOW: i64 = 1_795_000_000;

/// A source that was just read and gives so many pairs.
fn source(name: &str, entries: u64) -> SourceStatus {
    SourceStatus {
        name: name.to_owned(),
        figures: Figures { entries, lists: 1, ..Figures::default() },
        is_read: true,
        last_success_at: Some(NOW - 2),
        error: None,
    }
}

fn failing(source: SourceStatus) -> SourceStatus {
    SourceStatus { error: Some("http://lists/a: answered 500".to_owned()), ..source }
}

fn never_read(name: &str) -> SourceStatus {
    SourceStatus { last_success_at: None, ..failing(source(name, 0)) }
}

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
        sources: [source("files[0]", 100)].into(),
        list: ListStatus {
            named: 100,
            watch_for_seconds: 7 * 86_400,
            max_pairs: 600_000,
            ..ListStatus::default()
        },
        ..AppStatus::default()
    }
}

/// An app that watches nothing, with those sources.
fn watching_nothing<const N: usize>(sources: [SourceStatus; N]) -> AppStatus {
    let named = sources.iter().map(|source| source.figures.entries).sum();
    let list = ListStatus { named, ..well().list };
    AppStatus { pairs: PairStates::default(), sources: sources.into(), list, ..well() }
}

fn of<const N: usize>(sources: [SourceStatus; N]) -> AppStatus {
    AppStatus { sources: sources.into(), ..well() }
}

fn with_figures(change: impl FnOnce(&mut Figures)) -> AppStatus {
    let mut changed = source("files[0]", 100);
    change(&mut changed.figures);
    of([changed])
}

fn with_list(list: ListStatus) -> AppStatus {
    AppStatus { list: ListStatus { max_pairs: 600_000, watch_for_seconds: 7 * 86_400, ..list }, ..well() }
}

fn state(status: &Status) -> State<'_> {
    State {
        status,
        readiness: Readiness::Ready,
        web_config_failure: None,
        certificate_expires_at: None,
        now: NOW,
    }
}

fn told(app: AppStatus) -> Vec<(Severity, Id, String)> {
    let status = Status { apps: vec![app], ..Status::default() };
    let found = state(&status).findings();
    assert!(
        found.iter().all(|finding| !finding.remedy.is_empty() && finding.text.ends_with('.')),
        "{found:?}"
    );
    found.into_iter().map(|finding| (finding.severity, finding.id, finding.text)).collect()
}

#[test]
fn an_app_that_works_has_no_finding() {
    let failure = LatestFailure::own(NOW, "timeout");
    let once = AppStatus { up: Some(false), latest_failure: Some(failure), ..well() };
    let cases = [
        ("all is well", well()),
        (
            "nothing was asked yet",
            AppStatus { up: None, last_success_at: None, usersig_expires_at: None, ..well() },
        ),
        (
            "nothing is due, so nothing is late",
            AppStatus { last_success_at: Some(NOW - 86_400), backlog_seconds: 0.0, ..well() },
        ),
        (
            "one request failed, and three more could not have been made",
            AppStatus {
                last_success_at: Some(NOW - 300),
                rate_in_force: 0.01,
                rate_configured: 0.01,
                ..once.clone()
            },
        ),
        ("one request failed and is made again", once),
        ("sources are being read for the first time", watching_nothing([SourceStatus::unread("http[0]")])),
        (
            "a list was read and is not in force yet",
            AppStatus { list: ListStatus::default(), ..watching_nothing([source("http[0]", 20)]) },
        ),
        (
            "a list is on its way into force",
            AppStatus {
                list: ListStatus { named: 20, is_enrolling: true, ..ListStatus::default() },
                ..watching_nothing([source("http[0]", 20)])
            },
        ),
        ("nobody has posted, and others give pairs", of([source("files[0]", 100), source(API_SOURCE, 0)])),
        ("times were ahead long ago", AppStatus { future_time_at: Some(NOW - 3600), ..well() }),
    ];
    for (what, app) in cases {
        assert_eq!(told(app), [], "{what}");
    }
}

/// A state with all its findings in their order: severity, id, and a part of the text.
type Case = (AppStatus, Vec<(Severity, Id, &'static str)>);

/// That follows from sources that give nothing.
const NOTHING: (Severity, Id, &str) = (Warning, Id::NothingWatched, "the sources give none");

fn cases_of_polling() -> Vec<Case> {
    let failure = LatestFailure::own(NOW - 9, "auth: 70009");
    let down = AppStatus {
        up: Some(false),
        last_success_at: Some(NOW - 64),
        latest_failure: Some(failure),
        ..well()
    };
    vec![
        (down.clone(), vec![(Critical, Id::RequestsFailing, "failed 9s ago: auth: 70009")]),
        (
            AppStatus { resume_at: Some(NOW + 60), ..down },
            vec![
                (Critical, Id::RequestsFailing, "auth: 70009"),
                (Critical, Id::Paused, "one probe goes out in 1m"),
            ],
        ),
        (
            AppStatus { last_success_at: Some(NOW - 3600), ..well() },
            vec![(Critical, Id::NoAnswers, "for 1h")],
        ),
        (
            AppStatus { usersig_expires_at: Some(NOW), ..well() },
            vec![(Critical, Id::SignatureExpired, "expired 0s ago")],
        ),
        (
            AppStatus { usersig_expires_at: Some(NOW + 60), ..well() },
            vec![(Warning, Id::SignatureExpiring, "in 1m")],
        ),
        (AppStatus { rate_in_force: 0.5, ..well() }, vec![(Warning, Id::RateLowered, "fewer requests")]),
        (AppStatus { backlog_seconds: 7200.0, ..well() }, vec![(Warning, Id::BacklogHigh, "2h behind")]),
        (
            AppStatus { pairs: PairStates { failing: 20, active: 80, ..PairStates::default() }, ..well() },
            vec![(Warning, Id::PairsFailing, "20 of 100 pairs keep failing")],
        ),
        (
            AppStatus { credential_trouble: Some("cannot read shop.key".to_owned()), ..well() },
            vec![(Warning, Id::CredentialUnreadable, "cannot read shop.key")],
        ),
        (
            AppStatus { future_time_at: Some(NOW - 60), ..well() },
            vec![(Warning, Id::TimesAhead, "1m ago with times that lie ahead")],
        ),
    ]
}

fn cases_of_sources() -> Vec<Case> {
    vec![
        (
            of([
                source("static", 100),
                failing(SourceStatus { last_success_at: Some(NOW - 60), ..source("http[0]", 3) }),
            ]),
            vec![(
                Warning,
                Id::SourceFailing,
                "http[0] fails; its last good list of 1m ago stays in force, with 3 pairs",
            )],
        ),
        (
            of([source("static", 100), never_read("http[0]")]),
            vec![(Warning, Id::SourceNeverRead, "http[0] has given no")],
        ),
        (
            of([SourceStatus { last_success_at: None, ..failing(source("files[0]", 7)) }]),
            vec![(Warning, Id::SourceFailing, "7 pairs that could be read")],
        ),
        (
            watching_nothing([never_read("http[0]")]),
            vec![(Critical, Id::SourceNeverRead, "http[0]"), NOTHING],
        ),
        (
            watching_nothing([source("http[0]", 0)]),
            vec![(Warning, Id::SourceEmpty, "http[0] is empty"), NOTHING],
        ),
        (
            watching_nothing([SourceStatus { figures: Figures::default(), ..source("files[0]", 0) }]),
            vec![(Warning, Id::SourceMatchesNothing, "files[0] matches no file"), NOTHING],
        ),
        (
            of([source("static", 100), source("http[0]", 0)]),
            vec![(Warning, Id::SourceEmpty, "http[0] is empty")],
        ),
        (
            with_figures(|figures| figures.refused = 100),
            vec![(Warning, Id::SourceDegraded, "100 of 200 pairs of the watch source files[0] were refused")],
        ),
        (
            with_figures(|figures| figures.refused = 99),
            vec![(Warning, Id::SourceEntriesRefused, "99 of 199 pairs")],
        ),
        (
            with_figures(|figures| figures.skipped_files = 2),
            vec![(
                Warning,
                Id::SourceFilesSkipped,
                "2 files in the pattern of the watch source files[0] are not read",
            )],
        ),
    ]
}

fn cases_of_the_list() -> Vec<Case> {
    let over = |app: AppStatus| AppStatus { list: ListStatus { over: 20, ..app.list }, ..app };
    vec![
        (watching_nothing([source(API_SOURCE, 0)]), vec![(Info, Id::NothingPosted, "none was added")]),
        (watching_nothing([]), vec![(Warning, Id::NoSource, "names no source")]),
        (
            over(watching_nothing([source("files[0]", 20)])),
            vec![(
                Warning,
                Id::NothingWatched,
                "name 20 pairs, 20 of them pushed longer ago than watch_for (7d)",
            )],
        ),
        (
            over(watching_nothing([source(API_SOURCE, 20)])),
            vec![(Warning, Id::NothingWatched, "name 20 pairs, 20 of them pushed longer ago")],
        ),
        (
            watching_nothing([source("files[0]", 20)]),
            vec![(Warning, Id::NothingWatched, "although the sources name 20 pairs")],
        ),
        (
            with_list(ListStatus { over_limit: 5, ..ListStatus::default() }),
            vec![(Warning, Id::PairsOverLimit, "5 pairs left out: max_pairs (600,000)")],
        ),
        (
            with_list(ListStatus {
                awaiting_push: 100,
                last_push_at: Some(NOW + 60),
                ..ListStatus::default()
            }),
            vec![(Warning, Id::AwaitingPush, "Nothing is polled: all 100 pairs wait")],
        ),
        (
            with_list(ListStatus { awaiting_push: 3, last_push_at: Some(NOW + 60), ..ListStatus::default() }),
            vec![(
                Info,
                Id::AwaitingPush,
                "3 of 100 pairs wait for a push time that lies ahead, the last one for 2026-11-18",
            )],
        ),
        (
            with_list(ListStatus {
                awaiting_push: 3,
                last_push_at: Some(NOW + 31 * 86_400),
                ..ListStatus::default()
            }),
            vec![(Warning, Id::AwaitingPush, "the last one for 2026-12-19")],
        ),
    ]
}

#[test]
fn each_state_of_an_app_is_found_and_what_must_be_done_first_stands_first() {
    let cases = [cases_of_polling(), cases_of_sources(), cases_of_the_list()].concat();
    for (app, expected) in cases {
        let told = told(app.clone());
        let ids =
            |found: &[(Severity, Id, String)]| found.iter().map(|(s, id, _)| (*s, *id)).collect::<Vec<_>>();
        let wanted: Vec<_> = expected.iter().map(|(severity, id, _)| (*severity, *id)).collect();
        assert_eq!(ids(&told), wanted, "{app:?}");
        for ((_, _, text), (_, _, part)) in told.iter().zip(&expected) {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
}

#[test]
fn what_stands_in_a_list_is_told_apart_from_the_text() {
    let status = Status { apps: vec![watching_nothing([never_read("http[0]")])], ..Status::default() };
    let found = state(&status).findings();
    assert_eq!(found[0].detail.as_deref(), Some("http://lists/a: answered 500"));
    assert_eq!((found[0].app.as_deref(), found[0].source.as_deref()), (Some("shop"), Some("http[0]")));
    assert!(!found[0].text.contains("500"), "{found:?}");
}

#[test]
fn what_ails_the_process_is_found() {
    let well = Status { apps: vec![well()], ..Status::default() };
    let found = |state: State<'_>| -> Vec<(Severity, Id, String)> {
        state.findings().into_iter().map(|found| (found.severity, found.id, found.text)).collect()
    };
    assert_eq!(found(state(&well)), []);
    let one = |state: State<'_>, severity, id, part: &str| {
        let told = found(state);
        assert!(told.len() == 1 && (told[0].0, told[0].1) == (severity, id), "{told:?}");
        assert!(told[0].2.contains(part), "{told:?}");
    };
    let starting = State { readiness: Readiness::Starting, ..state(&well) };
    one(starting, Severity::Warning, Id::Starting, "is starting");
    let stopping = State { readiness: Readiness::Stopping, ..state(&well) };
    one(stopping, Severity::Warning, Id::Stopping, "shutting down");
    let stall = Stall { since: NOW - 70, why: "database or disk is full".to_owned() };
    let full = Status { ledger_stall: Some(Arc::new(stall)), ..well.clone() };
    one(state(&full), Severity::Critical, Id::LedgerNotWritten, "since 1m 10s ago");
    let moved = Status { ledger_note: Some("moved aside".to_owned()), ..well.clone() };
    one(state(&moved), Severity::Warning, Id::LedgerMovedAside, "moved aside");
    one(state(&Status::default()), Severity::Warning, Id::NoApp, "names none");
    let failure = ReloadFailure::new(NOW - 300, "config.yaml: apps[0].name: is empty\nconfig.yaml: more");
    let failed = Status { reload_failure: Some(Arc::new(failure.clone())), ..well.clone() };
    one(
        state(&failed),
        Severity::Warning,
        Id::ConfigNotReloaded,
        "The configuration could not be loaded 5m ago: 2 errors",
    );
    assert!(state(&failed).findings()[0].detail.as_ref().is_some_and(|first| first.ends_with("is empty")));
    let web = State { web_config_failure: Some(&failure), ..state(&well) };
    one(web, Severity::Warning, Id::WebConfigNotReloaded, "The web configuration could not be loaded");
    let expiring = |left| State { certificate_expires_at: Some(NOW + left), ..state(&well) };
    assert_eq!(found(expiring(8 * 86_400)), []);
    one(expiring(86_400), Severity::Warning, Id::CertificateExpiring, "expires in 1d");
    one(expiring(-60), Severity::Critical, Id::CertificateExpiring, "expired 1m ago");
}

#[test]
fn the_worst_of_all_apps_stands_first_and_makes_the_verdict() {
    let apps = vec![
        with_figures(|figures| figures.refused = 1),
        AppStatus { name: "game".to_owned(), ..watching_nothing([never_read("http[0]")]) },
    ];
    let status = Status { apps, ..Status::default() };
    let found = state(&status).findings();
    let order: Vec<_> = found.iter().map(|finding| (finding.app.as_deref().unwrap(), finding.id)).collect();
    let expected =
        [("game", Id::SourceNeverRead), ("game", Id::NothingWatched), ("shop", Id::SourceEntriesRefused)];
    assert_eq!(order, expected);
    assert_eq!((worst(&found), worst([])), (Severity::Critical, Severity::Ok));
}
