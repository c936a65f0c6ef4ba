//! The simulated upstream alone.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;
use std::time::Duration;

use timpush_exporter::sim::{self, Account, Options, Pair, PopulationOptions, Simulator};
use timpush_exporter::sys;
use timpush_exporter::usersig::MAX_CREDENTIAL_BYTES;

use super::{SimulateFlags, failed, out, stop_signal, unusable};

/// A key that the documents of the upstream print; it opens nothing.
pub const TEST_KEY: &str = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e";

/// Where [`TEST_KEY`] is written for a configuration that is printed.
const TEST_KEY_FILE: &str = "demo.key";

/// Serves until a signal, or prints a configuration.
pub async fn run(flags: &SimulateFlags) -> ExitCode {
    let key = match &flags.secret_key_file {
        None => TEST_KEY.to_owned(),
        Some(path) => match sys::read(path, MAX_CREDENTIAL_BYTES) {
            Ok(key) => String::from_utf8_lossy(&key).trim().to_owned(),
            Err(error) => return unusable(&format!("--secret-key-file: {} {error}", path.display())),
        },
    };
    let ids: Vec<u64> = (flags.sdk_app_id..).take(flags.apps as usize).collect();
    let options = Options {
        // Only the pairs are wanted: a simulator may be running there.
        listen: if flags.print_config { ([127, 0, 0, 1], 0).into() } else { flags.listen },
        seed: flags.seed,
        speed: flags.speed,
        requests_per_second: flags.rate,
        apps: ids.iter().map(|id| Account::new(*id, &flags.admin, &key)).collect(),
        population: PopulationOptions {
            tasks: flags.tasks,
            users_per_task: flags.users,
            push_span: Duration::from_secs(flags.push_span_seconds),
            past_share: flags.past_share,
        },
        ..Options::default()
    };
    let simulator = match sim::start(options) {
        Ok(simulator) => simulator,
        Err(error) => return failed(&format!("{}: {error}", flags.listen)),
    };
    if flags.print_config {
        let printed = print_config(flags, &ids, &simulator);
        simulator.stop().await;
        return printed.err().unwrap_or(ExitCode::SUCCESS);
    }
    let url = simulator.url();
    if let Err(ended) = out::print(format_args!("upstream {url}, its own account at {url}/sim/account\n")) {
        return ended;
    }
    let stopped = stop_signal().await;
    simulator.stop().await;
    match stopped {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&format!("signals: {error}")),
    }
}

fn print_config(flags: &SimulateFlags, ids: &[u64], simulator: &Simulator) -> Result<(), ExitCode> {
    let secret = match &flags.secret_key_file {
        Some(path) => path.display().to_string(),
        None => {
            write_test_key().map_err(|error| failed(&format!("{TEST_KEY_FILE}: {error}")))?;
            TEST_KEY_FILE.to_owned()
        }
    };
    out::print("apps:\n")?;
    for id in ids {
        let app = AppText {
            name: &format!("app_{id}"),
            admin: &flags.admin,
            id: *id,
            rate: flags.rate,
            key_file: &secret,
        };
        out::print(app_config(&app, &format!("http://{}", flags.listen), &simulator.pairs(*id)))?;
    }
    Ok(())
}

/// Writes the key that the printed configuration names into the current folder, unless a file of that name is there.
fn write_test_key() -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(TEST_KEY_FILE);
    match file {
        Ok(mut file) => file.write_all(TEST_KEY.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a configuration says of a simulated app.
pub struct AppText<'a> {
    pub name: &'a str,
    pub admin: &'a str,
    pub id: u64,
    pub rate: f64,
    pub key_file: &'a str,
}

/// An entry of `apps` that watches `pairs` of the simulator at `url`.
pub fn app_config(app: &AppText<'_>, url: &str, pairs: &[Pair]) -> String {
    let AppText { name, admin, id, rate, key_file } = app;
    let mut tasks: BTreeMap<&str, Vec<&Pair>> = BTreeMap::new();
    for pair in pairs {
        tasks.entry(&pair.task).or_default().push(pair);
    }
    let mut text = format!(
        "  - name: {name}\n    sdk_app_id: {id}\n    endpoint: {url}\n    admin: {admin}\n    \
         secret_key_file: {key_file}\n    requests_per_second: {rate}\n    watch_labels: [campaign]\n    \
         watch:\n      static:\n"
    );
    for (at, (task, pairs)) in tasks.into_iter().enumerate() {
        let users: Vec<&str> = pairs.iter().map(|pair| pair.user.as_str()).collect();
        let pushed_at = jiff::Timestamp::from_second(pairs[0].pushed_at).unwrap_or_default();
        let campaign = CAMPAIGNS[at % CAMPAIGNS.len()];
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "        - task: {task}\n          users: [{}]\n          labels: {{campaign: {campaign}}}\n          \
             pushed_at: {pushed_at}",
            users.join(", ")
        );
    }
    text
}

/// Values of the label of simulated apps.
const CAMPAIGNS: [&str; 3] = ["spring", "orders", "news"];
