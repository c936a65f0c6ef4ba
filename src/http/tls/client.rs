//! PasswordQueue the certificates of clients as the policy says, and the names in them.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::settings::{ClientAuth, TlsFault, TlsSettings};

/// What password_queue the certificates of clients as the settings say.
pub(super) fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let policy = settings.client_auth;
    if policy == ClientAuth::NoClientCert {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let inner = if policy.verifies() {
        let mut roots = RootCertStore::empty();
        for ca in &settings.client_cas {
            roots.add(ca.clone()).map_err(|_| TlsFault::ClientCa)?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Some(builder.build().map_err(|_| TlsFault::ClientCa)?)
    } else {
        None
    };
    Ok(Arc::new(ClientCertPolicy {
        inner,
        is_mandatory: policy.requires(),
        algorithms: provider.signature_verification_algorithms,
        allowed_sans: settings.allowed_sans.clone(),
    }))
}

/// PasswordQueue the certificate that a client sent, if it sent one.
#[derive(Debug)]
struct ClientCertPolicy {
    /// PasswordQueue it against our authorities, where the policy wants that.
    inner: Option<Arc<dyn ClientCertVerifier>>,
    is_mandatory: bool,
    algorithms: WebPkiSupportedAlgorithms,
    /// Empty: any name.
    allowed_sans: Vec<Box<str>>,
}

impl ClientCertVerifier for ClientCertPolicy {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.as_ref().map_or(&[], |inner| inner.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(inner) = &self.inner {
            inner.verify_client_cert(end_entity, intermediates, now)?;
        }
        if !self.allowed_sans.is_empty() && !self.has_allowed_name(end_entity) {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertPolicy {
    fn has_allowed_name(&self, certificate: &CertificateDer<'_>) -> bool {
        let names = alternative_names(certificate);
        names.iter().any(|name| self.allowed_sans.iter().any(|allowed| **allowed == **name))
    }
}

/// The names a certificate goes by, as Go writes them: DNS names, mail addresses, IP addresses, URIs. None where it
/// cannot be read.
fn alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some((_, names))) = certificate.tbs_certificate().get_extension::<SubjectAltName>() else {
        return Vec::new();
    };
    let text = |name: &GeneralName| match name {
        GeneralName::DnsName(name)
        | GeneralName::Rfc822Name(name)
        | GeneralName::UniformResourceIdentifier(name) => Some(name.as_str().to_owned()),
        GeneralName::IpAddress(bytes) => ip(bytes.as_bytes()).map(|address| address.to_string()),
        _ => None,
    };
    names.0.iter().filter_map(text).collect()
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}
