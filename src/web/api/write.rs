//! The writing half: entries to add, pairs to remove; only with `--web.enable-watch-api`.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use super::body::{self, Unread};
use super::parameters::{EntriesShape, PairPath, TaskPath};
use super::reply::{Success, bad_path, refuse, success};
use super::shapes::{AddedShape, RemovedShape};
use crate::document::{self, Notes, Place, Syntax};
use crate::metrics::{PushView, WebRefusal};
use crate::view::{Added, Post, Removed, Target, WatchStoreError, id_of_path};
use crate::watch::read_posts;
use crate::web::app_state::{AppState, unix_now};
use crate::web::reply::ErrorShape;

/// Add entries, all or none; adding twice is no error
///
/// On disk before the answer, in force within seconds. 10,000 pairs in one request and 100,000 of an app at most. 503
/// with Retry-After says that nothing was added; after any other 503 the pairs may still be added.
#[utoipa::path(
    post,
    path = "/api/v1/watches",
    operation_id = "addWatches",
    request_body = inline(EntriesShape),
    responses(
        (status = 200, description = "Added.", body = Success<AddedShape>),
        (status = 400, description = "Every fault, or a push longer ago than watch_for; nothing was added.", body = ErrorShape),
        (status = 403, description = "Without --web.enable-watch-api, or sent by a page of another site.", body = ErrorShape),
        (status = 413, description = "The body is too long.", body = ErrorShape),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShape),
    )
)]
pub(super) async fn add(State(app_state): State<Arc<AppState>>, request: Request) -> Response {
    let Some(store) = &app_state.dependencies.watch_store else {
        return not_enabled();
    };
    let whole = match body::read(request.into_body(), &app_state.bodies).await {
        Ok(whole) => whole,
        Err(why) => return unread(&app_state, why),
    };
    let Ok(turn) = Arc::clone(&app_state.parses).acquire_owned().await else {
        return refused(&app_state, &WatchStoreError::Closed, StatusCode::BAD_REQUEST);
    };
    let views = app_state.views.load_full();
    let read = tokio::task::spawn_blocking(move || {
        let _turn = turn; // Where the client is gone, nobody waits for this, and it goes on.
        read_body(&whole.bytes, &views, unix_now())
    });
    match read.await {
        Ok(Ok((posts, warnings))) => match store.add(posts).await {
            Ok(Added { added, changed, known, not_polled }) => {
                let warnings = [warnings, not_polled].concat();
                success(AddedShape { added, changed, known, warnings })
            }
            Err(error) => refused(&app_state, &error, StatusCode::BAD_REQUEST),
        },
        Ok(Err(faults)) => refuse(StatusCode::BAD_REQUEST, faults),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read; see the log"),
    }
}

/// Remove all pairs of a task that the API added; removing twice is no error
#[utoipa::path(
    delete,
    path = "/api/v1/watches/{app}/{task}",
    operation_id = "removeTask",
    params(TaskPath),
    responses(
        (status = 200, description = "Removed.", body = Success<RemovedShape>),
        (status = 400, description = "A path that is no UTF-8.", body = ErrorShape),
        (status = 403, description = "Without --web.enable-watch-api, or sent by a page of another site.", body = ErrorShape),
        (status = 404, description = "No such app.", body = ErrorShape),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShape),
    )
)]
pub(super) async fn remove_task(
    State(app_state): State<Arc<AppState>>,
    path: Result<Path<TaskPath>, PathRejection>,
) -> Response {
    match path {
        Ok(Path(TaskPath { app, task })) => {
            remove(&app_state, Target { app, task: id_of_path(task), user: None }).await
        }
        Err(rejection) => bad_path(&rejection),
    }
}

/// Remove a pair that the API added; removing twice is no error
#[utoipa::path(
    delete,
    path = "/api/v1/watches/{app}/{task}/{user}",
    operation_id = "removePair",
    params(PairPath),
    responses(
        (status = 200, description = "Removed.", body = Success<RemovedShape>),
        (status = 400, description = "A path that is no UTF-8.", body = ErrorShape),
        (status = 403, description = "Without --web.enable-watch-api, or sent by a page of another site.", body = ErrorShape),
        (status = 404, description = "No such app.", body = ErrorShape),
        (status = 500, description = "The ledger cannot be read.", body = ErrorShape),
    )
)]
pub(super) async fn remove_pair(
    State(app_state): State<Arc<AppState>>,
    path: Result<Path<PairPath>, PathRejection>,
) -> Response {
    match path {
        Ok(Path(PairPath { app, task, user })) => {
            let (task, user) = (id_of_path(task), Some(id_of_path(user)));
            remove(&app_state, Target { app, task, user }).await
        }
        Err(rejection) => bad_path(&rejection),
    }
}

async fn remove(app_state: &AppState, target: Target) -> Response {
    let Some(store) = &app_state.dependencies.watch_store else {
        return not_enabled();
    };
    match store.remove(target).await {
        Ok(Removed { removed, still_listed }) => success(RemovedShape { removed, still_listed }),
        Err(error) => refused(app_state, &error, StatusCode::NOT_FOUND),
    }
}

fn not_enabled() -> Response {
    let text = "the writing half of the watch API is not enabled; start with --web.enable-watch-api";
    refuse(StatusCode::FORBIDDEN, text)
}

fn refused(app_state: &AppState, error: &WatchStoreError, no_app: StatusCode) -> Response {
    let status = match error {
        WatchStoreError::Busy => return queue_full(app_state, error),
        WatchStoreError::NoApp(_) => no_app,
        WatchStoreError::OverCap { .. }
        | WatchStoreError::TooMany { .. }
        | WatchStoreError::TooOld { .. } => StatusCode::BAD_REQUEST,
        WatchStoreError::Closed => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, error)
}

fn unread(app_state: &AppState, why: Unread) -> Response {
    match why {
        Unread::NoRoom => queue_full(app_state, &WatchStoreError::Busy),
        Unread::Cut => refuse(StatusCode::BAD_REQUEST, "the body did not come whole"),
        Unread::TooLong => {
            let text = format!("the body may have at most {} bytes", app_state.limits().body_bytes);
            refuse(StatusCode::PAYLOAD_TOO_LARGE, text)
        }
    }
}

fn queue_full(app_state: &AppState, error: &WatchStoreError) -> Response {
    app_state.dependencies.exporter.request_refused(WebRefusal::QueueFull);
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, error);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The entries of a body with a line for each warning, or every fault, a line each.
fn read_body(body: &[u8], views: &[PushView], now: i64) -> Result<(Vec<Post>, Vec<String>), String> {
    let told = |fault: document::Fault| format!("body: {fault}");
    let text = document::utf8(body).map_err(told)?;
    let node = document::parse(text, Syntax::Json).map_err(told)?;
    let notes = Notes::new();
    let app_of = |name: &str| {
        let view = views.iter().find(|view| &*view.app == name)?;
        Some((view.app.clone(), view.watch_labels.clone()))
    };
    let posts = read_posts(&Place::root(&node, text, &notes), now, app_of);
    if notes.is_empty() {
        let posts = posts.into_iter().map(|(app, entry)| Post { app, entry }).collect();
        Ok((posts, notes.warnings().lines()))
    } else {
        Err(notes.faults("body").to_string())
    }
}
