//! A list as CSV: one line per pair, under a header that names the columns.

use std::collections::BTreeMap;

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};

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
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(bytes);
    let header = reader.byte_headers().map_err(|error| Fault::whole(format!("is no CSV: {error}")))?.clone();
    let columns = read_header(&header, watch_labels)?;
    let mut parsed = Parsed::default();
    let mut untold = 0;
    for record in reader.byte_records() {
        let record = record.map_err(|error| Fault::whole(format!("is no CSV: {error}")))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().any(|field| field.contains(&b'\n')) {
            // What follows an open quote is one long field: the lines it swallowed must not just be missed.
            let text =
                "has a quote that is not closed on its line; no ids hold line breaks, close it or double it";
            return Err(Fault { place: format!("line {line}"), text: text.to_owned() });
        }
        match read_line(record, &columns) {
            Ok(entry) => add(&mut parsed.entries, entry),
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

fn read_line(record: ByteRecord, columns: &[Column]) -> Result<Entry, String> {
    let record = StringRecord::from_byte_record(record)
        .map_err(|_| "is not UTF-8; text in UTF-8 would be right".to_owned())?;
    if record.len() != columns.len() {
        let (found, right) = (record.len(), columns.len());
        return Err(format!("has {found} fields; {right} as in the header would be right"));
    }
    let mut entry = Entry { labels: BTreeMap::new(), ..Entry::default() };
    for (field, column) in record.iter().zip(columns) {
        match column {
            Column::Task => {
                id_fault(field).map_or(Ok(()), |fault| Err(format!("task: {fault}")))?;
                entry.task = field.to_owned();
            }
            Column::User => {
                id_fault(field).map_or(Ok(()), |fault| Err(format!("user: {fault}")))?;
                entry.users = vec![field.to_owned()];
            }
            Column::PushedAt if field.is_empty() => {}
            Column::PushedAt => {
                entry.pushed_at = Some(parse_time(field).map_err(|fault| format!("pushed_at: {fault}"))?);
            }
            Column::Label(_) if field.is_empty() => {}
            Column::Label(name) => {
                label_fault(field).map_or(Ok(()), |fault| Err(format!("{name}: {fault}")))?;
                entry.labels.insert(name.clone(), field.to_owned());
            }
        }
    }
    Ok(entry)
}

/// Adds a line: a user more for the entry before, where only the user differs.
fn add(entries: &mut Vec<Entry>, mut line: Entry) {
    match entries.last_mut() {
        Some(last)
            if last.task == line.task && last.pushed_at == line.pushed_at && last.labels == line.labels =>
        {
            last.users.append(&mut line.users);
        }
        _ => entries.push(line),
    }
}
