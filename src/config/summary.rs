//! What a checked config can do, on one screen: how much each app may ask, and how much it has to.

use std::fmt::Write;
use std::time::Duration;

use super::app::MAX_REQUESTS_PER_SECOND;
use super::{App, Config, Lists};
use crate::budget::Plan;
use crate::document::{Warnings, format_duration};

/// How many apps are listed one by one; the last line counts all.
const MAX_APPS_SHOWN: usize = 8;
/// How many pieces of advice are written out; a line counts the others.
const MAX_ADVICE_SHOWN: usize = 3;
/// How many warnings are written out; a line counts the others.
const MAX_WARNINGS_SHOWN: usize = 20;
/// Fewer looks than this at a pair within `watch_for` show little of its way.
const MIN_LOOKS: f64 = 2.0;
/// Requests a second that the upstream allows unless more were bought, and the share of a limit above which it raises an
/// alarm of its own.
const USUAL_LIMIT: f64 = 1.0;
const ALARM_SHARE: f64 = 0.8;
const HEADER: [&str; 10] =
    ["APP", "ENDPOINT", "SDK_APP_ID", "REQ/S", "PAIRS", "FILES", "HTTP", "LOOKS/PAIR", "ROUND", "CAPACITY"];

/// The capacity of an app against the pairs it is known to watch.
struct Load<'c> {
    app: &'c App,
    pairs: usize,
    budget: Plan,
    /// How many requests fit into `watch_for`.
    requests: f64,
}

impl<'c> Load<'c> {
    fn of(app: &'c App, pairs: usize, budget: Plan) -> Self {
        Self { app, pairs, budget, requests: budget.part() * app.watch_for.as_secs_f64() }
    }

    /// Looks at each pair within `watch_for`; nothing where no pair is known yet.
    fn looks(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.requests / self.pairs as f64)
    }

    fn row(&self, files: u64) -> [String; 10] {
        let app = self.app;
        let round = Duration::from_secs_f64((self.pairs as f64 / self.budget.part()).ceil());
        let known = |text: String| if self.pairs > 0 { text } else { "-".to_owned() };
        [
            app.name.to_string(),
            app.host().to_owned(),
            app.sdk_app_id.to_string(),
            shown_rate(self.budget.part()),
            self.pairs.to_string(),
            files.to_string(),
            app.watch.http.len().to_string(),
            self.looks().map_or_else(|| "-".to_owned(), few_digits),
            known(format_duration(round)),
            format!("{:.0}", (self.requests / MIN_LOOKS).floor().min(app.max_pairs as f64)),
        ]
    }

    /// Which number to change, where too few looks fit.
    fn advice(&self) -> Option<String> {
        let looks = self.looks().filter(|looks| *looks < MIN_LOOKS)?;
        let app = self.app;
        // With others it is a part of the budget's rate.
        let needed = MIN_LOOKS * self.pairs as f64 / app.watch_for.as_secs_f64() * self.budget.apps as f64;
        // Upwards, so that the number told is enough.
        let needed = (needed * 1000.0).ceil() / 1000.0;
        let most = (self.requests / MIN_LOOKS).floor();
        let raise = format!(
            "raise requests_per_second from {} to at least {needed}",
            self.budget.requests_per_second
        );
        let fewer = format!("watch at most {most:.0} pairs instead of {}", self.pairs);
        let change = match (needed <= MAX_REQUESTS_PER_SECOND, most >= 1.0) {
            (true, true) => format!("{raise}, or {fewer}"),
            (true, false) => raise,
            (false, true) => fewer,
            // Then watch_for is too short for any rate that is allowed.
            (false, false) => format!("raise watch_for from {}", format_duration(app.watch_for)),
        };
        let watch_for = format_duration(app.watch_for);
        let never = match looks {
            ..1.0 => format!(", {}% of the pairs get none", few_digits(100.0 * (1.0 - looks))),
            _ => String::new(),
        };
        let looks = few_digits(looks);
        Some(format!("only {looks} looks per pair fit into watch_for {watch_for}{never}: {change}"))
    }
}

/// Which number to change in the config of an app that watches so many pairs within that budget, if too few looks fit.
pub fn advice(app: &App, pairs: usize, budget: Plan) -> Option<String> {
    Load::of(app, pairs, budget).advice()
}

/// One screen: a line per app (the first few, and a count of the others), a total, all advice, warnings and notes.
///
/// PAIRS are those of `watch.static` and of files. CAPACITY is the number of pairs at which two looks each fit into
/// `watch_for`, at most `max_pairs`. Of a budget that apps share, each has its part.
pub fn summary(config: &Config, lists: &Lists) -> String {
    let budgets = config.budgets();
    let listed = config.apps.iter().zip(&lists.apps);
    let loads: Vec<Load<'_>> =
        listed.map(|(app, listed)| Load::of(app, listed.pairs, budgets[&app.budget_key()])).collect();
    let mut text = format!("{}: no faults\n\n", config.file.display());
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(
        loads.iter().zip(&lists.apps).take(MAX_APPS_SHOWN).map(|(load, listed)| load.row(listed.files)),
    );
    write_table(&mut text, &rows);
    let more = loads.len().saturating_sub(MAX_APPS_SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more apps\n"));
    }
    let pairs: usize = loads.iter().map(|load| load.pairs).sum();
    let rate: f64 = budgets.values().map(|budget| budget.requests_per_second).sum();
    let files: u64 = lists.apps.iter().map(|listed| listed.files).sum();
    let http: usize = config.apps.iter().map(|app| app.watch.http.len()).sum();
    text.push_str(&format!(
        "\nIn all: apps {}, requests per second {}, pairs {pairs}, list files {files}, http sources {http}.\n\
         PAIRS counts static and list files.{} CAPACITY: pairs at which two looks each fit into watch_for.\n",
        loads.len(),
        few_digits(rate),
        if http > 0 { " HTTP sources were not asked: their pairs come on top." } else { "" },
    ));
    let told = |load: &Load<'_>| load.advice().map(|advice| format!("{}: {advice}.", load.app.name));
    let advice: Vec<String> = loads.iter().filter_map(told).collect();
    write_lines(&mut text, "", (&advice, MAX_ADVICE_SHOWN));
    let warnings = [config.warnings.as_slice(), &lists.warnings].concat();
    write_lines(&mut text, "warning: ", (&warnings, MAX_WARNINGS_SHOWN));
    write_lines(&mut text, "note: ", (&alarms(&config.apps), MAX_WARNINGS_SHOWN));
    text
}

/// Where the upstream's own alarm is to be expected. One who bought more than the usual limit does not say so here.
fn alarms(apps: &[App]) -> Vec<String> {
    let mut notes = Warnings::default();
    for (index, app) in apps.iter().enumerate() {
        let rate = app.requests_per_second;
        if rate <= ALARM_SHARE * USUAL_LIMIT {
            continue;
        }
        let quiet = if rate <= USUAL_LIMIT {
            "with the usual limit of 1 request a second 0.75 keeps it quiet"
        } else {
            "three quarters of the limit that you bought keep it quiet"
        };
        let text = format!(
            "is {rate}; the upstream raises its own alarm (Alert.RequestOverLimit) above 80 % of a limit: {quiet}"
        );
        notes.note(text, || format!("apps[{index}].requests_per_second"));
    }
    notes.lines()
}

fn write_lines(text: &mut String, prefix: &str, (lines, most): (&[String], usize)) {
    for line in lines.iter().take(most) {
        text.push_str(&format!("{prefix}{line}\n"));
    }
    let more = lines.len().saturating_sub(most);
    if more > 0 {
        text.push_str(&format!("{prefix}and {more} more like these\n"));
    }
}

fn write_table(text: &mut String, rows: &[[String; 10]]) {
    let mut widths = [0; 10];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let mut line = String::new();
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Names to the left, numbers to the right. Writing to a String cannot fail.
            match index {
                0 | 1 => drop(write!(line, "{cell:<width$}  ")),
                _ => drop(write!(line, "{cell:>width$}  ")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// A rate as it was written; of a budget that is shared, the app's part.
fn shown_rate(rate: f64) -> String {
    // The division leaves digits that nobody wrote.
    ((rate * 1e9).round() / 1e9).to_string()
}

/// Two digits after the point for small numbers, none for large; rounded down, so that 1.999 is not shown as 2.
fn few_digits(number: f64) -> String {
    if number >= 100.0 {
        format!("{:.0}", number.floor())
    } else {
        ((number * 100.0).floor() / 100.0).to_string()
    }
}
