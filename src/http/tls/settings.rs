//! What is to be served over TLS, and whom clients must be, by the names that Go gives it.

use std::ops::RangeInclusive;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{NamedGroup, SupportedCipherSuite};

use super::names::{EXAMPLE_SUITE, TlsVersion};

/// The policy for client certificates, by Go's names for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    #[default]
    NoClientCert,
    /// Asked for, but neither required nor verified.
    RequestClientCert,
    /// Required, but from anybody: the client only proves that it holds the key.
    RequireAnyClientCert,
    /// One that is sent must come from our authorities.
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

impl ClientAuth {
    /// All of them.
    pub const ALL: [ClientAuth; 5] = [
        ClientAuth::NoClientCert,
        ClientAuth::RequestClientCert,
        ClientAuth::RequireAnyClientCert,
        ClientAuth::VerifyClientCertIfGiven,
        ClientAuth::RequireAndVerifyClientCert,
    ];

    /// Go's name for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ClientAuth::NoClientCert => "NoClientCert",
            ClientAuth::RequestClientCert => "RequestClientCert",
            ClientAuth::RequireAnyClientCert => "RequireAnyClientCert",
            ClientAuth::VerifyClientCertIfGiven => "VerifyClientCertIfGiven",
            ClientAuth::RequireAndVerifyClientCert => "RequireAndVerifyClientCert",
        }
    }

    /// Whether certificates are checked against our authorities.
    pub fn verifies(self) -> bool {
        matches!(self, ClientAuth::VerifyClientCertIfGiven | ClientAuth::RequireAndVerifyClientCert)
    }

    /// Whether a client without a certificate is turned away.
    pub fn requires(self) -> bool {
        matches!(self, ClientAuth::RequireAnyClientCert | ClientAuth::RequireAndVerifyClientCert)
    }
}

/// What `tls_server_config` says, read and checked key by key.
#[derive(Debug)]
pub struct TlsSettings {
    /// The server's certificate, then those between it and a root. Not empty.
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
    pub client_auth: ClientAuth,
    /// Roots of client certificates.
    pub client_cas: Vec<CertificateDer<'static>>,
    /// A client's certificate must have one of these names; empty: any.
    pub allowed_sans: Vec<Box<str>>,
    pub versions: RangeInclusive<TlsVersion>,
    /// Of TLS 1.2, in order of preference; empty: all there are. Those of TLS 1.3 are always on, as they are in Go.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// In order of preference; empty: all there are.
    pub curves: Vec<NamedGroup>,
    /// Whether the order of `cipher_suites` counts more than the client's.
    pub prefers_own_suites: bool,
}

/// Why TLS cannot be served with these settings. Shows nothing of a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    #[error("is no X.509 certificate; expected the certificate of the server as PEM")]
    Certificate,
    #[error("is a private key of a kind that cannot be used; expected RSA, ECDSA or Ed25519 as PEM")]
    Key,
    #[error("is not the private key of the certificate; expected the two that were made together")]
    OtherKey,
    #[error("holds a certificate that is no root; expected certificates of authorities as PEM")]
    ClientCa,
    #[error("leaves TLS 1.2 without a cipher suite; expected one such as {}", EXAMPLE_SUITE)]
    NoSuite,
}
