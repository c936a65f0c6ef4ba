//! A place in a tree: a value, its key path, and the notes its faults go to.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::Write;

use super::keys::{cut, each_duplicate, nearest, push_key};
use super::{Node, Notes, Value};

/// How far from its value a key is looked for, to tell its line.
const BETWEEN_BYTES: usize = 256;

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

    /// Notes a fault here: `what is wrong; expected what`.
    pub fn fault(&self, text: impl Into<String>) {
        self.notes.note(self.path(), text.into());
    }

    /// Notes a warning here: what is odd, by its kind and not by its value; see [`super::Warnings`].
    pub fn warn(&self, text: impl Into<Cow<'static, str>>) {
        self.notes.warn(text.into(), || self.path());
    }

    /// Notes that the value is of the wrong type, without showing it.
    pub fn wrong<T>(&self, right: &str) -> Option<T> {
        self.fault(format!("is {}; expected {right}", self.value().kind()));
        None
    }

    /// Text that is written as text. `right` says what was expected, in a fault.
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
                self.fault(format!("is {kind} that cannot be taken as written; expected quotes around it"));
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

    /// Reads a mapping with known keys: `read` asks for each, and what nobody asked for is a fault, or a warning after
    /// [`Table::ignore_unknown`].
    pub fn table<T>(&self, right: &str, read: impl FnOnce(&Table<'_>) -> T) -> Option<T> {
        let Value::Table(entries) = self.value() else {
            return self.wrong(right);
        };
        let table = Table::new(self, entries);
        let read = read(&table);
        table.end();
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

const TWICE: &str = "is written twice; expected once";

/// A mapping that is read key by key; see [`Place::table`].
pub struct Table<'t> {
    place: &'t Place<'t>,
    entries: &'t [(Box<str>, Node)],
    known: RefCell<Vec<&'static str>>,
    refused: RefCell<Vec<&'static str>>,
    ignores_unknown: Cell<bool>,
}

impl<'t> Table<'t> {
    pub(super) fn new(place: &'t Place<'t>, entries: &'t [(Box<str>, Node)]) -> Self {
        let (known, refused, ignores_unknown) = Default::default();
        Self { place, entries, known, refused, ignores_unknown }
    }

    /// Notes what nobody asked for; only now it is known what that is.
    pub(super) fn end(&self) {
        each_duplicate(self.entries, |key, node| self.note_twice(key, node));
        self.note_unknown();
    }

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

    /// As [`Table::get`]; an empty value (`null`) is as good as none.
    pub fn optional(&self, key: &'static str) -> Option<Place<'t>> {
        self.get(key).filter(|place| *place.value() != Value::Null)
    }

    /// From now on a key that nobody asks for is a warning and no fault.
    pub fn ignore_unknown(&self) {
        self.ignores_unknown.set(true);
    }

    /// The value of a key that must be there.
    pub fn required(&self, key: &'static str, right: &str) -> Option<Place<'t>> {
        let found = self.get(key);
        if found.is_none() {
            self.fault(key, format!("is missing; expected {right}"));
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
            if self.ignores_unknown.get() {
                let mut name = String::new();
                match self.cut(key) {
                    Some(cut) => name.push_str(&format!("[{cut:?}...]")),
                    None => push_key(&mut name, key),
                }
                self.place.warn(format!("holds the unknown key {name}, which is ignored{right}"));
            } else {
                self.note(key, node, "is no known key", &right);
            }
        }
    }

    fn note_twice(&self, key: &str, node: &Node) {
        if !self.ignores_unknown.get() || self.is_asked_for(key) {
            self.note(key, node, TWICE, "");
        }
    }

    fn is_asked_for(&self, key: &str) -> bool {
        self.known.borrow().contains(&key) || self.refused.borrow().contains(&key)
    }

    /// Notes a fault at a key that may be unknown.
    fn note(&self, key: &str, node: &Node, wrong: &str, right: &str) {
        match self.cut(key) {
            None => self.place.below(node, Step::Key(key)).fault(format!("{wrong}{right}")),
            Some(cut) => {
                let line = self.place.line_of(key, node);
                let path = format!("{}[{cut:?}...]", self.place.path());
                self.place.notes.note(path, format!("{wrong}{line}{right}"));
            }
        }
    }

    fn cut(&self, key: &str) -> Option<String> {
        if self.is_asked_for(key) { None } else { cut(key, &self.known.borrow()) }
    }
}

/// `0`, `12345`, `-7`: digits that every reader takes for the same number and writes the same way.
fn is_plain_whole(spelling: &str) -> bool {
    let digits = spelling.strip_prefix('-').unwrap_or(spelling);
    let canonical = digits == "0" && digits == spelling || !digits.starts_with('0');
    !digits.is_empty() && canonical && digits.bytes().all(|byte| byte.is_ascii_digit())
}
