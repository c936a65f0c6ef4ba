//! Who has a connection open, and which of them goes when one more comes than there may be.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::{ConnectionPhase, ConnectionState};
use super::limits::{Limits, ROOM_TIMEOUT};
use crate::sys::lock;

/// The connections that are open.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    limits: Limits,
    /// One permit for each open connection.
    pub(super) connections: Arc<Semaphore>,
    /// One permit for each request that is being answered, those with reserved capacity aside.
    requests: Arc<Semaphore>,
    /// As many as there are permits at most; never held across an await.
    open: Mutex<Vec<Arc<ConnectionState>>>,
}

/// A place in the pool; given back when dropped.
pub(super) struct ConnectionSlot {
    pool: Arc<ConnectionPool>,
    pub(super) state: Arc<ConnectionState>,
    _permit: OwnedSemaphorePermit,
}

impl ConnectionPool {
    pub(super) fn new(limits: &Limits) -> ConnectionPool {
        ConnectionPool {
            limits: *limits,
            connections: Arc::new(Semaphore::new(limits.connections)),
            requests: Arc::new(Semaphore::new(limits.requests)),
            open: Mutex::default(),
        }
    }

    /// A place for a new connection: a free one, or that of the one that has waited longest for its client. `None` where
    /// all are being answered, and none is done soon. `evicted` hears of a cut one.
    pub(super) async fn admit(self: &Arc<ConnectionPool>, evicted: impl FnOnce()) -> Option<ConnectionSlot> {
        let permit = self.permit(&self.connections, |phase| phase != ConnectionPhase::Busy, evicted).await?;
        let state = ConnectionState::new(self.limits);
        lock(&self.open).push(Arc::clone(&state));
        Some(ConnectionSlot { pool: Arc::clone(self), state, _permit: permit })
    }

    /// The right to be answered: for all requests but those that have places of their own. A free one, or that of the
    /// one that has waited longest for the rest of its body.
    pub(super) async fn turn(&self, evicted: impl FnOnce()) -> Option<OwnedSemaphorePermit> {
        self.permit(&self.requests, |phase| phase == ConnectionPhase::Body, evicted).await
    }

    async fn permit(
        &self,
        permits: &Arc<Semaphore>,
        may_go: impl Fn(ConnectionPhase) -> bool,
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
    fn make_room(&self, may_go: impl Fn(ConnectionPhase) -> bool) -> bool {
        let open = lock(&self.open);
        let waiting = open.iter().filter_map(|state| Some((state.waits_since(&may_go)?, state)));
        let longest = waiting.min_by_key(|(since, _)| *since);
        if let Some((_, state)) = longest {
            state.evict();
        }
        longest.is_some()
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        lock(&self.pool.open).retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}
