//! Who has a connection open, and which of them goes when one more comes than there may be.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::House;
use super::limits::ROOM_TIMEOUT;
use super::phase::Progress;

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Crowd {
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
    fn open(&self) -> MutexGuard<'_, Vec<Arc<Progress>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection: a free one, or that of one who waits; `None` where all are busy.
    pub(super) async fn admit(self: &Arc<Crowd>, app: &House) -> Option<Seat> {
        let permits = &app.connections;
        let permit = match Arc::clone(permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) if self.make_room() => {
                app.fixtures.exporter.connection_evicted();
                let freed = Arc::clone(permits).acquire_owned();
                tokio::time::timeout(ROOM_TIMEOUT, freed).await.ok()?.ok()?
            }
            Err(_) => return None,
        };
        let progress = Progress::new(*app.limits());
        self.open().push(Arc::clone(&progress));
        Some(Seat { crowd: Arc::clone(self), progress, _permit: permit })
    }

    /// Cuts the connection that is worth least, the one that waits longest among equals. False where all are busy.
    fn make_room(&self) -> bool {
        let now = Instant::now();
        let open = self.open();
        let worths = open.iter().filter_map(|progress| Some((progress.worth(now)?, progress)));
        let least = worths.min_by_key(|(worth, _)| *worth);
        if let Some((_, progress)) = least {
            progress.evict();
        }
        least.is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.open().retain(|progress| !Arc::ptr_eq(progress, &self.progress));
    }
}
