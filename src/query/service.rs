//! Answers what pages and API ask: pairs from the pollers, what is known of them from the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};

use crate::ledger::{PairRow, Records};
use crate::poller::heartbeat::Heartbeat;
use crate::poller::list_scan::{Filter, ListedPair, PageChunk, PollerQuery};
use crate::schedule::Slot;
use crate::watch::Entry;

use super::chain::{self, watch};
use crate::view::{Chain, MAX_PAGE, Page, PairName, Query, WatchQuery, WatchQueryError};

/// Queries that are answered at once; more wait.
const ANSWERS_CAP: usize = 4;

/// How the service reaches the pollers, by app.
pub type Directory = Arc<ArcSwap<BTreeMap<Arc<str>, Handle>>>;

/// How one poller and its feeder are reached.
#[derive(Clone, Debug)]
pub struct Handle {
    pub queries: mpsc::Sender<PollerQuery>,
    /// The lists in force of all sources but the API.
    pub lists: Arc<ArcSwap<Vec<Arc<Vec<Entry>>>>>,
    /// How long pairs are polled.
    pub watch_for: Duration,
    /// Of the poller.
    pub heartbeat: Heartbeat,
}

/// All pollers.
#[derive(Clone)]
pub struct QueryService(Arc<Inner>);

struct Inner {
    directory: Directory,
    records: Records,
    /// Stands in each place of a list, so that those of another process are known.
    mark: u32,
    answers: Semaphore,
}

impl WatchQuery for QueryService {
    fn watches(&self, query: Query) -> BoxFuture<'static, Result<Page, WatchQueryError>> {
        let inner = self.0.clone();
        Box::pin(async move { inner.watches(query).await })
    }

    fn chain(&self, name: PairName) -> BoxFuture<'static, Result<Chain, WatchQueryError>> {
        let inner = self.0.clone();
        Box::pin(async move { inner.chain(name).await })
    }
}

impl QueryService {
    pub fn new(directory: Directory, records: Records) -> QueryService {
        let answers = Semaphore::new(ANSWERS_CAP);
        QueryService(Arc::new(Inner { directory, records, mark: fastrand::u32(..), answers }))
    }
}

/// A place in the list of all apps: this pair or the next one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    app: String,
    slot: Slot,
}

impl Place {
    fn write(&self, mark: u32) -> String {
        format!("{mark:08x}-{:x}-{}", self.slot, self.app)
    }

    fn read(text: &str, mark: u32) -> Option<Place> {
        let (found, rest) = text.split_once('-')?;
        let (slot, app) = rest.split_once('-')?;
        let place = Place { app: app.to_owned(), slot: Slot::from_str_radix(slot, 16).ok()? };
        (found.len() == 8 && place.write(mark) == text).then_some(place)
    }
}

impl Inner {
    async fn watches(&self, query: Query) -> Result<Page, WatchQueryError> {
        let from = match &query.after {
            Some(after) => Some(Place::read(after, self.mark).ok_or(WatchQueryError::NoPlace)?),
            None => None,
        };
        let directory = self.directory.load_full();
        if let Some(app) = query.app.as_deref().filter(|app| !directory.contains_key(*app)) {
            return Err(WatchQueryError::NoApp(app.to_owned()));
        }
        let _turn = self.turn().await?;
        let limit = query.limit.min(MAX_PAGE);
        let (mut total, mut next, mut rows) = (0, None, Vec::new());
        let asked =
            directory.iter().filter(|(name, _)| query.app.as_deref().is_none_or(|app| app == &***name));
        for (name, handle) in asked {
            let start = match &from {
                Some(place) if **name < *place.app => None,
                Some(place) if **name == *place.app => Some(place.slot),
                _ => Some(0),
            };
            let filter = Filter {
                state: query.state,
                failed: query.failed,
                search: query.search.clone(),
                // An app that was shown before, or comes behind the page, is only counted.
                from: start.filter(|_| next.is_none()).unwrap_or(Slot::MAX),
                limit: limit - rows.len(),
            };
            let Some(chunk) = self.chunk(name, handle, filter).await? else {
                continue;
            };
            total += chunk.total;
            if next.is_none() {
                next = chunk.next.map(|slot| Place { app: name.to_string(), slot });
            }
            rows.extend(chunk.pairs.into_iter().map(|row| (name.clone(), row)));
        }
        let known = self.known(rows.iter().map(|(_, row)| row)).await?;
        let watches = rows.into_iter().zip(known).map(|((app, row), known)| watch(app, row, known.as_ref()));
        let next = next.filter(|_| limit > 0).map(|place| place.write(self.mark));
        Ok(Page { total, next, watches: watches.collect() })
    }

    async fn chain(&self, name: PairName) -> Result<Chain, WatchQueryError> {
        let directory = self.directory.load_full();
        let Some((app, handle)) = directory.get_key_value(name.app.as_str()) else {
            return Err(WatchQueryError::NoApp(name.app));
        };
        let _turn = self.turn().await?;
        let (reply, answer) = oneshot::channel();
        let query = PollerQuery::Pair { task: name.task, user: name.user, reply };
        handle.queries.send(query).await.map_err(|_| WatchQueryError::Closed)?;
        let row = answer.await.map_err(|_| WatchQueryError::Closed)?.ok_or(WatchQueryError::NoPair)?;
        let known = self.known(std::iter::once(&row)).await?.into_iter().next().flatten();
        Ok(chain::chain(app.clone(), row, known.as_ref()))
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, WatchQueryError> {
        self.answers.acquire().await.map_err(|_| WatchQueryError::Closed)
    }

    /// What one app has to show; `None` if it left meanwhile.
    async fn chunk(
        &self,
        name: &Arc<str>,
        handle: &Handle,
        filter: Filter,
    ) -> Result<Option<PageChunk>, WatchQueryError> {
        let (reply, answer) = oneshot::channel();
        let sent = handle.queries.send(PollerQuery::Page { filter, reply }).await;
        let chunk = match sent {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        if chunk.is_none() && self.directory.load().contains_key(name) {
            return Err(WatchQueryError::Closed);
        }
        Ok(chunk)
    }

    /// What is on disk of those pairs, in their order.
    async fn known(
        &self,
        pairs: impl Iterator<Item = &ListedPair>,
    ) -> Result<Vec<Option<PairRow>>, WatchQueryError> {
        // No pair has row 0.
        let rows: Vec<i64> = pairs.map(|pair| pair.row.map_or(0, std::num::NonZero::get)).collect();
        let records = self.records.clone();
        let read = tokio::task::spawn_blocking(move || records.pairs(&rows)).await;
        read.map_err(|_| WatchQueryError::Closed)?.map_err(|error| {
            tracing::error!(%error, "a page cannot be answered");
            WatchQueryError::Unreadable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_and_those_of_others_do_not() {
        let place = Place { app: "shop-2".to_owned(), slot: 0x1f };
        let text = place.write(7);
        assert_eq!(Place::read(&text, 7), Some(place));
        for other in ["", "-", "00000007", "00000007-1f", "7-1f-shop", "00000007-1F-shop", "00000007-+1-shop"]
        {
            assert_eq!(Place::read(other, 7), None, "{other}");
        }
        assert_eq!(Place::read(&text, 8), None);
    }
}
