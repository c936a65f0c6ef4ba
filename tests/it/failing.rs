//! Pairs whose polls fail for ever, beside others: they are told, and the others do not wait for them.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::answers::{FAILURE, SUCCESS, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::{AppText, FIRST_APP, Place, config};

const RATE: f64 = 50.0;
const FAILING: usize = 300;
const GOOD: usize = 200;
/// When the pushes of the good pairs fail.
const FAILS_AFTER: Duration = Duration::from_secs(10);
/// Pairs of the small app: one for each way to fail, and one that is answered.
const SMALL: usize = 4;

/// The number in the name of the user.
fn number(seen: &Seen) -> usize {
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    body["UserID"].as_str().unwrap()[1..].parse().unwrap()
}

fn refusal(code: i64) -> Reply {
    Reply::ok(&json!({"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": "retry later"}).to_string())
}

/// "Retry later", a code that no page names, a connection that breaks.
fn failed(number: usize) -> Reply {
    match number % 3 {
        0 => refusal(90102),
        1 => refusal(123_456),
        _ => Reply::last(""),
    }
}

fn is_of(seen: &Seen, app: u64) -> bool {
    seen.query()[0].1 == app.to_string()
}

#[test]
fn pairs_that_fail_for_ever_are_told_and_do_not_hide_the_others() {
    let began = Instant::now();
    let upstream = Listener::start(move |seen| {
        let fails = if is_of(seen, FIRST_APP) { number(seen) < FAILING } else { number(seen) < SMALL - 1 };
        if fails {
            return failed(number(seen));
        }
        let channel = if began.elapsed() < FAILS_AFTER { 0 } else { FAILURE };
        Reply::ok(&offline(&[SUCCESS, SUCCESS, channel]).to_string())
    });
    let shop = AppText::new("shop", FIRST_APP, &upstream.url(), RATE).users("t", FAILING + GOOD);
    let small = AppText::new("small", FIRST_APP + 1, &upstream.url(), RATE).users("t", SMALL);
    let place = Place::new(&config(&[shop, small]));
    let daemon = place.serve(&[]);
    let failures = |scrape: &crate::support::Scrape| {
        scrape.sum("timpush_stage_failures_total", &[("app", "shop"), ("stage", "channel")])
    };
    daemon.scrape_until("all failures of the good pairs are seen", |s| failures(s) == GOOD as f64);
    let asked: Vec<Seen> = upstream.seen().into_iter().filter(|seen| is_of(seen, FIRST_APP)).collect();
    let mut known = HashSet::new();
    let retries = asked.iter().filter(|seen| !known.insert(number(seen)) && number(seen) < FAILING).count();
    // A tenth, what may have been saved, and what the round of all pairs comes upon.
    assert!(retries * 8 <= asked.len() + 16, "{retries} retries among {} requests", asked.len());
    daemon.scrape_until("what fails for long is told", |s| {
        s.sum("timpush_watched_pairs", &[("app", "small"), ("state", "failing")]) >= 2.0
    });
    let watches = daemon.get("/api/v1/watches?app=small&state=failing").data();
    assert!(watches["total"].as_u64() >= Some(2), "{watches}");
}
