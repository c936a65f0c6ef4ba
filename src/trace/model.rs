//! One answer: the devices of a trace, their results, and where it left the documented contract.

use serde::{Deserialize, Serialize};

use super::Reason;
use super::dimensions::{Notifications, Outcome, Platform, Route, Stage};

/// `EventType`: which push an element of the answer speaks of. Part of a device's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    Offline,
    Online,
    /// A number that is not documented; the route of its `IMStat` is inferred from the leaves.
    Other(i64),
}

/// One reported result: a leaf of the answer whose `PushStatus` is 1 or 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub route: Route,
    pub stage: Stage,
    pub outcome: Outcome,
    /// `ErrorCode` of the leaf; 0 where it is missing.
    pub code: i64,
    /// Who must act; `None` for a success.
    pub reason: Option<Reason>,
    /// `EventTime` in Unix seconds, where it could be read.
    pub at: Option<i64>,
}

/// One element of `InstanceTrace`. The device token is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `InstanceId`; empty where it is missing.
    pub instance: String,
    pub event: Event,
    /// The vendor on the offline route. On the online route every device is [`Platform::Im`]; which of both a leaf
    /// counts under: [`Device::platform_on`].
    pub platform: Platform,
    pub notifications: Notifications,
    /// `PushTime` in Unix seconds, where it could be read.
    pub pushed_at: Option<i64>,
    /// At most one per (route, stage), in the order of the chain, offline first.
    pub leaves: Vec<Leaf>,
}

impl Device {
    /// The platform under which leaves of that route count, whatever `EventType` says of the element.
    pub fn platform_on(&self, route: Route) -> Platform {
        self.platform.on(route)
    }

    /// The route that holds `IMStat`: the one `EventType` names; for a number not documented the one whose leaves
    /// are filled, offline where both or none are.
    pub fn route(&self) -> Route {
        match self.event {
            Event::Offline => Route::Offline,
            Event::Online => Route::Online,
            Event::Other(_) => {
                let has = |route| self.leaves.iter().any(|l| l.route == route && l.stage != Stage::Im);
                if has(Route::Online) && !has(Route::Offline) { Route::Online } else { Route::Offline }
            }
        }
    }
}

/// All that one answer says of one (task, user), and where it left the documented contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub devices: Vec<Device>,
    /// Without the kinds of `additions`.
    pub drift: Vec<Drift>,
    pub additions: Vec<Addition>,
}

impl Trace {
    /// The kinds of all that left the contract, in order.
    pub fn drift_kinds(&self) -> Vec<Drift> {
        let mut kinds = self.drift.clone();
        kinds.extend(self.additions.iter().map(|addition| addition.kind));
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// Something that the upstream has added to the documented contract, and that costs no result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Addition {
    pub kind: Drift,
    /// `InstanceTrace[].Battery`, or a number as `PushPlatform 9`.
    pub name: String,
}

/// A way in which an answer left the documented contract; each becomes a value of the label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Drift {
    /// A key that is not documented.
    UnknownField,
    /// An undocumented number in `PushStatus`, `EventType`, `PushPlatform` or `NotificationStatus`.
    EnumValue,
    /// A time that is not `YYYY-MM-DD HH:MM:SS`.
    UnreadableTime,
    /// A time that cannot be true under the configured time zone: in the future.
    FutureTime,
    /// A value of another type than documented, where we could not read it as the documented one.
    ValueType,
    /// A key that every answer must have, absent.
    MissingField,
    /// More devices, or a longer text, than we read of one answer.
    Cut,
}

impl Drift {
    pub const ALL: [Drift; 7] = [
        Drift::UnknownField,
        Drift::EnumValue,
        Drift::UnreadableTime,
        Drift::FutureTime,
        Drift::ValueType,
        Drift::MissingField,
        Drift::Cut,
    ];

    /// The value of the label `kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Drift::UnknownField => "unknown_field",
            Drift::EnumValue => "enum_value",
            Drift::UnreadableTime => "unreadable_time",
            Drift::FutureTime => "future_time",
            Drift::ValueType => "value_type",
            Drift::MissingField => "missing_field",
            Drift::Cut => "cut",
        }
    }
}
