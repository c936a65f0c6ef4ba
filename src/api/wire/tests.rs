//! Bodies good and bad: what is read of them, and that nothing makes the reader fall.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::api::code::{Kind, classify};

fn body(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/answers");
    fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn parse(value: &Value) -> Result<Answer, Malformed> {
    Answer::parse(value.to_string().as_bytes())
}

#[test]
fn refusals_have_their_code_and_class() {
    for (name, code, kind) in [
        ("fail-auth.json", 70001, Kind::Auth),
        ("fail-lockout.json", 70050, Kind::Auth),
        ("fail-permission.json", 90009, Kind::Permission),
        ("fail-config.json", 60026, Kind::Config),
        ("fail-rate-limit.json", 60007, Kind::RateLimit),
        ("fail-invalid-argument.json", 90100, Kind::InvalidArgument),
        ("fail-not-enabled.json", 90045, Kind::NotEnabled),
        ("fail-not-found.json", 90049, Kind::NotFound),
        ("fail-server.json", 90102, Kind::Server),
        ("fail-blocked.json", 70051, Kind::Blocked),
        ("fail-unknown.json", 123_456, Kind::Unknown),
        ("fail-ambiguous.json", 91000, Kind::Server),
        ("fail-code-as-text.json", -7, Kind::Unknown),
        ("fail-zero.json", 0, Kind::Unknown),
        ("result-code-only.json", 60020, Kind::NotEnabled),
        ("null-error-code.json", 90012, Kind::NotFound),
        ("ok-with-code.json", 60008, Kind::Server),
    ] {
        let answer = Answer::parse(&body(name)).unwrap();
        assert_eq!((answer.success, answer.code), (false, code), "{name}");
        assert_eq!(classify(answer.code).kind, kind, "{name}");
        assert_eq!(answer.drift, [], "{name}");
        assert!(!answer.error_info.is_empty(), "{name}");
    }
}

#[test]
fn bodies_that_are_no_answer_are_malformed() {
    for (name, fault) in [
        ("proxy-page.html", Malformed::NotJson),
        ("empty.json", Malformed::NotJson),
        ("no-json-object-without-name.json", Malformed::NotJson),
        ("no-object.json", Malformed::NotObject),
        ("no-code.json", Malformed::NoCode),
        ("code-no-number.json", Malformed::NoCode),
    ] {
        let told = Answer::parse(&body(name));
        assert_eq!(told, Err(fault), "{name}");
        assert!(!fault.to_string().contains("proxy says no"));
    }
    let deep = "[".repeat(100_000);
    assert_eq!(Answer::parse(deep.as_bytes()), Err(Malformed::NotJson));
}

#[test]
fn the_sample_is_read_word_for_word_in_both_spellings() {
    let sample = include_bytes!("../../../tests/fixtures/sample-answer.json");
    let answer = Answer::parse(sample).unwrap();
    assert_eq!((answer.success, answer.code, answer.error_info.as_str()), (true, 0, "sucess"));
    assert_eq!(answer.drift, []);
    let done = Some(Stat {
        push_status: Some(1),
        error_code: Some(0),
        error_info: "success".to_owned(),
        event_time: Some("2025-03-13 16:16:29".to_owned()),
    });
    let expected = Instance {
        instance_id: Some("74224656".to_owned()),
        push_time: Some("2025-03-13 16:16:27".to_owned()),
        event_type: Some(1),
        push_platform: Some(1),
        notification_status: Some(1),
        last_active_terminal: Some(1),
        im: done.clone(),
        offline: OfflineStats {
            offline: done.clone(),
            channel: done.clone(),
            device: done.clone(),
            click: done.clone(),
        },
        online: OnlineStats { channel: done.clone(), device: done },
    };
    assert_eq!(answer.instances, [expected]);
    assert_eq!(Answer::parse(&body("documented-spelling.json")), Ok(answer));
}

#[test]
fn a_missing_action_status_is_drift_and_not_a_refusal() {
    let answer = Answer::parse(&body("no-action-status.json")).unwrap();
    assert_eq!((answer.success, answer.instances.len()), (true, 1));
    assert_eq!(answer.drift, [Drift::MissingField]);
    let odd = parse(&json!({"ActionStatus": "FAILURE", "ErrorCode": 0})).unwrap();
    assert!(!odd.success);
}

#[test]
fn numbers_are_read_from_texts_and_whole_fractions_only() {
    for (value, number, drift) in [
        (json!(410), Some(410), false),
        (json!("410"), Some(410), false),
        (json!(" -2 "), Some(-2), false),
        (json!(80_300_007.0), Some(80_300_007), false),
        (json!(null), None, false),
        (json!(""), None, false),
        (json!("many"), None, true),
        (json!(1.5), None, true),
        (json!(1e300), None, true),
        (json!(u64::MAX), None, true),
        (json!(true), None, true),
        (json!([1]), None, true),
    ] {
        let stat = json!({"PushStatus": 2, "ErrorCode": value});
        let answer = parse(&json!({
            "ActionStatus": "OK", "ErrorCode": 0,
            "InstanceTrace": [{"IMCommitStat": {"IMStat": stat}}]
        }));
        let answer = answer.unwrap();
        let read = answer.instances[0].im.as_ref().unwrap().error_code;
        let expected: &[Drift] = if drift { &[Drift::ValueType] } else { &[] };
        assert_eq!((read, answer.drift.as_slice()), (number, expected), "{value}");
    }
}

#[test]
fn texts_for_people_are_cut_and_calm() {
    let answer = Answer::parse(&body("fail-code-as-text.json")).unwrap();
    assert_eq!(answer.error_info, "x".repeat(MAX_INFO_CHARS));
    let answer = Answer::parse(&body("emoji-info.json")).unwrap();
    assert_eq!(answer.error_info, "👍");
    assert_eq!(answer.instances[0].offline.channel.as_ref().unwrap().error_info, "应用被封 🚫 ");
    let answer = Answer::parse(&body("info-not-utf8.json")).unwrap();
    let info = &answer.instances[0].offline.channel.as_ref().unwrap().error_info;
    assert!(info.starts_with("BadDeviceToken ") && info.contains('\u{fffd}'), "{info}");
}

#[test]
fn the_device_token_is_nowhere() {
    let answer = Answer::parse(&body("token-in-text.json")).unwrap();
    let info = &answer.instances[0].offline.channel.as_ref().unwrap().error_info;
    assert_eq!(info, "… is not a valid FCM registration token");
    assert!(!format!("{answer:?}").contains("fcm-token-of-bob"));
}

#[test]
fn what_is_beyond_a_cap_is_told() {
    let element = json!({"InstanceId": "1"});
    let answer = |count: usize| {
        let elements = vec![element.clone(); count];
        parse(&json!({"ActionStatus": "OK", "ErrorCode": 0, "InstanceTrace": elements})).unwrap()
    };
    assert_eq!(
        (answer(MAX_INSTANCES).instances.len(), answer(MAX_INSTANCES).drift.len()),
        (MAX_INSTANCES, 0)
    );
    let cut = answer(MAX_INSTANCES + 1);
    assert_eq!((cut.instances.len(), cut.drift), (MAX_INSTANCES, vec![Drift::Cut]));
    let long = json!({"InstanceId": "é".repeat(MAX_TEXT_CHARS + 1)});
    let answer = parse(&json!({"ActionStatus": "OK", "ErrorCode": 0, "InstanceTrace": [long]})).unwrap();
    assert_eq!(answer.instances[0].instance_id, Some("é".repeat(MAX_TEXT_CHARS)));
    assert_eq!(answer.drift, [Drift::Cut]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_fall(bytes: Vec<u8>) {
        let _ = Answer::parse(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_answer_makes_it_fall(at in 0usize..1700, byte: u8) {
        let mut bytes = include_bytes!("../../../tests/fixtures/sample-answer.json").to_vec();
        bytes[at] = byte;
        if let Ok(answer) = Answer::parse(&bytes) {
            prop_assert!(answer.instances.len() <= 1);
        }
    }
}

#[test]
fn half_an_emoji_hides_nothing() {
    for (text, read) in [
        (r#"cut \ud83d"#, "cut \u{fffd}"),
        (r#"\udc00\ud83d\ude00 \\ud83d \"\ud83d\u0041"#, "\u{fffd}\u{1f600} \\ud83d \"\u{fffd}A"),
    ] {
        let body = format!(r#"{{"ActionStatus":"OK","ErrorCode":0,"ErrorInfo":"{text}"}}"#);
        assert_eq!(Answer::parse(body.as_bytes()).unwrap().error_info, read, "{text}");
    }
}

#[test]
fn fields_that_are_not_documented_are_named_by_their_path_and_values_are_not() {
    let answer = Answer::parse(&body("unknown-keys.json")).unwrap();
    assert_eq!(
        answer.unknown_fields,
        [
            "RequestId",
            "InstanceTrace[].Battery",
            "InstanceTrace[].IMCommitStat.Extra",
            "InstanceTrace[].IMCommitStat.IMStat.TraceId"
        ]
    );
    assert_eq!(answer.drift, []);
    let secret = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";
    let keys = [secret, "user-7", "7", "", "\u{200b}", "eJx1234", &"x".repeat(41)];
    let mut value = json!({"ActionStatus": "OK", "ErrorCode": 0, "PlatformPostSendDeliveredLoss": 1});
    for key in keys {
        value[key] = json!(1);
    }
    let hidden = "(a key that is no name of a field)";
    let mut fields = parse(&value).unwrap().unknown_fields;
    fields.sort();
    assert_eq!(fields, [hidden, "PlatformPostSendDeliveredLoss"]);
    let many: serde_json::Map<String, Value> = ('a'..='z').map(|c| (c.to_string(), json!(1))).collect();
    let mut value = json!({"ActionStatus": "OK", "ErrorCode": 0});
    value.as_object_mut().unwrap().extend(many);
    assert_eq!(parse(&value).unwrap().unknown_fields.len(), MAX_UNKNOWN_FIELDS);
}

#[test]
fn a_field_that_is_called_as_the_user_is_not_named() {
    let body = json!({"ActionStatus": "OK", "ErrorCode": 0, "Zoe": 1, "zoe_b": 1, "Zo": 1,
        "InstanceTrace": [{"ZOE_B": 1, "for_zoe_b": 1, "Battery": 1}]});
    let fields = |user: &str| parse(&body).unwrap().without_user(user).unknown_fields;
    let (hidden, below) =
        ("(a key that is no name of a field)", "InstanceTrace[].(a key that is no name of a field)");
    let mut left = fields("Zoe_B");
    left.sort();
    assert_eq!(left, [hidden, below, "InstanceTrace[].Battery", "Zo", "Zoe"].map(str::to_owned));
    // A short id is left out where it is the whole name.
    assert!(fields("zo").contains(&"Zoe".to_owned()) && !fields("zo").contains(&"Zo".to_owned()));
}
