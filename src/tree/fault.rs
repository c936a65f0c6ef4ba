//! Faults of a document: where, what is wrong, and what would be right.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;

/// How many faults of one document are kept; those beyond are counted and the count is told.
pub const MAX_FAULTS: usize = 200;

/// One fault: what is wrong at one place of a document, and what would be right there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.line())]
pub struct Fault {
    /// Key path (`apps[0].name`), or `line 3 column 5` of a text that is no tree; empty for the whole document.
    pub place: String,
    /// `what is wrong; what would be right`, without a line break.
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

/// All faults of one file; `Display` writes one line per fault: `FILE: KEY.PATH: what is wrong; what would be right`.
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

/// Where faults are noted while a document is read.
#[derive(Debug, Default)]
pub struct Notes {
    faults: RefCell<Vec<Fault>>,
    left_off: Cell<usize>,
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

    pub fn is_empty(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// All that was noted so far, as the faults of `file`.
    pub fn faults(&self, file: impl Into<String>) -> Faults {
        let list = self.faults.borrow().clone();
        Faults { file: file.into(), list, left_off: self.left_off.get() }
    }
}
