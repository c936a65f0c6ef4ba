//! Everything as JSON under `/api/v1`, in the shapes of Prometheus' API.

mod body;
mod read;
mod reply;
mod shapes;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get};
use hyper::header::CONTENT_TYPE;

use super::app_state::AppState;

pub(super) use read::{read_query, status_of};

/// Describes all of it; a test compares it with the routes and with real answers.
const OPENAPI: &str = include_str!("openapi.json");

/// The paths of the API.
pub(super) fn router() -> Router<Arc<AppState>> {
    routes().into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods))
}

fn routes() -> [(&'static str, MethodRouter<Arc<AppState>>); 5] {
    [
        ("/api/v1/status", get(read::status)),
        ("/api/v1/watches", get(read::watches).post(write::add)),
        ("/api/v1/watches/{app}/{task}", delete(write::remove_task)),
        ("/api/v1/watches/{app}/{task}/{user}", get(read::pair).delete(write::remove_pair)),
        ("/api/v1/openapi.json", get(openapi)),
    ]
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
