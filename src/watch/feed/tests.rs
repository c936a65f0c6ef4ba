//! Tests of files: change, appear, vanish, and what is kept meanwhile.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tempfile::TempDir;

use super::super::{MAX_LIST_BYTES, Sources};
use super::*;

pub(super) const LOOK: i64 = 2_000;

impl Feed {
    /// Looks at all that is due and waits for all answers.
    pub(super) async fn look(&mut self, now: i64) -> Refreshed {
        let answers = join_all(self.ask(now));
        let (files, answers) = join(self.refresh(now), answers).await;
        files.and(self.take(answers).await)
    }
}

/// A folder, and a feed that watches it; each look is one interval after the one before.
pub(super) struct Scene {
    pub(super) folder: TempDir,
    pub(super) feed: Feed,
    pub(super) now: i64,
}

impl Scene {
    pub(super) fn new(patterns: &[&str]) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        let feed = Scene::feed(folder.path(), patterns);
        Scene { folder, feed, now: 1_000_000 }
    }

    fn feed(folder: &Path, patterns: &[&str]) -> Feed {
        let sources = Sources {
            files: patterns.iter().map(|pattern| folder.join(pattern)).collect(),
            ..Sources::default()
        };
        Feed::new(&sources, &Arc::from([Box::from("tier")])).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(super) async fn look(&mut self) -> Refreshed {
        self.now += LOOK;
        self.feed.look(self.now).await
    }

    /// Looks, and expects to be told of the one source there is.
    async fn report(&mut self) -> (bool, Report) {
        let mut refreshed = self.look().await;
        assert_eq!(refreshed.reports.len(), 1, "{refreshed:?}");
        (refreshed.changed, refreshed.reports.remove(0))
    }

    /// Looks twice, as it takes to see that a file stays as it is; expects to be told of the one source there is.
    pub(super) async fn settled(&mut self) -> (bool, Report) {
        let first = self.look().await;
        let mut looks = first.and(self.look().await);
        let messages =
            looks.reports.iter_mut().flat_map(|report| std::mem::take(&mut report.messages)).collect();
        let newly_refused = looks.reports.iter().map(|report| report.newly_refused).sum();
        let last = looks.reports.pop().expect("there is something to tell");
        (looks.changed, Report { messages, newly_refused, ..last })
    }

    pub(super) fn success_at(&self) -> Option<i64> {
        Some(self.now / 1000)
    }

    /// All users in the order of the lists.
    pub(super) fn users(&self) -> String {
        let lists = self.feed.lists();
        let entries = lists.iter().flat_map(|list| list.iter());
        let users: Vec<&str> = entries.flat_map(|entry| entry.users.iter().map(String::as_str)).collect();
        users.join(" ")
    }
}

pub(super) fn yaml(users: &str) -> String {
    format!("- {{task: t, users: [{users}]}}\n")
}

#[tokio::test]
async fn files_that_appear_change_and_vanish_are_noticed() {
    let mut scene = Scene::new(&["*.yaml"]);
    let (changed, report) = scene.report().await;
    let expected = Report {
        source: "files[0]".to_owned(),
        figures: Figures::default(),
        last_success_at: scene.success_at(),
        newly_refused: 0,
        messages: vec![format!("{}: matches no file", scene.path("*.yaml").display())],
        error: None,
    };
    assert_eq!((changed, report), (false, expected), "no match is a success");

    scene.write("b.yaml", &yaml("b"));
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.figures.entries), (true, 1));
    scene.write("a.yaml", &yaml("a, c"));
    assert!(scene.settled().await.0);
    assert_eq!(scene.users(), "a c b");

    scene.write("b.yaml", &yaml("d")); // As long as before, and perhaps within the same tick of the clock.
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.figures.entries, report.messages.len()), (true, 3, 0));
    assert_eq!(scene.users(), "a c d");

    fs::remove_file(scene.path("a.yaml")).unwrap();
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.figures.entries, report.error), (true, 1, None));
    let path = scene.path("a.yaml");
    assert_eq!(report.messages, [format!("{}: is gone; its 2 pairs leave the list", path.display())]);
    assert_eq!(scene.users(), "d");
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.last_success_at, report.messages.len()), (false, scene.success_at(), 0));
}

#[tokio::test]
async fn files_are_looked_at_when_they_are_due() {
    let mut scene = Scene::new(&["*.yaml"]);
    assert!(scene.feed.next_at().unwrap() < 0);
    scene.look().await;
    assert_eq!(scene.feed.next_at(), Some(scene.now + LOOK));
    scene.write("a.yaml", &yaml("a"));
    let early = scene.feed.refresh(scene.now + LOOK - 1).await;
    assert!(!early.changed && early.reports.is_empty());
    assert!(!scene.feed.refresh(scene.now + LOOK).await.reports.is_empty());

    // The clock is set back by an hour: told, or found out.
    let next_at = scene.feed.next_at().unwrap();
    scene.feed.shift(-3_600_000);
    assert_eq!(scene.feed.next_at(), Some(next_at - 3_600_000));
    scene.feed.shift(3_600_000);
    assert!(!scene.feed.refresh(scene.now - 3_600_000).await.reports.is_empty());
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_list_and_stops_the_time_of_success() {
    let mut scene = Scene::new(&["*.json", "*.yaml"]);
    scene.write("a.json", r#"[{"task":"t","users":["a"]}]"#);
    scene.write("b.yaml", &yaml("b"));
    scene.look().await;

    scene.write("a.json", r#"[{"task":"t","#);
    assert!(!scene.look().await.changed);
    let good_at = scene.success_at();
    let refreshed = scene.look().await;
    assert!(!refreshed.changed);
    let [json, yaml] = &refreshed.reports[..] else { panic!("{refreshed:?}") };
    assert_eq!((json.last_success_at, json.figures.entries), (good_at, 1));
    assert_eq!(yaml.last_success_at, scene.success_at());
    let error = json.error.clone().unwrap();
    let start = format!("{}: line 1 column", scene.path("a.json").display());
    assert!(error.starts_with(&start), "{error}");
    assert_eq!(json.messages, [format!("{error}; the 1 pairs known before stay")]);
    assert_eq!(scene.users(), "a b");

    let again = scene.look().await.reports;
    assert_eq!((again.len(), &*again[0].source), (1, "files[1]"), "told once");

    scene.write("a.json", r#"[{"task":"t","users":["a"]}]"#);
    scene.look().await;
    let refreshed = scene.look().await;
    assert!(!refreshed.changed, "it is the list known before");
    let json = &refreshed.reports[0];
    assert_eq!((json.last_success_at, &json.error), (scene.success_at(), &None));
    assert!(json.messages[0].ends_with("a.json: can be read again"));

    fs::remove_file(scene.path("a.json")).unwrap();
    let first = scene.look().await;
    assert!(first.and(scene.look().await).changed, "a file that is gone is no broken one");
    assert_eq!(scene.users(), "b");
}

#[tokio::test]
async fn the_swap_of_a_mounted_config_map_is_noticed() {
    let mut scene = Scene::new(&["*.yaml"]);
    for (version, users) in [("..1", "a"), ("..2", "b")] {
        fs::create_dir(scene.path(version)).unwrap();
        scene.write(&format!("{version}/list.yaml"), &yaml(users));
    }
    symlink("..1", scene.path("..data")).unwrap();
    symlink("..data/list.yaml", scene.path("list.yaml")).unwrap();
    scene.look().await;
    assert_eq!(scene.users(), "a");

    symlink("..2", scene.path("..data_tmp")).unwrap();
    fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
    fs::remove_dir_all(scene.path("..1")).unwrap();
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.error), (true, None));
    assert_eq!(scene.users(), "b");

    fs::remove_dir_all(scene.path("..2")).unwrap();
    let (changed, report) = scene.report().await;
    let error = report.error.unwrap();
    assert!(!changed && error.contains("list.yaml: cannot be read ("), "{error}");
    assert_eq!(scene.users(), "b", "the link is there, what it names may come back");
}

#[tokio::test]
async fn a_pattern_without_wildcards_must_find_its_file() {
    let mut scene = Scene::new(&["one.yaml"]);
    let (changed, report) = scene.report().await;
    let path = scene.path("one.yaml").display().to_string();
    let missing = format!("{path}: cannot be read (No such file or directory (os error 2))");
    assert_eq!((changed, report.error, report.last_success_at), (false, Some(missing.clone()), None));
    assert_eq!(report.messages.join("\n"), missing);
    assert!(scene.look().await.reports.is_empty(), "told once");

    scene.write("one.yaml", &yaml("a"));
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.error), (true, None));
    fs::remove_file(scene.path("one.yaml")).unwrap();
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.figures.entries, report.error), (true, 0, Some(missing)));
    assert!(scene.feed.lists().is_empty());
}

#[tokio::test]
async fn lists_stay_where_their_folder_is_gone() {
    let mut scene = Scene::new(&["mount/*.yaml", "mount/one.yaml"]);
    fs::create_dir(scene.path("mount")).unwrap();
    scene.write("mount/one.yaml", &yaml("a"));
    scene.look().await;
    assert_eq!(scene.users(), "a a");
    fs::rename(scene.path("mount"), scene.path("elsewhere")).unwrap();
    let refreshed = scene.look().await;
    assert!(!refreshed.changed);
    for report in &refreshed.reports {
        assert!(report.error.as_ref().unwrap().contains("cannot be read"), "{report:?}");
        assert_eq!(report.figures.entries, 1);
    }
    fs::rename(scene.path("elsewhere"), scene.path("mount")).unwrap();
    let refreshed = scene.look().await;
    assert!(!refreshed.changed && refreshed.reports.iter().all(|report| report.error.is_none()));

    // A folder that itself was found by a wildcard may go with its files.
    let mut feed = Scene::feed(scene.folder.path(), &["m*/*.yaml"]);
    assert!(feed.refresh(0).await.changed);
    fs::remove_dir_all(scene.path("mount")).unwrap();
    let refreshed = feed.refresh(LOOK).await.and(feed.refresh(2 * LOOK).await);
    assert_eq!((refreshed.changed, &refreshed.reports[0].error), (true, &None));
}

#[tokio::test]
async fn what_is_no_file_of_a_list_is_told() {
    let mut scene = Scene::new(&["*"]);
    scene.write(".hidden.yaml", "not a list");
    fs::create_dir(scene.path("folder")).unwrap();
    let (_, report) = scene.report().await;
    let pattern = scene.path("*").display().to_string();
    assert_eq!((report.error, report.messages), (None, vec![format!("{pattern}: matches no file")]));
    for name in ["notes.txt", "README"] {
        scene.write(name, "not a list");
    }
    let (_, report) = scene.report().await;
    let readme = scene.path("README").display().to_string();
    let expected = "expected a name that ends in .yaml .yml .json .csv";
    let error = format!("{pattern}: matches 2 files and no list, for example {readme}; {expected}");
    assert_eq!((report.error, report.last_success_at), (Some(error), Some(scene.now / 1000 - 2)));
    assert_eq!((report.figures.lists, report.figures.skipped_files), (0, 2));
    scene.write("list.yaml", &yaml("a"));
    let (_, report) = scene.settled().await;
    assert_eq!((report.error, report.figures.lists, report.figures.skipped_files), (None, 1, 2));
    let note = format!("{pattern}: skips 2 files, for example {readme}; {expected}");
    assert_eq!(report.messages, [note]);

    let mut scene = Scene::new(&["*.*"]);
    fs::create_dir(scene.path("folder.yaml")).unwrap();
    symlink("nowhere", scene.path("link.csv")).unwrap();
    let (_, report) = scene.report().await;
    assert_eq!(report.messages.len(), 2, "{report:?}");
    assert!(
        report.messages[0].ends_with(
            "folder.yaml: is a directory, not a regular file; expected a readable file with a list"
        )
    );
    assert!(report.messages[1].contains("link.csv: cannot be read (No such file"));
    assert!(report.error.unwrap().ends_with("(and 1 more troubles)"));
}

#[tokio::test]
async fn a_list_without_a_usable_entry_is_a_failed_one_and_an_empty_list_is_not() {
    let mut scene = Scene::new(&["a.json"]);
    let entry = |more: &str| format!(r#"{{"task":"t","users":["a","b"]{more}}}"#);
    scene.write("a.json", &format!("[{}]", entry("")));
    scene.look().await;
    let path = scene.path("a.json").display().to_string();

    let unusable = [entry(r#","labels":7"#), entry(r#","pushed_at":"soon""#), "7".to_owned()];
    scene.write("a.json", &format!("[{}]", unusable.join(",")));
    let (changed, report) = scene.settled().await;
    let good_at = Some((scene.now - LOOK) / 1000);
    assert_eq!((changed, report.figures.entries, report.last_success_at), (false, 2, good_at));
    assert_eq!((report.figures.refused, report.newly_refused), (5, 5));
    let error = report.error.unwrap();
    assert!(error.starts_with(&format!("{path}: no entry is usable (5 refused), the first: [0]")), "{error}");
    assert_eq!(report.messages.len(), 4, "{:?}", report.messages);
    assert_eq!(report.messages[3], format!("{error}; the 2 pairs known before stay"));
    assert_eq!(scene.users(), "a b");

    scene.write("a.json", &format!("[{},{}]", unusable.join(","), entry("")));
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.error, report.figures.refused), (false, None, 5), "a part of it can be used");
    assert_eq!(report.last_success_at, scene.success_at());

    scene.write("a.json", "[]");
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.error, report.figures.entries), (true, None, 0), "somebody says so");
    assert_eq!(report.messages, [format!("{path}: is an empty list")]);
}

#[tokio::test]
async fn csv_files_are_lists_and_refused_lines_are_counted_once() {
    let mut scene = Scene::new(&["*.csv"]);
    let text = "task,user,tier\nt,a,gold\nt,,gold\n,b,gold\n";
    scene.write("a.csv", text);
    let (changed, report) = scene.report().await;
    assert_eq!((changed, report.figures.entries, report.newly_refused, report.error), (true, 1, 2, None));
    let path = scene.path("a.csv").display().to_string();
    assert!(report.messages[0].starts_with(&format!("{path}: line 3: user: is empty")));
    assert_eq!(scene.feed.lists()[0][0].labels["tier"], "gold");

    scene.write("new", text);
    fs::rename(scene.path("new"), scene.path("a.csv")).unwrap();
    let (changed, report) = scene.settled().await;
    assert_eq!(
        (changed, report.newly_refused, report.messages.len()),
        (false, 0, 0),
        "another file, the same content"
    );
    scene.write("a.csv", "task,user,tier\nt,a,gold\nt,,gold\n");
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.newly_refused), (false, 0), "nothing is refused that was not before");
    scene.write("a.csv", "task,user,tier\nt,a,gold\nt,,gold\n,b,gold\n,c,gold\n");
    let (changed, report) = scene.settled().await;
    assert_eq!((changed, report.newly_refused), (false, 2), "the entries are those from before");
}

#[tokio::test]
async fn files_and_bytes_beyond_the_caps_are_told() {
    let mut scene = Scene::new(&["*.yaml"]);
    for name in ["a", "b", "c", "d"] {
        scene.write(&format!("{name}.yaml"), &yaml(name));
    }
    Arc::get_mut(&mut scene.feed.patterns[0].files).unwrap().set_max_files(3);
    let (_, report) = scene.report().await;
    let error = report.error.unwrap();
    assert!(error.ends_with("*.yaml: matches 4 files, of which 3 are read; expected at most 3"), "{error}");
    assert_eq!((scene.users(), report.last_success_at), ("a b c".to_owned(), None));
    scene.write("0.yaml", &yaml("z"));
    scene.settled().await;
    assert_eq!(scene.users(), "z a b", "the first by their paths");
    for name in ["0", "b"] {
        fs::remove_file(scene.path(&format!("{name}.yaml"))).unwrap();
    }
    let (_, report) = scene.settled().await;
    assert_eq!((scene.users(), report.error), ("a c d".to_owned(), None));

    // A file of holes, as long as all together may be.
    let sparse = File::create(scene.path("c.yaml")).unwrap();
    sparse.set_len(MAX_LIST_BYTES as u64).unwrap();
    let (changed, report) = scene.report().await;
    let error = report.error.unwrap();
    let bytes = MAX_LIST_BYTES;
    let left = bytes - yaml("a").len();
    let text = format!(
        "c.yaml: is {bytes} bytes long; expected at most {left} here ({bytes} for all files of one pattern)"
    );
    assert!(!changed && error.ends_with(&text), "{error}");
    assert_eq!(scene.users(), "a c d");
}
