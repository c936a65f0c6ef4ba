//! Everything on loopback: the simulator, a daemon that watches it, the addresses to look at.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use timpush_exporter::config;
use timpush_exporter::daemon::{Daemon, Options};
use timpush_exporter::sim::{self, Account, PopulationOptions, Simulator};

use super::simulate::{AppText, TEST_KEY, app_config};
use super::{DemoFlags, failed, out, serve};

/// The app of the demo.
const SDK_APP_ID: u64 = 1_400_000_001;
/// Recipients of each push; the last push takes what is left.
const USERS_PER_TASK: u32 = 20;
/// Share of the pushes that lie in the past, so that there is something to see at once.
const PAST_SHARE: f64 = 0.5;

/// Runs until a signal.
pub async fn run(flags: &DemoFlags, storage: Option<&Path>) -> ExitCode {
    match prepared(flags, storage).await {
        Ok(ended) => ended,
        Err(why) => failed(&why),
    }
}

async fn prepared(flags: &DemoFlags, storage: Option<&Path>) -> Result<ExitCode, String> {
    let folder = tempfile::Builder::new().prefix("timpush_demo_").tempdir();
    let folder = folder.map_err(|error| format!("temporary folder: {error}"))?;
    let simulator = simulator(flags)?;
    let config_file = folder.path().join("config.yaml");
    write_config(flags, &simulator, folder.path(), &config_file)?;
    let config = config::load(&config_file).map_err(|faults| faults.to_string())?;
    let options = Options {
        config_file,
        storage: storage.map_or_else(|| folder.path().join("data"), Path::to_owned),
        listen: vec![format!("127.0.0.1:{}", flags.port)],
        lifecycle: false,
        watch_api: false,
    };
    let daemon = Daemon::start(options, config, None)
        .await
        .map_err(|error| format!("{error}\nAnother program may listen there: try `demo --port 0`"))?;
    let addresses = daemon.addresses().iter();
    let pages = addresses.map(|at| format!("status page  http://{at}/\nmetrics      http://{at}/metrics\n"));
    let told = format!(
        "{}upstream     {url} (simulated; what it handed out: /sim/account)\n\
         drill        curl {url}/sim/outage -d '{{\"platform\":\"huawei\",\"kind\":\"fail\"}}'   until   curl -X DELETE {url}/sim/outage\n\
         The first failures show within a minute. Stop with Ctrl-C.\n",
        pages.collect::<String>(),
        url = simulator.url()
    );
    if let Err(ended) = out::print(told) {
        return Ok(ended);
    }
    let ended = daemon.run(serve::stopped()).await;
    simulator.stop().await;
    Ok(serve::end(ended))
}

fn simulator(flags: &DemoFlags) -> Result<Simulator, String> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, flags.upstream_port));
    sim::start(sim::Options {
        listen,
        seed: flags.seed,
        speed: flags.speed,
        requests_per_second: flags.rate,
        apps: vec![Account::new(SDK_APP_ID, "administrator", TEST_KEY)],
        population: PopulationOptions {
            tasks: flags.pairs.div_ceil(USERS_PER_TASK),
            users_per_task: USERS_PER_TASK.min(flags.pairs),
            push_span: Duration::from_secs(flags.push_span_seconds),
            past_share: PAST_SHARE,
        },
        ..sim::Options::default()
    })
    .map_err(|error| format!("simulated upstream on {listen}: {error}"))
}

fn write_config(
    flags: &DemoFlags,
    simulator: &Simulator,
    folder: &Path,
    config_file: &Path,
) -> Result<(), String> {
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    write(&folder.join("demo.key"), TEST_KEY)?;
    let mut pairs = simulator.pairs(SDK_APP_ID);
    pairs.truncate(flags.pairs as usize);
    let app = AppText {
        name: "demo",
        admin: "administrator",
        id: SDK_APP_ID,
        rate: flags.rate,
        key_file: "demo.key",
    };
    write(config_file, &format!("apps:\n{}", app_config(&app, &simulator.url(), &pairs)))
}
