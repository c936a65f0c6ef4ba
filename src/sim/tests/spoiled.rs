//! Answers spoiled on purpose: every fault, canned answers, outages, and the account of bent answers.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::client::{APP, Client, options, question, settled, trace_path};
use crate::sim::{
    CannedAnswer, Fault, FaultOrder, Options, OutageKind, OutageOrder, Pair, PopulationOptions, Refusal,
    Simulator, Sums, start,
};

async fn stage() -> (Simulator, Client, Pair) {
    let simulator = start(settled(1, 1)).unwrap();
    let (client, pair) = (Client::new(&simulator).await, simulator.pairs(APP)[0].clone());
    (simulator, client, pair)
}

#[tokio::test]
async fn replaced_answers_are_what_was_ordered_and_enter_no_account() {
    let (simulator, mut client, Pair { task, user, .. }) = stage().await;
    let whole = client.ask(&task, &user).await;
    let account = simulator.account();
    assert_ne!(account, Sums::default());
    let (fresh, mut client, pair) = stage().await;
    let mut spoiled = async |fault: Fault| {
        fresh.clear_faults();
        fresh.set_fault(fault).unwrap();
        client.ask(&pair.task, &pair.user).await
    };
    assert_eq!(spoiled(Fault::Error { code: -17 }).await.code(), -17);
    let echo = spoiled(Fault::SecretEcho).await;
    assert!(echo.json()["ErrorInfo"].as_str().unwrap().contains("&usersig=eA"), "{echo:?}");
    assert_eq!(spoiled(Fault::Http { status: 502 }).await.status, 502);
    assert_eq!(spoiled(Fault::Http { status: 429 }).await.status, 429);
    let redirect = spoiled(Fault::Http { status: 302 }).await;
    assert!(
        redirect.status == 302
            && redirect.head.contains("\nlocation: /v4/timpush/all_member_push_trace?sdkappid=")
    );
    let nothing = spoiled(Fault::Http { status: 204 }).await;
    assert_eq!((nothing.status, nothing.body.len()), (204, 0));
    let page = spoiled(Fault::Html).await;
    assert!(page.status == 200 && page.body.starts_with(b"<html>") && page.head.contains("text/html"));
    let half = spoiled(Fault::HalfJson).await;
    assert!(serde_json::from_slice::<Value>(&half.body).is_err() && half.body.len() > 100);
    assert!(whole.body.len() > half.body.len());
    let huge = spoiled(Fault::Huge { bytes: 300_001 }).await;
    assert_eq!((huge.body.len(), huge.json()), (300_001, json!({})));
    let empty = spoiled(Fault::Forget).await;
    assert_eq!((empty.code(), &empty.json()["InstanceTrace"]), (0, &json!([])));
    assert_eq!(fresh.account(), Sums::default());
    fresh.clear_faults();
    assert_eq!(client.ask(&pair.task, &pair.user).await.code(), 0);
    assert_eq!(fresh.account(), account, "what is handed out counts again, once the faults are cleared");
    fresh.stop().await;
    simulator.stop().await;
}

#[tokio::test]
async fn a_reset_breaks_the_connection_before_or_within_the_answer() {
    let (simulator, _, Pair { task, user, .. }) = stage().await;
    for mid_response in [false, true] {
        let fault = Fault::Reset { mid_response };
        simulator.set_fault(FaultOrder { requests: Some(1), ..fault.into() }).unwrap();
        let mut client = Client::new(&simulator).await;
        client.send("POST", &trace_path(), &question(&task, &user)).await;
        let error = client.receive().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "mid_response {mid_response}");
    }
    assert_eq!(simulator.account(), Sums::default());
    assert_eq!(Client::new(&simulator).await.ask(&task, &user).await.code(), 0);
    simulator.stop().await;
}

#[tokio::test]
async fn a_hanging_answer_never_comes_and_stopping_ends_it() {
    let (simulator, mut client, Pair { task, user, .. }) = stage().await;
    simulator.set_fault(Fault::Hang).unwrap();
    client.send("POST", &trace_path(), &question(&task, &user)).await;
    let arrived = async {
        while simulator.arrivals().apps[0].requests == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the question arrives");
    let silence = tokio::time::timeout(Duration::from_millis(300), client.receive()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(simulator.arrivals().apps[0].requests, 1);
    simulator.stop().await;
    assert!(client.receive().await.is_err());
}

#[tokio::test]
async fn a_slow_answer_is_the_whole_answer_later() {
    let (simulator, mut client, Pair { task, user, .. }) = stage().await;
    let slow = Fault::Slow { milliseconds: 250 };
    simulator.set_fault(FaultOrder { fault: slow, sdk_app_id: Some(APP), requests: Some(1) }).unwrap();
    let started = Instant::now();
    assert_eq!(client.ask(&task, &user).await.code(), 0);
    assert!(started.elapsed() >= Duration::from_millis(250));
    assert_eq!(simulator.account(), simulator.truth());
    let strange = FaultOrder { sdk_app_id: Some(5), ..Fault::Html.into() };
    assert_eq!(simulator.set_fault(strange), Err(Refusal::UnknownApp(5)));
    simulator.stop().await;
}

#[tokio::test]
async fn canned_answers_are_served_to_the_byte_and_enter_no_account() {
    let (simulator, mut client, Pair { task, user, .. }) = stage().await;
    let raw = b"\xff\xfe{\"ErrorCode\":".as_slice();
    simulator.set_answer(CannedAnswer::raw(&task, &user, raw)).unwrap();
    simulator.set_answer(CannedAnswer::json("made", "up", json!({"ErrorCode": 7}))).unwrap();
    assert_eq!(client.ask(&task, &user).await.body, raw);
    assert_eq!(client.ask("made", "up").await.body, br#"{"ErrorCode":7}"#);
    let of_app = CannedAnswer { sdk_app_id: Some(APP), ..CannedAnswer::json("made", "up", json!(8)) };
    simulator.set_answer(of_app).unwrap();
    assert_eq!(client.ask("made", "up").await.body, b"8");
    assert_eq!(simulator.account(), Sums::default());
    simulator.clear_answers();
    assert_eq!(client.ask("made", "up").await.code(), 90049);
    simulator.stop().await;
}

#[tokio::test]
async fn an_outage_shows_in_what_happens_after_it() {
    // Everything of a task happens within a moment of its push; the pushes lie within the next twelve seconds, of which
    // the outage needs three and what follows it two.
    let population = PopulationOptions {
        tasks: 200,
        users_per_task: 20,
        push_span: Duration::from_secs(12),
        past_share: 0.0,
    };
    let simulator = start(Options { population, speed: 1e9, ..options() }).unwrap();
    for platform in 1..=8 {
        simulator.outage(OutageOrder { platform, kind: OutageKind::Fail, sdk_app_id: None }).unwrap();
    }
    let before = channel_results(&simulator, "success");
    reaches(&simulator, "failure", 1_000).await;
    assert!(channel_results(&simulator, "success") < before + 100, "only what was pushed before the outage");
    simulator.end_outages();
    let failed = channel_results(&simulator, "failure");
    let succeeded = channel_results(&simulator, "success");
    reaches(&simulator, "success", succeeded + 500).await;
    assert!(channel_results(&simulator, "failure") >= failed, "what the outage did stays");

    let unknown = OutageOrder { platform: 0, kind: OutageKind::Fail, sdk_app_id: None };
    assert_eq!(simulator.outage(unknown), Err(Refusal::UnknownPlatform(0)));
    simulator.stop().await;
}

fn channel_results(simulator: &Simulator, outcome: &str) -> u64 {
    let truth = simulator.truth();
    let of_vendors = truth
        .results
        .iter()
        .filter(|sum| sum.stage == "channel" && sum.route == "offline" && sum.outcome == outcome);
    of_vendors.map(|sum| sum.count).sum()
}

/// Waits until so many results have happened.
async fn reaches(simulator: &Simulator, outcome: &str, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while channel_results(simulator, outcome) < count {
        assert!(Instant::now() < deadline, "{:?}", simulator.truth());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Reads an answer as the manual's traps demand, by other code than that which made it.
fn read(answer: &Value, pair: &Pair, seen: &mut BTreeMap<(String, String, u64), BTreeSet<String>>) {
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    assert_eq!(number(&answer["ErrorCode"]), Some(0));
    for element in answer["InstanceTrace"].as_array().unwrap_or(&Vec::new()) {
        let event_type = number(&element["EventType"]).unwrap() as u64;
        let vendor = match number(&element["PushPlatform"]).unwrap() {
            known @ 1..=8 => ["apns", "xiaomi", "huawei", "fcm", "meizu", "oppo", "vivo", "honor"]
                [known as usize - 1]
                .to_owned(),
            other => format!("platform_{other}"),
        };
        let of_event = if event_type == 2 { "online" } else { "offline" };
        let leaves = [
            (of_event, "im", "/IMCommitStat/IMStat"),
            ("offline", "offline", "/OfflinePushStat/OfflineStat"),
            ("offline", "channel", "/OfflinePushStat/ChannelStat"),
            ("offline", "device", "/OfflinePushStat/DeviceStat"),
            ("offline", "click", "/OfflinePushStat/ClickStat"),
            ("online", "channel", "/OnlinePushStat/ChannelStat"),
            ("online", "device", "/OnlinePushStat/DeviceStat"),
        ];
        let instance = element["InstanceId"].as_str().unwrap();
        let device = (format!("{} {}", pair.task, pair.user), instance.to_owned(), event_type);
        for (route, stage, path) in leaves {
            let leaf = element.pointer(path).unwrap_or(&Value::Null);
            let outcome = match number(&leaf["PushStatus"]) {
                Some(1) => "success".to_owned(),
                Some(2) => format!("failure {}", number(&leaf["ErrorCode"]).unwrap()),
                _ => continue,
            };
            let platform = if route == "online" { "im" } else { vendor.as_str() };
            seen.entry(device.clone()).or_default().insert(format!("{route} {stage} {platform} {outcome}"));
        }
    }
}

#[tokio::test]
async fn bent_answers_leave_the_shape_and_keep_the_account() {
    let simulator = start(settled(4, 60)).unwrap();
    simulator.set_fault(Fault::Drift).unwrap();
    let mut client = Client::new(&simulator).await;
    let (mut seen, mut text) = (BTreeMap::new(), String::new());
    for round in 0..4 {
        for pair in simulator.pairs(APP) {
            let answer = client.ask(&pair.task, &pair.user).await;
            read(&answer.json(), &pair, &mut seen);
            text.push_str(std::str::from_utf8(&answer.body).unwrap());
        }
        let account = simulator.account();
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        seen.values().flatten().for_each(|result| *wanted.entry(result).or_default() += 1);
        let failures = account.failures.iter().map(|sum| {
            (format!("{} {} {} failure {}", sum.route, sum.stage, sum.platform, sum.code), sum.count)
        });
        let successes = account.results.iter().filter(|sum| sum.outcome == "success");
        let successes =
            successes.map(|sum| (format!("{} {} {} success", sum.route, sum.stage, sum.platform), sum.count));
        let counted: BTreeMap<String, u64> = failures.chain(successes).collect();
        let wanted: BTreeMap<String, u64> =
            wanted.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(counted, wanted, "round {round}");
        assert_eq!(account.devices, seen.values().filter(|results| !results.is_empty()).count() as u64);
    }
    let traps = [
        "\"PushStatus\":\"1\"",
        "\"PushStatus\":3",
        "\"PushStatus\":null",
        "\"PushStatus\":\"unknown\"",
        "\"PushPlatform\":9",
        "\"ErrorCode\":\"410\"",
        "\"EventType\":\"2\"",
        "Stat\":null",
        "\"EventTime\":\"yesterday\"",
        "\"EventTime\":null",
        "\"PushTime\":\"\"",
        "\"InstanceTrace\":[",
        "HarmonyStat",
        "推送失败",
        "\"ErrorCode\":\"0\"",
    ];
    for trap in traps {
        assert!(text.contains(trap), "{trap} never came");
    }
    simulator.stop().await;
}
