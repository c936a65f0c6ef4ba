//! Where a watch list comes from: the config file itself, files, and HTTP.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Entry;

/// Where an app's watch list comes from; the union of all is the list in force, earlier places first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    /// Entries written in the config file itself, already checked.
    pub entries: Vec<Entry>,
    /// Places in these entries that were taken with a warning.
    pub warnings: u64,
    /// Patterns of files that hold lists, absolute.
    pub files: Vec<PathBuf>,
    /// Addresses that answer with lists as JSON.
    pub http: Vec<HttpSource>,
}

/// One address that answers `GET` with a list of entries as JSON.
#[derive(Clone, PartialEq)]
pub struct HttpSource {
    /// `http` or `https`, without userinfo and fragment. The query may hold a token: show [`HttpSource::shown_url`].
    pub url: String,
    /// Time between two requests.
    pub refresh: Duration,
    pub basic_auth: Option<BasicAuth>,
    pub authorization: Option<Authorization>,
    pub tls: ClientTls,
}

/// `basic_auth`, as Prometheus spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicAuth {
    pub username: String,
    /// Absolute; read again for every request.
    pub password_file: PathBuf,
}

/// `authorization`, as Prometheus spells it: the header `Authorization: <scheme> <credentials>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The key `type`; `Bearer` unless given.
    pub scheme: String,
    /// Absolute; read again for every request.
    pub credentials_file: PathBuf,
}

/// `tls_config`, as Prometheus spells it. Paths are absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    pub ca_file: Option<PathBuf>,
    /// Given together with `key_file`.
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    /// The name the server's certificate must carry, where it is not the host of the URL.
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
}

impl HttpSource {
    /// The URL with its query left out, for logs, pages and metrics.
    pub fn shown_url(&self) -> String {
        match self.url.split_once('?') {
            Some((url, _)) => format!("{url}?..."),
            None => self.url.clone(),
        }
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSource")
            .field("url", &self.shown_url())
            .field("refresh", &self.refresh)
            .field("basic_auth", &self.basic_auth)
            .field("authorization", &self.authorization)
            .field("tls", &self.tls)
            .finish()
    }
}
