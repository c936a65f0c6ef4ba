//! The push families of hand-made snapshots, compared with a golden file and read back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::ledger::{
    AppTally, CodeLabel, DELIVERY_BOUNDS_SECONDS, DETECTION_BOUNDS_SECONDS, Ended, NEVER_DUE, PlatformLabel,
    STAGE_DELAY_BOUNDS_SECONDS, SetKey, SetTally,
};
use crate::trace::{Notifications, Outcome, Platform, Reason, Route, Stage};
use crate::watch::LabelSet;

pub(super) const NOW: i64 = 1_795_000_000;

fn key(route: Route, platform: PlatformLabel, labels: &[(&str, &str)]) -> SetKey {
    let labels: Vec<(Box<str>, Box<str>)> = labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
    SetKey { labels: LabelSet::from(labels), route, platform }
}

const APNS: PlatformLabel = PlatformLabel::Of(Platform::Vendor(1));

pub(super) fn view(app: &str, watch_labels: &[&str]) -> PushView {
    PushView { app: app.into(), watch_labels: watch_labels.iter().map(|name| Box::from(*name)).collect() }
}

fn snapshot(app: &str, sets: Vec<(SetKey, SetTally)>) -> Snapshot {
    let tally = AppTally {
        sets: sets.into_iter().map(|(key, set)| (key, Arc::new(set))).collect(),
        ..AppTally::default()
    };
    Snapshot { size_bytes: 0, apps: BTreeMap::from([(app.into(), Arc::new(tally))]), committed_at: NOW }
}

/// One device on each outcome of the channel, with a failure, silence and a success behind it.
fn busy_set() -> SetTally {
    let mut set = SetTally { devices: [2, 0, 1], ..SetTally::default() };
    let channel = &mut set.stages[Stage::Channel as usize];
    channel.results = [7, 3];
    channel.devices = [1, 2];
    channel.failures.insert((Reason::InvalidToken, CodeLabel::Code(-10)), 1);
    channel.failures.insert((Reason::Unknown, CodeLabel::Other), 2);
    channel.delay.observe(STAGE_DELAY_BOUNDS_SECONDS, 2);
    channel.delay.observe(STAGE_DELAY_BOUNDS_SECONDS, 3);
    channel.delay.observe(STAGE_DELAY_BOUNDS_SECONDS, 1_000_000);
    set.sample.results[Stage::Channel as usize] = [4, 1];
    set.sample.closed = [1, 2, 3, 4, 5];
    set.sample.delivery.observe(DELIVERY_BOUNDS_SECONDS, 2);
    set.sample.delivery.observe(DELIVERY_BOUNDS_SECONDS, 3_600);
    let device = &mut set.stages[Stage::Device as usize];
    let this_minute = u32::try_from(NOW / 60).unwrap();
    device.unreported = BTreeMap::from([(this_minute, 4), (this_minute + 1, 8), (NEVER_DUE, 16)]);
    set
}

pub(super) fn text(snapshot: &Snapshot, views: &[PushView], registry: &Registry) -> String {
    String::from_utf8(render((snapshot, views), registry, NOW, 0)).unwrap()
}

fn push_text(snapshot: &Snapshot, views: &[PushView]) -> String {
    let mut out = String::new();
    push::Page::new(snapshot, views, NOW).write(&mut out, &[]);
    out
}

pub(super) fn sample_of<'a>(text: &'a str, series: &str) -> Option<&'a str> {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = found.next();
    assert!(found.next().is_none(), "{series} is there twice");
    value
}

pub(super) fn golden_snapshot() -> Snapshot {
    let mut snapshot = snapshot(
        "shop",
        vec![
            (key(Route::Offline, APNS, &[("campaign", "spring")]), busy_set()),
            (key(Route::Online, PlatformLabel::Of(Platform::Im), &[]), SetTally::default()),
            (key(Route::Offline, PlatformLabel::Of(Platform::Vendor(12)), &[]), SetTally::default()),
            (key(Route::Offline, PlatformLabel::Other, &[("campaign", "other")]), SetTally::default()),
        ],
    );
    let mut shop = AppTally::clone(&snapshot.apps["shop"]);
    shop.detection.observe(DETECTION_BOUNDS_SECONDS, 15);
    shop.detection.observe(DETECTION_BOUNDS_SECONDS, 16);
    shop.ended[Ended::Expired as usize] = 5;
    shop.overflow.insert(names::STAGE_FAILURES.name, 2);
    shop.label_sets_returned_at = 1_790_000_000;
    snapshot.apps.insert("shop".into(), Arc::new(shop));
    snapshot.apps.insert("left".into(), Arc::new(AppTally::default()));
    snapshot
}

#[test]
fn the_scrape_of_a_known_snapshot_is_the_golden_one() {
    let views = [view("shop", &["campaign"]), view("fresh", &[])];
    let text = push_text(&golden_snapshot(), &views);
    let golden = include_str!("../../tests/fixtures/scrape/push.prom");
    for (at, (line, wanted)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(line, wanted, "line {} of push.prom", at + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "lines of push.prom");
    assert!(text.ends_with('\n'));
}

#[test]
fn nothing_known_writes_nothing() {
    assert_eq!(push_text(&Snapshot::default(), &[]), "");
}

#[test]
fn label_values_are_escaped() {
    let set = key(Route::Online, APNS, &[("campaign", "a\\b\"c\nd é")]);
    let text = push_text(&snapshot("shop", vec![(set, SetTally::default())]), &[view("shop", &["campaign"])]);
    let series = r#"timpush_devices{app="shop",platform="apns",campaign="a\\b\"c\nd é",notifications="on"}"#;
    assert_eq!(sample_of(&text, series), Some("0"));
    assert!(text.lines().all(|line| line.starts_with('#') || line.starts_with("timpush_")));
}

#[test]
fn a_set_is_born_whole() {
    for route in Route::ALL {
        let known = snapshot("shop", vec![(key(route, APNS, &[]), SetTally::default())]);
        let text = push_text(&known, &[view("shop", &[])]);
        for stage in Stage::ALL {
            let labels = format!(
                "app=\"shop\",route=\"{}\",stage=\"{}\",platform=\"apns\"",
                route.as_str(),
                stage.as_str()
            );
            let wanted = route.stages().contains(&stage).then_some("0");
            let value = |name: &str, rest: &str| sample_of(&text, &format!("{name}{{{labels}{rest}}}"));
            for outcome in Outcome::ALL {
                let rest = format!(",outcome=\"{}\"", outcome.as_str());
                assert_eq!(value("timpush_stage_results_total", &rest), wanted);
            }
            for state in ["success", "failure", "unreported"] {
                assert_eq!(value("timpush_stage_devices", &format!(",state=\"{state}\"")), wanted);
            }
            assert_eq!(value("timpush_stage_overdue_devices", ""), wanted);
        }
        assert!(!text.contains("timpush_stage_failures_total"), "failures are born at their first value");
        assert!(!text.contains("timpush_stage_delay_seconds"), "histograms are born with their first value");
    }
}

#[test]
fn sets_that_become_equal_are_added_up() {
    let sets = vec![
        (key(Route::Offline, APNS, &[("campaign", "a"), ("team", "x")]), busy_set()),
        (key(Route::Offline, APNS, &[("campaign", "b"), ("team", "x")]), busy_set()),
        (key(Route::Offline, APNS, &[("campaign", "b")]), SetTally::default()),
    ];
    let text = push_text(&snapshot("shop", sets), &[view("shop", &["team", "region"])]);
    let set = r#"app="shop",route="offline",stage="channel",platform="apns",team="x",region="""#;
    let value = |name: &str, rest: &str| sample_of(&text, &format!("{name}{{{set}{rest}}}"));
    assert_eq!(value("timpush_stage_results_total", ",outcome=\"success\""), Some("14"));
    assert_eq!(value("timpush_stage_failures_total", ",reason=\"unknown\",code=\"other\""), Some("4"));
    assert_eq!(value("timpush_stage_devices", ",state=\"failure\""), Some("4"));
    assert_eq!(value("timpush_stage_delay_seconds_bucket", ",le=\"2\""), Some("2"));
    assert_eq!(value("timpush_stage_delay_seconds_bucket", ",le=\"+Inf\""), Some("6"));
    assert_eq!(value("timpush_stage_delay_seconds_sum", ""), Some("2000010"));
    let device = set.replace("channel", "device");
    assert_eq!(sample_of(&text, &format!("timpush_stage_overdue_devices{{{device}}}")), Some("8"));
    let devices = r#"timpush_devices{app="shop",platform="apns",team="x",region="",notifications="on"}"#;
    assert_eq!(sample_of(&text, devices), Some("4"));
    let without = r#"timpush_devices{app="shop",platform="apns",team="",region="",notifications="on"}"#;
    assert_eq!(sample_of(&text, without), Some("0"));
    assert!(!text.contains("campaign"));
}

#[test]
fn devices_of_one_platform_on_both_routes_are_one_series() {
    let on = |n| SetTally { devices: [n, 0, 0], ..SetTally::default() };
    let sets = Route::ALL.map(|route| (key(route, PlatformLabel::Other, &[]), on(3)));
    let text = push_text(&snapshot("shop", sets.into()), &[view("shop", &[])]);
    let series = r#"timpush_devices{app="shop",platform="other",notifications="on"}"#;
    assert_eq!(Notifications::ALL[0].as_str(), "on");
    assert_eq!(sample_of(&text, series), Some("6"));
}
