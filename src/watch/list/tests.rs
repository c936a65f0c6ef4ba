//! Differences of lists, slots that stay, and what is given back.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Entry;
use super::*;

/// No pair is over.
const NEVER: i64 = i64::MIN;

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
    let first = list.replace(&[entry("t1", &["a", "b"], "x"), entry("t2", &["a"], "x")], 100, NEVER);
    assert_eq!(names(&list, &first.added), ["t1/a", "t1/b", "t2/a"]);
    let kept = first.added[1];
    let second = list.replace(&[entry("t1", &["b", "c"], "x")], 100, NEVER);
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
    let difference = list.replace(&twice, 100, NEVER);
    assert_eq!(difference.added.len(), 1);
    assert_eq!(&*list.pair(difference.added[0]).unwrap().labels[0].1, "first");

    let other = list.replace(&twice[1..], 100, NEVER);
    assert_eq!((other.added.len(), other.gone.len()), (0, 0));
    assert_eq!(&*other.relabelled[0].labels[0].1, "first");
    assert_eq!(&*list.pair(difference.added[0]).unwrap().labels[0].1, "second");
}

#[test]
fn what_lies_beyond_the_cap_is_counted_and_pairs_that_stay_come_first() {
    let mut list = List::default();
    assert_eq!(list.replace(&[entry("t", &["a", "b", "c"], "")], 2, NEVER).over_limit, 1);
    let other = list.replace(&[entry("t", &["c", "d", "b"], "")], 2, NEVER);
    assert_eq!((names(&list, &other.added), other.over_limit), (vec!["t/c".to_owned()], 1));
    assert_eq!(other.gone.len(), 1);
}

#[test]
fn a_list_of_other_pairs_finds_the_places_of_those_that_leave() {
    let mut list = List::default();
    list.replace(&[entry("t", &["a", "b"], "")], 2, NEVER);
    let other = list.replace(&[entry("t", &["c", "d"], ""), entry("u", &["c"], "")], 2, NEVER);
    assert_eq!((names(&list, &other.added), other.over_limit), (vec!["t/c".to_owned(), "t/d".to_owned()], 1));
    assert_eq!((other.gone.len(), list.end()), (2, 2));
}

#[test]
fn a_lower_cap_takes_pairs_off_the_end_of_the_list() {
    let mut list = List::default();
    let entries = [entry("t", &["a", "b", "b", "c"], "")];
    list.replace(&entries, 3, NEVER);
    let fewer = list.replace(&entries, 2, NEVER);
    assert_eq!((fewer.gone.len(), fewer.over_limit, list.slot_of("t", "c")), (1, 1, None));
}

#[test]
fn pairs_that_are_over_take_no_places() {
    let pushed = |at, users: &[&str]| Entry { pushed_at: Some(at), ..entry("t", users, "") };
    let mut list = List::default();
    let entries = [pushed(10, &["a", "b", "c"]), pushed(11, &["a", "d", "e", "f"])];
    let difference = list.replace(&entries, 2, 10);
    assert_eq!(names(&list, &difference.added), ["t/a", "t/b", "t/c", "t/d", "t/e"]);
    assert_eq!((difference.over_limit, difference.over_left), (1, false));
    assert_eq!(list.pair(difference.added[0]).unwrap().pushed_at, Some(10), "its first place");
}

/// The places of pairs are guessed, rooms made ahead, and labels of neighbours shared: none of it may show.
#[test]
fn a_list_says_what_its_entries_say_whatever_was_listed_before() {
    let mut dice = fastrand::Rng::with_seed(5);
    let mut list = List::default();
    let mut over = BTreeMap::new();
    for _ in 0..500 {
        let (cap, mut expected, mut left_out) = (dice.usize(1..40), BTreeMap::new(), 0);
        let mut stays = BTreeSet::new();
        let entries = Vec::from_iter((0..dice.usize(..12)).map(|_| {
            let users = (0..dice.usize(1..5)).map(|_| format!("u{}", dice.u8(..8))).collect::<Vec<_>>();
            let users = users.iter().map(String::as_str).collect::<Vec<_>>();
            let entry = entry(&format!("t{}", dice.u8(..3)), &users, ["", "x", "y"][dice.usize(..3)]);
            Entry { pushed_at: dice.bool().then(|| dice.i64(1..4)), ..entry }
        }));
        let pairs = entries.iter().flat_map(|entry| entry.users.iter().map(move |user| (entry, user)));
        // Those that are over stay so as long as their first place says the same push time.
        let mut first = BTreeMap::new();
        for (entry, user) in pairs.clone() {
            first.entry((entry.task.clone(), user.clone())).or_insert(entry.pushed_at);
        }
        over.retain(|pair, pushed_at| first.get(pair) == Some(pushed_at));
        for (was_listed, (entry, user)) in
            [true, false].into_iter().flat_map(|was| pairs.clone().map(move |p| (was, p)))
        {
            let pair = (entry.task.clone(), user.clone());
            let slot = list.slot_of(&entry.task, user);
            let is_known = expected.contains_key(&pair) || over.contains_key(&pair);
            if is_known || slot.is_none() && was_listed {
                continue;
            }
            if expected.len() >= cap {
                left_out += u64::from(!was_listed);
                continue;
            }
            stays.extend(slot);
            expected.insert(pair, (slot, entry.label_set(), entry.pushed_at));
        }
        let before: BTreeSet<Slot> = (0..list.end()).filter(|slot| list.pair(*slot).is_some()).collect();
        let difference = list.replace(&entries, cap, NEVER);
        assert_eq!((difference.over_limit, list.len()), (left_out, expected.len()));
        assert!(over.keys().all(|(task, user)| list.slot_of(task, user).is_none()));
        let gone: BTreeSet<Slot> = difference.gone.iter().map(|gone| gone.slot).collect();
        assert_eq!(gone, &before - &stays);
        let (mut labels, mut slots) = (BTreeSet::new(), Vec::new());
        for ((task, user), (slot, label_set, pushed_at)) in expected {
            let found = list.slot_of(&task, &user).unwrap();
            assert!(slot.is_none_or(|slot| slot == found), "{task}/{user} keeps its slot");
            let pair = list.pair(found).unwrap();
            assert_eq!((pair.labels, pair.pushed_at), (&label_set, pushed_at));
            labels.insert(label_set);
            slots.push((found, (task, user), pushed_at));
        }
        assert_eq!(list.labels.len(), labels.len(), "labels are given back after their last use");
        slots.retain(|_| dice.u8(..8) == 0);
        for (slot, pair, pushed_at) in slots {
            assert!(list.finish(slot).is_some());
            over.insert(pair, pushed_at);
        }
        assert_eq!(list.over.len(), over.len());
    }
}

#[test]
fn lists_that_change_for_ever_leave_no_tasks_behind() {
    let mut list = List::default();
    for round in 0..2000 {
        let task = format!("task-{round}");
        let difference = list.replace(&[entry(&task, &["a", "b"], &task)], 1000, NEVER);
        assert_eq!(names(&list, &difference.added), [format!("{task}/a"), format!("{task}/b")]);
    }
    assert_eq!((list.tasks.len(), list.labels.len()), (1, 1));
    assert!(list.pairs.len() <= 4 && !list.users.is_wasteful());
}

#[test]
fn a_pair_taken_off_is_added_again_by_the_next_list() {
    let mut list = List::default();
    let added = list.replace(&[entry("t", &["a"], "x")], 10, NEVER).added;
    assert!(list.remove(added[0]).is_some());
    assert!(list.remove(added[0]).is_none());
    assert_eq!(list.replace(&[entry("t", &["a"], "x")], 10, NEVER).added.len(), 1);
}

#[test]
fn pairs_that_are_over_come_in_pieces() {
    let users: Vec<String> = (0..25_000).map(|n| format!("u{n}")).collect();
    let entries = [Entry { users, pushed_at: Some(1), ..entry("t", &[], "") }, entry("t", &["fresh"], "")];
    let mut list = List::default();
    for (added, over_left) in [(10_001, true), (10_000, true), (5_000, false), (0, false)] {
        let difference = list.replace(&entries, 1, 10);
        assert_eq!(
            (difference.added.len(), difference.over_left, difference.over_limit),
            (added, over_left, 0)
        );
        for slot in difference.added {
            if list.pair(slot).unwrap().pushed_at.is_some() {
                list.finish(slot);
            }
        }
    }
    assert_eq!((list.len(), list.over.len()), (1, 25_000));
    assert!(list.end() <= 10_001);
}

#[test]
fn a_pair_that_is_over_comes_back_with_another_push_time_alone() {
    let mut list = List::default();
    let entries = [entry("t", &["a", "b"], "x")];
    let over = list.replace(&entries, 2, NEVER).added[0];
    assert!(list.finish(over).is_some() && list.finish(over).is_none());
    assert_eq!((list.len(), list.pair(over).is_none(), list.slot_of("t", "a")), (1, true, None));
    let again = list.replace(&[entry("t", &["a", "b", "c"], "y")], 2, NEVER);
    assert_eq!((names(&list, &again.added), again.gone), (vec!["t/c".to_owned()], vec![]));
    let retimed = Entry { pushed_at: Some(7), ..entry("t", &["a"], "x") };
    let back = list.replace(&[retimed], 2, NEVER);
    assert_eq!((names(&list, &back.added), back.gone.len()), (vec!["t/a".to_owned()], 2));
    list.finish(back.added[0]);
    list.forget_over();
    assert_eq!(list.replace(&entries, 2, NEVER).added.len(), 2);
    // Nothing is known any more of those that no list names.
    list.replace(&[], 2, NEVER);
    assert_eq!((list.over.len(), list.index.len(), list.labels.len()), (0, 0, 0));
}
