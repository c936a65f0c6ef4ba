//! How answers look: plain text, errors, and the headers that all have.

use axum::response::{IntoResponse, Response};
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, Type};

use super::assets::SECURITY_POLICY;

const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

pub(super) fn set_security_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, SECURITY_POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // All that we show changes with time, and a value without its time would be taken for a fresh one.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let mut text = text.into();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    (status, [(CONTENT_TYPE, PLAIN_TEXT)], text).into_response()
}

/// An answer of the API in place of a good one.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorShape {
    #[schema(schema_with = error_status)]
    status: &'static str,
    #[serde(rename = "errorType")]
    #[schema(schema_with = error_kinds)]
    kind: &'static str,
    /// What is wrong and what was expected; every fault on a line of its own.
    error: String,
}

fn error_status() -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(["error"])).build()
}

fn error_kinds() -> Object {
    Object::builder().schema_type(Type::String).enum_values(Some(ERROR_KINDS)).build()
}

/// What `errorType` may be.
const ERROR_KINDS: [&str; 7] =
    ["bad_data", "unauthorized", "forbidden", "not_found", "too_many_requests", "unavailable", "internal"];

/// An error as plain text, or under `/api/v1` as Prometheus' API shapes it.
pub(super) fn refusal(path: &str, status: StatusCode, text: &str) -> Response {
    if path != "/api/v1" && !path.starts_with("/api/v1/") {
        return plain(status, text);
    }
    let kind = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        status if status.is_client_error() => "bad_data",
        _ => "internal",
    };
    (status, axum::Json(ErrorShape { status: "error", kind, error: text.to_owned() })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_have_the_shape_of_their_place() {
        let body = async |response: Response| {
            let bytes = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let cases = [
            ("/api/v1/watches", StatusCode::METHOD_NOT_ALLOWED, "bad_data"),
            ("/api/v1", StatusCode::NOT_FOUND, "not_found"),
            ("/api/v1/x", StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ("/api/v1/x", StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            ("/api/v1/x", StatusCode::PAYLOAD_TOO_LARGE, "bad_data"),
        ];
        for (path, status, kind) in cases {
            let response = refusal(path, status, "why");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            let json: serde_json::Value = serde_json::from_str(&body(response).await).unwrap();
            assert_eq!(json, serde_json::json!({"status": "error", "errorType": kind, "error": "why"}));
        }
        let response = refusal("/api/v10", StatusCode::NOT_FOUND, "why");
        assert_eq!(response.headers()[CONTENT_TYPE], PLAIN_TEXT);
        assert_eq!(body(response).await, "why\n");
    }
}
