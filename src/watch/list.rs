//! The list in force: each pair once, compactly kept, and the difference that a new list makes.

mod over;
mod replace;

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::LabelSet;
use super::arena::{Arena, TextSpan};
use super::interner::Interner;
use over::Over;

pub use replace::{Difference, OVER_AT_ONCE};

/// Names a pair of one list for as long as it is listed; used again afterwards.
pub type Slot = u32;

/// What the list says of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub task: &'a str,
    /// Stands for the task as long as a pair of it is listed.
    pub task_number: u32,
    pub user: &'a str,
    pub labels: &'a LabelSet,
    /// As the entry says, Unix seconds from 1970 to 2106; a time beyond is drawn to the nearest of these.
    pub pushed_at: Option<i64>,
}

/// A pair that left the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub slot: Slot,
    pub labels: LabelSet,
}

/// The pairs of one app.
#[derive(Debug)]
pub struct List {
    tasks: Interner<Box<str>>,
    labels: Interner<LabelSet>,
    users: Arena,
    pairs: Vec<Kept>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    hasher: RandomState,
    over: Over,
}

/// One pair, or a slot that is free.
#[derive(Clone, Copy, Debug)]
struct Kept {
    user: TextSpan,
    /// Whether the slot is in use.
    listed: bool,
    /// Seen in the list that is being taken over.
    marked: bool,
    task: u32,
    labels: u32,
    /// Unix seconds, or [`UNKNOWN`].
    pushed_at: u32,
}

/// No push time.
const UNKNOWN: u32 = 0;

impl Default for List {
    fn default() -> List {
        List {
            tasks: Interner::default(),
            labels: Interner::default(),
            users: Arena::default(),
            pairs: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
            over: Over::default(),
        }
    }
}

impl List {
    /// How many pairs are listed.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if no pair is listed.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// All slots lie below this; some of them may be free.
    pub fn end(&self) -> Slot {
        u32::try_from(self.pairs.len()).expect("max_pairs is far below 2^32")
    }

    /// Where that pair is listed.
    pub fn slot_of(&self, task: &str, user: &str) -> Option<Slot> {
        self.find(self.task_number(task)?, user)
    }

    /// Stands for that task as long as a pair of it is listed.
    pub fn task_number(&self, task: &str) -> Option<u32> {
        self.tasks.number(task)
    }

    /// The pair of a slot that is listed.
    pub fn pair(&self, slot: Slot) -> Option<Pair<'_>> {
        let kept = self.pairs.get(slot as usize).filter(|kept| kept.listed)?;
        Some(Pair {
            task: self.tasks.get(kept.task),
            task_number: kept.task,
            user: self.users.get(kept.user),
            labels: self.labels.get(kept.labels),
            pushed_at: (kept.pushed_at != UNKNOWN).then_some(i64::from(kept.pushed_at)),
        })
    }

    /// Takes a pair whose watching is over off the list. As long as the next lists name it with this push time, they do not
    /// bring it back.
    pub fn finish(&mut self, slot: Slot) -> Option<Gone> {
        let kept = self.pairs.get(slot as usize).filter(|kept| kept.listed)?;
        self.over.add(self.tasks.get(kept.task), self.users.get(kept.user), kept.pushed_at);
        self.remove(slot)
    }

    /// How many pairs are over that the list in force names.
    pub fn over(&self) -> usize {
        self.over.len()
    }

    /// Forgets which pairs are over: the next list brings back those that it names.
    pub fn forget_over(&mut self) {
        self.over.clear();
    }

    /// Takes a pair off the list.
    fn remove(&mut self, slot: Slot) -> Option<Gone> {
        let kept = *self.pairs.get(slot as usize).filter(|kept| kept.listed)?;
        let hash = self.hasher.hash_one((kept.task, self.users.get(kept.user)));
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        let labels = self.labels.get(kept.labels).clone();
        self.users.drop_text(kept.user);
        self.tasks.release(kept.task);
        self.labels.release(kept.labels);
        self.pairs[slot as usize].listed = false;
        self.free.push(slot);
        Some(Gone { slot, labels })
    }

    fn find(&self, task: u32, user: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one((task, user));
        self.index.find(hash, |slot| self.is_at(*slot, task, user)).copied()
    }

    /// True if that pair is listed at that slot.
    fn is_at(&self, slot: Slot, task: u32, user: &str) -> bool {
        let kept = self.pairs.get(slot as usize);
        kept.is_some_and(|kept| kept.listed && kept.task == task && self.users.is(kept.user, user))
    }

    /// `None` if there is no room for the name of the user.
    fn insert(&mut self, user: &str, new: Kept) -> Option<Slot> {
        let kept = Kept { user: self.users.keep(user)?, ..new };
        self.tasks.hold_again(kept.task);
        self.labels.hold_again(kept.labels);
        let slot = match self.free.pop() {
            Some(slot) => {
                self.pairs[slot as usize] = kept;
                slot
            }
            None => {
                if self.pairs.len() == self.pairs.capacity() {
                    // A doubling would leave too much empty.
                    self.pairs.reserve_exact(self.pairs.len() / 32 + 4);
                }
                self.pairs.push(kept);
                u32::try_from(self.pairs.len() - 1).expect("max_pairs is far below 2^32")
            }
        };
        let hash = self.hasher.hash_one((kept.task, user));
        let List { index, pairs, users, hasher, .. } = self;
        index.insert_unique(hash, slot, hash_of(pairs, users, hasher));
        Some(slot)
    }
}

/// The hash under which the pair of a slot stands in the index.
fn hash_of<'a>(pairs: &'a [Kept], users: &'a Arena, hasher: &'a RandomState) -> impl Fn(&Slot) -> u64 + 'a {
    |slot| {
        let kept = &pairs[*slot as usize];
        hasher.hash_one((kept.task, users.get(kept.user)))
    }
}

#[cfg(test)]
mod tests;
