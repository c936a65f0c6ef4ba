//! The promises of the schedule, by short stories.

use std::collections::HashMap;

use super::*;

mod failing;
mod histories;
mod sampling;

const NOW: Millis = 1_790_000_000_000;
const DAY: Millis = 86_400_000;

fn seed(pushed_at: Millis) -> Seed<'static> {
    Seed {
        task: 1,
        pushed_at,
        polled_at: None,
        ends_at: pushed_at + 7 * DAY,
        settled: false,
        order: 0,
        is_sampled: false,
        is_closed: false,
        devices: &[],
    }
}

fn answered(settled: bool, devices: &[Device]) -> Look<'_> {
    Look::Answered {
        settled,
        is_closed: false,
        confirm_from: None,
        pushed_at: None,
        ends_at: NOW + 7 * DAY,
        devices,
    }
}

/// A device whose channel answered at that time.
fn device(failed: bool, at: Millis, seen_at: Millis) -> Device {
    let report = Report { failed, at: Some(at), seen_at, fresh: true };
    let mut reports = [None; STAGES];
    reports[2] = Some(report);
    Device { platform: 3, route: Route::Offline, reports }
}

#[test]
fn a_pair_is_looked_at_from_its_push_on_and_once_at_a_time() {
    let mut schedule = Schedule::default();
    schedule.insert(3, seed(NOW + 5_000), NOW);
    assert_eq!((schedule.take(NOW + 4_999), schedule.next_look_at(NOW)), (None, Some(NOW + 5_000)));
    assert_eq!(schedule.take(NOW + 5_000), Some(3));
    assert_eq!(schedule.take(NOW + 900_000), None, "its look is on its way");
    schedule.looked(3, answered(false, &[]), NOW + 5_100);
    let gap = schedule.next_look_at(NOW + 5_200).map(|at| at - NOW);
    assert_eq!((schedule.take(NOW + 5_200), gap), (None, Some(6_125)));
    assert_eq!(schedule.take(NOW + 6_125), Some(3));
}

#[test]
fn a_settled_pair_rests_until_it_ends() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(NOW), NOW);
    schedule.take(NOW);
    schedule.looked(0, answered(true, &[device(true, NOW, NOW)]), NOW + 10);
    let later = NOW + 6 * DAY;
    assert_eq!(
        (schedule.take(later), schedule.next_look_at(later), schedule.count(State::Settled)),
        (None, None, 1)
    );
    assert_eq!(schedule.take_ended(later), None);
    assert_eq!(schedule.take_ended(NOW + 7 * DAY), Some((0, State::Settled)));
    assert_eq!((schedule.take_ended(NOW + 8 * DAY), schedule.count(State::Settled)), (None, 0));
}

#[test]
fn a_complete_pair_is_polled_once_more_when_that_may_settle_it() {
    let mut schedule = Schedule::default();
    (0..60).for_each(|slot| schedule.insert(slot, Seed { task: slot, ..seed(NOW - 600_000) }, NOW));
    let mut polls = Vec::new();
    for tenth in 0..600 {
        let now = NOW + tenth * 100;
        let Some(slot) = schedule.take(now) else { continue };
        if slot != 7 {
            schedule.looked(slot, answered(false, &[device(false, NOW - 500_000, now)]), now);
            continue;
        }
        let (confirms, ends_at) = (!polls.is_empty(), NOW + 7 * DAY);
        let confirm_from = Some(now + 30_000);
        polls.push(now);
        let known = [device(true, now, now)];
        let look = Look::Answered {
            settled: confirms,
            is_closed: false,
            confirm_from,
            pushed_at: None,
            ends_at,
            devices: &known,
        };
        schedule.looked(slot, look, now);
    }
    let waits: Vec<Millis> = polls.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(matches!(waits[..], [30_000..32_000]), "{waits:?}");
    assert_eq!(schedule.state(7), Some(State::Settled));
}

/// More end at once than one decision clears away; those that are left must not hide the one that may be asked.
#[test]
fn a_pair_is_found_among_those_of_its_push_that_have_just_ended() {
    let mut schedule = Schedule::default();
    for slot in 0..=60 {
        let days = if slot == 60 { 2 } else { 1 };
        schedule.insert(slot, Seed { ends_at: NOW + days * DAY, ..seed(NOW) }, NOW);
    }
    let now = NOW + DAY + 1_000;
    assert_eq!((schedule.next_look_at(now), schedule.take(now)), (Some(now), Some(60)));
    let ended = std::iter::from_fn(|| schedule.take_ended(now));
    assert_eq!(ended.count(), 60);
}

#[test]
fn a_pair_does_not_end_while_its_look_is_on_its_way() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(NOW), NOW);
    assert_eq!(schedule.take(NOW + 7 * DAY - 1000), Some(0));
    assert_eq!(schedule.take_ended(NOW + 7 * DAY), None);
    schedule.looked(0, answered(false, &[]), NOW + 7 * DAY + 10);
    assert_eq!(schedule.take(NOW + 7 * DAY + 2_000), None, "its watching is over");
    assert_eq!(schedule.take_ended(NOW + 7 * DAY + 2_000), Some((0, State::Active)));
}

#[test]
fn refusals_wait_longer_each_time_and_an_answer_forgives_them() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(NOW), NOW);
    let mut now = NOW;
    for wait in [30_000, 60_000, 120_000] {
        assert_eq!(schedule.take(now), Some(0));
        schedule.looked(0, Look::Refused, now);
        assert_eq!((schedule.count(State::Failing), schedule.next_look_at(now)), (1, Some(now + wait)));
        now += wait;
    }
    schedule.take(now);
    schedule.looked(0, answered(false, &[]), now);
    assert_eq!((schedule.count(State::Failing), schedule.count(State::Active)), (0, 1));
}

#[test]
fn a_failed_first_look_is_made_again_after_its_wait() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(NOW), NOW);
    schedule.take(NOW);
    schedule.looked(0, Look::Failed { at_least: 7_000 }, NOW);
    assert_eq!(schedule.next_look_at(NOW), Some(NOW + 7_000));
    assert_eq!((schedule.backlog(NOW + 7_000), schedule.count(State::New)), (1, 1));
    assert_eq!(schedule.take(NOW + 7_000), Some(0));
}

#[test]
fn a_clock_set_back_a_day_delays_nothing() {
    let mut schedule = Schedule::default();
    let polled = Seed { polled_at: Some(NOW), ..seed(NOW) };
    schedule.insert(0, polled, NOW);
    schedule.shift(-DAY);
    assert_eq!(schedule.next_look_at(NOW - DAY), Some(NOW - DAY + SHORTEST_GAP));
    assert_eq!(schedule.take(NOW - DAY + SHORTEST_GAP), Some(0));
}

#[test]
fn what_is_planned_is_told_and_is_not_changed_by_it() {
    let mut schedule = Schedule::default();
    schedule.insert(0, seed(NOW + 5_000), NOW);
    assert_eq!(schedule.planned(0, NOW), Some(NOW + 5_000));
    assert_eq!(schedule.planned(1, NOW), None, "there is no such pair");
    assert_eq!(schedule.take(NOW + 5_000), Some(0));
    assert_eq!(schedule.planned(0, NOW + 5_000), None, "its look is on its way");
    schedule.looked(0, Look::Failed { at_least: 7_000 }, NOW + 6_000);
    assert_eq!(schedule.planned(0, NOW + 6_000), Some(NOW + 13_000));
    schedule.take(NOW + 13_000);
    schedule.looked(0, answered(true, &[device(true, NOW, NOW)]), NOW + 13_000);
    assert_eq!(schedule.planned(0, NOW + 13_000), None, "it rests");
}

#[test]
fn a_pair_that_ripens_is_planned_for_about_the_time_of_its_look() {
    let mut schedule = Schedule::default();
    (0..50).for_each(|slot| schedule.insert(slot, Seed { task: slot, ..seed(NOW) }, NOW));
    let mut told: HashMap<Slot, (Millis, Millis)> = HashMap::new();
    let mut within = (0, 0);
    for second in 0..20_000 {
        let now = NOW + second * 1000;
        let slot = schedule.take(now).expect("all may be asked");
        if let Some((asked, at)) = told.remove(&slot) {
            within.0 += 1;
            within.1 += usize::from((at - asked).abs_diff(now - asked) < (now - asked).unsigned_abs() / 2);
        }
        schedule.looked(slot, answered(false, &[device(false, NOW, now)]), now);
        if second % 1000 == 999 {
            told = (0..50).filter_map(|s| schedule.planned(s, now).map(|at| (s, (now, at)))).collect();
        }
    }
    assert!(within.0 > 300 && within.1 * 4 > within.0 * 3, "{within:?}");
}

#[test]
fn the_backlog_counts_first_looks_and_is_zero_when_all_is_known() {
    let mut schedule = Schedule::default();
    for slot in 0..10 {
        schedule.insert(slot, seed(NOW), NOW);
    }
    assert_eq!(schedule.backlog(NOW), 10);
    let mut now = NOW + 3_600_000;
    while let Some(slot) = schedule.take(now) {
        let known = [device(false, NOW, now)];
        schedule.looked(slot, answered(false, &known), now);
        now += 50;
        if schedule.count(State::New) == 0 {
            break;
        }
    }
    assert_eq!(schedule.backlog(now), 0);
}

#[test]
fn pairs_looked_at_are_counted_among_those_whose_push_is_out() {
    let mut schedule = Schedule::default();
    for slot in 0..6 {
        let polled_at = (slot == 5).then_some(NOW);
        schedule.insert(slot, Seed { polled_at, ..seed(NOW + Millis::from(slot / 3) * 60_000) }, NOW);
    }
    assert_eq!(schedule.looked_of(NOW), (1, 4), "two pushes are still to come");
    for _ in 0..2 {
        let slot = schedule.take(NOW).expect("three may be asked");
        schedule.looked(slot, answered(true, &[device(true, NOW, NOW)]), NOW);
    }
    assert_eq!(schedule.looked_of(NOW), (3, 4));
    assert_eq!(schedule.looked_of(NOW + 60_000), (3, 6));
    let slot = schedule.take(NOW + 60_000).expect("a look is to be made");
    schedule.looked(slot, Look::Refused, NOW + 60_000);
    (0..6).for_each(|slot| assert!(schedule.remove(slot).is_some()));
    assert_eq!(schedule.looked_of(NOW + 60_000), (0, 0));
}

#[test]
fn members_of_a_task_are_drawn_at_random() {
    let order = |dice| {
        let mut schedule = Schedule::new(dice, Learned::default());
        (0..100).for_each(|slot| schedule.insert(slot, seed(NOW), NOW));
        std::iter::from_fn(move || schedule.take(NOW)).collect::<Vec<Slot>>()
    };
    assert_eq!(order(1), order(1), "the same seed draws the same");
    assert_ne!(order(1), order(2));
    let mut sorted = order(1);
    assert_ne!(sorted, (0..100).collect::<Vec<Slot>>());
    sorted.sort_unstable();
    assert_eq!(sorted, (0..100).collect::<Vec<Slot>>());
}

#[test]
fn a_broken_task_gets_more_first_looks() {
    let mut schedule = Schedule::default();
    for slot in 0..180 {
        let task = u32::from(slot >= 90);
        schedule.insert(slot, Seed { task, ..seed(NOW) }, NOW);
    }
    let mut broken = 0;
    for at in 0..60 {
        let now = NOW + 60_000 + at * 1000;
        let slot = schedule.take(now).expect("pairs are there");
        broken += u32::from(slot >= 90);
        let known = [device(slot >= 90, NOW + 2_000, now)];
        schedule.looked(slot, answered(slot >= 90, &known), now);
    }
    assert!(broken > 48, "{broken} of 60 looks at the broken task");
}

#[test]
fn what_was_learned_survives_as_bytes() {
    let mut schedule = Schedule::default();
    for slot in 0..200 {
        schedule.insert(slot, seed(NOW), NOW);
    }
    let mut now = NOW + 10_000;
    while let Some(slot) = schedule.take(now) {
        let known = [device(slot % 5 == 0, NOW + 3_000, now)];
        schedule.looked(slot, answered(slot % 5 == 0, &known), now);
        now += 1000;
        if now > NOW + 400_000 {
            break;
        }
    }
    let bytes = schedule.learned().to_bytes();
    let read = Learned::from_bytes(&bytes).expect("it was just written");
    assert_eq!(read.to_bytes(), bytes);
    let (failures, _) = read.first.curve.upto(60.0);
    assert!((failures - 0.2).abs() < 0.05, "one in five failed, not {failures}");
    assert_eq!(Learned::from_bytes(&bytes[1..]).err(), Some(UnreadableLearned::Version(bytes[1])));
    assert_eq!(Learned::from_bytes(&bytes[..bytes.len() - 1]).err(), Some(UnreadableLearned::Damaged));
}

/// A vendor whose receipts take one to three minutes, and one of which too little was seen.
#[test]
fn how_long_receipts_take_is_learned_for_each_platform() {
    let mut schedule = Schedule::default();
    let mut later = NOW;
    for slot in 0..300 {
        let pushed_at = NOW + Millis::from(slot) * 1000;
        schedule.insert(slot, seed(pushed_at), pushed_at);
        later = pushed_at + 700_000;
        assert_eq!(schedule.take(later), Some(slot));
        let mut known = device(false, pushed_at + 2_000, later);
        let receipt = pushed_at + 62_000 + Millis::from(slot % 120) * 1000;
        known.reports[3] = Some(Report { failed: false, at: Some(receipt), seen_at: later, fresh: true });
        known.platform = if slot % 6 == 0 { 4 } else { 3 };
        schedule.looked(slot, answered(true, &[known]), later);
    }
    let answer = schedule.learned().answer_lag().expect("300 answers were seen");
    assert!((2.0..5.0).contains(&answer), "{answer} s to the answer");
    let [(3, receipt)] = schedule.learned().receipt_lags()[..] else {
        panic!("{:?}", schedule.learned().receipt_lags());
    };
    assert!((175.0..260.0).contains(&receipt), "{receipt} s to the receipt");
    assert!(later > NOW && Learned::default().answer_lag().is_none());
}

#[test]
fn a_look_comes_shortly_before_the_end() {
    let mut schedule = Schedule::default();
    for slot in 0..50 {
        schedule.insert(slot, seed(NOW), NOW);
    }
    let mut latest: HashMap<Slot, Millis> = HashMap::new();
    let mut now = NOW;
    while now < NOW + 7 * DAY {
        if let Some(slot) = schedule.take(now) {
            latest.insert(slot, now);
            schedule.looked(slot, answered(false, &[device(false, NOW, now)]), now);
        }
        now += 20_000;
    }
    let window = 7 * DAY / Millis::from(LAST_SHARE);
    assert_eq!(latest.len(), 50);
    assert!(latest.values().all(|at| *at >= NOW + 7 * DAY - window));
}

#[test]
fn no_pair_waits_longer_than_the_bound() {
    let mut schedule = Schedule::default();
    let pairs = 40u32;
    for slot in 0..pairs {
        schedule.insert(slot, Seed { task: slot % 7, ..seed(NOW) }, NOW);
    }
    let mut looks: HashMap<Slot, u64> = HashMap::new();
    // Every second floor slot is for a last look, and a pair asked early in one round may be asked late in the next.
    let bound = 4 * FLOOR * u64::from(pairs + 1);
    for turn in 0..20 * bound {
        let now = NOW + turn as Millis * 1000;
        if let Some(slot) = schedule.take(now) {
            looks.insert(slot, turn);
            // Some report nothing ever, some fail on a device each time: all the gain lies with the others.
            let known = [device(false, if slot < 5 { now } else { NOW }, now)];
            schedule.looked(slot, answered(false, &known), now);
        }
        if turn > bound {
            let waits = (0..pairs).map(|slot| turn - looks.get(&slot).copied().unwrap_or(0));
            assert!(waits.max() <= Some(bound), "turn {turn}");
        }
    }
}

#[test]
fn a_pair_takes_at_most_70_bytes() {
    let mut schedule = Schedule::default();
    let pairs = 20_000;
    for slot in 0..pairs {
        let task = slot / 500;
        let polled_at = (slot % 4 != 0).then_some(NOW);
        let devices = &[device(false, NOW, NOW); 2][..1 + usize::from(slot % 3 == 0)];
        let seed = Seed { task, polled_at, devices, ..seed(NOW) };
        schedule.insert(slot, seed, NOW + 2_000);
    }
    let bytes = schedule.bytes() as f64 / f64::from(pairs);
    assert!(bytes <= 70.0, "{bytes} bytes");
}
