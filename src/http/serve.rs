//! Accepts connections and serves each in its own task until told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::application::{RequestRefusal, ServerEvent};
use super::connection::{CloseReason, ConnectionState, RequestBody, ResponseBody, TrackedStream};
use super::limits::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::peer::Peer;
use super::pool::ConnectionSlot;
use super::server::Server;
use super::tls::{HandshakeError, Tls};

/// How long to wait after the system refused to accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `router` on `listener` until `cancel`; then takes no more connections, lets requests under way end, and cuts
/// what is left after `drain_timeout`. Call it once for each listen address; the caps are the server's. Passwords and
/// rate are checked where the router has the layer [`check`](super::check).
pub async fn serve(listener: TcpListener, server: Arc<Server>, router: Router, cancel: CancellationToken) {
    let mut tasks = JoinSet::new();
    loop {
        // Take in what has ended, so that the set does not grow with the number of connections ever served.
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                match server.pool.admit(|| server.observe(ServerEvent::ConnectionEvicted)).await {
                    Some(slot) => {
                        let (router, server, cancel) = (router.clone(), Arc::clone(&server), cancel.clone());
                        let connection = Connection { router, server, cancel, peer: Peer(peer) };
                        tasks.spawn(connection.serve_tcp(stream, slot));
                    }
                    None => refuse(&stream, &server),
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; trying again");
                tokio::select! {
                    () = cancel.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    drain(tasks, server.limits.drain_timeout).await;
}

/// Tells the client why, as far as its socket takes it without waiting.
fn refuse(stream: &TcpStream, server: &Server) {
    server.observe(ServerEvent::ConnectionRefused);
    const ANSWER: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    // The connection is closed either way; the answer is a courtesy.
    let _ = stream.try_write(ANSWER);
}

async fn drain(mut tasks: JoinSet<()>, limit: Duration) {
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(limit, all_ended).await.is_err() {
        tracing::warn!(connections = tasks.len(), "cutting connections that did not end in time");
        tasks.shutdown().await;
    }
}

/// What a connection needs beside its socket.
struct Connection {
    router: Router,
    server: Arc<Server>,
    cancel: CancellationToken,
    peer: Peer,
}

impl Connection {
    async fn serve_tcp(self, stream: TcpStream, slot: ConnectionSlot) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot send small answers at once");
        }
        // One load for the life of the connection: what is published later is for later ones.
        let tls = self.server.security.load().tls.clone();
        match tls {
            Some(tls) => self.serve_tls(&tls, stream, &slot.state).await,
            None => self.serve(stream, &slot.state).await,
        }
    }

    /// The handshake, within the time and under the rules of a connection that has sent no request.
    async fn serve_tls(&self, tls: &Tls, stream: TcpStream, state: &Arc<ConnectionState>) {
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept(stream) => accepted,
            () = self.cancel.cancelled() => return,
            cut = state.cut() => {
                if cut == CloseReason::TooSlow {
                    self.server.observe(ServerEvent::HandshakeFailed);
                }
                tracing::debug!(?cut, "connection cut in its handshake");
                return;
            }
        };
        match accepted {
            Ok(stream) => self.serve(stream, state).await,
            Err(HandshakeError::Silent) => {}
            Err(refused) => {
                self.server.observe(ServerEvent::HandshakeFailed);
                tracing::debug!(%refused, peer = %self.peer.0, "connection refused");
            }
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, state: &Arc<ConnectionState>) {
        let io = TokioIo::new(TrackedStream { inner: stream, state: Arc::clone(state) });
        let service = service_fn(|request| answer(self, state, request));
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // `ConnectionState` keeps this time, and others that hyper does not know.
                .header_read_timeout(None)
                .max_header_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(io, service)
        );
        let mut is_stopping = false;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended badly");
                    }
                    return;
                }
                () = self.cancel.cancelled(), if !is_stopping => {
                    if state.is_idle() {
                        return;
                    }
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                cut = state.cut() => {
                    tracing::debug!(?cut, "connection cut");
                    return;
                }
            }
        }
    }
}

async fn answer(
    connection: &Connection,
    state: &Arc<ConnectionState>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let server = &connection.server;
    let (path, is_safe) = (request.uri().path().to_owned(), request.method().is_safe());
    let limit = server.limits.body_bytes;
    let mut request = request.map(|body| Body::new(Limited::new(RequestBody::new(body, state), limit)));
    request.extensions_mut().insert(connection.peer);
    let made = async {
        let _turn = match server.application.is_reserved(&path) {
            true => None,
            false => match server.pool.turn(|| server.observe(ServerEvent::ConnectionEvicted)).await {
                None => return too_many(server, &path),
                turn => turn,
            },
        };
        match connection.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let made = tokio::time::timeout(server.limits.answer_timeout, made).await;
    let mut response = made.unwrap_or_else(|_| too_slow(server, &path, is_safe));
    allow_options(response.headers_mut());
    for (name, value) in &server.security.load().headers {
        response.headers_mut().insert(name, value.clone());
    }
    Ok(response.map(|body| ResponseBody { body, state: Arc::clone(state) }))
}

/// The answer where too many other requests are being answered.
fn too_many(server: &Server, path: &str) -> Response<Body> {
    let text = "too many requests are being answered; try again";
    server.refuse(RequestRefusal::Busy, path, StatusCode::SERVICE_UNAVAILABLE, text)
}

/// The answer in place of one that took longer than `answer_timeout`.
fn too_slow(server: &Server, path: &str, is_safe: bool) -> Response<Body> {
    let text = match is_safe {
        true => "the answer took too long; it was given up",
        false => "the answer took too long; the request may still be carried out",
    };
    server.application.error(path, StatusCode::SERVICE_UNAVAILABLE, text)
}

/// Every path that has methods answers OPTIONS, too. The router adds `Allow` behind all layers.
fn allow_options(headers: &mut HeaderMap) {
    let listed = headers.get(ALLOW).and_then(|value| value.to_str().ok());
    let others = listed.filter(|methods| *methods != "OPTIONS");
    let allowed = others.map(|methods| format!("{methods},OPTIONS"));
    if let Some(value) = allowed.and_then(|methods| HeaderValue::from_str(&methods).ok()) {
        headers.insert(ALLOW, value);
    }
}
