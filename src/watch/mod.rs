//! Whom we care about: entries, the list in force, and the sources it comes from.

mod arena;
mod csv_list;
mod csv_text;
mod document;
mod entry;
pub mod feed;
mod id;
mod interner;
pub mod list;
mod parsed;
mod posts;
mod source;
#[cfg(test)]
mod tests;

pub use document::{ListFormat, MAX_LIST_BYTES, parse_list};
pub use entry::{Entry, MAX_LABEL_BYTES, read_entries};
pub use id::MAX_ID_BYTES;
pub use parsed::{MAX_REFUSED_TOLD, Parsed};
pub use posts::read_posts;
pub use source::{Authorization, BasicAuth, ClientTls, HttpSource, Sources};

use std::sync::Arc;

/// The watch labels of a pair as (name, value), sorted by name; names without a value are left out.
pub type LabelSet = Arc<[(Box<str>, Box<str>)]>;
