//! Faults and warnings of a document: where, what is wrong, and what was expected.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

/// How many faults of one document are kept; those beyond are counted and the count is told.
pub const MAX_FAULTS: usize = 200;

/// How many different warnings about one document are kept; what is beyond is counted and the count is told.
pub const MAX_WARNINGS: usize = 50;

/// One fault: what is wrong at one place of a document, and what was expected there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct Fault {
    /// Key path (`apps[0].name`), or `line 3 column 5` of a text that is no tree; empty for the whole document.
    pub place: String,
    /// `what is wrong; expected what`, without a line break.
    pub text: String,
}

impl Fault {
    /// A fault of the whole document.
    pub fn whole(text: impl Into<String>) -> Self {
        Self { place: String::new(), text: text.into() }
    }

    fn line(&self) -> String {
        match self.place.as_str() {
            "" => self.text.clone(),
            place => format!("{place}: {}", self.text),
        }
    }
}

/// All faults of one file; `Display` writes one line per fault: `FILE: KEY.PATH: what is wrong; expected what`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The file as the operator named it.
    pub file: String,
    /// At most [`MAX_FAULTS`], in the order in which they were met.
    pub list: Vec<Fault>,
    /// How many more there were.
    pub left_off: usize,
}

impl Faults {
    /// One fault of a whole file, for instance that it cannot be read.
    pub fn one(file: impl Into<String>, fault: Fault) -> Self {
        Self { file: file.into(), list: vec![fault], left_off: 0 }
    }

    /// The lines that `Display` joins.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.list.iter().map(|fault| format!("{}: {fault}", self.file)).collect();
        if self.left_off > 0 {
            lines.push(format!("{}: {} more faults are not shown", self.file, self.left_off));
        }
        lines
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Faults {}

/// What a document holds that is allowed and yet seldom meant.
///
/// Warnings with the same text are one, with the first place and the number of the others: a text names what is odd, not
/// the value, so that a list in which every entry is odd in the same way warns once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    list: Vec<Warning>,
    left_off: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Warning {
    /// As [`Fault::place`].
    place: String,
    text: Cow<'static, str>,
    /// How many more places have it.
    more: usize,
}

impl Warnings {
    /// Notes a warning; `place` is asked for only if it is the first of its text.
    pub fn note(&mut self, text: impl Into<Cow<'static, str>>, place: impl FnOnce() -> String) {
        let text = text.into();
        self.add(Warning { place: String::new(), text, more: 0 }, place);
    }

    fn add(&mut self, warning: Warning, place: impl FnOnce() -> String) {
        let more = warning.more + 1;
        if let Some(known) = self.list.iter_mut().find(|known| known.text == warning.text) {
            known.more += more;
        } else if self.list.len() < MAX_WARNINGS {
            self.list.push(Warning { place: place(), ..warning });
        } else {
            self.left_off += more;
        }
    }

    /// Takes over those that were noted elsewhere.
    pub fn append(&mut self, other: Warnings) {
        for mut warning in other.list {
            let place = std::mem::take(&mut warning.place);
            self.add(warning, || place);
        }
        self.left_off += other.left_off;
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many places are warned about, those not shown included.
    pub fn count(&self) -> usize {
        self.list.iter().map(|warning| 1 + warning.more).sum::<usize>() + self.left_off
    }

    /// A line for each: `KEY.PATH: what is odd (also at 7 more places)`, and one that counts what was left off.
    pub fn lines(&self) -> Vec<String> {
        self.lines_beyond(&Warnings::default())
    }

    /// As [`Warnings::lines`], without what `before` warned of.
    pub fn lines_beyond(&self, before: &Warnings) -> Vec<String> {
        let is_new = |warning: &&Warning| !before.list.iter().any(|known| known.text == warning.text);
        let mut lines: Vec<String> = self.list.iter().filter(is_new).map(Warning::line).collect();
        if self.left_off > before.left_off {
            lines.push(format!("{} more warnings are not shown", self.left_off));
        }
        lines
    }
}

impl Warning {
    fn line(&self) -> String {
        let more = match self.more {
            0 => String::new(),
            1 => " (also at 1 more place)".to_owned(),
            more => format!(" (also at {more} more places)"),
        };
        match self.place.as_str() {
            "" => format!("{}{more}", self.text),
            place => format!("{place}: {}{more}", self.text),
        }
    }
}

/// Where faults and warnings are noted while a document is read.
#[derive(Debug, Default)]
pub struct Notes {
    faults: RefCell<Vec<Fault>>,
    left_off: Cell<usize>,
    warnings: RefCell<Warnings>,
    /// Every key a reader asked for, where a test wants to know them.
    keys: Option<RefCell<BTreeSet<String>>>,
}

impl Notes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that also keep every key path that readers know, with `[]` for any index.
    pub fn with_keys() -> Self {
        Self { keys: Some(RefCell::default()), ..Self::default() }
    }

    /// The key paths that readers asked for; empty unless made by [`Notes::with_keys`].
    pub fn keys(&self) -> BTreeSet<String> {
        self.keys.as_ref().map(|keys| keys.borrow().clone()).unwrap_or_default()
    }

    pub(super) fn note(&self, place: String, text: String) {
        let mut faults = self.faults.borrow_mut();
        if faults.len() < MAX_FAULTS {
            faults.push(Fault { place, text });
        } else {
            self.left_off.set(self.left_off.get() + 1);
        }
    }

    pub(super) fn note_key(&self, path: impl FnOnce() -> String) {
        if let Some(keys) = &self.keys {
            keys.borrow_mut().insert(path());
        }
    }

    pub(super) fn warn(&self, text: Cow<'static, str>, place: impl FnOnce() -> String) {
        self.warnings.borrow_mut().note(text, place);
    }

    /// True if there is no fault.
    pub fn is_empty(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// The warnings noted so far.
    pub fn warnings(&self) -> Warnings {
        self.warnings.borrow().clone()
    }

    /// The warnings, where nothing more is noted.
    pub fn into_warnings(self) -> Warnings {
        self.warnings.into_inner()
    }

    /// The faults noted so far, as those of `file`.
    pub fn faults(&self, file: impl Into<String>) -> Faults {
        let list = self.faults.borrow().clone();
        Faults { file: file.into(), list, left_off: self.left_off.get() }
    }
}
