//! A parsed document, read key by key; every fault is noted with its key path.
//!
//! YAML and JSON become the same tree of [`Node`]s. A [`Place`] walks it, knows its own key path and notes what is
//! wrong there; nothing stops at the first fault. Values are shown in a fault only where a reader says so: a person
//! may have pasted a secret anywhere.

mod duration;
mod fault;
mod node;
mod place;
#[cfg(test)]
mod tests;
mod text;

pub use duration::{DurationFault, format_duration, parse_duration};
pub use fault::{Fault, Faults, MAX_FAULTS, Notes};
pub use node::{Node, Value};
pub use place::{Place, Table};
pub use text::{MAX_DEPTH, MAX_NODES, Syntax, parse, shown, utf8};
