//! The answer of the upstream, read into a trace.

use super::clock;
use super::reason;
use super::{Addition, Device, Drift, Event, Leaf, Notifications, Outcome, Platform, Route, Stage, Trace};
use crate::api::wire::{self, Answer, Instance, Stat};

/// A time this much ahead of our clock is not believed: it proves the configured time zone wrong.
pub const FUTURE_SLACK_SECONDS: i64 = 5 * 60;

/// Most additions that are kept of one answer.
const MAX_ADDITIONS: usize = 32;

/// Reads what an answer says of the devices of one (task, user).
///
/// `zone_offset_seconds` is the zone of the upstream's times, east of UTC; `now_unix` is in Unix seconds.
/// Only `PushStatus` 1 and 2 make a leaf; 0 and missing are unreported, other numbers unreported and drift. A leaf is
/// read on the route of the object that holds it, `IMStat` on the route that `EventType` names.
///
/// Elements of the same `InstanceId` and `EventType` are one device. Where they differ on a stage, success beats
/// failure and then the earlier time wins, so that the order of the elements does not matter.
pub fn read(answer: &Answer, zone_offset_seconds: i32, now_unix: i64) -> Trace {
    let mut reader = Reader { zone_offset_seconds, now_unix, drift: Vec::new(), additions: Vec::new() };
    for field in &answer.unknown_fields {
        reader.add(Drift::UnknownField, field.clone());
    }
    for drift in &answer.drift {
        reader.note(match drift {
            wire::Drift::ValueType => Drift::ValueType,
            wire::Drift::MissingField => Drift::MissingField,
            wire::Drift::Cut => Drift::Cut,
        });
    }
    let mut devices: Vec<Device> = Vec::new();
    for instance in &answer.instances {
        let device = reader.device(instance);
        match devices.iter_mut().find(|d| d.instance == device.instance && d.event == device.event) {
            Some(same) => merge(same, device),
            None => devices.push(device),
        }
    }
    reader.drift.sort_unstable();
    Trace { devices, drift: reader.drift, additions: reader.additions }
}

struct Reader {
    zone_offset_seconds: i32,
    now_unix: i64,
    /// Each at most once.
    drift: Vec<Drift>,
    /// Each at most once, at most [`MAX_ADDITIONS`].
    additions: Vec<Addition>,
}

impl Reader {
    fn note(&mut self, drift: Drift) {
        if !self.drift.contains(&drift) {
            self.drift.push(drift);
        }
    }

    fn add(&mut self, kind: Drift, name: String) {
        let addition = Addition { kind, name };
        if self.additions.len() < MAX_ADDITIONS && !self.additions.contains(&addition) {
            self.additions.push(addition);
        }
    }

    fn device(&mut self, instance: &Instance) -> Device {
        if instance.instance_id.is_none() {
            self.note(Drift::MissingField);
        }
        let event = self.event(instance.event_type);
        let mut device = Device {
            instance: instance.instance_id.clone().unwrap_or_default(),
            event,
            platform: self.platform(instance.push_platform, event),
            notifications: self.notifications(instance.notification_status),
            pushed_at: self.time(instance.push_time.as_deref()),
            leaves: Vec::new(),
        };
        let (offline, online) = (&instance.offline, &instance.online);
        for (route, stage, stat) in [
            (Route::Offline, Stage::Offline, &offline.offline),
            (Route::Offline, Stage::Channel, &offline.channel),
            (Route::Offline, Stage::Device, &offline.device),
            (Route::Offline, Stage::Click, &offline.click),
            (Route::Online, Stage::Channel, &online.channel),
            (Route::Online, Stage::Device, &online.device),
        ] {
            self.leaf(&mut device, (route, stage), stat.as_ref());
        }
        // The last one: where `EventType` does not tell the route, the other leaves do.
        let route = device.route();
        self.leaf(&mut device, (route, Stage::Im), instance.im.as_ref());
        device.leaves.sort_unstable_by_key(|leaf| (leaf.route, leaf.stage));
        device
    }

    fn leaf(&mut self, device: &mut Device, (route, stage): (Route, Stage), stat: Option<&Stat>) {
        let Some(stat) = stat else { return };
        let outcome = match stat.push_status {
            Some(1) => Outcome::Success,
            Some(2) => Outcome::Failure,
            Some(0) | None => return,
            Some(_) => return self.note(Drift::EnumValue),
        };
        let code = stat.error_code.unwrap_or(0);
        let platform = device.platform_on(route);
        device.leaves.push(Leaf {
            route,
            stage,
            outcome,
            code,
            reason: (outcome == Outcome::Failure)
                .then(|| reason::of(stage, platform, code, &stat.error_info)),
            at: self.time(stat.event_time.as_deref()),
        });
    }

    /// A missing `EventType` reads as 0, which is not documented.
    fn event(&mut self, number: Option<i64>) -> Event {
        match number {
            Some(1) => Event::Offline,
            Some(2) => Event::Online,
            Some(other) => {
                self.add(Drift::EnumValue, format!("EventType {other}"));
                Event::Other(other)
            }
            None => {
                self.note(Drift::MissingField);
                Event::Other(0)
            }
        }
    }

    /// `PushPlatform` 0 of an online push means that it has none, not that the vendor is unknown.
    fn platform(&mut self, number: Option<i64>, event: Event) -> Platform {
        let vendor = number.map_or(Platform::UNKNOWN, Platform::Vendor);
        if let Some(number) = number.filter(|_| !vendor.is_documented()) {
            self.add(Drift::EnumValue, format!("PushPlatform {number}"));
        }
        match event {
            Event::Online if vendor == Platform::UNKNOWN => Platform::Im,
            _ => vendor,
        }
    }

    /// 1 is on. That 0 means off is the plain reading; the documents do not say so.
    fn notifications(&mut self, number: Option<i64>) -> Notifications {
        match number {
            Some(1) => Notifications::On,
            Some(0) => Notifications::Off,
            Some(other) => {
                self.add(Drift::EnumValue, format!("NotificationStatus {other}"));
                Notifications::Unknown
            }
            None => Notifications::Unknown,
        }
    }

    /// Asked only where a time is due: of an element, and of a leaf that has a result.
    fn time(&mut self, text: Option<&str>) -> Option<i64> {
        let Some(text) = text else {
            self.note(Drift::MissingField);
            return None;
        };
        let at = clock::unix_seconds(text, self.zone_offset_seconds);
        match at {
            None => self.note(Drift::UnreadableTime),
            Some(at) if at > self.now_unix.saturating_add(FUTURE_SLACK_SECONDS) => {
                self.note(Drift::FutureTime);
                return None;
            }
            Some(_) => {}
        }
        at
    }
}

/// Adds what another element says of the same device.
fn merge(device: &mut Device, other: Device) {
    if matches!(device.platform, Platform::UNKNOWN | Platform::Im) {
        device.platform = other.platform;
    }
    if device.notifications == Notifications::Unknown {
        device.notifications = other.notifications;
    }
    device.pushed_at = earlier(device.pushed_at, other.pushed_at);
    device.leaves.extend(other.leaves);
    settle_im_route(device);
    // Success before failure, then by time, those without one last.
    device.leaves.sort_by_key(|l| (l.route, l.stage, l.outcome, l.at.is_none(), l.at, l.code));
    device.leaves.dedup_by_key(|leaf| (leaf.route, leaf.stage));
}

/// The elements may have told the route of `IMStat` differently where `EventType` does not name it.
fn settle_im_route(device: &mut Device) {
    let route = device.route();
    for leaf in device.leaves.iter_mut().filter(|leaf| leaf.stage == Stage::Im) {
        leaf.route = route;
    }
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
