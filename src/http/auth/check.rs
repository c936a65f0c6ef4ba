//! Lets a request through, or refuses it: the rate limit first, then the password.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};

use super::credentials::Credentials;
use super::password_queue::PasswordQueue;
use crate::http::application::RequestRefusal;
use crate::http::security::Security;
use crate::http::server::Server;

/// Marks a request whose password was checked and right; there is none where no password is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Authenticated;

/// What comes of a password.
enum Verdict {
    Right,
    Wrong,
    /// Too many others are being checked.
    Busy,
}

/// Lets a request through, marked as [`Authenticated`] where its password was checked, or refuses it.
pub async fn check(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response {
    if server.application.is_public(request.uri().path()) {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let refuse = |why, status, text| server.refuse(why, &path, status, text);
    let security = server.security.load_full();
    if security.rate.as_ref().is_some_and(|rate| !rate.take()) {
        let text = "too many requests; rate_limit of the web configuration says how many may come";
        return refuse(RequestRefusal::Rate, StatusCode::TOO_MANY_REQUESTS, text);
    }
    if security.users.is_empty() {
        return next.run(request).await;
    }
    let verdict = match Credentials::of(request.headers()) {
        Some(credentials) => verdict(&server.password_queue, &security, credentials).await,
        None => Verdict::Wrong,
    };
    match verdict {
        Verdict::Right => {}
        Verdict::Wrong => {
            let text = "expected a name and password (basic auth)";
            let mut response = refuse(RequestRefusal::Password, StatusCode::UNAUTHORIZED, text);
            let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", server.application.realm());
            if let Ok(challenge) = HeaderValue::try_from(challenge) {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            return response;
        }
        Verdict::Busy => {
            let text = "too many passwords are being checked; try again";
            return refuse(RequestRefusal::Busy, StatusCode::SERVICE_UNAVAILABLE, text);
        }
    }
    // Nothing behind this needs the password, so nothing behind this can show it.
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(Authenticated);
    next.run(request).await
}

async fn verdict(
    password_queue: &PasswordQueue,
    security: &Arc<Security>,
    credentials: Credentials,
) -> Verdict {
    if security.users.recalls(&credentials) {
        return Verdict::Right;
    }
    let Some(turn) = password_queue.turn().await else {
        return Verdict::Busy;
    };
    // Another request of the same client may have been checked in the meantime.
    if security.users.recalls(&credentials) {
        return Verdict::Right;
    }
    let security = Arc::clone(security);
    let checked = tokio::task::spawn_blocking(move || {
        // Held here, not by the request: a client that goes away does not end the work.
        let _turn = turn;
        security.users.verify(&credentials)
    });
    match checked.await {
        Ok(true) => Verdict::Right,
        _ => Verdict::Wrong,
    }
}
