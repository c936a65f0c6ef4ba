//! A whole list from a file or an answer: entries that can be used, and those that cannot with the reason.

use std::path::Path;

use super::csv_list;
use super::entry::{Rules, read_alone};
use super::parsed::Parsed;
use crate::document::{self, Fault, Notes, Place, Syntax, Value};

/// The largest list that is read, in bytes: two million pairs fit, each with a task of its own.
pub const MAX_LIST_BYTES: usize = 256 << 20;

/// How a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    Yaml,
    Json,
    /// With a header: `task,user`, then in any order `pushed_at` and names of watch labels.
    Csv,
}

impl ListFormat {
    /// The extensions that [`ListFormat::of`] knows.
    pub const EXTENSIONS: [&str; 4] = ["yaml", "yml", "json", "csv"];

    /// The format that a file's extension names, in small letters or capitals.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// Reads a list at `now` (Unix seconds). A document that is no list at all is a fault of the source; a single bad entry is
/// refused alone. A key, label or column that is not known is ignored with a warning: who writes a list may have other
/// readers, too.
pub fn parse_list(
    format: ListFormat,
    bytes: &[u8],
    watch_labels: &[Box<str>],
    now: i64,
) -> Result<Parsed, Fault> {
    if bytes.len() > MAX_LIST_BYTES {
        let text = format!("is {} bytes long; expected at most {MAX_LIST_BYTES}", bytes.len());
        return Err(Fault::whole(text));
    }
    let rules = Rules { watch_labels: Some(watch_labels), is_strict: false, now };
    match format {
        ListFormat::Csv => csv_list::parse(bytes, watch_labels, now),
        ListFormat::Yaml => parse_tree(Syntax::Yaml, bytes, rules),
        ListFormat::Json => parse_tree(Syntax::Json, bytes, rules),
    }
}

fn parse_tree(syntax: Syntax, bytes: &[u8], rules: Rules<'_>) -> Result<Parsed, Fault> {
    let text = document::utf8(bytes)?;
    let node = document::parse(text, syntax)?;
    let notes = Notes::new();
    let root = Place::root(&node, text, &notes);
    let Value::List(_) = root.value() else {
        // An empty file may be half of a write: only a list says that nothing is to be watched.
        let kind = root.value().kind();
        return Err(Fault::whole(format!("is {kind}; expected a list of entries ([] for none)")));
    };
    let mut parsed = Parsed::default();
    for item in root.items("a list").into_iter().flatten() {
        match read_alone(&item, rules, &mut parsed.warnings) {
            Ok(entry) => parsed.entries.push(entry),
            Err(reason) => parsed.refuse(|| reason, count_users(item.value())),
        }
    }
    Ok(parsed)
}

fn count_users(entry: &Value) -> usize {
    let Value::Table(keys) = entry else { return 1 };
    let users = keys.iter().find(|(key, _)| &**key == "users");
    match users.map(|(_, node)| &node.value) {
        Some(Value::List(users)) => users.len(),
        _ => 1,
    }
}
