//! One entry of a watch list: a task, its users, and what is known of the push.

use std::collections::BTreeMap;

use super::LabelSet;
use crate::tree::{Notes, Place, Table, shown};

/// The longest task or user id, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The longest value of a watch label, in bytes.
pub const MAX_LABEL_BYTES: usize = 128;

/// How many faults of a refused entry are told; the others are counted.
const MAX_FAULTS_TOLD: usize = 3;

const TASK: &str = "the TaskID that the push was answered with";
const USER: &str = "a UserID";
const USERS: &str = "a list of UserIDs such as [alice, bob]";
const PUSHED_AT: &str = "an RFC 3339 time with its zone such as 2026-11-23T10:00:00Z";

/// A task and users to watch, as every source spells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// `TaskID`.
    pub task: String,
    /// `UserID`s; each makes one pair with the task.
    pub users: Vec<String>,
    /// Values for the app's `watch_labels`; a name that is not listed there is a fault.
    pub labels: BTreeMap<String, String>,
    /// When the push was or will be sent, Unix seconds.
    pub pushed_at: Option<i64>,
}

impl Entry {
    /// The labels it sets, without those it leaves empty.
    pub fn label_set(&self) -> LabelSet {
        let set = self.labels.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
    }
}

/// Reads a list of entries. Faults are noted at `list`; an entry with a fault is not in the answer.
pub fn read_entries(list: &Place<'_>, watch_labels: &[Box<str>]) -> Vec<Entry> {
    read_list(list, Some(watch_labels))
}

/// As [`read_entries`], where the watch labels themselves have a fault: names of labels are not judged.
pub fn read_entries_of_any_label(list: &Place<'_>) -> Vec<Entry> {
    read_list(list, None)
}

fn read_list(list: &Place<'_>, watch_labels: Option<&[Box<str>]>) -> Vec<Entry> {
    let Some(items) = list.items("a list of entries with task and users") else {
        return Vec::new();
    };
    items.filter_map(|item| item.table(ENTRY, |table| read_keys(table, watch_labels)).flatten()).collect()
}

pub(super) const ENTRY: &str = "a mapping with task and users";

/// Reads the keys of one entry; the caller may ask the same table for more keys (the API adds `app`). Without
/// `watch_labels` names of labels are not judged.
///
/// Every fault is noted; `None` if there was any in these keys.
pub(super) fn read_keys(table: &Table<'_>, watch_labels: Option<&[Box<str>]>) -> Option<Entry> {
    let task = table.required("task", TASK).and_then(|task| read_id(&task, TASK));
    let users = table.required("users", USERS).and_then(|users| read_users(&users));
    let labels = match table.get("labels") {
        Some(labels) => read_labels(&labels, watch_labels),
        None => Some(BTreeMap::new()),
    };
    let pushed_at = match table.get("pushed_at") {
        Some(time) => read_time(&time).map(Some),
        None => Some(None),
    };
    Some(Entry { task: task?, users: users?, labels: labels?, pushed_at: pushed_at? })
}

fn read_users(users: &Place<'_>) -> Option<Vec<String>> {
    let items = users.items(USERS)?;
    let expected = items.len();
    if expected == 0 {
        users.fault("is an empty list; at least one UserID would be right");
        return None;
    }
    let read: Vec<String> = items.filter_map(|user| read_id(&user, USER)).collect();
    (read.len() == expected).then_some(read)
}

fn read_id(place: &Place<'_>, right: &str) -> Option<String> {
    let id = place.id(right)?;
    noted(place, id_fault(&id))?;
    Some(id.into_owned())
}

fn read_labels(labels: &Place<'_>, watch_labels: Option<&[Box<str>]>) -> Option<BTreeMap<String, String>> {
    let mut read = BTreeMap::new();
    let pairs = labels.pairs("a mapping from label name to value")?;
    let expected = pairs.len();
    for (name, place) in pairs {
        if let Some(known) = watch_labels.filter(|known| known.iter().all(|known| **known != *name)) {
            place.fault(unknown_label(known));
            continue;
        }
        let Some(value) = place.id("text") else { continue };
        if noted(&place, label_fault(&value)).is_some() {
            read.insert(name.to_owned(), value.into_owned());
        }
    }
    // Fewer than there were: one was refused, or written twice.
    (read.len() == expected).then_some(read)
}

fn read_time(place: &Place<'_>) -> Option<i64> {
    let text = place.text(PUSHED_AT)?;
    match parse_time(text) {
        Ok(seconds) => Some(seconds),
        Err(fault) => noted(place, Some(fault)).map(|()| 0),
    }
}

fn noted(place: &Place<'_>, fault: Option<String>) -> Option<()> {
    match fault {
        None => Some(()),
        Some(fault) => {
            place.fault(fault);
            None
        }
    }
}

/// What is wrong with a task or user id, if anything. The id is not shown: it is personal.
pub(super) fn id_fault(id: &str) -> Option<String> {
    let right = |what| {
        Some(format!("{what}; 1 to {MAX_ID_BYTES} bytes of text without control characters would be right"))
    };
    if id.is_empty() {
        return right("is empty".to_owned());
    }
    if id.len() > MAX_ID_BYTES {
        return right(format!("is {} bytes long", id.len()));
    }
    if has_control(id) { right("holds a control character".to_owned()) } else { None }
}

/// What is wrong with the value of a watch label, if anything.
pub(super) fn label_fault(value: &str) -> Option<String> {
    let right = |what| {
        Some(format!(
            "{what}; at most {MAX_LABEL_BYTES} bytes of text without control characters would be right"
        ))
    };
    if value.len() > MAX_LABEL_BYTES {
        return right(format!("is {} bytes long", value.len()));
    }
    if has_control(value) { right("holds a control character".to_owned()) } else { None }
}

/// Most text is printable ASCII, which is quicker told byte by byte.
fn has_control(text: &str) -> bool {
    !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.chars().any(char::is_control)
}

fn unknown_label(watch_labels: &[Box<str>]) -> String {
    match watch_labels {
        [] => {
            "is no watch label of the app, which has none; add it to watch_labels or leave it out".to_owned()
        }
        known => {
            format!("is no watch label of the app; add it to watch_labels or use one of: {}", known.join(" "))
        }
    }
}

/// An RFC 3339 time with zone as Unix seconds; the part below a second is dropped.
pub(super) fn parse_time(text: &str) -> Result<i64, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(time.as_second()),
        Err(_) => Err(format!("is {}; {PUSHED_AT} would be right", shown(text))),
    }
}

/// Reads one entry of a list whose entries stand or fall alone: the entry, or its faults in one line.
pub(super) fn read_alone(item: &Place<'_>, watch_labels: &[Box<str>]) -> Result<Entry, String> {
    let notes = Notes::new();
    let own = item.noting(&notes);
    let entry = own.table(ENTRY, |table| read_keys(table, Some(watch_labels))).flatten();
    match entry {
        Some(entry) if notes.is_empty() => Ok(entry),
        _ => {
            let faults = notes.faults(String::new());
            let mut told: Vec<String> =
                faults.list.iter().take(MAX_FAULTS_TOLD).map(ToString::to_string).collect();
            let untold = faults.list.len() + faults.left_off - told.len();
            if untold > 0 {
                told.push(format!("{untold} more"));
            }
            Err(told.join("; also "))
        }
    }
}
