//! The flags, spelled as Prometheus and its exporters spell them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use timpush_exporter::config::{MAX_REQUESTS_PER_SECOND, MIN_REQUESTS_PER_SECOND};

/// Prometheus exporter for the delivery of Tencent Cloud Chat push notifications, by vendor and stage.
///
/// Without a subcommand it serves: polls the watch lists of the configuration within the budget of each app and
/// answers scrapes on /metrics. Exit status: 0 clean stop, 1 failed while running, 2 unusable flags or configuration.
#[derive(Debug, Parser)]
#[command(version, name = "timpush_exporter")]
pub struct Flags {
    /// The apps and their watch lists; see config.example.yaml
    #[arg(long = "config.file", default_value = "config.yaml", global = true, value_name = "FILE")]
    pub config_file: PathBuf,

    /// Check the configuration, that of the web too: print every fault, or a summary with the capacity of each app;
    /// serve nothing
    #[arg(long = "config.check")]
    pub config_check: bool,

    /// Folder of the ledger and the budget, created if it is missing [default: data; demo: a temporary one]
    #[arg(long = "storage.path", global = true, value_name = "FOLDER")]
    pub storage: Option<PathBuf>,

    /// Address to serve on; may be given several times
    #[arg(long = "web.listen-address", default_value = ":10047", value_name = "ADDRESS")]
    pub listen: Vec<String>,

    /// TLS and basic auth, in the file format of Prometheus' exporter-toolkit; changes are taken without a restart
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,

    /// Allow POST /-/reload
    #[arg(long = "web.enable-lifecycle")]
    pub lifecycle: bool,

    /// Allow POST and DELETE on /api/v1/watches
    #[arg(long = "web.enable-watch-api")]
    pub watch_api: bool,

    /// Least severe messages to log
    #[arg(long = "log.level", default_value = "info", global = true, value_name = "LEVEL")]
    pub log_level: LogLevel,

    /// Form of the log lines
    #[arg(long = "log.format", default_value = "logfmt", global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on loopback with nothing to configure: a simulated upstream and a daemon that watches it
    Demo(DemoFlags),
    /// The simulated upstream alone
    Simulate(SimulateFlags),
    /// Ask for one pair through the same client, signer and budget, and print the delivery chain of each device
    Trace(TraceFlags),
    /// Print a fresh UserSig for use with curl
    Usersig {
        /// Name of the app in the configuration
        #[arg(long, value_name = "NAME")]
        app: String,
    },
}

#[derive(Debug, Args)]
pub struct DemoFlags {
    /// Delays of the simulated town are divided by this
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    pub speed: f64,
    /// Pairs of (task, user) to watch
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub pairs: u32,
    /// Requests per second of the app
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    pub rate: f64,
    /// Port of 127.0.0.1 for metrics and status page; 0 takes a free one
    #[arg(long, default_value_t = 10047)]
    pub port: u16,
    /// Port of 127.0.0.1 for the simulated upstream; 0 takes a free one
    #[arg(long = "upstream-port", default_value_t = 0)]
    pub upstream_port: u16,
    /// Seed of the simulated town
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct SimulateFlags {
    /// Address to serve on
    #[arg(long = "listen-address", default_value = "127.0.0.1:10048")]
    pub listen: SocketAddr,
    /// SDKAppID of the first app
    #[arg(long = "sdk-app-id", default_value_t = 1_400_000_001)]
    pub sdk_app_id: u64,
    /// Number of apps; the others have the SDKAppIDs that follow, and the same key
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub apps: u32,
    /// The administrator account that may ask
    #[arg(long, default_value = "administrator")]
    pub admin: String,
    /// File with the secret key that signatures are checked with; without it a well-known test key
    #[arg(long = "secret-key-file", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Requests per second of each app
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    pub rate: f64,
    /// Delays of the town are divided by this
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub speed: f64,
    /// Pushes sent in each app
    #[arg(long, default_value_t = 20)]
    pub tasks: u32,
    /// Recipients of each push
    #[arg(long, default_value_t = 50)]
    pub users: u32,
    /// Seconds over which the pushes are spread
    #[arg(long = "push-span-seconds", default_value_t = 600)]
    pub push_span_seconds: u64,
    /// Share of the pushes that lie in the past already
    #[arg(long = "past-share", default_value_t = 0.25)]
    pub past_share: f64,
    /// Seed of the town
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print a configuration that watches all pairs of the town, and serve nothing
    #[arg(long = "print-config")]
    pub print_config: bool,
}

#[derive(Debug, Args)]
pub struct TraceFlags {
    /// TaskID of the push
    #[arg(value_name = "TASK")]
    pub task: String,
    /// UserID of the recipient
    #[arg(value_name = "USER")]
    pub user: String,
    /// Name of the app in the configuration
    #[arg(long, value_name = "NAME")]
    pub app: String,
    /// Print the decoded answer as JSON
    #[arg(long)]
    pub json: bool,
}

impl Flags {
    /// The storage folder where none was named.
    pub fn storage(&self) -> PathBuf {
        self.storage.clone().unwrap_or_else(|| PathBuf::from("data"))
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    number.ok_or_else(|| "a number above 0 would be right".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let allowed = MIN_REQUESTS_PER_SECOND..=MAX_REQUESTS_PER_SECOND;
    let number = positive(text).ok().filter(|n| allowed.contains(n));
    number.ok_or_else(|| format!("a number from {} to {} would be right", allowed.start(), allowed.end()))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    Logfmt,
    Json,
}
