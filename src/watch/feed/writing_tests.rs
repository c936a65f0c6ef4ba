//! Tests of files that are being written: nothing is taken half, nothing leaves for a moment, and what stays is taken.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::super::Sources;
use super::tests::{LOOK, Scene, yaml};
use super::*;

/// Rows of a list as CSV.
fn rows(users: std::ops::Range<u32>) -> String {
    users.map(|n| format!("t,u{n}\n")).collect()
}

fn whole(users: u32) -> String {
    format!("task,user\n{}", rows(0..users))
}

fn pairs(scene: &Scene) -> usize {
    scene.users().split_whitespace().count()
}

fn append(scene: &Scene, name: &str, text: &str) {
    let mut file = OpenOptions::new().append(true).open(scene.folder.path().join(name)).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_not_taken_half() {
    let mut scene = Scene::new(&["*.csv"]);
    scene.write("a.csv", &whole(20));
    scene.look().await;
    assert_eq!(pairs(&scene), 20);
    // Emptied, then row by row, the last one cut in its middle: a list of its own at each look.
    File::create(scene.folder.path().join("a.csv")).unwrap();
    for text in ["task,user\n", "t,u0\n", "t,u1\nt,u", "2\nt,u3\n"] {
        append(&scene, "a.csv", text);
        let refreshed = scene.look().await;
        assert_eq!((refreshed.changed, pairs(&scene)), (false, 20), "{text}");
        let report = &refreshed.reports[0];
        assert_eq!((report.error.clone(), report.messages.len(), report.figures.entries), (None, 0, 20));
        assert_eq!(scene.feed.next_at(), Some(scene.now + 1_000), "it is looked at again soon");
    }
    assert!(scene.look().await.changed);
    assert_eq!((scene.users(), scene.feed.next_at()), ("u0 u1 u2 u3".to_owned(), Some(scene.now + LOOK)));
}

#[tokio::test]
async fn a_file_that_appears_while_it_is_written_is_not_taken_half() {
    let mut scene = Scene::new(&["*.csv"]);
    scene.look().await;
    scene.write("a.csv", &whole(2));
    for users in 2..5 {
        append(&scene, "a.csv", &rows(users..users + 1));
        let refreshed = scene.look().await;
        assert_eq!((refreshed.changed, pairs(&scene)), (false, 0));
        // It is no success yet, and nothing for the log.
        for report in refreshed.reports {
            assert!(report.error.unwrap().ends_with("a.csv: is being written"));
            assert_eq!((report.messages.len(), report.figures.lists), (0, 0));
        }
    }
    scene.look().await;
    assert_eq!(pairs(&scene), 5);
}

/// As `install`, `tar` and some editors do: the file is another one at each step.
#[tokio::test]
async fn a_file_that_is_removed_and_written_anew_never_leaves_the_list() {
    let mut scene = Scene::new(&["*.csv", "a.csv"]);
    scene.write("a.csv", &whole(20));
    scene.look().await;
    assert_eq!(pairs(&scene), 40);
    fs::remove_file(scene.folder.path().join("a.csv")).unwrap();
    let refreshed = scene.look().await;
    assert!(
        !refreshed.changed && refreshed.reports.iter().all(|report| report.error.is_none()),
        "{refreshed:?}"
    );
    scene.write("a.csv", &whole(3));
    for users in 3..6 {
        append(&scene, "a.csv", &rows(users..users + 1));
        assert!(!scene.look().await.changed);
        assert_eq!(pairs(&scene), 40);
    }
    assert!(scene.look().await.changed);
    assert_eq!(pairs(&scene), 12);
}

#[tokio::test]
async fn a_finished_file_that_is_moved_into_place_is_taken_at_once() {
    let mut scene = Scene::new(&["*.csv"]);
    scene.write("a.csv", &whole(20));
    scene.look().await;
    let new = scene.folder.path().join("new");
    fs::write(&new, whole(3)).unwrap();
    let written_at = std::time::SystemTime::now() - SETTLE - Duration::from_millis(1);
    File::options().write(true).open(&new).unwrap().set_modified(written_at).unwrap();
    fs::rename(&new, scene.folder.path().join("a.csv")).unwrap();
    assert!(scene.look().await.changed);
    assert_eq!(pairs(&scene), 3);
    // One that was written just now may be being written still: at the second look.
    fs::write(&new, whole(4)).unwrap();
    fs::rename(&new, scene.folder.path().join("a.csv")).unwrap();
    scene.look().await;
    scene.look().await;
    assert_eq!(pairs(&scene), 4);
}

#[tokio::test]
async fn a_file_that_never_stays_as_it_is_is_told() {
    let mut scene = Scene::new(&["*.csv"]);
    scene.write("a.csv", &whole(1));
    scene.look().await;
    for users in 1..=30 {
        append(&scene, "a.csv", &rows(users..users + 1));
        assert!(scene.look().await.reports[0].error.is_none(), "{users}");
    }
    let good_at = scene.success_at();
    append(&scene, "a.csv", &rows(31..32));
    let report = scene.look().await.reports.remove(0);
    let text = "a.csv: has been changing for more than 30 s; expected a finished file, moved into its place";
    assert!(report.error.clone().unwrap().ends_with(text), "{report:?}");
    assert!(report.messages[0].ends_with("; the 1 pairs known before stay"), "{report:?}");
    assert_eq!(report.last_success_at, good_at);
    let report = scene.look().await.reports.remove(0);
    assert_eq!((report.error, report.figures.entries), (None, 32));
}

/// A reload makes another feed.
#[tokio::test]
async fn lists_stay_over_a_reload_while_their_files_are_broken_or_being_written() {
    let mut scene = Scene::new(&["a.csv", "b.yaml"]);
    scene.write("a.csv", &whole(20));
    scene.write("b.yaml", &yaml("b"));
    scene.look().await;
    scene.write("b.yaml", "- {task: t");
    scene.look().await;
    let good_at = scene.success_at();
    scene.look().await;
    scene.write("a.csv", "task,user\nt,u");
    let reloaded = |scene: &Scene, patterns: [&str; 2], labels: &[&str]| {
        let sources = Sources {
            files: patterns.iter().map(|pattern| scene.folder.path().join(pattern)).collect(),
            ..Sources::default()
        };
        let labels: Arc<[Box<str>]> = labels.iter().map(|label| Box::from(*label)).collect();
        let mut feed = Feed::new(&sources, &labels).unwrap();
        feed.go_on(&scene.feed.kept());
        feed
    };
    for labels in [&["tier"][..], &["tier", "campaign"]] {
        append(&scene, "a.csv", "0\nt,u");
        scene.feed = reloaded(&scene, ["b.yaml", "a.csv"], labels);
        let refreshed = scene.look().await;
        assert_eq!(pairs(&scene), 21, "{labels:?}");
        let broken = &refreshed.reports[0];
        assert!(broken.error.is_some(), "{broken:?}");
        assert_eq!((broken.last_success_at, broken.figures.entries), (good_at, 1));
    }
    scene.write("a.csv", &whole(5));
    scene.look().await;
    scene.look().await;
    assert_eq!(pairs(&scene), 6);
    // What was taken out of the configuration is gone.
    scene.feed = reloaded(&scene, ["c.csv", "b.yaml"], &["tier"]);
    scene.look().await;
    assert_eq!(scene.users(), "b");
}
