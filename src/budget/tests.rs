//! Spacing over answers, silence, restarts and two processes on one slot.

use std::time::Duration;

use super::slot::KeptPause;
use super::{Budget, Key, Moment, Pace, Pause, Turn};

const SECOND: u64 = 1_000_000_000;

fn at(seconds: f64) -> Moment {
    Moment(1_000 * SECOND + (seconds * 1e9) as u64)
}

fn gap(from: Moment, to: Moment) -> f64 {
    to.since(from).as_secs_f64()
}

#[test]
fn a_fresh_pace_lets_the_first_start_through_at_once() {
    assert_eq!(Pace::new(1.0).earliest(), Moment::default());
}

/// Sends `latencies.len()` requests at `rate`, each answered after its latency (seconds); gives all gaps.
fn gaps(rate: f64, latencies: &[f64]) -> Vec<f64> {
    let mut pace = Pace::new(rate);
    let mut sent = at(0.0);
    pace.started(sent);
    let mut gaps = Vec::new();
    for latency in latencies {
        let answered_at = sent.after(Duration::from_secs_f64(*latency));
        let mut next = pace.earliest();
        if answered_at <= next {
            pace.answered(sent, answered_at);
            next = pace.earliest().max(answered_at);
        }
        gaps.push(gap(sent, next));
        pace.started(next);
        sent = next;
    }
    gaps
}

#[test]
fn at_first_every_answer_is_waited_for() {
    let gaps = gaps(1.0, &[0.020, 0.030]);
    // 4 ms of the margin are not used up by it.
    assert!((gaps[0] - 1.024).abs() < 1e-6 && (gaps[1] - 1.034).abs() < 1e-6, "{gaps:?}");
}

#[test]
fn later_only_what_an_answer_took_beyond_the_quickest_is_waited_for() {
    let mut latencies = vec![0.040; 40];
    latencies.extend([0.080, 0.040]);
    let gaps = gaps(1.0, &latencies);
    assert!(gaps[39] < 1.016 && (gaps[40] - 1.044).abs() < 1e-6, "{:?}", &gaps[38..]);
}

#[test]
fn a_next_request_that_is_quicker_than_any_before_is_not_early() {
    // 200 µs late at 100 a second, and the next takes 30 µs less than the quickest: its gap at the receiver.
    let mut latencies = vec![0.000_300; 40];
    latencies.extend([0.000_500, 0.000_300]);
    let gap = gaps(100.0, &latencies)[40] - 0.000_200 - 0.000_030;
    assert!(gap >= 0.01, "{gap}");
}

#[test]
fn answers_that_never_come_leave_credit_for_those_that_do() {
    const NEVER: f64 = 1.0;
    let mut latencies = vec![0.000_300; 2_000];
    latencies.extend([NEVER; 20]);
    latencies.extend([0.000_300, 0.000_800, 0.000_300]);
    let gaps = gaps(100.0, &latencies);
    assert!(gaps[2_000] > 0.05, "the first of them is waited for: {}", gaps[2_000]);
    assert!(gaps[2_019] < 0.010_300, "the last of them is not: {}", gaps[2_019]);
    assert!(gaps[2_021] >= 0.010_500, "what is 0.5 ms late is waited for: {}", gaps[2_021]);
}

#[test]
fn a_request_that_arrives_late_does_not_bring_the_next_one_close() {
    // The way there takes 1 ms, now and then 15 ms more: the receiver's clock must not see a short gap.
    let way: Vec<f64> = (0..400).map(|i| if i % 50 == 49 { 0.016 } else { 0.001 }).collect();
    let latencies: Vec<f64> = way.iter().map(|there| there + 0.001).collect();
    let gaps = gaps(20.0, &latencies);
    for (i, gap) in gaps.iter().enumerate().take(399) {
        let at_receiver = gap + way[i + 1] - way[i];
        assert!(at_receiver >= 0.05 - 1e-9, "request {i}: {at_receiver}");
    }
}

#[test]
fn whatever_answers_take_the_rate_stays_above_97_percent_and_no_gap_is_short() {
    let slow_at_times = |i: usize| if i.is_multiple_of(3) { 0.9 } else { 0.1 };
    for rate in [1.0, 20.0, 100.0] {
        for latency in [&|_| 0.0005, &|_| 0.2, &|_| 5.0, &slow_at_times] as [&dyn Fn(usize) -> f64; 4] {
            let latencies: Vec<f64> = (0..2_000).map(latency).collect();
            let gaps = gaps(rate, &latencies);
            assert!(gaps.iter().all(|gap| *gap >= 1.0 / rate - 1e-9));
            let used = gaps.len() as f64 / gaps.iter().sum::<f64>() / rate;
            assert!(used >= 0.97, "rate {rate}, latency {}: {used}", latency(0));
        }
    }
}

#[test]
fn an_answer_to_an_older_request_changes_nothing() {
    let mut pace = Pace::new(1.0);
    pace.started(at(0.0));
    pace.started(at(1.0));
    let before = pace.earliest();
    pace.answered(at(0.0), at(1.5));
    assert_eq!(pace.earliest(), before);
}

#[test]
fn rate_limit_answers_widen_and_good_ones_narrow_back() {
    let mut pace = Pace::new(2.0);
    pace.widen();
    assert!((pace.rate() - 2.0 / 1.5).abs() < 1e-9);
    for _ in 0..50 {
        pace.widen();
    }
    assert!(pace.interval() <= Duration::from_secs(8));
    for _ in 0..200 {
        pace.narrow();
    }
    assert!((pace.rate() - 2.0).abs() < 1e-9);
    assert!(!pace.narrow());
}

pub(super) fn key() -> Key {
    Key::new("localhost", None, 7)
}

/// Opens a budget that waits: the rate is so low that no test reaches the end of the interval.
fn slow(folder: &std::path::Path) -> Budget {
    Budget::open(folder, &key(), 0.001).expect("a temporary folder can be written")
}

/// When the budget wants to be asked again; `None` if the start is taken.
fn take(budget: &mut Budget) -> Option<Moment> {
    match budget.take_at(Moment::now(), Duration::ZERO).unwrap() {
        Turn::Taken(_) => None,
        Turn::NotBefore(moment) => Some(moment),
    }
}

#[test]
fn a_start_of_the_process_before_holds_the_next_one_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(take(&mut first), None);
    let sent_at = Moment::now();
    first.sent(sent_at).unwrap();
    drop(first);

    let mut second = slow(folder.path());
    let wait = take(&mut second).expect("the interval is not over");
    assert!(gap(sent_at, wait) >= 1000.0);
    assert_eq!(take(&mut second), Some(wait));
}

#[test]
fn a_start_whose_process_died_before_it_was_sent_counts_from_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(take(&mut first), None);
    drop(first);

    let before = Moment::now();
    let mut second = slow(folder.path());
    let wait = take(&mut second).expect("the request may still arrive");
    assert!(gap(before, wait) >= 1000.0);
    assert_eq!(take(&mut second), Some(wait));
}

#[test]
fn while_one_process_sends_the_other_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut daemon, mut trace) = (slow(folder.path()), slow(folder.path()));
    assert_eq!(take(&mut daemon), None);
    let retry = take(&mut trace).expect("the slot is locked");
    assert!(gap(Moment::now(), retry) < 1.0, "asks again soon");
    daemon.sent(Moment::now()).unwrap();
    let wait = take(&mut trace).expect("the interval is not over");
    assert!(gap(Moment::now(), wait) > 900.0);
}

#[test]
fn a_file_that_is_no_record_costs_an_interval_and_not_the_guarantee() {
    for text in ["", "rubbish\n", "some-other-boot sent 5 7\n", "\u{0}\u{1}\u{2}"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(key().file_name()), text).unwrap();
        let taken = take(&mut slow(folder.path()));
        assert_eq!(taken.is_none(), text.is_empty(), "{text:?}");
    }
}

#[test]
fn a_pause_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(first.kept_pause().unwrap(), None);
    for fixed in [true, false] {
        let pause = Pause { resume_at: 1_800_000_000, fixed };
        let pause = Some(KeptPause { pause, app: "shop".to_owned() });
        first.keep_pause(pause.as_ref()).unwrap();
        assert_eq!(slow(folder.path()).kept_pause().unwrap(), pause);
    }
    assert_eq!(take(&mut first), None);
    first.sent(Moment::now()).unwrap();
    first.keep_pause(None).unwrap();
    assert_eq!(slow(folder.path()).kept_pause().unwrap(), None);
}

#[test]
fn a_process_that_cannot_write_its_starts_leaves_the_slot_to_others() {
    let folder = tempfile::tempdir().unwrap();
    // Reads as a slot of which nobody took a start yet, and can be locked, but not written.
    std::os::unix::fs::symlink("/dev/full", folder.path().join(key().file_name())).unwrap();
    let mut budget = slow(folder.path());
    assert!(budget.take_at(Moment::now(), Duration::ZERO).is_err());
    assert!(slow(folder.path()).hold().unwrap(), "the lock is free");
}
