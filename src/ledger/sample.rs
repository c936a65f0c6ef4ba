//! What is counted of the pairs of the random sample, beside what is counted of all.
//!
//! A pair enters the sample once, with all that is known of it, and stays in it. An hour after its push it is closed: each
//! of its devices is counted once, by how far the push had come by then. Both are part of its record, and are committed with
//! what they count.

use crate::trace::{Outcome, Route, Stage};
use crate::watch::LabelSet;

use super::count::Touched;
use super::fold::{KnownDevice, KnownResult, News, Record, Sampled, delay_seconds};
use super::tally::{AppTally, Closed, DELIVERY_BOUNDS_SECONDS};

/// The place in the random order of the pair of that row: it depends on nothing but the row and the ledger's `key`.
pub(super) fn order(key: u64, row: i64) -> u32 {
    // Rows are counted up: spread over the seeds, neighbours have nothing in common.
    let seed = key ^ row.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    fastrand::Rng::with_seed(seed).u32(..)
}

impl AppTally {
    /// A pair enters the sample: counts all results that its record holds.
    pub(super) fn draw(&mut self, labels: &LabelSet, record: &mut Record, touched: &mut Touched) {
        record.sampled = Sampled::In;
        for device in &record.devices {
            for result in &device.results {
                let outcomes = Outcome::ALL.into_iter();
                for outcome in outcomes.filter(|outcome| *outcome == result.outcome || result.both) {
                    self.count_sampled(labels, (device, result.route), (result.stage, outcome), touched);
                }
            }
        }
    }

    /// A poll of a sampled pair brought news.
    pub(super) fn count_sampled_news(
        &mut self,
        labels: &LabelSet,
        record: &Record,
        news: &[News],
        touched: &mut Touched,
    ) {
        for news in news {
            let device = &record.devices[news.device];
            self.count_sampled(labels, (device, news.route), (news.stage, news.outcome), touched);
        }
    }

    fn count_sampled(
        &mut self,
        labels: &LabelSet,
        (device, route): (&KnownDevice, Route),
        (stage, outcome): (Stage, Outcome),
        touched: &mut Touched,
    ) {
        let (key, _) = self.key(labels, route, device.platform_on(route));
        self.set(&key).sample.results[stage as usize][outcome as usize] += 1;
        touched.insert((key, stage));
    }

    /// Closes a sampled pair: counts each of its devices by how far the push had come at `closes_at`, Unix seconds.
    pub(super) fn close(
        &mut self,
        labels: &LabelSet,
        record: &mut Record,
        closes_at: i64,
        touched: &mut Touched,
    ) {
        record.sampled = Sampled::Closed;
        for device in &record.devices {
            let (route, closed) = device.closed(closes_at);
            let (key, _) = self.key(labels, route, device.platform_on(route));
            let sample = &mut self.set(&key).sample;
            sample.closed[closed as usize] += 1;
            if let Some(seconds) = device.delivery_seconds(route, closes_at) {
                sample.delivery.observe(DELIVERY_BOUNDS_SECONDS, seconds);
            }
            touched.insert((key, Stage::Im));
        }
    }
}

impl KnownDevice {
    /// On which of its routes the push had come furthest at `closes_at`, and how far.
    fn closed(&self, closes_at: i64) -> (Route, Closed) {
        let on = |route: Route| (self.closed_on(route, closes_at), route != self.route, route);
        let furthest = self.routes().map(on).min_by_key(|(closed, is_other, _)| (*closed, *is_other));
        furthest.map_or((self.route, Closed::Unreported), |(closed, _, route)| (route, closed))
    }

    /// The latest stage of the route that had a result says how far it had come.
    fn closed_on(&self, route: Route, closes_at: i64) -> Closed {
        let latest = route.stages().iter().rev().find_map(|stage| self.by(route, *stage, closes_at));
        match latest.map(|result| (result.outcome, result.stage)) {
            Some((Outcome::Failure, _)) => Closed::Failed,
            Some((Outcome::Success, Stage::Click)) => Closed::Tapped,
            Some((Outcome::Success, Stage::Device)) => Closed::Delivered,
            Some((Outcome::Success, Stage::Channel)) => Closed::Accepted,
            Some((Outcome::Success, Stage::Im | Stage::Offline)) | None => Closed::Unreported,
        }
    }

    /// From the push to the receipt.
    fn delivery_seconds(&self, route: Route, closes_at: i64) -> Option<i64> {
        let receipt = self.by(route, Stage::Device, closes_at)?;
        let at = receipt.at.filter(|_| receipt.outcome == Outcome::Success);
        delay_seconds(self.pushed_at, at)
    }

    /// The result of that stage, if it had one at `closes_at`; one that does not say when counts as in time.
    fn by(&self, route: Route, stage: Stage, closes_at: i64) -> Option<&KnownResult> {
        self.result(route, stage).filter(|result| result.at.is_none_or(|at| at <= closes_at))
    }
}
