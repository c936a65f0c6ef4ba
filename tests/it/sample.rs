//! The random sample from outside: counted once over crashes, whole where the budget suffices, half of the polls where not.

use std::time::Duration;

use serde_json::Value;
use timpush_exporter::sim::{Options, Pair, PopulationOptions};

use crate::support::answers::{SAMPLE, now};
use crate::support::scrape::Sample;
use crate::support::{APP, AppText, Daemon, FIRST_APP, Place, Scrape, Town, eventually, until};

const RATE: f64 = 50.0;
const RESULTS: &str = "timpush_stage_results_total";
const SAMPLED: &str = "timpush_sample_results_total";
const CLOSED: &str = "timpush_sample_closed_devices_total";
const DELIVERY: &str = "timpush_sample_delivery_seconds_count";

/// Pushes of hours ago, all of whose news has come.
fn town_of_the_past(tasks: u32) -> Town {
    Town::start(Options {
        seed: 17,
        speed: 100_000.0,
        requests_per_second: RATE,
        population: PopulationOptions {
            tasks,
            users_per_task: 10,
            push_span: Duration::from_secs(10_800),
            past_share: 1.0,
        },
        ..Options::default()
    })
}

/// The app with those pairs on its list.
fn watching(app: AppText, pairs: &[Pair]) -> AppText {
    pairs.iter().fold(app, |app, pair| {
        let pushed_at = jiff::Timestamp::from_second(pair.pushed_at).unwrap();
        app.entry(&format!("{{task: {}, users: [{}], pushed_at: {pushed_at}}}", pair.task, pair.user))
    })
}

/// Fails while what is counted of the sample is not what is counted of all.
fn sample_is_whole(scrape: &Scrape) -> Result<(), String> {
    for Sample { labels, value, .. } in scrape.samples(RESULTS, &[]) {
        let own: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let sampled = scrape.value(SAMPLED, &own);
        if sampled != Some(*value) {
            return Err(format!("{labels:?}: {value} results, {sampled:?} of them in the sample"));
        }
    }
    Ok(())
}

#[test]
fn where_the_budget_suffices_every_pair_is_in_the_sample_once_whatever_crashes() {
    let town = town_of_the_past(12);
    let old: Vec<_> = town.sim.pairs(FIRST_APP).into_iter().filter(|p| p.pushed_at < now() - 4_000).collect();
    let app = AppText::new(APP, FIRST_APP, &town.sim.url(), RATE);
    let place = Place::new(&watching(app, &old).config());
    let mut shown = Scrape::default();
    for _ in 0..8 {
        let daemon = place.serve(&[]);
        daemon.scrape().assert_none_fell(&shown, &["timpush_sample_results", "timpush_sample_closed"]);
        town.await_requests(FIRST_APP, 12);
        shown = daemon.scrape();
        daemon.kill();
    }
    let daemon = place.serve(&[]);
    eventually("every pair is in the sample with all its results", || {
        let scrape = daemon.scrape();
        let pairs = scrape.value("timpush_sample_pairs", &[]);
        if pairs != Some(old.len() as f64) {
            return Err(format!("{pairs:?} pairs are in the sample"));
        }
        sample_is_whole(&scrape)
    });
    // A push of hours ago is closed with the poll that shows it.
    eventually("every device is closed", || {
        let scrape = daemon.scrape();
        let (closed, devices) = (scrape.sum(CLOSED, &[]), scrape.sum("timpush_devices", &[]));
        (closed == devices).then_some(()).ok_or(format!("{closed} of {devices}"))
    });
    let before = daemon.scrape();
    daemon.kill();
    let daemon = place.serve(&[]);
    town.await_requests(FIRST_APP, 20);
    assert_eq!(daemon.scrape().sum(CLOSED, &[]), before.sum(CLOSED, &[]), "each device is closed once");
}

#[test]
fn while_pairs_wait_about_half_of_the_polls_are_the_samples() {
    let town = town_of_the_past(200);
    let place = Place::new(&town.watched(APP, RATE).config());
    let daemon = place.serve(&[]);
    town.await_requests(FIRST_APP, 200);
    let pairs = || daemon.scrape().value("timpush_sample_pairs", &[]);
    until("figures of a second are shown", || pairs() > Some(50.0));
    let scrape = daemon.scrape();
    let polls = scrape.sum("timpush_api_requests_total", &[]);
    let pairs = scrape.value("timpush_sample_pairs", &[]).unwrap();
    assert!((0.35 * polls..0.65 * polls).contains(&pairs), "{pairs} pairs in the sample after {polls} polls");
    assert!(scrape.sum(SAMPLED, &[]) < scrape.sum(RESULTS, &[]), "not all that was polled is in it");
}

/// Listed with a push of that many seconds ago, answered with the sample of the manual, all of which happened long ago.
fn tapped(seconds_ago: i64) -> (Town, Daemon) {
    const TASK: &str = "660cc447_537ed82a_200000cd7ee17f5_84035729_bc614e";
    let town = Town::empty(1, RATE);
    let answer: Value = serde_json::from_str(SAMPLE).unwrap();
    town.answer(TASK, "alice", answer);
    let pushed_at = jiff::Timestamp::from_second(now() - seconds_ago).unwrap();
    let app = AppText::new(APP, FIRST_APP, &town.sim.url(), RATE);
    let app = app.entry(&format!("{{task: {TASK}, users: [alice], pushed_at: {pushed_at}}}"));
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    (town, daemon)
}

#[test]
fn a_device_is_closed_by_how_far_its_push_had_come_and_not_before_the_hour() {
    let (_town, daemon) = tapped(7_200);
    let tapped_on_apns = [("route", "offline"), ("platform", "apns"), ("result", "tapped")];
    until("its device is closed", || daemon.scrape().sum(CLOSED, &[]) > 0.0);
    let scrape = daemon.scrape();
    assert_eq!((scrape.sum(CLOSED, &tapped_on_apns), scrape.sum(CLOSED, &[])), (1.0, 1.0));
    assert_eq!(scrape.sum(DELIVERY, &[]), 1.0);
    until("it is shown in the sample", || daemon.scrape().value("timpush_sample_pairs", &[]) == Some(1.0));

    let (_town, daemon) = tapped(1_800);
    until("it is in the sample", || daemon.scrape().sum(SAMPLED, &[]) == 7.0);
    until("it is settled", || daemon.scrape().sum("timpush_watched_pairs", &[("state", "settled")]) == 1.0);
    assert_eq!(daemon.scrape().sum(CLOSED, &[]), 0.0, "its hour is not over");
}
