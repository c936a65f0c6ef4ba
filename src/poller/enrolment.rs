//! What the ledger is still to be told of a list on its way into force, in pieces.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::ledger::{Draw, Enrol, Known, Leave, Ledger, LedgerClosed};
use crate::schedule::Slot;
use crate::watch::list::Pair;

/// Pairs that one job tells the ledger.
pub(super) const PIECE: usize = 1000;
/// Pieces of new pairs on their way at once: while the ledger looks one up, the schedule takes in the one before.
const PIECES_AT_ONCE: usize = 2;

/// Pairs that are to be enrolled, and pairs that left, in their order.
#[derive(Debug, Default)]
pub(super) struct Enrolment {
    /// Pairs that the ledger is still to be told.
    queue: VecDeque<Slot>,
    /// Pieces on their way.
    running: usize,
    /// Pairs that left, of which it is still to be told, and whether a piece of them is on its way.
    leaves: VecDeque<Leave>,
    is_leaving: bool,
    /// How many left so far, and of how many it is told.
    left: u64,
    left_told: u64,
    /// A piece of pairs that entered the sample is on its way.
    is_drawing: bool,
    /// The queue waits until it is told of so many: what is known of a pair is read after it has left.
    queue_after: u64,
}

/// What the ledger is told next.
#[derive(Debug)]
pub(super) enum EnrolmentJob {
    Leave(Vec<Leave>),
    /// `now` in Unix seconds.
    Enrol {
        slots: Vec<Slot>,
        pairs: Vec<Enrol>,
        now: i64,
    },
    /// Pairs that entered the sample; `now` in Unix seconds.
    Draw {
        pairs: Vec<(Slot, Draw)>,
        now: i64,
    },
}

/// What it answered.
#[derive(Debug)]
pub(super) enum EnrolmentDone {
    /// So many pairs that left are told.
    Left(usize),
    Enrolled(Vec<(Slot, Option<Known>)>),
    /// Those of the pairs that entered the sample that are closed, by slot and row.
    Drawn(Vec<(Slot, i64)>),
}

impl EnrolmentJob {
    pub async fn run(self, ledger: Ledger, app: Arc<str>) -> Result<EnrolmentDone, LedgerClosed> {
        match self {
            EnrolmentJob::Leave(pairs) => {
                let count = pairs.len();
                ledger.leave(&app, pairs).await.map(|()| EnrolmentDone::Left(count))
            }
            EnrolmentJob::Enrol { slots, pairs, now } => {
                let known = ledger.enrol(&app, pairs, now).await?;
                Ok(EnrolmentDone::Enrolled(slots.into_iter().zip(known).collect()))
            }
            EnrolmentJob::Draw { pairs, now } => {
                let names: Vec<(Slot, i64)> = pairs.iter().map(|(slot, draw)| (*slot, draw.row)).collect();
                let draws = pairs.into_iter().map(|(_, draw)| draw).collect();
                let closed = ledger.draw(&app, draws, now).await?;
                let are_closed = names.into_iter().zip(closed).filter(|(_, is_closed)| *is_closed);
                Ok(EnrolmentDone::Drawn(are_closed.map(|(name, _)| name).collect()))
            }
        }
    }
}

/// What the ledger is told of a pair that is polled for `watch_for` seconds.
pub(super) fn enrol(pair: Pair<'_>, watch_for: i64) -> Enrol {
    Enrol {
        task: pair.task.to_owned(),
        user: pair.user.to_owned(),
        labels: pair.labels.clone(),
        pushed_at: pair.pushed_at,
        watch_for,
    }
}

impl Enrolment {
    /// True if the ledger has told of every pair of the list, and was told of those that the list before had.
    pub fn is_told(&self) -> bool {
        self.queue.is_empty() && self.running == 0 && self.left_told >= self.queue_after
    }

    /// Pairs that are listed but not in the schedule yet.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub fn push(&mut self, slots: impl IntoIterator<Item = Slot>) {
        self.queue.extend(slots);
    }

    /// Takes pairs out of the queue.
    pub fn retract(&mut self, slots: &HashSet<Slot>) {
        if !slots.is_empty() {
            self.queue.retain(|slot| !slots.contains(slot));
        }
    }

    pub fn push_leave(&mut self, leave: Leave) {
        self.leaves.push_back(leave);
        self.left += 1;
    }

    /// What is in the queue now is told after all that left by now.
    pub fn hold_queue(&mut self) {
        self.queue_after = self.left;
    }

    /// The next pairs that left, if the piece before was told.
    pub fn next_leaves(&mut self) -> Option<EnrolmentJob> {
        if self.is_leaving || self.leaves.is_empty() {
            return None;
        }
        self.is_leaving = true;
        let pairs = self.leaves.len().min(PIECE);
        Some(EnrolmentJob::Leave(self.leaves.drain(..pairs).collect()))
    }

    /// The next pairs to enrol, told by `enrol`, which gives nothing for one that is not listed any more.
    pub fn next_piece(&mut self, now: i64, enrol: impl Fn(Slot) -> Option<Enrol>) -> Option<EnrolmentJob> {
        let may_enrol = self.left_told >= self.queue_after && self.running < PIECES_AT_ONCE;
        if !may_enrol || self.queue.is_empty() {
            return None;
        }
        let mut slots = Vec::with_capacity(PIECE);
        let mut pairs = Vec::with_capacity(PIECE);
        while pairs.len() < PIECE
            && let Some(slot) = self.queue.pop_front()
        {
            if let Some(pair) = enrol(slot) {
                pairs.push(pair);
                slots.push(slot);
            }
        }
        self.running += 1;
        Some(EnrolmentJob::Enrol { slots, pairs, now })
    }

    /// True if the ledger can be told of pairs that entered the sample.
    pub fn may_draw(&self) -> bool {
        !self.is_drawing
    }

    pub fn draw(&mut self, pairs: Vec<(Slot, Draw)>, now: i64) -> EnrolmentJob {
        self.is_drawing = true;
        EnrolmentJob::Draw { pairs, now }
    }

    /// The ledger is told of them.
    pub fn drawn(&mut self) {
        self.is_drawing = false;
    }

    /// The ledger answered a piece of new pairs.
    pub fn enrolled(&mut self) {
        self.running -= 1;
    }

    /// The ledger is told of so many pairs that left.
    pub fn left(&mut self, pairs: usize) {
        self.is_leaving = false;
        self.left_told += pairs as u64;
    }
}
