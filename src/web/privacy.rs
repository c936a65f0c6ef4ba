//! Who may see user ids, and what stands for them where they are not shown: they are personal.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{FORWARDED, HOST, HeaderName, VIA};
use hyper::http::request::Parts;
use sha2::Sha256;

use super::auth::Authenticated;
use super::desk::UserName;

/// Marks the hash that stands for a user in a path.
const MARK: char = '~';
/// Bytes of the hash that are kept; 80 bits never meet by chance among the pairs of a list.
const HASH_BYTES: usize = 10;

/// What proxies say of themselves.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// The far end of a connection; an extension of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Makes the hashes that stand for users, under a key of this daemon.
pub struct Veil(Hmac<Sha256>);

impl Veil {
    /// Whoever holds `key` can find the user of a hash by trying.
    pub fn new(key: &[u8; 32]) -> Veil {
        Veil(Hmac::new_from_slice(key).expect("HMAC takes keys of any length"))
    }

    /// Stands for this pair's user in a path: `~` and 20 hexadecimal digits. Another for each pair, so that pages do
    /// not tell which pairs are of one user.
    pub fn hash(&self, app: &str, task: &str, user: &str) -> String {
        let mut mac = self.0.clone();
        for part in [app, task, user] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let digits = digest[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}"));
        std::iter::once(MARK.to_string()).chain(digits).collect()
    }
}

impl std::fmt::Debug for Veil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veil")
    }
}

impl UserName {
    /// The user that a part of a path names. What looks like a hash is one.
    pub fn read(part: &str) -> UserName {
        let digits = part.strip_prefix(MARK).unwrap_or_default();
        let is_hash = digits.len() == 2 * HASH_BYTES && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let name = part.to_owned();
        if is_hash { UserName::Hash(name.to_ascii_lowercase()) } else { UserName::Id(name) }
    }
}

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
    /// User ids as they are, for who gave a password or is on this machine; else hashes in their place.
    pub(super) sees_users: bool,
}

impl Visitor {
    /// Whether a pair may be asked for by that name: who may not see ids may not try them out either.
    pub(super) fn may_name(self, user: &UserName) -> bool {
        self.sees_users || matches!(user, UserName::Hash(_))
    }
}

/// Shows users as they are, or the hashes that stand for them.
#[derive(Clone, Copy)]
pub(super) struct Eyes<'a> {
    pub(super) visitor: Visitor,
    pub(super) veil: &'a Veil,
}

impl Eyes<'_> {
    /// The user of a pair as this visitor may know them.
    pub(super) fn user(self, app: &str, task: &str, user: &str) -> String {
        if self.visitor.sees_users { user.to_owned() } else { self.veil.hash(app, task, user) }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Visitor, Infallible> {
        let peer = parts.extensions.get::<Peer>().copied();
        let is_known = parts.extensions.get::<Authenticated>().is_some();
        Ok(Visitor { sees_users: is_known || is_local(peer, &parts.headers) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_pair_and_one_key_and_reads_back_as_a_hash() {
        let veil = Veil::new(&[1; 32]);
        let hash = veil.hash("shop", "t", "alice");
        assert_eq!(hash, veil.hash("shop", "t", "alice"));
        let others =
            [veil.hash("shop", "ta", "lice"), veil.hash("shop", "u", "alice"), veil.hash("a", "t", "alice")];
        assert!(!others.contains(&hash));
        assert_ne!(hash, Veil::new(&[2; 32]).hash("shop", "t", "alice"));
        assert!(!hash.contains("alice"));
        assert_eq!(UserName::read(&hash), UserName::Hash(hash));
        for id in ["alice", "~", "~zz", "", "0123456789abcdef0123"] {
            assert_eq!(UserName::read(id), UserName::Id(id.to_owned()));
        }
    }

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
