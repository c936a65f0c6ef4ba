//! Tests of all sources together: their order, what stays out of the way, and a long list.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::{Entry, HttpSource, Sources, TlsSettings};
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
            tls: TlsSettings::default(),
        }],
    };
    let feed = Feed::new(&sources, &Arc::from([])).unwrap();
    let mut scene = Scene { folder, feed, now: 0 };
    let refreshed = scene.look().await;
    let told: Vec<(&str, u64)> =
        refreshed.reports.iter().map(|report| (&*report.source, report.entries)).collect();
    assert_eq!(told, [("static", 2), ("files[0]", 1), ("files[1]", 2), ("http[0]", 1)]);
    assert_eq!(scene.feed.source_names(), ["static", "files[0]", "files[1]", "http[0]"]);
    assert_eq!(scene.users(), "static twice b.csv a.yaml c.yaml http");
    assert_eq!(scene.feed.next_at(), Some(2 * LOOK), "files are due before http");
    let sources: Vec<String> = scene.look().await.reports.into_iter().map(|report| report.source).collect();
    assert_eq!(sources, ["files[0]", "files[1]"]);
}

#[tokio::test]
async fn entries_of_the_config_file_are_never_due_and_told_once() {
    let sources = Sources {
        entries: vec![Entry { task: "t".to_owned(), users: vec!["a".to_owned()], ..Entry::default() }],
        ..Sources::default()
    };
    let mut feed = Feed::new(&sources, &Arc::from([])).unwrap();
    assert_eq!(feed.next_at(), None);
    let refreshed = feed.refresh(5_000).await;
    assert!(refreshed.changed && refreshed.reports[0].last_success_at == Some(5));
    let refreshed = feed.refresh(50_000).await;
    assert!(!refreshed.changed && refreshed.reports.is_empty());

    let mut nothing = Feed::new(&Sources::default(), &Arc::from([])).unwrap();
    let refreshed = nothing.refresh(0).await;
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
    assert_eq!(refreshed.reports[0].entries, ENTRIES as u64);
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
