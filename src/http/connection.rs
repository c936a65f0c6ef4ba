//! Where a connection stands in its request, and the deadline that follows: slow clients are cut, not waited for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::Limits;
use crate::sys::lock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// No byte of the first request yet.
    Opened,
    /// Between two requests.
    Idle,
    /// Some bytes of a request, but not all of its headers.
    Head,
    /// The headers are complete, the body is not.
    Body,
    /// The request is being answered: the only phase in which it does not wait for its client.
    Busy,
    /// The answer is made but not all sent.
    Sending,
}

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    TooSlow,
    /// A new connection needs its place.
    Evicted,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
struct State {
    phase: ConnectionPhase,
    since: Instant,
    is_evicted: bool,
}

/// The phase of one connection, shared by its socket, its service and its watchdog.
#[derive(Debug)]
pub(super) struct ConnectionState {
    limits: Limits,
    state: Mutex<State>,
    changed: Notify,
}

impl ConnectionState {
    pub(super) fn new(limits: Limits) -> Arc<ConnectionState> {
        Arc::new(ConnectionState {
            limits,
            state: Mutex::new(State {
                phase: ConnectionPhase::Opened,
                since: Instant::now(),
                is_evicted: false,
            }),
            changed: Notify::new(),
        })
    }

    /// Never held across an await; each change is one step, so a poisoned lock is still right.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn enter(&self, phase: ConnectionPhase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
        drop(state);
        self.changed.notify_one();
    }

    fn bytes_came(&self) {
        let mut state = self.state();
        match state.phase {
            // The time of the first request runs from the opening.
            ConnectionPhase::Opened => state.phase = ConnectionPhase::Head,
            ConnectionPhase::Idle => (state.phase, state.since) = (ConnectionPhase::Head, Instant::now()),
            ConnectionPhase::Head
            | ConnectionPhase::Body
            | ConnectionPhase::Busy
            | ConnectionPhase::Sending => return,
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The headers are complete.
    fn request_came(&self, has_body: bool) {
        self.enter(if has_body { ConnectionPhase::Body } else { ConnectionPhase::Busy });
    }

    /// The body has come, or nobody reads it: the answer is being made. The time of the request goes on.
    fn body_ended(&self) {
        let mut state = self.state();
        if state.phase == ConnectionPhase::Body {
            state.phase = ConnectionPhase::Busy;
        }
    }

    /// The answer has been handed over, or dropped. The time of the request goes on until it is sent.
    fn answer_made(&self) {
        let mut state = self.state();
        if matches!(state.phase, ConnectionPhase::Body | ConnectionPhase::Busy) {
            state.phase = ConnectionPhase::Sending;
        }
    }

    fn all_sent(&self) {
        if self.state().phase == ConnectionPhase::Sending {
            self.enter(ConnectionPhase::Idle);
        }
    }

    /// True while no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state().phase, ConnectionPhase::Opened | ConnectionPhase::Idle)
    }

    fn deadline(&self) -> Instant {
        let State { phase, since, .. } = *self.state();
        let limit: Duration = match phase {
            ConnectionPhase::Opened | ConnectionPhase::Head | ConnectionPhase::Body => {
                self.limits.head_timeout
            }
            ConnectionPhase::Idle => self.limits.idle_timeout,
            ConnectionPhase::Busy | ConnectionPhase::Sending => self.limits.request_timeout,
        };
        since + limit
    }

    /// Since when it stands where it stands, if it may go to make room and was not told so yet.
    pub(super) fn waits_since(&self, may_go: impl Fn(ConnectionPhase) -> bool) -> Option<Instant> {
        let State { phase, since, is_evicted } = *self.state();
        (!is_evicted && may_go(phase)).then_some(since)
    }

    /// Makes the connection end.
    pub(super) fn evict(&self) {
        self.state().is_evicted = true;
        self.changed.notify_one();
    }

    /// Ends when the connection has been in one phase for too long, or is to make room.
    pub(super) async fn cut(&self) -> CloseReason {
        loop {
            if self.state().is_evicted {
                return CloseReason::Evicted;
            }
            let deadline = self.deadline();
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(deadline) => {
                    if self.deadline() <= Instant::now() {
                        return CloseReason::TooSlow;
                    }
                }
            }
        }
    }
}

/// A socket that tells its state.
pub(super) struct TrackedStream<T> {
    pub(super) inner: T,
    pub(super) state: Arc<ConnectionState>,
}

impl<T: AsyncRead + Unpin> AsyncRead for TrackedStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.state.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for TrackedStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    /// Hyper flushes the socket only after it has written all that it holds.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.state.all_sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The body of a request on its way.
pub(super) struct RequestBody {
    body: Incoming,
    state: Arc<ConnectionState>,
}

impl RequestBody {
    /// The headers of the request are complete.
    pub(super) fn new(body: Incoming, state: &Arc<ConnectionState>) -> RequestBody {
        state.request_came(!body.is_end_stream());
        RequestBody { body, state: Arc::clone(state) }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.state.body_ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.state.body_ended();
    }
}

/// The body of an answer; hyper drops it when it has taken all of it.
pub(super) struct ResponseBody {
    pub(super) body: Body,
    pub(super) state: Arc<ConnectionState>,
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.state.answer_made();
    }
}
