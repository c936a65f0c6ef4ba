//! How news and devices enter the sums, and what is folded into `other` when a cap is hit.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::trace::{Platform, Route, Stage};
use crate::watch::LabelSet;

use super::fold::{KnownDevice, News, Standing};
use super::pair::PairRow;
use super::tally::{
    AppTally, CodeLabel, DETECTION_BOUNDS_SECONDS, PlatformLabel, STAGE_DELAY_BOUNDS_SECONDS, SetKey,
    SetTally, StageTally,
};

/// Platforms an app may have under one set of watch labels.
pub const PLATFORMS_CAP: usize = 32;
/// Pairs of (reason, code) a stage of a set may have.
pub const CODES_CAP: usize = 128;

/// Which sums a batch has changed and must write.
pub type Touched = BTreeSet<(SetKey, Stage)>;

/// Whether devices enter the gauges or leave them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Way {
    fn step(self, gauge: &mut u64) {
        match self {
            Way::In => *gauge += 1,
            Way::Out => *gauge = gauge.saturating_sub(1),
        }
    }
}

impl AppTally {
    /// Counts one result that was never seen before; true if it was folded, for want of room, into another platform.
    pub fn count(&mut self, labels: &LabelSet, news: &News, touched: &mut Touched) -> bool {
        if let Some(seconds) = news.detection_seconds {
            self.detection.observe(DETECTION_BOUNDS_SECONDS, seconds);
        }
        let (key, is_folded) = self.key(labels, news.route, news.platform);
        let stage = &mut self.set(&key).stages[news.stage as usize];
        stage.results[news.outcome as usize] += 1;
        let mut overflowed = false;
        match (news.reason, news.delay_seconds) {
            (Some(reason), _) => {
                let known = stage.failures.contains_key(&(reason, CodeLabel::Code(news.code)));
                overflowed = !known && stage.failures.len() >= CODES_CAP;
                let code = if overflowed { CodeLabel::Other } else { CodeLabel::Code(news.code) };
                *stage.failures.entry((reason, code)).or_default() += 1;
            }
            (None, Some(seconds)) => stage.delay.observe(STAGE_DELAY_BOUNDS_SECONDS, seconds),
            (None, None) => {}
        }
        if overflowed {
            *self.overflow.entry("timpush_stage_failures_total").or_default() += 1;
        }
        touched.insert((key, news.stage));
        is_folded
    }

    /// The devices of a pair are watched from now on.
    pub fn enter(&mut self, labels: &LabelSet, pair: &PairRow) {
        self.shift(labels, pair, Way::In);
    }

    /// The devices of a pair, as they entered, are no longer watched.
    pub fn leave(&mut self, labels: &LabelSet, pair: &PairRow) {
        self.shift(labels, pair, Way::Out);
    }

    fn shift(&mut self, labels: &LabelSet, pair: &PairRow, way: Way) {
        let PairRow { record, .. } = pair;
        for device in &record.devices {
            for route in device.routes() {
                let platform = device.platform_on(route);
                // Its results are counted where they overflow; a device enters and leaves again and again.
                let (key, _) = self.key(labels, route, platform);
                let set = self.set(&key);
                shift_route(set, (device, pair.awaited_at()), route, way);
            }
        }
    }

    /// Polling of a pair ended.
    pub fn end(&mut self, reason: super::Ended) {
        self.ended[reason as usize] += 1;
    }

    /// All devices leave the gauges: the app is no longer watched.
    pub fn dismiss(&mut self) {
        self.folded = Arc::default();
        for set in self.sets.values_mut() {
            let set = Arc::make_mut(set);
            set.devices = [0; 3];
            for stage in &mut set.stages {
                stage.devices = [0; 2];
                stage.unreported.clear();
            }
        }
    }

    /// The set for these values, born now if it is new; beyond the cap of platforms the one of `other`, and true.
    pub(super) fn key(&mut self, labels: &LabelSet, route: Route, platform: Platform) -> (SetKey, bool) {
        let mut key = SetKey { labels: labels.clone(), route, platform: PlatformLabel::Of(platform) };
        if self.sets.contains_key(&key) {
            return (key, false);
        }
        let mut overflowed = false;
        let undocumented = route == Route::Offline && !platform.is_documented();
        if undocumented && !self.sets.contains_key(&key) && self.platforms(&key.labels) >= PLATFORMS_CAP {
            overflowed = true;
            key.platform = PlatformLabel::Other;
        }
        self.sets.entry(key.clone()).or_default();
        (key, overflowed)
    }

    pub(super) fn set(&mut self, key: &SetKey) -> &mut SetTally {
        Arc::make_mut(self.sets.entry(key.clone()).or_default())
    }

    fn platforms(&self, labels: &LabelSet) -> usize {
        self.sets_of(labels).filter(|key| key.route == Route::Offline).count()
    }

    pub(super) fn sets_of<'a>(&'a self, labels: &'a LabelSet) -> impl Iterator<Item = &'a SetKey> {
        let from = SetKey {
            labels: labels.clone(),
            route: Route::Offline,
            platform: PlatformLabel::Of(Platform::Im),
        };
        self.sets.range(from..).map(|(key, _)| key).take_while(move |key| key.labels == *labels)
    }
}

fn shift_route(
    set: &mut SetTally,
    (device, awaited_at): (&KnownDevice, Option<i64>),
    route: Route,
    way: Way,
) {
    if route == device.route {
        way.step(&mut set.devices[device.notifications as usize]);
    }
    for (stage, standing) in device.standings(route, awaited_at) {
        let tally = &mut set.stages[stage as usize];
        match standing {
            Standing::Reported(outcome) => way.step(&mut tally.devices[outcome as usize]),
            Standing::Unreported(minute) => shift_unreported(tally, minute, way),
        }
    }
}

fn shift_unreported(tally: &mut StageTally, minute: u32, way: Way) {
    let waiting = tally.unreported.entry(minute).or_default();
    way.step(waiting);
    if *waiting == 0 {
        tally.unreported.remove(&minute);
    }
}
