//! The configuration as the program uses it: every value checked, every default filled in.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::api::client::Endpoint;
use crate::budget::{Key, Plan};
use crate::usersig::{Credential, Identity, Signer};
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

/// One application at the upstream, and whom to watch there. Field names are the keys of the file unless said.
#[derive(Clone, Debug, PartialEq)]
pub struct App {
    /// Unique, `[A-Za-z0-9_-]{1,64}`; the value of the label `app`.
    pub name: Arc<str>,
    /// From 1.
    pub sdk_app_id: u64,
    /// Name of the region, where one was given instead of an endpoint; see [`super::REGIONS`].
    pub region: Option<&'static str>,
    /// Base URL without a trailing slash: the region's host or the `endpoint`. `http` or `https`, perhaps a path prefix,
    /// never a password, query or fragment.
    pub endpoint: String,
    /// The `identifier`: an administrator account of the app. Default `administrator`.
    pub admin: String,
    /// Exactly one of `secret_key_file`, `secret_key_env`, `usersig_file`; was there and not blank when the file was
    /// checked.
    pub credential: Credential,
    /// The app's whole budget, 0.00001 to 1000, fractions allowed. Default 1.
    pub requests_per_second: f64,
    /// 1 ms to 5 min. Default 10 s; the upstream itself gives up after 3 s.
    pub request_timeout: Duration,
    /// Key `time_zone`: offset from UTC of `PushTime` and `EventTime`, in seconds, at most 14 hours. Default UTC+8.
    pub zone_offset_seconds: i32,
    /// How long a pair is watched, above 0 up to 7 days. Default 7 days, as long as the upstream keeps a trace.
    pub watch_for: Duration,
    /// How many pairs of task and user are taken, 1 to 2,000,000. Default 600,000. Those that are watched stay, the others
    /// come in the order of the list where there is room; a push older than `watch_for` takes none.
    pub max_pairs: usize,
    /// Names of the labels that entries may set, in the order in which they appear on metrics; at most 8.
    pub watch_labels: Arc<[Box<str>]>,
    pub watch: Sources,
}

impl Config {
    /// The budgets of all apps.
    pub fn budgets(&self) -> HashMap<Key, Plan> {
        let mut budgets = HashMap::new();
        for app in &self.apps {
            let rate = app.requests_per_second;
            let new = Plan { apps: 0, requests_per_second: rate };
            let budget = budgets.entry(app.budget_key()).or_insert(new);
            budget.apps += 1;
            budget.requests_per_second = budget.requests_per_second.min(rate);
        }
        budgets
    }

    /// The budget of one of the apps.
    pub fn budget_of(&self, app: &App) -> Plan {
        self.budgets()[&app.budget_key()]
    }
}

impl App {
    /// Whom to ask.
    pub fn api_endpoint(&self) -> Endpoint {
        Endpoint {
            base_url: self.endpoint.clone(),
            sdk_app_id: self.sdk_app_id,
            admin: self.admin.clone(),
            timeout: self.request_timeout,
        }
    }

    /// Who signs for it.
    pub fn signer(&self) -> Signer {
        Signer::new(
            Identity { sdk_app_id: self.sdk_app_id, admin: self.admin.clone() },
            self.credential.clone(),
        )
    }

    /// Whose limit its requests spend: other apps with the same share it.
    pub fn budget_key(&self) -> Key {
        let url = reqwest::Url::parse(&self.endpoint).ok();
        let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_else(|| self.host());
        Key::new(host, url.as_ref().and_then(reqwest::Url::port), self.sdk_app_id)
    }

    /// Pairs of task and user that the config file itself lists, each counted once.
    pub(super) fn static_pairs(&self) -> usize {
        let entries = self.watch.entries.iter();
        let pairs =
            entries.flat_map(|entry| entry.users.iter().map(|user| (entry.task.as_str(), user.as_str())));
        pairs.collect::<HashSet<_>>().len()
    }

    /// Host, and port where one is given, of the endpoint.
    pub fn host(&self) -> &str {
        let rest = self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}
