//! What TLS needs of the system: a provider of its ciphers, and the certificates of those who sign.

use std::sync::Once;

/// Where Linux systems keep them, as the HTTP library looks for them.
const PLACES: [&str; 8] = [
    "/etc/ssl/certs",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
];
/// Name the places instead.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// TLS needs a provider of its ciphers, once for each process.
pub fn install_tls_provider() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Only fails where a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// Why HTTPS cannot be spoken where the system's CA certificates cannot be used: where they were looked for, and what to
/// install.
pub fn no_certificates(cause: &str) -> String {
    let set: Vec<String> = VARIABLES
        .iter()
        .filter_map(|name| Some(format!("{name}={}", std::env::var_os(name)?.to_string_lossy())))
        .collect();
    let places = if set.is_empty() { PLACES.join(", ") } else { set.join(", ") };
    format!(
        "HTTPS needs CA certificates, and none can be used ({cause}); looked at: {places}; install the package \
         ca-certificates, or set SSL_CERT_FILE to a file of certificates as PEM"
    )
}
