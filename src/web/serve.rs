//! Accepts connections and serves each in its own task until told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http_body_util::Limited;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::House;
use super::crowd::Seat;
use super::limits::{MAX_HEAD_BYTES, MAX_HEADERS};
use super::phase::{Answer, Cut, Progress, Watched};
use super::privacy::Peer;
use super::routes;
use super::tls::{Refused, Tls};

/// How long to wait after the system refused to accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves `listener` until `cancel`; then takes no more connections, lets requests under way end, and cuts what is
/// left after `drain_timeout`. Call it once for each listen address; the cap of connections is the house's.
pub async fn serve(listener: TcpListener, app: Arc<House>, cancel: CancellationToken) {
    let router = routes::router(Arc::clone(&app));
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
            Ok((stream, peer)) => match app.crowd.admit(&app).await {
                Some(seat) => {
                    let (router, app, cancel) = (router.clone(), Arc::clone(&app), cancel.clone());
                    let connection = Connection { router, app, cancel, peer: Peer(peer) };
                    tasks.spawn(connection.serve_tcp(stream, seat));
                }
                None => refuse(&stream, &app),
            },
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
    drain(tasks, app.limits().drain_timeout).await;
}

/// Tells the client why, as far as its socket takes it without waiting.
fn refuse(stream: &TcpStream, app: &House) {
    app.fixtures.exporter.connection_refused();
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
    app: Arc<House>,
    cancel: CancellationToken,
    peer: Peer,
}

impl Connection {
    async fn serve_tcp(self, stream: TcpStream, seat: Seat) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot send small answers at once");
        }
        // One load for the life of the connection: what is published later is for later ones.
        let tls = self.app.security.load().tls.clone();
        match tls {
            Some(tls) => self.serve_tls(&tls, stream, &seat.progress).await,
            None => self.serve(stream, &seat.progress).await,
        }
    }

    /// The handshake, within the time and under the rules of a connection that has sent no request.
    async fn serve_tls(&self, tls: &Tls, stream: TcpStream, progress: &Arc<Progress>) {
        let accepted = tokio::select! {
            biased;
            accepted = tls.accept(stream) => accepted,
            () = self.cancel.cancelled() => return,
            cut = progress.cut() => {
                if cut == Cut::TooSlow {
                    self.app.fixtures.exporter.handshake_failed();
                }
                tracing::debug!(?cut, "connection cut in its handshake");
                return;
            }
        };
        match accepted {
            Ok(stream) => self.serve(stream, progress).await,
            Err(Refused::Silent) => {}
            Err(refused) => {
                self.app.fixtures.exporter.handshake_failed();
                tracing::debug!(%refused, peer = %self.peer.0, "connection refused");
            }
        }
    }

    async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin, progress: &Arc<Progress>) {
        let io = TokioIo::new(Watched { inner: stream, progress: Arc::clone(progress) });
        let service = service_fn(|request| answer(self, progress, request));
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // `Progress` keeps this time, and others that hyper does not know.
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
                    if progress.is_idle() {
                        return;
                    }
                    is_stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                cut = progress.cut() => {
                    tracing::debug!(?cut, "connection cut");
                    return;
                }
            }
        }
    }
}

async fn answer(
    connection: &Connection,
    progress: &Arc<Progress>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    progress.request_came();
    let limits = connection.app.limits();
    let path = request.uri().path().to_owned();
    let mut request = request.map(|body| Body::new(Limited::new(body, limits.body_bytes)));
    request.extensions_mut().insert(connection.peer);
    let made = connection.router.clone().oneshot(request);
    let mut response = match tokio::time::timeout(limits.answer_timeout, made).await {
        Ok(Ok(response)) => response,
        Err(_) => routes::too_slow(&path),
    };
    for (name, value) in &connection.app.security.load().headers {
        response.headers_mut().insert(name, value.clone());
    }
    Ok(response.map(|body| Answer { body, progress: Arc::clone(progress) }))
}
