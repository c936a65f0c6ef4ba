//! What all answers of the API have in common.

use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse as _, Response};
use hyper::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::words;
use crate::web::reply::refusal;

/// A good answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Success<T> {
    #[schema(schema_with = words::success)]
    status: &'static str,
    data: T,
}

pub(super) fn success(data: impl Serialize) -> Response {
    axum::Json(Success { status: "success", data }).into_response()
}

pub(super) fn refuse(status: StatusCode, text: impl ToString) -> Response {
    refusal("/api/v1", status, &text.to_string())
}

/// A path whose parts cannot be read.
pub(super) fn bad_path(rejection: &PathRejection) -> Response {
    refuse(StatusCode::BAD_REQUEST, format!("path: {}", rejection.body_text()))
}
