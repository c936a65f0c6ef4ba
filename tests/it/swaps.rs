//! Watch files that are swapped again and again under load: what is known stays known, and nothing counts twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use serde_json::Value;

use crate::support::answers::{FAILURE, SUCCESS, offline};
use crate::support::{AppText, Daemon, FIRST_APP, Place, Town, until};

const SWAPS: usize = 200;
/// Pairs that stand in every list; each has been asked for before the first swap.
const STAY: usize = 100;
/// Pairs of one list beside them, of which most are exchanged in each swap.
const COME: usize = 2000;

/// A list: those that stay, and others.
fn list(swap: usize) -> String {
    let mut csv = "task,user,campaign\n".to_owned();
    // Their labels and their order change, which is no reason to forget them.
    let mut stay: Vec<usize> = (0..STAY).collect();
    stay.rotate_left(swap % STAY);
    for n in stay {
        writeln!(csv, "stay,u{n},c{}", (n + swap / 50) % 3).unwrap();
    }
    for n in 0..COME {
        writeln!(csv, "come,v{},", swap * 700 + n).unwrap();
    }
    csv
}

/// Swaps the file whole, as a tool would.
fn swap(place: &Place, text: &str) {
    place.write("lists/.new", text);
    std::fs::rename(place.path("lists/.new"), place.path("lists/list.csv")).unwrap();
}

/// What is known of the pairs that stay, without what later polls change.
fn knowledge(daemon: &Daemon) -> BTreeMap<String, Value> {
    (0..STAY)
        .map(|n| {
            let pair = daemon.get(&format!("/api/v1/watches/shop/stay/u{n}")).data();
            (format!("u{n}"), serde_json::json!([pair["added_at"], pair["devices"]]))
        })
        .collect()
}

#[test]
fn two_hundred_swaps_under_load_lose_nothing_and_count_nothing_twice() {
    let town = Town::empty(1, 1000.0);
    for n in 0..STAY {
        let outcome = if n % 4 == 0 { FAILURE } else { SUCCESS };
        town.answer("stay", &format!("u{n}"), offline(&[SUCCESS, SUCCESS, outcome]));
    }
    let app = AppText::new("shop", FIRST_APP, &town.sim.url(), 100.0)
        .key("watch_labels: [campaign]")
        .key("watch: {files: [\"lists/*.csv\"]}");
    let place = Place::new(&app.config());
    let stay_alone: String = list(0).lines().take(1 + STAY).flat_map(|line| [line, "\n"]).collect();
    swap(&place, &stay_alone);
    let daemon = place.serve(&[]);
    let results = |daemon: &Daemon| {
        let scrape = daemon.scrape();
        let sum = |name: &str| scrape.sum(name, &[]);
        (sum("timpush_stage_results_total"), sum("timpush_stage_failures_total"))
    };
    let all = ((STAY * 3) as f64, (STAY / 4) as f64);
    until("all that stay are known", || results(&daemon) == all);
    let before = knowledge(&daemon);
    assert_eq!(before.len(), STAY);
    let (asked_before, began) = (town.requests(FIRST_APP), Instant::now());
    let taken = |wanted: usize| {
        let found = daemon.get(&format!("/api/v1/watches?search=v{wanted}&limit=0")).data();
        found["total"].as_u64().unwrap() > 0
    };
    for n in 0..SWAPS {
        swap(&place, &list(n));
        // Every tenth list is waited for; the others replace each other as fast as they can be written.
        if n % 10 == 9 {
            until("the list is in force", || taken(n * 700 + COME - 1));
        }
    }
    daemon.scrape_until("the last list is in force", |s| {
        s.sum("timpush_watched_pairs", &[]) == (STAY + COME) as f64
    });
    assert_eq!(knowledge(&daemon), before);
    assert_eq!(results(&daemon), all, "a result counted twice, or one was lost");
    let scrape = daemon.scrape();
    assert_eq!(scrape.sum("timpush_devices", &[]), STAY as f64, "devices of those that stay, each once");
    let (requests, took) = (town.requests(FIRST_APP) - asked_before, began.elapsed());
    // A tenth of the rate: a busy machine does not use all of it.
    let least = took.as_secs_f64() * 10.0;
    assert!(requests as f64 > least, "polling went on: {requests} requests in {took:?}");
    println!("{SWAPS} swaps, {requests} requests meanwhile");
    let log = String::from_utf8(daemon.stop().stderr).unwrap();
    assert!(!log.contains("level=error"), "{log}");
}
