//! The thread that owns the store: takes jobs, folds them, commits them together, publishes, answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

use crate::trace::Trace;
use crate::watch::LabelSet;

use super::count::Touched;
use super::fold::{Record, fold};
use super::store::{OpenError, PairRow, Store, StoreError};
use super::{Ended, Snapshot};

/// Jobs that may wait for the keeper; whoever has more waits.
const JOBS_CAP: usize = 1024;
/// Jobs that one commit takes.
const BATCH_CAP: usize = 512;
/// How long to wait before a failed commit is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Pairs that nobody added, pushed or polled for so long are forgotten. The upstream forgets after seven days.
const RETAIN_SECONDS: i64 = 30 * 86_400;
/// Pairs that one commit forgets at most.
const PURGE_CAP: usize = 2000;
/// How often to look for pairs to forget.
const PURGE_EVERY: Duration = Duration::from_secs(600);

/// A pair that is watched from now on.
#[derive(Clone, Debug)]
pub struct Enrol {
    pub task: String,
    pub user: String,
    pub labels: LabelSet,
    /// As the watch list says, Unix seconds.
    pub pushed_at: Option<i64>,
    /// Whether to add it if it is not known; a pair that is too old to ask for is not added.
    pub add: bool,
}

/// What the ledger knows of an enrolled pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Names the pair in later jobs.
    pub row: i64,
    /// When it was first enrolled, Unix seconds.
    pub added_at: i64,
    pub polled_at: Option<i64>,
    /// `PushTime` as the upstream told it, Unix seconds.
    pub pushed_at: Option<i64>,
    pub ended: Option<Ended>,
}

/// One answer of the upstream about one pair.
#[derive(Debug)]
pub struct Sighting {
    pub row: i64,
    pub labels: LabelSet,
    /// Unix seconds.
    pub polled_at: i64,
    pub trace: Trace,
}

/// What an answer came to, once it is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Nothing more can come.
    pub settled: bool,
    /// Results that were never seen before.
    pub news: usize,
    /// `PushTime` as the upstream told it, Unix seconds.
    pub pushed_at: Option<i64>,
}

/// A pair that is no longer watched.
#[derive(Clone, Debug)]
pub struct Leave {
    pub row: i64,
    pub labels: LabelSet,
    /// `None` if its polling had ended before.
    pub reason: Option<Ended>,
}

/// One commit, told to whoever keeps figures about it.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    pub took: Duration,
    /// Unix seconds.
    pub at: i64,
    pub size_bytes: u64,
}

/// The ledger is shut down and takes no more jobs.
#[derive(Debug, thiserror::Error)]
#[error("the ledger is closed")]
pub struct LedgerClosed;

enum Job {
    Enrol {
        app: Arc<str>,
        pairs: Vec<Enrol>,
        now: i64,
        reply: oneshot::Sender<Vec<Option<Known>>>,
    },
    Record {
        app: Arc<str>,
        sighting: Sighting,
        reply: oneshot::Sender<Verdict>,
    },
    Leave {
        app: Arc<str>,
        pairs: Vec<Leave>,
        reply: oneshot::Sender<()>,
    },
    Dismiss {
        app: Arc<str>,
        removed: u64,
        reply: oneshot::Sender<()>,
    },
}

/// What a job came to; told once it is on disk.
enum Answer {
    Enrolled(Vec<Option<Known>>),
    Recorded(Verdict),
    Done,
}

/// The way to the keeper; cheap to clone. The keeper ends when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    snapshot: Arc<ArcSwap<Snapshot>>,
}

/// An opened ledger.
pub struct Opened {
    pub ledger: Ledger,
    /// Ends after the last [`Ledger`] is dropped and everything is on disk.
    pub keeper: JoinHandle<()>,
    /// Where a damaged store was moved, if this start found one.
    pub quarantined: Option<PathBuf>,
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
        let (store, sums, quarantined) = Store::open(folder, now)?;
        let snapshot = Arc::new(ArcSwap::from_pointee(sums));
        let (jobs, queue) = mpsc::channel(JOBS_CAP);
        let keeper = Keeper {
            store,
            snapshot: snapshot.clone(),
            queue,
            on_commit: Box::new(on_commit),
            purged: Instant::now(),
        };
        let spawned = std::thread::Builder::new()
            .name("ledger".into())
            .spawn(move || keeper.run());
        let keeper = spawned.map_err(|source| OpenError::Io {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Opened {
            ledger: Ledger { jobs, snapshot },
            keeper,
            quarantined,
        })
    }

    /// What is on disk, for readers.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
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
        self.ask(|reply| Job::Enrol {
            app: app.clone(),
            pairs,
            now,
            reply,
        })
        .await
    }

    /// Folds an answer; done when it is on disk.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn record(&self, app: &Arc<str>, sighting: Sighting) -> Result<Verdict, LedgerClosed> {
        self.ask(|reply| Job::Record {
            app: app.clone(),
            sighting,
            reply,
        })
        .await
    }

    /// Pairs are no longer watched.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn leave(&self, app: &Arc<str>, pairs: Vec<Leave>) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Leave {
            app: app.clone(),
            pairs,
            reply,
        })
        .await
    }

    /// An app with `removed` pairs still polled is no longer watched.
    ///
    /// # Errors
    /// The ledger is closed.
    pub async fn dismiss(&self, app: &Arc<str>, removed: u64) -> Result<(), LedgerClosed> {
        self.ask(|reply| Job::Dismiss {
            app: app.clone(),
            removed,
            reply,
        })
        .await
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<T>) -> Job) -> Result<T, LedgerClosed> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| LedgerClosed)?;
        answer.await.map_err(|_| LedgerClosed)
    }
}

struct Keeper {
    store: Store,
    snapshot: Arc<ArcSwap<Snapshot>>,
    queue: mpsc::Receiver<Job>,
    on_commit: Box<dyn Fn(Commit) + Send>,
    purged: Instant,
}

/// A batch at work: the sums it makes, published only when they are on disk.
struct Batch {
    sums: Snapshot,
    touched: BTreeMap<Arc<str>, Touched>,
}

impl Keeper {
    fn run(mut self) {
        let mut jobs = Vec::with_capacity(BATCH_CAP);
        while let Some(job) = self.queue.blocking_recv() {
            jobs.push(job);
            while jobs.len() < BATCH_CAP
                && let Ok(job) = self.queue.try_recv()
            {
                jobs.push(job);
            }
            let answers = self.commit_until_done(&jobs);
            for (job, answer) in jobs.drain(..).zip(answers) {
                job.answer(answer);
            }
        }
    }

    /// Tries until the jobs are on disk: nothing that was read is lost, and nothing is shown before.
    fn commit_until_done(&mut self, jobs: &[Job]) -> Vec<Answer> {
        loop {
            let began = Instant::now();
            match self.commit(jobs) {
                Ok((answers, sums)) => {
                    let (at, size_bytes) = (sums.committed_at, sums.size_bytes);
                    self.snapshot.store(Arc::new(sums));
                    (self.on_commit)(Commit {
                        took: began.elapsed(),
                        at,
                        size_bytes,
                    });
                    return answers;
                }
                Err(error) => {
                    self.store.rollback();
                    tracing::error!(%error, jobs = jobs.len(), "ledger: cannot commit; trying again");
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> Result<(Vec<Answer>, Snapshot), StoreError> {
        let mut batch = Batch {
            sums: Snapshot::clone(&self.snapshot.load()),
            touched: BTreeMap::new(),
        };
        self.store.begin()?;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(batch.work(&mut self.store, job)?);
        }
        let now = jiff::Timestamp::now().as_second();
        for (app, touched) in &batch.touched {
            let row = self.store.app(app)?;
            if let Some(tally) = batch.sums.apps.get(app) {
                self.store.write_sums(row, tally, touched)?;
            }
        }
        if self.purged.elapsed() >= PURGE_EVERY
            && self.store.purge(now - RETAIN_SECONDS, PURGE_CAP)? < PURGE_CAP
        {
            self.purged = Instant::now();
        }
        self.store.commit()?;
        batch.sums.committed_at = now;
        batch.sums.size_bytes = self.store.size_bytes();
        Ok((answers, batch.sums))
    }
}

impl Batch {
    fn work(&mut self, store: &mut Store, job: &Job) -> Result<Answer, StoreError> {
        match job {
            Job::Enrol { app, pairs, now, .. } => {
                let row = store.app(app)?;
                let known = pairs.iter().map(|pair| self.enrol(store, (app, row), pair, *now));
                Ok(Answer::Enrolled(known.collect::<Result<_, _>>()?))
            }
            Job::Record { app, sighting, .. } => self.record(store, app, sighting).map(Answer::Recorded),
            Job::Leave { app, pairs, .. } => {
                for pair in pairs {
                    self.leave(store, app, pair)?;
                }
                Ok(Answer::Done)
            }
            Job::Dismiss { app, removed, .. } => {
                let (tally, _) = self.app(app);
                tally.dismiss();
                tally.ended[Ended::Removed as usize] += removed;
                Ok(Answer::Done)
            }
        }
    }

    fn app(&mut self, app: &Arc<str>) -> (&mut super::AppTally, &mut Touched) {
        let tally = self.sums.apps.entry(app.clone()).or_default();
        (Arc::make_mut(tally), self.touched.entry(app.clone()).or_default())
    }

    fn enrol(
        &mut self,
        store: &mut Store,
        (app, app_row): (&Arc<str>, i64),
        pair: &Enrol,
        now: i64,
    ) -> Result<Option<Known>, StoreError> {
        let Some(found) = store.find_pair(app_row, &pair.task, &pair.user)? else {
            if !pair.add {
                return Ok(None);
            }
            let row = store.add_pair(app_row, pair, now)?;
            return Ok(Some(Known {
                row,
                added_at: now,
                polled_at: None,
                pushed_at: None,
                ended: None,
            }));
        };
        if found.pushed_at != pair.pushed_at {
            store.set_pushed_at(found.id, pair.pushed_at)?;
        }
        if found.ended != Some(Ended::Expired) {
            self.app(app).0.enter(&pair.labels, &found.record);
        }
        Ok(Some(Known {
            row: found.id,
            added_at: found.added_at,
            polled_at: found.polled_at,
            pushed_at: found.record.pushed_at(),
            ended: found.ended,
        }))
    }

    fn record(&mut self, store: &Store, app: &Arc<str>, sighting: &Sighting) -> Result<Verdict, StoreError> {
        let Some(mut row) = store.pair(sighting.row)? else {
            // Rows are purged only long after their last poll: somebody else deleted it.
            tracing::error!(
                row = sighting.row,
                "ledger: the row of a watched pair is gone; its answer is not counted"
            );
            return Ok(Verdict {
                settled: false,
                news: 0,
                pushed_at: None,
            });
        };
        let before: Record = row.record.clone();
        let news = fold(&mut row.record, &sighting.trace, sighting.polled_at);
        let settled = row.record.is_settled(sighting.polled_at);
        let (tally, touched) = self.app(app);
        for item in &news {
            tally.count(&sighting.labels, item, touched);
        }
        tally.leave(&sighting.labels, &before);
        tally.enter(&sighting.labels, &row.record);
        if settled && row.ended.is_none() {
            tally.end(Ended::Settled);
            row.ended = Some(Ended::Settled);
        }
        row.polled_at = Some(sighting.polled_at);
        store.set_record(&row)?;
        Ok(Verdict {
            settled,
            news: news.len(),
            pushed_at: row.record.pushed_at(),
        })
    }

    fn leave(&mut self, store: &Store, app: &Arc<str>, pair: &Leave) -> Result<(), StoreError> {
        let Some(mut row): Option<PairRow> = store.pair(pair.row)? else {
            return Ok(());
        };
        let (tally, _) = self.app(app);
        tally.leave(&pair.labels, &row.record);
        if let Some(reason) = pair.reason {
            tally.end(reason);
        }
        if pair.reason == Some(Ended::Expired) {
            row.ended = Some(Ended::Expired);
            store.set_record(&row)?;
        }
        Ok(())
    }
}

impl Job {
    /// Tells whoever waits; that they may have gone is their affair.
    fn answer(self, answer: Answer) {
        match (self, answer) {
            (Job::Enrol { reply, .. }, Answer::Enrolled(known)) => drop(reply.send(known)),
            (Job::Record { reply, .. }, Answer::Recorded(verdict)) => drop(reply.send(verdict)),
            (Job::Leave { reply, .. } | Job::Dismiss { reply, .. }, Answer::Done) => drop(reply.send(())),
            _ => unreachable!("a batch answers its jobs in order"),
        }
    }
}
