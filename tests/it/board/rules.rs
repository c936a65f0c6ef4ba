//! Alerts are whole: severity, texts, a runbook that exists, and promtool tests that name each case.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::{Asked, list, none, read, root, text, yaml};

pub const RECORDING: &str = "deploy/prometheus/recording.rules.yml";
const ALERTS: &str = "deploy/prometheus/alerts.rules.yml";
const TESTS: &str = "deploy/prometheus/tests/alerts.test.yml";
const RUNBOOKS: &str = "docs/runbooks";
/// What a runbook tells, in this order.
const CHAPTERS: [&str; 3] = ["## What it means", "## What to check", "## Who must act"];
/// What every alert is shown to do. Not one that has no series: nothing is born, nothing is reset.
const CASES: [&str; 5] = ["fires", "born", "below", "gone", "reset"];
/// The alert about targets that are not there, and the one about a reset itself.
const WITHOUT_RESET: [&str; 3] = ["TimpushExporterAbsent", "TimpushExporterDown", "TimpushLedgerStartedAnew"];

/// The rules of a file.
pub fn rules(path: &str) -> Vec<Value> {
    let file = yaml(path);
    list(&file, "groups").iter().flat_map(|group| list(group, "rules")).cloned().collect()
}

/// What the rules of both files ask.
pub fn asked_by_rules() -> Vec<Asked> {
    let all = [RECORDING, ALERTS].into_iter().flat_map(rules);
    let asked = |rule: Value| {
        let name = format!("{}{}", text(&rule, "alert"), text(&rule, "record"));
        Asked { place: name, expr: text(&rule, "expr").to_owned() }
    };
    all.map(asked).collect()
}

#[test]
fn alerts_say_what_they_mean_and_who_must_act() {
    let mut broken = Vec::new();
    let mut names = BTreeSet::new();
    for alert in rules(ALERTS) {
        let name = text(&alert, "alert").to_owned();
        let mut must = |holds: bool, what: &str| {
            if !holds {
                broken.push(format!("{name}: {what}"));
            }
        };
        must(["critical", "warning"].contains(&text(&alert["labels"], "severity")), "severity");
        let annotations = &alert["annotations"];
        must(!text(annotations, "summary").is_empty(), "summary");
        must(text(annotations, "description").len() > 60, "description");
        must(text(annotations, "runbook_url") == format!("{RUNBOOKS}/{name}.md"), "runbook_url");
        let runbook = read(&format!("{RUNBOOKS}/{name}.md"));
        must(runbook.starts_with(&format!("# {name}\n")), "caption of the runbook");
        let at = CHAPTERS.map(|chapter| runbook.find(chapter));
        must(at.iter().all(Option::is_some) && at.is_sorted(), "chapters of the runbook");
        must(names.insert(name.clone()), "a name of its own");
    }
    assert!(names.len() > 20, "{names:?}");
    let files = fs::read_dir(root().join(RUNBOOKS)).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let orphans: Vec<String> = files.filter(|file| !names.contains(file.trim_end_matches(".md"))).collect();
    broken.extend(orphans.into_iter().map(|file| format!("{file}: no such alert")));
    none("alerts and runbooks", &broken);
}

/// The series of the tests of an alert, one text.
fn series_of(tests: &Value, name: &str) -> String {
    let wanted = format!("alertname=\"{name}\"");
    let is_of = |test: &&Value| test["promql_expr_test"].to_string().contains(&wanted.replace('"', "\\\""));
    let of = list(tests, "tests").iter().filter(is_of);
    let series: Vec<&str> =
        of.flat_map(|test| list(test, "input_series")).map(|s| text(s, "series")).collect();
    series.join("\n")
}

#[test]
fn each_alert_is_tested_in_every_case() {
    let tests = yaml(TESTS);
    let mut broken = Vec::new();
    for alert in rules(ALERTS) {
        let name = text(&alert, "alert");
        if name == "TimpushExporterAbsent" {
            assert!(list(&tests, "tests").iter().any(|test| test.to_string().contains(name)));
            continue;
        }
        let series = series_of(&tests, name);
        let cases = CASES.iter().filter(|case| **case != "reset" || !WITHOUT_RESET.contains(&name));
        for case in cases.filter(|case| !series.contains(&format!("\"{case}\""))) {
            broken.push(format!("{name}: {case}"));
        }
        let is_of_pushes = text(&alert, "expr").contains("app:timpush_data:age_seconds < 900");
        for case in ["blind", "moved"] {
            if is_of_pushes && !series.contains(&format!("\"{case}\"")) {
                broken.push(format!("{name}: {case}"));
            }
        }
    }
    none("cases of promtool tests", &broken);
}

#[test]
fn alerts_about_pushes_keep_quiet_where_the_exporter_is_in_trouble() {
    let file = yaml(ALERTS);
    let push = list(&file, "groups").iter().find(|group| text(group, "name") == "timpush-push").unwrap();
    for alert in list(push, "rules") {
        let expr = text(alert, "expr");
        let parts = expr.split("\nor\n");
        for part in parts {
            // As long as the range holds the fall of a counter.
            let range = if part.contains("increase6h") { "6h" } else { "1h" };
            let gates = [
                "and on (job, app) app:timpush_data:age_seconds < 900",
                &format!("unless on (job, app) app:timpush_ledger:resets{range} > 0"),
            ];
            assert!(gates.iter().all(|gate| part.contains(gate)), "{}: {part}", text(alert, "alert"));
        }
    }
}

/// Without it a label of the target replaces ours, and two apps are one.
#[test]
fn every_scrape_config_keeps_our_labels() {
    for path in ["deploy/prometheus/prometheus.example.yml", "deploy/compose/prometheus.yml"] {
        let file = yaml(path);
        let jobs = list(&file, "scrape_configs");
        assert!(!jobs.is_empty() && jobs.iter().all(|job| job["honor_labels"] == true), "{path}");
    }
    for path in ["README.md", "docs/deployment.md"] {
        let text = read(path);
        let jobs = text.split("- job_name:").skip(1);
        assert!(text.contains("- job_name: timpush"), "{path}");
        assert!(
            jobs.into_iter().all(|job| job.split("```").next().unwrap().contains("honor_labels: true")),
            "{path}"
        );
    }
    // What the template makes of it is tested where helm is at hand.
    let values = yaml("deploy/helm/timpush-exporter/values.yaml");
    assert_eq!(values["serviceMonitor"]["honorLabels"], true);
}

#[test]
fn the_chart_holds_no_copy_of_rules_and_dashboard() {
    let chart = root().join("deploy/helm/timpush-exporter/files");
    let held = [
        ("recording.rules.yml", "deploy/prometheus/recording.rules.yml"),
        ("alerts.rules.yml", "deploy/prometheus/alerts.rules.yml"),
        ("dashboard.json", "grafana/dashboard.json"),
    ];
    for (name, shipped) in held {
        let link = chart.join(name).canonicalize().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(link, root().join(shipped).canonicalize().unwrap());
    }
}
