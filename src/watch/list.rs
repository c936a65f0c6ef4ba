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
    /// Pairs that stay and whose entry says another push time.
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

    /// Takes over a new list of at most `cap` pairs: pairs that stay keep their slots. Where a pair stands more than
    /// once, its first place says its labels and push time.
    pub fn replace<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>, cap: usize) -> Difference {
        let mut difference = Difference::default();
        for entry in entries {
            let task = match self.task_number(&entry.task) {
                Some(known) => {
                    self.tasks.hold_again(known);
                    known
                }
                None => self.tasks.hold(&Box::from(entry.task.as_str())),
            };
            let labels = self.labels.hold(&entry.label_set());
            let pushed_at = entry.pushed_at.map_or(UNKNOWN, |at| at.clamp(1, u32::MAX.into()) as u32);
            let new = Kept { user: Span::default(), listed: true, marked: true, task, labels, pushed_at };
            for user in &entry.users {
                match self.find(task, user) {
                    Some(slot) => self.confirm(slot, new, &mut difference),
                    None if self.index.len() >= cap => difference.over_limit += 1,
                    None => match self.insert(user, new) {
                        Some(slot) => difference.added.push(slot),
                        None => difference.over_limit += 1,
                    },
                }
            }
            self.tasks.release(task);
            self.labels.release(labels);
        }
        self.remove_unmarked(&mut difference);
        difference
    }

    /// A pair that is listed stands in the new list, too.
    fn confirm(&mut self, slot: Slot, new: Kept, difference: &mut Difference) {
        let kept = &mut self.pairs[slot as usize];
        if std::mem::replace(&mut kept.marked, true) {
            return;
        }
        if kept.labels != new.labels {
            let before = std::mem::replace(&mut kept.labels, new.labels);
            difference.relabelled.push(Gone { slot, labels: self.labels.get(before).clone() });
            self.labels.hold_again(new.labels);
            self.labels.release(before);
        }
        if kept.pushed_at != new.pushed_at {
            kept.pushed_at = new.pushed_at;
            difference.retimed.push(slot);
        }
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
        let same = |slot: &Slot| {
            let kept = &self.pairs[*slot as usize];
            kept.task == task && self.users.get(kept.user) == user
        };
        self.index.find(hash, same).copied()
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
        let (pairs, users, hasher) = (&self.pairs, &self.users, &self.hasher);
        let hash = |slot: &Slot| {
            let kept = &pairs[*slot as usize];
            hasher.hash_one((kept.task, users.get(kept.user)))
        };
        self.index.insert_unique(hash(&slot), slot, hash);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(task: &str, users: &[&str], campaign: &str) -> Entry {
        Entry {
            task: task.into(),
            users: users.iter().map(ToString::to_string).collect(),
            labels: [("campaign".to_owned(), campaign.to_owned())].into(),
            pushed_at: None,
        }
    }

    fn names(list: &List, slots: &[Slot]) -> Vec<String> {
        let pair = |slot: &Slot| list.pair(*slot).map(|p| format!("{}/{}", p.task, p.user)).unwrap();
        slots.iter().map(pair).collect()
    }

    #[test]
    fn a_new_list_is_a_difference_and_pairs_that_stay_keep_their_slots() {
        let mut list = List::default();
        let first = list.replace(&[entry("t1", &["a", "b"], "x"), entry("t2", &["a"], "x")], 100);
        assert_eq!(names(&list, &first.added), ["t1/a", "t1/b", "t2/a"]);
        let kept = first.added[1];
        let second = list.replace(&[entry("t1", &["b", "c"], "x")], 100);
        assert_eq!(names(&list, &second.added), ["t1/c"]);
        let gone: Vec<Slot> = second.gone.iter().map(|g| g.slot).collect();
        assert_eq!(gone, [first.added[0], first.added[2]]);
        assert_eq!(list.pair(kept).unwrap().user, "b");
        assert_eq!((list.slot_of("t1", "b"), list.slot_of("t2", "a")), (Some(kept), None));
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn the_first_place_of_a_pair_says_its_labels() {
        let mut list = List::default();
        let twice = [entry("t", &["a", "a"], "first"), entry("t", &["a"], "second")];
        let difference = list.replace(&twice, 100);
        assert_eq!(difference.added.len(), 1);
        assert_eq!(&*list.pair(difference.added[0]).unwrap().labels[0].1, "first");

        let other = list.replace(&twice[1..], 100);
        assert_eq!((other.added.len(), other.gone.len()), (0, 0));
        assert_eq!(&*other.relabelled[0].labels[0].1, "first");
        assert_eq!(&*list.pair(difference.added[0]).unwrap().labels[0].1, "second");
    }

    #[test]
    fn what_lies_beyond_the_cap_is_counted_and_pairs_that_stay_come_first() {
        let mut list = List::default();
        assert_eq!(list.replace(&[entry("t", &["a", "b", "c"], "")], 2).over_limit, 1);
        let less = list.replace(&[entry("t", &["b", "c"], "")], 2);
        assert_eq!((less.over_limit, less.gone.len()), (1, 1));
        assert_eq!(list.replace(&[entry("t", &["b", "c"], "")], 2).added.len(), 1);
    }

    #[test]
    fn lists_that_change_for_ever_leave_no_tasks_behind() {
        let mut list = List::default();
        for round in 0..2000 {
            let task = format!("task-{round}");
            let difference = list.replace(&[entry(&task, &["a", "b"], &task)], 1000);
            assert_eq!(names(&list, &difference.added), [format!("{task}/a"), format!("{task}/b")]);
        }
        assert_eq!((list.tasks.len(), list.labels.len()), (1, 1));
        assert!(list.pairs.len() <= 4 && !list.users.is_wasteful());
    }

    #[test]
    fn a_pair_taken_off_is_added_again_by_the_next_list() {
        let mut list = List::default();
        let added = list.replace(&[entry("t", &["a"], "x")], 10).added;
        assert!(list.remove(added[0]).is_some());
        assert!(list.remove(added[0]).is_none());
        assert_eq!(list.replace(&[entry("t", &["a"], "x")], 10).added.len(), 1);
    }
}
