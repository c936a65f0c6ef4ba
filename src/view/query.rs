//! What pages and API ask about pairs, and what comes back: plain values, and the traits that answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::document::format_duration;
use crate::schedule::State;
use crate::trace::{Notifications, Outcome, Platform, Reason, Route, Stage};
use crate::watch::{Entry, LabelSet};

/// Pairs that one page holds at most, whatever is asked for.
pub const MAX_PAGE: usize = 1000;
/// Pairs on a page where nothing is asked for.
pub const DEFAULT_PAGE: usize = 50;
/// The longest text to search for, in bytes.
pub const MAX_SEARCH_BYTES: usize = 256;

/// Answers what pages and API ask about pairs. No answer causes an upstream request.
pub trait WatchQuery: Send + Sync {
    /// One page of the watch lists of all apps that `query` lets through, in a stable order.
    fn watches(&self, query: Query) -> BoxFuture<'static, Result<Page, WatchQueryError>>;

    /// One pair with all that is known of its devices.
    fn chain(&self, name: PairName) -> BoxFuture<'static, Result<Chain, WatchQueryError>>;
}

/// The writing half of the watch API. Each answer comes when the change is on disk.
pub trait WatchStore: Send + Sync {
    /// Adds the pairs of those entries, all or none.
    fn add(&self, posts: Vec<Post>) -> BoxFuture<'static, Result<Added, WatchStoreError>>;

    /// Takes pairs that the API added off again: one, or all of a task.
    fn remove(&self, target: Target) -> BoxFuture<'static, Result<Removed, WatchStoreError>>;
}

/// One entry for one app, read and checked as any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    pub app: Arc<str>,
    pub entry: Entry,
}

/// What is to leave the list that the API keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub app: String,
    pub task: String,
    /// `None` for all users of the task.
    pub user: Option<String>,
}

/// Pairs of one request to add, each counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// New to the API's list.
    pub added: u64,
    /// In it already, with other labels or another push time; these stand now.
    pub changed: u64,
    /// In it already, just so.
    pub known: u64,
    /// Pairs of these that are not polled all the same, and why: a line each.
    pub not_polled: Vec<String>,
}

/// What a request to remove came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Pairs that were in the API's list.
    pub removed: u64,
    /// Pairs among those named that stand in another source, too, and stay watched.
    pub still_listed: u64,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchStoreError {
    #[error("no app is called {0}; GET /config shows those there are")]
    NoApp(String),
    #[error("app {app}: the API would hold {would} pairs; expected at most {cap}, nothing was added")]
    OverCap { app: Arc<str>, would: u64, cap: u64 },
    #[error("{pairs} pairs in one request; expected at most {cap}, nothing was added")]
    TooMany { pairs: usize, cap: usize },
    #[error("{}", too_old(.app, .pushes, *.watch_for))]
    TooOld {
        app: Arc<str>,
        /// Tasks with the time of their push, Unix seconds.
        pushes: Vec<(String, i64)>,
        watch_for: Duration,
    },
    #[error("too many changes wait to be written; nothing was added, try again")]
    Busy,
    #[error("the daemon is stopping")]
    Closed,
}

/// Pushes that a fault names; the others are counted.
const MAX_PUSHES_TOLD: usize = 3;

fn too_old(app: &str, pushes: &[(String, i64)], watch_for: Duration) -> String {
    let watch_for = format_duration(watch_for);
    let time =
        |at: i64| jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string());
    let told = pushes.iter().take(MAX_PUSHES_TOLD);
    let mut told: Vec<String> = told.map(|(task, at)| format!("{task:?} at {}", time(*at))).collect();
    if pushes.len() > MAX_PUSHES_TOLD {
        told.push(format!("{} more", pushes.len() - MAX_PUSHES_TOLD));
    }
    let told = told.join(", ");
    format!(
        "app {app}: pushed_at is longer ago than watch_for ({watch_for}), so the pairs would not be polled; nothing was \
         added: {told}"
    )
}

/// Which pairs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only of this app.
    pub app: Option<String>,
    pub state: Option<State>,
    /// Only pairs one of whose devices failed at some stage.
    pub failed: bool,
    /// Only pairs whose task or user holds this text; case counts.
    pub search: String,
    /// At most [`MAX_PAGE`]; 0 gives none but the total.
    pub limit: usize,
    /// [`Page::next`] of the page before; one that is not of this daemon is refused.
    pub after: Option<String>,
}

/// One page of pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// All pairs that the query lets through, on every page.
    pub total: u64,
    /// Asks for the page behind this one; `None` on the last.
    pub next: Option<String>,
    pub watches: Vec<Watch>,
}

/// One listed pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    pub app: Arc<str>,
    pub task: String,
    pub user: String,
    pub state: State,
    pub labels: LabelSet,
    /// When the push was: as listed, else as the upstream says. Unix seconds.
    pub pushed_at: Option<i64>,
    /// The latest answer, Unix seconds; `None` before the first.
    pub last_polled_at: Option<i64>,
    /// When it is asked next, Unix seconds, as far as that is planned: a time that has come means that its turn comes as
    /// soon as the budget allows. `None` where it is asked no more.
    pub next_poll_at: Option<i64>,
    /// Devices that failed at some stage.
    pub failed_devices: u32,
}

/// Names one pair, as its page's path does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairName {
    pub app: String,
    pub task: String,
    pub user: String,
}

/// A task or user as one part of a path spells it. Clients take `.` and `..` for steps in the path, percent-encoded or not, so
/// these stand behind a `~`, and so does whatever would be read as one of them.
pub fn id_in_path(id: &str) -> Cow<'_, str> {
    if is_step(id) { format!("~{id}").into() } else { id.into() }
}

/// The task or user that a part of a path spells.
pub fn id_of_path(part: String) -> String {
    match part.strip_prefix('~') {
        Some(id) if is_step(id) => id.to_owned(),
        _ => part,
    }
}

fn is_step(id: &str) -> bool {
    matches!(id.trim_start_matches('~'), "." | "..")
}

/// One pair and its devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub watch: Watch,
    /// When it was first listed, Unix seconds.
    pub added_at: i64,
    /// When its watching ends, Unix seconds.
    pub ends_at: i64,
    pub devices: Vec<DeviceChain>,
    /// As many devices are kept as may be: results of further ones are not counted.
    pub is_full: bool,
}

/// One device on one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceChain {
    /// `InstanceId`.
    pub instance: String,
    pub route: Route,
    pub platform: Platform,
    pub notifications: Notifications,
    /// `PushTime`, Unix seconds.
    pub pushed_at: Option<i64>,
    /// All stages of the route, in their order.
    pub stages: Vec<StageView>,
}

/// How a device stands at one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageView {
    pub stage: Stage,
    /// `None` is unreported.
    pub outcome: Option<Outcome>,
    /// Of a failure.
    pub code: Option<i64>,
    /// Of a failure.
    pub reason: Option<Reason>,
    /// `EventTime`, Unix seconds.
    pub at: Option<i64>,
    /// The poll that saw it first, Unix seconds.
    pub seen_at: Option<i64>,
    /// `EventTime` − `PushTime`, seconds.
    pub delay_seconds: Option<i64>,
    /// Unreported, and a result may still come: no stage before it failed.
    pub awaited: bool,
    /// Awaited, and it counts as overdue from this time on, Unix seconds.
    pub overdue_from: Option<i64>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchQueryError {
    #[error("no app is called {0}; GET /config shows those there are")]
    NoApp(String),
    #[error("this pair is not on the watch list of that app")]
    NoPair,
    #[error("after: not a place in the list that this daemon gave")]
    NoPlace,
    #[error("the daemon is stopping")]
    Closed,
    #[error("the ledger cannot be read; see the log")]
    Unreadable,
}
