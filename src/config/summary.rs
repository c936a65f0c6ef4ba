//! What a checked config can do, on one screen: how much each app may ask, and how much it has to.

use std::collections::HashSet;
use std::fmt::Write;
use std::time::Duration;

use super::app::MAX_REQUESTS_PER_SECOND;
use super::{App, Config};
use crate::tree::format_duration;

/// How many apps are listed one by one; the last line counts all.
const MAX_APPS_SHOWN: usize = 8;
/// How many warnings and pieces of advice are written out; a line counts the others.
const MAX_LINES_SHOWN: usize = 3;
/// Fewer looks than this at a pair within `watch_for` show little of its way.
const MIN_LOOKS: f64 = 2.0;
const HEADER: [&str; 10] =
    ["APP", "ENDPOINT", "SDK_APP_ID", "REQ/S", "PAIRS", "FILES", "HTTP", "LOOKS/PAIR", "ROUND", "CAPACITY"];

/// Pairs of task and user that the config file itself lists, each counted once.
pub(super) fn static_pairs(app: &App) -> usize {
    let entries = app.watch.entries.iter();
    let pairs = entries.flat_map(|entry| entry.users.iter().map(|user| (entry.task.as_str(), user.as_str())));
    pairs.collect::<HashSet<_>>().len()
}

/// The capacity of an app against the pairs it is known to watch.
struct Load<'c> {
    app: &'c App,
    pairs: usize,
    /// How many requests fit into `watch_for`.
    requests: f64,
}

impl<'c> Load<'c> {
    fn of(app: &'c App, pairs: usize) -> Self {
        let requests = app.requests_per_second * app.watch_for.as_secs_f64();
        Self { app, pairs, requests }
    }

    /// Looks at each pair within `watch_for`; nothing where no pair is known yet.
    fn looks(&self) -> Option<f64> {
        (self.pairs > 0).then(|| self.requests / self.pairs as f64)
    }

    fn row(&self) -> [String; 10] {
        let app = self.app;
        let round = Duration::from_secs_f64((self.pairs as f64 / app.requests_per_second).ceil());
        let known = |text: String| if self.pairs > 0 { text } else { "-".to_owned() };
        [
            app.name.to_string(),
            app.host().to_owned(),
            app.sdk_app_id.to_string(),
            app.requests_per_second.to_string(),
            self.pairs.to_string(),
            app.watch.files.len().to_string(),
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
        let needed = MIN_LOOKS * self.pairs as f64 / app.watch_for.as_secs_f64();
        // Upwards, so that the number told is enough.
        let needed = (needed * 1000.0).ceil() / 1000.0;
        let most = (self.requests / MIN_LOOKS).floor();
        let raise =
            format!("raise requests_per_second from {} to at least {needed}", app.requests_per_second);
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

/// Which number to change in the config of an app that watches so many pairs, if too few looks fit.
pub fn advice(app: &App, pairs: usize) -> Option<String> {
    Load::of(app, pairs).advice()
}

/// One screen: a line per app (the first few, and a count of the others), all warnings and advice, and a total.
///
/// PAIRS are those of `watch.static`; files and addresses are counted, not read. CAPACITY is the number of pairs at
/// which two looks each fit into `watch_for`, at most `max_pairs`.
pub fn summary(config: &Config) -> String {
    let loads: Vec<Load<'_>> = config.apps.iter().map(|app| Load::of(app, static_pairs(app))).collect();
    let mut text = format!("{}: no faults\n\n", config.file.display());
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(loads.iter().take(MAX_APPS_SHOWN).map(Load::row));
    write_table(&mut text, &rows);
    let more = loads.len().saturating_sub(MAX_APPS_SHOWN);
    if more > 0 {
        text.push_str(&format!("and {more} more apps\n"));
    }
    let pairs: usize = loads.iter().map(|load| load.pairs).sum();
    let rate: f64 = config.apps.iter().map(|app| app.requests_per_second).sum();
    let files: usize = config.apps.iter().map(|app| app.watch.files.len()).sum();
    let http: usize = config.apps.iter().map(|app| app.watch.http.len()).sum();
    text.push_str(&format!(
        "\nIn all: apps {}, requests per second {}, pairs in static {pairs}, file patterns {files}, http sources {http}.\n\
         PAIRS counts watch.static alone. CAPACITY: pairs at which two looks each fit into watch_for.\n",
        loads.len(),
        few_digits(rate),
    ));
    let told = |load: &Load<'_>| load.advice().map(|advice| format!("{}: {advice}.", load.app.name));
    let advice: Vec<String> = loads.iter().filter_map(told).collect();
    write_lines(&mut text, "", &advice);
    write_lines(&mut text, "warning: ", &config.warnings);
    text
}

fn write_lines(text: &mut String, prefix: &str, lines: &[String]) {
    for line in lines.iter().take(MAX_LINES_SHOWN) {
        text.push_str(&format!("{prefix}{line}\n"));
    }
    let more = lines.len().saturating_sub(MAX_LINES_SHOWN);
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

/// Two digits after the point for small numbers, none for large; rounded down, so that 1.999 is not shown as 2.
fn few_digits(number: f64) -> String {
    if number >= 100.0 {
        format!("{:.0}", number.floor())
    } else {
        ((number * 100.0).floor() / 100.0).to_string()
    }
}
