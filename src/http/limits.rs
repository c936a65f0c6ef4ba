//! How much of everything a client may use.

use std::time::Duration;

/// Connections open at once over all listeners. For one more, the one that has waited longest for its client is closed;
/// where all are being answered and none is done soon, the new one is refused. Both are counted.
pub const MAX_CONNECTIONS: usize = 256;
/// Requests answered at once, those with reserved capacity aside: these have the rest of the connections.
pub const MAX_REQUESTS: usize = 192;
const _: () = assert!(MAX_REQUESTS < MAX_CONNECTIONS, "else nothing is left for reserved paths");
/// How long a new connection waits for the place of one that was cut for it, or for one to be done.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_millis(500);
/// Bytes of a request line with its headers.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Headers of a request.
pub const MAX_HEADERS: usize = 64;
/// Bytes of a request body.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Caps and deadlines of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once over all listeners.
    pub connections: usize,
    /// Requests answered at once, those with reserved capacity aside.
    pub requests: usize,
    /// Bytes of a request body; a longer one is answered 413.
    pub body_bytes: usize,
    /// From opening a connection, or the first byte of a later request, to the end of its headers; a TLS handshake is
    /// within it. And from there to the end of its body.
    pub head_timeout: Duration,
    /// How long a connection may wait for its next request. Longer than common scrape intervals.
    pub idle_timeout: Duration,
    /// From the end of the headers to the start of the answer; then 503.
    pub answer_timeout: Duration,
    /// From the end of the headers to the last byte of the answer; then the connection is cut, however slowly the
    /// client still reads.
    pub request_timeout: Duration,
    /// From the order to stop to the cutting of what is still open.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: MAX_CONNECTIONS,
            requests: MAX_REQUESTS,
            body_bytes: MAX_BODY_BYTES,
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(180),
            answer_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
