//! What is kept of each pair and each cohort, in as few bytes as it takes.

use std::collections::HashMap;

use super::heap::{NOWHERE, Order, Places, grow};
use super::learned::{Class, PLATFORMS_CAP, STANDS};
use super::told::{Slot, State};

/// Names a cohort among the names of pairs.
pub const COHORT: u32 = 1 << 31;
/// No pair, no device, no look.
pub const NONE: u32 = u32::MAX;

/// Where a pair stands in the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No pair has this slot.
    Gone,
    /// It may be asked from a later time on.
    Later,
    /// Never looked at: its cohort stands for it.
    Cohort,
    /// It may be asked at any time.
    Ready,
    /// A look is on its way.
    Taken,
    /// Settled: no look comes.
    Resting,
    /// Its watching is over; it waits to be fetched.
    Ended,
}

/// A device that may still report something.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Tick from which its present wait counts.
    pub since: u32,
    pub class: Class,
}

/// One pair.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Ticks.
    pub pushed: u32,
    pub ends: u32,
    /// The latest look that was answered, or [`NONE`].
    pub looked: u32,
    pub task: u32,
    /// Its place in the random order of the sample.
    pub order: u32,
    /// Its places in the two heaps; [`Phase::Cohort`] uses the second for its place in the cohort.
    pub places: [u32; 2],
    /// Its first waiting device: since when, and which class ([`NOT_WAITING`] if there is none). Of a pair that was never
    /// answered: its cohort, then when its polls began to fail.
    pub since: u32,
    /// The others, in [`Book::devices`], or [`NONE`].
    pub more: u32,
    pub class: u8,
    /// Failures in a row.
    pub failures: u8,
    pub phase: Phase,
    /// Its state in the lowest two bits, and [`Mark`]s.
    pub marks: u8,
}

/// What may be true of a pair, as a bit.
#[derive(Clone, Copy, Debug)]
pub enum Mark {
    /// Its expected news is worth a look.
    Owed = 1 << 2,
    /// It waits for its last look.
    Last = 1 << 3,
    /// Its push is still to come.
    Ahead = 1 << 4,
    /// It is in the sample.
    Sampled = 1 << 5,
    /// It is closed there.
    Closed = 1 << 6,
    /// The sample wants a poll of it.
    Wanted = 1 << 7,
}

/// The class of a pair of which nothing waits.
pub const NOT_WAITING: u8 = u8::MAX;
const _: () = assert!((PLATFORMS_CAP + 1) * STANDS < NOT_WAITING as usize, "a class takes one byte");

/// A device beyond the first of a pair.
#[derive(Clone, Copy, Debug)]
struct More {
    since: u32,
    next: u32,
    class: u16,
}

/// Pairs of one task and push time that were never looked at: one index stands for all.
#[derive(Debug)]
pub struct Cohort {
    pub members: Vec<Slot>,
    /// Ticks.
    pub pushed: u32,
    pub opened: u32,
    pub task: u32,
    /// The push time in buckets under which it was opened.
    key: u32,
    pub places: [u32; 2],
}

/// All pairs and cohorts.
#[derive(Debug)]
pub struct Book {
    pub pairs: Vec<Pair>,
    pub cohorts: Vec<Cohort>,
    /// Cohorts without members, to be used again.
    free: Vec<u32>,
    /// The cohort that takes new members, by task and push time.
    open: HashMap<(u32, u32), u32>,
    devices: Vec<More>,
    /// The first of the devices that are to be used again.
    free_device: u32,
}

impl Pair {
    pub const GONE: Pair = Pair {
        pushed: 0,
        ends: 0,
        looked: NONE,
        task: 0,
        order: 0,
        places: [NOWHERE; 2],
        since: 0,
        more: NONE,
        class: NOT_WAITING,
        failures: 0,
        phase: Phase::Gone,
        marks: State::New as u8,
    };

    pub fn state(&self) -> State {
        State::ALL[usize::from(self.marks & 3)]
    }

    pub fn set_state(&mut self, state: State) {
        self.marks = self.marks & !3 | state as u8;
    }

    pub fn is(&self, mark: Mark) -> bool {
        self.marks & mark as u8 != 0
    }

    /// Sets a mark or takes it away; gives what was there.
    pub fn mark(&mut self, mark: Mark, on: bool) -> bool {
        let was = self.is(mark);
        self.marks = if on { self.marks | mark as u8 } else { self.marks & !(mark as u8) };
        was
    }

    /// When a pair that was never answered is called failing, so many ticks after its polls began to fail.
    pub fn failing_from(&self, after: u32) -> Option<u32> {
        (self.looked == NONE && self.failures > 0).then(|| self.since.saturating_add(after))
    }

    /// The latest look, or the push if there was none.
    pub fn since_look(&self) -> u32 {
        if self.looked == NONE { self.pushed } else { self.looked }
    }
}

impl Default for Book {
    fn default() -> Book {
        Book {
            pairs: Vec::new(),
            cohorts: Vec::new(),
            free: Vec::new(),
            open: HashMap::new(),
            devices: Vec::new(),
            free_device: NONE,
        }
    }
}

impl Book {
    /// The pair of that slot, if there is one.
    pub fn get(&mut self, slot: Slot) -> Option<&mut Pair> {
        let pair = self.pairs.get_mut(slot as usize)?;
        (pair.phase != Phase::Gone).then_some(pair)
    }

    /// Makes room for that slot.
    pub fn reach(&mut self, slot: Slot) {
        let len = slot as usize + 1;
        if self.pairs.len() < len {
            if self.pairs.capacity() < len {
                let more = len - self.pairs.len();
                self.pairs.reserve_exact(more + self.pairs.len() / 32);
            }
            self.pairs.resize(len, Pair::GONE);
        }
    }

    pub fn pair(&self, slot: Slot) -> &Pair {
        &self.pairs[slot as usize]
    }

    pub fn pair_mut(&mut self, slot: Slot) -> &mut Pair {
        &mut self.pairs[slot as usize]
    }

    pub fn cohort(&self, name: u32) -> &Cohort {
        &self.cohorts[(name & !COHORT) as usize]
    }

    /// Puts a pair into the cohort of its task and push; gives the cohort's name. The key of the cohort has the
    /// resolution `bucket`, and it takes members for `open_for` ticks.
    pub fn join(&mut self, slot: Slot, now: u32, (bucket, open_for): (u32, u32)) -> u32 {
        let pair = *self.pair(slot);
        let key = (pair.task, pair.pushed / bucket);
        let found = self.open.get(&key).copied();
        let found = found.filter(|at| now.saturating_sub(self.cohorts[*at as usize].opened) < open_for);
        let at = found.unwrap_or_else(|| self.open_cohort(&pair, now, key.1));
        self.open.insert(key, at);
        let cohort = &mut self.cohorts[at as usize];
        cohort.pushed = cohort.pushed.min(pair.pushed);
        let place = cohort.members.len() as u32;
        grow(&mut cohort.members);
        cohort.members.push(slot);
        let pair = self.pair_mut(slot);
        pair.phase = Phase::Cohort;
        pair.places[Order::Rank as usize] = place;
        pair.since = at;
        at | COHORT
    }

    /// The name of the cohort that takes pairs of that task and push.
    pub fn open_cohort_of(&self, pair: &Pair, bucket: u32) -> Option<u32> {
        self.open.get(&(pair.task, pair.pushed / bucket)).map(|at| at | COHORT)
    }

    /// The cohort of a pair that is in one.
    pub fn cohort_of(&self, slot: Slot) -> u32 {
        self.pair(slot).since | COHORT
    }

    /// Takes a pair out of its cohort; gives the cohort's name and whether it is empty now.
    pub fn leave(&mut self, slot: Slot) -> (u32, bool) {
        let name = self.cohort_of(slot);
        let place = self.pair(slot).places[Order::Rank as usize] as usize;
        let cohort = &mut self.cohorts[(name & !COHORT) as usize];
        cohort.members.swap_remove(place);
        let empty = cohort.members.is_empty();
        if let Some(moved) = cohort.members.get(place).copied() {
            self.pair_mut(moved).places[Order::Rank as usize] = place as u32;
        }
        let pair = self.pair_mut(slot);
        pair.places[Order::Rank as usize] = NOWHERE;
        pair.phase = Phase::Later;
        (name, empty)
    }

    /// Gives an empty cohort back; it is in no heap any more.
    pub fn close(&mut self, name: u32) {
        let at = name & !COHORT;
        let cohort = &mut self.cohorts[at as usize];
        cohort.members = Vec::new();
        let task = cohort.task;
        let key = (task, cohort.key);
        if self.open.get(&key) == Some(&at) {
            self.open.remove(&key);
        }
        self.free.push(at);
    }

    /// The waiting devices of a pair that was looked at.
    pub fn devices(&self, slot: Slot) -> impl Iterator<Item = Waiting> + '_ {
        let pair = self.pair(slot);
        let first = (pair.class != NOT_WAITING)
            .then_some(Waiting { since: pair.since, class: Class(pair.class.into()) });
        let mut at = pair.more;
        let more = std::iter::from_fn(move || {
            let device = self.devices.get(at as usize)?;
            at = device.next;
            Some(Waiting { since: device.since, class: Class(device.class) })
        });
        first.into_iter().chain(more)
    }

    /// Keeps the waiting devices of a pair.
    pub fn keep_devices(&mut self, slot: Slot, devices: &[Waiting]) {
        let mut at = self.pair(slot).more;
        while let Some(device) = self.devices.get_mut(at as usize) {
            let next = std::mem::replace(&mut device.next, self.free_device);
            self.free_device = at;
            at = next;
        }
        let mut more = NONE;
        for device in devices.iter().skip(1) {
            let kept = More { since: device.since, next: more, class: device.class.0 };
            more = self.free_device;
            if let Some(free) = self.devices.get_mut(more as usize) {
                self.free_device = free.next;
                *free = kept;
            } else {
                more = self.devices.len() as u32;
                grow(&mut self.devices);
                self.devices.push(kept);
            }
        }
        let pair = self.pair_mut(slot);
        pair.more = more;
        pair.class = devices.first().map_or(NOT_WAITING, |device| device.class.0 as u8);
        pair.since = devices.first().map_or(0, |device| device.since);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let members: usize = self.cohorts.iter().map(|c| c.members.capacity() * size_of::<Slot>()).sum();
        // A hash table holds one byte beside each entry, and has room for 8/7 of what it says.
        let open = self.open.capacity() * 8 / 7 * (size_of::<((u32, u32), u32)>() + 1);
        self.pairs.capacity() * size_of::<Pair>()
            + self.cohorts.capacity() * size_of::<Cohort>()
            + self.devices.capacity() * size_of::<More>()
            + self.free.capacity() * size_of::<u32>()
            + members
            + open
    }

    fn open_cohort(&mut self, pair: &Pair, now: u32, key: u32) -> u32 {
        let cohort = Cohort {
            members: Vec::new(),
            pushed: pair.pushed,
            opened: now,
            task: pair.task,
            key,
            places: [NOWHERE; 2],
        };
        match self.free.pop() {
            Some(at) => {
                self.cohorts[at as usize] = cohort;
                at
            }
            None => {
                grow(&mut self.cohorts);
                self.cohorts.push(cohort);
                self.cohorts.len() as u32 - 1
            }
        }
    }
}

impl Places for Book {
    fn place(&self, order: Order, name: u32) -> u32 {
        if name & COHORT != 0 {
            self.cohort(name).places[order as usize]
        } else {
            let pair = self.pair(name);
            if order == Order::Rank && pair.phase == Phase::Cohort {
                return NOWHERE; // It holds the place in the cohort.
            }
            pair.places[order as usize]
        }
    }

    fn set_place(&mut self, order: Order, name: u32, at: u32) {
        if name & COHORT != 0 {
            self.cohorts[(name & !COHORT) as usize].places[order as usize] = at;
        } else {
            self.pairs[name as usize].places[order as usize] = at;
        }
    }
}
