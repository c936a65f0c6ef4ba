//! Crashes and stops: nothing counts twice, nothing is lost, nothing comes early.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use timpush_exporter::sim::{CannedAnswer, Fault, Options, TownOptions};

use crate::support::sums::{comparable, difference};
use crate::support::{APP, App, Daemon, ID, Rig, Scrape, wait_for, wait_until};

/// The answer that the manual prints.
const SAMPLE: &str = include_str!("../fixtures/sample-answer.json");
const SAMPLE_TASK: &str = "660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e";
const SAMPLE_USER: &str = "alice";

/// What a restart may not lower: all that is counted of pushes.
const PUSH_COUNTERS: [&str; 4] = [
    "timpush_stage_results_total",
    "timpush_stage_failures_total",
    "timpush_stage_delay_seconds_",
    "timpush_detection_delay_seconds_",
];

/// A town in which everything happens within seconds of its push, and pushes go out all the while.
fn busy_town(requests_per_second: f64) -> Options {
    Options {
        seed: 20,
        speed: 5_000.0,
        requests_per_second,
        town: TownOptions {
            tasks: 12,
            users_per_task: 4,
            push_span: Duration::from_secs(12),
            past_share: 0.25,
        },
        ..Options::default()
    }
}

/// Every push counter shown before is shown still, no lower.
fn assert_none_fell(before: &Scrape, after: &Scrape) {
    for prefix in PUSH_COUNTERS {
        for (name, labels, value) in before.beginning(prefix) {
            let own: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            let now = after.value(name, &own);
            assert!(
                now.is_some_and(|now| now >= value),
                "{name}{labels:?} was {value} before the crash and is {now:?} after it"
            );
        }
    }
}

/// Waits until all that has happened was handed out and is counted, no more and no less.
async fn everything_is_counted(rig: &Rig, daemon: &Daemon) {
    wait_for("every result was handed out and counted", async || {
        let (truth, account) = (rig.truth(), rig.account());
        let shown = daemon.scrape().await.sums(APP, ID);
        if shown != account {
            return Err(format!("shown and handed out differ:\n{}", difference(&shown, &account)));
        }
        let open = || format!("not asked for yet:\n{}", difference(&truth, &account));
        (truth == account).then_some(()).ok_or_else(open)
    })
    .await;
}

/// The first request after each crash, told by how many came before it, keeps its distance from the last one before it.
///
/// Requests of one process are the matter of `budget.rs`: on a starved machine two of them may arrive together, which
/// no restart has to do with. Over a restart there is room for that.
fn assert_none_came_early(rig: &Rig, asked_before: &[u64], interval: Duration) {
    let arrivals = rig.simulator.arrivals().apps.remove(0);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_crashes_neither_lose_nor_double_nor_hurry() {
    const CRASHES: usize = 20;
    const RATE: f64 = 20.0;
    let rig = Rig::start(busy_town(RATE));
    rig.configure(&[rig.app(RATE)]);
    let mut dice = fastrand::Rng::with_seed(0x7175_6965);
    let mut shown = Scrape::default();
    let mut asked_before = Vec::with_capacity(CRASHES);
    for crash in 0..CRASHES {
        let mut daemon = rig.spawn();
        // The moment of the crash is what is tested here, so these sleeps wait for nothing.
        if crash % 4 == 3 {
            tokio::time::sleep(Duration::from_millis(dice.u64(0..80))).await;
        } else {
            daemon.ready().await;
            assert_none_fell(&shown, &daemon.scrape().await);
            tokio::time::sleep(Duration::from_millis(dice.u64(50..600))).await;
            shown = daemon.scrape().await;
        }
        daemon.kill();
        asked_before.push(rig.requests());
    }
    assert!(shown.sum("timpush_stage_results_total", &[]) > 0.0, "the crashes came while it counted");
    let mut daemon = rig.daemon().await;
    everything_is_counted(&rig, &daemon).await;
    let last = daemon.scrape().await;
    assert_none_fell(&shown, &last);
    assert_eq!(last.value("timpush_ledger_quarantined_files", &[]).unwrap_or(0.0), 0.0);
    assert_eq!(last.sum("timpush_watched_pairs", &[]), 48.0);
    let (status, _) = daemon.terminate().await;
    assert!(status.success(), "{status}:\n{}", daemon.stderr());
    assert_none_came_early(&rig, &asked_before, Duration::from_secs_f64(1.0 / RATE));
}

/// A rig without a town, whose only pair has that answer.
fn canned(answer: Value) -> Rig {
    let rig = Rig::start(Options {
        requests_per_second: 20.0,
        town: TownOptions { tasks: 0, ..Options::default().town },
        ..Options::default()
    });
    let answer = CannedAnswer::json(SAMPLE_TASK, SAMPLE_USER, answer);
    rig.simulator.set_answer(answer).unwrap();
    let mut app = App::new(&rig.simulator.url(), 20.0);
    app.entries = json!([{"task": SAMPLE_TASK, "users": [SAMPLE_USER]}]);
    rig.configure(&[app]);
    rig
}

/// Exactly the results that the contract reads out of the sample answer.
fn assert_shows_the_sample(scrape: &Scrape) {
    let route = |route, platform, stages: &[&'static str]| {
        let sum = |stage: &&str| timpush_exporter::sim::ResultSum {
            sdk_app_id: ID,
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
    let expected = comparable(timpush_exporter::sim::Sums { devices: 0, results, failures: Vec::new() });
    let shown = scrape.sums(APP, ID);
    assert_eq!(shown, expected, "{}", difference(&shown, &expected));
}

/// Kills a daemon as soon as it has asked once more, `times` times.
async fn crash_right_after_a_question(rig: &Rig, times: usize) {
    for _ in 0..times {
        let asked = rig.requests();
        let mut daemon = rig.spawn();
        daemon.listening().await;
        wait_for("a question", async || {
            // A pair that is known to be settled is not asked for again.
            let settled =
                || async { daemon.scrape().await.sum("timpush_watched_pairs", &[("state", "settled")]) };
            if rig.requests() > asked || settled().await > 0.0 {
                return Ok(());
            }
            Err("none came".to_owned())
        })
        .await;
        daemon.kill();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_answer_counts_once_although_each_look_ends_in_a_crash() {
    let rig = canned(serde_json::from_str(SAMPLE).unwrap());
    crash_right_after_a_question(&rig, 4).await;
    let daemon = rig.daemon().await;
    wait_until("the pair is settled", async || {
        daemon.scrape().await.sum("timpush_watched_pairs", &[("state", "settled")]) == 1.0
    })
    .await;
    assert_shows_the_sample(&daemon.scrape().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_answer_polled_again_and_again_counts_once() {
    // The sample alone settles its pair. A second device that reports nothing keeps it open, and so polled.
    let mut answer: Value = serde_json::from_str(SAMPLE).unwrap();
    let mut silent = answer["InstanceTrace"][0].clone();
    silent["InstanceId"] = json!("74224657");
    for object in ["IMCommitStat", "OfflinePushStat", "OnlinePushStat"] {
        silent[object] = json!({});
    }
    answer["InstanceTrace"].as_array_mut().unwrap().push(silent);
    let rig = canned(answer);
    crash_right_after_a_question(&rig, 4).await;
    for _ in 0..2 {
        let asked = rig.requests();
        let mut daemon = rig.daemon().await;
        wait_until("two more looks", async || rig.requests() >= asked + 2).await;
        wait_until("the answer is counted", async || {
            daemon.scrape().await.sum("timpush_stage_results_total", &[]) > 0.0
        })
        .await;
        assert_shows_the_sample(&daemon.scrape().await);
        daemon.kill();
    }
    let daemon = rig.daemon().await;
    assert_shows_the_sample(&daemon.scrape().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_it_cleanly_even_while_the_upstream_hangs() {
    const SOON: Duration = Duration::from_secs(8);
    let rig = Rig::start(busy_town(20.0));
    // Far longer than a stop may take.
    let mut app = rig.app(20.0);
    app.request_timeout = "1m".to_owned();
    rig.configure(&[app]);
    let mut daemon = rig.daemon().await;
    wait_until("something is counted", async || {
        daemon.scrape().await.sum("timpush_stage_results_total", &[]) > 0.0
    })
    .await;
    rig.simulator.set_fault(Fault::Hang).unwrap();
    let asked = rig.requests();
    wait_until("questions hang", async || rig.requests() >= asked + 3).await;
    let shown = daemon.scrape().await;
    let (status, took) = daemon.terminate().await;
    assert!(status.success(), "{status}:\n{}", daemon.stderr());
    assert!(took < SOON, "it took {took:?} to stop");

    rig.simulator.clear_faults();
    let stopped_at = Instant::now();
    let mut daemon = rig.daemon().await;
    assert!(stopped_at.elapsed() < SOON, "it was ready only after {:?}", stopped_at.elapsed());
    assert_none_fell(&shown, &daemon.scrape().await);
    everything_is_counted(&rig, &daemon).await;
    let (status, took) = daemon.terminate().await;
    assert!(status.success() && took < SOON, "{status} after {took:?}:\n{}", daemon.stderr());
}
