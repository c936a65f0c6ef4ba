//! One budget for several apps: turns, rates, pauses, and the files of earlier versions.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::share::LONGEST_TURN;
use super::{Budgets, Key, Moment, Pause, Share, Start, Taken};

/// So slow that no test reaches the end of the interval.
const SLOW: f64 = 0.001;

fn key() -> Key {
    Key::new("localhost", None, 7)
}

fn file() -> String {
    key().file_name()
}

fn open(budgets: &Budgets, app: &str, rate: f64) -> Share {
    let share = budgets.open(&key(), &Arc::from(app), rate).unwrap();
    share.set_rate(rate);
    share
}

fn budgets(folder: &Path) -> Budgets {
    Budgets::new(folder.to_owned())
}

fn start(share: &Share) -> Option<Start> {
    match share.take(Duration::ZERO).unwrap() {
        Taken::Start(start) => Some(start),
        Taken::NotBefore(_) => None,
    }
}

/// When it is to ask again.
fn wait(share: &Share) -> Duration {
    match share.take(Duration::ZERO).unwrap() {
        Taken::Start(_) => panic!("the start is not free"),
        Taken::NotBefore(moment) => moment.since(Moment::now()),
    }
}

#[test]
fn two_apps_with_one_key_have_one_interval() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let (mut one, mut two) = (open(&budgets, "one", SLOW), open(&budgets, "two", SLOW));
    let taken = start(&one).unwrap();
    assert_eq!(two.earliest(true), None, "the other one is about to send");
    assert!(wait(&two) < Duration::from_secs(1));
    taken.sent(Moment::now()).unwrap();
    assert!(wait(&two) > Duration::from_secs(900) && wait(&one) > Duration::from_secs(900));
    // Another key is another limit.
    let other = budgets.open(&Key::new("localhost", None, 8), &Arc::from("other"), SLOW).unwrap();
    assert!(start(&other).is_some());
    assert!(one.earliest(true).is_some() && two.earliest(true).is_some());
}

#[test]
fn those_that_wait_start_by_turns() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|app| open(&budgets, app, SLOW));
    let mut moments = || [&mut a, &mut b, &mut c].map(|share| share.earliest(true).unwrap());
    let [first, second, third] = moments();
    assert!(first < second && second < third);
    assert_eq!(moments(), [first, second, third], "asking again changes nothing");
    start(&a).unwrap().sent(Moment::now()).unwrap();
    let [a_at, b_at, c_at] = [&mut a, &mut b, &mut c].map(|share| share.earliest(true).unwrap());
    assert!(b_at < c_at && c_at < a_at, "who has started waits behind the others");
    assert!(a_at.since(b_at) <= 2 * LONGEST_TURN, "a turn that is not taken does not last");
}

#[test]
fn who_does_not_want_its_turn_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let (mut busy, mut idle) = (open(&budgets, "busy", 1000.0), open(&budgets, "idle", 1000.0));
    idle.earliest(true);
    busy.earliest(true);
    let behind = busy.earliest(true).unwrap();
    idle.earliest(false);
    assert!(busy.earliest(true).unwrap() < behind, "the place is free");
    idle.earliest(true);
    drop(idle);
    assert!(start(&busy).is_some());
}

#[test]
fn the_lower_rate_holds_and_each_has_its_part() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let fast = open(&budgets, "fast", 4.0);
    assert_eq!((fast.rate(), fast.plan().apps), (4.0, 1));
    let slow = open(&budgets, "slow", 1.0);
    assert_eq!((fast.rate(), slow.rate(), fast.whole_rate()), (0.5, 0.5, 1.0));
    slow.set_rate(2.0);
    assert_eq!((fast.rate(), fast.plan().requests_per_second), (1.0, 2.0));
    drop(slow);
    assert_eq!((fast.rate(), fast.interval()), (4.0, Duration::from_millis(250)));
    // One that is prepared and not in force yet changes nothing.
    let _prepared = budgets.open(&key(), &Arc::from("prepared"), 1.0).unwrap();
    assert_eq!(fast.rate(), 4.0);
}

#[test]
fn an_app_under_another_name_goes_on_with_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let before = open(&budgets, "before", SLOW);
    start(&before).unwrap().sent(Moment::now()).unwrap();
    let after = open(&budgets, "after", SLOW);
    drop(before);
    let interval = Duration::from_secs(1000);
    assert!(
        wait(&after) > interval.mul_f64(0.99) && wait(&after) < interval.mul_f64(1.05),
        "no other process"
    );
    drop(after);
    assert!(wait(&open(&budgets, "later", SLOW)) > interval, "nor where nobody had it open meanwhile");
}

#[test]
fn a_start_that_is_never_told_counts_from_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let (one, two) = (open(&budgets, "one", SLOW), open(&budgets, "two", SLOW));
    drop(start(&one).unwrap());
    assert!(wait(&two) > Duration::from_secs(900));
}

const NAMED: Pause = Pause { resume_at: 2_000, fixed: true };
const STOPPED: Pause = Pause { resume_at: 1_060, fixed: false };

#[test]
fn a_pause_that_the_upstream_named_belongs_to_all_and_another_one_to_its_app() {
    let folder = tempfile::tempdir().unwrap();
    let first = budgets(folder.path());
    let (one, mut two) = (open(&first, "one", SLOW), open(&first, "two", SLOW));
    one.keep_pause(Some(STOPPED), 1_000).unwrap();
    assert_eq!((one.kept_pause(), two.kept_pause(), two.news_of_pause()), (Some(STOPPED), None, None));
    one.keep_pause(Some(NAMED), 1_000).unwrap();
    assert_eq!(
        (two.kept_pause(), two.news_of_pause(), two.news_of_pause()),
        (Some(NAMED), Some(NAMED), None)
    );
    // Nobody else takes it back, nor puts a shorter one in its place.
    two.keep_pause(None, 1_500).unwrap();
    two.keep_pause(Some(STOPPED), 1_500).unwrap();
    // Over a restart, and under another name.
    drop((one, two));
    let second = budgets(folder.path());
    let renamed = open(&second, "renamed", SLOW);
    assert_eq!(renamed.kept_pause(), Some(NAMED));
    renamed.keep_pause(None, 2_000).unwrap();
    assert_eq!(open(&budgets(folder.path()), "renamed", SLOW).kept_pause(), None);
}

/// What the version before wrote for an app: a start, perhaps of the present boot, and a pause.
fn old_file(folder: &Path, app: &str, boot: &str, sent_at: Moment) {
    let pause = format!("{} fixed", 1_800_000_000);
    let lines = format!("{:<127}\n{pause:<127}\n", format!("{boot} sent {} 7", sent_at.0));
    std::fs::write(folder.join(format!("{app}.slot")), lines).unwrap();
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

#[test]
fn what_an_earlier_version_wrote_for_the_app_is_taken_over() {
    let interval = Duration::from_secs(1000);
    for (boot, ago, at_least) in
        [(boot(), 400, 600), (boot(), 4_000, 0), ("another-boot".to_owned(), 4_000, 1_000)]
    {
        let folder = tempfile::tempdir().unwrap();
        old_file(folder.path(), "shop", &boot, Moment::now().before(Duration::from_secs(ago)));
        let first = budgets(folder.path());
        let share = open(&first, "shop", SLOW);
        assert_eq!(share.kept_pause(), Some(Pause { resume_at: 1_800_000_000, fixed: true }));
        if at_least == 0 {
            assert!(start(&share).is_some());
            continue;
        }
        let wait_ms = |share: &Share| wait(share).as_secs();
        assert!(wait_ms(&share) + 1 >= at_least && wait_ms(&share) <= 2 * interval.as_secs());
        // Once it is taken over the file is of no use, and what it said holds without it.
        first.tidy(SystemTime::now());
        assert!(!folder.path().join("shop.slot").exists() && folder.path().join(file()).exists());
        drop((share, first));
        assert!(wait_ms(&open(&budgets(folder.path()), "shop", SLOW)) + 1 >= at_least, "after a crash, too");
    }
}

#[test]
fn the_later_of_two_files_holds() {
    let folder = tempfile::tempdir().unwrap();
    let first = budgets(folder.path());
    start(&open(&first, "shop", SLOW)).unwrap().sent(Moment::now()).unwrap();
    old_file(folder.path(), "shop", &boot(), Moment::now().before(Duration::from_secs(900)));
    assert!(wait(&open(&first, "shop", SLOW)) > Duration::from_secs(990));
}

#[test]
fn files_that_nobody_uses_any_more_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let budgets = budgets(folder.path());
    let _share = open(&budgets, "shop", SLOW);
    for name in ["gone.slot", "9@gone.slot", "notes.txt"] {
        std::fs::write(folder.path().join(name), "x").unwrap();
    }
    let exist =
        || ["gone.slot", "9@gone.slot", "notes.txt", &file()].map(|name| folder.path().join(name).exists());
    budgets.tidy(SystemTime::now());
    assert_eq!(exist(), [true; 4]);
    budgets.tidy(SystemTime::now() + Duration::from_secs(3 * 86_400));
    assert_eq!(exist(), [false, false, true, true]);
}
