//! The way of the watch API's changes to the disk: how much may wait for it, and who is told what has reached it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::posted::{Posted, Posts};

/// Bytes of pairs that may wait to be written; a request with more is refused, unless none waits.
pub const MAX_WAITING_POST_BYTES: u32 = 16 << 20;
/// What one allocation costs beside its bytes.
const ALLOCATION_BYTES: usize = 16;

/// How often the pairs that are kept of each app have changed on disk since the start.
pub(super) type Versions = BTreeMap<Arc<str>, u64>;

/// Room for what waits to be written. A clone is the same room.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Room {
        Room(Arc::new(Semaphore::new(MAX_WAITING_POST_BYTES as usize)))
    }
}

impl Room {
    /// Room for those pairs until it is dropped; `None` where too much waits already.
    pub(super) fn take(&self, posts: &Posts) -> Option<OwnedSemaphorePermit> {
        let bytes = posts.iter().map(|(_, pairs)| bytes_of(pairs)).sum::<usize>();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(MAX_WAITING_POST_BYTES);
        self.0.clone().try_acquire_many_owned(bytes).ok()
    }
}

/// What pairs take in memory. Neighbours that share their labels count them once.
fn bytes_of(pairs: &[Posted]) -> usize {
    let mut bytes = 0;
    let mut last: Option<&Posted> = None;
    for pair in pairs {
        bytes += size_of::<Posted>() + 2 * ALLOCATION_BYTES + pair.task.len() + pair.user.len();
        if last.is_none_or(|last| !Arc::ptr_eq(&last.labels, &pair.labels)) {
            let label = |(name, value): &(Box<str>, Box<str>)| {
                size_of::<(Box<str>, Box<str>)>() + 2 * ALLOCATION_BYTES + name.len() + value.len()
            };
            bytes += ALLOCATION_BYTES + pair.labels.iter().map(label).sum::<usize>();
        }
        last = Some(pair);
    }
    bytes
}

/// Tells of changes that have reached the disk.
#[derive(Debug)]
pub(super) struct Teller(watch::Sender<Versions>);

impl Teller {
    pub(super) fn new() -> (Teller, watch::Receiver<Versions>) {
        let (versions, told) = watch::channel(Versions::new());
        (Teller(versions), told)
    }

    /// The pairs that are kept of those apps are others now.
    pub(super) fn tell(&self, apps: impl IntoIterator<Item = Arc<str>>) {
        let mut apps = apps.into_iter().peekable();
        if apps.peek().is_some() {
            self.0.send_modify(|versions| apps.for_each(|app| *versions.entry(app).or_default() += 1));
        }
    }
}

/// Tells when the pairs that the watch API keeps for one app have changed on disk, whoever asked for it and whether or not
/// they still wait for the answer.
#[derive(Clone, Debug)]
pub struct PostedChanges {
    app: Arc<str>,
    versions: watch::Receiver<Versions>,
    seen: u64,
}

impl PostedChanges {
    pub(super) fn new(app: Arc<str>, versions: watch::Receiver<Versions>) -> PostedChanges {
        PostedChanges { app, versions, seen: 0 }
    }

    /// The pairs are read after this: what has changed before is no news.
    pub fn see(&mut self) {
        self.seen = self.versions.borrow().get(&self.app).copied().unwrap_or(0);
    }

    /// Waits for a change since the latest [`PostedChanges::see`]; for ever once the ledger is closed.
    pub async fn changed(&mut self) {
        let is_news = |versions: &Versions| versions.get(&self.app).copied().unwrap_or(0) != self.seen;
        if self.versions.wait_for(is_news).await.is_err() {
            std::future::pending().await
        }
    }
}
