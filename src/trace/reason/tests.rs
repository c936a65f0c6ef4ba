//! The data file is sound, and says what the domain sheet says.

use super::*;

/// Section 8 of the domain sheet: stage, platform, codes, text, reason.
const SHEET: &str = "
    im      unknown -1  -                           no_certificate
    offline unknown -1  -                           no_certificate
    offline xiaomi  -1  -                           no_certificate
    offline apns    -2  -                           no_token
    im      im      -2  -                           no_token
    channel meizu   -1  -                           unknown
    channel vivo    1   regid_invalid               invalid_token
    channel xiaomi  1   regid_invalid               invalid_token
    channel xiaomi  1   -                           vendor_down
    channel apns    400 -                           unknown
    channel apns    400 BadDeviceToken              invalid_token
    channel apns    400 DeviceTokenNotForTopic      invalid_token
    channel apns    400 MissingDeviceToken          invalid_token
    channel apns    400 BadTopic                    credential
    channel apns    400 TopicDisallowed             credential
    channel apns    400 MissingTopic                credential
    channel apns    400 BadCollapseId               payload
    channel apns    400 BadExpirationDate           payload
    channel apns    400 BadMessageId                payload
    channel apns    400 BadPriority                 payload
    channel apns    400 DuplicateHeaders            payload
    channel apns    400 InvalidPushType             payload
    channel apns    400 PayloadEmpty                payload
    channel apns    400 IdleTimeout                 vendor_down
    channel apns    403 InvalidProviderToken        credential
    channel apns    0   ExpiredProviderToken        credential
    channel apns    0   BadCertificateEnvironment   credential
    channel apns    403,0 Forbidden                 credential
    channel apns    404,405 -                       payload
    channel apns    0   BadPath                     payload
    channel apns    410 -                           invalid_token
    device  apns    410 Unregistered                invalid_token
    channel apns    0   Unregistered                invalid_token
    channel apns    0   ExpiredToken                invalid_token
    channel apns    413 -                           payload
    channel apns    429 TooManyRequests             quota
    channel apns    429,0 TooManyProviderTokenUpdates credential
    channel apns    500,503 -                       vendor_down
    channel apns    0   Shutdown                    vendor_down
    channel fcm     404 -                           invalid_token
    channel fcm     0   UNREGISTERED                invalid_token
    channel fcm     403,0 SENDER_ID_MISMATCH        credential
    channel fcm     400,0 INVALID_ARGUMENT          payload
    channel fcm     400,0 INVALID_ARGUMENT:The-registration-token-is-not-a-valid-FCM-registration-token invalid_token
    channel fcm     429,0 QUOTA_EXCEEDED            quota
    channel fcm     401,0 THIRD_PARTY_AUTH_ERROR    credential
    channel fcm     503,0 UNAVAILABLE               vendor_down
    channel fcm     500,0 INTERNAL                  vendor_down
    channel fcm     0   UNSPECIFIED_ERROR           unknown
    channel xiaomi  -1,1,10001,10002,10003,20301,20607,22102,26003,65029 - vendor_down
    channel xiaomi  10008,10012,10016,10017,21305,65009,65011,65014,65015,27001 - payload
    channel xiaomi  10027,10034,26004,26005 -       quota
    channel xiaomi  10029,65003 -                   invalid_token
    channel xiaomi  10031,10036,26006 -             app_blocked
    channel xiaomi  21301,21302,21303,22000,22006,22007,22022 - credential
    channel huawei  80200001,80200003 -             credential
    channel honor   80200001,80200003 -             credential
    channel huawei  80300007 -                      invalid_token
    channel honor   80300007 -                      invalid_token
    channel huawei  80300010,80300008,80100003 -    payload
    channel huawei  80100016 -                      content_blocked
    channel huawei  80100000 -                      invalid_token
    channel huawei  80300002 -                      credential
    channel honor   81000001 -                      vendor_down
    device  huawei  2,5,22,144 -                    invalid_token
    device  honor   2,5,22,144 -                    invalid_token
    device  huawei  6,10,201 -                      user_blocked
    device  huawei  14  -                           vendor_down
    device  huawei  15,102 -                        quota
    device  huawei  27,51 -                         unknown
    device  huawei  31  -                           payload
    channel huawei  2,6,15 -                        unknown
    channel oppo    10000 -                         invalid_token
    channel oppo    33,13 -                         quota
    channel oppo    11,12,14,15,16,17,18,19,29 -    credential
    channel oppo    28,51 -                         app_blocked
    channel oppo    40,41 -                         payload
    channel oppo    -1  -                           vendor_down
    channel vivo    10302 -                         invalid_token
    channel vivo    10070,10071,10072,10073 -       quota
    channel vivo    10000 -                         credential
    channel vivo    10101,10103 -                   content_blocked
    channel vivo    10102 -                         vendor_down
    channel meizu   110002,110003 -                 invalid_token
    channel meizu   110010 -                        quota
    channel meizu   110000,110001,1006 -            credential
    channel meizu   110009 -                        app_blocked
    channel meizu   1001,1003 -                     vendor_down
    channel meizu   110004,1005 -                   payload
    channel im      410,503 -                       unknown
    click   apns    410 -                           unknown
    channel honor   99  app.blacklisted!            app_blocked
";

#[test]
fn every_code_of_the_sheet_has_its_reason() {
    for line in SHEET.lines().filter(|line| !line.trim().is_empty()) {
        let [stage, platform, codes, info, expected] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("five columns: {line}")
        };
        let stage = Stage::ALL.into_iter().find(|s| s.as_str() == stage).unwrap();
        let platform = Platform::from_name(platform).unwrap();
        let info = if info == "-" { "" } else { info };
        for code in codes.split(',').map(|code| code.parse().unwrap()) {
            assert_eq!(of(stage, platform, code, info).as_str(), expected, "{code} in {line}");
        }
    }
}

#[test]
fn a_platform_without_a_name_has_only_the_words_of_all() {
    assert_eq!(of(Stage::Channel, Platform::Vendor(9), 410, ""), Reason::Unknown);
    assert_eq!(
        of(Stage::Channel, Platform::Vendor(9), 7, "regId invalid: regid_invalid"),
        Reason::InvalidToken
    );
}

/// One case that a row decides: stage, platform, code and keyword, `None` for a star.
type Place = (Option<Stage>, Option<Platform>, Option<i64>, String);

/// All that one row of the file decides, taken apart.
fn places(row: &Row) -> Vec<Place> {
    fn each<T: Copy>(list: &[T]) -> Vec<Option<T>> {
        if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() }
    }
    let mut places = Vec::new();
    for stage in each(&row.stages) {
        for platform in each(&row.platforms) {
            for code in each(&row.codes) {
                places.push((stage, platform, code, row.keyword.clone()));
            }
        }
    }
    places
}

#[test]
fn the_table_decides_nothing_twice() {
    let rows = parse(include_str!("../reasons.tsv")).unwrap();
    assert!(rows.len() > 80, "{} rows", rows.len());
    let mut all: Vec<_> = rows.iter().flat_map(places).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count);
    for row in &rows {
        assert!(row.keyword.is_empty() || row.keyword.chars().count() >= 7, "short word: {row:?}");
        assert!(!row.codes.contains(&0), "0 is no failure: {row:?}");
    }
}

#[test]
fn a_faulty_line_is_named() {
    for (text, fault) in [
        ("# fine\nim\t*\t1\t*", "line 2: 4 columns, 5 wanted"),
        ("tap\t*\t1\t*\tquota", "line 1: \"tap\" is not known"),
        ("im\tapple\t1\t*\tquota", "line 1: \"apple\" is not known"),
        ("im\t*\tone\t*\tquota", "line 1: \"one\" is not known"),
        ("im\t*\t1\t*\tbad", "line 1: no reason is called \"bad\""),
        ("im\t*\t*\t*\tquota", "line 1: a row needs a code or a keyword"),
    ] {
        assert_eq!(parse(text).unwrap_err(), fault);
    }
}

#[test]
fn every_reason_says_who_must_act() {
    for reason in Reason::ALL {
        let told = reason.who(Stage::Channel, Platform::Vendor(1));
        let (who, what) = told.split_once(": ").or(told.split_once(" (")).unwrap();
        assert!(!who.is_empty() && !what.is_empty(), "{reason:?}");
        assert_eq!(Reason::from_word(reason.as_str()), Some(reason));
    }
}

#[test]
fn a_code_that_nobody_knows_is_tencents_until_a_vendor_has_the_push() {
    let who = |stage, platform| Reason::Unknown.who(stage, platform).split_once(": ").unwrap().0;
    for (stage, platform, expected) in [
        (Stage::Im, Platform::Vendor(1), "Tencent"),
        (Stage::Offline, Platform::Vendor(3), "Tencent"),
        (Stage::Channel, Platform::Vendor(3), "app operator"),
        (Stage::Device, Platform::Vendor(3), "app operator"),
        (Stage::Channel, Platform::Im, "Tencent"),
        (Stage::Device, Platform::Im, "Tencent"),
    ] {
        assert_eq!(who(stage, platform), expected, "{stage:?} {platform}");
    }
}
