//! A new list comes into force: who stays, who leaves, who is new, and who finds no room.

use super::super::Entry;
use super::{Gone, Kept, List, Slot, TextSpan, UNKNOWN, hash_of};

/// Pairs that are over and were not known to be so that one list adds: whoever asks takes them off again one by one, and
/// meanwhile they hold slots.
pub const OVER_AT_ONCE: usize = 10_000;

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
    /// Whether there are more pairs that are over than one list adds.
    pub over_left: bool,
}

impl List {
    /// Takes over a new list of at most `cap` pairs: pairs that stay keep their slots and come first. Where a pair stands
    /// more than once, its first place says its labels and push time.
    ///
    /// Pairs that are new and whose entry says that they were pushed at `over_at` or before take none of these places:
    /// their watching is over, whether it had begun or not. Only [`OVER_AT_ONCE`] of them are added.
    pub fn replace<'a>(
        &mut self,
        entries: impl IntoIterator<Item = &'a Entry, IntoIter: Clone>,
        cap: usize,
        over_at: i64,
    ) -> Difference {
        let mut difference = Difference::default();
        let entries = entries.into_iter();
        self.over.begin_round();
        let first_new = self.keep(entries.clone(), cap, &mut difference);
        self.over.end_round();
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
            let task = self.task_number(&entry.task);
            let new = task.map(|task| self.kept_as(entry, task, &mut shared));
            let pushed_at = pushed_at(entry);
            for user in &entry.users {
                let found = task.and_then(|task| {
                    let found = Some(next).filter(|slot| self.is_at(*slot, task, user));
                    found.or_else(|| self.find(task, user))
                });
                let is_room = |slot: &Slot| kept < cap || self.pairs[*slot as usize].marked;
                match (found.filter(is_room), new) {
                    (Some(slot), Some(new)) => {
                        kept += usize::from(self.confirm(slot, new, difference));
                        next = slot + 1;
                    }
                    _ if found.is_none() && self.over.stays(&entry.task, user, pushed_at) => {}
                    _ => {
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
                if self.find(task, user).is_some() || self.over.stays(&entry.task, user, new.pushed_at) {
                    continue;
                }
                let has_room = if is_over { over < OVER_AT_ONCE } else { self.index.len() - over < cap };
                match Some(user).filter(|_| has_room).and_then(|user| self.insert(user, new)) {
                    Some(slot) => {
                        over += usize::from(is_over);
                        difference.added.push(slot);
                    }
                    None if is_over => difference.over_left = true,
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
        Kept {
            user: TextSpan::default(),
            listed: true,
            marked: true,
            task,
            labels,
            pushed_at: pushed_at(entry),
        }
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

    /// A pair that is known stands in the new list, too. True if it takes a place that was not counted yet.
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
}

/// The push time of an entry as it is kept.
fn pushed_at(entry: &Entry) -> u32 {
    entry.pushed_at.map_or(UNKNOWN, |at| at.clamp(1, u32::MAX.into()) as u32)
}
