//! Routes and pages: the window on what is known.

mod api;
mod application;
mod findings;
mod house;
mod limits;
mod pages;
mod privacy;
mod reply;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use house::{Fixtures, House, Reload, ReloadAnswer, SnapshotReader};

/// Serves all routes on `listener` until `cancel`, as [`crate::http::serve`] does.
pub async fn serve(listener: TcpListener, house: Arc<House>, cancel: CancellationToken) {
    let router = routes::router(Arc::clone(&house));
    crate::http::serve(listener, Arc::clone(&house.server), router, cancel).await;
}
