//! Every shape of answer and the trace it must give, and laws that hold for any answer.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const EAST_EIGHT: i32 = 8 * 3600;
/// 2025-03-13 16:16:27 in UTC+8: the `PushTime` of the sample.
const PUSHED: i64 = 1_741_853_787;
const NOW: i64 = PUSHED + 3600;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn trace_of(name: &str) -> Trace {
    let body = fs::read(fixtures().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    read(&Answer::parse(&body).unwrap(), EAST_EIGHT, NOW)
}

fn seconds(at: Option<i64>) -> String {
    at.map_or("?".to_owned(), |at| format!("{:+}", at - PUSHED))
}

/// A trace in short: times are seconds from [`PUSHED`], successes without a code just `ok`.
fn told(trace: &Trace) -> String {
    let mut lines = Vec::new();
    for device in &trace.devices {
        let Device { instance, event, platform, notifications, pushed_at, leaves } = device;
        let notifications = notifications.as_str();
        lines.push(format!("{instance:?} {event:?} {platform} {notifications} {}", seconds(*pushed_at)));
        for leaf in leaves {
            let (route, stage, at) = (leaf.route.as_str(), leaf.stage.as_str(), seconds(leaf.at));
            let platform = device.platform_on(leaf.route);
            let result = match (leaf.outcome, leaf.reason) {
                (Outcome::Success, None) if leaf.code == 0 => "ok".to_owned(),
                (Outcome::Failure, Some(reason)) => format!("{} {}", leaf.code, reason.as_str()),
                other => format!("{other:?}"),
            };
            lines.push(format!("{route} {stage} {platform} {result} {at}"));
        }
    }
    if !trace.drift_kinds().is_empty() {
        let drift: Vec<_> = trace.drift_kinds().into_iter().map(Drift::as_str).collect();
        lines.push(format!("drift {}", drift.join(" ")));
    }
    let names: Vec<&str> = trace.additions.iter().map(|addition| &*addition.name).collect();
    if !names.is_empty() {
        lines.push(format!("added {}", names.join(" ")));
    }
    lines.join("; ")
}

const SAMPLE: &str = r#""74224656" Offline apns on +0; offline im apns ok +2; offline offline apns ok +2; offline channel apns ok +2; offline device apns ok +2; offline click apns ok +2; online channel im ok +2; online device im ok +2"#;

/// Fixture and trace, for every fixture that is a success.
#[rustfmt::skip]
const TRACES: &[(&str, &str)] = &[
    ("documented-spelling.json", SAMPLE),
    ("no-instances.json", ""),
    ("null-instances.json", ""),
    ("missing-instances.json", ""),
    ("offline-and-online.json", r#""74224656" Offline apns on +0; offline im apns ok +2; offline offline apns ok +2; offline channel apns ok +3; "74224656" Online im on +0; online im im ok +2; online channel im ok +1; online device im ok +1"#),
    ("missing-leaves.json", r#""74224656" Offline unknown unknown +0; offline offline unknown ok +2; offline channel unknown ok +2"#),
    ("odd-push-status.json", r#""74224656" Offline huawei on +0; offline im huawei ok +2; drift enum_value"#),
    ("code-as-text.json", r#""74224656" Offline apns on +0; offline im apns ok +2; offline offline apns ok +2; offline channel apns 410 invalid_token +2"#),
    ("odd-times.json", r#""74224656" Offline apns on ?; offline im apns ok ?; offline offline apns ok ?; offline channel apns ok ?; offline device apns ok ?; drift unreadable_time future_time missing_field"#),
    ("zero-times.json", r#""74224656" Offline apns on ?; offline im apns ok ?; drift unreadable_time"#),
    ("new-platform.json", r#""74224656" Offline platform_9 off +0; offline im platform_9 ok +2; offline offline platform_9 ok +2; offline channel platform_9 4711 unknown +2; drift enum_value; added PushPlatform 9"#),
    ("unknown-keys.json", r#""74224656" Offline apns on +0; offline im apns ok +2; drift unknown_field; added RequestId InstanceTrace[].Battery InstanceTrace[].IMCommitStat.Extra InstanceTrace[].IMCommitStat.IMStat.TraceId"#),
    ("no-certificate.json", r#""74224656" Offline unknown off +0; offline im unknown ok +2; offline offline unknown -1 no_certificate +2"#),
    ("token-in-text.json", r#""74224656" Offline fcm on +0; offline im fcm ok +2; offline offline fcm ok +2; offline channel fcm 400 invalid_token +2"#),
    ("duplicate-instances.json", r#""74224656" Offline apns on -7; offline im apns ok +2; offline offline apns ok +4; offline channel apns ok +23; offline device apns ok +24; "74224657" Offline oppo on +0; offline im oppo ok +2"#),
    ("crossed-routes.json", r#""74224656" Online vivo on +0; offline channel vivo 10302 invalid_token +2; online im im ok +2; online channel im ok +2"#),
    ("odd-event-type.json", r#""74224656" Other(7) unknown on +0; online im im ok +2; online channel im ok +2; "74224657" Other(0) honor on +0; offline im honor ok +2; drift enum_value missing_field; added EventType 7"#),
    ("odd-types.json", r#""74224656" Other(0) apns unknown ?; online device im 0 unknown +2; drift value_type missing_field"#),
    ("instances-no-list.json", "drift value_type"),
    ("no-instance-id.json", r#""" Offline apns on +0; offline im apns ok +2; drift missing_field"#),
    ("emoji-info.json", r#""74224656" Offline xiaomi on +0; offline im xiaomi ok +2; offline offline xiaomi ok +2; offline channel xiaomi 10031 app_blocked +2"#),
    ("info-not-utf8.json", r#""74224656" Offline apns on +0; offline im apns ok +2; offline offline apns ok +2; offline channel apns 400 invalid_token +2"#),
    ("no-action-status.json", r#""74224656" Offline apns on +0; offline im apns ok +2; drift missing_field"#),
];

#[test]
fn the_documented_sample_gives_seven_successes() {
    assert_eq!(told(&trace_of("sample-answer.json")), SAMPLE);
}

#[test]
fn every_shape_gives_its_trace() {
    for (name, expected) in TRACES {
        assert_eq!(told(&trace_of(&format!("answers/{name}"))), *expected, "{name}");
    }
}

#[test]
fn every_successful_fixture_is_in_the_table() {
    let mut successes = HashSet::new();
    for entry in fs::read_dir(fixtures().join("answers")).unwrap() {
        let entry = entry.unwrap();
        let body = fs::read(entry.path()).unwrap();
        if Answer::parse(&body).is_ok_and(|answer| answer.success) {
            successes.insert(entry.file_name().into_string().unwrap());
        }
    }
    let listed: HashSet<_> = TRACES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(successes, listed);
}

#[test]
fn a_wrong_zone_shows_as_times_in_the_future() {
    let body = fs::read(fixtures().join("sample-answer.json")).unwrap();
    let answer = Answer::parse(&body).unwrap();
    let told_at = |now| read(&answer, EAST_EIGHT, now);
    assert_eq!(told_at(PUSHED + 2 - FUTURE_SLACK_SECONDS).drift, []);
    let early = told_at(PUSHED + 1 - FUTURE_SLACK_SECONDS);
    assert_eq!((early.drift, early.devices[0].pushed_at), (vec![Drift::FutureTime], Some(PUSHED)));
    assert!(early.devices[0].leaves.iter().all(|leaf| leaf.at.is_none()));
    let in_utc = read(&answer, 0, NOW);
    assert_eq!((in_utc.drift, in_utc.devices[0].pushed_at), (vec![Drift::FutureTime], None));
}

#[test]
fn the_order_of_duplicate_elements_does_not_matter() {
    let body = fs::read(fixtures().join("answers/duplicate-instances.json")).unwrap();
    let mut answer = Answer::parse(&body).unwrap();
    let forth = read(&answer, EAST_EIGHT, NOW);
    answer.instances.reverse();
    let mut back = read(&answer, EAST_EIGHT, NOW);
    back.devices.reverse();
    assert_eq!(back, forth);
}

fn word() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..12).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0u8..4).prop_map(|n| Value::from(n.to_string())),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2025-03-13 16:16:29")),
        "[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ]
}

fn object(
    keys: &'static [&'static str],
    value: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Value> {
    let pairs = prop::collection::hash_map(prop::sample::select(keys), value, 0..=keys.len());
    pairs.prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn element() -> impl Strategy<Value = Value> {
    let stat = object(&["PushStatus", "ErrorCode", "ErrorInfo", "EventTime", "Extra"], word());
    let leaves = &["IMStat", "OfflineStat", "ChannelStat", "DeviceStat", "ClickStat"];
    let group = object(leaves, prop_oneof![9 => stat, 1 => word()]);
    let groups =
        object(&["IMCommitStat", "OfflinePushStat", "OnlinePushStat"], prop_oneof![9 => group, 1 => word()]);
    let heads = &["InstanceId", "PushTime", "EventType", "PushPlatform", "NotificationStatus", "Token"];
    (object(heads, word()), groups).prop_map(|(mut head, groups)| {
        let fields = head.as_object_mut().unwrap();
        fields.extend(groups.as_object().unwrap().clone());
        head
    })
}

proptest! {
    #[test]
    fn any_answer_gives_a_well_formed_trace(
        elements in prop::collection::vec(prop_oneof![9 => element(), 1 => word()], 0..5),
        zone in -50_400i32..=50_400,
        now: i64,
    ) {
        let body = json!({"ActionStatus": "OK", "ErrorCode": 0, "InstanceTrace": elements}).to_string();
        let trace = read(&Answer::parse(body.as_bytes()).unwrap(), zone, now);
        let mut identities = HashSet::new();
        for device in &trace.devices {
            prop_assert!(identities.insert((device.instance.clone(), device.event)));
            let places: Vec<_> = device.leaves.iter().map(|leaf| (leaf.route, leaf.stage)).collect();
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
            for leaf in &device.leaves {
                prop_assert!(leaf.route.stages().contains(&leaf.stage));
                prop_assert_eq!(leaf.reason.is_some(), leaf.outcome == Outcome::Failure);
                prop_assert!(leaf.at.is_none_or(|at| at <= now.saturating_add(FUTURE_SLACK_SECONDS)));
                prop_assert!(leaf.stage != Stage::Im || leaf.route == device.route());
            }
        }
        prop_assert!(trace.drift.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
