//! News that comes late: it is read, what settles leaves the gauges, and no answer keeps a pair watched for ever.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::answers::{FAILURE, LEAVES, SUCCESS, nobody, offline, stamp};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::{AppText, FIRST_APP, Place, Scrape, config, until};

const RATE: f64 = 20.0;
/// When the late results are there, from the first request for their pair on.
const LATE: Duration = Duration::from_secs(25);
/// Pairs beside them, which nothing is heard of.
const OTHERS: usize = 40;
const WATCHED: &str = "timpush_watched_pairs";
const RESULTS: &str = "timpush_stage_results_total";
const DEVICES: &str = "timpush_stage_devices";
const DRIFT: &str = "timpush_api_drift_total";

fn user(seen: &Seen) -> String {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    body["UserID"].as_str().unwrap().to_owned()
}

/// An element of the online route that reached its device just now, of a task that began ten minutes ago.
fn reached_online() -> Value {
    let good = || json!({"PushStatus": SUCCESS, "ErrorCode": 0, "ErrorInfo": "", "EventTime": stamp(0)});
    json!({
        "InstanceId": "1", "PushTime": stamp(600), "EventType": 2, "PushPlatform": 0, "Token": "",
        "NotificationStatus": 1, "IMCommitStat": {"IMStat": good()},
        "OnlinePushStat": {"ChannelStat": good(), "DeviceStat": good()},
    })
}

fn answer(elements: Vec<Value>) -> Value {
    json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "InstanceTrace": elements})
}

/// The first element of an answer of the offline route with these outcomes.
fn element(statuses: &[i64]) -> Value {
    offline(statuses)["InstanceTrace"][0].take()
}

/// The other route of a push fails late.
fn other_route(is_late: bool) -> Value {
    let mut elements = vec![reached_online()];
    elements.extend(is_late.then(|| element(&[SUCCESS, SUCCESS, FAILURE])));
    answer(elements)
}

/// The receipt is reported after the tap.
fn tapped(is_late: bool) -> Value {
    let mut tapped = element(&[SUCCESS; 5]);
    if !is_late {
        tapped["OfflinePushStat"][LEAVES[3]]["PushStatus"] = json!(0);
    }
    answer(vec![tapped])
}

/// So many devices that not all are kept, and others in each answer.
fn crowd(polls: usize) -> Value {
    let mut elements = Vec::new();
    for device in 0..40 {
        let mut element = element(&[SUCCESS; 5]);
        element["InstanceId"] = json!(format!("{}", polls * 30 + device));
        elements.push(element);
    }
    answer(elements)
}

fn polls(upstream: &Listener, of: &str) -> usize {
    upstream.seen().iter().filter(|seen| user(seen) == of).count()
}

fn count(scrape: &Scrape, name: &str, labels: &[(&str, &str)]) -> f64 {
    let labels: Vec<(&str, &str)> = [("app", "shop")].iter().chain(labels).copied().collect();
    scrape.sum(name, &labels)
}

#[test]
fn news_that_comes_late_is_read_before_its_pair_settles() {
    let began = Instant::now();
    let upstream = Listener::start(move |seen| {
        let is_late = began.elapsed() > LATE;
        let polls = began.elapsed().as_secs() as usize;
        let answer = match user(seen).as_str() {
            "both" => other_route(is_late),
            "tapped" => tapped(is_late),
            "crowd" => crowd(polls),
            _ => nobody(),
        };
        Reply::ok(&answer.to_string())
    });
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE)
        .entry("{task: both, users: [both]}")
        .entry("{task: tapped, users: [tapped]}")
        .entry("{task: crowd, users: [crowd]}")
        .users("others", OTHERS);
    let place = Place::new(&config(&[app]));
    let daemon = place.serve(&[]);
    let awaited = [("stage", "device"), ("state", "unreported"), ("platform", "apns")];
    daemon.scrape_until("the receipt is awaited", |s| count(s, DEVICES, &awaited) > 0.0);
    let failure = [("stage", "channel"), ("route", "offline"), ("outcome", "failure")];
    daemon.scrape_until("the failure on the other route is seen", |s| count(s, RESULTS, &failure) == 1.0);
    let settled = |s: &Scrape| count(s, WATCHED, &[("state", "settled")]) == 3.0;
    let scrape = daemon.scrape_until("the three pairs are settled", settled);
    let route = [("route", "offline"), ("stage", "click"), ("outcome", "success")];
    let taps = count(&scrape, RESULTS, &route);
    let receipts = [("route", "offline"), ("stage", "device"), ("outcome", "success")];
    assert_eq!(count(&scrape, RESULTS, &receipts), taps, "each tap has its receipt");
    assert_eq!(taps, 1.0 + 64.0, "of the crowd as many as are kept");
    assert!(count(&scrape, DRIFT, &[("kind", "cut")]) >= 1.0, "those that are not kept are told");
    for name in ["timpush_stage_overdue_devices", DEVICES] {
        let labels: &[(&str, &str)] = if name == DEVICES { &[("state", "unreported")] } else { &[] };
        assert_eq!(count(&scrape, name, labels), 0.0, "{name}");
    }
    // One poll that shows the late result, and one that confirms it.
    for of in ["both", "tapped"] {
        assert!((3..=4).contains(&polls(&upstream, of)), "{of}: {}", polls(&upstream, of));
    }
}

#[test]
fn a_push_time_that_moves_on_does_not_keep_a_pair_watched() {
    let upstream = Listener::start(|_| {
        let mut open = element(&[SUCCESS, SUCCESS]);
        open["PushTime"] = json!(stamp(0));
        Reply::ok(&answer(vec![open]).to_string())
    });
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE).key("watch_for: 6s").users("t", 2);
    let place = Place::new(&config(&[app]));
    let daemon = place.serve(&[]);
    until("both were polled", || upstream.seen().len() >= 2);
    daemon.scrape_until("both have expired", |s| {
        count(s, "timpush_pairs_ended_total", &[("reason", "expired")]) == 2.0
            && count(s, WATCHED, &[]) == 0.0
    });
}
