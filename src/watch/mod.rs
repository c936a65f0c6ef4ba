//! Whom we care about: entries, the list in force, and the sources it comes from.

mod entry;
pub mod list;

pub use entry::Entry;

use std::path::PathBuf;
use std::sync::Arc;

/// The watch labels of a pair as (name, value), sorted by name; names without a value are left out.
pub type LabelSet = Arc<[(Box<str>, Box<str>)]>;

/// Where an app's watch list comes from; the union of all is the list in force, earlier places first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Entries written in the config file itself, already checked.
    pub entries: Vec<Entry>,
    /// Patterns of files that hold lists, absolute.
    pub files: Vec<PathBuf>,
}
