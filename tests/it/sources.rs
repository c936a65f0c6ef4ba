//! Sources of a watch list beside each other: one that never answers holds up no other.

use serde_json::json;

use crate::support::answers::nobody;
use crate::support::listener::{Listener, Reply, Seen};
use crate::support::town::FIRST_APP;
use crate::support::{AppText, Daemon, Place, until};

const FLAGS: [&str; 2] = ["--web.enable-watch-api", "--web.enable-lifecycle"];
const PAIRS: &str = "timpush_watched_pairs";
/// What the log says when the client gives a source up, after ten seconds.
const GIVEN_UP: &str = "gave no whole answer within 10000 ms";

/// An app that watches users of a static entry, those in `list.csv`, and what `source` answers.
fn shop(upstream: &Listener, source: &Listener, users: &str) -> String {
    let url = source.url();
    let watch = format!(
        "watch: {{static: [{{task: static, users: [{users}]}}], files: [list.csv], http: [{{url: '{url}', refresh: 10s}}]}}"
    );
    AppText::new("shop", FIRST_APP, &upstream.url(), 20.0).key(&watch).config()
}

/// An upstream that is never too busy to answer, however late its requests come.
fn knows_nobody(_: &Seen) -> Reply {
    Reply::ok(&nobody().to_string())
}

fn await_poll(daemon: &Daemon, pair: &str) {
    until(&format!("{pair} was polled"), || {
        let page = daemon.get(&format!("/api/v1/watches/shop/{pair}"));
        page.status == 200 && !page.data()["last_polled_at"].is_null()
    });
}

fn post(daemon: &Daemon, user: &str) {
    let entry = json!({"app": "shop", "task": "posted", "users": [user]});
    assert_eq!(daemon.post_watches(&entry.to_string()).data()["added"], 1);
}

#[test]
fn a_source_that_never_answers_lets_the_others_begin_and_is_waited_for_before_all_is_ready() {
    let upstream = Listener::start(knows_nobody);
    let source = Listener::start(|_| Reply::ok("[]"));
    source.hold(true);
    let place = Place::new(&shop(&upstream, &source, "a"));
    place.write("list.csv", "task,user\nfile,a\n");
    let daemon = place.begin(&FLAGS);
    await_poll(&daemon, "static/a");
    await_poll(&daemon, "file/a");
    post(&daemon, "a");
    await_poll(&daemon, "posted/a");
    let (ready, log) = (daemon.get("/-/ready").status, daemon.log());
    assert!(!log.contains(GIVEN_UP), "they waited for the source");
    assert_eq!(ready, 503, "the source may still answer");
    assert_eq!(source.seen().len(), 1);
    until("the daemon is ready", || daemon.get("/-/ready").status == 200);
    until("it is told", || daemon.log().contains(GIVEN_UP));
    assert_eq!(daemon.scrape().sum(PAIRS, &[]), 3.0);
}

#[test]
fn after_a_reload_the_others_go_on_and_what_the_source_gave_stays_until_it_answers() {
    let upstream = Listener::start(knows_nobody);
    let source = Listener::start(|seen| {
        let user = if seen.number == 0 { "first" } else { "later" };
        Reply::ok(&format!(r#"[{{"task":"http","users":["stays","{user}"]}}]"#))
    });
    let place = Place::new(&shop(&upstream, &source, "a, b"));
    place.write("list.csv", "task,user\nfile,a\n");
    let daemon = place.serve(&FLAGS);
    assert_eq!(daemon.scrape().sum(PAIRS, &[]), 5.0, "ready with all lists");
    await_poll(&daemon, "http/first");
    source.hold(true);
    place.configure(&shop(&upstream, &source, "a, c"));
    let asked = source.seen().len();
    assert_eq!(daemon.reload().status, 200);
    source.await_seen(asked + 1);
    await_poll(&daemon, "static/c");
    post(&daemon, "a");
    await_poll(&daemon, "posted/a");
    place.write("list.csv", "task,user\nfile,b\n");
    await_poll(&daemon, "file/b");
    let log = daemon.log();
    assert!(!log.contains(GIVEN_UP), "they waited for the source");
    // static/b and file/a are gone, and nothing else.
    daemon.scrape_until("two have left", |s| {
        s.value("timpush_pairs_ended_total", &[("reason", "removed")]) == Some(2.0)
            && s.sum(PAIRS, &[]) == 6.0
    });
    assert_eq!(daemon.get("/api/v1/watches/shop/http/first").status, 200);
    // The answer is taken when it comes: of the request that is held or, on a slow machine, of the next.
    source.hold(false);
    await_poll(&daemon, "http/later");
    until("the other has left", || daemon.get("/api/v1/watches/shop/http/first").status == 404);
    assert_eq!(daemon.scrape().sum(PAIRS, &[]), 6.0);
}
