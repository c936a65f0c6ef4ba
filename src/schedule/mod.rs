//! Who is next: pure, told the time.
//!
//! Each look is spent where most news is expected: the index of a pair is what a look would bring, by what earlier
//! looks taught, times how long that has been ripening (`docs/scheduling.md`). Every pair is at most once on its way.
//! A pair whose watching is over is handed out as ended, once.

mod book;
mod bytes;
mod cells;
mod chain;
mod clock;
mod grid;
mod groups;
mod heap;
mod index;
mod learned;
mod outcome;
mod rank;
mod retry;
mod round;
mod sample;
mod sampling;
mod told;

use std::collections::VecDeque;

use book::{Book, COHORT, Mark, NONE, Pair, Phase};
use clock::{Clock, Tick};
use groups::Groups;
use heap::{Heap, Order};
use retry::RetryShare;
use round::Round;
use sample::Sample;

pub use bytes::UnreadableLearned;
pub use learned::Learned;
pub use told::{Device, Look, Millis, Report, Route, STAGES, Seed, Slot, State};

/// One and the same pair is not asked more often than this.
const SHORTEST_GAP: Millis = 1_000;
/// So long after its polls began to fail a pair that was never answered is called failing, polled again or not.
const FAILING_AFTER: Millis = 300_000;
/// One look in this many goes to last looks and to the round of all pairs, by turns.
pub const FLOOR: u64 = 32;
/// The last look comes within this share of the time watched before its end.
const LAST_SHARE: u32 = 64;
/// Things to do that one decision takes on at most; the next call goes on.
const STEPS: usize = 16;
/// The same for the figures, which are asked for once a second and have more time.
const FIGURE_STEPS: usize = 1000;

/// The schedule of one app.
#[derive(Debug)]
pub struct Schedule {
    clock: Clock,
    dice: fastrand::Rng,
    book: Book,
    /// When something is to be done about a pair or a cohort.
    time: Heap,
    /// When settled pairs end.
    rests: Heap,
    /// Who is asked next, of the pairs whose latest poll did not fail.
    rank: Heap,
    /// Of those whose latest poll failed.
    retries: Heap,
    retry_share: RetryShare,
    round: Round,
    /// Pairs that want their last look.
    lasts: VecDeque<Slot>,
    ended: VecDeque<Slot>,
    sample: Sample,
    groups: Groups,
    learned: Learned,
    /// Decisions so far.
    turns: u64,
    /// The index that is served at present.
    served: f64,
    counts: [usize; 4],
    /// Pairs that wait for a time.
    later: usize,
    /// First looks that could be made now.
    firsts: usize,
    /// Pairs looked at before whose expected news is worth a look.
    owed: usize,
    /// Pairs that were looked at.
    seen: usize,
    /// Pairs whose push is still to come.
    ahead: usize,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::new(0, Learned::default())
    }
}

impl Schedule {
    /// A schedule without pairs; `dice` seeds its random draws, `learned` is what an earlier one left.
    pub fn new(dice: u64, learned: Learned) -> Schedule {
        Schedule {
            clock: Clock::default(),
            dice: fastrand::Rng::with_seed(dice),
            book: Book::default(),
            time: Heap::new(Order::Time),
            rests: Heap::new(Order::Time),
            rank: Heap::new(Order::Rank),
            retries: Heap::new(Order::Rank),
            retry_share: RetryShare::default(),
            round: Round::default(),
            lasts: VecDeque::new(),
            ended: VecDeque::new(),
            sample: Sample::default(),
            groups: Groups::default(),
            learned,
            turns: 0,
            served: 0.0,
            counts: [0; 4],
            later: 0,
            firsts: 0,
            owed: 0,
            seen: 0,
            ahead: 0,
        }
    }

    /// Takes a pair in; one that is there already is planned anew.
    pub fn insert(&mut self, slot: Slot, seed: Seed, now: Millis) {
        self.remove(slot);
        self.clock.begin(now);
        self.book.reach(slot);
        let state = match (seed.settled, seed.polled_at) {
            (true, _) => State::Settled,
            (false, Some(_)) => State::Active,
            (false, None) => State::New,
        };
        let looked = seed.polled_at.map(|at| self.clock.tick(at.min(now)));
        let ahead = looked.is_none() && seed.pushed_at > now;
        self.ahead += usize::from(ahead);
        self.seen += usize::from(looked.is_some());
        *self.book.pair_mut(slot) = Pair {
            pushed: self.clock.tick_after(seed.pushed_at),
            ends: self.clock.tick_after(seed.ends_at),
            looked: looked.unwrap_or(NONE),
            task: seed.task,
            order: seed.order,
            phase: Phase::Resting,
            ..Pair::GONE
        };
        let pair = self.book.pair_mut(slot);
        pair.set_state(state);
        pair.mark(Mark::Ahead, ahead);
        self.sample_inserted(slot, (seed.is_sampled, seed.is_closed), self.clock.tick(now));
        self.groups.enter(seed.task);
        self.counts[state as usize] += 1;
        if looked.is_some() {
            self.keep_devices(slot, seed.devices, seed.pushed_at);
        }
        let gap = self.clock.ticks(SHORTEST_GAP);
        let at = looked.map_or(self.book.pair(slot).pushed, |looked| looked + gap);
        self.plan(slot, at, self.clock.tick(now));
    }

    /// Takes a pair out; gives its state. A look on its way is forgotten.
    pub fn remove(&mut self, slot: Slot) -> Option<State> {
        let state = self.book.get(slot)?.state();
        self.withdraw(slot);
        self.sample_removed(slot);
        self.seen -= usize::from(self.book.pair(slot).looked != NONE);
        self.book.keep_devices(slot, &[]);
        self.groups.leave(self.book.pair(slot).task);
        *self.book.pair_mut(slot) = Pair::GONE;
        self.counts[state as usize] -= 1;
        Some(state)
    }

    /// The next pair to look at, if any may be asked now: it is on its way until [`Schedule::looked`] is told.
    pub fn take(&mut self, now: Millis) -> Option<Slot> {
        let now = self.clock.tick(now);
        self.ripen(now, STEPS);
        self.turns += 1;
        self.begin_turn(now);
        let floor = if self.turns.is_multiple_of(FLOOR) { self.floor(now) } else { None };
        let slot = floor.or_else(|| self.sample_poll(now)).or_else(|| self.best(now))?;
        self.withdraw(slot);
        let pair = self.book.pair_mut(slot);
        pair.phase = Phase::Taken;
        match pair.failures {
            0 => self.retry_share.earn(),
            _ if self.rank.len() > 0 => self.retry_share.spend(),
            _ => {}
        }
        Some(slot)
    }

    /// A pair whose watching is over and that is not on its way; it is out of the schedule then. One call does a bounded
    /// amount of work: where thousands end at once, those that are not found yet are found by the next calls.
    pub fn take_ended(&mut self, now: Millis) -> Option<(Slot, State)> {
        self.ripen(self.clock.tick(now), STEPS);
        while let Some(slot) = self.ended.pop_front() {
            if self.book.get(slot).is_some_and(|pair| pair.phase == Phase::Ended) {
                return self.remove(slot).map(|state| (slot, state));
            }
        }
        None
    }

    /// When the next look may start: `now` if there is one to make already, `None` if none is planned.
    pub fn next_look_at(&mut self, now: Millis) -> Option<Millis> {
        self.ripen(self.clock.tick(now), STEPS);
        if self.rank.len() + self.retries.len() > 0 {
            return Some(now);
        }
        let (tick, _) = self.time.peek().filter(|_| self.later > 0)?;
        Some(self.clock.millis(tick))
    }

    /// Looks that are owed: to every pair never looked at though its push is out, and to every other whose expected
    /// news is worth a tenth of a failure. 0 while the budget keeps up.
    pub fn backlog(&mut self, now: Millis) -> usize {
        self.ripen(self.clock.tick(now), FIGURE_STEPS);
        self.firsts + self.owed
    }

    /// Of the pairs whose push is out: how many were looked at at least once, and how many there are. Settled ones count.
    pub fn looked_of(&mut self, now: Millis) -> (usize, usize) {
        self.ripen(self.clock.tick(now), FIGURE_STEPS);
        let listed: usize = self.counts.iter().sum();
        (self.seen, listed - self.ahead)
    }

    /// Pairs whose push is still to come, as of the latest call of [`Schedule::looked_of`].
    pub fn ahead(&self) -> usize {
        self.ahead
    }

    /// Pairs listed in that state.
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// The state of a pair that is in the schedule.
    pub fn state(&self, slot: Slot) -> Option<State> {
        let pair = self.book.pairs.get(slot as usize)?;
        (pair.phase != Phase::Gone).then(|| pair.state())
    }

    /// All pairs that are in the schedule.
    #[cfg(test)]
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let slot =
            |(at, pair): (usize, &Pair)| (pair.phase != Phase::Gone).then(|| u32::try_from(at).ok())?;
        self.book.pairs.iter().enumerate().filter_map(slot)
    }

    /// What was learned so far, to be kept.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    /// Bytes held for all pairs, what was learned left out.
    pub fn bytes(&self) -> usize {
        let queues = (self.lasts.capacity() + self.ended.capacity()) * size_of::<Slot>();
        self.book.bytes()
            + self.time.bytes()
            + self.rests.bytes()
            + self.rank.bytes()
            + self.retries.bytes()
            + self.groups.bytes()
            + self.sample.bytes()
            + queues
    }

    /// The clock was set by `by`: every look planned moves along; pushes and ends stay where the calendar has them.
    pub fn shift(&mut self, by: Millis) {
        let by = self.clock.span(by);
        self.round.shift(by);
        let names: Vec<(u32, u32)> = self.time.drain(&mut self.book);
        for pair in self.book.pairs.iter_mut().filter(|pair| pair.looked != NONE) {
            pair.looked = pair.looked.saturating_add_signed(by);
        }
        for (key, name) in names {
            let key = key.saturating_add_signed(by);
            let key = match name & COHORT {
                0 => key.min(self.book.pair(name).ends),
                _ => key,
            };
            self.time.set(key, name, &mut self.book);
        }
        // What was over by the old clock may not be by the new one.
        for slot in std::mem::take(&mut self.ended) {
            if self.book.get(slot).is_some_and(|pair| pair.phase == Phase::Ended) {
                self.plan(slot, Tick::MAX, 0);
            }
        }
    }

    /// Plans a pair that is in no heap: it may be asked from tick `at` on, unless it rests.
    fn plan(&mut self, slot: Slot, at: Tick, now: Tick) {
        if self.book.pair(slot).state() == State::Settled {
            return self.rest(slot, now);
        }
        let held_until = if self.is_held(slot) { self.sample_wants(slot) } else { None };
        let at = held_until.map_or(at, |held_until| at.max(held_until));
        if at <= now && self.book.pair(slot).ends > now {
            self.make_ready(slot, now);
        } else {
            self.put_off(slot, at);
        }
    }

    /// A settled pair rests, once it is closed for the sample.
    fn rest(&mut self, slot: Slot, now: Tick) {
        let ends = self.book.pair(slot).ends;
        match self.closes(slot) {
            Some(closes) if closes > now && closes < ends => return self.put_off(slot, closes),
            Some(closes) if closes <= now => self.tell_settled(slot),
            _ => {}
        }
        self.book.pair_mut(slot).phase = Phase::Resting;
        self.rests.set(ends, slot, &mut self.book);
    }

    fn put_off(&mut self, slot: Slot, at: Tick) {
        let pair = self.book.pair_mut(slot);
        pair.phase = Phase::Later;
        let at = at.min(pair.ends);
        self.later += 1;
        self.time.set(at, slot, &mut self.book);
    }
}

#[cfg(test)]
mod tests;
