//! A list as CSV: one line per pair, under a header that names the columns.

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::entry::{id_fault, label_fault, parse_time};
use super::{Entry, Parsed};
use crate::tree::{Fault, shown};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Task,
    User,
    PushedAt,
    Label(String),
}

/// Reads a list as CSV (RFC 4180, comma, UTF-8). Spaces around a field are dropped; an empty field sets nothing.
pub(super) fn parse(bytes: &[u8], watch_labels: &[Box<str>]) -> Result<Parsed, Fault> {
    // The other fields are trimmed where they are read: the reader would make a new record of each.
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(bytes);
    let no_csv = |error: csv::Error| Fault::whole(format!("is no CSV: {error}"));
    let columns = read_header(reader.byte_headers().map_err(no_csv)?, watch_labels)?;
    let mut parsed = Parsed::default();
    let mut untold = 0;
    let mut record = ByteRecord::new();
    let mut clock = Clock::default();
    while reader.read_byte_record(&mut record).map_err(no_csv)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().any(|field| field.trim_ascii().contains(&b'\n')) {
            // What follows an open quote is one long field: the lines it swallowed must not just be missed.
            let text =
                "has a quote that is not closed on its line; no ids hold line breaks, close it or double it";
            return Err(Fault { place: format!("line {line}"), text: text.to_owned() });
        }
        match read_line(&record, &columns, parsed.entries.last(), &mut clock) {
            Ok(line) => add(&mut parsed.entries, &line),
            Err(reason) => parsed.refuse(format!("line {line}: {reason}"), 1, &mut untold),
        }
    }
    parsed.tell_rest(untold);
    Ok(parsed)
}

fn read_header(header: &ByteRecord, watch_labels: &[Box<str>]) -> Result<Vec<Column>, Fault> {
    let place = || "line 1".to_owned();
    let labels: String = watch_labels.iter().map(|label| format!(",{label}")).collect();
    let right = format!("a header of task,user and optionally pushed_at{labels} would be right");
    let mut columns = Vec::new();
    for field in header {
        let name = String::from_utf8_lossy(field);
        let column = match &*name {
            "task" => Column::Task,
            "user" => Column::User,
            "pushed_at" => Column::PushedAt,
            label if watch_labels.iter().any(|known| **known == *label) => Column::Label(label.to_owned()),
            other => {
                let text = format!("has the unknown column {}; {right}", shown(other));
                return Err(Fault { place: place(), text });
            }
        };
        if columns.contains(&column) {
            return Err(Fault { place: place(), text: format!("has the column {name} twice; {right}") });
        }
        columns.push(column);
    }
    for (column, name) in [(Column::Task, "task"), (Column::User, "user")] {
        if !columns.contains(&column) {
            return Err(Fault { place: place(), text: format!("has no column {name}; {right}") });
        }
    }
    Ok(columns)
}

/// One line, as it stands in its record. A long list has hundreds of thousands, so nothing is copied before its place is
/// known.
#[derive(Default)]
struct Line<'a> {
    task: &'a str,
    user: &'a str,
    pushed_at: Option<i64>,
    labels: Vec<(&'a str, &'a str)>,
}

/// The time read last: neighbours mostly have the same.
#[derive(Default)]
struct Clock {
    text: String,
    seconds: i64,
}

impl Clock {
    fn read(&mut self, text: &str) -> Result<i64, String> {
        if text != self.text {
            self.seconds = parse_time(text)?;
            text.clone_into(&mut self.text);
        }
        Ok(self.seconds)
    }
}

/// `before` is the entry of the line before: an id that is the same again was checked there.
fn read_line<'a>(
    record: &'a ByteRecord,
    columns: &'a [Column],
    before: Option<&Entry>,
    clock: &mut Clock,
) -> Result<Line<'a>, String> {
    if record.iter().any(|field| str::from_utf8(field).is_err()) {
        return Err("is not UTF-8; text in UTF-8 would be right".to_owned());
    }
    if record.len() != columns.len() {
        let (found, right) = (record.len(), columns.len());
        return Err(format!("has {found} fields; {right} as in the header would be right"));
    }
    let mut line = Line::default();
    for (field, column) in record.iter().zip(columns) {
        let field = str::from_utf8(field.trim_ascii()).unwrap_or_default();
        match column {
            Column::Task => {
                if before.is_none_or(|before| before.task != field) {
                    id_fault(field).map_or(Ok(()), |fault| Err(format!("task: {fault}")))?;
                }
                line.task = field;
            }
            Column::User => {
                id_fault(field).map_or(Ok(()), |fault| Err(format!("user: {fault}")))?;
                line.user = field;
            }
            Column::PushedAt if field.is_empty() => {}
            Column::PushedAt => {
                line.pushed_at = Some(clock.read(field).map_err(|fault| format!("pushed_at: {fault}"))?);
            }
            Column::Label(_) if field.is_empty() => {}
            Column::Label(name) => {
                label_fault(field).map_or(Ok(()), |fault| Err(format!("{name}: {fault}")))?;
                line.labels.push((name, field));
            }
        }
    }
    Ok(line)
}

/// Adds a line: a user more for the entry before, where only the user differs.
fn add(entries: &mut Vec<Entry>, line: &Line<'_>) {
    let user = line.user.to_owned();
    match entries.last_mut() {
        Some(last) if is_of(line, last) => last.users.push(user),
        _ => {
            let labels = line.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            entries.push(Entry {
                task: line.task.to_owned(),
                users: vec![user],
                labels: labels.collect(),
                pushed_at: line.pushed_at,
            });
        }
    }
}

fn is_of(line: &Line<'_>, entry: &Entry) -> bool {
    let same = |(name, value): &(&str, &str)| entry.labels.get(*name).is_some_and(|known| known == value);
    entry.task == line.task
        && entry.pushed_at == line.pushed_at
        && entry.labels.len() == line.labels.len()
        && line.labels.iter().all(same)
}
