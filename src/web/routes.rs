//! Who answers which path, and what all answers have in common.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, ORIGIN, VARY};
use hyper::{HeaderMap, Method, StatusCode, Uri};

use super::app_state::{AppState, Readiness, unix_now};
use super::reply::{plain, refusal, set_security_headers};
use super::{api, pages};
use crate::http::{self, gzip};
use crate::metrics;

/// A page of metrics gets room for this part more than the one before had.
const PAGE_GROWTH: usize = 16;

/// All paths. GET never changes anything.
pub(super) fn router(app: Arc<AppState>) -> Router {
    Router::new()
        .route("/", get(pages::status))
        .route("/watches", get(pages::watches))
        .route("/watches/{app}/{task}/{user}", get(pages::chain))
        .route("/metrics", get(scrape))
        .route("/config", get(config))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .merge(api::router())
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&app.server), http::check))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// What is checked before and set after every answer.
async fn guard(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let (method, headers, path) = (request.method(), request.headers(), request.uri().path());
    let mut response = if !method.is_safe() && is_cross_site(headers) {
        refusal(path, StatusCode::FORBIDDEN, "requests from other sites may not change anything")
    } else if declared_length(headers).is_some_and(|n| n > app.limits().body_bytes as u64) {
        let limit = app.limits().body_bytes;
        refusal(path, StatusCode::PAYLOAD_TOO_LARGE, &format!("the body may have at most {limit} bytes"))
    } else {
        next.run(request).await
    };
    set_security_headers(response.headers_mut());
    response
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// True for a request that a page of another site made a browser send. Tools such as curl send neither header.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let text = |value: &HeaderValue| value.to_str().map(str::to_ascii_lowercase).unwrap_or_default();
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(text(site).as_str(), "same-origin" | "none");
    }
    let Some(origin) = headers.get(ORIGIN).map(text) else {
        return false;
    };
    let own = headers.get(HOST).map(text);
    let theirs = origin.split_once("://").map(|(_, authority)| authority.to_owned());
    theirs.is_none() || theirs != own
}

async fn not_found(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(ALLOW, "OPTIONS")]).into_response();
    }
    if uri.path().starts_with("/watches/") {
        return pages::lost();
    }
    refusal(uri.path(), StatusCode::NOT_FOUND, "no such path; GET / links to those there are")
}

/// The methods of the path stand in `Allow`, which the router adds.
async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let text = format!("{method} is not allowed here; the header Allow says what is");
    refusal(uri.path(), StatusCode::METHOD_NOT_ALLOWED, &text)
}

async fn healthy() -> Response {
    plain(StatusCode::OK, "timpush_exporter is healthy.")
}

async fn ready(State(app): State<Arc<AppState>>) -> Response {
    match app.readiness() {
        Readiness::Ready => plain(StatusCode::OK, "timpush_exporter is ready."),
        Readiness::Starting => plain(
            StatusCode::SERVICE_UNAVAILABLE,
            "timpush_exporter is not ready: it opens the ledger and loads the watch lists.",
        ),
        Readiness::Stopping => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "timpush_exporter is not ready: it is shutting down.")
        }
    }
}

async fn config(State(app): State<Arc<AppState>>) -> Response {
    plain(StatusCode::OK, app.config_text.load().as_str())
}

/// Prometheus' own words where lifecycle requests are off, so that its operators know them.
async fn reload(State(app): State<Arc<AppState>>) -> Response {
    let Some(reload) = &app.dependencies.reload else {
        let text = "Lifecycle API is not enabled. Start with --web.enable-lifecycle, or send SIGHUP.";
        return plain(StatusCode::FORBIDDEN, text);
    };
    match reload().await {
        Ok(()) => plain(StatusCode::OK, "the configuration was loaded"),
        Err(faults) => plain(StatusCode::BAD_REQUEST, faults),
    }
}

/// Rendering may take some milliseconds, so it runs beside the tasks that poll; at most a few at once.
async fn scrape(State(app): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let is_packed = gzip::is_wanted(&headers);
    let permit = Arc::clone(&app.renders).acquire_owned().await.expect("nobody closes the semaphore");
    let rendered = tokio::task::spawn_blocking(move || {
        // Held here, not by the request: a client that goes away does not end the rendering.
        let _permit = permit;
        let snapshot = (app.dependencies.snapshot)();
        let latest = app.page_bytes.load(Ordering::Relaxed);
        let (page, registry) = ((&*snapshot, &app.views.load()[..]), &app.dependencies.registry);
        let text = metrics::render(page, registry, unix_now(), latest + latest / PAGE_GROWTH);
        app.page_bytes.store(text.len(), Ordering::Relaxed);
        if is_packed { gzip::pack(&text) } else { text }
    });
    let Ok(body) = rendered.await else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be rendered; see the log");
    };
    let mut response = Response::new(Body::from(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (name.parse::<hyper::header::HeaderName>().unwrap(), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_browsers_on_other_sites_are_cross_site() {
        let cases: [(&[(&str, &str)], bool); 9] = [
            (&[("host", "a:1")], false),
            (&[("host", "a:1"), ("origin", "http://A:1")], false),
            (&[("host", "a:1"), ("origin", "http://a:2")], true),
            (&[("host", "a:1"), ("origin", "null")], true),
            (&[("origin", "http://a:1")], true),
            (&[("host", "a:1"), ("sec-fetch-site", "same-origin"), ("origin", "http://b")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
        ];
        for (pairs, wanted) in cases {
            assert_eq!(is_cross_site(&headers(pairs)), wanted, "{pairs:?}");
        }
    }
}
