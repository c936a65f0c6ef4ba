//! How a list comes into force: its difference, told to the ledger in pieces while polling goes on.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ledger::fold::counts_from;
use crate::ledger::{Ended, Enrol, Known, Leave, LedgerClosed};
use crate::metrics::Refused;
use crate::schedule::{Seed, Slot, State};
use crate::watch::Entry;
use crate::watch::list::Gone;

use super::clock::{wall_millis, wall_seconds};
use super::holdings::{Held, narrow};
use super::poller::{Done, Poller};
use super::told;

/// Pairs that one job tells the ledger.
const PIECE: usize = 1000;
/// Pieces of new pairs on their way at once: while the ledger looks one up, the schedule takes in the one before.
const PIECES_AT_ONCE: usize = 2;
/// How much longer to wait with a list that is in force already.
const FILL_UP_PAUSE: Duration = Duration::from_secs(9);
/// Between two lists that nobody waits for; a list costs the poller time for each pair.
const LIST_PAUSE: Duration = Duration::from_secs(1);
const LIST_PAUSE_PER_PAIR: Duration = Duration::from_micros(10);

/// A list on its way into force.
#[derive(Debug, Default)]
pub(super) struct Enrolment {
    /// Waits until no look is on its way, so that none of its pairs is looked at while it leaves.
    proposed: Option<Vec<Arc<Vec<Entry>>>>,
    /// Pairs that the ledger is still to be told.
    queue: VecDeque<Slot>,
    /// Pieces on their way.
    running: usize,
    /// Pairs of the list in force that were left out for want of room, and of the list before.
    over_limit: u64,
    over_limit_before: u64,
    /// Pairs that the ledger did not take, since they are too old, and that were not told yet: it is asked once for each.
    too_old: u64,
    /// The list in force, and when it came into force.
    in_force: Vec<Arc<Vec<Entry>>>,
    in_force_at: Option<Instant>,
    /// How many pairs it names.
    named: u64,
    /// Whether the list in force may bring more: there is room for pairs that were left out.
    may_bring_more: bool,
    /// Whether `watch_for` has changed since, so that the ends of all pairs are others.
    has_other_ends: bool,
    done: Option<oneshot::Sender<()>>,
}

/// The answer to one piece.
pub(super) struct Enrolled {
    slots: Vec<Slot>,
    known: Vec<Option<Known>>,
    now: i64,
}

impl Enrolment {
    /// A new list; its turn comes when the one before is in force.
    pub fn propose(&mut self, entries: Vec<Arc<Vec<Entry>>>, done: Option<oneshot::Sender<()>>) {
        self.proposed = Some(entries);
        self.done = done;
    }

    /// True while looks must wait.
    pub fn is_waiting(&self) -> bool {
        self.proposed.is_some()
    }

    /// True if the next list may be proposed.
    pub fn takes_lists(&self) -> bool {
        self.proposed.is_none() && self.is_told()
    }

    /// True if the ledger has told of every pair of the list in force.
    fn is_told(&self) -> bool {
        self.queue.is_empty() && self.running == 0
    }

    /// Pairs that are listed but not in the schedule yet.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}

impl Poller {
    /// Takes what steps can be taken now: a proposed list, the next piece of it, pairs whose watching is over.
    pub(super) async fn advance(&mut self) -> Result<(), LedgerClosed> {
        if self.in_flight == 0
            && let Some(entries) = self.enrolment.proposed.take()
        {
            self.replace(entries).await?;
        }
        while self.enrolment.running < PIECES_AT_ONCE && !self.enrolment.queue.is_empty() {
            self.enrol_piece();
        }
        if self.enrolment.is_told() {
            self.tell_refused();
            if let Some(done) = self.enrolment.done.take_if(|_| self.enrolment.proposed.is_none()) {
                self.publish(wall_millis());
                let _ = done.send(()); // Whoever waited may have gone.
            }
        }
        self.end_pairs().await
    }

    async fn replace(&mut self, entries: Vec<Arc<Vec<Entry>>>) -> Result<(), LedgerClosed> {
        let all = entries.iter().flat_map(|entries| entries.iter());
        let over_at = wall_seconds().saturating_sub_unsigned(self.app.watch_for.as_secs());
        self.enrolment.named = all.clone().map(|entry| entry.users.len() as u64).sum();
        let difference = self.list.replace(all, self.app.max_pairs, over_at);
        self.enrolment.over_limit_before = self.enrolment.over_limit;
        self.enrolment.over_limit = difference.over_limit;
        self.enrolment.may_bring_more = difference.over_left;
        self.enrolment.in_force = entries;
        self.enrolment.in_force_at = Some(Instant::now());
        let mut leaves = Vec::new();
        for gone in difference.gone {
            // Those that are still queued never entered the gauges.
            let state = self.schedule.remove(gone.slot);
            leaves.extend(self.leave(gone, state.filter(|s| *s != State::Settled).map(|_| Ended::Removed)));
        }
        self.enrolment.queue.extend(difference.added);
        for gone in difference.relabelled {
            leaves.extend(self.enrol_again(gone));
        }
        let retimed = if std::mem::take(&mut self.enrolment.has_other_ends) {
            (0..self.list.end()).collect()
        } else {
            difference.retimed
        };
        for slot in retimed {
            // Those that are relabelled, or new, are not held now.
            if let Some(pair) = self.list.pair(slot).filter(|_| self.held.get(slot).is_some()) {
                let labels = pair.labels.clone();
                leaves.extend(self.enrol_again(Gone { slot, labels }));
            }
        }
        self.tell_leaves(leaves).await
    }

    /// A pair stays, and the ledger is to be told of it anew; `gone` has the labels it had before.
    fn enrol_again(&mut self, gone: Gone) -> Option<Leave> {
        self.schedule.remove(gone.slot);
        self.enrolment.queue.push_back(gone.slot);
        self.leave(gone, None)
    }

    fn leave(&mut self, gone: Gone, reason: Option<Ended>) -> Option<Leave> {
        let held = self.held.remove(gone.slot)?;
        Some(Leave { row: held.row.get(), labels: gone.labels, reason })
    }

    async fn tell_leaves(&mut self, mut leaves: Vec<Leave>) -> Result<(), LedgerClosed> {
        while !leaves.is_empty() {
            let piece = leaves.split_off(leaves.len().saturating_sub(PIECE));
            self.tools.ledger.leave(&self.name, piece).await?;
        }
        Ok(())
    }

    fn enrol_piece(&mut self) {
        let (now, watch_for) = (wall_seconds(), self.app.watch_for.as_secs());
        let mut slots = Vec::with_capacity(PIECE);
        let mut pairs = Vec::with_capacity(PIECE);
        while pairs.len() < PIECE
            && let Some(slot) = self.enrolment.queue.pop_front()
        {
            let Some(pair) = self.list.pair(slot) else {
                continue;
            };
            let too_old = pair.pushed_at.is_some_and(|at| at.saturating_add_unsigned(watch_for) <= now);
            pairs.push(Enrol {
                task: pair.task.to_owned(),
                user: pair.user.to_owned(),
                labels: pair.labels.clone(),
                pushed_at: pair.pushed_at,
                add: !too_old,
                watch_for: watch_for.cast_signed(),
            });
            slots.push(slot);
        }
        self.enrolment.running += 1;
        let (ledger, name) = (self.tools.ledger.clone(), self.name.clone());
        self.work.spawn(async move {
            let known = ledger.enrol(&name, pairs, now).await;
            Done::Enrolled(known.map(|known| Enrolled { slots, known, now }))
        });
    }

    /// The ledger told what it knows of a piece.
    pub(super) async fn enrolled(&mut self, enrolled: Enrolled) -> Result<(), LedgerClosed> {
        self.enrolment.running -= 1;
        let now = wall_millis();
        let mut leaves = Vec::new();
        let mut too_old = 0;
        for (slot, known) in enrolled.slots.into_iter().zip(enrolled.known) {
            let Some(known) = known else {
                too_old += 1;
                self.list.finish(slot);
                continue;
            };
            self.held.insert(slot, held(&known));
            if let Some(pair) = self.list.pair(slot) {
                self.failures.see((pair.task, pair.user), &known.record);
            }
            let (pushed_at, ends_at) = self.times(slot, known.record.pushed_at());
            if known.ended == Some(Ended::Expired) {
                self.held.remove(slot);
                self.list.finish(slot);
            } else if ends_at <= enrolled.now * 1000 {
                let reason = (known.ended != Some(Ended::Settled)).then_some(Ended::Expired);
                leaves.extend(self.list.finish(slot).and_then(|gone| self.leave(gone, reason)));
            } else {
                let polled_at = known.polled_at.map(|at| at * 1000);
                let settled = known.ended == Some(Ended::Settled);
                let devices = told::devices(&known.record, &[]);
                let task = self.list.pair(slot).map_or(0, |pair| pair.task_number);
                let seed = Seed { task, pushed_at, polled_at, ends_at, settled, devices: &devices };
                self.schedule.insert(slot, seed, now);
            }
        }
        self.enrolment.too_old += too_old;
        self.enrolment.may_bring_more |=
            self.enrolment.over_limit > 0 && self.list.len() < self.app.max_pairs;
        self.tell_leaves(leaves).await
    }

    /// Counts the pairs that the list now in force leaves out, beyond those that the list before left out, too.
    fn tell_refused(&mut self) {
        let before = std::mem::replace(&mut self.enrolment.over_limit_before, self.enrolment.over_limit);
        let over_limit = self.enrolment.over_limit.saturating_sub(before);
        if over_limit > 0 {
            self.tools.metrics.pairs_refused(Refused::OverLimit, over_limit);
            tracing::warn!(
                app = %self.name, pairs = over_limit, max_pairs = self.app.max_pairs,
                "pairs left out: max_pairs is reached"
            );
        }
        let too_old = std::mem::take(&mut self.enrolment.too_old);
        if too_old > 0 {
            self.tools.metrics.pairs_refused(Refused::TooOld, too_old);
            tracing::warn!(app = %self.name, pairs = too_old, "pairs left out: pushed longer ago than watch_for");
        }
    }

    /// Takes pairs whose watching is over off the list.
    async fn end_pairs(&mut self) -> Result<(), LedgerClosed> {
        let now = wall_millis();
        let mut leaves = Vec::new();
        while leaves.len() < PIECE
            && let Some((slot, state)) = self.schedule.take_ended(now)
        {
            let reason = (state != State::Settled).then_some(Ended::Expired);
            leaves.extend(self.list.finish(slot).and_then(|gone| self.leave(gone, reason)));
        }
        self.enrolment.may_bring_more |= self.enrolment.over_limit > 0 && !leaves.is_empty();
        self.tell_leaves(leaves).await
    }

    /// Proposes the list in force again, where it may bring more by now.
    pub(super) fn fill_up(&mut self) {
        if !self.enrolment.may_bring_more || !self.enrolment.takes_lists() {
            return;
        }
        let pause = FILL_UP_PAUSE + list_pause(self.enrolment.named);
        if self.enrolment.in_force_at.is_some_and(|at| at.elapsed() >= pause) {
            let entries = self.enrolment.in_force.clone();
            self.enrolment.propose(entries, None);
        }
    }

    /// The wall clock was set back, or `watch_for` is longer: pairs that were over may have time again.
    pub(super) fn reconsider_over(&mut self) {
        self.list.forget_over();
        self.enrolment.may_bring_more = true;
    }

    /// `watch_for` has changed; the next list, which comes with each changed configuration, brings it into force.
    pub(super) fn change_ends(&mut self, is_longer: bool) {
        self.enrolment.has_other_ends = true;
        if is_longer {
            self.reconsider_over();
        }
    }

    /// When the push of a pair was and when its watching ends, Unix milliseconds.
    pub(super) fn times(&self, slot: Slot, told: Option<i64>) -> (i64, i64) {
        let listed = self.list.pair(slot).and_then(|pair| pair.pushed_at);
        let added_at = self.held.get(slot).map_or_else(wall_seconds, |held| held.added_at.into());
        let pushed_at = counts_from(listed, told, added_at) * 1000;
        let watch_for = i64::try_from(self.app.watch_for.as_millis()).unwrap_or(i64::MAX / 4);
        (pushed_at, pushed_at + watch_for)
    }
}

/// How long to wait between two lists that nobody waits for.
pub(super) fn list_pause(pairs: u64) -> Duration {
    LIST_PAUSE + LIST_PAUSE_PER_PAIR * u32::try_from(pairs).unwrap_or(u32::MAX)
}

fn held(known: &Known) -> Held {
    let row = NonZero::new(known.row).expect("SQLite counts rows from 1");
    Held {
        row,
        added_at: u32::try_from(known.added_at.max(0)).unwrap_or(u32::MAX),
        doubts: 0,
        failed_devices: narrow(known.record.failed_devices()),
    }
}
