//! The metrics about ourselves beside a known snapshot: the catalogue, births, caps, apps that come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tests::{NOW, golden_snapshot, sample_of, text, view};
use super::*;
use crate::trace::Drift;
use crate::watch::feed::Figures;

fn full_registry() -> (Registry, AppMetrics, ExporterMetrics) {
    let registry = Registry::new(BuildInfo { version: "1.2.3", revision: Some("abcdef") });
    let app = registry.app("shop", 1_400_000_001, Some("singapore")).unwrap();
    let exporter = registry.exporter();
    (registry, app, exporter)
}

fn fill(app: &AppMetrics, exporter: &ExporterMetrics) {
    app.set_watched_pairs(PairStates { new: 1, active: 2, settled: 3, failing: 4 });
    app.pairs_refused(Refused::OverLimit, 6);
    app.set_backlog_seconds(1.5);
    app.set_credential_readable(true);
    app.set_polled_ratio(Some(0.25));
    app.request_sent();
    app.request_ended(Duration::from_millis(30));
    app.exchange_failed("http", Some(502));
    app.exchange_worked(NOW);
    app.drift(Drift::EnumValue);
    app.drift(Drift::EnumValue);
    app.set_rate(0.5);
    app.set_usersig_expiry(Some(NOW + 60));
    app.set_source("http[0]", Figures { entries: 12, ..Figures::default() }, true, Some(NOW));
    exporter.ledger_committed(NOW, Duration::from_micros(300));
    exporter.set_ledger_size_bytes(4096);
    exporter.set_ledger_quarantined_files(0);
    exporter.reload_worked(NOW);
    exporter.web_config_worked(Some(NOW + 60));
}

#[test]
fn a_full_scrape_shows_the_catalogue_and_each_family_once() {
    let (registry, app, exporter) = full_registry();
    fill(&app, &exporter);
    let text = text(&golden_snapshot(), &[view("shop", &["campaign"])], &registry);
    let shown: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let distinct: BTreeSet<&str> = shown.iter().copied().collect();
    assert_eq!(shown.len(), distinct.len(), "a family is written twice");
    let own: BTreeSet<&str> = distinct.iter().copied().filter(|name| !name.starts_with("process_")).collect();
    let wanted: BTreeSet<&str> = catalogue().iter().map(|metric| metric.name).collect();
    assert_eq!(own, wanted);
    for metric in catalogue() {
        let help = format!(
            "# HELP {} {}\n# TYPE {} {}\n",
            metric.name,
            metric.help,
            metric.name,
            metric.kind.as_str()
        );
        assert!(text.contains(&help), "{help}");
    }
    if cfg!(target_os = "linux") {
        assert!(distinct.contains("process_start_time_seconds"));
    }
}

#[test]
fn samples_have_the_labels_of_the_catalogue_and_no_series_twice() {
    let (registry, app, exporter) = full_registry();
    fill(&app, &exporter);
    let text = text(&golden_snapshot(), &[view("shop", &["campaign"])], &registry);
    let mut seen = BTreeSet::new();
    for line in text.lines().filter(|line| line.starts_with("timpush_")) {
        let series = line.rsplit_once(' ').unwrap().0;
        assert!(seen.insert(series), "{series} is there twice");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let is_it = |metric: &&Metric| metric.name == name || metric.name == base;
        let metric =
            catalogue().iter().find(is_it).unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let mut names: Vec<&str> =
            labels.split("\",").filter_map(|pair| pair.split_once("=\"")).map(|(name, _)| name).collect();
        names.retain(|name| *name != "le");
        let mut wanted: Vec<&str> = metric.labels.to_vec();
        if metric.carries_watch_labels {
            wanted.push("campaign");
            wanted.extend(metric.trailing);
        } else {
            names.sort_unstable();
            wanted.sort_unstable();
        }
        assert_eq!(names, wanted, "{line}");
    }
}

#[test]
fn names_follow_the_conventions() {
    let mut seen = BTreeSet::new();
    for metric in catalogue() {
        assert!(seen.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.contains(['\\', '\n']) && metric.help.ends_with('.'), "{}", metric.name);
        let labels = metric.labels.iter().chain(metric.trailing);
        let reserved = |label: &&str| names::RESERVED_LABELS.contains(label);
        assert!(!metric.carries_watch_labels || { labels }.all(reserved), "{}", metric.name);
    }
}

#[test]
fn what_is_not_known_yet_is_absent_and_closed_sets_are_born_at_0() {
    let (registry, app, _exporter) = full_registry();
    let young = text(&Snapshot::default(), &[], &registry);
    for name in [
        "timpush_up",
        "timpush_api_last_success_timestamp_seconds",
        "timpush_schedule_backlog_seconds",
        "timpush_schedule_polled_ratio",
        "timpush_usersig_expiry_timestamp_seconds",
        "timpush_ledger_last_commit_timestamp_seconds",
        "timpush_exporter_config_last_reload_successful",
    ] {
        assert!(!young.contains(&format!("{name}{{")) && !young.contains(&format!("{name} ")), "{name}");
    }
    for series in [
        r#"timpush_watched_pairs{app="shop",state="failing"}"#,
        r#"timpush_pairs_refused_total{app="shop",reason="too_old"}"#,
        r#"timpush_api_drift_total{app="shop",kind="missing_field"}"#,
        r#"timpush_budget_resume_timestamp_seconds{app="shop"}"#,
        r#"timpush_api_requests_total{app="shop"}"#,
        r#"timpush_series_overflow_total{app="shop",metric="timpush_api_failures_total"}"#,
    ] {
        assert_eq!(sample_of(&young, series), Some("0"), "{series}");
    }
    app.exchange_failed("timeout", None);
    let later = text(&Snapshot::default(), &[], &registry);
    assert_eq!(sample_of(&later, r#"timpush_up{app="shop"}"#), Some("0"));
    let failure = r#"timpush_api_failures_total{app="shop",kind="timeout",code=""}"#;
    assert_eq!(sample_of(&later, failure), Some("1"));
}

/// Guards the families by hand: a vector of `prometheus` 0.14 would make each of these pairs one series.
#[test]
fn label_sets_whose_values_run_together_stay_apart() {
    let (registry, app, _exporter) = full_registry();
    app.failed("e1", Some(23));
    app.failed("e12", Some(3));
    app.failed("e123", None);
    let text = text(&Snapshot::default(), &[], &registry);
    for (kind, code) in [("e1", "23"), ("e12", "3"), ("e123", "")] {
        let series = format!("timpush_api_failures_total{{app=\"shop\",kind=\"{kind}\",code=\"{code}\"}}");
        assert_eq!(sample_of(&text, &series), Some("1"), "{series}");
    }
}

#[test]
fn codes_beyond_the_cap_are_folded_and_counted() {
    let (registry, app, _exporter) = full_registry();
    let cap = i64::try_from(app::MAX_CODES_PER_KIND).unwrap();
    app.failed("internal", None);
    for code in 0..cap + 3 {
        app.failed("internal", Some(code));
    }
    app.failed("internal", Some(0));
    app.failed("quota", Some(cap + 1));
    let mut snapshot = golden_snapshot();
    snapshot.apps.remove("left");
    let text = text(&snapshot, &[view("shop", &[])], &registry);
    let value = |kind: &str, code: &str| {
        sample_of(
            &text,
            &format!("timpush_api_failures_total{{app=\"shop\",kind=\"{kind}\",code=\"{code}\"}}"),
        )
    };
    assert_eq!(value("internal", "0"), Some("2"));
    assert_eq!(value("internal", "other"), Some("3"));
    assert_eq!(value("internal", ""), Some("1"));
    assert_eq!(value("quota", &(cap + 1).to_string()), Some("1"));
    let folded = |metric: &str| {
        sample_of(&text, &format!("timpush_series_overflow_total{{app=\"shop\",metric=\"{metric}\"}}"))
    };
    assert_eq!(folded("timpush_api_failures_total"), Some("3"));
    assert_eq!(folded("timpush_stage_failures_total"), Some("2"));
}

#[test]
fn apps_come_and_go() {
    let (registry, app, _exporter) = full_registry();
    let twice = registry.app("shop", 1, None).unwrap_err().to_string();
    assert!(twice.contains("app \"shop\"") && twice.contains("holds them"), "{twice}");
    app.set_source("static", Figures::default(), false, None);
    app.retain_sources(&[]);
    app.set_info(7, None);
    let other = registry.app("news", 2, None).unwrap();
    let both = text(&Snapshot::default(), &[], &registry);
    assert_eq!(sample_of(&both, r#"timpush_app_info{app="shop",sdk_app_id="7",region=""}"#), Some("1"));
    assert!(!both.contains("timpush_source_entries") && both.contains("app=\"news\""));
    drop(app);
    let one = text(&Snapshot::default(), &[], &registry);
    assert!(!one.contains("app=\"shop\"") && one.contains("app=\"news\""));
    drop(other);
    registry.app("shop", 1, None).unwrap();
}
