//! Answers queries about pairs of the list, in pieces so short that no poll waits for them.

use std::num::NonZero;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::schedule::{Slot, State};
use crate::watch::LabelSet;
use crate::watch::list::Pair;

use super::roster::Roster;

/// The longest a poller looks through its list before it sees to its polls again.
const PIECE_TIME: Duration = Duration::from_micros(250);
/// Pairs between two looks at the clock.
const PAIRS_AT_ONCE: u32 = 64;

/// What a poller is asked.
#[derive(Debug)]
pub enum PollerQuery {
    /// Pairs of the list, and how many there are.
    Page { filter: Filter, reply: oneshot::Sender<PageChunk> },
    /// One pair.
    Pair { task: String, user: String, reply: oneshot::Sender<Option<ListedPair>> },
    /// How many of these pairs of task and user the list has no room for.
    LeftOut { pairs: Vec<(String, String)>, reply: oneshot::Sender<usize> },
    /// No query: so many pairs were refused before they came to the list.
    OverLimit(u64),
}

/// Which pairs; see [`crate::view::Query`].
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub state: Option<State>,
    pub failed: bool,
    pub search: String,
    /// Pairs from this slot on, at most so many.
    pub from: Slot,
    pub limit: usize,
}

/// Pairs in the order of their slots: those that stay listed keep theirs, so that a page behind another one neither
/// repeats nor skips them whatever the list does.
#[derive(Debug, Default)]
pub struct PageChunk {
    /// All that match, from the first slot on.
    pub total: u64,
    pub pairs: Vec<ListedPair>,
    /// The next pair that matches, behind those.
    pub next: Option<Slot>,
}

/// What a poller knows of one pair.
#[derive(Debug)]
pub struct ListedPair {
    /// `None` while the ledger is still to be told of the pair.
    pub row: Option<NonZero<i64>>,
    pub task: String,
    pub user: String,
    pub labels: LabelSet,
    pub state: State,
    /// As listed, Unix seconds.
    pub listed_at: Option<i64>,
    pub added_at: Option<i64>,
    pub watch_for: Duration,
    pub next_poll_at: Option<i64>,
}

/// When the next poll may be, in Unix milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub now: i64,
    /// The end of a pause.
    pub resume_at: i64,
}

/// A query on its way through the list.
pub(super) struct ListScan {
    at: Slot,
    filter: Filter,
    /// Whether only a look at each pair tells how many match.
    counts: bool,
    /// The latest task, and whether it holds the text that is searched for: neighbours often share it.
    task: Option<(u32, bool)>,
    chunk: PageChunk,
    reply: oneshot::Sender<PageChunk>,
}

impl ListScan {
    /// Begins at the first pair that may match.
    pub fn new(roster: &Roster, filter: Filter, reply: oneshot::Sender<PageChunk>) -> ListScan {
        let counts = filter.failed || !filter.search.is_empty();
        let total = if counts { 0 } else { listed(roster, filter.state) };
        let at = if counts { 0 } else { filter.from };
        ListScan { at, filter, counts, task: None, chunk: PageChunk { total, ..PageChunk::default() }, reply }
    }

    /// Looks through a piece of the list; gives itself back if there is more to look through.
    pub fn step(mut self, roster: &Roster, times: Times) -> Option<ListScan> {
        let began = Instant::now();
        while !self.reply.is_closed() {
            let end = roster.list().end().min(self.at.saturating_add(PAIRS_AT_ONCE));
            let is_done = (self.at..end).any(|slot| self.look_at(roster, slot, times));
            self.at = end;
            if is_done || end >= roster.list().end() {
                // Whoever asked may have gone: their affair.
                let _ = self.reply.send(self.chunk);
                return None;
            }
            if began.elapsed() >= PIECE_TIME {
                return Some(self);
            }
        }
        None
    }

    /// True if this pair was the last one to look for.
    fn look_at(&mut self, roster: &Roster, slot: Slot, times: Times) -> bool {
        let Some(pair) = roster.list().pair(slot) else {
            return false;
        };
        if !self.matches_state(roster, slot) || !self.finds(&pair) {
            return false;
        }
        self.chunk.total += u64::from(self.counts);
        if slot >= self.filter.from && self.chunk.next.is_none() {
            if self.chunk.pairs.len() < self.filter.limit {
                self.chunk.pairs.extend(listed_pair(roster, slot, times));
            } else {
                self.chunk.next = Some(slot);
            }
        }
        self.chunk.next.is_some() && !self.counts
    }

    fn matches_state(&self, roster: &Roster, slot: Slot) -> bool {
        let state = || roster.schedule().state(slot).unwrap_or(State::New);
        let failed = || roster.info(slot).is_some_and(|info| info.failed_devices > 0);
        self.filter.state.is_none_or(|wanted| state() == wanted) && (!self.filter.failed || failed())
    }

    fn finds(&mut self, pair: &Pair<'_>) -> bool {
        let text = self.filter.search.as_str();
        if text.is_empty() {
            return true;
        }
        let in_task = match self.task {
            Some((number, found)) if number == pair.task_number => found,
            _ => pair.task.contains(text),
        };
        self.task = Some((pair.task_number, in_task));
        in_task || pair.user.contains(text)
    }
}

/// Pairs that are listed in that state; those that the ledger is still to be told of are new.
fn listed(roster: &Roster, state: Option<State>) -> u64 {
    let all = roster.list().len();
    let count = |state| roster.schedule().count(state);
    let pairs = match state {
        None => all,
        Some(State::New) => {
            let met = [State::Active, State::Settled, State::Failing].map(count);
            all.saturating_sub(met.iter().sum())
        }
        Some(state) => count(state),
    };
    pairs as u64
}

/// The pair of that task and user, if it is listed.
pub(super) fn find(roster: &Roster, (task, user): (&str, &str), times: Times) -> Option<ListedPair> {
    listed_pair(roster, roster.list().slot_of(task, user)?, times)
}

fn listed_pair(roster: &Roster, slot: Slot, times: Times) -> Option<ListedPair> {
    let pair = roster.list().pair(slot)?;
    let info = roster.info(slot);
    let state = roster.schedule().state(slot);
    // The present where its turn comes as soon as the budget allows.
    let next_poll_at =
        || roster.schedule().planned(slot, times.now).unwrap_or(times.now).max(times.resume_at) / 1000;
    Some(ListedPair {
        row: info.map(|info| info.row),
        task: pair.task.to_owned(),
        user: pair.user.to_owned(),
        labels: pair.labels.clone(),
        state: state.unwrap_or(State::New),
        listed_at: pair.pushed_at,
        added_at: info.map(|info| info.added_at.into()),
        watch_for: roster.watch_for(),
        next_poll_at: state.filter(|state| *state != State::Settled).map(|_| next_poll_at()),
    })
}
