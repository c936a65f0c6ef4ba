//! Lists that change while answers are awaited: polling goes on, and each result counts once, under the right labels.

use std::time::{Duration, Instant};

use crate::support::answers::{SUCCESS, nobody, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::noise::{Breach, fairly};
use crate::support::{AppText, Daemon, FIRST_APP, Place, Scrape, Turn, config, eventually, until};

const LIFECYCLE: &str = "--web.enable-lifecycle";
const WATCH_API: &str = "--web.enable-watch-api";
const PAIRS: &str = "timpush_watched_pairs";
const RESULTS: &str = "timpush_stage_results_total";
const DEVICES: &str = "timpush_stage_devices";
const ENDED: &str = "timpush_pairs_ended_total";

/// The share of the budget that the contract promises while work is due.
const USED: f64 = 0.97;
/// No noise of the machine leaves less.
const LEAST_USED: f64 = 0.85;
/// The first requests meet a program that has just started; they are not judged.
const WARM_UP: usize = 10;

/// Answers that there is no device, after so long.
fn late(latency: Duration) -> Listener {
    Listener::start(move |_| {
        std::thread::sleep(latency);
        Reply::ok(&nobody().to_string())
    })
}

/// The share of `rate` that was used between the first and the last of the requests.
fn used(seen: &[Seen], rate: f64) -> f64 {
    let seen = &seen[WARM_UP..];
    let took = seen[seen.len() - 1].at - seen[0].at;
    (seen.len() - 1) as f64 / took.as_secs_f64() / rate
}

#[test]
fn a_list_that_changes_every_second_costs_no_request() {
    let _turn = Turn::alone();
    fairly(lists_change_every_second);
}

fn lists_change_every_second() -> Result<(), Breach> {
    const RATE: f64 = 5.0;
    const REQUESTS: usize = 80;
    let upstreams = [500, 3_000].map(|millis| late(Duration::from_millis(millis)));
    let app = |at: usize| {
        AppText::new(&format!("app{at}"), FIRST_APP + at as u64, &upstreams[at].url(), RATE).users("t", 200)
    };
    let place = Place::new(&config(&[app(0), app(1)]));
    let daemon = place.serve(&[WATCH_API]);
    let (began, mut changes) = (Instant::now(), 0);
    until("enough requests came", || {
        if began.elapsed() >= Duration::from_secs(changes) {
            changes += 1;
            for at in 0..2 {
                let page = daemon
                    .post_watches(&format!(r#"{{"app":"app{at}","task":"new","users":["u{changes}"]}}"#));
                assert_eq!(page.status, 200, "{}", page.text());
            }
        }
        upstreams.iter().all(|upstream| upstream.seen().len() >= REQUESTS)
    });
    let used = [0, 1].map(|at| used(&upstreams[at].seen(), RATE));
    println!("{changes} changes of the list; used of the budget at 0.5 s and 3 s: {used:?}");
    assert!(changes >= 10, "{changes}");
    let words = format!("{used:?} of the budget were used");
    assert!(used.iter().all(|used| *used >= LEAST_USED), "no noise costs so much: {words}");
    if used.iter().all(|used| *used >= USED) { Ok(()) } else { Err(Breach { early: 0, words }) }
}

/// An app whose pairs are the entries, under these labels.
fn labelled(upstream: &Listener, entries: &[(&str, &str)]) -> String {
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), 20.0)
        .key("watch_labels: [campaign]")
        .key("request_timeout: 1m");
    let entry = |(user, campaign): &(&str, &str)| {
        format!("{{task: t, users: [{user}], labels: {{campaign: {campaign}}}}}")
    };
    entries.iter().fold(app, |app, one| app.entry(&entry(one))).config()
}

fn polls_of(upstream: &Listener, user: &str) -> usize {
    let body = format!("\"UserID\":\"{user}\"");
    upstream.seen().iter().filter(|seen| seen.body.contains(&body)).count()
}

fn of(scrape: &Scrape, name: &str, campaign: &str) -> f64 {
    scrape.sum(name, &[("campaign", campaign), ("stage", "im")])
}

fn reload(daemon: &Daemon, place: &Place, config: &str, pairs: f64) {
    place.configure(config);
    assert_eq!(daemon.reload().status, 200);
    daemon.scrape_until("the list is in force", |s| s.sum(PAIRS, &[]) == pairs);
}

#[test]
fn pairs_that_leave_move_and_come_back_under_a_pending_answer_count_once() {
    let upstream = Listener::start(|_| Reply::ok(&offline(&[SUCCESS]).to_string()));
    let place =
        Place::new(&labelled(&upstream, &[("stays", "a"), ("goes", "a"), ("moves", "a"), ("returns", "a")]));
    upstream.hold(true);
    let daemon = place.serve(&[LIFECYCLE]);
    upstream.await_seen(4);
    // All four are pending. One goes, one gets other labels, one goes and comes back with other labels; new ones take the
    // slots that are free.
    reload(
        &daemon,
        &place,
        &labelled(&upstream, &[("stays", "a"), ("moves", "b"), ("new1", "c"), ("new2", "c")]),
        4.0,
    );
    until("the new ones are polled meanwhile", || {
        polls_of(&upstream, "new1") == 1 && polls_of(&upstream, "new2") == 1
    });
    let last = [("stays", "a"), ("moves", "b"), ("returns", "b"), ("new1", "c"), ("new3", "c")];
    reload(&daemon, &place, &labelled(&upstream, &last), 5.0);
    until("the newest is polled meanwhile", || polls_of(&upstream, "new3") == 1);
    assert_eq!(["stays", "goes", "moves", "returns"].map(|user| polls_of(&upstream, user)), [1; 4]);
    assert_eq!(daemon.scrape().sum(RESULTS, &[]), 0.0);
    upstream.hold(false);
    // Each counts under the labels it had when it was polled, and stands in the gauges under those it has now.
    let is_right = |s: &Scrape| {
        let results = ["a", "b", "c"].map(|campaign| of(s, RESULTS, campaign));
        let devices = ["a", "b", "c"].map(|campaign| of(s, DEVICES, campaign));
        let found = (results, devices, s.sum("timpush_devices", &[]));
        let expected = ([4.0, 0.0, 3.0], [1.0, 2.0, 2.0], 5.0);
        if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
    };
    eventually("all is counted", || is_right(&daemon.scrape()));
    until("all are polled again", || last.iter().all(|(user, _)| polls_of(&upstream, user) >= 3));
    let scrape = daemon.scrape();
    assert_eq!(is_right(&scrape), Ok(()), "and nothing counts twice");
    assert_eq!(scrape.value(ENDED, &[("reason", "removed")]), Some(3.0));
    assert_eq!(scrape.sum(PAIRS, &[("state", "active")]), 5.0);
}

#[test]
fn whatever_the_list_does_while_answers_come_the_gauges_are_those_of_the_last_one() {
    const USERS: usize = 12;
    const CHANGES: usize = 40;
    let upstream = Listener::start(|_| {
        std::thread::sleep(Duration::from_millis(120));
        Reply::ok(&offline(&[SUCCESS]).to_string())
    });
    let mut dice = fastrand::Rng::with_seed(13);
    let names: Vec<String> = (0..USERS).map(|n| format!("u{n}")).collect();
    let mut list = |always: bool| {
        let mut list = Vec::new();
        for name in &names {
            if always || dice.bool() {
                list.push((name.as_str(), ["a", "b"][dice.usize(..2)]));
            }
        }
        list
    };
    let place = Place::new(&labelled(&upstream, &list(true)));
    let daemon = place.serve(&[LIFECYCLE]);
    for _ in 0..CHANGES {
        place.configure(&labelled(&upstream, &list(false)));
        assert_eq!(daemon.reload().status, 200);
    }
    let last = list(true);
    place.configure(&labelled(&upstream, &last));
    assert_eq!(daemon.reload().status, 200);
    let asked = upstream.seen().len();
    upstream.await_seen(asked + 3 * USERS);
    eventually("the gauges are those of the list", || {
        let scrape = daemon.scrape();
        let devices = ["a", "b"].map(|campaign| of(&scrape, DEVICES, campaign));
        let listed = ["a", "b"].map(|campaign| last.iter().filter(|(_, c)| *c == campaign).count() as f64);
        // One device of each user, however often it was polled.
        let results = scrape.sum(RESULTS, &[("stage", "im")]);
        let found = (devices, results, scrape.sum("timpush_devices", &[]));
        let expected = (listed, USERS as f64, USERS as f64);
        if found == expected { Ok(()) } else { Err(format!("{found:?}, not {expected:?}")) }
    });
}
