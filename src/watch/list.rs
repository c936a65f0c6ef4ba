//! The list in force: each pair once, compactly kept, and the difference that a new list makes.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::arena::{Arena, Span};
use super::interner::Interner;
use super::{Entry, LabelSet};

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

/// What a new list changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub added: Vec<Slot>,
    pub gone: Vec<Gone>,
    /// Pairs that stay, with the labels they had before.
    pub relabelled: Vec<Gone>,
    /// Pairs that stay with their labels and whose entry says another push time.
    pub retimed: Vec<Slot>,
    /// Pairs refused because the list is full.
    pub over_limit: u64,
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
}

/// One pair, or a slot that is free.
#[derive(Clone, Copy, Debug)]
struct Kept {
    user: Span,
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

    /// Takes over a new list of at most `cap` pairs: pairs that stay keep their slots and come first. Where a pair stands
    /// more than once, its first place says its labels and push time.
    ///
    /// Pairs that are new and whose entry says that they were pushed at `over_at` or before take none of these places:
    /// their watching is over, whether it had begun or not. There may be `cap` of them beside.
    pub fn replace<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry, IntoIter: Clone>,
        cap: usize,
        over_at: i64,
    ) -> Difference {
        let mut difference = Difference::default();
        let entries = entries.into_iter();
        let first_new = self.keep(entries.clone(), cap, &mut difference);
        self.remove_unmarked(&mut difference);
        if let Some(first_new) = first_new {
            self.make_room(entries.clone(), cap);
            self.add(entries.skip(first_new), (cap, over_at), &mut difference);
        }
        difference
    }

    /// Marks the pairs that stay, `cap` of them at most; gives the place of the first entry that names another one.
    fn keep<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        cap: usize,
        difference: &mut Difference,
    ) -> Option<usize> {
        let mut first_new = None;
        let mut shared = None;
        let mut kept = 0;
        // A list that changed little names its pairs in the order of their slots.
        let mut next = 0;
        for (place, entry) in entries.enumerate() {
            let Some(task) = self.task_number(&entry.task) else {
                first_new.get_or_insert(place);
                continue;
            };
            let new = self.kept_as(entry, task, &mut shared);
            for user in &entry.users {
                let found = Some(next).filter(|slot| self.is_at(*slot, task, user));
                let found = found.or_else(|| self.find(task, user));
                match found.filter(|slot| kept < cap || self.pairs[*slot as usize].marked) {
                    Some(slot) => {
                        kept += usize::from(self.confirm(slot, new, difference));
                        next = slot + 1;
                    }
                    None => {
                        first_new.get_or_insert(place);
                    }
                }
            }
        }
        self.release_labels(shared);
        first_new
    }

    /// Adds the pairs that are not listed yet, as far as there is room.
    fn add<'a>(
        &mut self,
        entries: impl Iterator<Item = &'a Entry>,
        (cap, over_at): (usize, i64),
        difference: &mut Difference,
    ) {
        let mut shared = None;
        let mut over = 0;
        for entry in entries {
            let task = match self.task_number(&entry.task) {
                Some(known) => {
                    self.tasks.hold_again(known);
                    known
                }
                None => self.tasks.hold(&Box::from(entry.task.as_str())),
            };
            let new = Kept { marked: false, ..self.kept_as(entry, task, &mut shared) };
            let is_over = entry.pushed_at.is_some_and(|at| at <= over_at);
            for user in &entry.users {
                if self.find(task, user).is_some() {
                    continue;
                }
                let taken = if is_over { over } else { self.index.len() - over };
                match Some(user).filter(|_| taken < cap).and_then(|user| self.insert(user, new)) {
                    Some(slot) => {
                        over += usize::from(is_over);
                        difference.added.push(slot);
                    }
                    None => difference.over_limit += 1,
                }
            }
            self.tasks.release(task);
        }
        self.release_labels(shared);
    }

    /// What is kept of each pair of an entry. Neighbours mostly share their labels, which stay held in `shared` from one
    /// to the next.
    fn kept_as<'a>(&mut self, entry: &'a Entry, task: u32, shared: &mut Option<(&'a Entry, u32)>) -> Kept {
        let labels = match *shared {
            Some((before, labels)) if before.labels == entry.labels => labels,
            _ => {
                let labels = self.labels.hold(&entry.label_set());
                let before = shared.replace((entry, labels));
                self.release_labels(before);
                labels
            }
        };
        let pushed_at = entry.pushed_at.map_or(UNKNOWN, |at| at.clamp(1, u32::MAX.into()) as u32);
        Kept { user: Span::default(), listed: true, marked: true, task, labels, pushed_at }
    }

    fn release_labels(&mut self, shared: Option<(&Entry, u32)>) {
        if let Some((_, labels)) = shared {
            self.labels.release(labels);
        }
    }

    /// Makes room at once for a list that is longer than the one in force, where growing step by step would move all
    /// that is there again and again.
    fn make_room<'a>(&mut self, entries: impl Iterator<Item = &'a Entry> + Clone, cap: usize) {
        let listed = entries.clone().map(|entry| entry.users.len()).sum::<usize>().min(cap);
        let more = listed.saturating_sub(self.pairs.len());
        if more == 0 {
            return;
        }
        self.pairs.reserve_exact(more);
        let users = entries.flat_map(|entry| &entry.users);
        self.users.reserve(users.take(listed).skip(listed - more).map(String::len).sum());
        let List { index, pairs, users, hasher, .. } = self;
        index.reserve(listed.saturating_sub(index.len()), hash_of(pairs, users, hasher));
    }

    /// A pair that is listed stands in the new list, too; false if it stood there before.
    fn confirm(&mut self, slot: Slot, new: Kept, difference: &mut Difference) -> bool {
        let kept = &mut self.pairs[slot as usize];
        if std::mem::replace(&mut kept.marked, true) {
            return false;
        }
        let is_retimed = std::mem::replace(&mut kept.pushed_at, new.pushed_at) != new.pushed_at;
        if kept.labels != new.labels {
            let before = std::mem::replace(&mut kept.labels, new.labels);
            difference.relabelled.push(Gone { slot, labels: self.labels.get(before).clone() });
            self.labels.hold_again(new.labels);
            self.labels.release(before);
        } else if is_retimed {
            difference.retimed.push(slot);
        }
        true
    }

    fn remove_unmarked(&mut self, difference: &mut Difference) {
        for at in 0..self.pairs.len() {
            let kept = &mut self.pairs[at];
            if kept.listed && !std::mem::take(&mut kept.marked) {
                let slot = u32::try_from(at).expect("slots are counted in u32");
                difference.gone.extend(self.remove(slot));
            }
        }
        if self.users.is_wasteful() {
            self.users.compact(self.pairs.iter_mut().filter(|kept| kept.listed).map(|kept| &mut kept.user));
        }
    }

    /// Takes a pair off the list.
    pub fn remove(&mut self, slot: Slot) -> Option<Gone> {
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
