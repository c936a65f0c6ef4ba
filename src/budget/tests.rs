//! Spacing over answers, silence, restarts and two processes on one slot.

use std::time::Duration;

use super::{Budget, Moment, Pace};

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

#[test]
fn a_quick_answer_moves_the_next_start_to_an_interval_after_it() {
    let mut pace = Pace::new(1.0);
    pace.started(at(0.0));
    pace.answered(at(0.0), at(0.002));
    assert!((gap(at(0.0), pace.earliest()) - 1.002).abs() < 1e-6);
}

#[test]
fn a_slow_answer_is_waited_for_only_as_far_as_the_credit_reaches() {
    let mut pace = Pace::new(1.0);
    pace.started(at(0.0));
    pace.answered(at(0.0), at(0.9));
    let wait = gap(at(0.0), pace.earliest());
    assert!(wait > 1.0 && wait < 1.03, "{wait}");
}

#[test]
fn with_slow_answers_the_rate_stays_above_97_percent_and_no_gap_is_short() {
    for latency in [0.0005, 0.02, 0.2, 5.0] {
        let mut pace = Pace::new(1.0);
        let mut sent = at(0.0);
        pace.started(sent);
        let starts = 2_000;
        for _ in 0..starts {
            let latest = pace.earliest();
            let answered_at = sent.after(Duration::from_secs_f64(latency));
            if answered_at <= latest {
                pace.answered(sent, answered_at);
            }
            let next = pace.earliest();
            assert!(gap(sent, next) >= 1.0);
            pace.started(next);
            sent = next;
        }
        let rate = f64::from(starts) / gap(at(0.0), sent);
        assert!(rate >= 0.97, "latency {latency}: {rate}");
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

/// Opens a budget that waits: the rate is so low that no test reaches the end of the interval.
fn slow(folder: &std::path::Path) -> Budget {
    Budget::open(folder, "shop", 0.001).expect("a temporary folder can be written")
}

#[test]
fn a_start_of_the_process_before_holds_the_next_one_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(first.take().unwrap(), None);
    let sent_at = Moment::now();
    first.sent(sent_at).unwrap();
    drop(first);

    let mut second = slow(folder.path());
    let wait = second.take().unwrap().expect("the interval is not over");
    assert!(gap(sent_at, wait) >= 1000.0);
    assert_eq!(second.take().unwrap(), Some(wait));
}

#[test]
fn a_start_whose_process_died_before_it_was_sent_counts_from_now() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(first.take().unwrap(), None);
    drop(first);

    let before = Moment::now();
    let mut second = slow(folder.path());
    let wait = second.take().unwrap().expect("the request may still arrive");
    assert!(gap(before, wait) >= 1000.0);
    assert_eq!(second.take().unwrap(), Some(wait));
}

#[test]
fn while_one_process_sends_the_other_waits() {
    let folder = tempfile::tempdir().unwrap();
    let (mut daemon, mut trace) = (slow(folder.path()), slow(folder.path()));
    assert_eq!(daemon.take().unwrap(), None);
    let retry = trace.take().unwrap().expect("the slot is locked");
    assert!(gap(Moment::now(), retry) < 1.0, "asks again soon");
    daemon.sent(Moment::now()).unwrap();
    let wait = trace.take().unwrap().expect("the interval is not over");
    assert!(gap(Moment::now(), wait) > 900.0);
}

#[test]
fn a_file_that_is_no_record_costs_an_interval_and_not_the_guarantee() {
    for text in ["", "rubbish\n", "some-other-boot sent 5 7\n", "\u{0}\u{1}\u{2}"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.slot"), text).unwrap();
        let taken = slow(folder.path()).take().unwrap();
        assert_eq!(taken.is_none(), text.is_empty(), "{text:?}");
    }
}

#[test]
fn a_pause_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = slow(folder.path());
    assert_eq!(first.kept_pause().unwrap(), 0);
    first.keep_pause(1_800_000_000).unwrap();
    assert_eq!(first.take().unwrap(), None);
    first.sent(Moment::now()).unwrap();
    assert_eq!(slow(folder.path()).kept_pause().unwrap(), 1_800_000_000);
}
