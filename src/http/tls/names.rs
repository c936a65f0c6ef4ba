//! Versions, cipher suites and curves of TLS by the names that Go gives them.

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{ALL_CIPHER_SUITES, ALL_KX_GROUPS, default_provider};
use rustls::{NamedGroup, ProtocolVersion, SupportedCipherSuite};

/// Shown where a name would be right.
pub(super) const EXAMPLE_SUITE: &str = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";

/// A version that can be spoken. There is none older: they are broken, and the library has none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

impl TlsVersion {
    /// Go's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "TLS12",
            TlsVersion::Tls13 => "TLS13",
        }
    }
}

/// Every cipher suite by its name.
pub fn cipher_suites() -> impl Iterator<Item = (String, SupportedCipherSuite)> {
    let name = |suite: &SupportedCipherSuite| {
        let name = suite.suite().as_str().unwrap_or_default();
        // The library marks those of TLS 1.3, whose registered names are without the mark.
        name.replacen("TLS13_", "TLS_", 1)
    };
    ALL_CIPHER_SUITES.iter().map(move |suite| (name(suite), *suite))
}

/// Every curve by its name.
pub fn curves() -> impl Iterator<Item = (&'static str, NamedGroup)> {
    ALL_KX_GROUPS.iter().filter_map(|group| {
        let name = match group.name() {
            NamedGroup::X25519 => "X25519",
            NamedGroup::secp256r1 => "CurveP256",
            NamedGroup::secp384r1 => "CurveP384",
            _ => return None,
        };
        Some((name, group.name()))
    })
}

/// What the cryptography may use: of TLS 1.2 these suites alone, of all versions these curves alone, where any are named.
pub(super) fn provider(suites: &[SupportedCipherSuite], curves: &[NamedGroup]) -> CryptoProvider {
    let mut provider = default_provider();
    if !suites.is_empty() {
        provider.cipher_suites.retain(|suite| suite.version().version == ProtocolVersion::TLSv1_3);
        let older = suites.iter().filter(|suite| suite.version().version == ProtocolVersion::TLSv1_2);
        provider.cipher_suites.extend(older);
    }
    if !curves.is_empty() {
        let found =
            curves.iter().filter_map(|curve| ALL_KX_GROUPS.iter().find(|group| group.name() == *curve));
        provider.kx_groups = found.copied().collect();
    }
    provider
}
