//! Answers of the upstream as its manual shows them.

use serde_json::{Value, json};

/// The stages of the offline route in their order, under their names in the answer.
pub const LEAVES: [&str; 5] = ["IMStat", "OfflineStat", "ChannelStat", "DeviceStat", "ClickStat"];
/// `PushStatus` of a success.
pub const SUCCESS: i64 = 1;
/// `PushStatus` of a failure.
pub const FAILURE: i64 = 2;
/// The offset that the configuration assumes unless told otherwise.
const HOURS_EAST: i8 = 8;

/// The sample of the manual: all stages of both routes succeeded long ago.
pub const SAMPLE: &str = include_str!("../../fixtures/sample-answer.json");

/// Now as the upstream writes it, so many seconds earlier.
pub fn stamp(seconds_ago: i64) -> String {
    let at = jiff::Timestamp::from_second(now() - seconds_ago).unwrap();
    let local = jiff::tz::Offset::constant(HOURS_EAST).to_datetime(at);
    local.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Unix seconds.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// One iPhone whose push went out half a minute ago on the offline route, with a `PushStatus` for each of the first
/// stages.
pub fn offline(statuses: &[i64]) -> Value {
    let mut device = json!({
        "InstanceId": "74224656", "PushTime": stamp(30), "EventType": 1, "PushPlatform": 1,
        "Token": "token-of-a-device", "NotificationStatus": 1,
    });
    for (leaf, status) in LEAVES.into_iter().zip(statuses) {
        let object = if leaf == LEAVES[0] { "IMCommitStat" } else { "OfflinePushStat" };
        let code = if *status == FAILURE { 410 } else { 0 };
        let told = json!({"PushStatus": status, "ErrorCode": code, "ErrorInfo": "", "EventTime": stamp(20)});
        device[object][leaf] = told;
    }
    json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "InstanceTrace": [device]})
}

/// No device is known.
pub fn nobody() -> Value {
    json!({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "", "InstanceTrace": []})
}
