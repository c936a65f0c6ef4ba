//! Who may ask: the password of every request but those about health, and how often anybody may ask.

mod checks;
mod rate;
#[cfg(test)]
mod tests;
mod users;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretSlice};

use super::House;
use super::privacy::Peer;
use super::routes::refusal;
use super::security::Security;
use crate::metrics::WebRefusal;

pub(super) use checks::Checks;
pub use rate::RateLimit;
pub use users::{HashFault, MAX_COST, MIN_COST, PasswordHash, Users};

/// What a client is told that sent no password or a wrong one.
const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"timpush_exporter\", charset=\"UTF-8\"");

/// Marks a request whose password was checked and right; there is none where no password is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authenticated;

/// The name and password of a request.
struct Credentials {
    /// `name:password`.
    text: SecretSlice<u8>,
    /// Bytes of the name.
    split: usize,
}

impl Credentials {
    /// Those of the header `Authorization`, where it holds some.
    fn of(headers: &HeaderMap) -> Option<Credentials> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text: SecretSlice<u8> = BASE64_STANDARD.decode(token.trim()).ok()?.into();
        let split = text.expose_secret().iter().position(|byte| *byte == b':')?;
        Some(Credentials { text, split })
    }

    fn name(&self) -> &[u8] {
        &self.text.expose_secret()[..self.split]
    }

    fn password(&self) -> &[u8] {
        &self.text.expose_secret()[self.split + 1..]
    }
}

/// What comes of a password.
enum Verdict {
    Right,
    Wrong,
    /// Too many others are being checked.
    Busy,
}

/// Health must be visible to what has no password, and must not seem bad because others ask too often.
fn is_open(path: &str) -> bool {
    matches!(path, "/-/healthy" | "/-/ready")
}

/// Lets a request through, marked as [`Authenticated`] where its password was checked, or refuses it.
pub(super) async fn check(State(app): State<Arc<House>>, mut request: Request, next: Next) -> Response {
    if is_open(request.uri().path()) {
        return next.run(request).await;
    }
    let path = request.uri().path().to_owned();
    let refuse = |reason, status, text| {
        app.fixtures.exporter.request_refused(reason);
        refusal(&path, status, text)
    };
    let security = app.security.load_full();
    if security.rate.as_ref().is_some_and(|rate| !rate.take()) {
        let text = "too many requests; rate_limit of the web configuration says how many may come";
        return refuse(WebRefusal::Rate, StatusCode::TOO_MANY_REQUESTS, text);
    }
    if security.users.is_empty() {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().map(|Peer(address)| address.ip());
    let verdict = match Credentials::of(request.headers()) {
        Some(credentials) => verdict(&app.checks, &security, credentials, peer).await,
        None => Verdict::Wrong,
    };
    match verdict {
        Verdict::Right => {}
        Verdict::Wrong => {
            let text = "a name and password would be right (basic auth)";
            let mut response = refuse(WebRefusal::Password, StatusCode::UNAUTHORIZED, text);
            response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
            return response;
        }
        Verdict::Busy => {
            let text = "too many passwords are being checked; try again";
            let mut response = refuse(WebRefusal::Busy, StatusCode::SERVICE_UNAVAILABLE, text);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        }
    }
    // Nothing behind this needs the password, so nothing behind this can show it.
    request.headers_mut().remove(AUTHORIZATION);
    request.extensions_mut().insert(Authenticated);
    next.run(request).await
}

async fn verdict(
    checks: &Checks,
    security: &Arc<Security>,
    credentials: Credentials,
    peer: Option<IpAddr>,
) -> Verdict {
    if security.users.recalls(&credentials) {
        return Verdict::Right;
    }
    let Some(place) = checks.queue(peer) else {
        return Verdict::Busy;
    };
    let turn = place.turn().await;
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
