//! The rules of grafana/dashboard-linter, without an exception, and some of our own.

use std::collections::BTreeSet;

use serde_json::Value;

use super::promql::{self, Selector};
use super::{asked_by_panels, board, list, none, panels, read, text};

/// Kinds of panels that every Grafana has.
const BUILT_IN: [&str; 5] = ["bargauge", "heatmap", "stat", "table", "timeseries"];
/// Those of the linter's units that the board uses.
const UNITS: [&str; 6] = ["bytes", "percentunit", "reqps", "s", "short", "string"];
/// The width of a board in Grafana's grid.
const COLUMNS: u64 = 24;
/// The order of an incident.
const ROWS: [&str; 7] = ["trust", "healthy", "fails", "slow", "silence", "devices", "exporter"];
const VARIABLES: [&str; 8] =
    ["datasource", "job", "instance", "app", "route", "platform", "watch_label", "watch_value"];

fn variables(board: &Value) -> &[Value] {
    list(&board["templating"], "list")
}

#[test]
fn the_board_can_be_provisioned_anywhere() {
    let board = board();
    assert!(board.get("__inputs").is_none() && board.get("__requires").is_none());
    assert!(board["id"].is_null());
    assert_eq!(text(&board, "uid"), "timpush-exporter");
    assert_eq!(board["editable"], false, "uneditable-dashboard");
    assert!(board["schemaVersion"].as_u64().is_some_and(|version| version >= 39));
    assert!(list(&board, "links").iter().any(|link| text(link, "url") == "http://${instance}/"));
    let rows = list(&board, "panels").iter().filter(|panel| text(panel, "type") == "row");
    let rows: Vec<String> = rows.map(|row| text(row, "title").to_lowercase()).collect();
    assert_eq!(rows.len(), ROWS.len(), "{rows:?}");
    for (row, word) in rows.iter().zip(ROWS) {
        assert!(row.contains(word), "{row}: {word}");
    }
}

#[test]
fn variables_are_as_the_linter_wants_them() {
    let board = board();
    let names: Vec<&str> = variables(&board).iter().map(|variable| text(variable, "name")).collect();
    assert_eq!(names, VARIABLES);
    let source = &variables(&board)[0];
    let told = [text(source, "type"), text(source, "query"), text(source, "label")];
    assert_eq!(told, ["datasource", "prometheus", "Data source"], "template-datasource-rule");
    for name in ["job", "instance"] {
        let variable = variables(&board).iter().find(|variable| text(variable, "name") == name).unwrap();
        let told = [text(variable, "type"), text(variable, "allValue"), text(&variable["datasource"], "uid")];
        assert_eq!(told, ["query", ".+", "${datasource}"], "template-{name}-rule");
        assert_eq!(variable["multi"], true, "template-{name}-rule");
        let label = text(variable, "label");
        assert_eq!((label.to_lowercase().as_str(), &label[..1]), (name, &name[..1].to_uppercase()[..]));
    }
    for variable in variables(&board).iter().filter(|variable| text(variable, "type") == "query") {
        assert_eq!(variable["refresh"], 2, "template-on-time-change-reload-rule: {variable}");
        let query = text(variable, "query");
        let asked = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (metric, _) =
            asked.and_then(|asked| asked.rsplit_once(", ")).expect("template-label-promql-rule");
        assert_eq!(promql::read(metric).selectors.len(), 1, "template-label-promql-rule: {query}");
    }
}

/// All units that a panel sets.
fn units(panel: &Value) -> Vec<&str> {
    let config = &panel["fieldConfig"];
    let overrides = list(config, "overrides").iter().flat_map(|over| list(over, "properties"));
    let set = overrides.filter(|property| text(property, "id") == "unit").map(|unit| text(unit, "value"));
    let heatmap = panel["options"]["yAxis"]["unit"].as_str();
    set.chain(config["defaults"]["unit"].as_str()).chain(heatmap).collect()
}

#[test]
fn panels_are_as_the_linter_wants_them() {
    let mut broken = Vec::new();
    let mut ids = BTreeSet::new();
    for panel in panels(&board()) {
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                broken.push(format!("{:?}: {rule}", text(panel, "title")));
            }
        };
        must(BUILT_IN.contains(&text(panel, "type")), "no panel of a third party");
        must(
            !text(panel, "title").is_empty() && text(panel, "description").len() > 20,
            "panel-title-description-rule",
        );
        must(text(&panel["datasource"], "uid") == "${datasource}", "panel-datasource-rule");
        must(!list(panel, "targets").is_empty(), "panel-no-targets-rule");
        let units = units(panel);
        must(!units.is_empty() && units.iter().all(|unit| UNITS.contains(unit)), "panel-units-rule");
        must(ids.insert(panel["id"].as_u64()), "an id of its own");
        for target in list(panel, "targets") {
            must(text(&target["datasource"], "uid") == "${datasource}", "panel-datasource-rule");
            must(!text(target, "legendFormat").is_empty() || text(target, "format") == "table", "a legend");
        }
    }
    none("rules of dashboard-linter", &broken);
}

/// True where a counter is not read as it stands: within a rate, or beside its own past.
fn is_taken_as_counter(selector: &Selector, all: &[Selector]) -> bool {
    let in_rate = ["rate", "irate", "increase"].contains(&selector.function.as_deref().unwrap_or_default());
    let past = |other: &Selector| {
        let same = other.name == selector.name && other.matchers == selector.matchers;
        same && other.range.is_none() && other.has_offset != selector.has_offset
    };
    (in_rate && selector.range.is_some()) || (selector.range.is_none() && all.iter().any(past))
}

#[test]
fn queries_are_as_the_linter_wants_them() {
    let mut broken = Vec::new();
    let asked = asked_by_panels(&board());
    assert!(asked.len() > 50, "{} queries", asked.len());
    for query in &asked {
        let selectors = promql::read(&query.expr).selectors;
        let mut must = |holds: bool, rule: &str| {
            if !holds {
                broken.push(format!("{}: {rule}: {}", query.place, query.expr));
            }
        };
        must(!selectors.is_empty(), "target-promql-rule");
        for selector in &selectors {
            for label in ["job", "instance"] {
                let wanted = format!("${label}");
                let has = selector.matchers.iter().any(|matcher| {
                    matcher.label == label && matcher.operator == "=~" && matcher.value == wanted
                });
                must(has, &format!("target-{label}-rule"));
            }
            let is_rate = ["rate", "irate"].contains(&selector.function.as_deref().unwrap_or_default());
            let interval = selector.has_rate_interval();
            must(!is_rate || interval, "target-rate-interval-rule");
            let is_counter = ["_total", "_bucket"].iter().any(|end| selector.name.ends_with(end));
            must(!is_counter || is_taken_as_counter(selector, &selectors), "target-counter-agg-rule");
        }
    }
    none("rules of dashboard-linter", &broken);
}

/// Where a panel lies: left, top, right, bottom.
fn place(panel: &Value) -> [u64; 4] {
    let [x, y, w, h] =
        ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap_or_else(|| panic!("{panel}")));
    [x, y, x + w, y + h]
}

#[test]
fn panels_lie_side_by_side_without_holes() {
    let board = board();
    let all = list(&board, "panels");
    for (at, panel) in all.iter().enumerate() {
        let [left, top, right, bottom] = place(panel);
        assert!(right <= COLUMNS, "{panel}");
        for other in &all[at + 1..] {
            let [l, t, r, b] = place(other);
            let apart = right <= l || r <= left || bottom <= t || b <= top;
            assert!(apart, "{:?} lies over {:?}", text(panel, "title"), text(other, "title"));
        }
    }
    let area: u64 =
        all.iter().map(place).map(|[left, top, right, bottom]| (right - left) * (bottom - top)).sum();
    let height = all.iter().map(place).map(|[.., bottom]| bottom).max().unwrap();
    assert_eq!(area, COLUMNS * height, "the panels leave a hole");
}

#[test]
fn each_panel_has_a_line_in_the_readme_of_the_board() {
    let readme = read("grafana/README.md");
    let line = |text: &str| {
        let (name, _) = text.strip_prefix("| **")?.split_once("** |")?;
        Some(name.to_owned())
    };
    let told: Vec<String> = readme.lines().filter_map(line).collect();
    let board = board();
    let titles: Vec<&str> = panels(&board).map(|panel| text(panel, "title")).collect();
    assert_eq!(told, titles);
}
