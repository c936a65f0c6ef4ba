//! One simulator, and a folder with a configuration, a key and a storage for a daemon that watches it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use timpush_exporter::sim::{self, Account, Options, Pair, Simulator, Sums};

use super::daemon::Daemon;
use super::sums::{comparable, difference};
use super::{KEY, wait_for};
use crate::support_b::Turn;

/// Name of the app that a rig has unless a test says otherwise.
pub const APP: &str = "shop";
/// Its SDKAppID.
pub const ID: u64 = 1_400_000_001;
/// Its administrator.
pub const ADMIN: &str = "administrator";
/// The key file in the folder of a rig.
pub const KEY_FILE: &str = "shop.key";

/// A simulator and the folder of a daemon.
pub struct Rig {
    pub simulator: Simulator,
    folder: TempDir,
    _turn: Turn,
}

/// One app of a configuration; a test changes what it is about.
#[derive(Clone, Debug)]
pub struct App {
    pub name: String,
    pub sdk_app_id: u64,
    pub endpoint: String,
    pub requests_per_second: f64,
    pub request_timeout: String,
    /// The list under `watch.static`.
    pub entries: Value,
    /// More keys of the app, each `(name, value)`.
    pub more: Vec<(String, Value)>,
}

impl App {
    /// [`APP`] at that address.
    pub fn new(endpoint: &str, requests_per_second: f64) -> App {
        App {
            name: APP.to_owned(),
            sdk_app_id: ID,
            endpoint: endpoint.to_owned(),
            requests_per_second,
            request_timeout: "10s".to_owned(),
            entries: json!([]),
            more: Vec::new(),
        }
    }

    /// Watches these.
    pub fn watching(mut self, pairs: &[Pair]) -> App {
        self.entries = entries(pairs);
        self
    }

    /// As an element of `apps`. JSON is YAML.
    pub fn json(&self) -> Value {
        let mut app = json!({
            "name": self.name,
            "sdk_app_id": self.sdk_app_id,
            "endpoint": self.endpoint,
            "admin": ADMIN,
            "secret_key_file": KEY_FILE,
            "requests_per_second": self.requests_per_second,
            "request_timeout": self.request_timeout,
            "watch": {"static": self.entries},
        });
        for (name, value) in &self.more {
            app[name] = value.clone();
        }
        app
    }
}

/// The pairs as a list of entries, those of one task together.
pub fn entries(pairs: &[Pair]) -> Value {
    let mut tasks: BTreeMap<&str, (i64, Vec<&str>)> = BTreeMap::new();
    for pair in pairs {
        let task = tasks.entry(&pair.task).or_insert((pair.pushed_at, Vec::new()));
        task.1.push(&pair.user);
    }
    let entry = |(task, (pushed_at, users)): (&str, (i64, Vec<&str>))| {
        let pushed_at = jiff::Timestamp::from_second(pushed_at).unwrap().to_string();
        json!({"task": task, "users": users, "pushed_at": pushed_at})
    };
    tasks.into_iter().map(entry).collect()
}

impl Rig {
    /// Starts the simulator, with [`APP`] as its only app where the options name none, and puts the key into the folder.
    pub fn start(mut options: Options) -> Rig {
        if options.apps.is_empty() {
            options.apps = vec![Account::new(ID, ADMIN, KEY)];
        }
        let turn = Turn::shared();
        let rig = Rig {
            simulator: sim::start(options).unwrap(),
            folder: tempfile::tempdir().unwrap(),
            _turn: turn,
        };
        rig.write(KEY_FILE, KEY);
        rig
    }

    /// Where the daemon runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// [`APP`], watching the whole town of the simulator.
    pub fn app(&self, requests_per_second: f64) -> App {
        App::new(&self.simulator.url(), requests_per_second).watching(&self.simulator.pairs(ID))
    }

    /// Writes `config.yaml` with these apps.
    pub fn configure(&self, apps: &[App]) {
        let apps: Vec<Value> = apps.iter().map(App::json).collect();
        self.write("config.yaml", &format!("{:#}\n", json!({"apps": apps})));
    }

    /// Starts a daemon, which may not be ready yet.
    pub fn spawn(&self) -> Daemon {
        Daemon::spawn(self.folder(), &[])
    }

    /// Starts a daemon and waits until it is ready.
    pub async fn daemon(&self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.ready().await;
        daemon
    }

    /// What the simulator has handed out, to be compared with [`crate::support_b::Scrape::sums`].
    pub fn account(&self) -> Sums {
        comparable(self.simulator.account())
    }

    /// What has happened in the simulator's town, handed out or not, in the same form.
    pub fn truth(&self) -> Sums {
        comparable(self.simulator.truth())
    }

    /// Requests of [`APP`] that have arrived.
    pub fn requests(&self) -> u64 {
        let arrivals = self.simulator.arrivals();
        let own = arrivals.apps.iter().find(|app| app.sdk_app_id == ID);
        own.map_or(0, |app| app.requests)
    }

    /// Waits until the daemon shows exactly what was handed out.
    pub async fn agrees(&self, daemon: &Daemon) -> Sums {
        wait_for("the counters equal the account", async || {
            let shown = daemon.scrape().await.sums(APP, ID);
            // What is handed out before the scrape is answered may be shown or not.
            let account = self.account();
            if shown == account { Ok(shown) } else { Err(difference(&shown, &account)) }
        })
        .await
    }
}
