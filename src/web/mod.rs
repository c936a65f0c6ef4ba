//! Routes and pages: the window on what is known.

mod api;
mod app_state;
mod application;
mod assets;
mod findings;
mod limits;
mod pages;
mod privacy;
mod reply;
mod routes;
mod times;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use app_state::{AppState, Dependencies, ReloadAnswer, ReloadHandler, SnapshotReader};

/// Serves all routes on `listener` until `cancel`, as [`crate::http::serve`] does.
pub async fn serve(listener: TcpListener, app_state: Arc<AppState>, cancel: CancellationToken) {
    let router = routes::router(Arc::clone(&app_state));
    crate::http::serve(listener, Arc::clone(&app_state.server), router, cancel).await;
}
