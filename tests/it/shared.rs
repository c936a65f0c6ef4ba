//! The budget belongs to host and SDKAppID: whatever the app is called, and however many apps there are.

use std::time::Duration;

use timpush_exporter::sim::{AppArrivals, Fault};

use crate::support::answers::now;
use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, Daemon, FIRST_APP, Place, Town, Turn, config, stays, until};

const LIFECYCLE: &str = "--web.enable-lifecycle";
const RESUME: &str = "timpush_budget_resume_timestamp_seconds";

const RATE_SHOWN: &str = "timpush_budget_requests_per_second";
const REQUESTS: &str = "timpush_api_requests_total";
const FAILURES: &str = "timpush_api_failures_total";
/// The share of the rate that the contract promises while work is due.
const PROMISED_USE: f64 = 0.97;
/// No noise of the machine leaves less.
const LEAST_USE: f64 = 0.8;

/// An app of that name that always has work due.
fn busy(town: &Town, name: &str, rate: f64) -> AppText {
    AppText::new(name, FIRST_APP, &town.sim.url(), rate).users(&format!("task-of-{name}"), 400)
}

fn none_early(arrivals: &AppArrivals) -> Result<(), Breach> {
    let (early, all, gap) = (arrivals.early_requests, arrivals.requests, arrivals.smallest_gap_seconds);
    assert!(
        early <= 2 || early * 10 < all,
        "no noise makes {early} of {all} come early, the smallest gap {gap:?} s"
    );
    if early == 0 {
        return Ok(());
    }
    Err(Breach { early, words: format!("{early} of {all} requests came early, the smallest gap {gap:?} s") })
}

fn sent(daemon: &Daemon, app: &str) -> f64 {
    daemon.scrape().sum(REQUESTS, &[("app", app)])
}

#[test]
fn an_app_that_is_renamed_brings_no_request_early_and_wastes_nothing() {
    let _turn = Turn::alone();
    fairly(renames);
}

fn renames() -> Result<(), Breach> {
    const RATE: f64 = 2.0;
    let town = Town::empty(1, RATE);
    let place = Place::new(&busy(&town, "name0", RATE).config());
    let daemon = place.serve(&[LIFECYCLE]);
    for n in 1..=6 {
        town.await_requests(FIRST_APP, 2);
        place.configure(&busy(&town, &format!("name{n}"), RATE).config());
        assert_eq!(daemon.reload().status, 200);
    }
    town.await_requests(FIRST_APP, 2);
    let arrivals = town.arrivals(FIRST_APP);
    none_early(&arrivals)?;
    let gaps = arrivals.arrivals_micros.windows(2).map(|two| two[1] - two[0]);
    let longest = gaps.max().unwrap_or_default();
    if longest < 1_000_000 {
        Ok(())
    } else {
        Err(Breach { early: 0, words: format!("a gap of {longest} µs") })
    }
}

/// Waits until the app is paused; when polling goes on, Unix seconds.
fn pause(daemon: &Daemon, app: &str) -> i64 {
    let resume_at = || daemon.scrape().sum(RESUME, &[("app", app)]);
    until("a pause", || resume_at() > 0.0);
    resume_at() as i64
}

fn nothing_arrives(town: &Town) {
    stays(Duration::from_secs(2), "the number of requests", || town.requests(FIRST_APP));
}

#[test]
fn a_pause_that_the_upstream_named_stays_with_the_sdk_app_id() {
    let town = Town::empty(2, 1e6);
    let place = Place::new(&busy(&town, "before", 20.0).config());
    let daemon = place.serve(&[LIFECYCLE]);
    town.await_requests(FIRST_APP, 3);
    town.fault(Fault::Error { code: 60028 }, 1);
    let resume_at = pause(&daemon, "before");
    assert!((3_500..=3_600).contains(&(resume_at - now())), "{resume_at}");
    // Under another name, with another app beside it, over a restart.
    let after = busy(&town, "after", 20.0);
    place.configure(&config(&[after.clone(), busy(&town, "beside", 20.0)]));
    assert_eq!(daemon.reload().status, 200);
    for app in ["after", "beside"] {
        assert_eq!(pause(&daemon, app), resume_at, "{app}");
    }
    nothing_arrives(&town);
    daemon.kill();
    let daemon = place.serve(&[LIFECYCLE]);
    assert_eq!((pause(&daemon, "after"), pause(&daemon, "beside")), (resume_at, resume_at));
    // Another SDKAppID is free to ask; the first one is paused as before.
    let elsewhere = after.clone().key(&format!("sdk_app_id: {}", FIRST_APP + 1));
    place.configure(&elsewhere.config());
    assert_eq!(daemon.reload().status, 200);
    town.await_requests(FIRST_APP + 1, 3);
    place.configure(&after.config());
    assert_eq!(daemon.reload().status, 200);
    assert_eq!(pause(&daemon, "after"), resume_at);
    nothing_arrives(&town);
}

#[test]
fn a_lock_out_of_one_app_pauses_the_other_at_once() {
    let town = Town::empty(1, 1e6);
    let place = Place::new(&config(&[busy(&town, "one", 20.0), busy(&town, "two", 20.0)]));
    let daemon = place.serve(&[]);
    until("both poll", || sent(&daemon, "one") > 2.0 && sent(&daemon, "two") > 2.0);
    town.fault(Fault::Error { code: 70050 }, 1);
    until("one of them met it", || daemon.scrape().sum(FAILURES, &[("code", "70050")]) == 1.0);
    let (one, two) = (pause(&daemon, "one"), pause(&daemon, "two"));
    assert!((one - two).abs() <= 1, "{one} and {two}");
    nothing_arrives(&town);
}

/// Both apps are busy at these rates; one budget of `rate`.
fn share(rates: [f64; 2], rate: f64) -> Result<(), Breach> {
    const WARM_UP: usize = 20;
    let town = Town::empty(1, rate);
    let place = Place::new(&config(&[busy(&town, "one", rates[0]), busy(&town, "two", rates[1])]));
    let daemon = place.serve(&[]);
    town.await_requests(FIRST_APP, (rate * 9.0) as u64 + WARM_UP as u64);
    let arrivals = town.arrivals(FIRST_APP);
    let sent = ["one", "two"].map(|app| sent(&daemon, app));
    let shown = ["one", "two"].map(|app| daemon.scrape().value(RATE_SHOWN, &[("app", app)]));
    assert_eq!(shown, [Some(rate / 2.0); 2], "each has its part");
    let warm = &arrivals.arrivals_micros[WARM_UP..];
    let took = (warm[warm.len() - 1] - warm[0]) as f64 / 1e6;
    let used = (warm.len() - 1) as f64 / took / rate;
    println!(
        "{rate}/s for two: {sent:?} sent, {:.2} % used, {} early",
        used * 100.0,
        arrivals.early_requests
    );
    none_early(&arrivals)?;
    let (less, all) = (sent[0].min(sent[1]), sent[0] + sent[1]);
    assert!(less > 0.45 * all, "one of them gets less than its part: {sent:?}");
    assert!(used > LEAST_USE, "no noise costs so much: {used}");
    if used >= PROMISED_USE {
        Ok(())
    } else {
        Err(Breach { early: 0, words: format!("{used} of {rate}/s were used") })
    }
}

#[test]
fn two_apps_share_one_budget_and_use_it_by_turns() {
    let _turn = Turn::alone();
    fairly(|| share([5.0, 5.0], 5.0));
    fairly(|| share([20.0, 20.0], 20.0));
}

#[test]
fn of_two_rates_the_lower_one_holds() {
    let _turn = Turn::alone();
    fairly(|| share([20.0, 10.0], 10.0));
}

#[test]
fn an_app_that_has_nothing_to_do_leaves_the_budget_to_the_other() {
    let _turn = Turn::alone();
    fairly(one_is_idle);
}

fn one_is_idle() -> Result<(), Breach> {
    const RATE: f64 = 10.0;
    const WARM_UP: usize = 20;
    let town = Town::empty(1, RATE);
    let idle = AppText::new("idle", FIRST_APP, &town.sim.url(), RATE).users("t", 1);
    let place = Place::new(&config(&[busy(&town, "busy", RATE), idle]));
    let daemon = place.serve(&[]);
    town.await_requests(FIRST_APP, 100);
    let arrivals = town.arrivals(FIRST_APP);
    none_early(&arrivals)?;
    assert!(sent(&daemon, "busy") > 85.0);
    let warm = &arrivals.arrivals_micros[WARM_UP..];
    let used = (warm.len() - 1) as f64 / ((warm[warm.len() - 1] - warm[0]) as f64 / 1e6) / RATE;
    assert!(used > LEAST_USE, "{used}");
    if used >= PROMISED_USE { Ok(()) } else { Err(Breach { early: 0, words: format!("{used} were used") }) }
}

#[test]
fn a_trace_takes_from_the_budget_of_another_app_with_the_same_id() {
    let _turn = Turn::alone();
    fairly(traces);
}

fn traces() -> Result<(), Breach> {
    const RATE: f64 = 5.0;
    let town = Town::empty(1, RATE);
    let other = AppText::new("other", FIRST_APP, &town.sim.url(), 100.0);
    let place = Place::new(&busy(&town, "shop", RATE).config());
    let _daemon = place.serve(&[]);
    // The daemon knows of one app; the file names another one, with a rate that is far too high, by now.
    place.configure(&config(&[busy(&town, "shop", RATE), other]));
    for n in 0..6 {
        town.await_requests(FIRST_APP, 2);
        let output = place.run(&["trace", &format!("t{n}"), "alice", "--app", "other"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    none_early(&town.arrivals(FIRST_APP))
}

#[test]
fn what_an_earlier_version_left_is_taken_over_and_removed() {
    let town = Town::empty(1, 1e6);
    let place = Place::new(&busy(&town, "shop", 20.0).config());
    let resume_at = now() + 600;
    let pause = format!("{resume_at} fixed");
    place.write("data/budget/shop.slot", &format!("{:<127}\n{pause:<127}\n", "a-boot sent 5 7"));
    let daemon = place.serve(&[]);
    assert_eq!(daemon.scrape().value(RESUME, &[("app", "shop")]), Some(resume_at as f64));
    nothing_arrives(&town);
    assert_eq!(town.requests(FIRST_APP), 0);
    let files = std::fs::read_dir(place.storage().join("budget")).unwrap();
    let files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let port = town.sim.url().rsplit(':').next().unwrap().to_owned();
    assert_eq!(files, [format!("{FIRST_APP}@127.0.0.1_{port}.slot")]);
}

#[test]
fn a_check_of_the_config_tells_who_shares_and_which_rate_holds() {
    let app = |name: &str, host: &str, rate: f64| AppText::new(name, 7, host, rate).users("t", 3);
    let apps = [
        app("shop", "https://Console.tim.qq.com", 4.0),
        app("eu", "https://console.tim.qq.com:443/proxy", 1.0),
        app("other", "https://adminapisgp.im.qcloud.com", 1.0),
    ];
    let place = Place::new(&config(&apps));
    let output = place.run(&["--config.check"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let warning = "apps[1]: has the host and sdk_app_id of shop: they share one request budget and poll in turn; the lower \
                   requests_per_second holds, 1";
    assert!(text.contains(warning), "{text}");
    assert!(text.contains("requests per second 2,"), "each budget counts once: {text}");
}
