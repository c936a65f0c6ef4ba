//! What the kit asks of the program that it serves, and what it tells it.

use axum::response::Response;
use hyper::StatusCode;

/// Why a request is refused before the program sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestRefusal {
    /// No password or a wrong one.
    Password,
    /// `rate_limit` is used up.
    Rate,
    /// Too many requests are being answered, or too many passwords checked.
    Busy,
}

/// What happened to a connection or request; the kit counts nothing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// No free slot, and no connection that could be closed for it.
    ConnectionRefused,
    /// Closed before its deadline to make room for another one.
    ConnectionEvicted,
    HandshakeFailed,
    RequestRefused(RequestRefusal),
}

/// The program that the kit serves.
pub trait Application: Send + Sync + 'static {
    /// Whether requests for `path` are answered even while [`Limits::requests`](super::Limits::requests) others are.
    fn is_reserved(&self, path: &str) -> bool;

    /// Whether requests for `path` need no password and take nothing from the rate limit.
    fn is_public(&self, path: &str) -> bool;

    /// The challenge of basic auth names it.
    fn realm(&self) -> &'static str;

    /// An answer that the kit gives itself, in the shape of errors at `path` and with the headers of all answers.
    fn error(&self, path: &str, status: StatusCode, text: &str) -> Response;

    /// Called as it happens; must not block.
    fn observe(&self, event: ServerEvent);
}
