//! Conversations over real sockets: a small program on the kit, and a client that reads what comes.

mod slow;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get as getting, post};
use hyper::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sys::lock;

/// No wait in these tests is meant to take this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const SHORT: Duration = Duration::from_millis(150);

/// Remembers what the kit tells.
#[derive(Clone, Default)]
pub(crate) struct Program {
    events: Arc<Mutex<Vec<ServerEvent>>>,
}

impl Application for Program {
    fn is_reserved(&self, path: &str) -> bool {
        matches!(path, "/metrics" | "/health")
    }

    fn is_public(&self, path: &str) -> bool {
        path == "/health"
    }

    fn realm(&self) -> &'static str {
        "test"
    }

    fn error(&self, path: &str, status: StatusCode, text: &str) -> Response {
        (status, [("x-error-of", path.to_owned())], text.to_owned()).into_response()
    }

    fn observe(&self, event: ServerEvent) {
        lock(&self.events).push(event);
    }
}

pub(crate) struct Running {
    pub(crate) server: Arc<Server>,
    program: Program,
    pub(crate) address: SocketAddr,
    pub(crate) cancel: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn count(&self, event: ServerEvent) -> usize {
        lock(&self.program.events).iter().filter(|seen| **seen == event).count()
    }
}

/// Answers at every path; `/body` reads what is sent to it.
pub(crate) fn router() -> Router {
    Router::new()
        .route("/health", getting(async || "healthy.\n"))
        .route("/body", post(async |body: Bytes| body))
        .fallback(any(async || "here\n"))
}

pub(crate) async fn start_with(limits: Limits, router: Router) -> Running {
    let program = Program::default();
    let server = Arc::new(Server::new(program.clone(), limits));
    let router = router.layer(axum::middleware::from_fn_with_state(Arc::clone(&server), check));
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let task = tokio::spawn(serve(listener, Arc::clone(&server), router, cancel.clone()));
    Running { server, program, address, cancel, task }
}

pub(crate) async fn start() -> Running {
    start_with(Limits::default(), router()).await
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it happens in time")
}

/// All that comes until the server closes; a reset counts as a close.
pub(crate) async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut part = [0; 4096];
    while let Ok(n @ 1..) = patiently(stream.read(&mut part)).await {
        all.extend_from_slice(&part[..n]);
    }
    all
}

pub(crate) fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|part| part == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    Answer { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: all[end + 4..].to_vec() }
}

pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    send(address, &format!("{method} {path}"), headers, "").await
}

/// A request with a body, whose length the headers must tell.
pub(crate) async fn send(address: SocketAddr, what: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    parse(&read_all(&mut stream).await)
}

pub(crate) async fn get(running: &Running, path: &str) -> Answer {
    ask(running.address, "GET", path, "").await
}
