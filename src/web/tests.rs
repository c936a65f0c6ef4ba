//! Conversations over real sockets: what clients get.

use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::desk::{Desk, DeskError};
use super::*;
use crate::ledger::{AppTally, Snapshot};
use crate::metrics::{BuildInfo, ExporterMetrics, PushView};

/// No wait in these tests is meant to take this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const SHORT: Duration = Duration::from_millis(150);

pub(super) struct Running {
    pub(super) app: Arc<House>,
    pub(super) address: SocketAddr,
    pub(super) cancel: CancellationToken,
    pub(super) task: JoinHandle<()>,
}

/// Knows no pair.
struct NoDesk;

impl Desk for NoDesk {
    fn watches(&self, _: desk::Query) -> BoxFuture<'static, Result<desk::Page, DeskError>> {
        Box::pin(async { Ok(desk::Page::default()) })
    }

    fn chain(&self, _: desk::PairName) -> BoxFuture<'static, Result<desk::Chain, DeskError>> {
        Box::pin(async { Err(DeskError::NoPair) })
    }
}

pub(super) fn fixtures(limits: Limits, reload: Option<Reload>) -> Fixtures {
    let registry = Registry::new();
    let build = BuildInfo { version: "0", revision: None };
    let exporter = ExporterMetrics::register(&registry, build).unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.apps.insert("shop".into(), Arc::new(AppTally::default()));
    let snapshot = Arc::new(snapshot);
    Fixtures {
        snapshot: Box::new(move || Arc::clone(&snapshot)),
        registry,
        exporter,
        reload,
        limits,
        desk: Box::new(NoDesk),
        register: None,
        veil: Arc::new(Veil::new(&[7; 32])),
    }
}

pub(super) async fn start_with(limits: Limits, reload: Option<Reload>) -> Running {
    start_from(fixtures(limits, reload)).await
}

pub(super) async fn start_from(fixtures: Fixtures) -> Running {
    let app = Arc::new(House::new(fixtures));
    app.publish_views(vec![PushView { app: "shop".into(), watch_labels: Arc::from([]) }]);
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&app), cancel.clone()));
    Running { app, address, cancel, task }
}

pub(super) async fn start() -> Running {
    start_with(Limits::default(), None).await
}

pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(super) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// All that comes until the server closes; a reset counts as a close.
pub(super) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = patiently(stream.read(&mut part)).await {
        all.extend_from_slice(&part[..n]);
    }
    all
}

pub(super) fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|part| part == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: all[end + 4..].to_vec() }
}

pub(super) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    send(address, &format!("{method} {path}"), headers, "").await
}

/// A request with a body, whose length the headers must tell.
pub(super) async fn send(address: SocketAddr, what: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    parse(&read_all(&mut stream).await)
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
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
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
async fn reload_answers_with_what_came_of_it() {
    let off = start().await;
    let refused = ask(off.address, "POST", "/-/reload", "").await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().starts_with("Lifecycle API is not enabled."));
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let reload: Reload = Box::new(move || {
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
    let large = format!("x: {}\r\n", "y".repeat(limits::MAX_HEAD_BYTES));
    assert_eq!(ask(on.address, "POST", "/-/reload", &large).await.status, 431);
}

#[tokio::test]
async fn a_reload_that_hangs_is_answered_503() {
    let limits = Limits { answer_timeout: SHORT, ..Limits::default() };
    let hangs: Reload = Box::new(|| Box::pin(std::future::pending()));
    let running = start_with(limits, Some(hangs)).await;
    assert_eq!(ask(running.address, "POST", "/-/reload", "").await.status, 503);
}
