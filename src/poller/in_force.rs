//! The list in force as a whole: what it names, what it leaves out, and whether to take it over again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::view::ListStatus;
use crate::watch::Entry;
use crate::watch::list::Difference;

/// How much longer to wait with a list that is in force already.
const FILL_UP_PAUSE: Duration = Duration::from_secs(9);
/// Between two lists that nobody waits for; a list costs the poller time for each pair.
const LIST_PAUSE: Duration = Duration::from_secs(1);
const LIST_PAUSE_PER_PAIR: Duration = Duration::from_micros(10);

/// A list that is to come into force.
#[derive(Debug, Default)]
pub struct NewList {
    /// First places first.
    pub entries: Vec<Arc<Vec<Entry>>>,
    /// Told when every pair of it is enrolled.
    pub done: Option<oneshot::Sender<()>>,
}

/// The list in force.
#[derive(Debug, Default)]
pub struct ListInForce {
    entries: Vec<Arc<Vec<Entry>>>,
    since: Option<Instant>,
    /// How many pairs it names.
    named: u64,
    /// The latest push time that it names, Unix seconds.
    last_push_at: Option<i64>,
    /// Pairs that were left out for want of room, by it and by the list before.
    over_limit: u64,
    over_limit_before: u64,
    /// Pairs that the ledger did not take, since they are too old, and that were not told yet: it is asked once for each.
    too_old: u64,
    /// Whether it may bring more: there is room for pairs that were left out.
    may_bring_more: bool,
    /// Whether `watch_for` has changed since, or the clock, so that the ends of all pairs are others.
    has_other_ends: bool,
    /// Whether it is to be taken over again at once.
    is_urgent: bool,
    done: Option<oneshot::Sender<()>>,
}

/// Pairs that were left out and that nobody was told of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    pub over_limit: u64,
    pub too_old: u64,
}

impl ListInForce {
    /// Another list comes into force. True if the ends of all pairs are others.
    pub fn replace(&mut self, list: NewList, difference: &Difference, at: Instant) -> bool {
        let NewList { entries, done } = list;
        let all = || entries.iter().flat_map(|entries| entries.iter());
        self.named = all().map(|entry| entry.users.len() as u64).sum();
        self.last_push_at = all().filter_map(|entry| entry.pushed_at).max();
        self.over_limit_before = self.over_limit;
        self.over_limit = difference.over_limit;
        self.may_bring_more = difference.over_left;
        self.entries = entries;
        self.since = Some(at);
        self.done = done;
        self.is_urgent = false;
        std::mem::take(&mut self.has_other_ends)
    }

    pub fn entries(&self) -> Vec<Arc<Vec<Entry>>> {
        self.entries.clone()
    }

    pub fn is_too_old(&mut self) {
        self.too_old += 1;
    }

    /// Whether there is room for more pairs.
    pub fn has_room(&mut self, has_room: bool) {
        self.may_bring_more |= self.over_limit > 0 && has_room;
    }

    pub fn may_bring_more(&mut self) {
        self.may_bring_more = true;
    }

    /// The ends of all pairs are others; with `at_once` the list is not to wait.
    pub fn change_ends(&mut self, at_once: bool) {
        self.has_other_ends = true;
        self.is_urgent |= at_once;
    }

    pub fn has_other_ends(&self) -> bool {
        self.has_other_ends
    }

    /// What it leaves out beyond what the list before left out, too, and who waits for it.
    pub fn take_told(&mut self) -> (Refusals, Option<oneshot::Sender<()>>) {
        let before = std::mem::replace(&mut self.over_limit_before, self.over_limit);
        let over_limit = self.over_limit.saturating_sub(before);
        (Refusals { over_limit, too_old: std::mem::take(&mut self.too_old) }, self.done.take())
    }

    /// The list, if it is to be taken over again now.
    pub fn take_again(&mut self, now: Instant) -> Option<NewList> {
        let since = self.since.filter(|_| self.may_bring_more || self.is_urgent)?;
        let pause = FILL_UP_PAUSE + list_pause(self.named);
        let is_time = self.is_urgent || now.saturating_duration_since(since) >= pause;
        is_time.then(|| NewList { entries: self.entries.clone(), done: self.done.take() })
    }

    /// What it says of the pairs that it names.
    pub fn status(&self) -> ListStatus {
        let (named, last_push_at, over_limit) = (self.named, self.last_push_at, self.over_limit);
        ListStatus { named, last_push_at, over_limit, ..ListStatus::default() }
    }
}

/// How long to wait between two lists that nobody waits for.
pub fn list_pause(pairs: u64) -> Duration {
    LIST_PAUSE + LIST_PAUSE_PER_PAIR * u32::try_from(pairs).unwrap_or(u32::MAX)
}
