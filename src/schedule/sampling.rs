//! The random sample: which pairs enter it, and which polls it wants of them.
//!
//! Polls go where failures are expected, so what they find is no picture of the list. The sample is one: pairs enter it in
//! an order that has nothing to do with outcomes ([`super::Seed::order`]). It wants a first poll of each, when most vendors
//! have answered, and one an hour after the push; a pair that was polled already enters with what is known of it.

use std::cmp::Reverse;

use super::book::{Mark, NONE, Phase};
use super::clock::Tick;
use super::learned::{NOBODY, STANDS};
use super::sample::push;
use super::told::{Millis, Slot, State};
use super::{STEPS, Schedule};

/// How long after its push a pair may enter while too few answers were seen to know when most have come, seconds.
const UNKNOWN_LAG_SECONDS: f64 = 10.0;
/// It never has to wait longer, seconds.
const LONGEST_LAG_SECONDS: f64 = 600.0;
/// How long after its push a pair is closed.
const CLOSE_AFTER: Millis = 3_600_000;
/// Closing polls of one push are spread over so many seconds, the first after the least of them: the upstream has whole
/// seconds.
const CLOSE_SPREAD_SECONDS: u32 = 256;
const CLOSE_LEAST_SECONDS: u32 = 2;
/// The budget does not follow the list where so many first polls are outstanding, and they are more than this share of the
/// pairs whose push is out, or take it longer than so many seconds.
const PRESSED_FIRSTS: usize = 200;
const PRESSED_SHARE: usize = 8;
const PRESSED_SECONDS: f64 = 900.0;
/// Weight of the latest wait between two polls in their mean.
const PACE_SHARE: f64 = 1.0 / 64.0;
/// A pair of which no vendor's answer is known is polled again for the sample when it is so many times as old.
const AGAIN_AGES: u32 = 4;
/// While polls are owed, but the budget follows the list, so many polls pay for a pair that enters.
const POLLS_PER_PAIR: f64 = 20.0;
/// Pairs that may enter for what was saved up.
const MOST_CREDIT: f64 = 4.0;
/// The waits of a device, or of a pair without one, that the answer of a vendor or of the online channel ends.
const ANSWER_WAITS: [u16; 3] = [0, 3, NOBODY.0];
/// Pairs that one call makes out to be old enough, at most.
const AGING_STEPS: usize = 256;

impl Schedule {
    /// Pairs in the random sample.
    pub fn sampled(&self) -> usize {
        self.sample.pairs
    }

    /// Pairs, `most` of them, of which the ledger is to be told: they entered the sample, or nothing more is polled of them
    /// for it.
    pub fn take_sampled(&mut self, most: usize) -> Vec<Slot> {
        let mut slots = Vec::new();
        while slots.len() < most
            && let Some(slot) = self.sample.told.pop()
        {
            let pair = self.book.get(slot);
            if pair.is_some_and(|pair| pair.is(Mark::Sampled) && !pair.is(Mark::Closed)) {
                slots.push(slot);
            }
        }
        slots
    }

    /// The ledger has closed a pair of the sample.
    pub fn closed(&mut self, slot: Slot) {
        if let Some(pair) = self.book.get(slot) {
            pair.mark(Mark::Closed, true);
        }
    }

    /// A pair is in the book: it is in the sample already, or may enter it later.
    pub(super) fn sample_inserted(&mut self, slot: Slot, (is_sampled, is_closed): (bool, bool), now: Tick) {
        let pair = self.book.pair_mut(slot);
        pair.mark(Mark::Sampled, is_sampled);
        pair.mark(Mark::Closed, is_closed);
        let pushed = pair.pushed;
        if is_sampled {
            self.sample.pairs += 1;
        } else {
            let from = pushed.saturating_add(self.lag());
            if from <= now {
                let order = self.book.pair(slot).order;
                push(&mut self.sample.outside, (order, slot));
            } else {
                push(&mut self.sample.young, (from, slot));
            }
        }
    }

    pub(super) fn sample_removed(&mut self, slot: Slot) {
        self.sample.pairs -= usize::from(self.book.pair(slot).is(Mark::Sampled));
    }

    /// A poll is to be decided: it pays a part of a pair.
    pub(super) fn begin_turn(&mut self, now: Tick) {
        self.sample.credit = (self.sample.credit + 1.0 / POLLS_PER_PAIR).min(MOST_CREDIT);
        // How long polls take is seen while first polls wait.
        if self.firsts > 0 && self.sample.polled > 0 {
            let waited = self.clock.seconds(self.sample.polled, now).min(PRESSED_SECONDS);
            self.sample.pace += (waited - self.sample.pace) * PACE_SHARE;
        }
        self.sample.polled = if self.firsts > 0 { now } else { 0 };
        let out = self.counts.iter().sum::<usize>() - self.ahead;
        let is_long = self.firsts as f64 * self.sample.pace > PRESSED_SECONDS;
        self.sample.is_pressed =
            self.firsts >= PRESSED_FIRSTS && (self.firsts > out / PRESSED_SHARE || is_long);
    }

    /// Lets pairs enter, at most so many: all where nothing is owed. Where much is, those that were polled already enter as
    /// the order reaches them.
    pub(super) fn draw(&mut self, now: Tick, steps: usize) {
        self.age(now);
        let is_pressed = self.is_pressed();
        for _ in 0..steps {
            let Some(Reverse((order, slot))) = self.sample.outside.peek().copied() else {
                return;
            };
            let pair = self.book.get(slot).filter(|pair| !pair.is(Mark::Sampled) && pair.order == order);
            if let Some(pair) = pair {
                let is_free = if is_pressed { pair.looked != NONE } else { self.firsts + self.owed == 0 };
                if !is_free && (is_pressed || self.sample.credit < 1.0) {
                    return;
                }
                self.sample.credit -= f64::from(u8::from(!is_free));
                self.enter(slot, now);
            }
            self.sample.outside.pop();
        }
    }

    /// The poll that the sample has in this turn, if any. Of six turns two are for the next pair in the random order, while
    /// much is owed, and one is for what the sample wants again; where it wants nothing, that one is for the order, too.
    pub(super) fn sample_poll(&mut self, now: Tick) -> Option<Slot> {
        let is_free = self.firsts + self.owed == 0;
        match self.turns % 6 {
            1 | 3 if is_free => self.next_wanted(now),
            1 | 3 => self.draw_first(now),
            5 => self.next_wanted(now).or_else(|| self.draw_first(now)),
            _ => None,
        }
    }

    /// Lets the next pair enter that was never polled, for its first poll.
    fn draw_first(&mut self, now: Tick) -> Option<Slot> {
        if !self.is_pressed() {
            return None;
        }
        self.draw(now, STEPS);
        for _ in 0..STEPS {
            let Reverse((order, slot)) = self.sample.outside.pop()?;
            let pair = self.book.get(slot).filter(|pair| !pair.is(Mark::Sampled) && pair.order == order);
            let Some(phase) = pair.map(|pair| pair.phase) else { continue };
            self.enter(slot, now);
            if phase == Phase::Cohort {
                break;
            }
        }
        self.next_wanted(now)
    }

    fn next_wanted(&mut self, now: Tick) -> Option<Slot> {
        while let Some(slot) = self.sample.wanted.pop() {
            let Some(pair) = self.book.get(slot) else { continue };
            let is_ready = matches!(pair.phase, Phase::Ready | Phase::Cohort);
            if pair.mark(Mark::Wanted, false) && is_ready && pair.failures == 0 && pair.ends > now {
                return Some(slot);
            }
        }
        None
    }

    fn enter(&mut self, slot: Slot, now: Tick) {
        let pair = self.book.pair_mut(slot);
        pair.mark(Mark::Sampled, true);
        let phase = pair.phase;
        self.sample.pairs += 1;
        self.sample.told.push(slot);
        match phase {
            Phase::Cohort => self.want(slot),
            Phase::Ready => drop(self.value(slot, now)),
            Phase::Resting => {
                self.withdraw(slot);
                self.plan(slot, now, now);
            }
            Phase::Gone | Phase::Later | Phase::Taken | Phase::Ended => {}
        }
    }

    pub(super) fn want(&mut self, slot: Slot) {
        if !self.book.pair_mut(slot).mark(Mark::Wanted, true) {
            self.sample.wanted.push(slot);
        }
    }

    /// The ledger is to close a settled pair: nothing more is polled of it.
    pub(super) fn tell_settled(&mut self, slot: Slot) {
        self.sample.told.push(slot);
    }

    /// When a pair is to be closed, if it is in the sample and is not closed.
    pub(super) fn closes(&self, slot: Slot) -> Option<Tick> {
        let pair = self.book.pair(slot);
        let spread = CLOSE_LEAST_SECONDS + pair.order % CLOSE_SPREAD_SECONDS;
        let after = self.clock.ticks(CLOSE_AFTER + Millis::from(spread) * 1000);
        let is_open = pair.is(Mark::Sampled) && !pair.is(Mark::Closed);
        is_open.then(|| pair.pushed.saturating_add(after))
    }

    /// When the sample wants its next poll of a pair. One whose polls fail comes by its turn among those.
    pub(super) fn sample_wants(&self, slot: Slot) -> Option<Tick> {
        let closes = self.closes(slot)?;
        let pair = self.book.pair(slot);
        match pair.looked {
            _ if pair.failures > 0 => None,
            NONE => Some(pair.pushed),
            looked if looked >= closes => None,
            looked if self.is_held(slot) => {
                let age = looked.saturating_sub(pair.pushed).max(self.lag());
                Some(pair.pushed.saturating_add(age.saturating_mul(AGAIN_AGES)).min(closes))
            }
            _ => Some(closes),
        }
    }

    /// Whether only the sample decides when a pair is polled next: while much is owed, and no vendor's answer about a pair of
    /// the sample is known. Else those of failing tasks would be known sooner, and the sample would lean.
    pub(super) fn is_held(&self, slot: Slot) -> bool {
        let pair = self.book.pair(slot);
        let is_open = pair.is(Mark::Sampled) && !pair.is(Mark::Closed) && pair.state() == State::Active;
        let awaits =
            || self.book.devices(slot).any(|device| ANSWER_WAITS.contains(&(device.class.0 % STANDS as u16)));
        is_open && pair.looked != NONE && pair.failures == 0 && self.is_pressed() && awaits()
    }

    /// Whether more pairs wait for their first poll than the budget follows, as of the latest turn.
    fn is_pressed(&self) -> bool {
        self.sample.is_pressed
    }

    /// How long after its push a pair may enter: nine of ten vendors' answers have come by then, so that one poll tells.
    fn lag(&self) -> Tick {
        let seconds = self.learned.early_lag().unwrap_or(UNKNOWN_LAG_SECONDS).min(LONGEST_LAG_SECONDS);
        self.clock.ticks((seconds * 1000.0) as Millis)
    }

    fn age(&mut self, now: Tick) {
        for _ in 0..AGING_STEPS {
            let Some(Reverse((_, slot))) = self.sample.young.peek().filter(|young| young.0.0 <= now) else {
                return;
            };
            if let Some(pair) = self.book.get(*slot).filter(|pair| !pair.is(Mark::Sampled)) {
                let (order, slot) = (pair.order, *slot);
                push(&mut self.sample.outside, (order, slot));
            }
            self.sample.young.pop();
        }
    }
}
