//! What all listeners of a server share: limits, open connections, passwords, and the security settings in force.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use super::application::{Application, RequestRefusal, ServerEvent};
use super::auth::PasswordQueue;
use super::limits::Limits;
use super::pool::ConnectionPool;
use super::security::Security;
use super::tls::Tls;

/// One for all listen addresses: the caps are for all of them together.
pub struct Server {
    pub(super) application: Box<dyn Application>,
    pub(super) limits: Limits,
    pub(super) security: ArcSwap<Security>,
    /// Passwords that are being checked, over all changes of `security`.
    pub(super) password_queue: PasswordQueue,
    pub(super) pool: Arc<ConnectionPool>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Server {
    /// Asks for no password and speaks no TLS until [`Server::publish_security`] says so.
    pub fn new(application: impl Application, limits: Limits) -> Server {
        Server {
            application: Box::new(application),
            limits,
            security: ArcSwap::default(),
            password_queue: PasswordQueue::new(),
            pool: Arc::new(ConnectionPool::new(&limits)),
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What is asked of connections and requests that come from now on.
    pub fn publish_security(&self, security: Security) {
        self.security.store(Arc::new(security));
    }

    /// Whether basic auth is on.
    pub fn asks_for_passwords(&self) -> bool {
        !self.security.load().users.is_empty()
    }

    /// The last second, Unix, in which clients take the certificate that is served; `None` without TLS.
    pub fn certificate_expires_at(&self) -> Option<i64> {
        self.security.load().tls.as_ref().map(Tls::expires_at)
    }

    pub(super) fn observe(&self, event: ServerEvent) {
        self.application.observe(event);
    }

    /// Counts the refusal of a request and answers it.
    pub(super) fn refuse(&self, why: RequestRefusal, path: &str, status: StatusCode, text: &str) -> Response {
        self.observe(ServerEvent::RequestRefused(why));
        let mut response = self.application.error(path, status, text);
        if why == RequestRefusal::Busy {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
