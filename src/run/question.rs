//! What the desk asks a poller, answered in pieces so short that no poll waits for them.

use std::num::NonZero;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::metrics::Refused;
use crate::schedule::{Slot, State};
use crate::watch::LabelSet;
use crate::watch::list::Pair;
use crate::web::desk::UserName;

use super::clock::wall_millis;
use super::poller::Poller;

/// Questions that may wait for one poller; who has more waits.
pub(super) const QUESTIONS_CAP: usize = 8;
/// The longest a poller looks through its list before it sees to its polls again.
const PIECE_TIME: Duration = Duration::from_micros(250);
/// Pairs between two looks at the clock.
const PAIRS_AT_ONCE: u32 = 64;

/// What a poller is asked.
pub(super) enum Question {
    /// Pairs of the list, and how many there are.
    Part { wanted: Wanted, reply: oneshot::Sender<Part> },
    /// One pair.
    Pair { task: String, user: UserName, reply: oneshot::Sender<Option<Row>> },
    /// No question: so many pairs were refused before they came to the list.
    OverLimit(u64),
}

/// Which pairs; see [`crate::web::desk::Query`].
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub state: Option<State>,
    pub failed: bool,
    pub search: String,
    pub sees_users: bool,
    /// Pairs from this slot on, at most so many.
    pub from: Slot,
    pub limit: usize,
}

/// Pairs in the order of their slots: those that stay listed keep theirs, so that a page behind another one neither
/// repeats nor skips them whatever the list does.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// All that are wanted, from the first slot on.
    pub total: u64,
    pub rows: Vec<Row>,
    /// The next pair that is wanted, behind those.
    pub next: Option<Slot>,
}

/// What a poller knows of one pair.
#[derive(Debug)]
pub(super) struct Row {
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

/// A question on its way through the list.
pub(super) struct Scan {
    at: Slot,
    kind: Kind,
}

enum Kind {
    Part(Search),
    /// The pair of the task of that number with that hash.
    Hash {
        task: u32,
        hash: String,
        reply: oneshot::Sender<Option<Row>>,
    },
}

struct Search {
    wanted: Wanted,
    /// Whether only a look at each pair tells how many are wanted.
    counts: bool,
    /// The latest task, and whether it holds the text that is searched for: neighbours often share it.
    task: Option<(u32, bool)>,
    part: Part,
    reply: oneshot::Sender<Part>,
}

impl Search {
    fn finds(&mut self, pair: &Pair<'_>) -> bool {
        let text = self.wanted.search.as_str();
        if text.is_empty() {
            return true;
        }
        let in_task = match self.task {
            Some((number, found)) if number == pair.task_number => found,
            _ => pair.task.contains(text),
        };
        self.task = Some((pair.task_number, in_task));
        in_task || (self.wanted.sees_users && pair.user.contains(text))
    }
}

impl Scan {
    /// True if nobody waits for the answer any more.
    fn is_forgotten(&self) -> bool {
        match &self.kind {
            Kind::Part(search) => search.reply.is_closed(),
            Kind::Hash { reply, .. } => reply.is_closed(),
        }
    }

    /// Tells what was found; that whoever asked may have gone is their affair.
    fn end(self, found: Option<Row>) {
        match self.kind {
            Kind::Part(search) => drop(search.reply.send(search.part)),
            Kind::Hash { reply, .. } => drop(reply.send(found)),
        }
    }
}

impl Poller {
    /// Answers at once, or begins to look.
    pub(super) fn asked(&mut self, question: Question) {
        // Whoever asked may have gone: their affair.
        match question {
            Question::Part { wanted, reply } => {
                let counts = wanted.failed || !wanted.search.is_empty();
                let total = if counts { 0 } else { self.listed(wanted.state) };
                let at = if counts { 0 } else { wanted.from };
                let part = Part { total, ..Part::default() };
                let search = Search { wanted, counts, task: None, part, reply };
                self.scan = Some(Scan { at, kind: Kind::Part(search) });
            }
            Question::Pair { task, user: UserName::Id(user), reply } => {
                let slot = self.list.slot_of(&task, &user);
                drop(reply.send(slot.and_then(|slot| self.row(slot))));
            }
            Question::Pair { task, user: UserName::Hash(hash), reply } => {
                match self.list.task_number(&task) {
                    None => drop(reply.send(None)),
                    Some(task) => {
                        self.scan = Some(Scan { at: 0, kind: Kind::Hash { task, hash, reply } });
                    }
                }
            }
            Question::OverLimit(pairs) => self.tools.metrics.pairs_refused(Refused::OverLimit, pairs),
        }
    }

    /// Pairs that are listed in that state; those that the ledger is still to be told of are new.
    fn listed(&self, state: Option<State>) -> u64 {
        let all = self.list.len();
        let count = |state| self.schedule.count(state);
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

    /// Looks through a piece of the list.
    pub(super) fn look_through(&mut self) {
        let Some(mut scan) = self.scan.take() else {
            return;
        };
        let began = Instant::now();
        while !scan.is_forgotten() {
            let end = self.list.end().min(scan.at.saturating_add(PAIRS_AT_ONCE));
            for slot in scan.at..end {
                if self.look_at(slot, &mut scan.kind) {
                    let found = self.row(slot);
                    return scan.end(found);
                }
            }
            scan.at = end;
            if end >= self.list.end() {
                return scan.end(None);
            }
            if began.elapsed() >= PIECE_TIME {
                self.scan = Some(scan);
                return;
            }
        }
    }

    /// True if this pair was the last one to look for.
    fn look_at(&self, slot: Slot, kind: &mut Kind) -> bool {
        let Some(pair) = self.list.pair(slot) else {
            return false;
        };
        let search = match kind {
            Kind::Part(search) => search,
            Kind::Hash { task, hash, .. } => {
                let hashes = || self.tools.veil.hash(&self.name, pair.task, pair.user) == *hash;
                return pair.task_number == *task && (pair.user == hash || hashes());
            }
        };
        if !self.is_wanted(slot, &search.wanted) || !search.finds(&pair) {
            return false;
        }
        search.part.total += u64::from(search.counts);
        if slot >= search.wanted.from && search.part.next.is_none() {
            if search.part.rows.len() < search.wanted.limit {
                search.part.rows.extend(self.row(slot));
            } else {
                search.part.next = Some(slot);
            }
        }
        search.part.next.is_some() && !search.counts
    }

    fn is_wanted(&self, slot: Slot, wanted: &Wanted) -> bool {
        let state = || self.schedule.state(slot).unwrap_or(State::New);
        let failed = || self.held.get(slot).is_some_and(|held| held.failed_devices > 0);
        wanted.state.is_none_or(|wanted| state() == wanted) && (!wanted.failed || failed())
    }

    fn row(&self, slot: Slot) -> Option<Row> {
        let pair = self.list.pair(slot)?;
        let held = self.held.get(slot);
        let state = self.schedule.state(slot);
        Some(Row {
            row: held.map(|held| held.row),
            task: pair.task.to_owned(),
            user: pair.user.to_owned(),
            labels: pair.labels.clone(),
            state: state.unwrap_or(State::New),
            listed_at: pair.pushed_at,
            added_at: held.map(|held| held.added_at.into()),
            watch_for: self.app.watch_for,
            next_poll_at: state.filter(|state| *state != State::Settled).map(|_| self.next_poll_at(slot)),
        })
    }

    /// Unix seconds; the present where its turn comes as soon as the budget allows.
    fn next_poll_at(&self, slot: Slot) -> i64 {
        let now = wall_millis();
        self.schedule.planned(slot, now).unwrap_or(now).max(self.trouble.resume_at()) / 1000
    }
}
