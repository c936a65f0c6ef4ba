//! The listener, one task a connection, and the wire that can break on purpose.
use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    answer::failure_of,
    body::{self, Cut, Matter, Reply},
    control::{CONTROL_PATH, control},
    delivery::OutageOrder,
    fault::FaultOrder,
    options::Options,
    question::{TRACE_PATH, answer},
    report::{Arrivals, Pair, Refusal, Sums},
    world::{CannedAnswer, World, locked},
};

/// Connections at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;
/// Room for a thousand clients that start at once.
const BACKLOG: u32 = 4_096;
/// How long to wait when the process has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// A running simulator; dropped, it stops.
#[derive(Debug)]
pub struct Simulator {
    world: Arc<World>,
    address: SocketAddr,
    serving: JoinHandle<()>,
    cancel: DropGuard,
}

/// Starts to listen and to serve, on the runtime that calls it.
///
/// # Errors
/// The listen address cannot be bound, or an option is out of its range (`InvalidInput`, naming the field).
///
/// # Panics
/// Outside a tokio runtime.
pub fn start(options: Options) -> io::Result<Simulator> {
    options.check()?;
    let socket = if options.listen.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(options.listen)?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    let world = Arc::new(World::new(options));
    let cancel = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, Arc::clone(&world), cancel.clone()));
    Ok(Simulator { world, address, serving, cancel: cancel.drop_guard() })
}

impl Simulator {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://address`, what the `endpoint` of an app in the daemon's config is set to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every pair of this app's population; none for an app that is not simulated.
    pub fn pairs(&self, sdk_app_id: u64) -> Vec<Pair> {
        self.world.pairs(sdk_app_id)
    }

    /// The distinct results in answers that were handed out whole with code 0. Canned answers are not in it.
    pub fn account(&self) -> Sums {
        self.world.account()
    }

    /// Everything that has happened up to now, handed out or not. Tells every pair of every app again, on the calling thread.
    pub fn truth(&self) -> Sums {
        self.world.truth()
    }

    pub fn arrivals(&self) -> Arrivals {
        self.world.arrivals(None)
    }

    /// Adds a fault behind those in force; see [`super::Fault`].
    pub fn set_fault(&self, order: impl Into<FaultOrder>) -> Result<(), Refusal> {
        self.world.set_fault(order.into())
    }

    pub fn clear_faults(&self) {
        locked(&self.world.faults).clear();
    }

    /// Sets or replaces the answer to one pair; see [`CannedAnswer`].
    pub fn set_answer(&self, answer: CannedAnswer) -> Result<(), Refusal> {
        self.world.set_answer(answer)
    }

    pub fn clear_answers(&self) {
        self.world.clear_answers();
    }

    /// A vendor goes out from now on, until [`Simulator::end_outages`].
    pub fn outage(&self, order: OutageOrder) -> Result<(), Refusal> {
        self.world.outage(order)
    }

    pub fn end_outages(&self) {
        self.world.end_outages();
    }

    /// Closes the listener and every connection, answered or not.
    pub async fn stop(self) {
        drop(self.cancel);
        // The task ends by itself once cancelled; an error would mean that it panicked, which its own report has shown.
        let _ = self.serving.await;
    }
}

async fn serve(listener: TcpListener, world: Arc<World>, cancel: CancellationToken) {
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (seat, listener.accept().await)
        };
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = connections.join_next() => {}
            (seat, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let world = Arc::clone(&world);
                    connections.spawn(async move {
                        let _seat = seat;
                        converse(stream, world).await;
                    });
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    connections.shutdown().await;
}

/// Serves one connection to its end. How it ended is the client's to tell: half of the faults end it badly on purpose.
async fn converse(stream: TcpStream, world: Arc<World>) {
    // Without it a delayed answer would be the simulator's doing.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let wire = TokioIo::new(Wire { stream, reset: Arc::clone(&reset) });
    let service = service_fn(move |request| {
        let arrival = Instant::now();
        let (world, reset) = (Arc::clone(&world), Arc::clone(&reset));
        async move { respond(&world, arrival, request, &reset).await }
    });
    let mut server = http1::Builder::new();
    // A question may follow the last one by minutes on the same connection.
    let _ = server.header_read_timeout(None).serve_connection(wire, service).await;
}

async fn respond(
    world: &Arc<World>,
    arrival: Instant,
    request: Request<Incoming>,
    reset: &AtomicBool,
) -> Result<Response<Matter>, Cut> {
    if request.uri().path().starts_with(CONTROL_PATH) {
        return Ok(control(world, request).await);
    }
    if request.uri().path() != TRACE_PATH || request.method() != Method::POST {
        let refusal = failure_of(60009, "the requested resource does not exist");
        return Ok(body::json(StatusCode::OK, refusal.to_string()));
    }
    match answer(world, arrival, request).await {
        Reply::Answer(response) => {
            if matches!(response.body(), Matter::Torn { .. }) {
                reset.store(true, Ordering::Relaxed);
            }
            Ok(response)
        }
        Reply::Hang => std::future::pending().await,
        Reply::Reset => {
            reset.store(true, Ordering::Relaxed);
            Err(Cut)
        }
    }
}

/// A stream that is reset instead of closed once `reset` is set.
struct Wire {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without lingering, closing sends RST. If that fails the client sees a close in the middle, which is as bad.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
