//! The way to the ledger's keeper.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{mpsc, oneshot, watch};

use super::Snapshot;
use super::jobs::{Commit, Draw, Job, Known, Leave, LedgerClosed, Sighting, Stall, Verdict};
use super::keeper::{Keeper, Shown};
use super::open::{OpenError, open};
use super::pair::Enrol;
use super::posted::{PostCounts, PostError, Posts};
use super::posting::{PostedChanges, Room, Teller, Versions};
use super::records::Records;

/// Jobs that may wait for the keeper; whoever has more waits.
const JOBS_CAP: usize = 1024;

/// The way to the keeper; cheap to clone. The keeper ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    stall: Arc<ArcSwapOption<Stall>>,
    posts_room: Room,
    posted: watch::Receiver<Versions>,
}

/// An opened ledger.
pub struct Opened {
    pub ledger: Ledger,
    /// Ends after the last [`Ledger`] is dropped and everything is on disk.
    pub keeper: JoinHandle<()>,
    /// Where a damaged store was moved, if this start found one.
    pub quarantined: Option<PathBuf>,
    /// Reads beside the keeper.
    pub records: Records,
}

impl Ledger {
    /// Opens the ledger in `folder` and starts its keeper. `on_commit` is told of each commit.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        folder: &Path,
        now: i64,
        on_commit: impl Fn(Commit) + Send + 'static,
    ) -> Result<Opened, OpenError> {
        let (store, sums, quarantined) = open(folder, now)?;
        let records = Records::of(&store);
        let snapshot = Arc::new(ArcSwap::from_pointee(sums));
        let (jobs, queue) = mpsc::channel(JOBS_CAP);
        let stall = Arc::new(ArcSwapOption::empty());
        let (teller, posted) = Teller::new();
        let shown = Shown { snapshot: snapshot.clone(), stall: stall.clone(), posted: teller };
        let keeper = Keeper::new(store, shown, queue, Box::new(on_commit));
        let spawned = std::thread::Builder::new().name("ledger".into()).spawn(move || keeper.run());
        let keeper = spawned.map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        let ledger = Ledger { jobs, snapshot, stall, posts_room: Room::default(), posted };
        Ok(Opened { ledger, keeper, quarantined, records })
    }

    /// What is on disk, for readers.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Whether it cannot be written just now.
    pub fn stall(&self) -> Option<Arc<Stall>> {
        self.stall.load_full()
    }

    /// A way to [`Ledger::snapshot`] that does not keep the keeper alive.
    pub fn reader(&self) -> Arc<ArcSwap<Snapshot>> {
        self.snapshot.clone()
    }

    /// Watches pairs from now on; tells what is known of each, `None` for one that was not to be added.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn enrol(
        &self,
        app: &Arc<str>,
        pairs: Vec<Enrol>,
        now: i64,
    ) -> Result<Vec<Option<Known>>, LedgerClosed> {
        self.ask(|reply| Job::Enrol { app: app.clone(), pairs, now, reply }).await
    }

    /// Folds an answer; done when it is on disk.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn record(&self, app: &Arc<str>, sighting: Sighting) -> Result<Verdict, LedgerClosed> {
        self.ask(|reply| Job::Record { app: app.clone(), sighting, reply }).await
    }

    /// Pairs are no longer watched.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn leave(&self, app: &Arc<str>, pairs: Vec<Leave>) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Leave { app: app.clone(), pairs, reply }).await
    }

    /// Takes pairs into the random sample, and closes those of which nothing more is to be polled for it; tells of each
    /// whether it is closed.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn draw(&self, app: &Arc<str>, pairs: Vec<Draw>, now: i64) -> Result<Vec<bool>, LedgerClosed> {
        self.ask(|reply| Job::Draw { app: app.clone(), pairs, now, reply }).await
    }

    /// An app with `removed` pairs still polled is no longer watched.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn dismiss(&self, app: &Arc<str>, removed: u64) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Dismiss { app: app.clone(), removed, reply }).await
    }

    /// Sources of `app` name these pairs of task and user, watched or not.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn name(&self, app: &Arc<str>, pairs: Vec<(String, String)>) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Name { app: app.clone(), pairs, reply }).await
    }

    /// The app has these `watch_labels`, and it is `now`: sets of them with which no pair was watched for long are not shown
    /// any more, and make room for others.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn show_labels(
        &self,
        app: &Arc<str>,
        watch_labels: Arc<[Box<str>]>,
        now: i64,
    ) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::ShowLabels { app: app.clone(), watch_labels, now, reply }).await
    }

    /// Forgets pairs of `app` that no source named for long: some at a time, true if there may be more. All pairs that the
    /// sources name are to be told by [`Ledger::name`] before.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn forget(&self, app: &Arc<str>) -> Result<bool, LedgerClosed> {
        self.ask(|reply| Job::Forget { app: app.clone(), reply }).await
    }

    /// Keeps what the schedule of `app` has learned.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn learn(&self, app: &Arc<str>, bytes: Vec<u8>) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Learn { app: app.clone(), bytes, reply }).await
    }

    /// What [`Ledger::learn`] kept last; `None` too where it is damaged, which costs nothing but time to learn.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn learned(&self, app: &Arc<str>) -> Result<Option<Vec<u8>>, LedgerClosed> {
        self.ask(|reply| Job::Learned { app: app.clone(), reply }).await
    }

    /// Adds pairs to what the watch API keeps, all or none. What waits to be written is written even where nobody waits for
    /// the answer any more.
    ///
    /// # Errors
    /// [`PostError`]; nothing was added.
    pub async fn post(&self, posts: Posts, now: i64) -> Result<PostCounts, PostError> {
        let room = self.posts_room.take(&posts).ok_or(PostError::Full)?;
        let told = self.ask(|reply| Job::Post { posts, now, room, reply }).await;
        told.map_err(|LedgerClosed| PostError::Closed)?.map_err(PostError::OverCap)
    }

    /// Tells when the pairs that the watch API keeps for `app` change on disk. It does not keep the keeper alive.
    pub fn posted_changes(&self, app: &Arc<str>) -> PostedChanges {
        PostedChanges::new(app.clone(), self.posted.clone())
    }

    /// Takes a pair, or all pairs of a task, off what the watch API keeps; gives how many there were.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn unpost(
        &self,
        app: &Arc<str>,
        task: String,
        user: Option<String>,
    ) -> Result<u64, LedgerClosed> {
        self.ask(|reply| Job::Unpost { app: app.clone(), task, user, reply }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, LedgerClosed> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| LedgerClosed)?;
        answer.await.map_err(|_| LedgerClosed)
    }
}
