//! The configuration as the program uses it: every value checked, every default filled in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::usersig::Credential;
use crate::watch::Sources;

/// The whole configuration in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; relative paths inside it were resolved against its folder.
    pub file: PathBuf,
    /// At least one.
    pub apps: Vec<App>,
    /// What is allowed and yet seldom meant, one line each.
    pub warnings: Vec<String>,
}

/// One application at the upstream, and whom to watch there.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Unique; the value of the label `app`.
    pub name: Arc<str>,
    pub sdk_app_id: u64,
    /// Name of the region, where one was given instead of an endpoint.
    pub region: Option<&'static str>,
    /// Base URL without a trailing slash: the region's host or the `endpoint`.
    pub endpoint: String,
    /// The `identifier`: an administrator account of the app.
    pub admin: String,
    pub credential: Credential,
    pub requests_per_second: f64,
    pub request_timeout: Duration,
    /// Offset from UTC of `PushTime` and `EventTime`, in seconds.
    pub zone_offset_seconds: i32,
    pub watch_for: Duration,
    pub max_pairs: usize,
    /// Names of the labels that entries may set, in the order in which they appear on metrics.
    pub watch_labels: Arc<[Box<str>]>,
    pub watch: Sources,
}
