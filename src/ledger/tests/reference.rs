//! A reference of the ledger: plain maps that say what must be counted, made from the contract and not from the code.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fold::allowance_seconds;
use super::super::{
    Closed, DELIVERY_BOUNDS_SECONDS, DETECTION_BOUNDS_SECONDS, Ended, STAGE_DELAY_BOUNDS_SECONDS, Snapshot,
};
use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Route, Stage, Trace};
use crate::watch::LabelSet;

/// Figures by a name that says what they are; those that are 0 are left out.
pub type Figures = BTreeMap<String, u64>;

/// A result, by whose it is and what it is.
pub type Leafs = BTreeSet<(String, Event, Route, Stage, Outcome)>;

/// What is known of one device.
#[derive(Clone, Debug)]
struct Known {
    platform: Platform,
    notifications: Notifications,
    route: Route,
    pushed_at: Option<i64>,
    /// The latest outcome, its `EventTime`, and the poll that saw it first.
    latest: BTreeMap<(Route, Stage), (Outcome, Option<i64>, i64)>,
}

/// One pair.
#[derive(Clone, Debug, Default)]
pub struct Pair {
    pub watched: Option<LabelSet>,
    pub ended: Option<Ended>,
    added_at: i64,
    polled_at: i64,
    is_sampled: bool,
    is_closed: bool,
    counted: Leafs,
    devices: BTreeMap<(String, Event), Known>,
}

/// All that must be known, by app and user.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub pairs: BTreeMap<(usize, usize), Pair>,
    /// Counters alone: what a restart keeps.
    counters: Figures,
}

fn add(figures: &mut Figures, name: String, by: u64) {
    if by > 0 {
        *figures.entry(name).or_default() += by;
    }
}

fn set(app: usize, labels: &LabelSet, route: Route, platform: Platform) -> String {
    format!("app{app} {labels:?} {route:?} {platform}")
}

fn bucket(bounds: &[i64], seconds: i64) -> String {
    let bound = bounds.iter().find(|bound| seconds <= **bound);
    bound.map_or("+Inf".to_owned(), ToString::to_string)
}

/// How long after `from`; a few seconds of another clock are none, more make it unknown.
fn after(from: Option<i64>, at: Option<i64>) -> Option<i64> {
    match at? - from? {
        seconds @ 0.. => Some(seconds),
        -5..0 => Some(0),
        _ => None,
    }
}

impl Reference {
    /// The process ended: nothing is watched until it is enrolled again.
    pub fn restart(&mut self) {
        for pair in self.pairs.values_mut() {
            pair.watched = None;
        }
    }

    pub fn enrol(&mut self, key: (usize, usize), labels: &LabelSet, now: i64) {
        let pair = self.pairs.entry(key).or_insert_with(|| Pair { added_at: now, ..Pair::default() });
        if pair.ended != Some(Ended::Expired) {
            pair.watched = Some(labels.clone());
        }
    }

    pub fn is_expired(&self, key: (usize, usize)) -> bool {
        self.pairs.get(&key).is_some_and(|pair| pair.ended == Some(Ended::Expired))
    }

    pub fn leave(&mut self, key: (usize, usize), reason: Option<Ended>) {
        let pair = self.pairs.get_mut(&key).unwrap();
        pair.watched = None;
        if reason == Some(Ended::Expired) {
            pair.ended = reason;
        }
        if let Some(reason) = reason {
            self.end(key.0, reason, 1);
        }
    }

    pub fn dismiss(&mut self, app: usize, removed: u64) {
        self.end(app, Ended::Removed, removed);
        for (_, pair) in self.pairs.iter_mut().filter(|((of, _), _)| *of == app) {
            pair.watched = None;
        }
    }

    fn end(&mut self, app: usize, reason: Ended, pairs: u64) {
        add(&mut self.counters, format!("app{app} ended {reason:?}"), pairs);
    }

    /// A pair enters the sample with all that was counted of it, and is closed where nothing more is polled for that; tells
    /// whether it is closed.
    pub fn draw(&mut self, key: (usize, usize), now: i64) -> bool {
        let mut pair = self.pairs.remove(&key).unwrap();
        if !std::mem::replace(&mut pair.is_sampled, true) {
            for name in &pair.counted {
                self.count_sampled(key.0, &pair, name);
            }
        }
        if pair.closes_at(now) <= now && (pair.ended.is_some() || pair.polled_at >= pair.closes_at(now)) {
            self.close(key.0, &mut pair, now);
        }
        let is_closed = pair.is_closed;
        self.pairs.insert(key, pair);
        is_closed
    }

    fn count_sampled(&mut self, app: usize, pair: &Pair, name: &(String, Event, Route, Stage, Outcome)) {
        let (instance, event, route, stage, outcome) = name;
        let platform = pair.devices[&(instance.clone(), *event)].platform.on(*route);
        let of = set(app, pair.watched.as_ref().unwrap(), *route, platform);
        add(&mut self.counters, format!("{of} {stage:?} sampled {outcome:?}"), 1);
    }

    fn close(&mut self, app: usize, pair: &mut Pair, now: i64) {
        if std::mem::replace(&mut pair.is_closed, true) {
            return;
        }
        for device in pair.devices.values() {
            let (route, closed, seconds) = device.closed(pair.closes_at(now));
            let of = set(app, pair.watched.as_ref().unwrap(), route, device.platform.on(route));
            add(&mut self.counters, format!("{of} closed {closed}"), 1);
            if let Some(seconds) = seconds {
                let bucket = bucket(DELIVERY_BOUNDS_SECONDS, seconds);
                add(&mut self.counters, format!("{of} delivery {bucket}"), 1);
                add(&mut self.counters, format!("{of} delivery sum"), seconds as u64);
            }
        }
    }

    /// An answer about a pair; gives the results that were never counted, and whether the pair is settled.
    pub fn record(&mut self, key: (usize, usize), trace: &Trace, polled_at: i64) -> (Leafs, bool) {
        let mut pair = self.pairs.remove(&key).unwrap();
        let mut news = Leafs::new();
        for device in &trace.devices {
            let known = known_of(&mut pair.devices, device);
            for leaf in &device.leaves {
                let result = known.latest.get(&(leaf.route, leaf.stage)).map(|latest| latest.0);
                if result != Some(leaf.outcome) {
                    known.latest.insert((leaf.route, leaf.stage), (leaf.outcome, leaf.at, polled_at));
                }
                let name = (device.instance.clone(), device.event, leaf.route, leaf.stage, leaf.outcome);
                if pair.counted.insert(name.clone()) {
                    news.insert(name);
                    let labels = pair.watched.as_ref().unwrap();
                    let of = set(key.0, labels, leaf.route, known.platform.on(leaf.route));
                    self.count(key.0, &of, leaf, (known.pushed_at, polled_at));
                }
            }
        }
        pair.polled_at = polled_at;
        if pair.is_sampled {
            news.iter().for_each(|name| self.count_sampled(key.0, &pair, name));
            if pair.closes_at(polled_at) <= polled_at {
                self.close(key.0, &mut pair, polled_at);
            }
        }
        let settled = pair.is_settled(polled_at);
        if settled && pair.ended.is_none() {
            pair.ended = Some(Ended::Settled);
            self.end(key.0, Ended::Settled, 1);
        }
        self.pairs.insert(key, pair);
        (news, settled)
    }

    fn count(&mut self, app: usize, set: &str, leaf: &Leaf, (pushed_at, polled_at): (Option<i64>, i64)) {
        let of = format!("{set} {:?}", leaf.stage);
        add(&mut self.counters, format!("{of} counted {:?}", leaf.outcome), 1);
        match leaf.reason {
            Some(reason) => add(&mut self.counters, format!("{of} {reason:?} {}", leaf.code), 1),
            None => {
                if let Some(seconds) = after(pushed_at, leaf.at) {
                    let bucket = bucket(STAGE_DELAY_BOUNDS_SECONDS, seconds);
                    add(&mut self.counters, format!("{of} delay {bucket}"), 1);
                    add(&mut self.counters, format!("{of} delay sum"), seconds as u64);
                }
            }
        }
        if let Some(seconds) = after(leaf.at, Some(polled_at)) {
            let bucket = bucket(DETECTION_BOUNDS_SECONDS, seconds);
            add(&mut self.counters, format!("app{app} detection {bucket}"), 1);
            add(&mut self.counters, format!("app{app} detection sum"), seconds as u64);
        }
    }

    /// Every counter and every gauge, as of `now`.
    pub fn figures(&self, now: i64) -> Figures {
        let mut figures = self.counters.clone();
        for ((app, _), pair) in &self.pairs {
            let Some(labels) = &pair.watched else { continue };
            for device in pair.devices.values() {
                for route in device.routes() {
                    let of = set(*app, labels, route, device.platform.on(route));
                    if route == device.route {
                        add(&mut figures, format!("{of} devices {:?}", device.notifications), 1);
                    }
                    let awaited = pair.ended != Some(Ended::Settled) && !device.is_settled(pair.polled_at);
                    device.stand(route, (now, awaited), |name| add(&mut figures, format!("{of} {name}"), 1));
                }
            }
        }
        figures
    }
}

/// The device of an answer, known from now on.
fn known_of<'a>(devices: &'a mut BTreeMap<(String, Event), Known>, device: &Device) -> &'a mut Known {
    let key = (device.instance.clone(), device.event);
    let known = devices.entry(key).or_insert_with(|| Known {
        platform: device.platform,
        notifications: device.notifications,
        route: device.route(),
        pushed_at: None,
        latest: BTreeMap::new(),
    });
    if known.platform == Platform::UNKNOWN {
        known.platform = device.platform;
    }
    if device.notifications != Notifications::Unknown {
        known.notifications = device.notifications;
    }
    known.pushed_at = known.pushed_at.into_iter().chain(device.pushed_at).min();
    known
}

impl Pair {
    /// An hour after the push as the upstream tells it, else after the pair was added: how long ago that was is known up to an
    /// hour, since the clock of the play is not the ledger's own.
    fn closes_at(&self, now: i64) -> i64 {
        let told = self.devices.values().filter_map(|device| device.pushed_at).min();
        let added_at = if now - self.added_at <= 3600 { self.added_at } else { now };
        told.unwrap_or(added_at) + 3600
    }

    fn is_settled(&self, now: i64) -> bool {
        !self.devices.is_empty() && self.devices.values().all(|known| known.is_settled(now))
    }
}

impl Known {
    fn routes(&self) -> Vec<Route> {
        let shown = |route: &Route| *route == self.route || self.latest.keys().any(|(of, _)| of == route);
        [Route::Offline, Route::Online].into_iter().filter(shown).collect()
    }

    /// Nothing more can come: no route waits, and every result was seen half a minute or happened ten minutes ago, or was
    /// seen by a clock that is wrong.
    fn is_settled(&self, now: i64) -> bool {
        let is_old = |seen: i64, at: Option<i64>| {
            !(-30..30).contains(&(now - seen)) || at.is_some_and(|at| now - at >= 600)
        };
        self.routes().iter().all(|route| self.is_over(*route))
            && self.latest.values().all(|(_, at, seen)| is_old(*seen, *at))
    }

    /// Nothing more can come on that route.
    fn is_over(&self, route: Route) -> bool {
        let last = if route == Route::Offline { Stage::Click } else { Stage::Device };
        self.latest.iter().any(|((of, stage), (outcome, ..))| {
            *of == route && (*outcome == Outcome::Failure || *stage == last)
        })
    }

    /// How far the push had come at that time: on which route, in the words of the metric, and after how many seconds it was
    /// received. Its own route counts where both say the same.
    fn closed(&self, closes_at: i64) -> (Route, &'static str, Option<i64>) {
        const BEST_FIRST: [&str; 5] = ["tapped", "delivered", "accepted", "failed", "unreported"];
        let in_time = |route, stage| {
            let latest: Option<&(Outcome, Option<i64>, i64)> = self.latest.get(&(route, stage));
            latest.filter(|(_, at, _)| at.is_none_or(|at| at <= closes_at))
        };
        let on = |route: Route| {
            let mut word = "unreported";
            for stage in route.stages() {
                match in_time(route, *stage).map(|(outcome, ..)| *outcome) {
                    Some(Outcome::Failure) => word = "failed",
                    Some(Outcome::Success) => {
                        word = match stage {
                            Stage::Im | Stage::Offline => "unreported",
                            Stage::Channel => "accepted",
                            Stage::Device => "delivered",
                            Stage::Click => "tapped",
                        }
                    }
                    None => {}
                }
            }
            word
        };
        let mut routes = self.routes();
        routes.sort_by_key(|route| *route != self.route);
        let rank = |route: &&Route| BEST_FIRST.iter().position(|word| *word == on(**route));
        let route = *routes.iter().min_by_key(rank).unwrap();
        let receipt = in_time(route, Stage::Device).filter(|(outcome, ..)| *outcome == Outcome::Success);
        (route, on(route), receipt.and_then(|(_, at, _)| after(self.pushed_at, *at)))
    }

    /// Names how the device stands at each stage of the route.
    fn stand(&self, route: Route, (now, awaited): (i64, bool), mut name: impl FnMut(String)) {
        let stages = route.stages().iter().filter(|stage| **stage != Stage::Im || route == self.route);
        let mut failed = false;
        for stage in stages {
            match self.latest.get(&(route, *stage)) {
                Some((outcome, ..)) => {
                    name(format!("{stage:?} stands {outcome:?}"));
                    failed |= *outcome == Outcome::Failure;
                }
                None if failed || !awaited => {}
                None => {
                    name(format!("{stage:?} stands unreported"));
                    let before = route.before(*stage).and_then(|before| self.latest.get(&(route, before)));
                    if let (Some((Outcome::Success, at, seen)), Some(allowed)) =
                        (before, allowance_seconds(route, *stage))
                        && at.unwrap_or(*seen) + allowed <= now
                    {
                        name(format!("{stage:?} stands overdue"));
                    }
                }
            }
        }
    }
}

/// What a snapshot shows, in the same words. `now` must be a whole minute: the ledger counts overdue devices by minutes.
pub fn shown(snapshot: &Snapshot, now: i64) -> Figures {
    let mut figures = Figures::new();
    for (app, tally) in &snapshot.apps {
        for reason in Ended::ALL {
            add(&mut figures, format!("{app} ended {reason:?}"), tally.ended[reason as usize]);
        }
        histogram(&mut figures, &format!("{app} detection"), &tally.detection, DETECTION_BOUNDS_SECONDS);
        for (key, sums) in &tally.sets {
            let set = format!("{app} {:?} {:?} {}", key.labels, key.route, key.platform);
            for status in Notifications::ALL {
                add(&mut figures, format!("{set} devices {status:?}"), sums.devices(status));
            }
            for closed in Closed::ALL {
                let count = sums.sample.closed[closed as usize];
                add(&mut figures, format!("{set} closed {}", closed.as_str()), count);
            }
            let delivery = &sums.sample.delivery;
            histogram(&mut figures, &format!("{set} delivery"), delivery, DELIVERY_BOUNDS_SECONDS);
            for stage in Stage::ALL {
                for outcome in Outcome::ALL {
                    let count = sums.sample.results[stage as usize][outcome as usize];
                    add(&mut figures, format!("{set} {stage:?} sampled {outcome:?}"), count);
                }
                let (of, sums) = (format!("{set} {stage:?}"), sums.stage(stage));
                for outcome in Outcome::ALL {
                    add(&mut figures, format!("{of} counted {outcome:?}"), sums.result(outcome));
                    add(&mut figures, format!("{of} stands {outcome:?}"), sums.devices[outcome as usize]);
                }
                add(&mut figures, format!("{of} stands unreported"), sums.unreported());
                add(&mut figures, format!("{of} stands overdue"), sums.overdue(now));
                for ((reason, code), count) in &sums.failures {
                    add(&mut figures, format!("{of} {reason:?} {code}"), *count);
                }
                histogram(&mut figures, &format!("{of} delay"), &sums.delay, STAGE_DELAY_BOUNDS_SECONDS);
            }
        }
    }
    figures
}

fn histogram(figures: &mut Figures, name: &str, found: &super::super::Histogram, bounds: &[i64]) {
    for (at, count) in found.counts.iter().enumerate() {
        let bound = bounds.get(at).map_or("+Inf".to_owned(), ToString::to_string);
        add(figures, format!("{name} {bound}"), *count);
    }
    add(figures, format!("{name} sum"), found.sum as u64);
}
