//! One batch of jobs at work: what it makes of the sums and the rows, not yet published.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::count::Touched;
use super::fold::{Record, counts_from, fold};
use super::jobs::{Answer, Enrol, Job, Known, Leave, Sighting, Verdict};
use super::store::{PairRow, Store, StoreError};
use super::{AppTally, Ended, Snapshot};

/// A batch at work: the sums it makes, published only when they are on disk.
pub(super) struct Batch {
    pub(super) sums: Snapshot,
    pub(super) touched: BTreeMap<Arc<str>, Touched>,
}

impl Batch {
    /// A batch that changes nothing yet.
    pub(super) fn new(sums: Snapshot) -> Batch {
        Batch { sums, touched: BTreeMap::new() }
    }

    pub(super) fn work(&mut self, store: &mut Store, job: &Job) -> Result<Answer, StoreError> {
        match job {
            Job::Enrol { app, pairs, now, .. } => {
                let row = store.app(app)?;
                let found = store.find_pairs(row, pairs)?;
                let pairs = pairs.iter().zip(found);
                let known = pairs.map(|pair| self.enrol(store, (app, row), pair, *now));
                Ok(Answer::Enrolled(known.collect::<Result<_, _>>()?))
            }
            Job::Record { app, sighting, .. } => self.record(store, app, sighting).map(Answer::Recorded),
            Job::Leave { app, pairs, .. } => {
                for pair in pairs {
                    self.leave(store, app, pair)?;
                }
                Ok(Answer::Done)
            }
            Job::Learn { app, bytes, .. } => {
                let row = store.app(app)?;
                store.set_learned(row, bytes)?;
                Ok(Answer::Done)
            }
            Job::Learned { app, .. } => {
                let row = store.app(app)?;
                store.learned(row).map(Answer::Learned)
            }
            Job::Post { posts, now, .. } => store.post(posts, *now).map(Answer::Posted),
            Job::Unpost { app, task, user, .. } => {
                let row = store.app(app)?;
                store.unpost(row, task, user.as_deref()).map(Answer::Unposted)
            }
            Job::Dismiss { app, removed, .. } => {
                let (tally, _) = self.app(app);
                tally.dismiss();
                tally.ended[Ended::Removed as usize] += removed;
                Ok(Answer::Done)
            }
        }
    }

    fn app(&mut self, app: &Arc<str>) -> (&mut AppTally, &mut Touched) {
        let tally = self.sums.apps.entry(app.clone()).or_default();
        (Arc::make_mut(tally), self.touched.entry(app.clone()).or_default())
    }

    fn enrol(
        &mut self,
        store: &mut Store,
        (app, app_row): (&Arc<str>, i64),
        (pair, found): (&Enrol, Option<PairRow>),
        now: i64,
    ) -> Result<Option<Known>, StoreError> {
        let mut found = match found {
            Some(found) => found,
            None if !pair.add => return Ok(None),
            None => store.add_pair(app_row, pair, now)?,
        };
        if found.pushed_at != pair.pushed_at {
            store.set_pushed_at(found.id, pair.pushed_at)?;
        }
        let counts_from = counts_from(pair.pushed_at, found.record.pushed_at(), found.added_at);
        if found.ended == Some(Ended::Expired) && counts_from.saturating_add(pair.watch_for) > now {
            found.ended = None;
            store.set_record(&found)?;
        }
        if found.ended != Some(Ended::Expired) && !found.record.devices.is_empty() {
            self.app(app).0.enter(&pair.labels, &found.record);
        }
        Ok(Some(Known {
            row: found.id,
            added_at: found.added_at,
            polled_at: found.polled_at,
            ended: found.ended,
            record: found.record,
        }))
    }

    fn record(&mut self, store: &Store, app: &Arc<str>, sighting: &Sighting) -> Result<Verdict, StoreError> {
        let Some(mut row) = store.pair(sighting.row)? else {
            // Rows are purged only long after their last poll: somebody else deleted it.
            tracing::error!(
                row = sighting.row,
                "ledger: the row of a watched pair is gone; its answer is not counted"
            );
            return Ok(Verdict { settled: false, news: Vec::new(), record: Record::default() });
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
        Ok(Verdict { settled, news, record: row.record })
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
