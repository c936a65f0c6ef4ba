//! The list in force: each pair once, compactly kept, and the difference that a new list makes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::{Entry, LabelSet};

/// Names a pair of one list for as long as it is listed; used again afterwards.
pub type Slot = u32;

/// What the list says of a pair.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub task: &'a str,
    pub user: &'a str,
    pub labels: &'a LabelSet,
    /// As the entry says, Unix seconds.
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
    cap: usize,
    tasks: Vec<Box<str>>,
    task_numbers: HashMap<Box<str>, u32>,
    labels: Vec<LabelSet>,
    label_numbers: HashMap<LabelSet, u32>,
    pairs: Vec<Option<Kept>>,
    free: Vec<Slot>,
    index: HashTable<Slot>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Kept {
    user: Box<str>,
    task: u32,
    labels: u32,
    pushed_at: Option<i64>,
    /// Seen in the list that is being taken over.
    marked: bool,
}

impl List {
    /// An empty list that takes at most `cap` pairs.
    pub fn new(cap: usize) -> List {
        List {
            cap,
            tasks: Vec::new(),
            task_numbers: HashMap::new(),
            labels: Vec::new(),
            label_numbers: HashMap::new(),
            pairs: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// How many pairs are listed.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if no pair is listed.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The pair of a slot that is listed.
    pub fn pair(&self, slot: Slot) -> Option<Pair<'_>> {
        let kept = self.pairs.get(slot as usize)?.as_ref()?;
        Some(Pair {
            task: &self.tasks[kept.task as usize],
            user: &kept.user,
            labels: &self.labels[kept.labels as usize],
            pushed_at: kept.pushed_at,
        })
    }

    /// Takes over a new list: pairs that stay keep their slots. Where a pair stands more than once, its first place
    /// says its labels and push time.
    pub fn replace<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>, cap: usize) -> Difference {
        self.cap = cap;
        let mut difference = Difference::default();
        for entry in entries {
            let task = self.task_number(&entry.task);
            let labels = self.label_number(label_set(entry));
            for user in &entry.users {
                self.take(
                    user,
                    Kept { user: "".into(), task, labels, pushed_at: entry.pushed_at, marked: true },
                    &mut difference,
                );
            }
        }
        for slot in 0..self.pairs.len() {
            match &mut self.pairs[slot] {
                Some(kept) if kept.marked => kept.marked = false,
                Some(_) => {
                    let slot = u32::try_from(slot).expect("slots are counted in u32");
                    difference.gone.extend(self.remove(slot));
                }
                None => {}
            }
        }
        self.forget_unused();
        difference
    }

    fn take(&mut self, user: &str, new: Kept, difference: &mut Difference) {
        let Some(slot) = self.find(new.task, user) else {
            if self.index.len() >= self.cap {
                difference.over_limit += 1;
                return;
            }
            difference.added.push(self.insert(Kept { user: user.into(), ..new }));
            return;
        };
        let kept = self.pairs[slot as usize].as_mut().expect("the index holds listed slots only");
        if std::mem::replace(&mut kept.marked, true) {
            return;
        }
        if kept.labels != new.labels {
            let before = self.labels[kept.labels as usize].clone();
            kept.labels = new.labels;
            difference.relabelled.push(Gone { slot, labels: before });
        }
        if kept.pushed_at != new.pushed_at {
            kept.pushed_at = new.pushed_at;
            difference.retimed.push(slot);
        }
    }

    /// Takes a pair off the list.
    pub fn remove(&mut self, slot: Slot) -> Option<Gone> {
        let kept = self.pairs.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one((kept.task, &*kept.user));
        if let Ok(entry) = self.index.find_entry(hash, |found| *found == slot) {
            entry.remove();
        }
        self.free.push(slot);
        Some(Gone { slot, labels: self.labels[kept.labels as usize].clone() })
    }

    fn find(&self, task: u32, user: &str) -> Option<Slot> {
        let hash = self.hasher.hash_one((task, user));
        let same = |slot: &Slot| {
            let kept = self.pairs[*slot as usize].as_ref();
            kept.is_some_and(|kept| kept.task == task && *kept.user == *user)
        };
        self.index.find(hash, same).copied()
    }

    fn insert(&mut self, kept: Kept) -> Slot {
        let slot = match self.free.pop() {
            Some(slot) => {
                self.pairs[slot as usize] = Some(kept);
                slot
            }
            None => {
                self.pairs.push(Some(kept));
                u32::try_from(self.pairs.len() - 1).expect("max_pairs is far below 2^32")
            }
        };
        self.enter_index(slot);
        slot
    }

    fn enter_index(&mut self, slot: Slot) {
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        let hash = |slot: &Slot| {
            let kept = pairs[*slot as usize].as_ref().expect("the index holds listed slots only");
            hasher.hash_one((kept.task, &*kept.user))
        };
        self.index.insert_unique(hash(&slot), slot, hash);
    }

    fn task_number(&mut self, task: &str) -> u32 {
        if let Some(number) = self.task_numbers.get(task) {
            return *number;
        }
        let number = u32::try_from(self.tasks.len()).expect("tasks are fewer than pairs");
        self.tasks.push(task.into());
        self.task_numbers.insert(task.into(), number);
        number
    }

    fn label_number(&mut self, set: LabelSet) -> u32 {
        if let Some(number) = self.label_numbers.get(&set) {
            return *number;
        }
        let number = u32::try_from(self.labels.len()).expect("label sets are fewer than pairs");
        self.labels.push(set.clone());
        self.label_numbers.insert(set, number);
        number
    }

    /// Numbers tasks and label sets anew once most of them are of pairs long gone.
    fn forget_unused(&mut self) {
        if self.tasks.len() + self.labels.len() <= 2 * self.index.len() + 64 {
            return;
        }
        let (tasks, labels) = (std::mem::take(&mut self.tasks), std::mem::take(&mut self.labels));
        self.task_numbers.clear();
        self.label_numbers.clear();
        self.index.clear();
        let pairs = std::mem::take(&mut self.pairs);
        for mut kept in pairs {
            if let Some(kept) = kept.as_mut() {
                kept.task = self.task_number(&tasks[kept.task as usize]);
                kept.labels = self.label_number(labels[kept.labels as usize].clone());
            }
            self.pairs.push(kept);
        }
        for slot in 0..self.pairs.len() {
            if self.pairs[slot].is_some() {
                self.enter_index(u32::try_from(slot).expect("slots are counted in u32"));
            }
        }
    }
}

/// The labels an entry sets, without those it leaves empty.
fn label_set(entry: &Entry) -> LabelSet {
    let set = entry.labels.iter().filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect()
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
        let mut list = List::new(100);
        let first = list.replace(&[entry("t1", &["a", "b"], "x"), entry("t2", &["a"], "x")], 100);
        assert_eq!(names(&list, &first.added), ["t1/a", "t1/b", "t2/a"]);
        let kept = first.added[1];
        let second = list.replace(&[entry("t1", &["b", "c"], "x")], 100);
        assert_eq!(names(&list, &second.added), ["t1/c"]);
        let gone: Vec<Slot> = second.gone.iter().map(|g| g.slot).collect();
        assert_eq!(gone, [first.added[0], first.added[2]]);
        assert_eq!(list.pair(kept).unwrap().user, "b");
        assert_eq!(list.len(), 2);
    }

    #[test]
    fn the_first_place_of_a_pair_says_its_labels() {
        let mut list = List::new(100);
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
        let mut list = List::new(2);
        assert_eq!(list.replace(&[entry("t", &["a", "b", "c"], "")], 2).over_limit, 1);
        let less = list.replace(&[entry("t", &["b", "c"], "")], 2);
        assert_eq!((less.over_limit, less.gone.len()), (1, 1));
        assert_eq!(list.replace(&[entry("t", &["b", "c"], "")], 2).added.len(), 1);
    }

    #[test]
    fn lists_that_change_for_ever_leave_no_tasks_behind() {
        let mut list = List::new(1000);
        for round in 0..2000 {
            let task = format!("task-{round}");
            let difference = list.replace(&[entry(&task, &["a", "b"], &task)], 1000);
            assert_eq!(names(&list, &difference.added), [format!("{task}/a"), format!("{task}/b")]);
        }
        assert!(list.tasks.len() < 100 && list.labels.len() < 100 && list.pairs.len() <= 4);
    }

    #[test]
    fn a_pair_taken_off_is_added_again_by_the_next_list() {
        let mut list = List::new(10);
        let added = list.replace(&[entry("t", &["a"], "x")], 10).added;
        assert!(list.remove(added[0]).is_some());
        assert!(list.remove(added[0]).is_none());
        assert_eq!(list.replace(&[entry("t", &["a"], "x")], 10).added.len(), 1);
    }
}
