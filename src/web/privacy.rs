//! Who may see user ids: they are personal.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::response::Response;
use hyper::header::{FORWARDED, HOST, HeaderName, VIA};
use hyper::http::request::Parts;
use hyper::{HeaderMap, StatusCode};

use super::pages;
use super::reply::refusal;
use crate::http::{Authenticated, Peer};

/// Why a client gets no page or answer that names users.
pub(super) const NO_USERS: &str = "user ids are personal data, so what names users is only for clients with a password \
     (basic_auth_users in --web.config.file) and for clients on this machine";

/// What proxies say of themselves.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// True for a client on this machine: a loopback address, no word of a proxy in between, and a host that no name
/// service of others can have pointed here.
pub(super) fn is_local(peer: Option<Peer>, headers: &HeaderMap) -> bool {
    let is_loopback = peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback());
    let is_forwarded = PROXY_HEADERS.iter().any(|name| headers.contains_key(name));
    is_loopback && !is_forwarded && headers.get(HOST).is_none_or(|host| names_loopback(host.as_bytes()))
}

fn names_loopback(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// What a request may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visitor {
    /// User ids, and texts that may hold some: for clients that gave a password or are on this machine.
    pub(super) sees_users: bool,
}

impl Visitor {
    fn of(parts: &Parts) -> Visitor {
        let peer = parts.extensions.get::<Peer>().copied();
        let is_known = parts.extensions.get::<Authenticated>().is_some();
        Visitor { sees_users: is_known || is_local(peer, &parts.headers) }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, Infallible> {
        Ok(Visitor::of(parts))
    }
}

/// Lets only those through who may see users; all others get 403 and [`NO_USERS`].
pub(super) struct SeesUsers;

impl<S: Sync> FromRequestParts<S> for SeesUsers {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<SeesUsers, Response> {
        if Visitor::of(parts).sees_users {
            return Ok(SeesUsers);
        }
        let path = parts.uri.path();
        let is_page = path == "/watches" || path.starts_with("/watches/");
        Err(if is_page { pages::forbidden(NO_USERS) } else { refusal(path, StatusCode::FORBIDDEN, NO_USERS) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_direct_clients_on_loopback_are_local() {
        let peer = |text: &str| Some(Peer(text.parse().unwrap()));
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let local = |text, pairs| is_local(peer(text), &headers(pairs));
        assert!(local("127.0.0.1:9", &[("host", "127.0.0.1:10047")]));
        assert!(local("127.0.0.1:9", &[("host", "localhost:10047")]));
        assert!(local("[::1]:9", &[("host", "[::1]:10047")]) && local("[::ffff:127.0.0.1]:9", &[]));
        assert!(local("[::1]:9", &[("host", "[::1]")]) && local("127.0.0.1:9", &[("host", "LOCALHOST")]));
        assert!(!local("192.0.2.1:9", &[("host", "localhost")]));
        assert!(!local("127.0.0.1:9", &[("host", "rebound.example:10047")]));
        assert!(!local("127.0.0.1:9", &[("host", "localhost"), ("x-forwarded-for", "192.0.2.1")]));
        assert!(!local("127.0.0.1:9", &[("forwarded", "for=192.0.2.1")]));
        assert!(
            !local("127.0.0.1:9", &[("x-real-ip", "192.0.2.1")])
                && !local("127.0.0.1:9", &[("via", "1.1 p")])
        );
        assert!(!is_local(None, &HeaderMap::new()));
    }
}
