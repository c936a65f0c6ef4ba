//! The random sample: who enters it, and which polls it has.

use super::*;

/// Pairs that wait: more than the budget follows.
const CROWD: u32 = 1_000;

/// The pair of that slot, with a place in the random order that has nothing to do with the slot.
fn seed_of(slot: Slot, pushed_at: Millis) -> Seed<'static> {
    Seed { task: slot, order: order(slot), ..seed(pushed_at) }
}

fn order(slot: Slot) -> u32 {
    fastrand::Rng::with_seed(slot.into()).u32(..)
}

fn crowd(pushed_at: Millis) -> Schedule {
    let mut schedule = Schedule::default();
    (0..CROWD).for_each(|slot| schedule.insert(slot, seed_of(slot, pushed_at), NOW));
    schedule
}

/// Polls one pair a second from `from` on; gives those polled.
fn poll(
    schedule: &mut Schedule,
    (from, polls): (Millis, i64),
    answer: impl Fn(Slot, Millis) -> Look<'static>,
) -> Vec<Slot> {
    let mut polled = Vec::new();
    for second in 0..polls {
        let now = from + second * 1000;
        if let Some(slot) = schedule.take(now) {
            polled.push(slot);
            schedule.looked(slot, answer(slot, now), now);
        }
    }
    polled
}

/// The vendor has taken it.
fn accepted(closed: bool) -> Look<'static> {
    let known = Box::leak(Box::new([device(false, NOW, NOW)]));
    Look::Answered {
        settled: false,
        is_closed: closed,
        confirm_from: None,
        pushed_at: None,
        ends_at: NOW + 7 * DAY,
        devices: known,
    }
}

#[test]
fn under_a_backlog_half_of_the_first_polls_go_by_the_random_order() {
    let mut schedule = crowd(NOW - 600_000);
    let polled = poll(&mut schedule, (NOW, 200), |_, _| accepted(false));
    let sampled = schedule.take_sampled(usize::MAX);
    let mut by_order: Vec<Slot> = (0..CROWD).collect();
    by_order.sort_by_key(|slot| order(*slot));
    let drawn = sampled.len();
    assert!((90..=120).contains(&drawn), "{drawn} of {} polls", polled.len());
    // No pair of a smaller place is left out, and none of a larger one is in, whoever was polled.
    let mut sampled: Vec<Slot> = sampled;
    sampled.sort_by_key(|slot| order(*slot));
    assert_eq!(sampled, by_order[..drawn]);
    assert_eq!(schedule.sampled(), drawn);
    assert!(polled.iter().any(|slot| !sampled.contains(slot)), "others are polled, too");
}

#[test]
fn a_pair_that_was_polled_enters_when_the_order_reaches_it() {
    let mut schedule = crowd(NOW - 600_000);
    let first = (0..CROWD).min_by_key(|slot| order(*slot)).unwrap();
    let known = Seed { polled_at: Some(NOW - 300_000), ..seed_of(first, NOW - 600_000) };
    schedule.insert(first, known, NOW);
    let polled = poll(&mut schedule, (NOW, 6), |_, _| accepted(false));
    assert!(schedule.take_sampled(usize::MAX).contains(&first));
    assert!(!polled.contains(&first), "it costs no poll");
}

#[test]
fn where_nothing_is_owed_every_pair_enters_once_most_vendors_have_answered() {
    let mut schedule = Schedule::default();
    (0..20).for_each(|slot| schedule.insert(slot, seed_of(slot, NOW), NOW));
    poll(&mut schedule, (NOW + 1_000, 8), |_, _| accepted(false));
    assert_eq!(schedule.sampled(), 0, "none before");
    poll(&mut schedule, (NOW + 11_000, 60), |_, _| accepted(false));
    assert_eq!(schedule.sampled(), 20);
    assert_eq!(schedule.take_sampled(usize::MAX).len(), 20);
    assert!(schedule.take_sampled(usize::MAX).is_empty(), "each is told once");
}

#[test]
fn a_sampled_pair_is_polled_an_hour_after_its_push_and_not_for_the_sample_again() {
    let mut schedule = Schedule::default();
    let sampled = Seed { polled_at: Some(NOW), is_sampled: true, devices: &[], ..seed_of(3, NOW) };
    schedule.insert(3, sampled, NOW);
    let hour = NOW + 3_600_000;
    let wanted = |schedule: &Schedule| schedule.sample_wants(3).map(|tick| schedule.clock.millis(tick));
    let at = wanted(&schedule).expect("a closing poll");
    assert!((hour + 2_000..hour + 300_000).contains(&at), "{} s after the hour", (at - hour) / 1000);
    // Pairs of which more is to be expected do not keep it from its turn.
    (10..400).for_each(|slot| schedule.insert(slot, seed_of(slot, at - 60_000), at - 60_000));
    let polled = poll(&mut schedule, (at, 12), |slot, now| accepted(slot == 3 && now >= hour));
    assert!(polled.contains(&3));
    assert_eq!(wanted(&schedule), None);
}

#[test]
fn a_settled_pair_is_closed_an_hour_after_its_push_without_a_poll() {
    let mut schedule = Schedule::default();
    let settled = Seed { polled_at: Some(NOW), settled: true, is_sampled: true, ..seed_of(3, NOW) };
    schedule.insert(3, settled, NOW);
    assert_eq!(schedule.take(NOW + 3_590_000), None);
    assert!(schedule.take_sampled(usize::MAX).is_empty());
    assert_eq!(schedule.planned(3, NOW), None, "no poll is promised");
    assert_eq!(schedule.take(NOW + 3_900_000), None);
    assert_eq!(schedule.take_sampled(usize::MAX), [3]);
    schedule.closed(3);
    assert_eq!(schedule.take(NOW + 8_000_000), None);
    assert!(schedule.take_sampled(usize::MAX).is_empty());
    assert_eq!(schedule.take_ended(NOW + 7 * DAY), Some((3, State::Settled)));
    assert_eq!(schedule.sampled(), 0);
}

/// Else pairs of failing tasks, which are polled first, would be known sooner than others of the sample.
#[test]
fn under_a_backlog_only_the_sample_polls_a_sampled_pair_of_which_no_answer_is_known() {
    let mut schedule = crowd(NOW - 600_000);
    let silent = |_: Slot, _: Millis| Look::Answered {
        settled: false,
        is_closed: false,
        confirm_from: None,
        pushed_at: None,
        ends_at: NOW + 7 * DAY,
        devices: &[],
    };
    let polled = poll(&mut schedule, (NOW, 300), silent);
    let sampled = schedule.take_sampled(usize::MAX);
    let times = |slot: &Slot| polled.iter().filter(|polled| *polled == slot).count();
    assert!(sampled.iter().all(|slot| times(slot) <= 1), "none is old enough for its second poll");
    let of_one = sampled.iter().find(|slot| times(slot) == 1).unwrap();
    let wanted = schedule.sample_wants(*of_one).map(|tick| schedule.clock.millis(tick)).unwrap();
    // Four times as old as at its first poll, or the hour.
    assert!((NOW - 600_000 + 4 * 600_000..=NOW + 3_300_000).contains(&wanted));
}

/// As after a restart, or where a probe took it and another pair was asked.
#[test]
fn a_sampled_pair_that_was_not_polled_yet_keeps_its_turn() {
    let mut schedule = crowd(NOW - 600_000);
    let last = (0..CROWD).max_by_key(|slot| order(*slot)).unwrap();
    schedule.insert(last, Seed { is_sampled: true, ..seed_of(last, NOW - 600_000) }, NOW);
    assert!(poll(&mut schedule, (NOW, 6), |_, _| accepted(false)).contains(&last));
    let taken = std::iter::from_fn(|| schedule.take(NOW + 10_000)).take(6).collect::<Vec<_>>();
    let is_new =
        |slot: &&Slot| schedule.closes(**slot).is_some() && schedule.book.pair(**slot).looked == NONE;
    let sampled = *taken.iter().find(is_new).unwrap();
    taken.iter().for_each(|slot| schedule.put_back(*slot, NOW + 10_000));
    assert!(poll(&mut schedule, (NOW + 11_000, 24), |_, _| accepted(false)).contains(&sampled));
}

#[test]
fn what_left_and_came_back_is_in_the_sample_as_before() {
    let mut schedule = Schedule::default();
    schedule.insert(3, seed_of(3, NOW - 60_000), NOW);
    let slot = schedule.take(NOW).unwrap();
    schedule.looked(slot, accepted(false), NOW);
    assert_eq!(schedule.backlog(NOW), 0);
    assert_eq!(schedule.take_sampled(usize::MAX), [3]);
    schedule.remove(3);
    assert_eq!(schedule.sampled(), 0);
    let back = Seed { polled_at: Some(NOW), is_sampled: true, ..seed_of(3, NOW - 60_000) };
    schedule.insert(3, back, NOW + 5_000);
    assert_eq!(schedule.sampled(), 1);
    schedule.take(NOW + 60_000);
    assert!(schedule.take_sampled(usize::MAX).is_empty());
}
