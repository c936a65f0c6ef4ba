//! What a poller does beside polling: keeps what was learned, forgets what nobody needs, minds the clock.

use std::sync::Arc;
use std::time::Instant;

use crate::config::App;
use crate::ledger::{Ledger, LedgerClosed};
use crate::schedule::Learned;

use super::clock::StepWatch;
use super::feeder::AllRead;
use super::heartbeat::Heartbeat;
use super::learning::Learning;
use super::retention::{Retention, Step};
use super::roster::Roster;

/// What a poller does once a second beside polling.
pub(super) struct Housekeeping {
    heartbeat: Heartbeat,
    all_read: AllRead,
    clock: StepWatch,
    /// What the ledger has of what the schedule has learned.
    learning: Learning,
    retention: Retention,
}

/// What the ledger is told.
#[derive(Debug)]
pub(super) enum HousekeepingJob {
    Learn(Vec<u8>),
    /// Which labels are shown, at that time in Unix seconds.
    ShowLabels(Arc<[Box<str>]>, i64),
    Name(Vec<(String, String)>),
    Forget,
}

/// What it answered.
#[derive(Debug)]
pub(super) enum HousekeepingDone {
    Learned,
    Named,
    /// Whether there is more to forget.
    Forgot(bool),
}

/// By how many milliseconds the wall clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockStep {
    pub by: i64,
    /// So far that whatever was reckoned by it is to be reckoned again.
    pub is_far: bool,
}

impl HousekeepingJob {
    pub async fn run(self, ledger: Ledger, app: Arc<str>) -> Result<HousekeepingDone, LedgerClosed> {
        match self {
            HousekeepingJob::Learn(bytes) => {
                ledger.learn(&app, bytes).await.map(|()| HousekeepingDone::Learned)
            }
            HousekeepingJob::ShowLabels(labels, now) => {
                ledger.show_labels(&app, labels, now).await.map(|()| HousekeepingDone::Named)
            }
            HousekeepingJob::Name(pairs) => ledger.name(&app, pairs).await.map(|()| HousekeepingDone::Named),
            HousekeepingJob::Forget => ledger.forget(&app).await.map(HousekeepingDone::Forgot),
        }
    }
}

impl Housekeeping {
    pub fn new(heartbeat: Heartbeat, all_read: AllRead) -> Housekeeping {
        Housekeeping {
            heartbeat,
            all_read,
            clock: StepWatch::default(),
            learning: Learning::new(Vec::new(), Instant::now()),
            retention: Retention::default(),
        }
    }

    /// The loop went round.
    pub fn beat(&self) {
        self.heartbeat.beat();
    }

    /// Whether somebody set the wall clock since the last call.
    pub fn clock_step(&mut self) -> Option<ClockStep> {
        let by = self.clock.step();
        (by != 0).then(|| ClockStep { by, is_far: self.clock.was_set_far(by) })
    }

    /// What the schedule had learned before the restart.
    pub async fn recall(&mut self, ledger: &Ledger, app: &App, now: i64) -> Result<Learned, LedgerClosed> {
        // Gauges of a poller before, that could not tell its end, are none of this one's.
        ledger.dismiss(&app.name, 0).await?;
        ledger.show_labels(&app.name, app.watch_labels.clone(), now / 1000).await?;
        let kept = ledger.learned(&app.name).await?;
        let learned = kept.map_or_else(|| Ok(Learned::default()), |bytes| Learned::from_bytes(&bytes));
        let learned = learned.unwrap_or_else(|error| {
            tracing::warn!(app = %app.name, %error, "the schedule learns anew");
            Learned::default()
        });
        self.learning = Learning::new(learned.to_bytes(), Instant::now());
        Ok(learned)
    }

    /// What the schedule has learned that the ledger does not have.
    pub fn unkept(&self, roster: &Roster) -> Option<Vec<u8>> {
        self.learning.news(roster.schedule().learned().to_bytes())
    }

    /// The labels that the configuration names are others.
    pub fn labels_changed(&mut self) {
        self.retention.labels_changed();
    }

    /// The next job of each kind that is due; `labels` are those of the configuration.
    pub fn next_jobs(&mut self, roster: &Roster, labels: &Arc<[Box<str>]>, now: i64) -> Vec<HousekeepingJob> {
        let learned = || roster.schedule().learned().to_bytes();
        let learn = self.learning.due(Instant::now(), learned).map(HousekeepingJob::Learn);
        let lists = || self.all_read.get().then(|| roster.listed_entries()).flatten();
        let retain = match self.retention.step(Instant::now(), lists) {
            Step::Nothing => None,
            Step::ShowLabels => Some(HousekeepingJob::ShowLabels(labels.clone(), now / 1000)),
            Step::Name(pairs) => Some(HousekeepingJob::Name(pairs)),
            Step::Forget => Some(HousekeepingJob::Forget),
        };
        learn.into_iter().chain(retain).collect()
    }

    pub fn job_done(&mut self, done: HousekeepingDone) {
        match done {
            HousekeepingDone::Learned => self.learning.kept(),
            HousekeepingDone::Named => self.retention.named(),
            HousekeepingDone::Forgot(more) => self.retention.forgot(more),
        }
    }
}
