//! The budget by the upstream's own clock: no request comes early, and what is allowed is used.

use std::time::{Duration, Instant};

use timpush_exporter::sim::{AppArrivals, Fault};

use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, FIRST_APP, Place, Town, Turn};

/// How long a rate is measured.
const MEASURED: Duration = Duration::from_secs(8);
/// The first requests meet a program that has just started; they are judged as early or not, but not for the use.
const WARM_UP: usize = 10;
/// The share of the rate that the contract promises while work is due.
const PROMISED_USE: f64 = 0.97;
/// What is left of it at a hundred a second where the program is not optimised: each request takes it half a
/// millisecond of the ten.
const UNOPTIMISED_USE: f64 = 0.9;
/// Noise of the machine has made one request in this many come early, beside two busy loops and more: the watch naps, and
/// what naps is woken sooner than what works as much as daemon and simulator do. What goes beyond needs its stalls.
const SEEN_BY_NOISE: u64 = 16;
/// No noise makes one in this many come early, where it is more than one or two.
const MOST_BY_NOISE: u64 = 5;
const RATE: &str = "timpush_budget_requests_per_second";

/// An app that always has work due: each of its pairs wants a look every second.
fn busy(town: &Town, rate: f64) -> AppText {
    AppText::new("shop", FIRST_APP, &town.sim.url(), rate).users("task", (rate * 12.0) as usize + 100)
}

/// The share of `rate` that was used between the first and the last of the arrivals.
fn used(arrivals_micros: &[u64], rate: f64) -> f64 {
    let (first, last) = (arrivals_micros[0], arrivals_micros[arrivals_micros.len() - 1]);
    (arrivals_micros.len() - 1) as f64 / ((last - first) as f64 / 1e6) / rate
}

fn smallest_gap_micros(arrivals_micros: &[u64]) -> u64 {
    let gaps = arrivals_micros.windows(2).map(|two| two[1] - two[0]);
    gaps.min().expect("at least two arrivals")
}

fn none_early(arrivals: &AppArrivals) -> Result<(), Breach> {
    if arrivals.early_requests == 0 {
        return Ok(());
    }
    let gap = arrivals.smallest_gap_seconds;
    let (early, all) = (arrivals.early_requests, arrivals.requests);
    assert!(
        early <= 2 || early * MOST_BY_NOISE < all,
        "no noise makes {early} of {all} come early, the smallest gap {gap:?} s"
    );
    Err(Breach {
        early: early.saturating_sub(all / SEEN_BY_NOISE),
        words: format!("{early} of {all} requests came early, the smallest gap {gap:?} s"),
    })
}

fn breach(words: String) -> Result<(), Breach> {
    Err(Breach { early: 0, words })
}

/// Serves a busy app at `rate` for a while.
fn rate_is_kept_and_used(rate: f64, promised: f64) -> Result<(), Breach> {
    let town = Town::empty(1, rate);
    let place = Place::new(&busy(&town, rate).config());
    let daemon = place.serve(&[]);
    town.await_requests(FIRST_APP, (rate * MEASURED.as_secs_f64()) as u64);
    let arrivals = town.arrivals(FIRST_APP);
    let backlog = daemon.scrape().value("timpush_schedule_backlog_seconds", &[]);
    assert!(backlog > Some(0.0), "work was due all the time, and now: {backlog:?}");
    let warm = &arrivals.arrivals_micros[WARM_UP..];
    let used = used(warm, rate);
    println!(
        "{rate}/s: {} requests, {} early, smallest gap {:.3} ms, {:.2} % used",
        arrivals.requests,
        arrivals.early_requests,
        smallest_gap_micros(warm) as f64 / 1e3,
        used * 100.0
    );
    none_early(&arrivals)?;
    if used < promised {
        return breach(format!("{used} of {rate}/s were used"));
    }
    Ok(())
}

#[test]
fn twenty_a_second_are_used_and_none_comes_early() {
    let _turn = Turn::alone();
    fairly(|| rate_is_kept_and_used(20.0, PROMISED_USE));
}

#[test]
fn a_hundred_a_second_are_used_and_none_comes_early() {
    let _turn = Turn::alone();
    let promised = if cfg!(debug_assertions) { UNOPTIMISED_USE } else { PROMISED_USE };
    fairly(|| rate_is_kept_and_used(100.0, promised));
}

#[test]
fn a_trace_beside_the_daemon_gets_its_turn_and_comes_not_early() {
    let _turn = Turn::alone();
    fairly(traces_beside_the_daemon);
}

fn traces_beside_the_daemon() -> Result<(), Breach> {
    const TRACES: u64 = 8;
    const LONGEST: Duration = Duration::from_secs(5);
    let town = Town::empty(1, 20.0);
    let place = Place::new(&busy(&town, 20.0).config());
    let daemon = place.serve(&[]);
    let mut longest = Duration::ZERO;
    for n in 0..TRACES {
        town.await_requests(FIRST_APP, 3);
        let began = Instant::now();
        let output = place.run(&["trace", &format!("trace{n}"), "alice", "--app", "shop"]);
        longest = longest.max(began.elapsed());
        let error = String::from_utf8_lossy(&output.stderr);
        if error.contains("60007") {
            return none_early(&town.arrivals(FIRST_APP));
        }
        assert!(output.status.success(), "{error}");
    }
    town.await_requests(FIRST_APP, 3);
    let arrivals = town.arrivals(FIRST_APP);
    println!("{TRACES} traces beside the daemon: the longest took {longest:?}");
    let sent = daemon.scrape().value("timpush_api_requests_total", &[]).unwrap();
    assert!(sent + TRACES as f64 >= arrivals.requests as f64, "every request is somebody's");
    none_early(&arrivals)?;
    if longest >= LONGEST {
        return breach(format!("a trace waited {longest:?}"));
    }
    Ok(())
}

#[test]
fn a_crash_loop_brings_no_request_early() {
    let _turn = Turn::alone();
    fairly(crashes_again_and_again);
}

fn crashes_again_and_again() -> Result<(), Breach> {
    const RATE: f64 = 2.0;
    let town = Town::empty(1, RATE);
    let place = Place::new(&busy(&town, RATE).config());
    for crash in 0..15 {
        let daemon = place.begin(&[]);
        match crash % 5 {
            // Right at its start, and at any moment around its first request.
            0 => {}
            1 => town.await_requests(FIRST_APP, 2),
            _ => town.await_requests(FIRST_APP, 1),
        }
        daemon.kill();
    }
    let arrivals = town.arrivals(FIRST_APP);
    assert!(arrivals.requests >= 15, "{}", arrivals.requests);
    none_early(&arrivals)
}

#[test]
fn a_reload_changes_the_rate_and_brings_no_request_early() {
    let _turn = Turn::alone();
    fairly(reloads_to_other_rates);
}

fn reloads_to_other_rates() -> Result<(), Breach> {
    let town = Town::empty(1, 50.0);
    let app = busy(&town, 50.0);
    let place = Place::new(&app.clone().rate(20.0).config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    for rate in [20.0, 4.0, 50.0, 8.0] {
        place.configure(&app.clone().rate(rate).config());
        assert_eq!(daemon.reload().status, 200);
        daemon.scrape_until("the rate is in force", |s| s.value(RATE, &[]) == Some(rate));
        let before = usize::try_from(town.requests(FIRST_APP)).unwrap();
        town.await_requests(FIRST_APP, 9);
        let arrivals = town.arrivals(FIRST_APP);
        none_early(&arrivals)?;
        let since = &arrivals.arrivals_micros[before.saturating_sub(1)..];
        let (gap, used) = (smallest_gap_micros(since), used(&since[1..], rate));
        if (gap as f64) < 1e6 / rate || used < 0.8 {
            return breach(format!("{gap} µs between two at {rate}/s, of which {used} were used: {since:?}"));
        }
    }
    Ok(())
}

#[test]
fn refusals_for_too_many_requests_slow_the_app_down_and_good_answers_bring_it_back() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&busy(&town, 10.0).config());
    let daemon = place.serve(&[]);
    daemon.scrape_until("the full rate is in force", |s| s.value(RATE, &[]) == Some(10.0));
    town.fault(Fault::Error { code: 60007 }, 3);
    // Neither a good answer nor one refusal more until it has been looked at.
    town.fault(Fault::Http { status: 500 }, u64::MAX);
    // Three times half as wide again.
    let slowest = 10.0 / 1.5_f64.powi(3);
    let is_slowest = |rate: f64| (rate - slowest).abs() < slowest * 0.01;
    daemon.scrape_until("the rate is lower", |s| s.value(RATE, &[]).is_some_and(is_slowest));
    let scrape = daemon.scrape();
    let failures = [("kind", "rate_limit"), ("code", "60007")];
    assert_eq!(scrape.value("timpush_api_failures_total", &failures), Some(3.0));
    town.sim.clear_faults();
    let slow_from = usize::try_from(town.requests(FIRST_APP)).unwrap();
    let mut rates = vec![scrape.value(RATE, &[]).unwrap()];
    daemon.scrape_until("the rate has recovered", |scrape| {
        rates.extend(scrape.value(RATE, &[]));
        rates.last() == Some(&10.0)
    });
    assert!(rates.is_sorted(), "it recovers step by step: {rates:?}");
    assert!(rates.iter().any(|rate| *rate > slowest * 1.2 && *rate < 9.5), "{rates:?}");
    let slow = &town.arrivals(FIRST_APP).arrivals_micros[slow_from..slow_from + 5];
    assert!(used(slow, 10.0) < 0.6, "the wider pace is kept: {slow:?}");
}
