//! A list as CSV: one line per pair, under a header that names the columns.

use std::borrow::Cow;

use csv::{ByteRecord, ReaderBuilder};

use super::csv_text::{Lines, Quotes, quotes};
use super::entry::{pushed_at, read_label};
use super::parsed::Parsed;
use super::{Entry, id};
use crate::document::{self, Fault, Warnings, shown, trim_strays};

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    Task,
    User,
    PushedAt,
    Label(String),
    /// Of no use here.
    Unknown,
    Unnamed,
}

impl Column {
    fn name(&self) -> &str {
        match self {
            Self::Task => "task",
            Self::User => "user",
            Self::PushedAt => "pushed_at",
            Self::Label(name) => name,
            Self::Unknown | Self::Unnamed => "",
        }
    }
}

/// Reads a list as CSV (RFC 4180, comma, UTF-8) at `now` (Unix seconds). Spaces around a field are dropped; an empty field
/// sets nothing; a line of empty fields is none.
pub(super) fn parse(bytes: &[u8], watch_labels: &[Box<str>], now: i64) -> Result<Parsed, Fault> {
    let bytes = document::without_mark(bytes);
    if let Some(kind) = document::not_text(bytes) {
        return Err(Fault::whole(format!("is {kind}; expected text in UTF-8")));
    }
    let no_csv = |error: csv::Error| Fault::whole(format!("is no CSV: {error}"));
    let mut reader = ReaderBuilder::new().flexible(true).has_headers(false).from_reader(bytes);
    let mut lines = Lines::new(bytes);
    let mut parsed = Parsed::default();
    let mut record = ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(no_csv)?;
    let header = Header { watch_labels, line: lines.of(&record) };
    let columns = header.read(&record, &mut parsed.warnings)?;
    let mut clock = Clock { now, ..Clock::default() };
    while reader.read_byte_record(&mut record).map_err(no_csv)? {
        let end = reader.position().byte();
        let has_break = record.as_slice().contains(&b'\n');
        if has_break || end >= bytes.len() as u64 {
            let quotes = quotes(lines.raw(&record, end));
            if quotes == Quotes::Open || (has_break && quotes == Quotes::Loose) {
                // What follows an open quote is one long field: the lines it swallowed must not just be missed.
                let text = "opens a quote (\") that does not end its field; expected one that does, or \"\" for a quote \
                            in a text";
                return Err(Fault { place: format!("line {}", lines.of(&record)), text: text.to_owned() });
            }
        }
        if record.iter().all(is_blank) {
            continue;
        }
        let mut judge = Judge { columns: &columns, clock: &mut clock, odd: Vec::new() };
        let read = judge.read(&record, parsed.entries.last());
        match read {
            Ok(line) => {
                for (column, warning) in judge.odd {
                    parsed.warnings.note(warning, || place(lines.of(&record), column.name()));
                }
                add(&mut parsed.entries, &line);
            }
            Err(wrong) => {
                let reason = || match wrong {
                    Wrong::Encoding => {
                        let kind = document::likely(bytes);
                        let text = format!("is not UTF-8 but {kind}; expected text in UTF-8");
                        format!("{}: {text}", place(lines.of(&record), ""))
                    }
                    Wrong::Line(text) => format!("{}: {text}", place(lines.of(&record), "")),
                    Wrong::Field(column, text) => {
                        format!("{}: {text}", place(lines.of(&record), column.name()))
                    }
                };
                parsed.refuse(reason, 1);
            }
        }
    }
    Ok(parsed)
}

fn place(line: u64, column: &str) -> String {
    if column.is_empty() { format!("line {line}") } else { format!("line {line}: {column}") }
}

fn is_blank(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    field.is_empty() || str::from_utf8(field).is_ok_and(|text| trim_strays(text).0.is_empty())
}

/// The line that names the columns.
struct Header<'a> {
    watch_labels: &'a [Box<str>],
    line: u64,
}

impl Header<'_> {
    fn read(&self, record: &ByteRecord, warnings: &mut Warnings) -> Result<Vec<Column>, Fault> {
        let mut columns = Vec::new();
        for field in record {
            let text = String::from_utf8_lossy(field);
            let (name, _) = trim_strays(&text);
            let column = match name {
                "" => Column::Unnamed,
                "task" => Column::Task,
                "user" => Column::User,
                "pushed_at" => Column::PushedAt,
                label if self.watch_labels.iter().any(|known| **known == *label) => {
                    Column::Label(label.to_owned())
                }
                _ => Column::Unknown,
            };
            if column == Column::Unknown {
                let known = self.watch_labels.iter().map(|label| format!(" {label}")).collect::<String>();
                let text = format!("has the unknown column {}, which is ignored", shown(name));
                warnings
                    .note(format!("{text}; known here: task user pushed_at{known}"), || place(self.line, ""));
            } else if column != Column::Unnamed && columns.contains(&column) {
                return Err(self.fault(format!("has the column {name} twice")));
            }
            columns.push(column);
        }
        for column in [Column::Task, Column::User] {
            if !columns.contains(&column) {
                let wrong = no_comma(record).unwrap_or_else(|| format!("has no column {}", column.name()));
                return Err(self.fault(wrong));
            }
        }
        Ok(columns)
    }

    fn fault(&self, wrong: String) -> Fault {
        let labels: String = self.watch_labels.iter().map(|label| format!(",{label}")).collect();
        let text = format!("{wrong}; expected a header of task,user and optionally pushed_at{labels}");
        Fault { place: place(self.line, ""), text }
    }
}

/// What is wrong with a header whose columns something else than a comma separates.
fn no_comma(header: &ByteRecord) -> Option<String> {
    let text = String::from_utf8_lossy(header.as_slice());
    if text.starts_with("sep=") {
        return Some("is a line (sep=) that only spreadsheets read".to_owned());
    }
    let names_column = |part: &str| matches!(part.trim().trim_matches('"'), "task" | "user");
    let separators = [(';', "semicolons"), ('\t', "tabs"), ('|', "vertical bars")];
    let found = separators.iter().find(|(c, _)| text.contains(*c) && text.split(*c).any(names_column));
    found.map(|(_, name)| format!("has {name} between its columns, not commas"))
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

/// Why a line is refused.
enum Wrong<'a> {
    Encoding,
    Line(String),
    Field(&'a Column, String),
}

/// The time read last: neighbours mostly have the same.
#[derive(Default)]
struct Clock {
    /// Unix seconds.
    now: i64,
    text: String,
    pushed_at: Option<i64>,
    warning: Option<String>,
}

impl Clock {
    fn read(&mut self, text: &str) -> Result<Option<i64>, String> {
        if text != self.text {
            self.warning = None;
            self.text.clear();
            self.pushed_at = pushed_at(text, self.now, |warning| self.warning = Some(warning))?;
            self.text.push_str(text);
        }
        Ok(self.pushed_at)
    }
}

/// Reads one line.
struct Judge<'c> {
    columns: &'c [Column],
    clock: &'c mut Clock,
    /// What is odd about the line and yet allowed.
    odd: Vec<(&'c Column, Cow<'static, str>)>,
}

impl<'c> Judge<'c> {
    /// `before` is the entry of the line before: an id that is the same again was checked there.
    fn read<'a>(&mut self, record: &'a ByteRecord, before: Option<&Entry>) -> Result<Line<'a>, Wrong<'c>>
    where
        'c: 'a,
    {
        if record.iter().any(|field| str::from_utf8(field).is_err()) {
            return Err(Wrong::Encoding);
        }
        let columns = self.columns;
        let named = columns.iter().rposition(|column| *column != Column::Unnamed).map_or(0, |last| last + 1);
        if record.len() < named || !record.iter().skip(columns.len()).all(is_blank) {
            let (found, right) = (record.len(), columns.len());
            let text = format!("has {found} fields between commas; expected {right} as in the header");
            return Err(Wrong::Line(text));
        }
        let mut line = Line::default();
        for (field, column) in record.iter().zip(columns) {
            let field = str::from_utf8(field.trim_ascii()).unwrap_or_default();
            let mut odd = |warning| self.odd.push((column, warning));
            let wrong = |fault| Wrong::Field(column, fault);
            match column {
                Column::Task => {
                    line.task = match before {
                        Some(before) if before.task == field => field,
                        _ => id::read(field, &mut odd).map_err(wrong)?,
                    };
                }
                Column::User => line.user = id::read(field, &mut odd).map_err(wrong)?,
                Column::PushedAt => {
                    line.pushed_at = self.clock.read(field).map_err(wrong)?;
                    self.odd.extend(self.clock.warning.clone().map(|warning| (column, warning.into())));
                }
                Column::Label(name) => {
                    let value = read_label(field, &mut odd).map_err(wrong)?;
                    if !value.is_empty() {
                        line.labels.push((name, value));
                    }
                }
                Column::Unnamed if !is_blank(field.as_bytes()) => {
                    odd("has a field in a column without a name, which is ignored".into());
                }
                Column::Unknown | Column::Unnamed => {}
            }
        }
        Ok(line)
    }
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
