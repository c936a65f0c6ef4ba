//! A parsed document, read key by key; every fault is noted with its key path.
//!
//! YAML and JSON become the same tree of [`Node`]s. A [`Place`] walks it, knows its own key path and notes what is
//! wrong there ([`Place::fault`]) or seldom meant ([`Place::warn`]); nothing stops at the first fault. Values are shown in a
//! fault only where a reader says so: a person may have pasted a secret anywhere.

mod duration;
mod encoding;
mod fault;
mod keys;
mod node;
mod place;
mod stray;
#[cfg(test)]
mod tests;
mod text;

pub use duration::{DurationFault, format_duration, parse_duration};
pub use encoding::{likely, not_text, utf8, without_mark};
pub use fault::{Fault, Faults, MAX_FAULTS, MAX_WARNINGS, Notes, Warnings};
pub use node::{Node, Value};
pub use place::{Place, Table};
pub use stray::{is_private, named, strays, trim_strays};
pub use text::{MAX_DEPTH, MAX_NODES, Syntax, parse, shown};
