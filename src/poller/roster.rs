//! The pairs of one app: the list in force, its schedule, and its enrolment with the ledger.
//!
//! It is told the time, and does no I/O: what the ledger is to be told it gives as jobs.
//!
//! Requests go on while a list comes into force: what it changes about pairs that are being polled is put off until they
//! are answered.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::ledger::fold::{Record, Sampled, counts_from};
use crate::ledger::{Ended, Known, Leave, Verdict};
use crate::schedule::{Learned, Look, Schedule, Seed, Slot, State};
use crate::view::ListStatus;
use crate::watch::Entry;
use crate::watch::list::{Gone, List};

use super::convert;
use super::enrolment::{self, Enrolment, EnrolmentDone, EnrolmentJob, PIECE};
use super::in_force::{ListInForce, NewList, Refusals};
use super::polled_pairs::{PairName, PollTarget, PolledPairs};
use super::slot_table::{SlotInfo, SlotTable, narrow};

/// Pairs that are passed over, at most, to find one for a probe.
const PROBE_CANDIDATES: usize = 64;

/// All pairs of one app.
pub(super) struct Roster {
    watch_for: Duration,
    max_pairs: usize,
    pub(super) list: List,
    pub(super) schedule: Schedule,
    pub(super) slots: SlotTable,
    polled: PolledPairs,
    pub(super) enrolment: Enrolment,
    in_force: ListInForce,
}

impl Roster {
    /// Without a pair.
    pub fn new(watch_for: Duration, max_pairs: usize) -> Roster {
        Roster {
            watch_for,
            max_pairs,
            list: List::default(),
            schedule: Schedule::default(),
            slots: SlotTable::default(),
            polled: PolledPairs::default(),
            enrolment: Enrolment::default(),
            in_force: ListInForce::default(),
        }
    }

    /// Begins the schedule with what it had learned before the restart.
    pub fn recall(&mut self, learned: Learned) {
        self.schedule = Schedule::new(fastrand::u64(..), learned);
    }

    pub fn list(&self) -> &List {
        &self.list
    }

    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    pub fn schedule_mut(&mut self) -> &mut Schedule {
        &mut self.schedule
    }

    pub fn watch_for(&self) -> Duration {
        self.watch_for
    }

    /// What is held of the pair in that slot.
    pub fn info(&self, slot: Slot) -> Option<SlotInfo> {
        self.slots.get(slot)
    }

    /// What is held of the pair that was polled, unless it left meanwhile.
    pub fn info_mut(&mut self, slot: Slot, row: NonZero<i64>) -> Option<&mut SlotInfo> {
        self.slots.get_mut(slot).filter(|info| info.row == row)
    }

    /// True if the next list may come.
    pub fn takes_lists(&self) -> bool {
        self.enrolment.is_told()
    }

    /// All that the sources name, unless a list is just coming into force.
    pub fn listed_entries(&self) -> Option<Vec<Arc<Vec<Entry>>>> {
        self.takes_lists().then(|| self.in_force.entries())
    }

    /// Pairs that are listed but not in the schedule yet.
    pub fn waiting(&self) -> usize {
        self.enrolment.waiting() + self.put_off().count()
    }

    /// A new list comes into force at `now`, Unix milliseconds.
    pub fn replace(&mut self, list: NewList, at: Instant, now: i64) {
        let over_at = (now / 1000).saturating_sub_unsigned(self.watch_for.as_secs());
        let all = list.entries.iter().flat_map(|entries| entries.iter());
        let difference = self.list.replace(all, self.max_pairs, over_at);
        let has_other_ends = self.in_force.replace(list, &difference, at);
        for gone in difference.gone {
            // Those that are still queued never entered the gauges.
            let state = self.schedule.remove(gone.slot);
            self.leave(gone, state.filter(|s| *s != State::Settled).map(|_| Ended::Removed));
        }
        self.enrolment.push(difference.added);
        for gone in difference.relabelled {
            self.enrol_again(gone);
        }
        let retimed = if has_other_ends {
            // Each pair that it holds is inserted again.
            self.schedule = Schedule::new(fastrand::u64(..), self.schedule.learned().clone());
            (0..self.list.end()).collect()
        } else {
            difference.retimed
        };
        for slot in retimed {
            // Those that are relabelled, or new, are not held now.
            if let Some(pair) = self.list.pair(slot).filter(|_| self.slots.get(slot).is_some()) {
                let labels = pair.labels.clone();
                self.enrol_again(Gone { slot, labels });
            }
        }
        let put_off: HashSet<Slot> = self.put_off().collect();
        self.enrolment.retract(&put_off);
        self.enrolment.hold_queue();
    }

    /// What the ledger is to be told next, where it can be told now.
    pub fn next_job(&mut self, now: i64) -> Option<EnrolmentJob> {
        if let Some(leaves) = self.next_leaves() {
            return Some(leaves);
        }
        if let Some(drawn) = self.next_drawn(now) {
            return Some(drawn);
        }
        let watch_for = self.watch_for.as_secs().cast_signed();
        let enrol = |slot| Some(enrolment::enrol(self.list.pair(slot)?, watch_for));
        self.enrolment.next_piece(now / 1000, enrol)
    }

    /// The same of pairs that left alone.
    pub fn next_leaves(&mut self) -> Option<EnrolmentJob> {
        self.enrolment.next_leaves()
    }

    /// The ledger answered; `seen` is told what it knew of each pair.
    pub fn job_done(&mut self, done: EnrolmentDone, now: i64, mut seen: impl FnMut((&str, &str), &Record)) {
        let enrolled = match done {
            EnrolmentDone::Left(pairs) => return self.enrolment.left(pairs),
            EnrolmentDone::Drawn(closed) => return self.drawn(closed),
            EnrolmentDone::Enrolled(enrolled) => enrolled,
        };
        self.enrolment.enrolled();
        for (slot, known) in enrolled {
            let Some(known) = known else {
                self.in_force.is_too_old();
                self.list.finish(slot);
                continue;
            };
            if let Some(pair) = self.list.pair(slot) {
                seen((pair.task, pair.user), &known.record);
            }
            self.enrolled(slot, &known, now);
        }
        self.in_force.has_room(self.list.len() < self.max_pairs);
    }

    fn enrolled(&mut self, slot: Slot, known: &Known, now: i64) {
        if !known.is_watched {
            self.list.finish(slot);
            return;
        }
        self.slots.insert(slot, SlotInfo::of(known));
        let (pushed_at, ends_at) = self.times(slot, known.record.pushed_at(), now);
        let devices = convert::devices(&known.record, &[]);
        let seed = Seed {
            task: self.list.pair(slot).map_or(0, |pair| pair.task_number),
            pushed_at,
            polled_at: known.polled_at.map(|at| at * 1000),
            ends_at,
            settled: known.ended == Some(Ended::Settled),
            order: known.order,
            is_sampled: known.record.sampled != Sampled::Out,
            is_closed: known.record.sampled == Sampled::Closed,
            devices: &devices,
        };
        self.schedule.insert(slot, seed, now);
    }

    /// Once all of the list in force is told: who waits for that, and what the list leaves out.
    pub fn take_in_force(&mut self) -> Option<(Refusals, Option<oneshot::Sender<()>>)> {
        self.enrolment.is_told().then(|| self.in_force.take_told())
    }

    /// When a pair is to be polled next, Unix milliseconds.
    pub fn next_poll_at(&mut self, now: i64) -> Option<i64> {
        self.schedule.next_look_at(now)
    }

    /// Takes the pair that is next; its poll begins.
    pub fn begin_poll(&mut self, now: i64) -> Option<PollTarget> {
        let slot = self.schedule.take(now)?;
        self.target(slot)
    }

    /// Takes a pair for a probe: one that did not fail like those that stopped the app, and if it can be one of a task
    /// that is not suspect. What one pair met, or the pairs of one task, says little of the others.
    pub fn begin_probe(&mut self, now: i64, is_suspect: impl Fn(u32) -> bool) -> Option<PollTarget> {
        let (mut taken, mut chosen) = (Vec::new(), None);
        while taken.len() < PROBE_CANDIDATES
            && let Some(slot) = self.schedule.take(now)
        {
            taken.push(slot);
            if self.slots.get(slot).is_some_and(|info| info.is_accused) {
                continue;
            }
            chosen.get_or_insert(slot);
            if !self.list.pair(slot).is_some_and(|pair| is_suspect(pair.task_number)) {
                chosen = Some(slot);
                break;
            }
        }
        let chosen = chosen.or(taken.first().copied())?;
        for slot in taken.into_iter().filter(|slot| *slot != chosen) {
            self.schedule.put_back(slot, now);
        }
        self.target(chosen)
    }

    fn target(&mut self, slot: Slot) -> Option<PollTarget> {
        let pair = self.list.pair(slot)?;
        let name = PairName { task: pair.task.into(), user: pair.user.into() };
        let row = self.slots.get(slot)?.row;
        self.polled.begin(row, name.clone());
        Some(PollTarget { slot, row, task_number: pair.task_number, name, labels: pair.labels.clone() })
    }

    /// A poll has ended: what was put off for it is due. `settled` if its answer ended the polling of its pair.
    pub fn end_poll(&mut self, row: NonZero<i64>, settled: bool) {
        let Some((name, mut leave)) = self.polled.end(row) else {
            return;
        };
        leave.reason = leave.reason.filter(|_| !settled);
        self.enrolment.push_leave(leave);
        self.enrolment.push(self.list.slot_of(&name.task, &name.user));
        self.enrolment.hold_queue();
    }

    /// The ledger took an answer. Gives the pair, unless it left meanwhile.
    pub fn answered(
        &mut self,
        (slot, row): (Slot, NonZero<i64>),
        verdict: &Verdict,
        now: i64,
    ) -> Option<(&str, &str)> {
        let (pushed_at, ends_at) = self.times(slot, verdict.record.pushed_at(), now);
        let info = self.info_mut(slot, row)?;
        info.failed_devices = narrow(verdict.record.failed_devices());
        let devices = convert::devices(&verdict.record, &verdict.news);
        let look = convert::answered(verdict, (pushed_at, ends_at), &devices);
        self.schedule.looked(slot, look, now);
        self.list.pair(slot).map(|pair| (pair.task, pair.user))
    }

    /// A poll failed.
    pub fn failed(&mut self, (slot, row): (Slot, NonZero<i64>), look: Look<'_>, now: i64) {
        if self.slots.is_of(slot, row) {
            self.schedule.looked(slot, look, now);
        }
    }

    /// What was known of a pair is lost: to poll on would count again what was counted.
    pub fn give_up(&mut self, slot: Slot, row: NonZero<i64>) {
        if self.slots.is_of(slot, row) {
            self.slots.remove(slot);
            self.schedule.remove(slot);
            self.list.finish(slot);
        }
    }

    /// Takes pairs whose watching is over off the list, some at a time.
    pub fn end_pairs(&mut self, now: i64) {
        if self.in_force.has_other_ends() {
            return; // It is not known yet which are over.
        }
        let mut ended = 0;
        while ended < PIECE
            && let Some((slot, state)) = self.schedule.take_ended(now)
        {
            ended += 1;
            if let Some(gone) = self.list.finish(slot) {
                self.leave(gone, (state != State::Settled).then_some(Ended::Expired));
            }
        }
        self.in_force.has_room(ended > 0);
    }

    /// Takes the list in force over again, where it may bring more by now.
    pub fn fill_up(&mut self, at: Instant, now: i64) {
        if self.takes_lists()
            && let Some(list) = self.in_force.take_again(at)
        {
            self.replace(list, at, now);
        }
    }

    /// The wall clock was set back, or `watch_for` is longer: pairs that were over may have time again.
    pub fn reconsider_over(&mut self) {
        self.list.forget_over();
        self.in_force.may_bring_more();
    }

    /// All pairs are to be told and planned anew at once, as after a restart.
    pub fn plan_anew(&mut self) {
        self.in_force.change_ends(true);
    }

    /// The configuration has changed; the next list, which comes with each changed configuration, brings it into force.
    pub fn configure(&mut self, watch_for: Duration, max_pairs: usize) {
        self.max_pairs = max_pairs;
        let before = std::mem::replace(&mut self.watch_for, watch_for);
        if watch_for != before {
            self.in_force.change_ends(false);
        }
        if watch_for > before {
            self.reconsider_over();
        }
    }

    /// What became of the pairs that the list in force names.
    pub fn list_status(&self) -> ListStatus {
        ListStatus {
            is_enrolling: !self.takes_lists(),
            over: self.list.over() as u64,
            watch_for_seconds: self.watch_for.as_secs().cast_signed(),
            max_pairs: self.max_pairs as u64,
            awaiting_push: self.schedule.ahead() as u64,
            ..self.in_force.status()
        }
    }

    /// How many of these pairs of task and user the list has no room for.
    pub fn left_out(&self, pairs: &[(String, String)]) -> usize {
        let room = self.max_pairs.saturating_sub(self.list.len());
        let new = pairs.iter().filter(|(task, user)| self.list.slot_of(task, user).is_none());
        new.count().saturating_sub(room)
    }

    /// Pairs in the schedule that are not settled.
    pub fn live(&self) -> usize {
        let all = State::ALL.map(|state| self.schedule.count(state));
        all.iter().sum::<usize>() - self.schedule.count(State::Settled)
    }

    /// Pairs that are listed and are to be enrolled once their polls have ended.
    fn put_off(&self) -> impl Iterator<Item = Slot> {
        self.polled.put_off_names().filter_map(|name| self.list.slot_of(&name.task, &name.user))
    }

    /// A pair stays, and the ledger is to be told of it anew; `gone` has the labels it had before.
    fn enrol_again(&mut self, gone: Gone) {
        self.schedule.remove(gone.slot);
        self.enrolment.push([gone.slot]);
        self.leave(gone, None);
    }

    fn leave(&mut self, gone: Gone, reason: Option<Ended>) {
        let Some(info) = self.slots.remove(gone.slot) else {
            return;
        };
        let leave = Leave { row: info.row.get(), labels: gone.labels, reason };
        if let Some(leave) = self.polled.put_off(info.row, leave) {
            self.enrolment.push_leave(leave);
        }
    }

    /// When the push of a pair was and when its watching ends, Unix milliseconds.
    fn times(&self, slot: Slot, told: Option<i64>, now: i64) -> (i64, i64) {
        let listed = self.list.pair(slot).and_then(|pair| pair.pushed_at);
        let added_at = self.slots.get(slot).map_or(now / 1000, |info| info.added_at.into());
        let pushed_at = counts_from(listed, told, added_at) * 1000;
        let watch_for = i64::try_from(self.watch_for.as_millis()).unwrap_or(i64::MAX / 4);
        (pushed_at, pushed_at + watch_for)
    }
}

#[cfg(test)]
mod tests;
