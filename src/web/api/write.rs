//! The writing half: entries to add, pairs to remove; only with `--web.enable-watch-api`.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http_body_util::LengthLimitError;
use hyper::StatusCode;
use serde_json::json;

use super::{bad_path, refuse, success};
use crate::metrics::PushView;
use crate::tree::{self, Notes, Place, Syntax};
use crate::watch::read_posts;
use crate::web::desk::{Post, RegisterError, Target, UserName, task_of_path};
use crate::web::house::House;

pub(super) async fn add(State(house): State<Arc<House>>, request: Request) -> Response {
    let Some(register) = &house.fixtures.register else {
        return not_enabled();
    };
    let most = house.limits().body_bytes;
    let body = match to_bytes(request.into_body(), most).await {
        Ok(body) => body,
        Err(error) => return unreadable(error, most),
    };
    let views = house.views.load_full();
    let read = tokio::task::spawn_blocking(move || read_body(&body, &views)).await;
    match read {
        Ok(Ok(posts)) => match register.add(posts).await {
            Ok(added) => {
                let (added, changed, known) = (added.added, added.changed, added.known);
                success(json!({"added": added, "changed": changed, "known": known}))
            }
            Err(error) => refused(&error, StatusCode::BAD_REQUEST),
        },
        Ok(Err(faults)) => refuse(StatusCode::BAD_REQUEST, faults),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the body could not be read; see the log"),
    }
}

pub(super) async fn remove_task(
    State(house): State<Arc<House>>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Response {
    match path {
        Ok(Path((app, task))) => remove(&house, Target { app, task: task_of_path(task), user: None }).await,
        Err(rejection) => bad_path(&rejection),
    }
}

pub(super) async fn remove_pair(
    State(house): State<Arc<House>>,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Response {
    match path {
        Ok(Path((app, task, user))) => {
            let user = Some(UserName::read(&user));
            remove(&house, Target { app, task: task_of_path(task), user }).await
        }
        Err(rejection) => bad_path(&rejection),
    }
}

async fn remove(house: &House, target: Target) -> Response {
    let Some(register) = &house.fixtures.register else {
        return not_enabled();
    };
    match register.remove(target).await {
        Ok(gone) => {
            let (removed, still_listed) = (gone.removed, gone.still_listed);
            success(json!({"removed": removed, "still_listed": still_listed}))
        }
        Err(error) => refused(&error, StatusCode::NOT_FOUND),
    }
}

fn not_enabled() -> Response {
    let text = "the writing half of the watch API is not enabled; start with --web.enable-watch-api";
    refuse(StatusCode::FORBIDDEN, text)
}

fn refused(error: &RegisterError, no_app: StatusCode) -> Response {
    let status = match error {
        RegisterError::NoApp(_) => no_app,
        RegisterError::OverCap { .. } | RegisterError::TooMany { .. } => StatusCode::BAD_REQUEST,
        RegisterError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        RegisterError::Unreadable => StatusCode::INTERNAL_SERVER_ERROR,
    };
    refuse(status, error)
}

fn unreadable(error: axum::Error, most: usize) -> Response {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            let text = format!("the body may have at most {most} bytes");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        cause = error.source();
    }
    refuse(StatusCode::BAD_REQUEST, "the body did not come whole")
}

/// The entries of a body, or every fault, a line each.
fn read_body(body: &[u8], views: &[PushView]) -> Result<Vec<Post>, String> {
    let told = |fault: tree::Fault| format!("body: {fault}");
    let text = tree::utf8(body).map_err(told)?;
    let node = tree::parse(text, Syntax::Json).map_err(told)?;
    let notes = Notes::new();
    let app_of = |name: &str| {
        let view = views.iter().find(|view| &*view.app == name)?;
        Some((view.app.clone(), view.watch_labels.clone()))
    };
    let posts = read_posts(&Place::root(&node, text, &notes), app_of);
    if notes.is_empty() {
        Ok(posts.into_iter().map(|(app, entry)| Post { app, entry }).collect())
    } else {
        Err(notes.faults("body").to_string())
    }
}
