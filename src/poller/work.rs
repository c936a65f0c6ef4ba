//! The tasks of one poller that are on their way, and what they came to.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::ledger::{Ledger, LedgerClosed};
use crate::usersig::CredentialRead;

use super::credential::CredentialReading;
use super::enrolment::{EnrolmentDone, EnrolmentJob};
use super::housekeeping::{HousekeepingDone, HousekeepingJob};
use super::poll::{Poll, Polled};

/// What is on its way.
pub(super) struct Work {
    pub app: Arc<str>,
    pub ledger: Ledger,
    tasks: JoinSet<Done>,
}

/// What a task came to.
pub(super) enum Done {
    Polled(Polled),
    Enrolment(Result<EnrolmentDone, LedgerClosed>),
    Housekeeping(Result<HousekeepingDone, LedgerClosed>),
    Credential(CredentialRead),
}

impl Work {
    pub fn new(app: Arc<str>, ledger: Ledger) -> Work {
        Work { app, ledger, tasks: JoinSet::new() }
    }

    pub fn poll(&mut self, poll: Poll) {
        self.tasks.spawn(async move { Done::Polled(poll.run().await) });
    }

    pub fn enrol(&mut self, job: EnrolmentJob) {
        let (ledger, app) = (self.ledger.clone(), self.app.clone());
        self.tasks.spawn(async move { Done::Enrolment(job.run(ledger, app).await) });
    }

    pub fn keep_house(&mut self, job: HousekeepingJob) {
        let (ledger, app) = (self.ledger.clone(), self.app.clone());
        self.tasks.spawn(async move { Done::Housekeeping(job.run(ledger, app).await) });
    }

    pub fn read(&mut self, reading: CredentialReading) {
        self.tasks.spawn(async move { Done::Credential(reading.run().await) });
    }

    /// The next one that ends; `None` if nothing is on its way. A panic goes on here. It may be dropped and called again.
    pub async fn next(&mut self) -> Option<Done> {
        match self.tasks.join_next().await? {
            Ok(done) => Some(done),
            Err(error) => std::panic::resume_unwind(error.into_panic()), // Nobody cancels these tasks.
        }
    }

    /// Ends all.
    pub async fn shutdown(&mut self) {
        self.tasks.shutdown().await;
    }
}
