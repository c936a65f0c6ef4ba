//! Tests of all sources together: their order, what stays out of the way, and a long list.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::{join, join_all};

use super::super::{ClientTls, Entry, HttpSource, Sources};
use super::peer::{Peer, ok};
use super::tests::{LOOK, Scene, yaml};
use super::*;

#[tokio::test]
async fn lists_stand_in_the_order_of_the_sources() {
    let (peer, folder) = (Peer::start(None), tempfile::tempdir().unwrap());
    peer.answer(&ok(r#"[{"task":"t","users":["http"]}]"#));
    for name in ["a.yaml", "b.csv", "c.yaml"] {
        let text = if name == "b.csv" { "task,user\nt,b.csv\n".to_owned() } else { yaml(name) };
        fs::write(folder.path().join(name), text).unwrap();
    }
    let sources = Sources {
        entries: vec![Entry {
            task: "t".to_owned(),
            users: vec!["static".to_owned(), "twice".to_owned()],
            ..Entry::default()
        }],
        files: vec![folder.path().join("*.csv"), folder.path().join("*.yaml")],
        http: vec![HttpSource {
            url: peer.url(),
            refresh: Duration::from_secs(60),
            basic_auth: None,
            authorization: None,
            tls: ClientTls::default(),
        }],
        ..Sources::default()
    };
    let feed = Feed::new(&sources, &Arc::from([])).unwrap();
    let mut scene = Scene { folder, feed, now: 0 };
    let refreshed = scene.look().await;
    let told: Vec<(&str, u64)> =
        refreshed.reports.iter().map(|report| (&*report.source, report.figures.entries)).collect();
    assert_eq!(told, [("static", 2), ("files[0]", 1), ("files[1]", 2), ("http[0]", 1)]);
    assert_eq!(scene.feed.source_names(), ["static", "files[0]", "files[1]", "http[0]"]);
    assert_eq!(scene.users(), "static twice b.csv a.yaml c.yaml http");
    assert_eq!(scene.feed.next_at(), Some(2 * LOOK), "files are due before http");
    let sources: Vec<String> = scene.look().await.reports.into_iter().map(|report| report.source).collect();
    assert_eq!(sources, ["files[0]", "files[1]"]);
}

#[tokio::test]
async fn an_address_that_is_asked_holds_up_no_file_and_is_not_asked_again() {
    let (peer, folder) = (Peer::start(None), tempfile::tempdir().unwrap());
    peer.answer(&ok(r#"[{"task":"t","users":["http"]}]"#));
    let http = vec![super::http_tests::source(&peer)];
    let sources = Sources { files: vec![folder.path().join("*.yaml")], http, ..Sources::default() };
    let feed = Feed::new(&sources, &Arc::from([])).unwrap();
    let mut scene = Scene { folder, feed, now: 0 };
    let asked = scene.feed.ask(0);
    assert_eq!(asked.len(), 1);
    // Two minutes later it would be due twice over.
    let now = 120_000;
    scene.write("a.yaml", &yaml("a"));
    assert!(scene.feed.refresh(now).await.changed);
    assert!(scene.feed.ask(now).is_empty() && scene.feed.ask(-now).is_empty());
    assert_eq!((scene.users(), scene.feed.next_at()), ("a".to_owned(), Some(now + LOOK)));
    assert!(!scene.feed.has_asked_all());
    scene.feed.shift(1_000);
    let refreshed = scene.feed.take(join_all(asked).await).await;
    assert!(refreshed.changed && scene.feed.has_asked_all());
    assert_eq!(refreshed.reports[0].last_success_at, Some(0), "as of when it was asked");
    assert_eq!((scene.users(), scene.feed.next_at()), ("a http".to_owned(), Some(61_000)));
}

#[tokio::test]
async fn what_addresses_gave_to_another_feed_stays_until_these_have_answered() {
    let answers = |user: &str| {
        let peer = Peer::start(None);
        peer.answer(&ok(&format!(r#"[{{"task":"t","users":["{user}"]}}]"#)));
        peer
    };
    let (stays, leaves, comes) = (answers("stays"), answers("leaves"), answers("comes"));
    let of = |peers: &[&Peer]| {
        let http = peers.iter().map(|peer| super::http_tests::source(peer)).collect();
        let feed = Feed::new(&Sources { http, ..Sources::default() }, &Arc::from([])).unwrap();
        Scene { folder: tempfile::tempdir().unwrap(), feed, now: 0 }
    };
    let mut before = of(&[&leaves, &stays]);
    before.look().await;
    assert_eq!(before.users(), "leaves stays");

    let mut after = of(&[&stays, &comes]);
    after.feed.go_on(&before.feed.kept());
    assert_eq!(after.users(), "stays leaves", "in the order of these addresses, then those that are gone");
    stays.answer(&ok(r#"[{"task":"t","users":["anew"]}]"#));
    let mut asked = after.feed.ask(0).into_iter();
    let first = asked.next().unwrap().await;
    after.feed.take(vec![first]).await;
    assert_eq!(after.users(), "anew leaves");
    // Another feed follows before all have answered.
    let mut last = of(&[&comes, &stays]);
    last.feed.go_on(&after.feed.kept());
    assert_eq!(last.users(), "anew leaves");

    comes.answer("rubbish\r\n\r\n");
    let second = asked.next().unwrap().await;
    let refreshed = after.feed.take(vec![second]).await;
    assert!(refreshed.changed && refreshed.reports[0].error.is_some());
    assert_eq!(after.users(), "anew");
    let mut nothing = of(&[]);
    nothing.feed.go_on(&after.feed.kept());
    assert_eq!(nothing.users(), "");
}

#[tokio::test]
async fn an_address_that_fails_after_a_reload_keeps_what_it_gave_before() {
    let peer = Peer::start(None);
    let list = |users: &str| ok(&format!(r#"[{{"task":"t","users":[{users}]}}]"#));
    let feed = || {
        let http = vec![super::http_tests::source(&peer)];
        Feed::new(&Sources { http, ..Sources::default() }, &Arc::from([])).unwrap()
    };
    let users = |feed: &Feed| feed.lists().iter().flat_map(|list| list[0].users.clone()).collect::<Vec<_>>();
    peer.answer(&list(r#""a","b""#));
    let mut before = feed();
    before.look(5_000).await;
    let mut after = feed();
    after.go_on(&before.kept());
    peer.answer("rubbish\r\n\r\n");
    let failed = after.look(1_000_000).await;
    assert!(!failed.changed && failed.reports[0].error.is_some());
    assert_eq!((failed.reports[0].figures.entries, failed.reports[0].last_success_at), (2, Some(5)));
    assert_eq!((users(&after), after.has_asked_all()), (vec!["a".to_owned(), "b".to_owned()], true));
    // And over the next reload.
    let mut last = feed();
    last.go_on(&after.kept());
    assert_eq!(users(&last), ["a", "b"]);
    peer.answer(&list(r#""c""#));
    let worked = last.look(2_000_000).await;
    assert!(worked.changed);
    assert_eq!((worked.reports[0].figures.entries, worked.reports[0].last_success_at), (1, Some(2_000)));
    assert_eq!(users(&last), ["c"]);
    // A list that is empty by now is none that failed.
    let mut empty = feed();
    empty.go_on(&last.kept());
    peer.answer(&ok("[]"));
    assert!(empty.look(3_000_000).await.changed && empty.lists().is_empty());
}

#[tokio::test]
async fn entries_of_the_config_file_are_never_due_and_told_once() {
    let sources = Sources {
        entries: vec![Entry { task: "t".to_owned(), users: vec!["a".to_owned()], ..Entry::default() }],
        ..Sources::default()
    };
    let mut feed = Feed::new(&sources, &Arc::from([])).unwrap();
    assert_eq!(feed.next_at(), None);
    let refreshed = feed.look(5_000).await;
    assert!(refreshed.changed && refreshed.reports[0].last_success_at == Some(5));
    let refreshed = feed.look(50_000).await;
    assert!(!refreshed.changed && refreshed.reports.is_empty());

    let mut nothing = Feed::new(&Sources::default(), &Arc::from([])).unwrap();
    let refreshed = nothing.look(0).await;
    assert!(!refreshed.changed && refreshed.reports.is_empty() && nothing.lists().is_empty());
}

#[tokio::test]
async fn two_hundred_thousand_entries_load_while_others_go_on() {
    const ENTRIES: usize = 200_000;
    let mut scene = Scene::new(&["*.json"]);
    let entries: Vec<String> =
        (0..ENTRIES).map(|n| format!(r#"{{"task":"task-{}","users":["user-{n}"]}}"#, n % 1000)).collect();
    scene.write("a.json", &format!("[{}]", entries.join(",\n")));
    let (turns, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let others = async {
        while !done.load(Ordering::Relaxed) {
            turns.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let load = async {
        let refreshed = scene.look().await;
        done.store(true, Ordering::Relaxed);
        refreshed
    };
    // Both on this one thread: a load that kept it would leave the others a handful of turns.
    let (refreshed, ()) = join(load, others).await;
    assert_eq!(refreshed.reports[0].figures.entries, ENTRIES as u64);
    assert_eq!(scene.feed.lists()[0].len(), ENTRIES);
    let turns = turns.into_inner();
    assert!(turns > 1_000, "{turns}");
}

#[test]
fn a_pattern_that_is_none_is_refused() {
    let sources = Sources { files: vec!["/a/*.yaml".into(), "/a/[.yaml".into()], ..Sources::default() };
    let text = Feed::new(&sources, &Arc::from([])).unwrap_err().to_string();
    assert!(text.starts_with("watch.files[1]: /a/[.yaml is no pattern ("), "{text}");
}
