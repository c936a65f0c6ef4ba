//! What `/metrics` promises: well-formed, whole, the same in gzip, silent towards the upstream, and on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};
use timpush_exporter::metrics::{Kind, catalogue};
use timpush_exporter::sim::OutageOrder;

use crate::support::answers::{SAMPLE, nobody};
use crate::support::scrape::Labels;
use crate::support::{AppText, Daemon, FIRST_APP, Page, Place, Scrape, Town, config, request, until};

const RESULTS: &str = "timpush_stage_results_total";
const COMMITS: &str = "timpush_ledger_commit_duration_seconds";
const SIZE: &str = "timpush_ledger_size_bytes";
const ACCEPT_GZIP: &str = "accept-encoding: gzip\r\n";

/// Metrics that the contract does not promise from the start: they speak of trouble that a good run has not, of pushes whose
/// hour is over, or of sources and a web configuration that are not named.
const CONDITIONAL: [&str; 8] = [
    "timpush_sample_delivery_seconds",
    "timpush_api_failures_total",
    "timpush_api_drift_total",
    "timpush_series_overflow_total",
    "timpush_source_last_success_timestamp_seconds",
    "timpush_source_entries",
    "timpush_web_certificate_expiry_timestamp_seconds",
    "timpush_web_config_last_reload_successful",
];

/// A lively town whose results a daemon is just learning.
fn lively() -> (Town, Place, Daemon) {
    let town = Town::lively(1, 30, 100.0);
    // Every vendor of the town has its failures.
    let outage: OutageOrder = serde_json::from_str("{\"platform\": 2, \"kind\": \"fail\"}").unwrap();
    town.sim.outage(outage).unwrap();
    let place = Place::new(&town.watched("shop", 100.0).config());
    let daemon = place.serve(&[]);
    (town, place, daemon)
}

#[test]
fn every_scrape_during_polling_is_well_formed_and_no_counter_falls() {
    let (_town, _place, daemon) = lively();
    let mut before = Scrape::default();
    let mut grew = 0;
    let whole = daemon.scrape_until("many results are counted, and several scrapes saw it", |scrape| {
        no_counter_falls(&before, scrape);
        grew += usize::from(scrape.sum(RESULTS, &[]) > before.sum(RESULTS, &[]));
        before = scrape.clone();
        grew > 5 && scrape.sum(RESULTS, &[]) > 500.0 && scrape.sum("timpush_stage_failures_total", &[]) > 0.0
    });
    for metric in catalogue() {
        let Some(family) = whole.families.get(metric.name) else {
            assert!(CONDITIONAL.contains(&metric.name), "{} is not there", metric.name);
            continue;
        };
        assert_eq!(family.kind, metric.kind.as_str(), "{}", metric.name);
        assert_eq!(family.help, metric.help, "{}", metric.name);
        let known: BTreeSet<&str> =
            metric.labels.iter().chain(metric.trailing).copied().chain(["le"]).collect();
        for sample in &family.samples {
            let foreign = sample.labels.keys().find(|name| !known.contains(name.as_str()));
            assert_eq!(foreign, None, "{sample:?}");
        }
    }
    let foreign = whole.families.keys().find(|name| {
        !name.starts_with("process_") && catalogue().iter().all(|metric| metric.name != name.as_str())
    });
    assert_eq!(foreign, None, "a metric that is not in the catalogue");
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_resident_memory_bytes"] {
        assert!(whole.value(name, &[]).is_some(), "{name}");
    }
    let failures = whole.sum("timpush_stage_failures_total", &[]);
    assert_eq!(failures, whole.sum(RESULTS, &[("outcome", "failure")]));
}

fn no_counter_falls(before: &Scrape, after: &Scrape) {
    for metric in catalogue().iter().filter(|metric| metric.kind == Kind::Counter) {
        for sample in before.samples(metric.name, &[]) {
            let same = after.samples(metric.name, &[]).find(|s| s.labels == sample.labels);
            assert!(same.is_some_and(|s| s.value >= sample.value), "{sample:?} became {same:?}");
        }
    }
}

#[test]
fn sets_are_born_whole() {
    let (_town, _place, daemon) = lively();
    let mut platforms = BTreeSet::new();
    daemon.scrape_until("several platforms are known on both routes", |scrape| {
        let mut sets: BTreeMap<Labels, BTreeSet<(String, String)>> = BTreeMap::new();
        for sample in scrape.samples(RESULTS, &[]) {
            let mut labels = sample.labels.clone();
            let member = (labels.remove("stage").unwrap(), labels.remove("outcome").unwrap());
            assert!(sets.entry(labels).or_default().insert(member));
        }
        for (labels, members) in &sets {
            platforms.insert((labels["route"].clone(), labels["platform"].clone()));
            let stages: &[&str] = match labels["route"].as_str() {
                "offline" => &["im", "offline", "channel", "device", "click"],
                "online" => &["im", "channel", "device"],
                route => panic!("no such route: {route}"),
            };
            let whole: BTreeSet<(String, String)> = stages
                .iter()
                .flat_map(|stage| {
                    ["success", "failure"].map(|outcome| ((*stage).to_owned(), outcome.to_owned()))
                })
                .collect();
            assert_eq!(*members, whole, "{labels:?}");
        }
        let online = platforms.contains(&("online".to_owned(), "im".to_owned()));
        online && platforms.len() > 4
    });
    let online: Vec<_> = platforms.iter().filter(|(route, _)| route == "online").collect();
    assert_eq!(online.len(), 1, "on the online route the platform is always im: {platforms:?}");
}

/// How many apps the daemon of [`at_rest`] has.
const APPS_AT_REST: u64 = 2;

/// A daemon that has nothing more to ask: its one pair is settled.
fn at_rest() -> (Town, Place, Daemon) {
    let town = Town::empty(APPS_AT_REST, 20.0);
    town.answer("t", "u0", serde_json::from_str(SAMPLE).unwrap());
    town.answer("t", "u1", nobody());
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 20.0).users("t", 1);
    let idle = AppText::new("idle", FIRST_APP + 1, &town.sim.url(), 20.0);
    let place = Place::new(&config(&[app, idle]));
    let daemon = place.serve(&[]);
    // A poller shows its status after all its metrics.
    until("the pair is settled and both pollers have shown their figures", || {
        let apps = daemon.get("/api/v1/status").data()["apps"].take();
        let shown = |name: &str, settled: u64| {
            let mut apps = apps.as_array().unwrap().iter();
            apps.any(|app| app["name"] == name && app["pairs"]["settled"] == settled)
        };
        shown("shop", 1) && shown("idle", 0) && daemon.scrape().value(SIZE, &[]).is_some()
    });
    (town, place, daemon)
}

/// The page without what the process tells of this very moment, and without the commits: once a minute a poller keeps
/// what it has learned.
fn lasting(page: &str) -> String {
    let fleeting = |line: &&str| {
        ["process_", COMMITS, "timpush_ledger_last_commit_timestamp_seconds", SIZE]
            .iter()
            .any(|name| line.starts_with(name))
    };
    page.lines().filter(|line| !fleeting(line)).map(|line| format!("{line}\n")).collect()
}

fn commits_of(daemon: &Daemon) -> f64 {
    daemon.scrape().sum(&format!("{COMMITS}_count"), &[])
}

fn unpacked(page: &Page) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(&*page.body).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn gzip_holds_the_same() {
    let (_town, _place, daemon) = at_rest();
    let plain = daemon.get("/metrics");
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(plain.header("content-encoding"), None);
    let packed = request(daemon.address(), "GET /metrics", ACCEPT_GZIP);
    assert_eq!(packed.header("content-type"), plain.header("content-type"));
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 3 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
    assert_eq!(lasting(&unpacked(&packed)), lasting(&plain.text()));
    Scrape::read(&unpacked(&packed));
    let refused = request(daemon.address(), "GET /metrics", "accept-encoding: gzip;q=0, br\r\n");
    assert_eq!(refused.header("content-encoding"), None);
}

#[test]
fn looking_causes_no_request() {
    let (town, _place, daemon) = at_rest();
    assert_eq!((town.requests(FIRST_APP), town.requests(FIRST_APP + 1)), (1, 0));
    let first = daemon.get("/metrics").text();
    let (commits, began) = (commits_of(&daemon), Instant::now());
    for _ in 0..50 {
        for path in ["/", "/config", "/-/healthy", "/-/ready"] {
            assert_eq!(daemon.get(path).status, 200, "{path}");
        }
        let scrape = daemon.get("/metrics").text();
        assert_eq!(lasting(&scrape), lasting(&first), "nothing happens, so nothing changes");
    }
    let learned = APPS_AT_REST * (began.elapsed().as_secs() / 60 + 1);
    let commits = commits_of(&daemon) - commits;
    assert!(commits <= learned as f64, "{commits} commits of those who only look");
    assert_eq!((town.requests(FIRST_APP), town.requests(FIRST_APP + 1)), (1, 0));
    assert_eq!(town.sim.arrivals().stranger_requests, 0);
}

#[test]
fn what_a_scrape_shows_is_on_disk() {
    let (_town, place, mut daemon) = lively();
    let mut counted = 0.0;
    for crash in 1..=4 {
        let shown = daemon.scrape_until("more results are shown", |s| s.sum(RESULTS, &[]) > counted + 50.0);
        daemon.kill();
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let ledger = Connection::open_with_flags(place.storage().join("ledger.db"), flags).unwrap();
        let mut find = ledger
            .prepare(
                "SELECT count FROM result WHERE route = ?1 AND stage = ?2 AND platform = ?3 AND outcome = ?4",
            )
            .unwrap();
        for sample in shown.samples(RESULTS, &[]).filter(|sample| sample.value > 0.0) {
            let key = ["route", "stage", "platform", "outcome"].map(|name| sample.labels[name].clone());
            let kept: u64 = find.query_row(key, |row| row.get(0)).unwrap();
            assert!(kept as f64 >= sample.value, "crash {crash}: {kept} are kept of {sample:?}");
        }
        let kept: u64 =
            ledger.query_row("SELECT coalesce(sum(count), 0) FROM failure", [], |row| row.get(0)).unwrap();
        assert!(kept as f64 >= shown.sum("timpush_stage_failures_total", &[]));
        drop(find);
        drop(ledger);
        counted = shown.sum(RESULTS, &[]);
        daemon = place.serve(&[]);
        no_counter_of_the_ledger_falls(&shown, &daemon.scrape());
    }
}

/// As a restart must leave them: those that the ledger keeps.
fn no_counter_of_the_ledger_falls(before: &Scrape, after: &Scrape) {
    for name in [RESULTS, "timpush_stage_failures_total", "timpush_pairs_ended_total"] {
        for sample in before.samples(name, &[]) {
            let same = after.samples(name, &[]).find(|s| s.labels == sample.labels);
            assert!(same.is_some_and(|s| s.value >= sample.value), "{sample:?} became {same:?}");
        }
    }
}
