//! The thread that owns the store: takes jobs, has them folded, commits them together, publishes, answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::mpsc;

use super::Snapshot;
use super::batch::Batch;
use super::jobs::{Answer, Commit, Job, Stall};
use super::posting::Teller;
use super::store::{Store, StoreError};

/// Jobs that one commit takes.
const BATCH_CAP: usize = 512;
/// How long to wait before a failed commit is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What a keeper shows to readers.
pub(super) struct Shown {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) stall: Arc<ArcSwapOption<Stall>>,
    /// Told what changed of the pairs that the watch API keeps.
    pub(super) posted: Teller,
}

pub(super) struct Keeper {
    store: Store,
    shown: Shown,
    queue: mpsc::Receiver<Job>,
    on_commit: Box<dyn Fn(Commit) + Send>,
}

impl Keeper {
    /// A keeper of `store` that works on `queue`.
    pub(super) fn new(
        store: Store,
        shown: Shown,
        queue: mpsc::Receiver<Job>,
        on_commit: Box<dyn Fn(Commit) + Send>,
    ) -> Keeper {
        Keeper { store, shown, queue, on_commit }
    }

    /// Works until the last way to it is dropped and the queue is empty.
    pub(super) fn run(mut self) {
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
                Ok((answers, Batch { sums, damaged, posted, .. })) => {
                    let (at, size_bytes) = (sums.committed_at, sums.size_bytes);
                    self.shown.snapshot.store(Arc::new(sums));
                    self.shown.stall.store(None);
                    self.shown.posted.tell(posted);
                    let damaged_pairs = damaged.len() as u64;
                    for (app, row) in damaged {
                        tracing::error!(
                            %app, row,
                            "ledger: the record of a pair is damaged; the pair is not watched any more, all others are"
                        );
                    }
                    (self.on_commit)(Commit { took: began.elapsed(), at, size_bytes, damaged_pairs });
                    return answers;
                }
                Err(error) => {
                    self.store.rollback();
                    tracing::error!(%error, jobs = jobs.len(), "ledger: cannot commit; trying again");
                    let since = self.shown.stall.load().as_ref().map_or_else(now, |stall| stall.since);
                    self.shown.stall.store(Some(Arc::new(Stall { since, why: error.to_string() })));
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> Result<(Vec<Answer>, Batch), StoreError> {
        let mut batch = Batch::new(Snapshot::clone(&self.shown.snapshot.load()));
        self.store.begin()?;
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(batch.work(&mut self.store, job)?);
        }
        for (app, touched) in &batch.touched {
            let row = self.store.app(app)?;
            if let Some(tally) = batch.sums.apps.get(app) {
                self.store.write_sums(row, tally, touched)?;
                self.store.write_seals(row, tally, touched)?;
            }
        }
        self.store.keep_clock()?;
        self.store.commit()?;
        batch.sums.committed_at = now();
        batch.sums.size_bytes = self.store.size_bytes();
        Ok((answers, batch))
    }
}

/// Unix seconds.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
