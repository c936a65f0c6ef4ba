//! Every metric, label and value that dashboard and rules name is in a scrape of the running program.

use std::collections::{BTreeMap, BTreeSet};

use timpush_exporter::api::code;
use timpush_exporter::metrics::PairStates;
use timpush_exporter::sim::{Fault, OutageOrder};
use timpush_exporter::trace::{Drift, Notifications, Outcome, Platform, Reason, Route, Stage};

use crate::support::{AppText, FIRST_APP, Place, Scrape, Town};

use super::promql::{Matcher, Query, Selector, read};
use super::rules::{RECORDING, asked_by_rules, rules};
use super::{asked_by_panels, board, list, none, text};

/// Labels that Prometheus adds to every scrape.
const OF_TARGETS: [&str; 2] = ["job", "instance"];
/// What stands for the operator's own label.
const WATCH_LABEL: &str = "campaign";
/// Metrics of Prometheus itself.
const OF_PROMETHEUS: [&str; 1] = ["up"];

/// A scrape after a run in which everything happened that metrics tell of.
fn scraped(names: &BTreeSet<String>) -> Scrape {
    let town = Town::lively(1, 30, 100.0);
    let outage: OutageOrder = serde_json::from_str("{\"platform\": 2, \"kind\": \"fail\"}").unwrap();
    town.sim.outage(outage).unwrap();
    town.fault(Fault::Error { code: 60008 }, 3);
    town.fault(Fault::Drift, 20);
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 100.0);
    let app = town.sim.pairs(FIRST_APP).iter().fold(app.key("watch_labels: [campaign]"), |app, pair| {
        let pushed_at = jiff::Timestamp::from_second(pair.pushed_at).unwrap();
        let (task, user) = (&pair.task, &pair.user);
        app.entry(&format!(
            "{{task: {task}, users: [{user}], pushed_at: {pushed_at}, labels: {{campaign: news}}}}"
        ))
    });
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let is_there = |scrape: &Scrape, name: &String| scrape.samples(name, &[]).next().is_some();
    daemon.scrape_until("every metric that is asked for is there", |scrape| {
        names.iter().all(|name| is_there(scrape, name))
    })
}

/// The labels that the samples of each name carry.
fn labels_of(scrape: &Scrape) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for sample in scrape.families.values().flat_map(|family| &family.samples) {
        labels.entry(sample.name.clone()).or_default().extend(sample.labels.keys().cloned());
    }
    for name in OF_PROMETHEUS {
        labels.entry(name.to_owned()).or_default();
    }
    labels.values_mut().for_each(|names| names.extend(OF_TARGETS.map(str::to_owned)));
    labels
}

/// Adds what the recording rules make, in their order: each may use those before it.
fn add_recorded(labels: &mut BTreeMap<String, BTreeSet<String>>) {
    for rule in rules(RECORDING) {
        let query = read(text(&rule, "expr"));
        let first = query.selectors.first().expect("a rule asks for something");
        let kept = labels.get(&first.name).unwrap_or_else(|| panic!("{rule}: no metric {}", first.name));
        let is_by = text(&rule, "expr").contains(" by (");
        let by: BTreeSet<String> = query.grouped_by.iter().cloned().collect();
        let made = if is_by { kept.intersection(&by).cloned().collect() } else { kept.clone() };
        labels.insert(text(&rule, "record").to_owned(), made);
    }
}

/// The values that a label of a metric may have, where they are a closed set.
fn values(selector: &Selector, label: &str) -> Option<BTreeSet<String>> {
    fn all<T: ToString>(of: impl IntoIterator<Item = T>) -> Option<BTreeSet<String>> {
        Some(of.into_iter().map(|value| value.to_string()).collect())
    }
    let is = |part: &str| selector.name.contains(part);
    match label {
        "route" => all(Route::ALL.map(Route::as_str)),
        "stage" => all(Stage::ALL.map(Stage::as_str)),
        "outcome" => all(Outcome::ALL.map(Outcome::as_str)),
        "notifications" => all(Notifications::ALL.map(Notifications::as_str)),
        "reason" if is("stage_failures") => all(Reason::ALL.map(Reason::as_str)),
        "kind" if is("api_failures") => all(code::Kind::ALL.map(code::Kind::as_str)),
        "kind" if is("api_drift") => all(Drift::ALL.map(Drift::as_str)),
        "state" if is("watched_pairs") => all(PairStates::default().by_name().map(|(name, _)| name)),
        "state" if is("stage_devices") => all(["success", "failure", "unreported"]),
        _ => None,
    }
}

/// What is wrong with a comparison.
fn fault(selector: &Selector, matcher: &Matcher, labels: &BTreeSet<String>) -> Option<String> {
    let label = matcher.label.replace("$watch_label", WATCH_LABEL);
    if !labels.contains(&label) {
        return Some(format!("{} has no label {label}", selector.name));
    }
    let named = matcher.value.split('|').filter(|value| !value.is_empty() && !value.contains(['$', '.']));
    let known = values(selector, &label);
    let is_known = |value: &str| match &known {
        Some(known) => known.contains(value),
        None if label == "platform" => Platform::from_name(value).is_some(),
        None => true,
    };
    let foreign: Vec<&str> = named.filter(|value| !is_known(value)).collect();
    (!foreign.is_empty()).then(|| format!("{}: {label} is never {foreign:?}", selector.name))
}

/// What is wrong with a comparison in a selector of any metric: it asks for a label of ours under the name that Prometheus
/// gives it where the target has one of the same name.
fn renamed_fault(matcher: &Matcher, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let is_ours = |label: &str| known.values().any(|labels| labels.contains(label));
    match matcher.label.strip_prefix("exported_") {
        Some(label) => (!is_ours(label)).then(|| format!("no metric has a label {label}")),
        None => {
            (matcher.label != "__name__").then(|| format!("{} of no metric in particular", matcher.label))
        }
    }
}

fn faults(query: &Query, known: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut any: BTreeSet<String> = query.made.iter().cloned().collect();
    for selector in &query.selectors {
        if selector.name.is_empty() {
            faults.extend(selector.matchers.iter().filter_map(|matcher| renamed_fault(matcher, known)));
            any.extend(OF_TARGETS.map(str::to_owned));
            continue;
        }
        let Some(labels) = known.get(&selector.name) else {
            faults.push(format!("nothing is called {}", selector.name));
            continue;
        };
        any.extend(labels.iter().cloned());
        faults.extend(selector.matchers.iter().filter_map(|matcher| fault(selector, matcher, labels)));
    }
    let grouped = query.grouped_by.iter().map(|label| label.replace("$watch_label", WATCH_LABEL));
    faults.extend(grouped.filter(|label| !any.contains(label)).map(|label| format!("no label {label}")));
    faults
}

#[test]
fn dashboard_and_rules_ask_for_what_is_there() {
    let board = board();
    let mut asked = asked_by_panels(&board);
    asked.extend(asked_by_rules());
    let variables = list(&board["templating"], "list").iter();
    for variable in variables.filter(|variable| text(variable, "type") == "query") {
        let query = text(variable, "query").trim_start_matches("label_values(");
        let (metric, _) = query.rsplit_once(", ").expect("label_values has two arguments");
        asked.push(super::Asked { place: "variable".to_owned(), expr: metric.to_owned() });
    }
    let named = asked.iter().flat_map(|asked| read(&asked.expr).selectors).map(|selector| selector.name);
    let scraped_names = named
        .filter(|name| !name.is_empty() && !name.contains(':') && !OF_PROMETHEUS.contains(&name.as_str()));
    let scrape = scraped(&scraped_names.collect());
    let mut known = labels_of(&scrape);
    add_recorded(&mut known);
    let broken = asked.iter().flat_map(|asked| {
        let faults = faults(&read(&asked.expr), &known);
        faults.into_iter().map(|fault| format!("{}: {fault}", asked.place))
    });
    none("metrics, labels and values that nobody shows", &broken.collect::<Vec<String>>());
}

#[test]
fn a_foreign_name_label_or_value_is_noticed() {
    let labels = ["app", "route", "stage", "outcome", "campaign", "job"].map(str::to_owned);
    let known = BTreeMap::from([("timpush_stage_results_total".to_owned(), BTreeSet::from(labels))]);
    let count = |expr: &str| faults(&read(expr), &known).len();
    assert_eq!(count("sum by (app, $watch_label) (rate(timpush_stage_results_total{stage=\"im\"}[5m]))"), 0);
    assert_eq!(count("timpush_stage_result_total"), 1);
    assert_eq!(count("timpush_stage_results_total{platform=\"apns\"}"), 1);
    assert_eq!(count("timpush_stage_results_total{stage=~\"im|chanel\"}"), 1);
    assert_eq!(count("count({__name__=~\"timpush_.+\", exported_stage!=\"\"})"), 0);
    assert_eq!(count("count({__name__=~\"timpush_.+\", exported_stages!=\"\"})"), 1);
    assert_eq!(count("count({__name__=~\"timpush_.+\", stage!=\"\"})"), 1);
    assert_eq!(count("sum by (code) (timpush_stage_results_total)"), 1);
}
