//! Who is next: pure, told the time.
//!
//! This first form asks the pair whose look is due earliest; how soon a pair is due again grows with the age of its
//! push. Every pair is at most once on its way. A pair whose watching is over is handed out as expired, once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Names a pair; the numbers should be dense.
pub type Slot = u32;

/// A moment in milliseconds of the clock that the caller uses throughout.
pub type Millis = i64;

/// The next look comes after this share of the push's age.
const LOOKS_PER_AGE: i64 = 32;
const SHORTEST_GAP: Millis = 1_000;
const LONGEST_GAP: Millis = 600_000;
/// The first wait after a refusal of the pair by the API; it doubles with each further one.
const REFUSED_GAP: Millis = 30_000;
const REFUSED_LONGEST_GAP: Millis = 3_600_000;
/// The first wait after a failure that is not the pair's; it doubles with each further one.
const FAILED_GAP: Millis = 1_000;
const FAILED_LONGEST_GAP: Millis = 30_000;

/// What the schedule is told of a pair when it enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Of the push, or of the enrolment where the push time is unknown; looks begin then.
    pub pushed_at: Millis,
    pub polled_at: Option<Millis>,
    /// Watching ends here.
    pub ends_at: Millis,
    /// Nothing more can come: it is only kept until it ends.
    pub settled: bool,
}

/// The state of a pair that is listed; the label `state` of `timpush_watched_pairs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Never answered yet.
    New,
    Active,
    Settled,
    /// The API refuses the pair.
    Failing,
}

impl State {
    pub const ALL: [State; 4] = [State::New, State::Active, State::Settled, State::Failing];

    /// The value of the label `state`.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::New => "new",
            State::Active => "active",
            State::Settled => "settled",
            State::Failing => "failing",
        }
    }
}

/// What became of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// An answer came and is kept.
    Answered { settled: bool, pushed_at: Option<Millis>, ends_at: Millis },
    /// The API refuses this pair.
    Refused,
    /// Something else failed; the next look comes no earlier than this long after.
    Failed { at_least: Millis },
}

/// Where a pair stands in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Due,
    /// A look is on its way.
    Taken,
    /// Settled: no look comes.
    Resting,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    pushed_at: Millis,
    ends_at: Millis,
    due_at: Millis,
    state: State,
    /// Failures in a row.
    failures: u8,
    phase: Phase,
    /// Tells a live heap entry from one that was overtaken.
    version: u32,
}

/// One thing to do, by when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Millis,
    slot: Slot,
    version: u32,
}

/// The schedule of one app.
#[derive(Debug, Default)]
pub struct Schedule {
    plans: Vec<Option<Plan>>,
    versions: u32,
    /// Looks that lie ahead.
    waiting: BinaryHeap<Reverse<Entry>>,
    /// Looks that are due, earliest first.
    due: BinaryHeap<Reverse<Entry>>,
    /// How many live entries `due` holds.
    due_count: usize,
    ends: BinaryHeap<Reverse<(Millis, Slot)>>,
    counts: [usize; 4],
}

impl Schedule {
    /// Takes a pair in; one that is there already is planned anew.
    pub fn insert(&mut self, slot: Slot, seed: Seed, now: Millis) {
        self.remove(slot);
        let at = slot as usize;
        if self.plans.len() <= at {
            self.plans.resize(at + 1, None);
        }
        let state = match (seed.settled, seed.polled_at) {
            (true, _) => State::Settled,
            (false, Some(_)) => State::Active,
            (false, None) => State::New,
        };
        let due_at = match seed.polled_at {
            Some(polled_at) => polled_at.min(now) + gap(seed.pushed_at, polled_at.min(now)),
            None => seed.pushed_at,
        };
        let plan = Plan {
            pushed_at: seed.pushed_at,
            ends_at: seed.ends_at,
            due_at,
            state,
            failures: 0,
            phase: Phase::Resting,
            version: 0,
        };
        self.plans[at] = Some(plan);
        self.counts[state as usize] += 1;
        self.ends.push(Reverse((seed.ends_at, slot)));
        self.wait(slot);
    }

    /// Takes a pair out; gives its state. A look on its way is forgotten.
    pub fn remove(&mut self, slot: Slot) -> Option<State> {
        let plan = self.plans.get_mut(slot as usize)?.take()?;
        self.counts[plan.state as usize] -= 1;
        if plan.phase == Phase::Due {
            self.due_count -= 1;
        }
        Some(plan.state)
    }

    /// The next pair to look at, if one is due: it is on its way until [`Schedule::looked`] is told.
    pub fn take(&mut self, now: Millis) -> Option<Slot> {
        self.ripen(now);
        while let Some(Reverse(entry)) = self.due.pop() {
            if let Some(plan) = self.live(entry) {
                plan.phase = Phase::Taken;
                self.due_count -= 1;
                return Some(entry.slot);
            }
        }
        None
    }

    /// Tells what became of the look that [`Schedule::take`] started.
    pub fn looked(&mut self, slot: Slot, look: Look, now: Millis) {
        let Some(Some(plan)) = self.plans.get_mut(slot as usize) else {
            return; // It left while the look was on its way.
        };
        if plan.phase != Phase::Taken {
            return;
        }
        self.counts[plan.state as usize] -= 1;
        match look {
            Look::Answered { settled, pushed_at, ends_at } => {
                plan.failures = 0;
                plan.state = if settled { State::Settled } else { State::Active };
                plan.pushed_at = pushed_at.unwrap_or(plan.pushed_at);
                plan.due_at = now + gap(plan.pushed_at, now);
                if ends_at != plan.ends_at {
                    plan.ends_at = ends_at;
                    self.ends.push(Reverse((ends_at, slot)));
                }
            }
            Look::Refused => {
                plan.due_at = now + doubled(REFUSED_GAP, plan.failures, REFUSED_LONGEST_GAP);
                plan.failures = plan.failures.saturating_add(1);
                plan.state = State::Failing;
            }
            Look::Failed { at_least } => {
                plan.due_at = now + doubled(FAILED_GAP, plan.failures, FAILED_LONGEST_GAP).max(at_least);
                plan.failures = plan.failures.saturating_add(1);
            }
        }
        self.counts[plan.state as usize] += 1;
        self.wait(slot);
    }

    /// A pair whose watching is over and that is not on its way; it is out of the schedule then.
    pub fn take_ended(&mut self, now: Millis) -> Option<(Slot, State)> {
        while let Some(Reverse((at, slot))) = self.ends.peek().copied()
            && at <= now
        {
            self.ends.pop();
            let Some(Some(plan)) = self.plans.get_mut(slot as usize) else {
                continue; // It left before.
            };
            if plan.ends_at != at {
                continue; // Its end moved.
            }
            if plan.phase != Phase::Taken {
                return self.remove(slot).map(|state| (slot, state));
            }
            plan.ends_at = now + SHORTEST_GAP;
            self.ends.push(Reverse((plan.ends_at, slot)));
        }
        None
    }

    /// When the next look is due: `now` if one is due already, `None` if none is planned.
    pub fn next_look_at(&mut self, now: Millis) -> Option<Millis> {
        self.ripen(now);
        if self.due_count > 0 {
            return Some(now);
        }
        self.waiting.peek().map(|Reverse(entry)| entry.at)
    }

    /// Looks that are due and wait for the budget.
    pub fn due_count(&mut self, now: Millis) -> usize {
        self.ripen(now);
        self.due_count
    }

    /// Pairs listed in that state.
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }

    /// All pairs that are in the schedule.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        let slot = |(at, plan): (usize, &Option<Plan>)| plan.is_some().then(|| u32::try_from(at).ok())?;
        self.plans.iter().enumerate().filter_map(slot)
    }

    /// The clock was set by `by`: every look planned moves along; pushes and ends stay where the calendar has them.
    pub fn shift(&mut self, by: Millis) {
        self.waiting.clear();
        self.due.clear();
        self.due_count = 0;
        let slots: Vec<Slot> = self.slots().collect();
        for slot in slots {
            let Some(Some(plan)) = self.plans.get_mut(slot as usize) else {
                continue;
            };
            plan.due_at += by;
            if plan.phase != Phase::Taken {
                self.wait(slot);
            }
        }
    }

    /// Plans the next look at its time.
    fn wait(&mut self, slot: Slot) {
        self.versions = self.versions.wrapping_add(1);
        let Some(Some(plan)) = self.plans.get_mut(slot as usize) else {
            return;
        };
        plan.version = self.versions;
        if plan.state == State::Settled {
            plan.phase = Phase::Resting;
            return;
        }
        plan.phase = Phase::Waiting;
        self.waiting.push(Reverse(Entry { at: plan.due_at, slot, version: plan.version }));
    }

    /// Moves what has become due.
    fn ripen(&mut self, now: Millis) {
        while let Some(Reverse(entry)) = self.waiting.peek().copied()
            && entry.at <= now
        {
            self.waiting.pop();
            if let Some(plan) = self.live(entry) {
                plan.phase = Phase::Due;
                self.due.push(Reverse(entry));
                self.due_count += 1;
            }
        }
    }

    /// The plan of a heap entry, unless it was overtaken.
    fn live(&mut self, entry: Entry) -> Option<&mut Plan> {
        let plan = self.plans.get_mut(entry.slot as usize)?.as_mut()?;
        (plan.version == entry.version).then_some(plan)
    }
}

/// How long after a look at `now` the next one is due.
fn gap(pushed_at: Millis, now: Millis) -> Millis {
    (now.saturating_sub(pushed_at) / LOOKS_PER_AGE).clamp(SHORTEST_GAP, LONGEST_GAP)
}

fn doubled(first: Millis, failures: u8, longest: Millis) -> Millis {
    (first << failures.min(20)).min(longest)
}

#[cfg(test)]
mod tests;
