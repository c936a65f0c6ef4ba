//! An app that watches nothing, or less than its sources hold, is never called well: page, API, log and metrics say so.

mod replays;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::answers::{self, nobody, offline};
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::town::FIRST_APP;
use crate::support::{AppText, Daemon, Place, Scrape, eventually, until};

const WELL: &str = "The exporter is well";
const UP: &str = "timpush_source_up";
const SUCCESS: &str = "timpush_source_last_success_timestamp_seconds";
const ENTRIES: &str = "timpush_source_entries";
const REFUSED: &str = "timpush_source_refused_entries";
const PAIRS: &str = "timpush_watched_pairs";

/// An upstream that is never too busy to answer, however late its requests come.
fn knows_nobody(_: &Seen) -> Reply {
    Reply::ok(&nobody().to_string())
}

/// A list source that answers what it was last told to.
struct Source {
    listener: Listener,
    body: Arc<Mutex<String>>,
}

impl Source {
    fn start(body: &str) -> Source {
        let body = Arc::new(Mutex::new(body.to_owned()));
        let told = Arc::clone(&body);
        let answer = move |_: &Seen| Reply::ok(&told.lock().unwrap_or_else(PoisonError::into_inner));
        Source { listener: Listener::start(answer), body }
    }

    fn answer(&self, body: &str) {
        body.clone_into(&mut self.body.lock().unwrap());
    }
}

/// A list of that many entries of one user each, as JSON; each has `more` among its keys.
fn entries(count: usize, more: &str) -> String {
    let entry = |n| format!(r#"{{"task":"t","users":["u{n}"]{more}}}"#);
    format!("[{}]", (0..count).map(entry).collect::<Vec<_>>().join(","))
}

fn config(upstream: &Listener, watch: &str) -> String {
    AppText::new("shop", FIRST_APP, &upstream.url(), 20.0).key(&format!("watch: {watch}")).config()
}

fn watching_http(source: &Source) -> String {
    format!("{{http: [{{url: '{}/list', refresh: 1s}}]}}", source.listener.url())
}

/// The ids of all findings, in their order, and the verdict.
fn verdict(daemon: &Daemon) -> (String, Vec<String>) {
    let data = daemon.get("/api/v1/status").data();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ids = data["findings"].as_array().unwrap().iter().map(|finding| text(&finding["id"]));
    (text(&data["severity"]), ids.collect())
}

/// Waits until the API has these findings and no other; the page then has the same, and is not called well.
fn await_findings(daemon: &Daemon, severity: &str, expected: &[&str]) {
    eventually("the findings are there", || {
        let found = verdict(daemon);
        let same = found.0 == severity && found.1 == expected;
        same.then_some(()).ok_or(format!("{found:?}, expected {severity} {expected:?}"))
    });
    let page = daemon.get("/").text();
    let data = daemon.get("/api/v1/status").data();
    for finding in data["findings"].as_array().unwrap() {
        for key in ["text", "remedy"] {
            // Ages go on between two requests.
            let start: String =
                finding[key].as_str().unwrap().chars().take_while(|c| *c != ';').take(30).collect();
            assert!(page.contains(&start), "{start} is not in {page}");
        }
    }
    assert!(severity == "info" || !page.contains(WELL), "{page}");
}

fn await_well(daemon: &Daemon) {
    eventually("all is well", || {
        let found = verdict(daemon);
        (found.0 == "ok").then_some(()).ok_or(format!("{found:?}"))
    });
    assert!(daemon.get("/").text().contains(WELL));
}

/// What is shown of the only source: up, entries, refused.
fn figures(scrape: &Scrape, source: &str) -> [Option<f64>; 3] {
    [UP, ENTRIES, REFUSED].map(|metric| scrape.value(metric, &[("app", "shop"), ("source", source)]))
}

/// Changes that a backend makes to every entry, each of which was taken for an empty list once.
#[test]
fn a_list_without_a_usable_entry_ends_no_watching() {
    let upstream = Listener::start(knows_nobody);
    let source = Source::start(&entries(20, ""));
    let place = Place::new(&config(&upstream, &watching_http(&source)));
    let daemon = place.serve(&[]);
    await_well(&daemon);
    assert_eq!(figures(&daemon.scrape(), "http[0]"), [Some(1.0), Some(20.0), Some(0.0)]);
    let nameless = entries(20, "").replace("\"t\"", "\"\"");
    for (refused, body) in
        [(20.0, entries(20, r#","labels":7"#)), (20.0, nameless), (3.0, "[1,2,3]".to_owned())]
    {
        source.answer(&body);
        let failed = daemon.scrape_until("the source fails", |s| figures(s, "http[0]")[0] == Some(0.0));
        assert_eq!(figures(&failed, "http[0]"), [Some(0.0), Some(20.0), Some(refused)]);
        await_findings(&daemon, "warning", &["source_failing"]);
        let success = |daemon: &Daemon| daemon.scrape().value(SUCCESS, &[]);
        let (before, asked) = (success(&daemon), source.listener.seen().len());
        source.listener.await_seen(asked + 2);
        assert_eq!(success(&daemon), before, "the time of its last success does not move");
        assert_eq!(daemon.scrape().sum(PAIRS, &[]), 20.0);
        source.answer(&entries(20, ""));
        await_well(&daemon);
    }
    // One more key is ignored, which is told, and null is as good as nothing.
    source.answer(&entries(20, r#","labels":null,"pushed_at":null,"id":7"#));
    let asked = source.listener.seen().len();
    source.listener.await_seen(asked + 2);
    await_findings(&daemon, "info", &["source_warnings"]);
    assert_eq!(figures(&daemon.scrape(), "http[0]"), [Some(1.0), Some(20.0), Some(0.0)]);
    assert_eq!(daemon.scrape().sum(PAIRS, &[]), 20.0);
    let log = daemon.log();
    assert!(log.contains("no entry is usable (20 refused), the first: [0]"), "{log}");
    assert!(log.contains("the 20 pairs known before stay"), "{log}");
}

#[test]
fn a_list_of_which_half_is_refused_is_taken_and_told() {
    let upstream = Listener::start(knows_nobody);
    let source = Source::start(&entries(20, ""));
    let place = Place::new(&config(&upstream, &watching_http(&source)));
    let daemon = place.serve(&[]);
    let mixed = |bad: usize| {
        let all: Vec<Value> = serde_json::from_str(&entries(20, "")).unwrap();
        let spoil = |(n, mut entry): (usize, Value)| {
            if n < bad {
                entry["task"] = "".into();
            }
            entry
        };
        serde_json::to_string(&all.into_iter().enumerate().map(spoil).collect::<Vec<_>>()).unwrap()
    };
    for (bad, id) in [(10, "source_degraded"), (1, "source_entries_refused"), (19, "source_degraded")] {
        source.answer(&mixed(bad));
        await_findings(&daemon, "warning", &[id]);
        let scrape =
            daemon.scrape_until("the others are watched", |s| s.sum(PAIRS, &[]) == (20 - bad) as f64);
        assert_eq!(figures(&scrape, "http[0]"), [Some(1.0), Some((20 - bad) as f64), Some(bad as f64)]);
    }
    let source = daemon.get("/api/v1/status").data()["apps"][0]["sources"][0].clone();
    assert_eq!((source["up"].clone(), source["refused_entries"].clone()), (true.into(), 19.into()));
}

/// What a source that gives nothing comes to: the verdict, its findings, up.
type Outcome = (&'static str, [&'static str; 2], f64);

const FAILS: Outcome = ("critical", ["source_never_read", "nothing_watched"], 0.0);
const NO_MATCH: Outcome = ("warning", ["source_matches_nothing", "nothing_watched"], 1.0);
const EMPTY: Outcome = ("warning", ["source_empty", "nothing_watched"], 1.0);

/// The watch list, a file, what it comes to, and a line of the log.
const WITHOUT_PAIRS: [(&str, (&str, &str), Outcome, &str); 8] = [
    (
        "{http: [{url: 'http://127.0.0.1:9/list', refresh: 1s}]}",
        ("x", ""),
        FAILS,
        "http://127.0.0.1:9/list: ",
    ),
    ("{files: ['lists/*.yaml']}", ("lists/.keep", ""), NO_MATCH, "*.yaml: matches no file"),
    ("{files: ['lists/*.yaml']}", ("x", ""), FAILS, "lists: cannot be read"),
    ("{files: [list.yaml]}", ("x", ""), FAILS, "list.yaml: cannot be read"),
    (
        "{files: ['lists/*']}",
        ("lists/a.txt", "task,user\nt,a\n"),
        FAILS,
        "matches 1 file and no list, for example",
    ),
    ("{files: [list.json]}", ("list.json", "[]"), EMPTY, "list.json: is an empty list"),
    ("{files: [list.csv]}", ("list.csv", "task,user\n"), EMPTY, "list.csv: is an empty list"),
    ("{files: [list.csv]}", ("list.csv", "task,user\n,a\nt,\n"), FAILS, "no entry is usable (2 refused)"),
];

#[test]
fn an_app_that_watches_nothing_from_its_start_is_not_called_well() {
    let upstream = Listener::start(knows_nobody);
    for (watch, (name, text), (severity, ids, up), line) in WITHOUT_PAIRS {
        let place = Place::new(&config(&upstream, watch));
        place.write(name, text);
        let daemon = place.serve(&[]);
        await_findings(&daemon, severity, &ids);
        let scrape = daemon.scrape();
        assert_eq!((scrape.value(UP, &[]), scrape.value(ENTRIES, &[])), (Some(up), Some(0.0)), "{watch}");
        assert_eq!(scrape.value(SUCCESS, &[]).map(|at| at > 0.0), Some(up > 0.0), "{watch}");
        assert!(daemon.log().contains(line), "{line} is not in the log");
    }
}

#[test]
fn pairs_that_are_over_or_wait_for_their_push_are_told() {
    let upstream = Listener::start(knows_nobody);
    let place = Place::new(&config(&upstream, "{files: [list.csv]}"));
    let list = |rows: &str| place.write("list.csv", &format!("task,user,pushed_at\n{rows}"));
    list("t,a,2020-01-01T00:00:00Z\nt,b,2020-01-01T00:00:00Z\n");
    let daemon = place.serve(&[]);
    await_findings(&daemon, "warning", &["nothing_watched"]);
    let text = daemon.get("/api/v1/status").data()["findings"][0]["text"].to_string();
    assert!(text.contains("2 of them pushed longer ago than watch_for (7d)"), "{text}");
    list("t,a,2099-01-01T00:00:00Z\nt,b,2099-01-01T00:00:00Z\n");
    // More than 30 days ahead: the entries are warned about, too.
    await_findings(&daemon, "warning", &["awaiting_push", "source_warnings"]);
    let text = daemon.get("/api/v1/status").data()["findings"][0]["text"].to_string();
    assert!(text.contains("Nothing is polled: all 2 pairs wait") && text.contains("2099-01-01"), "{text}");
    assert_eq!(daemon.scrape().value("timpush_pairs_awaiting_push", &[]), Some(2.0));
    list("t,a,\nt,b,\n");
    await_well(&daemon);
}

#[test]
fn files_that_are_no_lists_by_their_names_are_told() {
    let upstream = Listener::start(knows_nobody);
    let place = Place::new(&config(&upstream, "{files: ['lists/*']}"));
    place.write("lists/a.yaml", "- {task: t, users: [a]}\n");
    place.write("lists/b.txt", "- {task: t, users: [b]}\n");
    let daemon = place.serve(&[]);
    await_findings(&daemon, "warning", &["source_files_skipped"]);
    let scrape = daemon.scrape();
    assert_eq!(
        (scrape.value("timpush_source_skipped_files", &[]), scrape.value(UP, &[])),
        (Some(1.0), Some(1.0))
    );
    std::fs::rename(place.path("lists/b.txt"), place.path("lists/b.yml")).unwrap();
    daemon.scrape_until("both are watched", |s| s.sum(PAIRS, &[]) == 2.0);
    await_well(&daemon);
}

#[test]
fn an_app_that_is_fed_by_the_watch_api_alone_may_be_empty() {
    let upstream = Listener::start(knows_nobody);
    let place = Place::new(&AppText::new("shop", FIRST_APP, &upstream.url(), 20.0).config());
    let daemon = place.serve(&["--web.enable-watch-api"]);
    await_findings(&daemon, "info", &["nothing_posted"]);
    assert_eq!(daemon.scrape().value(UP, &[("source", "api")]), Some(1.0));
    drop(daemon);
    let daemon = place.serve(&[]);
    await_findings(&daemon, "warning", &["no_source"]);
    assert_eq!(daemon.scrape().value(UP, &[]), None);
}

#[test]
fn a_reload_that_fails_and_a_key_that_is_gone_are_told() {
    let upstream = Listener::start(knows_nobody);
    let good = config(&upstream, "{static: [{task: t, users: [a]}]}");
    let place = Place::new(&good);
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    await_well(&daemon);
    place.configure(&format!("{good}    sdk_app_it: 7\n"));
    assert_eq!(daemon.reload().status, 400);
    await_findings(&daemon, "warning", &["config_not_reloaded"]);
    let detail = daemon.get("/api/v1/status").data()["findings"][0]["detail"].to_string();
    assert!(detail.contains("sdk_app_it"), "{detail}");
    place.configure(&good);
    assert_eq!(daemon.reload().status, 200);
    await_well(&daemon);
    std::fs::rename(place.path("app.key"), place.path("app.gone")).unwrap();
    await_findings(&daemon, "warning", &["credential_unreadable"]);
    let readable = || daemon.scrape().value("timpush_credential_readable", &[]);
    assert_eq!(readable(), Some(0.0));
    std::fs::rename(place.path("app.gone"), place.path("app.key")).unwrap();
    await_well(&daemon);
    assert_eq!(readable(), Some(1.0));
}

/// Times ahead of our clock prove the zone wrong.
#[test]
fn times_that_lie_ahead_are_told_until_the_zone_is_another() {
    let upstream = Listener::start(|_| Reply::ok(&offline(&[answers::SUCCESS]).to_string()));
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), 20.0).users("t", 1);
    let place = Place::new(&app.clone().key("time_zone: UTC").config());
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    await_findings(&daemon, "warning", &["times_ahead"]);
    place.configure(&app.key("time_zone: '+08:00'").config());
    assert_eq!(daemon.reload().status, 200);
    await_well(&daemon);
}

/// A writer that takes its time: it empties the file and writes it row by row.
#[test]
fn a_list_that_is_being_written_is_not_taken_half() {
    let upstream = Listener::start(knows_nobody);
    let place = Place::new(&config(&upstream, "{files: ['lists/*.csv']}"));
    let rows = |users: std::ops::Range<u32>| users.map(|n| format!("t,u{n}\n")).collect::<String>();
    place.write("lists/a.csv", &format!("task,user\n{}", rows(0..20)));
    let daemon = place.serve(&["--web.enable-lifecycle"]);
    await_well(&daemon);
    let mut file = std::fs::File::create(place.path("lists/a.csv")).unwrap();
    file.write_all(b"task,user\n").unwrap();
    let began = Instant::now();
    let mut users = 0;
    while began.elapsed() < Duration::from_secs(6) {
        file.write_all(rows(users..users + 1).as_bytes()).unwrap();
        users += 1;
        let scrape = daemon.scrape();
        assert_eq!((scrape.sum(PAIRS, &[]), scrape.value(ENTRIES, &[])), (20.0, Some(20.0)), "{users}");
        assert_eq!(verdict(&daemon).0, "ok");
        if users == 10 {
            // Another feed looks at it from now on.
            place.configure(&config(&upstream, "{files: ['lists/*.csv']}").replace("20", "30"));
            assert_eq!(daemon.reload().status, 200);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    daemon.scrape_until("the whole list is watched", |s| s.sum(PAIRS, &[]) == f64::from(users));
    // Moved into its place: nothing is half.
    place.write("new", &format!("task,user\n{}", rows(0..7)));
    std::fs::rename(place.path("new"), place.path("lists/a.csv")).unwrap();
    daemon.scrape_until("the new list is watched", |s| s.sum(PAIRS, &[]) == 7.0);
    let log = daemon.log();
    assert!(!log.contains("level=warn") && !log.contains("level=error"), "{log}");
}

/// An id that another program has probably changed is watched, and told for as long as it stands in the list.
#[test]
fn ids_that_may_not_be_meant_are_told_of_each_source() {
    let upstream = Listener::start(knows_nobody);
    let watch = "{static: [{task: t, users: [a, '1.23457E+11']}], files: [list.csv]}";
    let place = Place::new(&config(&upstream, watch));
    place.write("list.csv", "task,user\nt,1.5E+9\nt,2.5E+9\n");
    let daemon = place.serve(&[]);
    await_findings(&daemon, "info", &["source_warnings", "source_warnings"]);
    let warnings = |source| daemon.scrape().value("timpush_source_warnings", &[("source", source)]);
    assert_eq!((warnings("static"), warnings("files[0]")), (Some(1.0), Some(2.0)));
    place.write("list.csv", "task,user\nt,b\n");
    until("the warnings of the file are gone", || warnings("files[0]") == Some(0.0));
    await_findings(&daemon, "info", &["source_warnings"]);
}
