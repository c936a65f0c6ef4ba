//! The simulated upstream in the test's own process, and configurations that watch it.

use std::fmt;
use std::time::Duration;

use timpush_exporter::sim::{
    self, Account, AppArrivals, FaultOrder, Options, PopulationOptions, Simulator, Sums, UnknownPairs,
};

use super::sums::{comparable, difference};
use super::{Daemon, KEY, Turn, eventually, until};

/// The first app of every town; the others follow.
pub const FIRST_APP: u64 = 1_400_000_001;
/// Its name in most configurations.
pub const APP: &str = "shop";
/// Listens nowhere: for configurations that nobody polls with.
pub const NOWHERE: &str = "http://127.0.0.1:9";

/// A running simulator with its own runtime.
pub struct Town {
    pub sim: Simulator,
    runtime: tokio::runtime::Runtime,
    _turn: Turn,
}

impl Town {
    /// A town of nobody, for that many apps, that knows no pair and answers each with an empty trace.
    pub fn empty(apps: u64, requests_per_second: f64) -> Town {
        Town::start(Options {
            requests_per_second,
            apps: accounts(apps),
            population: PopulationOptions {
                tasks: 0,
                users_per_task: 0,
                push_span: Duration::ZERO,
                past_share: 0.0,
            },
            unknown_pairs: UnknownPairs::Empty,
            ..Options::default()
        })
    }

    /// A town of that many pushes to ten users each, all in the past, that lives sixty times as fast as we.
    pub fn lively(apps: u64, tasks: u32, requests_per_second: f64) -> Town {
        Town::start(Options {
            requests_per_second,
            speed: 60.0,
            apps: accounts(apps),
            population: PopulationOptions {
                tasks,
                users_per_task: 10,
                push_span: Duration::from_secs(60),
                past_share: 1.0,
            },
            ..Options::default()
        })
    }

    /// A town as the options say; of one app where they name none.
    pub fn start(mut options: Options) -> Town {
        if options.apps.is_empty() {
            options.apps = accounts(1);
        }
        let turn = Turn::shared();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sim = {
            let _inside = runtime.enter();
            sim::start(options).unwrap()
        };
        Town { sim, runtime, _turn: turn }
    }

    /// A configuration of the first app that watches all that the town knows.
    pub fn watched(&self, name: &str, rate: f64) -> AppText {
        let app = AppText::new(name, FIRST_APP, &self.sim.url(), rate);
        let pairs = self.sim.pairs(FIRST_APP);
        pairs.chunk_by(|one, next| one.task == next.task).fold(app, |app, pairs| {
            let (task, users) = (&pairs[0].task, pairs.iter().map(|pair| &*pair.user).collect::<Vec<_>>());
            let pushed_at = jiff::Timestamp::from_second(pairs[0].pushed_at).unwrap();
            app.entry(&format!("{{task: {task}, users: {users:?}, pushed_at: {pushed_at}}}"))
        })
    }

    /// When the requests of an app came.
    pub fn arrivals(&self, sdk_app_id: u64) -> AppArrivals {
        let arrivals = self.sim.arrivals();
        let app = arrivals.apps.into_iter().find(|app| app.sdk_app_id == sdk_app_id);
        app.expect("an app of this town")
    }

    pub fn requests(&self, sdk_app_id: u64) -> u64 {
        self.arrivals(sdk_app_id).requests
    }

    /// Waits until so many more requests of the app have come.
    pub fn await_requests(&self, sdk_app_id: u64, more: u64) {
        let wanted = self.requests(sdk_app_id) + more;
        until("enough requests came", || self.requests(sdk_app_id) >= wanted);
    }

    /// What has been handed out, to be compared with [`super::Scrape::sums`].
    pub fn account(&self) -> Sums {
        comparable(self.sim.account())
    }

    /// What has happened, handed out or not, in the same form.
    pub fn truth(&self) -> Sums {
        comparable(self.sim.truth())
    }

    /// Waits until the daemon shows exactly what was handed out.
    pub fn agrees(&self, daemon: &Daemon) -> Sums {
        eventually("the counters equal the account", || {
            let shown = daemon.scrape().sums();
            // What is handed out before the scrape is answered may be shown or not.
            let account = self.account();
            if shown == account { Ok(shown) } else { Err(difference(&shown, &account)) }
        })
    }

    /// The next requests fail in that way.
    pub fn fault(&self, fault: sim::Fault, requests: u64) {
        let order = FaultOrder { requests: Some(requests), ..fault.into() };
        self.sim.set_fault(order).unwrap();
    }

    /// What every question about the pair is answered with from now on.
    pub fn answer(&self, task: &str, user: &str, answer: serde_json::Value) {
        let order = serde_json::json!({"task": task, "user": user, "json": answer});
        self.sim.set_answer(serde_json::from_value(order).unwrap()).unwrap();
    }

    /// Ends the simulator.
    pub fn end(self) {
        self.runtime.block_on(self.sim.stop());
    }
}

fn accounts(apps: u64) -> Vec<Account> {
    let ids = FIRST_APP..FIRST_APP + apps;
    ids.map(|id| Account::new(id, "administrator", KEY)).collect()
}

/// One entry of `apps` in a configuration.
#[derive(Clone)]
pub struct AppText {
    /// Each a line of YAML.
    keys: Vec<String>,
    entries: Vec<String>,
}

impl AppText {
    pub fn new(name: &str, id: u64, url: &str, rate: f64) -> AppText {
        let keys = vec![
            format!("name: {name}"),
            format!("sdk_app_id: {id}"),
            format!("endpoint: {url}"),
            "secret_key_file: app.key".to_owned(),
            format!("requests_per_second: {rate}"),
        ];
        AppText { keys, entries: Vec::new() }
    }

    /// Another rate.
    pub fn rate(self, rate: f64) -> AppText {
        self.key(&format!("requests_per_second: {rate}"))
    }

    /// Another file with the key.
    pub fn secret(self, file: &str) -> AppText {
        self.key(&format!("secret_key_file: {file}"))
    }

    /// Sets a key of the app, by a line of YAML.
    pub fn key(self, line: &str) -> AppText {
        let (key, _) = line.split_once(':').unwrap();
        let mut app = self.without(key);
        app.keys.push(line.to_owned());
        app
    }

    /// Takes a key of the app away.
    pub fn without(mut self, key: &str) -> AppText {
        self.keys.retain(|line| line.split_once(':').unwrap().0 != key);
        self
    }

    /// One more entry of the watch list, as YAML in one line.
    pub fn entry(mut self, entry: &str) -> AppText {
        self.entries.push(entry.to_owned());
        self
    }

    /// Watches `users` users, u0 and on, of one task.
    pub fn users(self, task: &str, users: usize) -> AppText {
        let users: Vec<String> = (0..users).map(|n| format!("u{n}")).collect();
        self.entry(&format!("{{task: {task}, users: [{}]}}", users.join(", ")))
    }

    /// A configuration with this app alone.
    pub fn config(&self) -> String {
        config(std::slice::from_ref(self))
    }
}

impl fmt::Display for AppText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  - {}", self.keys.join("\n    "))?;
        if !self.entries.is_empty() {
            writeln!(f, "    watch:\n      static:")?;
        }
        for entry in &self.entries {
            writeln!(f, "        - {entry}")?;
        }
        Ok(())
    }
}

/// A configuration with those apps.
pub fn config(apps: &[AppText]) -> String {
    let apps: String = apps.iter().map(ToString::to_string).collect();
    format!("apps:\n{apps}")
}
