//! Questions over the wire: checks, rate, lock-out, pairs, account and handles.
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{
    APP, Client, KEY, now_seconds, options, question, settled, trace_path, trace_path_of, usersig,
};
use crate::sim::{Arrivals, Options, Pair, PopulationOptions, Sums, UnknownPairs, start};

#[tokio::test]
async fn every_flaw_of_a_question_has_its_code() {
    let simulator = start(Options { lockout_failures: 1_000, ..settled(1, 1) }).unwrap();
    let Pair { task, user, .. } = simulator.pairs(APP)[0].clone();
    let body = question(&task, &user);
    let now = now_seconds();
    let sig = |identifier, app, key, time| usersig(identifier, app, key, time);
    let signed =
        |sig: &str, changes: &[(&str, &str)]| trace_path_of(&[&[("usersig", sig)], changes].concat());
    let good = sig("administrator", APP, KEY, now);
    let cases = [
        (signed(&good, &[]), body.as_str(), 0),
        (signed(&good.replace('*', "%2A"), &[]), &body, 0),
        (signed("", &[]), &body, 70002),
        (signed("nonsense", &[]), &body, 70003),
        (signed(&good[..good.len() - 8], &[]), &body, 70003),
        (signed(&sig("administrator", APP + 1, KEY, now), &[]), &body, 70014),
        (signed(&good, &[("identifier", "Administrator")]), &body, 70013),
        (signed(&sig("administrator", APP, KEY, now - 120), &[]), &body, 70001),
        (signed(&sig("administrator", APP, "other", now), &[]), &body, 70009),
        (signed(&sig("administrator", APP, "other", now - 120), &[]), &body, 70001),
        (signed(&sig("bob", APP, KEY, now), &[("identifier", "bob")]), &body, 90009),
        (signed(&good, &[("sdkappid", "1400000009")]), &body, 70020),
        (signed(&good, &[("sdkappid", "")]), &body, 60012),
        (signed(&good, &[("sdkappid", "shop")]), &body, 60006),
        (signed(&good, &[("identifier", "")]), &body, 60025),
        (signed(&good, &[("contenttype", "xml")]), &body, 60025),
        (signed(&good, &[("random", "4294967296")]), &body, 60002),
    ];
    let mut client = Client::new(&simulator).await;
    for (path, body, code) in &cases {
        let answer = client.call("POST", path, body).await;
        assert_eq!((answer.status, answer.code()), (200, *code), "{path} {body}");
        let status = if *code == 0 { "OK" } else { "FAIL" };
        assert_eq!(answer.json()["ActionStatus"], status);
    }
    let arrivals = simulator.arrivals();
    assert_eq!(arrivals.apps[0].answers["0"], 2);
    assert_eq!(arrivals.apps[0].answers["70009"], 1);
    // Of the cases, three name no app of this simulator.
    assert_eq!((arrivals.apps[0].requests, arrivals.stranger_requests), (cases.len() as u64 - 3, 3));
    simulator.stop().await;
}

#[tokio::test]
async fn every_flaw_of_a_body_has_its_code() {
    let simulator = start(settled(1, 1)).unwrap();
    let mut client = Client::new(&simulator).await;
    let cases = [
        ("{", 60003),
        ("", 60003),
        ("{}", 90100),
        (r#"{"TaskID": "t", "UserID": ""}"#, 90100),
        (r#"{"TaskID": 7, "UserID": "u"}"#, 90100),
        (r#"{"TaskId": "t", "UserID": "u"}"#, 90100),
        (r#"{"TaskID": "t", "UserID": "u"}"#, 90049),
    ];
    for (body, code) in cases {
        assert_eq!(client.call("POST", &trace_path(), body).await.code(), code, "{body}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn other_paths_and_methods_do_not_exist() {
    let simulator = start(settled(1, 1)).unwrap();
    let mut client = Client::new(&simulator).await;
    let other = trace_path().replace("all_member_push_trace", "normal_push_trace");
    for (method, path) in [("GET", trace_path()), ("POST", other), ("GET", "/".to_owned())] {
        let answer = client.call(method, &path, "").await;
        assert_eq!((answer.status, answer.code()), (200, 60009), "{method} {path}");
    }
    assert_eq!(simulator.arrivals().apps[0].requests, 0);
    simulator.stop().await;
}

#[tokio::test]
async fn the_documented_envelope_is_kept() {
    let simulator = start(settled(3, 30)).unwrap();
    let mut client = Client::new(&simulator).await;
    let pushed: Vec<Pair> = simulator.pairs(APP);
    let mut elements = 0;
    for Pair { task, user, pushed_at } in &pushed {
        let answer = client.ask(task, user).await.json();
        assert_eq!((&answer["ErrorInfo"], &answer["ErrorCode"]), (&json!("sucess"), &json!(0)));
        for element in answer["InstanceTrace"].as_array().unwrap() {
            let wanted = crate::sim::calendar::stamp(pushed_at * 1_000_000, 8 * 3_600);
            assert_eq!(element["PushTime"], wanted.as_str());
            assert!(element["InstanceId"].as_str().unwrap().parse::<u64>().is_ok());
            let online = element["EventType"] == 2;
            assert_eq!(element["PushPlatform"] == 0, online);
            elements += 1;
        }
    }
    assert!(elements >= pushed.len());
    simulator.stop().await;
}

#[tokio::test]
async fn what_comes_too_early_is_refused_and_counted() {
    let rate = Options { requests_per_second: 1e-3, ..settled(1, 1) };
    let simulator = start(rate).unwrap();
    let mut client = Client::new(&simulator).await;
    let Pair { task, user, .. } = simulator.pairs(APP)[0].clone();
    assert_eq!(client.ask(&task, &user).await.code(), 0);
    assert_eq!(client.ask(&task, &user).await.code(), 60007);
    // A request without a signature breaks the rate as well.
    let unsigned = client.call("POST", &trace_path_of(&[("usersig", "")]), "").await;
    assert_eq!(unsigned.code(), 60007);
    let arrivals = simulator.arrivals();
    let app = &arrivals.apps[0];
    assert_eq!((app.sdk_app_id, app.requests, app.early_requests), (APP, 3, 2));
    let micros = &app.arrivals_micros;
    let smallest = micros.windows(2).map(|two| two[1] - two[0]).min().unwrap() as f64 / 1e6;
    assert!((app.smallest_gap_seconds.unwrap() - smallest).abs() < 2e-6);
    simulator.stop().await;
}

#[tokio::test]
async fn bad_signatures_lock_the_app_out_until_the_window_has_passed() {
    // Long enough that the second failure lies within it, however busy the machine is.
    let window = Duration::from_secs(2);
    let simulator = start(Options { lockout_failures: 2, lockout_window: window, ..settled(1, 1) }).unwrap();
    let mut client = Client::new(&simulator).await;
    let Pair { task, user, .. } = simulator.pairs(APP)[0].clone();
    let bad = trace_path_of(&[("usersig", "nonsense")]);
    assert_eq!(client.call("POST", &bad, "{}").await.code(), 70003);
    let not_locked = Instant::now();
    assert_eq!(client.call("POST", &bad, "{}").await.code(), 70003);
    loop {
        let code = client.ask(&task, &user).await.code();
        assert!(not_locked.elapsed() < Duration::from_secs(20), "still {code}");
        if code == 0 {
            break;
        }
        assert_eq!(code, 70050);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The clock of this test starts before that of the lock-out.
    assert!(not_locked.elapsed() >= window, "only {:?}", not_locked.elapsed());
    assert!(simulator.arrivals().apps[0].answers["70050"] > 0);
    simulator.stop().await;
}

#[tokio::test]
async fn once_all_is_read_the_account_is_the_truth() {
    let second = crate::sim::Account::new(APP + 1, "root", KEY);
    let mut options = settled(6, 40);
    options.apps.push(second);
    let simulator = start(options).unwrap();
    let mut client = Client::new(&simulator).await;
    let sig = usersig("root", APP + 1, KEY, now_seconds());
    let second = trace_path_of(&[("sdkappid", "1400000002"), ("identifier", "root"), ("usersig", &sig)]);
    for round in 0..2 {
        for (app, path) in [(APP, &trace_path()), (APP + 1, &second)] {
            for Pair { task, user, .. } in simulator.pairs(app) {
                assert_eq!(client.call("POST", path, &question(&task, &user)).await.code(), 0);
            }
        }
        let (account, truth) = (simulator.account(), simulator.truth());
        assert_eq!(account, truth, "round {round}");
        assert!(account.devices > 480 && account.total("failure") > 40, "{account:?}");
        let of = |app| {
            account.results.iter().filter(|sum| sum.sdk_app_id == app).map(|sum| sum.count).sum::<u64>()
        };
        assert!(of(APP) > 0 && of(APP + 1) > 0 && of(APP) != of(APP + 1));
        assert!(account.results.iter().all(|sum| (sum.route == "online") == (sum.platform == "im")));
    }
    simulator.stop().await;
}

#[tokio::test]
async fn pairs_out_of_reach_are_empty_or_unknown() {
    let day = 86_400;
    for (unknown_pairs, code) in [(UnknownPairs::Refuse, 90049), (UnknownPairs::Empty, 0)] {
        let population = PopulationOptions {
            tasks: 2,
            users_per_task: 1,
            push_span: Duration::from_secs(8 * day),
            past_share: 0.5,
        };
        let simulator = start(Options { population, unknown_pairs, ..options() }).unwrap();
        let mut client = Client::new(&simulator).await;
        let [old, new] = [0, 1].map(|index| simulator.pairs(APP)[index].clone());
        assert_eq!((now_seconds() - old.pushed_at) / day as i64, 8);
        let answer = client.ask(&old.task, &old.user).await;
        assert_eq!(answer.code(), code, "older than the history");
        assert_eq!(client.ask(&new.task, "nobody").await.code(), code);
        assert_eq!(client.ask("x", &new.user).await.code(), code);
        simulator.stop().await;
    }
    let population = PopulationOptions {
        tasks: 2,
        users_per_task: 1,
        push_span: Duration::from_secs(day),
        past_share: 0.0,
    };
    let simulator = start(Options { population, ..options() }).unwrap();
    let ahead = simulator.pairs(APP)[1].clone();
    assert!(ahead.pushed_at > now_seconds() + 1_000);
    let answer = Client::new(&simulator).await.ask(&ahead.task, &ahead.user).await;
    assert_eq!((answer.code(), &answer.json()["InstanceTrace"]), (0, &json!([])), "not pushed yet");
    simulator.stop().await;
}

#[tokio::test]
async fn the_handles_turn_the_simulator_from_outside() {
    let simulator = start(settled(2, 5)).unwrap();
    let mut client = Client::new(&simulator).await;
    let mut get = async |path: &str| client.call("GET", path, "").await.json();
    let pairs: Vec<Pair> = serde_json::from_value(get("/sim/pairs?sdk_app_id=1400000001").await).unwrap();
    assert_eq!(pairs, simulator.pairs(APP));
    assert_eq!(pairs.len(), 10);
    let truth: Sums = serde_json::from_value(get("/sim/truth").await).unwrap();
    assert_eq!(truth, simulator.truth());
    assert_eq!(serde_json::from_value::<Sums>(get("/sim/account").await).unwrap(), Sums::default());
    let arrivals: Arrivals = serde_json::from_value(get("/sim/arrivals").await).unwrap();
    assert_eq!(arrivals, simulator.arrivals());

    let Pair { task, user, .. } = pairs[0].clone();
    let canned = json!({"task": task, "user": user, "text": "not json {"}).to_string();
    let cases = [
        ("POST", "/sim/faults", r#"{"fault": {"kind": "error", "code": 60008}, "requests": 1}"#, 200),
        ("POST", "/sim/faults", r#"{"fault": {"kind": "eror"}}"#, 400),
        ("POST", "/sim/faults", r#"{"fault": {"kind": "html"}, "sdk_app_id": 5}"#, 400),
        ("POST", "/sim/answers", canned.as_str(), 200),
        ("POST", "/sim/answers", r#"{"task": "t", "user": "u"}"#, 400),
        ("POST", "/sim/outage", r#"{"platform": 3, "kind": "silent"}"#, 200),
        ("POST", "/sim/outage", r#"{"platform": "huawei", "kind": "fail"}"#, 200),
        ("POST", "/sim/outage", r#"{"platform": 9, "kind": "fail"}"#, 400),
        ("POST", "/sim/outage", r#"{"platform": "nokia", "kind": "fail"}"#, 400),
        ("DELETE", "/sim/outage", "", 200),
        ("GET", "/sim/pairs", "", 400),
        ("GET", "/sim/pairs?app=1", "", 400),
        ("PUT", "/sim/faults", "", 405),
        ("GET", "/sim/other", "", 404),
    ];
    for (method, path, body, status) in cases {
        let answer = client.call(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {answer:?}");
        assert_eq!(answer.json()["error"].is_string(), status != 200, "{answer:?}");
    }
    let orders = client.call("GET", "/sim/faults", "").await.json();
    assert_eq!(orders[0]["fault"], json!({"kind": "error", "code": 60008}));
    assert_eq!(client.ask(&task, &user).await.code(), 60008);
    assert_eq!(client.ask(&task, &user).await.body, b"not json {");
    assert_eq!(client.call("DELETE", "/sim/answers", "").await.status, 200);
    assert_eq!(client.ask(&task, &user).await.code(), 0);
    client.call("POST", "/sim/faults", r#"{"fault": {"kind": "forget"}}"#).await;
    assert_eq!(client.ask(&task, &user).await.json()["InstanceTrace"], Value::Array(Vec::new()));
    client.call("DELETE", "/sim/faults", "").await;
    assert_ne!(client.ask(&task, &user).await.json()["InstanceTrace"], Value::Array(Vec::new()));
    simulator.stop().await;
}
