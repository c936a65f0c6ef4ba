//! One batch of jobs at work: what it makes of the sums and the rows, not yet published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::watch::LabelSet;

use super::count::Touched;
use super::fold::{Sampled, counts_from, fold};
use super::jobs::{Answer, Draw, Job, Known, Leave, Sighting, Verdict};
use super::labels::{self, Place};
use super::pair::{Damage, Enrol, PairRow};
use super::sample::order;
use super::settle::{Outlook, outlook};
use super::store::{Store, StoreError};
use super::{AppTally, Ended, Snapshot};

/// The metric whose results are folded where a set of labels hits a cap.
const RESULTS: &str = "timpush_stage_results_total";

/// A batch at work: the sums it makes, published only when they are on disk.
pub(super) struct Batch {
    pub(super) sums: Snapshot,
    pub(super) touched: BTreeMap<Arc<str>, Touched>,
    /// Pairs whose records were found to be damaged, by app and row.
    pub(super) damaged: Vec<(Arc<str>, i64)>,
    /// Apps of which the watch API keeps other pairs.
    pub(super) posted: BTreeSet<Arc<str>>,
}

impl Batch {
    /// A batch that changes nothing yet.
    pub(super) fn new(sums: Snapshot) -> Batch {
        Batch { sums, touched: BTreeMap::new(), damaged: Vec::new(), posted: BTreeSet::new() }
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
            Job::Draw { app, pairs, now, .. } => {
                let closed = pairs.iter().map(|pair| self.draw(store, app, pair, *now));
                Ok(Answer::Drawn(closed.collect::<Result<_, _>>()?))
            }
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
            Job::Post { posts, now, .. } => {
                let counts = store.post(posts, *now)?;
                if counts.as_ref().is_ok_and(|counts| counts.added + counts.changed > 0) {
                    self.posted.extend(posts.iter().map(|(app, _)| app.clone()));
                }
                Ok(Answer::Posted(counts))
            }
            Job::Unpost { app, task, user, .. } => {
                let row = store.app(app)?;
                let removed = store.unpost(row, task, user.as_deref())?;
                if removed > 0 {
                    self.posted.insert(app.clone());
                }
                Ok(Answer::Unposted(removed))
            }
            Job::Name { app, pairs, .. } => {
                let row = store.app(app)?;
                store.name_all(row, pairs)?;
                Ok(Answer::Done)
            }
            Job::ShowLabels { app, watch_labels, now, .. } => {
                self.show_labels(store, app, watch_labels, *now)?;
                Ok(Answer::Done)
            }
            Job::Forget { app, .. } => {
                let row = store.app(app)?;
                let forgotten = store.forget(row)?;
                if forgotten.posted > 0 {
                    self.posted.insert(app.clone());
                }
                Ok(Answer::Forgot(forgotten.may_be_more))
            }
            Job::Dismiss { app, removed, .. } => {
                let (tally, _) = self.app(app);
                tally.dismiss();
                tally.ended[Ended::Removed as usize] += removed;
                Ok(Answer::Done)
            }
        }
    }

    fn show_labels(
        &mut self,
        store: &mut Store,
        app: &Arc<str>,
        watch_labels: &[Box<str>],
        now: i64,
    ) -> Result<(), StoreError> {
        let row = store.app(app)?;
        let changes = self.app(app).0.retire(watch_labels, now);
        for labels in &changes.shown {
            store.set_label_set(row, labels, (now, false))?;
        }
        for (labels, at) in &changes.retired {
            store.set_label_set(row, labels, (*at, true))?;
        }
        if !changes.retired.is_empty() {
            let sets = changes.retired.len();
            tracing::info!(%app, sets, "ledger: label sets without a watched pair are no longer shown");
        }
        Ok(())
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
        let is_over = |counts_from: i64| counts_from.saturating_add(pair.watch_for) <= now;
        let mut found = match found {
            Some(found) => found,
            None if pair.pushed_at.is_some_and(is_over) => return Ok(None),
            None => store.add_pair(app_row, pair, now)?,
        };
        let elapsed = store.elapsed();
        store.name(&found, elapsed)?;
        let added_at = found.added_by(now, elapsed);
        if found.pushed_at != pair.pushed_at {
            store.set_pushed_at(found.id, pair.pushed_at)?;
        }
        let is_damaged = self.is_damaged(store, app, &found)?;
        let is_over = is_over(counts_from(pair.pushed_at, found.record.pushed_at(), added_at));
        match found.ended {
            _ if is_damaged => {}
            Some(Ended::Expired) if !is_over => {
                found.ended = None;
                store.set_record(&found)?;
            }
            None if is_over => {
                found.ended = Some(Ended::Expired);
                store.set_record(&found)?;
                self.app(app).0.end(Ended::Expired);
            }
            _ => {}
        }
        let is_watched = !is_damaged && !is_over;
        if is_watched {
            let labels = self.admit(store, app, (found.id, &pair.labels), now)?;
            if !found.record.devices.is_empty() {
                self.app(app).0.enter(&labels, &found);
            }
        }
        Ok(Some(Known {
            row: found.id,
            added_at,
            polled_at: found.polled_at,
            ended: found.ended,
            is_watched,
            order: order(store.sample_key, found.id),
            record: found.record,
        }))
    }

    /// The labels under which a watched pair counts: its own, or those of `other` where there is no room for them. What was
    /// folded once stays so until the pair leaves, since its devices have entered the gauges there.
    fn admit(
        &mut self,
        store: &mut Store,
        app: &Arc<str>,
        (pair, labels): (i64, &LabelSet),
        now: i64,
    ) -> Result<LabelSet, StoreError> {
        let row = store.app(app)?;
        let (tally, _) = self.app(app);
        if tally.folded.contains(&pair) {
            return Ok(labels::other(labels));
        }
        let has_room = match tally.place(labels, now) {
            Place::Shown => return Ok(labels.clone()),
            Place::Stale => true,
            Place::Free => match store.retired(row, labels)? {
                Some(sets) => {
                    if tally.bring_back(sets, now) {
                        store.set_returned(row, now)?;
                    }
                    true
                }
                None => false,
            },
            Place::Full => false,
        };
        if has_room {
            tally.show(labels, now);
            store.set_label_set(row, labels, (now, false))?;
            return Ok(labels.clone());
        }
        Arc::make_mut(&mut tally.folded).insert(pair);
        Ok(labels::other(labels))
    }

    /// Whether the record of a pair is damaged. One that is found to be so is set aside: it stays as it is, nothing is
    /// counted for the pair any more, and the rest of the batch goes on.
    fn is_damaged(&mut self, store: &Store, app: &Arc<str>, row: &PairRow) -> Result<bool, StoreError> {
        if row.damage == Damage::Found {
            store.set_damaged(row.id)?;
            self.damaged.push((app.clone(), row.id));
        }
        Ok(row.damage != Damage::None)
    }

    fn record(
        &mut self,
        store: &mut Store,
        app: &Arc<str>,
        sighting: &Sighting,
    ) -> Result<Verdict, StoreError> {
        let Some(mut row) = store.pair(sighting.row)? else {
            // Rows that are listed are never forgotten: somebody else deleted it.
            tracing::error!(
                row = sighting.row,
                "ledger: the row of a watched pair is gone; its answer is not counted"
            );
            return Ok(Verdict::default());
        };
        if self.is_damaged(store, app, &row)? {
            return Ok(Verdict { is_damaged: true, ..Verdict::default() });
        }
        let labels = self.admit(store, app, (row.id, &sighting.labels), sighting.polled_at)?;
        let before = row.clone();
        let news = fold(&mut row.record, &sighting.trace, sighting.polled_at);
        let outlook = outlook(&row.record, &sighting.trace, sighting.polled_at, &sighting.lags);
        let left_out = sighting.trace.devices.iter().filter(|device| row.record.leaves_out(device)).count();
        row.polled_at = Some(sighting.polled_at);
        let elapsed = store.elapsed();
        let (tally, touched) = self.app(app);
        let is_folded = tally.folded.contains(&row.id);
        for item in &news {
            if tally.count(&labels, item, touched) || is_folded {
                *tally.overflow.entry(RESULTS).or_default() += 1;
            }
        }
        if row.record.sampled != Sampled::Out {
            tally.count_sampled_news(&labels, &row.record, &news, touched);
        }
        let closes_at = row.closes_at(sighting.polled_at, elapsed);
        if row.record.sampled == Sampled::In && sighting.polled_at >= closes_at {
            tally.close(&labels, &mut row.record, closes_at, touched);
        }
        tally.leave(&labels, &before);
        if outlook == Outlook::Settled && row.ended.is_none() {
            tally.end(Ended::Settled);
            row.ended = Some(Ended::Settled);
        }
        tally.enter(&labels, &row);
        store.set_record(&row)?;
        Ok(Verdict { outlook, is_damaged: false, news, left_out, record: row.record })
    }

    /// Takes a pair into the sample, and closes it where its poll after that time is made, or none comes any more. Tells
    /// whether it is closed.
    fn draw(&mut self, store: &Store, app: &Arc<str>, pair: &Draw, now: i64) -> Result<bool, StoreError> {
        let Some(mut row) = store.pair(pair.row)? else {
            return Ok(false);
        };
        if self.is_damaged(store, app, &row)? {
            return Ok(false);
        }
        let before = row.record.sampled;
        let closes_at = row.closes_at(now, store.elapsed());
        let is_complete = row.polled_at.is_some_and(|at| at >= closes_at) || row.ended.is_some();
        let (tally, touched) = self.app(app);
        let is_folded = tally.folded.contains(&row.id);
        let labels = if is_folded { labels::other(&pair.labels) } else { pair.labels.clone() };
        if row.record.sampled == Sampled::Out {
            tally.draw(&labels, &mut row.record, touched);
        }
        if row.record.sampled == Sampled::In && now >= closes_at && is_complete {
            tally.close(&labels, &mut row.record, closes_at, touched);
        }
        if row.record.sampled != before {
            store.set_record(&row)?;
        }
        Ok(row.record.sampled == Sampled::Closed)
    }

    fn leave(&mut self, store: &Store, app: &Arc<str>, pair: &Leave) -> Result<(), StoreError> {
        let Some(mut row): Option<PairRow> = store.pair(pair.row)? else {
            return Ok(());
        };
        let is_damaged = self.is_damaged(store, app, &row)?;
        let (tally, _) = self.app(app);
        if tally.folded.contains(&pair.row) {
            Arc::make_mut(&mut tally.folded).remove(&pair.row);
            tally.leave(&labels::other(&pair.labels), &row);
        } else {
            tally.leave(&pair.labels, &row);
        }
        if let Some(reason) = pair.reason {
            tally.end(reason);
        }
        if pair.reason == Some(Ended::Expired) && !is_damaged {
            row.ended = Some(Ended::Expired);
            store.set_record(&row)?;
        }
        Ok(())
    }
}
