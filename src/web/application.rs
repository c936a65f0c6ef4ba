//! This program as the server kit sees it: which paths are special, how errors look, and what is counted.

use axum::response::Response;
use hyper::StatusCode;

use super::reply::{refusal, set_security_headers};
use crate::http::{Application, RequestRefusal, ServerEvent};
use crate::metrics::{ExporterMetrics, WebRefusal};

/// Counts what the kit reports.
pub(super) struct Exporter {
    pub(super) metrics: ExporterMetrics,
}

impl Application for Exporter {
    /// Whatever else is asked for, Prometheus and a supervisor are answered.
    fn is_reserved(&self, path: &str) -> bool {
        matches!(path, "/metrics" | "/-/healthy" | "/-/ready")
    }

    /// Health must be visible to what has no password, and must not seem bad because others ask too often.
    fn is_public(&self, path: &str) -> bool {
        matches!(path, "/-/healthy" | "/-/ready")
    }

    fn realm(&self) -> &'static str {
        "timpush_exporter"
    }

    fn error(&self, path: &str, status: StatusCode, text: &str) -> Response {
        let mut response = refusal(path, status, text);
        set_security_headers(response.headers_mut());
        response
    }

    fn observe(&self, event: ServerEvent) {
        match event {
            ServerEvent::ConnectionRefused => self.metrics.connection_refused(),
            ServerEvent::ConnectionEvicted => self.metrics.connection_evicted(),
            ServerEvent::HandshakeFailed => self.metrics.handshake_failed(),
            ServerEvent::RequestRefused(RequestRefusal::Password) => {
                self.metrics.request_refused(WebRefusal::Password);
            }
            ServerEvent::RequestRefused(RequestRefusal::Rate) => {
                self.metrics.request_refused(WebRefusal::Rate)
            }
            ServerEvent::RequestRefused(RequestRefusal::Busy) => {
                self.metrics.request_refused(WebRefusal::Busy)
            }
        }
    }
}
