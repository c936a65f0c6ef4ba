//! What clients of the API get, and that the document describes just that.

mod document;

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::http::Limits;
use crate::http::tests::{Answer, send};
use crate::metrics::{PairStates, PushView};
use crate::schedule::State;
use crate::trace::{Notifications, Outcome, Platform, Reason, Route, Stage};
use crate::view::{
    Added, AppStatus, Chain, DeviceChain, LatestFailure, Page, PairName, Post, PushFailure, Query,
    RecentStage, Removed, SourceStatus, StageView, Status, Target, Watch, WatchQuery, WatchQueryError,
    WatchStore, WatchStoreError,
};
use crate::web::privacy::NO_USERS;
use crate::web::tests::{Running, dependencies, start_from};

const AT: i64 = 1_795_000_000;
const AT_TEXT: &str = "2026-11-18T11:06:40Z";
/// A user whose every character is a trouble of its own in a path.
const USER: &str = "ä/%2F?\u{0}#";
const USER_PATH: &str = "%C3%A4%2F%252F%3F%00%23";

/// Knows one pair, and keeps what it was asked.
#[derive(Clone, Default)]
struct Fake {
    queries: Arc<Mutex<Vec<Query>>>,
    names: Arc<Mutex<Vec<PairName>>>,
    posts: Arc<Mutex<Vec<Post>>>,
    targets: Arc<Mutex<Vec<Target>>>,
}

fn watch() -> Watch {
    Watch {
        app: "shop".into(),
        task: "t/1".to_owned(),
        user: USER.to_owned(),
        state: State::Active,
        labels: [("campaign".into(), "spring".into())].into(),
        pushed_at: Some(AT),
        last_polled_at: Some(AT + 1),
        next_poll_at: None,
        failed_devices: 1,
    }
}

fn chain() -> Chain {
    let stage = StageView {
        stage: Stage::Channel,
        outcome: Some(Outcome::Failure),
        code: Some(410),
        reason: Some(Reason::InvalidToken),
        at: Some(AT),
        seen_at: Some(AT),
        delay_seconds: Some(3),
        awaited: false,
        overdue_from: None,
    };
    let device = DeviceChain {
        instance: "1".to_owned(),
        route: Route::Offline,
        platform: Platform::Vendor(1),
        notifications: Notifications::On,
        pushed_at: Some(AT),
        stages: vec![stage, StageView { outcome: None, ..stage }],
    };
    Chain { watch: watch(), added_at: AT, ends_at: AT, devices: vec![device], is_full: false }
}

impl WatchQuery for Fake {
    fn watches(&self, query: Query) -> BoxFuture<'static, Result<Page, WatchQueryError>> {
        let answer = match (query.app.as_deref(), &query.after) {
            (Some("none"), _) => Err(WatchQueryError::NoApp("none".to_owned())),
            (_, Some(_)) => Err(WatchQueryError::NoPlace),
            _ => Ok(Page { total: 2, next: Some("there".to_owned()), watches: vec![watch()] }),
        };
        self.queries.lock().unwrap().push(query);
        Box::pin(async { answer })
    }

    fn chain(&self, name: PairName) -> BoxFuture<'static, Result<Chain, WatchQueryError>> {
        let known = name.task == "t/1";
        self.names.lock().unwrap().push(name);
        Box::pin(async move { if known { Ok(chain()) } else { Err(WatchQueryError::NoPair) } })
    }
}

impl WatchStore for Fake {
    fn add(&self, posts: Vec<Post>) -> BoxFuture<'static, Result<Added, WatchStoreError>> {
        let over = posts.iter().any(|post| post.entry.users.len() > 2);
        self.posts.lock().unwrap().extend(posts);
        Box::pin(async move {
            if over {
                return Err(WatchStoreError::OverCap { app: "shop".into(), would: 3, cap: 2 });
            }
            Ok(Added { added: 1, changed: 2, known: 3, not_polled: Vec::new() })
        })
    }

    fn remove(&self, target: Target) -> BoxFuture<'static, Result<Removed, WatchStoreError>> {
        let known = target.app == "shop";
        let no_app = WatchStoreError::NoApp(target.app.clone());
        self.targets.lock().unwrap().push(target);
        let removed = Removed { removed: 1, still_listed: 2 };
        Box::pin(async move { if known { Ok(removed) } else { Err(no_app) } })
    }
}

fn status() -> Status {
    let failure = PushFailure {
        task: "t/1".to_owned(),
        user: USER.to_owned(),
        route: Route::Offline,
        platform: Platform::Vendor(1),
        stage: Stage::Channel,
        code: 410,
        reason: Reason::InvalidToken,
        at: Some(AT),
        seen_at: AT,
    };
    let recent = RecentStage {
        route: Route::Online,
        platform: Platform::Im,
        stage: Stage::Channel,
        successes: 5,
        failures: 1,
        reasons: vec![(Reason::Unknown, 7, 1)],
    };
    let source = SourceStatus { is_read: true, last_success_at: Some(AT), ..SourceStatus::unread("static") };
    let app = AppStatus {
        name: "shop".to_owned(),
        pairs: PairStates { active: 1, ..PairStates::default() },
        latest_failure: Some(LatestFailure::own(AT, "quota")),
        sources: [source].into(),
        recent: [recent].into(),
        recent_since: AT,
        push_failures: [failure].into(),
        ..AppStatus::default()
    };
    Status { apps: vec![app], ..Status::default() }
}

async fn start(writes: bool) -> (Running, Fake) {
    let fake = Fake::default();
    let mut dependencies = dependencies(Limits { body_bytes: 4096, ..Limits::default() }, None);
    dependencies.queries = Box::new(fake.clone());
    dependencies.watch_store = writes.then(|| Box::new(fake.clone()) as Box<dyn WatchStore>);
    let running = start_from(dependencies).await;
    let labels = Arc::from([Box::from("campaign")]);
    running.app.publish_views(vec![PushView { app: "shop".into(), watch_labels: labels }]);
    running.app.publish_status(status());
    (running, fake)
}

async fn ask(running: &Running, what: &str) -> Answer {
    send(running.address, what, "", "").await
}

async fn post(running: &Running, body: &str) -> Answer {
    let headers = format!("content-length: {}\r\n", body.len());
    send(running.address, "POST /api/v1/watches", &headers, body).await
}

/// The data of a good answer.
fn data(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    let mut json: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{json}");
    json["data"].take()
}

/// The kind and text of an error.
fn error(answer: &Answer) -> (u16, String, String) {
    let json: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(json["status"], "error", "{json}");
    let text = |key: &str| json[key].as_str().unwrap().to_owned();
    (answer.status, text("errorType"), text("error"))
}

#[tokio::test]
async fn the_list_has_the_shape_of_the_contract() {
    let (running, fake) = start(false).await;
    let page = data(&ask(&running, "GET /api/v1/watches").await);
    assert_eq!(
        page["watches"][0],
        json!({"app": "shop", "task": "t/1", "user": USER, "state": "active",
        "labels": {"campaign": "spring"}, "pushed_at": AT_TEXT, "last_polled_at": "2026-11-18T11:06:41Z",
        "next_poll_at": null, "failed_devices": 1})
    );
    assert_eq!((&page["total"], &page["next"]), (&json!(2), &json!("there")));
    let path = "GET /api/v1/watches?app=shop&state=failing&search=a%2Fb+c&limit=7&failed=true";
    data(&ask(&running, path).await);
    let asked = fake.queries.lock().unwrap().clone();
    let wanted = Query { limit: 50, ..Query::default() };
    assert_eq!(asked[0], wanted);
    let (app, search) = (Some("shop".to_owned()), "a/b c".to_owned());
    let state = Some(State::Failing);
    assert_eq!(asked[1], Query { app, state, failed: true, search, limit: 7, ..wanted });
}

#[tokio::test]
async fn every_fault_of_a_query_is_told() {
    let (running, fake) = start(false).await;
    let path = "GET /api/v1/watches?state=dead&limit=1001&limit=1&sort=task&failed=yes";
    let (status, kind, text) = error(&ask(&running, path).await);
    assert_eq!((status, kind.as_str()), (400, "bad_data"));
    let lines: Vec<&str> = text.lines().collect();
    for (line, part) in
        lines.iter().zip(["state: is", "limit: is", "limit: is given twice", "sort\": is no", "failed: is"])
    {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(lines.len(), 5);
    let long = format!("GET /api/v1/watches?search={}", "x".repeat(257));
    assert_eq!(error(&ask(&running, &long).await).0, 400);
    assert!(fake.queries.lock().unwrap().is_empty());
    let (status, _, text) = error(&ask(&running, "GET /api/v1/watches?after=x").await);
    assert!(status == 400 && text.starts_with("after:"), "{text}");
    assert_eq!(error(&ask(&running, "GET /api/v1/watches?app=none").await).0, 404);
}

#[tokio::test]
async fn paths_take_any_id() {
    let (running, fake) = start(false).await;
    let pair = data(&ask(&running, &format!("GET /api/v1/watches/shop/t%2F1/{USER_PATH}")).await);
    assert_eq!((&pair["user"], &pair["added_at"]), (&json!(USER), &json!(AT_TEXT)));
    let stages = &pair["devices"][0]["stages"];
    assert_eq!((&stages[0]["outcome"], &stages[1]["outcome"]), (&json!("failure"), &json!("unreported")));
    let name = fake.names.lock().unwrap()[0].clone();
    assert_eq!(name.user, USER);
    for (spelled, id) in [("~.", "."), ("~..", ".."), ("~~.", "~."), ("~", "~")] {
        for place in ["/api/v1/watches", "/watches"] {
            ask(&running, &format!("GET {place}/shop/{spelled}/{spelled}")).await;
            let name = fake.names.lock().unwrap().last().unwrap().clone();
            assert_eq!((name.task.as_str(), name.user.as_str()), (id, id), "{place}");
        }
    }
    assert_eq!(fake.names.lock().unwrap().len(), 9);
    let (status, kind, _) = error(&ask(&running, "GET /api/v1/watches/shop/other/u").await);
    assert_eq!((status, kind.as_str()), (404, "not_found"));
    assert_eq!(error(&ask(&running, "GET /api/v1/watches/shop/t/%FF").await).0, 400);
    let wrong = ask(&running, "PUT /api/v1/watches/shop/t/u").await;
    assert_eq!((error(&wrong).0, wrong.header("allow")), (405, Some("GET,HEAD,DELETE,OPTIONS")));
}

#[tokio::test]
async fn users_are_hidden_from_those_who_come_from_elsewhere() {
    let (running, fake) = start(false).await;
    let far = "x-forwarded-for: 192.0.2.7\r\n";
    let status = send(running.address, "GET /api/v1/status", far, "").await;
    assert!(!status.text().contains('ä'), "{}", status.text());
    let status = data(&status);
    assert_eq!(
        (&status["users_hidden"], &status["apps"][0]["push_failures"][0]["user"]),
        (&json!(true), &Value::Null)
    );
    let pair = format!("/api/v1/watches/shop/t%2F1/{USER_PATH}");
    for path in ["/api/v1/watches", pair.as_str(), "/api/v1/watches/shop/other/u", "/api/v1/watches?search=x"]
    {
        let (status, kind, text) = error(&send(running.address, &format!("GET {path}"), far, "").await);
        assert_eq!((status, kind.as_str(), text.as_str()), (403, "forbidden", NO_USERS), "{path}");
    }
    assert!(fake.names.lock().unwrap().is_empty() && fake.queries.lock().unwrap().is_empty());
    let near = data(&ask(&running, "GET /api/v1/status").await);
    assert_eq!(
        (&near["users_hidden"], &near["apps"][0]["push_failures"][0]["user"]),
        (&json!(false), &json!(USER))
    );
}

#[tokio::test]
async fn nothing_is_written_without_the_flag() {
    let (running, _) = start(false).await;
    let delete = ["DELETE /api/v1/watches/shop/t", "DELETE /api/v1/watches/shop/t/u"];
    let mut answers = vec![post(&running, "[]").await];
    for what in delete {
        answers.push(ask(&running, what).await);
    }
    for answer in answers {
        let (status, kind, text) = error(&answer);
        assert_eq!((status, kind.as_str()), (403, "forbidden"));
        assert!(text.contains("--web.enable-watch-api"), "{text}");
    }
}

#[tokio::test]
async fn entries_are_read_as_in_files_all_or_none() {
    let (running, fake) = start(true).await;
    let one = r#"{"app":"shop","task":"t","users":["u"],"labels":{"campaign":"x"},"pushed_at":"2026-11-18T11:06:40Z"}"#;
    assert_eq!(data(&post(&running, one).await), json!({"added": 1, "changed": 2, "known": 3}));
    let read = fake.posts.lock().unwrap()[0].clone();
    assert_eq!((&*read.app, read.entry.pushed_at), ("shop", Some(AT)));
    let odd = r#"{"app":"shop","task":"t","users":["\u00a0u","'7"],"labels":null,"pushed_at":"9000-01-01T00:00:00Z"}"#;
    let warnings = data(&post(&running, odd).await)["warnings"].take();
    let warnings: Vec<&str> = warnings.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for (line, beginning) in warnings.iter().zip([
        "users[0]: has U+00A0 (no-break space) at an end",
        "users[1]: begins with the apostrophe",
        "pushed_at: is \"9000-01-01T00:00:00Z\", more than 30 days ahead",
    ]) {
        assert!(line.starts_with(beginning), "{line}");
    }
    assert_eq!(warnings.len(), 3);
    assert_eq!(fake.posts.lock().unwrap().pop().unwrap().entry.users, ["u", "'7"]);
    let faulty =
        format!(r#"[{one},{{"app":"shop","task":"t","users":[""]}},{{"app":"x","task":"t","users":["u"]}}]"#);
    let (status, _, text) = error(&post(&running, &faulty).await);
    assert_eq!((status, text.lines().count()), (400, 2));
    assert!(text.starts_with("body: [1].users[0]: is empty") && text.contains("body: [2].app:"), "{text}");
    for nonsense in ["", "{", "7", "\u{feff}"] {
        assert_eq!(error(&post(&running, nonsense).await).0, 400, "{nonsense}");
    }
    assert_eq!(fake.posts.lock().unwrap().len(), 1, "what has a fault is not handed on");
    let (status, _, text) = error(&post(&running, &one.replace(r#"["u"]"#, r#"["u","v","w"]"#)).await);
    assert!(status == 400 && text.contains("expected at most 2"), "{text}");
    let long = format!("[{}]", " ".repeat(5000));
    assert_eq!(error(&post(&running, &long).await).0, 413);
    let chunked = format!("{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let headers = "transfer-encoding: chunked\r\n";
    let answer = send(running.address, "POST /api/v1/watches", headers, &chunked).await;
    assert_eq!(error(&answer).0, 413);
    let foreign = "content-length: 2\r\nsec-fetch-site: cross-site\r\n";
    assert_eq!(error(&send(running.address, "POST /api/v1/watches", foreign, "[]").await).0, 403);
}

#[tokio::test]
async fn pairs_and_tasks_are_removed() {
    let (running, fake) = start(true).await;
    let pair = ask(&running, &format!("DELETE /api/v1/watches/shop/t%2F1/{USER_PATH}")).await;
    assert_eq!(data(&pair), json!({"removed": 1, "still_listed": 2}));
    data(&ask(&running, "DELETE /api/v1/watches/shop/t%2F1").await);
    assert_eq!(error(&ask(&running, "DELETE /api/v1/watches/none/t").await).0, 404);
    data(&ask(&running, "DELETE /api/v1/watches/shop/~.").await);
    data(&ask(&running, "DELETE /api/v1/watches/shop/~../u").await);
    let targets = fake.targets.lock().unwrap().clone();
    assert_eq!((targets[3].task.as_str(), targets[4].task.as_str()), (".", ".."));
    assert_eq!((targets[0].task.as_str(), &targets[1].user), ("t/1", &None));
    assert_eq!(targets[0].user.as_deref(), Some(USER));
}
