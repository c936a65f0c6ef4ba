//! Conversations over real sockets: what clients get.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use futures_util::future::BoxFuture;
use hyper::header::HeaderValue;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::http::tests::{Answer, SHORT, ask};
use crate::http::{
    Limits, MAX_HEAD_BYTES, PasswordHash, RateLimit, RequestRefusal, Security, ServerEvent, Users, bind,
};
use crate::ledger::{AppTally, Snapshot};
use crate::metrics::{BuildInfo, PushView, Registry};
use crate::view::{self, WatchQuery, WatchQueryError};

pub(super) struct Running {
    pub(super) app: Arc<AppState>,
    pub(super) address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

/// Knows no pair.
struct NoQueries;

impl WatchQuery for NoQueries {
    fn watches(&self, _: view::Query) -> BoxFuture<'static, Result<view::Page, WatchQueryError>> {
        Box::pin(async { Ok(view::Page::default()) })
    }

    fn chain(&self, _: view::PairName) -> BoxFuture<'static, Result<view::Chain, WatchQueryError>> {
        Box::pin(async { Err(WatchQueryError::NoPair) })
    }
}

pub(super) fn dependencies(limits: Limits, reload: Option<ReloadHandler>) -> Dependencies {
    let registry = Registry::new(BuildInfo { version: "0", revision: None });
    let exporter = registry.exporter();
    let mut snapshot = Snapshot::default();
    snapshot.apps.insert("shop".into(), Arc::new(AppTally::default()));
    let snapshot = Arc::new(snapshot);
    Dependencies {
        snapshot: Box::new(move || Arc::clone(&snapshot)),
        registry,
        exporter,
        reload,
        limits,
        queries: Box::new(NoQueries),
        watch_store: None,
    }
}

pub(super) async fn start_with(limits: Limits, reload: Option<ReloadHandler>) -> Running {
    start_from(dependencies(limits, reload)).await
}

pub(super) async fn start_from(dependencies: Dependencies) -> Running {
    let app = Arc::new(AppState::new(dependencies));
    app.publish_views(vec![PushView { app: "shop".into(), watch_labels: Arc::from([]) }]);
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(serve(listener, Arc::clone(&app), CancellationToken::new()));
    Running { app, address, _task: AbortOnDropHandle::new(task) }
}

pub(super) async fn start() -> Running {
    start_with(Limits::default(), None).await
}

pub(super) async fn get(running: &Running, path: &str) -> Answer {
    ask(running.address, "GET", path, "").await
}

#[tokio::test]
async fn metrics_come_plain_and_packed_alike() {
    let running = start().await;
    let plain = get(&running, "/metrics").await;
    assert_eq!(plain.status, 200);
    assert_eq!(plain.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.header("vary"), Some("accept-encoding"));
    let packed = ask(running.address, "GET", "/metrics", "accept-encoding: deflate, gzip;q=0.9\r\n").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&*packed.body).read_to_string(&mut unpacked).unwrap();
    let steady = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with("process_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(steady(&unpacked), steady(plain.text()));
    assert!(unpacked.contains("timpush_pairs_ended_total{app=\"shop\",reason=\"settled\"} 0\n"));
    let head = ask(running.address, "HEAD", "/metrics", "").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn ready_is_a_latch() {
    let running = start().await;
    assert_eq!(get(&running, "/-/healthy").await.status, 200);
    let young = get(&running, "/-/ready").await;
    assert_eq!(young.status, 503);
    assert!(young.text().contains("loads the watch lists"));
    running.app.set_ready();
    assert_eq!(get(&running, "/-/ready").await.status, 200);
    running.app.set_stopping();
    running.app.set_ready();
    let old = get(&running, "/-/ready").await;
    assert_eq!(old.status, 503);
    assert!(old.text().contains("shutting down"));
    assert_eq!(get(&running, "/-/healthy").await.status, 200);
}

#[tokio::test]
async fn pages_and_errors_have_their_shapes_and_headers() {
    let running = start().await;
    running.app.publish_config("apps: []\n".to_owned());
    let config = get(&running, "/config").await;
    assert_eq!((config.status, config.text()), (200, "apps: []\n"));
    let page = get(&running, "/").await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let lost = get(&running, "/nowhere").await;
    assert_eq!((lost.status, lost.header("content-type")), (404, Some("text/plain; charset=utf-8")));
    let lost_api = get(&running, "/api/v1/nowhere").await;
    assert_eq!((lost_api.status, lost_api.header("content-type")), (404, Some("application/json")));
    assert!(lost_api.text().contains(r#""errorType":"not_found""#));
    let wrong = get(&running, "/-/reload").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST,OPTIONS")));
    assert_eq!(ask(running.address, "DELETE", "/", "").await.status, 405);
    for answer in [config, page, lost, lost_api, wrong] {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

#[tokio::test]
async fn every_path_says_which_methods_it_has() {
    let running = start().await;
    for (path, methods) in [
        ("/", "GET,HEAD,OPTIONS"),
        ("/metrics", "GET,HEAD,OPTIONS"),
        ("/-/healthy", "GET,HEAD,OPTIONS"),
        ("/-/reload", "POST,OPTIONS"),
        ("/watches/shop/t/u", "GET,HEAD,OPTIONS"),
        ("/api/v1/watches", "GET,HEAD,POST,OPTIONS"),
        ("/api/v1/watches/shop/t", "DELETE,OPTIONS"),
        ("/api/v1/watches/shop/t/u", "GET,HEAD,DELETE,OPTIONS"),
    ] {
        let answer = ask(running.address, "OPTIONS", path, "").await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(methods)), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for path in ["/nowhere", "/api/v1/nowhere"] {
        let answer = ask(running.address, "OPTIONS", path, "").await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some("OPTIONS")), "{path}");
    }
}

#[tokio::test]
async fn reload_answers_with_what_came_of_it() {
    let off = start().await;
    let refused = ask(off.address, "POST", "/-/reload", "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().starts_with("Lifecycle API is not enabled."));
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let reload: ReloadHandler = Box::new(move || {
        let call = counter.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { if call == 0 { Ok(()) } else { Err("apps[0].name: missing".to_owned()) } })
    });
    let on = start_with(Limits::default(), Some(reload)).await;
    let cross = ask(on.address, "POST", "/-/reload", "sec-fetch-site: cross-site\r\n").await;
    assert_eq!((cross.status, calls.load(Ordering::SeqCst)), (403, 0));
    assert_eq!(ask(on.address, "POST", "/-/reload", "").await.status, 200);
    let faulty = ask(on.address, "POST", "/-/reload", "").await;
    assert_eq!((faulty.status, faulty.text()), (400, "apps[0].name: missing\n"));
    let long = ask(on.address, "POST", "/-/reload", "content-length: 99999999\r\n").await;
    assert_eq!((long.status, calls.load(Ordering::SeqCst)), (413, 2));
    let large = format!("x: {}\r\n", "y".repeat(MAX_HEAD_BYTES));
    assert_eq!(ask(on.address, "POST", "/-/reload", &large).await.status, 431);
}

#[tokio::test]
async fn a_reload_that_hangs_is_answered_503() {
    let limits = Limits { answer_timeout: SHORT, ..Limits::default() };
    let hangs: ReloadHandler = Box::new(|| Box::pin(std::future::pending()));
    let running = start_with(limits, Some(hangs)).await;
    assert_eq!(ask(running.address, "POST", "/-/reload", "").await.status, 503);
}

/// Users of the web configuration; the hash is as cheap as bcrypt gets.
fn users(name: &str, password: &str) -> Users {
    let hash = bcrypt::hash(password, crate::http::MIN_COST).unwrap();
    Users::new(vec![(name.into(), PasswordHash::parse(&hash).unwrap())])
}

fn basic(name: &str, password: &str) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(format!("{name}:{password}"));
    format!("authorization: Basic {text}\r\n")
}

#[tokio::test]
async fn user_ids_are_shown_to_who_gave_a_password() {
    let running = start().await;
    running.app.publish_security(Security { users: users("alice", "wonder"), ..Security::default() });
    // From this machine, but through a proxy: nobody who is trusted for where it is.
    let far = "x-forwarded-for: 192.0.2.1\r\n";
    let header = format!("{far}{}", basic("alice", "wonder"));
    let status = async |path| ask(running.address, "GET", path, &header).await.status;
    for path in ["/watches", "/api/v1/watches"] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    running.app.publish_security(Security::default());
    // A password that nobody checked is worth nothing.
    for path in ["/watches", "/api/v1/watches"] {
        assert_eq!(status(path).await, 403, "{path}");
    }
}

#[tokio::test]
async fn headers_of_the_web_configuration_replace_our_own() {
    let running = start().await;
    let headers = vec![
        (hyper::header::X_FRAME_OPTIONS, HeaderValue::from_static("deny")),
        (hyper::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'self'")),
    ];
    running.app.publish_security(Security { headers, ..Security::default() });
    for path in ["/", "/nowhere"] {
        let answer = get(&running, path).await;
        assert_eq!(answer.header("x-frame-options"), Some("deny"));
        assert_eq!(answer.header("content-security-policy"), Some("default-src 'self'"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_its_place_and_is_counted() {
    let running = start().await;
    running.app.publish_security(Security { users: users("alice", "wonder"), ..Security::default() });
    assert!(running.app.asks_for_passwords());
    running.app.set_ready();
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(get(&running, path).await.status, 200, "{path}");
    }
    let api = get(&running, "/api/v1/watches").await;
    assert_eq!((api.status, api.header("content-type")), (401, Some("application/json")));
    assert_eq!(api.header("www-authenticate"), Some("Basic realm=\"timpush_exporter\", charset=\"UTF-8\""));
    assert_eq!(api.header("x-content-type-options"), Some("nosniff"));
    assert!(api.text().contains(r#""errorType":"unauthorized""#), "{}", api.text());
    assert_eq!(get(&running, "/metrics").await.status, 401);
    let scrape = ask(running.address, "GET", "/metrics", &basic("alice", "wonder")).await;
    let line = "timpush_web_requests_refused_total{reason=\"password\"} 2\n";
    assert!(scrape.text().contains(line), "{}", scrape.text());
}

#[tokio::test]
async fn the_rate_spares_health_alone() {
    let running = start().await;
    let rate = Some(RateLimit::new(std::time::Duration::from_secs(3600), 1));
    running.app.publish_security(Security { rate, ..Security::default() });
    for (path, status) in [("/", 200), ("/-/healthy", 200), ("/metrics", 429), ("/api/v1/status", 429)] {
        assert_eq!(get(&running, path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn scrapes_and_health_are_answered_beside_all_other_requests() {
    let limits = Limits { requests: 0, ..Limits::default() };
    let running = start_with(limits, None).await;
    running.app.set_ready();
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert_eq!(get(&running, path).await.status, 200, "{path}");
    }
    let page = get(&running, "/").await;
    assert_eq!((page.status, page.header("retry-after")), (503, Some("1")));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn every_event_of_the_kit_has_its_counter() {
    use crate::http::Application as _;
    let events = [
        (ServerEvent::ConnectionRefused, "timpush_web_connections_refused_total"),
        (ServerEvent::ConnectionEvicted, "timpush_web_connections_evicted_total"),
        (ServerEvent::HandshakeFailed, "timpush_web_tls_handshakes_failed_total"),
        (
            ServerEvent::RequestRefused(RequestRefusal::Password),
            "timpush_web_requests_refused_total{reason=\"password\"}",
        ),
        (
            ServerEvent::RequestRefused(RequestRefusal::Rate),
            "timpush_web_requests_refused_total{reason=\"rate\"}",
        ),
        (
            ServerEvent::RequestRefused(RequestRefusal::Busy),
            "timpush_web_requests_refused_total{reason=\"busy\"}",
        ),
    ];
    let registry = Registry::new(BuildInfo { version: "0", revision: None });
    let exporter = application::Exporter { metrics: registry.exporter() };
    for (times, (event, _)) in events.iter().enumerate() {
        (0..=times).for_each(|_| exporter.observe(*event));
    }
    let page = crate::metrics::render((&Snapshot::default(), &[]), &registry, 0, 0);
    let page = String::from_utf8(page).unwrap();
    for (times, (_, series)) in events.iter().enumerate() {
        assert!(page.contains(&format!("{series} {}\n", times + 1)), "{series}: {page}");
    }
}
