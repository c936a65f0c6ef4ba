//! What the web configuration asks of every connection and request: TLS, passwords, a rate, headers.

use hyper::header::{HeaderName, HeaderValue};

use super::auth::{RateLimit, Users};
use super::tls::Tls;

/// In force as a whole until the next one is published; the default asks for nothing.
#[derive(Debug, Default)]
pub struct Security {
    /// `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// Nobody: no password is asked for.
    pub users: Users,
    pub rate: Option<RateLimit>,
    /// Set on every answer, in place of our own of the same name.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}
