//! Who has a connection open, and which of them goes when one more comes than there may be.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{Limits, ROOM_TIMEOUT};
use super::phase::{Phase, Progress};
use crate::sys::lock;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct Crowd {
    limits: Limits,
    /// One permit for each open connection.
    pub(super) connections: Arc<Semaphore>,
    /// One permit for each request that is being answered, those with reserved capacity aside.
    requests: Arc<Semaphore>,
    /// As many as there are permits at most; never held across an await.
    open: Mutex<Vec<Arc<Progress>>>,
}

/// A place in the crowd; given back when dropped.
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    pub(super) progress: Arc<Progress>,
    _permit: OwnedSemaphorePermit,
}

impl Crowd {
    pub(super) fn new(limits: &Limits) -> Crowd {
        Crowd {
            limits: *limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            requests: Arc::new(Semaphore::new(limits.requests)),
            open: Mutex::default(),
        }
    }

    /// A place for a new connection: a free one, or that of the one that has waited longest for its client. `None` where
    /// all are being answered, and none is done soon. `evicted` hears of a cut one.
    pub(super) async fn admit(self: &Arc<Crowd>, evicted: impl FnOnce()) -> Option<Seat> {
        let permit = self.permit(&self.connections, |phase| phase != Phase::Busy, evicted).await?;
        let progress = Progress::new(self.limits);
        lock(&self.open).push(Arc::clone(&progress));
        Some(Seat { crowd: Arc::clone(self), progress, _permit: permit })
    }

    /// The right to be answered: for all requests but those that have places of their own. A free one, or that of the
    /// one that has waited longest for the rest of its body.
    pub(super) async fn turn(&self, evicted: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
        self.permit(&self.requests, |phase| phase == Phase::Body, evicted).await
    }

    async fn permit(
        &self,
        permits: &Arc<Semaphore>,
        may_go: impl Fn(Phase) -> bool,
        evicted: impl FnOnce(),
    ) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
            return Some(permit);
        }
        if self.make_room(may_go) {
            evicted();
        }
        // Where none may go, one that is being answered may just be done.
        tokio::time::timeout(ROOM_TIMEOUT, Arc::clone(permits).acquire_owned()).await.ok()?.ok()
    }

    /// Cuts the connection that has waited longest among those that may go; false where there is none.
    fn make_room(&self, may_go: impl Fn(Phase) -> bool) -> bool {
        let open = lock(&self.open);
        let waiting = open.iter().filter_map(|progress| Some((progress.waits_since(&may_go)?, progress)));
        let longest = waiting.min_by_key(|(since, _)| *since);
        if let Some((_, progress)) = longest {
            progress.evict();
        }
        longest.is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.crowd.open).retain(|progress| !Arc::ptr_eq(progress, &self.progress));
    }
}
