//! How news and devices enter the sums, and what is folded into `other` when a cap is hit.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::trace::{Platform, Route, Stage};
use crate::watch::LabelSet;

use super::fold::{KnownDevice, News, Record, Standing};
use super::tally::{
    AppTally, CodeLabel, DETECTION_BOUNDS_SECONDS, OTHER, PlatformLabel, STAGE_DELAY_BOUNDS_SECONDS, SetKey,
    SetTally, StageTally,
};

/// Sets of watch labels an app may have; what comes later counts under `other`.
pub const LABEL_SETS_CAP: usize = 2000;
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
    /// Counts one result that was never seen before.
    pub fn count(&mut self, labels: &LabelSet, news: &News, touched: &mut Touched) {
        if let Some(seconds) = news.detection_seconds {
            self.detection.observe(DETECTION_BOUNDS_SECONDS, seconds);
        }
        let (key, overflowed) = self.key(labels, news.route, news.platform);
        if overflowed {
            *self.overflow.entry("timpush_stage_results_total").or_default() += 1;
        }
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
    }

    /// The devices of a pair are watched from now on.
    pub fn enter(&mut self, labels: &LabelSet, record: &Record) {
        self.shift(labels, record, Way::In);
    }

    /// The devices of a pair, as they entered, are no longer watched.
    pub fn leave(&mut self, labels: &LabelSet, record: &Record) {
        self.shift(labels, record, Way::Out);
    }

    fn shift(&mut self, labels: &LabelSet, record: &Record, way: Way) {
        for device in &record.devices {
            for route in device.routes() {
                let platform = device.platform_on(route);
                // Its results are counted where they overflow; a device enters and leaves again and again.
                let (key, _) = self.key(labels, route, platform);
                let set = self.set(&key);
                shift_route(set, device, route, way);
            }
        }
    }

    /// Polling of a pair ended.
    pub fn end(&mut self, reason: super::Ended) {
        self.ended[reason as usize] += 1;
    }

    /// All devices leave the gauges: the app is no longer watched.
    pub fn dismiss(&mut self) {
        for set in self.sets.values_mut() {
            let set = Arc::make_mut(set);
            set.devices = [0; 3];
            for stage in &mut set.stages {
                stage.devices = [0; 2];
                stage.unreported.clear();
            }
        }
    }

    /// The set for these values, born now if it is new; beyond a cap the one of `other`, and true.
    fn key(&mut self, labels: &LabelSet, route: Route, platform: Platform) -> (SetKey, bool) {
        let mut key = SetKey { labels: labels.clone(), route, platform: PlatformLabel::Of(platform) };
        if self.sets.contains_key(&key) {
            return (key, false);
        }
        let mut overflowed = false;
        if !labels.is_empty() && !self.has_labels(labels) && self.label_sets() >= LABEL_SETS_CAP {
            overflowed = true;
            key.labels = labels.iter().map(|(name, _)| (name.clone(), OTHER.into())).collect();
        }
        let undocumented = route == Route::Offline && !platform.is_documented();
        if undocumented && !self.sets.contains_key(&key) && self.platforms(&key.labels) >= PLATFORMS_CAP {
            overflowed = true;
            key.platform = PlatformLabel::Other;
        }
        self.sets.entry(key.clone()).or_default();
        (key, overflowed)
    }

    fn set(&mut self, key: &SetKey) -> &mut SetTally {
        Arc::make_mut(self.sets.entry(key.clone()).or_default())
    }

    fn has_labels(&self, labels: &LabelSet) -> bool {
        self.sets_of(labels).next().is_some()
    }

    fn platforms(&self, labels: &LabelSet) -> usize {
        self.sets_of(labels).filter(|key| key.route == Route::Offline).count()
    }

    fn sets_of<'a>(&'a self, labels: &'a LabelSet) -> impl Iterator<Item = &'a SetKey> {
        let from = SetKey {
            labels: labels.clone(),
            route: Route::Offline,
            platform: PlatformLabel::Of(Platform::Im),
        };
        self.sets.range(from..).map(|(key, _)| key).take_while(move |key| key.labels == *labels)
    }

    /// How many sets of watch labels there are.
    fn label_sets(&self) -> usize {
        let mut count = 0;
        let mut last: Option<&LabelSet> = None;
        for key in self.sets.keys() {
            if last != Some(&key.labels) {
                count += 1;
                last = Some(&key.labels);
            }
        }
        count
    }
}

fn shift_route(set: &mut SetTally, device: &KnownDevice, route: Route, way: Way) {
    if route == device.route {
        way.step(&mut set.devices[device.notifications as usize]);
    }
    for (stage, standing) in device.standings(route) {
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
