//! What became of a look: what is learned from it, and when the next one may come.

use super::book::{Mark, NONE, NOT_WAITING, Pair, Phase, Waiting};
use super::learned::{Class, NOBODY, Span};
use super::told::{Device, Look, Millis, Slot, State};
use super::{SHORTEST_GAP, Schedule};

/// The first wait after a refusal of the pair by the API; it doubles with each further one.
const REFUSED_GAP: Millis = 30_000;
const REFUSED_LONGEST_GAP: Millis = 3_600_000;
/// The first wait after a failure that is not the pair's; it doubles with each further one.
const FAILED_GAP: Millis = 1_000;
const FAILED_LONGEST_GAP: Millis = 30_000;
/// Failures in a row after which a pair is called failing.
const FAILING_FAILURES: u8 = 5;

impl Schedule {
    /// Tells what became of the look that [`Schedule::take`] started.
    pub fn looked(&mut self, slot: Slot, look: Look, now: Millis) {
        let taken = self.book.get(slot).is_some_and(|pair| pair.phase == Phase::Taken);
        if !taken {
            return; // It left while the look was on its way.
        }
        self.counts[self.book.pair(slot).state() as usize] -= 1;
        let wait = match look {
            Look::Answered { settled, is_closed, confirm_from, pushed_at, ends_at, devices } => {
                self.answered(slot, devices, pushed_at, now);
                let ends = self.clock.tick_after(ends_at);
                let pair = self.book.pair_mut(slot);
                if std::mem::take(&mut pair.failures) > 0 {
                    self.retry_share.answered();
                }
                pair.set_state(if settled { State::Settled } else { State::Active });
                pair.ends = ends;
                if is_closed {
                    pair.mark(Mark::Closed, true);
                }
                confirm_from.map_or(SHORTEST_GAP, |from| SHORTEST_GAP.max(from - now))
            }
            Look::Refused => {
                let pair = self.failed(slot, now);
                pair.set_state(State::Failing);
                doubled(REFUSED_GAP, pair.failures, REFUSED_LONGEST_GAP)
            }
            Look::Failed { at_least } => {
                let pair = self.failed(slot, now);
                if pair.failures >= FAILING_FAILURES {
                    pair.set_state(State::Failing);
                }
                doubled(FAILED_GAP, pair.failures, FAILED_LONGEST_GAP).max(at_least)
            }
        };
        self.counts[self.book.pair(slot).state() as usize] += 1;
        let at = self.clock.tick_after(now.saturating_add(wait));
        self.plan(slot, at, self.clock.tick(now));
    }

    /// One more poll of a pair failed.
    fn failed(&mut self, slot: Slot, now: Millis) -> &mut Pair {
        let now = self.clock.tick(now);
        let pair = self.book.pair_mut(slot);
        if pair.failures > 0 {
            self.retry_share.failed();
        }
        pair.failures = pair.failures.saturating_add(1);
        if pair.looked == NONE {
            if pair.failures == 1 {
                pair.since = now;
            }
            self.groups.first_failed(pair.task);
        }
        pair
    }

    /// Learns from an answer and keeps what may still come.
    fn answered(&mut self, slot: Slot, devices: &[Device], pushed_at: Option<Millis>, now: Millis) {
        let pair = *self.book.pair(slot);
        let pushed_at = pushed_at.unwrap_or_else(|| self.clock.millis(pair.pushed));
        let span =
            Span { pushed_at, looked_at: (pair.looked != NONE).then(|| self.clock.millis(pair.looked)), now };
        if span.looked_at.is_none() {
            let ratio = self.learned.learn_first(devices, span);
            let answers_again = self.groups.first_look(pair.task, pushed_at, ratio);
            self.seen += 1;
            if answers_again {
                self.value_cohort_of(&pair, now);
            }
        }
        if devices.is_empty() || u16::from(pair.class) == NOBODY.0 {
            self.learned.learn_nobody(devices, span);
        }
        for device in devices {
            let groups = &mut self.groups;
            let say = |class: Class, ratio| groups.look(pair.task, class.0, ratio);
            self.learned.learn(device, span, say);
        }
        self.learned.refit(now);
        let pushed = self.clock.tick_after(pushed_at);
        let looked = self.clock.tick(now);
        let pair = self.book.pair_mut(slot);
        pair.pushed = pushed;
        pair.looked = looked;
        if span.looked_at.is_none() {
            pair.class = NOT_WAITING;
        }
        self.keep_devices(slot, devices, pushed_at);
    }

    pub(super) fn keep_devices(&mut self, slot: Slot, devices: &[Device], pushed_at: Millis) {
        let mut waiting = Vec::with_capacity(devices.len());
        for device in devices {
            if let Some((class, since)) = self.learned.standing(device, pushed_at) {
                let since = self.clock.tick(since);
                waiting.push(Waiting { since, class });
            }
        }
        if devices.is_empty() {
            let since = self.clock.tick(pushed_at);
            waiting.push(Waiting { since, class: NOBODY });
        }
        self.book.keep_devices(slot, &waiting);
    }
}

/// The wait after so many failures in a row.
fn doubled(first: Millis, failures: u8, longest: Millis) -> Millis {
    (first << failures.saturating_sub(1).min(20)).min(longest)
}
