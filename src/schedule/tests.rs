//! The promises of the schedule, by random histories.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const DAY: Millis = 86_400_000;

fn seed(pushed_at: Millis) -> Seed {
    Seed { pushed_at, polled_at: None, ends_at: pushed_at + 7 * DAY, settled: false }
}

fn answered(settled: bool) -> Look {
    Look::Answered { settled, pushed_at: None, ends_at: 7 * DAY }
}

#[test]
fn a_pair_is_looked_at_from_its_push_on_and_once_at_a_time() {
    let mut schedule = Schedule::default();
    schedule.insert(3, seed(5_000), 0);
    assert_eq!((schedule.take(4_999), schedule.next_look_at(0)), (None, Some(5_000)));
    assert_eq!(schedule.take(5_000), Some(3));
    assert_eq!(schedule.take(900_000), None, "its look is on its way");
    schedule.looked(3, answered(false), 5_100);
    assert_eq!((schedule.take(5_200), schedule.next_look_at(5_200)), (None, Some(6_100)));
    assert_eq!(schedule.take(6_100), Some(3));
}

#[test]
fn older_pushes_are_looked_at_less_often() {
    let gaps: Vec<Millis> = [0, 60_000, 3_600_000, DAY].into_iter().map(|age| gap(0, age)).collect();
    assert_eq!(gaps, [1_000, 1_875, 112_500, 600_000]);
}

#[test]
fn a_settled_pair_rests_until_it_ends() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(0), 0);
    schedule.take(0);
    schedule.looked(0, answered(true), 10);
    assert_eq!((schedule.take(6 * DAY), schedule.count(State::Settled)), (None, 1));
    assert_eq!(schedule.take_ended(6 * DAY), None);
    assert_eq!(schedule.take_ended(7 * DAY), Some((0, State::Settled)));
    assert_eq!((schedule.take_ended(8 * DAY), schedule.count(State::Settled)), (None, 0));
}

#[test]
fn a_pair_does_not_end_while_its_look_is_on_its_way() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(0), 0);
    assert_eq!(schedule.take(7 * DAY), Some(0));
    assert_eq!(schedule.take_ended(7 * DAY), None);
    schedule.looked(0, answered(false), 7 * DAY + 10);
    assert_eq!(schedule.take_ended(7 * DAY + 2_000), Some((0, State::Active)));
}

#[test]
fn refusals_wait_longer_each_time_and_an_answer_forgives_them() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(0), 0);
    let mut now = 0;
    for wait in [30_000, 60_000, 120_000] {
        assert_eq!(schedule.take(now), Some(0));
        schedule.looked(0, Look::Refused, now);
        assert_eq!((schedule.count(State::Failing), schedule.next_look_at(now)), (1, Some(now + wait)));
        now += wait;
    }
    schedule.take(now);
    schedule.looked(0, answered(false), now);
    assert_eq!((schedule.count(State::Failing), schedule.count(State::Active)), (0, 1));
}

#[test]
fn a_clock_set_back_a_day_delays_nothing() {
    let mut schedule = Schedule::default();
    let now = 10 * DAY;
    schedule.insert(
        0,
        Seed { pushed_at: now, polled_at: Some(now), ends_at: now + DAY, settled: false },
        now,
    );
    schedule.shift(-DAY);
    assert_eq!(schedule.next_look_at(now - DAY), Some(now - DAY + SHORTEST_GAP));
    assert_eq!(schedule.take(now - DAY + SHORTEST_GAP), Some(0));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Slot, Millis),
    Remove(Slot),
    Take,
    Looked(Look),
    End,
    Pass(Millis),
    Shift(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..20u32, -100_000..100_000i64).prop_map(|(slot, at)| Step::Insert(slot, at)),
        (0..20u32).prop_map(Step::Remove),
        Just(Step::Take),
        Just(Step::Take),
        any::<bool>().prop_map(|settled| Step::Looked(answered(settled))),
        Just(Step::Looked(Look::Refused)),
        Just(Step::Looked(Look::Failed { at_least: 0 })),
        Just(Step::End),
        (0..2_000_000i64).prop_map(Step::Pass),
        (-DAY..DAY).prop_map(Step::Shift),
    ]
}

proptest! {
    /// Never the same pair twice at once, never one that left, ended or settled; counts and the backlog agree with
    /// what is there; every pair due is handed out.
    #[test]
    fn promises_hold_in_every_history(steps in prop::collection::vec(step(), 1..120)) {
        let mut schedule = Schedule::default();
        let mut listed: HashMap<Slot, bool> = HashMap::new(); // settled or not
        let mut taken: Vec<Slot> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Insert(slot, at) => {
                    taken.retain(|s| *s != slot);
                    listed.insert(slot, false);
                    schedule.insert(slot, seed(now + at), now);
                }
                Step::Remove(slot) => {
                    prop_assert_eq!(schedule.remove(slot).is_some(), listed.remove(&slot).is_some());
                    taken.retain(|s| *s != slot);
                }
                Step::Take => {
                    let backlog = schedule.due_count(now);
                    let got = schedule.take(now);
                    prop_assert_eq!(backlog > 0, got.is_some());
                    if let Some(slot) = got {
                        prop_assert_eq!(listed.get(&slot), Some(&false));
                        prop_assert!(!taken.contains(&slot));
                        taken.push(slot);
                    }
                }
                Step::Looked(look) => {
                    if let Some(slot) = taken.pop() {
                        schedule.looked(slot, look, now);
                        listed.insert(slot, matches!(look, Look::Answered { settled: true, .. }));
                    }
                }
                Step::End => {
                    while let Some((slot, _)) = schedule.take_ended(now) {
                        prop_assert!(!taken.contains(&slot));
                        prop_assert!(listed.remove(&slot).is_some());
                    }
                }
                Step::Pass(by) => now += by,
                Step::Shift(by) => {
                    now += by;
                    schedule.shift(by);
                }
            }
            let counted: usize = State::ALL.into_iter().map(|state| schedule.count(state)).sum();
            prop_assert_eq!(counted, listed.len());
            prop_assert_eq!(schedule.slots().count(), listed.len());
        }
        now += 2 * DAY;
        let mut rest: Vec<Slot> = std::iter::from_fn(|| schedule.take(now)).collect();
        rest.extend(&taken);
        rest.sort_unstable();
        let mut open: Vec<Slot> = listed.iter().filter(|(_, settled)| !**settled).map(|(slot, _)| *slot).collect();
        open.sort_unstable();
        prop_assert_eq!(rest, open);
    }
}
