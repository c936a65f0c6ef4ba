//! The pure fold: what was known of a pair and one more trace give what is known now, and what is to be counted.

use serde::{Deserialize, Serialize};

use crate::trace::{Device, Event, Leaf, Notifications, Outcome, Platform, Reason, Route, Stage, Trace};

use super::tally::NEVER_DUE;

/// How far before a pair was added the upstream may date its push and be believed: it remembers seven days.
const PUSH_HORIZON_SECONDS: i64 = 7 * 86_400;

/// All that is known of one pair. The device token is never part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub devices: Vec<KnownDevice>,
    pub sampled: Sampled,
}

/// Whether a pair is in the random sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sampled {
    #[default]
    Out,
    In,
    /// In it, and its devices are counted by how far the push had come.
    Closed,
}

/// What is known of one device: one (task, user, `InstanceId`, `EventType`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    pub instance: String,
    pub event: Event,
    /// The vendor on the offline route.
    pub platform: Platform,
    pub notifications: Notifications,
    /// The route that holds `IMStat`.
    pub route: Route,
    /// `PushTime`, Unix seconds.
    pub pushed_at: Option<i64>,
    /// In the order in which they became known.
    pub results: Vec<KnownResult>,
}

/// The latest result of one stage, and which outcomes were counted there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownResult {
    pub route: Route,
    pub stage: Stage,
    /// The latest one reported.
    pub outcome: Outcome,
    /// Whether the other outcome was counted before, too.
    pub both: bool,
    pub code: i64,
    pub reason: Option<Reason>,
    /// `EventTime`, Unix seconds.
    pub at: Option<i64>,
    /// The poll that saw it first, Unix seconds.
    pub seen_at: i64,
}

/// One result that was never seen before: it is counted now and never again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Place of its device in [`Record::devices`].
    pub device: usize,
    pub route: Route,
    pub platform: Platform,
    pub stage: Stage,
    pub outcome: Outcome,
    pub code: i64,
    pub reason: Option<Reason>,
    /// `EventTime` − `PushTime`, seconds, where both are known and in order.
    pub delay_seconds: Option<i64>,
    /// From `EventTime` to the poll, seconds, where the time is known.
    pub detection_seconds: Option<i64>,
}

/// How a device stands at one stage; what a gauge shows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Reported(Outcome),
    /// No result, and it may still come; overdue from that minute on (Unix seconds / 60), or [`NEVER_DUE`].
    Unreported(u32),
}

/// How long after its push a pair of the sample is closed, seconds.
pub const CLOSE_AFTER_SECONDS: i64 = 3600;
/// How late an `EventTime` may lie behind the clock of the poll that saw it and still be its clock's error.
const CLOCK_SKEW_SECONDS: i64 = 5;
/// Devices of one pair that are kept; what comes beyond is not read by the wire room either.
pub const DEVICES_CAP: usize = 64;

/// How long after the success of the stage before this stage may take until it counts as overdue; `None` for a click,
/// which most pushes never get, and for a first stage, which has none before it.
pub const fn allowance_seconds(route: Route, stage: Stage) -> Option<i64> {
    match (route, stage) {
        (_, Stage::Im | Stage::Click) => None,
        (Route::Offline, Stage::Device) => Some(3600),
        (Route::Offline, Stage::Offline | Stage::Channel) | (Route::Online, _) => Some(300),
    }
}

/// Folds `trace`, polled at `polled_at` (Unix seconds), into `record`; gives what is to be counted.
pub fn fold(record: &mut Record, trace: &Trace, polled_at: i64) -> Vec<News> {
    let mut news = Vec::new();
    for device in &trace.devices {
        let Some(at) = find_or_add(record, device) else {
            continue;
        };
        for leaf in &device.leaves {
            let fresh = fold_leaf(&mut record.devices[at], leaf, polled_at);
            news.extend(fresh.map(|fresh| News { device: at, ..fresh }));
        }
    }
    news
}

fn find_or_add(record: &mut Record, device: &Device) -> Option<usize> {
    let at = match record.devices.iter().position(|known| known.is(device)) {
        Some(at) => at,
        None if record.devices.len() >= DEVICES_CAP => return None,
        None => {
            record.devices.push(KnownDevice {
                instance: device.instance.clone(),
                event: device.event,
                platform: device.platform,
                notifications: device.notifications,
                route: device.route(),
                pushed_at: device.pushed_at,
                results: Vec::with_capacity(device.leaves.len()),
            });
            record.devices.len() - 1
        }
    };
    let known = &mut record.devices[at];
    // What an answer leaves out does not make what was known unknown.
    if device.notifications != Notifications::Unknown {
        known.notifications = device.notifications;
    }
    if known.platform == Platform::UNKNOWN {
        known.platform = device.platform;
    }
    // A push time that moves on with the answers must not keep the pair watched for ever.
    known.pushed_at = match (known.pushed_at, device.pushed_at) {
        (Some(known), Some(told)) => Some(known.min(told)),
        (known, told) => known.or(told),
    };
    Some(at)
}

fn fold_leaf(known: &mut KnownDevice, leaf: &Leaf, polled_at: i64) -> Option<News> {
    let same = |r: &&mut KnownResult| r.route == leaf.route && r.stage == leaf.stage;
    match known.results.iter_mut().find(same) {
        Some(result) if result.outcome == leaf.outcome => return None,
        Some(result) => {
            let counted = result.both;
            *result = KnownResult { both: true, ..known_result(leaf, polled_at) };
            if counted {
                return None;
            }
        }
        None => known.results.push(known_result(leaf, polled_at)),
    }
    let behind = |at: i64| polled_at.saturating_sub(at);
    Some(News {
        device: 0,
        route: leaf.route,
        platform: known.platform_on(leaf.route),
        stage: leaf.stage,
        outcome: leaf.outcome,
        code: leaf.code,
        reason: leaf.reason,
        delay_seconds: delay_seconds(known.pushed_at, leaf.at),
        detection_seconds: leaf.at.map(behind).filter(|s| *s >= -CLOCK_SKEW_SECONDS).map(|s| s.max(0)),
    })
}

fn known_result(leaf: &Leaf, polled_at: i64) -> KnownResult {
    KnownResult {
        route: leaf.route,
        stage: leaf.stage,
        outcome: leaf.outcome,
        both: false,
        code: leaf.code,
        reason: leaf.reason,
        at: leaf.at,
        seen_at: polled_at,
    }
}

/// `EventTime` − `PushTime`; the few seconds by which two clocks of the upstream may differ count as zero, a longer
/// negative delay is no delay.
pub fn delay_seconds(pushed_at: Option<i64>, at: Option<i64>) -> Option<i64> {
    let delay = at?.saturating_sub(pushed_at?);
    (delay >= -CLOCK_SKEW_SECONDS).then_some(delay.max(0))
}

impl KnownDevice {
    /// The platform this device counts under on that route.
    pub fn platform_on(&self, route: Route) -> Platform {
        self.platform.on(route)
    }

    /// The routes this device has shown: its own, and the other one where a result is known there.
    pub fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        let shown = |route: &Route| *route == self.route || self.results.iter().any(|r| r.route == *route);
        Route::ALL.into_iter().filter(shown)
    }

    /// The result known of that stage.
    pub fn result(&self, route: Route, stage: Stage) -> Option<&KnownResult> {
        self.results.iter().find(|r| r.route == route && r.stage == stage)
    }

    /// True if that element of an answer is about this device.
    pub fn is(&self, device: &Device) -> bool {
        self.instance == device.instance && self.event == device.event
    }

    /// How this device stands at each stage of `route` that has a result or may still get one. `polled_at` is when its
    /// pair was polled last, `None` where that is settled.
    pub fn standings(&self, route: Route, polled_at: Option<i64>) -> Vec<(Stage, Standing)> {
        let awaits_results = self.awaits_results(polled_at);
        let mut standings = Vec::with_capacity(route.stages().len());
        for &stage in route.stages() {
            if stage == Stage::Im && route != self.route {
                continue; // `IMStat` is of the route that `EventType` names.
            }
            match self.result(route, stage) {
                Some(result) => standings.push((stage, Standing::Reported(result.outcome))),
                None if !awaits_results => {}
                None => standings.push((stage, Standing::Unreported(self.overdue_from(route, stage)))),
            }
            if matches!(standings.last(), Some((_, Standing::Reported(Outcome::Failure)))) {
                standings.extend(self.reported_after(route, stage));
                break;
            }
        }
        standings
    }

    /// What was reported behind a failed stage: odd, but shown.
    fn reported_after(&self, route: Route, failed: Stage) -> impl Iterator<Item = (Stage, Standing)> + '_ {
        let later = route.stages().iter().filter(move |stage| **stage > failed);
        later.filter_map(move |stage| {
            self.result(route, *stage).map(|r| (*stage, Standing::Reported(r.outcome)))
        })
    }

    fn overdue_from(&self, route: Route, stage: Stage) -> u32 {
        let minute = || {
            let allowed = allowance_seconds(route, stage)?;
            let before = self.result(route, route.before(stage)?)?;
            let since = before.at.unwrap_or(before.seen_at);
            let success = before.outcome == Outcome::Success;
            // Rounded up: never called overdue too early.
            let due = since.saturating_add(allowed).max(0).saturating_add(59) / 60;
            success.then(|| u32::try_from(due).unwrap_or(NEVER_DUE))
        };
        minute().unwrap_or(NEVER_DUE)
    }
}

impl Record {
    /// How many of its devices failed at some stage.
    pub fn failed_devices(&self) -> usize {
        let failed = |device: &&KnownDevice| device.results.iter().any(|r| r.outcome == Outcome::Failure);
        self.devices.iter().filter(failed).count()
    }

    /// True if that device of an answer found no place in it.
    pub fn leaves_out(&self, device: &Device) -> bool {
        !self.devices.iter().any(|known| known.is(device))
    }

    /// The push time the upstream names: the earliest of the devices.
    pub fn pushed_at(&self) -> Option<i64> {
        self.devices.iter().filter_map(|d| d.pushed_at).min()
    }
}

/// From when on a pair is watched, Unix seconds: the push as the watch list says, else as the upstream has `told` if
/// that can be true, else the time at which the pair was added.
pub fn counts_from(listed: Option<i64>, told: Option<i64>, added_at: i64) -> i64 {
    let believed = told.filter(|at| *at >= added_at - PUSH_HORIZON_SECONDS);
    listed.or(believed).unwrap_or(added_at)
}
