//! A roster with a clock that the tests tell and a ledger in a temporary folder: no socket, no poller.

use super::*;
use crate::ledger::{Ledger, Opened, Sighting};
use crate::trace::Trace;

/// Unix milliseconds.
const NOW: i64 = 1_790_000_000_000;
const DAY: i64 = 86_400_000;
const WATCH_FOR: Duration = Duration::from_secs(7 * 86_400);

/// A roster and its ledger.
struct Rig {
    roster: Roster,
    opened: Opened,
    app: Arc<str>,
    began: Instant,
    now: i64,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(max_pairs: usize) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let opened = Ledger::open(folder.path(), NOW / 1000, |_| {}).unwrap();
        let mut roster = Roster::new(WATCH_FOR, max_pairs);
        roster.recall(Learned::default());
        Rig { roster, opened, app: "shop".into(), began: Instant::now(), now: NOW, _folder: folder }
    }

    fn replace(&mut self, entries: Vec<Entry>) -> oneshot::Receiver<()> {
        let (done, told) = oneshot::channel();
        let list = NewList { entries: vec![Arc::new(entries)], done: Some(done) };
        self.roster.replace(list, self.began, self.now);
        told
    }

    /// Runs all jobs that are due; gives how many.
    async fn settle(&mut self) -> usize {
        let mut count = 0;
        while let Some(job) = self.roster.next_job(self.now) {
            let done = job.run(self.opened.ledger.clone(), self.app.clone()).await.unwrap();
            self.roster.job_done(done, self.now, |_, _| {});
            count += 1;
        }
        count
    }

    /// The list comes into force.
    async fn list(&mut self, entries: Vec<Entry>) -> Refusals {
        let mut told = self.replace(entries);
        self.settle().await;
        let (refusals, done) = self.roster.take_in_force().expect("all of it is told");
        done.unwrap().send(()).unwrap();
        told.try_recv().unwrap();
        refusals
    }

    /// Polls the pair that is next.
    async fn poll(&mut self) -> PollTarget {
        let target = self.roster.begin_poll(self.now).expect("a pair is due");
        self.answer(&target).await;
        target
    }

    /// The API answers without a device.
    async fn answer(&mut self, target: &PollTarget) {
        let trace = Trace::default();
        let sighting = Sighting {
            row: target.row.get(),
            labels: target.labels.clone(),
            polled_at: self.now / 1000,
            trace,
            lags: Arc::default(),
        };
        let verdict = self.opened.ledger.record(&self.app, sighting).await.unwrap();
        self.roster.end_poll(target.row, false);
        self.roster.answered((target.slot, target.row), &verdict, self.now);
    }

    /// Users that are listed.
    fn names(&self) -> Vec<String> {
        let list = self.roster.list();
        let mut names: Vec<String> =
            (0..list.end()).filter_map(|slot| Some(list.pair(slot)?.user.to_owned())).collect();
        names.sort();
        names
    }
}

fn entry(users: &[&str], pushed_at: Option<i64>) -> Entry {
    let users = users.iter().map(|user| (*user).to_owned()).collect();
    Entry { task: "t".to_owned(), users, pushed_at: pushed_at.map(|at| at / 1000), ..Entry::default() }
}

fn state(rig: &Rig, user: &str) -> Option<State> {
    rig.roster.schedule().state(rig.roster.list().slot_of("t", user)?)
}

#[tokio::test]
async fn a_list_is_in_force_once_the_ledger_has_told_of_all_its_pairs() {
    let mut rig = Rig::new(10);
    let mut told = rig.replace(vec![entry(&["a", "b"], None)]);
    assert!(!rig.roster.takes_lists() && rig.roster.take_in_force().is_none());
    assert_eq!((rig.roster.waiting(), rig.roster.next_poll_at(NOW)), (2, None));
    assert_eq!(rig.settle().await, 1);
    assert!(rig.roster.takes_lists());
    let (refusals, done) = rig.roster.take_in_force().unwrap();
    assert_eq!(refusals, Refusals::default());
    done.unwrap().send(()).unwrap();
    told.try_recv().unwrap();
    assert!(rig.roster.next_poll_at(NOW).is_some());
    assert_eq!((rig.roster.waiting(), rig.roster.live()), (0, 2));
    assert_ne!(rig.poll().await.slot, rig.poll().await.slot, "each in turn");
}

#[tokio::test]
async fn thousands_of_pairs_go_to_the_ledger_two_pieces_at_a_time() {
    let mut rig = Rig::new(10_000);
    let users: Vec<String> = (0..PIECE * 3 + 1).map(|number| format!("u{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    let _told = rig.replace(vec![entry(&users, None)]);
    let jobs: Vec<_> = std::iter::from_fn(|| rig.roster.next_job(NOW)).collect();
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let done = job.run(rig.opened.ledger.clone(), rig.app.clone()).await.unwrap();
        rig.roster.job_done(done, NOW, |_, _| {});
    }
    assert_eq!(rig.roster.live(), 2 * PIECE, "those are polled while the others wait");
    assert_eq!(rig.settle().await, 2);
    assert_eq!(rig.roster.live(), users.len());
}

#[tokio::test]
async fn a_pair_that_leaves_while_it_is_polled_is_told_after_its_answer() {
    let mut rig = Rig::new(10);
    rig.list(vec![entry(&["a"], None)]).await;
    let target = rig.roster.begin_poll(NOW).unwrap();
    rig.list(Vec::new()).await;
    assert_eq!(rig.names(), [""; 0]);
    assert!(rig.roster.next_job(NOW).is_none(), "its answer counts under the labels that it had");
    rig.answer(&target).await;
    assert!(matches!(rig.roster.next_job(NOW), Some(EnrolmentJob::Leave(pairs)) if pairs.len() == 1));
}

#[tokio::test]
async fn a_pair_that_comes_back_while_it_is_polled_is_enrolled_after_it_left() {
    let mut rig = Rig::new(10);
    rig.list(vec![entry(&["a"], None)]).await;
    let target = rig.roster.begin_poll(NOW).unwrap();
    rig.list(Vec::new()).await;
    rig.list(vec![entry(&["a"], None)]).await;
    assert_eq!((rig.roster.waiting(), state(&rig, "a")), (1, None));
    assert!(rig.roster.next_job(NOW).is_none());
    rig.answer(&target).await;
    assert_eq!(rig.settle().await, 2, "it leaves, then it is enrolled");
    assert_eq!((rig.roster.waiting(), rig.roster.live()), (0, 1));
}

#[tokio::test]
async fn pairs_beyond_max_pairs_are_told_once_and_come_in_when_there_is_room() {
    let mut rig = Rig::new(2);
    let list = || vec![entry(&["a", "b", "c"], Some(NOW - 6 * DAY))];
    assert_eq!(rig.list(list()).await, Refusals { over_limit: 1, too_old: 0 });
    assert_eq!(rig.list(list()).await, Refusals::default());
    assert_eq!(rig.names(), ["a", "b"]);
    let later = rig.began + Duration::from_secs(60);
    rig.roster.fill_up(later, NOW);
    assert_eq!(rig.names(), ["a", "b"], "there is no room");
    rig.roster.configure(WATCH_FOR, 3);
    rig.list(list()).await;
    assert_eq!(rig.names(), ["a", "b", "c"]);
}

#[tokio::test]
async fn the_end_of_pairs_makes_room_for_those_that_were_left_out() {
    let mut rig = Rig::new(1);
    let list = vec![entry(&["old"], Some(NOW - 6 * DAY)), entry(&["new"], Some(NOW - DAY))];
    rig.list(list).await;
    rig.now += 2 * DAY;
    rig.roster.end_pairs(rig.now);
    assert_eq!(rig.names(), [""; 0]);
    rig.roster.fill_up(rig.began, rig.now);
    assert_eq!(rig.names(), [""; 0], "not at once");
    rig.roster.fill_up(rig.began + Duration::from_secs(60), rig.now);
    rig.settle().await;
    assert_eq!((rig.names(), rig.roster.live()), (vec!["new".to_owned()], 1));
}

#[tokio::test]
async fn pairs_that_were_pushed_too_long_ago_are_refused() {
    let mut rig = Rig::new(10);
    // The list leaves out what it knows to be over; the ledger knows of a push at the same second.
    rig.list(vec![entry(&["a"], Some(NOW - 8 * DAY)), entry(&["b"], Some(NOW - DAY))]).await;
    assert_eq!(rig.names(), ["b"]);
    assert_eq!(rig.roster.list_status().over, 1);
}

#[tokio::test]
async fn a_longer_watch_for_brings_back_pairs_that_were_over() {
    let mut rig = Rig::new(10);
    let list = || vec![entry(&["a"], Some(NOW - 6 * DAY))];
    rig.list(list()).await;
    rig.now += 2 * DAY;
    rig.roster.end_pairs(rig.now);
    rig.settle().await;
    rig.list(list()).await;
    assert_eq!(rig.names(), [""; 0]);
    rig.roster.configure(WATCH_FOR * 2, 10);
    rig.roster.end_pairs(rig.now);
    rig.list(list()).await;
    assert_eq!((rig.names(), rig.roster.live()), (vec!["a".to_owned()], 1));
}

#[tokio::test]
async fn a_shorter_watch_for_ends_pairs_with_the_next_list() {
    let mut rig = Rig::new(10);
    let list = || vec![entry(&["a"], Some(NOW - 3 * DAY)), entry(&["b"], Some(NOW - DAY))];
    rig.list(list()).await;
    rig.roster.configure(WATCH_FOR / 4, 10);
    rig.list(list()).await;
    rig.roster.end_pairs(NOW);
    assert_eq!(rig.names(), ["b"]);
}

#[tokio::test]
async fn after_a_clock_that_was_far_off_all_pairs_are_planned_anew() {
    let mut rig = Rig::new(10);
    rig.list(vec![entry(&["a"], Some(NOW - DAY))]).await;
    rig.roster.plan_anew();
    rig.now += 30 * DAY;
    rig.roster.end_pairs(rig.now);
    assert_eq!(rig.names(), ["a"], "nothing ends before that");
    rig.now = NOW; // It was right before.
    rig.roster.fill_up(rig.began, rig.now);
    assert_eq!(rig.settle().await, 2, "told anew");
    assert_eq!(rig.roster.live(), 1);
}

#[tokio::test]
async fn a_probe_goes_to_a_pair_that_is_not_accused_and_to_another_task_if_it_can() {
    let mut rig = Rig::new(10);
    let other = Entry { task: "other".to_owned(), ..entry(&["c"], None) };
    rig.list(vec![entry(&["a", "b"], None), other]).await;
    let slot = |task: &str, user: &str| rig.roster.list().slot_of(task, user).unwrap();
    let (a, b, c) = (slot("t", "a"), slot("t", "b"), slot("other", "c"));
    let suspect = rig.roster.list().task_number("t").unwrap();
    let probe = |rig: &mut Rig, is_suspect: &dyn Fn(u32) -> bool| {
        let target = rig.roster.begin_probe(rig.now, is_suspect).unwrap();
        rig.roster.end_poll(target.row, false);
        rig.roster.failed((target.slot, target.row), Look::Failed { at_least: 0 }, rig.now);
        rig.now += DAY / 8;
        target.slot
    };
    assert_eq!(probe(&mut rig, &|task| task == suspect), c);
    for slot in [a, c] {
        let row = rig.roster.info(slot).unwrap().row;
        rig.roster.info_mut(slot, row).unwrap().is_accused = true;
    }
    assert_eq!(
        probe(&mut rig, &|task| task == suspect),
        b,
        "its task is suspect, but no other pair is better"
    );
    let row = rig.roster.info(b).unwrap().row;
    rig.roster.info_mut(b, row).unwrap().is_accused = true;
    let all = [a, b, c];
    assert!(all.contains(&probe(&mut rig, &|_| false)), "better one of them than none");
}

#[tokio::test]
async fn what_is_known_no_more_is_polled_no_more() {
    let mut rig = Rig::new(10);
    rig.list(vec![entry(&["a"], None)]).await;
    let target = rig.roster.begin_poll(NOW).unwrap();
    rig.roster.end_poll(target.row, false);
    rig.roster.give_up(target.slot, target.row);
    assert_eq!((rig.names(), rig.roster.live()), (Vec::new(), 0));
    assert_eq!(rig.roster.next_poll_at(NOW + DAY), None);
}
