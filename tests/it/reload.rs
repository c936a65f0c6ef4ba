//! A reload is all or nothing: what is bad changes nothing, what is good leaves everybody else alone.

use rustix::process::Signal;
use serde_json::json;

use crate::support::answers::{FAILURE, SUCCESS, offline};
use crate::support::noise::{Breach, fairly};
use crate::support::{
    AppText, Daemon, FIRST_APP, KEY, Place, Scrape, Town, Turn, config, eventually, request, until,
};

const LIFECYCLE: &str = "--web.enable-lifecycle";
const WORKED: &str = "timpush_exporter_config_last_reload_successful";
const WORKED_AT: &str = "timpush_exporter_config_last_reload_success_timestamp_seconds";
const PAIRS: &str = "timpush_watched_pairs";
const ENDED: &str = "timpush_pairs_ended_total";
const RESULTS: &str = "timpush_stage_results_total";
const FAILURES: &str = "timpush_stage_failures_total";
/// Two faults, each at its own place.
const BAD: &str = "apps:\n  - name: \"not a name\"\n    sdk_app_id: 0\n    endpoint: http://127.0.0.1:9\n    \
                   secret_key_file: app.key\n";

fn app(town: &Town, name: &str, id: u64) -> AppText {
    AppText::new(name, id, &town.sim.url(), 20.0)
}

fn worked(daemon: &Daemon) -> Option<f64> {
    daemon.scrape().value(WORKED, &[])
}

#[test]
fn over_http_only_where_it_is_allowed_and_never_for_another_site() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&app(&town, "shop", FIRST_APP).users("t", 1).config());
    let daemon = place.serve(&[]);
    let page = daemon.reload();
    assert_eq!(page.status, 403, "{}", page.text());
    assert!(page.text().contains("--web.enable-lifecycle"), "{}", page.text());
    assert_eq!(daemon.get("/-/reload").status, 405);
    daemon.stop();
    let daemon = place.serve(&[LIFECYCLE]);
    assert_eq!(daemon.reload().status, 200);
    let foreign = "content-length: 0\r\norigin: http://evil.example\r\n";
    assert_eq!(request(daemon.address(), "POST /-/reload", foreign).status, 403);
    assert_eq!(daemon.get("/-/reload").status, 405);
}

#[test]
fn a_bad_file_changes_nothing() {
    let town = Town::empty(1, 20.0);
    let good = app(&town, "shop", FIRST_APP).users("t", 40);
    let place = Place::new(&good.config());
    let daemon = place.serve(&[LIFECYCLE]);
    let before = daemon.scrape();
    assert_eq!(before.value(WORKED, &[]), Some(1.0));
    let in_force = daemon.get("/config").text();
    place.configure(BAD);
    let page = daemon.reload();
    assert_eq!(page.status, 400);
    let faults = page.text();
    for place in ["apps[0].name", "apps[0].sdk_app_id", "config.yaml"] {
        assert!(faults.contains(place), "{place} is not in {faults}");
    }
    let scrape = daemon.scrape();
    assert_eq!(scrape.value(WORKED, &[]), Some(0.0));
    assert_eq!(scrape.value(WORKED_AT, &[]), before.value(WORKED_AT, &[]));
    assert_eq!(scrape.sum(PAIRS, &[("app", "shop")]), 40.0);
    assert_eq!(daemon.get("/config").text(), in_force);
    assert_eq!(daemon.get("/-/ready").status, 200);
    town.await_requests(FIRST_APP, 5);
    place.configure(&good.config());
    assert_eq!(daemon.reload().status, 200);
    assert_eq!(worked(&daemon), Some(1.0));
    // The same by signal.
    place.configure("apps: [");
    daemon.signal(Signal::HUP);
    until("the signal's reload failed", || worked(&daemon) == Some(0.0));
    assert!(daemon.log().contains("config.yaml"), "{}", daemon.log());
    place.configure(&good.config());
    daemon.signal(Signal::HUP);
    until("the signal's reload worked", || worked(&daemon) == Some(1.0));
    std::fs::remove_file(place.path("config.yaml")).unwrap();
    let page = daemon.reload();
    assert_eq!((page.status, worked(&daemon)), (400, Some(0.0)), "{}", page.text());
    town.await_requests(FIRST_APP, 5);
}

#[test]
fn apps_come_go_and_change_while_another_goes_on() {
    let _turn = Turn::alone();
    fairly(apps_come_go_and_change);
}

fn apps_come_go_and_change() -> Result<(), Breach> {
    /// Many times the interval, and far less than a poller that is stopped and started anew would need.
    const LONGEST_GAP_MICROS: u64 = 400_000;
    let town = Town::empty(4, 20.0);
    let [stays, goes, comes, changes] = [0, 1, 2, 3].map(|n| FIRST_APP + n);
    let steady = app(&town, "stays", stays).users("t", 100);
    let leaver = app(&town, "goes", goes).users("t", 30);
    let changed = app(&town, "changes", changes).users("t", 10);
    let place = Place::new(&config(&[steady.clone(), leaver, changed.clone()]));
    let daemon = place.serve(&[LIFECYCLE]);
    for id in [stays, goes, changes] {
        town.await_requests(id, 2);
    }
    let from = usize::try_from(town.requests(stays)).unwrap();
    let comer = app(&town, "comes", comes).users("t", 5);
    let changed = changed.rate(5.0).key("watch_labels: [campaign]").users("more", 7);
    place.configure(&config(&[comer, steady, changed]));
    assert_eq!(daemon.reload().status, 200);
    let scrape = daemon.scrape_until("the new lists are in force", |s| {
        s.sum(PAIRS, &[("app", "changes")]) == 17.0 && s.sum(PAIRS, &[("app", "comes")]) == 5.0
    });
    assert!(!scrape.names_app("goes"), "an app that left is shown");
    // It is lower for a while after a refusal, which the upstream of a busy machine may have sent.
    daemon.scrape_until("the new rate is in force", |s| {
        s.value("timpush_budget_requests_per_second", &[("app", "changes")]) == Some(5.0)
    });
    let left_at = town.requests(goes);
    for id in [stays, comes, changes] {
        town.await_requests(id, 5);
    }
    assert_eq!(town.requests(goes), left_at, "an app that left is asked for");
    let arrivals = &town.arrivals(stays).arrivals_micros[from - 1..];
    let longest = arrivals.windows(2).map(|two| two[1] - two[0]).max().unwrap();
    let early = town.sim.arrivals().apps.iter().map(|app| app.early_requests).sum();
    let words = format!("{early} early requests around a reload, and a gap of {longest} µs");
    if early == 0 && longest < LONGEST_GAP_MICROS { Ok(()) } else { Err(Breach { early, words }) }
}

#[test]
fn pairs_leave_and_come_back_and_nothing_counts_twice() {
    let town = Town::empty(1, 20.0);
    let chain = |statuses: &[i64]| offline(statuses);
    town.answer("t", "u0", chain(&[SUCCESS, SUCCESS]));
    town.answer("t", "u1", chain(&[SUCCESS, FAILURE]));
    town.answer("t", "u2", chain(&[SUCCESS, SUCCESS, SUCCESS]));
    town.answer("t", "u3", json!({"ActionStatus": "FAIL", "ErrorCode": 90100, "ErrorInfo": "no"}));
    let app = app(&town, "shop", FIRST_APP);
    let place = Place::new(&app.clone().users("t", 4).config());
    let daemon = place.serve(&[LIFECYCLE]);
    let sums = |s: &Scrape| {
        (s.sum(RESULTS, &[]), s.sum(FAILURES, &[]), s.sum("timpush_stage_delay_seconds_count", &[]))
    };
    let all = (7.0, 1.0, 6.0);
    let states = |s: &Scrape| ["active", "settled", "failing"].map(|state| s.sum(PAIRS, &[("state", state)]));
    daemon.scrape_until("each pair was asked for", |s| sums(s) == all && states(s) == [2.0, 1.0, 1.0]);
    let removed = |s: &Scrape| s.value(ENDED, &[("reason", "removed")]);
    // Only u0 stays: of the others one had settled before, which is no removal.
    place.configure(&app.clone().users("t", 1).config());
    assert_eq!(daemon.reload().status, 200);
    // The ledger hears of a pair that is being polled just now only after the answer.
    let scrape =
        daemon.scrape_until("three are gone", |s| s.sum(PAIRS, &[]) == 1.0 && removed(s) >= Some(2.0));
    assert_eq!((removed(&scrape), scrape.value(ENDED, &[("reason", "settled")])), (Some(2.0), Some(1.0)));
    assert_eq!(scrape.sum("timpush_devices", &[]), 1.0);
    assert_eq!(scrape.sum("timpush_stage_devices", &[("stage", "im")]), 1.0);
    assert_eq!(sums(&scrape), all, "what was counted stays counted");
    // They come back and are asked for again; a new stage of one of them counts, the old ones do not.
    town.answer("t", "u2", chain(&[SUCCESS, SUCCESS, SUCCESS, SUCCESS]));
    place.configure(&app.users("t", 4).config());
    assert_eq!(daemon.reload().status, 200);
    daemon.scrape_until("they are back and asked for", |s| {
        states(s) == [2.0, 1.0, 1.0] && s.sum(RESULTS, &[]) > 7.0
    });
    let scrape = daemon.scrape();
    assert_eq!(sums(&scrape), (8.0, 1.0, 7.0));
    assert_eq!(scrape.sum("timpush_devices", &[]), 3.0);
    town.await_requests(FIRST_APP, 6);
    let scrape = daemon.scrape();
    assert_eq!(sums(&scrape), (8.0, 1.0, 7.0));
    assert_eq!((removed(&scrape), scrape.value(ENDED, &[("reason", "settled")])), (Some(2.0), Some(1.0)));
}

/// Reloads of the long test, where the environment does not say another number.
const RELOADS: usize = 100;

#[test]
fn a_hundred_reloads_under_load_leave_nothing_behind() {
    fairly(reload_again_and_again);
}

fn reload_again_and_again() -> Result<(), Breach> {
    /// Threads for blocking work and connections, which come and go with the moment.
    const SLACK: usize = 24;
    /// What allocators and caches keep, by the moment; a task that is kept for each reload is more after a thousand.
    const SLACK_KIB: u64 = 3 * 1024;
    let reloads = std::env::var("TIMPUSH_TEST_RELOADS").map_or(RELOADS, |n| n.parse().unwrap());
    let town = Town::empty(3, 100.0);
    let apps: Vec<AppText> =
        (0..3).map(|n| app(&town, &format!("app{n}"), FIRST_APP + n).rate(50.0).users("t", 150)).collect();
    let place = Place::new(&config(&apps));
    let daemon = place.serve(&[LIFECYCLE]);
    let counts = || ["fd", "task"].map(|folder| daemon.entries(folder));
    let resident_kib = || daemon.kilobytes("VmRSS");
    let reload = |n: usize| {
        // Each time one app is away, another has a list, a rate and a key of its own; now and then all is bad.
        let mut present = apps.clone();
        present.remove(n % 3);
        let key = format!("key{}", n % 4);
        place.write(&key, KEY);
        let changed = present[n % 2].clone().users(&format!("t{}", n % 5), 20);
        present[n % 2] = changed.rate(40.0 + (n % 3) as f64).secret(&key);
        let is_bad = n % 7 == 6;
        place.configure(&if is_bad { BAD.to_owned() } else { config(&present) });
        if n.is_multiple_of(2) {
            let page = daemon.reload();
            assert_eq!(page.status, if is_bad { 400 } else { 200 }, "reload {n}: {}", page.text());
        } else {
            let before = reloads_told(&daemon);
            daemon.signal(Signal::HUP);
            until("the signal's reload is told", || reloads_told(&daemon) > before);
        }
    };
    (0..RELOADS.min(reloads)).for_each(reload);
    let (before, before_kib) = (counts(), resident_kib());
    (0..reloads).for_each(reload);
    let settled = eventually("files, threads and memory are what they were", || {
        let (after, kib) = (counts(), resident_kib());
        let is_flat = before.iter().zip(after).all(|(before, after)| after <= before + SLACK);
        let is_small = is_flat && kib <= before_kib + SLACK_KIB;
        is_small.then_some((after, kib)).ok_or_else(|| format!("{after:?} and {kib} KiB"))
    });
    println!("{reloads} reloads: files and threads {before:?}, {before_kib} KiB before, {settled:?} after");
    // Whoever is away now and then is asked for again.
    place.configure(&config(&apps));
    assert_eq!(daemon.reload().status, 200);
    let mut early = 0;
    for n in 0..3 {
        town.await_requests(FIRST_APP + n, 5);
        early += town.arrivals(FIRST_APP + n).early_requests;
    }
    daemon.stop();
    let words = format!("{early} early requests over {reloads} reloads");
    if early == 0 { Ok(()) } else { Err(Breach { early, words }) }
}

/// How many reloads the log tells of.
fn reloads_told(daemon: &Daemon) -> usize {
    let log = daemon.log();
    let told = |line: &&str| line.contains("configuration reloaded") || line.contains("apps[0].name");
    log.lines().filter(told).count()
}
