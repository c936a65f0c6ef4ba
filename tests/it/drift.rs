//! What the upstream adds to its answers: told and counted once, however often it comes.

use serde_json::json;

use crate::support::answers::{SUCCESS, offline};
use crate::support::listener::{Listener, Reply};
use crate::support::{AppText, FIRST_APP, Place};

/// So many answers are as they were first.
const BEFORE: usize = 15;

#[test]
fn an_additive_field_or_number_counts_once_for_its_name() {
    let upstream = Listener::start(|seen| {
        let mut answer = offline(&[SUCCESS, SUCCESS]);
        answer["RequestId"] = json!(seen.number);
        let device = &mut answer["InstanceTrace"][0];
        device["PushPlatform"] = json!(9);
        device["OfflinePushStat"]["ChannelStat"]["Vendor"] = json!({"name": "x"});
        if seen.number >= BEFORE {
            device["Battery"] = json!(80);
        }
        Reply::ok(&answer.to_string())
    });
    let app = AppText::new("shop", FIRST_APP, &upstream.url(), 20.0).users("t", 200);
    let place = Place::new(&app.config());
    let daemon = place.serve(&[]);
    let drift = |kind: &str| daemon.scrape().value("timpush_api_drift_total", &[("kind", kind)]);
    upstream.await_seen(BEFORE);
    assert_eq!((drift("unknown_field"), drift("enum_value")), (Some(2.0), Some(1.0)));
    upstream.await_seen(2 * BEFORE);
    daemon.scrape_until("the later field is counted", |s| {
        s.value("timpush_api_drift_total", &[("kind", "unknown_field")]) == Some(3.0)
    });
    let asked = upstream.seen().len();
    upstream.await_seen(asked + BEFORE);
    assert_eq!((drift("unknown_field"), drift("enum_value")), (Some(3.0), Some(1.0)));
    let log = daemon.log();
    for name in [
        "RequestId",
        "InstanceTrace[].OfflinePushStat.ChannelStat.Vendor",
        "InstanceTrace[].Battery",
        "PushPlatform 9",
    ] {
        assert_eq!(log.matches(name).count(), 1, "{name}: {log}");
    }
    let devices = [("platform", "platform_9"), ("stage", "offline"), ("outcome", "success")];
    assert!(daemon.scrape().sum("timpush_stage_results_total", &devices) > 0.0, "what can be read counts");
}
