//! Crashes and stops: nothing counts twice, nothing is lost, nothing comes early.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use timpush_exporter::sim::{Fault, Options, PopulationOptions, ResultSum, Sums};

use crate::support::answers::SAMPLE;
use crate::support::sums::{comparable, difference};
use crate::support::{APP, AppText, Daemon, FIRST_APP, Place, Scrape, Town, eventually, until};

const SAMPLE_TASK: &str = "660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e";
const SAMPLE_USER: &str = "alice";

const RATE: f64 = 20.0;
/// How long a start or a stop may take.
const SOON: Duration = Duration::from_secs(8);
/// What a restart may not lower: all that is counted of pushes.
const PUSH_COUNTERS: [&str; 5] = [
    "timpush_stage_results_total",
    "timpush_sample_results_total",
    "timpush_stage_failures_total",
    "timpush_stage_delay_seconds_",
    "timpush_detection_delay_seconds_",
];

/// A town in which everything happens within seconds of its push, and pushes go out all the while.
fn busy_town() -> Town {
    Town::start(Options {
        seed: 20,
        speed: 5_000.0,
        requests_per_second: RATE,
        population: PopulationOptions {
            tasks: 12,
            users_per_task: 4,
            push_span: Duration::from_secs(12),
            past_share: 0.25,
        },
        ..Options::default()
    })
}

/// Waits until all that has happened was handed out and is counted, no more and no less.
fn everything_is_counted(town: &Town, daemon: &Daemon) {
    eventually("every result was handed out and counted", || {
        let (truth, account) = (town.truth(), town.account());
        let shown = daemon.scrape().sums();
        if shown != account {
            return Err(format!("shown and handed out differ:\n{}", difference(&shown, &account)));
        }
        let open = || format!("not asked for yet:\n{}", difference(&truth, &account));
        (truth == account).then_some(()).ok_or_else(open)
    });
}

/// The first request after each crash, told by how many came before it, keeps its distance from the last one before it.
///
/// Requests of one process are the matter of `budget.rs`: on a starved machine two of them may arrive together, which
/// no restart has to do with. Over a restart there is room for that.
fn assert_none_came_early(town: &Town, asked_before: &[u64], interval: Duration) {
    let arrivals = town.sim.arrivals().apps.remove(0);
    assert_eq!(arrivals.requests, arrivals.arrivals_micros.len() as u64, "all arrivals are kept");
    let at = |index: u64| Duration::from_micros(arrivals.arrivals_micros[index as usize]);
    let mut gaps = 0;
    for &before in asked_before.iter().filter(|before| (1..arrivals.requests).contains(*before)) {
        let gap = at(before) - at(before - 1);
        assert!(gap >= interval, "request {before} came {gap:?} after the one before the crash");
        gaps += 1;
    }
    assert!(gaps >= 10, "only {gaps} crashes came between two requests");
}

#[test]
fn twenty_crashes_neither_lose_nor_double_nor_hurry() {
    const CRASHES: usize = 20;
    let town = busy_town();
    let place = Place::new(&town.watched(APP, RATE).config());
    let mut dice = fastrand::Rng::with_seed(0x7175_6965);
    let mut shown = Scrape::default();
    let mut asked_before = Vec::with_capacity(CRASHES);
    for crash in 0..CRASHES {
        let mut daemon = Daemon::spawn(place.command(&[]));
        // The moment of the crash is what is tested here, so these sleeps wait for nothing.
        if crash % 4 == 3 {
            std::thread::sleep(Duration::from_millis(dice.u64(0..80)));
        } else {
            daemon = daemon.ready();
            daemon.scrape().assert_none_fell(&shown, &PUSH_COUNTERS);
            std::thread::sleep(Duration::from_millis(dice.u64(50..600)));
            shown = daemon.scrape();
        }
        daemon.kill();
        asked_before.push(town.requests(FIRST_APP));
    }
    assert!(shown.sum("timpush_stage_results_total", &[]) > 0.0, "the crashes came while it counted");
    let daemon = place.serve(&[]);
    everything_is_counted(&town, &daemon);
    let last = daemon.scrape();
    last.assert_none_fell(&shown, &PUSH_COUNTERS);
    assert_eq!(last.value("timpush_ledger_quarantined_files", &[]).unwrap_or(0.0), 0.0);
    assert_eq!(last.sum("timpush_watched_pairs", &[]), 48.0);
    daemon.stop();
    assert_none_came_early(&town, &asked_before, Duration::from_secs_f64(1.0 / RATE));
}

/// A town whose only pair has that answer, and who watches it.
fn canned(answer: Value) -> (Town, Place) {
    let town = Town::empty(1, RATE);
    town.answer(SAMPLE_TASK, SAMPLE_USER, answer);
    let app = AppText::new(APP, FIRST_APP, &town.sim.url(), RATE);
    let place = Place::new(&app.entry(&format!("{{task: {SAMPLE_TASK}, users: [{SAMPLE_USER}]}}")).config());
    (town, place)
}

/// Exactly the results that the contract reads out of the sample answer.
fn assert_shows_the_sample(scrape: &Scrape) {
    let route = |route, platform, stages: &[&'static str]| {
        let sum = |stage: &&str| ResultSum {
            sdk_app_id: FIRST_APP,
            route: String::from(route),
            stage: (*stage).to_owned(),
            platform: String::from(platform),
            outcome: "success".to_owned(),
            count: 1,
        };
        stages.iter().map(sum).collect::<Vec<_>>()
    };
    let mut results = route("offline", "apns", &["im", "offline", "channel", "device", "click"]);
    results.extend(route("online", "im", &["channel", "device"]));
    let expected = comparable(Sums { devices: 0, results, failures: Vec::new() });
    let shown = scrape.sums();
    assert_eq!(shown, expected, "{}", difference(&shown, &expected));
}

/// Kills a daemon as soon as it has asked once more, `times` times.
fn crash_right_after_a_question(town: &Town, place: &Place, times: usize) {
    for _ in 0..times {
        let asked = town.requests(FIRST_APP);
        let daemon = place.begin(&[]);
        until("a question", || {
            // A pair that is known to be settled is not asked for again.
            let settled = || daemon.scrape().sum("timpush_watched_pairs", &[("state", "settled")]);
            town.requests(FIRST_APP) > asked || settled() > 0.0
        });
        daemon.kill();
    }
}

#[test]
fn the_sample_answer_counts_once_although_each_look_ends_in_a_crash() {
    let (town, place) = canned(serde_json::from_str(SAMPLE).unwrap());
    crash_right_after_a_question(&town, &place, 4);
    let daemon = place.serve(&[]);
    until("the pair is settled", || {
        daemon.scrape().sum("timpush_watched_pairs", &[("state", "settled")]) == 1.0
    });
    assert_shows_the_sample(&daemon.scrape());
}

#[test]
fn the_sample_answer_polled_again_and_again_counts_once() {
    // The sample alone settles its pair. A second device that reports nothing keeps it open, and so polled.
    let mut answer: Value = serde_json::from_str(SAMPLE).unwrap();
    let mut silent = answer["InstanceTrace"][0].clone();
    silent["InstanceId"] = json!("74224657");
    for object in ["IMCommitStat", "OfflinePushStat", "OnlinePushStat"] {
        silent[object] = json!({});
    }
    answer["InstanceTrace"].as_array_mut().unwrap().push(silent);
    let (town, place) = canned(answer);
    crash_right_after_a_question(&town, &place, 4);
    for _ in 0..2 {
        let asked = town.requests(FIRST_APP);
        let daemon = place.serve(&[]);
        until("two more looks", || town.requests(FIRST_APP) >= asked + 2);
        until("the answer is counted", || daemon.scrape().sum("timpush_stage_results_total", &[]) > 0.0);
        assert_shows_the_sample(&daemon.scrape());
        daemon.kill();
    }
    let daemon = place.serve(&[]);
    assert_shows_the_sample(&daemon.scrape());
}

fn stops_soon(daemon: Daemon) {
    let began = Instant::now();
    let end = daemon.stop();
    let took = began.elapsed();
    assert!(took < SOON, "it took {took:?} to stop:\n{}", String::from_utf8_lossy(&end.stderr));
}

#[test]
fn sigterm_ends_it_cleanly_even_while_the_upstream_hangs() {
    let town = busy_town();
    // Far longer than a stop may take.
    let place = Place::new(&town.watched(APP, RATE).key("request_timeout: 1m").config());
    let daemon = place.serve(&[]);
    until("something is counted", || daemon.scrape().sum("timpush_stage_results_total", &[]) > 0.0);
    town.sim.set_fault(Fault::Hang).unwrap();
    let asked = town.requests(FIRST_APP);
    until("questions hang", || town.requests(FIRST_APP) >= asked + 3);
    let shown = daemon.scrape();
    stops_soon(daemon);

    town.sim.clear_faults();
    let stopped_at = Instant::now();
    let daemon = place.serve(&[]);
    assert!(stopped_at.elapsed() < SOON, "it was ready only after {:?}", stopped_at.elapsed());
    daemon.scrape().assert_none_fell(&shown, &PUSH_COUNTERS);
    everything_is_counted(&town, &daemon);
    stops_soon(daemon);
}
