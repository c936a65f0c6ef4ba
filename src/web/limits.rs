//! How much of everything a client may use.

use std::time::Duration;

/// Connections open at once over all listeners. For one more, one that waits is cut, or it is refused; both are counted.
pub const MAX_CONNECTIONS: usize = 256;
/// How long a new connection waits for the place of one that was cut for it.
pub(super) const ROOM_TIMEOUT: Duration = Duration::from_millis(500);
/// Scrapes rendered at once; more wait.
pub const MAX_RENDERS: usize = 4;
/// Bytes of a request line with its headers.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Headers of a request.
pub const MAX_HEADERS: usize = 64;
/// Bytes of a request body.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// The caps and deadlines of the web side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once over all listeners.
    pub connections: usize,
    /// Bytes of a request body; a longer one is answered 413.
    pub body_bytes: usize,
    /// From opening a connection, or the first byte of a later request, to the end of its headers; a TLS handshake is
    /// within it.
    pub head_timeout: Duration,
    /// How long an honest client takes for its handshake and headers, or to take an answer. Slower ones are cut first
    /// when the cap of connections is reached, and only then.
    pub patience: Duration,
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
            body_bytes: MAX_BODY_BYTES,
            head_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(180),
            answer_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
