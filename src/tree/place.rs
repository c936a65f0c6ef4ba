//! A place in a tree: a value, its key path, and the notes its faults go to.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write;

use super::{Node, Notes, Value, shown};

/// Tables up to this many keys are searched for duplicates pairwise, larger ones through a set.
const SMALL_TABLE_KEYS: usize = 16;
/// Keys longer than this are never compared with the known ones.
const MAX_COMPARED_CHARS: usize = 40;
/// An unknown key is a word of a configuration up to so many characters more than the longest key that is known there.
const LONGER_CHARS: usize = 8;
/// How far from its value a key is looked for, to tell its line.
const BETWEEN_BYTES: usize = 256;
/// What is shown of an unknown key that is no such word: one character in four, at most so many.
const HIDDEN_SHOWN_CHARS: usize = 3;

/// How a place is reached from the one above it.
#[derive(Clone, Copy, Debug)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

/// A value of a document, its key path, and where faults about it are noted.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    node: &'p Node,
    step: Step<'p>,
    above: Option<&'p Place<'p>>,
    text: &'p str,
    notes: &'p Notes,
}

impl<'p> Place<'p> {
    /// The root of a document; `text` is what it was parsed from.
    pub fn root(node: &'p Node, text: &'p str, notes: &'p Notes) -> Self {
        Self { node, step: Step::Root, above: None, text, notes }
    }

    /// The same place with notes of its own, for entries that stand or fall alone.
    pub fn noting<'n>(&self, notes: &'n Notes) -> Place<'n>
    where
        'p: 'n,
    {
        Place { node: self.node, step: self.step, above: self.above, text: self.text, notes }
    }

    pub fn notes(&self) -> &'p Notes {
        self.notes
    }

    pub fn value(&self) -> &'p Value {
        &self.node.value
    }

    /// `apps[0].watch.static[1].users[2]`; empty for the root.
    pub fn path(&self) -> String {
        let mut path = self.above.map(Place::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => push_key(&mut path, key),
            // Writing to a String cannot fail.
            Step::Index(index) => drop(write!(path, "[{index}]")),
        }
        path
    }

    /// The path with `[]` for every index: the same for all entries of a list.
    fn pattern(&self) -> String {
        let mut path = self.above.map(Place::pattern).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Key(key) => push_key(&mut path, key),
            Step::Index(_) => path.push_str("[]"),
        }
        path
    }

    /// Notes a fault here: `what is wrong; what would be right`.
    pub fn fault(&self, text: impl Into<String>) {
        self.notes.note(self.path(), text.into());
    }

    /// Notes that the value is of the wrong type, without showing it.
    pub fn wrong<T>(&self, right: &str) -> Option<T> {
        self.fault(format!("is {}; {right} would be right", self.value().kind()));
        None
    }

    /// Text that is written as text. `right` says what would be right in a fault.
    pub fn text(&self, right: &str) -> Option<&'p str> {
        match self.value() {
            Value::Text(text) => Some(text),
            _ => self.wrong(right),
        }
    }

    /// Text, or a whole number that reads back as it was written: ids are often digits.
    ///
    /// `0x1F` and `+5` are refused, since another program may read them as other text.
    pub fn id(&self, right: &str) -> Option<Cow<'p, str>> {
        let plain = match self.value() {
            Value::Text(text) => return Some(Cow::Borrowed(text)),
            // JSON has one spelling of a whole number.
            Value::Whole(number) if self.node.span.is_none() => return Some(number.to_string().into()),
            Value::Negative(number) if self.node.span.is_none() => return Some(number.to_string().into()),
            // A number beyond 64 bits was read as a fraction: its spelling is still there.
            Value::Whole(_) | Value::Negative(_) | Value::Real(_) => self.spelling(),
            _ => return self.wrong(right),
        };
        match plain.filter(|spelling| is_plain_whole(spelling)) {
            Some(spelling) => Some(Cow::Borrowed(spelling)),
            None => {
                let kind = self.value().kind();
                self.fault(format!(
                    "is {kind} that cannot be taken as written; quotes around it would be right"
                ));
                None
            }
        }
    }

    fn spelling(&self) -> Option<&'p str> {
        let span = self.node.span?;
        let start = span.start as usize;
        self.text.get(start..start + span.len as usize).map(str::trim)
    }

    pub fn whole(&self, right: &str) -> Option<u64> {
        match self.value() {
            Value::Whole(number) => Some(*number),
            _ => self.wrong(right),
        }
    }

    /// A finite number, whole or not.
    pub fn number(&self, right: &str) -> Option<f64> {
        match self.value() {
            Value::Whole(number) => Some(*number as f64),
            Value::Negative(number) => Some(*number as f64),
            Value::Real(number) if number.is_finite() => Some(*number),
            _ => self.wrong(right),
        }
    }

    pub fn truth(&self) -> Option<bool> {
        match self.value() {
            Value::Bool(value) => Some(*value),
            _ => self.wrong("true or false"),
        }
    }

    /// The items of a list, each with its index in its path.
    pub fn items(&self, right: &str) -> Option<impl ExactSizeIterator<Item = Place<'_>>> {
        let Value::List(list) = self.value() else {
            return self.wrong(right);
        };
        Some(list.iter().enumerate().map(|(index, node)| self.below(node, Step::Index(index))))
    }

    /// The keys and values of a mapping whose keys are names of the operator's choice.
    pub fn pairs(&self, right: &str) -> Option<impl ExactSizeIterator<Item = (&str, Place<'_>)>> {
        let Value::Table(entries) = self.value() else {
            return self.wrong(right);
        };
        each_duplicate(entries, |key, node| self.below(node, Step::Key(key)).fault(TWICE));
        Some(entries.iter().map(|(key, node)| (&**key, self.below(node, Step::Key(key)))))
    }

    /// Reads a mapping with known keys: `read` asks for each, and what nobody asked for is a fault.
    pub fn table<T>(&self, right: &str, read: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
        let Value::Table(entries) = self.value() else {
            return self.wrong(right);
        };
        let table = Table { place: self, entries, known: RefCell::default(), refused: RefCell::default() };
        let read = read(&table);
        // Only now it is known which keys are.
        each_duplicate(entries, |key, node| table.note(key, node, TWICE, ""));
        table.note_unknown();
        Some(read)
    }

    fn below<'s>(&'s self, node: &'s Node, step: Step<'s>) -> Place<'s> {
        Place { node, step, above: Some(self), text: self.text, notes: self.notes }
    }

    /// Where a key stands whose value is `node`, as the words of a fault, in a text that tells.
    fn line_of(&self, key: &str, node: &Node) -> String {
        let Some(span) = node.span else { return String::new() };
        let start = self.text.len().min(span.start as usize);
        // The value may stand below its key, and not far: whoever writes a list may make us look for many.
        let between = &self.text.as_bytes()[start.saturating_sub(key.len() + BETWEEN_BYTES)..start];
        let at = between.windows(key.len()).rposition(|piece| piece == key.as_bytes());
        let below = at.map_or(0, |at| between[at..].iter().filter(|byte| **byte == b'\n').count());
        format!(" (line {})", (span.line as usize).saturating_sub(below))
    }
}

const TWICE: &str = "is written twice; once would be right";

/// Calls `note` for each key that was there before.
fn each_duplicate(entries: &[(Box<str>, Node)], note: impl Fn(&str, &Node)) {
    let mut seen = HashSet::new();
    for (index, (key, node)) in entries.iter().enumerate() {
        let twice = match entries.len() {
            ..=SMALL_TABLE_KEYS => entries[..index].iter().any(|(earlier, _)| earlier == key),
            _ => !seen.insert(key),
        };
        if twice {
            note(key, node);
        }
    }
}

/// A mapping that is read key by key; see [`Place::table`].
pub struct Table<'t> {
    place: &'t Place<'t>,
    entries: &'t [(Box<str>, Node)],
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
}

impl<'t> Table<'t> {
    /// The value of a key, if it is there; the key is known from now on.
    pub fn get(&self, key: &'static str) -> Option<Place<'t>> {
        if !self.known.borrow().contains(&key) {
            self.known.borrow_mut().push(key);
            self.place.notes.note_key(|| {
                let mut path = self.place.pattern();
                push_key(&mut path, key);
                path
            });
        }
        self.find(key)
    }

    /// The value of a key that must be there.
    pub fn required(&self, key: &'static str, right: &str) -> Option<Place<'t>> {
        let found = self.get(key);
        if found.is_none() {
            self.fault(key, format!("is missing; {right} would be right"));
        }
        found
    }

    /// Refuses a key with a reason of its own and never shows its value; whether it was there.
    pub fn refuse(&self, key: &'static str, text: &str) -> bool {
        self.refused.borrow_mut().push(key);
        let found = self.find(key);
        if let Some(place) = &found {
            place.fault(text);
        }
        found.is_some()
    }

    /// Notes a fault at a key, whether or not it is there.
    pub fn fault(&self, key: &str, text: impl Into<String>) {
        let mut path = self.place.path();
        push_key(&mut path, key);
        self.place.notes.note(path, text.into());
    }

    /// The mapping itself.
    pub fn place(&self) -> &'t Place<'t> {
        self.place
    }

    fn find(&self, key: &str) -> Option<Place<'t>> {
        let (key, node) = self.entries.iter().find(|(name, _)| &**name == key)?;
        Some(self.place.below(node, Step::Key(key)))
    }

    fn note_unknown(&self) {
        let known = self.known.borrow();
        for (key, node) in self.entries.iter().filter(|(key, _)| !self.is_asked_for(key)) {
            let guess = nearest(key, &known).map(|name| format!("did you mean {name}? ")).unwrap_or_default();
            let right = format!("; {guess}known here: {}", known.join(" "));
            self.note(key, node, "is no known key", &right);
        }
    }

    fn is_asked_for(&self, key: &str) -> bool {
        self.known.borrow().contains(&key) || self.refused.borrow().contains(&key)
    }

    /// Notes a fault at a key that may be unknown. Somebody may have pasted a secret in its place: what is no known key,
    /// none that was probably meant, and no plain word is told by its first characters and its line.
    fn note(&self, key: &str, node: &Node, wrong: &str, right: &str) {
        let known = self.known.borrow();
        let longest = known.iter().map(|name| name.len()).max().unwrap_or(0);
        if self.is_asked_for(key)
            || key.is_empty()
            || nearest(key, &known).is_some()
            || (key.len() <= longest + LONGER_CHARS && is_word(key))
        {
            self.place.below(node, Step::Key(key)).fault(format!("{wrong}{right}"));
            return;
        }
        let cap = (key.chars().count() / 4).clamp(1, HIDDEN_SHOWN_CHARS);
        let cut: String = key.chars().take(cap).collect();
        let line = self.place.line_of(key, node);
        self.place.notes.note(format!("{}[{cut:?}...]", self.place.path()), format!("{wrong}{line}{right}"));
    }
}

/// `max_pairs`, `Cache-Control`, `maxPairs`, `pairs2`: words of letters, in which a capital begins a word, and perhaps one
/// digit at the end.
fn is_word(key: &str) -> bool {
    let key = key.strip_suffix(|last: char| last.is_ascii_digit()).unwrap_or(key);
    key.split(['_', '-']).all(|word| {
        let begins = word.starts_with(|first: char| first.is_ascii_alphabetic());
        let capitals = word
            .as_bytes()
            .windows(2)
            .any(|pair| pair[1].is_ascii_uppercase() && !pair[0].is_ascii_lowercase());
        begins && !capitals && word.bytes().all(|letter| letter.is_ascii_alphabetic())
    })
}

fn push_key(path: &mut String, key: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if key.is_empty() || key.len() > MAX_COMPARED_CHARS || !key.chars().all(plain) {
        path.push('[');
        path.push_str(&shown(key));
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(key);
}

/// `0`, `12345`, `-7`: digits that every reader takes for the same number and writes the same way.
fn is_plain_whole(spelling: &str) -> bool {
    let digits = spelling.strip_prefix('-').unwrap_or(spelling);
    let canonical = digits == "0" && digits == spelling || !digits.starts_with('0');
    !digits.is_empty() && canonical && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The known key that was probably meant: at most a third of its letters differ.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    if key.chars().count() > MAX_COMPARED_CHARS {
        return None;
    }
    let key = key.to_lowercase().replace('-', "_");
    let near = known.iter().map(|name| (edits(&key, name), *name));
    let (distance, name) = near.min()?;
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

/// How many letters must be changed, added or dropped to make one word of the other (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, c) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in other.iter().enumerate() {
            let change = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}
