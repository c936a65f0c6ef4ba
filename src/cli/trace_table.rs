//! What `trace` prints: each device with its way as a table for people, or everything as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Style};
use serde_json::{Value, json};

use timpush_exporter::document::format_duration;
use timpush_exporter::ledger::fold::delay_seconds;
use timpush_exporter::trace::{Device, Drift, Leaf, Notifications, Outcome, Route, Stage, Trace, visible};

const HEAD: [&str; COLUMNS] = ["ROUTE", "STAGE", "OUTCOME", "AT", "DELAY", "CODE", "REASON"];
const COLUMNS: usize = 7;
/// Columns of numbers, flush right.
const RIGHT: [usize; 2] = [4, 5];

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default();

/// A line of the table: its cells, and what is said behind a stage that has no result.
struct Row {
    cells: [String; COLUMNS],
    outcome: Option<Outcome>,
    note: String,
}

/// With the colours of a terminal; whoever prints takes them out where they have no place.
pub fn in_table(trace: &Trace) -> String {
    if trace.devices.is_empty() {
        return "The upstream knows no device for this task and user: the push has not come that far, the user is not \
                in its audience, or it is older than seven days.\n"
            .to_owned();
    }
    let mut text = trace.devices.iter().map(device_table).collect::<Vec<_>>().join("\n");
    if !trace.drift_kinds().is_empty() {
        let names = trace.additions.iter().map(|addition| addition.name.clone());
        let kinds = trace.drift.iter().map(|drift| drift.as_str().to_owned()).chain(names);
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "\n{ODD}The answer left the documented contract: {kinds}.{ODD:#}");
    }
    text
}

fn device_table(device: &Device) -> String {
    let route = device.route();
    let instance = if device.instance.is_empty() { "(no id)".to_owned() } else { visible(&device.instance) };
    let mut text = format!(
        "{BOLD}{} device {instance}{BOLD:#}, {} push, pushed {}, ",
        device.platform_on(route),
        route.as_str(),
        time(device.pushed_at).as_str().unwrap_or("at an unknown time"),
    );
    text.push_str(&match device.notifications {
        Notifications::On => "notifications on\n".to_owned(),
        Notifications::Unknown => "notifications unknown\n".to_owned(),
        Notifications::Off => format!("{ODD}notifications off: it shows none{ODD:#}\n"),
    });
    let has_leaf = |route: Route| device.leaves.iter().any(|leaf| leaf.route == route);
    let routes = Route::ALL.into_iter().filter(|other| *other == route || has_leaf(*other));
    let rows: Vec<Row> = routes.flat_map(|route| route_rows(device, route)).collect();
    write_rows(&mut text, &rows);
    for leaf in &device.leaves {
        let Some(reason) = leaf.reason else { continue };
        let _ = writeln!(
            text,
            "  {BAD}{} failed{BAD:#}: {}, code {}. Who must act: {}.",
            leaf.stage.as_str(),
            reason.as_str(),
            leaf.code,
            reason.who(leaf.stage, device.platform_on(leaf.route))
        );
    }
    text
}

fn route_rows(device: &Device, route: Route) -> Vec<Row> {
    let leaf_of = |stage: Stage| device.leaves.iter().find(|leaf| leaf.route == route && leaf.stage == stage);
    let mut failed = None;
    let row = |stage: &Stage| {
        let leaf = leaf_of(*stage);
        let row = row(device, (route, *stage), leaf, failed);
        if leaf.is_some_and(|leaf| leaf.outcome == Outcome::Failure) {
            failed = failed.or(Some(*stage));
        }
        row
    };
    route.stages().iter().map(row).collect()
}

fn row(device: &Device, (route, stage): (Route, Stage), leaf: Option<&Leaf>, failed: Option<Stage>) -> Row {
    let mut cells = [route.as_str(), stage.as_str(), "unreported", "", "", "", ""].map(str::to_owned);
    let Some(leaf) = leaf else {
        let note = failed.map(|failed| format!("not awaited: {} failed", failed.as_str()));
        return Row { cells, outcome: None, note: note.unwrap_or_default() };
    };
    leaf.outcome.as_str().clone_into(&mut cells[2]);
    time(leaf.at).as_str().unwrap_or("no time").clone_into(&mut cells[3]);
    cells[4] = delay_seconds(device.pushed_at, leaf.at).map(span).unwrap_or_default();
    cells[5] = leaf.code.to_string();
    leaf.reason.map_or("", |reason| reason.as_str()).clone_into(&mut cells[6]);
    Row { cells, outcome: Some(leaf.outcome), note: String::new() }
}

fn write_rows(text: &mut String, rows: &[Row]) {
    let mut widths = HEAD.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.len());
        }
    }
    let _ =
        writeln!(text, "  {DIM}{}{DIM:#}", padded(&HEAD.map(str::to_owned), &widths).join("  ").trim_end());
    for row in rows {
        let mut cells = padded(&row.cells, &widths);
        let style = match row.outcome {
            Some(Outcome::Success) => GOOD,
            Some(Outcome::Failure) => BAD,
            None => DIM,
        };
        cells[2] = format!("{style}{}{style:#}", cells[2]);
        if !row.note.is_empty() {
            cells[3] = format!("{DIM}{}{DIM:#}", row.note);
        }
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
}

fn padded(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> Vec<String> {
    let pad = |(at, cell): (usize, &String)| {
        let width = widths[at];
        if RIGHT.contains(&at) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    };
    cells.iter().enumerate().map(pad).collect()
}

/// A delay, which the upstream's clock may put before the push.
fn span(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    format!("{sign}{}", format_duration(Duration::from_secs(seconds.unsigned_abs())))
}

fn time(at: Option<i64>) -> Value {
    at.and_then(|at| jiff::Timestamp::from_second(at).ok()).map_or(Value::Null, |at| at.to_string().into())
}

/// The decoded answer.
pub fn in_json(trace: &Trace) -> Value {
    let stage = |device: &Device, leaf: &Leaf| {
        json!({
            "route": leaf.route.as_str(),
            "stage": leaf.stage.as_str(),
            "platform": device.platform_on(leaf.route).to_string(),
            "outcome": leaf.outcome.as_str(),
            "code": leaf.code,
            "reason": leaf.reason.map(|reason| reason.as_str()),
            "who": leaf.reason.map(|reason| reason.who(leaf.stage, device.platform_on(leaf.route))),
            "at": time(leaf.at),
            "delay_seconds": delay_seconds(device.pushed_at, leaf.at),
        })
    };
    let device = |device: &Device| {
        json!({
            "instance": device.instance,
            "route": device.route().as_str(),
            "platform": device.platform_on(device.route()).to_string(),
            "notifications": device.notifications.as_str(),
            "pushed_at": time(device.pushed_at),
            "stages": device.leaves.iter().map(|leaf| stage(device, leaf)).collect::<Vec<_>>(),
        })
    };
    json!({
        "devices": trace.devices.iter().map(device).collect::<Vec<_>>(),
        "drift": trace.drift_kinds().into_iter().map(Drift::as_str).collect::<Vec<_>>(),
        "undocumented": trace.additions.iter().map(|addition| &*addition.name).collect::<Vec<_>>(),
    })
}
