//! One entry of a watch list: a task, its users, and what is known of the push.

use std::collections::BTreeMap;

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
