//! Routes, stages and platforms as reports name them.
use std::borrow::Cow;

use serde_json::Value;

/// The two ways a push may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Route {
    Offline,
    Online,
}

/// The steps on the way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Stage {
    Im,
    Offline,
    Channel,
    Device,
    Click,
}

impl Route {
    pub(super) fn label(self) -> &'static str {
        match self {
            Route::Offline => "offline",
            Route::Online => "online",
        }
    }

    pub(super) fn stages(self) -> &'static [Stage] {
        match self {
            Route::Offline => &[Stage::Im, Stage::Offline, Stage::Channel, Stage::Device, Stage::Click],
            Route::Online => &[Stage::Im, Stage::Channel, Stage::Device],
        }
    }

    /// The JSON object that holds this route's stages after the first.
    pub(super) fn object(self) -> &'static str {
        match self {
            Route::Offline => "OfflinePushStat",
            Route::Online => "OnlinePushStat",
        }
    }
}

impl Stage {
    pub(super) const COUNT: usize = 5;

    pub(super) fn label(self) -> &'static str {
        match self {
            Stage::Im => "im",
            Stage::Offline => "offline",
            Stage::Channel => "channel",
            Stage::Device => "device",
            Stage::Click => "click",
        }
    }

    /// The key of the leaf.
    pub(super) fn leaf(self) -> &'static str {
        match self {
            Stage::Im => "IMStat",
            Stage::Offline => "OfflineStat",
            Stage::Channel => "ChannelStat",
            Stage::Device => "DeviceStat",
            Stage::Click => "ClickStat",
        }
    }
}

/// The object that holds a leaf.
pub(super) fn holder(route: Route, stage: Stage) -> &'static str {
    if stage == Stage::Im { "IMCommitStat" } else { route.object() }
}

/// One result as an answer shows it: what the account counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) instance_id: String,
    pub(super) event_type: u8,
    pub(super) route: Route,
    pub(super) stage: Stage,
    /// `None` is the online route, which has no vendor.
    pub(super) platform: Option<i64>,
    /// `ErrorCode` of a failure; `None` is a success.
    pub(super) failure: Option<i64>,
}

/// One element of `InstanceTrace` with the results that it shows.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) json: serde_json::Map<String, Value>,
    pub(super) notes: Vec<Note>,
}

pub(super) fn platform_label(platform: Option<i64>) -> Cow<'static, str> {
    let known = match platform {
        None => "im",
        Some(0) => "unknown",
        Some(1) => "apns",
        Some(2) => "xiaomi",
        Some(3) => "huawei",
        Some(4) => "fcm",
        Some(5) => "meizu",
        Some(6) => "oppo",
        Some(7) => "vivo",
        Some(8) => "honor",
        Some(other) => return Cow::Owned(format!("platform_{other}")),
    };
    Cow::Borrowed(known)
}
