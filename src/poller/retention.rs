//! What a poller does once a day so that the ledger forgets what nobody needs, and nothing else.
//!
//! It tells the ledger of every pair that the sources name, and has it forget those that none named for long. And it has
//! sets of labels taken from /metrics with which no pair was watched for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::watch::Entry;

/// How long after its start a poller goes through its sources for the first time, and how often then.
const FIRST_AFTER: Duration = Duration::from_secs(600);
const EVERY: Duration = Duration::from_secs(86_400);
/// Pairs that one job names.
const PIECE: usize = 1000;

/// Where a poller stands with it. Polls do not wait for it: it takes one step a second.
#[derive(Debug)]
pub(super) struct Retention {
    due_at: Instant,
    stage: Stage,
    /// Sets of labels are to be gone through.
    labels_due: bool,
    /// A job is on its way to the ledger.
    is_running: bool,
}

#[derive(Debug)]
enum Stage {
    Resting,
    Naming(Walk),
    Forgetting,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    ShowLabels,
    Name(Vec<(String, String)>),
    Forget,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            due_at: Instant::now() + FIRST_AFTER,
            stage: Stage::Resting,
            labels_due: false,
            is_running: false,
        }
    }
}

impl Retention {
    /// The next step at `now`. Nothing is forgotten while a source has not been read, for it may name whatever there is:
    /// `lists` gives all that the sources name, or nothing.
    pub(super) fn step(
        &mut self,
        now: Instant,
        lists: impl FnOnce() -> Option<Vec<Arc<Vec<Entry>>>>,
    ) -> Step {
        if self.is_running {
            return Step::Nothing;
        }
        if std::mem::take(&mut self.labels_due) {
            self.is_running = true;
            return Step::ShowLabels;
        }
        if let Stage::Resting = self.stage {
            let Some(lists) = Some(()).filter(|()| now >= self.due_at).and_then(|()| lists()) else {
                return Step::Nothing;
            };
            self.due_at = now + EVERY;
            self.labels_due = true;
            self.stage = Stage::Naming(Walk { lists, list: 0, entry: 0, user: 0 });
        }
        let step = match &mut self.stage {
            Stage::Naming(walk) => match walk.next_piece(PIECE) {
                pairs if pairs.is_empty() => Step::Forget,
                pairs => Step::Name(pairs),
            },
            _ => Step::Forget,
        };
        if step == Step::Forget {
            self.stage = Stage::Forgetting;
        }
        self.is_running = true;
        step
    }

    /// The labels that the configuration names are others.
    pub(super) fn labels_changed(&mut self) {
        self.labels_due = true;
    }

    pub(super) fn named(&mut self) {
        self.is_running = false;
    }

    pub(super) fn forgot(&mut self, more: bool) {
        self.is_running = false;
        if !more {
            self.stage = Stage::Resting;
        }
    }
}

/// A walk through lists as they were when it began: pairs that came since were told when they were enrolled.
#[derive(Debug)]
struct Walk {
    lists: Vec<Arc<Vec<Entry>>>,
    list: usize,
    entry: usize,
    user: usize,
}

impl Walk {
    /// The next pairs, `most` of them at most; none at the end.
    fn next_piece(&mut self, most: usize) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        while pairs.len() < most
            && let Some(list) = self.lists.get(self.list)
        {
            let Some(entry) = list.get(self.entry) else {
                self.lists[self.list] = Arc::default(); // It may be long, and nobody else may hold it any more.
                (self.list, self.entry) = (self.list + 1, 0);
                continue;
            };
            let users = entry.users.iter().skip(self.user).take(most - pairs.len());
            let before = pairs.len();
            pairs.extend(users.map(|user| (entry.task.clone(), user.clone())));
            self.user += pairs.len() - before;
            if self.user >= entry.users.len() {
                (self.entry, self.user) = (self.entry + 1, 0);
            }
        }
        pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(task: &str, users: usize) -> Entry {
        let users = (0..users).map(|n| format!("u{n}")).collect();
        Entry { task: task.to_owned(), users, ..Entry::default() }
    }

    #[test]
    fn a_walk_names_every_pair_once() {
        let lists = || {
            vec![
                Arc::default(),
                Arc::new(vec![entry("a", 5), entry("b", 0), entry("c", 1)]),
                Arc::new(vec![entry("d", 3)]),
            ]
        };
        for most in [1, 2, 3, 4, 9, 100] {
            let mut walk = Walk { lists: lists(), list: 0, entry: 0, user: 0 };
            let pieces: Vec<_> = std::iter::from_fn(|| Some(walk.next_piece(most)))
                .take_while(|piece| !piece.is_empty())
                .collect();
            assert!(pieces.iter().all(|piece| piece.len() <= most));
            let names: Vec<String> =
                pieces.concat().into_iter().map(|(task, user)| task + "/" + &user).collect();
            assert_eq!(
                names,
                ["a/u0", "a/u1", "a/u2", "a/u3", "a/u4", "c/u0", "d/u0", "d/u1", "d/u2"],
                "{most}"
            );
        }
    }

    #[test]
    fn nothing_is_forgotten_before_all_sources_were_read_and_all_pairs_named() {
        let now = Instant::now();
        let later = now + FIRST_AFTER;
        let mut retention = Retention::default();
        let lists = || Some(vec![Arc::new(vec![entry("t", PIECE + 1)])]);
        assert_eq!(retention.step(now, lists), Step::Nothing, "not yet");
        let later = later + Duration::from_secs(1);
        assert_eq!(retention.step(later, || None), Step::Nothing, "a source was not read");
        let piece = |step| if let Step::Name(pairs) = step { pairs.len() } else { 0 };
        assert_eq!(piece(retention.step(later, lists)), PIECE);
        assert_eq!(retention.step(later, lists), Step::Nothing, "one job at a time");
        retention.named();
        assert_eq!(retention.step(later, lists), Step::ShowLabels);
        retention.named();
        assert_eq!(piece(retention.step(later, lists)), 1);
        retention.named();
        assert_eq!(retention.step(later, lists), Step::Forget);
        retention.forgot(true);
        assert_eq!(retention.step(later, lists), Step::Forget);
        retention.forgot(false);
        assert_eq!(retention.step(later + EVERY / 2, lists), Step::Nothing);
        assert_eq!(piece(retention.step(later + EVERY, lists)), PIECE);
    }
}
