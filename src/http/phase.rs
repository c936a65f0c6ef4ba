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
pub(super) enum Phase {
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
pub(super) enum Cut {
    TooSlow,
    /// A new connection needs its place.
    Evicted,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
    is_evicted: bool,
}

/// The phase of one connection, shared by its socket, its service and its watchdog.
#[derive(Debug)]
pub(super) struct Progress {
    limits: Limits,
    state: Mutex<State>,
    changed: Notify,
}

impl Progress {
    pub(super) fn new(limits: Limits) -> Arc<Progress> {
        Arc::new(Progress {
            limits,
            state: Mutex::new(State { phase: Phase::Opened, since: Instant::now(), is_evicted: false }),
            changed: Notify::new(),
        })
    }

    /// Never held across an await; each change is one step, so a poisoned lock is still right.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
        drop(state);
        self.changed.notify_one();
    }

    fn bytes_came(&self) {
        let mut state = self.state();
        match state.phase {
            // The time of the first request runs from the opening.
            Phase::Opened => state.phase = Phase::Head,
            Phase::Idle => (state.phase, state.since) = (Phase::Head, Instant::now()),
            Phase::Head | Phase::Body | Phase::Busy | Phase::Sending => return,
        }
        drop(state);
        self.changed.notify_one();
    }

    /// The headers are complete.
    fn request_came(&self, has_body: bool) {
        self.enter(if has_body { Phase::Body } else { Phase::Busy });
    }

    /// The body has come, or nobody reads it: the answer is being made. The time of the request goes on.
    fn body_ended(&self) {
        let mut state = self.state();
        if state.phase == Phase::Body {
            state.phase = Phase::Busy;
        }
    }

    /// The answer has been handed over, or dropped. The time of the request goes on until it is sent.
    fn answer_made(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Body | Phase::Busy) {
            state.phase = Phase::Sending;
        }
    }

    fn all_sent(&self) {
        if self.state().phase == Phase::Sending {
            self.enter(Phase::Idle);
        }
    }

    /// True while no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.state().phase, Phase::Opened | Phase::Idle)
    }

    fn deadline(&self) -> Instant {
        let State { phase, since, .. } = *self.state();
        let limit: Duration = match phase {
            Phase::Opened | Phase::Head | Phase::Body => self.limits.head_timeout,
            Phase::Idle => self.limits.idle_timeout,
            Phase::Busy | Phase::Sending => self.limits.request_timeout,
        };
        since + limit
    }

    /// Since when it stands where it stands, if it may go to make room and was not told so yet.
    pub(super) fn waits_since(&self, may_go: impl Fn(Phase) -> bool) -> Option<Instant> {
        let State { phase, since, is_evicted } = *self.state();
        (!is_evicted && may_go(phase)).then_some(since)
    }

    /// Makes the connection end.
    pub(super) fn evict(&self) {
        self.state().is_evicted = true;
        self.changed.notify_one();
    }

    /// Ends when the connection has been in one phase for too long, or is to make room.
    pub(super) async fn cut(&self) -> Cut {
        loop {
            if self.state().is_evicted {
                return Cut::Evicted;
            }
            let deadline = self.deadline();
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep_until(deadline) => {
                    if self.deadline() <= Instant::now() {
                        return Cut::TooSlow;
                    }
                }
            }
        }
    }
}

/// A socket that tells its progress.
pub(super) struct Watched<T> {
    pub(super) inner: T,
    pub(super) progress: Arc<Progress>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.progress.bytes_came();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
        self.progress.all_sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The body of a request on its way.
pub(super) struct Arriving {
    body: Incoming,
    progress: Arc<Progress>,
}

impl Arriving {
    /// The headers of the request are complete.
    pub(super) fn new(body: Incoming, progress: &Arc<Progress>) -> Arriving {
        progress.request_came(!body.is_end_stream());
        Arriving { body, progress: Arc::clone(progress) }
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.progress.body_ended();
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

impl Drop for Arriving {
    fn drop(&mut self) {
        self.progress.body_ended();
    }
}

/// The body of an answer; hyper drops it when it has taken all of it.
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) progress: Arc<Progress>,
}

impl HttpBody for Answer {
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

impl Drop for Answer {
    fn drop(&mut self) {
        self.progress.answer_made();
    }
}
