//! The words of a delivery chain: route, stage, platform, outcome, and the devices of one trace.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Reason;

/// The way a push takes to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Route {
    /// Through the vendor's push service (`OfflinePushStat`).
    Offline,
    /// Over the app's own long connection to the Chat service (`OnlinePushStat`).
    Online,
}

impl Route {
    pub const ALL: [Route; 2] = [Route::Offline, Route::Online];

    /// The stages of this route, in the order in which a push passes them.
    pub const fn stages(self) -> &'static [Stage] {
        match self {
            Route::Offline => &[Stage::Im, Stage::Offline, Stage::Channel, Stage::Device, Stage::Click],
            Route::Online => &[Stage::Im, Stage::Channel, Stage::Device],
        }
    }

    /// The stage before `stage` on this route, or `None` for the first one and for a stage this route lacks.
    pub fn before(self, stage: Stage) -> Option<Stage> {
        let stages = self.stages();
        let at = stages.iter().position(|s| *s == stage)?;
        at.checked_sub(1).map(|i| stages[i])
    }

    /// The value of the label `route`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Route::Offline => "offline",
            Route::Online => "online",
        }
    }
}

/// One step of the chain; which of them a route has: [`Route::stages`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Accepted by the IM server (`IMStat`).
    Im,
    /// Handed to the offline channel (`OfflineStat`).
    Offline,
    /// Handed to the vendor's channel, or to the long connection on the online route (`ChannelStat`).
    Channel,
    /// Reached the device (`DeviceStat`).
    Device,
    /// Tapped by the user (`ClickStat`).
    Click,
}

impl Stage {
    pub const ALL: [Stage; 5] = [Stage::Im, Stage::Offline, Stage::Channel, Stage::Device, Stage::Click];

    /// The value of the label `stage`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Im => "im",
            Stage::Offline => "offline",
            Stage::Channel => "channel",
            Stage::Device => "device",
            Stage::Click => "click",
        }
    }
}

/// A result that the upstream reported. What it did not report is the absence of a [`Leaf`], never an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    pub const ALL: [Outcome; 2] = [Outcome::Success, Outcome::Failure];

    /// The value of the label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
        }
    }
}

/// `EventType`: which push an element of the answer speaks of. Part of a device's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Event {
    Offline,
    Online,
    /// A number that is not documented; the route of its `IMStat` is inferred from the leaves.
    Other(i64),
}

/// `PushPlatform`: the vendor of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Platform {
    /// The online route, which has no vendor: label value `im`.
    Im,
    /// The upstream's number. 0 and missing are [`Platform::UNKNOWN`].
    Vendor(i64),
}

impl Platform {
    pub const UNKNOWN: Platform = Platform::Vendor(0);
    /// Names of the documented numbers 0 to 8 (domain sheet, section 1.4).
    const NAMES: [&'static str; 9] =
        ["unknown", "apns", "xiaomi", "huawei", "fcm", "meizu", "oppo", "vivo", "honor"];

    /// The platform under which leaves of that route count: the online route has no vendor, and an online element
    /// names none for the offline leaves it may hold.
    pub fn on(self, route: Route) -> Platform {
        match (route, self) {
            (Route::Online, _) => Platform::Im,
            (Route::Offline, Platform::Im) => Platform::UNKNOWN,
            (Route::Offline, vendor) => vendor,
        }
    }

    /// True for the numbers the upstream documents, 0 to 8.
    pub fn is_documented(self) -> bool {
        self.name().is_some()
    }

    /// The documented platform of that name, as in the label `platform`.
    pub fn from_name(name: &str) -> Option<Platform> {
        if name == "im" {
            return Some(Platform::Im);
        }
        let at = Self::NAMES.iter().position(|n| *n == name)?;
        i64::try_from(at).ok().map(Platform::Vendor)
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Platform::Im => Some("im"),
            Platform::Vendor(n) => Self::NAMES.get(usize::try_from(n).ok()?).copied(),
        }
    }
}

/// The value of the label `platform`: a documented name, else `platform_<n>`.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self) {
            (Some(name), _) => f.write_str(name),
            (None, Platform::Vendor(n)) => write!(f, "platform_{n}"),
            (None, Platform::Im) => f.write_str("im"),
        }
    }
}

/// `NotificationStatus`: whether the device shows notifications at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Notifications {
    On,
    Off,
    Unknown,
}

impl Notifications {
    pub const ALL: [Notifications; 3] = [Notifications::On, Notifications::Off, Notifications::Unknown];

    /// The value of the label `notifications`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Notifications::On => "on",
            Notifications::Off => "off",
            Notifications::Unknown => "unknown",
        }
    }
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
