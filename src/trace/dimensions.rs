//! By what results are told apart: route, stage, outcome, platform, and whether notifications are on.

use std::fmt;

use serde::{Deserialize, Serialize};

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

/// A result that the upstream reported. What it did not report is the absence of a leaf, never an outcome.
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
