//! How the heaps are kept: who becomes ready, what a look at each is expected to bring, who is best.

use super::book::{COHORT, Mark, NONE, NOT_WAITING, Pair, Phase};
use super::clock::Tick;
use super::heap::Heap;
use super::index::Gain;
use super::learned::Learned;
use super::told::{Millis, Slot, State};
use super::{FAILING_AFTER, LAST_SHARE, Schedule};

/// Pushes of one task that are at most so far apart share a cohort.
const COHORT_PUSHES_SECONDS: u32 = 1;
/// How long a cohort takes members.
const COHORT_OPEN_SECONDS: u32 = 600;
const TICKS_PER_SECOND: u32 = 8;
/// Expected failures that are worth a look of its own.
const OWED_FAILURES: f64 = 0.1;
/// A failure counts as waiting for at most this many times the time since the last look, or since the push before the
/// first look.
const LONGEST_PER_AGE: f64 = 3.0;
const FIRST_LONGEST_PER_AGE: f64 = 10.0;
/// It counts for at most this, divided by the power 3/2 of the first looks that are outstanding.
const LONGEST_SECONDS: f64 = 2e8;
/// Entries that are valued anew, at most, to find the best.
const TRIES: usize = 16;
/// The worth of a retry halves with each failure in a row, up to so many.
const HALVINGS: u8 = 10;
/// What a poll is worth that may settle a pair whose devices are all complete, as a sure failure that has waited so many
/// seconds: soon where polls are left, and hardly at all where failures wait.
const CONFIRMING_WORTH: f64 = 5.0;
/// Weight of the latest index in [`Schedule::served`].
const SERVED_SHARE: f64 = 1.0 / 64.0;

impl Schedule {
    /// Does what is to be done by now, at most `steps` things.
    pub(super) fn ripen(&mut self, now: Tick, steps: usize) {
        let mut left = steps;
        while left > 0
            && let Some((_, name)) = self.time.peek().filter(|(at, _)| *at <= now)
        {
            left -= 1;
            if name & COHORT != 0 {
                self.value_cohort(name, now);
                continue;
            }
            let pair = self.book.pair(name);
            if pair.ends <= now {
                self.end(name);
                continue;
            }
            match pair.phase {
                Phase::Later if pair.state() == State::Settled => {
                    self.withdraw(name);
                    self.plan(name, now, now);
                }
                Phase::Later => {
                    self.later -= 1;
                    self.make_ready(name, now);
                }
                Phase::Ready => {
                    self.value(name, now);
                }
                _ => {
                    let ends = pair.ends;
                    self.time.set(ends, name, &mut self.book);
                }
            }
        }
        while left > 0
            && let Some((_, name)) = self.rests.peek().filter(|(at, _)| *at <= now)
        {
            left -= 1;
            self.end(name);
        }
        self.draw(now, steps);
    }

    fn end(&mut self, slot: Slot) {
        self.withdraw(slot);
        self.book.pair_mut(slot).phase = Phase::Ended;
        self.ended.push_back(slot);
    }

    /// Takes a pair out of everything but the book.
    pub(super) fn withdraw(&mut self, slot: Slot) {
        let pair = self.book.pair_mut(slot);
        self.owed -= usize::from(pair.mark(Mark::Owed, false));
        pair.mark(Mark::Last, false);
        pair.mark(Mark::Wanted, false);
        self.ahead -= usize::from(pair.mark(Mark::Ahead, false));
        match pair.phase {
            Phase::Later => self.later -= 1,
            Phase::Ready => {
                let queue = if pair.failures > 0 { &mut self.retries } else { &mut self.rank };
                queue.remove(slot, &mut self.book);
            }
            Phase::Cohort => {
                self.firsts -= 1;
                let (name, empty) = self.book.leave(slot);
                if empty {
                    self.rank.remove(name, &mut self.book);
                    self.time.remove(name, &mut self.book);
                    self.book.close(name);
                }
            }
            Phase::Resting => return self.rests.remove(slot, &mut self.book),
            Phase::Gone | Phase::Taken | Phase::Ended => return,
        }
        self.time.remove(slot, &mut self.book);
    }

    /// Takes back a pair that [`Schedule::take`] handed out and that is not asked after all.
    pub fn put_back(&mut self, slot: Slot, now: Millis) {
        if self.book.get(slot).is_some_and(|pair| pair.phase == Phase::Taken) {
            self.retry_share.put_back(self.book.pair(slot).failures > 0);
            let now = self.clock.tick(now);
            self.plan(slot, now, now);
        }
    }

    /// A pair may be asked from now on.
    pub(super) fn make_ready(&mut self, slot: Slot, now: Tick) {
        let pair = self.book.pair_mut(slot);
        self.ahead -= usize::from(pair.mark(Mark::Ahead, false));
        if pair.looked == NONE && pair.failures == 0 {
            let ends = pair.ends;
            let buckets = (COHORT_PUSHES_SECONDS * TICKS_PER_SECOND, COHORT_OPEN_SECONDS * TICKS_PER_SECOND);
            let name = self.book.join(slot, now, buckets);
            self.firsts += 1;
            self.time.set(ends, slot, &mut self.book);
            if self.book.cohort(name).members.len() == 1 {
                self.value_cohort(name, now);
            }
            if self.closes(slot).is_some() {
                self.want(slot);
            }
        } else {
            pair.phase = Phase::Ready;
            self.value(slot, now);
        }
    }

    /// Values a pair that is ready, and plans when to do it again; gives its key.
    pub(super) fn value(&mut self, slot: Slot, now: Tick) -> u32 {
        let (gain, index) = self.index(slot, now);
        let pair = self.book.pair_mut(slot);
        let (looked, retries) = (pair.since_look(), pair.failures > 0);
        let failing_from = pair.failing_from(self.clock.ticks(FAILING_AFTER));
        if failing_from.is_some_and(|at| at <= now) && pair.state() == State::New {
            self.counts[State::New as usize] -= 1;
            self.counts[State::Failing as usize] += 1;
            pair.set_state(State::Failing);
        }
        let is_worth_it = pair.looked == NONE || gain.failures >= OWED_FAILURES;
        let owed = is_worth_it && pair.state() != State::Failing;
        self.owed += usize::from(owed);
        self.owed -= usize::from(pair.mark(Mark::Owed, owed));
        let mut again = now.saturating_add(pause(slot, self.served, index, now.saturating_sub(looked)));
        let last_at = pair.ends - (pair.ends - pair.pushed.min(pair.ends)) / LAST_SHARE;
        if looked < last_at {
            if now < last_at {
                again = again.min(last_at);
            } else if !pair.mark(Mark::Last, true) {
                self.lasts.push_back(slot);
            }
        }
        if let Some(at) = failing_from.filter(|at| *at > now) {
            again = again.min(at);
        }
        let ends = pair.ends;
        match self.sample_wants(slot) {
            Some(at) if at <= now => self.want(slot),
            Some(at) => again = again.min(at),
            None => {}
        }
        let again = again.min(ends);
        self.time.set(again, slot, &mut self.book);
        let key = key(index);
        let queue = if retries { &mut self.retries } else { &mut self.rank };
        queue.set(key, slot, &mut self.book);
        key
    }

    /// What a look at a pair that is ready is expected to bring, and its index.
    fn index(&self, slot: Slot, now: Tick) -> (Gain, f64) {
        let pair = self.book.pair(slot);
        let gain = self.gain(slot, now);
        let unseen = self.clock.seconds(pair.since_look(), now) + 1.0;
        let index = gain.index((unseen * LONGEST_PER_AGE).min(self.longest()));
        (gain, index * 0.5f64.powi(pair.failures.min(HALVINGS).into()))
    }

    /// Values the cohort of that task and push anew, if there is one.
    pub(super) fn value_cohort_of(&mut self, pair: &Pair, now: Millis) {
        if let Some(name) = self.book.open_cohort_of(pair, COHORT_PUSHES_SECONDS * TICKS_PER_SECOND) {
            self.value_cohort(name, self.clock.tick(now));
        }
    }

    fn value_cohort(&mut self, name: u32, now: Tick) -> u32 {
        let cohort = self.book.cohort(name);
        let (task, pushed) = (cohort.task, cohort.pushed);
        let (factor, curious) = self.groups.first_factor(task, self.clock.millis(pushed));
        let mut gain = self.first_gain(pushed, now, factor);
        gain.scale(curious);
        let unseen = self.clock.seconds(pushed, now) + 1.0;
        let index = gain.index((unseen * FIRST_LONGEST_PER_AGE).min(self.longest()));
        let again = now.saturating_add(pause(name, self.served, index, now.saturating_sub(pushed)));
        self.time.set(again, name, &mut self.book);
        let key = key(index);
        self.rank.set(key, name, &mut self.book);
        key
    }

    /// When a pair is looked at next, as far as it is planned by now. A time is told for a pair that may not be asked
    /// before it, and, as an estimate, for one that ripens: when its index will be as large as those that are served now. `None` if it has its turn as soon as the budget
    /// allows, if its look is on its way, or if none comes any more. Changes nothing.
    pub fn planned(&self, slot: Slot, now: Millis) -> Option<Millis> {
        let pair = self.book.pairs.get(slot as usize)?;
        match pair.phase {
            // It is in the heap until its end if that comes first; then no look comes.
            Phase::Later if pair.state() != State::Settled => {
                let at = self.time.key(slot, &self.book).filter(|at| *at < pair.ends)?;
                Some(self.clock.millis(at).max(now))
            }
            Phase::Ready => {
                let (from, ends) = (self.clock.tick(now), pair.ends);
                let waited = from.saturating_sub(pair.since_look()).max(1);
                let later = |at: &Tick| Some(at.saturating_add(((at - from) / 4).max(waited / 16).max(1)));
                let mut ages = std::iter::successors(Some(from), later).take_while(|at| *at < ends);
                let at = ages.find(|at| self.index(slot, *at).1 >= self.served)?;
                (at > from).then(|| self.clock.millis(at))
            }
            _ => None,
        }
    }

    /// The longest wait that counts, seconds: the more first looks are outstanding, the more the expected failures alone
    /// decide, for what waits then waits long whoever goes first.
    fn longest(&self) -> f64 {
        LONGEST_SECONDS / (self.firsts as f64 + 1.0).powf(1.5)
    }

    fn first_gain(&self, pushed: Tick, now: Tick, factor: f64) -> Gain {
        let age = self.clock.seconds(pushed, now);
        let mut gain = Gain::default();
        gain.add(self.learned.first.curve.news(0.0, age), factor, false);
        gain
    }

    /// What a look at a pair is expected to bring.
    fn gain(&self, slot: Slot, now: Tick) -> Gain {
        let pair = self.book.pair(slot);
        if pair.looked == NONE {
            let (factor, _) = self.groups.first_factor(pair.task, self.clock.millis(pair.pushed));
            return self.first_gain(pair.pushed, now, factor);
        }
        let mut gain = Gain::default();
        if pair.class == NOT_WAITING {
            gain.worth = CONFIRMING_WORTH;
        }
        for device in self.book.devices(slot) {
            let wait = self.learned.wait(device.class);
            let from = self.clock.seconds(device.since, pair.looked);
            let to = self.clock.seconds(device.since, now);
            let factor = wait.level() * self.groups.factor(pair.task, device.class.0);
            gain.add(wait.curve.news(from, to), factor, Learned::closes(device.class));
        }
        gain
    }

    /// The pair with the largest index; of a cohort any member. While others wait, a retry has its turn only within what
    /// is allowed, and if it is worth more than they are.
    pub(super) fn best(&mut self, now: Tick) -> Option<Slot> {
        let other = self.first_key(false, now);
        let may_retry = other.is_none() || self.retry_share.permits();
        let retry = if may_retry { self.first_key(true, now) } else { None };
        // Larger indices have smaller keys.
        let retries = retry.is_some_and(|retry| other.is_none_or(|other| retry < other));
        self.first_of(retries, now).or_else(|| self.first_of(!retries, now))
    }

    fn queue(&self, retries: bool) -> &Heap {
        if retries { &self.retries } else { &self.rank }
    }

    /// The key of the best entry, valued anew.
    fn first_key(&mut self, retries: bool, now: Tick) -> Option<u32> {
        for _ in 0..TRIES {
            let (_, name) = self.queue(retries).peek()?;
            if name & COHORT == 0 && self.book.pair(name).ends <= now {
                self.end(name);
                continue;
            }
            let key = if name & COHORT != 0 { self.value_cohort(name, now) } else { self.value(name, now) };
            if self.queue(retries).second_key().is_none_or(|second| key <= second) {
                break;
            }
        }
        self.queue(retries).peek().map(|(key, _)| key)
    }

    fn first_of(&mut self, retries: bool, now: Tick) -> Option<Slot> {
        for _ in 0..TRIES {
            let (key, name) = self.queue(retries).peek()?;
            if let Some(slot) = self.member(name, now) {
                if !retries {
                    self.served += (index_of(key) - self.served) * SERVED_SHARE;
                }
                return Some(slot);
            }
        }
        None
    }

    /// The pair of that name, or a random member of that cohort. Those found to be over end here: more may be over than
    /// one call clears away.
    fn member(&mut self, name: u32, now: Tick) -> Option<Slot> {
        for _ in 0..TRIES {
            let (slot, others) = if name & COHORT == 0 {
                (name, 0)
            } else {
                let members = &self.book.cohort(name).members;
                (members[self.dice.usize(..members.len())], members.len() - 1)
            };
            if self.book.pair(slot).ends > now {
                return Some(slot);
            }
            self.end(slot);
            if others == 0 {
                break; // The cohort is closed with its last member.
            }
        }
        None
    }

    /// Who is asked in a floor slot: one that wants its last look (if there is none, the slot goes to the best), or the
    /// next of the round, by turns.
    pub(super) fn floor(&mut self, now: Tick) -> Option<Slot> {
        if (self.turns / super::FLOOR).is_multiple_of(2) {
            while let Some(slot) = self.lasts.pop_front() {
                let wants = self.book.get(slot).is_some_and(|pair| pair.is(Mark::Last));
                if wants && self.book.pair(slot).ends > now {
                    return Some(slot);
                }
            }
            return None;
        }
        let next = self.round.next(&self.book, now)?;
        let name = match self.book.pair(next).phase {
            Phase::Cohort => self.book.cohort_of(next),
            _ => next,
        };
        let slot = self.member(name, now)?;
        self.round.had(slot);
        Some(slot)
    }
}

/// How long a value holds, in ticks: the further it is below what is served, the longer. Between a half and the whole
/// of that, by name, so that those that came together are not all due together.
fn pause(name: u32, served: f64, index: f64, age: Tick) -> Tick {
    // An index grows with about the square of the time: until it is likely half of what is served.
    let ages = (served / (2.0 * index.max(served * 1e-3))).sqrt() - 1.0;
    let ages = if served == 0.0 { 1.0 } else { ages.max(1.0 / 16.0) };
    let whole = (f64::from(age) * ages).min(f64::from(Tick::MAX)) as Tick;
    // Fibonacci hashing: the upper bits are evenly spread.
    let spread = name.wrapping_mul(0x9E37_79B9) >> 16;
    (whole - ((u64::from(whole) * u64::from(spread)) >> 17) as Tick).max(1)
}

/// Larger indices have smaller keys.
fn key(index: f64) -> u32 {
    // Bits of positive floats are in the order of the floats.
    !(index.max(0.0) as f32).to_bits()
}

fn index_of(key: u32) -> f64 {
    f64::from(f32::from_bits(!key))
}
