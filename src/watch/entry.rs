//! One entry of a watch list: a task, its users, and what is known of the push.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{LabelSet, id};
use crate::document::{Notes, Place, Table, Value, Warnings, named, shown, strays, trim_strays};

/// The longest value of a watch label, in bytes.
pub const MAX_LABEL_BYTES: usize = 128;

/// The longest time that is shown whole, in bytes.
const MAX_TIME_BYTES: usize = 40;
/// How many faults of a refused entry are told; the others are counted.
const MAX_FAULTS_TOLD: usize = 3;

/// A push that lies further ahead than this was probably not meant, in seconds.
const FAR_AHEAD_SECONDS: i64 = 30 * 86_400;
/// What Go writes for a time that is not set, Unix seconds: 0001-01-01T00:00:00Z.
const UNSET_TIME: i64 = -62_135_596_800;

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

/// How entries are judged, beside what they say themselves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    /// `None` where the watch labels themselves have a fault: names of labels are not judged.
    pub watch_labels: Option<&'a [Box<str>]>,
    /// Whether a key or label that is not known is a fault. Else it is ignored with a warning.
    pub is_strict: bool,
    /// Unix seconds.
    pub now: i64,
}

/// Reads a list of entries of the configuration at `now` (Unix seconds). Faults and warnings are noted at `list`; an entry
/// with a fault is not in the answer. Where the watch labels themselves have a fault, names of labels are not judged.
pub fn read_entries(list: &Place<'_>, watch_labels: Option<&[Box<str>]>, now: i64) -> Vec<Entry> {
    let rules = Rules { watch_labels, is_strict: true, now };
    let Some(items) = list.items("a list of entries with task and users") else {
        return Vec::new();
    };
    items.filter_map(|item| item.table(ENTRY, |table| read_keys(table, rules)).flatten()).collect()
}

pub(super) const ENTRY: &str = "a mapping with task and users";

/// Reads the keys of one entry; the caller may ask the same table for more keys (the API adds `app`). `null` in the place
/// of something optional is as good as nothing.
///
/// Every fault is noted; `None` if there was any in these keys.
pub(super) fn read_keys(table: &Table<'_>, rules: Rules<'_>) -> Option<Entry> {
    if !rules.is_strict {
        table.ignore_unknown();
    }
    let task = table.required("task", TASK).and_then(|task| read_id(&task, TASK));
    let users = table.required("users", USERS).and_then(|users| read_users(&users));
    let labels = match table.optional("labels") {
        Some(labels) => read_labels(&labels, rules),
        None => Some(BTreeMap::new()),
    };
    let pushed_at = match table.optional("pushed_at") {
        Some(time) => read_pushed_at(&time, rules.now),
        None => Some(None),
    };
    Some(Entry { task: task?, users: users?, labels: labels?, pushed_at: pushed_at? })
}

fn read_users(users: &Place<'_>) -> Option<Vec<String>> {
    let items = users.items(USERS)?;
    let expected = items.len();
    if expected == 0 {
        users.fault("is an empty list; expected at least one UserID");
        return None;
    }
    let read: Vec<String> = items.filter_map(|user| read_id(&user, USER)).collect();
    (read.len() == expected).then_some(read)
}

fn read_id(place: &Place<'_>, right: &str) -> Option<String> {
    let text = place.id(right)?;
    match id::read(&text, |warning| place.warn(warning)) {
        Ok(id) => Some(id.to_owned()),
        Err(fault) => refused(place, fault),
    }
}

fn read_labels(labels: &Place<'_>, rules: Rules<'_>) -> Option<BTreeMap<String, String>> {
    let mut read = BTreeMap::new();
    // As PHP writes a mapping without keys.
    if matches!(labels.value(), Value::List(list) if list.is_empty()) {
        return Some(read);
    }
    let pairs = labels.pairs("a mapping from label name to value")?;
    let mut expected = pairs.len();
    for (name, place) in pairs {
        let unknown = rules.watch_labels.filter(|known| known.iter().all(|known| **known != *name));
        match unknown {
            Some(known) if rules.is_strict => {
                place.fault(unknown_label(known));
                continue;
            }
            Some(known) => labels.warn(ignored_label(name, known)),
            None if *place.value() == Value::Null => {}
            None => {
                let Some(value) = place.id("text") else { continue };
                match read_label(&value, |warning| place.warn(warning)) {
                    Ok(value) => drop(read.insert(name.to_owned(), value.to_owned())),
                    Err(fault) => place.fault(fault),
                }
                continue;
            }
        }
        expected -= 1;
    }
    // Fewer than there were: one was refused, or written twice.
    (read.len() == expected).then_some(read)
}

fn read_pushed_at(place: &Place<'_>, now: i64) -> Option<Option<i64>> {
    let text = place.text(PUSHED_AT)?;
    match pushed_at(text, now, |warning| place.warn(warning)) {
        Ok(pushed_at) => Some(pushed_at),
        Err(fault) => refused(place, fault),
    }
}

fn refused<T>(place: &Place<'_>, fault: String) -> Option<T> {
    place.fault(fault);
    None
}

/// Reads the time of a push, Unix seconds; `None` where the text is as good as nothing. `warn` is told of what is odd about
/// it, with the time as it is written; `Err` says why it is refused.
pub(super) fn pushed_at(text: &str, now: i64, warn: impl FnOnce(String)) -> Result<Option<i64>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = parse_time(text)?;
    if seconds.saturating_sub(now) > FAR_AHEAD_SECONDS {
        let days = FAR_AHEAD_SECONDS / 86_400;
        warn(format!(
            "is {}, more than {days} days ahead; the push is not polled before then",
            as_written(text)
        ));
    }
    Ok((seconds != UNSET_TIME).then_some(seconds))
}

/// Reads the value of a watch label: spaces and invisible characters at its ends are left out. `warn` is told of what is
/// odd about it, `Err` says why it is refused.
pub(super) fn read_label(text: &str, mut warn: impl FnMut(Cow<'static, str>)) -> Result<&str, String> {
    let (value, _) = trim_strays(text);
    let right = |what| {
        Err(format!("{what}; expected at most {MAX_LABEL_BYTES} bytes of text without control characters"))
    };
    if value.len() > MAX_LABEL_BYTES {
        return right(format!("is {} bytes long", value.len()));
    }
    match strays(value).next() {
        Some((_, stray)) if stray.is_control() => return right(format!("holds {}", named(stray))),
        Some((_, stray)) => {
            warn(format!("holds {}, and so is another value than the one without", named(stray)).into());
        }
        None => {}
    }
    Ok(value)
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

pub(super) fn ignored_label(name: &str, watch_labels: &[Box<str>]) -> String {
    let known = match watch_labels {
        [] => "the app has none".to_owned(),
        known => format!("known here: {}", known.join(" ")),
    };
    format!("holds {}, which is no watch label and is ignored; {known}", shown(name))
}

/// A time is no secret, however long it is.
fn as_written(text: &str) -> String {
    let is_of_a_time = |byte: u8| byte.is_ascii_digit() || b"-:.,+ TtZz/".contains(&byte);
    let is_time = text.len() <= MAX_TIME_BYTES && text.bytes().all(is_of_a_time);
    if is_time { format!("{text:?}") } else { shown(text) }
}

/// An RFC 3339 time with zone as Unix seconds; the part below a second is dropped.
fn parse_time(text: &str) -> Result<i64, String> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Ok(time.as_second()),
        Err(_) => Err(format!("is {}; expected {PUSHED_AT}", as_written(text))),
    }
}

/// Reads one entry of a list whose entries stand or fall alone: the entry, or its faults in one line. What is odd about an
/// entry that is taken is added to `warnings`.
pub(super) fn read_alone(
    item: &Place<'_>,
    rules: Rules<'_>,
    warnings: &mut Warnings,
) -> Result<Entry, String> {
    let notes = Notes::new();
    let own = item.noting(&notes);
    let entry = own.table(ENTRY, |table| read_keys(table, rules)).flatten();
    match entry {
        Some(entry) if notes.is_empty() => {
            warnings.append(notes.into_warnings());
            Ok(entry)
        }
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
