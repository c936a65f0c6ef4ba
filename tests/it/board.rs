//! Dashboard and rules: each is well made, and speaks only of what the program shows.

mod alive;
mod lint;
mod promql;
mod rules;

use std::fs;

use serde_json::Value;

pub use crate::tidy::{none, root};

/// An expression and where it stands.
pub struct Asked {
    pub place: String,
    pub expr: String,
}

/// A text of the repository.
pub fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of the repository.
pub fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The dashboard.
pub fn board() -> Value {
    serde_json::from_str(&read("grafana/dashboard.json")).expect("the dashboard is JSON")
}

/// The elements of a list, or none where it is missing.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// A text, empty where it is missing.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The panels that show something: rows are none.
pub fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "panels").iter().filter(|panel| text(panel, "type") != "row")
}

/// What the panels ask.
pub fn asked_by_panels(board: &Value) -> Vec<Asked> {
    let targets = |panel| {
        let place = format!("panel {:?}", text(panel, "title"));
        let asked = move |target| Asked { place: place.clone(), expr: text(target, "expr").to_owned() };
        list(panel, "targets").iter().map(asked)
    };
    panels(board).flat_map(targets).collect()
}
