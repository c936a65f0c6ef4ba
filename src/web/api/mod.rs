//! Everything as JSON under `/api/v1`, in the shapes of Prometheus' API.

mod answers;
mod body;
mod document;
mod parameters;
mod read;
mod reply;
mod responses;
mod shapes;
#[cfg(test)]
mod tests;
mod words;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get};

use super::app_state::AppState;

pub(super) use read::{read_query, status_of};

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
        ("/api/v1/openapi.json", get(document::openapi)),
    ]
}
