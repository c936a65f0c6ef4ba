//! Passwords are checked one at a time: a flood of wrong ones may not take the machine from scrapes and polls.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that wait for their check; more are refused.
pub(super) const MAX_WAITING: usize = 16;
/// How long each of them waits at most.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The check that runs, and those that wait.
#[derive(Debug)]
pub(in crate::http) struct PasswordQueue {
    running: Arc<Semaphore>,
    waiting: Semaphore,
    max_wait: Duration,
}

impl PasswordQueue {
    pub(in crate::http) fn new() -> PasswordQueue {
        PasswordQueue::with_wait(MAX_WAIT)
    }

    pub(super) fn with_wait(max_wait: Duration) -> PasswordQueue {
        PasswordQueue { running: Arc::new(Semaphore::new(1)), waiting: Semaphore::new(MAX_WAITING), max_wait }
    }

    /// Waits for the right to check a password; the right ends when the permit is dropped. `None` where too many wait,
    /// or it took too long.
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let _place = self.waiting.try_acquire().ok()?;
        tokio::time::timeout(self.max_wait, Arc::clone(&self.running).acquire_owned()).await.ok()?.ok()
    }
}
