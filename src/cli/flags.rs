//! The flags, spelled as Prometheus and its exporters spell them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use timpush_exporter::config::{MAX_REQUESTS_PER_SECOND, MIN_REQUESTS_PER_SECOND};

/// Prometheus exporter that shows how far each push of Tencent Cloud Chat got and, where it failed, at which stage, with
/// which code, and who has to fix it.
///
/// Without a subcommand it serves: it polls the watch lists of the configuration within the request budget of each app,
/// and serves /metrics. Exit status: 0 clean stop, 1 failed while running, 2 unusable flags or configuration.
#[derive(Debug, Parser)]
#[command(version, name = "timpush_exporter")]
pub struct Flags {
    /// Config file with the apps and their watch lists; see config.example.yaml
    #[arg(long = "config.file", default_value = "config.yaml", global = true, value_name = "FILE")]
    pub config_file: PathBuf,

    /// Check the config file and the web config file, print every error or a summary with the capacity of each app, and
    /// exit
    #[arg(long = "config.check")]
    pub config_check: bool,

    /// Folder of the ledger and the request budget, created if missing [default: data; demo: a temporary folder]
    #[arg(long = "storage.path", global = true, value_name = "FOLDER")]
    pub storage: Option<PathBuf>,

    /// Address to listen on; repeatable
    #[arg(long = "web.listen-address", default_value = ":10047", value_name = "ADDRESS")]
    pub listen: Vec<String>,

    /// Web config file for TLS and basic auth, in the format of Prometheus' exporter-toolkit; changes need no restart
    #[arg(long = "web.config.file", value_name = "FILE")]
    pub web_config_file: Option<PathBuf>,

    /// Enable POST /-/reload
    #[arg(long = "web.enable-lifecycle")]
    pub lifecycle: bool,

    /// Enable POST and DELETE on /api/v1/watches
    #[arg(long = "web.enable-watch-api")]
    pub watch_api: bool,

    /// Lowest severity to log
    #[arg(long = "log.level", default_value = "info", global = true, value_name = "LEVEL")]
    pub log_level: LogLevel,

    /// Format of the log
    #[arg(long = "log.format", default_value = "logfmt", global = true, value_name = "FORMAT")]
    pub log_format: LogFormat,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a simulated upstream and an exporter that polls it, on loopback; no configuration needed
    Demo(DemoFlags),
    /// Run the simulated upstream alone
    Simulate(SimulateFlags),
    /// Poll one pair through the same client, signer and request budget, and print the delivery chain of each device
    Trace(TraceFlags),
    /// Print a fresh UserSig for use with curl
    Usersig {
        /// Name of the app in the configuration
        #[arg(long, value_name = "NAME")]
        app: String,
    },
    /// Copy the ledger to a new file, also while the daemon runs, and verify the copy
    Backup {
        /// File to create; an existing file is never overwritten
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct DemoFlags {
    /// Factor by which simulated deliveries are faster than real ones
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    pub speed: f64,
    /// Number of (task, user) pairs to watch
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u32).range(1..=600_000))]
    pub pairs: u32,
    /// Requests per second of the app
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    pub rate: f64,
    /// Time over which the pushes are spread, in seconds
    #[arg(long = "push-span-seconds", default_value_t = 1_200)]
    pub push_span_seconds: u64,
    /// Port on 127.0.0.1 for metrics and status page; 0 picks a free one
    #[arg(long, default_value_t = 10047)]
    pub port: u16,
    /// Port on 127.0.0.1 for the simulated upstream; 0 picks a free one
    #[arg(long = "upstream-port", default_value_t = 0)]
    pub upstream_port: u16,
    /// Random seed of the simulation
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct SimulateFlags {
    /// Address to listen on
    #[arg(long = "listen-address", default_value = "127.0.0.1:10048")]
    pub listen: SocketAddr,
    /// SDKAppID of the first app
    #[arg(long = "sdk-app-id", default_value_t = 1_400_000_001)]
    pub sdk_app_id: u64,
    /// Number of apps; they have consecutive SDKAppIDs and the same key
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub apps: u32,
    /// Administrator account of the apps
    #[arg(long, default_value = "administrator")]
    pub admin: String,
    /// File with the secret key of the apps [default: a well-known test key]
    #[arg(long = "secret-key-file", value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Requests per second of each app
    #[arg(long, default_value_t = 1.0, value_parser = rate)]
    pub rate: f64,
    /// Factor by which simulated deliveries are faster than real ones
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    pub speed: f64,
    /// Number of pushes per app
    #[arg(long, default_value_t = 20)]
    pub tasks: u32,
    /// Number of recipients per push
    #[arg(long, default_value_t = 50)]
    pub users: u32,
    /// Time over which the pushes are spread, in seconds
    #[arg(long = "push-span-seconds", default_value_t = 600)]
    pub push_span_seconds: u64,
    /// Fraction of the pushes sent before the start
    #[arg(long = "past-share", default_value_t = 0.25)]
    pub past_share: f64,
    /// Random seed of the simulation
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Print a config that watches all simulated pairs, write its key to demo.key unless --secret-key-file is given, and exit
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
    /// Print the decoded response as JSON
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
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let allowed = MIN_REQUESTS_PER_SECOND..=MAX_REQUESTS_PER_SECOND;
    let number = positive(text).ok().filter(|n| allowed.contains(n));
    number.ok_or_else(|| format!("expected a number from {} to {}", allowed.start(), allowed.end()))
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
