//! A whole list from a file or an answer: entries that can be used, and those that cannot with the reason.

use std::path::Path;

use super::entry::read_alone;
use super::{Entry, csv_list};
use crate::tree::{self, Fault, Notes, Place, Syntax, Value};

/// The largest list that is read, in bytes: two million pairs fit, each with a task of its own.
pub const MAX_LIST_BYTES: usize = 256 << 20;
/// How many refused entries of one list are told with their reason; the last line counts the rest.
pub const MAX_REFUSED_TOLD: usize = 100;

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

    /// The format that a file's extension names.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// A list that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// In the order of the list; consecutive CSV lines of one push are one entry.
    pub entries: Vec<Entry>,
    /// Entries that were left out, one line each: where and why, at most [`MAX_REFUSED_TOLD`] and a line that counts
    /// the others.
    pub refused: Vec<String>,
    /// How many pairs the refused entries would have been; an entry whose users cannot be counted is one.
    pub refused_pairs: u64,
}

impl Parsed {
    pub(super) fn refuse(&mut self, reason: String, pairs: usize, untold: &mut usize) {
        self.refused_pairs += pairs.max(1) as u64;
        if self.refused.len() < MAX_REFUSED_TOLD {
            self.refused.push(reason);
        } else {
            *untold += 1;
        }
    }

    pub(super) fn tell_rest(&mut self, untold: usize) {
        if untold > 0 {
            self.refused.push(format!("and {untold} more entries are refused"));
        }
    }
}

/// Reads a list. A document that is no list at all is a fault of the source; a single bad entry is refused alone.
pub fn parse_list(format: ListFormat, bytes: &[u8], watch_labels: &[Box<str>]) -> Result<Parsed, Fault> {
    if bytes.len() > MAX_LIST_BYTES {
        let text = format!("is {} bytes long; at most {MAX_LIST_BYTES} would be right", bytes.len());
        return Err(Fault::whole(text));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match format {
        ListFormat::Csv => csv_list::parse(bytes, watch_labels),
        ListFormat::Yaml => parse_tree(Syntax::Yaml, bytes, watch_labels),
        ListFormat::Json => parse_tree(Syntax::Json, bytes, watch_labels),
    }
}

fn parse_tree(syntax: Syntax, bytes: &[u8], watch_labels: &[Box<str>]) -> Result<Parsed, Fault> {
    let text = tree::utf8(bytes)?;
    let node = tree::parse(text, syntax)?;
    let notes = Notes::new();
    let root = Place::root(&node, text, &notes);
    let Value::List(_) = root.value() else {
        // An empty file may be half of a write: only a list says that nothing is to be watched.
        let kind = root.value().kind();
        return Err(Fault::whole(format!("is {kind}; a list of entries would be right ([] for none)")));
    };
    let mut parsed = Parsed::default();
    let mut untold = 0;
    for item in root.items("a list").into_iter().flatten() {
        match read_alone(&item, watch_labels) {
            Ok(entry) => parsed.entries.push(entry),
            Err(reason) => parsed.refuse(reason, count_users(item.value()), &mut untold),
        }
    }
    parsed.tell_rest(untold);
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
