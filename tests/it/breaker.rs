//! The circuit breaker from outside: one pair does not stop its app, two do, and the probe is a third.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use crate::support::answers::{SUCCESS, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::{AppText, Daemon, FIRST_APP, KEY, Place, config, stays, until};

const RATE: f64 = 20.0;
const PAIRS: &str = "timpush_watched_pairs";
const RESUME: &str = "timpush_budget_resume_timestamp_seconds";
const LAST_SUCCESS: &str = "timpush_api_last_success_timestamp_seconds";
/// Another key than the one in force.
const OTHER_KEY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn good() -> Reply {
    Reply::ok(&offline(&[SUCCESS]).to_string())
}

fn refusal(code: i64) -> Reply {
    Reply::ok(&json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": "no"}).to_string())
}

fn status(status: u16) -> Reply {
    Reply::raw(&format!("HTTP/1.1 {status} No\r\ncontent-length: 7\r\n\r\nrefused"))
}

fn app_of(seen: &Seen) -> u64 {
    seen.query()[0].1.parse().unwrap()
}

fn user_of(seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    body["UserID"].as_str().unwrap().to_owned()
}

/// Who was polled, in the order of the requests, by app.
fn polled(upstream: &Listener) -> BTreeMap<u64, Vec<String>> {
    let mut polled = BTreeMap::<u64, Vec<String>>::new();
    for seen in upstream.seen() {
        polled.entry(app_of(&seen)).or_default().push(user_of(&seen));
    }
    polled
}

fn of(daemon: &Daemon, name: &str, app: &str) -> f64 {
    daemon.scrape().sum(name, &[("app", app)])
}

fn failing(daemon: &Daemon, app: &str) -> f64 {
    daemon.scrape().sum(PAIRS, &[("app", app), ("state", "failing")])
}

#[test]
fn one_pair_whose_requests_are_refused_does_not_stop_its_app() {
    const USERS: usize = 40;
    const BAD: &str = "u7";
    type Make = Box<dyn Fn() -> Reply + Send + Sync>;
    let of_status = |code: u16| Box::new(move || status(code)) as Make;
    let of_code = |code: i64| Box::new(move || refusal(code)) as Make;
    let replies: Vec<Make> = [403, 302, 401, 404, 413, 204]
        .map(of_status)
        .into_iter()
        .chain([60002, 60003, 60009, 60015, 60017, 70051, 71000, 72001, 90001].map(of_code))
        .collect();
    let apps = replies.len();
    let upstream = Listener::start(move |seen| {
        let at = (app_of(seen) - FIRST_APP) as usize;
        if user_of(seen) == BAD { replies[at]() } else { good() }
    });
    let app = |at| {
        let name = format!("app{at}");
        AppText::new(&name, FIRST_APP + at as u64, &upstream.url(), RATE / 4.0).users("t", USERS)
    };
    let place = Place::new(&config(&(0..apps).map(app).collect::<Vec<_>>()));
    let daemon = place.serve(&[]);
    let is_done = |polled: &Vec<String>| polled.len() >= 2 * USERS && polled.iter().any(|user| user == BAD);
    until("all apps go on", || {
        let polled = polled(&upstream);
        polled.len() == apps && polled.values().all(is_done)
    });
    let polled = polled(&upstream);
    for at in 0..apps {
        let name = format!("app{at}");
        let times = polled[&(FIRST_APP + at as u64)].iter().filter(|user| *user == BAD).count();
        assert!(times <= 2, "{name}: the pair was polled {times} times");
        assert_eq!((of(&daemon, RESUME, &name), failing(&daemon, &name)), (0.0, 1.0), "{name}");
    }
}

#[test]
fn a_second_pair_stops_the_app_and_the_probe_is_a_third_of_another_task() {
    let upstream = Listener::start(|seen| if seen.number < 2 { status(403) } else { good() });
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE);
    let place = Place::new(&app.users("t", 30).entry("{task: other, users: [zoe]}").config());
    let daemon = place.serve(&[]);
    until("it pauses", || of(&daemon, RESUME, "shop") > 0.0);
    assert_eq!(upstream.seen().len(), 2);
    assert_eq!(of(&daemon, "timpush_up", "shop"), 0.0);
    // Somebody acts, so that the probe goes out now.
    place.write("app.key", OTHER_KEY);
    upstream.await_seen(40);
    let tasks =
        |seen: &Seen| serde_json::from_str::<serde_json::Value>(&seen.body).unwrap()["TaskID"].clone();
    let seen = upstream.seen();
    assert_ne!(tasks(&seen[2]), tasks(&seen[1]));
    let first: BTreeSet<String> = seen[..2].iter().map(user_of).collect();
    assert!(first.len() == 2 && !first.contains(&user_of(&seen[2])), "{first:?}");
    assert_eq!(of(&daemon, RESUME, "shop"), 0.0);
}

#[test]
fn a_pair_that_stopped_the_app_with_a_code_about_the_app_stops_it_once() {
    const BAD: &str = "u3";
    let upstream = Listener::start(|seen| if user_of(seen) == BAD { refusal(60010) } else { good() });
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE).users("t", 6);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    until("it pauses", || of(&daemon, RESUME, "shop") > 0.0);
    place.write("app.key", OTHER_KEY);
    let times = || polled(&upstream)[&FIRST_APP].iter().filter(|user| *user == BAD).count();
    until("the pair was polled again", || times() == 2);
    until("it is held against the pair", || failing(&daemon, "shop") == 1.0);
    let before = upstream.seen().len();
    upstream.await_seen(before + 10);
    assert_eq!((of(&daemon, RESUME, "shop"), times()), (0.0, 2));
}

#[test]
fn an_app_with_one_pair_is_slow_and_says_so() {
    let upstream = Listener::start(|_| status(403));
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE).users("t", 1);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    until("the pair is refused", || failing(&daemon, "shop") == 1.0);
    let failures = [("app", "shop"), ("kind", "http"), ("code", "403")];
    assert_eq!(daemon.scrape().value("timpush_api_failures_total", &failures), Some(1.0));
    assert_eq!((of(&daemon, "timpush_up", "shop"), of(&daemon, RESUME, "shop")), (0.0, 0.0));
    stays(Duration::from_secs(3), "the number of requests", || upstream.seen().len());
    assert!(daemon.get("/").text().contains("403"), "the page names it");
}

#[test]
fn an_answer_that_there_is_no_such_pair_is_an_answer() {
    // The key is wrong at first; afterwards nobody is known.
    let upstream = Listener::start(|seen| refusal(if seen.number == 0 { 70009 } else { 90049 }));
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), RATE).users("t", 12);
    let place = Place::new(&app.config());
    place.write("app.key", OTHER_KEY);
    let daemon = place.serve(&[]);
    until("it pauses", || of(&daemon, RESUME, "shop") > 0.0);
    assert_eq!(of(&daemon, LAST_SUCCESS, "shop"), 0.0);
    place.write("app.key", KEY);
    until("all were polled", || failing(&daemon, "shop") >= 11.0);
    assert!(of(&daemon, LAST_SUCCESS, "shop") > 0.0, "the API answers");
    assert!(daemon.log().contains("the upstream answers again"), "{}", daemon.log());
}
