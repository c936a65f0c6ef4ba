//! The API of a running daemon: pages, chains, entries added and removed, over restarts and reloads.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::answers::{FAILURE, SUCCESS, offline, stamp};
use crate::support::{
    AppText, Daemon, FIRST_APP, PATIENCE, Page, Place, Town, config, eventually, request, until,
};

const WATCH_API: &str = "--web.enable-watch-api";
const LIFECYCLE: &str = "--web.enable-lifecycle";
const PAIRS: &str = "timpush_watched_pairs";
const ENTRIES: &str = "timpush_source_entries";
const REFUSED: &str = "timpush_web_requests_refused_total";

fn shop(town: &Town) -> AppText {
    AppText::new("shop", FIRST_APP, &town.sim.url(), 20.0).key("watch_labels: [campaign]")
}

fn pairs(daemon: &Daemon) -> f64 {
    daemon.scrape().sum(PAIRS, &[])
}

fn delete(daemon: &Daemon, path: &str) -> Value {
    request(daemon.address(), &format!("DELETE /api/v1/watches/{path}"), "").data()
}

/// All pairs, page by page, as task/user.
fn walk(daemon: &Daemon, parameters: &str, mut between: impl FnMut()) -> Vec<String> {
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let page = daemon.get(&format!("/api/v1/watches?{parameters}{after}")).data();
        let name = |watch: &Value| {
            format!("{}/{}", watch["task"].as_str().unwrap(), watch["user"].as_str().unwrap())
        };
        all.extend(page["watches"].as_array().unwrap().iter().map(name));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return all,
        }
        between();
    }
}

#[test]
fn what_is_added_is_on_disk_before_the_answer_and_asked_for() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).users("t", 2).config());
    let daemon = place.serve(&[WATCH_API]);
    assert_eq!(daemon.scrape().value(ENTRIES, &[("source", "api")]), Some(0.0));
    let entry = r#"{"app":"shop","task":"p/1","users":["ä b","c"],"labels":{"campaign":"x"}}"#;
    let answer = |added: u64, known: u64| {
        let warnings = ["users[0]: holds a space; it is watched as one id"];
        json!({"added": added, "changed": 0, "known": known, "warnings": warnings})
    };
    assert_eq!(daemon.post_watches(entry).data(), answer(2, 0));
    daemon.kill();
    let daemon = place.serve(&[WATCH_API]);
    assert_eq!(pairs(&daemon), 4.0, "they are back before the daemon is ready");
    assert_eq!(daemon.scrape().value(ENTRIES, &[("source", "api")]), Some(2.0));
    assert_eq!(daemon.post_watches(entry).data(), answer(0, 2));
    let pair = eventually("it was asked for", || {
        let pair = daemon.get("/api/v1/watches/shop/p%2F1/%C3%A4%20b").data();
        if pair["last_polled_at"].is_null() { Err(pair) } else { Ok(pair) }
    });
    assert_eq!((&pair["user"], &pair["labels"]["campaign"]), (&json!("ä b"), &json!("x")));
    // Without the flag they are watched, too, and nothing can be changed.
    daemon.stop();
    let daemon = place.serve(&[]);
    assert_eq!((pairs(&daemon), daemon.post_watches(entry).status), (4.0, 403));
}

#[test]
fn what_is_removed_leaves_unless_it_stands_elsewhere() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).users("t", 2).config());
    let daemon = place.serve(&[WATCH_API, LIFECYCLE]);
    let entries = r#"[{"app":"shop","task":"t","users":["u1","u2"],"labels":{"campaign":"api"}},
        {"app":"shop","task":"s","users":["a","b","a"]}]"#;
    assert_eq!(daemon.post_watches(entries).data()["added"], 4);
    until("they are listed", || pairs(&daemon) == 5.0);
    // The first place says the labels, and the API is the last.
    assert_eq!(daemon.get("/api/v1/watches/shop/t/u1").data()["labels"], json!({}));
    assert_eq!(delete(&daemon, "shop/t/u1"), json!({"removed": 1, "still_listed": 1}));
    assert_eq!(delete(&daemon, "shop/t/u1"), json!({"removed": 0, "still_listed": 1}));
    assert_eq!(delete(&daemon, "shop/s"), json!({"removed": 2, "still_listed": 0}));
    let removed = [("reason", "removed")];
    daemon.scrape_until("the task has left", |s| {
        s.sum(PAIRS, &[]) == 3.0 && s.value("timpush_pairs_ended_total", &removed) == Some(2.0)
    });
    assert_eq!(daemon.get("/api/v1/watches/shop/s/a").status, 404);
    assert_eq!(delete(&daemon, "shop/t/u2"), json!({"removed": 1, "still_listed": 0}));
    until("u2 has left", || pairs(&daemon) == 2.0);
    // A reload without the label keeps the pairs and drops the label.
    assert_eq!(daemon.post_watches(&entries.replace("\"s\"", "\"r\"")).data()["added"], 4);
    place.configure(&AppText::new("shop", FIRST_APP, &town.sim.url(), 20.0).config());
    assert_eq!(daemon.reload().status, 200);
    until("those of the API alone are left", || pairs(&daemon) == 4.0);
    assert_eq!(daemon.get("/api/v1/watches/shop/t/u1").data()["labels"], json!({}));
}

#[test]
fn too_many_pairs_in_one_request_are_refused_and_counted() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).users("t", 1).config());
    let daemon = place.serve(&[WATCH_API]);
    let users: Vec<String> = (0..10_001).map(|n| format!("\"v{n}\"")).collect();
    let page = daemon.post_watches(&format!(r#"{{"app":"shop","task":"s","users":[{}]}}"#, users.join(",")));
    assert_eq!(page.status, 400);
    assert!(page.text().contains("expected at most 10000"), "{}", page.text());
    daemon.scrape_until("they are counted", |s| {
        s.value("timpush_pairs_refused_total", &[("reason", "over_limit")]) == Some(10_001.0)
    });
    let page = daemon
        .post_watches(r#"[{"app":"shop","task":"s","users":["a"]},{"app":"shop","task":"s","users":[]}]"#);
    assert!(
        page.status == 400 && page.text().contains("body: [1].users: is an empty list"),
        "{}",
        page.text()
    );
    assert_eq!(walk(&daemon, "", || {}), ["t/u0"]);
}

/// Nobody may write to the ledger as long as this is held.
fn stall(place: &Place) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(place.path("data/ledger.db")).unwrap();
    db.busy_timeout(PATIENCE).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

/// Sends a request to a ledger that is stalled, waits until it is on its way there, and leaves without an answer.
fn leave_after(daemon: &Daemon, place: &Place, what: &str, body: &str) {
    let db = stall(place);
    let stalls = || daemon.log().matches("ledger: cannot commit").count();
    let before = stalls();
    let mut stream = TcpStream::connect(daemon.address()).unwrap();
    write!(stream, "{what} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    until("it waits for the disk", || stalls() > before);
    drop(stream);
    drop(db);
}

#[test]
fn what_was_asked_for_is_watched_although_the_client_has_left() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).config());
    let daemon = place.serve(&[WATCH_API]);
    let entry = r#"{"app":"shop","task":"t","users":["a","b"]}"#;
    leave_after(&daemon, &place, "POST /api/v1/watches", entry);
    until("what was added is watched", || pairs(&daemon) == 2.0);
    until("and polled", || daemon.get("/api/v1/watches?state=new&limit=0").data()["total"] == 0);
    leave_after(&daemon, &place, "DELETE /api/v1/watches/shop/t/a", "");
    until("what was removed has left", || pairs(&daemon) == 1.0);
    assert_eq!(walk(&daemon, "", || {}), ["t/b"]);
}

/// 160 requests during a stall took 804 MB.
#[test]
fn a_stalled_ledger_takes_so_many_bytes_and_no_more() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).config());
    let daemon = place.serve(&[WATCH_API]);
    let (users, before) =
        (Vec::from_iter((0..10_000).map(|n| format!("{n:0250}"))), daemon.kilobytes("VmRSS"));
    let db = stall(&place);
    let refused = || daemon.scrape().value(REFUSED, &[("reason", "queue_full")]).unwrap();
    let answers: Vec<Page> = std::thread::scope(|scope| {
        let post = |n: usize| {
            let body = json!({"app": "shop", "task": format!("t{n}"), "users": users}).to_string();
            daemon.post_watches(&body)
        };
        let asked: Vec<_> = (0..40).map(|n| scope.spawn(move || post(n))).collect();
        until("most are refused", || refused() >= 36.0);
        assert_eq!(daemon.get("/-/healthy").status, 200);
        drop(db);
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let grown = daemon.kilobytes("VmHWM") - before;
    assert!(grown < 200 * 1024, "the memory grew by {grown} kB");
    let added: Vec<_> = answers.iter().filter(|page| page.status == 200).collect();
    for page in answers.iter().filter(|page| page.status != 200) {
        assert!(page.status == 503 && page.text().contains("nothing was added"), "{}", page.text());
        assert_eq!(page.header("retry-after"), Some("5"));
    }
    assert_eq!((answers.len() - added.len()) as f64, refused());
    assert!(!added.is_empty(), "some are taken");
    daemon.scrape_until("those that were taken are there", |s| {
        s.value(ENTRIES, &[("source", "api")]) == Some(10_000.0 * added.len() as f64)
    });
}

#[test]
fn a_push_that_is_too_long_ago_is_refused_with_the_reason() {
    let town = Town::empty(1, 20.0);
    let place = Place::new(&shop(&town).key("watch_for: 2h").config());
    let daemon = place.serve(&[WATCH_API, LIFECYCLE]);
    let entries = |hours: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours);
        json!([{"app": "shop", "task": "t", "users": ["a", "b"], "pushed_at": at.to_string()},
            {"app": "shop", "task": "s", "users": ["c"]}])
        .to_string()
    };
    let page = daemon.post_watches(&entries(3));
    assert_eq!(page.status, 400, "{}", page.text());
    let text = page.text();
    assert!(text.contains("longer ago than watch_for (2h)") && text.contains("nothing was added"), "{text}");
    assert_eq!(daemon.scrape().value(ENTRIES, &[("source", "api")]), Some(0.0));
    assert_eq!(daemon.post_watches(&entries(1)).data()["added"], 3);
    until("they are watched", || pairs(&daemon) == 3.0);
    // What counts is the time in force.
    place.configure(&shop(&town).key("watch_for: 4h").config());
    assert_eq!(daemon.reload().status, 200);
    assert_eq!(daemon.post_watches(&entries(3)).status, 200);
}

/// What was told as `added` and never polled, without a word.
#[test]
fn what_is_added_and_not_polled_is_told_with_the_reason() {
    let town = Town::empty(1, 20.0);
    let mut answer = offline(&[SUCCESS]);
    answer["InstanceTrace"][0]["PushTime"] = stamp(86_400).into();
    town.answer("old", "a", answer);
    let app = shop(&town).key("watch_for: 2h").key("max_pairs: 3").entry("{task: t, users: [listed]}");
    let place = Place::new(&app.config());
    let daemon = place.serve(&[WATCH_API]);
    let post = |task: &str, users: &[&str]| {
        let page = daemon.post_watches(&json!({"app": "shop", "task": task, "users": users}).to_string());
        assert_eq!(page.status, 200, "{}", page.text());
        page.data()["warnings"].clone()
    };
    assert_eq!(post("old", &["a"]), Value::Null, "nobody knows of its push yet");
    let expired = || daemon.scrape().value("timpush_pairs_ended_total", &[("reason", "expired")]);
    until("its push is known", || expired() == Some(1.0));
    let why = "app shop: task \"old\", user \"a\": not polled: its push is longer ago than watch_for (2h); \
               give pushed_at if it was pushed again";
    assert_eq!(post("old", &["a"]), json!([why]));
    until("the pair of the list is there", || pairs(&daemon) == 1.0);
    let why = "app shop: max_pairs is reached: 2 of the pairs wait for others to end";
    assert_eq!(post("t", &["b", "c", "d", "e", "listed"]), json!([why]));
}

#[test]
fn pages_neither_repeat_nor_skip_what_stays_while_the_list_changes() {
    let town = Town::empty(2, 20.0);
    let both = |gone: usize, new: usize| {
        let users =
            |from: usize, to: usize| (from..to).map(|n| format!("u{n}")).collect::<Vec<_>>().join(", ");
        let stays = AppText::new("b", FIRST_APP + 1, &town.sim.url(), 20.0).users("x", 40);
        let changes = shop(&town)
            .entry(&format!("{{task: t, users: [{}]}}", users(gone, 300)))
            .entry(&format!("{{task: new, users: [{}]}}", users(0, new)));
        config(&[changes, stays])
    };
    let place = Place::new(&both(0, 1));
    let daemon = place.serve(&[LIFECYCLE]);
    let mut step = 0;
    let seen = walk(&daemon, "limit=30", || {
        step += 1;
        place.configure(&both(step * 10, step * 10));
        assert_eq!(daemon.reload().status, 200);
        let wanted = (300 + 40) as f64;
        until("the list is in force", || pairs(&daemon) == wanted);
    });
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "a pair came twice");
    let stayed = (step * 10..300).map(|n| format!("t/u{n}")).chain((0..40).map(|n| format!("x/u{n}")));
    for pair in stayed {
        assert!(unique.contains(&pair), "{pair} was skipped");
    }
    assert!(step >= 10, "only {step} pages");
    assert_eq!(walk(&daemon, "app=b&limit=7", || {}).len(), 40);
    // One of t or new, and x.
    assert_eq!(daemon.get("/api/v1/watches?search=u39&limit=0").data()["total"], 2);
    let next = daemon.get("/api/v1/watches?limit=1").data()["next"].as_str().unwrap().to_owned();
    daemon.stop();
    let daemon = place.serve(&[]);
    let page = daemon.get(&format!("/api/v1/watches?after={next}"));
    assert!(page.status == 400 && page.text().contains("after:"), "{}", page.text());
}

#[test]
fn failures_are_found_by_filter_and_stay_known_over_a_restart() {
    let town = Town::empty(1, 20.0);
    town.answer("t", "u3", offline(&[SUCCESS, SUCCESS, FAILURE]));
    town.answer("t", "u5", offline(&[SUCCESS]));
    let place = Place::new(&shop(&town).users("t", 8).config());
    let mut daemon = place.serve(&[]);
    until("all were asked", || daemon.get("/api/v1/watches?state=new&limit=0").data()["total"] == 0);
    for _ in 0..2 {
        assert_eq!(walk(&daemon, "failed=true", || {}), ["t/u3"]);
        let pair = daemon.get("/api/v1/watches/shop/t/u3").data();
        let stages = pair["devices"][0]["stages"].as_array().unwrap();
        let outcomes: Vec<&str> = stages.iter().map(|stage| stage["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["success", "success", "failure", "unreported", "unreported"]);
        assert!(stages[2]["who"].is_string() && stages[3]["awaited"] == false);
        let status = daemon.get("/api/v1/status").data();
        let app = eventually("the status shows it", || {
            let app = daemon.get("/api/v1/status").data()["apps"][0].clone();
            if app["push_failures"].as_array().unwrap().len() == 1 { Ok(app) } else { Err(app) }
        });
        assert_eq!(app["push_failures"][0]["user"], "u3", "{status}");
        assert_eq!(app["sources"][0]["name"], "static");
        daemon.stop();
        daemon = place.serve(&[]);
    }
    assert_eq!(daemon.get("/api/v1/watches?search=nobody").data()["total"], 0);
}
