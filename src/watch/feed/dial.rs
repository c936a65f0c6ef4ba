//! The HTTP client of one source, as its `tls_config` says, and the secrets it sends.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use super::super::{ClientTls, HttpSource};
use super::stamp::FileStamp;
use crate::sys;

/// The largest file that is taken where a secret or a certificate is expected, in bytes; bundles of certificates fit.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// How to reach one source. Shows nothing: the query of the URL may hold a token.
#[derive(Clone)]
pub(super) struct Dialer {
    client: Client,
    url: Url,
    /// The header `Host`, where it is not that of `url`.
    host: Option<HeaderValue>,
    /// The files of `tls_config` when the client was made.
    stamps: Vec<Option<FileStamp>>,
}

impl Dialer {
    /// Builds the client. Reads the files of `tls_config`: blocks.
    ///
    /// # Errors
    /// What is wrong with the URL or with `tls_config`; names paths, no secret.
    pub(super) fn new(source: &HttpSource) -> Result<Dialer, String> {
        sys::install_tls_provider();
        let mut url = Url::parse(&source.url).map_err(|error| format!("is no URL ({error})"))?;
        let base = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // As Prometheus does: sources stand nearby, and a proxy would see tokens sent in the clear.
            .no_proxy()
            // A source is asked once in a while: a connection kept so long is rather stale than useful.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("timpush_exporter/", env!("CARGO_PKG_VERSION")));
        let stamps = stamps(source);
        let mut host = None;
        let builder = match url.scheme() {
            "https" => {
                let builder = with_tls(base, &source.tls)?;
                match &source.tls.server_name {
                    Some(name) => {
                        host = Some(host_header(&url)?);
                        with_server_name(builder, name, &mut url)?
                    }
                    None => builder,
                }
            }
            "http" => base.tls_certs_only([]), // Without it the system's certificates would have to be there.
            other => {
                return Err(format!("has the scheme {other}; expected http:// or https://"));
            }
        };
        let has_own = source.tls.ca_file.is_some() || url.scheme() == "http";
        let client = builder.build().map_err(|error| match words(error) {
            cause if has_own => format!("no HTTP client can be made: {cause}"),
            cause => sys::no_certificates(&cause),
        })?;
        Ok(Dialer { client, url, host, stamps })
    }

    /// True if the files of `tls_config` are others than those the client was made with. Blocks.
    pub(super) fn is_stale(&self, source: &HttpSource) -> bool {
        self.stamps != stamps(source)
    }

    /// A `GET` of the source.
    pub(super) fn get(&self) -> RequestBuilder {
        let request = self.client.get(self.url.clone());
        match &self.host {
            Some(host) => request.header(reqwest::header::HOST, host.clone()),
            None => request,
        }
    }
}

fn stamps(source: &HttpSource) -> Vec<Option<FileStamp>> {
    let tls = &source.tls;
    let files = [&tls.ca_file, &tls.cert_file, &tls.key_file];
    let stamp = |path: &std::path::PathBuf| fs::metadata(path).ok().map(|metadata| FileStamp::of(&metadata));
    files.into_iter().flatten().map(stamp).collect()
}

fn with_tls(mut builder: ClientBuilder, tls: &ClientTls) -> Result<ClientBuilder, String> {
    if let Some(path) = &tls.ca_file {
        let fault = |text: String| format!("tls_config.ca_file {}: {text}", path.display());
        let certificates = Certificate::from_pem_bundle(&read_file(path).map_err(fault)?)
            .map_err(|error| fault(words(error)))?;
        if certificates.is_empty() {
            return Err(fault("holds no certificate; expected certificates as PEM".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => {
            let fault = |path: &Path, key: &str, text| format!("tls_config.{key} {}: {text}", path.display());
            let mut pem = read_file(cert).map_err(|text| fault(cert, "cert_file", text))?;
            pem.push(b'\n');
            pem.extend(read_file(key).map_err(|text| fault(key, "key_file", text))?);
            let identity = Identity::from_pem(&pem).map_err(|error| {
                let text = format!("with its key_file is no identity as PEM: {}", words(error));
                fault(cert, "cert_file", text)
            })?;
            builder = builder.identity(identity);
        }
        (None, None) => {}
        _ => {
            return Err("tls_config: has one of cert_file and key_file; expected both or none".to_owned());
        }
    }
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

/// Makes the client ask for `name` in TLS, and check the certificate for it, while it connects to the host of `url`.
///
/// The library takes that name from the URL only: the URL gets the name as its host, and names are not looked up.
fn with_server_name(builder: ClientBuilder, name: &str, url: &mut Url) -> Result<ClientBuilder, String> {
    let fault =
        || "tls_config.server_name: is no DNS name; expected one such as watch.example.com".to_owned();
    if name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok() {
        return Err(fault());
    }
    let host = url
        .host_str()
        .expect("a URL of http and https has a host")
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    url.set_host(Some(name)).map_err(|_| fault())?;
    Ok(builder.dns_resolver(Arc::new(HostOfUrl(host.into()))))
}

fn host_header(url: &Url) -> Result<HeaderValue, String> {
    let host = url.host_str().expect("a URL of http and https has a host");
    let text = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::from_str(&text).map_err(|_| "has a host that no header can hold".to_owned())
}

/// Answers every name with the addresses of one host.
struct HostOfUrl(Arc<str>);

impl Resolve for HostOfUrl {
    fn resolve(&self, _: Name) -> Resolving {
        let host = Arc::clone(&self.0);
        Box::pin(async move {
            // The port is that of the URL.
            let found: Vec<_> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// What a request proves itself with.
pub(super) enum Proof {
    Basic { username: String, password: SecretString },
    Header { scheme: String, credentials: SecretString },
}

impl Proof {
    /// Reads the file that holds the secret, if the source has any. Blocks.
    pub(super) fn read(source: &HttpSource) -> Result<Option<Proof>, String> {
        if let Some(basic) = &source.basic_auth {
            let password = read_secret(&basic.password_file)
                .map_err(|text| format!("basic_auth.password_file {text}"))?;
            return Ok(Some(Proof::Basic { username: basic.username.clone(), password }));
        }
        let Some(authorization) = &source.authorization else {
            return Ok(None);
        };
        let credentials = read_secret(&authorization.credentials_file)
            .map_err(|text| format!("authorization.credentials_file {text}"))?;
        Ok(Some(Proof::Header { scheme: authorization.scheme.clone(), credentials }))
    }

    /// Puts the proof into the head of the request.
    pub(super) fn put(self, request: RequestBuilder) -> Result<RequestBuilder, String> {
        match self {
            Proof::Basic { username, password } => {
                Ok(request.basic_auth(username, Some(password.expose_secret())))
            }
            Proof::Header { scheme, credentials } => {
                let value = format!("{scheme} {}", credentials.expose_secret());
                let mut value = HeaderValue::from_str(&value).map_err(|_| {
                    "authorization.credentials_file: holds characters that no header can hold; expected \
                     one line of text"
                        .to_owned()
                })?;
                value.set_sensitive(true);
                Ok(request.header(AUTHORIZATION, value))
            }
        }
    }
}

fn read_secret(path: &Path) -> Result<SecretString, String> {
    let fault = |text: &str| format!("{}: {text}", path.display());
    let bytes = read_file(path).map_err(|text| fault(&text))?;
    let text = String::from_utf8(bytes).map_err(|_| fault("is not UTF-8; expected text"))?;
    match text.trim() {
        "" => Err(fault("is empty; expected the secret")),
        secret => Ok(SecretString::from(secret)),
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    sys::read(path, MAX_SECRET_BYTES).map_err(|error| error.to_string())
}

/// What the HTTP library says, without the URL: its query may hold a token.
pub(super) fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    words.join(": ")
}
