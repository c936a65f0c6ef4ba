//! TLS as `tls_server_config` asks for it: the certificate served, versions, ciphers, and whom clients must be.

mod accept;
mod client;
mod names;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig, version};
use x509_cert::Certificate;
use x509_cert::der::Decode;

pub(super) use accept::HandshakeError;
pub use names::{TlsVersion, cipher_suites, curves};
pub use settings::{ClientAuth, TlsFault, TlsSettings};

/// The one protocol that is spoken inside TLS; HTTP/2 is not.
const PROTOCOL: &[u8] = b"http/1.1";

/// TLS ready to be spoken.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    expires_at: i64,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Tls {
    /// Makes ready what was read.
    ///
    /// # Errors
    /// The parts do not go together.
    pub fn new(settings: TlsSettings) -> Result<Tls, TlsFault> {
        let leaf = settings.chain.first().and_then(|leaf| Certificate::from_der(leaf).ok());
        let validity = leaf.ok_or(TlsFault::Certificate)?.tbs_certificate().validity().not_after;
        let expires_at = i64::try_from(validity.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        let provider = Arc::new(names::provider(&settings.cipher_suites, &settings.curves));
        let versions = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
        let versions = versions.into_iter().filter(|(named, _)| settings.versions.contains(named));
        let versions: Vec<_> = versions.map(|(_, version)| version).collect();
        let verifier = client::verifier(&settings, &provider)?;
        let key = settings.key;
        let certified =
            CertifiedKey::from_der(settings.chain, key, &provider).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsFault::OtherKey,
                rustls::Error::InvalidCertificate(_) => TlsFault::Certificate,
                _ => TlsFault::Key,
            })?;
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions)
            .map_err(|_| TlsFault::NoSuite)?
            .with_client_cert_verifier(verifier);
        let mut config =
            builder.with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
        config.ignore_client_order = settings.prefers_own_suites;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Tls { config: Arc::new(config), expires_at })
    }

    /// The last second, Unix, in which clients take the certificate that is served.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }
}
