//! Pairs whose polls fail: what they may take, when they are told, how they come back.

use super::*;

const FAILED: Look<'static> = Look::Failed { at_least: 0 };

/// A schedule of `failing` pairs of task 1, then `good` ones of task 2, all pushed a minute ago.
fn both(failing: u32, good: u32) -> Schedule {
    let mut schedule = Schedule::default();
    for slot in 0..failing + good {
        let task = if slot < failing { 1 } else { 2 };
        schedule.insert(slot, Seed { task, ..seed(NOW - 60_000) }, NOW);
    }
    schedule
}

/// Polls once a second; polls of the first `failing` pairs fail. Gives who was polled.
fn poll(schedule: &mut Schedule, failing: u32, seconds: std::ops::Range<Millis>) -> Vec<Slot> {
    let mut polled = Vec::new();
    for second in seconds {
        let now = NOW + second * 1000;
        let Some(slot) = schedule.take(now) else { continue };
        polled.push(slot);
        let known = [device(false, NOW, now)];
        schedule.looked(slot, if slot < failing { FAILED } else { answered(false, &known) }, now);
    }
    polled
}

#[test]
fn pairs_that_fail_for_ever_take_at_most_a_tenth_while_others_wait() {
    let mut schedule = both(60, 90);
    let first = poll(&mut schedule, 60, 0..240);
    let others = first.iter().filter(|slot| **slot >= 60).count();
    assert!(others >= 150, "{others} of 240 polls: each first poll, and nine of ten retries");
    let later = poll(&mut schedule, 60, 240..3_000);
    let failed = later.iter().filter(|slot| **slot < 60).count();
    assert!(failed * 10 <= later.len(), "{failed} of {}", later.len());
    assert!(failed >= 40, "only {failed} of {}: they are not forgotten", later.len());
}

#[test]
fn a_task_whose_first_polls_fail_does_not_hide_another() {
    let mut schedule = both(2_000, 100);
    let polled = poll(&mut schedule, 2_000, 0..300);
    let good: std::collections::HashSet<&Slot> = polled.iter().filter(|slot| **slot >= 2_000).collect();
    assert_eq!(good.len(), 100, "all of the other task were polled");
}

#[test]
fn where_nobody_else_waits_retries_go_on_after_their_waits() {
    let mut schedule = both(1, 0);
    let mut now = NOW;
    for wait in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
        assert_eq!(schedule.take(now), Some(0));
        schedule.looked(0, FAILED, now);
        assert_eq!(schedule.next_look_at(now), Some(now + wait));
        now += wait;
    }
}

#[test]
fn a_pair_that_fails_for_long_is_told_and_an_answer_forgives_it() {
    let mut schedule = both(1, 0);
    for failures in 1..=6 {
        let now = NOW + failures * 60_000;
        assert_eq!(schedule.take(now), Some(0));
        schedule.looked(0, FAILED, now);
        let state = if failures < 5 { State::New } else { State::Failing };
        assert_eq!(schedule.state(0), Some(state), "after {failures}");
        assert_eq!(schedule.backlog(now + 60_000), usize::from(failures < 5), "after {failures}");
    }
    let now = NOW + 600_000;
    assert_eq!(schedule.take(now), Some(0));
    schedule.looked(0, answered(false, &[]), now);
    assert_eq!((schedule.state(0), schedule.next_look_at(now)), (Some(State::Active), Some(now + 1_000)));
}

#[test]
fn a_pair_that_was_never_answered_is_told_though_others_take_its_polls() {
    let mut schedule = both(1, 0);
    assert_eq!(schedule.take(NOW), Some(0));
    schedule.looked(0, FAILED, NOW);
    for (seconds, state) in [(299, State::New), (301, State::Failing)] {
        schedule.backlog(NOW + seconds * 1000);
        let counts = [State::New, State::Failing].map(|state| schedule.count(state));
        let expected = [usize::from(state == State::New), usize::from(state == State::Failing)];
        assert_eq!((schedule.state(0), counts), (Some(state), expected), "after {seconds} s");
    }
}

#[test]
fn what_failed_while_the_upstream_was_down_is_polled_soon_after() {
    let pairs = 2_000;
    let mut schedule = both(0, pairs);
    // Ten minutes in which every poll fails.
    let failed = poll(&mut schedule, pairs, 0..600);
    let back = poll(&mut schedule, 0, 600..600 + Millis::from(pairs) * 3 / 2);
    let late = failed.iter().filter(|slot| !back.contains(slot)).count();
    assert!(late * 20 < failed.len(), "{late} of {} wait still", failed.len());
}
